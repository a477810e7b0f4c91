"""Items by key: partitions, each in the order of its positions."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.memory_engine.items.item import Item
from tests.memory_engine.items.keys import Position, digest
from tests.memory_engine.items.values import Order


@dataclass(frozen=True)
class Span:
    """The positions from `start` to before `stop`; None is no bound.

    Args:
        start: The first position, or what sorts before it.
        stop: What sorts after the last position.
        lowest: The lowest sort key, if the span begins with just that.
        highest: The highest sort key, if the span ends with just that.
    """

    start: Position | None = None
    stop: Position | None = None
    lowest: Order | None = None
    highest: Order | None = None

    def has(self, position: Position) -> bool:
        return (self.start is None or position >= self.start) and (self.stop is None or position < self.stop)


EVERYTHING = Span()


@dataclass
class Partition:
    """The items of one partition key."""

    positions: list[Position] = field(default_factory=list)
    items: dict[Position, Item] = field(default_factory=dict)

    def put(self, position: Position, item: Item) -> None:
        if position not in self.items:
            insort(self.positions, position)
        self.items[position] = item

    def remove(self, position: Position) -> None:
        if self.items.pop(position, None) is not None:
            del self.positions[bisect_left(self.positions, position)]

    def between(self, span: Span, after: Position | None = None, *, backward: bool = False) -> Iterator[Item]:
        """The items of a span that come after a position, in the order asked for."""
        low = bisect_left(self.positions, span.start) if span.start is not None else 0
        high = bisect_left(self.positions, span.stop) if span.stop is not None else len(self.positions)
        if after is not None and backward:
            high = min(high, bisect_left(self.positions, after))
        elif after is not None:
            low = max(low, bisect_right(self.positions, after))
        numbers = range(high - 1, low - 1, -1) if backward else range(low, high)
        return (self.items[self.positions[number]] for number in numbers)


class Collection:
    """All items of a table, or of an index. A scan gives partitions in the order of a digest of their key."""

    def __init__(self) -> None:
        self._partitions: dict[Order, Partition] = {}
        self._scanned: list[tuple[str, Order]] = []

    def get(self, key: Order, position: Position) -> Item | None:
        return self.partition(key).items.get(position)

    def put(self, key: Order, position: Position, item: Item) -> None:
        if key not in self._partitions:
            self._partitions[key] = Partition()
            insort(self._scanned, (digest((key,)), key))
        self._partitions[key].put(position, item)

    def remove(self, key: Order, position: Position) -> None:
        partition = self.partition(key)
        partition.remove(position)
        if not partition.items and key in self._partitions:
            self.forget(key)

    def forget(self, key: Order) -> None:
        """Drop a partition."""
        if self._partitions.pop(key, None) is not None:
            del self._scanned[bisect_left(self._scanned, (digest((key,)), key))]

    def partition(self, key: Order) -> Partition:
        """The items of a partition; an empty one if there are none."""
        return self._partitions.get(key) or Partition()

    def scan(self, after: tuple[Order, Position] | None = None) -> Iterator[Item]:
        """All items, or those after a position."""
        first = 0
        if after is not None:
            place = (digest((after[0],)), after[0])
            first = bisect_right(self._scanned, place)
            yield from self.partition(after[0]).between(EVERYTHING, after[1])
        for _, key in self._scanned[first:]:
            yield from self.partition(key).between(EVERYTHING)

    def __iter__(self) -> Iterator[Item]:
        return self.scan()

    def copied(self) -> Collection:
        """The same items in a collection of its own."""
        copied = Collection()
        copied._scanned = list(self._scanned)
        copied._partitions = {
            key: Partition(list(one.positions), dict(one.items)) for key, one in self._partitions.items()
        }
        return copied
