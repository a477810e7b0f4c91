"""What a run's first read brings with the state, the row and what lies near; it gives what every other read gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.conftest import MakeSaver
from tests.factories import config, items_of, noise, put, read, sort_keys
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DURABILITIES = ("sync", "async", "exit")


def of_run(at: RunnableConfig, durability: str) -> RunnableConfig:
    """The config with which LangGraph reads a run's first checkpoint."""
    more = {"__pregel_runtime": object(), "__pregel_durability": durability}
    return {"configurable": {**at["configurable"], **more}}


def echo(checkpointer: Any) -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("echo", lambda state: {"messages": [("ai", f"heard {state['messages'][-1].content}")]})
    return builder.add_edge(START, "echo").compile(checkpointer=checkpointer)


def said(state: Any) -> list[str]:
    return [str(message.content) for message in state["messages"]]


def many_writes(saver: DynamoDBConversationSaver) -> None:
    put(saver, 1, {"a": 1})
    for number in range(40):
        saver.put_writes(config(number=1), [("a", number), ("b", noise(500, number))], f"task {number:02}")


def segments(saver: DynamoDBConversationSaver) -> None:
    items: list[bytes] = []
    for number in range(1, 90):
        items.append(noise(2_000, number))
        put(saver, number, {"items": items}, parent=number - 1 or None)


def segments_below_many_writes(saver: DynamoDBConversationSaver) -> None:
    segments(saver)
    for number in range(15):
        saver.put_writes(config(number=89), [("a", number)], f"task {number:02}")


def subgraphs(saver: DynamoDBConversationSaver) -> None:
    for ns in ("", "a sub", "z sub"):
        items: list[bytes] = []
        for number in range(1, 60):
            items.append(noise(2_000, number + len(ns)))
            put(saver, number, {"items": items}, at=config(ns=ns), parent=number - 1 or None)
        for number in (58, 59):
            saver.put_writes(config(number=number, ns=ns), [("a", ns)], "task")


def large_values(saver: DynamoDBConversationSaver) -> None:
    put(saver, 1, {"a": noise(900_000), "messages": [HumanMessage("hi", id="1")]})


STATES: tuple[Callable[[DynamoDBConversationSaver], None], ...] = (
    many_writes,
    segments,
    segments_below_many_writes,
    subgraphs,
    large_values,
)


@pytest.mark.parametrize("durability", DURABILITIES)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_a_run_begins_with_the_state_that_everybody_reads(make_saver: MakeSaver, state: Any, durability: str) -> None:
    state(make_saver())
    assert read(make_saver(), of_run(config(), durability)) == read(make_saver())


@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_run_begins_with_as_few_reads_as_there_are_kinds(
    make_saver: MakeSaver, client: DynamoDBClient, durability: str
) -> None:
    segments(make_saver())
    with RequestLog(client) as log:
        read(make_saver(), of_run(config(), durability))
    assert len(log) == (2 if durability == "exit" else 3)


def test_a_runs_read_of_a_state_does_not_read_the_parts_of_large_values_that_it_does_not_hold(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver = make_saver()
    put(saver, 1, {"a": noise(900_000)})
    put(saver, 2, {"a": "small"}, parent=1)
    assert len(sort_keys(items_of(client, table_name), "p")) == 3
    with RequestLog(client) as log:
        read(make_saver(), of_run(config(), "exit"))
    assert log.response_bytes < 10_000


@pytest.mark.parametrize("durability", DURABILITIES)
def test_the_row_comes_with_a_runs_first_read(make_saver: MakeSaver, client: DynamoDBClient, durability: Any) -> None:
    at = make_saver().new_conversation("alice")
    for text in ("one", "two"):
        with RequestLog(client) as log:
            state = echo(make_saver()).invoke({"messages": [("user", text)]}, at, durability=durability)
        assert "GetItem" not in log.operations
    assert said(state) == ["one", "heard one", "two", "heard two"]
    thread_id = at["configurable"]["thread_id"]
    shown = make_saver().conversations.get(thread_id, "alice")
    assert [message.content for message in shown.messages] == said(state)


@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_conversation_made_here_and_begun_elsewhere_goes_on(make_saver: MakeSaver, durability: Any) -> None:
    here = make_saver()
    at = here.new_conversation("alice")
    echo(make_saver()).invoke({"messages": [("user", "one")]}, at)
    state = echo(here).invoke({"messages": [("user", "two")]}, at, durability=durability)
    assert said(state) == ["one", "heard one", "two", "heard two"]


@pytest.mark.parametrize("is_made_here", [True, False])
@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_run_adopts_a_row_that_another_program_has_written(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str, durability: Any, is_made_here: bool
) -> None:
    saver = make_saver()
    at = (saver if is_made_here else make_saver()).new_conversation("alice")
    message = {"role": {"S": "user"}, "content": {"S": "zero"}, "timestamp": {"S": "2026-01-01T00:00:00Z"}}
    row: Any = {
        "conversation_id": {"S": at["configurable"]["thread_id"]},
        "user_id": {"S": "alice"},
        "title": {"S": "of another program"},
        "messages": {"L": [{"M": message}]},
        **{name: {"S": "2026-01-01T00:00:00Z"} for name in ("created_at", "updated_at")},
        "message_count": {"N": "1"},
    }
    client.put_item(TableName=table_name, Item=row)
    state = echo(saver).invoke({"messages": [("user", "one")]}, at, durability=durability)
    assert said(state) == ["zero", "one", "heard one"]


@pytest.mark.parametrize("durability", DURABILITIES)
@pytest.mark.parametrize("neighbour", ["alice!", 'alice"', "alice ", "alice$", "alic"])
def test_a_user_whose_keys_lie_between_changes_nothing(make_saver: MakeSaver, durability: Any, neighbour: str) -> None:
    def at(user: str) -> RunnableConfig:
        return config("shared", user_id=user)

    for turn in range(2):
        for user in (neighbour, "alice"):
            text = f"{turn} of {user}"
            state = echo(make_saver()).invoke({"messages": [("user", text)]}, at(user), durability=durability)
            assert said(state)[-2:] == [text, f"heard {text}"]
            assert len(said(state)) == 2 * turn + 2
    chats = make_saver().conversations
    for user in (neighbour, "alice"):
        assert chats.get("shared", user).message_count == 4
        assert all(user in message.content for message in chats.get("shared", user).messages)


def test_a_question_is_answered_in_another_process_where_states_are_stored_at_exit(make_saver: MakeSaver) -> None:
    def compiled() -> Any:
        builder = StateGraph(MessagesState)
        builder.add_node("ask", lambda _: {"messages": [("ai", interrupt("name?"))]})
        return builder.add_edge(START, "ask").compile(checkpointer=make_saver())

    at = make_saver().new_conversation("alice")
    for name in ("Ann", "Bob"):
        assert compiled().invoke({"messages": [("user", "hi")]}, at, durability="exit")["__interrupt__"]
        state = compiled().invoke(Command(resume=name), at, durability="exit")
    assert said(state) == ["hi", "Ann", "hi", "Bob"]


def test_a_row_that_was_written_since_it_was_read_is_read_again(make_saver: MakeSaver) -> None:
    at = make_saver().new_conversation("alice")
    thread_id = at["configurable"]["thread_id"]
    echo(make_saver()).invoke({"messages": [("user", "one")]}, at)

    def rename(state: MessagesState) -> dict[str, Any]:
        make_saver().conversations.rename(thread_id, "alice", "meanwhile")
        return {"messages": [("ai", f"heard {state['messages'][-1].content}")]}

    builder = StateGraph(MessagesState).add_node("echo", rename).add_edge(START, "echo")
    builder.compile(checkpointer=make_saver()).invoke({"messages": [("user", "two")]}, at, durability="exit")
    shown = make_saver().conversations.get(thread_id, "alice")
    assert shown.title == "meanwhile"
    assert [message.content for message in shown.messages] == ["one", "heard one", "two", "heard two"]
