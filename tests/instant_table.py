"""One table in a dict that answers at once, and counts: what a saver costs without a network or an HTTP library.

It takes what this saver sends in an undisturbed run (conditions always hold) and refuses everything else. Pages end
at 1 MB, as DynamoDB's do. It is for tests and benchmarks of thousands of turns; what an engine answers is tested on
engines.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

Item = dict[str, Any]

_ASSIGNMENT = re.compile(r"(#?\w+) = (?:if_not_exists\(\w+, )?(:\w+)\)?")
_CONDITIONS = ("#pk = :pk", "#pk = :pk AND #sk BETWEEN :low AND :high")
_PAGE_BYTES = 1024 * 1024


@dataclass
class Counts:
    """Requests and bytes since the last `clear`; bytes written by kind of item: the letter in its key, or "row"."""

    reads: int = 0
    writes: int = 0
    read_bytes: int = 0
    written: Counter[str] = field(default_factory=Counter)

    @property
    def written_bytes(self) -> int:
        return sum(self.written.values())


class InstantTable:
    """Answers PutItem, GetItem, UpdateItem, DeleteItem and Query, in whatever form attributes are given."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._partitions: dict[str, dict[str, Item]] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Count from here on."""
        self.counts = Counts()

    def items(self, kind: str) -> int:
        """How many items of a kind there are."""
        return sum(_kind(sk) == kind for partition in self._partitions.values() for sk in partition)

    def forget(self, pk: str) -> None:
        """Drop a partition, so that the table does not grow."""
        for sk in self._partitions.pop(pk, {}):
            del self._sizes[pk, sk]

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """What DynamoDB would answer."""
        handlers = {
            "PutItem": self._put,
            "GetItem": self._get,
            "UpdateItem": self._update,
            "DeleteItem": self._delete,
            "Query": self._query,
        }
        with self._lock:
            return handlers[operation](request)

    def _put(self, request: dict[str, Any]) -> dict[str, Any]:
        self._store(request["Item"])
        return {}

    def _get(self, request: dict[str, Any]) -> dict[str, Any]:
        item = self._partition(request["Key"]).get(request["Key"]["user_id"]["S"])
        self._count_read([item] if item else [])
        return {"Item": item} if item else {}

    def _update(self, request: dict[str, Any]) -> dict[str, Any]:
        key, expression = request["Key"], request["UpdateExpression"]
        if not expression.startswith("SET "):
            raise NotImplementedError(expression)
        names = request.get("ExpressionAttributeNames", {})
        item = dict(self._partition(key).get(key["user_id"]["S"], key))
        for name, value in _ASSIGNMENT.findall(expression):
            item[names.get(name, name)] = request["ExpressionAttributeValues"][value]
        self._store(item)
        return {}

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        self.counts.writes += 1
        self._partition(request["Key"]).pop(request["Key"]["user_id"]["S"], None)
        return {}

    def _query(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["KeyConditionExpression"] not in _CONDITIONS or "FilterExpression" in request:
            raise NotImplementedError(request["KeyConditionExpression"])
        values = request["ExpressionAttributeValues"]
        partition = self._partitions.get(values[":pk"]["S"], {})
        low, high = (values.get(name, {"S": bound})["S"] for name, bound in ((":low", ""), (":high", "\U0010ffff")))
        start = request.get("ExclusiveStartKey", {}).get("user_id", {}).get("S")
        backward = not request.get("ScanIndexForward", True)
        keys = sorted((key for key in partition if low <= key <= high), reverse=backward)
        if start is not None:
            keys = [key for key in keys if (key < start if backward else key > start)]
        page = self._page(partition, keys, request.get("Limit", len(keys)))
        self._count_read(page)
        if len(page) == len(keys):
            return {"Items": page, "Count": len(page)}
        last = {name: page[-1][name] for name in ("conversation_id", "user_id")}
        return {"Items": page, "Count": len(page), "LastEvaluatedKey": last}

    def _page(self, partition: dict[str, Item], keys: list[str], limit: int) -> list[Item]:
        page: list[Item] = []
        size = 0
        for key in keys[:limit]:
            page.append(partition[key])
            size += self._size(partition[key])
            if size >= _PAGE_BYTES:
                break
        return page

    def _store(self, item: Item) -> None:
        pk, sk = item["conversation_id"]["S"], item["user_id"]["S"]
        self._partition(item)[sk] = item
        self._sizes[pk, sk] = sum(len(name) + _value_size(value) for name, value in item.items())
        self.counts.writes += 1
        self.counts.written[_kind(sk)] += self._size(item)

    def _size(self, item: Item) -> int:
        return self._sizes[item["conversation_id"]["S"], item["user_id"]["S"]]

    def _count_read(self, items: list[Item]) -> None:
        self.counts.reads += 1
        self.counts.read_bytes += sum(map(self._size, items))

    def _partition(self, key: Item) -> dict[str, Item]:
        return self._partitions.setdefault(key["conversation_id"]["S"], {})


def _kind(sk: str) -> str:
    return sk.split("#")[1] if "#" in sk else "row"


def _value_size(value: dict[str, Any]) -> int:
    ((kind, held),) = value.items()
    if kind == "L":
        return sum(map(_value_size, held))
    if kind == "M":
        return sum(len(name) + _value_size(one) for name, one in held.items())
    return len(held) if kind in ("B", "S", "N") else 1


class InstantClient:
    """As much of a boto3 client as the saver uses, over an `InstantTable`, without botocore."""

    def __init__(self, table: InstantTable, connections: int = 32) -> None:
        self._table = table
        self.meta = SimpleNamespace(
            config=SimpleNamespace(max_pool_connections=connections), region_name="none", endpoint_url="none"
        )

    def __getattr__(self, method: str) -> Any:
        operation = "".join(word.capitalize() for word in method.split("_"))
        return lambda **request: self._table.answer(operation, request)
