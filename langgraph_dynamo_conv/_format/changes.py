"""What changed between two checkpoints, and how a change is replayed.

The rule: replaying a change gives exactly the new checkpoint, its order and types included, and a change names what
stays instead of storing it again. A checkpoint is a tree of dicts, lists and leaves (`tree.grow`); leaves are compared
by the bytes that the serializer gave, never by `==`, which takes 1, 1.0 and True for one another.

A tree or a change is written as msgpack, with arrays that open with a tag:

    bytes                                 a leaf of the serializer's type "msgpack"
    {key: node, ...}                      a dict
    [0, type, bytes]                      a leaf of another type
    [1, [node, ...]]                      a list
    [2, segment, index]                   a leaf that is in a segment (a number in the payload's segment table)
    [3, segment, index, count]            in a list: so many leaves of a segment in a row
    [4, type, plain, [piece, ...]]        a leaf in pieces; plain: the digest of its type and bytes. A piece is bytes,
                                          [digest, bytes, parts] of a blob, or that and [start, bytes] of a slice of it
    [5, {key: change}, [key], order]      a dict changed: keys set, keys removed, all keys in order (nil: as before)
    [6, before, after, [node, ...]]       a list changed: how many leaves stay in front and at the end, and what stands
                                          between them
    [7, index, count]                     in a list change: so many leaves of the old list in a row, from elsewhere
    [8, number, count]                    so many leaves in a row of the state that this is stored on (`Pool`); one of
                                          them where it does not stand in a list
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import is_
from typing import Any, NamedTuple, cast

from langgraph_dynamo_conv._format.pool import CHANNEL_VALUES, MOST_POOLED, Pool, pool_for
from langgraph_dynamo_conv._format.tree import BlobRef, Leaf, Node, Pieces, SegmentRef, Slice, StateRef, Tree, leaves

_LEAF, _LIST, _IN_SEGMENT, _RUN, _PIECES, _PATCH, _SPLICE, _KEPT, _POOLED = range(9)
_NATIVE = "msgpack"
_MISFITS = (AttributeError, IndexError, KeyError, TypeError)
"""What reading a damaged encoding raises before a check of the grammar finds it."""

UNCHANGED: Any = [_PATCH, {}, [], None]
"""The change where nothing changed."""


class Difference(NamedTuple):
    """The step from one tree to another.

    Args:
        change: Turns the old tree into `tree`, in the grammar above.
        tree: Equal to the new tree, but made of the old tree's objects wherever they are the same. The next comparison
            then finds them by identity, and what the old leaves know (digests, places) is kept.
    """

    change: Any
    tree: Any


def difference(old: Node | None, new: Node, pool: Pool | None = None) -> Difference:
    """What turns `old` into `new`; the change is the object `UNCHANGED` where they are equal.

    Args:
        old: The old tree, or None.
        new: The new one.
        pool: What new leaves can be referred to in, besides `old`.
    """
    if type(old) is dict and type(new) is dict:
        return _dict_difference(old, new, lambda _: pool)
    if type(old) is list and type(new) is list:
        return _list_difference(old, new, pool)
    if isinstance(old, Leaf) and isinstance(new, Leaf) and old.same(new):
        return Difference(UNCHANGED, old)
    pool = pool_for(leaves(new), pool)
    if pool is None:
        return Difference(encode(new), new)
    referring = pool.referring(new)
    return Difference(encode(referring), pool.resolved(referring))


def state_difference(old: Tree, new: Tree) -> Difference:
    """What turns a checkpoint's state into another; what is new in a channel and was in another is referred to."""
    return _dict_difference(old, new, {CHANNEL_VALUES: Pool(old)}.get)


def _dict_difference(old: dict[str, Any], new: dict[str, Any], pool_of: Callable[[str], Pool | None]) -> Difference:
    parts = {key: difference(old.get(key), item, pool_of(key)) for key, item in new.items()}
    patch = {key: part.change for key, part in parts.items() if part.change is not UNCHANGED}
    removed = [key for key in old if key not in new]
    # Replaying keeps the old keys in their order and appends the new ones. Only another order has to be stored.
    replayed = [key for key in old if key in new] + [key for key in new if key not in old]
    order = None if replayed == list(new) else list(new)
    if not patch and not removed and order is None:
        return Difference(UNCHANGED, old)
    keys = order or replayed  # of a key that stays, the old object
    return Difference([_PATCH, patch, removed, order], {key: parts[key].tree for key in keys})


def _list_difference(old: list[Leaf], new: list[Leaf], pool: Pool | None) -> Difference:
    before = common_head(old, new)
    if before == len(old) == len(new):
        return Difference(UNCHANGED, old)
    behind = common_head(old[before:][::-1], new[before:][::-1])
    middle, encoded = _middle(old, new[before : len(new) - behind], range(before, len(old) - behind), pool)
    return Difference([_SPLICE, before, behind, encoded], [*old[:before], *middle, *old[len(old) - behind :]])


def common_head(old: list[Leaf], new: list[Leaf]) -> int:
    """How many leaves at the head of two lists are the same."""
    shortest = min(len(old), len(new))
    # Most leaves are the old objects themselves. `map` compares these without a call of `same` for each.
    identical = list(map(is_, old, new))
    count = identical.index(False) if False in identical else shortest
    while count < shortest and old[count].same(new[count]):
        count += 1
    return count


def _middle(old: list[Leaf], new: list[Leaf], replaced: range, pool: Pool | None) -> tuple[list[Leaf], list[Any]]:
    """The leaves between a common head and a common end, and how a change writes them.

    A window over messages slides, and elements change places: a new leaf that is among the `replaced` ones of the old
    list is referred to by its index there. Each index is used once, so that equal elements stay separate leaves.
    """
    indexes: dict[bytes, deque[int]] = {}
    for index in replaced if new else ():
        indexes.setdefault(old[index].plain_digest(), deque()).append(index)
    pool, number = pool_for(new, pool), None
    leaves: list[Leaf] = []
    encoded: list[Any] = []
    for leaf in new:
        left = indexes.get(leaf.plain_digest()) if indexes else None
        number = pool.number(leaf, number) if pool is not None and not left else None
        if left:
            leaves.append(old[left[0]])
            _append_to_run(encoded, [_KEPT, left.popleft(), 1])
        elif pool is not None and number is not None:
            leaves.append(pool.leaves[number])
            _append_to_run(encoded, [_POOLED, number, 1])
        else:
            leaves.append(leaf)
            encoded.append(encode(leaf))
    return leaves, encoded


def _append_to_run(encoded: list[Any], run: list[Any]) -> None:
    """Append a run of one leaf ([tag, ..., index, 1]), or lengthen the run before it that ends at its index."""
    last: Any = encoded[-1] if encoded else None
    if _tag(last) == run[0] and last[-2] + last[-1] == run[-2] and last[:-2] == run[:-2]:
        last[-1] += 1
    else:
        encoded.append(run)


def _tag(encoded: Any) -> Any:
    return encoded[0] if type(encoded) is list and encoded else None


def apply(old: Node | None, change: Any, pool: Pool | None = None) -> Any:
    """Replay a change that was read. The new tree shares all that is the same with `old`.

    Args:
        old: What was changed.
        change: How.
        pool: The one that the change was made with.

    Raises:
        ValueError: The change does not fit `old`, or is not of this grammar.
    """
    try:
        return _applied(old, change, pool)
    except _MISFITS as error:
        raise ValueError(f"a stored change does not fit what it changes: {error!r}") from error


def _applied(old: Node | None, change: Any, pool: Pool | None) -> Node:
    if _tag(change) == _PATCH:
        return _patched(old, change, pool)
    if _tag(change) == _SPLICE:
        return _spliced(old, change, pool)
    return _decoded(change, (), pool)  # a change refers to no segments: only full checkpoints have a segment table


def _patched(old: Node | None, change: list[Any], pool: Pool | None) -> Node:
    _, patch, removed, order = change
    if type(old) is not dict:
        raise ValueError("a dict change has no dict to change")
    tree = dict(old)
    for key in removed:
        del tree[key]
    tree |= {key: _applied(old.get(key), part, pool) for key, part in patch.items()}
    if order is None:
        return tree
    if len(order) != len(tree):
        raise ValueError("a dict change does not order all keys")
    return {key: tree[key] for key in order}


def _spliced(old: Node | None, change: list[Any], pool: Pool | None) -> Node:
    _, before, behind, middle = change
    if type(old) is not list or before < 0 or behind < 0 or before + behind > len(old):
        raise ValueError("a list change has no such list to change")
    return [*old[:before], *_leaves(middle, (), pool, old), *old[len(old) - behind :]]


def encode(node: Node, segment_numbers: Mapping[str, int] | None = None) -> Any:
    """A tree in the grammar above.

    Args:
        node: A tree whose inline leaves have their bytes.
        segment_numbers: The number of each segment that may be referred to. Leaves in other segments are written
            inline.
    """
    numbers = segment_numbers or {}
    if type(node) is dict:
        return {key: encode(item, numbers) for key, item in node.items()}
    if type(node) is list:
        return [_LIST, _encoded_items(node, numbers)]
    return _encoded_leaf(cast("Leaf", node), numbers)


def _encoded_leaf(leaf: Leaf, numbers: Mapping[str, int]) -> Any:
    if isinstance(leaf.at, Pieces):
        return [_PIECES, leaf.typ, leaf.plain_digest(), [_encoded_piece(piece) for piece in leaf.at.parts]]
    if isinstance(leaf.at, StateRef):
        return [_POOLED, leaf.at.number, 1]
    if leaf.at is not None and leaf.at.segment in numbers:
        return [_IN_SEGMENT, numbers[leaf.at.segment], leaf.at.position]
    return leaf.data if leaf.typ == _NATIVE else [_LEAF, leaf.typ, leaf.data]


def _encoded_piece(piece: bytes | BlobRef | Slice) -> Any:
    if isinstance(piece, Slice):
        return [*piece.blob, piece.start, piece.size]
    return list(piece) if isinstance(piece, BlobRef) else piece


def _piece(encoded: Any) -> bytes | BlobRef | Slice:
    if isinstance(encoded, bytes):
        return encoded
    blob, of_slice = BlobRef(*encoded[:3]), encoded[3:]
    return Slice(blob, *of_slice) if of_slice else blob


def _encoded_items(items: list[Leaf], numbers: Mapping[str, int]) -> list[Any]:
    encoded: list[Any] = []
    for leaf in items:
        item = _encoded_leaf(leaf, numbers)
        if _tag(item) == _IN_SEGMENT:
            _append_to_run(encoded, [_RUN, *item[1:], 1])
        elif _tag(item) == _POOLED:
            _append_to_run(encoded, item)
        else:
            encoded.append(item)
    return encoded


def decode(encoded: Any, segment_table: Sequence[str], pool: Pool | None = None) -> Node:
    """The tree that `encode` wrote. Leaves in segments have no bytes yet.

    Args:
        encoded: A tree in the grammar above.
        segment_table: The segment of each number in it.
        pool: The one that it was encoded with; None if it is not at hand: then what refers to it is leaves with a
            `StateRef`.

    Raises:
        ValueError: Not of this grammar.
    """
    try:
        return _decoded(encoded, segment_table, pool)
    except _MISFITS as error:
        raise ValueError(f"stored state is of an unknown grammar: {error!r}") from error


def _decoded(encoded: Any, segment_table: Sequence[str], pool: Pool | None) -> Node:
    if type(encoded) is dict:
        return {key: _decoded(item, segment_table, pool) for key, item in encoded.items()}
    if _tag(encoded) == _LIST:
        return list(_leaves(encoded[1], segment_table, pool))
    if _tag(encoded) == _POOLED:
        (leaf,) = _pooled(encoded, pool)
        return leaf
    return _leaf(encoded, segment_table)


def _leaves(encoded: Any, segment_table: Sequence[str], pool: Pool | None, old: Sequence[Leaf] = ()) -> Iterator[Leaf]:
    """The leaves in an encoded list; those that a run takes from elsewhere, one by one."""
    for item in encoded:
        if _tag(item) == _RUN:
            _, number, start, count = item
            for index in range(start, start + count):
                yield Leaf(_NATIVE, None, SegmentRef(segment_table[number], index))
        elif _tag(item) == _KEPT:
            yield from _run_of(old, item)
        elif _tag(item) == _POOLED:
            yield from _pooled(item, pool)
        else:
            yield _leaf(item, segment_table)


def _pooled(run: list[Any], pool: Pool | None) -> Sequence[Leaf]:
    if pool is not None:
        return _run_of(pool.leaves, run)
    _, start, count = run
    if count > MOST_POOLED:
        raise ValueError("a list refers to more than a state has")
    return [Leaf("", None, StateRef(number)) for number in range(start, start + count)]


def _run_of(some: Sequence[Leaf], run: list[Any]) -> Sequence[Leaf]:
    _, start, count = run
    if not 0 <= start < start + count <= len(some):
        raise ValueError("a list refers to what there is not")
    return some[start : start + count]


def _leaf(encoded: Any, segment_table: Sequence[str]) -> Leaf:
    if isinstance(encoded, bytes):
        return Leaf(_NATIVE, encoded)
    tag, *parts = encoded
    if tag == _LEAF and isinstance(parts[1], bytes):
        return Leaf(parts[0], parts[1])
    if tag == _IN_SEGMENT and parts[0] >= 0:
        return Leaf(_NATIVE, None, SegmentRef(segment_table[parts[0]], parts[1]))
    if tag == _PIECES and isinstance(parts[1], bytes):
        typ, plain, pieces = parts
        leaf = Leaf(typ, None, Pieces(tuple(map(_piece, pieces))))
        leaf.digest = plain
        return leaf
    raise ValueError("stored state is of an unknown grammar")
