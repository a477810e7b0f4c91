"""What a run says while it goes on, as events for a page: tokens, tool calls, their results, what it asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from assistant import messages_in
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StreamMode
from plan_runs import closed_after, given_up
from run_bounds import Bounds
from turn_plans import Plan

Event = tuple[str, dict[str, Any]]
"""Its name and its data."""

PING_SECONDS = 15.0
"""How long a run that is followed says nothing at most."""

RUN_SECONDS = 300.0
"""How long a turn may take. The server has no limit of its own, but a model that is asked in a loop costs money."""

STREAM_MODES: list[StreamMode] = ["messages", "updates"]
"""Those of `graph.stream` that events are made of."""

EVENT_DATA: dict[str, dict[str, str]] = {
    "run": {"conversation_id": "string"},
    "token": {"message_id": "string", "text": "string"},
    "tool_call": {"id": "string", "tool": "string", "args": "object"},
    "tool_result": {"id": "string", "result": "string", "status": "string"},
    "interrupt": {"id": "string", "value": "any"},
    "ping": {},
    "end": {"conversation": "object", "repeated": "boolean"},
    "error": {"type": "string", "title": "string", "status": "integer", "detail": "string"},
}
"""What each event of a run says: its fields and their types. A run says `ping` where nothing else came for a while."""

RESULT = {"conversation_id": "string", "answer": "string", "tool_calls": "array", **EVENT_DATA["end"]}
"""The fields of a turn's answer to a client that takes no events."""


def schema_of(fields: Mapping[str, str]) -> dict[str, Any]:
    """A JSON schema of an object with these fields."""
    properties = {name: {} if kind == "any" else {"type": kind} for name, kind in fields.items()}
    return {"type": "object", "required": [*fields], "properties": properties}


def schema_of_events() -> dict[str, Any]:
    """A JSON schema of a run's events, for OpenAPI: which data comes with which event."""
    kinds = [
        {
            "type": "object",
            "required": ["event", "data"],
            "properties": {"event": {"const": name}, "data": schema_of(fields)},
        }
        for name, fields in EVENT_DATA.items()
    ]
    return {"type": "array", "items": {"oneOf": kinds}}


async def played_events(graph: CompiledStateGraph[Any], config: RunnableConfig, plan: Plan) -> AsyncIterator[Event]:
    """The events of a plan's runs as they come, with the answer that one is closed with. Raises as `closed_after`."""
    bounds = Bounds(ends_at=time.monotonic() + RUN_SECONDS)
    for message in await asyncio.to_thread(given_up, graph, config, plan):
        yield _told(message)
    for each in plan.inputs:
        try:
            async for mode, data in graph.astream(each, plan.config_of(each, bounds), stream_mode=STREAM_MODES):
                for event in events_of(mode, data):
                    yield event
        except Exception as error:  # noqa: BLE001 (raised again unless another run follows or a bound was met)
            yield _told(await asyncio.to_thread(closed_after, graph, config, plan, each, error))


def _told(answer: BaseMessage) -> Event:
    return "token", {"message_id": answer.id, "text": answer.text}


def events_of(mode: str, data: Any) -> Iterator[Event]:
    """The events in one piece of such a stream."""
    if mode == "messages":
        if isinstance(data[0], AIMessage) and data[0].text:
            yield _told(data[0])
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


def answer_of(events: list[Event]) -> AIMessage | None:
    """The newest answer, as far as it has come; None if nothing has."""
    said = [data for name, data in events if name == "token"]
    return AIMessage(text_of(events), id=said[-1]["message_id"]) if said else None


def calls_of(events: list[Event]) -> list[dict[str, Any]]:
    """What the agent has called."""
    return [{"tool": data["tool"], "args": data["args"]} for name, data in events if name == "tool_call"]


class Run:
    """A run under way. Its events are kept until it is over, so that a page that comes late gets them all."""

    def __init__(self, conversation_id: str, message_id: str | None) -> None:
        self.message_id = message_id
        self.events: list[Event] = [("run", {"conversation_id": conversation_id})]
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.stream: asyncio.Task[None] | None = None
        self.task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    def say(self, event: Event) -> None:
        """Add an event, and wake whoever follows."""
        self.events.append(event)
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def tell(self, events: AsyncIterator[Event]) -> None:
        """Add all events as they come."""
        async for event in events:
            self.say(event)

    async def follow(self) -> AsyncIterator[Event]:
        """All events up to the last, `end` or `error`; a `ping` where none came for a while."""
        place = 0
        while place == 0 or self.events[place - 1][0] not in ("end", "error"):
            if place < len(self.events):
                yield self.events[place]
                place += 1
                continue
            try:
                await asyncio.wait_for(self._news.wait(), PING_SECONDS)
            except asyncio.TimeoutError:
                yield "ping", {}
