"""Editing and removing messages for good: what is shown, what the agent has, and which items still have the words."""

from __future__ import annotations

import operator
import random
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

from langgraph_dynamo_conv._format.attributes import size_of
from langgraph_dynamo_conv._rows import erasing
from langgraph_dynamo_conv.errors import (
    ConflictError,
    ConversationNotFoundError,
    MessageNotFoundError,
    RunNotEndedError,
)
from tests.integration.agents import DeltaState, OftenStoredState, tool_agent
from tests.integration.transcripts import TableReader
from tests.requests_log import WRITES, RequestLog
from tests.store.held_words import keys_with
from tests.store.test_pages import USER, answers, ask, paged, said

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.conftest import MakeSaver, Report

SECRET = "Sesame-4711"
HOUR = 3600


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


class ListState(TypedDict):
    """Messages in a plain list, which gives no ids."""

    messages: Annotated[list[Any], operator.add]


def chat_of(saver: DynamoDBConversationSaver, config: Any) -> Any:
    chat = saver.conversations.get(config["configurable"]["thread_id"], USER)
    assert chat.message_count == len(chat.messages)
    return chat


def texts(saver: DynamoDBConversationSaver, config: Any) -> list[str]:
    return [message.content.rstrip(". ") for message in chat_of(saver, config).messages]


def id_of(saver: DynamoDBConversationSaver, config: Any, number: int) -> str:
    return str(chat_of(saver, config).messages[number].id)


def edit(saver: DynamoDBConversationSaver, config: Any, number: int, text: str) -> Any:
    thread_id = config["configurable"]["thread_id"]
    return saver.conversations.edit_message(thread_id, id_of(saver, config, number), text, user_id=USER)


def remove(saver: DynamoDBConversationSaver, config: Any, number: int) -> Any:
    thread_id = config["configurable"]["thread_id"]
    return saver.conversations.remove_message(thread_id, id_of(saver, config, number), user_id=USER)


def is_whole(saver: DynamoDBConversationSaver, config: Any) -> bool:
    verification = saver.conversations.verify(config["configurable"]["thread_id"], USER)
    assert verification.damage == ()
    return verification.ok


@pytest.fixture
def words(client: DynamoDBClient, table_name: str) -> Callable[[], list[str]]:
    """Gives the keys of all items that have the secret."""
    return lambda: keys_with(client, table_name, SECRET)


@pytest.mark.parametrize("place", [0, 3, 8, 15, 18, 19])
def test_an_edited_message_is_gone_for_good_wherever_it_stands(
    make_saver: MakeSaver, place: int, words: Callable[[], list[str]]
) -> None:
    clock = Clock()
    saver = make_saver(row_bytes=700, clock=clock)
    graph, config = answers(saver), saver.new_conversation(USER)
    questions: list[object] = [*range(10)]
    questions[place // 2] = SECRET if place % 2 == 0 else f"{place // 2} {SECRET}"
    ask(graph, config, *questions)
    expected = said(*questions)
    clock.now += HOUR + 1
    done = edit(make_saver(row_bytes=700, clock=clock), config, place, "removed on request")
    expected[place] = "removed on request"
    assert texts(saver, config) == expected == paged(make_saver(), config, 3)
    assert done.message_id == id_of(saver, config, place)
    assert [one.content.rstrip(". ") for one in graph.get_state(config).values["messages"]] == expected
    assert done.held_by
    assert is_whole(saver, config)
    # the other half of the exchange has the word too
    other = place + 1 if place % 2 == 0 else place - 1
    edit(saver, config, other, "this too")
    expected[other] = "this too"
    assert texts(saver, config) == expected
    assert words()
    clock.now += HOUR + 1
    saver.prune([config["configurable"]["thread_id"]])
    assert words() == []
    assert texts(saver, config) == expected
    for worker in (graph, answers(make_saver(row_bytes=700, clock=clock))):
        ask(worker, config, "more")
        expected += said("more")
        assert texts(saver, config) == expected == paged(make_saver(), config, 4)
    assert is_whole(saver, config)
    assert words() == []


@pytest.mark.parametrize("place", [0, 1, 6, 8, 15, 18, 19])
def test_a_removed_message_is_gone_for_good_wherever_it_stands(
    make_saver: MakeSaver, table: TableReader, place: int, words: Callable[[], list[str]]
) -> None:
    clock = Clock()
    saver = make_saver(row_bytes=700, clock=clock)
    graph, config = answers(saver), saver.new_conversation(USER)
    ask(graph, config, *range(10))
    old = graph.get_state(config).values["messages"][place]
    graph.update_state(config, {"messages": [type(old)(f"{SECRET} {place}", id=old.id)]})
    expected = said(*range(10))
    clock.now += HOUR + 1
    remove(make_saver(row_bytes=700, clock=clock), config, place)
    del expected[place]
    assert texts(saver, config) == expected == paged(make_saver(), config, 3)
    assert table.row(config)["message_count"] == 19
    assert [one.content.rstrip(". ") for one in graph.get_state(config).values["messages"]] == expected
    clock.now += HOUR + 1
    saver.prune([config["configurable"]["thread_id"]])
    assert words() == []
    for number in range(3):
        ask(answers(make_saver(row_bytes=700, clock=clock)), config, f"more {number}")
        expected += said(f"more {number}")
        assert texts(saver, config) == expected == paged(make_saver(), config, 4)
        assert is_whole(saver, config)


@pytest.fixture
def table(client: DynamoDBClient, table_name: str) -> TableReader:
    return TableReader(client, table_name)


def test_all_messages_can_be_removed_one_by_one(make_saver: MakeSaver, table: TableReader) -> None:
    saver = make_saver(row_bytes=700)
    graph, config = answers(saver), saver.new_conversation(USER)
    ask(graph, config, *range(6))
    expected = said(*range(6))
    for place in (11, 3, 0, 8, 5, 5, 0, 4, 3, 1, 1, 0):
        remove(saver, config, place)
        del expected[place]
        assert texts(saver, config) == expected == paged(make_saver(), config, 3)
        assert len(table.row(config)["messages"]) > 0 or not expected
    assert graph.get_state(config).values["messages"] == []
    ask(graph, config, "on")
    assert texts(saver, config) == said("on")
    assert chat_of(saver, config).title == "on"


@pytest.mark.parametrize("with_ids", [True, False])
@pytest.mark.parametrize("as_dicts", [True, False])
def test_a_plain_list_loses_one_of_two_equal_messages(make_saver: MakeSaver, with_ids: bool, as_dicts: bool) -> None:
    def message(kind: Any, text: str, number: int) -> Any:
        name = {"id": f"{kind.__name__}{number}"} if with_ids else {}
        role = "user" if kind is HumanMessage else "assistant"
        return {"role": role, "content": text, **name} if as_dicts else kind(text, **name)

    def node(state: ListState) -> dict[str, Any]:
        return {"messages": [message(AIMessage, "fine", len(state["messages"]))]}

    def build(saver: DynamoDBConversationSaver) -> Any:
        return StateGraph(ListState).add_node("a", node).add_edge(START, "a").compile(checkpointer=saver)

    saver = make_saver()
    config = saver.new_conversation(USER)
    expected: list[str] = []

    def say(text: str) -> None:
        build(make_saver()).invoke({"messages": [message(HumanMessage, text, len(expected) + 100)]}, config)
        expected.extend([text, "fine"])
        assert texts(saver, config) == expected

    for text in ("yes", "yes", "no", "yes"):
        say(text)
    remove(saver, config, 0)
    del expected[0]
    say("yes")
    edit(saver, config, 1, "changed")
    expected[1] = "changed"
    say("yes")
    remove(saver, config, 2)
    del expected[2]
    edit(saver, config, 3, "changed, too")
    expected[3] = "changed, too"
    for text in ("no", "yes", "changed"):
        say(text)
    held = build(saver).get_state(config).values["messages"]
    assert [one["content"] if as_dicts else one.content for one in held] == expected
    assert is_whole(saver, config)


@pytest.mark.parametrize("schema", [MessagesState, DeltaState, OftenStoredState])
@pytest.mark.parametrize("durability", ["sync", "exit"])
def test_an_answer_goes_with_its_tool_calls_and_results(
    make_saver: MakeSaver, schema: Any, durability: Any, words: Callable[[], list[str]]
) -> None:
    clock = Clock()
    saver = make_saver(clock=clock)
    config = saver.new_conversation(USER)

    def say(text: str) -> None:
        graph = tool_agent(schema)(make_saver(clock=clock))
        # Older releases of LangGraph give a message that has no id another one in each snapshot of a DeltaChannel.
        name = str(uuid.uuid4()) if schema is OftenStoredState else None
        graph.invoke({"messages": [HumanMessage(text, id=name)]}, config, durability=durability)

    for text in ("hello", f"search {SECRET} / details 3", "bye"):
        say(text)
    clock.now += HOUR + 1
    remove(saver, config, 3)
    assert edit(saver, config, 2, "removed").held_by
    expected = ["hello", "Answer to: hello", "removed", "bye", "Answer to: bye"]
    assert texts(saver, config) == expected
    clock.now += HOUR + 1
    saver.prune([config["configurable"]["thread_id"]])
    assert words() == []
    held = tool_agent(schema)(make_saver()).get_state(config).values["messages"]
    assert [one.content for one in held] == expected
    assert not any(isinstance(one, ToolMessage) for one in held)
    for text in ("more", "and more"):
        say(text)
        expected += [text, f"Answer to: {text}"]
        assert texts(make_saver(), config) == expected
    assert is_whole(saver, config)


def test_what_an_agent_has_forgotten_goes_from_the_transcript_alone(make_saver: MakeSaver) -> None:
    saver = make_saver(row_bytes=700)
    graph, config = answers(saver, keep=3), saver.new_conversation(USER)
    ask(graph, config, *range(8))
    before = graph.get_state(config)
    saver.prune([config["configurable"]["thread_id"]])
    done = remove(saver, config, 2)
    assert (done.checkpoint_id, done.held_by) == (None, ())
    edit(saver, config, 0, "other")
    assert graph.get_state(config).config == before.config
    expected = ["other", *said(*range(8))[1:]]
    del expected[2]
    assert texts(saver, config) == expected
    ask(graph, config, 8)
    assert texts(saver, config) == [*expected, *said(8)]


def test_a_derived_title_follows_and_another_stays(make_saver: MakeSaver) -> None:
    saver = make_saver(row_bytes=700)
    graph, config = answers(saver), saver.new_conversation(USER)
    ask(graph, config, *range(6))
    edit(saver, config, 0, "zero")
    assert chat_of(saver, config).title == "zero"
    remove(saver, config, 0)
    assert chat_of(saver, config).title == "1"
    saver.conversations.rename(config["configurable"]["thread_id"], USER, "mine")
    remove(saver, config, 1)
    assert chat_of(saver, config).title == "mine"


def test_a_large_message_leaves_no_part(make_saver: MakeSaver, words: Callable[[], list[str]]) -> None:
    clock = Clock()
    saver = make_saver(clock=clock)
    graph, config = answers(saver, size=9000), saver.new_conversation(USER)
    ask(graph, config, "0", f"{SECRET} {'x' * 7000}", *range(2, 6))
    clock.now += HOUR + 1
    edit(saver, config, 3, "y" * 7000)
    remove(saver, config, 2)
    clock.now += HOUR + 1
    saver.prune([config["configurable"]["thread_id"]])
    assert words() == []
    assert texts(make_saver(), config) == ["0", "to 0", "y" * 7000, *said(*range(2, 6))]
    assert is_whole(saver, config)


def test_an_edit_that_makes_a_message_large_leaves_the_row_small(make_saver: MakeSaver, table: TableReader) -> None:
    saver = make_saver()
    graph, config = answers(saver), saver.new_conversation(USER)
    ask(graph, config, *range(20))
    edit(saver, config, 39, "long " * 4000)
    assert len(repr(table.row(config)["messages"])) < 17_000
    assert chat_of(saver, config).messages[39].content == "long " * 4000
    assert texts(saver, config)[:39] == said(*range(20))[:39]


@pytest.mark.parametrize("encrypt_transcript", [True, False])
def test_encrypted_transcripts_are_edited_too(make_saver: MakeSaver, encrypt_transcript: bool) -> None:
    serde = EncryptedSerializer.from_pycryptodome_aes(key=b"0123456789abcdef")
    saver = make_saver(row_bytes=700, serde=serde, encrypt_transcript=encrypt_transcript)
    graph, config = answers(saver), saver.new_conversation(USER)
    ask(graph, config, *range(8))
    edit(saver, config, 4, "other")
    remove(saver, config, 7)
    expected = said(*range(8))
    expected[4] = "other"
    del expected[7]
    assert texts(saver, config) == expected
    assert is_whole(saver, config)


def test_messages_of_another_program_and_from_outside(make_saver: MakeSaver, table: TableReader) -> None:
    saver = make_saver()
    thread_id = "7e0f6c55-8fd0-43e5-9c30-6d34ba5b8a01"
    config = {"configurable": {"thread_id": thread_id, "user_id": USER}}
    said_before = [("user", "hi"), ("assistant", "hello"), ("user", "hi"), ("assistant", "again")]
    messages = [{"role": role, "content": text, "timestamp": "2026-01-01T00:00:00Z"} for role, text in said_before]
    row = {"conversation_id": thread_id, "user_id": USER, "title": "hi", "created_at": "2026-01-01T00:00:00Z"}
    table.put({**row, "updated_at": "2026-01-01T00:00:00Z", "messages": messages, "message_count": 4})
    assert edit(saver, config, 3, "again, edited").checkpoint_id is None
    graph = answers(saver, size=1)
    ask(graph, config, "new")
    expected = ["hi", "hello", "hi", "again, edited", *said("new")]
    assert texts(saver, config) == expected
    done = edit(saver, config, 1, "hello, edited")
    assert done.message_id == id_of(saver, config, 1)
    assert done.checkpoint_id == graph.get_state(config).config["configurable"]["checkpoint_id"]
    remove(saver, config, 0)
    saver.conversations.add_message(thread_id, "user", "from outside", user_id=USER)
    edit(saver, config, 5, "from inside")
    expected = ["hello, edited", "hi", "again, edited", *said("new"), "from inside"]
    assert texts(saver, config) == expected
    ask(answers(make_saver(), size=1), config, "more")
    assert texts(saver, config) == [*expected, *said("more")]
    state: list[BaseMessage] = graph.get_state(config).values["messages"]
    assert [str(one.content).rstrip(". ") for one in state] == [*expected, *said("more")]


def test_a_run_that_waits_is_not_changed_and_can_be_resumed_or_ended(make_saver: MakeSaver) -> None:
    saver = make_saver()

    def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(interrupt("sure?"))]}

    graph = StateGraph(MessagesState).add_node("a", node).add_edge(START, "a").compile(checkpointer=saver)
    config = saver.new_conversation(USER)
    ask(graph, config, SECRET)
    for change in (lambda: edit(saver, config, 0, "x"), lambda: remove(saver, config, 0)):
        with pytest.raises(RunNotEndedError, match="resume it, or end it"):
            change()
    assert [one.value for one in graph.get_state(config).interrupts] == ["sure?"]
    assert texts(saver, config) == [SECRET]
    graph.update_state(config, None, as_node="__end__")
    remove(saver, config, 0)
    assert texts(saver, config) == []


def test_another_writer_at_the_same_moment_loses_nothing(make_saver: MakeSaver, monkeypatch: Any) -> None:
    saver, other = make_saver(row_bytes=700), make_saver(row_bytes=700)
    graph, config = answers(saver), saver.new_conversation(USER)
    ask(graph, config, *range(8))
    thread_id = config["configurable"]["thread_id"]
    apply = type(saver._runtime.erasing).apply

    def later(self: Any, *arguments: Any) -> Any:
        monkeypatch.undo()
        other.conversations.remove_message(thread_id, id_of(other, config, 2), user_id=USER)
        other.conversations.add_message(thread_id, "user", "between", user_id=USER)
        return apply(self, *arguments)

    monkeypatch.setattr(type(saver._runtime.erasing), "apply", later)
    edit(saver, config, 5, "edited")
    expected = said(*range(8))
    expected[5] = "edited"
    del expected[2]
    assert texts(saver, config) == [*expected, "between"] == paged(make_saver(), config, 3)


def test_a_crash_between_state_and_transcript_is_mended_by_the_same_call(
    make_saver: MakeSaver, monkeypatch: Any
) -> None:
    saver = make_saver()
    graph, config = answers(saver), saver.new_conversation(USER)
    ask(graph, config, 0, 1)
    thread_id, message_id = config["configurable"]["thread_id"], id_of(saver, config, 2)

    def die(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(type(saver._runtime.erasing), "apply", die)
    with pytest.raises(RuntimeError):
        saver.conversations.remove_message(thread_id, message_id, user_id=USER)
    monkeypatch.undo()
    assert texts(saver, config) == said(0, 1)
    make_saver().conversations.remove_message(thread_id, message_id)
    assert texts(saver, config) == [*said(0), "to 1"]
    ask(graph, config, 2)
    assert texts(saver, config) == [*said(0), "to 1", *said(2)]


def test_a_removal_with_too_much_behind_it_is_refused_before_anything_changes(
    make_saver: MakeSaver, monkeypatch: Any
) -> None:
    saver = make_saver(row_bytes=700)
    graph, config = answers(saver), saver.new_conversation(USER)
    ask(graph, config, *range(10))
    before = graph.get_state(config).values
    monkeypatch.setattr(erasing, "MOST_PAGES", 2)
    with pytest.raises(ConflictError, match="edit it instead"):
        remove(saver, config, 0)
    assert graph.get_state(config).values == before
    assert texts(saver, config) == said(*range(10))
    edit(saver, config, 0, "(removed)")
    assert texts(saver, config) == ["(removed)", *said(*range(10))[1:]]
    remove(saver, config, 15)
    assert is_whole(saver, config)


def test_what_is_not_there_is_named(make_saver: MakeSaver) -> None:
    saver = make_saver()
    graph, config = answers(saver), saver.new_conversation(USER)
    ask(graph, config, 0)
    thread_id, conversations = config["configurable"]["thread_id"], saver.conversations
    message_id = id_of(saver, config, 0)
    for arguments, error in (
        ((thread_id, "nothing"), MessageNotFoundError),
        (("nothing", message_id), ConversationNotFoundError),
        ((thread_id, 7), ValueError),
    ):
        with pytest.raises(error):
            conversations.edit_message(*arguments, "x")
        with pytest.raises(error):
            conversations.remove_message(*arguments)
    with pytest.raises(ConversationNotFoundError):
        conversations.remove_message(thread_id, message_id, user_id="bob")
    with pytest.raises(ValueError, match="content is a string"):
        conversations.edit_message(thread_id, message_id, None)  # type: ignore[arg-type]
    saver.conversations.create("bob", conversation_id=thread_id)
    with pytest.raises(ValueError, match="several users"):
        conversations.remove_message(thread_id, message_id)


async def test_the_async_calls_do_the_same(make_saver: MakeSaver) -> None:
    saver = make_saver(ttl=timedelta(days=30))
    graph, config = answers(saver), saver.new_conversation(USER)
    ask(graph, config, 0, 1)
    thread_id = config["configurable"]["thread_id"]
    await saver.conversations.aedit_message(thread_id, id_of(saver, config, 0), "zero", user_id=USER)
    await saver.conversations.aremove_message(thread_id, id_of(saver, config, 1))
    assert texts(saver, config) == ["zero", *said(1)]


@pytest.mark.engine("dynamodb-local")
@pytest.mark.parametrize(("turns", "most"), [(5, (14, 12, 10)), (100, (40, 200, 90))])
def test_what_an_edit_costs(
    make_saver: MakeSaver,
    client: DynamoDBClient,
    table: TableReader,
    report: Report,
    turns: int,
    most: tuple[int, int, int],
) -> None:
    saver = make_saver()
    graph, config = answers(saver, size=300), saver.new_conversation(USER)
    ask(graph, config, *range(turns))
    thread_id, conversations = config["configurable"]["thread_id"], saver.conversations
    calls = (
        ("edit_message", lambda message_id: conversations.edit_message(thread_id, message_id, "x", user_id=USER)),
        ("remove_message", lambda message_id: conversations.remove_message(thread_id, message_id, user_id=USER)),
    )
    for name, call in calls:
        message_id = id_of(saver, config, 3)
        with RequestLog(client) as log:
            call(message_id)
        operations = [one.operation for one in log.requests]
        writes = sum(one.units for one in log.requests if one.operation in WRITES - {"TransactWriteItems"})
        if "TransactWriteItems" in operations:  # DynamoDB Local counts too little
            written = [one for one in table.items(config) if one.get("version") == table.row(config)["version"]]
            sizes = [-(-size_of(one) // 1024) for one in written]
            writes += 2 * (sum(sizes) + sizes[0])  # the row, which comes first, in the index too
        reads = sum(one.units for one in log.requests if one.operation not in WRITES)
        report(f"{name}, {turns} turns: {len(log.requests)} requests, {writes:.1f} WRU, {reads:.1f} RRU")
        assert all(count <= limit for count, limit in zip((len(log.requests), writes, reads), most, strict=True))


@pytest.mark.parametrize("seed", range(6))
def test_turns_edits_removals_and_updates_in_any_order(make_saver: MakeSaver, seed: int) -> None:
    chance = random.Random(seed)
    workers = [make_saver(row_bytes=chance.choice([512, 700, 1500])) for _ in range(3)]
    config = workers[0].new_conversation(USER)
    expected: list[str] = []
    for step in range(40):
        saver = chance.choice(workers)
        what = chance.choice(["ask", "ask", "edit", "remove", "update"]) if expected else "ask"
        place = chance.randrange(len(expected)) if expected else 0
        if what == "ask":
            ask(answers(saver, size=chance.choice([10, 300])), config, f"q{step}")
            expected += said(f"q{step}")
        elif what == "edit":
            expected[place] = f"e{step} {'z' * chance.choice([1, 900])}"
            edit(saver, config, place, expected[place])
        elif what == "remove":
            remove(saver, config, place)
            del expected[place]
        else:
            graph = answers(saver)
            old = graph.get_state(config).values["messages"][place]
            expected[place] = f"u{step}"
            graph.update_state(config, {"messages": [type(old)(f"u{step}", id=old.id)]})
        assert texts(chance.choice(workers), config) == expected, (step, what, place)
    assert paged(make_saver(), config, 3) == expected
    assert is_whole(make_saver(), config)
