"""Conversations as another program finds them in the table."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from langchain_core.runnables import RunnableConfig

from langgraph_dynamo_conv import DynamoDBConversationSaver

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class TableReader:
    """Reads and writes the table with plain boto3, as a program without this package does."""

    def __init__(self, client: DynamoDBClient, table_name: str) -> None:
        self._client = client
        self._table = table_name

    def row(self, config: RunnableConfig) -> dict[str, Any]:
        """The conversation row."""
        item = self._client.get_item(TableName=self._table, Key=_key(config), ConsistentRead=True)["Item"]
        return plain_item(item)

    def items(self, config: RunnableConfig, kind: str = "") -> list[dict[str, Any]]:
        """All items of a conversation whose sort key has `kind` in it."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="conversation_id = :id",
            ExpressionAttributeValues={":id": {"S": config["configurable"]["thread_id"]}},
            ConsistentRead=True,
        )
        return [i for page in pages for i in map(plain_item, page["Items"]) if kind in i["user_id"]]

    def messages(self, config: RunnableConfig) -> list[dict[str, Any]]:
        """All messages, by the rule of docs/storage-format.md, "Messages that left the row".

        While nobody writes: no page may be newer than the row.
        """
        row = self.row(config)
        pages = [page for page in self.items(config, "#m#") if page["incarnation"] == row["incarnation"]]
        assert all(page["version"] <= row["version"] for page in pages)
        latest: dict[int, Any] = {}
        for page in sorted(pages, key=lambda page: (page["version"], page["count"])):
            latest |= dict(enumerate(page["messages"], int(page["user_id"].rpartition("#")[2])))
        whole = [*(latest[number] for number in range(row.get("first", 0))), *row["messages"]]
        assert len(whole) == row["message_count"]
        return whole

    def listed(self, user_id: str = "demo") -> list[dict[str, Any]]:
        """The user's conversations, by the index, newest first."""
        answer = self._client.query(
            TableName=self._table,
            IndexName="user_id-created_at-index",
            KeyConditionExpression="user_id = :user",
            ExpressionAttributeValues={":user": {"S": user_id}},
            ScanIndexForward=False,
        )
        return [plain_item(item) for item in answer["Items"]]

    def set(self, config: RunnableConfig, **attributes: Any) -> None:
        """Overwrite attributes of the row."""
        self._client.update_item(
            TableName=self._table,
            Key=_key(config),
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in attributes),
            ExpressionAttributeNames={f"#{name}": name for name in attributes},
            ExpressionAttributeValues={f":{n}": TypeSerializer().serialize(v) for n, v in attributes.items()},
        )

    def put(self, item: dict[str, Any]) -> None:
        """Put an item."""
        wire = {name: TypeSerializer().serialize(value) for name, value in item.items()}
        self._client.put_item(TableName=self._table, Item=wire)


def plain_item(item: dict[str, Any]) -> dict[str, Any]:
    """Attributes as Python values, with int and float for numbers."""
    return {name: _plain(TypeDeserializer().deserialize(value)) for name, value in item.items()}


def said(messages: Sequence[dict[str, Any]]) -> list[Any]:
    """Role and content of each message; for an assistant's with tool calls also each tool with its result."""
    return [
        (message["role"], message["content"], *([calls_of(message)] if message.get("tool_calls") else []))
        for message in messages
    ]


def calls_of(message: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Tool, its query, its result ("pending" if none), and "error" if it failed."""
    return [
        (
            call["tool"],
            call["args"].get("query"),
            call.get("result", "pending"),
            *([call["status"]] if "status" in call else []),
        )
        for call in message["tool_calls"]
    ]


def transcript(saver: DynamoDBConversationSaver, config: RunnableConfig) -> list[Any]:
    """What was said, as `conversations.get` gives it."""
    asked = config["configurable"]
    found = saver.conversations.get(asked["thread_id"], asked["user_id"])
    assert found.message_count == len(found.messages)
    return said([message.to_dict() for message in found.messages])


def item_bytes(value: Any) -> int:
    """How many bytes DynamoDB counts for an item (a value of one), as its guide says: "DynamoDB item sizes"."""
    if isinstance(value, dict):
        return 3 + sum(1 + len(name.encode()) + item_bytes(item) for name, item in value.items())
    if isinstance(value, list):
        return 3 + sum(1 + item_bytes(item) for item in value)
    if isinstance(value, str):
        return len(value.encode())
    return 1 if value is None or isinstance(value, bool) else 1 + (len(str(value)) + 1) // 2


def found_search(query: str) -> dict[str, Any]:
    """The result of the tool `search` as the row holds it."""
    return {"query": query, "hits": [f"{query} 1", f"{query} 2"], "score": 0.5}


def _key(config: RunnableConfig) -> dict[str, Any]:
    asked = config["configurable"]
    return {"conversation_id": {"S": asked["thread_id"]}, "user_id": {"S": asked["user_id"]}}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
