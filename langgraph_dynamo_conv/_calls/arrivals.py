"""Which checkpoints of running graphs are still to come: what refers to one waits until it is stored.

The rule: LangGraph stores a run's checkpoints one after the other, in the order of their ids, and its tasks do not wait
for them. So what comes in a namespace is greater than the newest that was read or stored there. Once one could not be
stored none comes. Of a namespace that is not known nothing is waited for: what does not refer is stored whole.

Whoever waits has taken the bytes of its values already: the next step may change them. It waits in a thread of
LangGraph's own or on the event loop, never in one of the few threads in which a step may be what it waits for.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from typing import NamedTuple

from langgraph_dynamo_conv._format.keys import Namespace
from langgraph_dynamo_conv._storage.forks import renew_in_children
from langgraph_dynamo_conv._storage.recent import Recent

_MOST_SECONDS = 5.0
"""How long anybody waits: it saves write units, and none is worth a run that stands still."""

_REMEMBERED = 512


class Place(NamedTuple):
    """A checkpoint."""

    namespace: Namespace
    checkpoint_id: str


class Arrivals:
    """How far runs of this process have stored their checkpoints. Safe to share between threads."""

    def __init__(self) -> None:
        self._newest: Recent[Namespace, str] = Recent(_REMEMBERED)
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked child: the parent's threads are not there."""
        self._lock = threading.Lock()
        self._awaited: dict[Place, Future[None]] = {}

    def note(self, namespace: Namespace, checkpoint_id: str) -> None:
        """A running graph has read or stored this checkpoint; "" if it has read that there is none."""
        with self._lock:
            newest = max(self._newest.get(namespace) or "", checkpoint_id)
            self._newest.put(namespace, newest)
            self._release(namespace, newest)

    @contextmanager
    def storing(self, namespace: Namespace) -> Iterator[None]:
        """Let nobody wait for what comes in a namespace if the block fails."""
        try:
            yield
        except BaseException:
            with self._lock:
                self._newest.pop(namespace)
                self._release(namespace)
            raise

    def comes(self, place: Place) -> bool:
        """Whether a checkpoint may be stored yet."""
        newest = self._newest.get(place.namespace)
        return newest is not None and place.checkpoint_id > newest

    def wait(self, place: Place) -> None:
        """Wait until a checkpoint that comes is stored, or 5 s."""
        awaited = self._end_of(place)
        if awaited is not None:
            with suppress(TimeoutError, FutureTimeoutError):
                awaited.result(_MOST_SECONDS)
            self._forget(place, awaited)

    async def await_(self, place: Place) -> None:
        """The same, while the event loop goes on."""
        awaited = self._end_of(place)
        if awaited is not None:
            with suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(awaited)), _MOST_SECONDS)
            self._forget(place, awaited)

    def _end_of(self, place: Place) -> Future[None] | None:
        with self._lock:
            return self._awaited.setdefault(place, Future()) if self.comes(place) else None

    def _release(self, namespace: Namespace, newest: str | None = None) -> None:
        """Let go on who waits for a checkpoint up to the newest; None: for any."""
        for place in [place for place in self._awaited if place.namespace == namespace]:
            if newest is None or place.checkpoint_id <= newest:
                self._awaited.pop(place).set_result(None)

    def _forget(self, place: Place, awaited: Future[None]) -> None:
        """Nobody waits for this any longer; it may never come."""
        with self._lock:
            if self._awaited.get(place) is awaited:
                del self._awaited[place]
