"""Checkpoints: one is one item, a change against its parent or full, put last and so the commit of its step.

Reading asks side by side for the newest changes, the newest segments and the newest task writes. Where this process
has seen the conversation before, it asks only for what came since, and for proof that what it saw is still there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, PendingBlobs, missing_refs, note_digests
from langgraph_dynamo_conv._checkpoints.cache import CheckpointCache
from langgraph_dynamo_conv._checkpoints.ended import EndedConversations
from langgraph_dynamo_conv._checkpoints.segments import Segments
from langgraph_dynamo_conv._checkpoints.writes import PendingWrites, TaskWrites, WritesPages
from langgraph_dynamo_conv._format import changes
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import CHANGE, FULL, CheckpointItem, Times, checkpoint_items
from langgraph_dynamo_conv._format.keys import PK, Namespace, Scope
from langgraph_dynamo_conv._format.limits import INLINE_FRAME_BYTES
from langgraph_dynamo_conv._format.tree import BlobRef, Leaf, SegmentRef, Tree, leaves, with_leaves
from langgraph_dynamo_conv._state.chain import CheckpointPages, Stale
from langgraph_dynamo_conv._state.checkpoint_tree import CheckpointTree
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.full import decode_full, fill
from langgraph_dynamo_conv._state.order import Trail
from langgraph_dynamo_conv._state.planning import CheckpointPlan, plan_checkpoint, plan_full_checkpoint
from langgraph_dynamo_conv._state.stored import CHAIN_ITEMS, RECHECK_ITEMS, StoredCheckpoint, stored_change, stored_full
from langgraph_dynamo_conv._storage.failures import ConditionFailed
from langgraph_dynamo_conv._storage.recent import Recent
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import CorruptDataError

CHAIN_PAGE = CHAIN_ITEMS + RECHECK_ITEMS + 1
"""A whole chain of ordinary length, in the first page: it is full again at the first or second check."""

_ANCESTRY_PAGE = 100
"""Ancestors in the first page of a way back: a `DeltaChannel` is rarely deeper, and most are smaller than 1 KB."""

_REMEMBERED = 512

_NEW_OR_SAME = "attribute_not_exists(#pk) OR #d = :d"


@dataclass(frozen=True)
class Loaded:
    """A checkpoint that was read.

    Args:
        stored: What is known of it.
        blobs: Serialized bytes of its large values, by digest.
        writes: Its pending writes.
    """

    stored: StoredCheckpoint
    blobs: dict[str, bytes]
    writes: PendingWrites


class Checkpoints:
    """Loads and saves checkpoints of any conversation. Safe to share between threads."""

    def __init__(
        self,
        table: Table,
        codec: Codec,
        cache: CheckpointCache,
        blobs: Blobs,
        writes: TaskWrites,
        expiry: Expiry,
        ended: EndedConversations,
    ) -> None:
        self.segments = Segments(table, codec)
        self._table = table
        self._codec = codec
        self._cache = cache
        self._blobs = blobs
        self._writes = writes
        self._expiry = expiry
        self._ended = ended
        self._new: Recent[Scope, bool] = Recent(_REMEMBERED)

    def note_new(self, scope: Scope) -> None:
        """This process has made up the id of a conversation: there is probably nothing to read yet."""
        self._new.put(scope, True)

    def load(self, namespace: Namespace, checkpoint_id: str | None = None) -> Loaded | None:
        """The newest checkpoint of a namespace, or the one named; None if there is none.

        Cost: 2 requests side by side where the conversation was seen before, else 3; one where it was made here and is
        still empty; one more round trip for large values or a large state.
        """
        if self._new.pop(namespace.scope) and self.pages(namespace, page_items=1).newest() is None:
            return None
        cache = self._cache
        known = cache.get(namespace, checkpoint_id) if checkpoint_id else cache.newest(namespace)
        if known is not None:
            try:
                return self._load(namespace, checkpoint_id, known)
            except Stale:
                cache.forget(namespace.scope.thread_id, namespace.scope.user_id)
        return self._load(namespace, checkpoint_id)

    def get(
        self, namespace: Namespace, checkpoint_id: str, chains: dict[str, StoredCheckpoint] | None = None
    ) -> StoredCheckpoint | None:
        """What is known of a checkpoint, from the cache if possible; None if there is none.

        Args:
            namespace: Where it is.
            checkpoint_id: Its id.
            chains: What was read on a way back. One that must be read is added with all of its chain, so that those
                before it need not be, and takes no other's place in the cache.
        """
        cached = self._cache.get(namespace, checkpoint_id)
        if cached is not None and (cached.expires_at is None or not self._expiry.is_past(cached.expires_at)):
            return cached
        if chains is not None and checkpoint_id in chains:
            return chains[checkpoint_id]
        loaded = self._load(namespace, checkpoint_id, chains=chains)
        return loaded.stored if loaded else None

    def cached(self, namespace: Namespace, checkpoint_id: str | None) -> StoredCheckpoint | None:
        """What is known of a checkpoint without reading, or None."""
        return self._cache.get(namespace, checkpoint_id) if checkpoint_id else None

    def save(
        self,
        namespace: Namespace,
        checkpoint_id: str,
        parent_id: str | None,
        parent: StoredCheckpoint | None,
        state: CheckpointTree,
        run_id: str | None,
        times: Times,
    ) -> StoredCheckpoint:
        """Store a checkpoint. Storing the same one again is harmless.

        Args:
            namespace: Where.
            checkpoint_id: Its id.
            parent_id: Its parent's id, or None.
            parent: What is known of the parent, or None: then the checkpoint is stored full.
            state: Its state, made with the same parent.
            run_id: The run that made it, or None.
            times: When the conversation is over, and when the item may be deleted: not after what it builds on.

        Cost: one PutItem, of about 1 write unit for an ordinary step; before it, side by side, one for each new
        segment and each part of a large value.
        """
        pending: PendingBlobs = {}
        linear = _is_linear(checkpoint_id, parent_id, self._cache.newest(namespace))
        tree = self._with_blobs(namespace, state.tree, parent, pending)
        plan = plan_checkpoint(namespace, checkpoint_id, parent_id, tree, parent, self._codec, linear=linear)
        item = self._prepared(plan, run_id, times, pending)
        self._commit(namespace, item)
        stored = replace(plan.stored(item), message_digests=state.message_digests)
        self._remember(namespace, stored)
        return stored

    def rewrite_full(
        self, namespace: Namespace, old: CheckpointItem, goes: Callable[[str], bool] | None = None
    ) -> None:
        """Store a checkpoint anew so that it needs no other checkpoint.

        Args:
            namespace: Where it is.
            old: Its item.
            goes: Which channels' values it no longer has; the others are in segments of its own. None: all stay.
        """
        loaded = self._load(namespace, old.checkpoint_id)
        if loaded is None:
            return
        was, tree, segments = loaded.stored, loaded.stored.tree, loaded.stored.segments
        if goes is not None:
            values = {name: node for name, node in tree["channel_values"].items() if not goes(name)}
            tree, segments = with_leaves({**tree, "channel_values": values}, _in_no_segment), {}
        plan = plan_full_checkpoint(namespace, was.checkpoint_id, was.parent_id, tree, segments, codec=self._codec)
        self._table.put(self._prepared(plan, old.run_id, old.times, {}).to_attributes())
        self._cache.forget(namespace.scope.thread_id, namespace.scope.user_id)

    def replay(
        self,
        namespace: Namespace,
        chain: list[CheckpointItem],
        segments: dict[str, Any],
        before: StoredCheckpoint | None = None,
    ) -> list[StoredCheckpoint]:
        """The checkpoints of a chain, oldest first, without the bytes of blobs.

        Args:
            namespace: Where they are.
            chain: Opens with a full checkpoint, or goes on from `before`.
            segments: Segments that were read; those that are missing are added.
            before: What the chain goes on from, which then is the first that is given, or None.

        Raises:
            CorruptDataError: What is stored is damaged, or does not fit together.
        """
        replayed = [before] if before else []
        refs = [item.blob for item in chain if item.blob]
        frames = self._blobs.fetch_frames(namespace.scope, refs) if refs else {}
        for item in chain:
            frame = frames[item.blob.digest] if item.blob else item.frame or b""
            payload = self._codec.unpack(frame, item.key.sk)
            try:
                replayed.append(self._rebuilt(namespace, item, payload, replayed, segments))
            except (ValueError, KeyError, IndexError, TypeError) as error:
                raise CorruptDataError(
                    f"the checkpoint at {item.key} can't be rebuilt: {error!r}", key=str(item.key)
                ) from error
        return replayed

    def pages(
        self,
        namespace: Namespace,
        *,
        first: str | None = None,
        last: str | None = None,
        page_items: int | None = None,
        doubling: bool = False,
    ) -> CheckpointPages:
        """A read of a namespace's checkpoints, newest first: from the id `last` down to the id `first`, inclusive."""
        query = self._table.query(
            namespace.scope.thread_id,
            namespace.prefix("c"),
            first=namespace.checkpoint(first).sk if first else None,
            last=namespace.checkpoint(last).sk if last else None,
            newest_first=True,
            page_items=page_items,
            doubling=doubling,
        )
        return CheckpointPages(checkpoint_items(query), self._expiry.is_past)

    def ancestry(
        self, namespace: Namespace, checkpoint_id: str | None, page_items: int | None = _ANCESTRY_PAGE
    ) -> Iterator[tuple[CheckpointItem, CheckpointPages]]:
        """A checkpoint (None: the newest) and its ancestors, nearest first, each with pages that have its chain.

        Raises:
            CorruptDataError: The parents form a ring.

        Cost: one Query for each MB of checkpoints; one more for a parent whose id is greater than all that was read.
        """
        trail = Trail()
        pages = self.pages(namespace, last=checkpoint_id, page_items=page_items, doubling=True)
        item = pages.get(checkpoint_id) if checkpoint_id else pages.newest()
        while item is not None:
            trail.add(item.key)
            yield item, pages
            if not item.parent_id:
                return
            if item.parent_id > pages.newest_read:
                pages = self.pages(namespace, last=item.parent_id, page_items=page_items, doubling=True)
            item = pages.get(item.parent_id)

    def path(self, namespace: Namespace, checkpoint_id: str, until: str = "") -> list[str]:
        """Ids of a checkpoint and its ancestors, nearest first, up to `until` if that is one.

        It ends with "" where it goes back to the first checkpoint, and else with the id of one that is not there.
        """
        ids = [checkpoint_id]
        for item, _ in self.ancestry(namespace, checkpoint_id, _ANCESTRY_PAGE if until else None):
            if ids[-1] == until:
                break
            ids.append(item.parent_id or "")
        return ids

    def _load(
        self,
        namespace: Namespace,
        checkpoint_id: str | None,
        known: StoredCheckpoint | None = None,
        *,
        chains: dict[str, StoredCheckpoint] | None = None,
    ) -> Loaded | None:
        first = known.checkpoint_id if known else None
        pages = self.pages(namespace, first=first, last=checkpoint_id, page_items=CHAIN_PAGE, doubling=True)
        writes = WritesPages(self._writes, self._table, namespace, checkpoint_id)
        segments: dict[str, Any] = {}
        reads: list[Callable[[], object]] = [pages.read, writes.read]
        if known is None:
            reads.append(lambda: segments.update(self.segments.newest(namespace, checkpoint_id)))
        self._table.side_by_side(*reads)
        head = pages.newest()
        if head is None or (checkpoint_id and head.checkpoint_id != checkpoint_id):
            if known is not None:
                raise Stale
            return None
        if head.times.until is not None and self._ended.is_over(namespace, head, newest=checkpoint_id is None):
            self._cache.forget(namespace.scope.thread_id, namespace.scope.user_id)
            return None
        chain = self.replay(namespace, pages.chain(head, known), segments, known)
        stored = chain[-1]
        blobs: dict[str, bytes] = {}
        if missing := list(missing_refs(stored.tree)):
            blobs = self._blobs.fetch(namespace.scope, missing)
            note_digests(stored.tree, blobs)
        if chains is None:
            self._remember(namespace, stored)
        else:
            chains.update((one.checkpoint_id, one) for one in chain)
        return Loaded(stored, blobs, writes.of(stored.checkpoint_id))

    def _remember(self, namespace: Namespace, stored: StoredCheckpoint) -> None:
        self._cache.put(namespace, stored)
        if stored.expires_at is not None or self._expiry.is_on:
            self._ended.note_expiry(namespace, stored.checkpoint_id, stored.expires_at)

    def _rebuilt(
        self,
        namespace: Namespace,
        item: CheckpointItem,
        payload: Any,
        before: list[StoredCheckpoint],
        segments: dict[str, Any],
    ) -> StoredCheckpoint:
        if item.kind != FULL:
            parent = before[-1]
            return stored_change(item, changes.apply(parent.tree, payload), parent)
        tree, sizes = decode_full(payload)
        self.segments.read(namespace, sizes, segments)
        fill(tree, segments)
        return stored_full(item, tree, sizes)

    def _with_blobs(
        self, namespace: Namespace, tree: Tree, parent: StoredCheckpoint | None, pending: PendingBlobs
    ) -> Tree:
        """Refer to the large values that the parent has, and to those that are new."""
        refs = [leaf for leaf in leaves(parent.tree) if isinstance(leaf.at, BlobRef)] if parent is not None else []
        stored: dict[bytes, Any] = {leaf.plain_digest(): leaf.at for leaf in refs}
        values = self._blobs.place(tree["channel_values"], namespace.scope, pending, stored)
        return {**tree, "channel_values": values}

    def _prepared(
        self, plan: CheckpointPlan, run_id: str | None, times: Times, pending: PendingBlobs
    ) -> CheckpointItem:
        """The item of a plan, once all that it refers to is stored; its frame becomes a blob where it is too large."""
        namespace = plan.namespace
        blob = self._blobs.add(plan.frame, pending) if len(plan.frame) > INLINE_FRAME_BYTES else None
        if pending or plan.segment_frames:
            segment_puts = [
                partial(self._blobs.dated_put, namespace.segment(segment), frame)
                for segment, frame in plan.segment_frames.items()
            ]
            self._table.side_by_side(*self._blobs.requests(namespace.scope, pending), *segment_puts)
        return plan.item(blob, run_id, times)

    def _commit(self, namespace: Namespace, item: CheckpointItem) -> None:
        """Put the checkpoint if it is new or the same. If another of that id exists, first free what builds on it."""
        attributes = item.to_attributes()
        name = "d" if item.frame is not None else "v"
        try:
            self._table.put(
                attributes,
                ConditionExpression=_NEW_OR_SAME,
                ExpressionAttributeNames={"#pk": PK, "#d": name},
                ExpressionAttributeValues={":d": attributes[name]},
            )
        except ConditionFailed:
            self._free_children(namespace, item.checkpoint_id)
            self._table.put(attributes)
            self._cache.forget(namespace.scope.thread_id, namespace.scope.user_id)

    def _free_children(self, namespace: Namespace, checkpoint_id: str) -> None:
        first = namespace.checkpoint(checkpoint_id).sk
        for page in self._table.query(namespace.scope.thread_id, namespace.prefix("c"), first=first):
            for item in map(CheckpointItem.from_attributes, page):
                if item.parent_id == checkpoint_id and item.kind == CHANGE:
                    self.rewrite_full(namespace, item)


def _is_linear(checkpoint_id: str, parent_id: str | None, newest: StoredCheckpoint | None) -> bool:
    """Whether a checkpoint goes on from the newest, or is the newest once more. A change's parent has a smaller id."""
    if parent_id is None or parent_id >= checkpoint_id:
        return False
    return newest is None or newest.checkpoint_id in (parent_id, checkpoint_id)


def _in_no_segment(leaf: Leaf) -> Leaf:
    return Leaf(leaf.typ, leaf.data) if isinstance(leaf.at, SegmentRef) else leaf
