"""What AWS bills for what DynamoDB Local reports as free: reads of nothing, and writes that a condition refused.

A read of nothing costs as much as a read of up to 4 KB: one unit, or half of one if it need not be consistent. So AWS's
developer guide has it in "DynamoDB read and write operations"; an empty Query is named there too. A write that a
condition refuses costs the table what it would have cost had it been done: one unit for each KB of the larger of what
is there and what was to be written ("Conditional writes" in "Working with items"). What a cancelled transaction costs,
the guide does not say: it counts as nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.memory_engine.capacity import table_write_units
from tests.memory_engine.expressions.binding import Expressions
from tests.memory_engine.items.item import Item
from tests.memory_engine.items.sizes import read_units
from tests.memory_engine.refusals import Unfit

READS = frozenset({"GetItem", "Query", "Scan"})
REFUSED = "ConditionalCheckFailedException"


def least_read_units(params: Mapping[str, Any]) -> float:
    """What a read costs that finds nothing."""
    return read_units(0, bool(params.get("ConsistentRead")))


def refused_write_units(operation: str, params: Mapping[str, Any], found: Mapping[str, Any] | None) -> float:
    """What a single write costs that a condition has refused.

    Args:
        operation: "PutItem", "UpdateItem" or "DeleteItem".
        params: Its parameters.
        found: The item that is there, or None.
    """
    before = Item.of(found) if found else None
    return table_write_units(before, _written(operation, params, before))


def _written(operation: str, params: Mapping[str, Any], before: Item | None) -> Item | None:
    """What would have been written; None where nothing would, or the item has not what the update takes for granted."""
    if operation == "PutItem":
        return Item.of(params["Item"])
    if operation == "DeleteItem":
        return None
    keys = frozenset(params["Key"])
    item = before or Item.of(params["Key"])
    expressions = Expressions(params, keys)
    try:
        return item.replaced(expressions.update.changes(expressions.binding, item.attributes, keys, keys))
    except Unfit:
        return None
