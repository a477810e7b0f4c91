"""Keys of tables and indexes: what an item or a request has for one, and the order of items by it.

A position is a tuple that sorts as DynamoDB does: in a table by the sort key; in an index by the index's sort key, and
where that is the same by a digest of the table's key, since DynamoDB promises no order there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.memory_engine.items.values import Attributes, Order, Value, canonical_attributes, kind_of, order_of
from tests.memory_engine.refusals import Invalid, Unfit

Position = tuple[Any, ...]

LONGEST_HASH = 2048
LONGEST_RANGE = 1024
AFTER_ALL = "~"
"""As the second part of a position: after all that begin with the same first part. Digests are hexadecimal."""

_NO_RANGE = ""
_INVALID = "One or more parameter values were invalid: {}"
_UPDATED = "The update expression attempted to update the secondary index key {}"
_EMPTY_INDEX_KEY = "A value specified for a secondary index key is not supported. "
_EMPTY = (
    "One or more parameter values are not valid. {}The AttributeValue for a key attribute cannot contain an empty "
    "string value. {}"
)


@dataclass(frozen=True)
class KeySchema:
    """The names and types of a key: of its partition key and, if there is one, of its sort key."""

    names: tuple[str, ...]
    types: tuple[str, ...]

    @property
    def hash_name(self) -> str:
        return self.names[0]

    @property
    def range_name(self) -> str | None:
        return self.names[1] if len(self.names) > 1 else None

    def in_item(self, item: Attributes) -> tuple[Order, ...]:
        """The key of an item that shall be stored. Raises `Invalid`."""
        for name in self.names:
            if name not in item:
                raise Invalid(_INVALID.format(f"Missing the key {name} in the item"))
        return self._checked(item)

    def in_request(self, key: Mapping[str, Any]) -> tuple[Attributes, tuple[Order, ...]]:
        """The key that a request names, in the one form and to sort by. Raises `Invalid`."""
        form = canonical_attributes(key)
        if form.keys() != set(self.names):
            raise Invalid("The provided key element does not match the schema")
        return form, self._checked(form)

    def of_condition(self, number: int, value: Value) -> Order:
        """A value that a key condition compares the key's part of that number with. Raises `Invalid`."""
        name, wanted = self.names[number], self.types[number]
        if kind_of(value) != wanted:
            raise Invalid(_INVALID.format("Condition parameter type does not match schema type"))
        if value[wanted] in ("", b""):
            raise Invalid(_EMPTY.format("", f"Key: {name}"))
        if number > 0 and _bytes(value) > LONGEST_RANGE:
            raise _too_long(False)
        return order_of(value)

    def of_index(self, item: Attributes) -> tuple[Order, ...] | None:
        """The key of a stored item in an index, or None if it is not in it."""
        return tuple(order_of(item[name]) for name in self.names) if item.keys() >= set(self.names) else None

    def check_index(self, item: Attributes, index: str, *, updated: bool) -> None:
        """Raises `Unfit` if an item cannot be stored since it has a value that the index cannot have as a key.

        Args:
            item: The item.
            index: The index's name.
            updated: Whether an UpdateItem makes it so; the words are others.
        """
        for name, wanted in zip(self.names, self.types, strict=True):
            if name not in item:
                continue
            kind = kind_of(item[name])
            if kind != wanted:
                said = f"Type mismatch for Index Key {name} Expected: {wanted} Actual: {kind} IndexName: {index}"
                raise Unfit(_UPDATED.format("to unsupported type") if updated else _INVALID.format(said))
            if item[name][wanted] in ("", b""):
                raise Unfit(_EMPTY.format(_EMPTY_INDEX_KEY, f"IndexName: {index}, IndexKey: {name}"))
            if _bytes(item[name]) > self._longest(name):
                said = f"Size of the index key {name} has exceeded its limit. IndexName: {index}"
                raise Unfit(_UPDATED.format("beyond allowed size limits") if updated else _INVALID.format(said))

    def _checked(self, item: Attributes) -> tuple[Order, ...]:
        for name, wanted in zip(self.names, self.types, strict=True):
            value = item[name]
            if kind_of(value) != wanted:
                said = f"Type mismatch for key {name} expected: {wanted} actual: {kind_of(value)}"
                raise Invalid(_INVALID.format(said))
            if value[wanted] in ("", b""):
                raise Invalid(_EMPTY.format("", f"Key: {name}"))
            if _bytes(value) > self._longest(name):
                raise _too_long(name == self.hash_name)
        return tuple(order_of(item[name]) for name in self.names)

    def _longest(self, name: str) -> int:
        return LONGEST_HASH if name == self.hash_name else LONGEST_RANGE


def position(key: tuple[Order, ...]) -> Position:
    """Where an item stands in its partition of the table."""
    return key[1:] or (_NO_RANGE,)


def index_position(key: tuple[Order, ...], table_key: tuple[Order, ...]) -> Position:
    """Where an item stands in its partition of an index."""
    return *position(key), digest(table_key), table_key


def digest(key: tuple[Order, ...]) -> str:
    """What partitions are sorted by in a scan, and items of an index whose keys are the same."""
    return hashlib.md5(repr(key).encode(), usedforsecurity=False).hexdigest()


def _bytes(value: Value) -> int:
    ((kind, held),) = value.items()
    return len(held.encode()) if kind == "S" else len(held) if kind == "B" else 0


def _too_long(is_hash: bool) -> Invalid:
    if is_hash:
        said = f"Size of hashkey has exceeded the maximum size limit of{LONGEST_HASH} bytes"
    else:
        said = f"Aggregated size of all range keys has exceeded the size limit of {LONGEST_RANGE} bytes"
    return Invalid(_INVALID.format(said))
