"""Conditions: whether an item is as an expression says.

`check` refuses what can be seen without an item, as DynamoDB does before it looks for one; `holds` is of one item. A
comparison with an attribute that is missing, or of another type, is false, and `<>` is true.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tests.memory_engine.expressions.operands import (
    Binding,
    Literal,
    Operand,
    check_distinct,
    check_kinds,
    wrong_type,
)
from tests.memory_engine.items.values import SORTABLE, TYPES, Attributes, Value, kind_of, order_of
from tests.memory_engine.refusals import Invalid

MOST_OPTIONS = 100
_PREFIXED = frozenset({"S", "B"})
_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Condition(Protocol):
    """Something that is true or false of an item."""

    def check(self, binding: Binding) -> None:
        """Raises `Invalid` for what cannot be asked of any item."""

    def holds(self, binding: Binding, item: Attributes) -> bool:
        """Whether an item is so; without attributes, whether no item is."""

    def operands(self) -> tuple[Operand, ...]:
        """All that the condition looks at, in its order."""


@dataclass(frozen=True)
class Comparison:
    """`left operator right`."""

    operator: str
    left: Operand
    right: Operand

    def check(self, binding: Binding) -> None:
        check_distinct(self.operator, self.operands(), binding)
        check_kinds(self.operator, self.operands(), binding, SORTABLE if self.operator in _ORDERED else TYPES)

    def holds(self, binding: Binding, item: Attributes) -> bool:
        left, right = self.left.value(binding, item), self.right.value(binding, item)
        if self.operator in _ORDERED:
            return _compared(_ORDERED[self.operator], left, right)
        equal = left is not None and left == right
        return equal if self.operator == "=" else not equal

    def operands(self) -> tuple[Operand, ...]:
        return self.left, self.right


@dataclass(frozen=True)
class Between:
    """`tested BETWEEN low AND high`."""

    tested: Operand
    low: Operand
    high: Operand

    def check(self, binding: Binding) -> None:
        check_distinct("BETWEEN", self.operands(), binding)
        check_kinds("BETWEEN", self.operands(), binding, SORTABLE)
        if isinstance(self.low, Literal) and isinstance(self.high, Literal):
            low, high = self.low.value(binding, {}), self.high.value(binding, {})
            if kind_of(low) != kind_of(high):
                raise Invalid("The BETWEEN operator requires same data type for lower and upper bounds")
            if not _compared(operator.le, low, high):
                raise Invalid("The BETWEEN operator requires upper bound to be greater than or equal to lower bound")

    def holds(self, binding: Binding, item: Attributes) -> bool:
        tested = self.tested.value(binding, item)
        low, high = self.low.value(binding, item), self.high.value(binding, item)
        return _compared(operator.le, low, tested) and _compared(operator.le, tested, high)

    def operands(self) -> tuple[Operand, ...]:
        return self.tested, self.low, self.high


@dataclass(frozen=True)
class In:
    """`tested IN (options)`."""

    tested: Operand
    options: tuple[Operand, ...]

    def check(self, binding: Binding) -> None:
        check_distinct("IN", self.operands(), binding)
        check_kinds("IN", self.operands(), binding, TYPES)
        if len(self.options) > MOST_OPTIONS:
            number = len(self.options)
            raise Invalid(f"The IN operator is provided with too many operands; number of operands: {number}")

    def holds(self, binding: Binding, item: Attributes) -> bool:
        tested = self.tested.value(binding, item)
        return tested is not None and any(tested == option.value(binding, item) for option in self.options)

    def operands(self) -> tuple[Operand, ...]:
        return self.tested, *self.options


@dataclass(frozen=True)
class Not:
    """`NOT term`."""

    term: Condition

    def check(self, binding: Binding) -> None:
        self.term.check(binding)

    def holds(self, binding: Binding, item: Attributes) -> bool:
        return not self.term.holds(binding, item)

    def operands(self) -> tuple[Operand, ...]:
        return self.term.operands()


@dataclass(frozen=True)
class Joined:
    """Terms joined by AND, or by OR."""

    operator: str
    terms: tuple[Condition, ...]

    def check(self, binding: Binding) -> None:
        for term in self.terms:
            term.check(binding)

    def holds(self, binding: Binding, item: Attributes) -> bool:
        enough = all if self.operator == "AND" else any
        return enough(term.holds(binding, item) for term in self.terms)

    def operands(self) -> tuple[Operand, ...]:
        return tuple(operand for term in self.terms for operand in term.operands())


@dataclass(frozen=True)
class Function:
    """A function that is true or false."""

    name: str
    arguments: tuple[Operand, ...]

    def check(self, binding: Binding) -> None:
        check_distinct(self.name, self.arguments, binding)
        check_kinds(self.name, self.arguments, binding, _PREFIXED if self.name == "begins_with" else TYPES)
        if self.name == "attribute_type":
            _check_type_name(self.arguments[1], binding)

    def holds(self, binding: Binding, item: Attributes) -> bool:
        return FUNCTIONS[self.name](*(argument.value(binding, item) for argument in self.arguments))

    def operands(self) -> tuple[Operand, ...]:
        return self.arguments


def _begins_with(tested: Value | None, prefix: Value | None) -> bool:
    if tested is None or prefix is None:
        return False
    kind = kind_of(tested)
    return kind in _PREFIXED and kind == kind_of(prefix) and tested[kind].startswith(prefix[kind])


def _contains(tested: Value | None, part: Value | None) -> bool:
    if tested is None or part is None:
        return False
    ((kind, held),) = tested.items()
    if kind == "L":
        return part in held
    return kind in ("S", "B", "SS", "NS", "BS") and kind_of(part) == kind[0] and part[kind[0]] in held


FUNCTIONS: dict[str, Callable[..., bool]] = {
    "attribute_exists": lambda found: found is not None,
    "attribute_not_exists": lambda found: found is None,
    "attribute_type": lambda found, name: found is not None and kind_of(found) == name["S"],
    "begins_with": _begins_with,
    "contains": _contains,
}
"""The functions of conditions, of their arguments' values."""


def _compared(compare: Callable[[Any, Any], bool], left: Value | None, right: Value | None) -> bool:
    if left is None or right is None:
        return False
    kind = kind_of(left)
    return kind == kind_of(right) and kind in SORTABLE and compare(order_of(left), order_of(right))


def _check_type_name(operand: Operand, binding: Binding) -> None:
    if not isinstance(operand, Literal) or operand.kind(binding) != "S":
        raise wrong_type("attribute_type", str(operand.kind(binding)))
    name = operand.value(binding, {})["S"]
    if name not in TYPES:
        raise Invalid(f"Invalid attribute type name found; type: {name}, valid types: {','.join(sorted(TYPES))}")
