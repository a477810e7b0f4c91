"""The agents that the fault tests run: small, and the same however often a step of them is repeated."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from tests.integration.agents import DeltaState

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from langgraph_dynamo_conv import DynamoDBConversationSaver

Message = tuple[str, Any, str]
"""Type, content and id."""

MESSAGES_OF_A_TURN = 4


def agent(state: Any) -> dict[str, Any]:
    """Call a tool for each of the user's messages, then answer; ids follow from the user's message."""
    last = state["messages"][-1]
    asked = next(message for message in reversed(state["messages"]) if message.type == "human")
    if last.type == "tool":
        return {"messages": [AIMessage(f"Answer to {asked.content}", id=f"answer-{asked.id}")]}
    call = {"name": "look_up", "args": {"what": asked.content}, "id": f"call-{asked.id}"}
    return {"messages": [AIMessage("", tool_calls=[call], id=f"calls-{asked.id}")]}


def tools(state: Any) -> dict[str, Any]:
    last: Any = state["messages"][-1]
    call = last.tool_calls[0]
    result = ToolMessage(f"Found {call['args']['what']}", tool_call_id=call["id"], id=f"result-{call['id']}")
    return {"messages": [result]}


def tools_after_asking(state: Any) -> dict[str, Any]:
    """The tool, once the user has allowed it."""
    assert interrupt("May I?") == "yes"
    return tools(state)


def trim(state: Any) -> dict[str, Any]:
    """Forget all turns but the last."""
    return {"messages": [RemoveMessage(str(message.id)) for message in state["messages"][:-MESSAGES_OF_A_TURN]]}


def repeat(state: Any) -> dict[str, Any]:
    """Give back all that was said."""
    return {"messages": state["messages"]}


def route(state: Any) -> str:
    return "tools" if getattr(state["messages"][-1], "tool_calls", None) else "end"


def builder(schema: Any = MessagesState, tools: Any = tools, end: Any = None) -> StateGraph[Any]:
    """A chat that calls one tool a turn: 4 messages, 5 checkpoints.

    Args:
        schema: The state, which has messages.
        tools: The node that runs the tool.
        end: A node that every turn ends with.
    """
    graph = StateGraph(schema)
    graph.add_node("agent", agent)
    graph.add_node("tools", tools)
    graph.add_edge(START, "agent")
    if end is not None:
        graph.add_node("end", end)
    graph.add_conditional_edges("agent", route, {"tools": "tools", "end": END if end is None else "end"})
    graph.add_edge("tools", "agent")
    return graph


def around(inner: StateGraph[Any]) -> StateGraph[Any]:
    """A graph whose only node is another, which shares its messages."""
    return StateGraph(MessagesState).add_node("inner", inner.compile()).add_edge(START, "inner")


CHATS = {
    "tools": builder(),
    "DeltaChannel": builder(DeltaState),
    "subgraph": around(builder()),
    "trimming": builder(end=trim),
    "interrupt": builder(tools=tools_after_asking),
    "interrupt in a subgraph": around(builder(tools=tools_after_asking)),
    "repeating": builder(end=repeat),
}
"""Graphs whose conversations read alike."""


def take_turn(saver: BaseCheckpointSaver[Any], config: RunnableConfig, number: int, chat: str = "tools") -> None:
    """One whole turn; the same message, if it is repeated."""
    _run(CHATS[chat].compile(checkpointer=saver), user_says(number), config)


def _run(graph: Any, given: Any, config: RunnableConfig) -> None:
    """Go on to the turn's end, and allow what the agent asks for."""
    reached = graph.invoke(given, config, durability="sync")
    while asked := (reached or {}).get("__interrupt__"):
        reached = graph.invoke(_allowed(asked), config, durability="sync")


def _allowed(asked: Any) -> Command[Any]:
    return Command(resume={one.id: "yes" for one in asked})


def user_says(number: int) -> dict[str, Any]:
    return {"messages": [HumanMessage(f"question {number}", id=f"q{number}")]}


def finish_turn(saver: BaseCheckpointSaver[Any], config: RunnableConfig, number: int, chat: str = "tools") -> None:
    """Bring turn `number` to its end, wherever a crash left it: from the start if its message is not there."""
    graph = CHATS[chat].compile(checkpointer=saver)
    state = graph.get_state(config)  # the writes of tasks that have ended included
    begun = f"q{number}" in {message.id for message in state.values.get("messages", ())}
    if not begun and "__start__" not in state.next:
        _run(graph, user_says(number), config)
    elif state.tasks:
        _run(graph, _allowed(state.interrupts) if state.interrupts else None, config)


def spoken(saver: BaseCheckpointSaver[Any], config: RunnableConfig, chat: str = "tools") -> list[Message]:
    """The messages of the newest checkpoint, without what differs from run to run."""
    graph = CHATS[chat].compile(checkpointer=saver)
    newest = graph.get_state(config)
    if "checkpoint_id" not in newest.config["configurable"]:
        return []
    return _plain(graph.get_state(newest.config))  # of one that is named, no pending writes are told


def _plain(state: Any) -> list[Message]:
    return [(message.type, message.content, message.id) for message in state.values.get("messages", [])]


def turns_begun(saver: BaseCheckpointSaver[Any], config: RunnableConfig, chat: str = "tools") -> int:
    """The turn that a conversation is in."""
    return max((int(name[1:]) for kind, _, name in spoken(saver, config, chat) if kind == "human"), default=0)


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


@cache
def steps_of_turn(number: int, chat: str = "tools") -> list[list[Message]]:
    """The messages that each checkpoint of a turn holds, the end of the turn before among them."""
    saver, config = InMemorySaver(), RunnableConfig(configurable={"thread_id": "undisturbed"})
    graph = CHATS[chat].compile(checkpointer=saver)
    before = 1
    for turn in range(1, number + 1):
        before = len(list(graph.get_state_history(config)))
        take_turn(saver, config, turn, chat)
    steps = [_plain(state) for state in reversed(list(graph.get_state_history(config)))]
    return steps[max(before, 1) - 1 :]


def expected_messages(turns: int, chat: str = "tools") -> list[Message]:
    """What the state of an undisturbed conversation holds after so many turns."""
    return steps_of_turn(turns, chat)[-1]
