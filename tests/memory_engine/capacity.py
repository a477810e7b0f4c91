"""The capacity that a request consumed, as AWS bills it, and how an answer reports it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.memory_engine.items.item import Item
from tests.memory_engine.items.sizes import write_units
from tests.memory_engine.refusals import Invalid

_MODES = ("NONE", "TOTAL", "INDEXES")


@dataclass
class Consumed:
    """Units of one table and of its indexes."""

    table: float = 0.0
    indexes: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def total(self) -> float:
        return self.table + sum(self.indexes.values())

    def report(self, table_name: str, mode: str) -> dict[str, Any]:
        """The members of an answer for a request's `ReturnConsumedCapacity`."""
        if mode == "NONE":
            return {}
        report: dict[str, Any] = {"TableName": table_name, "CapacityUnits": self.total}
        if mode == "INDEXES":
            report["Table"] = {"CapacityUnits": self.table}
        if mode == "INDEXES" and self.indexes:
            report["GlobalSecondaryIndexes"] = {n: {"CapacityUnits": units} for n, units in self.indexes.items()}
        return {"ConsumedCapacity": report}


def mode_of(request: Mapping[str, Any]) -> str:
    """A request's `ReturnConsumedCapacity`. Raises `Invalid`."""
    mode = str(request.get("ReturnConsumedCapacity", "NONE"))
    if mode not in _MODES:
        raise Invalid(f"ReturnConsumedCapacity is one of {', '.join(_MODES)}; got {mode}")
    return mode


def table_write_units(before: Item | None, after: Item | None) -> float:
    """What writing an item in the table costs: by the larger of what was and what is there, one at least."""
    return write_units(max(one.size if one else 0 for one in (before, after)))


def index_write_units(before: Item | None, after: Item | None, *, moved: bool) -> float:
    """What the change of an item in an index costs.

    Args:
        before: The item as the index had it, or None.
        after: The item as the index has it now, or None.
        moved: Whether its key in the index is another one: it is deleted and written.
    """
    if before is None or after is None:
        return 0.0 if before is after else table_write_units(before, after)
    if moved:
        return write_units(before.size) + write_units(after.size)
    return 0.0 if before == after else table_write_units(before, after)
