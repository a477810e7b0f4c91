"""What format version 1 keeps in S3 is read to the same values for ever, and is still what is written.

`golden/version_1_objects.json` holds the items and the objects of `write` below. It never changes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._format.items import blob_ref_text, parse_blob_ref
from langgraph_dynamo_conv._format.tree import BlobRef
from tests.buckets import TestBucket, new_bucket
from tests.conftest import MakeSaver
from tests.factories import config, items_of, noise, put, read, values_of
from tests.unit.test_golden_items import json_items, opened

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.engine("memory")

GOLDEN = Path(__file__).parent / "golden" / "version_1_objects.json"
DOCUMENT, IMAGE = noise(25_000), noise(26_000, 2)
STATES: dict[int, dict[str, Any]] = {
    1: {"document": DOCUMENT, "step": 1},
    2: {"document": DOCUMENT, "step": 2, "images": ["first", IMAGE]},
}
WRITES = [("images", IMAGE), ("step", 3)]
OPTIONS: dict[str, Any] = {
    "s3_prefix": "values",
    "s3_threshold_bytes": 24_000,
    "transcript": False,
    "clock": lambda: 1_700_000_000.0,
}


def write(saver: DynamoDBConversationSaver) -> None:
    put(saver, 1, STATES[1])
    put(saver, 2, STATES[2], parent=1)
    saver.put_writes(config(number=2), WRITES, "task")


def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for item in found["items"]:
        for value in item.values():
            if "B" in value:
                value["B"] = base64.b64decode(value["B"])
    return {"items": found["items"], "objects": {key: base64.b64decode(one) for key, one in found["objects"].items()}}


@pytest.fixture
def bucket() -> Iterator[TestBucket]:
    with new_bucket() as bucket:
        yield bucket


@pytest.fixture
def saver(make_saver: MakeSaver, bucket: TestBucket) -> DynamoDBConversationSaver:
    return make_saver(s3_bucket=bucket.name, s3_client=bucket.client, **OPTIONS)


@pytest.fixture
def stored(client: DynamoDBClient, table_name: str, bucket: TestBucket) -> None:
    """Table and bucket as the golden file has them."""
    for item in golden()["items"]:
        client.put_item(TableName=table_name, Item=item)
    for key, data in golden()["objects"].items():
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=data)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("number", STATES)
def test_golden_objects_are_read_to_the_same_values(saver: DynamoDBConversationSaver, number: int) -> None:
    assert values_of(saver, config(number=number)) == STATES[number]
    assert read(saver).pending_writes == [("task", *write) for write in WRITES]


@pytest.mark.usefixtures("stored")
def test_golden_objects_are_deleted(
    saver: DynamoDBConversationSaver, bucket: TestBucket, client: DynamoDBClient, table_name: str
) -> None:
    saver.delete_thread("thread")

    assert bucket.keys == []
    assert items_of(client, table_name) == []


def test_today_writes_the_golden_objects(
    saver: DynamoDBConversationSaver, bucket: TestBucket, client: DynamoDBClient, table_name: str
) -> None:
    write(saver)
    written = {one["user_id"]["S"]: one for one in json_items(items_of(client, table_name))}
    expected = {one["user_id"]["S"]: one for one in golden()["items"]}

    assert {key: bucket.data(key) for key in bucket.keys} == golden()["objects"]
    assert set(written) == set(expected)
    for sk, item in expected.items():
        assert written[sk] == item if "#p#" in sk else opened(written[sk]) == opened(item)


def test_a_reference_to_an_object_has_no_parts() -> None:
    text = "0123456789abcdef0123456789abcdef:400000:0"

    assert blob_ref_text(BlobRef("0123456789abcdef0123456789abcdef", 400_000, 0)) == text
    assert parse_blob_ref(text) == BlobRef("0123456789abcdef0123456789abcdef", 400_000, 0)
