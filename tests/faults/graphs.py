"""The agent that the fault tests run: small, and the same however often a step of it is repeated."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph

from langgraph_dynamo_conv import DynamoDBConversationSaver


def agent(state: MessagesState) -> dict[str, Any]:
    """Call a tool for each of the user's messages, then answer; ids follow from the user's message."""
    last = state["messages"][-1]
    asked = next(message for message in reversed(state["messages"]) if message.type == "human")
    if last.type == "tool":
        return {"messages": [AIMessage(f"Answer to {asked.content}", id=f"answer-{asked.id}")]}
    call = {"name": "look_up", "args": {"what": asked.content}, "id": f"call-{asked.id}"}
    return {"messages": [AIMessage("", tool_calls=[call], id=f"calls-{asked.id}")]}


def tools(state: MessagesState) -> dict[str, Any]:
    last: Any = state["messages"][-1]
    call = last.tool_calls[0]
    result = ToolMessage(f"Found {call['args']['what']}", tool_call_id=call["id"], id=f"result-{call['id']}")
    return {"messages": [result]}


def route(state: MessagesState) -> str:
    return "tools" if getattr(state["messages"][-1], "tool_calls", None) else END


def builder() -> StateGraph[Any]:
    """A chat that calls one tool a turn: 4 messages, 5 checkpoints."""
    graph = StateGraph(MessagesState)
    graph.add_node("agent", agent)
    graph.add_node("tools", tools)
    graph.add_edge(START, "agent")
    graph.add_conditional_edges("agent", route, ["tools", END])
    graph.add_edge("tools", "agent")
    return graph


BUILDER = builder()


def take_turn(saver: DynamoDBConversationSaver, config: RunnableConfig, number: int) -> None:
    """One whole turn; the same message, if it is repeated."""
    graph = BUILDER.compile(checkpointer=saver)
    graph.invoke(user_says(number), config, durability="sync")


def user_says(number: int) -> dict[str, Any]:
    return {"messages": [HumanMessage(f"question {number}", id=f"q{number}")]}


def finish_turn(saver: DynamoDBConversationSaver, config: RunnableConfig, number: int) -> None:
    """Bring turn `number` to its end, wherever a crash left it: from the start if its message is not there."""
    graph = BUILDER.compile(checkpointer=saver)
    state = graph.get_state(config)  # the writes of tasks that have ended included
    begun = f"q{number}" in {message.id for message in state.values.get("messages", ())}
    if not begun and "__start__" not in state.next:
        graph.invoke(user_says(number), config, durability="sync")
    elif f"answer-q{number}" not in [message_id for _, _, message_id in spoken(saver, config)]:
        graph.invoke(None, config, durability="sync")


def spoken(saver: DynamoDBConversationSaver, config: RunnableConfig) -> list[tuple[Any, ...]]:
    """The state's messages, without what differs from run to run."""
    found = saver.get_tuple(config)
    messages = found.checkpoint["channel_values"].get("messages", []) if found else []
    return [(message.type, message.content, message.id) for message in messages]


def transcript(saver: DynamoDBConversationSaver, config: RunnableConfig) -> list[tuple[Any, ...]]:
    """The conversation's messages, without their times."""
    ids = config["configurable"]
    chat = saver.conversations.get(ids["thread_id"], ids["user_id"])
    assert chat.message_count == len(chat.messages)
    return [
        (message.role, message.content, [(call.tool, call.result) for call in message.tool_calls])
        for message in chat.messages
    ]


def expected_transcript(turns: int) -> list[tuple[Any, ...]]:
    """What an undisturbed conversation of so many turns shows."""
    shown: list[tuple[Any, ...]] = []
    for number in range(1, turns + 1):
        shown.append(("user", f"question {number}", []))
        shown.append(("assistant", f"Answer to question {number}", [("look_up", f"Found question {number}")]))
    return shown


def expected_messages(turns: int) -> list[tuple[Any, ...]]:
    """What an undisturbed conversation's state holds."""
    held: list[tuple[Any, ...]] = []
    for number in range(1, turns + 1):
        held += [
            ("human", f"question {number}", f"q{number}"),
            ("ai", "", f"calls-q{number}"),
            ("tool", f"Found question {number}", f"result-call-q{number}"),
            ("ai", f"Answer to question {number}", f"answer-q{number}"),
        ]
    return held
