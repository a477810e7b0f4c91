"""The memory engine's two clients: what botocore makes of it, what it counts, and all that it refuses."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from tests.contract.cases.calls import BASE, Item, item, key, n, s
from tests.memory_engine.bare import BareTable, conversations_table
from tests.memory_engine.client import memory_client
from tests.memory_engine.service import Service
from tests.requests_log import RequestLog

NAME = "conversations"


@pytest.fixture
def client() -> Iterator[Any]:
    """A boto3 client of a service that has the conversations table."""
    client = memory_client(Service(clock=lambda: 1_800_000_000.0))
    client.create_table(**conversations_table(NAME))
    yield client
    client.close()


def add_one(client: Any, name: str = NAME) -> int:
    update = {"UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": n(1)}, "ReturnValues": "ALL_NEW"}
    return int(client.update_item(TableName=name, Key=key("counter"), **update)["Attributes"]["n"]["N"])


class TestBoto3Client:
    def test_an_item_comes_back_as_it_was(self, client: Any) -> None:
        client.put_item(TableName=NAME, Item=BASE)

        assert client.get_item(TableName=NAME, Key=key())["Item"] == BASE

    def test_an_answer_has_a_checksum_a_date_and_an_id(self, client: Any) -> None:
        headers = client.list_tables()["ResponseMetadata"]["HTTPHeaders"]

        assert {"x-amz-crc32", "date", "x-amzn-requestid", "content-length"} <= headers.keys()

    def test_botocore_checks_parameters(self, client: Any) -> None:
        with pytest.raises(ParamValidationError):
            client.put_item(TableName=NAME, Item={"conversation_id": "p"})

    def test_refusals_are_the_clients_exceptions(self, client: Any) -> None:
        client.put_item(TableName=NAME, Item=item(n=n(1)))

        with pytest.raises(client.exceptions.ConditionalCheckFailedException) as caught:
            client.put_item(
                TableName=NAME,
                Item=item(),
                ConditionExpression="attribute_not_exists(n)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )

        assert caught.value.response["Item"] == item(n=n(1))
        with pytest.raises(client.exceptions.ResourceNotFoundException, match="Requested resource not found"):
            client.get_item(TableName="another", Key=key())

    def test_paginators_follow_pages(self, client: Any) -> None:
        for number in range(7):
            client.put_item(TableName=NAME, Item=item(f"{number}", pk=f"p{number % 3}"))

        pages = list(client.get_paginator("scan").paginate(TableName=NAME, PaginationConfig={"PageSize": 2}))

        assert [page["Count"] for page in pages] == [2, 2, 2, 1]

    def test_waiters_wait_for_a_table(self, client: Any) -> None:
        client.get_waiter("table_exists").wait(TableName=NAME)
        client.delete_table(TableName=NAME)
        client.get_waiter("table_not_exists").wait(TableName=NAME)

    def test_the_log_of_requests_sees_everything(self, client: Any) -> None:
        with RequestLog(client) as log:
            client.put_item(TableName=NAME, Item=item(created_at=s("2026")))
            client.get_item(TableName=NAME, Key=key(), ConsistentRead=True)
            with pytest.raises(ClientError):
                client.put_item(TableName=NAME, Item=item(), ConditionExpression="attribute_not_exists(user_id)")

        assert log.operations == ["PutItem", "GetItem", "PutItem"]
        assert [(one.table_units, one.index_units) for one in log.requests] == [(1.0, 1.0), (1.0, 0.0), (1.0, 0.0)]
        assert [one.error for one in log.requests] == [None, None, "ConditionalCheckFailedException"]
        assert all(one.request_bytes and one.response_bytes for one in log.requests)

    def test_requests_from_many_threads_are_atomic(self, client: Any) -> None:
        with ThreadPoolExecutor(8) as pool:
            counts = list(pool.map(lambda _: add_one(client), range(200)))

        assert sorted(counts) == list(range(1, 201))

    def test_they_are_however_often_threads_are_switched(self) -> None:
        table = BareTable()
        client, usual = table.client(), sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            with ThreadPoolExecutor(8) as pool:
                counts = list(pool.map(lambda _: add_one(client, table.name), range(2000)))
        finally:
            sys.setswitchinterval(usual)

        assert sorted(counts) == list(range(1, 2001))

    def test_what_is_read_can_be_changed_without_changing_the_table(self, client: Any) -> None:
        client.put_item(TableName=NAME, Item=BASE)
        client.get_item(TableName=NAME, Key=key())["Item"]["l"]["L"].append(n(1))

        assert client.get_item(TableName=NAME, Key=key())["Item"] == BASE


class TestTables:
    def test_a_table_is_described_as_it_was_asked_for(self, client: Any) -> None:
        client.put_item(TableName=NAME, Item=item(created_at=s("2026")))
        table = client.describe_table(TableName=NAME)["Table"]

        asked = conversations_table(NAME)
        (index,) = table["GlobalSecondaryIndexes"]
        assert (table["TableStatus"], index["IndexStatus"]) == ("ACTIVE", "ACTIVE")
        assert table["KeySchema"] == asked["KeySchema"]
        assert {name: index[name] for name in ("IndexName", "KeySchema", "Projection")} == asked[
            "GlobalSecondaryIndexes"
        ][0]
        assert table["CreationDateTime"].timestamp() == 1_800_000_000.0
        assert (table["ItemCount"], index["ItemCount"]) == (1, 1)

    def test_tables_are_listed_and_deleted(self, client: Any) -> None:
        names = sorted([NAME, *(f"table-{number}" for number in range(3))])
        for name in names[1:]:
            client.create_table(**conversations_table(name))
        first = client.list_tables(Limit=2)

        assert first["TableNames"] == names[:2]
        assert client.list_tables(ExclusiveStartTableName=first["LastEvaluatedTableName"])["TableNames"] == names[2:]
        client.delete_table(TableName=NAME)
        assert NAME not in client.list_tables()["TableNames"]

    def test_a_name_is_taken_once(self, client: Any) -> None:
        with pytest.raises(client.exceptions.ResourceInUseException):
            client.create_table(**conversations_table(NAME))

    def test_a_missing_table_is_told_in_dynamodbs_words(self, client: Any) -> None:
        for call in (client.describe_table, client.delete_table, client.describe_time_to_live):
            with pytest.raises(client.exceptions.ResourceNotFoundException, match="Table: nowhere not found"):
                call(TableName="nowhere")
        with pytest.raises(client.exceptions.TableNotFoundException, match="Table not found: nowhere"):
            client.describe_continuous_backups(TableName="nowhere")

    def test_time_to_live_is_on_one_attribute(self, client: Any) -> None:
        def asked(attribute: str, enabled: bool = True) -> dict[str, Any]:
            return {"TableName": NAME, "TimeToLiveSpecification": {"Enabled": enabled, "AttributeName": attribute}}

        client.update_time_to_live(**asked("expires_at"))
        for wrong in (asked("expires_at"), asked("ttl"), asked("ttl", False)):
            with pytest.raises(ClientError, match="ValidationException"):
                client.update_time_to_live(**wrong)
        told = client.describe_time_to_live(TableName=NAME)["TimeToLiveDescription"]

        assert told == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
        client.update_time_to_live(**asked("expires_at", False))
        assert client.describe_time_to_live(TableName=NAME)["TimeToLiveDescription"] == {"TimeToLiveStatus": "DISABLED"}

    def test_recovery_is_turned_on(self, client: Any) -> None:
        def status(answer: dict[str, Any]) -> str:
            description = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
            return str(description["PointInTimeRecoveryStatus"])

        on = {"PointInTimeRecoveryEnabled": True}
        before = status(client.describe_continuous_backups(TableName=NAME))
        client.update_continuous_backups(TableName=NAME, PointInTimeRecoverySpecification=on)

        assert (before, status(client.describe_continuous_backups(TableName=NAME))) == ("DISABLED", "ENABLED")

    def test_tags_are_set_one_by_one(self, client: Any) -> None:
        client.create_table(
            **conversations_table("tagged"), Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
        )
        arn = client.describe_table(TableName="tagged")["Table"]["TableArn"]
        client.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": "3"}, {"Key": "c", "Value": "4"}])
        tags = client.list_tags_of_resource(ResourceArn=arn)["Tags"]

        assert {tag["Key"]: tag["Value"] for tag in tags} == {"a": "1", "b": "3", "c": "4"}
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.list_tags_of_resource(ResourceArn=arn + "x")


def table(**changes: Any) -> dict[str, Any]:
    return {**conversations_table("other"), **changes}


TRANSACTION: dict[str, Any] = {"TransactItems": [{"Put": {"TableName": NAME, "Item": item(created_at=s("2026"))}}]}

NOT_DONE: dict[str, Callable[[Any], object]] = {
    "BatchGetItem": lambda client: client.batch_get_item(RequestItems={NAME: {"Keys": [key()]}}),
    "BatchWriteItem": lambda client: client.batch_write_item(RequestItems={NAME: [{"PutRequest": {"Item": item()}}]}),
    "ExecuteStatement": lambda client: client.execute_statement(Statement="SELECT * FROM t"),
    "UpdateTable": lambda client: client.update_table(TableName=NAME, BillingMode="PAY_PER_REQUEST"),
    "UntagResource": lambda client: client.untag_resource(ResourceArn="arn:aws:dynamodb", TagKeys=["a"]),
    "CreateBackup": lambda client: client.create_backup(TableName=NAME, BackupName="one"),
    "PutItem with Expected": lambda client: client.put_item(
        TableName=NAME, Item=item(), Expected={"n": {"Exists": False}}
    ),
    "PutItem with ReturnItemCollectionMetrics": lambda client: client.put_item(
        TableName=NAME, Item=item(), ReturnItemCollectionMetrics="SIZE"
    ),
    "UpdateItem with AttributeUpdates": lambda client: client.update_item(
        TableName=NAME, Key=key(), AttributeUpdates={"n": {"Action": "PUT", "Value": n(1)}}
    ),
    "GetItem with AttributesToGet": lambda client: client.get_item(TableName=NAME, Key=key(), AttributesToGet=["n"]),
    "Query with KeyConditions": lambda client: client.query(
        TableName=NAME, KeyConditions={"conversation_id": {"ComparisonOperator": "EQ", "AttributeValueList": [s("p")]}}
    ),
    "Scan with Segment, TotalSegments": lambda client: client.scan(TableName=NAME, Segment=0, TotalSegments=2),
    "a table named by its ARN": lambda client: client.get_item(
        TableName="arn:aws:dynamodb:us-east-1:1:table/t", Key=key()
    ),
    "a table of provisioned capacity": lambda client: client.create_table(**table(BillingMode="PROVISIONED")),
    "CreateTable with StreamSpecification": lambda client: client.create_table(
        **table(StreamSpecification={"StreamEnabled": False})
    ),
    "CreateTable with LocalSecondaryIndexes": lambda client: client.create_table(**table(LocalSecondaryIndexes=[])),
    "point-in-time recovery with RecoveryPeriodInDays": lambda client: client.update_continuous_backups(
        TableName=NAME, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7}
    ),
    "the capacity of a transaction on items of an index": lambda client: client.transact_write_items(
        **TRANSACTION, ReturnConsumedCapacity="TOTAL"
    ),
    "UPDATED_OLD of a path within an attribute": lambda client: client.update_item(
        TableName=NAME, Key=key(), UpdateExpression="REMOVE m.k", ReturnValues="UPDATED_OLD"
    ),
}


@pytest.mark.parametrize("feature", NOT_DONE)
def test_what_the_engine_does_not_do_is_no_answer(client: Any, feature: str) -> None:
    client.put_item(TableName=NAME, Item=BASE)

    with pytest.raises(NotImplementedError, match=feature):
        NOT_DONE[feature](client)

    assert client.scan(TableName=NAME)["Items"] == [BASE]
    assert client.list_tables()["TableNames"] == [NAME]


def test_a_request_with_an_impossible_option_changes_nothing(client: Any) -> None:
    for options in (
        {"ReturnConsumedCapacity": "SOME"},
        {"ReturnValues": "SOME"},
        {"ReturnValuesOnConditionCheckFailure": "SOME"},
    ):
        with pytest.raises(ClientError, match="ValidationException"):
            client.put_item(TableName=NAME, Item=BASE, **options)

    assert client.scan(TableName=NAME)["Count"] == 0


class TestTransactions:
    def test_a_request_that_is_sent_again_is_not_done_again(self, client: Any) -> None:
        update = {
            "TableName": NAME,
            "Key": key("t"),
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": n(1)},
        }
        for _ in range(2):
            client.transact_write_items(TransactItems=[{"Update": update}], ClientRequestToken="one")

        assert client.get_item(TableName=NAME, Key=key("t"))["Item"]["n"] == n(1)
        with pytest.raises(client.exceptions.IdempotentParameterMismatchException):
            client.transact_write_items(
                TransactItems=[{"Delete": {"TableName": NAME, "Key": key("t")}}], ClientRequestToken="one"
            )

    def test_nothing_is_written_if_one_condition_fails(self, client: Any) -> None:
        parts = [
            {"Put": {"TableName": NAME, "Item": item("first")}},
            {"Delete": {"TableName": NAME, "Key": key("second"), "ConditionExpression": "attribute_exists(n)"}},
        ]
        with pytest.raises(client.exceptions.TransactionCanceledException) as caught:
            client.transact_write_items(TransactItems=parts)

        assert [reason["Code"] for reason in caught.value.response["CancellationReasons"]] == [
            "None",
            "ConditionalCheckFailed",
        ]
        assert client.scan(TableName=NAME)["Count"] == 0

    def test_too_much_at_once_is_refused(self, client: Any) -> None:
        def puts(count: int, size: int) -> list[Any]:
            return [{"Put": {"TableName": NAME, "Item": item(str(one), v=s("x" * size))}} for one in range(count)]

        for parts in (puts(101, 1), puts(11, 399_000)):
            with pytest.raises(ClientError, match="ValidationException"):
                client.transact_write_items(TransactItems=parts)
        client.transact_write_items(TransactItems=puts(100, 1))


class TestBareTable:
    def test_it_counts_requests_and_bytes_by_kind(self) -> None:
        table = BareTable()
        client = table.client()
        row, checkpoint = item("alice", title=s("x" * 100)), item("alice#c##1", d={"B": b"x" * 50})
        client.put_item(TableName=table.name, Item=row)
        client.put_item(TableName=table.name, Item=checkpoint)
        client.query(
            TableName=table.name,
            KeyConditionExpression="conversation_id = :p",
            ExpressionAttributeValues={":p": s("p")},
        )
        counts = table.counts
        table.clear()

        assert (counts.writes, counts.reads) == (2, 1)
        assert counts.written == {"row": size_of(row), "c": size_of(checkpoint)}
        assert counts.written_bytes == counts.read_bytes == size_of(row) + size_of(checkpoint)
        assert (table.counts.writes, table.items("c"), table.items("row")) == (0, 1, 1)

    def test_a_partition_is_forgotten_from_table_and_index(self) -> None:
        table = BareTable()
        client = table.client()
        for pk in ("p", "q"):
            client.put_item(TableName=table.name, Item=item("alice", pk, created_at=s("2026")))
        table.clear()
        table.forget("p")

        assert (table.items("row"), table.counts.writes) == (1, 0)
        assert client.scan(TableName=table.name, IndexName="user_id-created_at-index")["Count"] == 1

    def test_a_refusal_is_botocores(self) -> None:
        table = BareTable()

        with pytest.raises(ClientError, match="The conditional request failed") as caught:
            table.client().put_item(TableName=table.name, Item=item(), ConditionExpression="attribute_exists(n)")

        assert caught.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
        assert caught.value.operation_name == "PutItem"

    def test_it_has_no_other_methods(self) -> None:
        client = BareTable().client()

        assert not hasattr(client, "batch_get_item")
        assert not hasattr(client, "exceptions")
        assert client.meta.config.max_pool_connections == 32

    def test_what_is_given_can_be_changed_without_changing_the_table(self) -> None:
        table = BareTable()
        given = item(uuid.uuid4().hex, l={"L": [n(1)]})
        table.client().put_item(TableName=table.name, Item=given)
        given["l"]["L"].append(n(2))
        found = table.client().get_item(TableName=table.name, Key={name: given[name] for name in key()})["Item"]

        assert found["l"] == {"L": [n(1)]}


def size_of(one: Item) -> int:
    """Bytes of an item of texts and bytes alone."""
    return sum(len(name) + len(next(iter(value.values()))) for name, value in one.items())
