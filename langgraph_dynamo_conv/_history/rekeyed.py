"""The checkpoints of a conversation as they are stored under another user id. Writes none of them.

LangGraph keeps the user id of a config in a checkpoint's metadata. There it becomes the new one; with it the digest of
the state changes, which what is built on the state carries. So each checkpoint is planned anew: a change stays a change
against the same parent, and a full checkpoint stays full. No value of a channel is made an object of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import groupby

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, PendingBlobs
from langgraph_dynamo_conv._checkpoints.loading import Callers, Checkpoints
from langgraph_dynamo_conv._format.items import CHANGE, CheckpointItem, Origin
from langgraph_dynamo_conv._format.keys import Namespace, Scope
from langgraph_dynamo_conv._format.limits import INLINE_FRAME_BYTES
from langgraph_dynamo_conv._format.tree import Leaf, Tree
from langgraph_dynamo_conv._state.planning import Caller, CheckpointPlan, plan_change, plan_full_checkpoint
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._state.stored import StoredCheckpoint

_USER_ID = "user_id"
"""Where LangGraph has the user in a checkpoint's metadata."""

Pair = tuple[StoredCheckpoint, StoredCheckpoint]
"""A checkpoint under the old user and under the new one."""


class RekeyedCheckpoints:
    """The checkpoints of one conversation under another user.

    Args:
        old: Whose it is.
        new: Whose it becomes.
        serializer: What it is read and stored with.
        checkpoints: Reads it.
        blobs: Stores new segments, and frames that are too large for their items.

    Attributes:
        contents: Digests of each state under the old and the new user, by namespace (as in keys) and checkpoint.
        replaced: Digests of the large values that held frames, which are others under the new user.
    """

    def __init__(self, old: Scope, new: Scope, serializer: Serializer, checkpoints: Checkpoints, blobs: Blobs) -> None:
        self.contents: dict[tuple[str, str], tuple[bytes, bytes]] = {}
        self.replaced: set[str] = set()
        self._old = old
        self._new = new
        self._codec = serializer.codec
        self._names = Leaf(*serializer.dumps(old.user_id)), Leaf(*serializer.dumps(new.user_id))
        self._checkpoints = checkpoints
        self._blobs = blobs
        self._callers: Callers = {}
        self._called_from: dict[Origin, StoredCheckpoint] = {}

    def planned(self, items: Iterable[CheckpointItem]) -> list[CheckpointItem]:
        """The items under the new user, in the same order; segments and frames that they need are stored.

        Args:
            items: All checkpoints, by namespace and id.

        Raises:
            CorruptDataError: One can't be rebuilt.
        """
        groups = [list(group) for _, group in groupby(items, key=CheckpointItem.namespace)]
        origins = {item.origin for group in groups for item in group if item.origin is not None}
        planned: dict[str, list[CheckpointItem]] = {}
        for group in sorted(groups, key=lambda group: group[0].namespace()):  # a subgraph's begins with its caller's
            planned[group[0].namespace()] = self._of_namespace(group, origins)
        return [item for group in groups for item in planned[group[0].namespace()]]

    def _of_namespace(self, items: list[CheckpointItem], origins: set[Origin]) -> list[CheckpointItem]:
        ns = items[0].namespace()
        segments = self._checkpoints.segments.all(self._old.namespace(ns))
        builders = Counter(item.parent_id for item in items if item.kind == CHANGE)
        known: dict[str, Pair] = {}
        planned = []
        for item in items:
            before = known.get(item.parent_id or "") if item.kind == CHANGE else None
            place = self._old.namespace(ns), [item], segments, before[0] if before else None, self._callers
            was = self._checkpoints.replay(*place)[-1]
            record, now = self._rekeyed(item, was, before[1] if before else None)
            planned.append(record)
            self.contents[self._old.namespace(ns).component, item.checkpoint_id] = was.content, now.content
            if (origin := Origin(ns, item.checkpoint_id)) in origins:
                self._called_from[origin] = now
            known[item.checkpoint_id] = was, now
            builders[item.parent_id] -= before is not None
            for one in (item.parent_id, item.checkpoint_id):
                if not builders[one]:
                    known.pop(one or "", None)
        return planned

    def _rekeyed(
        self, item: CheckpointItem, was: StoredCheckpoint, parent: StoredCheckpoint | None
    ) -> tuple[CheckpointItem, StoredCheckpoint]:
        plan = self._plan(self._new.namespace(item.namespace()), item, was, parent)
        pending: PendingBlobs = {}
        blob = self._blobs.add(plan.frame, pending) if len(plan.frame) > INLINE_FRAME_BYTES else None
        if item.blob is not None:
            self.replaced.add(item.blob.digest)
        segments = plan.segment_frames.items()
        puts = [partial(self._blobs.dated_put, plan.namespace.segment(one), frame) for one, frame in segments]
        if pending or puts:
            self._blobs.store(self._new, pending, puts)
        record = replace(plan.item(blob, item.run_id, item.times), listed_until=item.listed_until)
        return record, plan.stored(record)

    def _plan(
        self, namespace: Namespace, item: CheckpointItem, was: StoredCheckpoint, parent: StoredCheckpoint | None
    ) -> CheckpointPlan:
        tree = self._of_user(was.tree)
        if parent is not None:
            return plan_change(namespace, item.checkpoint_id, tree, parent, self._codec)
        called_from = self._called_from.get(item.origin) if item.origin is not None else None
        caller = Caller(item.origin, called_from) if item.origin is not None and called_from is not None else None
        of_parent = item.checkpoint_id, item.parent_id
        return plan_full_checkpoint(namespace, *of_parent, tree, was.segments, codec=self._codec, caller=caller)

    def _of_user(self, tree: Tree) -> Tree:
        """A state with the new user in its metadata, if these have the old one."""
        said = tree["metadata"].get(_USER_ID)
        if not isinstance(said, Leaf) or not said.same(self._names[0]):
            return tree
        return {**tree, "metadata": {**tree["metadata"], _USER_ID: self._names[1]}}
