"""The test engines themselves: what the other tests take for granted."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.memory_engine.bare import INDEX
from tests.requests_log import RequestLog

pytestmark = pytest.mark.engine("memory", "dynamodb-local", "moto")


def item(user: str, **attributes: Any) -> dict[str, Any]:
    return {"conversation_id": {"S": "conversation"}, "user_id": {"S": user}, **attributes}


def add_one(client: Any, table_name: str) -> int:
    answer = client.update_item(
        TableName=table_name,
        Key=item("counter"),
        UpdateExpression="ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
        ReturnValues="ALL_NEW",
    )
    return int(answer["Attributes"]["n"]["N"])


def test_a_request_acts_once(client, table_name):
    assert [add_one(client, table_name) for _ in range(3)] == [1, 2, 3]


def test_requests_from_many_threads_are_atomic(client, table_name):
    with ThreadPoolExecutor(16) as pool:
        counts = list(pool.map(lambda _: add_one(client, table_name), range(64)))

    assert sorted(counts) == list(range(1, 65))


def test_a_test_reaches_only_this_machine():
    with socket.socket() as connection, pytest.raises(PermissionError, match="tried to connect"):
        connection.connect(("192.0.2.1", 80))


def test_the_log_has_operation_key_size_and_error_of_each_request(client, table_name):
    with RequestLog(client) as log:
        client.put_item(TableName=table_name, Item=item("a"))
        client.get_item(TableName=table_name, Key=item("a"))
        with pytest.raises(client.exceptions.ConditionalCheckFailedException):
            client.put_item(TableName=table_name, Item=item("a"), ConditionExpression="attribute_not_exists(user_id)")
    client.get_item(TableName=table_name, Key=item("a"))

    assert log.operations == ["PutItem", "GetItem", "PutItem"]
    assert {request.table_key for request in log.requests} == {("conversation", "a")}
    assert all(request.request_bytes and request.response_bytes for request in log.requests)
    assert [request.error for request in log.requests] == [None, None, "ConditionalCheckFailedException"]


@pytest.mark.engine("dynamodb-local")
def test_the_log_sums_the_units_of_table_and_index(client, table_name):
    with RequestLog(client) as log:
        client.put_item(TableName=table_name, Item=item("a"))
        client.put_item(TableName=table_name, Item=item("b", created_at={"S": "2026-01-01T00:00:00Z"}))
        client.get_item(TableName=table_name, Key=item("a"), ConsistentRead=True)
        client.query(
            TableName=table_name,
            IndexName=INDEX,
            KeyConditionExpression="user_id = :user",
            ExpressionAttributeValues={":user": {"S": "b"}},
        )

    assert [(request.table_units, request.index_units) for request in log.requests] == [
        (1.0, 0),
        (1.0, 1.0),
        (1.0, 0),
        (0.0, 0.5),
    ]
    assert (log.wru, log.rru) == (3.0, 1.5)


@pytest.mark.engine("memory", "dynamodb-local")
@pytest.mark.parametrize("consistent", [True, False])
def test_a_read_of_nothing_counts_as_one_unit_or_half_of_one_as_aws_bills_it(client, table_name, consistent):
    nothing = {":id": {"S": "conversation"}}
    with RequestLog(client) as log:
        client.get_item(TableName=table_name, Key=item("a"), ConsistentRead=consistent)
        client.query(
            TableName=table_name,
            KeyConditionExpression="conversation_id = :id",
            ExpressionAttributeValues=nothing,
            ConsistentRead=consistent,
        )

    assert [request.table_units for request in log.requests] == [1.0 if consistent else 0.5] * 2


@pytest.mark.engine("memory", "dynamodb-local")
def test_a_query_of_an_index_that_finds_nothing_counts_as_half_a_unit_of_the_index(client, table_name):
    with RequestLog(client) as log:
        client.query(
            TableName=table_name,
            IndexName=INDEX,
            KeyConditionExpression="user_id = :user",
            ExpressionAttributeValues={":user": {"S": "nobody"}},
        )

    assert [(request.table_units, request.index_units) for request in log.requests] == [(0, 0.5)]


NEVER = {"ConditionExpression": "attribute_exists(k)"}


@pytest.mark.engine("memory", "dynamodb-local")
@pytest.mark.parametrize(("there", "new", "units"), [(None, 500, 1), (500, 2500, 3), (3500, 500, 4), (3500, 4200, 5)])
def test_a_refused_write_counts_like_a_write_of_the_larger_of_what_is_there_and_what_was_to_be(
    client, table_name, there, new, units
):
    if there is not None:
        client.put_item(TableName=table_name, Item=item("a", letter={"S": "x" * there}))
    text = {":text": {"S": "y" * new}}
    update = {"UpdateExpression": "SET letter = :text", "ExpressionAttributeValues": text}
    with RequestLog(client) as log:
        with pytest.raises(client.exceptions.ConditionalCheckFailedException):
            client.put_item(TableName=table_name, Item=item("a", letter=text[":text"]), **NEVER)
        with pytest.raises(client.exceptions.ConditionalCheckFailedException):
            client.update_item(TableName=table_name, Key=item("a"), **update, **NEVER)

    assert [request.units for request in log.requests] == [units, units]
    assert log.wru == 2 * units


@pytest.mark.engine("memory", "dynamodb-local")
def test_a_refused_delete_counts_like_one_that_is_done(client, table_name):
    client.put_item(TableName=table_name, Item=item("a", letter={"S": "x" * 3500}))
    with RequestLog(client) as log:
        with pytest.raises(client.exceptions.ConditionalCheckFailedException):
            client.delete_item(TableName=table_name, Key=item("a"), **NEVER)
        client.delete_item(TableName=table_name, Key=item("a"))

    assert [request.units for request in log.requests] == [4.0, 4.0]


@pytest.mark.engine("memory", "dynamodb-local")
def test_a_refused_update_that_could_not_have_been_done_counts_by_what_is_there(client, table_name):
    client.put_item(TableName=table_name, Item=item("a", letter={"S": "x" * 1500}))
    update = {"UpdateExpression": "SET n = m + :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
    with RequestLog(client) as log, pytest.raises(client.exceptions.ConditionalCheckFailedException):
        client.update_item(TableName=table_name, Key=item("a"), **update, **NEVER)

    assert log.wru == 2
