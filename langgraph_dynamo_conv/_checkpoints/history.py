"""Many checkpoints at once: the history of a conversation, and what a `DeltaChannel` replays.

A chain of changes is read once for all the checkpoints in it, their writes with one query for each page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, blob_refs
from langgraph_dynamo_conv._checkpoints.ended import EndedConversations
from langgraph_dynamo_conv._checkpoints.store import CHAIN_PAGE, Checkpoints, Loaded
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites, Write
from langgraph_dynamo_conv._format.items import CheckpointItem
from langgraph_dynamo_conv._format.keys import SK, Scope, parse_sk
from langgraph_dynamo_conv._format.tree import Node, to_python
from langgraph_dynamo_conv._state.chain import CheckpointPages
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.table import Table

Matches = Callable[[StoredCheckpoint], bool]

_DELTA_PAGE = 100
"""Ancestors in the first page of a walk: a `DeltaChannel` is rarely deeper, and most are smaller than 1 KB."""


@dataclass(frozen=True)
class HistoryQuery:
    """Which checkpoints a history is of.

    Args:
        ns: The namespace, or None for all.
        checkpoint_id: Only this one, or None.
        before: Only those with smaller ids, or None.
        limit: So many at most, or None.
        matches: Only those of which this is true.
    """

    ns: str | None = ""
    checkpoint_id: str | None = None
    before: str | None = None
    limit: int | None = None
    matches: Matches = lambda _: True

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
        checkpoints: Checkpoints,
        parts: Blobs,
        writes: TaskWrites,
        expiry: Expiry,
        ended: EndedConversations,
    ) -> None:
        self._expiry = expiry
        self._ended = ended
        self._table = table
        self._checkpoints = checkpoints
        self._parts = parts
        self._writes = writes

    def read(self, scope: Scope, asked: HistoryQuery, serializer: Serializer) -> Iterator[tuple[str, Loaded]]:
        """Namespace and checkpoint, newest first within each namespace.

        Cost: one query for each MB of changes, of task writes and of segments.
        """
        left = asked.limit
        for ns, descending in self._namespaces(scope, asked):
            if self._is_over(scope, ns, descending, asked):
                return
            for loaded in self._one(scope, ns, descending, asked, serializer):
                if left is not None:
                    if left <= 0:
                        return
                    left -= 1
                yield ns, loaded

    def delta(
        self, scope: Scope, ns: str, checkpoint_id: str | None, channels: Sequence[str], serializer: Serializer
    ) -> dict[str, tuple[list[Write], Node | None]]:
        """What each channel's writes were since it was last stored, oldest first, and the value stored then.

        Cost: one query for each MB of changes and of task writes between the checkpoint and that value.
        """
        last = scope.checkpoint(ns, checkpoint_id).sk if checkpoint_id else None
        pages = self._table.query(
            scope.thread_id, scope.checkpoints(ns), last=last, newest_first=True, page_items=_DELTA_PAGE, doubling=True
        )
        walk = _Walk(self, scope, ns, CheckpointPages(pages, self._expiry.is_past), serializer)
        found: dict[str, tuple[list[Write], Node | None]] = {channel: ([], None) for channel in channels}
        remaining = set(channels)
        for image, writes in walk.ancestors(checkpoint_id):
            if not remaining:
                break
            for write in reversed(writes):
                if write.channel in remaining:
                    found[write.channel][0].append(write)
            stored = image.tree["channel_values"]
            for channel in remaining & stored.keys():
                found[channel] = (found[channel][0], stored[channel])
            remaining -= stored.keys()
        return {channel: (writes[::-1], seed) for channel, (writes, seed) in found.items()}

    def value(self, scope: Scope, node: Node, serializer: Serializer) -> Any:
        """The value of a tree, its large values fetched."""
        values = self._parts.fetch(scope, blob_refs(node), serializer.encryptor)
        return to_python(node, serializer.loads, values)

    def _namespaces(self, scope: Scope, asked: HistoryQuery) -> Iterator[tuple[str, CheckpointPages]]:
        page = asked.limit + CHAIN_PAGE if asked.limit is not None else None
        if asked.ns is not None:
            bound = asked.checkpoint_id or asked.before
            last = scope.checkpoint(asked.ns, bound).sk if bound else None
            pages = self._table.query(
                scope.thread_id,
                scope.checkpoints(asked.ns),
                last=last,
                newest_first=True,
                page_items=page,
                doubling=True,
            )
            yield asked.ns, CheckpointPages(pages, self._expiry.is_past)
            return
        pages = self._table.query(scope.thread_id, scope.prefix("c"), newest_first=True)
        items = (item for page in pages for item in page)
        for _, group in groupby(items, key=lambda item: parse_sk(item[SK]["S"]).parts[0]):
            first = next(group)
            rest = chain([first], group)  # noqa: B031 - one group at a time, each read once
            yield (
                CheckpointItem.from_attributes(first).namespace(),
                CheckpointPages(([item] for item in rest), self._expiry.is_past),
            )

    def _is_over(self, scope: Scope, ns: str, descending: CheckpointPages, asked: HistoryQuery) -> bool:
        item = descending.newest()
        newest = asked.checkpoint_id is None and asked.before is None
        return item is not None and self._ended.is_over(scope, ns, item, newest=newest)

    def _one(
        self, scope: Scope, ns: str, descending: CheckpointPages, asked: HistoryQuery, serializer: Serializer
    ) -> Iterator[Loaded]:
        walk = _Walk(
            self, scope, ns, descending, serializer, all_segments=asked.limit is None or asked.limit > CHAIN_PAGE
        )
        values: dict[str, bytes] = {}
        for item in descending:
            if not asked.admits(item.checkpoint_id):
                if asked.checkpoint_id and item.checkpoint_id < asked.checkpoint_id:
                    return
                continue
            image = walk.image(item)
            if not asked.matches(image):
                continue
            refs = {ref.digest: ref for ref in blob_refs(image.tree)}
            values = {digest: data for digest, data in values.items() if digest in refs}
            missing = [ref for digest, ref in refs.items() if digest not in values]
            values.update(self._parts.fetch(scope, missing, serializer.encryptor))
            writes = self._writes.to_python(scope, walk.writes(item.checkpoint_id), serializer)
            yield Loaded(image, dict(values), writes)


class _Walk:
    """Images and writes of one namespace, each item of the table read once."""

    def __init__(
        self,
        history: History,
        scope: Scope,
        ns: str,
        descending: CheckpointPages,
        serializer: Serializer,
        *,
        all_segments: bool = False,
    ) -> None:
        self._history = history
        self._scope = scope
        self._ns = ns
        self._descending = descending
        self._serializer = serializer
        self._all_segments = all_segments
        self._images: dict[str, StoredCheckpoint] = {}
        self._segments: dict[str, Any] = {}
        self._writes: dict[str, list[Write]] = {}
        self._writes_from: str | None = None

    def image(self, item: CheckpointItem) -> StoredCheckpoint:
        """The image of an item; those that it builds on come with it."""
        if item.checkpoint_id not in self._images:
            chain = self._descending.chain(item)
            checkpoints = self._history._checkpoints
            if self._all_segments:
                self._segments = checkpoints.segments.all(self._scope, self._ns, self._serializer.encryptor)
                self._all_segments = False
            for image in checkpoints.build(self._scope, self._ns, chain, self._serializer, self._segments):
                self._images[image.checkpoint_id] = image
        return self._images.pop(item.checkpoint_id)

    def writes(self, checkpoint_id: str) -> list[Write]:
        """Writes of a checkpoint, in order; those of all items read so far come with one query."""
        if self._writes_from is None or checkpoint_id < self._writes_from:
            oldest = min(self._descending.oldest_read, checkpoint_id)
            self._writes = self._history._writes.between(self._scope, self._ns, oldest, checkpoint_id, self._serializer)
            self._writes_from = oldest
        return self._writes.get(checkpoint_id, [])

    def ancestors(self, checkpoint_id: str | None) -> Iterator[tuple[StoredCheckpoint, list[Write]]]:
        """The ancestors of a checkpoint (None: the newest), nearest first, each with its writes."""
        item = self._descending.newest()
        if item is None or (checkpoint_id and item.checkpoint_id != checkpoint_id):
            return
        while item is not None and item.parent_id:
            item = self._descending.get(item.parent_id)
            if item is not None:
                yield self.image(item), self.writes(item.checkpoint_id)


def metadata_matches(serializer: Serializer, wanted: Mapping[str, Any] | None) -> Matches:
    """Whether a checkpoint's metadata has these values."""

    def matches(image: StoredCheckpoint) -> bool:
        if not wanted:
            return True
        metadata = image.tree["metadata"]
        return all(
            key in metadata and to_python(metadata[key], serializer.loads, {}) == value
            if value is not None
            else key not in metadata or to_python(metadata[key], serializer.loads, {}) is None
            for key, value in wanted.items()
        )

    return matches


def replayed_channels(image: StoredCheckpoint, serializer: Serializer) -> set[str]:
    """`DeltaChannel`s whose value is not in the checkpoint, by the counters that LangGraph keeps in its metadata."""
    counters = image.tree["metadata"].get("counters_since_delta_snapshot")
    if counters is None:
        return set()
    names: dict[str, Any] = to_python(counters, serializer.loads, {})
    stored: dict[str, Any] = image.tree["channel_values"]
    return set(names) - set(stored)
