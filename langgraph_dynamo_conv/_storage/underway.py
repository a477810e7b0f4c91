"""What this process is doing right now, by key: whoever can use the outcome waits for it.

What is being done is with a thread already, and waits at most for what a run does before it, so no ring of waiting
threads can form.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from langgraph_dynamo_conv._storage.forks import renew_in_children

K = TypeVar("K", bound=Hashable)

_MOST_SECONDS = 5.0
"""How long anybody waits: the outcome saves write units, and none is worth a run that stands still."""


class Underway(Generic[K]):
    """Keys of what is being done. Safe to share between threads."""

    def __init__(self) -> None:
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked child: the parent's threads are not there."""
        self._changed = threading.Condition()
        self._keys: list[K] = []

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

    def wait(self, key: K) -> None:
        """Wait until nobody does this, or 5 s."""
        with self._changed:
            self._changed.wait_for(lambda: key not in self._keys, _MOST_SECONDS)
