"""What can be referred to instead of being stored again: the leaves of a state that whoever reads has at hand.

The rule: what is stored on a state (the change that follows it, the writes of its tasks, the first state of a sub-graph
that is called from it) is read together with it. So messages that a task gives back whole, or that a sub-graph is
given, are numbers there. A reference holds on the one state that it was made on, whose digest goes with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from langgraph_dynamo_conv._format.limits import WRITE_UNIT_BYTES
from langgraph_dynamo_conv._format.tree import Leaf, Node, Pieces, StateRef, leaves, with_leaves

CHANNEL_VALUES = "channel_values"
"""The section of a state whose leaves can be referred to, and refer to others."""

_LEAST_BYTES = 24
"""A smaller leaf is written again, unless it goes on a run of what is referred to."""

MOST_POOLED = 1_000_000
"""Leaves of a state at most."""


class Pool:
    """The leaves of a state, counted through all channel values in their order.

    Args:
        tree: The state.
        is_elsewhere: Whether it is in another namespace, in whose segments its leaves are.
    """

    def __init__(self, tree: Mapping[str, Any], *, is_elsewhere: bool = False) -> None:
        self._tree = tree
        self._is_elsewhere = is_elsewhere

    @cached_property
    def leaves(self) -> list[Leaf]:
        """The leaves."""
        found = leaves(self._tree.get(CHANNEL_VALUES, {}))
        return [leaf.in_no_segment() for leaf in found] if self._is_elsewhere else list(found)

    @cached_property
    def _numbers(self) -> dict[bytes, int]:
        pairs = enumerate(self.leaves)
        return {leaf.plain_digest(): number for number, leaf in reversed(list(pairs))}

    def number(self, leaf: Leaf, last: int | None = None) -> int | None:
        """The number of a leaf that is the same: the one after `last` if it can be; None if there is none."""
        follows = last + 1 if last is not None else len(self.leaves)
        if follows < len(self.leaves) and self.leaves[follows].same(leaf):
            return follows
        if leaf.size < _LEAST_BYTES and not isinstance(leaf.at, Pieces):
            return None
        return self._numbers.get(leaf.plain_digest())

    def referring(self, node: Node) -> Any:
        """The same tree, its leaves that are in this pool as `StateRef`s."""
        number: int | None = None

        def referring(leaf: Leaf) -> Leaf:
            nonlocal number
            number = self.number(leaf, number)
            return leaf if number is None else Leaf("", None, StateRef(number))

        return with_leaves(node, referring)

    def resolved(self, node: Node) -> Any:
        """The same tree, its `StateRef`s as what they refer to. Raises `IndexError` if one refers to nothing."""
        return with_leaves(node, lambda leaf: self.leaves[leaf.at.number] if isinstance(leaf.at, StateRef) else leaf)


def pays(new: Iterable[Leaf]) -> bool:
    """Whether a look into a pool is worth it: it saves nothing where new leaves fit into one write unit."""
    return sum(leaf.size for leaf in new) >= WRITE_UNIT_BYTES


def pool_for(new: Iterable[Leaf], pool: Pool | None) -> Pool | None:
    """The pool if new leaves are worth a look into it."""
    return pool if pool is not None and pays(new) else None


def has_references(node: Node) -> bool:
    """Whether a tree has leaves that are only references to a state."""
    return any(isinstance(leaf.at, StateRef) for leaf in leaves(node))
