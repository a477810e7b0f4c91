"""One table: its items by key, the same items in its indexes, and what writing them costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tests.memory_engine.capacity import Consumed, index_write_units, table_write_units
from tests.memory_engine.definitions import Definition, IndexDefinition
from tests.memory_engine.items.collection import Collection
from tests.memory_engine.items.item import Item
from tests.memory_engine.items.keys import Position, index_position, position
from tests.memory_engine.items.values import Order
from tests.memory_engine.refusals import Invalid

Key = tuple[Order, ...]


class Meter(Protocol):
    """What is told of each read and each write of items."""

    def read(self, sizes: list[int]) -> None:
        """Items of these sizes were read by one request."""

    def wrote(self, item: Item | None) -> None:
        """An item was written, or (None) deleted."""


class NoMeter:
    """Counts nothing."""

    def read(self, sizes: list[int]) -> None:
        pass

    def wrote(self, item: Item | None) -> None:
        pass


@dataclass(frozen=True)
class Write:
    """A write that can be done: its item was found fit, and its condition holds.

    Args:
        key: Of the item.
        before: The item that is there, or None.
        after: The item that shall be there, or None.
    """

    key: Key
    before: Item | None
    after: Item | None


class Index:
    """A global secondary index, always up to date."""

    def __init__(self, definition: IndexDefinition) -> None:
        self.definition = definition
        self.items = Collection()

    def place(self, item: Item | None, key: Key) -> tuple[Order, Position] | None:
        """Partition and position of an item of the table, or None if it is not in the index."""
        index_key = self.definition.schema.of_index(item.attributes) if item else None
        return None if index_key is None else (index_key[0], index_position(index_key, key))

    def write(self, write: Write) -> float:
        """Follow a write in the table; gives its units."""
        was, place = self.place(write.before, write.key), self.place(write.after, write.key)
        before = self.items.get(*was) if was else None
        after = self.definition.project(write.after) if place and write.after else None
        if was and was != place:
            self.items.remove(*was)
        if place and after:
            self.items.put(*place, after)
        return index_write_units(before, after, moved=was != place)


class Table:
    """A table and its indexes.

    Args:
        definition: What CreateTable said.
        created: When it was created, in seconds since 1970.
        meter: Is told of reads and writes, or None.
    """

    def __init__(self, definition: Definition, created: float, meter: Meter | None = None) -> None:
        self.definition = definition
        self.created = created
        self.ttl_attribute: str | None = None
        self.recovers = False
        self.tags: dict[str, str] = {}
        self.items = Collection()
        self.indexes = {index.name: Index(index) for index in definition.indexes}
        self.meter = meter or NoMeter()

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def arn(self) -> str:
        return f"arn:aws:dynamodb:us-east-1:000000000000:table/{self.name}"

    def get(self, key: Key) -> Item | None:
        """The item of a key, or None."""
        return self.items.get(key[0], position(key))

    def partition(self, key: Order) -> Iterator[Item]:
        """The items of a partition."""
        return iter(self.items.partition(key).items.values())

    def index(self, name: str) -> Index:
        """The index of that name. Raises `Invalid`."""
        if name not in self.indexes:
            raise Invalid(f"The table does not have the specified index: {name}")
        return self.indexes[name]

    def check_indexed(self, item: Item, *, updated: bool = False) -> None:
        """Raises `Unfit` for an item that an index cannot have."""
        for index in self.indexes.values():
            index.definition.schema.check_index(item.attributes, index.definition.name, updated=updated)

    def write(self, write: Write) -> Consumed:
        """Do a write."""
        consumed = Consumed(table_write_units(write.before, write.after))
        if write.after is not None:
            self.items.put(write.key[0], position(write.key), write.after)
        elif write.before is not None:
            self.items.remove(write.key[0], position(write.key))
        for name, index in self.indexes.items():
            units = index.write(write)
            if units:
                consumed.indexes[name] += units
        self.meter.wrote(write.after)
        return consumed
