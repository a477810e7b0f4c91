"""Checkpoints as a tree, drawn from the newest down as `git log --graph` draws commits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """One checkpoint.

    Args:
        checkpoint_id: Its id; the greatest is the newest.
        ns: Its namespace, "" for the root graph.
        parent_id: The checkpoint it builds on, or None.
        created_at: When it was stored, in ISO 8601.
        step: Its step, or None.
        source: "input", "loop", "update" or "fork", or None.
        item_bytes: The bytes of its item.
        write_bytes: The bytes of its task writes.
    """

    checkpoint_id: str
    ns: str
    parent_id: str | None
    created_at: str
    step: int | None
    source: str | None
    item_bytes: int
    write_bytes: int


def drawn(nodes: Iterable[Node]) -> Iterator[tuple[str, Node | None]]:
    """Lines of the tree, newest first: what is drawn, and the checkpoint that stands there, or None.

    The line of the newest checkpoint runs straight down on the left. A fork stands above the checkpoint that it left
    the line at. A checkpoint whose parent is not among the nodes is the end of its line.
    """
    by_id = {node.checkpoint_id: node for node in nodes}
    children: dict[str | None, list[Node]] = defaultdict(list)
    for node in by_id.values():
        children[node.parent_id if node.parent_id in by_id else None].append(node)
    newest = _newest_below(by_id)
    # of several roots, the one that the newest checkpoint stands on comes first
    for root in sorted(children[None], key=lambda node: newest[node.checkpoint_id], reverse=True):
        yield from _line(root, children, newest, "")


def _newest_below(by_id: Mapping[str, Node]) -> dict[str, str]:
    """For each checkpoint, the newest of those that build on it, itself included."""
    newest: dict[str, str] = {}
    for checkpoint_id in sorted(by_id, reverse=True):
        node = by_id.get(checkpoint_id)
        while node is not None and node.checkpoint_id not in newest:
            newest[node.checkpoint_id] = checkpoint_id
            node = by_id.get(node.parent_id or "")
    return newest


def _line(
    start: Node, children: Mapping[str | None, list[Node]], newest: Mapping[str, str], prefix: str
) -> Iterator[tuple[str, Node | None]]:
    """A line from its newest checkpoint down to `start`, with the forks that left it."""
    line, forks = [start], []
    while below := children.get(line[-1].checkpoint_id):
        *others, main = sorted(below, key=lambda node: newest[node.checkpoint_id])
        forks.append(others)
        line.append(main)
    forks.append([])
    for node, others in zip(reversed(line), reversed(forks), strict=True):
        for other in reversed(others):
            yield from _line(other, children, newest, f"{prefix}│ ")
            yield f"{prefix}├─╯", None
        yield f"{prefix}●", node
