"""What this process last saw of each conversation, bounded by bytes: checkpoints, and the large values in them.

It is never trusted by itself: a reader still asks the table, and uses a checkpoint only if its item is there unchanged,
a value only where an item that is there refers to it by the digest of its bytes, and what was replayed only as
`revisions` says.
"""

from __future__ import annotations

from operator import attrgetter
from sys import getsizeof
from typing import Any, NamedTuple

from langgraph_dynamo_conv._checkpoints.replays import Replay
from langgraph_dynamo_conv._format.keys import Namespace, Scope
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.recent import ENTRY_BYTES, Recent


class _ValueOf(NamedTuple):
    """The key of a large value."""

    scope: Scope
    digest: str


class _ReplayOf(NamedTuple):
    """The key of what is replayed in a namespace."""

    scope: Scope
    ns: str


class _Weighed(NamedTuple):
    """A checkpoint, and the bytes of memory that it holds."""

    stored: StoredCheckpoint
    weight: int


class _Kept(NamedTuple):
    """What is kept under a key, and the bytes of memory that it takes with its place in the cache."""

    value: Any
    weight: int


_ENTRY_BYTES = ENTRY_BYTES + getsizeof(_Kept((), 0))
"""What an entry takes besides its key and its value."""


class CheckpointCache:
    """Checkpoints by namespace, what is replayed at the newest, and large values by digest; what was used last stays.
    Safe to share between threads.

    The rule: what is kept counts as the memory that is free again once it is dropped, so objects count whole, and those
    that the two checkpoints of a namespace share count once.

    Args:
        max_bytes: Bytes of memory that all of it may take; 0 keeps none.
    """

    def __init__(self, max_bytes: int) -> None:
        self._recent: Recent[Namespace | _ValueOf | _ReplayOf, _Kept] = Recent(max_bytes, attrgetter("weight"))

    @property
    def weight(self) -> int:
        """The bytes of memory that all of it takes."""
        return self._recent.weight

    def newest(self, namespace: Namespace) -> StoredCheckpoint | None:
        """The checkpoint with the greatest id, or None."""
        kept = (one.stored for one in self._of(namespace))
        return max(kept, key=attrgetter("checkpoint_id"), default=None)

    def get(self, namespace: Namespace, checkpoint_id: str) -> StoredCheckpoint | None:
        """The checkpoint of that id, or None."""
        kept = (one.stored for one in self._of(namespace))
        return next((stored for stored in kept if stored.checkpoint_id == checkpoint_id), None)

    def put(self, namespace: Namespace, stored: StoredCheckpoint) -> None:
        """Keep a checkpoint, and the one before it, since a fork's parent is often that."""
        kept = self._of(namespace)
        if not any(one.stored is stored for one in kept):
            self._keep(namespace, *_with(kept, stored))
        known = self.replay(namespace)
        if known is not None and stored.parent_id == known.checkpoint_id < stored.checkpoint_id:
            self.put_replay(namespace, known.at_child(stored))

    def replay(self, namespace: Namespace) -> Replay | None:
        """What was last replayed in a namespace, or None."""
        kept: Replay | None = self._get(_ReplayOf(namespace.scope, namespace.ns))
        return kept

    def put_replay(self, namespace: Namespace, known: Replay) -> None:
        """Keep what was replayed."""
        self._keep(_ReplayOf(namespace.scope, namespace.ns), known, known.weight)

    def value(self, scope: Scope, digest: str) -> bytes | None:
        """The serialized bytes of a large value, by the digest that items refer to it by; or None."""
        kept: bytes | None = self._get(_ValueOf(scope, digest))
        return kept

    def put_value(self, scope: Scope, digest: str, data: bytes) -> None:
        """Keep a large value."""
        self._keep(_ValueOf(scope, digest), data, getsizeof(data))

    def forget(self, thread_id: str, user_id: str | None = None) -> None:
        """Drop what is known of a conversation, or of one user's share of it."""
        self._recent.drop(lambda key: key.scope.thread_id == thread_id and user_id in (None, key.scope.user_id))

    def _of(self, namespace: Namespace) -> tuple[_Weighed, ...]:
        return self._get(namespace) or ()

    def _get(self, key: Namespace | _ValueOf | _ReplayOf) -> Any:
        kept = self._recent.get(key)
        return kept.value if kept is not None else None

    def _keep(self, key: Namespace | _ValueOf | _ReplayOf, value: Any, weight: int) -> None:
        of_key = sum(map(getsizeof, (key, *filter(None, (*key, *key.scope)))))
        self._recent.put(key, _Kept(value, _ENTRY_BYTES + of_key + weight))


def _with(kept: tuple[_Weighed, ...], stored: StoredCheckpoint) -> tuple[tuple[_Weighed, ...], int]:
    """A checkpoint and the last of those before it, and the bytes that both hold together."""
    before = [one for one in kept if one.stored.checkpoint_id != stored.checkpoint_id][-1:]
    older = before[0].stored if before else None
    new, gone = stored.memory_apart(older)
    before_bytes = sum(one.weight for one in before)
    both = (*before, _Weighed(stored, before_bytes + new - gone))
    return both, getsizeof(both) + sum(map(getsizeof, both)) + before_bytes + new
