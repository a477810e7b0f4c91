"""Full checkpoints: the whole state, of which most is in segments that earlier ones have written. Pure.

A checkpoint is stored as a *change* against its parent, or *full*. A full one refers to *segments*: items that hold
leaves, each written once and referred to by every later full checkpoint. So storing a state anew costs what is new
since the last time, not the state. `plan_full` decides which leaves move to a segment, and `full_pays` when a chain of
changes is long enough that a full checkpoint is cheaper for the readers to come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from langgraph_dynamo_conv._format import changes
from langgraph_dynamo_conv._format.limits import MIN_MOVED_BYTES, MIN_MOVED_LEAF_BYTES
from langgraph_dynamo_conv._format.pool import Pool
from langgraph_dynamo_conv._format.tree import Leaf, Node, Pieces, SegmentRef, leaves, with_leaves

CHAIN_BYTES = 512 * 1024
"""A chain is rewritten at this size whatever it costs: half of a query page of 1 MB."""

RUN_LEAVES = 32
"""In a list of so many leaves the small ones move to segments as well: one reference stands for many in a row."""

SEGMENT_BYTES = 256 * 1024
"""Serialized bytes of one segment at most (before compression), so that it fits into an item."""

SMALL_SEGMENT_BYTES = 96 * 1024
SMALL_SEGMENTS = 8
"""So many segments below that size are merged into one: few items to read, and better compressed."""


@dataclass(frozen=True)
class FullPlan:
    """A full checkpoint to be written.

    Args:
        payload: What the checkpoint's frame holds.
        segments: New segments to be written before it: the leaves of each, by segment id.
        tree: The tree with the leaves at their new places.
        segment_sizes: Serialized bytes of every segment that is referred to.
        merged_share: The part of the new segments (0 to 1) that is only there because small ones are merged.
    """

    payload: list[Any]
    segments: Mapping[str, list[Leaf]]
    tree: dict[str, Any]
    segment_sizes: Mapping[str, int]
    merged_share: float = 0.0


def full_pays(chain_bytes: int, full_bytes: int) -> bool:
    """Whether writing a full checkpoint of that size is worth it after a chain of that size.

    All full checkpoints together then never cost more than all changes together, so what is written stays linear in
    what was changed. The merging of small segments is not counted: it happens to a leaf once.
    """
    return chain_bytes >= full_bytes or chain_bytes >= CHAIN_BYTES


def plan_full(tree: dict[str, Any], sizes: Mapping[str, int], new_segment_id: Any) -> FullPlan:
    """A full checkpoint of a tree.

    Args:
        tree: The state; leaves that are in no segment have their bytes.
        sizes: Serialized bytes of each segment in use.
        new_segment_id: Called with `(number, leaves)`, gives the id of a new segment.
    """
    half_dead, small = _half_dead(tree, sizes), _mergeable(sizes)
    dissolved = half_dead | small
    moving = list(_moving(tree, dissolved, unpacks=_has_many_packs(tree)))
    if not dissolved and sum(leaf.size for leaf in moving) < MIN_MOVED_BYTES:
        moving = []
    segments, places = {}, {}
    for number, batch in enumerate(_batches(moving)):
        segment = new_segment_id(number, batch)
        segments[segment] = batch
        places.update({id(leaf): SegmentRef(segment, index) for index, leaf in enumerate(batch)})
    moved = _moved(tree, places, dissolved) if segments or dissolved else tree
    used = _used(moved)
    all_sizes = {**sizes, **{segment: sum(leaf.size for leaf in batch) for segment, batch in segments.items()}}
    table = [segment for segment in all_sizes if segment in used]
    numbers = {segment: number for number, segment in enumerate(table)}
    payload = [[[segment, all_sizes[segment]] for segment in table], changes.encode(moved, numbers)]
    merged = sum(leaf.size for leaf in moving if _is_in(leaf, small - half_dead))
    share = merged / (sum(leaf.size for leaf in moving) or 1)
    return FullPlan(payload, segments, moved, {segment: all_sizes[segment] for segment in table}, share)


def decode_full(payload: list[Any], pool: Pool | None = None) -> tuple[dict[str, Any], dict[str, int]]:
    """Tree and segment sizes of a full checkpoint; leaves in segments have no bytes yet.

    Args:
        payload: What the checkpoint's frame holds.
        pool: What it refers to besides.

    Raises:
        ValueError: Not what `plan_full` gives.
    """
    table, encoded, *_ = payload
    tree = changes.decode(encoded, [segment for segment, _ in table], pool)
    if type(tree) is not dict:
        raise ValueError("a checkpoint's state is a dict")
    return tree, dict(table)


def encode_segment(batch: Iterable[Leaf]) -> list[Any]:
    """What a segment's frame holds."""
    return [changes.encode(Leaf(leaf.typ, leaf.data)) for leaf in batch]


def fill(node: Node, segments: Mapping[str, list[Any]]) -> None:
    """Give the leaves of a tree that was just decoded the bytes that are in segments.

    Raises:
        KeyError, IndexError, ValueError: A segment is missing or is not what it was.
    """
    for leaf in leaves(node):
        if leaf.data is None and isinstance(leaf.at, SegmentRef):
            stored = changes.decode(segments[leaf.at.segment][leaf.at.position], [])
            if not isinstance(stored, Leaf):
                raise ValueError("a segment holds leaves only")
            leaf.typ, leaf.data = stored.typ, stored.data


def fill_packed(node: Node, values: Mapping[str, bytes]) -> None:
    """Give the leaves of a tree their bytes that are in blobs with others.

    Args:
        node: The tree.
        values: Serialized bytes of its blobs, by digest.
    """
    for leaf in leaves(node):
        if leaf.data is None and isinstance(leaf.at, Pieces) and leaf.at.is_packed:
            leaf.data = leaf.at.joined(values)


def _moving(tree: dict[str, Any], dissolved: set[str], *, unpacks: bool) -> Iterable[Leaf]:
    """Leaves that go to a segment if there are enough, and fit into one.

    A channel's large ones are values of their own, unless they compress well.
    """
    for section, node in tree.items():
        for group in _groups(node):
            least = MIN_MOVED_LEAF_BYTES if len(group) < RUN_LEAVES else 0
            for leaf in group:
                is_free = leaf.at is None or (unpacks and leaf.is_packed and leaf.data is not None)
                is_loose = leaf.size >= least if is_free else _is_in(leaf, dissolved)
                if is_loose and (section == "channel_values" or leaf.size <= SEGMENT_BYTES):
                    yield leaf


def _groups(node: Node) -> Iterable[list[Leaf]]:
    """The leaves of each list together, and others alone."""
    if type(node) is dict:
        for item in node.values():
            yield from _groups(item)
    else:
        yield node if type(node) is list else [cast("Leaf", node)]


def _is_in(leaf: Leaf, segments: set[str]) -> bool:
    return isinstance(leaf.at, SegmentRef) and leaf.at.segment in segments


def _half_dead(tree: Node, sizes: Mapping[str, int]) -> set[str]:
    """Segments of which less than half is still in use: their live leaves are written anew."""
    live = dict.fromkeys(sizes, 0)
    for leaf in leaves(tree):
        if isinstance(leaf.at, SegmentRef) and leaf.at.segment in live:
            live[leaf.at.segment] += leaf.size
    return {segment for segment, size in sizes.items() if live[segment] < size / 2}


def _has_many_packs(tree: Node) -> bool:
    """Whether leaves are in as many blobs with others as small segments are merged at: a reader fetches each."""
    packs = {
        ref.digest for leaf in leaves(tree) if isinstance(leaf.at, Pieces) and leaf.is_packed for ref in leaf.at.refs
    }
    return len(packs) >= SMALL_SEGMENTS


def _mergeable(sizes: Mapping[str, int]) -> set[str]:
    small = {segment for segment, size in sizes.items() if size < SMALL_SEGMENT_BYTES}
    return small if len(small) >= SMALL_SEGMENTS else set()


def _batches(moving: list[Leaf]) -> Iterable[list[Leaf]]:
    batch: list[Leaf] = []
    size = 0
    for leaf in moving:
        if batch and size + leaf.size > SEGMENT_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(leaf)
        size += leaf.size
    if batch:
        yield batch


def _moved(tree: dict[str, Any], places: Mapping[int, SegmentRef], dissolved: set[str]) -> dict[str, Any]:
    def place(leaf: Leaf) -> Leaf:
        if id(leaf) in places:
            return Leaf(leaf.typ, leaf.data, places[id(leaf)])
        if _is_in(leaf, dissolved):
            return Leaf(leaf.typ, leaf.data)
        return leaf

    moved = with_leaves(tree, place)
    assert type(moved) is dict
    return moved


def _used(tree: Node) -> set[str]:
    return {leaf.at.segment for leaf in leaves(tree) if isinstance(leaf.at, SegmentRef)}
