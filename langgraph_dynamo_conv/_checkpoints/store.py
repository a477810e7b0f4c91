"""Checkpoints as they are stored: one is one item, a change against its parent or full, put last and so the commit of
its step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, PendingBlobs
from langgraph_dynamo_conv._checkpoints.cache import CheckpointCache
from langgraph_dynamo_conv._checkpoints.loading import Checkpoints
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import (
    CheckpointItem,
    Times,
    checkpoints_of,
    link_of,
)
from langgraph_dynamo_conv._format.keys import PK, Namespace
from langgraph_dynamo_conv._format.limits import INLINE_FRAME_BYTES, MIN_MOVED_BYTES
from langgraph_dynamo_conv._format.tree import Leaf, Pieces, Tree, leaves, with_leaves
from langgraph_dynamo_conv._state.chain import OrphanError
from langgraph_dynamo_conv._state.checkpoint_tree import CheckpointTree
from langgraph_dynamo_conv._state.planning import (
    Caller,
    CheckpointPlan,
    is_linear,
    plan_checkpoint,
    plan_full_checkpoint,
)
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.failures import ConditionFailed
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv._storage.underway import Underway


class CheckpointStore:
    """Stores checkpoints of any conversation. Safe to share between threads."""

    def __init__(
        self,
        table: Table,
        codec: Codec,
        cache: CheckpointCache,
        checkpoints: Checkpoints,
        blobs: Blobs,
        writes: TaskWrites,
        writing: Underway[tuple[Namespace, str]],
    ) -> None:
        self._table = table
        self._codec = codec
        self._cache = cache
        self._checkpoints = checkpoints
        self._blobs = blobs
        self._writes = writes
        self._writing = writing

    def save(
        self,
        namespace: Namespace,
        checkpoint_id: str,
        parent_id: str | None,
        parent: StoredCheckpoint | None,
        state: CheckpointTree,
        run_id: str | None,
        times: Times,
        caller: Caller | None = None,
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
            caller: What a sub-graph's first checkpoint was called from, if that is at hand.

        Cost: one PutItem, of about 1 write unit for an ordinary step; before it, side by side, one for each new
        segment and each part of a large value.
        """
        pending: PendingBlobs = {}
        linear = is_linear(checkpoint_id, parent_id, self._cache.newest(namespace))
        tree = self._with_blobs(namespace, state.tree, parent, pending)
        of_parent = checkpoint_id, parent_id, tree, parent
        plan = plan_checkpoint(namespace, *of_parent, self._codec, linear=linear, caller=caller)
        item = self._prepared(plan, run_id, times, pending)
        self._commit(namespace, item)
        stored = replace(plan.stored(item), message_digests=state.message_digests)
        self._checkpoints.remember(namespace, stored)
        return stored

    def rewrite_full(
        self,
        namespace: Namespace,
        old: CheckpointItem,
        parent_id: str | None,
        goes: Callable[[str], bool] | None = None,
    ) -> None:
        """Store a checkpoint anew so that it needs no other checkpoint. An orphan stays as it is.

        Args:
            namespace: Where it is.
            old: Its item.
            parent_id: Its parent from now on: the nearest that stays, `REMOVED`, or None where it has none.
            goes: Which channels' values it no longer has; the others are in segments of its own. None: all stay.
        """
        loaded = None
        with suppress(OrphanError):
            loaded = self._checkpoints._load(namespace, old.checkpoint_id)
        if loaded is None:
            return
        was, tree, segments = loaded.stored, loaded.stored.tree, loaded.stored.segments
        if goes is not None:
            values = {name: node for name, node in tree["channel_values"].items() if not goes(name)}
            tree, segments = with_leaves({**tree, "channel_values": values}, Leaf.apart), {}
        plan = plan_full_checkpoint(namespace, was.checkpoint_id, parent_id, tree, segments, codec=self._codec)
        item = self._prepared(plan, old.run_id, old.times, {}).to_attributes()
        with suppress(ConditionFailed):  # somebody has deleted it meanwhile: it stays away
            self._table.put(item, ConditionExpression="attribute_exists(#pk)", ExpressionAttributeNames={"#pk": PK})
        self._cache.forget(namespace.scope.thread_id, namespace.scope.user_id)

    def free_writes(self, namespace: Namespace, checkpoint_id: str) -> None:
        """Store the writes on a checkpoint anew that refer to its state, which is about to become another.

        Cost: one Query; where there are such writes, a read of the checkpoint, and an UpdateItem for each task.
        """
        referring = self._writes.referring(namespace, checkpoint_id)
        stored = self._checkpoints.get(namespace, checkpoint_id, {}) if referring else None
        if stored is not None:
            self._writes.free(namespace.scope, referring, stored)

    def _with_blobs(
        self, namespace: Namespace, tree: Tree, parent: StoredCheckpoint | None, pending: PendingBlobs
    ) -> Tree:
        """Refer to the large values that the parent has, and to those that are new."""
        known = leaves(parent.tree) if parent is not None else ()
        stored = {leaf.plain_digest(): leaf.at for leaf in known if isinstance(leaf.at, Pieces)}
        values = tree["channel_values"]
        if parent is not None and sum(leaf.size for leaf in leaves(values) if leaf.digest is None) >= MIN_MOVED_BYTES:
            self._writing.wait((namespace, parent.checkpoint_id))
        values = self._blobs.place(values, namespace.scope, pending, stored, is_apart=parent is None)
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
            self._blobs.store(namespace.scope, pending, segment_puts)
        return plan.item(blob, run_id, times)

    def _commit(self, namespace: Namespace, item: CheckpointItem) -> None:
        """Put the checkpoint if it is new or the same. If another of that id exists, first free what builds on it."""
        attributes = item.to_attributes()
        name = "d" if item.frame is not None else "v"
        try:
            self._table.put(
                attributes,
                ConditionExpression="attribute_not_exists(#pk) OR #d = :d",
                ExpressionAttributeNames={"#pk": PK, "#d": name},
                ExpressionAttributeValues={":d": attributes[name]},
            )
        except ConditionFailed:
            self.free_writes(namespace, item.checkpoint_id)
            self._free_others(namespace, item.checkpoint_id)
            self._table.put(attributes)
            self._checkpoints.revisions.change(namespace)
            self._cache.forget(namespace.scope.thread_id, namespace.scope.user_id)

    def _free_others(self, namespace: Namespace, checkpoint_id: str) -> None:
        """Store anew what builds on a checkpoint or refers to it, in any namespace."""
        scope, key = namespace.scope, namespace.checkpoint(checkpoint_id)
        for page in self._table.query(scope.thread_id, scope.prefix("c")):
            for record in checkpoints_of(page):
                if link_of(record.to_attributes()).parent == key:
                    self.rewrite_full(scope.namespace(record.namespace()), record, record.parent_id)
