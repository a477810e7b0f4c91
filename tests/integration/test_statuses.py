"""What a row says of a run that did not come to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.errors import GraphRecursionError
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._format.attributes import size_of
from tests.conftest import MakeSaver
from tests.integration.transcripts import TableReader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DURABILITIES = ("sync", "async", "exit")


@pytest.mark.parametrize("durability", DURABILITIES)
@pytest.mark.parametrize("turns_before", [0, 2])
@pytest.mark.parametrize("limit", [2, 5])
def test_a_run_that_reached_its_recursion_limit_is_failed_with_all_messages_of_the_state(
    make_saver: MakeSaver, durability: Any, turns_before: int, limit: int
) -> None:
    saver, goes_on = make_saver(), [False]
    builder = StateGraph(MessagesState)
    builder.add_node("a", lambda state: {"messages": [AIMessage(f"step {len(state['messages'])}")]})
    builder.add_edge(START, "a")
    builder.add_conditional_edges("a", lambda _: "a" if goes_on[0] else "__end__")
    graph, config = builder.compile(checkpointer=saver), saver.new_conversation("alice")
    for number in range(turns_before):
        graph.invoke({"messages": [HumanMessage(f"turn {number}")]}, config, durability=durability)
    goes_on[0] = True
    with pytest.raises(GraphRecursionError):
        graph.invoke({"messages": [HumanMessage("go")]}, {**config, "recursion_limit": limit}, durability=durability)

    chat = saver.conversations.get(config["configurable"]["thread_id"], "alice")
    state = graph.get_state(config).values["messages"]
    assert chat.status == "failed"
    assert [message.content for message in chat.messages] == [message.content for message in state]
    goes_on[0] = False
    graph.invoke({"messages": [HumanMessage("again")]}, config, durability=durability)
    assert saver.conversations.get(config["configurable"]["thread_id"], "alice").status == "idle"


@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_stop_that_nothing_explains_is_not_waiting(make_saver: MakeSaver, durability: Any) -> None:
    saver = make_saver()
    builder = StateGraph(MessagesState)
    builder.add_node("a", lambda _: {"messages": [AIMessage("one")]})
    builder.add_node("b", lambda _: {"messages": [AIMessage("two")]})
    builder.add_edge(START, "a").add_edge("a", "b")
    graph, config = builder.compile(checkpointer=saver, interrupt_before=["b"]), saver.new_conversation("alice")
    graph.invoke({"messages": [HumanMessage("go")]}, config, durability=durability)
    assert saver.conversations.get(config["configurable"]["thread_id"], "alice").status == "running"
    graph.invoke(None, config, durability=durability)
    chat = saver.conversations.get(config["configurable"]["thread_id"], "alice")
    assert (chat.status, [message.content for message in chat.messages]) == ("idle", ["go", "one", "two"])


def asking(saver: DynamoDBConversationSaver, *questions: Any) -> Any:
    """A graph with a node for each question, all in one step."""
    builder = StateGraph(MessagesState)
    for number, question in enumerate(questions):
        builder.add_node(str(number), lambda _, asks=question: {"messages": [AIMessage(f"told {interrupt(asks)}")]})
        builder.add_edge(START, str(number))
    return builder.compile(checkpointer=saver)


def chat_of(saver: DynamoDBConversationSaver, config: Any) -> Any:
    return saver.conversations.get(config["configurable"]["thread_id"], "alice")


@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_row_says_what_it_waits_for_until_that_is_answered(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str, durability: Any
) -> None:
    saver = make_saver()
    config = saver.new_conversation("alice")
    graph = asking(saver, "Which city?", {"choose": ["a", 1.5]})
    graph.invoke({"messages": [HumanMessage("go")]}, config, durability=durability)

    pending = {one.id: one.value for one in graph.get_state(config).interrupts}
    chat = chat_of(saver, config)
    assert chat.status == "waiting"
    assert {one["id"]: one["value"] for one in chat.waiting_for} == pending
    row = TableReader(client, table_name).row(config)
    assert {one["id"] for one in row["waiting_for"]} == set(pending)
    assert row.get("status_at", row["updated_at"]) == chat.status_at
    (listed,) = saver.conversations.list("alice", status="waiting")
    assert listed.waiting_for == chat.waiting_for

    graph.invoke(Command(resume=dict.fromkeys(pending, "x")), config, durability=durability)
    after = chat_of(make_saver(), config)
    assert (after.status, after.waiting_for) == ("idle", ())
    assert after.status_at > chat.status_at
    assert "waiting_for" not in TableReader(client, table_name).row(config)


def test_what_is_asked_is_shortened_to_a_kilobyte(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver = make_saver()
    config = saver.new_conversation("alice")
    asking(saver, "a" * 5000, {"b": ["c" * 90] * 90}).invoke({"messages": [HumanMessage("go")]}, config)
    waiting_for = TableReader(client, table_name).row(config)["waiting_for"]
    first, second = sorted(waiting_for, key=lambda one: isinstance(one["value"], dict))
    assert first["value"].startswith("aaaa")
    assert second["value"]["b"][0].startswith("c")
    assert size_of([first, second]) <= 1024
