"""Whether a conversation is over: its newest root checkpoint and the writes on it say so; all reads ask them.

A checkpoint of the past or of a subgraph can be older than a whole time to live while its conversation goes on, so
where the time of one has come, the newest of the root decides. That costs a request, but only then.
"""

from __future__ import annotations

from langgraph_dynamo_conv._checkpoints.writes import TaskWrites
from langgraph_dynamo_conv._checkpoints.writes_pages import WritesPages
from langgraph_dynamo_conv._format.items import CheckpointItem, checkpoint_items
from langgraph_dynamo_conv._format.keys import Namespace, Scope
from langgraph_dynamo_conv._state.chain import CheckpointPages
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._storage.recent import Recent
from langgraph_dynamo_conv._storage.table import Table

REMEMBERED = 512


class EndedConversations:
    """Tells which conversations are over. Safe to share between threads.

    Args:
        table: The table.
        writes: Task writes.
        expiry: How long conversations live.
        ended: Conversations that this process has found to be over, and nobody has begun anew.
        expiries: By namespace the id and the `expires_at` of the checkpoint that was read or stored last.
    """

    def __init__(
        self,
        table: Table,
        writes: TaskWrites,
        expiry: Expiry,
        ended: Recent[Scope, bool],
        expiries: Recent[Namespace, tuple[str, int | None]],
    ) -> None:
        self._table = table
        self._writes = writes
        self._expiry = expiry
        self._ended = ended
        self._expiries = expiries

    def is_over(self, namespace: Namespace, item: CheckpointItem, *, newest: bool) -> bool:
        """Whether a checkpoint that was read is one of a conversation that is over.

        Args:
            namespace: The checkpoint's namespace.
            item: The checkpoint.
            newest: Whether it is the newest of its namespace.

        Cost: nothing, but two small Queries where the checkpoint's own time has come.
        """
        if not self._expiry.is_past(item.times.until):
            return False
        root = item if newest and namespace.ns == "" else self._newest_root(namespace.scope)
        if root is not None and not self._is_past(namespace.scope.namespace(), root):
            return False
        self._ended.put(namespace.scope, True)
        return True

    def pop_ended(self, scope: Scope) -> bool:
        """True once after `is_over` found the conversation over; the caller deletes what is left of it."""
        return bool(self._ended.pop(scope))

    def note_expiry(self, namespace: Namespace, checkpoint_id: str, expires_at: int | None) -> None:
        """Remember when a checkpoint may be deleted that was read or stored last."""
        self._expiries.put(namespace, (checkpoint_id, expires_at))

    def is_due(self, namespace: Namespace, checkpoint_id: str) -> bool:
        """Whether a checkpoint that is written to must get another `expires_at`, as far as this process has seen it."""
        noted, expires_at = self._expiries.get(namespace) or ("", None)
        return noted == checkpoint_id and self._expiry.is_due(expires_at)

    def _is_past(self, root: Namespace, item: CheckpointItem) -> bool:
        if not self._expiry.is_past(item.times.until):
            return False
        # A step that is interrupted again and again stores writes, and no checkpoint.
        until = WritesPages(self._writes, self._table, root, item.checkpoint_id).until(item.checkpoint_id)
        return until is None or self._expiry.is_past(until)

    def _newest_root(self, scope: Scope) -> CheckpointItem | None:
        prefix = scope.namespace().prefix("c")
        pages = self._table.query(scope.thread_id, prefix, newest_first=True, page_items=1)
        return CheckpointPages(checkpoint_items(pages), self._expiry.is_past).newest()
