"""What a `DeltaChannel` replays of a checkpoint's ancestors, read again only as far as it is new."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, missing_refs
from langgraph_dynamo_conv._checkpoints.cache import CheckpointCache
from langgraph_dynamo_conv._checkpoints.loading import Checkpoints
from langgraph_dynamo_conv._checkpoints.replays import Ancestor, KnownDeltas, Replay, Replayed, values_in
from langgraph_dynamo_conv._checkpoints.revisions import NewestPages
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites, Write
from langgraph_dynamo_conv._format.items import CheckpointItem, item_fingerprint
from langgraph_dynamo_conv._format.keys import Namespace, Scope
from langgraph_dynamo_conv._format.tree import Node, channel_value
from langgraph_dynamo_conv._history.ancestry import Walk, ancestry
from langgraph_dynamo_conv._state.chain import CheckpointPages
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._state.stored import StoredCheckpoint, counted_channels, replayed_channels
from langgraph_dynamo_conv._storage.table import Table


class Deltas:
    """Reads what channels replay, and keeps what is remembered of that right. Safe to share between threads."""

    def __init__(
        self,
        table: Table,
        serializer: Serializer,
        cache: CheckpointCache,
        checkpoints: Checkpoints,
        blobs: Blobs,
        writes: TaskWrites,
        expiry: Expiry,
        known: KnownDeltas,
    ) -> None:
        self._table = table
        self._serializer = serializer
        self._cache = cache
        self._known = known
        self._checkpoints = checkpoints
        self._blobs = blobs
        self._writes = writes
        self._expiry = expiry

    def delta(
        self, namespace: Namespace, checkpoint_id: str | None, channels: Sequence[str]
    ) -> dict[str, tuple[list[Write], Node | None]]:
        """What each channel's writes were since it was last stored, oldest first, and the value stored then.

        Cost: where this process has asked before, one Query for what came since, and one beside it for the task writes
        that it has not read; else one for each MB of changes and of task writes between the checkpoint and that value.
        """
        known = self._cache.replay(namespace)
        found = None
        if known is not None and known.has(checkpoint_id, channels):
            found = self._followed(namespace, checkpoint_id, known)
        if found is None:
            found = self._replayed(namespace, checkpoint_id, channels)
        return {channel: (list(found[channel][0]), found[channel][1]) for channel in channels}

    def written(self, namespace: Namespace, oldest: str, newest: str) -> dict[str, list[Write]]:
        """The task writes of the checkpoints from `oldest` to `newest`, all of which have children, by checkpoint id.

        Cost: one Query for each MB, which may begin further back so that `delta` need not read that.
        """
        before = self._cache.replay(namespace)
        unread = before.unread if before is not None else []
        first = min(oldest, unread[0]) if unread and unread[-1] >= oldest else oldest
        writes = self._between(namespace, first, newest)
        known = self._cache.replay(namespace)
        if known is not None and before is not None and known.revision == before.revision:
            read = {one for one in unread if first <= one <= newest}
            self._cache.put_replay(namespace, known.with_writes(writes, read))
        return {checkpoint_id: found for checkpoint_id, found in writes.items() if checkpoint_id >= oldest}

    def saw(self, namespace: Namespace, stored: StoredCheckpoint | None) -> None:
        """A checkpoint was read, or there is none."""
        self._known.saw(namespace, counted_channels(stored, self._serializer) if stored is not None else ())

    def saved(self, namespace: Namespace, stored: StoredCheckpoint) -> None:
        """A checkpoint was stored: if it names what was written to its parent, look whether that was late.

        Cost: nothing, but one small Query where that was not known when it was written.
        """
        counted = counted_channels(stored, self._serializer)
        self._known.saw(namespace, counted)
        if stored.parent_id and counted & self._known.unguarded(namespace, stored.parent_id):
            self._checkpoints.revisions.note_late(namespace, stored.parent_id, stored.checkpoint_id)

    def wrote(self, namespace: Namespace, checkpoint_id: str, channels: Collection[str], *, in_run: bool) -> None:
        """Task writes were stored: if the checkpoint has a child already, others may have replayed them without these.

        A run that writes to a `DeltaChannel` for the first time does not know it yet: `saved` looks, once it stores the
        child. Nobody else will.

        Cost: nothing, but one small Query where a channel is, or may be, a `DeltaChannel`.
        """
        names = {channel for channel in channels if channel not in WRITES_IDX_MAP}
        if self._known.may_be_replayed(namespace, names) or not (in_run or self._are_plain(namespace, names)):
            self._checkpoints.revisions.note_late(namespace, checkpoint_id)
        else:
            self._known.note_unguarded(namespace, checkpoint_id, names)

    def value(self, scope: Scope, node: Node) -> Any:
        """The value of a channel's tree, its blobs fetched."""
        return channel_value(node, self._serializer.loads, self._blobs.fetch(scope, missing_refs(node)))

    def _are_plain(self, namespace: Namespace, channels: Collection[str]) -> bool:
        """Whether the newest checkpoint that this process knows has values of these, and none a `DeltaChannel`'s."""
        newest = self._cache.newest(namespace)
        nodes = [newest.tree["channel_values"].get(channel) if newest is not None else None for channel in channels]
        return all(node is not None and not self._is_snapshot(node) for node in nodes)

    def _is_snapshot(self, node: Node) -> bool:
        """Whether a value is a `DeltaChannel`'s, or may be one, its bytes not being at hand."""
        if isinstance(node, (list, dict)):
            return False
        return node.data is None or isinstance(self._serializer.loads((node.typ, node.data)), _DeltaSnapshot)

    def _followed(
        self, namespace: Namespace, checkpoint_id: str | None, known: Replay
    ) -> Mapping[str, Replayed] | None:
        """What channels replay, from what this process knows and what has come since; None if that is not enough."""
        newest = NewestPages(self._table, namespace, self._expiry, known.checkpoint_id)
        unread = known.unread
        reads: list[Callable[[], object]] = [newest.pages.read]
        if unread:
            writes: dict[str, list[Write]] = {}
            reads.append(lambda: writes.update(self._between(namespace, unread[0], unread[-1])))
        self._table.side_by_side(*reads)
        if unread:
            known = known.with_writes(writes, unread)
        head = newest.pages.get(checkpoint_id) if checkpoint_id else newest.pages.newest()
        path = self._path(head, newest.pages, known)
        if path is None or newest.revision != known.revision:
            return None
        base = self._checkpoints.cached(namespace, known.checkpoint_id) if path else None
        if path and base is None:
            return None
        for stored in self._checkpoints.replay(namespace, path, {}, base)[1:]:
            known = known.at_child(stored)
        if unread := known.unread:
            known = known.with_writes(self._between(namespace, unread[0], unread[-1]), unread)
        known = known.put_together()
        self._cache.put_replay(namespace, known)
        return known.replayed

    def _path(self, head: CheckpointItem | None, pages: CheckpointPages, known: Replay) -> list[CheckpointItem] | None:
        """The checkpoints after the one that is known, up to a head that is listed, oldest first; None: no such way."""
        path: list[CheckpointItem] = []
        item = head if head is not None and not self._expiry.is_past(head.listed_until) else None
        while item is not None and item.checkpoint_id != known.checkpoint_id:
            path.append(item)
            item = pages.get(item.parent_id) if item.parent_id and item.parent_id < item.checkpoint_id else None
        is_known = item is not None and item_fingerprint(item) == known.fingerprint
        return path[::-1] if is_known else None

    def _replayed(
        self, namespace: Namespace, checkpoint_id: str | None, channels: Sequence[str]
    ) -> Mapping[str, Replayed]:
        """What channels replay at a checkpoint, read from the table; remembered for the newest."""
        newest = None
        if checkpoint_id is None or checkpoint_id == getattr(self._cache.newest(namespace), "checkpoint_id", None):
            newest = NewestPages(self._table, namespace, self._expiry)
        walk = Walk(self._checkpoints, self._writes, namespace)
        ancestors: list[Ancestor] = []
        remaining = set(channels)
        way = ancestry(self._checkpoints, namespace, checkpoint_id, pages=newest.pages if newest else None)
        head, _ = next(way, (None, None))
        if head is None or self._expiry.is_past(head.listed_until):
            way = iter(())
        for item, pages in way:
            stored = walk.stored(item, pages)
            values = values_in(stored, remaining)
            writes = [write for write in walk.writes(stored, pages) if write.channel in remaining]
            ancestors.append(Ancestor(item.checkpoint_id, values, writes))
            remaining -= values.keys()
            if not remaining:
                break
        at_head = ("", b"") if head is None else (head.checkpoint_id, item_fingerprint(head))
        nothing: dict[str, Replayed] = {channel: ([], None) for channel in channels}
        found = Replay(newest.revision if newest else None, *at_head, {}, nothing, tuple(ancestors[::-1]))
        found = found.put_together()
        if newest is not None and self._can_be_followed(namespace, found, ancestors):
            self._cache.put_replay(namespace, found)
        return found.replayed

    def _can_be_followed(self, namespace: Namespace, found: Replay, ancestors: list[Ancestor]) -> bool:
        """Whether what was replayed may be remembered: at each later write on an ancestor, `wrote` looks for children,
        which it knows by their greater ids, and takes the channels to be replayed that metadata name."""
        ids = [found.checkpoint_id, *(one.checkpoint_id for one in ancestors)]
        head = self._checkpoints.cached(namespace, found.checkpoint_id)
        is_named = head is not None and replayed_channels(head, self._serializer) >= found.replayed.keys()
        return is_named and all(child > parent for child, parent in pairwise(ids))

    def _between(self, namespace: Namespace, oldest: str, newest: str) -> dict[str, list[Write]]:
        """Task writes by checkpoint id, without references to the checkpoints that they are on."""
        chains: dict[str, StoredCheckpoint] = {}

        def whole(checkpoint_id: str, write: Write) -> Write:
            stored = self._checkpoints.get(namespace, checkpoint_id, chains) if write.built_on else None
            return write.whole(stored) if stored is not None else write

        found = self._writes.between(namespace, oldest, newest)
        return {one: [whole(one, write) for write in group] for one, group in found.items()}
