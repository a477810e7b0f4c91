"""Updates of the base item, and what they are refused for."""

from __future__ import annotations

from collections.abc import Iterator

from tests.contract.cases.calls import (
    BASE,
    Call,
    Case,
    Value,
    delete,
    item,
    lines,
    n,
    one_of_each,
    placeholders,
    put,
    s,
    update,
)

A = {":a": n(1)}
NINE = {":a": n(9)}
TEXT = {":a": s("q")}
LIST: dict[str, Value] = {":a": {"L": [s("z")]}}
SET: dict[str, Value] = {":a": {"SS": ["b", "c"]}}
ALL_SET: dict[str, Value] = {":a": {"SS": ["a", "b"]}}
TEN = "99999999999999999999999999999999999999"

DONE: list[tuple[str, dict[str, Value]]] = [
    *(
        (text, A)
        for text in lines("""
SET n = :a
set n=:a remove s add q :a
SET n = n + :a
SET n = :a - n
SET q=(n+:a)
SET q=(:a)
SET q=(n)+(:a)
SET q=((n)+(:a))
SET q = if_not_exists(l.x, :a)
SET q = if_not_exists(n, :a) + n
SET q = if_not_exists(q, if_not_exists(r, :a))
SET q = if_not_exists(n, if_not_exists(n, :a))
SET n = if_not_exists(q, n)
SET q = if_not_exists(q, :a) - if_not_exists(r, :a)
SET n = n + :a, q = n
SET m.k = :a, m.n = :a
SET m.k = :a REMOVE m.n
SET m.deep.x[1] = :a
SET m.deep.x[9] = :a
SET m.other = :a
SET l[0] = :a, l[1] = :a
SET l[2].k = :a, l[2].j = :a
SET l[3] = :a REMOVE l[0]
REMOVE l[0] SET l[1] = :a
REMOVE l[0] ADD l[2].k :a
ADD n :a, q :a
ADD m.n :a
ADD m.q :a
ADD l[0] :a
ADD l[9] :a
""")
    ),
    *(
        (text, {})
        for text in lines("""
SET q = n - n2
SET q = m.n + l[0]
SET l = list_append(l, l)
SET q = m.k
SET q = l[1]
SET n = s, s = n
SET q = b, n = bs
REMOVE n SET q = n
SET l[7] = l[0], l[0] = l[2]
REMOVE l[0] SET q = l[1]
REMOVE l[0], l[1]
REMOVE l[2], l[0]
REMOVE l[0], l[2].k
REMOVE m.deep.x[2], m.deep.x[0]
REMOVE q
REMOVE l[9]
REMOVE m.k
REMOVE m.q
REMOVE l
REMOVE m.deep.x[0], m.k, n
SET n = n
""")
    ),
    *(
        (text, NINE)
        for text in lines("""
SET n = if_not_exists(n, :a)
SET q = if_not_exists(q, :a)
SET q = if_not_exists(q, :a) + :a
SET l[1] = :a, m.k = :a, n = :a REMOVE s, m.n, l[0], nothere
""")
    ),
    *(
        (text, LIST)
        for text in lines("""
SET q = list_append(l, :a)
SET q = list_append(:a, l)
SET l = list_append(if_not_exists(q, :a), :a)
""")
    ),
    *(
        (text, SET)
        for text in lines("""
ADD ss :a
ADD q :a
DELETE ss :a
DELETE q :a
DELETE l[9] :a
DELETE m.q :a
""")
    ),
    *(
        (text, ALL_SET)
        for text in lines("""
DELETE ss :a
""")
    ),
    ("SET q = n + :a", {":a": n("0.1")}),
    ("SET q = :a - :b", {":a": n("1.5"), ":b": n("1.50")}),
    ("SET q = l[0] + :a", {":a": n("99999999999999999999999999999999999999")}),
    ("SET q = l[0] + :a", {":a": n("99999999999999999999999999999999999998")}),
    ("SET l[5] = :a, l[4] = :b", {":a": n(1), ":b": n(2)}),
    ("ADD bs :a", {":a": {"BS": [b"z"]}}),
    ("ADD ns :a", {":a": {"NS": ["1.0", "3"]}}),
    ("DELETE ns :a", {":a": {"NS": ["1.0"]}}),
    ("REMOVE s SET n = :a ADD q :a DELETE ss :b", {":a": n(1), ":b": {"SS": ["a"]}}),
    ("SET q = :a", {":a": s("")}),
    ("SET " + ",".join(f"a{number} = :a" for number in range(300)), A),
    ("SET " + ",".join(f"a{number}=:a+:a" for number in range(300)), A),
]

REFUSED: list[tuple[str, dict[str, Value]]] = [
    ("", {}),
    (" ", {}),
    *(
        (text, {})
        for text in lines("""
SET
SET n
REMOVE
REMOVE n,
REMOVE n, n
REMOVE m.k, m
REMOVE l[2].k, l[2]
REMOVE n REMOVE s
REMOVE m.x.y
REMOVE q.x
REMOVE n[0]
REMOVE n.b
REMOVE l.x
REMOVE l[9].x
REMOVE (n)
SET n = q
SET q = if_not_exists(q, r)
SET q = if_not_exists(n, n)
SET q = n + if_not_exists(n, n)
SET q = list_append(l, if_not_exists(l, l))
SET q = if_not_exists(r, if_not_exists(n, n))
SET q = if_not_exists(q)
SET q = list_append(l)
SET q = size(l)
SET q = foo(l)
SET q = attribute_exists(l)
SET q = list_append(s, l)
SET q = list_append(q, l)
SET q = l.x
SET q = list_append(list_append(l, l), l)
SET q = if_not_exists(q, list_append(l, l))
SET q = n + n + n
SET q = 5
SET q = l[9]
SET n = n, n = n2
FOO n
ADD n n
DELETE ss ss
REMOVE user_id
SET q = n + s
SET q = q + n
REMOVE name
SET status = n
SET (q) = n
SET q = - n
SET q = if_not_exists(r, n + n)
""")
    ),
    *(
        (text, A)
        for text in lines("""
SET n = :a,
SET n = :a SET q = :a
SET n = :a REMOVE n
SET m.k = :a, m = :a
SET m = :a, m.k = :a
SET m.k = :a, m[0] = :a
SET l[0] = :a, l.x = :a
SET m.x.y = :a
SET q.y = :a
SET n.y = :a
SET n[0] = :a
SET q[0] = :a
SET m[0] = :a
SET l.x = :a
SET l[1].k = :a
SET l[9].k = :a
SET :a = :a
SET n = :a REMOVE
SET q = n + :a + :a
SET q = (n + :a) + :a
SET q = ((:a))
SET q = ((n + :a))
SET q = s + :a
SET q = :a + s
SET q = if_not_exists(:a, :a)
SET q = if_not_exists(s, :a) + :a
SET q = list_append(l, l) + :a
SET l = list_append(l, :a)
ADD n :a + :a
ADD n -:a
ADD n = :a
ADD ss :a
ADD s :a
ADD q.w :a
ADD l[1] :a
DELETE n :a
DELETE ss :a
SET n = :a AND q = :a
SET q = #x
SET q = :b
""")
    ),
    *(
        (text, TEXT)
        for text in lines("""
SET n = n + :a
ADD s :a
ADD ss :a
DELETE ss :a
SET user_id = :a
SET conversation_id = :a
SET user_id.x = :a
""")
    ),
    *(
        (text, LIST)
        for text in lines("""
ADD l :a
""")
    ),
    *(
        (text, SET)
        for text in lines("""
DELETE s :a
DELETE y.z :a
DELETE l[0] :a
""")
    ),
    ("SET user_id = :a", {":a": s("base")}),
    ("ADD ss :a", {":a": {"NS": ["1"]}}),
    ("ADD n :a", {":a": {"NS": ["1"]}}),
    ("DELETE ss :a", {":a": {"NS": ["1"]}}),
    ("SET q = n + :a", {":a": n("1E125")}),
    ("SET q = :a + :a", {":a": n("9E125")}),
    ("SET created_at = :a", {":a": s("")}),
    ("SET " + ",".join(f"a{number}=:a+:a" for number in range(301)), A),
    ("SET " + ",".join(f"a{number} = :a" for number in range(400)), A),
]

RETURNED = ("NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")


def cases() -> Iterator[Case]:
    """Updates of the item and of one that is not there; what is returned."""
    for text, values in (*DONE, *REFUSED):
        more = placeholders(values or None, None)
        shown = f"{text[:70]!r} ({len(text)} characters) {values or ''}"
        calls = (
            put(BASE),
            update(text, ReturnValues="ALL_NEW", **more),
            update(text, "fresh", ReturnValues="ALL_NEW", **more),
        )
        yield Case(f"update: {shown}", (*calls, _undo()))
    for returned in RETURNED:
        yield from one_of_each(f"returned {returned}", {text: _changing(text, returned) for text in _CHANGES})
        fresh = update("SET n = :a, q = :a", "fresh", ReturnValues=returned, ExpressionAttributeValues=A)
        yield Case(f"returned {returned}: of a new item", (_undo(), fresh, _undo()))
        yield Case(
            f"returned {returned}: of a new item without attributes",
            (_undo(), update("REMOVE n", "fresh", ReturnValues=returned)),
        )
    yield Case(
        "returned: of no expression", (_undo(), update(None, "fresh", ReturnValues="ALL_NEW"), update(None, "fresh"))
    )
    for name in ("ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"):
        yield Case(f"returned {name}: not by a put", (put(item("fresh"), ReturnValues=name),))
    yield Case("returned: by put and delete", (put(BASE), put(BASE, ReturnValues="ALL_OLD"), _undo(), _undo()))


_CHANGES: dict[str, dict[str, Value]] = {
    "SET n = :a, q = :a REMOVE s, nothere": NINE,
    "SET n = n": {},
    "ADD ss :a": SET,
    "DELETE ss :a": ALL_SET,
}


def _changing(text: str, returned: str) -> Call:
    return update(text, ReturnValues=returned, **placeholders(_CHANGES[text] or None, None))


def _undo() -> Call:
    return delete("fresh", ReturnValues="ALL_OLD")
