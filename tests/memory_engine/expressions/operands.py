"""What the operators of an expression work on: paths into an item, values of the request, sizes of either."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tests.memory_engine.items.values import Attributes, Value, kind_of
from tests.memory_engine.refusals import Invalid

Steps = tuple[str | int, ...]
"""A path: names of attributes and map entries, numbers of list elements."""

_MEASURED = frozenset({"S", "B", "SS", "NS", "BS", "L", "M"})


@dataclass(frozen=True)
class Binding:
    """What the placeholders of a request's expressions stand for."""

    names: Mapping[str, str]
    values: Mapping[str, Value]


class Operand(Protocol):
    """One side of an operator, or an argument of a function."""

    def value(self, binding: Binding, item: Attributes) -> Value | None:
        """The value in an item, or None if there is none."""

    def kind(self, binding: Binding) -> str | None:
        """The value's type if it is the same in every item, else None. Raises `Invalid` if no item can have it."""


@dataclass(frozen=True)
class Path:
    """A path as it is written, for instance `#m.list[0]`."""

    written: Steps

    def value(self, binding: Binding, item: Attributes) -> Value | None:
        return value_at(item, self.steps(binding))

    def kind(self, binding: Binding) -> None:
        return None

    def steps(self, binding: Binding) -> Steps:
        """The path with its placeholders replaced."""
        names = binding.names
        return tuple(names[step] if isinstance(step, str) and step[0] == "#" else step for step in self.written)


@dataclass(frozen=True)
class Literal:
    """A value that the request brings, for instance `:now`."""

    name: str

    def value(self, binding: Binding, item: Attributes) -> Value:
        return binding.values[self.name]

    def kind(self, binding: Binding) -> str:
        return kind_of(binding.values[self.name])


@dataclass(frozen=True)
class Size:
    """`size(operand)`: a text's length in UTF-16, the number of bytes, or of elements."""

    of: Operand

    def value(self, binding: Binding, item: Attributes) -> Value | None:
        measured = self.of.value(binding, item)
        if measured is None:
            return None
        ((kind, held),) = measured.items()
        if kind not in _MEASURED:
            return None
        return {"N": str(len(held.encode("utf-16-le")) // 2 if kind == "S" else len(held))}

    def kind(self, binding: Binding) -> str:
        check_kinds("size", [self.of], binding, _MEASURED)
        return "N"


def value_at(item: Attributes, steps: Steps) -> Value | None:
    """The value that steps lead to, or None."""
    found: Value | None = item.get(str(steps[0]))
    for step in steps[1:]:
        if found is None:
            return None
        found = _entry(found, step)
    return found


def check_kinds(operator: str, operands: Iterable[Operand], binding: Binding, allowed: frozenset[str]) -> None:
    """Raises `Invalid` if an operand is of a type that the operator does not take in any item."""
    for operand in operands:
        kind = operand.kind(binding)
        if kind is not None and kind not in allowed:
            raise wrong_type(operator, kind)


def check_distinct(name: str, operands: tuple[Operand, ...], binding: Binding) -> None:
    """Raises `Invalid` if the first operand is a path that is another operand too."""
    first = operands[0]
    if not isinstance(first, Path):
        return
    steps = first.steps(binding)
    if any(isinstance(other, Path) and other.steps(binding) == steps for other in operands[1:]):
        raise Invalid(
            "The first operand must be distinct from the remaining operands for this operator or function; "
            f"operator: {name}, first operand: {shown(steps)}"
        )


def wrong_type(operator: str, kind: str) -> Invalid:
    """What is said of an operand of a type that its operator does not take."""
    return Invalid(
        f"Incorrect operand type for operator or function; operator or function: {operator}, operand type: {kind}"
    )


def shown(steps: Steps) -> str:
    """A path as DynamoDB's messages show it."""
    return "[" + ", ".join(f"[{step}]" if isinstance(step, int) else step for step in steps) + "]"


def _entry(held: Value, step: str | int) -> Value | None:
    if isinstance(step, str):
        entries: Attributes = held.get("M", {})
        return entries.get(step)
    elements: list[Value] = held.get("L", [])
    return elements[step] if step < len(elements) else None
