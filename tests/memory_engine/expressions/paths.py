"""Several paths of one expression: that they can be used together, and what an item has at them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from tests.memory_engine.expressions.operands import Steps, shown
from tests.memory_engine.items.values import Attributes, Value
from tests.memory_engine.refusals import Invalid

Tree = dict[str | int, "Tree"]
"""Paths by their first steps; an empty one is the end of a path."""


def check_apart(paths: Sequence[Steps]) -> None:
    """Raises `Invalid` if a path is within another, or is of a list where another is of a map."""
    if len(paths) == len(set(paths)) and all(len(path) == 1 for path in paths):
        return
    for one, other in combinations(paths, 2):
        shared = next((n for n, steps in enumerate(zip(one, other, strict=False)) if steps[0] != steps[1]), None)
        if shared is None:
            raise _unfit("overlap", one, other)
        if isinstance(one[shared], int) is not isinstance(other[shared], int):
            raise _unfit("conflict", one, other)


def projected(item: Attributes, paths: Iterable[Steps]) -> Attributes:
    """The parts of an item at these paths; of a list the elements in their order, without gaps."""
    tree: Tree = {}
    for path in paths:
        branch = tree
        for step in path:
            branch = branch.setdefault(step, {})
    return _entries(item, tree)


def _entries(item: Attributes, tree: Tree) -> Attributes:
    parts = ((str(step), _part(item.get(str(step)), branch)) for step, branch in tree.items())
    return {name: part for name, part in parts if part is not None}


def _part(value: Value | None, tree: Tree) -> Value | None:
    if value is None or not tree:
        return value
    if isinstance(next(iter(tree)), str):
        entries = _entries(value.get("M", {}), tree)
        return {"M": entries} if entries else None
    held = value.get("L", [])
    numbers = sorted(step for step in tree if isinstance(step, int) and step < len(held))
    elements = [part for number in numbers if (part := _part(held[number], tree[number])) is not None]
    return {"L": elements} if elements else None


def _unfit(how: str, one: Steps, other: Steps) -> Invalid:
    return Invalid(
        f"Two document paths {how} with each other; must remove or rewrite one of these paths; "
        f"path one: {shown(one)}, path two: {shown(other)}"
    )
