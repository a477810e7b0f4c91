"""Lists of checkpoints: the history of a conversation.

A chain of changes is read once for all the checkpoints in it, their writes with one query for each page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, missing_refs
from langgraph_dynamo_conv._checkpoints.ended import EndedConversations
from langgraph_dynamo_conv._checkpoints.loading import CHAIN_PAGE, Checkpoints, Loaded
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites
from langgraph_dynamo_conv._format.items import CheckpointItem, checkpoint_items
from langgraph_dynamo_conv._format.keys import Namespace, Scope
from langgraph_dynamo_conv._format.tree import to_python
from langgraph_dynamo_conv._history.ancestry import Walk
from langgraph_dynamo_conv._state.chain import CheckpointPages, OrphanError
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.table import Table


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

    def _namespaces(self, scope: Scope, query: HistoryQuery) -> Iterator[tuple[Namespace, CheckpointPages]]:
        if query.ns is not None:
            namespace = scope.namespace(query.ns)
            page_items = query.limit + CHAIN_PAGE if query.limit is not None else None
            last = query.checkpoint_id or query.before
            yield namespace, self._checkpoints.pages(namespace, last=last, page_items=page_items, doubling=True)
            return
        pages = self._table.query(scope.thread_id, scope.prefix("c"), newest_first=True)
        items = chain.from_iterable(checkpoint_items(pages))
        for ns, group in groupby(items, key=CheckpointItem.namespace):
            one_by_one = ([item] for item in group)  # one group at a time, each read once
            yield scope.namespace(ns), CheckpointPages(one_by_one, self._expiry.is_past)

    def _is_over(self, namespace: Namespace, pages: CheckpointPages, query: HistoryQuery) -> bool:
        item = pages.newest()
        newest = query.checkpoint_id is None and query.before is None
        return item is not None and self._ended.is_over(namespace, item, newest=newest)

    def _read(self, namespace: Namespace, pages: CheckpointPages, query: HistoryQuery) -> Iterator[Loaded]:
        all_segments = query.limit is None or query.limit > CHAIN_PAGE
        walk = Walk(self._checkpoints, self._writes, namespace, all_segments=all_segments)
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
            writes = self._writes.to_python(namespace.scope, walk.writes(stored, pages))
            yield Loaded(stored, dict(blobs), writes)

    def _has_metadata(self, stored: StoredCheckpoint, values: Mapping[str, Any] | None) -> bool:
        metadata, loads = stored.tree["metadata"], self._serializer.loads
        return all(
            (to_python(metadata[key], loads, {}) if key in metadata else None) == value
            for key, value in (values or {}).items()
        )
