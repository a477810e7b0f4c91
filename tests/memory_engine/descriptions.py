"""Tables as DescribeTable tells of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.memory_engine.definitions import IndexDefinition
from tests.memory_engine.items.keys import KeySchema
from tests.memory_engine.table import Index, Table

_UNITS = {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}


def described(table: Table) -> dict[str, Any]:
    """A table as it is now; DynamoDB counts its items and bytes only every six hours."""
    definition = table.definition
    description = {
        "TableName": table.name,
        "TableArn": table.arn,
        "TableStatus": "ACTIVE",
        "CreationDateTime": table.created,
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind} for name, kind in definition.types.items()
        ],
        "KeySchema": _schema(definition.schema),
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, **_UNITS},
        "ItemCount": sum(1 for _ in table.items),
        "TableSizeBytes": sum(item.size for item in table.items),
        "DeletionProtectionEnabled": False,
    }
    indexes = [_index(table, index) for index in table.indexes.values()]
    return {**description, "GlobalSecondaryIndexes": indexes} if indexes else description


def told_tags(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags as requests have them."""
    return {tag["Key"]: tag["Value"] for tag in tags}


def _index(table: Table, index: Index) -> dict[str, Any]:
    definition: IndexDefinition = index.definition
    return {
        "IndexName": definition.name,
        "IndexArn": f"{table.arn}/index/{definition.name}",
        "IndexStatus": "ACTIVE",
        "KeySchema": _schema(definition.schema),
        "Projection": dict(definition.projection),
        "ProvisionedThroughput": _UNITS,
        "ItemCount": sum(1 for _ in index.items),
        "IndexSizeBytes": sum(item.size for item in index.items),
    }


def _schema(schema: KeySchema) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(schema.names, ("HASH", "RANGE"), strict=False)
    ]
