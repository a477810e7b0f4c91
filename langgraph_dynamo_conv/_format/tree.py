"""A value as a tree of dicts, lists and leaves: what is stored of a state.

The rule: a leaf is one value as the serializer's bytes, whatever its type. Only dicts with string keys and lists are
taken apart, and only those of exactly these two types: a subclass could not be put together again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain
from operator import is_
from sys import getsizeof
from typing import Any, NamedTuple, TypeAlias, cast

from langgraph.checkpoint.serde.types import SendProtocol

from langgraph_dynamo_conv._format.limits import WRITE_UNIT_BYTES


class SegmentRef(NamedTuple):
    """Where a leaf that moved to a segment is: the segment's id, and the leaf's index in it."""

    segment: str
    position: int


class BlobRef(NamedTuple):
    """Where a value of its own is: digest of its stored bytes (hex), how many bytes, in how many items (0: in the
    bucket)."""

    digest: str
    size: int
    parts: int


class Slice(NamedTuple):
    """A part of a value of its own that holds several."""

    blob: BlobRef
    start: int
    size: int


class StateRef(NamedTuple):
    """Where a leaf is that a task's write has in common with the checkpoint it is on: its number in that state."""

    number: int


class Pieces(NamedTuple):
    """Where a value is that is large, or has something large in it: its bytes in pieces, some of which are values of
    their own."""

    parts: tuple[bytes | BlobRef | Slice, ...]

    @property
    def refs(self) -> Iterator[BlobRef]:
        """The values of their own."""
        return (part.blob if isinstance(part, Slice) else part for part in self.parts if not isinstance(part, bytes))

    @property
    def is_packed(self) -> bool:
        """Whether some of it is in a value that holds others too."""
        return any(isinstance(part, Slice) for part in self.parts)

    def joined(self, values: Mapping[str, bytes]) -> bytes:
        """The bytes, given those of each `BlobRef` by digest."""
        return b"".join([_bytes_of(part, values) for part in self.parts])


def _bytes_of(part: bytes | BlobRef | Slice, values: Mapping[str, bytes]) -> bytes:
    if isinstance(part, Slice):
        return values[part.blob.digest][part.start : part.start + part.size]
    return values[part.digest] if isinstance(part, BlobRef) else part


@dataclass(slots=True, eq=False)
class Leaf:
    """One serialized value. `==` tells whether two leaves are one object, `same` whether they are the same value.

    Args:
        typ: The serializer's type name.
        data: The serializer's bytes, or None while they are not at hand.
        at: Where the bytes are stored besides the chain of changes, or None.
    """

    typ: str
    data: bytes | None
    at: SegmentRef | Pieces | StateRef | None = None
    digest: bytes | None = field(default=None, init=False)

    @property
    def size(self) -> int:
        """How many bytes the value has; 0 while they are not at hand."""
        return len(self.data or b"")

    def plain_digest(self) -> bytes:
        """The digest of type and bytes. The leaf remembers it, also after its bytes have been let go."""
        if self.digest is None:
            assert self.data is not None
            self.digest = blake2b(self.data, digest_size=16, key=self.typ.encode()[:64]).digest()
        return self.digest

    def same(self, other: Leaf) -> bool:
        """Whether both are the same value, by their bytes, or by their digests where bytes are not at hand."""
        if self is other:
            return True
        if self.data is not None and other.data is not None:
            return self.data == other.data and self.typ == other.typ
        return self.plain_digest() == other.plain_digest()

    @property
    def is_packed(self) -> bool:
        """Whether it is in a value that holds others too."""
        return isinstance(self.at, Pieces) and self.at.is_packed

    def in_no_segment(self) -> Leaf:
        """The same leaf, as one of its own if it is in a segment."""
        return Leaf(self.typ, self.data) if isinstance(self.at, SegmentRef) else self

    def moved(self, at: Pieces) -> Leaf:
        """The same leaf, stored elsewhere."""
        leaf = Leaf(self.typ, self.data, at)
        leaf.digest = self.digest
        return leaf

    def apart(self) -> Leaf:
        """The same leaf, with no other in what is stored of it."""
        return Leaf(self.typ, self.data) if isinstance(self.at, SegmentRef) or self.is_packed else self

    def thinned(self) -> Leaf:
        """The same leaf without its bytes if they are in pieces, of which the large can be fetched; else this leaf."""
        if self.data is None or not isinstance(self.at, Pieces) or self.at.is_packed:
            return self
        thin = Leaf(self.typ, None, self.at)
        thin.digest = self.plain_digest()
        return thin


_WITHOUT_ARGUMENT = "\0"
"""The key of what is left of a `Send` that is taken apart. A value that has it itself is not taken apart."""

_NUMBERS = frozenset({int, float, bool, complex})

Node: TypeAlias = "Leaf | list[Any] | dict[str, Any]"
"""A tree, or a part of it. The items of a list are leaves."""

Tree = dict[str, Any]
"""A checkpoint's state: nodes by section."""


Dumps = Callable[[Any], tuple[str, bytes]]
"""A serializer's `dumps_typed`."""

Loads = Callable[[tuple[str, bytes]], Any]
"""A serializer's `loads_typed`."""


def grow(value: Any, dumps: Dumps, depth: int) -> Node:
    """A value as a tree, taken apart at most `depth` levels deep. Raises what `dumps` raises."""
    if depth > 0 and _has_names(value):
        return {key: grow(item, dumps, depth - 1) for key, item in value.items()}
    if depth > 0 and type(value) is list:
        return [Leaf(*dumps(item)) for item in value]
    return Leaf(*dumps(value))


def grow_channel(value: Any, dumps: Dumps) -> Node:
    """A channel's value as a tree: a list, or a dict and the lists in it, such as an input that has messages.

    A list of numbers in a dict stays one leaf: apart, they would take more than they save. A `Send` with a large dict
    is taken apart too, since many agents send their whole state: into itself without its argument, and that.
    """
    if _is_send(type(value)) or (type(value) is list and any(map(_is_send, set(map(type, value))))):
        return _grow_sends(value, dumps)
    if _has_names(value) and _WITHOUT_ARGUMENT not in value:
        return _grow_named(value, dumps, 0)
    return grow(value, dumps, int(type(value) is list))


def _grow_named(value: Any, dumps: Dumps, depth: int) -> Node:
    """A tree of dicts within so many dicts, and of the lists in them."""
    if depth >= 0 and _has_names(value):
        return {key: _grow_named(item, dumps, depth - 1) for key, item in value.items()}
    return grow(value, dumps, 0 if _has_numbers(value) else 1)


def _grow_sends(value: Any, dumps: Dumps) -> Node:
    """A `Send`, or a list in which some are: {no argument: leaf or leaves, place: the argument of the one there}."""
    values = value if type(value) is list else [value]
    whole = [Leaf(*dumps(one)) for one in values]
    apart = [
        _is_send(type(one)) and _has_names(one.arg) and leaf.size >= WRITE_UNIT_BYTES
        for one, leaf in zip(values, whole, strict=True)
    ]
    shells = [
        Leaf(*dumps(_without_argument(one))) if is_apart else leaf
        for one, leaf, is_apart in zip(values, whole, apart, strict=True)
    ]
    node: Node = shells if type(value) is list else shells[0]
    if not any(apart):
        return node
    places = (place for place, is_apart in enumerate(apart) if is_apart)
    return {_WITHOUT_ARGUMENT: node, **{str(place): _grow_named(values[place].arg, dumps, 1) for place in places}}


def _is_send(kind: type) -> bool:
    """Whether this is `langgraph.types.Send`, whose module takes long to import."""
    return kind.__name__ == "Send" and kind.__module__ == "langgraph.types"


def _without_argument(send: SendProtocol) -> SendProtocol:
    shell = copy(send)
    shell.arg = None
    return shell


def channel_value(node: Node, loads: Loads, values: Mapping[str, bytes]) -> Any:
    """The value of a channel's tree, the inverse of `grow_channel`. Arguments are those of `to_python`."""
    if type(node) is not dict or _WITHOUT_ARGUMENT not in node:
        return to_python(node, loads, values)
    parts = to_python(node, loads, values)
    sends = parts.pop(_WITHOUT_ARGUMENT)
    for place, argument in parts.items():
        (sends if type(sends) is list else [sends])[int(place)].arg = argument
    return sends


def _has_names(value: Any) -> bool:
    """Whether this is a dict that can be taken apart."""
    return type(value) is dict and set(map(type, value)) <= {str}


def _has_numbers(value: Any) -> bool:
    return type(value) is not list or not _NUMBERS.isdisjoint(map(type, value))


def to_python(node: Node, loads: Loads, values: Mapping[str, bytes]) -> Any:
    """The value of a tree, the inverse of `grow`: fresh objects at every call.

    Args:
        node: A tree.
        loads: The serializer's `loads_typed`.
        values: The bytes of every `BlobRef` of leaves that have no bytes, by digest.
    """
    if type(node) is dict:
        return {key: to_python(item, loads, values) for key, item in node.items()}
    if type(node) is list:
        return [to_python(item, loads, values) for item in node]
    leaf = cast("Leaf", node)
    if leaf.data is not None:
        return loads((leaf.typ, leaf.data))
    assert isinstance(leaf.at, Pieces)
    return loads((leaf.typ, leaf.at.joined(values)))


def leaves(node: Node) -> Iterator[Leaf]:
    """Every leaf of a tree, in order."""
    if type(node) is dict:
        return chain.from_iterable(map(leaves, node.values()))
    return iter(node if type(node) is list else [cast("Leaf", node)])


def content_digest(node: Node) -> bytes:
    """A digest of what a tree holds, 6 bytes: of its keys in their order, and of its leaves' types and plain bytes.

    Where leaves are, how they are compressed or encrypted, and what the tree was built on makes no difference.
    """
    digest = blake2b(digest_size=6)
    _digest_into(node, digest.update)
    return digest.digest()


def _digest_into(node: Node, update: Callable[[bytes], None]) -> None:
    if type(node) is dict:
        update(b"{%d" % len(node))
        for key, item in node.items():
            name = key.encode(errors="surrogatepass")
            update(b"%d:%b" % (len(name), name))
            _digest_into(item, update)
    elif type(node) is list:
        update(b"[%d" % len(node))
        update(b"".join([leaf.digest or leaf.plain_digest() for leaf in node]))
    else:
        update(b"=")
        update(cast("Leaf", node).plain_digest())


def with_leaves(node: Node, instead: Callable[[Leaf], Leaf], done: Node | None = None) -> Any:
    """The same tree with every leaf replaced by what `instead` gives for it; what keeps all of its leaves stays as it
    is, so that checkpoints share it.

    Args:
        node: A tree.
        instead: Gives a leaf for a leaf.
        done: A tree of such leaves already: where it has the same object at the same place, that stays.
    """
    if node is done:
        return node
    if type(node) is dict:
        others = done if type(done) is dict else {}
        changed = {key: with_leaves(item, instead, others.get(key)) for key, item in node.items()}
        return node if all(map(is_, changed.values(), node.values())) else changed
    if type(node) is list:
        items = list(map(instead, node))
        return node if all(map(is_, items, node)) else items
    return instead(cast("Leaf", node))


def memory_apart(one: Node | None, other: Node | None = None) -> tuple[int, int]:
    """Bytes of memory that each of two trees holds and the other does not: containers and leaves with their digests.

    Keys do not count: most are names of channels and nodes, which all conversations of a graph share.
    """
    if type(one) is dict and type(other) is dict:
        pairs = [(one.get(key), other.get(key)) for key in one.keys() | other.keys()]
        apart = [memory_apart(mine, theirs) for mine, theirs in pairs if mine is not theirs]
        return getsizeof(one) + sum([mine for mine, _ in apart]), getsizeof(other) + sum(
            [theirs for _, theirs in apart]
        )
    if type(one) is list and type(other) is list:
        mine, theirs = _not_shared(one, other)
        return getsizeof(one) + sum(map(_leaf_bytes, mine)), getsizeof(other) + sum(map(_leaf_bytes, theirs))
    return memory_bytes(one), memory_bytes(other)


def _not_shared(one: list[Leaf], other: list[Leaf]) -> tuple[list[Leaf], list[Leaf]]:
    """The leaves of each of two lists that are no objects of the other."""
    identical = list(map(is_, one, other))
    head = identical.index(False) if False in identical else len(identical)
    mine, theirs = set(map(id, one[head:])), set(map(id, other[head:]))
    return [leaf for leaf in one[head:] if id(leaf) not in theirs], [
        leaf for leaf in other[head:] if id(leaf) not in mine
    ]


def memory_bytes(node: Node | None) -> int:
    """Bytes of memory that a tree holds, but for its keys."""
    if node is None:
        return 0
    if type(node) is dict:
        return getsizeof(node) + sum(map(memory_bytes, node.values()))
    if type(node) is list:
        return getsizeof(node) + sum(map(_leaf_bytes, node))
    return _leaf_bytes(cast("Leaf", node))


def _leaf_bytes(leaf: Leaf) -> int:
    of_data = getsizeof(leaf.data) if leaf.data is not None else 0
    of_place = 0
    if isinstance(leaf.at, Pieces):
        of_place = getsizeof(leaf.at) + getsizeof(leaf.at.parts) + sum(map(_piece_bytes, leaf.at.parts))
    elif leaf.at is not None:
        of_place = getsizeof(leaf.at) + _NUMBER_BYTES  # a segment's id is shared
    return _LEAF_BYTES + of_data + of_place


def _piece_bytes(piece: bytes | BlobRef | Slice) -> int:
    if isinstance(piece, Slice):
        return getsizeof(piece) + 2 * _NUMBER_BYTES  # the value that it is in is shared
    return getsizeof(piece) + (getsizeof(piece.digest) + _NUMBER_BYTES if isinstance(piece, BlobRef) else 0)


_NUMBER_BYTES = getsizeof(1000)

_LEAF_BYTES = getsizeof(Leaf("", None)) + getsizeof(bytes(16))
"""What a leaf takes besides its bytes: the object and its digest."""
