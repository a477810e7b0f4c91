"""The function on the table's stream deletes the objects of pointers that time-to-live has deleted, and no others."""

from __future__ import annotations

import ast
import base64
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from langgraph_dynamo_conv._format.items import bytes_of, key_of
from langgraph_dynamo_conv._format.keys import Key, is_pointer, object_name
from langgraph_dynamo_conv.cli.templates import expired_objects
from tests.buckets import TestBucket, new_bucket
from tests.cli.template_readers import said_by_cloudformation
from tests.cli.template_variants import VARIANTS
from tests.conftest import MakeSaver
from tests.engines import REGION, Engine
from tests.factories import config, items_of, noise, put, values_of
from tests.store.every_item import every_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Record = dict[str, Any]
Deliver = Callable[[list[Record]], list[str]]

SOURCE = Path(expired_objects.__file__)
TIME_TO_LIVE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
"""Who deletes what has expired: Amazon DynamoDB Developer Guide, "DynamoDB Streams and Time to Live"."""


@pytest.fixture
def bucket() -> Iterator[TestBucket]:
    with new_bucket() as bucket:
        yield bucket


@pytest.fixture
def saver(make_saver: MakeSaver, bucket: TestBucket) -> MakeSaver:
    """A factory of savers with that bucket, each of which has seen nothing yet."""
    return lambda: make_saver(s3_bucket=bucket.name, s3_client=bucket.client, s3_prefix="chats")


@pytest.fixture
def deliver(bucket: TestBucket, client: DynamoDBClient, table_name: str, monkeypatch: pytest.MonkeyPatch) -> Deliver:
    """Calls the function as Lambda does; gives the places of the records that it says have failed."""
    for name, value in {"TABLE": table_name, "BUCKET": bucket.name, "PREFIX": "chats/"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(expired_objects, "client", {"dynamodb": client, "s3": bucket.client}.__getitem__)

    def call(records: list[Record]) -> list[str]:
        answer = expired_objects.handler({"Records": json.loads(json.dumps(records))}, None)
        return [one["itemIdentifier"] for one in answer["batchItemFailures"]]

    return call


def record(item: dict[str, Any], number: int = 1, name: str = "REMOVE", by: Record | None = TIME_TO_LIVE) -> Record:
    """A record of the stream in the form in which Lambda gets it, as AWS documents it for time-to-live."""
    keys = {one: item[one] for one in ("conversation_id", "user_id")}
    image = {one: encoded(value) for one, value in item.items()}
    change = {"Keys": keys, "OldImage": image, "SequenceNumber": f"{number:021}", "StreamViewType": "OLD_IMAGE"}
    said: Record = {"eventID": str(number), "eventName": name, "eventSource": "aws:dynamodb", "dynamodb": change}
    return said | ({"userIdentity": by} if by else {})


def encoded(value: Any) -> Any:
    """A value with bytes in base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: encoded(one) for name, one in value.items()}
    return [encoded(one) for one in value] if isinstance(value, list) else value


def two_conversations(make: MakeSaver) -> None:
    for number, thread in enumerate(("expired", "alive"), start=1):
        put(make(), 1, {"document": noise(400_000, number)}, at=config(thread))


def expire(client: DynamoDBClient, table_name: str, thread: str = "expired") -> list[dict[str, Any]]:
    """Delete a conversation's items as time-to-live does: of S3 it knows nothing."""
    gone = [item for item in items_of(client, table_name) if item["conversation_id"]["S"] == thread]
    for item in gone:
        client.delete_item(TableName=table_name, Key={name: item[name] for name in ("conversation_id", "user_id")})
    return gone


def stream_of(engine: Engine, client: DynamoDBClient, table_name: str) -> list[Record]:
    """All records of the table's stream, as DynamoDB gives them, in the form in which Lambda gets them."""
    arn = client.describe_table(TableName=table_name)["Table"]["LatestStreamArn"]
    make: Any = boto3.client
    streams = make("dynamodbstreams", region_name=REGION, endpoint_url=engine.endpoint_url)
    found = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        asked = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = streams.get_shard_iterator(**asked)["ShardIterator"]
        while iterator and (page := streams.get_records(ShardIterator=iterator))["Records"]:
            found += page["Records"]
            iterator = page.get("NextShardIterator")
    streams.close()
    for one in found:
        one["dynamodb"].pop("ApproximateCreationDateTime")
    return [encoded(one) for one in found]


@pytest.mark.engine("dynamodb-local")
def test_of_a_real_stream_the_objects_of_expired_pointers_are_deleted_and_no_others(
    saver: MakeSaver, deliver: Deliver, bucket: TestBucket, engine: Engine, client: DynamoDBClient, table_name: str
) -> None:
    stream: Any = {"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"}
    client.update_table(TableName=table_name, StreamSpecification=stream)
    two_conversations(saver)
    expire(client, table_name)
    records = stream_of(engine, client, table_name)
    removed = [one for one in records if one["eventName"] == "REMOVE"]
    assert {one["dynamodb"]["StreamViewType"] for one in records} == {"OLD_IMAGE"}
    assert len(removed) < len(records)

    assert deliver(records) == []
    assert len(bucket.keys) == 2, "none was deleted by time-to-live"
    for one in removed:
        one["userIdentity"] = TIME_TO_LIVE
    assert deliver(records) == []
    assert len(bucket.keys) == 1
    assert values_of(saver(), config("alive"))["document"] == noise(400_000, 2)
    assert deliver(records) == [], "it can be repeated"


@pytest.mark.engine("memory")
def test_an_object_that_was_stored_anew_stays(
    saver: MakeSaver, deliver: Deliver, bucket: TestBucket, client: DynamoDBClient, table_name: str
) -> None:
    two_conversations(saver)
    gone = expire(client, table_name)
    put(saver(), 1, {"document": noise(400_000, 1)}, at=config("expired"))

    assert deliver([record(item) for item in gone]) == []
    assert len(bucket.keys) == 2
    assert values_of(saver(), config("expired"))["document"] == noise(400_000, 1)


@pytest.mark.engine("memory")
@pytest.mark.parametrize(
    ("name", "by"),
    [("REMOVE", None), ("REMOVE", {"type": "Service", "principalId": "other"}), ("MODIFY", TIME_TO_LIVE)],
)
def test_what_time_to_live_did_not_delete_is_left_to_whoever_did(
    saver: MakeSaver,
    deliver: Deliver,
    bucket: TestBucket,
    client: DynamoDBClient,
    table_name: str,
    name: str,
    by: Record | None,
) -> None:
    two_conversations(saver)

    assert deliver([record(item, name=name, by=by) for item in expire(client, table_name)]) == []
    assert len(bucket.keys) == 2


@pytest.mark.engine("memory")
def test_a_batch_goes_on_from_the_first_record_that_failed(
    saver: MakeSaver,
    deliver: Deliver,
    bucket: TestBucket,
    client: DynamoDBClient,
    table_name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    put(saver(), 1, {str(number): noise(400_000, number) for number in range(4)}, at=config("expired"))
    pointers = [item for item in expire(client, table_name) if is_pointer(key_of(item))]
    records = [record(item, number) for number, item in enumerate(pointers, start=1)]
    delete, tried = bucket.client.delete_object, []

    def fail_at_the_third(**place: str) -> Any:
        tried.append(place["Key"])
        if len(tried) == 3:
            raise ClientError({"Error": {"Code": "SlowDown", "Message": place["Key"]}}, "DeleteObject")
        return delete(**place)

    with monkeypatch.context() as patch:
        patch.setattr(bucket.client, "delete_object", fail_at_the_third)
        failed = deliver(records)
    assert failed == [records[2]["dynamodb"]["SequenceNumber"]]
    assert len(bucket.keys) == 2
    (said,) = caplog.records
    assert (said.error, said.sequence_number) == ("SlowDown", failed[0])  # type: ignore[attr-defined]
    assert tried[2] not in caplog.text

    assert deliver(records[2:]) == []
    assert bucket.keys == []


@pytest.mark.engine("memory")
def test_a_record_without_the_old_image_ends_the_function_so_that_its_batch_is_halved(
    saver: MakeSaver, deliver: Deliver, client: DynamoDBClient, table_name: str
) -> None:
    two_conversations(saver)
    records = [record(item) for item in expire(client, table_name)]
    for one in records:
        del one["dynamodb"]["OldImage"]

    with pytest.raises(KeyError, match="OldImage"):
        deliver(records)


def test_it_knows_pointers_and_names_of_objects_as_the_package_does() -> None:
    items = every_item().items()
    unfinished = [Key("thread", sk) for sk in ("a#p#d#00001", "a#c#s3#s3", "a", "a#p#d#s3")]

    assert sum(is_pointer(key_of(item)) for item in items) > 2
    for key in [*map(key_of, items), *unfinished]:
        assert expired_objects.is_pointer(key.sk) == is_pointer(key), key
    for item in items:
        if is_pointer(key_of(item)) and "d" in item:
            assert bytes_of(item).decode() == object_name(key_of(item))


def test_the_filter_of_the_stream_lets_through_what_it_acts_on() -> None:
    options = VARIANTS["new-consumer-aws-key-named"]
    (pattern,) = said_by_cloudformation(options)["filter"]
    for item in every_item().items():
        for name in ("INSERT", "MODIFY", "REMOVE"):
            for by in (TIME_TO_LIVE, None):
                one = record(item, name=name, by=by)
                assert passes(pattern, one) == expired_objects.is_expired_pointer(one), one


def passes(pattern: Any, value: Any) -> bool:
    """Whether a filter lets a record through: for what the template uses of AWS Lambda's "Filter rule syntax"."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(passes(one, value.get(name)) for name, one in pattern.items())
    return any(value == one or isinstance(one, dict) and str(value).endswith(one["suffix"]) for one in pattern)


def test_templates_have_its_text_which_lambda_takes_from_a_template_and_runs_with_boto_alone() -> None:
    text = SOURCE.read_text(encoding="utf-8")

    assert len(text.encode()) <= 4096  # AWS CloudFormation User Guide, "AWS::Lambda::Function Code": ZipFile
    assert said_by_cloudformation(VARIANTS["new-consumer-aws-key-named"])["code"] == text
    nodes = list(ast.walk(ast.parse(text)))
    modules = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    modules |= {one.name for node in nodes if isinstance(node, ast.Import) for one in node.names}
    assert {name.split(".")[0] for name in modules} - sys.stdlib_module_names == {"boto3", "botocore"}


def test_a_client_is_made_once_in_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    expired_objects.client.cache_clear()

    assert expired_objects.client("s3") is expired_objects.client("s3")
    expired_objects.client("s3").close()
    expired_objects.client.cache_clear()
