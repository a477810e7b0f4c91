"""The conversations table without botocore, for tests and benchmarks of thousands of turns.

`BareClient` has as much of a boto3 client as a saver uses. Attribute values go in and out as they are, without copies:
whoever changes one that was read changes the table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from tests.memory_engine.items.item import Item
from tests.memory_engine.refusals import Refused
from tests.memory_engine.service import Service
from tests.memory_engine.table import Write

PK, SK, CREATED = "conversation_id", "user_id", "created_at"
INDEX = "user_id-created_at-index"


@dataclass
class Counts:
    """Requests and bytes since the last `clear`; bytes written by kind of item: the letter in its key, or "row".

    A write that DynamoDB refuses is not counted.
    """

    reads: int = 0
    writes: int = 0
    read_bytes: int = 0
    written: Counter[str] = field(default_factory=Counter)

    @property
    def written_bytes(self) -> int:
        return sum(self.written.values())

    def read(self, sizes: list[int]) -> None:
        self.reads += 1
        self.read_bytes += sum(sizes)

    def wrote(self, item: Item | None) -> None:
        self.writes += 1
        if item is not None:
            self.written[_kind(item)] += item.size


class BareTable:
    """A conversations table, and what was read and written since it was last asked."""

    def __init__(self, name: str = "table") -> None:
        self.name = name
        self.counts = Counts()
        self.service = Service(meter=self)
        self.service.answer("CreateTable", conversations_table(name))

    def clear(self) -> None:
        """Count from here on."""
        self.counts = Counts()

    def read(self, sizes: list[int]) -> None:
        """An item, or a page of them, was read."""
        self.counts.read(sizes)

    def wrote(self, item: Item | None) -> None:
        """An item was written, or (None) deleted."""
        self.counts.wrote(item)

    def copied(self) -> BareTable:
        """A table of its own with the same items."""
        copied = BareTable(self.name)
        copied._table.items = self._table.items.copied()
        for name, index in self._table.indexes.items():
            copied._table.indexes[name].items = index.items.copied()
        return copied

    def items(self, kind: str) -> int:
        """How many items of a kind there are."""
        return sum(_kind(item) == kind for item in self._table.items)

    def forget(self, pk: str) -> None:
        """Drop a partition, so that the table does not grow. Not counted."""
        counted = self.counts
        self.clear()
        for item in list(self._table.partition(pk)):
            key = self._table.definition.schema.in_item(item.attributes)
            self._table.write(Write(key, item, None))
        self.counts = counted

    def client(self, connections: int = 32) -> Any:
        """A client of the table, for `DynamoDBConversationSaver(client=...)`."""
        return BareClient(self.service, connections)

    @property
    def _table(self) -> Any:
        return self.service.table(self.name)


class BareClient:
    """As much of a boto3 client as the saver uses, over a service, without botocore."""

    def __init__(self, service: Service, connections: int = 32) -> None:
        self._service = service
        config = SimpleNamespace(max_pool_connections=connections)
        self.meta = SimpleNamespace(config=config, region_name="none", endpoint_url="none")

    def __getattr__(self, method: str) -> Callable[..., Any]:
        operation = "".join(word.capitalize() for word in method.split("_"))
        if operation not in self._service.operations:
            raise AttributeError(f"the bare client has no {method}")
        return lambda **request: self._sent(operation, request)

    def close(self) -> None:
        """There is nothing to close."""

    def _sent(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._service.answer(operation, request)
        except Refused as error:
            answer: Any = {
                "Error": {"Code": error.code, "Message": error.message},
                "ResponseMetadata": {"HTTPStatusCode": 400},
                **error.fields,
            }
            raise ClientError(answer, operation) from error


def conversations_table(name: str) -> dict[str, Any]:
    """The CreateTable of the table that users have."""

    def schema(hash_name: str, range_name: str) -> list[dict[str, str]]:
        return [{"AttributeName": hash_name, "KeyType": "HASH"}, {"AttributeName": range_name, "KeyType": "RANGE"}]

    index = {"IndexName": INDEX, "KeySchema": schema(SK, CREATED), "Projection": {"ProjectionType": "ALL"}}
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": one, "AttributeType": "S"} for one in (PK, SK, CREATED)],
        "KeySchema": schema(PK, SK),
        "GlobalSecondaryIndexes": [index],
    }


def _kind(item: Item) -> str:
    sk = str(item.attributes[SK]["S"])
    return sk.split("#")[1] if "#" in sk else "row"
