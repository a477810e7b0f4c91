"""DynamoDB's time to live, played: it deletes any items whose `expires_at` has come, at any time, by a test's clock."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.factories import items_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

START = 1_790_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def pass_by(self, span: timedelta) -> None:
        self.now += span.total_seconds()


class Sweeper:
    """DynamoDB's time to live, at any time and in any order."""

    def __init__(self, client: DynamoDBClient, table_name: str, clock: Clock) -> None:
        self.client = client
        self.table_name = table_name
        self.clock = clock

    def expired(self) -> list[dict[str, Any]]:
        items = items_of(self.client, self.table_name)
        return [item for item in items if "expires_at" in item and int(item["expires_at"]["N"]) <= self.clock.now]

    def sweep(self, seed: int | None = None) -> int:
        """Delete all of the items that it may delete, or some; how many."""
        chosen = self.expired()
        if seed is not None:
            chosen = [item for item in chosen if random.Random(f"{seed}{item['user_id']['S']}").random() < 0.5]
        for item in chosen:
            key = {name: item[name] for name in ("conversation_id", "user_id")}
            self.client.delete_item(TableName=self.table_name, Key=key)
        return len(chosen)
