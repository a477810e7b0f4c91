"""Key conditions: the partition and the span of it that a Query reads."""

from __future__ import annotations

from tests.memory_engine.expressions.binding import Expressions
from tests.memory_engine.expressions.conditions import Between, Comparison, Condition, Function, In, Joined, Not
from tests.memory_engine.expressions.operands import Binding, Literal, Operand, Path
from tests.memory_engine.items.collection import EVERYTHING, Span
from tests.memory_engine.items.keys import AFTER_ALL, KeySchema
from tests.memory_engine.items.values import Order, Value
from tests.memory_engine.refusals import Invalid

_TURNED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LAST_CHARACTER = 0x10FFFF
_FIRST_SURROGATE, _AFTER_SURROGATES = 0xD800, 0xE000


def key_condition(expressions: Expressions, schema: KeySchema) -> tuple[Order, Span]:
    """The partition key and the span that a request asks for. Raises `Invalid`."""
    condition: Condition | None = expressions.node("KeyConditionExpression")
    if condition is None:
        raise Invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
    named: dict[str, tuple[str, list[Value]]] = {}
    for term in _terms(condition):
        name, operator, values = _read(term, expressions.binding)
        if name in named:
            raise Invalid("KeyConditionExpressions must only contain one condition per key")
        named[name] = operator, values
    if schema.hash_name not in named or named.keys() - set(schema.names):
        raise Invalid("Query condition missed key schema element")
    operator, values = named.pop(schema.hash_name)
    if operator != "=":
        raise Invalid("Query key condition not supported")
    key = _orders(schema, 0, values)[0]
    return key, _span(*next(iter(named.values())), schema) if named else EVERYTHING


def _terms(condition: Condition) -> list[Condition]:
    if isinstance(condition, Joined) and condition.operator == "AND":
        return [inner for term in condition.terms for inner in _terms(term)]
    return [condition]


def _read(term: Condition, binding: Binding) -> tuple[str, str, list[Value]]:
    """The attribute, the operator and the values of one term."""
    operator = _operator(term)
    operands = list(term.operands())
    if isinstance(term, Comparison) and isinstance(operands[0], Literal):
        operator, operands = _TURNED[operator], operands[::-1]
    path, *others = operands
    values = [other.value(binding, {}) for other in others if isinstance(other, Literal)]
    if not isinstance(path, Path) or len(values) < len(others):
        raise Invalid(f"Invalid condition in KeyConditionExpression: {_fault(operands)}")
    return str(path.steps(binding)[0]), operator, values


def _operator(term: Condition) -> str:
    if isinstance(term, Comparison) and term.operator in _TURNED:
        return term.operator
    if isinstance(term, Between):
        return "BETWEEN"
    if isinstance(term, Function) and term.name == "begins_with":
        return term.name
    unfit = {Not: "NOT", In: "IN"}.get(type(term)) or getattr(term, "operator", "") or getattr(term, "name", "")
    raise Invalid(f"Invalid operator used in KeyConditionExpression: {unfit}")


def _fault(operands: list[Operand]) -> str:
    if sum(isinstance(operand, Path) for operand in operands) > 1:
        return "Multiple attribute names used in one condition"
    return "No key attribute specified, or a nested operation"


def _span(operator: str, values: list[Value], schema: KeySchema) -> Span:
    orders = _orders(schema, 1, values)
    first, last = orders[0], orders[-1]
    if operator == "begins_with":
        return _with_prefix(first)
    spans = {
        "=": Span((first,), (first, AFTER_ALL)),
        "<": Span(None, (first,)),
        "<=": Span(None, (first, AFTER_ALL), highest=first),
        ">": Span((first, AFTER_ALL), None),
        ">=": Span((first,), None, lowest=first),
        "BETWEEN": Span((first,), (last, AFTER_ALL), lowest=first, highest=last),
    }
    return spans[operator]


def _orders(schema: KeySchema, number: int, values: list[Value]) -> list[Order]:
    return [schema.of_condition(number, value) for value in values]


def _with_prefix(prefix: Order) -> Span:
    after = (
        _after_text(prefix) if isinstance(prefix, str) else _after_bytes(prefix) if isinstance(prefix, bytes) else None
    )
    return Span((prefix,), (after,) if after else None)


def _after_text(prefix: str) -> str:
    """What sorts after all texts with this prefix; "" if nothing does."""
    kept = prefix.rstrip(chr(_LAST_CHARACTER))
    if not kept:
        return ""
    code = ord(kept[-1]) + 1
    return kept[:-1] + chr(_AFTER_SURROGATES if code == _FIRST_SURROGATE else code)


def _after_bytes(prefix: bytes) -> bytes:
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else b""
