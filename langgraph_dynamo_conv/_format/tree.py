"""A value as a tree of dicts, lists and leaves: what is stored of a state.

The rule: a leaf is one value as the serializer's bytes, whatever its type. Only dicts with string keys and lists are
taken apart, and only those of exactly these two types: a subclass could not be put together again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain
from typing import Any, NamedTuple, TypeAlias, cast


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
    at: SegmentRef | BlobRef | None = None
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

    def in_no_segment(self) -> Leaf:
        """The same leaf, as one of its own if it is in a segment."""
        return Leaf(self.typ, self.data) if isinstance(self.at, SegmentRef) else self

    def thinned(self) -> Leaf:
        """The same leaf without its bytes if it is a blob, whose bytes can be fetched; else this leaf."""
        if not isinstance(self.at, BlobRef):
            return self
        thin = Leaf(self.typ, None, self.at)
        thin.digest = self.plain_digest()
        return thin


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
    if depth > 0 and type(value) is dict and set(map(type, value)) <= {str}:
        return {key: grow(item, dumps, depth - 1) for key, item in value.items()}
    if depth > 0 and type(value) is list:
        return [Leaf(*dumps(item)) for item in value]
    return Leaf(*dumps(value))


def to_python(node: Node, loads: Loads, values: Mapping[str, bytes]) -> Any:
    """The value of a tree, the inverse of `grow`: fresh objects at every call.

    Args:
        node: A tree.
        loads: The serializer's `loads_typed`.
        values: The bytes of every `BlobRef` in the tree whose leaf has none, by digest.
    """
    if type(node) is dict:
        return {key: to_python(item, loads, values) for key, item in node.items()}
    if type(node) is list:
        return [to_python(item, loads, values) for item in node]
    leaf = cast("Leaf", node)
    if leaf.data is not None:
        return loads((leaf.typ, leaf.data))
    assert isinstance(leaf.at, BlobRef)
    return loads((leaf.typ, values[leaf.at.digest]))


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
        update(b"".join([leaf.plain_digest() for leaf in node]))
    else:
        update(b"=")
        update(cast("Leaf", node).plain_digest())


def with_leaves(node: Node, instead: Callable[[Leaf], Leaf]) -> Any:
    """The same tree with every leaf replaced by what `instead` gives for it."""
    if type(node) is dict:
        return {key: with_leaves(item, instead) for key, item in node.items()}
    if type(node) is list:
        return [instead(item) for item in node]
    return instead(cast("Leaf", node))
