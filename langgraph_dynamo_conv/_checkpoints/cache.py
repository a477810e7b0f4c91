"""What this process last saw of each conversation, bounded by bytes.

It is never trusted by itself: a reader still asks the table, and uses a checkpoint only if its item is there unchanged.
"""

from __future__ import annotations

from langgraph_dynamo_conv._format.keys import Namespace
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.recent import Recent

_PER_NAMESPACE = 2
"""The newest checkpoint, and the one before it: a fork's parent is often that."""


class CheckpointCache:
    """Checkpoints by namespace; the least recently used namespace goes first. Safe to share between threads.

    Args:
        max_bytes: Bytes that all checkpoints together may hold; 0 keeps none.
    """

    def __init__(self, max_bytes: int) -> None:
        self._recent: Recent[Namespace, tuple[StoredCheckpoint, ...]] = Recent(
            max_bytes, lambda kept: sum(stored.weight for stored in kept)
        )

    def newest(self, namespace: Namespace) -> StoredCheckpoint | None:
        """The checkpoint with the greatest id, or None."""
        return max(self._recent.get(namespace) or (), key=lambda stored: stored.checkpoint_id, default=None)

    def get(self, namespace: Namespace, checkpoint_id: str) -> StoredCheckpoint | None:
        """The checkpoint of that id, or None."""
        kept = self._recent.get(namespace) or ()
        return next((stored for stored in kept if stored.checkpoint_id == checkpoint_id), None)

    def put(self, namespace: Namespace, stored: StoredCheckpoint) -> None:
        """Keep a checkpoint."""
        kept = self._recent.get(namespace) or ()
        if not any(one is stored for one in kept):
            others = [one for one in kept if one.checkpoint_id != stored.checkpoint_id]
            self._recent.put(namespace, (*others, stored)[-_PER_NAMESPACE:])

    def forget(self, thread_id: str, user_id: str | None = None) -> None:
        """Drop what is known of a conversation, or of one user's share of it."""
        self._recent.drop(
            lambda namespace: namespace.scope.thread_id == thread_id and user_id in (None, namespace.scope.user_id)
        )
