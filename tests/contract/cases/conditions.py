"""Conditions on the base item: true, false, and refused."""

from __future__ import annotations

from collections.abc import Iterator

from tests.contract.cases.calls import Case, Value, condition, lines, n, placeholders, s

A = {":a": n(1)}
TEXT = {":a": s("ab")}
LIST: Value = {"L": [n("1.0"), s("x")]}
BOOL: Value = {"BOOL": True}
MANY = {f":a{number}": n(number) for number in range(101)}

WITH_VALUES: list[tuple[str, dict[str, Value]]] = [
    *(
        (f"n {operator} :a", {":a": value})
        for operator in ("=", "<>", "<", "<=", ">", ">=")
        for value in (n(5), n("5.0"), n(10), s("5"))
    ),
    *((f"q {operator} :a", {":a": n(5)}) for operator in ("=", "<>", "<", "<=", ">", ">=")),
    *((f"s {operator} :a", {":a": s("é")}) for operator in ("<", ">", "=", "<>")),
    ("b < :a", {":a": {"B": b"b"}}),
    ("l = :a", {":a": {"L": [n("1.0"), s("x"), {"M": {"k": n(5)}}]}}),
    ("m.deep.x = :a", {":a": {"L": [n(1), n(2), n(3)]}}),
    ("ss = :a", {":a": {"SS": ["b", "a"]}}),
    ("ss <> :a", {":a": {"SS": ["a"]}}),
    ("z = :a", {":a": {"NULL": True}}),
    ("t = :a", {":a": BOOL}),
    ("t <> :a", {":a": {"BOOL": False}}),
    ("n BETWEEN :a AND :b", {":a": n(1), ":b": n(10)}),
    ("n BETWEEN :a AND :b", {":a": n(6), ":b": n(10)}),
    ("n BETWEEN :a AND :b", {":a": s("1"), ":b": s("9")}),
    ("q BETWEEN :a AND :b", {":a": n(1), ":b": n(10)}),
    (":a BETWEEN n AND n2", {":a": n(5)}),
    ("NOT n BETWEEN :a AND :a AND n = :a", A),
    ("n BETWEEN :a AND :b AND s = :b OR n = :a", {":a": n(5), ":b": n(6)}),
    ("n IN (:a)", {":a": n(5)}),
    ("n IN (:a, n2)", A),
    ("NOT n IN (:a, s)", A),
    ("q IN (:a)", A),
    ("n IN ((:a))", {":a": n(5)}),
    ("n IN(" + ",".join(list(MANY)[:100]) + ")", dict(list(MANY.items())[:100])),
    ("begins_with(s, :a)", TEXT),
    ("begins_with(s, :a)", {":a": s("")}),
    ("begins_with(b, :a)", {":a": {"B": b"ab"}}),
    ("begins_with(b, :a)", TEXT),
    ("begins_with(n, :a)", TEXT),
    ("begins_with(q, :a)", TEXT),
    ("begins_with(:a, e)", TEXT),
    ("contains(s, :a)", {":a": s("b")}),
    ("contains(s, :a)", {":a": s("")}),
    ("contains(s, :a)", A),
    ("contains(b, :a)", {":a": {"B": b"b"}}),
    ("contains(b, :a)", TEXT),
    ("contains(l, :a)", {":a": n("1.0")}),
    ("contains(l, :a)", {":a": {"M": {"k": n(5)}}}),
    ("contains(ss, :a)", {":a": s("a")}),
    ("contains(ss, :a)", {":a": {"SS": ["a"]}}),
    ("contains(ns, :a)", {":a": n("2.50")}),
    ("contains(ns, :a)", {":a": s("1")}),
    ("contains(bs, :a)", {":a": {"B": b"x"}}),
    ("contains(m, :a)", {":a": s("k")}),
    ("contains(n, :a)", {":a": n(5)}),
    ("contains(t, :a)", {":a": BOOL}),
    ("contains(:a, s)", {":a": s("xabcx")}),
    *(
        (f"size({name}) = :a", {":a": n(2)})
        for name in ("s", "b", "l", "m", "ss", "ns", "bs", "e", "n", "t", "z", "q", "m.deep.x")
    ),
    ("size(em) = :a", {":a": n(3)}),
    ("size(q) <> :a", A),
    ("NOT size(q) > :a", A),
    ("size(:a) < n", {":a": s("éé1")}),
    (":a < size(l)", A),
    ("size(l) BETWEEN :a AND n", A),
    ("size(l) IN (:a)", {":a": n(3)}),
    ("contains(l, size(ss))", {}),
    *(
        (f"attribute_type({name}, :a)", {":a": s(kind)})
        for name, kind in (("n", "N"), ("s", "N"), ("q", "S"), ("l", "L"), ("m.k", "S"))
    ),
    ("attribute_type(:a, :a)", {":a": s("S")}),
    (":a = :a", A),
    (":a = :b", {":a": n(1), ":b": n("1.0")}),
    ("m.k = :a", {":a": s("v")}),
    ("l[0] = :a", A),
    ("l [ 0 ] = :a", A),
    ("l[2] . k = :a", {":a": n(5)}),
    ("m.deep.x[2] = :a", {":a": n(3)}),
    ("n.x = :a", A),
    ("l[9] = :a", A),
    ("NOT n = :a", A),
    ("not not n = :a", A),
    ("NOT (NOT n = :a)", A),
    ("n = :a OR n2 = :b AND s = :a", {":a": n(5), ":b": n(6)}),
    ("(n = :a OR n2 = :b) AND s = :a", {":a": n(5), ":b": n(6)}),
    ("(n) = :a", {":a": n(5)}),
    ("((n) = :a)", {":a": n(5)}),
    ("n=:a\n\t AND n2=:a", {":a": n(5)}),
    ("n=:aAND n2=:aAND", {":aAND": n(5)}),
    ("n=:1_a", {":1_a": n(5)}),
]

ALONE = lines("""
n = n2
n < n2
n <= n2
n <= s
t < z
l < m
q = r
q <> r
n <> q
l[0] < m.n
n BETWEEN q AND n2
n BETWEEN s AND n2
q IN (r)
begins_with(s, e)
begins_with(s, n)
contains(s, e)
size(s) = size(l)
size(n) = size(n)
attribute_exists(n)
attribute_exists (m.k)
attribute_exists((l[1]))
attribute_exists(l[3])
attribute_exists(s[0])
attribute_exists(q.r)
attribute_not_exists(q)
attribute_not_exists(n)
(attribute_exists(n)) AND (attribute_exists(s))
(NOT attribute_exists(n))
attribute_exists(begins_with)
attribute_exists(user_id)
""")

REFUSED_ALONE = (
    "",
    " ",
    "attribute_exists(a" + ".b" * 32 + ")",
    "NOT " * 300 + "attribute_exists(n)",
    " OR ".join(["attribute_exists(n)"] * 160),
    "attribute_exists(n)" + " " * 4078,
    *lines("""
n
n =
(n)
NOT n
attribute_exists(n) AND s
)
attribute_exists()
attribute_exists(n, s)
attribute_exists(size(n))
Attribute_Exists(n)
nofunction(n)
size(n)
attribute_type(n, s)
contains(n, n)
begins_with(s, s)
n = n
n <= n
n IN (n)
n BETWEEN n2 AND n
n IN ()
begins_with(s, size(l))
attribute_exists(name)
attribute_exists(m.status)
attribute_exists(STATUS)
((attribute_exists(n)))
((attribute_exists(n)) )
attribute_exists(n
attribute_exists(n))
attribute_exists(_n)
attribute_exists(é)
attribute_exists(1n)
attribute_exists(n-a)
attribute_exists(.n)
attribute_exists(created_at.k)
attribute_exists(user_id[0])
attribute_exists(n.)
attribute_exists(n.0)
attribute_exists(l[01])
attribute_exists(l[-1])
attribute_exists(l[x])
attribute_exists(n) attribute_exists(s)
"""),
)

REFUSED_WITH_A = lines("""
n == :a
n != :a
n = :a AND
AND n = :a
n = :a n2 = :a
n = :a = :a
(n = :a) = :a
n = (s = :a)
((n)) = :a
n = :a + :a
if_not_exists(n, :a) = :a
attribute_exists(:a)
attribute_exists(n) = :a
n BETWEEN :a
n IN :a
n IN (:a,)
begins_with(s, :a)
begins_with(:a, s)
size(:a) > :a
size(size(l)) > :a
attribute_type(n, :a)
between = :a
n = :a;
n = #
n = :
n = '1'
n = 1
l[:a] = :a
status = :a
n.name.x = :a
""")

REFUSED: list[tuple[str, dict[str, Value] | None, dict[str, str] | None]] = [
    *((text, None, None) for text in REFUSED_ALONE),
    *((text, A, None) for text in REFUSED_WITH_A),
    ("n = :a", None, None),
    ("n = :a", {}, None),
    ("n = :a", {**A, ":b": n(1)}, None),
    ("#n = :a", A, None),
    ("#n = :a", A, {}),
    ("#n = :a", A, {"#n": "n", "#m": "m"}),
    ("#n = :a", A, {"n": "n"}),
    ("#n = :a", A, {"#n": ""}),
    ("#n-m = :a", A, {"#n-m": "n"}),
    ("n = :a", {"a": n(1)}, None),
    ("n = :a", {":": n(1)}, None),
    ("n = :a", {":a": n("x")}, None),
    ("n = :a", {":a": {"SS": []}}, None),
    ("n < :a", {":a": BOOL}, None),
    ("n < :a", {":a": LIST}, None),
    ("n < :a", {":a": {"SS": ["a"]}}, None),
    ("n > :a", {":a": {"NULL": True}}, None),
    ("n BETWEEN :a AND :b", {":a": n(2), ":b": n(1)}, None),
    ("n BETWEEN :a AND :b", {":a": n(2), ":b": s("3")}, None),
    ("n BETWEEN :a AND n2", {":a": BOOL}, None),
    ("attribute_type(n, :a)", {":a": s("X")}, None),
    ("n IN (" + ",".join(MANY) + ")", MANY, None),
    ("#n = :a", A, {"#n": "x" * 65536}),
]


def cases() -> Iterator[Case]:
    """A condition each, on the item and on none."""
    given = [(text, values or None, None) for text, values in WITH_VALUES]
    alone = [(text, None, None) for text in (*ALONE, "NOT " * 299 + "attribute_exists(n)")]
    named = [("#n = :a AND #m.#k.#deep = :a", A, {"#n": "n", "#m": "m", "#k": "k", "#deep": "x.y"})]
    for text, values, names in (*given, *alone, *named, *REFUSED):
        more = placeholders(values, names)
        shown = f"{text[:70]!r} ({len(text)} characters) {str(values)[:70]} {str(names)[:70]}"
        yield Case(f"condition {shown}", condition(text, **more))
