"""Pending writes of tasks: one item per task and checkpoint, stored with one request.

Regular writes are kept if present, special ones (`WRITES_IDX_MAP`: errors, interrupts, resumes) replace. They are given
back in `writes_sort_key` order, whichever task finished first.

A write has an attribute of its own. The regular writes of a call that are too many, or too large together, share a
bundle: one frame, in the item or as a blob. A bundle is stored on condition that none of its writes is in the item, so
no two bundles have the same write. An attribute is stored without a look at bundles, which would cost every call: where
a bundle has its write too, the bundle was there first, and counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, count, pairwise
from typing import Any, NamedTuple

from langgraph.checkpoint.base import WRITES_IDX_MAP, writes_sort_key

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, PendingBlobs, all_refs, is_large, missing_refs
from langgraph_dynamo_conv._format import changes
from langgraph_dynamo_conv._format.frames import moved
from langgraph_dynamo_conv._format.items import (
    AttributeMap,
    WritesItem,
    blob_ref_text,
    bundle_name,
    is_bundle,
    key_attributes,
    stamp,
    write_index,
    write_name,
)
from langgraph_dynamo_conv._format.keys import Key, Namespace, Scope, after_prefix, component, component_text
from langgraph_dynamo_conv._format.limits import INLINE_FRAME_BYTES, MAX_WRITES_PER_UPDATE
from langgraph_dynamo_conv._format.pool import Pool, has_references, pays
from langgraph_dynamo_conv._format.tree import BlobRef, Node, channel_value, grow_channel, leaves
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.failures import ConditionFailed
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import CorruptDataError, ItemTooLargeError

_SMALL_FRAME_BYTES = 128
"""Frames that stay in the item even where the item is too full: a reference takes half of that."""

_NAME_BYTES = 8
"""About what a frame's attribute takes beside the frame."""


class Write(NamedTuple):
    """One write: its place in `writes_sort_key` order, its channel, its value as a tree.

    Args:
        built_on: Where the tree refers to the state of the checkpoint that it is on, the digest of that state; else
            empty.
    """

    path: str
    task_id: str
    idx: int
    channel: str
    node: Node
    built_on: bytes = b""

    def whole(self, stored: StoredCheckpoint) -> Write:
        """The same write without references to the checkpoint that it is on.

        Raises:
            CorruptDataError: Another state than that is stored.
        """
        if not self.built_on:
            return self
        if self.built_on != stored.content:
            raise CorruptDataError(
                f"the write of task {self.task_id} to {self.channel} can't be rebuilt: it was made on another state "
                f"of checkpoint {stored.checkpoint_id} than is stored. Go on from an earlier checkpoint, or delete the "
                "conversation",
                key=self.task_id,
            )
        return self._replace(node=Pool(stored.tree).resolved(self.node), built_on=b"")


GrownWrites = dict[int, tuple[str, Node]]
"""The writes of one call by their places in the task, the last to each special channel: channels and values."""

PendingWrites = list[tuple[str, str, Any]]
"""`pending_writes` as LangGraph takes them: task id, channel, value."""


def may_refer(writes: GrownWrites) -> bool:
    """Whether what a task writes is worth a look for what its checkpoint has already."""
    return pays(leaf for _, node in writes.values() for leaf in leaves(node))


class TaskWrites:
    """Stores and reads task writes of any conversation. Safe to share between threads."""

    def __init__(self, table: Table, serializer: Serializer, blobs: Blobs, expiry: Expiry) -> None:
        self._table = table
        self._serializer = serializer
        self._blobs = blobs
        self._expiry = expiry

    def grown(self, writes: Sequence[tuple[str, Any]]) -> GrownWrites:
        """Channels and values as they are now, to be stored."""
        dumps = self._serializer.dumps
        return {
            WRITES_IDX_MAP.get(channel, position): (channel, grow_channel(value, dumps))
            for position, (channel, value) in enumerate(writes)
        }

    def save(
        self,
        namespace: Namespace,
        checkpoint_id: str,
        task_id: str,
        task_path: str,
        writes: GrownWrites,
        state: Callable[[], StoredCheckpoint | None] = lambda: None,
    ) -> None:
        """Store a task's writes.

        Args:
            namespace: Where.
            checkpoint_id: The checkpoint that they are on.
            task_id: The task.
            task_path: Its path.
            writes: What `grown` gave.
            state: Gives what is known of the checkpoint: what the values have in common with it is not stored again.

        Cost: one UpdateItem, 1 write unit for each KB of what the task has written; before it, one PutItem for each
        part of a large value, and of the bundle in which more than 60 writes, or more than fit into the item, are
        stored together. Where the task has some of these already, also a refused UpdateItem, and a read of its bundles.
        """
        if not writes:
            return
        key = namespace.task(checkpoint_id, task_id)
        task = {} if component_text(component(task_id)) is not None else {"t": {"S": task_id}}
        task |= stamp(self._expiry.outliving(), self._expiry.until())
        pending: PendingBlobs = {}
        placed = self._placed(namespace.scope, task_id, task_path, writes, state, pending)
        self._store(namespace.scope, key, placed, pending, task)

    def between(self, namespace: Namespace, oldest: str, newest: str) -> dict[str, list[Write]]:
        """Writes of all checkpoints from `oldest` to `newest`, by checkpoint id, each in order."""
        prefix = namespace.prefix("w")
        last = after_prefix(namespace.writes(newest))
        items: dict[str, list[WritesItem]] = {}
        for page in self._table.query(namespace.scope.thread_id, prefix, first=f"{prefix}{oldest}#", last=last):
            for item in map(WritesItem.from_attributes, page):
                items.setdefault(item.checkpoint_id, []).append(item)
        return {checkpoint_id: self.decoded(namespace.scope, group) for checkpoint_id, group in items.items()}

    def drop(self, namespace: Namespace, checkpoint_id: str, goes: Callable[[str], bool]) -> None:
        """Delete the writes on a checkpoint to channels that go. Cost: one Query, and a request for each task."""
        for page in self._table.query(namespace.scope.thread_id, namespace.writes(checkpoint_id)):
            for item in map(WritesItem.from_attributes, page):
                self._drop(namespace.scope, item, goes)

    def referring(self, namespace: Namespace, checkpoint_id: str) -> list[WritesItem]:
        """The items of tasks that have written what refers to the state of their checkpoint. Cost: one Query."""
        pages = self._table.query(namespace.scope.thread_id, namespace.writes(checkpoint_id))
        items = [WritesItem.from_attributes(item) for page in pages for item in page]
        return [item for item in items if any(write.built_on for write in self.decoded(namespace.scope, [item]))]

    def free(self, scope: Scope, items: Iterable[WritesItem], stored: StoredCheckpoint) -> None:
        """Store the writes of items of one checkpoint anew, without references to its state."""
        for item in items:
            (by_name,) = self._by_name(scope, [item])
            frames = {}
            for name, writes in by_name.items():
                if _built_on(writes):
                    whole = [write.whole(stored) for write in writes]
                    bundled = is_bundle(name)
                    frames[name] = self._bundle(item.key, name, whole) if bundled else self._frame(item.key, whole[0])
            others = [frame for name, frame in item.frames.items() if name not in frames and isinstance(frame, bytes)]
            pending: PendingBlobs = {}
            attributes = self._fitted(frames, INLINE_FRAME_BYTES - sum(map(_stored_bytes, others)), pending)
            self._blobs.store(scope, pending)
            self._replace(item.key, attributes, ())

    def moved(
        self, scope: Scope, item: AttributeMap, target: Key, contents: tuple[bytes, bytes], pending: PendingBlobs
    ) -> tuple[AttributeMap, set[str]]:
        """A task's item under another user's key, and digests of the blobs that held its frames.

        Args:
            scope: Whose it is.
            item: The item.
            target: Its key under the other user.
            contents: The digests of the state that it is on, under this user and the other.
            pending: Takes frames that are blobs.
        """
        record, attributes = WritesItem.from_attributes(item), AttributeMap()
        blobs = self._blobs.fetch_frames(scope, [one for one in record.frames.values() if isinstance(one, BlobRef)])
        for name, frame in record.frames.items():
            before, after = _context(record.key, name), _context(target, name)
            whole = blobs[frame.digest] if isinstance(frame, BlobRef) else frame
            *payload, built_on = self._serializer.codec.unpack(whole, before)
            refers = len(payload) == 3 + is_bundle(name) and built_on == contents[0]
            new = self._serializer.codec.pack([*payload, contents[1]], after) if refers else moved(whole, before, after)
            is_blob = isinstance(frame, BlobRef)
            attributes[name] = {"S": blob_ref_text(self._blobs.add(new, pending))} if is_blob else {"B": new}
        return {**item, **key_attributes(target), **attributes}, set(blobs)

    def decoded(self, scope: Scope, items: list[WritesItem]) -> list[Write]:
        """Writes of items of one checkpoint, in `writes_sort_key` order."""
        by_place = {
            (item.key, write.idx): write
            for item, by_name in zip(items, self._by_name(scope, items), strict=True)
            for name in sorted(by_name, reverse=True)  # bundles last: they count more than attributes
            for write in by_name[name]
        }
        return sorted(by_place.values(), key=lambda write: writes_sort_key(write.path, write.task_id, write.idx))

    def refs(self, scope: Scope, item: WritesItem) -> list[BlobRef]:
        """The blobs that an item refers to: frames that did not fit into it, and large values in the writes."""
        frames = [frame for frame in item.frames.values() if isinstance(frame, BlobRef)]
        return frames + [ref for write in self.decoded(scope, [item]) for ref in all_refs(write.node)]

    def to_python(self, scope: Scope, writes: list[Write]) -> PendingWrites:
        """`pending_writes` as LangGraph takes them."""
        blobs = self._blobs.fetch(scope, [ref for write in writes for ref in missing_refs(write.node)])
        loads = self._serializer.loads
        return [(write.task_id, write.channel, channel_value(write.node, loads, blobs)) for write in writes]

    def _placed(
        self,
        scope: Scope,
        task_id: str,
        path: str,
        writes: GrownWrites,
        state: Callable[[], StoredCheckpoint | None],
        pending: PendingBlobs,
    ) -> list[Write]:
        """The writes of one call; blobs that they refer to are added to `pending`."""
        stored = state() if may_refer(writes) else None
        pool = Pool(stored.tree) if stored is not None else None
        referring = {str(index): pool.referring(node) if pool else node for index, (_, node) in writes.items()}
        content = stored.content if stored is not None else b""
        built_on = [content if has_references(node) else b"" for node in referring.values()]
        large = {index: node for index, node in referring.items() if is_large(node)}
        placed = {**referring, **self._blobs.place(large, scope, pending, packs=True)}
        of_each = zip(writes.items(), placed.values(), built_on, strict=True)
        return [Write(path, task_id, index, channel, *stored) for (index, (channel, _)), *stored in of_each]

    def _store(self, scope: Scope, key: Key, writes: list[Write], pending: PendingBlobs, task: AttributeMap) -> None:
        """Store the writes of one call, but for regular ones that are there already."""
        room, bundle = INLINE_FRAME_BYTES, bundle_name(0)
        while writes:
            attributes = self._attributes(key, writes, bundle, room, pending)
            self._blobs.store(scope, pending)
            try:
                self._update(key, {**attributes, **task}, _in_no_item(writes, bundle) if bundle in attributes else {})
                return
            except ItemTooLargeError:
                if not room:
                    raise
                room = 0
            except ConditionFailed as refused:
                if refused.item is None:  # an endpoint that does not tell what it found
                    raise
                item = WritesItem.from_attributes(refused.item)
                there = {write.idx for write in self.decoded(scope, [item])}
                writes = [write for write in writes if write.idx < 0 or write.idx not in there]
                bundle = next(name for name in map(bundle_name, count()) if name not in item.frames)

    def _attributes(
        self, key: Key, writes: list[Write], bundle: str, max_bytes: int, pending: PendingBlobs
    ) -> AttributeMap:
        """The writes as attributes, the regular ones in a bundle if need be; the largest become blobs until all fit."""
        regular = [write for write in writes if write.idx >= 0]
        are_few = all(write.idx < MAX_WRITES_PER_UPDATE for write in regular)
        frames = self._frames(key, writes) if are_few else {}
        if regular and (not frames or sum(map(_stored_bytes, frames.values())) > max_bytes):
            special = self._frames(key, [write for write in writes if write.idx < 0])
            frames = {**special, bundle: self._bundle(key, bundle, regular)}
        return self._fitted(frames, max_bytes, pending)

    def _fitted(self, frames: Mapping[str, bytes], max_bytes: int, pending: PendingBlobs) -> AttributeMap:
        """Frames as attributes; the largest become blobs until the rest fits."""
        attributes: AttributeMap = {}
        room = max_bytes
        for name, frame in sorted(frames.items(), key=lambda entry: len(entry[1])):
            room -= _stored_bytes(frame)
            if room < 0 and len(frame) > _SMALL_FRAME_BYTES:
                attributes[name] = {"S": blob_ref_text(self._blobs.add(frame, pending))}
            else:
                attributes[name] = {"B": frame}
        return attributes

    def _frames(self, key: Key, writes: Iterable[Write]) -> dict[str, bytes]:
        """A frame for each write, by attribute."""
        return {write_name(write.idx): self._frame(key, write) for write in writes}

    def _frame(self, key: Key, write: Write) -> bytes:
        payload = [write.channel, write.path, changes.encode(write.node), *_built_on([write])]
        return self._serializer.codec.pack(payload, _context(key, write_name(write.idx)))

    def _bundle(self, key: Key, name: str, writes: list[Write]) -> bytes:
        """One frame for regular writes of one call."""
        gaps = [index - before for before, index in pairwise([0, *(write.idx for write in writes)])]
        columns = [[write.channel for write in writes], [changes.encode(write.node) for write in writes]]
        payload = [writes[0].path if writes else "", gaps, *columns, *_built_on(writes)]
        return self._serializer.codec.pack(payload, _context(key, name))

    def _update(self, key: Key, attributes: AttributeMap, condition: Mapping[str, str]) -> None:
        sets = [
            f"{name} = if_not_exists({name}, :{name})" if name[0] == "w" else f"{name} = :{name}" for name in attributes
        ]
        self._table.update(
            key,
            UpdateExpression="SET " + ", ".join(sets),
            ExpressionAttributeValues={f":{name}": value for name, value in attributes.items()},
            **condition,
        )

    def _drop(self, scope: Scope, item: WritesItem, goes: Callable[[str], bool]) -> None:
        """Delete the writes of an item to channels that go. A bundle stays, though it may be left without a write."""
        (by_name,) = self._by_name(scope, [item])
        bundled = {write.idx for name, writes in by_name.items() if is_bundle(name) for write in writes}

        def stays(name: str, write: Write) -> bool:
            return not goes(write.channel) and (is_bundle(name) or write.idx not in bundled)

        stay = {name: [write for write in writes if stays(name, write)] for name, writes in by_name.items()}
        shorter = [name for name in by_name if len(stay[name]) < len(by_name[name])]
        if not any(stay.values()):
            self._table.delete(item.key)
            return
        pending: PendingBlobs = {}
        bundles = {name: self._bundle(item.key, name, stay[name]) for name in shorter if is_bundle(name)}
        freed = [frame for name, frame in item.frames.items() if name in shorter and isinstance(frame, bytes)]
        attributes = self._fitted(bundles, sum(map(_stored_bytes, freed)), pending)
        self._blobs.store(scope, pending)
        self._replace(item.key, attributes, [name for name in shorter if name not in bundles])

    def _replace(self, key: Key, attributes: AttributeMap, removed: Sequence[str]) -> None:
        sets = [f"{name} = :{name}" for name in attributes]
        actions = [("SET", sets), ("REMOVE", removed)]
        expression = " ".join(f"{action} {', '.join(names)}" for action, names in actions if names)
        values = {f":{name}": value for name, value in attributes.items()}
        if expression:
            params = {"ExpressionAttributeValues": values} if values else {}
            self._table.update(key, UpdateExpression=expression, **params)

    def _by_name(self, scope: Scope, items: Sequence[WritesItem]) -> list[dict[str, list[Write]]]:
        """For each item the writes in each of its attributes."""
        refs = [frame for item in items for frame in item.frames.values() if isinstance(frame, BlobRef)]
        fetched = self._blobs.fetch_frames(scope, refs) if refs else {}
        return [
            {
                name: list(self._decoded(item, name, fetched[frame.digest] if isinstance(frame, BlobRef) else frame))
                for name, frame in item.frames.items()
            }
            for item in items
        ]

    def _decoded(self, item: WritesItem, name: str, frame: bytes) -> Iterator[Write]:
        """The writes in one attribute."""
        context = _context(item.key, name)
        payload = self._serializer.codec.unpack(frame, context)
        try:
            if is_bundle(name):
                path, gaps, channels, nodes, *built_on = payload
            else:
                channel, path, node, *built_on = payload
                gaps, channels, nodes = [write_index(name)], [channel], [node]
            for index, channel, encoded in zip(accumulate(gaps), channels, nodes, strict=True):
                node = changes.decode(encoded, [])
                refers = has_references(node)
                yield Write(path, item.task_id, index, channel, node, built_on[0] if refers else b"")
        except (ValueError, TypeError, IndexError) as error:
            raise CorruptDataError(f"the write at {context} can't be rebuilt: {error!r}", key=context) from error


def _in_no_item(writes: list[Write], bundle: str) -> dict[str, str]:
    """The condition that an item has neither this bundle nor any of these writes in an attribute."""
    names = [write_name(write.idx) for write in writes if 0 <= write.idx < MAX_WRITES_PER_UPDATE]
    return {"ConditionExpression": " AND ".join(f"attribute_not_exists({name})" for name in (bundle, *names))}


def _built_on(writes: Iterable[Write]) -> list[bytes]:
    """The digest of the state that writes of one frame refer to, if they do."""
    return [write.built_on for write in writes if write.built_on][:1]


def _context(key: Key, name: str) -> str:
    return f"{key.sk}/{name}"


def _stored_bytes(frame: bytes) -> int:
    return len(frame) + _NAME_BYTES
