"""Runs of the agent: one at a time in a conversation, whether or not anybody listens, with the events of each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from assistant import end_run
from chat_pages import ChatPages
from failure_facts import facts_of
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from problems import busy, not_found, problem_of
from turn_events import Event, Run, answer_of, played_events
from turn_plans import Plan

logger = logging.getLogger("chat")


class Turns:
    """The runs of this process. Several processes need a lease in the table: see `examples/lambda/turn_lease.py`."""

    def __init__(self, graph: CompiledStateGraph[Any], pages: ChatPages) -> None:
        self._graph, self._pages = graph, pages
        self._runs: dict[tuple[str, str], Run] = {}

    def under_way(self, user_id: str, conversation_id: str) -> Run | None:
        """The run of a conversation, if it has one."""
        return self._runs.get((user_id, conversation_id))

    def start(
        self, user_id: str, conversation_id: str, make_plan: Callable[[], Plan], message_id: str | None = None
    ) -> Run:
        """Make a plan and play it, with no other request in between. `begun` of the run tells whether there was one."""
        place = user_id, conversation_id
        if place in self._runs:
            raise busy(1)
        run = self._runs[place] = Run(conversation_id, message_id)
        run.task = asyncio.create_task(self._play(run, place, make_plan))
        return run

    async def cancel(self, user_id: str, conversation_id: str) -> None:
        """Stop the run of a conversation, if it has one; what was said so far stays."""
        run = self.under_way(user_id, conversation_id)
        if run is not None and run.task is not None:
            await asyncio.wait([run.begun])
            if run.stream is not None:
                run.stream.cancel()
            await asyncio.wait([run.task])

    @asynccontextmanager
    async def kept_out(self, user_id: str, conversation_id: str) -> AsyncIterator[None]:
        """Stop the run of a conversation, and let none begin while the block goes on."""
        await self.cancel(user_id, conversation_id)
        if (user_id, conversation_id) in self._runs:
            raise busy(1)
        run = self._runs[user_id, conversation_id] = Run(conversation_id, None)
        try:
            yield
        finally:
            del self._runs[user_id, conversation_id]
            run.say(("error", not_found().body()))

    async def close(self, user_id: str | None = None) -> None:
        """Stop all runs, or those of a user."""
        await asyncio.gather(*(self.cancel(*place) for place in self._runs if user_id in (None, place[0])))

    async def _play(self, run: Run, place: tuple[str, str], make_plan: Callable[[], Plan]) -> None:
        try:
            plan = await asyncio.to_thread(make_plan)
        except Exception as error:  # noqa: BLE001 - the request that asked for it is told
            last: Event = ("error", problem_of(error).body())
            run.begun.set_exception(error)
        else:
            run.begun.set_result(None)
            last = await self._played(run, place, plan)
        del self._runs[place]
        run.say(last)

    async def _played(self, run: Run, place: tuple[str, str], plan: Plan) -> Event:
        config: RunnableConfig = {"configurable": {"user_id": place[0], "thread_id": place[1]}}
        run.stream = asyncio.create_task(run.tell(played_events(self._graph, config, plan)))
        await asyncio.wait([run.stream])  # only the stream is ever cancelled: what follows is done whoever asks to stop
        try:
            if run.stream.cancelled():
                await asyncio.to_thread(end_run, self._graph, config, answer_of(run.events), plan.said, plan.config)
            else:
                run.stream.result()
            summary = await asyncio.to_thread(self._pages.summary, *place)
        except Exception as error:  # noqa: BLE001 - whoever follows is told, and the log has it
            problem = problem_of(error)
            if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
                logger.error("a run failed: %s", facts_of(error))
            return "error", problem.body()
        return "end", {"conversation": summary, "repeated": plan.is_repeated}
