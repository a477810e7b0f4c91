"""What DynamoDB Local is known to do otherwise than the memory engine, which does as AWS says it does.

Each test shows both answers: when one of them changes, it is time to look again.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.cases.calls import BASE, item, key, n, s
from tests.contract.pair import Pair, played
from tests.memory_engine.bare import INDEX

pytestmark = pytest.mark.engine("dynamodb-local")

UNITS: dict[str, Any] = {"ReturnConsumedCapacity": "TOTAL"}


def both(pair: Pair, method: str, **request: Any) -> tuple[Any, Any]:
    """The answers of the memory engine and of DynamoDB Local."""
    named = request if method.startswith("transact") else {"TableName": pair.name, **request}
    memory, local = (played(client, method, named) for client in (pair.memory, pair.local))
    return memory, local


def units(pair: Pair, method: str, **request: Any) -> tuple[Any, Any]:
    """The units of both engines."""
    answers = [getattr(client, method)(**request, **UNITS)["ConsumedCapacity"] for client in (pair.memory, pair.local)]
    first, second = (answer[0] if isinstance(answer, list) else answer for answer in answers)
    return first["CapacityUnits"], second["CapacityUnits"]


@pytest.mark.parametrize(("consistent", "billed"), [(False, 0.5), (True, 1.0)])
def test_a_query_that_finds_nothing_costs_the_least_read_in_aws(pair: Pair, consistent: bool, billed: float) -> None:
    at: dict[str, Any] = {
        "KeyConditionExpression": "conversation_id = :p",
        "ExpressionAttributeValues": {":p": s("none")},
    }

    assert units(pair, "query", TableName=pair.name, ConsistentRead=consistent, **at) == (billed, 0.0)


def test_a_query_of_the_index_that_finds_nothing_costs_the_least_read_in_aws(pair: Pair) -> None:
    at: dict[str, Any] = {"KeyConditionExpression": "user_id = :u", "ExpressionAttributeValues": {":u": s("none")}}

    assert units(pair, "query", TableName=pair.name, IndexName=INDEX, **at) == (0.5, 0.0)


@pytest.mark.parametrize("size", [10, 1500])
def test_a_transaction_costs_twice_its_writes_in_aws(pair: Pair, size: int) -> None:
    parts = [{"Put": {"TableName": pair.name, "Item": item("t", v=s("x" * size))}}]
    single = -(-size // 1024)

    assert units(pair, "transact_write_items", TransactItems=parts) == (2.0 * single, 4.0 * single)


def test_a_condition_check_costs_as_a_write_does(pair: Pair) -> None:
    check = {"TableName": pair.name, "Key": key("t"), "ConditionExpression": "attribute_not_exists(v)"}

    assert units(pair, "transact_write_items", TransactItems=[{"ConditionCheck": check}]) == (2.0, 4.0)


@pytest.mark.parametrize("value", [n(1), {"BOOL": True}, s("x" * 1025)], ids=lambda value: str(value)[:20])
def test_an_update_cannot_make_an_index_key_of_what_is_none_in_aws(pair: Pair, value: Any) -> None:
    update: dict[str, Any] = {"UpdateExpression": "SET created_at = :c", "ExpressionAttributeValues": {":c": value}}

    memory, local = both(pair, "update_item", Key=key(), **update)

    assert memory["code"] == "ValidationException"
    assert local == {} or "BOOL" in value


@pytest.mark.parametrize("word", ["size", "CONVERT"])
def test_two_reserved_words_are_none_in_dynamodb_local(pair: Pair, word: str) -> None:
    memory, local = both(pair, "get_item", Key=key(), ProjectionExpression=word)

    assert (memory["code"], local) == ("ValidationException", {})


def test_what_does_not_fit_an_item_cancels_a_transaction_in_aws(pair: Pair) -> None:
    update = {"TableName": pair.name, "Key": key(), "UpdateExpression": "SET n = q"}

    memory, local = both(pair, "transact_write_items", TransactItems=[{"Update": update}])

    assert (memory["code"], memory["reasons"]) == ("TransactionCanceledException", [("ValidationError", None)])
    assert local["code"] == "ValidationException"


def test_a_transaction_cannot_check_an_item_that_it_writes_in_aws(pair: Pair) -> None:
    check = {"TableName": pair.name, "Key": key(), "ConditionExpression": "attribute_exists(q)"}
    put = {"TableName": pair.name, "Item": item()}

    memory, local = both(pair, "transact_write_items", TransactItems=[{"Put": put}, {"ConditionCheck": check}])

    assert (memory["code"], local["code"]) == ("ValidationException", "TransactionCanceledException")


def test_updated_values_within_an_attribute_are_not_returned_here(pair: Pair) -> None:
    """AWS returns what changed, DynamoDB Local the whole attribute."""
    pair.call("put_item", Item=BASE)
    update: dict[str, Any] = {"UpdateExpression": "SET m.k = :a", "ExpressionAttributeValues": {":a": n(1)}}
    request = {"TableName": pair.name, "Key": key(), "ReturnValues": "UPDATED_NEW", **update}

    with pytest.raises(NotImplementedError, match="UPDATED_NEW of a path within an attribute"):
        pair.memory.update_item(**request)
    assert len(pair.local.update_item(**request)["Attributes"]["m"]["M"]) > 1


def test_dynamodb_local_leaves_zeros_in_sums(pair: Pair) -> None:
    values = {":a": n("1.5"), ":b": n("1.50")}
    update: dict[str, Any] = {"UpdateExpression": "SET n = :a - :b", "ExpressionAttributeValues": values}
    request = {"TableName": pair.name, "Key": key(), "ReturnValues": "ALL_NEW", **update}

    sums = [client.update_item(**request)["Attributes"]["n"] for client in (pair.memory, pair.local)]

    assert sums == [n(0), n("0.00")]


def test_dynamodb_local_reports_the_units_of_deleting_nothing_unasked(pair: Pair) -> None:
    answers = [client.delete_item(TableName=pair.name, Key=key("none")) for client in (pair.memory, pair.local)]

    assert ["ConsumedCapacity" in answer for answer in answers] == [False, True]


def test_dynamodb_local_fails_to_return_what_no_expression_updated(pair: Pair) -> None:
    memory, local = both(pair, "update_item", Key=key("fresh"), ReturnValues="UPDATED_NEW")

    assert (memory, local["status"]) == ({}, 500)


def test_dynamodb_local_has_no_tags_and_no_backups(pair: Pair) -> None:
    arn = pair.memory.describe_table(TableName=pair.name)["Table"]["TableArn"]

    assert both(pair, "describe_continuous_backups")[1]["code"] == "UnknownOperationException"
    assert played(pair.local, "list_tags_of_resource", {"ResourceArn": arn})["code"] == "UnknownOperationException"
    assert played(pair.memory, "list_tags_of_resource", {"ResourceArn": arn}) == {"Tags": []}


def test_a_negative_zero_keeps_its_sign_in_dynamodb_local(pair: Pair) -> None:
    zero: dict[str, Any] = {"UpdateExpression": "SET v = :v", "ExpressionAttributeValues": {":v": n("-0.0")}}

    memory, local = both(pair, "update_item", Key=key(), ReturnValues="UPDATED_NEW", **zero)

    assert (memory["Attributes"]["v"], local["Attributes"]["v"]) == (n(0), n("-0"))


def test_dynamodb_local_takes_digits_of_other_scripts(pair: Pair) -> None:
    memory, local = both(pair, "put_item", Item=item(v=n("\u0663")))

    assert (memory["code"], local) == ("ValidationException", {})


def test_dynamodb_local_starts_at_keys_that_are_too_long(pair: Pair) -> None:
    at = {"KeyConditionExpression": "conversation_id = :p", "ExpressionAttributeValues": {":p": s("p")}}

    memory, local = both(pair, "query", ExclusiveStartKey=key("x" * 1025), **at)

    assert (memory["code"], local["Count"]) == ("ValidationException", 0)


def test_dynamodb_local_fails_at_a_limit_of_more_than_31_bits(pair: Pair) -> None:
    request: Any = {"TableName": pair.name, "Limit": 2**31}

    with pytest.raises(NotImplementedError, match="Limit of more than 31 bits"):
        pair.memory.scan(**request)
    assert played(pair.local, "scan", request)["status"] == 500
