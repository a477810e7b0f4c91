"""What this process is doing right now, by key: whoever can use the outcome, or would be in its way, waits for it.

What is being done is with a thread already, and waits at most for what a run does before it; and nobody waits for long.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Generic, TypeVar

from langgraph_dynamo_conv._storage.forks import renew_in_children

K = TypeVar("K", bound=Hashable)

_MOST_SECONDS = 5.0
"""How long anybody waits: the outcome saves write units, and none is worth a run that stands still."""

_MOST_SECONDS_FOR_A_TURN = 1.0
"""How long to be alone: that saves one write, and who waits holds one of the few threads that others need too."""


class Underway(Generic[K]):
    """Keys of what is being done. Safe to share between threads."""

    def __init__(self) -> None:
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked child: the parent's threads are not there."""
        self._changed = threading.Condition()
        self._done_by: list[tuple[K, int]] = []

    @contextmanager
    def doing(self, key: K) -> Iterator[None]:
        """Let others wait until the block has ended, however it ends."""
        with self._changed:
            self._done_by.append(mine := (key, threading.get_ident()))
        try:
            yield
        finally:
            with self._changed, suppress(ValueError):  # in a child that was forked in the block it is not noted
                self._done_by.remove(mine)
                self._changed.notify_all()

    @contextmanager
    def alone(self, key: K) -> Iterator[None]:
        """The same once no other thread does this, or after 1 s."""
        with ExitStack() as block:
            with self._changed:  # held until it is noted, so that of two that wait one begins
                self.wait(key, _MOST_SECONDS_FOR_A_TURN)
                block.enter_context(self.doing(key))
            yield

    def wait(self, key: K, seconds: float = _MOST_SECONDS) -> None:
        """Wait until no other thread does this, or so long."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: all(one != key or who == me for one, who in self._done_by), seconds)
