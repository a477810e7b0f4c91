"""One request at a time on a conversation, whichever container it meets; and what they must tell each other about it.

A lease is an item beside the conversation's others, `<user>#turn`, so that it is deleted with the conversation. It has
no `created_at`, so no list shows it. It ends by itself: a function that was killed at its timeout blocks nothing for
long, and time-to-live removes what it left. A request that can't have the lease can ask its holder to stop, by a mark
on it.

That a run which was cut off has gone on once is an item of its own, `<user>#turn#<run>`, and not a number on the lease:
the lease is deleted after each turn, a number would count twice when botocore repeats a request whose answer was lost,
and this item is written for cut-off runs alone, so no other turn pays for it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from problems import busy
from table_errors import table_errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

Key = dict[str, "AttributeValueTypeDef"]

KEPT_SECONDS = 7 * 24 * 3600
"""How long it is known that a run has gone on."""

logger = Logger(service="chat", child=True)


class TurnLeases:
    """The leases of a table.

    Args:
        client: A DynamoDB client.
        table_name: The conversations table.
        clock: Gives the time in seconds since the epoch.
    """

    def __init__(self, client: DynamoDBClient, table_name: str, clock: Callable[[], float] = time.time) -> None:
        self._client, self._table_name, self._clock = client, table_name, clock

    @contextmanager
    def held(self, conversation_id: str, user_id: str, seconds: float) -> Iterator[None]:
        """Hold the conversation for as long as the block runs, at most so many seconds.

        Raises:
            Problem: Another request holds it.

        Cost: one PutItem and one DeleteItem, 1 write unit each.
        """
        key, owner = _key_of(conversation_id, user_id), str(uuid.uuid4())
        self._take(key, owner, seconds)
        try:
            yield
        finally:
            self._give_back(key, owner)

    @table_errors()
    def ask_to_stop(self, conversation_id: str, user_id: str) -> bool:
        """Ask whoever holds the conversation to stop before the agent's next step; False if nobody does any more.

        Cost: one UpdateItem, 1 write unit.
        """
        try:
            self._client.update_item(
                TableName=self._table_name,
                Key=_key_of(conversation_id, user_id),
                UpdateExpression="SET is_to_stop = :yes",
                ConditionExpression="attribute_exists(#owner) AND expires_at >= :now",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={":yes": {"BOOL": True}, ":now": {"N": str(int(self._clock()))}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    @table_errors()
    def is_asked_to_stop(self, conversation_id: str, user_id: str) -> bool:
        """Whether the holder was asked to stop. Cost: one GetItem, 1 read unit."""
        key = _key_of(conversation_id, user_id)
        found = self._client.get_item(TableName=self._table_name, Key=key, ConsistentRead=True)
        return "is_to_stop" in found.get("Item", {})

    @table_errors()
    def may_go_on(self, conversation_id: str, user_id: str, run: str) -> bool:
        """Whether a run that was cut off may go on: once, whichever containers are asked.

        Cost: one PutItem, 1 write unit.
        """
        name = blake2b(run.encode(), digest_size=16).hexdigest()
        attempt = {"S": str(uuid.uuid4())}
        key = _key_of(conversation_id, user_id, f"#{name}")
        try:
            self._client.put_item(
                TableName=self._table_name,
                Item={**key, "attempt": attempt, "expires_at": {"N": str(int(self._clock()) + KEPT_SECONDS)}},
                # A request that botocore sends twice finds its own item.
                ConditionExpression="attribute_not_exists(conversation_id) OR attempt = :attempt",
                ExpressionAttributeValues={":attempt": attempt},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    @table_errors()
    def _take(self, key: Key, owner: str, seconds: float) -> None:
        now = self._clock()
        try:
            self._client.put_item(
                TableName=self._table_name,
                Item={**key, "owner": {"S": owner}, "expires_at": {"N": str(int(now + seconds) + 1)}},
                # A request that botocore sends twice finds its own lease.
                ConditionExpression="attribute_not_exists(conversation_id) OR expires_at < :now OR #owner = :owner",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={":now": {"N": str(int(now))}, ":owner": {"S": owner}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            held: Any = error.response.get("Item", {})
            ends = int(held.get("expires_at", {}).get("N", now))
            raise busy(max(1, int(ends - now) + 1)) from error

    def _give_back(self, key: Key, owner: str) -> None:
        try:
            self._client.delete_item(
                TableName=self._table_name,
                Key=key,
                ConditionExpression="#owner = :owner",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={":owner": {"S": owner}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            logger.debug("the lease ended, or went with its conversation")
        except (BotoCoreError, ClientError) as error:
            # What was to be done is done; the lease ends by itself.
            logger.warning("a lease was not given back", extra={"error": type(error).__name__})


def _key_of(conversation_id: str, user_id: str, more: str = "") -> Key:
    return {"conversation_id": {"S": conversation_id}, "user_id": {"S": f"{user_id}#turn{more}"}}
