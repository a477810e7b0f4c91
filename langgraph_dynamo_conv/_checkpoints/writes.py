"""Pending writes of tasks: one item per task and checkpoint, one attribute per write, stored with one request.

Regular writes are kept if present, special ones (`WRITES_IDX_MAP`: errors, interrupts, resumes) replace. They are given
back in `writes_sort_key` order, whichever task finished first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from langgraph.checkpoint.base import WRITES_IDX_MAP, writes_sort_key

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, PendingBlobs, all_refs, missing_refs
from langgraph_dynamo_conv._format import changes
from langgraph_dynamo_conv._format.items import (
    AttributeMap,
    WritesItem,
    blob_ref_text,
    key_attributes,
    stamp,
    write_name,
)
from langgraph_dynamo_conv._format.keys import PK, Key, Namespace, Scope, after_prefix, component, component_text
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


PendingWrites = list[tuple[str, str, Any]]
"""`pending_writes` as LangGraph takes them: task id, channel, value."""


@dataclass(frozen=True)
class _Plan:
    """Frames of one call by write index, their trees, and the blobs they refer to."""

    frames: dict[int, bytes] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    pending: PendingBlobs = field(default_factory=dict)


class TaskWrites:
    """Stores and reads task writes of any conversation. Safe to share between threads."""

    def __init__(self, table: Table, serializer: Serializer, blobs: Blobs, expiry: Expiry) -> None:
        self._table = table
        self._serializer = serializer
        self._blobs = blobs
        self._expiry = expiry

    def save(
        self,
        namespace: Namespace,
        checkpoint_id: str,
        task_id: str,
        task_path: str,
        writes: Sequence[tuple[str, Any]],
    ) -> None:
        """Store a task's writes.

        Cost: one UpdateItem, 1 write unit for each KB of what the task has written; up to 60 writes in a request, more
        in one PutItem if they are the task's first. Before it, one PutItem for each part of a large value.
        """
        if not writes:
            return
        key = namespace.task(checkpoint_id, task_id)
        plan = self._plan(namespace.scope, key, task_path, writes)
        task = {} if component_text(component(task_id)) is not None else {"t": {"S": task_id}}
        task |= stamp(self._expiry.outliving(), self._expiry.until())
        try:
            self._store(namespace.scope, key, plan, task, INLINE_FRAME_BYTES)
        except ItemTooLargeError:
            self._store(namespace.scope, key, plan, task, 0)
        for node in plan.nodes:
            self._blobs.remember(namespace.scope, node)

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
                writes = self.decoded(namespace.scope, [item])
                names = [write_name(write.idx) for write in writes if goes(write.channel)]
                if len(names) == len(writes):
                    self._table.delete(item.key)
                elif names:
                    self._table.update(item.key, UpdateExpression="REMOVE " + ", ".join(names))

    def decoded(self, scope: Scope, items: list[WritesItem]) -> list[Write]:
        """Writes of items of one checkpoint, in `writes_sort_key` order."""
        refs = [frame for item in items for frame in item.frames.values() if isinstance(frame, BlobRef)]
        fetched = self._blobs.fetch_frames(scope, refs) if refs else {}
        writes = [
            self._decoded(item, index, fetched[frame.digest] if isinstance(frame, BlobRef) else frame)
            for item in items
            for index, frame in item.frames.items()
        ]
        return sorted(writes, key=lambda write: writes_sort_key(write.path, write.task_id, write.idx))

    def refs(self, scope: Scope, item: WritesItem) -> list[BlobRef]:
        """The blobs that an item refers to: frames that did not fit into it, and large values in the writes."""
        frames = [frame for frame in item.frames.values() if isinstance(frame, BlobRef)]
        return frames + [ref for write in self.decoded(scope, [item]) for ref in all_refs(write.node)]

    def to_python(self, scope: Scope, writes: list[Write]) -> PendingWrites:
        """`pending_writes` as LangGraph takes them."""
        blobs = self._blobs.fetch(scope, [ref for write in writes for ref in missing_refs(write.node)])
        loads = self._serializer.loads
        return [(write.task_id, write.channel, to_python(write.node, loads, blobs)) for write in writes]

    def _plan(self, scope: Scope, key: Key, path: str, writes: Sequence[tuple[str, Any]]) -> _Plan:
        plan = _Plan()
        for position, (channel, value) in enumerate(writes):
            index = WRITES_IDX_MAP.get(channel, position)
            node = self._blobs.place(grow(value, self._serializer.dumps, 1), scope, plan.pending)
            payload = [channel, path, changes.encode(node)]
            plan.frames[index] = self._serializer.codec.pack(payload, _context(key, index))
            plan.nodes.append(node)
        return plan

    def _attributes(self, plan: _Plan, max_bytes: int) -> AttributeMap:
        """The writes as attributes; the largest become blobs until the rest fits."""
        attributes: AttributeMap = {}
        room = max_bytes
        for index, frame in sorted(plan.frames.items(), key=lambda entry: len(entry[1])):
            room -= len(frame) + 8
            if room < 0 and len(frame) > _SMALL_FRAME_BYTES:
                attributes[write_name(index)] = {"S": blob_ref_text(self._blobs.add(frame, plan.pending))}
            else:
                attributes[write_name(index)] = {"B": frame}
        return attributes

    def _store(self, scope: Scope, key: Key, plan: _Plan, task: AttributeMap, max_bytes: int) -> None:
        attributes = self._attributes(plan, max_bytes)
        if plan.pending:
            self._table.side_by_side(*self._blobs.requests(scope, plan.pending))
        if len(attributes) <= MAX_WRITES_PER_UPDATE:
            self._update(key, {**attributes, **task})
            return
        try:
            self._table.put(
                {**key_attributes(key), **attributes, **task},
                ConditionExpression="attribute_not_exists(#pk)",
                ExpressionAttributeNames={"#pk": PK},
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

    def _decoded(self, item: WritesItem, index: int, frame: bytes) -> Write:
        context = _context(item.key, index)
        payload = self._serializer.codec.unpack(frame, context)
        try:
            channel, path, encoded = payload
            return Write(path, item.task_id, index, channel, changes.decode(encoded, []))
        except (ValueError, TypeError) as error:
            raise CorruptDataError(f"the write at {context} can't be rebuilt: {error!r}", key=context) from error


class WritesPages:
    """The task writes of a namespace's newest checkpoint, which need not be known yet when reading begins.

    Writes can arrive before their checkpoint does, so the newest ones may belong to a checkpoint that is not there.
    """

    def __init__(self, writes: TaskWrites, table: Table, namespace: Namespace, checkpoint_id: str | None) -> None:
        self._writes = writes
        self._scope = namespace.scope
        prefix = namespace.writes(checkpoint_id) if checkpoint_id else namespace.prefix("w")
        self._pages = table.query(
            namespace.scope.thread_id, prefix, newest_first=True, page_items=None if checkpoint_id else _FIRST_PAGE
        )
        self._items: list[WritesItem] = []
        self._ended = False

    def read(self) -> None:
        """Read one more page."""
        page = next(self._pages, None)
        self._ended = page is None
        self._items.extend(map(WritesItem.from_attributes, page or []))

    def of(self, checkpoint_id: str) -> PendingWrites:
        """The writes of that checkpoint, in order; reads on until all of them must have come."""
        items = self._items_of(checkpoint_id)
        return self._writes.to_python(self._scope, self._writes.decoded(self._scope, items)) if items else []

    def until(self, checkpoint_id: str) -> int | None:
        """When the conversation is over as these writes say, if any of them say it."""
        return max((item.until for item in self._items_of(checkpoint_id) if item.until is not None), default=None)

    def _items_of(self, checkpoint_id: str) -> list[WritesItem]:
        while not self._ended and (not self._items or self._items[-1].checkpoint_id >= checkpoint_id):
            self.read()
        return [item for item in self._items if item.checkpoint_id == checkpoint_id]


def _context(key: Key, index: int) -> str:
    return f"{key.sk}/{write_name(index)}"
