"""Large values: stored once as parts, before the item that refers to them, and referred to by digest.

A value's digest is that of its stored bytes, so writing it again is harmless and reading it back is verified. A part
says when it was written, so that `prune` leaves alone what a run under way is about to refer to.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from langgraph_dynamo_conv import _delta
from langgraph_dynamo_conv._codec import Codec, Sealer
from langgraph_dynamo_conv._delta import Dumps, Leaf, Loads, Node, ValueRef
from langgraph_dynamo_conv._expiry import Expiry
from langgraph_dynamo_conv._forks import Lock
from langgraph_dynamo_conv._items import bytes_item, bytes_of, stamp
from langgraph_dynamo_conv._keys import Key, Scope
from langgraph_dynamo_conv._limits import LARGE_ELEMENT_BYTES, PART_BYTES
from langgraph_dynamo_conv._table import Table
from langgraph_dynamo_conv.errors import CorruptDataError

_CONTEXT = "value"
"""Checksum context of every value: it is found by its digest, wherever it is."""

_REMEMBERED = 256
_REMEMBERED_SECONDS = 300.0
"""How long a value that this process wrote is taken to be there still; far below `prune`'s grace."""

_PARTS_PER_QUERY = 2
"""Two parts of 350 KB stay below the 1 MB of a page."""


@dataclass(frozen=True)
class Serializer:
    """How values become bytes at this call: the saver's serializer, taken apart.

    Args:
        dumps: `dumps_typed`, without encryption.
        loads: `loads_typed`, without encryption.
        sealer: Encrypts frames, or None.
    """

    dumps: Dumps
    loads: Loads
    sealer: Sealer | None = None


@dataclass
class Spilled:
    """Values to be written: frame by digest."""

    frames: dict[str, bytes] = field(default_factory=dict)


class Parts:
    """Stores and fetches large values of any conversation. Safe to share between threads."""

    def __init__(self, table: Table, codec: Codec, expiry: Expiry | None = None) -> None:
        self._table = table
        self._codec = codec
        self._expiry = expiry or Expiry()
        self._clock = self._expiry.clock
        self._lock = Lock()
        self._remembered: OrderedDict[tuple[Scope, bytes], tuple[ValueRef, float]] = OrderedDict()

    def spill(self, node: Node, scope: Scope, sealer: Sealer | None, spilled: Spilled) -> Node:
        """The same tree, its large leaves referred to; what is to be written is added to `spilled`."""

        def place(leaf: Leaf) -> Leaf:
            if leaf.at is not None or leaf.size < LARGE_ELEMENT_BYTES:
                return leaf
            ref = self._recalled(scope, leaf)
            if ref is None:
                frame = self._codec.frame(leaf.data or b"", context=_CONTEXT, sealer=sealer)
                if len(frame) < LARGE_ELEMENT_BYTES:
                    return leaf
                ref = self.add(frame, spilled)
            placed = Leaf(leaf.typ, leaf.data, ref)
            placed.digest = leaf.digest
            return placed

        return _delta.with_leaves(node, place)

    def add(self, frame: bytes, spilled: Spilled) -> ValueRef:
        """Refer to bytes as a value of their own."""
        ref = ValueRef(_digest(frame), len(frame), -(-len(frame) // PART_BYTES))
        spilled.frames[ref.digest] = frame
        return ref

    def puts(self, scope: Scope, spilled: Spilled) -> list[Callable[[], None]]:
        """The requests that store what was spilled, in any order."""
        return [
            self.dated_put(scope.part(digest, number), part)
            for digest, frame in spilled.frames.items()
            for number, part in enumerate(_cut(frame))
        ]

    def dated_put(self, key: Key, data: bytes) -> Callable[[], None]:
        """The request that stores a part or a segment, with the time at which it was written."""
        item = {**bytes_item(key, data), "t": {"N": str(int(self._clock()))}, **stamp(self._expiry.outliving())}
        return lambda: self._table.put(item)

    def remember(self, scope: Scope, node: Node) -> None:
        """Values of this tree are stored: the next checkpoint that holds them need not store them again."""
        for leaf in _delta.leaves(node):
            if isinstance(leaf.at, ValueRef) and leaf.data is not None:
                with self._lock:
                    place, now = (scope, leaf.plain_digest()), self._clock()
                    _, since = self._remembered.get(place, (leaf.at, now))
                    fresh = now - since < _REMEMBERED_SECONDS  # else it was just stored anew
                    self._remembered[place] = leaf.at, since if fresh else now
                    while len(self._remembered) > _REMEMBERED:
                        self._remembered.popitem(last=False)

    def forget(self, thread_id: str) -> None:
        """Values of this conversation may be gone."""
        with self._lock:
            for place in [place for place in self._remembered if place[0].thread_id == thread_id]:
                del self._remembered[place]

    def fetch(self, scope: Scope, refs: Iterable[ValueRef], sealer: Sealer | None) -> dict[str, bytes]:
        """The serialized bytes of values, by digest. Raises `CorruptDataError` if one is missing or damaged."""
        frames = self.fetch_frames(scope, refs)
        return {digest: self._codec.unframe(frame, context=_CONTEXT, sealer=sealer) for digest, frame in frames.items()}

    def fetch_frames(self, scope: Scope, refs: Iterable[ValueRef]) -> dict[str, bytes]:
        """The stored bytes of values, by digest; all their parts are read side by side."""
        wanted = {ref.digest: ref for ref in refs}
        ranges = [(ref, start) for ref in wanted.values() for start in range(0, ref.parts, _PARTS_PER_QUERY)]
        read = self._table.side_by_side(*(self._reader(scope, ref, start) for ref, start in ranges))
        pieces: dict[str, list[bytes]] = {}
        for (ref, _), parts in zip(ranges, read, strict=True):
            pieces.setdefault(ref.digest, []).extend(parts)
        frames = {digest: b"".join(parts) for digest, parts in pieces.items()}
        for digest, frame in frames.items():
            if _digest(frame) != digest:
                where = f"{scope.thread_id} / {scope.value(digest)}"
                raise CorruptDataError(f"parts of a value are missing or damaged at {where}", key=where)
        return frames

    def _reader(self, scope: Scope, ref: ValueRef, start: int) -> Callable[[], list[bytes]]:
        first = scope.part(ref.digest, start).sk
        last = scope.part(ref.digest, min(start + _PARTS_PER_QUERY, ref.parts) - 1).sk

        def read() -> list[bytes]:
            pages = self._table.query(scope.thread_id, scope.value(ref.digest), first=first, last=last)
            return [bytes_of(item) for page in pages for item in page]

        return read

    def _recalled(self, scope: Scope, leaf: Leaf) -> ValueRef | None:
        with self._lock:
            found = self._remembered.get((scope, leaf.plain_digest()))
        return found[0] if found and self._clock() - found[1] < _REMEMBERED_SECONDS else None


def value_refs(node: Node) -> Iterable[ValueRef]:
    """The values of a tree whose bytes are not at hand."""
    return (leaf.at for leaf in _delta.leaves(node) if leaf.data is None and isinstance(leaf.at, ValueRef))


def with_digests(node: Node, values: Mapping[str, bytes]) -> None:
    """Let the leaves of a tree know the digests of the values that were just fetched."""
    for leaf in _delta.leaves(node):
        if leaf.data is None and leaf.digest is None and isinstance(leaf.at, ValueRef):
            leaf.digest = Leaf(leaf.typ, values[leaf.at.digest]).plain_digest()


def _cut(frame: bytes) -> list[bytes]:
    return [frame[start : start + PART_BYTES] for start in range(0, len(frame), PART_BYTES)]


def _digest(frame: bytes) -> str:
    return blake2b(frame, digest_size=16).hexdigest()
