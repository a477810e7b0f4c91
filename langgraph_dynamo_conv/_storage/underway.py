"""What this process is doing right now, or is about to, by key: whoever can use the outcome waits for it.

What is being done is always with a thread already, and waits at most for what a run does before it, so no ring of
waiting threads can form.
What is about to be done may wait for a thread, so nobody waits for that in a thread of a small pool.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Hashable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

from langgraph_dynamo_conv._storage.forks import renew_in_children
from langgraph_dynamo_conv._storage.recent import Recent

K = TypeVar("K", bound=Hashable)

_MOST_SECONDS = 5.0
"""How long anybody waits: the outcome saves write units, and none is worth a run that stands still."""

_REMEMBERED = 256


class Underway(Generic[K]):
    """Keys of what is being done. Safe to share between threads."""

    def __init__(self) -> None:
        self._done: Recent[int, bool] = Recent(_REMEMBERED)
        """Of keys their hashes, which take less memory: of two keys with one hash neither is waited for."""
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked child: the parent's threads are not there."""
        self._changed = threading.Condition()
        self._keys: list[K] = []
        self._awaited: dict[K, Future[None]] = {}

    @contextmanager
    def doing(self, key: K) -> Iterator[None]:
        """Let others wait until the block has ended, however it ends."""
        with self._changed:
            self._keys.append(key)
        try:
            yield
        finally:
            with self._changed:
                self._keys.remove(key)
                self._changed.notify_all()
            self.note_done(key)

    def note_done(self, key: K) -> None:
        """Let nobody wait for this: it has been done."""
        with self._changed:
            self._done.put(hash(key), True)
            awaited = self._awaited.pop(key, None)
        if awaited is not None:
            awaited.set_result(None)

    def wait(self, key: K) -> None:
        """Wait until nobody does this, or 5 s."""
        with self._changed:
            self._changed.wait_for(lambda: key not in self._keys, _MOST_SECONDS)

    def until_done(self, key: K) -> None:
        """Wait until this, which may not have begun, has been done, or 5 s."""
        awaited = self._end_of(key)
        if awaited is not None:
            with suppress(TimeoutError, FutureTimeoutError):
                awaited.result(_MOST_SECONDS)
            self._forget(key, awaited)

    async def auntil_done(self, key: K) -> None:
        """The same, while the event loop goes on."""
        awaited = self._end_of(key)
        if awaited is not None:
            with suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(awaited)), _MOST_SECONDS)
            self._forget(key, awaited)

    def _end_of(self, key: K) -> Future[None] | None:
        """Is done when this has been done; None if it has."""
        with self._changed:
            return None if hash(key) in self._done else self._awaited.setdefault(key, Future())

    def _forget(self, key: K, awaited: Future[None]) -> None:
        """Nobody waits for this any longer; it may never be done."""
        with self._changed:
            if self._awaited.get(key) is awaited:
                del self._awaited[key]
