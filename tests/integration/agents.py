"""Agents that do as they are told, on any state that has messages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from langchain_core.messages import AnyMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.pregel import Pregel
from typing_extensions import TypedDict

from tests.integration.models import TOOLS, ScriptedModel, chat_model
from tests.integration.play import Build


def add_all(state: list[AnyMessage] | None, writes: Sequence[Any]) -> list[AnyMessage]:
    """`add_messages` for a `DeltaChannel`, which gives several writes at once."""
    for write in writes:
        state = add_messages(state or [], write)
    return state or []


class DeltaState(TypedDict):
    """Messages that a checkpoint does not hold."""

    messages: Annotated[list[AnyMessage], DeltaChannel(add_all)]


class OftenStoredState(TypedDict):
    """Messages that every third checkpoint or so holds."""

    messages: Annotated[list[AnyMessage], DeltaChannel(add_all, snapshot_frequency=3)]


class ChatState(TypedDict):
    """Messages under another name."""

    chat: Annotated[list[AnyMessage], add_messages]


def say_error(error: Exception) -> str:
    """What a model reads of a failed tool."""
    return f"Error: {error}"


def tool_agent(
    schema: Any = MessagesState,
    *,
    channel: str = "messages",
    model: ScriptedModel | None = None,
    tools: Sequence[Any] = TOOLS,
) -> Build:
    """A builder of an agent with tools."""
    model = model or chat_model()

    def build(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
        builder = StateGraph(schema)
        builder.add_node("agent", lambda state: {channel: [model.invoke(state[channel])]})
        builder.add_node("tools", ToolNode(tools, messages_key=channel, handle_tool_errors=say_error))
        builder.add_edge(START, "agent")
        builder.add_conditional_edges("agent", partial(tools_condition, messages_key=channel), ["tools", "__end__"])
        builder.add_edge("tools", "agent")
        return builder.compile(checkpointer=checkpointer)

    return build
