"""What a conversation or a whole table holds: items by kind, in bytes as DynamoDB counts and bills them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Any

from langgraph_dynamo_conv._format.attributes import from_attribute, size_of
from langgraph_dynamo_conv._format.items import AttributeMap, key_of
from langgraph_dynamo_conv._format.keys import Scope, is_conversation, parse_sk
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.cli.prices import Prices

ITEM_OVERHEAD = 100
"""Bytes that storage bills on top of each item of table and index. Developer Guide, "Best practices"."""

KINDS = {
    "row": "conversation rows",
    "c": "checkpoints",
    "v": "revisions",
    "w": "task writes",
    "s": "segments",
    "m": "older messages",
    "p": "parts of large values",
    "r": "run pointers",
    "other": "other items",
}


@dataclass
class KindStatistics:
    """The items of one kind.

    Args:
        items: How many there are.
        bytes: The bytes of their names and values, as DynamoDB counts them.
        largest: The bytes of the largest.
    """

    items: int = 0
    bytes: int = 0
    largest: int = 0

    def add(self, size: int) -> None:
        """Count one more item."""
        self.items, self.bytes, self.largest = self.items + 1, self.bytes + size, max(self.largest, size)


@dataclass
class Statistics:
    """The items of a conversation or table.

    Args:
        kinds: Those of each kind in `KINDS`.
        conversations: How many conversations there are; an id that several users have counts for each of them.
        users: How many users have a conversation.
    """

    kinds: dict[str, KindStatistics] = field(default_factory=lambda: {kind: KindStatistics() for kind in KINDS})
    conversations: int = 0
    users: int = 0

    def count(self, item: AttributeMap) -> None:
        """Count an item where it belongs."""
        self.kinds[parse_sk(key_of(item).sk).kind].add(item_bytes(item))

    @property
    def items(self) -> int:
        """Items of all kinds."""
        return sum(kind.items for kind in self.kinds.values())

    @property
    def bytes(self) -> int:
        """Bytes of all kinds in the table."""
        return sum(kind.bytes for kind in self.kinds.values())

    @property
    def stored_bytes(self) -> int:
        """Bytes that storage is billed for: the table's, and the rows once more in the index."""
        rows = self.kinds["row"]
        return self.bytes + rows.bytes + ITEM_OVERHEAD * (self.items + rows.items)

    def monthly_cost(self, prices: Prices) -> float:
        """US dollars a month for storage."""
        return prices.of(stored_bytes=self.stored_bytes)


def of_conversation(table: Table, scope: Scope) -> Statistics:
    """The statistics of a user's share of a conversation. Cost: a Query for each MB of it."""
    statistics = Statistics()
    row = table.get(scope.row())
    items = (item for page in table.query(scope.thread_id, scope.prefix()) for item in page)
    for item in chain([row] if row else [], items):
        statistics.count(item)
    statistics.conversations = statistics.users = int(statistics.items > 0)
    return statistics


def of_table(table: Table) -> Statistics:
    """The statistics of the whole table. Cost: a Scan for each MB of it, and memory for the ids of all users."""
    statistics, users = Statistics(), set[str]()
    items = (item for page in table.scan() for item in page)
    # a scan goes through one partition after the other
    for pk, partition in groupby(items, key=lambda item: key_of(item).pk):
        sharing: set[str] = set()
        for item in partition:
            sharing.add(parse_sk(key_of(item).sk).user_id)
            statistics.count(item)
        if is_conversation(pk):
            statistics.conversations += len(sharing)
            users |= sharing
    statistics.users = len(users)
    return statistics


def item_bytes(item: AttributeMap) -> int:
    """The bytes of an item's names and values, as DynamoDB counts them."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(attribute: dict[str, Any]) -> int:
    return len(attribute["B"]) if "B" in attribute else size_of(from_attribute(attribute))
