"""Deletes the S3 objects of large values that have expired: a Lambda function on the table's stream, with old images.

DynamoDB deletes an expired pointer without telling S3. A pointer is an item whose sort key is `<user>#p#<digest>#s3`;
its `d` names the object. The templates have this text in themselves: it needs boto3 alone, and is below 4,096 bytes.

Every step can be repeated. The first record that fails is named, so that Lambda goes on from it. A record that is not
as expected ends the function: Lambda then halves the batch until it is alone, and sends its place to the queue.
"""

from __future__ import annotations

import base64
import logging
import os
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

LOG = logging.getLogger(__name__)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Delete the objects of a batch's expired pointers; gives the first record that failed."""
    for record in event["Records"]:
        try:
            if is_expired_pointer(record):
                delete_object(record["dynamodb"]["OldImage"])
        except (BotoCoreError, ClientError) as error:
            number = record["dynamodb"]["SequenceNumber"]
            LOG.error("not deleted", extra={"error": name_of(error), "sequence_number": number})
            return {"batchItemFailures": [{"itemIdentifier": number}]}
    return {"batchItemFailures": []}


def is_expired_pointer(record: dict[str, Any]) -> bool:
    """Whether time-to-live has deleted a pointer; whoever else deletes one has deleted its object before."""
    by = record.get("userIdentity") or {}
    by_time_to_live = by.get("principalId") == "dynamodb.amazonaws.com" and record["eventName"] == "REMOVE"
    return by_time_to_live and is_pointer(record["dynamodb"]["Keys"]["user_id"]["S"])


def is_pointer(sort_key: str) -> bool:
    """Whether the item of a sort key is the pointer to an object."""
    _, *kind_and_digest = sort_key.split("#")
    return kind_and_digest[:1] + kind_and_digest[2:] == ["p", "s3"]


def delete_object(pointer: dict[str, Any]) -> None:
    """Delete the object of a pointer, unless it was stored anew meanwhile.

    What is stored anew between the two requests, which takes some milliseconds, is deleted all the same.
    """
    key = {name: pointer[name] for name in ("conversation_id", "user_id")}
    found = client("dynamodb").get_item(TableName=os.environ["TABLE"], Key=key, ConsistentRead=True)
    if "Item" not in found:
        name = base64.b64decode(pointer["d"]["B"]).decode()
        client("s3").delete_object(Bucket=os.environ["BUCKET"], Key=os.environ["PREFIX"] + name)


def name_of(error: BotoCoreError | ClientError) -> str:
    """What AWS calls an error, without its text."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


@cache
def client(service: str) -> Any:
    """A client for as long as the container lives."""
    make: Any = boto3.client
    return make(service)
