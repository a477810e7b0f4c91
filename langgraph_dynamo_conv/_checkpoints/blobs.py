"""Large values: stored once, before the item that refers to them, and referred to by digest.

A value is stored as parts, or, where a bucket is given and the value is above its threshold, as an object in it. An
object's pointer is an item that is there before the object, so that deleting finds the object whatever ends a process.
It is put again, now with the object's name, after the object: the conversation may have been deleted meanwhile.

A value's digest is that of its stored bytes, so writing it again is harmless and reading it back is verified. A part
says when it was written, so that `prune` leaves alone what a run under way is about to refer to.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b

from langgraph_dynamo_conv._format.frames import Codec, Encryptor
from langgraph_dynamo_conv._format.items import AttributeMap, bytes_item, bytes_of, key_of, stamp
from langgraph_dynamo_conv._format.keys import Key, Scope, is_pointer, object_name, parse_sk
from langgraph_dynamo_conv._format.limits import LARGE_ELEMENT_BYTES, OBJECT_RANGE_BYTES, PART_BYTES
from langgraph_dynamo_conv._format.tree import BlobRef, Leaf, Node, leaves, with_leaves
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._storage.bucket import Bucket
from langgraph_dynamo_conv._storage.forks import Lock
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import BucketRequiredError, CorruptDataError

_CONTEXT = "value"
"""Checksum context of every value: it is found by its digest, wherever it is."""

_REMEMBERED = 256
_REMEMBERED_SECONDS = 300.0
"""How long a value that this process wrote is taken to be there still; far below `prune`'s grace."""

_PARTS_PER_QUERY = 2
"""Two parts of 350 KB stay below the 1 MB of a page."""


@dataclass
class PendingBlobs:
    """Values to be written: frame by digest."""

    frames: dict[str, bytes] = field(default_factory=dict)


class Blobs:
    """Stores and fetches large values of any conversation. Safe to share between threads."""

    def __init__(self, table: Table, codec: Codec, expiry: Expiry | None = None, bucket: Bucket | None = None) -> None:
        self._table = table
        self._bucket = bucket
        self._codec = codec
        self._expiry = expiry or Expiry()
        self._clock = self._expiry.clock
        self._lock = Lock()
        self._remembered: OrderedDict[tuple[Scope, bytes], tuple[BlobRef, float]] = OrderedDict()

    def spill(self, node: Node, scope: Scope, encryptor: Encryptor | None, pending: PendingBlobs) -> Node:
        """The same tree, its large leaves referred to; what is to be written is added to `pending`."""

        def place(leaf: Leaf) -> Leaf:
            if leaf.at is not None or leaf.size < LARGE_ELEMENT_BYTES:
                return leaf
            ref = self._recalled(scope, leaf)
            if ref is None:
                frame = self._codec.frame(leaf.data or b"", context=_CONTEXT, encryptor=encryptor)
                if len(frame) < LARGE_ELEMENT_BYTES:
                    return leaf
                ref = self.add(frame, pending)
            placed = Leaf(leaf.typ, leaf.data, ref)
            placed.digest = leaf.digest
            return placed

        return with_leaves(node, place)

    def add(self, frame: bytes, pending: PendingBlobs) -> BlobRef:
        """Refer to bytes as a value of their own."""
        parts = 0 if self._is_object(frame) else -(-len(frame) // PART_BYTES)
        ref = BlobRef(_digest(frame), len(frame), parts)
        pending.frames[ref.digest] = frame
        return ref

    def puts(self, scope: Scope, pending: PendingBlobs) -> list[Callable[[], None]]:
        """The requests that store what was spilled, in any order."""
        return [put for digest, frame in pending.frames.items() for put in self._puts_of(scope, digest, frame)]

    def _puts_of(self, scope: Scope, digest: str, frame: bytes) -> list[Callable[[], None]]:
        if self._is_object(frame):
            return [lambda: self._put_object(scope.pointer(digest), lambda bucket, name: bucket.put(name, frame))]

        def put(number: int) -> None:
            part = frame[number * PART_BYTES : (number + 1) * PART_BYTES]
            self.dated_put(scope.part(digest, number), part)()

        return [partial(put, number) for number in range(-(-len(frame) // PART_BYTES))]

    def _put_object(self, pointer: Key, store: Callable[[Bucket, str], None]) -> None:
        name = object_name(pointer)
        bucket = self._bucket_for(pointer)
        now = {":now": {"N": str(int(self._clock()))}}
        self._table.update(pointer, UpdateExpression="SET t = :now", ExpressionAttributeValues=now)
        store(bucket, name)
        self.dated_put(pointer, name.encode())()

    def copy_object(self, pointer: AttributeMap, target: str) -> None:
        """Copy the object of a pointer to another thread.

        Raises:
            CorruptDataError: It is not there.

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
            BucketRequiredError: It is a pointer, and there is no bucket.
        """
        if is_pointer(key):
            self._bucket_for(key).delete(object_name(key))
        self._table.delete(key)

    def check(self, keys: Iterable[Key]) -> None:
        """Raise `BucketRequiredError` if one of these items is a pointer and there is no bucket."""
        for key in keys:
            if is_pointer(key):
                self._bucket_for(key)

    def dated_put(self, key: Key, data: bytes) -> Callable[[], None]:
        """The request that stores a part or a segment, with the time at which it was written."""
        item = {**bytes_item(key, data), "t": {"N": str(int(self._clock()))}, **stamp(self._expiry.outliving())}
        return lambda: self._table.put(item)

    def remember(self, scope: Scope, node: Node) -> None:
        """Values of this tree are stored: the next checkpoint that holds them need not store them again."""
        for leaf in leaves(node):
            if isinstance(leaf.at, BlobRef) and leaf.data is not None:
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

    def fetch(self, scope: Scope, refs: Iterable[BlobRef], encryptor: Encryptor | None) -> dict[str, bytes]:
        """The serialized bytes of values, by digest. Raises `CorruptDataError` if one is missing or damaged."""
        frames = self.fetch_frames(scope, refs)
        unframe = self._codec.unframe
        return {digest: unframe(frames.pop(digest), context=_CONTEXT, encryptor=encryptor) for digest in list(frames)}

    def fetch_frames(self, scope: Scope, refs: Iterable[BlobRef]) -> dict[str, bytes]:
        """The stored bytes of values, by digest; all their parts are read side by side."""
        wanted = {ref.digest: ref for ref in refs}
        readers = [(digest, reader) for digest, ref in wanted.items() for reader in self._readers(scope, ref)]
        pieces: dict[str, list[bytes]] = {digest: [] for digest in wanted}
        read = self._table.side_by_side(*(reader for _, reader in readers))
        for (digest, _), parts in zip(readers, read, strict=True):
            pieces[digest].extend(parts)
        del read
        frames = {digest: b"".join(pieces.pop(digest)) for digest in wanted}
        for digest, frame in frames.items():
            if _digest(frame) != digest:
                where = f"{scope.thread_id} / {scope.blob(digest)}"
                raise CorruptDataError(f"parts of a value are missing or damaged at {where}", key=where)
        return frames

    def _readers(self, scope: Scope, ref: BlobRef) -> list[Callable[[], list[bytes]]]:
        if ref.parts:
            return [self._reader(scope, ref, start) for start in range(0, ref.parts, _PARTS_PER_QUERY)]
        pointer = scope.pointer(ref.digest)
        bucket, name = self._bucket_for(pointer), object_name(pointer)

        def read(first: int) -> list[bytes]:
            return [bucket.get(name, first, min(first + OBJECT_RANGE_BYTES, ref.size) - 1)]

        return [partial(read, first) for first in range(0, ref.size, OBJECT_RANGE_BYTES)]

    def _reader(self, scope: Scope, ref: BlobRef, start: int) -> Callable[[], list[bytes]]:
        first = scope.part(ref.digest, start).sk
        last = scope.part(ref.digest, min(start + _PARTS_PER_QUERY, ref.parts) - 1).sk

        def read() -> list[bytes]:
            pages = self._table.query(scope.thread_id, scope.blob(ref.digest), first=first, last=last)
            return [bytes_of(item) for page in pages for item in page]

        return read

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

    def _recalled(self, scope: Scope, leaf: Leaf) -> BlobRef | None:
        with self._lock:
            found = self._remembered.get((scope, leaf.plain_digest()))
        return found[0] if found and self._clock() - found[1] < _REMEMBERED_SECONDS else None


def blob_refs(node: Node) -> Iterable[BlobRef]:
    """The values of a tree whose bytes are not at hand."""
    return (leaf.at for leaf in leaves(node) if leaf.data is None and isinstance(leaf.at, BlobRef))


def with_blob_digests(node: Node, values: Mapping[str, bytes]) -> None:
    """Let the leaves of a tree know the digests of the values that were just fetched."""
    for leaf in leaves(node):
        if leaf.data is None and leaf.digest is None and isinstance(leaf.at, BlobRef):
            leaf.digest = Leaf(leaf.typ, values[leaf.at.digest]).plain_digest()


def _digest(frame: bytes) -> str:
    return blake2b(frame, digest_size=16).hexdigest()
