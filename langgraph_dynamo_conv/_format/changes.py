"""What changed between two checkpoints, and how it is replayed. Pure.

A checkpoint is held as a *tree*: dicts with string keys, lists, and leaves. A `Leaf` is one value as the serializer's
bytes. Only values of the exact types `dict` and `list` are taken apart, and only as deep as `grow` is told, so what
`prune_to_python` (the inverse) gives back equals what went in, order included. Leaves are compared by their bytes.

A tree or a change is written as msgpack, with arrays that open with a tag:

    bytes                                 a leaf of the serializer's type "msgpack"
    {key: node, ...}                      a dict
    [0, type, bytes]                      a leaf of another type
    [1, [node, ...]]                      a list
    [2, segment, index]                   a leaf that is in a segment (a number in the payload's segment table)
    [3, segment, index, count]            in a list: so many leaves of a segment in a row
    [4, type, digest, bytes, parts]       a leaf that is stored as a value of its own
    [5, {key: change}, [key], order]      a dict changed: keys set, keys removed, all keys in order (nil: as before)
    [6, before, after, [node, ...]]       a list changed: what stays in front and at the end, what stands between
    [7, index, count]                     in a list change: so many leaves of the old list in a row, from elsewhere
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any

from langgraph_dynamo_conv._format.tree import BlobRef, Leaf, Node, SegmentRef

_LEAF, _LIST, _IN_SEGMENT, _RUN, _VALUE, _PATCH, _SPLICE, _KEPT = range(8)
_NATIVE = "msgpack"
_MISFITS = (AttributeError, IndexError, KeyError, TypeError)


UNCHANGED: Any = [_PATCH, {}, [], None]
"""The change where nothing changed."""


@dataclass(frozen=True)
class Difference:
    """`change` turns the old tree into `tree`, which shares all that is the same with the old one."""

    change: Any
    tree: Any


def difference(old: Node | None, new: Node) -> Difference:
    """What turns `old` into `new`; `change` is `UNCHANGED` where they are equal."""
    if type(old) is dict and type(new) is dict:
        return _dict_difference(old, new)
    if type(old) is list and type(new) is list:
        return _list_difference(old, new)
    if isinstance(old, Leaf) and isinstance(new, Leaf) and old.same(new):
        return Difference(UNCHANGED, old)
    return Difference(encode(new), new)


def _dict_difference(old: dict[str, Any], new: dict[str, Any]) -> Difference:
    tree, patch = {}, {}
    for key, item in new.items():
        part = difference(old.get(key), item)
        tree[key] = part.tree
        if part.change is not UNCHANGED:
            patch[key] = part.change
    removed = [key for key in old if key not in new]
    kept = [key for key in old if key in new] if removed else list(old)
    in_order = kept + [key for key in new if key not in old] == list(new)
    if not patch and not removed and in_order:
        return Difference(UNCHANGED, old)
    return Difference([_PATCH, patch, removed, None if in_order else list(new)], tree)


def _list_difference(old: list[Any], new: list[Any]) -> Difference:
    shortest = min(len(old), len(new))
    before = common_head(old, new)
    behind = 0
    while behind < shortest - before and old[-1 - behind].same(new[-1 - behind]):
        behind += 1
    if before == len(old) == len(new):
        return Difference(UNCHANGED, old)
    middle = _recalled(old, new[before : len(new) - behind], range(before, len(old) - behind))
    tail = old[len(old) - behind :]
    tree = [*old[:before], *(leaf for leaf, _ in middle), *tail]
    return Difference([_SPLICE, before, behind, _encoded_middle(middle)], tree)


def common_head(old: list[Leaf], new: list[Leaf]) -> int:
    """How many leaves at the head of two lists are the same."""
    shortest = min(len(old), len(new))
    known = list(map(is_, old, new))
    before = known.index(False) if False in known else shortest
    while before < shortest and old[before].same(new[before]):
        before += 1
    return before


def _recalled(old: list[Leaf], middle: list[Leaf], left: range) -> list[tuple[Leaf, int | None]]:
    """Each leaf with its index in the old list (each index once), or None: windows slide, elements change places."""
    places: dict[bytes, deque[int]] = {}
    for place in left if middle else ():
        places.setdefault(old[place].plain_digest(), deque()).append(place)
    found: list[tuple[Leaf, int | None]] = []
    for leaf in middle:
        indexes = places.get(leaf.plain_digest()) if places else None
        index = indexes.popleft() if indexes else None
        found.append((leaf if index is None else old[index], index))
    return found


def _encoded_middle(middle: list[tuple[Leaf, int | None]]) -> list[Any]:
    encoded: list[Any] = []
    last: list[int] = []
    for leaf, index in middle:
        if index is None:
            encoded.append(encode(leaf))
            last = []
        elif last and last[1] + last[2] == index:
            last[2] += 1
        else:
            last = [_KEPT, index, 1]
            encoded.append(last)
    return encoded


def apply(old: Node | None, change: Any) -> Any:
    """Replay a change that was read. Shares all that is the same with `old`.

    Raises:
        ValueError: The change does not fit `old`, or is not of this grammar.
    """
    try:
        return _applied(old, change)
    except _MISFITS as error:
        raise ValueError(f"a stored change does not fit what it changes: {error!r}") from error


def _applied(old: Node | None, change: Any) -> Node:
    if type(change) is list and change and change[0] == _PATCH:
        return _patched(old, change)
    if type(change) is list and change and change[0] == _SPLICE:
        return _spliced(old, change)
    return _decoded(change, [])


def _patched(old: Node | None, change: list[Any]) -> Node:
    _, patch, removed, order = change
    if type(old) is not dict:
        raise ValueError("a dict change has no dict to change")
    tree = dict(old)
    for key in removed:
        del tree[key]
    for key, part in patch.items():
        tree[key] = _applied(old.get(key), part)
    if order is None:
        return tree
    if len(order) != len(tree):
        raise ValueError("a dict change does not order all keys")
    return {key: tree[key] for key in order}


def _spliced(old: Node | None, change: list[Any]) -> Node:
    _, before, behind, middle = change
    if type(old) is not list or before < 0 or behind < 0 or before + behind > len(old):
        raise ValueError("a list change has no such list to change")
    new = [leaf for item in middle for leaf in _middle_leaves(old, item)]
    return [*old[:before], *new, *old[len(old) - behind :]]


def _middle_leaves(old: list[Leaf], encoded: Any) -> list[Leaf]:
    if type(encoded) is not list or encoded[0] != _KEPT:
        return [_leaf(encoded)]
    _, index, count = encoded
    if not 0 <= index < index + count <= len(old):
        raise ValueError("a list change refers to what the list does not have")
    return old[index : index + count]


def encode(node: Node, segment_numbers: Mapping[str, int] | None = None) -> Any:
    """A tree in the grammar above.

    Args:
        node: A tree whose inline leaves have their bytes.
        segment_numbers: Number of each segment that may be referred to; leaves in others are written inline.
    """
    numbers = segment_numbers or {}
    if type(node) is dict:
        return {key: encode(item, numbers) for key, item in node.items()}
    if type(node) is list:
        return [_LIST, _encoded_items(node, numbers)]
    assert isinstance(node, Leaf)
    return _encoded_leaf(node, numbers)


def _encoded_leaf(leaf: Leaf, numbers: Mapping[str, int]) -> Any:
    if isinstance(leaf.at, BlobRef):
        return [_VALUE, leaf.typ, *leaf.at]
    if leaf.at is not None and leaf.at.segment in numbers:
        return [_IN_SEGMENT, numbers[leaf.at.segment], leaf.at.position]
    return leaf.data if leaf.typ == _NATIVE else [_LEAF, leaf.typ, leaf.data]


def _encoded_items(items: list[Leaf], numbers: Mapping[str, int]) -> list[Any]:
    encoded: list[Any] = []
    for leaf in items:
        one = _encoded_leaf(leaf, numbers)
        if type(one) is list and one[0] == _IN_SEGMENT:
            last = encoded[-1] if encoded else None
            if type(last) is list and last[0] == _RUN and last[1] == one[1] and last[2] + last[3] == one[2]:
                last[3] += 1
                continue
            one = [_RUN, one[1], one[2], 1]
        encoded.append(one)
    return encoded


def decode(encoded: Any, segment_table: list[str]) -> Node:
    """The tree of what `encode` gave. Leaves in segments have no bytes yet.

    Raises:
        ValueError: Not of this grammar.
    """
    try:
        return _decoded(encoded, segment_table)
    except _MISFITS as error:
        raise ValueError(f"stored state is of an unknown grammar: {error!r}") from error


def _decoded(encoded: Any, segment_table: list[str]) -> Node:
    if type(encoded) is dict:
        return {key: _decoded(item, segment_table) for key, item in encoded.items()}
    if type(encoded) is list and encoded and encoded[0] == _LIST:
        return [leaf for item in encoded[1] for leaf in _decoded_items(item, segment_table)]
    return _leaf(encoded, segment_table)


def _leaf(encoded: Any, segment_table: Sequence[str] = ()) -> Leaf:
    if isinstance(encoded, bytes):
        return Leaf(_NATIVE, encoded)
    tag, *parts = encoded
    if tag == _LEAF and isinstance(parts[1], bytes):
        return Leaf(parts[0], parts[1])
    if tag == _IN_SEGMENT and parts[0] >= 0:
        return Leaf(_NATIVE, None, SegmentRef(segment_table[parts[0]], parts[1]))
    if tag == _VALUE:
        return Leaf(parts[0], None, BlobRef(*parts[1:]))
    raise ValueError("stored state is of an unknown grammar")


def _decoded_items(encoded: Any, segment_table: list[str]) -> Iterator[Leaf]:
    if type(encoded) is not list or encoded[0] != _RUN:
        yield _leaf(encoded, segment_table)
        return
    _, number, start, count = encoded
    for index in range(start, start + count):
        yield Leaf(_NATIVE, None, SegmentRef(segment_table[number], index))
