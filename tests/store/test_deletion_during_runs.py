"""A deletion during a run wins: the writer learns it from the row, removes what it left, and says so."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import StateGraph
from langgraph.graph.message import _messages_delta_reducer
from langgraph.types import interrupt
from typing_extensions import TypedDict

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import ConversationNotFoundError, CorruptDataError
from tests.conftest import MakeSaver
from tests.factories import checkpoint_id, config, items_of, put, values_of
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.engine_matters

RUN = "0199d3a0-0000-7000-8000-000000000001"
STEPS = 4


class Listed(TypedDict):
    messages: Annotated[list[Any], lambda old, new: [*old, *new]]


class Delta(TypedDict):
    messages: Annotated[list[Any], DeltaChannel(_messages_delta_reducer)]


class Meanwhile:
    """Does something once, before the step of this number of the run."""

    def __init__(self, number: int, act: Callable[[], object]) -> None:
        self.number, self.act = number, act

    def __call__(self, number: int) -> None:
        if number == self.number:
            self.act()


def chain_of_steps(saver: DynamoDBConversationSaver, schema: Any, meanwhile: Callable[[int], None], turn: int) -> Any:
    graph = StateGraph(schema)

    def step(number: int) -> Callable[[Any], dict[str, Any]]:
        def said(_: Any) -> dict[str, Any]:
            meanwhile(number)
            return {"messages": [AIMessage(f"step {number}", id=f"{turn}-{number}")]}

        return said

    for number in range(STEPS):
        graph.add_node(f"step-{number}", step(number))
    graph.set_entry_point("step-0")
    for number in range(STEPS - 1):
        graph.add_edge(f"step-{number}", f"step-{number + 1}")
    return graph.compile(checkpointer=saver)


def at_run(turn: int, run_id: str | None = None) -> Any:
    found = config()
    return {**found, "metadata": {"run_id": run_id}} if run_id else found


def talk(
    saver: DynamoDBConversationSaver, schema: Any, turn: int, meanwhile: Any = lambda _: None, **more: Any
) -> None:
    graph = chain_of_steps(saver, schema, meanwhile, turn)
    run_id, durability = more.pop("run_id", None), more.pop("durability", "sync")
    graph.invoke({"messages": [HumanMessage("hi", id=f"{turn}")]}, at_run(turn, run_id), durability=durability, **more)


@pytest.mark.parametrize("transcript", [True, False])
@pytest.mark.parametrize("schema", [Listed, Delta], ids=lambda schema: schema.__name__)
@pytest.mark.parametrize("turns", [0, 2])
@pytest.mark.parametrize("step", range(STEPS))
@pytest.mark.parametrize("by_other", [True, False], ids=["by another process", "by the same saver"])
def test_a_conversation_that_is_deleted_during_a_run_is_gone(
    make_saver: MakeSaver,
    client: DynamoDBClient,
    table_name: str,
    transcript: bool,
    schema: Any,
    turns: int,
    step: int,
    by_other: bool,
) -> None:
    running, other = make_saver(transcript=transcript), make_saver(transcript=transcript)
    for turn in range(turns):
        talk(running, schema, turn)
    deleting = other if by_other else running
    with pytest.raises(ConversationNotFoundError, match="deleted while the run went on"):
        talk(running, schema, turns, Meanwhile(step, lambda: deleting.delete_thread("thread")))

    assert items_of(client, table_name) == []
    for reader in (running, other, make_saver(transcript=transcript)):
        assert reader.get_tuple(config()) is None
    talk(running, schema, 9)
    assert other.conversations.get("thread", "demo").message_count == (STEPS + 1 if transcript else 0)


@pytest.mark.parametrize(
    ("transcript", "ends"),  # without a transcript a run that asks writes no row
    [(True, "with an answer"), (True, "with a question"), (False, "with an answer")],
)
@pytest.mark.parametrize("durability", ["sync", "exit"])
def test_a_conversation_without_checkpoints_that_is_deleted_during_its_first_run_is_gone(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str, transcript: bool, durability: Any, ends: str
) -> None:
    running, other = make_saver(transcript=transcript), make_saver(transcript=transcript)
    other.conversations.create("demo", title="begun by its page", conversation_id="thread")

    def meanwhile(number: int) -> None:
        if number == 1:
            other.delete_thread("thread")
        if number == STEPS - 1 and ends == "with a question":
            interrupt("go on?")

    with pytest.raises(ConversationNotFoundError, match="deleted while the run went on"):
        talk(running, Listed, 1, meanwhile, durability=durability)

    assert [item for item in items_of(client, table_name) if "#w#" not in item["user_id"]["S"]] == []
    for reader in (running, other, make_saver(transcript=transcript)):
        assert reader.get_tuple(config()) is None
    talk(running, Listed, 9, durability=durability)
    assert other.conversations.get("thread", "demo").message_count == (STEPS + 1 if transcript else 0)


def test_a_conversation_that_is_deleted_during_its_first_run_and_made_again_stays_as_it_was_made(
    make_saver: MakeSaver,
) -> None:
    running, other = make_saver(), make_saver()
    other.conversations.create("demo", title="first", conversation_id="thread")

    def meanwhile() -> None:
        other.delete_thread("thread")
        other.conversations.create("demo", title="second", conversation_id="thread")

    with pytest.raises(ConversationNotFoundError):
        talk(running, Listed, 1, Meanwhile(2, meanwhile), durability="exit")

    assert make_saver().get_tuple(config()) is None
    assert other.conversations.get("thread", "demo").title == "second"
    talk(running, Listed, 2)
    assert [one.id for one in values_of(make_saver())["messages"]] == ["2", *(f"2-{step}" for step in range(STEPS))]


@pytest.mark.parametrize("schema", [Listed, Delta], ids=lambda schema: schema.__name__)
@pytest.mark.parametrize("turns", [0, 2])
@pytest.mark.parametrize("step", range(1, STEPS))
def test_a_run_that_is_deleted_while_it_goes_on_is_gone_and_the_conversation_stays(
    make_saver: MakeSaver, schema: Any, turns: int, step: int
) -> None:
    running, other = make_saver(), make_saver()
    for turn in range(turns):
        talk(running, schema, turn)
    before = running.get_tuple(config())
    with pytest.raises(ConversationNotFoundError, match="deleted while the run went on"):
        talk(running, schema, turns, Meanwhile(step, lambda: other.delete_for_runs([RUN])), run_id=RUN)

    for reader in (running, other, make_saver()):
        now = reader.get_tuple(config())
        if before is not None:
            assert now is not None
            assert now.checkpoint == before.checkpoint
        assert [one.metadata.get("run_id") for one in reader.list(config())].count(RUN) == 0
    assert not [d for d in other.conversations.verify("thread", "demo").damage if "builds on" in d.problem]
    talk(running, schema, 9)
    assert other.conversations.get("thread", "demo").messages[-1].content.endswith("step 3")


@pytest.mark.parametrize("turns", [0, 2])
def test_a_conversation_that_is_deleted_and_begun_anew_keeps_only_what_is_new(
    make_saver: MakeSaver, turns: int
) -> None:
    running, other = make_saver(), make_saver()
    for turn in range(turns):
        talk(running, Listed, turn)

    def meanwhile() -> None:
        other.delete_thread("thread")
        talk(other, Listed, 7)

    with pytest.raises(ConversationNotFoundError):
        talk(running, Listed, 8, Meanwhile(2, meanwhile))
    for reader in (running, other, make_saver()):
        assert [one.id for one in values_of(reader)["messages"]] == ["7", *(f"7-{step}" for step in range(STEPS))]
        assert reader.conversations.verify("thread", "demo").ok
        assert len(list(reader.list(config()))) == STEPS + 2


@pytest.mark.parametrize("durability", ["sync", "exit"])
def test_what_was_begun_anew_gets_nothing_of_a_run_whose_process_never_saw_the_former_row(
    make_saver: MakeSaver, durability: Any
) -> None:
    other = make_saver()
    talk(other, Listed, 0)

    def meanwhile() -> None:
        other.delete_thread("thread")
        talk(other, Listed, 7)

    with pytest.raises(ConversationNotFoundError):
        talk(make_saver(), Listed, 8, Meanwhile(2, meanwhile), durability=durability)

    chat = make_saver().conversations.get("thread", "demo")
    assert [one.content for one in chat.messages if one.role == "user"] == ["hi"]
    assert [one.id for one in values_of(make_saver())["messages"]] == ["7", *(f"7-{step}" for step in range(STEPS))]
    assert make_saver().conversations.verify("thread", "demo").ok


# What a writer leaves that dies before it learns of the deletion


def leave_orphans(make_saver: MakeSaver, client: DynamoDBClient, table_name: str, *, with_row: bool) -> None:
    """Whole checkpoints 1 and 2, and 4 to 6 as a killed process leaves them: 3, on which they build, is gone."""
    writer = make_saver()
    for number in range(1, 7):
        put(writer, number, {"items": list(range(number))}, parent=number - 1 or None)
        writer.put_writes(config(number=number), [("items", number)], "task")
    gone = ["demo#c##" + checkpoint_id(number) for number in ((3,) if with_row else (1, 2, 3))]
    for sort_key in gone if with_row else [*gone, "demo"]:
        client.delete_item(TableName=table_name, Key={"conversation_id": {"S": "thread"}, "user_id": {"S": sort_key}})


def numbers(saver: DynamoDBConversationSaver) -> list[int]:
    return [int(one.config["configurable"]["checkpoint_id"][2:8], 16) for one in saver.list(config())]


def test_orphans_of_a_conversation_without_a_row_are_none(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    leave_orphans(make_saver, client, table_name, with_row=False)

    saver = make_saver()
    assert saver.get_tuple(config()) is None
    assert saver.get_tuple(config(number=5)) is None
    assert list(saver.list(config())) == []
    with pytest.raises(ConversationNotFoundError):
        saver.conversations.verify("thread", "demo")
    put(saver, 7, {"items": ["new"]})
    assert values_of(make_saver()) == {"items": ["new"]}
    assert numbers(make_saver()) == [7]
    assert saver.conversations.delete("thread", "demo") > 0
    assert items_of(client, table_name) == []


def test_where_there_is_a_row_the_newest_whole_checkpoint_is_read_and_orphans_are_named(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    leave_orphans(make_saver, client, table_name, with_row=True)

    saver = make_saver()
    with caplog.at_level(logging.WARNING, "langgraph_dynamo_conv"):
        assert values_of(saver) == {"items": [0, 1]}
    assert "an older state is read instead" in caplog.text
    assert numbers(saver) == [2, 1]
    with pytest.raises(CorruptDataError, match="builds on .*, which is missing.*prune"):
        saver.get_tuple(config(number=6))
    named = [one.key.rsplit("#", 1)[1] for one in saver.conversations.verify("thread", "demo").damage]
    assert named == [checkpoint_id(number) for number in (4, 5, 6)]
    saver.prune(["thread"])
    assert saver.conversations.verify("thread", "demo").ok
    assert values_of(make_saver()) == {"items": [0, 1]}
    assert numbers(make_saver()) == [2]


def test_a_turn_goes_on_from_the_newest_whole_checkpoint(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver = make_saver()
    talk(saver, Listed, 1)
    leave_orphans(make_saver, client, table_name, with_row=True)
    talk(make_saver(), Listed, 2)

    assert [one.id for one in values_of(make_saver())["messages"]][-STEPS:] == [f"2-{step}" for step in range(STEPS)]


def test_prune_removes_a_namespace_that_has_orphans_alone(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    leave_orphans(make_saver, client, table_name, with_row=False)
    make_saver().prune(["thread"])

    assert not [item for item in items_of(client, table_name) if "#c#" in item["user_id"]["S"]]


# Who is not taken for deleted


def test_a_row_that_was_lost_is_made_again(make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> None:
    for transcript in (True, False):
        saver = make_saver(transcript=transcript)
        talk(saver, Listed, 1)
        client.delete_item(TableName=table_name, Key={"conversation_id": {"S": "thread"}, "user_id": {"S": "demo"}})
        talk(saver, Listed, 2)
        assert saver.conversations.get("thread", "demo").status == "idle"
        assert len(values_of(saver)["messages"]) == 2 * (STEPS + 1)
        saver.delete_thread("thread")


@pytest.mark.parametrize("transcript", [True, False])
@pytest.mark.parametrize("step", range(STEPS))
def test_what_else_happens_to_a_conversation_ends_no_run(make_saver: MakeSaver, transcript: bool, step: int) -> None:
    running, other = make_saver(transcript=transcript), make_saver(transcript=transcript)
    talk(running, Listed, 0, run_id=RUN)

    def meanwhile() -> None:
        other.conversations.rename("thread", "demo", "another")
        other.delete_for_runs([RUN])
        other.prune(["thread"])
        talk(other, Listed, 5)

    talk(running, Listed, 1, Meanwhile(step, meanwhile))
    assert values_of(make_saver())["messages"][-1].id == f"1-{STEPS - 1}"
    assert make_saver().conversations.verify("thread", "demo").ok


# What it costs


@pytest.mark.parametrize("ttl", [None, timedelta(days=30)], ids=["for ever", "with a ttl"])
@pytest.mark.parametrize("runs", [1, 3])
def test_without_a_transcript_a_run_is_one_conditional_update_and_none_fails(
    make_saver: MakeSaver, client: DynamoDBClient, runs: int, ttl: timedelta | None
) -> None:
    talk(make_saver(transcript=False, ttl=ttl), Listed, 0)
    with RequestLog(client) as log:
        for turn in range(1, runs + 1):
            talk(make_saver(transcript=False, ttl=ttl), Listed, turn)

    of_row = [request for request in log.requests if request.table_key == ("thread", "demo")]
    assert [(one.operation, one.error) for one in of_row] == [("UpdateItem", None)] * runs
    assert max(one.units for one in of_row) <= (1 if ttl is None else 2)
