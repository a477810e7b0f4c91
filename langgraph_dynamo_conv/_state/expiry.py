"""How long conversations live: one clock for each, restarted by every turn. Pure but for the clock.

Two times are stored. `until` (attribute `u` of checkpoints, `live_until` of rows) is when the conversation is over if
no turn follows: from then on no read gives it. `expires_at` is when DynamoDB may delete an item; it is later, by a
slack, so that not every turn has to write anew what the conversation still needs:

- A checkpoint that builds on another has its `expires_at`, so a chain goes as a whole, and nothing outlives what it
  needs.
- Whatever checkpoints refer to (segments, blobs, task writes) is written with a later one than they can have.
- When a turn finds less than a whole time to live left, all that the conversation's newest state and transcript need
  gets a new `expires_at` (`_history/renewal.py` does it): once in a slack's time at most.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import timedelta

from langgraph_dynamo_conv._format.items import Times

_DAY = 24 * 3600

_MARGIN_SECONDS = 900
"""What is referred to outlives what refers to it by this: longer than a blob that was written is remembered."""


class Expiry:
    """Times to live.

    Args:
        ttl: How long a conversation lives after its last turn, at least a second; None: for ever.
        clock: Seconds since the epoch.

    Raises:
        ValueError: `ttl` is no timedelta, or shorter than a second.
    """

    def __init__(self, ttl: timedelta | None = None, clock: Callable[[], float] = time.time) -> None:
        given: object = ttl
        if given is not None and not (isinstance(given, timedelta) and given >= timedelta(seconds=1)):
            raise ValueError(f"ttl is a timedelta of at least one second, or None; got {ttl!r}")
        self.clock = clock
        self._seconds = None if ttl is None else ttl.total_seconds()
        self.is_on = ttl is not None
        """Whether conversations that are written now expire."""

    @property
    def slack_seconds(self) -> float:
        """How much later than `until` DynamoDB may delete: a quarter of the time to live, and up to a day all of it."""
        seconds = self._seconds or 0.0
        return max(seconds / 4, min(seconds, _DAY))

    def until(self) -> int | None:
        """When a conversation is over that has a turn now; None: never."""
        return None if self._seconds is None else math.ceil(self.clock() + self._seconds)

    def fresh(self) -> Times:
        """The times of a checkpoint or row that is written now and builds on no other."""
        return Times(self.until(), self.expires_at())

    def expires_at(self) -> int | None:
        """When DynamoDB may delete a checkpoint or row that is written now and builds on no other."""
        return None if self._seconds is None else math.ceil(self.clock() + self._seconds + self.slack_seconds)

    def outliving(self) -> int | None:
        """`expires_at` for an item that a checkpoint refers to: 900 s after the checkpoint's; None without ttl."""
        expires_at = self.expires_at()
        return None if expires_at is None else expires_at + _MARGIN_SECONDS

    def is_past(self, at: int | None) -> bool:
        """Whether a stored time has come."""
        return at is not None and at <= self.clock()

    def is_due(self, expires_at: int | None) -> bool:
        """Whether what a new checkpoint builds on must get another `expires_at` first."""
        until = self.until()
        if until is None:
            return expires_at is not None
        return self.is_late(expires_at) or (expires_at is not None and expires_at < until)

    def is_late(self, expires_at: int | None) -> bool:
        """Whether a time is from before a time to live was set, or from when it was longer."""
        latest = self.outliving()
        return latest is not None and (expires_at is None or expires_at > latest)
