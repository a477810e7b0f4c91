"""LangGraph's clock and checkpoint ids from a seed, so that stored bytes, and with them all counts, repeat exactly.

A checkpoint id is a UUID of its time and random bits, and a checkpoint has a timestamp; compressed, their digits make
some bytes more or less in every run. Here both come from a seeded generator, as varied as the real ones.
"""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone, tzinfo
from unittest.mock import patch

from langgraph.pregel import _checkpoint

from langgraph_dynamo_conv._state import versions

START = datetime(2026, 11, 1, 9, tzinfo=timezone.utc)
_HUNDRED_NANOSECONDS_BEFORE_1970 = 0x01B21DD213814000


class LogicalTime:
    """A clock that moves when a checkpoint id is taken, by 20 to 400 ms.

    Args:
        seed: The same seed gives the same ids and times.
        days: How long after `START` it begins.
    """

    def __init__(self, seed: int = 7, days: int = 0) -> None:
        self._random = random.Random(f"{seed} {days}")
        self.fractions = random.Random(f"{seed} {days}")  # of channel versions, in LangGraph's one order
        self._now = START + timedelta(days=days)
        self._turn_began = self._now
        self._lock = threading.Lock()

    def now(self, tz: tzinfo | None = None) -> datetime:
        """Stands in for `datetime.now`."""
        return self._now.astimezone(tz)

    def next_turn(self) -> None:
        """Let `seconds` follow."""
        self._turn_began = self._now + timedelta(seconds=1)

    def seconds(self) -> float:
        """Stands in for `time.time`: whole seconds, so that a stored one always has as many digits.

        It stands still within a turn: a saver may ask for it in another thread than the one that takes ids.
        """
        return float(int(self._turn_began.timestamp()))

    def uuid6(self, node: int | None = None, clock_seq: int | None = None) -> uuid.UUID:
        """Stands in for LangGraph's `uuid6`: ids that sort by time."""
        with self._lock:
            self._now += timedelta(microseconds=self._random.randrange(20_000, 400_000))
            node = self._random.getrandbits(48) if node is None else node
            clock_seq = self._random.getrandbits(14) if clock_seq is None else clock_seq
            ticks = int(self._now.timestamp() * 1_000_000) * 10 + _HUNDRED_NANOSECONDS_BEFORE_1970
        high = (ticks >> 12) << 80 | 0x6 << 76 | (ticks & 0xFFF) << 64
        return uuid.UUID(int=high | 0x8 << 60 | (clock_seq & 0x3FFF) << 48 | node)


@contextmanager
def logical_time(time: LogicalTime) -> Iterator[LogicalTime]:
    """Let LangGraph take ids and timestamps from this clock, and the saver the fractions of channel versions."""
    with (
        patch.object(_checkpoint, "uuid6", time.uuid6),
        patch.object(_checkpoint, "datetime", time),
        patch.object(versions, "random", time.fractions),
    ):
        yield time
