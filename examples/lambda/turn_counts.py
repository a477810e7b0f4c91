"""How many turns a user may take in a minute, counted in the table, so that all containers count together.

API Gateway limits the requests of all users; without a count of each, one user can spend the model's quota and the
money of everybody. A minute of a user is an item in a partition of their own, `turns#<user>`, which no conversation can
have: its id would have a `#`. Time-to-live removes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from problems import too_many_turns
from table_errors import table_errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MINUTE = 60
TURNS_A_MINUTE = 20
"""A user's, unless the function's variable says otherwise."""


class TurnCounts:
    """The turns of users, by the minute.

    Args:
        client: A DynamoDB client.
        table_name: The conversations table.
        most: How many a user may take in a minute; 0 for any number, which are not counted.
        clock: Gives the time in seconds since the epoch.
    """

    def __init__(
        self, client: DynamoDBClient, table_name: str, most: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._client, self._table_name, self._most, self._clock = client, table_name, most, clock

    @table_errors()
    def add(self, user_id: str) -> None:
        """Count a turn; twice where botocore repeats a request whose answer was lost.

        Raises:
            Problem: The user has taken all turns of this minute.

        Cost: one UpdateItem, 1 write unit.
        """
        if not self._most:
            return
        minute, second = divmod(int(self._clock()), MINUTE)
        try:
            self._client.update_item(
                TableName=self._table_name,
                Key={"conversation_id": {"S": f"turns#{user_id}"}, "user_id": {"S": f"{user_id}#turns#{minute}"}},
                UpdateExpression="ADD turns :one SET expires_at = :end",
                ConditionExpression="attribute_not_exists(turns) OR turns < :most",
                ExpressionAttributeValues={
                    ":one": {"N": "1"},
                    ":most": {"N": str(self._most)},
                    ":end": {"N": str((minute + 1) * MINUTE)},
                },
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            raise too_many_turns(MINUTE - second) from error

    @table_errors()
    def erase(self, user_id: str) -> None:
        """Delete what was counted of a user. Cost: one Query for each MB, and a DeleteItem for each minute."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table_name,
            KeyConditionExpression="conversation_id = :turns",
            ExpressionAttributeValues={":turns": {"S": f"turns#{user_id}"}},
            ProjectionExpression="conversation_id, user_id",
        )
        for page in pages:
            for key in page["Items"]:
                self._client.delete_item(TableName=self._table_name, Key=key)
