"""What a table holds, without reading it: a scan of a hundred megabytes takes DynamoDB Local minutes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langgraph_dynamo_conv._format.attributes import from_attribute, size_of
from tests.table_size import TableSize

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_CONTEXT = "put_items"


class PutItems:
    """Sizes of the items that clients have put. For savers that write with nothing but PutItem, and into no index.

    Requests are kept as they are, and read when asked, so that the measured call does not pay for it.
    """

    def __init__(self) -> None:
        self._bodies: list[bytes] = []
        self._sizes: dict[tuple[str, str], int] = {}

    def follow(self, client: DynamoDBClient) -> None:
        """Follow a client, besides those before it."""
        client.meta.events.register("before-call.dynamodb.PutItem", self._sent)
        client.meta.events.register("after-call.dynamodb.PutItem", self._answered)

    @property
    def size(self) -> TableSize:
        """What is stored now."""
        for body in self._bodies:
            item = json.loads(body)["Item"]
            self._sizes[item["PK"]["S"], item["SK"]["S"]] = _wire_bytes(item)
        self._bodies.clear()
        return TableSize(len(self._sizes), sum(self._sizes.values()), 0, 0)

    def _sent(self, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context[_CONTEXT] = params["body"]

    def _answered(self, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        if "Error" not in parsed:
            self._bodies.append(context[_CONTEXT])


def _wire_bytes(item: dict[str, Any]) -> int:
    """Names and values of an item in a request, whose binary values are in base64."""
    size = 0
    for name, value in item.items():
        base64 = value.get("B")
        plain = size_of(from_attribute(value)) if base64 is None else len(base64) * 3 // 4 - base64.count("=")
        size += len(name) + plain
    return size
