"""A bounded memory: what was used last stays, what was not used for the longest time goes first.

What a process remembers only saves requests: whoever asks must get along without it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from langgraph_dynamo_conv._storage.forks import renew_in_children

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

ENTRY_BYTES = 160
"""What an entry takes in memory besides its key and its value."""


class Recent(Generic[K, V]):
    """Values by key, of a limited weight together. Safe to share between threads.

    Args:
        max_weight: What all values together may weigh. A value that weighs more is not kept.
        weigh: The weight of a value, which must not change; 1 unless given, so that `max_weight` counts values.
    """

    def __init__(self, max_weight: int, weigh: Callable[[V], int] = lambda _: 1) -> None:
        self._max_weight = max_weight
        self._weigh = weigh
        self._weight = 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked child: with a lock that is free, since the thread that may have held it is not there."""
        self._lock = threading.Lock()

    @property
    def weight(self) -> int:
        """What all values weigh."""
        return self._weight

    def __contains__(self, key: K) -> bool:
        """Whether there is a value. Asking is not use."""
        with self._lock:
            return key in self._entries

    def get(self, key: K) -> V | None:
        """The value, or None."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: K, value: V) -> None:
        """Keep a value, in place of an older one of that key."""
        weight = self._weigh(value)
        with self._lock:
            self._remove(key)
            if weight <= self._max_weight:
                self._entries[key] = value, weight
                self._weight += weight
            while self._weight > self._max_weight:
                self._remove(next(iter(self._entries)))

    def pop(self, key: K) -> V | None:
        """Forget a value and give it, or None: of several threads one gets it."""
        with self._lock:
            return self._remove(key)

    def drop(self, where: Callable[[K], bool]) -> None:
        """Forget all values whose keys meet a condition."""
        with self._lock:
            for key in list(filter(where, self._entries)):
                self._remove(key)

    def _remove(self, key: K) -> V | None:
        value, weight = self._entries.pop(key, (None, 0))
        self._weight -= weight
        return value
