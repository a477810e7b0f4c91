"""Blobs: large values, stored once before the item that refers to them, and referred to by digest.

A blob is stored as parts, or, where a bucket is given and the blob is above its threshold, as an object in it. An
object's pointer is an item that is there before the object, so that deleting finds the object whatever ends a process.
It is put again, now with the object's name, after the object: the conversation may have been deleted meanwhile.

A blob's digest is that of its stored bytes, so writing it again is harmless and reading it back is verified. A part
says when it was written, so that `prune` leaves alone what a run under way is about to refer to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from typing import Any

from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import AttributeMap, bytes_item, bytes_of, key_of, stamp
from langgraph_dynamo_conv._format.keys import Key, Scope, is_pointer, object_name, parse_sk
from langgraph_dynamo_conv._format.limits import LARGE_ELEMENT_BYTES, OBJECT_RANGE_BYTES, PART_BYTES
from langgraph_dynamo_conv._format.tree import BlobRef, Leaf, Node, leaves, with_leaves
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._storage.bucket import Bucket
from langgraph_dynamo_conv._storage.recent import Recent
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import BucketRequiredError, CorruptDataError

_CONTEXT = "value"
"""Checksum context of every blob: it is found by its digest, wherever it is."""

REMEMBERED = 256
_REMEMBERED_SECONDS = 300.0
"""How long a blob that this process wrote is taken to be there still; far below `prune`'s grace."""

_PARTS_PER_QUERY = 2
"""Two parts of 350 KB stay below the 1 MB of a page."""

PendingBlobs = dict[str, bytes]
"""Blobs that are not stored yet: frames by digest."""

KnownBlobs = Recent[tuple[Scope, bytes], tuple[BlobRef, float]]
"""Blobs that this process has stored, and when, by conversation and digest of the plain value."""


class Blobs:
    """Stores and fetches blobs of any conversation. Safe to share between threads.

    Args:
        table: The table.
        codec: Frames what is stored.
        expiry: How long conversations live.
        bucket: Where blobs above its threshold go, or None.
        known: Blobs that this process has stored.
    """

    def __init__(self, table: Table, codec: Codec, expiry: Expiry, bucket: Bucket | None, known: KnownBlobs) -> None:
        self._table = table
        self._bucket = bucket
        self._codec = codec
        self._expiry = expiry
        self._known = known

    def place(
        self, node: Node, scope: Scope, pending: PendingBlobs, stored: Mapping[bytes, BlobRef] | None = None
    ) -> Any:
        """The same tree, its large leaves referred to; blobs that are to be stored are added to `pending`.

        Args:
            node: A tree.
            scope: Conversation and user.
            pending: Takes what is to be stored.
            stored: Blobs that the conversation has, by the digest of the plain value.
        """

        def placed(leaf: Leaf) -> Leaf:
            if leaf.at is not None or leaf.size < LARGE_ELEMENT_BYTES:
                return leaf
            ref = (stored or {}).get(leaf.plain_digest()) or self._known_ref(scope, leaf)
            if ref is None:
                frame = self._codec.frame(leaf.data or b"", _CONTEXT)
                if len(frame) < LARGE_ELEMENT_BYTES:
                    return leaf
                ref = self.add(frame, pending)
            referring = Leaf(leaf.typ, leaf.data, ref)
            referring.digest = leaf.digest
            return referring

        return with_leaves(node, placed)

    def add(self, frame: bytes, pending: PendingBlobs) -> BlobRef:
        """Refer to bytes as a blob that is to be stored."""
        parts = 0 if self._is_object(frame) else -(-len(frame) // PART_BYTES)
        ref = BlobRef(_digest(frame), len(frame), parts)
        pending[ref.digest] = frame
        return ref

    def requests(self, scope: Scope, pending: PendingBlobs) -> list[Callable[[], None]]:
        """The requests that store blobs, in any order."""
        return [request for digest, frame in pending.items() for request in self._requests_of(scope, digest, frame)]

    def _requests_of(self, scope: Scope, digest: str, frame: bytes) -> Iterator[Callable[[], None]]:
        if self._is_object(frame):
            yield lambda: self._put_object(scope.pointer(digest), lambda bucket, name: bucket.put(name, frame))
            return
        # each part is cut out when its turn comes: all of them at once would be the blob a second time
        for number in range(-(-len(frame) // PART_BYTES)):
            yield partial(self._put_part, scope.part(digest, number), frame, number * PART_BYTES)

    def _put_part(self, key: Key, frame: bytes, start: int) -> None:
        self.dated_put(key, frame[start : start + PART_BYTES])

    def _put_object(self, pointer: Key, store: Callable[[Bucket, str], None]) -> None:
        name = object_name(pointer)
        bucket = self._bucket_for(pointer)
        now = {":now": {"N": str(int(self._expiry.clock()))}}
        self._table.update(pointer, UpdateExpression="SET t = :now", ExpressionAttributeValues=now)
        store(bucket, name)
        self.dated_put(pointer, name.encode())

    def copy_object(self, pointer: AttributeMap, target: str) -> None:
        """Copy the object of a pointer to another thread.

        Raises:
            CorruptDataError: The object is not there.

        Cost: one CopyObject, one UpdateItem, one PutItem.
        """
        source = key_of(pointer)
        unfinished = () if "d" in pointer else (CorruptDataError,)  # then nothing refers to it
        with suppress(*unfinished):
            copy = Key(target, source.sk)
            self._put_object(copy, lambda bucket, name: bucket.copy(object_name(source), name))

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

    def dated_put(self, key: Key, data: bytes) -> None:
        """Store a part or a segment, with the time at which it was written."""
        now = {"t": {"N": str(int(self._expiry.clock()))}}
        self._table.put({**bytes_item(key, data), **now, **stamp(self._expiry.outliving())})

    def remember(self, scope: Scope, node: Node) -> None:
        """The blobs of this tree are stored: the next checkpoint that holds them need not store them again."""
        now = self._expiry.clock()
        for leaf in leaves(node):
            if isinstance(leaf.at, BlobRef) and leaf.data is not None:
                place = scope, leaf.plain_digest()
                _, since = self._known.get(place) or (leaf.at, now)
                fresh = now - since < _REMEMBERED_SECONDS  # else it was just stored anew
                self._known.put(place, (leaf.at, since if fresh else now))

    def forget(self, thread_id: str) -> None:
        """Blobs of this conversation may be gone."""
        self._known.drop(lambda place: place[0].thread_id == thread_id)

    def fetch(self, scope: Scope, refs: Iterable[BlobRef]) -> dict[str, bytes]:
        """The serialized bytes of blobs, by digest. Raises `CorruptDataError` if one is missing or damaged."""
        frames = self.fetch_frames(scope, refs)
        return {digest: self._codec.unframe(frames.pop(digest), _CONTEXT) for digest in list(frames)}

    def fetch_frames(self, scope: Scope, refs: Iterable[BlobRef]) -> dict[str, bytes]:
        """The stored bytes of blobs, by digest; all their parts are read side by side."""
        by_digest = {ref.digest: ref for ref in refs}
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

    def _known_ref(self, scope: Scope, leaf: Leaf) -> BlobRef | None:
        ref, since = self._known.get((scope, leaf.plain_digest())) or (None, 0.0)
        return ref if self._expiry.clock() - since < _REMEMBERED_SECONDS else None


def missing_refs(node: Node) -> Iterable[BlobRef]:
    """The blobs of a tree whose bytes are not at hand."""
    return (leaf.at for leaf in leaves(node) if leaf.data is None and isinstance(leaf.at, BlobRef))


def all_refs(node: Node) -> Iterable[BlobRef]:
    """The blobs of a tree."""
    return (leaf.at for leaf in leaves(node) if isinstance(leaf.at, BlobRef))


def _digest(frame: bytes) -> str:
    return blake2b(frame, digest_size=16).hexdigest()
