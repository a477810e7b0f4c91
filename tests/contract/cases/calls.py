"""Named calls: each operation and expression that the package sends, and what they are made of.

A case's calls are played in their order on a table that has at least the item `BASE`; a case that changes more than
its own items begins by putting them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Value = dict[str, Any]
Item = dict[str, Value]


def s(text: str) -> Value:
    return {"S": text}


def n(number: object) -> Value:
    return {"N": str(number)}


def key(sk: str = "base", pk: str = "p") -> Item:
    return {"conversation_id": s(pk), "user_id": s(sk)}


def item(sk: str = "base", pk: str = "p", **attributes: Value) -> Item:
    return {**key(sk, pk), **attributes}


BASE = item(
    n=n(5),
    n2=n(5),
    s=s("abc"),
    e=s(""),
    em=s("a😀"),
    b={"B": b"abc"},
    l={"L": [n(1), s("x"), {"M": {"k": n(5)}}]},
    m={"M": {"k": s("v"), "n": n(2), "deep": {"M": {"x": {"L": [n(1), n(2), n(3)]}}}}},
    ss={"SS": ["a", "b"]},
    ns={"NS": ["1", "2.5"]},
    bs={"BS": [b"x", b"y"]},
    t={"BOOL": True},
    z={"NULL": True},
)
"""An item with a value of each type."""


@dataclass(frozen=True)
class Call:
    """One request.

    Args:
        method: The client's.
        request: Its parameters, but for the table's name.
    """

    method: str
    request: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """Calls with a name."""

    name: str
    calls: tuple[Call, ...]


def lines(text: str) -> tuple[str, ...]:
    """Expressions, one a line."""
    return tuple(text.strip("\n").split("\n"))


def call(method: str, **request: Any) -> Call:
    return Call(method, request)


def put(one: Item, **more: Any) -> Call:
    return call("put_item", Item=one, **more)


def get(sk: str = "base", pk: str = "p", **more: Any) -> Call:
    return call("get_item", Key=key(sk, pk), **more)


def update(expression: str | None, sk: str = "base", **more: Any) -> Call:
    return call(
        "update_item", Key=key(sk), **({"UpdateExpression": expression} if expression is not None else {}), **more
    )


def delete(sk: str, **more: Any) -> Call:
    return call("delete_item", Key=key(sk), **more)


def condition(expression: str, **more: Any) -> tuple[Call, Call]:
    """Writes that change nothing, on a condition on the base item and on no item."""
    returned = {"ReturnValues": "ALL_OLD", "ReturnValuesOnConditionCheckFailure": "ALL_OLD", **more}
    return (
        call("update_item", Key=key(), ConditionExpression=expression, **returned),
        call("delete_item", Key=key("missing"), ConditionExpression=expression, **returned),
    )


def query(expression: str, **more: Any) -> Call:
    return call("query", KeyConditionExpression=expression, **more)


def placeholders(values: Mapping[str, Value] | None, names: Mapping[str, str] | None) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if values is not None:
        given["ExpressionAttributeValues"] = values
    if names is not None:
        given["ExpressionAttributeNames"] = names
    return given


def one_of_each(prefix: str, calls: Mapping[str, Call | tuple[Call, ...]]) -> Iterator[Case]:
    """Cases by name, with the base item put before each."""
    for name, made in calls.items():
        yield Case(f"{prefix}: {name}", (put(BASE), *(made if isinstance(made, tuple) else (made,)), get()))


PK_NAME = {"#pk": "conversation_id"}
BOTH_NAMES = {**PK_NAME, "#sk": "user_id"}
TIME_NAMES = {"#live_until": "live_until", "#expires_at": "expires_at"}
LIVE = " AND ".join(f"(attribute_not_exists({name}) OR {name} > :time)" for name in TIME_NAMES)
UNITS = {"ReturnConsumedCapacity": "INDEXES"}
