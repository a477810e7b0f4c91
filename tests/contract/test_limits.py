"""Sizes, limits and pages to the byte, on both engines."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.cases.calls import Item, Value, item, key, n, s
from tests.contract.pair import Pair
from tests.memory_engine.items.item import Item as StoredItem
from tests.memory_engine.items.sizes import ITEM_BYTES, PAGE_BYTES, READ_UNIT_BYTES, WRITE_UNIT_BYTES

pytestmark = pytest.mark.engine("dynamodb-local")

KB = 1024
NUMBERS = """
0 -0 1 9 10 11 99 100 101 110 123 1000 1234 12345 -1 -10 -12 -123 0.1 0.01 0.12 0.012 1.1 1.12 10.1 123.4 -0.1
-1.1 1E10 1E11 1.5E10 1.5E11 1E-10 1E-11 1E125 9.9999999999999999999999999999999999999E125 1E-130 -1E125
1732530000 1732530001 00012.500 1e2 +5 .5 5. 0E5 1.50E1 123456789E30 11111111111111111111111111111111111111
111111111111111111111111111111111111110 0e2147483647 0e-2147483647
""".split()

NOT_NUMBERS = (
    "",
    "abc",
    " 5",
    "5 ",
    "NaN",
    "Infinity",
    "0x10",
    "1_000",
    "--1",
    ".",
    "1E",
    "1E126",
    "1E400",
    "1E2147483647",
    "1E99999999999",
    "1E-99999999999",
    "0E2147483648",
    "1E-131",
    "1" * 39,
)

SIZED: list[Value] = [
    *map(n, NUMBERS),
    *map(s, ("", "a", "é", "😀")),
    {"B": b""},
    {"B": b"abc"},
    {"BOOL": True},
    {"NULL": True},
    {"L": []},
    {"L": [s("ab"), {"NULL": True}, {"L": []}]},
    {"M": {}},
    {"M": {"k": s("ab"), "é": {"M": {"j": n("12.3")}}}},
    {"SS": ["a", "bc"]},
    {"NS": ["1", "22", "333"]},
    {"BS": [b"a", b"bc"]},
]

REFUSED: list[Value] = [
    *map(n, NOT_NUMBERS),
    {"SS": []},
    {"SS": ["a", "a"]},
    {"NS": []},
    {"NS": ["1", "1.0"]},
    {"BS": []},
    {"BS": [b"a", b"a"]},
    {"NULL": False},
    {},
    {"S": "a", "N": "1"},
    {"M": {"": s("a")}},
    {"L": [{"SS": []}]},
    {"L": [{}]},
]


def test_items_are_as_large_as_dynamodb_counts_them(pair: Pair) -> None:
    for value in SIZED:
        bare = StoredItem.of(item("sized", v=value, f=s(""))).size
        for size in (WRITE_UNIT_BYTES, WRITE_UNIT_BYTES + 1):
            filled = item("sized", v=value, f=s("x" * (size - bare)))
            answer = pair.call("put_item", Item=filled, ReturnConsumedCapacity="TOTAL")
            pair.call("delete_item", Key=key("sized"))
            assert answer["ConsumedCapacity"]["CapacityUnits"] == -(-size // WRITE_UNIT_BYTES), value


@pytest.mark.parametrize("size", [100, 4096, 4097, 8192, 8193])
def test_a_read_costs_one_unit_for_each_4_kb(pair: Pair, size: int) -> None:
    bare = StoredItem.of(item("read", v=s(""))).size
    pair.call("put_item", Item=item("read", v=s("x" * (size - bare))))
    for consistent in (True, False):
        more: dict[str, Any] = {"ConsistentRead": consistent, "ReturnConsumedCapacity": "TOTAL"}
        answer = pair.call("get_item", Key=key("read"), **more)
        units = -(-size // READ_UNIT_BYTES) * (1.0 if consistent else 0.5)
        assert answer["ConsumedCapacity"]["CapacityUnits"] == units
        pair.call("scan", Select="COUNT", **more)


def test_pages_cost_what_their_items_have_together(pair: Pair) -> None:
    for number in range(10):
        pair.call("put_item", Item=item(f"{number}", "many", v=s("x" * 1000)))
    at: dict[str, Any] = {
        "KeyConditionExpression": "conversation_id = :p",
        "ExpressionAttributeValues": {":p": s("many")},
    }
    for limit in (1, 3, 4, 7, 8, 10):
        for consistent in (True, False):
            pair.call("query", ConsistentRead=consistent, Limit=limit, ReturnConsumedCapacity="INDEXES", **at)


def test_numbers_come_back_in_the_same_form(pair: Pair) -> None:
    for number in NUMBERS:
        pair.call("put_item", Item=item("number", v=n(number), set={"NS": [number]}))
        found = [
            client.get_item(TableName=pair.name, Key=key("number"))["Item"] for client in (pair.memory, pair.local)
        ]
        assert found[0] == found[1]


def test_values_that_no_item_can_have_are_refused(pair: Pair) -> None:
    for value in REFUSED:
        assert "code" in pair.call("put_item", Item=item("refused", v=value)), value
        assert "code" in pair.call(
            "update_item", Key=key("refused"), UpdateExpression="SET v = :v", ExpressionAttributeValues={":v": value}
        ), value


@pytest.mark.parametrize("inner", [s("x"), {"L": []}, {"M": {}}, {"SS": ["a"]}], ids=str)
def test_lists_and_maps_are_within_each_other_31_times(pair: Pair, inner: Value) -> None:
    for depth in (30, 31, 32):
        value = inner
        for level in range(depth):
            value = {"L": [value]} if level % 2 else {"M": {"k": value}}
        pair.call("put_item", Item=item("deep", v=value))
    pair.call("put_item", Item=item("deep", m={"M": {"k": {"M": {}}}}))
    for depth in (28, 29, 30):
        value = inner
        for _ in range(depth):
            value = {"L": [value]}
        more: dict[str, Any] = {"UpdateExpression": "SET m.k.j = :v", "ExpressionAttributeValues": {":v": value}}
        pair.call("update_item", Key=key("deep"), **more)


@pytest.mark.parametrize("name", ["v", "longer"])
def test_what_an_update_sets_is_measured_before_its_condition_is_looked_at(pair: Pair, name: str) -> None:
    """The value and its name, without the rest of the item."""
    room = ITEM_BYTES - len(name)
    for size in (room, room + 1):
        update: dict[str, Any] = {"UpdateExpression": f"SET {name} = :v", "ConditionExpression": "attribute_exists(q)"}
        answer = pair.call("update_item", Key=key(), ExpressionAttributeValues={":v": s("x" * size)}, **update)
        assert answer["code"] == ("ValidationException" if size > room else "ConditionalCheckFailedException")


@pytest.mark.parametrize("condition", ["v = :v", "v = :v OR v = :w"])
def test_a_condition_has_at_most_1_mb_with_its_values(pair: Pair, condition: str) -> None:
    names = [name for name in (":v", ":w") if name in condition]
    room = (1024 * KB - len(condition)) // len(names)
    for size in (room, room + 1):
        values = {name: s("x" * size) for name in names}
        answer = pair.call("delete_item", Key=key(), ConditionExpression=condition, ExpressionAttributeValues=values)
        assert answer["code"] == ("ValidationException" if size > room else "ConditionalCheckFailedException")


def test_a_value_that_only_a_condition_names_may_be_larger_than_an_item(pair: Pair) -> None:
    values = {":v": s("x"), ":w": s("x" * (ITEM_BYTES + 1))}
    update: dict[str, Any] = {"UpdateExpression": "SET v = :v", "ConditionExpression": "q = :w"}

    answer = pair.call("update_item", Key=key(), ExpressionAttributeValues=values, **update)

    assert answer["code"] == "ConditionalCheckFailedException"


@pytest.mark.parametrize("size", [36, 37])
def test_the_token_of_a_transaction_has_at_most_36_characters(pair: Pair, size: int) -> None:
    parts = [{"Put": {"TableName": pair.name, "Item": item()}}]

    answer = pair.transact("transact_write_items", TransactItems=parts, ClientRequestToken="x" * size)

    assert ("code" in answer) is (size > 36)


@pytest.mark.parametrize("value", [n(1), s(""), s("x" * 1025)], ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("condition", ["attribute_exists(q)", "attribute_not_exists(q)"])
def test_what_the_index_cannot_have_is_found_before_the_condition(pair: Pair, value: Value, condition: str) -> None:
    put = {"Item": item("indexed", created_at=value), "ConditionExpression": condition}

    assert pair.call("put_item", **put)["code"] == "ValidationException"
    pair.transact("transact_write_items", TransactItems=[{"Put": {"TableName": pair.name, **put}}])


def test_a_condition_check_has_a_condition(pair: Pair) -> None:
    check = {"TableName": pair.name, "Key": key()}

    assert "code" in pair.transact("transact_write_items", TransactItems=[{"ConditionCheck": check}])


def test_an_item_has_at_most_400_kb(pair: Pair) -> None:
    room = ITEM_BYTES - StoredItem.of(item("large", v=s(""))).size
    for size in (room, room + 1):
        pair.call("put_item", Item=item("large", v=s("x" * size)), ReturnConsumedCapacity="INDEXES")
        more: dict[str, Any] = {"UpdateExpression": "SET v = :v", "ExpressionAttributeValues": {":v": s("x" * size)}}
        answer = pair.call("update_item", Key=key("large"), **more)
        assert answer.get("words", [False, False])[1] is (size > room)
    pair.call("update_item", Key=key("large"), UpdateExpression="SET w = v")


@pytest.mark.parametrize(
    ("pk", "sk", "more"),
    [
        ("x" * 2048, "s", {}),
        ("x" * 2049, "s", {}),
        ("é" * 1025, "s", {}),
        ("p", "x" * 1024, {}),
        ("p", "x" * 1025, {}),
        ("", "s", {}),
        ("p", "", {}),
        ("p", "s", {"created_at": s("x" * 1024)}),
        ("p", "s", {"created_at": s("x" * 1025)}),
        ("p", "s", {"created_at": s("")}),
        ("p", "s", {"created_at": n(1)}),
        ("p", "s", {"created_at": {"NULL": True}}),
        ("p", "s", {"conversation_id": n(1)}),
        ("p", "s", {"": s("x")}),
        ("p", "s", {"x" * 65535: s("x")}),
        ("p", "s", {"x" * 65536: s("x")}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_keys_and_names_have_their_limits(pair: Pair, pk: str, sk: str, more: Item) -> None:
    pair.call("put_item", Item={**key(sk, pk), **more})
    pair.call("get_item", Key=key(sk, pk))
    pair.call("delete_item", Key=key(sk, pk))
    pair.call("update_item", Key=key(sk, pk))


@pytest.mark.parametrize(
    "given", [{}, {"conversation_id": s("p")}, {**key(), "n": n(1)}, {**key(), "user_id": n(1)}], ids=str
)
def test_another_key_than_the_tables_is_refused(pair: Pair, given: Item) -> None:
    for method in ("get_item", "delete_item", "update_item"):
        pair.call(method, Key=given)
    pair.call("put_item", Item=given)


@pytest.mark.parametrize(
    "sizes",
    [
        [256 * KB] * 5,
        [256 * KB] * 4,
        [256 * KB - 1] * 6,
        [256 * KB] * 3 + [256 * KB - 1, 100, 100],
        [399 * KB] * 4,
        [200 * KB] * 5 + [24 * KB, 1, 100],
    ],
    ids=str,
)
def test_a_page_ends_with_the_item_that_fills_1_mb(pair: Pair, sizes: list[int]) -> None:
    for number, size in enumerate(sizes):
        bare = StoredItem.of(item(f"{number:04}", "pages", v=s(""))).size
        pair.call("put_item", Item=item(f"{number:04}", "pages", v=s("x" * max(size - bare, 0))))
    more: dict[str, Any] = {
        "KeyConditionExpression": "conversation_id = :p",
        "ExpressionAttributeValues": {":p": s("pages")},
        "Select": "COUNT",
        "ReturnConsumedCapacity": "TOTAL",
    }
    pages = [pair.call("query", **more)]
    while "LastEvaluatedKey" in pages[-1]:
        pages.append(pair.call("query", ExclusiveStartKey=pages[-1]["LastEvaluatedKey"], **more))

    assert (len(pages) > 1) is (sum(sizes[:-1]) >= PAGE_BYTES)
    assert sum(page["Count"] for page in pages) == len(sizes)


def schema(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]


def index(name: str, projection: dict[str, Any], *names: str) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": schema(*names), "Projection": projection}


@pytest.fixture
def typed_pair(local: Any) -> Iterator[Pair]:
    """A table with a number as its sort key, and indexes that have not all attributes."""
    types = {"h": "S", "r": "N", "g": "S", "b": "B"}
    definition = {
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()],
        "KeySchema": schema("h", "r"),
        "GlobalSecondaryIndexes": [
            index("keys", {"ProjectionType": "KEYS_ONLY"}, "g", "b"),
            index("some", {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]}, "g"),
            index("all", {"ProjectionType": "ALL"}, "b", "r"),
        ],
    }
    pair = Pair(local, f"contract-{uuid.uuid4()}", definition)
    yield pair
    pair.close()


def test_indexes_have_what_they_project_and_cost_what_they_have(typed_pair: Pair) -> None:
    first = {"h": s("a"), "r": n(1), "g": s("g"), "b": {"B": b"b"}, "x": s("x" * 10), "y": s("y" * 2000)}
    second = {**first, "y": s("y" * 2001)}
    changes = (
        first,
        first,
        second,
        {**second, "x": s("x")},
        {**second, "b": {"B": b"c"}},
        {"h": s("a"), "r": n(1)},
        second,
    )
    for changed in changes:
        typed_pair.call("put_item", Item=changed, ReturnConsumedCapacity="INDEXES")
    for number in ("10", "2", "-3", "2.5", "1E2"):
        typed_pair.call("put_item", Item={**first, "r": n(number), "b": {"B": number.encode()}})
    at: dict[str, Any] = {"KeyConditionExpression": "g = :g", "ExpressionAttributeValues": {":g": s("g")}}
    for name in ("keys", "some"):
        typed_pair.pages("query", IndexName=name, **at)
        for more in (
            {"Select": "ALL_ATTRIBUTES"},
            {"ProjectionExpression": "y"},
            {"FilterExpression": "attribute_exists(y)"},
        ):
            typed_pair.call("query", IndexName=name, **more, **at)
        typed_pair.pages("scan", IndexName=name)
    typed_pair.pages("query", IndexName="some", ProjectionExpression="x, h", Limit=2, **at)
    typed_pair.call(
        "delete_item", Key={"h": s("a"), "r": n("1.0")}, ReturnConsumedCapacity="INDEXES", ReturnValues="ALL_OLD"
    )


def test_numbers_and_bytes_sort_as_what_they_are(typed_pair: Pair) -> None:
    for number in ("10", "2", "-3", "2.5", "1E2", "0.1", "-0.5"):
        typed_pair.call("put_item", Item={"h": s("a"), "r": n(number), "g": s("g"), "b": {"B": number.encode()}})
    named = {":h": s("a"), ":r": n("-1"), ":s": n("2.50"), ":b": {"B": b"1"}, ":c": {"B": b"2.5"}, ":g": s("g")}
    for text in (
        "h = :h",
        "h = :h AND r > :r",
        "h = :h AND r <= :s",
        "h = :h AND r BETWEEN :r AND :s",
        "h = :h AND r = :s",
    ):
        used = {name: value for name, value in named.items() if name in text.split()}
        for forward in (True, False):
            for more in ({}, {"Limit": 2}):
                typed_pair.call(
                    "query",
                    KeyConditionExpression=text,
                    ExpressionAttributeValues=used,
                    ScanIndexForward=forward,
                    **more,
                )
    for text in ("g = :g", "g = :g AND b BETWEEN :b AND :c", "g = :g AND begins_with(b, :b)", "g = :g AND b < :c"):
        used = {name: value for name, value in named.items() if name in text.replace(")", " ").split()}
        typed_pair.call("query", IndexName="keys", KeyConditionExpression=text, ExpressionAttributeValues=used, Limit=3)
    typed_pair.call(
        "query",
        KeyConditionExpression="h = :h AND begins_with(r, :r)",
        ExpressionAttributeValues={":h": s("a"), ":r": n(1)},
    )


def test_a_table_needs_no_sort_key(local: Any) -> None:
    definition = {
        "AttributeDefinitions": [
            {"AttributeName": "h", "AttributeType": "S"},
            {"AttributeName": "g", "AttributeType": "S"},
        ],
        "KeySchema": schema("h"),
        "GlobalSecondaryIndexes": [index("by-g", {"ProjectionType": "ALL"}, "g")],
    }
    pair = Pair(local, f"contract-{uuid.uuid4()}", definition)
    for name in ("a", "b", "c"):
        pair.call("put_item", Item={"h": s(name), "g": s("g")}, ReturnConsumedCapacity="INDEXES")
    for more in (
        {},
        {"Limit": 1},
        {"Limit": 2},
        {"ExclusiveStartKey": {"h": s("a")}},
        {"ExclusiveStartKey": {"h": s("b")}},
    ):
        pair.call("query", KeyConditionExpression="h = :h", ExpressionAttributeValues={":h": s("a")}, **more)
    pair.pages(
        "query", IndexName="by-g", KeyConditionExpression="g = :g", ExpressionAttributeValues={":g": s("g")}, Limit=2
    )
    pair.pages("scan", Limit=2)
    pair.call("get_item", Key={"h": s("a")})
    pair.call("get_item", Key={"h": s("a"), "r": s("x")})
    pair.call("query", IndexName="nope", KeyConditionExpression="g = :g", ExpressionAttributeValues={":g": s("g")})
    pair.close()
