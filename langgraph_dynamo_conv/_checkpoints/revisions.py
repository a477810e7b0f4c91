"""The revision of a namespace: whoever changes what is behind a checkpoint that others build on, changes it afterwards.

What a `DeltaChannel` replays is on many more items than a reader asks for. A reader uses what it replayed before only
where the revision is the same, so once such a call has returned, no reader gives what was there before. What is deleted
whole takes its newest checkpoint along; whoever stores the same checkpoint again stores the same task writes on it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from langgraph_dynamo_conv._format.items import (
    CheckpointItem,
    bytes_item,
    bytes_of,
    checkpoints_of,
    is_revision,
    key_of,
    stamp,
)
from langgraph_dynamo_conv._format.keys import Key, Namespace
from langgraph_dynamo_conv._state.chain import CheckpointPages
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._storage.table import Table

_REVISION_BYTES = 8

_LATE_PAGE = 3
"""Enough to tell whether there are newer checkpoints than one and its child, beside the revision."""

_LEAST = "\0"
"""Sorts before all that can follow a key: a look does not read the checkpoint itself, which may be large."""

_NEWEST_PAGE = 100
"""Checkpoints in the first page of a way back: a `DeltaChannel` is rarely deeper, and most are smaller than 1 KB."""


class Revisions:
    """Says of each namespace that what is behind its checkpoints has changed. Safe to share between threads."""

    def __init__(self, table: Table, expiry: Expiry) -> None:
        self._table = table
        self._expiry = expiry

    def change(self, namespace: Namespace) -> None:
        """Let no process use what it remembers of task writes. A deletion meanwhile wins: it leaves no revision.

        Cost: one PutItem of 1 write unit, and one small Query.
        """
        item = bytes_item(namespace.revision(), secrets.token_bytes(_REVISION_BYTES))
        self._table.put({**item, **stamp(self._expiry.outliving())})
        if not self._newest(namespace):
            self._table.delete(namespace.revision())

    def note_late(self, namespace: Namespace, checkpoint_id: str, child: str = "") -> None:
        """Task writes on a checkpoint were stored: change the revision if it may have had another child before.

        Args:
            namespace: Where.
            checkpoint_id: The checkpoint.
            child: A child that was stored after them.

        Cost: one small Query.
        """
        after = f"{namespace.checkpoint(checkpoint_id).sk}{_LEAST}"
        if self._newest(namespace, after) - {namespace.checkpoint(child)}:
            self.change(namespace)

    def _newest(self, namespace: Namespace, after: str | None = None) -> set[Key]:
        """Keys of at least two checkpoints, the newest after a sort key, if there are so many."""
        pages = self._table.query(
            namespace.scope.thread_id,
            namespace.prefix("c"),
            first=after,
            newest_first=True,
            page_items=_LATE_PAGE,
            keys_only=True,
        )
        return {key_of(item) for item in next(pages, []) if not is_revision(item)}


class NewestPages:
    """The newest checkpoints of a namespace, down to the id `first`, and the namespace's revision before that.

    Args:
        table: The table.
        namespace: Where.
        expiry: How long conversations live.
        first: The oldest to read, inclusive; None: the first.
    """

    def __init__(self, table: Table, namespace: Namespace, expiry: Expiry, first: str | None = None) -> None:
        self.revision: bytes | None = None
        self._raw = table.query(
            namespace.scope.thread_id,
            namespace.prefix("c"),
            first=namespace.checkpoint(first).sk if first else None,
            newest_first=True,
            page_items=_NEWEST_PAGE,
            doubling=True,
        )
        self.pages = CheckpointPages(self._pages(), expiry.is_past)

    def _pages(self) -> Iterator[list[CheckpointItem]]:
        for page in self._raw:
            for item in filter(is_revision, page):
                self.revision = bytes_of(item)
            yield checkpoints_of(page)
