"""Pending writes of tasks: one item per task and checkpoint, one attribute per write, stored with one request.

Regular writes are kept if present, special ones (`WRITES_IDX_MAP`: errors, interrupts, resumes) replace. They are given
back in `writes_sort_key` order, whichever task finished first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import ormsgpack
from langgraph.checkpoint.base import WRITES_IDX_MAP, writes_sort_key

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, PendingBlobs, blob_refs
from langgraph_dynamo_conv._format import changes
from langgraph_dynamo_conv._format.frames import Codec, Encryptor
from langgraph_dynamo_conv._format.items import (
    AttributeMap,
    WritesItem,
    blob_ref_text,
    key_attributes,
    stamp,
    write_name,
)
from langgraph_dynamo_conv._format.keys import Key, Scope, after_prefix, component, component_text
from langgraph_dynamo_conv._format.limits import INLINE_FRAME_BYTES, MAX_WRITES_PER_UPDATE
from langgraph_dynamo_conv._format.tree import BlobRef, Node, grow, to_python
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._storage.failures import ConditionFailed
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import CorruptDataError, ItemTooLargeError

_FIRST_PAGE = 4
"""Task items that are read before the newest checkpoint is known: most steps have one to three tasks."""

_SMALL_FRAME_BYTES = 128
"""Frames that stay in the item even where the item is too full: a reference takes half of that."""


class Write(NamedTuple):
    """One write that was read: its place in `writes_sort_key` order, its channel, its value as a tree."""

    path: str
    task_id: str
    idx: int
    channel: str
    node: Node


Writes = list[tuple[str, str, Any]]
"""`pending_writes` as LangGraph takes them: task id, channel, value."""


@dataclass(frozen=True)
class _Planned:
    """Frames of one call by write index, their trees, and the values they refer to."""

    frames: dict[int, bytes]
    nodes: list[Node]
    pending: PendingBlobs


class TaskWrites:
    """Stores and reads task writes of any conversation. Safe to share between threads."""

    def __init__(self, table: Table, codec: Codec, parts: Blobs, expiry: Expiry) -> None:
        self._table = table
        self._codec = codec
        self._parts = parts
        self._expiry = expiry

    def save(
        self,
        scope: Scope,
        ns: str,
        checkpoint_id: str,
        task_id: str,
        task_path: str,
        writes: Sequence[tuple[str, Any]],
        serializer: Serializer,
    ) -> None:
        """Store a task's writes.

        Cost: one UpdateItem, 1 write unit for each KB of what the task has written; up to 60 writes in a request, more
        in one PutItem if they are the task's first. Before it, one PutItem for each part of a large value.
        """
        if not writes:
            return
        key = scope.task(ns, checkpoint_id, task_id)
        planned = self._planned(scope, key, task_path, writes, serializer)
        attributes = self._attributes(planned, INLINE_FRAME_BYTES)
        self._table.side_by_side(*self._parts.puts(scope, planned.pending))
        task = {} if component_text(component(task_id)) is not None else {"t": {"S": task_id}}
        task |= stamp(self._expiry.outliving(), self._expiry.until())
        try:
            self._store(key, attributes, task)
        except ItemTooLargeError:
            attributes = self._attributes(planned, 0)
            self._table.side_by_side(*self._parts.puts(scope, planned.pending))
            self._store(key, attributes, task)
        for node in planned.nodes:
            self._parts.remember(scope, node)

    def newest(self, scope: Scope, ns: str, checkpoint_id: str | None) -> WritesPages:
        """A read of the newest writes, or of those of one checkpoint."""
        return WritesPages(self, self._table, scope, ns, checkpoint_id)

    def between(
        self, scope: Scope, ns: str, oldest: str, newest: str, serializer: Serializer
    ) -> dict[str, list[Write]]:
        """Writes of all checkpoints from `oldest` to `newest`, by checkpoint id, each in order."""
        prefix = scope.all_writes(ns)
        pages = self._table.query(
            scope.thread_id, prefix, first=f"{prefix}{oldest}#", last=after_prefix(f"{prefix}{newest}#")
        )
        found: dict[str, list[WritesItem]] = {}
        for page in pages:
            for item in map(WritesItem.from_attributes, page):
                found.setdefault(item.checkpoint_id, []).append(item)
        return {
            checkpoint_id: self.decoded(scope, items, serializer.encryptor) for checkpoint_id, items in found.items()
        }

    def decoded(self, scope: Scope, items: list[WritesItem], encryptor: Encryptor | None) -> list[Write]:
        """Writes of items of one checkpoint, in `writes_sort_key` order."""
        refs = [frame for item in items for frame in item.frames.values() if isinstance(frame, BlobRef)]
        fetched = self._parts.fetch_frames(scope, refs)
        writes = [
            self._decoded(item, index, fetched[frame.digest] if isinstance(frame, BlobRef) else frame, encryptor)
            for item in items
            for index, frame in item.frames.items()
        ]
        return sorted(writes, key=lambda write: writes_sort_key(write.path, write.task_id, write.idx))

    def to_python(self, scope: Scope, writes: list[Write], serializer: Serializer) -> Writes:
        """`pending_writes` as LangGraph takes them."""
        refs = [ref for write in writes for ref in blob_refs(write.node)]
        values = self._parts.fetch(scope, refs, serializer.encryptor)
        return [(write.task_id, write.channel, to_python(write.node, serializer.loads, values)) for write in writes]

    def _planned(
        self, scope: Scope, key: Key, path: str, writes: Sequence[tuple[str, Any]], serializer: Serializer
    ) -> _Planned:
        planned = _Planned({}, [], PendingBlobs())
        for position, (channel, value) in enumerate(writes):
            index = WRITES_IDX_MAP.get(channel, position)
            node = grow(value, serializer.dumps, 1)
            node = self._parts.spill(node, scope, serializer.encryptor, planned.pending)
            payload = ormsgpack.packb([channel, path, changes.encode(node)])
            planned.frames[index] = self._codec.frame(
                payload, context=_context(key, index), encryptor=serializer.encryptor
            )
            planned.nodes.append(node)
        return planned

    def _attributes(self, planned: _Planned, most_bytes: int) -> AttributeMap:
        """The writes as attributes; the largest become values until the rest fits."""
        attributes: AttributeMap = {}
        room = most_bytes
        for index, frame in sorted(planned.frames.items(), key=lambda entry: len(entry[1])):
            room -= len(frame) + 8
            if room < 0 and len(frame) > _SMALL_FRAME_BYTES:
                attributes[write_name(index)] = {"S": blob_ref_text(self._parts.add(frame, planned.pending))}
            else:
                attributes[write_name(index)] = {"B": frame}
        return attributes

    def _store(self, key: Key, attributes: AttributeMap, task: AttributeMap) -> None:
        if len(attributes) <= MAX_WRITES_PER_UPDATE:
            self._update(key, {**attributes, **task})
            return
        try:
            self._table.put(
                {**key_attributes(key), **attributes, **task},
                ConditionExpression="attribute_not_exists(#pk)",
                ExpressionAttributeNames={"#pk": "conversation_id"},
            )
        except ConditionFailed:
            names = list(attributes)
            for start in range(0, len(names), MAX_WRITES_PER_UPDATE):
                batch = names[start : start + MAX_WRITES_PER_UPDATE]
                self._update(key, {**{name: attributes[name] for name in batch}, **task})

    def _update(self, key: Key, attributes: AttributeMap) -> None:
        sets = [
            f"{name} = if_not_exists({name}, :{name})" if name[0] == "w" else f"{name} = :{name}" for name in attributes
        ]
        self._table.update(
            key,
            UpdateExpression="SET " + ", ".join(sets),
            ExpressionAttributeValues={f":{name}": value for name, value in attributes.items()},
        )

    def _decoded(self, item: WritesItem, index: int, frame: bytes, encryptor: Encryptor | None) -> Write:
        context = _context(item.key, index)
        payload = self._codec.unframe(frame, context=context, encryptor=encryptor)
        try:
            channel, path, encoded = ormsgpack.unpackb(payload)
            return Write(path, item.task_id, index, channel, changes.decode(encoded, []))
        except (ValueError, TypeError) as error:
            raise CorruptDataError(f"the write at {context} can't be rebuilt: {error!r}", key=context) from error


class WritesPages:
    """The task writes of a namespace's newest checkpoint, which need not be known yet when reading begins.

    Writes can arrive before their checkpoint does, so the newest ones may belong to a checkpoint that is not there.
    """

    def __init__(self, writes: TaskWrites, table: Table, scope: Scope, ns: str, checkpoint_id: str | None) -> None:
        self._writes = writes
        self._scope = scope
        prefix = scope.writes(ns, checkpoint_id) if checkpoint_id else scope.all_writes(ns)
        self._pages = table.query(
            scope.thread_id, prefix, newest_first=True, page_items=None if checkpoint_id else _FIRST_PAGE
        )
        self._items: list[WritesItem] = []
        self._ended = False

    def read(self) -> None:
        """Read one more page."""
        page = next(self._pages, None)
        self._ended = page is None
        self._items.extend(map(WritesItem.from_attributes, page or []))

    def of(self, checkpoint_id: str, serializer: Serializer) -> Writes:
        """The writes of that checkpoint, in order; reads on until all of them must have come."""
        decoded = self._writes.decoded(self._scope, self._items_of(checkpoint_id), serializer.encryptor)
        return self._writes.to_python(self._scope, decoded, serializer)

    def until(self, checkpoint_id: str) -> int | None:
        """When the conversation is over as these writes say, if any of them say it."""
        return max((item.until for item in self._items_of(checkpoint_id) if item.until is not None), default=None)

    def _items_of(self, checkpoint_id: str) -> list[WritesItem]:
        while not self._ended and (not self._items or self._items[-1].checkpoint_id >= checkpoint_id):
            self.read()
        return [item for item in self._items if item.checkpoint_id == checkpoint_id]


def _context(key: Key, index: int) -> str:
    return f"{key.sk}/{write_name(index)}"
