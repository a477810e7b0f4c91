"""What a conversation or a table holds: items by kind, bytes as DynamoDB counts them, and what keeping them costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Any

from langgraph_dynamo_conv._format.attributes import from_attribute, size_of
from langgraph_dynamo_conv._format.items import AttributeMap, key_of
from langgraph_dynamo_conv._format.keys import Scope, is_run, parse_sk
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.cli.prices import Prices

ITEM_OVERHEAD = 100
"""Bytes that storage bills for each item beside its own, in table and index. Developer Guide, "Best practices"."""

KINDS = {
    "row": "conversation rows",
    "c": "checkpoints",
    "w": "task writes",
    "s": "segments",
    "m": "older messages",
    "b": "parts of large values",
    "r": "run pointers",
    "other": "other items",
}


@dataclass
class Held:
    """Items of one kind.

    Args:
        items: How many.
        bytes: Names and values, as DynamoDB counts them.
        largest: Bytes of the largest.
    """

    items: int = 0
    bytes: int = 0
    largest: int = 0

    def add(self, size: int) -> None:
        """Count one more."""
        self.items, self.bytes, self.largest = self.items + 1, self.bytes + size, max(self.largest, size)


@dataclass
class Statistics:
    """What was counted.

    Args:
        kinds: What there is of each kind in `KINDS`.
        conversations: How many conversations, each user's share for itself.
        users: How many users have any.
    """

    kinds: dict[str, Held] = field(default_factory=lambda: {kind: Held() for kind in KINDS})
    conversations: int = 0
    users: int = 0

    @property
    def items(self) -> int:
        """Items of all kinds."""
        return sum(held.items for held in self.kinds.values())

    @property
    def bytes(self) -> int:
        """Bytes of all kinds in the table."""
        return sum(held.bytes for held in self.kinds.values())

    @property
    def stored_bytes(self) -> int:
        """Bytes that storage is billed for: the table's, and the rows once more in the index."""
        rows = self.kinds["row"]
        return self.bytes + rows.bytes + ITEM_OVERHEAD * (self.items + rows.items)

    def monthly_cost(self, prices: Prices) -> float:
        """US dollars a month for keeping it."""
        return prices.of(stored_bytes=self.stored_bytes)


def of_conversation(table: Table, scope: Scope) -> Statistics:
    """A user's share of a conversation.

    Cost: one read of it: one Query for each MB.
    """
    counted = Statistics()
    row = table.get(scope.row())
    items = (item for page in table.query(scope.thread_id, scope.prefix()) for item in page)
    for item in chain([row] if row else [], items):
        _count(counted, item)
    counted.conversations = counted.users = int(counted.items > 0)
    return counted


def of_table(table: Table) -> Statistics:
    """The whole table.

    Cost: one read of it: one Scan for each MB. Memory for the ids of all users.
    """
    counted, users = Statistics(), set[str]()
    items = (item for page in table.scan() for item in page)
    # A scan goes through one partition after the other.
    for pk, partition in groupby(items, key=lambda item: key_of(item).pk):
        sharing: set[str] = set()
        for item in partition:
            sharing.add(parse_sk(key_of(item).sk).user_id)
            _count(counted, item)
        if not is_run(pk):
            counted.conversations += len(sharing)
            users |= sharing
    counted.users = len(users)
    return counted


def item_bytes(item: AttributeMap) -> int:
    """Bytes of an item's names and values, as DynamoDB counts them."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(attribute: dict[str, Any]) -> int:
    return len(attribute["B"]) if "B" in attribute else size_of(from_attribute(attribute))


def _count(counted: Statistics, item: AttributeMap) -> None:
    counted.kinds[parse_sk(key_of(item).sk).kind].add(item_bytes(item))
