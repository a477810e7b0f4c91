"""Checkpoints: one is one item, a change against its parent or full, put last and so the commit of its step.

Reading asks side by side for the newest changes, the newest segments and the newest task writes. Where this process
has seen the conversation before, it asks only for what came since, and for proof that what it saw is still there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, PendingBlobs, missing_refs
from langgraph_dynamo_conv._checkpoints.cache import CheckpointCache
from langgraph_dynamo_conv._checkpoints.ended import EndedConversations
from langgraph_dynamo_conv._checkpoints.segments import Segments
from langgraph_dynamo_conv._checkpoints.writes import PendingWrites, TaskWrites, WritesPages
from langgraph_dynamo_conv._format import changes
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import CHANGE, FULL, CheckpointItem, Times, checkpoint_items
from langgraph_dynamo_conv._format.keys import PK, Namespace, Scope
from langgraph_dynamo_conv._format.limits import INLINE_FRAME_BYTES
from langgraph_dynamo_conv._format.tree import BlobRef, Leaf, Tree, leaves, with_leaves
from langgraph_dynamo_conv._state.chain import CheckpointPages, OrphanError, Stale
from langgraph_dynamo_conv._state.checkpoint_tree import CheckpointTree
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.full import decode_full, fill
from langgraph_dynamo_conv._state.planning import CheckpointPlan, is_linear, plan_checkpoint, plan_full_checkpoint
from langgraph_dynamo_conv._state.stored import CHAIN_ITEMS, RECHECK_ITEMS, StoredCheckpoint, stored_change, stored_full
from langgraph_dynamo_conv._storage.failures import ConditionFailed
from langgraph_dynamo_conv._storage.recent import Recent
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import CorruptDataError

CHAIN_PAGE = CHAIN_ITEMS + RECHECK_ITEMS + 1
"""A whole chain of ordinary length, in the first page: it is full again at the first or second check."""

_REMEMBERED = 512

_logger = logging.getLogger("langgraph_dynamo_conv")

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
        try:
            return self._load(namespace, checkpoint_id)
        except OrphanError as orphan:
            raise orphan.damage from None

    def get(
        self, namespace: Namespace, checkpoint_id: str, chains: dict[str, StoredCheckpoint] | None = None
    ) -> StoredCheckpoint | None:
        """What is known of a checkpoint, from the cache if possible; None if there is none, or not all of it.

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
        with suppress(OrphanError):
            loaded = self._load(namespace, checkpoint_id, chains=chains)
            return loaded.stored if loaded else None
        return None

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
        linear = is_linear(checkpoint_id, parent_id, self._cache.newest(namespace))
        tree = self._with_blobs(namespace, state.tree, parent, pending)
        plan = plan_checkpoint(namespace, checkpoint_id, parent_id, tree, parent, self._codec, linear=linear)
        item = self._prepared(plan, run_id, times, pending)
        self._commit(namespace, item)
        stored = replace(plan.stored(item), message_digests=state.message_digests)
        self._remember(namespace, stored)
        return stored

    def rewrite_full(
        self,
        namespace: Namespace,
        old: CheckpointItem,
        parent_id: str,
        goes: Callable[[str], bool] | None = None,
    ) -> None:
        """Store a checkpoint anew so that it needs no other checkpoint. An orphan stays as it is.

        Args:
            namespace: Where it is.
            old: Its item.
            parent_id: Its parent from now on: the nearest that stays, or `REMOVED`.
            goes: Which channels' values it no longer has; the others are in segments of its own. None: all stay.
        """
        loaded = None
        with suppress(OrphanError):
            loaded = self._load(namespace, old.checkpoint_id)
        if loaded is None:
            return
        was, tree, segments = loaded.stored, loaded.stored.tree, loaded.stored.segments
        if goes is not None:
            values = {name: node for name, node in tree["channel_values"].items() if not goes(name)}
            tree, segments = with_leaves({**tree, "channel_values": values}, Leaf.in_no_segment), {}
        plan = plan_full_checkpoint(namespace, was.checkpoint_id, parent_id, tree, segments, codec=self._codec)
        item = self._prepared(plan, old.run_id, old.times, {}).to_attributes()
        with suppress(ConditionFailed):  # somebody has deleted it meanwhile: it stays away
            self._table.put(item, ConditionExpression="attribute_exists(#pk)", ExpressionAttributeNames={"#pk": PK})
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
        items = self._chain(namespace, pages, head, known, is_named=checkpoint_id is not None)
        if not items and known is None:
            return None
        chain = self.replay(namespace, items, segments, known)
        stored = chain[-1]
        blobs: dict[str, bytes] = {}
        if missing := list(missing_refs(stored.tree)):
            blobs = self._blobs.fetch(namespace.scope, missing)
        if chains is None:
            self._remember(namespace, stored)
        else:
            chains.update((one.checkpoint_id, one) for one in chain)
        return Loaded(stored, blobs, writes.of(stored.checkpoint_id))

    def _chain(
        self,
        namespace: Namespace,
        pages: CheckpointPages,
        head: CheckpointItem,
        known: StoredCheckpoint | None,
        *,
        is_named: bool,
    ) -> list[CheckpointItem]:
        """The chain of the newest checkpoint that has one; none where the conversation has no row either.

        Raises:
            OrphanError: The checkpoint that is named has none.
        """
        try:
            return pages.chain(head, known)
        except OrphanError as error:
            if not self.has_row(namespace.scope):
                return []
            if is_named:
                raise
            _logger.warning("an older state is read instead: %s", error)
        return pages.newest_chain()

    def has_row(self, scope: Scope) -> bool:
        """Whether a conversation has a row: one whose deletion has ended has none. Cost: one GetItem."""
        return self._table.get(scope.row()) is not None

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
            built_on, change = payload
            parent.check_content(built_on, item)
            return stored_change(item, changes.apply(parent.tree, change), parent)
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
                    self.rewrite_full(namespace, item, checkpoint_id)
