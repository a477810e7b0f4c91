"""What a row says of a run that did not come to its end."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.errors import GraphRecursionError
from langgraph.graph import START, MessagesState, StateGraph

from tests.conftest import MakeSaver

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
