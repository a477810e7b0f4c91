"""A value as a tree of dicts, lists and leaves: what is stored of a state, whatever the serializer made of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from itertools import chain
from typing import Any, NamedTuple, TypeAlias, cast


class SegmentRef(NamedTuple):
    """Where a sealed leaf is: segment id, and index in it."""

    segment: str
    position: int


class BlobRef(NamedTuple):
    """A value of its own: digest of its stored bytes (hex), how many bytes, in how many parts (0: in the bucket)."""

    digest: str
    size: int
    parts: int


class Leaf:
    """One serialized value.

    Args:
        typ: The serializer's type name.
        data: The serializer's bytes, or None while they are not at hand.
        at: Where the bytes are stored besides the chain of changes, or None.
    """

    __slots__ = ("at", "data", "digest", "typ")

    def __init__(self, typ: str, data: bytes | None, at: SegmentRef | BlobRef | None = None) -> None:
        self.typ = typ
        self.data = data
        self.at = at
        self.digest: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of the value; 0 while they are not at hand."""
        return len(self.data) if self.data is not None else 0

    def plain_digest(self) -> bytes:
        """Digest of type and bytes, kept when the bytes are let go."""
        if self.digest is None:
            assert self.data is not None
            self.digest = blake2b(self.data, digest_size=16, key=self.typ.encode()[:64]).digest()
        return self.digest

    def same(self, other: Leaf) -> bool:
        """Whether both are the same value."""
        if self is other:
            return True
        if self.data is not None and other.data is not None:
            return self.data == other.data and self.typ == other.typ
        return self.plain_digest() == other.plain_digest()

    def thinned(self) -> Leaf:
        """The same leaf without its bytes, if they can be fetched from elsewhere."""
        if not isinstance(self.at, BlobRef):
            return self
        thin = Leaf(self.typ, None, self.at)
        thin.digest = self.plain_digest()
        return thin


Node: TypeAlias = "Leaf | list[Any] | dict[str, Any]"
Tree = dict[str, Any]
"""A checkpoint's state: nodes by section."""


Dumps = Callable[[Any], tuple[str, bytes]]


Loads = Callable[[tuple[str, bytes]], Any]


def grow(value: Any, dumps: Dumps, depth: int) -> Node:
    """A value as a tree, taken apart `depth` levels deep. Raises what `dumps` raises."""
    if depth > 0 and type(value) is dict and set(map(type, value)) <= {str}:
        return {key: grow(item, dumps, depth - 1) for key, item in value.items()}
    if depth > 0 and type(value) is list:
        return [Leaf(*dumps(item)) for item in value]
    return Leaf(*dumps(value))


def to_python(node: Node, loads: Loads, values: Mapping[str, bytes]) -> Any:
    """The value of a tree: fresh objects at every call.

    Args:
        node: A tree.
        loads: The serializer's `loads_typed`.
        values: The bytes of every `BlobRef` in the tree whose leaf has none, by digest.
    """
    if type(node) is dict:
        return {key: to_python(item, loads, values) for key, item in node.items()}
    if type(node) is list:
        return [to_python(item, loads, values) for item in node]
    assert isinstance(node, Leaf)
    if node.data is not None:
        return loads((node.typ, node.data))
    assert isinstance(node.at, BlobRef)
    return loads((node.typ, values[node.at.digest]))


def leaves(node: Node) -> Iterator[Leaf]:
    """Every leaf, in order."""
    if type(node) is dict:
        return chain.from_iterable(map(leaves, node.values()))
    return iter(node if type(node) is list else [cast("Leaf", node)])


def with_leaves(node: Node, instead: Callable[[Leaf], Leaf]) -> Any:
    """The same tree with every leaf replaced."""
    if type(node) is dict:
        return {key: with_leaves(item, instead) for key, item in node.items()}
    if type(node) is list:
        return [instead(item) for item in node]
    assert isinstance(node, Leaf)
    return instead(node)
