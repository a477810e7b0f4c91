"""Task writes as they are read beside a checkpoint whose id may not be known yet."""

from __future__ import annotations

from collections.abc import Callable

from langgraph_dynamo_conv._checkpoints.writes import PendingWrites, TaskWrites
from langgraph_dynamo_conv._format.items import (
    AttributeMap,
    WritesItem,
)
from langgraph_dynamo_conv._format.keys import SK, Namespace
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.table import Table

_FIRST_PAGE = 4
"""Task items that are read before the newest checkpoint is known: most steps have one to three tasks."""

_PAGE_WITH_SEGMENTS = 10
"""The same where there are hardly any, and up to eight segments below them."""


class WritesPages:
    """The task writes of a namespace's newest checkpoint, which need not be known yet when reading begins.

    Writes can arrive before their checkpoint does, so the newest ones may belong to a checkpoint that is not there.

    Args:
        writes: Decodes them.
        table: Where they are.
        namespace: Of which they are.
        checkpoint_id: The checkpoint, or None for the newest.
        below: Where there are hardly any writes: takes the items that then come below them, which begin with segments.
    """

    def __init__(
        self,
        writes: TaskWrites,
        table: Table,
        namespace: Namespace,
        checkpoint_id: str | None,
        below: Callable[[list[AttributeMap]], None] | None = None,
    ) -> None:
        self._writes = writes
        self._scope = namespace.scope
        self._below = below
        self._prefix = namespace.writes(checkpoint_id) if checkpoint_id else namespace.prefix("w")
        page_items = _PAGE_WITH_SEGMENTS if below else _FIRST_PAGE
        self._pages = table.query(
            namespace.scope.thread_id,
            self._prefix,
            first=namespace.prefix("s") if below else None,
            newest_first=True,
            page_items=None if checkpoint_id else page_items,
        )
        self._items: list[WritesItem] = []
        self._ended = False

    def read(self) -> None:
        """Read one more page."""
        page = next(self._pages, None)
        found = [item for item in page or [] if item[SK]["S"].startswith(self._prefix)]
        below = (page or [])[len(found) :]
        self._ended = page is None or bool(below)
        self._items.extend(map(WritesItem.from_attributes, found))
        if below and self._below is not None:
            self._below(below)

    def of(self, stored: StoredCheckpoint) -> PendingWrites:
        """The writes of that checkpoint, in order; reads on until all of them must have come."""
        items = self._items_of(stored.checkpoint_id)
        writes = self._writes.decoded(self._scope, items) if items else []
        return self._writes.to_python(self._scope, [write.whole(stored) for write in writes])

    def until(self, checkpoint_id: str) -> int | None:
        """When the conversation is over as these writes say, if any of them say it."""
        return max((item.until for item in self._items_of(checkpoint_id) if item.until is not None), default=None)

    def _items_of(self, checkpoint_id: str) -> list[WritesItem]:
        while not self._ended and (not self._items or self._items[-1].checkpoint_id >= checkpoint_id):
            self.read()
        return [item for item in self._items if item.checkpoint_id == checkpoint_id]
