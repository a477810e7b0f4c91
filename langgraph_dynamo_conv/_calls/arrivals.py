"""Which checkpoints of running graphs are about to be stored: what refers to one waits until it is.

The rule: LangGraph stores a run's checkpoints one after the other, in the order of their ids, and its tasks do not wait
for them. So a checkpoint comes if it, or one before it in its namespace, is the newest that is being stored, or was a
moment ago. Nothing else is waited for: what a run stores at its end, or what LangGraph stores after the very write that
would wait, as that of a `DeltaChannel`. Where a checkpoint or a write could not be stored none comes. What does not
refer is stored whole.

Whoever waits has taken the bytes of its values already: the next step may change them. It waits in a thread of
LangGraph's own or on the event loop, never in one of the few threads in which a step may be what it waits for.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from langgraph_dynamo_conv._format.keys import Namespace
from langgraph_dynamo_conv._storage.forks import renew_in_children

_MOST_SECONDS = 5.0
"""How long anybody waits: it saves write units, and none is worth a run that stands still."""

_BETWEEN_SECONDS = 0.25
"""What LangGraph may take from the end of one `put` to the next, and how often who waits looks whether that is over."""


class Place(NamedTuple):
    """A checkpoint."""

    namespace: Namespace
    checkpoint_id: str


@dataclass
class _Put:
    """A checkpoint that is being stored, with all that its `put` does after that."""

    place: Place
    is_stored: bool = False
    ended: float = inf

    @property
    def is_over(self) -> bool:
        """Whether the next one would have begun."""
        return time.monotonic() > self.ended + _BETWEEN_SECONDS


class Arrivals:
    """What runs of this process are storing. Safe to share between threads."""

    def __init__(self) -> None:
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked child: the parent's threads are not there."""
        self._lock = threading.Lock()
        self._puts: list[_Put] = []
        self._waiting: dict[Future[None], Place] = {}

    @contextmanager
    def storing(self, place: Place) -> Iterator[None]:
        """While the block stores a checkpoint, let others wait for it and for what follows."""
        put = _Put(place)
        with self._lock:
            self._puts = [one for one in self._puts if not one.is_over] + [put]
        with self.surviving(place.namespace):
            yield
        put.ended = time.monotonic()

    @contextmanager
    def surviving(self, namespace: Namespace) -> Iterator[None]:
        """Let nobody wait for what comes in a namespace if the block fails."""
        try:
            yield
        except BaseException:
            with self._lock:
                self._puts = [one for one in self._puts if one.place.namespace != namespace]
            self._release(lambda place: place.namespace == namespace)
            raise

    def note_stored(self, stored: Place) -> None:
        """A checkpoint is stored."""
        with self._lock:
            for put in self._puts:
                put.is_stored |= put.place == stored
        self._release(lambda place: place.namespace == stored.namespace and place.checkpoint_id <= stored.checkpoint_id)

    def comes(self, place: Place) -> bool:
        """Whether a checkpoint is about to be stored."""
        with self._lock:
            puts = [put for put in self._puts if put.place.namespace == place.namespace and not put.is_over]
        newest = max((put.place.checkpoint_id, put.is_stored) for put in puts) if puts else None
        return newest is not None and newest <= (place.checkpoint_id, False)

    def wait(self, place: Place) -> None:
        """Wait until a checkpoint that comes is stored, or 5 s."""
        with self._arrival_of(place) as arrival:
            for seconds in self._looks(place):
                with suppress(TimeoutError, FutureTimeoutError):
                    arrival.result(seconds)
                    return

    async def await_(self, place: Place) -> None:
        """The same, while the event loop goes on."""
        with self._arrival_of(place) as arrival:
            for seconds in self._looks(place):
                with suppress(TimeoutError, asyncio.TimeoutError):
                    await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(arrival)), seconds)
                    return

    @contextmanager
    def _arrival_of(self, place: Place) -> Iterator[Future[None]]:
        """Is done when this checkpoint is stored, or will not be."""
        arrival: Future[None] = Future()
        with self._lock:
            self._waiting[arrival] = place
        try:
            yield arrival
        finally:
            with self._lock:
                self._waiting.pop(arrival, None)

    def _looks(self, place: Place) -> Iterator[float]:
        """How many seconds to wait each time while the checkpoint comes."""
        ends = time.monotonic() + _MOST_SECONDS
        while self.comes(place) and (left := ends - time.monotonic()) > 0:
            yield min(_BETWEEN_SECONDS, left)

    def _release(self, is_over: Callable[[Place], bool]) -> None:
        """Let those go on whose wait is over."""
        with self._lock:
            over = [arrival for arrival, place in self._waiting.items() if is_over(place)]
            for arrival in over:
                del self._waiting[arrival]
        for arrival in over:
            arrival.set_result(None)
