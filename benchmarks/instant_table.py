"""One table in a dict that answers at once: what a client costs without a network, a server or an HTTP library.

It takes what this saver sends in an undisturbed run (conditions always hold) and refuses everything else.
"""

from __future__ import annotations

import re
import threading
from types import SimpleNamespace
from typing import Any

Item = dict[str, Any]
_ASSIGNMENT = re.compile(r"(#?\w+) = (?:if_not_exists\(\w+, )?(:\w+)\)?")


class InstantTable:
    """Answers PutItem, GetItem, UpdateItem and Query, in whatever form the values of attributes are given."""

    def __init__(self) -> None:
        self._partitions: dict[str, dict[str, Item]] = {}
        self._lock = threading.Lock()

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """What DynamoDB would answer."""
        handlers = {"PutItem": self._put, "GetItem": self._get, "UpdateItem": self._update, "Query": self._query}
        with self._lock:
            return handlers[operation](request)

    def _put(self, request: dict[str, Any]) -> dict[str, Any]:
        item = request["Item"]
        self._partition(item)[item["user_id"]["S"]] = item
        return {}

    def _get(self, request: dict[str, Any]) -> dict[str, Any]:
        item = self._partition(request["Key"]).get(request["Key"]["user_id"]["S"])
        return {"Item": item} if item else {}

    def _update(self, request: dict[str, Any]) -> dict[str, Any]:
        key, expression = request["Key"], request["UpdateExpression"]
        if not expression.startswith("SET "):
            raise NotImplementedError(expression)
        names = request.get("ExpressionAttributeNames", {})
        item = dict(self._partition(key).get(key["user_id"]["S"], key))
        for name, value in _ASSIGNMENT.findall(expression):
            item[names.get(name, name)] = request["ExpressionAttributeValues"][value]
        self._partition(key)[key["user_id"]["S"]] = item
        return {}

    def _query(self, request: dict[str, Any]) -> dict[str, Any]:
        if "#sk BETWEEN :low AND :high" not in request["KeyConditionExpression"] or "FilterExpression" in request:
            raise NotImplementedError(request["KeyConditionExpression"])
        values = request["ExpressionAttributeValues"]
        partition = self._partitions.get(values[":pk"]["S"], {})
        low, high = values[":low"]["S"], values[":high"]["S"]
        start = request.get("ExclusiveStartKey", {}).get("user_id", {}).get("S")
        backward = not request.get("ScanIndexForward", True)
        keys = sorted((key for key in partition if low <= key <= high), reverse=backward)
        if start is not None:
            keys = [key for key in keys if (key < start if backward else key > start)]
        limit = request.get("Limit", len(keys))
        page = [partition[key] for key in keys[:limit]]
        if len(keys) <= limit:
            return {"Items": page, "Count": len(page)}
        last = {name: page[-1][name] for name in ("conversation_id", "user_id")}
        return {"Items": page, "Count": len(page), "LastEvaluatedKey": last}

    def _partition(self, key: Item) -> dict[str, Item]:
        return self._partitions.setdefault(key["conversation_id"]["S"], {})


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
