"""Many checkpoints at once: the history of a conversation, and what a `DeltaChannel` replays.

A chain of changes is read once for all the checkpoints in it, their writes with one query for each page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, missing_refs
from langgraph_dynamo_conv._checkpoints.ended import EndedConversations
from langgraph_dynamo_conv._checkpoints.store import CHAIN_PAGE, Checkpoints, Loaded
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites, Write
from langgraph_dynamo_conv._format.items import CheckpointItem
from langgraph_dynamo_conv._format.keys import Namespace, Scope
from langgraph_dynamo_conv._format.tree import Node, Tree, to_python
from langgraph_dynamo_conv._state.chain import CheckpointPages, OrphanError
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.order import Trail
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.table import Table

_ANCESTRY_PAGE = 100
"""Ancestors in the first page of a way back: a `DeltaChannel` is rarely deeper, and most are smaller than 1 KB."""

_NOT_THERE = "-"
"""Before the id of a checkpoint whose ancestors were removed: stands for the id of its parent, which nobody knows."""


@dataclass(frozen=True)
class HistoryQuery:
    """Which checkpoints a history is of.

    Args:
        ns: The namespace, or None for all.
        checkpoint_id: Only this one, or None.
        before: Only those with smaller ids, or None.
        limit: So many at most, or None.
        metadata: Only those whose metadata have these values; None stands for a missing one too.
    """

    ns: str | None = ""
    checkpoint_id: str | None = None
    before: str | None = None
    limit: int | None = None
    metadata: Mapping[str, Any] | None = None

    def admits(self, checkpoint_id: str) -> bool:
        """Whether a checkpoint of this id may be among them."""
        if self.checkpoint_id and checkpoint_id != self.checkpoint_id:
            return False
        return not self.before or checkpoint_id < self.before


class History:
    """Reads many checkpoints of any conversation. Safe to share between threads."""

    def __init__(
        self,
        table: Table,
        serializer: Serializer,
        checkpoints: Checkpoints,
        blobs: Blobs,
        writes: TaskWrites,
        expiry: Expiry,
        ended: EndedConversations,
    ) -> None:
        self._table = table
        self._serializer = serializer
        self._checkpoints = checkpoints
        self._blobs = blobs
        self._writes = writes
        self._expiry = expiry
        self._ended = ended

    def read(self, scope: Scope, query: HistoryQuery) -> Iterator[tuple[Namespace, Loaded]]:
        """Namespace and checkpoint, newest first within each namespace.

        Cost: one query for each MB of changes, of task writes and of segments.
        """
        left = query.limit
        for namespace, pages in self._namespaces(scope, query):
            if self._is_over(namespace, pages, query):
                return
            for loaded in self._read(namespace, pages, query):
                if left is not None:
                    if left <= 0:
                        return
                    left -= 1
                yield namespace, loaded

    def delta(
        self, namespace: Namespace, checkpoint_id: str | None, channels: Sequence[str]
    ) -> dict[str, tuple[list[Write], Node | None]]:
        """What each channel's writes were since it was last stored, oldest first, and the value stored then.

        Cost: one query for each MB of changes and of task writes between the checkpoint and that value.
        """
        walk = _Walk(self._checkpoints, self._writes, namespace)
        histories: dict[str, tuple[list[Write], Node | None]] = {channel: ([], None) for channel in channels}
        remaining = set(channels)
        for stored, writes in walk.ancestors(checkpoint_id, self._expiry):
            for write in reversed(writes):
                if write.channel in remaining:
                    histories[write.channel][0].append(write)
            values = stored.tree["channel_values"]
            for channel in remaining & values.keys():
                histories[channel] = (histories[channel][0], values[channel])
            remaining -= values.keys()
            if not remaining:
                break
        return {channel: (writes[::-1], seed) for channel, (writes, seed) in histories.items()}

    def value(self, scope: Scope, node: Node) -> Any:
        """The value of a tree, its blobs fetched."""
        return to_python(node, self._serializer.loads, self._blobs.fetch(scope, missing_refs(node)))

    def _namespaces(self, scope: Scope, query: HistoryQuery) -> Iterator[tuple[Namespace, CheckpointPages]]:
        if query.ns is not None:
            namespace = scope.namespace(query.ns)
            page_items = query.limit + CHAIN_PAGE if query.limit is not None else None
            last = query.checkpoint_id or query.before
            yield namespace, self._checkpoints.pages(namespace, last=last, page_items=page_items, doubling=True)
            return
        pages = self._table.query(scope.thread_id, scope.prefix("c"), newest_first=True)
        items = (CheckpointItem.from_attributes(item) for page in pages for item in page)
        for ns, group in groupby(items, key=CheckpointItem.namespace):
            one_by_one = ([item] for item in group)  # one group at a time, each read once
            yield scope.namespace(ns), CheckpointPages(one_by_one, self._expiry.is_past)

    def _is_over(self, namespace: Namespace, pages: CheckpointPages, query: HistoryQuery) -> bool:
        item = pages.newest()
        newest = query.checkpoint_id is None and query.before is None
        return item is not None and self._ended.is_over(namespace, item, newest=newest)

    def _read(self, namespace: Namespace, pages: CheckpointPages, query: HistoryQuery) -> Iterator[Loaded]:
        all_segments = query.limit is None or query.limit > CHAIN_PAGE
        walk = _Walk(self._checkpoints, self._writes, namespace, all_segments=all_segments)
        blobs: dict[str, bytes] = {}
        for item in pages:
            if not query.admits(item.checkpoint_id):
                if query.checkpoint_id and item.checkpoint_id < query.checkpoint_id:
                    return
                continue
            try:
                stored = walk.stored(item, pages)
            except OrphanError as orphan:
                if query.checkpoint_id and self._checkpoints.has_row(namespace.scope):
                    raise orphan.damage from None
                continue
            if not self._has_metadata(stored, query.metadata):
                continue
            refs = {ref.digest: ref for ref in missing_refs(stored.tree)}
            blobs = {digest: data for digest, data in blobs.items() if digest in refs}
            missing = [ref for digest, ref in refs.items() if digest not in blobs]
            blobs.update(self._blobs.fetch(namespace.scope, missing))
            writes = self._writes.to_python(namespace.scope, walk.writes(item.checkpoint_id, pages))
            yield Loaded(stored, dict(blobs), writes)

    def _has_metadata(self, stored: StoredCheckpoint, values: Mapping[str, Any] | None) -> bool:
        metadata, loads = stored.tree["metadata"], self._serializer.loads
        return all(
            (to_python(metadata[key], loads, {}) if key in metadata else None) == value
            for key, value in (values or {}).items()
        )


class _Walk:
    """Checkpoints and writes of one namespace, each item of the table read once."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        writes: TaskWrites,
        namespace: Namespace,
        *,
        all_segments: bool = False,
    ) -> None:
        self._checkpoints = checkpoints
        self._task_writes = writes
        self._namespace = namespace
        self._all_segments = all_segments
        self._stored: dict[str, StoredCheckpoint] = {}
        self._segments: dict[str, Any] = {}
        self._writes: dict[str, list[Write]] = {}
        self._writes_of: tuple[str, str] | None = None

    def stored(self, item: CheckpointItem, pages: CheckpointPages) -> StoredCheckpoint:
        """The checkpoint of an item on pages; those that it builds on are rebuilt with it."""
        if item.checkpoint_id not in self._stored:
            items = pages.chain(item)
            if self._all_segments:
                self._segments = self._checkpoints.segments.all(self._namespace)
                self._all_segments = False
            for stored in self._checkpoints.replay(self._namespace, items, self._segments):
                self._stored[stored.checkpoint_id] = stored
        return self._stored.pop(item.checkpoint_id)

    def writes(self, checkpoint_id: str, pages: CheckpointPages) -> list[Write]:
        """Writes of a checkpoint, in order; those of all smaller ids that its pages have read come with one query."""
        if self._writes_of is None or not self._writes_of[0] <= checkpoint_id <= self._writes_of[1]:
            self._writes_of = min(pages.oldest_read, checkpoint_id), checkpoint_id
            self._writes = self._task_writes.between(self._namespace, *self._writes_of)
        return self._writes.get(checkpoint_id, [])

    def ancestors(self, checkpoint_id: str | None, expiry: Expiry) -> Iterator[tuple[StoredCheckpoint, list[Write]]]:
        """The ancestors of a checkpoint that is listed (None: the newest), nearest first, each with its writes."""
        way = ancestry(self._checkpoints, self._namespace, checkpoint_id)
        head, _ = next(way, (None, None))
        if head is not None and not expiry.is_past(head.listed_until):
            yield from ((self.stored(item, pages), self.writes(item.checkpoint_id, pages)) for item, pages in way)


def replayed_channels(stored: StoredCheckpoint, serializer: Serializer) -> set[str]:
    """`DeltaChannel`s whose value is not in the checkpoint, by the counters that LangGraph keeps in its metadata."""
    counters = stored.tree["metadata"].get("counters_since_delta_snapshot")
    if counters is None:
        return set()
    names: dict[str, Any] = to_python(counters, serializer.loads, {})
    values: Tree = stored.tree["channel_values"]
    return set(names) - set(values)


def ancestry(
    checkpoints: Checkpoints, namespace: Namespace, checkpoint_id: str | None, page_items: int | None = _ANCESTRY_PAGE
) -> Iterator[tuple[CheckpointItem, CheckpointPages]]:
    """A checkpoint (None: the newest) and its ancestors, nearest first, each with pages that have its chain.

    Raises:
        CorruptDataError: The parents form a ring.

    Cost: one Query for each MB of checkpoints; one more for a parent whose id is greater than all that was read.
    """
    trail = Trail()
    pages = checkpoints.pages(namespace, last=checkpoint_id, page_items=page_items, doubling=True)
    item = pages.get(checkpoint_id) if checkpoint_id else pages.newest()
    while item is not None:
        trail.add(item.key)
        yield item, pages
        if not item.parent_id:
            return
        if item.parent_id > pages.newest_read:
            pages = checkpoints.pages(namespace, last=item.parent_id, page_items=page_items, doubling=True)
        item = pages.get(item.parent_id)


def path(checkpoints: Checkpoints, namespace: Namespace, checkpoint_id: str, until: str = "") -> list[str]:
    """Ids of a checkpoint and its ancestors, nearest first, up to `until` if that is one.

    It ends with "" where it goes back to the first checkpoint, and else with the id of one that is not there.
    """
    ids = [checkpoint_id]
    for item, _ in ancestry(checkpoints, namespace, checkpoint_id, _ANCESTRY_PAGE if until else None):
        if ids[-1] == until:
            break
        ids.append("" if item.parent_id is None else item.parent_id or _NOT_THERE + item.checkpoint_id)
    return ids
