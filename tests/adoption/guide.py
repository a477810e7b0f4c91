"""The setup guide by which the team made its table: its files, its sample item, and the code that it leads to."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

TABLE = "cg-chatbot-conversations"
INDEX = "user_id-created_at-index"

TABLE_FILE = "dynamodb-table.json"
TABLE_JSON = json.dumps(
    {
        "TableName": TABLE,
        "KeySchema": [
            {"AttributeName": "conversation_id", "KeyType": "HASH"},
            {"AttributeName": "user_id", "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": "conversation_id", "AttributeType": "S"},
            {"AttributeName": "user_id", "AttributeType": "S"},
            {"AttributeName": "created_at", "AttributeType": "S"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": INDEX,
                "KeySchema": [
                    {"AttributeName": "user_id", "KeyType": "HASH"},
                    {"AttributeName": "created_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        "BillingMode": "PAY_PER_REQUEST",
        "Tags": [{"Key": "Project", "Value": "CG-Production-Assistant"}],
    }
)

CREATE_TABLE = f"aws dynamodb create-table --cli-input-json file://{TABLE_FILE} --region us-east-1"
WAIT = f"aws dynamodb wait table-exists --table-name {TABLE} --region us-east-1"
DESCRIBE = f"aws dynamodb describe-table --table-name {TABLE}"
INDEX_STATUS = f"{DESCRIBE} --query 'Table.GlobalSecondaryIndexes[0].IndexStatus' --output text"
COUNT = f"aws dynamodb scan --table-name {TABLE} --select COUNT"

POLICY_FILE = "dynamodb-lambda-policy.json"
POLICY: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "dynamodb:PutItem",
                "dynamodb:GetItem",
                "dynamodb:UpdateItem",
                "dynamodb:DeleteItem",
                "dynamodb:Query",
                "dynamodb:Scan",
            ],
            "Resource": [
                f"arn:aws:dynamodb:us-east-1:*:table/{TABLE}",
                f"arn:aws:dynamodb:us-east-1:*:table/{TABLE}/index/*",
            ],
        }
    ],
}

SAMPLE: dict[str, Any] = {
    "conversation_id": "550e8400-e29b-41d4-a716-446655440000",
    "user_id": "demo",
    "title": "4K Renders Search",
    "messages": [
        {"role": "user", "content": "Show me 4K renders", "timestamp": "2025-12-30T14:00:00Z"},
        {
            "role": "assistant",
            "content": "I found 5 4K renders...",
            "timestamp": "2025-12-30T14:00:05Z",
            "tool_calls": [
                {
                    "tool": "filter_by_metadata",
                    "args": {"resolution": "3840x2160", "limit": 10},
                    "result": [{"file_id": 123, "name": "hero.exr"}, {"file_id": 124, "name": "lake.exr"}],
                }
            ],
        },
        {"role": "user", "content": "Show me the first one", "timestamp": "2025-12-30T14:05:00Z"},
        {
            "role": "assistant",
            "content": "Here are the details...",
            "timestamp": "2025-12-30T14:05:30Z",
            "tool_calls": [
                {"tool": "get_file_details", "args": {"file_id": 123}, "result": {"name": "hero.exr", "frames": 240}}
            ],
        },
    ],
    "created_at": "2025-12-30T14:00:00Z",
    "updated_at": "2025-12-30T14:05:30Z",
    "message_count": 4,
}


class OldProgram:
    """The page and the chat function that the team had before: plain requests, which know of conversations alone.

    Args:
        table: boto3's resource of the table.
        user_id: Whose conversations.
    """

    def __init__(self, table: Any, user_id: str = "alice") -> None:
        self._table = table
        self._user_id = user_id

    def create(self, title: str) -> str:
        made, now = str(uuid4()), _now()
        empty = {"title": title, "messages": [], "created_at": now, "updated_at": now, "message_count": 0}
        self._table.put_item(Item={**self._key(made), **empty})
        return made

    def append(self, conversation_id: str, role: str, content: str) -> None:
        self._table.update_item(
            Key=self._key(conversation_id),
            UpdateExpression=(
                "SET messages = list_append(if_not_exists(messages, :empty_list), :new_message), "
                "updated_at = :timestamp, message_count = if_not_exists(message_count, :zero) + :one"
            ),
            ExpressionAttributeValues={
                ":empty_list": [],
                ":new_message": [{"role": role, "content": content, "timestamp": _now()}],
                ":timestamp": _now(),
                ":zero": 0,
                ":one": 1,
            },
        )

    def chat(self, conversation_id: str, *contents: str) -> None:
        """Append a question, its answer, the next question and so on."""
        for number, content in enumerate(contents):
            self.append(conversation_id, ("user", "assistant")[number % 2], content)

    def show(self, conversation_id: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._table.get_item(Key=self._key(conversation_id)).get("Item")
        return found

    def context(self, conversation_id: str, last: int = 10) -> list[str]:
        """What the old function gave its model: the newest messages."""
        return [one["content"] for one in (self.show(conversation_id) or {"messages": []})["messages"][-last:]]

    def list(self, limit: int = 20) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._table.query(
            IndexName=INDEX,
            KeyConditionExpression="user_id = :user",
            ExpressionAttributeValues={":user": self._user_id},
            ScanIndexForward=False,
            Limit=limit,
            ProjectionExpression="conversation_id, user_id, title, created_at, updated_at, message_count",
        )["Items"]
        return found

    def rename(self, conversation_id: str, title: str) -> None:
        self._table.update_item(
            Key=self._key(conversation_id),
            UpdateExpression="SET title = :title",
            ExpressionAttributeValues={":title": title},
        )

    def delete(self, conversation_id: str) -> None:
        self._table.delete_item(Key=self._key(conversation_id))

    def _key(self, conversation_id: str) -> dict[str, str]:
        return {"conversation_id": conversation_id, "user_id": self._user_id}


def _now() -> str:
    return datetime.now(timezone.utc).replace(tzinfo=None).isoformat() + "Z"
