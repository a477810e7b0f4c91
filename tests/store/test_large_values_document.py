"""What docs/large-values.md says of policy, lifecycle rule and stream is what the code and AWS take."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from langgraph_dynamo_conv.provision import iam_policy
from tests.buckets import TestBucket
from tests.conftest import MakeSaver
from tests.factories import config, items_of, noise, put, values_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.engine("moto")

MOST_RECOVERY_DAYS = 35
"""How long DynamoDB keeps what a table is restored from, at most."""

DOCUMENT = (Path(__file__).parents[2] / "docs" / "large-values.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    return found


def test_the_policy_is_what_iam_policy_gives() -> None:
    policy = iam_policy("arn:aws:dynamodb:r:1:table/t", s3_bucket="my-values", s3_prefix="chats")

    assert json.loads(blocks("json")[1]) == policy["Statement"][-1]


def test_the_lifecycle_rule_is_taken_and_expires_no_current_object(bucket: TestBucket) -> None:
    rule: Any = json.loads(blocks("json")[0])
    bucket.client.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration=rule)

    (stored,) = bucket.client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
    assert stored["Filter"] == {"Prefix": "chats/"}
    assert stored["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    assert stored["NoncurrentVersionExpiration"]["NoncurrentDays"] >= MOST_RECOVERY_DAYS


def test_the_streams_function_deletes_objects_of_deleted_pointers_and_no_others(
    make_s3_saver: MakeSaver, bucket: TestBucket, client: DynamoDBClient, table_name: str
) -> None:
    saver = make_s3_saver(s3_prefix="chats")
    for thread in ("expired", "alive"):
        put(saver, 1, {"document": noise(400_000)}, at=config(thread))
    gone = [item for item in items_of(client, table_name) if item["conversation_id"]["S"] == "expired"]
    for item in gone:
        client.delete_item(TableName=table_name, Key={name: item[name] for name in ("conversation_id", "user_id")})
    module: dict[str, Any] = {}
    exec(blocks("python")[1], module)
    module.update(BUCKET=bucket.name, TABLE=table_name)
    records = [removed(item) for item in [*gone, *items_of(client, table_name)]]
    module["on_deleted"]({"Records": records}, None)

    assert len(bucket.keys) == 1
    assert values_of(make_s3_saver(s3_prefix="chats"), config("alive"))["document"] == noise(400_000)


def removed(item: dict[str, Any]) -> dict[str, Any]:
    """A record of the table's stream, as a function gets it."""
    encoded = {
        name: {"B": base64.b64encode(bytes(value["B"])).decode()} if "B" in value else value
        for name, value in item.items()
    }
    return {"eventName": "REMOVE", "dynamodb": {"OldImage": encoded}}
