"""What a run says while it goes on, as events for a page: tokens, tool calls, their results, what it asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from assistant import messages_in
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langgraph.types import StreamMode

Event = tuple[str, dict[str, Any]]
"""Its name and its data."""

STREAM_MODES: list[StreamMode] = ["messages", "updates"]
"""Those of `graph.stream` that events are made of."""


def events_of(mode: str, data: Any) -> Iterator[Event]:
    """The events in one piece of such a stream."""
    if mode == "messages":
        if isinstance(data[0], AIMessage) and data[0].text:
            yield "token", {"message_id": data[0].id, "text": data[0].text}
        return
    for message in messages_in(data):
        yield from _calls_in(message)
    yield from (("interrupt", {"id": one.id, "value": one.value}) for one in data.get("__interrupt__", ()))


def _calls_in(message: BaseMessage) -> Iterator[Event]:
    if isinstance(message, AIMessage):
        for call in message.tool_calls:
            yield "tool_call", {"id": call["id"], "tool": call["name"], "args": call["args"]}
    if isinstance(message, ToolMessage):
        yield "tool_result", {"id": message.tool_call_id, "result": message.text, "status": message.status}


def text_of(events: list[Event]) -> str:
    """What of the newest answer has come."""
    said = [data for name, data in events if name == "token"]
    return "".join(data["text"] for data in said if data["message_id"] == said[-1]["message_id"])


def calls_of(events: list[Event]) -> list[dict[str, Any]]:
    """What the agent has called."""
    return [{"tool": data["tool"], "args": data["args"]} for name, data in events if name == "tool_call"]
