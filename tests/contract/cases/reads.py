"""Reads: projections, key conditions, bounds, limits, filters, starting keys, of the table and of its index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.contract.cases.calls import (
    UNITS,
    Call,
    Case,
    Item,
    Value,
    call,
    get,
    item,
    key,
    lines,
    n,
    placeholders,
    put,
    query,
    s,
)
from tests.memory_engine.bare import INDEX

PK = "conversation_id = :p"
P = {":p": s("pages")}
VALUES = {
    **P,
    ":a": s("s2"),
    ":b": s("s4"),
    ":x": s("s"),
    ":u": s("user"),
    ":c": s("c1"),
    ":d": s("c2"),
    ":e": s("even"),
    ":n": n(3),
}

FILL = (
    *(put(item(f"s{i}", "pages", created_at=s(f"c{i}"), n=n(i), f=s("odd" if i % 2 else "even"))) for i in range(6)),
    *(put(item("user", f"o{i}", created_at=s(f"c{i}"), n=n(i))) for i in range(4)),
)
"""A partition of six items, and four of one user in partitions of their own."""

PROJECTIONS = lines("""
n
n, l[1]
l[2], l[0]
l[2].k
l[2].k, l[0]
m.k
m.deep.x[1]
m.deep.x[2], m.k, m.deep.x[0]
m.q
q
n.b
l[9]
l[0], m.deep.x[7]
user_id
#n, s
conversation_id, user_id
ss, bs, ns, t, z, b, e
n,
n n
n, n
m, m.k
user_id.x
created_at[0]
l, l[0]
l[2], l[2].k
m.k, m[0]
size(n)
:a
(n)
name
#q
""")

RANGES = (
    "",
    *lines("""
 AND user_id = :a
 AND user_id < :b
 AND user_id <= :b
 AND user_id > :a
 AND user_id >= :a
 AND user_id BETWEEN :a AND :b
 AND user_id BETWEEN :a AND :a
 AND begins_with(user_id, :x)
 AND begins_with(user_id, :a)
"""),
)
INDEX_RANGES = (
    "",
    *lines("""
 AND created_at = :c
 AND created_at < :d
 AND created_at <= :d
 AND created_at > :c
 AND created_at >= :c
 AND created_at BETWEEN :c AND :d
 AND begins_with(created_at, :c)
"""),
)

CONDITIONS = lines(
    """
:p = conversation_id
({pk})
({pk}) AND (user_id > :a)
({pk} AND user_id > :a)
user_id > :a AND {pk}
{pk} AND :a < user_id
(({pk}))
{pk} AND user_id BETWEEN :b AND :a
{pk} AND user_id <> :a
{pk} AND user_id IN (:a)
{pk} OR user_id = :a
NOT {pk}
conversation_id > :p
user_id = :p
{pk} AND n = :n
{pk} AND user_id = :a AND user_id = :b
{pk} AND {pk}
{pk} AND user_id = conversation_id
{pk} AND user_id > :a AND user_id < :b
{pk} AND contains(user_id, :a)
{pk} AND attribute_exists(user_id)
begins_with(conversation_id, :p)
conversation_id BETWEEN :a AND :b
{pk} AND size(user_id) = :n
{pk} AND user_id.x = :a
{pk} AND user_id > :n
{pk} AND
{pk} AND user_id > :z
""".replace("{pk}", PK)
)

WRONG_VALUES: tuple[tuple[str, dict[str, Value]], ...] = (
    (PK, {":p": n(1)}),
    (PK, {":p": s("")}),
    (PK, {":p": s("x" * 2049)}),
    (f"{PK} AND user_id > :a", {**P, ":a": s("")}),
    (f"{PK} AND user_id BETWEEN :a AND :b", {**P, ":a": s(""), ":b": s("x")}),
    (f"{PK} AND begins_with(user_id, :a)", {**P, ":a": s("")}),
    (f"{PK} AND user_id > :a", {**P, ":a": s("x" * 1025)}),
    (f"{PK} AND begins_with(user_id, :a)", {**P, ":a": n(1)}),
)

STARTS: tuple[Item, ...] = (
    key("s1", "pages"),
    key("s1x", "pages"),
    key("s5", "pages"),
    key("zz", "pages"),
    key("s0", "pages"),
    key("s2", "pages"),
    # refused
    key("s1", "elsewhere"),
    {"conversation_id": s("pages")},
    {**key("s1", "pages"), "created_at": s("c1")},
    key("", "pages"),
    {"conversation_id": s("pages"), "user_id": n(1)},
)

SELECTIONS: tuple[dict[str, Any], ...] = (
    {"Select": "COUNT"},
    {"Select": "ALL_ATTRIBUTES"},
    {"Select": "SPECIFIC_ATTRIBUTES", "ProjectionExpression": "n"},
    {"Select": "COUNT", "ProjectionExpression": "n"},
    {"Select": "SPECIFIC_ATTRIBUTES"},
    {"Select": "ALL_PROJECTED_ATTRIBUTES"},
    {"Select": "ALL_ATTRIBUTES", "ProjectionExpression": "n"},
    {"Select": "FOO"},
    {"ProjectionExpression": "user_id, n"},
)


WRONG: tuple[dict[str, Any], ...] = (
    {"Limit": 0},
    {"Limit": -1},
    {"IndexName": "nope"},
    {"IndexName": INDEX, "ConsistentRead": True},
)


def cases() -> Iterator[Case]:
    """All of them; the items are put by the first."""
    yield Case("reads: fill", FILL)
    for text in ("", *PROJECTIONS):
        yield Case(
            f"projection {text!r}",
            (get(ProjectionExpression=text, **placeholders(None, {"#n": "n"} if "#n" in text else None)),),
        )
    for name, one in (("none", "missing"), ("there", "base")):
        for consistent in (False, True):
            yield Case(f"get: {name}, consistent {consistent}", (get(one, ConsistentRead=consistent, **UNITS),))
    yield from _queries()
    yield from _filters()
    yield from _scans()


def _queries() -> Iterator[Case]:
    for forward in (True, False):
        for text in RANGES:
            for limit in (1, 2, 3, 4, 5, 6, 7):
                yield _case(PK + text, ScanIndexForward=forward, Limit=limit)
            yield _case(PK + text, ScanIndexForward=forward, ConsistentRead=True)
        for text in INDEX_RANGES:
            for limit in (1, 2, 4):
                yield _case("user_id = :u" + text, IndexName=INDEX, ScanIndexForward=forward, Limit=limit)
            yield _case("user_id = :u" + text, IndexName=INDEX, ScanIndexForward=forward)
        for start in STARTS:
            for text in ("", " AND user_id > :a", " AND user_id BETWEEN :a AND :b"):
                yield _case(PK + text, ScanIndexForward=forward, ExclusiveStartKey=start)
    for text in ("", *CONDITIONS):
        yield _case(text)
    for text, values in WRONG_VALUES:
        yield Case(f"query {text!r} {str(values)[:60]}", (query(text, ExpressionAttributeValues=values),))
    yield Case("query: no condition", (call("query"),))


def _filters() -> Iterator[Case]:
    for limit in (None, 1, 2, 6, 7):
        more: dict[str, Any] = {} if limit is None else {"Limit": limit}
        yield _case(PK, FilterExpression="f = :e", **more)
        yield _case(PK, FilterExpression="f = :e", Select="COUNT", **more)
        yield _case("user_id = :u", IndexName=INDEX, FilterExpression="n >= :n", **more)
    for text in (
        "user_id = :a",
        "conversation_id = :p",
        "attribute_exists(user_id)",
        "created_at = :c",
        "n > :n OR f = :e",
        "n >",
        "",
        "f = :e AND",
    ):
        yield _case(PK, FilterExpression=text)
    yield _case("user_id = :u", IndexName=INDEX, FilterExpression="created_at = :c")
    yield _case("user_id = :u", IndexName=INDEX, FilterExpression="size(created_at) > :n")
    yield _case(PK, FilterExpression="n = :n OR size(conversation_id) > :n")
    yield _case("user_id = :u", IndexName=INDEX, FilterExpression="begins_with(conversation_id, :u)")
    for selection in SELECTIONS:
        yield _case(PK, **selection)
        yield _case("user_id = :u", IndexName=INDEX, **selection)
    for wrong in WRONG:
        yield _case("user_id = :u" if "IndexName" in wrong else PK, **wrong)
    for start in (
        key("user", "o1"),
        {**key("user", "o1"), "created_at": s("c1")},
        {**key("other", "o1"), "created_at": s("c1")},
    ):
        yield _case("user_id = :u", IndexName=INDEX, ExclusiveStartKey=start)
        yield _case("user_id = :u AND created_at > :d", IndexName=INDEX, ExclusiveStartKey=start)


def _scans() -> Iterator[Case]:
    yield Case("scan: count", (call("scan", Select="COUNT", **UNITS),))
    yield Case("scan: consistent", (call("scan", Select="COUNT", ConsistentRead=True, **UNITS),))
    for wrong in (*WRONG, {"Select": "FOO"}):
        yield Case(f"scan: {wrong}", (call("scan", **wrong),))
    for start in (
        {"conversation_id": s("p")},
        key("", "p"),
        {**key(), "n": n(1)},
        {"conversation_id": s("p"), "user_id": n(1)},
    ):
        yield Case(f"scan: from {start}", (call("scan", ExclusiveStartKey=start),))
    for text in (
        "begins_with(conversation_id, :u)",
        "user_id = :a OR begins_with(user_id, :u)",
        "contains(user_id, :x)",
    ):
        values = {name: value for name, value in VALUES.items() if name in text}
        more: dict[str, Any] = {"FilterExpression": text, "ExpressionAttributeValues": values}
        yield Case(
            f"scan: {text}",
            (call("scan", Select="COUNT", **more, **UNITS), call("scan", Select="COUNT", IndexName=INDEX, **more)),
        )


def _case(text: str, **more: Any) -> Case:
    shown = " ".join([repr(text), *(f"{name}={value}" for name, value in more.items())])
    return Case(f"query {shown}", (_query(text, **more),))


def _query(text: str, **more: Any) -> Call:
    words = f"{text} {more.get('FilterExpression', '')} "
    values = {name: value for name, value in VALUES.items() if f"{name}" in words}
    return query(text, **placeholders(values or None, None), **more, **UNITS)
