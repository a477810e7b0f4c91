"""Blobs: large values, stored once before the item that refers to them, and referred to by digest.

A blob is stored as parts, or, where a bucket is given and the blob is above its threshold, as an object in it. An
object's pointer is an item that is there before the object, so that deleting finds the object whatever ends a process.
It is put again, now with the object's name, after the object: the conversation may have been deleted meanwhile.

A blob's digest is that of its stored bytes, so writing it again is harmless and reading it back is verified. A part
says when it was written, so that `prune` leaves alone what a run under way is about to refer to.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from itertools import accumulate, chain
from typing import Any, NamedTuple

from langgraph_dynamo_conv._checkpoints.cache import CheckpointCache
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import EXPIRES_AT, AttributeMap, bytes_item, bytes_of, key_of, stamp
from langgraph_dynamo_conv._format.keys import Key, Scope, is_pointer, object_name, parse_sk
from langgraph_dynamo_conv._format.limits import (
    LARGE_ELEMENT_BYTES,
    MIN_MOVED_BYTES,
    MIN_MOVED_LEAF_BYTES,
    OBJECT_RANGE_BYTES,
    PART_BYTES,
)
from langgraph_dynamo_conv._format.pieces import cut
from langgraph_dynamo_conv._format.tree import BlobRef, Leaf, Node, Pieces, Slice, leaves, with_leaves
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._storage.bucket import Bucket, Presence
from langgraph_dynamo_conv._storage.recent import Recent
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import BucketRequiredError, CorruptDataError

_CONTEXT = "value"
"""Checksum context of every blob: it is found by its digest, wherever it is."""

REMEMBERED = 2048
_REMEMBERED_SECONDS = 300.0
"""How long a blob that this process wrote is taken to be there still; far below `prune`'s grace."""

_PARTS_PER_QUERY = 2
"""Two parts of 350 KB stay below the 1 MB of a page."""

Known = tuple[Scope, bytes]
"""A conversation and the digest of a plain value."""


class PendingBlob(NamedTuple):
    """A blob that is not stored yet: its frame, and where plain values are from then on."""

    frame: bytes
    known: Sequence[tuple[Known, BlobRef | Slice]] = ()


PendingBlobs = dict[str, PendingBlob]
"""Blobs that are not stored yet, by digest."""

KnownBlobs = Recent[Known, tuple[BlobRef | Slice, float]]
"""Where this process has stored values as blobs, and when."""


class Blobs:
    """Stores and fetches blobs of any conversation. Safe to share between threads.

    Args:
        table: The table.
        codec: Frames what is stored.
        expiry: How long conversations live.
        bucket: Where blobs above its threshold go, or None.
        known: Blobs that this process has stored.
        cache: Where what was stored or read is kept.
    """

    def __init__(
        self,
        table: Table,
        codec: Codec,
        expiry: Expiry,
        bucket: Bucket | None,
        known: KnownBlobs,
        cache: CheckpointCache,
    ) -> None:
        self._cache = cache
        self._table = table
        self._bucket = bucket
        self._codec = codec
        self._expiry = expiry
        self._known = known

    def place(
        self,
        node: Node,
        scope: Scope,
        pending: PendingBlobs,
        stored: Mapping[bytes, Pieces] | None = None,
        *,
        packs: bool = False,
        is_apart: bool = False,
    ) -> Any:
        """The same tree, what is large in its leaves referred to; blobs that are to be stored are added to `pending`.

        Args:
            node: A tree.
            scope: Conversation and user.
            pending: Takes what is to be stored.
            stored: Leaves that the conversation has in pieces, by the digest of the plain value.
            packs: Whether leaves that are large together become one blob: a later state will hold them too.
            is_apart: Whether no leaf may be in a blob that has others.
        """

        def placed(leaf: Leaf) -> Leaf:
            if leaf.at is not None or leaf.size < LARGE_ELEMENT_BYTES:
                return leaf
            pieces = (stored or {}).get(leaf.plain_digest()) or self._pieces(scope, leaf, pending)
            return leaf if pieces is None else leaf.moved(pieces)

        node = with_leaves(node, placed)
        loose = [leaf for leaf in leaves(node) if leaf.at is None and leaf.size >= MIN_MOVED_LEAF_BYTES]
        if is_apart or sum(leaf.size for leaf in loose) < MIN_MOVED_BYTES:
            return node
        slices = {
            id(leaf): found for leaf in loose if (found := self._found(self._known_by(scope, leaf.data), pending))
        }
        new = [leaf for leaf in loose if id(leaf) not in slices]
        if packs and sum(leaf.size for leaf in new) >= MIN_MOVED_BYTES:
            slices |= self._packed(scope, new, pending)
        return with_leaves(node, lambda leaf: leaf.moved(Pieces((slices[id(leaf)],))) if id(leaf) in slices else leaf)

    def _packed(self, scope: Scope, new: list[Leaf], pending: PendingBlobs) -> dict[int, BlobRef | Slice]:
        """Leaves as slices of one blob, by their identities."""
        pack = b"".join([leaf.data or b"" for leaf in new])
        ref = self.add(self._codec.frame(pack, _CONTEXT), pending)
        slices = {id(leaf): Slice(ref, start, leaf.size) for leaf, start in zip(new, _starts(new), strict=True)}
        known = [(self._known_by(scope, leaf.data), slices[id(leaf)]) for leaf in new]
        pending[ref.digest] = pending[ref.digest]._replace(known=known)
        self._cache.put_value(scope, ref.digest, pack)
        return dict(slices)

    def _pieces(self, scope: Scope, leaf: Leaf, pending: PendingBlobs) -> Pieces | None:
        """A leaf in pieces; None if nothing in it is large once it is compressed."""
        parts: list[bytes | BlobRef | Slice] = []
        for piece in cut(leaf.typ, leaf.data or b"", LARGE_ELEMENT_BYTES):
            ref = self._piece_ref(scope, piece, pending)
            if ref is None and parts and isinstance(parts[-1], bytes):
                parts[-1] += piece
            else:
                parts.append(ref or piece)
        # what is left between, of many strings that are not large, can be large together
        parts = [(isinstance(one, bytes) and self._piece_ref(scope, one, pending)) or one for one in parts]
        return Pieces(tuple(parts)) if any(isinstance(part, BlobRef) for part in parts) else None

    def _piece_ref(self, scope: Scope, piece: bytes, pending: PendingBlobs) -> BlobRef | None:
        """A piece as a blob of its own; None if it is not large once it is compressed."""
        if len(piece) < LARGE_ELEMENT_BYTES:
            return None
        known = self._known_by(scope, piece)
        found = self._found(known, pending)
        if isinstance(found, BlobRef):
            return found
        frame = self._codec.frame(piece, _CONTEXT)
        if len(frame) < LARGE_ELEMENT_BYTES:
            return None
        ref = self.add(frame, pending)
        pending[ref.digest] = pending[ref.digest]._replace(known=[(known, ref)])
        self._cache.put_value(scope, ref.digest, piece)
        return ref

    def _known_by(self, scope: Scope, data: bytes | None) -> Known:
        return scope, blake2b(data or b"", digest_size=16).digest()

    def _found(self, known: Known, pending: PendingBlobs) -> BlobRef | Slice | None:
        """Where this process has stored bytes, or is about to; None if it has not."""
        place, since = self._known.get(known) or (None, 0.0)
        if place is not None and self._expiry.clock() - since < _REMEMBERED_SECONDS:
            return place
        return next((place for blob in pending.values() for one, place in blob.known if one == known), None)

    def add(self, frame: bytes, pending: PendingBlobs) -> BlobRef:
        """Refer to bytes as a blob that is to be stored."""
        ref = self._ref(_digest(frame), frame)
        pending.setdefault(ref.digest, PendingBlob(frame))
        return ref

    def store(self, scope: Scope, pending: PendingBlobs, others: Iterable[Callable[[], object]] = ()) -> None:
        """Store blobs, and send other requests, side by side. None is pending afterwards."""
        blobs = (self._requests_of(scope, digest, blob.frame) for digest, blob in pending.items())
        self._table.side_by_side(*chain.from_iterable(blobs), *others)
        now = self._expiry.clock()
        for blob in pending.values():
            for known, place in blob.known:
                self._known.put(known, (place, now))
        pending.clear()

    def _requests_of(self, scope: Scope, digest: str, frame: bytes) -> Iterator[Callable[[], None]]:
        if self._is_object(frame):
            yield lambda: self._put_object(scope.pointer(digest), lambda bucket, name: bucket.put(name, frame))
            return
        # each part is cut out when its turn comes: all of them at once would be the blob a second time
        for number in range(-(-len(frame) // PART_BYTES)):
            yield partial(self._put_part, scope.part(digest, number), frame, number * PART_BYTES)

    def _put_part(self, key: Key, frame: bytes, start: int) -> None:
        self.dated_put(key, frame[start : start + PART_BYTES])

    def _put_object(
        self, pointer: Key, store: Callable[[Bucket, str], None], stamps: AttributeMap | None = None
    ) -> None:
        name = object_name(pointer)
        bucket = self._bucket_for(pointer)
        now = {":now": {"N": str(int(self._expiry.clock()))}}
        self._table.update(pointer, UpdateExpression="SET t = :now", ExpressionAttributeValues=now)
        store(bucket, name)
        self.dated_put(pointer, name.encode(), stamps)

    def with_expiry(self, expiry: Expiry) -> Blobs:
        """One that stores for another time to live, and shares the rest."""
        blobs = copy.copy(self)
        blobs._expiry = expiry
        return blobs

    def copy_object(self, pointer: AttributeMap, target: Key) -> None:
        """Copy the object of a pointer to another thread or user, whose pointer this is.

        Raises:
            CorruptDataError: The object is not there.

        Cost: one CopyObject, one UpdateItem, one PutItem.
        """
        source = key_of(pointer)
        unfinished = () if "d" in pointer else (CorruptDataError,)  # then nothing refers to it
        with suppress(*unfinished):
            stamps = {EXPIRES_AT: pointer[EXPIRES_AT]} if EXPIRES_AT in pointer else {}
            self._put_object(target, lambda bucket, name: bucket.copy(object_name(source), name), stamps)

    def presence(self, pointer: Key, *, bring_back: bool = False) -> Presence:
        """What the bucket has of a pointer's object. Raises `BucketRequiredError`. See `Bucket.presence`."""
        return self._bucket_for(pointer).presence(object_name(pointer), bring_back=bring_back)

    def delete(self, key: Key) -> None:
        """Delete any item; of a pointer the object first, so that it can be repeated after a crash.

        Raises:
            BucketRequiredError: The item is a pointer, and there is no bucket.
        """
        if is_pointer(key):
            self._bucket_for(key).delete(object_name(key))
        self._table.delete(key)

    def check(self, keys: Iterable[Key]) -> None:
        """Raise `BucketRequiredError` if one of these items is a pointer and there is no bucket."""
        for key in filter(is_pointer, keys):
            self._bucket_for(key)

    def dated_put(self, key: Key, data: bytes, stamps: AttributeMap | None = None) -> None:
        """Store a part or a segment, with the time at which it was written; it expires as `stamps` say, if given."""
        now = {"t": {"N": str(int(self._expiry.clock()))}}
        self._table.put(
            {**bytes_item(key, data), **now, **(stamp(self._expiry.outliving()) if stamps is None else stamps)}
        )

    def forget(self, thread_id: str) -> None:
        """Blobs of this conversation may be gone."""
        self._known.drop(lambda place: place[0].thread_id == thread_id)

    def fetch(self, scope: Scope, refs: Iterable[BlobRef]) -> dict[str, bytes]:
        """The serialized bytes of blobs, by digest: from memory, and the rest from the table.

        Raises:
            CorruptDataError: One is missing or damaged.
        """
        by_digest = {ref.digest: ref for ref in refs}
        found = {digest: data for digest in by_digest if (data := self._cache.value(scope, digest)) is not None}
        missing = [ref for digest, ref in by_digest.items() if digest not in found]
        stored = self.fetch_stored(scope, missing) if missing else {}
        for digest, data in stored.items():
            self._cache.put_value(scope, digest, data)
        return {**found, **stored}

    def fetch_stored(self, scope: Scope, refs: Iterable[BlobRef]) -> dict[str, bytes]:
        """As `fetch`, but all from the table."""
        frames = self.fetch_frames(scope, refs)
        return {digest: self._codec.unframe(frames.pop(digest), _CONTEXT) for digest in list(frames)}

    def fetch_frames(self, scope: Scope, refs: Iterable[BlobRef]) -> dict[str, bytes]:
        """The stored bytes of blobs, by digest; all their parts are read side by side."""
        by_digest = {ref.digest: ref for ref in refs}
        if not by_digest:
            return {}
        readers = [(digest, reader) for digest, ref in by_digest.items() for reader in self._readers(scope, ref)]
        pieces: dict[str, list[bytes]] = {digest: [] for digest in by_digest}
        read = self._table.side_by_side(*(reader for _, reader in readers))
        for (digest, _), parts in zip(readers, read, strict=True):
            pieces[digest].extend(parts)
        del read
        frames = {digest: b"".join(pieces.pop(digest)) for digest in by_digest}
        for digest, frame in frames.items():
            if _digest(frame) != digest:
                where = f"{scope.thread_id} / {scope.blob(digest)}"
                raise CorruptDataError(f"parts of a value are missing or damaged at {where}", key=where)
        return frames

    def _readers(self, scope: Scope, ref: BlobRef) -> list[Callable[[], list[bytes]]]:
        if ref.parts:
            starts = range(0, ref.parts, _PARTS_PER_QUERY)
            return [partial(self._read_parts, scope, ref, start) for start in starts]
        pointer = scope.pointer(ref.digest)
        bucket, name = self._bucket_for(pointer), object_name(pointer)

        def read(first: int) -> list[bytes]:
            return [bucket.get(name, first, min(first + OBJECT_RANGE_BYTES, ref.size) - 1)]

        return [partial(read, first) for first in range(0, ref.size, OBJECT_RANGE_BYTES)]

    def _read_parts(self, scope: Scope, ref: BlobRef, start: int) -> list[bytes]:
        first = scope.part(ref.digest, start).sk
        last = scope.part(ref.digest, min(start + _PARTS_PER_QUERY, ref.parts) - 1).sk
        pages = self._table.query(scope.thread_id, scope.blob(ref.digest), first=first, last=last)
        return [bytes_of(item) for page in pages for item in page]

    def _ref(self, digest: str, frame: bytes) -> BlobRef:
        return BlobRef(digest, len(frame), 0 if self._is_object(frame) else -(-len(frame) // PART_BYTES))

    def _is_object(self, frame: bytes) -> bool:
        return self._bucket is not None and len(frame) > self._bucket.threshold_bytes

    def _bucket_for(self, pointer: Key) -> Bucket:
        if self._bucket is None:
            raise BucketRequiredError(
                f"a value of this conversation is in S3 ({pointer.pk}, digest {parse_sk(pointer.sk).parts[0]}): give "
                "s3_bucket, and s3_prefix, as they were when it was written",
                table=self._table.name,
                key=str(pointer),
            )
        return self._bucket


def missing_refs(node: Node) -> Iterator[BlobRef]:
    """The blobs of a tree whose bytes are not at hand."""
    return _refs(leaf for leaf in leaves(node) if leaf.data is None)


def is_large(node: Node) -> bool:
    """Whether what is new in a tree may be referred to, and not stored where it is."""
    return sum(leaf.size for leaf in leaves(node) if leaf.at is None) >= MIN_MOVED_BYTES


def all_refs(node: Node) -> Iterator[BlobRef]:
    """The blobs of a tree."""
    return _refs(leaves(node))


def _refs(some: Iterable[Leaf]) -> Iterator[BlobRef]:
    return (ref for leaf in some if isinstance(leaf.at, Pieces) for ref in leaf.at.refs)


def _starts(some: Sequence[Leaf]) -> Iterable[int]:
    """Where each leaf begins, one after the other."""
    return accumulate((leaf.size for leaf in some[:-1]), initial=0)


def _digest(frame: bytes) -> str:
    return blake2b(frame, digest_size=16).hexdigest()
