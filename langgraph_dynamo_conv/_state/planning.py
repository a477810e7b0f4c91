"""What a checkpoint is stored as: a change against its parent, or full. Pure.

A change is written only where the parent is at hand and the newest of its namespace: nothing is assumed about a parent
that was not read, and a fork does not lengthen the chain of the branch that it left. A full checkpoint is written
otherwise, and when the chain of changes has cost as much as a full one would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b

from langgraph_dynamo_conv._format import changes
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import CHANGE, FULL, NEVER, CheckpointItem, Origin, Times
from langgraph_dynamo_conv._format.keys import Namespace, component_text, segment_id
from langgraph_dynamo_conv._format.limits import WRITE_UNIT_BYTES
from langgraph_dynamo_conv._format.pool import Pool, has_references, pool_for
from langgraph_dynamo_conv._format.tree import BlobRef, Leaf, Tree, leaves, with_leaves
from langgraph_dynamo_conv._state.full import CHAIN_BYTES, encode_segment, full_pays, plan_full
from langgraph_dynamo_conv._state.stored import CHAIN_ITEMS, RECHECK_ITEMS, StoredCheckpoint, stored_change, stored_full

_ROUNDED_UP_BYTES = WRITE_UNIT_BYTES // 2
"""What an item's size is rounded up by, on average."""


@dataclass(frozen=True)
class Caller:
    """The checkpoint that a sub-graph was called from, as this process knows it.

    Args:
        origin: Which it is.
        stored: What is known of it.
    """

    origin: Origin
    stored: StoredCheckpoint


@dataclass(frozen=True)
class CheckpointPlan:
    """A checkpoint that is about to be stored.

    Args:
        namespace: Where.
        checkpoint_id: Its id.
        parent_id: Its parent's id, or None.
        tree: Its state, with leaves at their new places.
        frame: What its item holds.
        changed: The checkpoint that it is stored as a change against; None if it is stored full.
        segment_frames: New segments that are stored before it, by id.
        segments: Serialized bytes of every segment that a full one refers to.
        ancestors: What is known of its lineage; None if that is its parent's id at most.
        full_bytes: What storing it full takes, each new segment as the request that it is. Small segments that are
            merged on the way do not count.
        origin: The checkpoint of another namespace that a full one refers to, or None.
    """

    namespace: Namespace
    checkpoint_id: str
    parent_id: str | None
    tree: Tree
    frame: bytes
    changed: StoredCheckpoint | None = None
    segment_frames: Mapping[str, bytes] = field(default_factory=dict)
    segments: Mapping[str, int] = field(default_factory=dict)
    ancestors: tuple[str, ...] | None = None
    full_bytes: int = 0
    origin: Origin | None = None

    def item(self, blob: BlobRef | None, run_id: str | None, times: Times = NEVER) -> CheckpointItem:
        """The item.

        Args:
            blob: Where the frame is, if it does not fit into the item.
            run_id: The run that made the checkpoint, or None.
            times: When the conversation is over, and when DynamoDB may delete the item.
        """
        return CheckpointItem(
            key=self.namespace.checkpoint(self.checkpoint_id),
            kind=FULL if self.changed is None else CHANGE,
            parent_id=self.parent_id,
            frame=self.frame if blob is None else None,
            blob=blob,
            run_id=run_id,
            ns=self.namespace.ns if component_text(self.namespace.component) is None else None,
            times=times,
            origin=self.origin,
        )

    def stored(self, item: CheckpointItem) -> StoredCheckpoint:
        """What is known of the checkpoint once its item is stored."""
        tree = with_leaves(self.tree, Leaf.thinned, self.changed.tree if self.changed is not None else None)
        if self.changed is not None:
            return stored_change(item, tree, self.changed)
        return stored_full(item, tree, self.segments, self.ancestors)


def plan_checkpoint(
    namespace: Namespace,
    checkpoint_id: str,
    parent_id: str | None,
    tree: Tree,
    parent: StoredCheckpoint | None,
    codec: Codec,
    *,
    linear: bool,
    caller: Caller | None = None,
) -> CheckpointPlan:
    """A change against the parent where the parent is the newest and its chain is short, else a full checkpoint.

    Args:
        namespace: Where it is stored.
        checkpoint_id: Its id.
        parent_id: Its parent's id, or None.
        tree: Its state. Its large leaves are blobs already.
        parent: The parent if it is at hand, or None.
        codec: Frames what is stored.
        linear: Whether the parent is the newest checkpoint of the namespace.
        caller: What a sub-graph's first checkpoint was called from, if that is at hand.
    """
    plan_full_one = partial(plan_full_checkpoint, namespace, checkpoint_id, parent_id, codec=codec)
    if parent is None:
        return plan_full_one(tree, {}, caller=caller)
    difference = changes.state_difference(parent.tree, tree)
    if not linear:
        return plan_full_one(difference.tree, parent.segments)
    change = _plan_change(namespace, checkpoint_id, difference, parent, codec)
    chain_items, chain_bytes = parent.chain_items + 1, parent.chain_bytes + len(change.frame)
    if not is_looked_at(chain_items) and chain_bytes < CHAIN_BYTES:
        return change
    full = plan_full_one(difference.tree, parent.segments, ancestors=parent.lineage)
    return full if full_pays(chain_bytes, full.full_bytes) else change


def plan_change(
    namespace: Namespace, checkpoint_id: str, tree: Tree, parent: StoredCheckpoint, codec: Codec
) -> CheckpointPlan:
    """A change against the parent, however long its chain is; see `plan_checkpoint`."""
    return _plan_change(namespace, checkpoint_id, changes.state_difference(parent.tree, tree), parent, codec)


def _plan_change(
    namespace: Namespace, checkpoint_id: str, difference: changes.Difference, parent: StoredCheckpoint, codec: Codec
) -> CheckpointPlan:
    frame = codec.pack([parent.content, difference.change], namespace.checkpoint(checkpoint_id).sk)
    return CheckpointPlan(namespace, checkpoint_id, parent.checkpoint_id, difference.tree, frame, parent)


def is_looked_at(chain_items: int) -> bool:
    """Whether a chain of so many items may be ended by a full checkpoint: the same in every process."""
    return chain_items >= CHAIN_ITEMS and (chain_items - CHAIN_ITEMS) % RECHECK_ITEMS == 0


def plan_full_checkpoint(
    namespace: Namespace,
    checkpoint_id: str,
    parent_id: str | None,
    tree: Tree,
    sizes: Mapping[str, int],
    ancestors: tuple[str, ...] | None = None,
    *,
    codec: Codec,
    caller: Caller | None = None,
) -> CheckpointPlan:
    """The whole state; leaves that are in segments are referred to, and what the caller's state has.

    Args:
        namespace: Where it is stored.
        checkpoint_id: Its id.
        parent_id: Its parent's id, or None.
        tree: Its state. Its large leaves are blobs already.
        sizes: Serialized bytes of each segment that leaves of the tree are in.
        ancestors: See `CheckpointPlan`.
        codec: Frames what is stored.
        caller: What the state may refer to in another namespace, or None.
    """

    def new_segment_id(number: int, batch: list[Leaf]) -> str:
        digest = blake2b(digest_size=5)
        for leaf in batch:
            digest.update(leaf.plain_digest())
        return segment_id(checkpoint_id, number, digest.hexdigest())

    pool = pool_for(leaves(tree), Pool(caller.stored.tree, is_elsewhere=True) if caller is not None else None)
    referring = pool.referring(tree["channel_values"]) if pool is not None else tree["channel_values"]
    if caller is not None and not has_references(referring):
        caller = None
    full = plan_full({**tree, "channel_values": referring}, sizes, new_segment_id)
    payload = full.payload if caller is None else [*full.payload, caller.stored.content]
    frame = codec.pack(payload, namespace.checkpoint(checkpoint_id).sk)
    segment_frames = {
        segment: codec.pack(encode_segment(batch), namespace.segment(segment).sk)
        for segment, batch in full.segments.items()
    }
    new_bytes = sum(len(frame) + _ROUNDED_UP_BYTES for frame in segment_frames.values())
    return CheckpointPlan(
        namespace,
        checkpoint_id,
        parent_id,
        full.tree if pool is None else pool.resolved(full.tree),
        frame,
        segment_frames=segment_frames,
        segments=full.segment_sizes,
        ancestors=ancestors,
        full_bytes=len(frame) + int(new_bytes * (1 - full.merged_share)),
        origin=caller.origin if caller is not None else None,
    )


def is_linear(checkpoint_id: str, parent_id: str | None, newest: StoredCheckpoint | None) -> bool:
    """Whether a checkpoint goes on from the newest, or is the newest once more. A parent sorts before its changes."""
    if parent_id is None or parent_id >= checkpoint_id:
        return False
    return newest is None or newest.checkpoint_id in (parent_id, checkpoint_id)
