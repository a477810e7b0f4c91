"""Random sequences of calls on a small table, as hypothesis draws and shrinks them.

Names, keys and values are few, so that calls meet each other's items, and some do not fit each other, so that refusals
are compared too. What `differences` names is not drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import strategies as st

from tests.contract.cases.calls import UNITS, Call, Item, Value, call, key, n, s
from tests.memory_engine.bare import INDEX

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[T]], T]

PKS = ("p", "q")
SKS = ("a", "a#1", "a#2", "b", "é", "😀")
DATES = ("2026-01", "2026-02", "2026-03")
NAMES = ("n", "m", "l", "s", "set", "status", "x")
SUFFIXES = ("", "", "", ".k", ".k.k", "[0]", "[1]", "[7]", ".k[0]", "[0].k")
RETURNED = ("NONE", "ALL_OLD", "ALL_NEW")
TOP_ONLY = ("UPDATED_OLD", "UPDATED_NEW")

_numbers = st.sampled_from(("0", "1", "2", "-1", "10", "2.5", "1.50", "100"))
_texts = st.sampled_from(("", "a", "ab", "abc", "b", "é", "😀"))
_scalars: st.SearchStrategy[Value] = st.one_of(
    _numbers.map(n),
    _texts.map(s),
    _texts.map(lambda text: {"B": text.encode()}),
    st.booleans().map(lambda held: {"BOOL": held}),
    st.just({"NULL": True}),
    st.lists(_texts, min_size=1, max_size=3, unique=True).map(lambda held: {"SS": held}),
    st.lists(st.sampled_from(("1", "2", "2.5")), min_size=1, max_size=3, unique=True).map(lambda held: {"NS": held}),
)
values: st.SearchStrategy[Value] = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda held: {"L": held}),
        st.dictionaries(st.sampled_from(("k", "j")), inner, max_size=2).map(lambda held: {"M": held}),
    ),
    max_leaves=4,
)
keys = st.builds(key, st.sampled_from(SKS), st.sampled_from(PKS))


@dataclass
class Placeholders:
    """The names and values of one request's expressions."""

    names: dict[str, str] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)

    def name(self, name: str) -> str:
        if name != "status":
            return name
        self.names["#status"] = name
        return "#status"

    def value(self, value: Value) -> str:
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = value
        return placeholder

    def given(self) -> dict[str, Any]:
        """The parameters of the request."""
        given: dict[str, Any] = {}
        if self.names:
            given["ExpressionAttributeNames"] = self.names
        if self.values:
            given["ExpressionAttributeValues"] = self.values
        return given


def one(draw: Draw[Any], *options: T) -> T:
    chosen: T = draw(st.sampled_from(options))
    return chosen


def path(draw: Draw[Any], held: Placeholders, *names: str) -> str:
    name = one(draw, *(names or NAMES))
    return name if name == "created_at" else held.name(name) + one(draw, *SUFFIXES)


def operand(draw: Draw[Any], held: Placeholders) -> str:
    kind = one(draw, "path", "path", "value", "value", "size")
    if kind == "value":
        return held.value(draw(values))
    found = path(draw, held, *NAMES, "created_at")
    return f"size({found})" if kind == "size" else found


def condition(draw: Draw[Any], held: Placeholders, depth: int = 2) -> str:
    """The text of a condition."""
    kinds = ("compare", "compare", "between", "in", "exists", "function", *(("not", "and", "or") if depth else ()))
    kind = one(draw, *kinds)
    if kind == "not":
        return f"NOT ({condition(draw, held, depth - 1)})"
    if kind in ("and", "or"):
        return f"{condition(draw, held, depth - 1)} {kind.upper()} {condition(draw, held, depth - 1)}"
    if kind == "exists":
        return f"{one(draw, 'attribute_exists', 'attribute_not_exists')}({path(draw, held, *NAMES, 'created_at')})"
    if kind == "function":
        return _function(draw, held)
    left = operand(draw, held)
    if kind == "between":
        return f"{left} BETWEEN {operand(draw, held)} AND {operand(draw, held)}"
    if kind == "in":
        return f"{left} IN ({', '.join(operand(draw, held) for _ in range(draw(st.integers(1, 3))))})"
    return f"{left} {one(draw, '=', '<>', '<', '<=', '>', '>=')} {operand(draw, held)}"


def _function(draw: Draw[Any], held: Placeholders) -> str:
    name = one(draw, "begins_with", "contains", "attribute_type")
    if name == "attribute_type":
        return f"{name}({path(draw, held)}, {held.value(s(one(draw, 'N', 'S', 'L', 'M', 'SS', 'BOOL')))})"
    return f"{name}({operand(draw, held)}, {operand(draw, held)})"


def update(draw: Draw[Any], held: Placeholders) -> str:
    """The text of an update."""
    sections = draw(st.lists(st.sampled_from(("SET", "REMOVE", "ADD", "DELETE")), min_size=1, max_size=3, unique=True))
    return " ".join(f"{section} {', '.join(_actions(draw, held, section))}" for section in sections)


def _actions(draw: Draw[Any], held: Placeholders, section: str) -> list[str]:
    return [_action(draw, held, section) for _ in range(draw(st.integers(1, 2)))]


def _action(draw: Draw[Any], held: Placeholders, section: str) -> str:
    if section == "SET" and one(draw, True, False, False, False):
        return f"created_at = {held.value(s(one(draw, *DATES)))}"
    changed = path(draw, held)
    if section == "SET":
        return f"{changed} = {_term(draw, held)}"
    if section == "REMOVE":
        return one(draw, changed, changed, "created_at")
    return f"{changed} {held.value(draw(values))}"


def _term(draw: Draw[Any], held: Placeholders) -> str:
    def simple() -> str:
        return one(draw, True, False) and path(draw, held) or held.value(draw(values))

    kind = one(draw, "simple", "simple", "simple", "sum", "default", "append")
    if kind == "sum":
        return f"{simple()} {one(draw, '+', '-')} {simple()}"
    if kind == "default":
        return f"if_not_exists({path(draw, held)}, {simple()})"
    return f"list_append({simple()}, {simple()})" if kind == "append" else simple()


@st.composite
def items(draw: Draw[Any]) -> Item:
    """An item, sometimes one of the index."""
    attributes = draw(st.dictionaries(st.sampled_from(NAMES), values, max_size=3))
    dated = one(draw, {}, {"created_at": s(one(draw, *DATES))})
    return {**attributes, **dated, **draw(keys)}


@st.composite
def writes(draw: Draw[Any]) -> Call:
    """A put, an update or a delete."""
    held, more = Placeholders(), dict(UNITS)
    if one(draw, True, False):
        more = {**more, "ConditionExpression": condition(draw, held)}
        more["ReturnValuesOnConditionCheckFailure"] = one(draw, "NONE", "ALL_OLD")
    kind = one(draw, "put_item", "put_item", "update_item", "update_item", "delete_item")
    if kind != "update_item":
        returned = one(draw, *RETURNED[:2])
        where = {"Item": draw(items())} if kind == "put_item" else {"Key": draw(keys)}
        return call(kind, **where, ReturnValues=returned, **more, **held.given())
    text = update(draw, held)
    returned = one(draw, *RETURNED, *(() if "." in text or "[" in text else TOP_ONLY))
    return call(kind, Key=draw(keys), UpdateExpression=text, ReturnValues=returned, **more, **held.given())


@st.composite
def reads(draw: Draw[Any]) -> Call:
    """A get, or one page of the table's items."""
    held = Placeholders()
    more: dict[str, Any] = {"ConsistentRead": one(draw, True, False), **UNITS}
    if one(draw, True, False, False):
        chosen = draw(st.lists(st.sampled_from(("n", "m.k", "l[0]", "l[1]", "user_id", "x")), min_size=1, max_size=3))
        more["ProjectionExpression"] = ", ".join(chosen)
    if one(draw, True, False):
        return call("get_item", Key=draw(keys), **more)
    more |= _range(draw, held, "conversation_id", "user_id", PKS, SKS)
    if one(draw, True, False, False):
        more["ExclusiveStartKey"] = draw(keys)
    return call("query", **more, **_filtered(draw, held), **held.given())


@st.composite
def page_runs(draw: Draw[Any]) -> Call:
    """A query of the index, or a scan, which is read to its end."""
    held = Placeholders()
    if one(draw, True, False):
        more: dict[str, Any] = {**one(draw, {}, {"Limit": 3}), **one(draw, {}, {"IndexName": INDEX})}
        return call("scan", **more, **_filtered(draw, held), **held.given())
    return call("query", IndexName=INDEX, **_range(draw, held, "user_id", "created_at", SKS, DATES), **held.given())


@st.composite
def transactions(draw: Draw[Any]) -> Call:
    """Some writes at once, or some reads."""
    if one(draw, True, False, False):
        chosen = draw(st.lists(keys, min_size=1, max_size=3))
        return call("transact_get_items", TransactItems=[{"Get": {"Key": one_key}} for one_key in chosen])
    chosen = draw(st.lists(keys, min_size=1, max_size=3, unique_by=str))
    return call("transact_write_items", TransactItems=[_in_transaction(draw, one_key) for one_key in chosen])


def _in_transaction(draw: Draw[Any], of: Item) -> dict[str, Any]:
    if one(draw, True, False, False, False):
        held = Placeholders()
        text = condition(draw, held)
        return {"ConditionCheck": {"Key": of, "ConditionExpression": text, **held.given()}}
    write = draw(writes())
    request = {name: one for name, one in write.request.items() if name not in ("ReturnValues", *UNITS)}
    if write.method == "put_item":
        return {"Put": {**request, "Item": {**request["Item"], **of}}}
    return {"Update" if write.method == "update_item" else "Delete": {**request, "Key": of}}


def _range(
    draw: Draw[Any], held: Placeholders, pk: str, sk: str, pks: tuple[str, ...], sks: tuple[str, ...]
) -> dict[str, Any]:
    text = f"{pk} = {held.value(s(one(draw, *pks)))}"
    kind = one(draw, "", "=", "<", "<=", ">", ">=", "BETWEEN", "begins_with")
    first, second = sorted((one(draw, *sks), one(draw, *sks)))
    if kind == "BETWEEN":
        text += f" AND {sk} BETWEEN {held.value(s(first))} AND {held.value(s(second))}"
    elif kind == "begins_with":
        text += f" AND begins_with({sk}, {held.value(s(first[:1]))})"
    elif kind:
        text += f" AND {sk} {kind} {held.value(s(first))}"
    limit = one(draw, {}, {"Limit": draw(st.integers(1, 4))})
    return {"KeyConditionExpression": text, "ScanIndexForward": one(draw, True, False), **limit}


def _filtered(draw: Draw[Any], held: Placeholders) -> dict[str, Any]:
    return {"FilterExpression": condition(draw, held)} if one(draw, True, False) else {}


sequences = st.lists(
    st.one_of(writes(), writes(), writes(), reads(), page_runs(), transactions()), min_size=4, max_size=14
)
"""Calls in an order."""

_WORDS = ("n", "#n", ":a", "m", ".", "k", "[", "0", "]", "(", ")", ",", "=", "<", "<>", "+", "-", "AND", "OR", "NOT")
_MORE_WORDS = (
    "BETWEEN",
    "IN",
    "SET",
    "REMOVE",
    "ADD",
    "attribute_exists",
    "begins_with",
    "if_not_exists",
    "status",
    "1",
)
token_soup = st.lists(st.sampled_from(_WORDS + _MORE_WORDS), min_size=1, max_size=9).map(" ".join)
"""What is mostly no expression."""
