"""What a run of the agent may not pass: steps, time, the size of what the model is sent, and a person's wish to stop.

LangGraph's own limit is some ten thousand steps, and a model's client waits a minute for each answer. So every run gets
bounds with its config, and the agent looks at them before each call of the model. A run that meets one is over: it is
closed with an answer that says so (`plan_runs`), and is not left to go on later.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage, trim_messages
from langchain_core.runnables import RunnableConfig

R = TypeVar("R")

RECURSION_LIMIT = 25
"""Steps of a run: a call of the model is one, and so is running the tools that it called."""
MOST_MODEL_BYTES = 200_000
"""What the model is sent of the conversation, some 50,000 tokens; older turns are left out."""
LEAST_MODEL_SECONDS = 1.0
"""With less time left, the model is not asked."""

OUT_OF_STEPS = "I stopped here: I took as many steps as I may without coming to an answer. Ask for less at once."
OUT_OF_TIME = "I stopped here: the time for an answer was over. Ask for less at once."
TOO_MUCH_TO_READ = "I stopped here: what I found is more than I can read at once. Ask for less at once."
STOPPED = "Stopped."
"""What stands for an answer, or for a tool's result, that was not waited for."""

_NO_ANSWER = "the model has not answered in the time that is left"
_KEY = "__bounds"  # LangGraph stores no key that begins like this in a checkpoint's metadata


class BoundError(Exception):
    """A run has met one of its bounds.

    Args:
        answer: What is said instead of an answer.
    """

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.answer = answer


def never() -> bool:
    """Nobody wants the run to stop."""
    return False


@dataclass(frozen=True)
class Bounds:
    """The bounds of a run.

    Args:
        steps: How many steps it may take.
        ends_at: When it must be over, by the clock.
        is_stopped: Whether a person wants it to stop; asked after each step with tools.
        clock: Gives the time in seconds.
    """

    steps: int = RECURSION_LIMIT
    ends_at: float = math.inf
    is_stopped: Callable[[], bool] = never
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, config: RunnableConfig) -> Bounds:
        """Those that a run was given; the common ones if it was given none."""
        found = config.get("configurable", {}).get(_KEY)
        return found if isinstance(found, Bounds) else cls()

    def given_to(self, config: RunnableConfig) -> RunnableConfig:
        """The config of a run with these bounds."""
        return {**config, "recursion_limit": self.steps, "configurable": {**config["configurable"], _KEY: self}}

    def halved(self) -> Bounds:
        """Bounds with half of the time that is left, for a run that another follows."""
        return replace(self, ends_at=self.clock() + self.seconds_left() / 2)

    def seconds_left(self) -> float:
        """How long the run may still take."""
        return self.ends_at - self.clock()

    def check(self, messages: Sequence[BaseMessage]) -> None:
        """Look before a call of the model whether the run may go on.

        Raises:
            BoundError: It may not.
        """
        if self.seconds_left() < LEAST_MODEL_SECONDS:
            raise BoundError(OUT_OF_TIME)
        if messages and isinstance(messages[-1], ToolMessage) and self.is_stopped():
            raise BoundError(STOPPED)

    def waited(self, call: Callable[[], R]) -> R:
        """What a call gives, which is waited for as long as there is time.

        A client's own time-out is set when it is made, and does not know how much time is left of a request. What is
        no longer waited for ends by that time-out; its answer is thrown away.

        Raises:
            TimeoutError: There was no answer in time.
        """
        if self.ends_at == math.inf:
            return call()
        pool = ThreadPoolExecutor(1, "model")
        try:
            answer = pool.submit(partial(copy_context().run, call))
            return answer.result(max(0.0, self.seconds_left()))
        except FutureTimeoutError as error:  # another class before Python 3.11
            raise TimeoutError(_NO_ANSWER) from error
        finally:
            pool.shutdown(wait=False)

    async def awaited(self, call: Awaitable[R]) -> R:
        """Async `waited`; a call that is no longer waited for is cancelled."""
        try:
            return await asyncio.wait_for(call, None if self.ends_at == math.inf else max(0.0, self.seconds_left()))
        except asyncio.TimeoutError as error:
            raise TimeoutError(_NO_ANSWER) from error


def readable(messages: Sequence[BaseMessage], most_bytes: int = MOST_MODEL_BYTES) -> list[BaseMessage]:
    """The newest messages that the model is sent; the state keeps all of them.

    It begins with what a person says, so no result is without its call. Of a turn that is too large by itself, the
    question and the newest calls with their results are sent.

    Raises:
        BoundError: The question and the newest step are too large together.
    """
    if _size(messages) <= most_bytes:
        return list(messages)
    newest = trim_messages(messages, max_tokens=most_bytes, token_counter=_size, strategy="last", start_on="human")
    if newest:
        return newest
    place = max((at for at, one in enumerate(messages) if isinstance(one, HumanMessage)), default=-1)
    asked, steps = list(messages[max(place, 0) : place + 1]), messages[place + 1 :]
    left = most_bytes - _size(asked)
    newest = trim_messages(steps, max_tokens=left, token_counter=_size, strategy="last", start_on="ai")
    if not newest or left < 0:
        raise BoundError(TOO_MUCH_TO_READ)
    return [*asked, *newest]


def _size(messages: Sequence[BaseMessage]) -> int:
    return sum(map(_size_of_one, messages))


def _size_of_one(message: BaseMessage) -> int:
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    parts = message.content, [[call["name"], call["args"]] for call in calls]
    return len(json.dumps(parts, ensure_ascii=False, default=str).encode(errors="surrogatepass"))
