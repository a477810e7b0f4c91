"""Update expressions: what an item becomes.

All values are calculated from the item as it was. What is set is set first, elements behind the end of a list in the
order of their numbers, and what is removed is removed last, so that numbers of elements mean the item as it was.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from tests.memory_engine.expressions.operands import (
    Binding,
    Literal,
    Operand,
    Path,
    Steps,
    check_distinct,
    check_kinds,
    value_at,
)
from tests.memory_engine.expressions.paths import check_apart
from tests.memory_engine.items.sizes import attribute_size
from tests.memory_engine.items.values import DEEPEST, Attributes, Value, added, canonical, depth_of, kind_of, too_deep
from tests.memory_engine.refusals import Invalid, Unfit

_NUMBERS = frozenset({"N"})
_LISTS = frozenset({"L"})
_SETS = frozenset({"SS", "NS", "BS"})
NO_LOOK_UP = "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed"

_MISSING = "The provided expression refers to an attribute that does not exist in the item"
_WRONG_TYPE = "An operand in the update expression has an incorrect data type"
_NO_SUCH_PLACE = "The document path provided in the update expression is invalid for update"


@dataclass(frozen=True)
class IfNotExists:
    """`if_not_exists(path, default)`."""

    path: Path
    default: Operand

    def value(self, binding: Binding, item: Attributes) -> Value | None:
        found = self.path.value(binding, item)
        return found if found is not None else self.default.value(binding, item)

    def kind(self, binding: Binding) -> None:
        check_distinct("if_not_exists", (self.path, self.default), binding)
        self.default.kind(binding)


@dataclass(frozen=True)
class Sum:
    """The sum of two numbers, or their difference."""

    operator: str
    left: Operand
    right: Operand

    def value(self, binding: Binding, item: Attributes) -> Value:
        left, right = _both(self.left.value(binding, item), self.right.value(binding, item), "N")
        return _sum(left, right, self.operator)

    def kind(self, binding: Binding) -> str:
        check_kinds(self.operator, (self.left, self.right), binding, _NUMBERS)
        return "N"


@dataclass(frozen=True)
class ListAppend:
    """`list_append(first, second)`."""

    first: Operand
    second: Operand

    def value(self, binding: Binding, item: Attributes) -> Value:
        first, second = _both(self.first.value(binding, item), self.second.value(binding, item), "L")
        return {"L": [*first["L"], *second["L"]]}

    def kind(self, binding: Binding) -> str:
        check_kinds("list_append", (self.first, self.second), binding, _LISTS)
        return "L"


@dataclass(frozen=True)
class Action:
    """One change: SET, ADD and DELETE with an operand, REMOVE without."""

    section: str
    path: Path
    operand: Operand | None = None

    def check(self, binding: Binding) -> None:
        """Raises `Invalid` for what no item could be changed with."""
        if self.operand is None:
            return
        if self.section == "SET":
            self.operand.kind(binding)
        else:
            allowed = _SETS | _NUMBERS if self.section == "ADD" else _SETS
            check_kinds(self.section, [self.operand], binding, allowed)

    def value(self, binding: Binding, item: Attributes) -> Value | None:
        """What is at the path afterwards, or None."""
        if self.operand is None:
            return None
        named = self.operand.value(binding, item)
        if named is None:
            raise Unfit(_MISSING)
        if self.section == "SET":
            return named
        found = value_at(item, self.path.steps(binding))
        return _added(found, named) if self.section == "ADD" else _without(found, named)


@dataclass(frozen=True)
class Update:
    """A whole update expression."""

    actions: tuple[Action, ...]

    def check(self, binding: Binding) -> None:
        """Raises `Invalid` for what no item could be updated with."""
        check_apart(self.paths(binding))
        for action in self.actions:
            action.check(binding)

    def paths(self, binding: Binding) -> list[Steps]:
        """Where the item changes, in the order of the expression."""
        return [action.path.steps(binding) for action in self.actions]

    def size(self, binding: Binding) -> int:
        """Bytes of the values that are set as the request brings them, with their names."""
        return sum(
            attribute_size(str(action.path.steps(binding)[-1]), action.operand.value(binding, {}))
            for action in self.actions
            if action.section == "SET" and isinstance(action.operand, Literal)
        )

    def changes(
        self, binding: Binding, item: Attributes, key: Collection[str], keys: Collection[str]
    ) -> dict[str, Value | None]:
        """The attributes that may be other ones afterwards, None for those that are gone.

        Args:
            binding: What the placeholders stand for.
            item: The item's attributes.
            key: The names of the table's key.
            keys: The same and those of the indexes' keys.

        Raises:
            Unfit: The item has not what the expression takes for granted, or an attribute is a key.
        """
        paths = self.paths(binding)
        _check_no_keys(paths, key, keys)
        wanted = [(path, action.value(binding, item)) for path, action in zip(paths, self.actions, strict=True)]
        root: Value = {"M": item}
        for path, value in sorted(wanted, key=lambda change: _last_number(change[0])):
            root = _replaced(root, path, value) if value is not None else root
        for path in sorted((path for path, value in wanted if value is None), key=_numbers, reverse=True):
            root = _removed(root, path)
        changed = {str(path[0]): root["M"].get(path[0]) for path in paths}
        _check_depth(changed[str(path[0])] for path in paths if len(path) > 1)
        return changed


def _check_no_keys(paths: list[Steps], key: Collection[str], keys: Collection[str]) -> None:
    for path in paths:
        if len(path) > 1 and path[0] in keys:
            raise Unfit(f"{NO_LOOK_UP}: Key: {path[0]}")
        if path[0] in key:
            raise Unfit(
                f"One or more parameter values were invalid: Cannot update attribute {path[0]}. "
                "This attribute is part of the key"
            )


def _check_depth(values: Any) -> None:
    if any(value is not None and depth_of(value) > DEEPEST for value in values):
        raise Unfit(too_deep().message)


def _last_number(path: Steps) -> int:
    return path[-1] if isinstance(path[-1], int) else -1


def _numbers(path: Steps) -> list[tuple[int, str]]:
    return [(step, "") if isinstance(step, int) else (-1, step) for step in path]


def _replaced(held: Value, path: Steps, value: Value) -> Value:
    """The value with another one at a path."""
    if not path:
        return value
    if isinstance(path[0], str):
        entries = _held(held, "M")
        if len(path) > 1 and path[0] not in entries:
            raise Unfit(_NO_SUCH_PLACE)
        return {"M": {**entries, path[0]: _replaced(entries.get(path[0], {}), path[1:], value)}}
    elements = [*_held(held, "L")]
    if path[0] < len(elements):
        elements[path[0]] = _replaced(elements[path[0]], path[1:], value)
    elif len(path) > 1:
        raise Unfit(_NO_SUCH_PLACE)
    else:
        elements.append(value)
    return {"L": elements}


def _removed(held: Value, path: Steps) -> Value:
    """The value without what is at a path, if anything is."""
    step = path[0]
    rest: Any = {**_held(held, "M")} if isinstance(step, str) else [*_held(held, "L")]
    there = step in rest if isinstance(step, str) else step < len(rest)
    if len(path) > 1:
        if not there:
            raise Unfit(_NO_SUCH_PLACE)
        rest[step] = _removed(rest[step], path[1:])
    elif there:
        del rest[step]
    return {"M" if isinstance(step, str) else "L": rest}


def _held(value: Value, kind: str) -> Any:
    if kind not in value:
        raise Unfit(_NO_SUCH_PLACE)
    return value[kind]


def _both(left: Value | None, right: Value | None, kind: str) -> tuple[Value, Value]:
    if left is None or right is None:
        raise Unfit(_MISSING)
    if not kind_of(left) == kind_of(right) == kind:
        raise Unfit(_WRONG_TYPE)
    return left, right


def _sum(left: Value, right: Value, operator: str = "+") -> Value:
    try:
        return added(left["N"], right["N"], operator)
    except Invalid as error:
        raise Unfit(error.message) from error


def _added(found: Value | None, named: Value) -> Value:
    if found is None:
        return named
    kind = kind_of(found)
    if kind != kind_of(named):
        raise Unfit(_WRONG_TYPE)
    return _sum(found, named) if kind == "N" else canonical({kind: {*found[kind], *named[kind]}})


def _without(found: Value | None, named: Value) -> Value | None:
    if found is None:
        return None
    kind = kind_of(found)
    if kind != kind_of(named):
        raise Unfit(_WRONG_TYPE)
    left = [member for member in found[kind] if member not in named[kind]]
    return {kind: left} if left else None
