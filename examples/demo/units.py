"""The capacity that requests cost on AWS, from the sizes of the items that they write and read.

The rules are those of DynamoDB's developer guide, "DynamoDB read and write operations" and "DynamoDB item sizes and
formats". A write costs a unit for each KB of the item, as it was or as it is, whichever is larger. The index, into
which all attributes go, costs the same again where the item is in it and has changed. A read costs a unit for each 4 KB
that it looks at, or half of one if it need not be consistent. moto, which imitates DynamoDB, reports no such figures.
"""

from __future__ import annotations

import threading
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Json = dict[str, Any]
Ask = Callable[[str, Json], tuple[int, Json]]
"""What answers a request, given the operation and its parameters: the HTTP status, and the answer."""

INDEX_KEY = frozenset({"user_id", "created_at"})
"""An item with both attributes is in the index."""
WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
READS = frozenset({"GetItem", "Query"})
REFUSED = "ConditionalCheckFailedException"


@dataclass(frozen=True)
class Usage:
    """Requests, and the units that they cost."""

    requests: int = 0
    write_units: float = 0.0
    read_units: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.requests + other.requests,
            self.write_units + other.write_units,
            self.read_units + other.read_units,
        )

    def __sub__(self, other: Usage) -> Usage:
        return self + Usage(-other.requests, -other.write_units, -other.read_units)


class Meter:
    """Passes requests on, one at a time, and counts what they cost.

    Args:
        ask: What answers them.
    """

    def __init__(self, ask: Ask) -> None:
        self.total = Usage()
        self._ask = ask
        self._lock = threading.Lock()

    def answer(self, operation: str, request: Json) -> tuple[int, Json]:
        """The answer to a request; one about items that is of no kind known here is refused, not counted wrongly."""
        with self._lock:
            if operation in WRITES:
                return self._written(operation, request)
            if operation in READS:
                return self._read(operation, request)
            if "Item" in operation or operation in ("Scan", "ExecuteStatement"):
                return 400, {"__type": "#ValidationException", "message": f"{operation} is not counted here"}
            return self._ask(operation, request)

    def _written(self, operation: str, request: Json) -> tuple[int, Json]:
        name, sent = request["TableName"], request.get("Item", {})
        key = request.get("Key") or {part: sent[part] for part in ("conversation_id", "user_id")}
        before = self._item(name, key)
        status, answer = self._ask(operation, request)
        if status == 200:
            self._add(write_units=write_units(before, self._item(name, key)))
        elif REFUSED in str(answer.get("__type")):  # it costs the table what it would have cost
            self._add(write_units=_kilobytes(max(item_size(before), item_size(sent))))
        return status, answer

    def _read(self, operation: str, request: Json) -> tuple[int, Json]:
        status, answer = self._ask(operation, request)
        if status == 200:
            whole = _unfiltered(request)
            looked_at = answer if whole == request else self._ask(operation, whole)[1]
            items = looked_at.get("Items") or [looked_at.get("Item", {})]
            size = sum(map(item_size, items))
            self._add(read_units=max(1, -(-size // 4096)) * (1.0 if request.get("ConsistentRead") else 0.5))
        return status, answer

    def _item(self, table: str, key: Json) -> Json:
        found: Json = self._ask("GetItem", {"TableName": table, "Key": key, "ConsistentRead": True})[1].get("Item", {})
        return found

    def _add(self, write_units: float = 0.0, read_units: float = 0.0) -> None:
        self.total += Usage(1, write_units, read_units)


def write_units(before: Json, after: Json) -> float:
    """What it costs to turn an item into another one, in the table and in the index; an empty one is none."""
    larger = _kilobytes(max(item_size(before), item_size(after)))
    was, now = (item if item.keys() >= INDEX_KEY else {} for item in (before, after))
    if was == now:
        return larger
    if was and now and any(was[name] != now[name] for name in INDEX_KEY):  # it is deleted there, and written
        return larger + _kilobytes(item_size(was)) + _kilobytes(item_size(now))
    return larger + _kilobytes(max(item_size(was), item_size(now)))


def item_size(item: Mapping[str, Any]) -> int:
    """Bytes of an item in DynamoDB's JSON."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, held),) = value.items()
    if kind == "S":
        return len(held.encode())
    if kind == "N":
        return _number_size(held)
    if kind == "B":
        return len(b64decode(held))
    if kind == "M":
        return 3 + len(held) + item_size(held)
    if kind == "L":
        return 3 + len(held) + sum(map(_value_size, held))
    if kind in ("SS", "NS", "BS"):
        return sum(_value_size({kind[0]: one}) for one in held)
    return 1  # BOOL and NULL


def _number_size(text: str) -> int:
    """A byte for each pair of digits, counted from the decimal point, one more, and one for a minus."""
    sign, digits, exponent = Decimal(text).normalize().as_tuple()
    if digits == (0,):
        return 1
    return 1 + (len(digits) + int(exponent) % 2 + 1) // 2 + sign


def _kilobytes(size: int) -> float:
    return float(max(1, -(-size // 1024)))


def _unfiltered(request: Json) -> Json:
    """The same read of everything that it looks at."""
    hiding = {"FilterExpression", "ProjectionExpression"}
    if not hiding & request.keys():
        return request
    asked = {name: value for name, value in request.items() if name not in hiding}
    condition = asked.get("KeyConditionExpression", "")
    for member in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        words = condition.replace(",", " ").split()
        kept = {word: value for word, value in asked.pop(member, {}).items() if word in words}
        asked |= {member: kept} if kept else {}
    return asked
