"""Whether a conversation is over: its newest root checkpoint and the writes on it say so; all reads ask them.

A checkpoint of the past or of a subgraph can be older than a whole time to live while its conversation goes on, so
where the time of one has come, the newest of the root decides. That costs a request, but only then.
"""

from __future__ import annotations

from collections import OrderedDict

from langgraph_dynamo_conv._checkpoints.writes import TaskWrites
from langgraph_dynamo_conv._format.items import CheckpointItem
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._state.chain import CheckpointPages
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._storage.forks import Lock
from langgraph_dynamo_conv._storage.table import Table

_REMEMBERED = 512


class EndedConversations:
    """Tells which conversations are over. Safe to share between threads."""

    def __init__(self, table: Table, writes: TaskWrites, expiry: Expiry) -> None:
        self._table = table
        self._writes = writes
        self._expiry = expiry
        self._lock = Lock()
        self._over: OrderedDict[Scope, None] = OrderedDict()
        self._seen: OrderedDict[tuple[Scope, str], tuple[str, int | None]] = OrderedDict()

    def is_over(self, scope: Scope, ns: str, item: CheckpointItem, *, newest: bool) -> bool:
        """Whether a checkpoint that was read is one of a conversation that is over.

        Args:
            scope: Conversation and user.
            ns: The checkpoint's namespace.
            item: The checkpoint.
            newest: Whether it is the newest of its namespace.

        Cost: nothing, but two small Queries where the checkpoint's own time has come.
        """
        if not self._expiry.is_past(item.times.until):
            return False
        root = item if newest and ns == "" else self._newest(scope)
        if root is not None and not self._is_past(scope, root):
            return False
        self._note(scope)
        return True

    def pop_ended(self, scope: Scope) -> bool:
        """Whether this process has found the conversation to be over; true once, for whoever begins it anew."""
        with self._lock:
            return self._over.pop(scope, self) is None

    def saw(self, scope: Scope, ns: str, checkpoint_id: str, expires_at: int | None) -> None:
        """Remember when a checkpoint may be deleted that was read or stored last."""
        if expires_at is None and not self._expiry.is_on:
            return
        with self._lock:
            self._seen.pop((scope, ns), None)
            self._seen[scope, ns] = checkpoint_id, expires_at
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)

    def is_due(self, scope: Scope, ns: str, checkpoint_id: str) -> bool:
        """Whether a checkpoint that is written to must get another `expires_at`, as far as this process has seen it."""
        with self._lock:
            seen, expires_at = self._seen.get((scope, ns), ("", None))
        return seen == checkpoint_id and self._expiry.is_due(expires_at)

    def _is_past(self, scope: Scope, root: CheckpointItem) -> bool:
        if not self._expiry.is_past(root.times.until):
            return False
        # A step that is interrupted again and again stores writes, and no checkpoint.
        until = self._writes.newest(scope, "", root.checkpoint_id).until(root.checkpoint_id)
        return until is None or self._expiry.is_past(until)

    def _newest(self, scope: Scope) -> CheckpointItem | None:
        prefix = scope.checkpoints("")
        pages = self._table.query(scope.thread_id, prefix, newest_first=True, page_items=1)
        return CheckpointPages(pages, self._expiry.is_past).newest()

    def _note(self, scope: Scope) -> None:
        with self._lock:
            self._over[scope] = None
            while len(self._over) > _REMEMBERED:
                self._over.popitem(last=False)
