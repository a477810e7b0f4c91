"""The order of checkpoints, where hosts' clocks differ. Pure.

LangGraph makes a checkpoint's id of the clock of the host that runs the step, and takes the greatest id of a namespace
for the newest checkpoint. A host whose clock is behind so gives a child an id that is smaller than its parent's. What
holds all the same, and what nothing else may be built on:

- The newest checkpoint of a namespace is the one with the greatest id, as for LangGraph.
- What comes before what is told by the parents alone, never by comparing ids.
- A change is stored only where its parent's id is smaller, so a chain is read in one direction.
- Stored parents may form a ring only in damaged data. Whoever goes back over parents notes its way in a `Trail`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from uuid import UUID

from langgraph_dynamo_conv._format.keys import Key
from langgraph_dynamo_conv.errors import CorruptDataError

CLOCKS_DIFFER_SECONDS = 3600
"""So much may the clocks of hosts differ without harm to what `prune` and `ttl` keep."""

_UUID_EPOCH = 12_219_292_800
"""Seconds from the Gregorian calendar's first day to 1970, from which UUIDs count."""

_TIME_ORDERED = 6


class Trail:
    """The checkpoints that a way back over parents has passed."""

    def __init__(self) -> None:
        self._passed: set[Key] = set()

    def add(self, key: Key) -> None:
        """Pass a checkpoint. Raises `CorruptDataError` where the way has passed it before."""
        if key in self._passed:
            raise CorruptDataError(
                f"checkpoint {key} is stored as an ancestor of itself, so what came before it can't be told. "
                "Restore the table to a time before that, or delete the conversation",
                key=str(key),
            )
        self._passed.add(key)


def made_at(checkpoint_id: str) -> float:
    """When a checkpoint was made, as LangGraph's ids (UUID version 6) tell; infinity for other ids."""
    try:
        number = UUID(checkpoint_id)
    except ValueError:
        return math.inf
    ticks = (number.int >> 80) << 12 | (number.int >> 64) & 0xFFF
    return ticks / 1e7 - _UUID_EPOCH if number.version == _TIME_ORDERED else math.inf


def seconds_behind(checkpoint_id: str, parent_id: str) -> float | None:
    """How far at least a clock was behind that gave a child its id; None where the ids do not tell."""
    seconds = made_at(parent_id) - made_at(checkpoint_id)
    return seconds if math.isfinite(seconds) else None


def after(lineage: Sequence[str], checkpoint_id: str | None) -> Sequence[str]:
    """What follows a checkpoint in a lineage, oldest first; all of it if that does not reach back so far."""
    return lineage[lineage.index(checkpoint_id) + 1 :] if checkpoint_id in lineage else lineage
