"""The reference chat in other shapes: more tool calls a turn, other sizes of their results."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from tests.reference_chat import Prose
from tests.requests_log import RequestLog

QUESTION, ANSWER = 60, 350


def shaped_chat(prose: Prose, tool_calls: int, result_characters: int) -> StateGraph[Any]:
    """An agent that calls a tool so many times, one after the other, then answers."""

    def agent(state: MessagesState) -> dict[str, Any]:
        asked = max(n for n, one in enumerate(state["messages"]) if isinstance(one, HumanMessage))
        called = sum(isinstance(one, ToolMessage) for one in state["messages"][asked:])
        if called == tool_calls:
            answer = AIMessage(prose.text(ANSWER), id=f"lc_run--{prose.uuid()}")
            answer.usage_metadata = {"input_tokens": 900, "output_tokens": 80, "total_tokens": 980}
            return {"messages": [answer]}
        call = {
            "name": "search_files",
            "args": {"query": prose.text(40), "limit": 10},
            "id": f"toolu_{prose.uuid()[:24]}",
        }
        return {"messages": [AIMessage("", tool_calls=[call], id=f"lc_run--{prose.uuid()}")]}

    def tools(state: MessagesState) -> dict[str, Any]:
        (call,) = state["messages"][-1].tool_calls
        text = prose.text(result_characters)
        return {"messages": [ToolMessage(text, tool_call_id=call["id"], name=call["name"], id=prose.uuid())]}

    builder = StateGraph(MessagesState)
    builder.add_node("agent", agent)
    builder.add_node("tools", tools)
    builder.add_edge(START, "agent")
    builder.add_conditional_edges("agent", lambda state: "tools" if state["messages"][-1].tool_calls else END)
    builder.add_edge("tools", "agent")
    return builder


def measured(client: Any, graph: StateGraph[Any], prose: Prose, saver: Any, config: Any, turns: int) -> RequestLog:
    """Play so many turns; what was sent."""
    compiled = graph.compile(checkpointer=saver)
    with RequestLog(client) as log:
        for _ in range(turns):
            compiled.invoke(
                {"messages": [HumanMessage(prose.text(QUESTION), id=prose.uuid())]}, config, durability="async"
            )
    return log
