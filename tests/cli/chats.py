"""Conversations that graphs leave in the table, for the commands to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.graph import END, START, MessagesState, StateGraph

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langgraph_dynamo_conv import DynamoDBConversationSaver

HOSTILE = "<script>alert(1)</script> [bold]x[/bold] \x1b]0;owned\x07\x1b[2J \x9b31m \u202etxt.exe \x00 & \"q\" 'q' ]]>"
"""Text that a page must not run, a terminal must not obey, and rich must not read as markup."""


@dataclass
class Place:
    """A type of the agent's own, which the command line does not know."""

    name: str
    rooms: int


class State(MessagesState):
    place: Place


def agent(state: State) -> dict[str, Any]:
    last = state["messages"][-1]
    if last.type == "tool":
        return {"messages": [AIMessage(f"Found: {last.text}")], "place": Place("Alfama", 2)}
    call = {"name": "search", "args": {"query": last.text, "limit": 3}, "id": f"call-{len(state['messages'])}"}
    return {"messages": [AIMessage("", tool_calls=[call])]}


def tools(state: State) -> dict[str, Any]:
    last: Any = state["messages"][-1]
    query = last.tool_calls[0]["args"]["query"]
    if query == "fail":
        result = ToolMessage("no such district", tool_call_id=last.tool_calls[0]["id"], status="error")
    else:
        result = ToolMessage(f"3 flats for {query}", tool_call_id=last.tool_calls[0]["id"])
    return {"messages": [result]}


def graph_of(saver: DynamoDBConversationSaver) -> Any:
    """An agent that calls one tool a turn."""
    builder = StateGraph(State)
    builder.add_node("agent", agent)
    builder.add_node("tools", tools)
    builder.add_edge(START, "agent")
    builder.add_conditional_edges("agent", lambda state: "tools" if state["messages"][-1].tool_calls else END)
    builder.add_edge("tools", "agent")
    return builder.compile(checkpointer=saver)


def chat(saver: DynamoDBConversationSaver, user: str, *texts: str) -> RunnableConfig:
    """A conversation in which the user said these; gives its config."""
    config = saver.new_conversation(user)
    for text in texts:
        say(saver, config, text)
    return config


def say(saver: DynamoDBConversationSaver, config: RunnableConfig, text: str) -> None:
    """One turn."""
    graph_of(saver).invoke({"messages": [HumanMessage(text)]}, config, durability="sync")


def id_of(config: RunnableConfig) -> str:
    """The conversation's id."""
    return str(config["configurable"]["thread_id"])
