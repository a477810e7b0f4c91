"""What a table holds, in bytes as DynamoDB counts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langgraph_dynamo_conv._format.attributes import from_attribute, size_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

OVERHEAD_BYTES = 100
"""Billed for each item of a table and of an index (developer guide, "Item sizes and formats")."""


@dataclass(frozen=True)
class TableSize:
    """What a table holds.

    Args:
        items: Items of the table.
        item_bytes: Names and values of all of them.
        index_items: Those that the index `user_id-created_at-index` shows.
        index_bytes: Names and values of these, which the index holds once more.
    """

    items: int
    item_bytes: int
    index_items: int
    index_bytes: int

    @property
    def billed_bytes(self) -> int:
        """With the index and with DynamoDB's overhead."""
        return self.item_bytes + self.index_bytes + OVERHEAD_BYTES * (self.items + self.index_items)


def table_size(client: DynamoDBClient, table_name: str) -> TableSize:
    """Read a whole table and add up its sizes."""
    items = index_items = item_bytes = index_bytes = 0
    for page in client.get_paginator("scan").paginate(TableName=table_name):
        for item in page["Items"]:
            size = _item_bytes(item)
            shown = "created_at" in item
            items, item_bytes = items + 1, item_bytes + size
            index_items, index_bytes = index_items + shown, index_bytes + size * shown
    return TableSize(items, item_bytes, index_items, index_bytes)


def _item_bytes(item: dict[str, Any]) -> int:
    plain = {name: next(iter(value.values())) for name, value in item.items() if "B" in value}
    rest = {name: value for name, value in item.items() if "B" not in value}
    return sum(len(name) + len(data) for name, data in plain.items()) + sum(
        len(name) + size_of(from_attribute(value)) for name, value in rest.items()
    )
