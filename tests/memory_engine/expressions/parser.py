"""Expressions from their text. What is read once is remembered, since savers send the same few again and again."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from tests.memory_engine.expressions.conditions import (
    FUNCTIONS,
    Between,
    Comparison,
    Condition,
    Function,
    In,
    Joined,
    Not,
)
from tests.memory_engine.expressions.cursor import (
    Cursor,
    Parsed,
    check_arguments,
    function_name,
    is_call,
    not_this_way,
    read_leaf,
    read_list,
    read_literal,
    read_path,
    read_target,
)
from tests.memory_engine.expressions.operands import Operand, Path, Size
from tests.memory_engine.expressions.updates import Action, IfNotExists, ListAppend, Sum, Update
from tests.memory_engine.refusals import Invalid

_COMPARATORS = ("=", "<>", "<", "<=", ">", ">=")
_CONDITIONS = (Between, Comparison, Function, In, Joined, Not)


@lru_cache(maxsize=2048)
def parsed_condition(text: str) -> Parsed[Condition]:
    """A condition, a filter or a key condition. Raises `Invalid`."""
    cursor = Cursor(text)
    return cursor.parsed(_condition(cursor, _disjunction(cursor)))


@lru_cache(maxsize=2048)
def parsed_update(text: str) -> Parsed[Update]:
    """An update expression. Raises `Invalid`."""
    cursor = Cursor(text)
    return cursor.parsed(Update(tuple(_actions(cursor))))


@lru_cache(maxsize=2048)
def parsed_projection(text: str) -> Parsed[tuple[Path, ...]]:
    """A projection expression. Raises `Invalid`."""
    cursor = Cursor(text)
    return cursor.parsed(tuple(read_list(cursor, read_path)))


# --- conditions -------------------------------------------------------------------------------------------


Node = Condition | Operand
"""A condition, or an operand in the parentheses around it."""


def _disjunction(cursor: Cursor) -> Node:
    return _joined(cursor, "OR", _conjunction)


def _conjunction(cursor: Cursor) -> Node:
    return _joined(cursor, "AND", _negation)


def _joined(cursor: Cursor, keyword: str, read: Callable[[Cursor], Node]) -> Node:
    first = read(cursor)
    if cursor.next.text != keyword or cursor.next.kind != "keyword":
        return first
    terms = [_condition(cursor, first)]
    while cursor.took(keyword):
        cursor.operator()
        terms.append(_condition(cursor, read(cursor)))
    return Joined(keyword, tuple(terms))


def _negation(cursor: Cursor) -> Node:
    if not cursor.took("NOT"):
        return _comparison(cursor)
    cursor.operator()
    return Not(_condition(cursor, _negation(cursor)))


def _comparison(cursor: Cursor) -> Node:
    left = _atom(cursor)
    if isinstance(left, _CONDITIONS):
        return left
    operator = cursor.took(*_COMPARATORS, "BETWEEN", "IN")
    if operator is None:
        return left
    cursor.operator()
    tested = _operand(cursor, left)
    if operator == "IN":
        return In(tested, tuple(cursor.in_parentheses(lambda inner: read_list(inner, _next_operand))))
    right = _next_operand(cursor)
    if operator != "BETWEEN":
        return Comparison(operator, tested, right)
    cursor.require("AND")
    return Between(tested, right, _next_operand(cursor))


def _atom(cursor: Cursor) -> Node:
    if cursor.next.text == "(":
        return cursor.grouped(_disjunction)
    return _condition_call(cursor) if is_call(cursor) else read_leaf(cursor)


def _condition_call(cursor: Cursor) -> Node:
    name = function_name(cursor, {*FUNCTIONS, "size"}, "a condition")
    arguments = cursor.in_parentheses(lambda inner: read_list(inner, _next_operand))
    check_arguments(name, arguments)
    return Size(arguments[0]) if name == "size" else Function(name, tuple(arguments))


def _next_operand(cursor: Cursor) -> Operand:
    return _operand(cursor, _atom(cursor))


def _operand(cursor: Cursor, node: Node) -> Operand:
    if isinstance(node, Function):
        raise not_this_way(node.name)
    if isinstance(node, _CONDITIONS):
        raise cursor.error()
    return node  # type: ignore[return-value]


def _condition(cursor: Cursor, node: Node) -> Condition:
    if isinstance(node, Size):
        raise not_this_way("size")
    if not isinstance(node, _CONDITIONS):
        raise cursor.error()
    return node


# --- updates ----------------------------------------------------------------------------------------------


def _actions(cursor: Cursor) -> list[Action]:
    actions: list[Action] = []
    seen: set[str] = set()
    while not actions or cursor.next.kind != "end":
        section = cursor.took("SET", "REMOVE", "ADD", "DELETE")
        if section is None:
            raise cursor.error()
        if section in seen:
            raise Invalid(f'The "{section}" section can only be used once in an update expression;')
        seen.add(section)
        actions += read_list(cursor, _SECTIONS[section])
    return actions


def _set(cursor: Cursor) -> Action:
    path = read_target(cursor)
    cursor.require("=")
    return Action("SET", path, _sum(cursor))


def _sum(cursor: Cursor) -> Operand:
    left = _term(cursor)
    operator = cursor.took("+", "-") if not isinstance(left, Sum) else None
    if operator is None:
        return left
    cursor.operator()
    right = _term(cursor)
    _check_simple(cursor, left)
    _check_simple(cursor, right)
    return Sum(operator, left, right)


def _term(cursor: Cursor) -> Operand:
    if cursor.next.text == "(":
        return cursor.grouped(_sum)
    return _update_call(cursor) if is_call(cursor) else read_leaf(cursor)


def _update_call(cursor: Cursor) -> Operand:
    name = function_name(cursor, {"if_not_exists", "list_append"}, "an update")
    arguments = cursor.in_parentheses(lambda inner: read_list(inner, _term))
    check_arguments(name, arguments)
    for argument in arguments:
        _check_simple(cursor, argument)
    first, second = arguments
    return IfNotExists(first, second) if name == "if_not_exists" and isinstance(first, Path) else ListAppend(*arguments)


def _check_simple(cursor: Cursor, operand: Operand) -> None:
    """Raises `Invalid` for what can only be the whole of what an attribute is set to."""
    if isinstance(operand, ListAppend):
        raise not_this_way("list_append")
    if isinstance(operand, Sum):
        raise cursor.error()


_SECTIONS: dict[str, Callable[[Cursor], Action]] = {
    "SET": _set,
    "REMOVE": lambda cursor: Action("REMOVE", read_target(cursor)),
    "ADD": lambda cursor: Action("ADD", read_target(cursor), read_literal(cursor)),
    "DELETE": lambda cursor: Action("DELETE", read_target(cursor), read_literal(cursor)),
}
