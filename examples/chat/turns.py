"""Runs of the agent: one at a time in a conversation, whether or not anybody listens, with the events of each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from assistant import end_run
from chat_pages import ChatPages
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from problems import busy, problem_of
from turn_events import STREAM_MODES, Event, events_of, text_of
from turn_plans import Plan

PING_SECONDS = 15.0
logger = logging.getLogger("chat")


class Run:
    """A run under way. Its events are kept until it is over, so that a page that comes late gets them all."""

    def __init__(self, conversation_id: str, message_id: str | None) -> None:
        self.message_id = message_id
        self.events: list[Event] = [("run", {"conversation_id": conversation_id})]
        self.task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    def say(self, event: Event) -> None:
        """Add an event, and wake whoever follows."""
        self.events.append(event)
        news, self._news = self._news, asyncio.Event()
        news.set()

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


class Turns:
    """The runs of this process. Several processes need a lease in the table: see `examples/lambda/turn_lease.py`."""

    def __init__(self, graph: CompiledStateGraph[Any], pages: ChatPages) -> None:
        self._graph, self._pages = graph, pages
        self._runs: dict[tuple[str, str], Run] = {}

    def under_way(self, user_id: str, conversation_id: str) -> Run | None:
        """The run of a conversation, if it has one."""
        return self._runs.get((user_id, conversation_id))

    def start(self, user_id: str, conversation_id: str, plan: Plan, message_id: str | None = None) -> Run:
        """Begin the runs of a plan, one after the other."""
        if (user_id, conversation_id) in self._runs:
            raise busy(1)
        run = self._runs[user_id, conversation_id] = Run(conversation_id, message_id)
        run.task = asyncio.create_task(self._play(run, user_id, conversation_id, plan))
        return run

    async def cancel(self, user_id: str, conversation_id: str) -> None:
        """Stop the run of a conversation, if it has one; what was said so far stays."""
        run = self.under_way(user_id, conversation_id)
        if run is not None and run.task is not None:
            run.task.cancel()
            await asyncio.wait([run.task])

    async def close(self) -> None:
        """Stop all runs."""
        await asyncio.gather(*(self.cancel(*place) for place in self._runs))

    async def _play(self, run: Run, user_id: str, conversation_id: str, plan: Plan) -> None:
        config: RunnableConfig = {"configurable": {"user_id": user_id, "thread_id": conversation_id}}
        try:
            try:
                for each in plan.inputs:
                    async for mode, data in self._graph.astream(each, plan.config, stream_mode=STREAM_MODES):
                        for event in events_of(mode, data):
                            run.say(event)
            except asyncio.CancelledError:
                await asyncio.to_thread(end_run, self._graph, config, text_of(run.events))
            summary = await asyncio.to_thread(self._pages.summary, user_id, conversation_id)
            last: Event = ("end", {"conversation": summary, "repeated": plan.is_repeated})
        except Exception as error:  # whoever follows is told, and the log has it
            problem = problem_of(error)
            if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
                logger.error("a run failed", exc_info=error)
            last = ("error", problem.body())
        del self._runs[user_id, conversation_id]
        run.say(last)
