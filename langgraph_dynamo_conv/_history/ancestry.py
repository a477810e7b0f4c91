"""The way from a checkpoint back to the first, and what it passes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langgraph_dynamo_conv._checkpoints.loading import Checkpoints
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites, Write
from langgraph_dynamo_conv._format.items import CheckpointItem
from langgraph_dynamo_conv._format.keys import Namespace
from langgraph_dynamo_conv._state.chain import CheckpointPages
from langgraph_dynamo_conv._state.order import Trail
from langgraph_dynamo_conv._state.stored import StoredCheckpoint

_ANCESTRY_PAGE = 100
"""Ancestors in the first page of a way back: a `DeltaChannel` is rarely deeper, and most are smaller than 1 KB."""

_NOT_THERE = "-"
"""Before the id of a checkpoint whose ancestors were removed: stands for the id of its parent, which nobody knows."""


class Walk:
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

    def writes(self, stored: StoredCheckpoint, pages: CheckpointPages) -> list[Write]:
        """Writes of a checkpoint, in order; those of all smaller ids that its pages have read come with one query."""
        checkpoint_id = stored.checkpoint_id
        if self._writes_of is None or not self._writes_of[0] <= checkpoint_id <= self._writes_of[1]:
            self._writes_of = min(pages.oldest_read, checkpoint_id), checkpoint_id
            self._writes = self._task_writes.between(self._namespace, *self._writes_of)
        return [write.whole(stored) for write in self._writes.get(checkpoint_id, [])]


def ancestry(
    checkpoints: Checkpoints,
    namespace: Namespace,
    checkpoint_id: str | None,
    page_items: int | None = _ANCESTRY_PAGE,
    pages: CheckpointPages | None = None,
) -> Iterator[tuple[CheckpointItem, CheckpointPages]]:
    """A checkpoint (None: the newest) and its ancestors, nearest first, each with pages that have its chain.

    Args:
        checkpoints: Reads them.
        namespace: Where.
        checkpoint_id: The id, or None.
        page_items: At most so many items in the first page; None: as many as fit.
        pages: Pages from the newest checkpoint on, if they are at hand.

    Raises:
        CorruptDataError: The parents form a ring.

    Cost: one Query for each MB of checkpoints; one more for a parent whose id is greater than all that was read.
    """
    trail = Trail()
    pages = pages or checkpoints.pages(namespace, last=checkpoint_id, page_items=page_items, doubling=True)
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
