"""What a checkpoint's item will be: a change against its parent, or full. No I/O."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import ormsgpack

from langgraph_dynamo_conv._format import changes
from langgraph_dynamo_conv._format.frames import Codec, Encryptor
from langgraph_dynamo_conv._format.items import CHANGE, FULL, NEVER, CheckpointItem, Times, item_fingerprint
from langgraph_dynamo_conv._format.keys import Scope, component, component_text, segment_id
from langgraph_dynamo_conv._format.tree import BlobRef, Leaf, with_leaves
from langgraph_dynamo_conv._state.full import CHAIN_BYTES, encode_segment, full_pays, plan_full
from langgraph_dynamo_conv._state.stored import CHAIN_ITEMS, LINEAGE, StoredCheckpoint, stored_change


class Draft:
    """A checkpoint that is about to be stored."""

    def __init__(
        self,
        codec: Codec,
        scope: Scope,
        ns: str,
        checkpoint_id: str,
        parent_id: str | None,
        encryptor: Encryptor | None,
    ) -> None:
        self._codec = codec
        self._scope = scope
        self.ns = ns
        self._sealer = encryptor
        self._id = checkpoint_id
        self.parent_id = parent_id
        self.key = scope.checkpoint(ns, checkpoint_id)
        self._parent: StoredCheckpoint | None = None
        self.kind = FULL
        self.frame = b""
        self._merged_share = 0.0
        self._lineage: tuple[str, ...] = (parent_id,) if parent_id else ()
        self._tree: dict[str, Any] = {}
        self._segments: dict[str, int] = {}
        self._full_check_at = CHAIN_ITEMS
        self.segment_frames: dict[str, bytes] = {}

    def plan(self, tree: dict[str, Any], parent: StoredCheckpoint | None, *, linear: bool) -> None:
        """A change against the parent where the parent is the newest and its chain is short, else full."""
        if parent is None:
            self.plan_full(tree, {})
            return
        found = changes.difference(parent.tree, tree)
        assert type(found.tree) is dict
        if not linear:
            self.plan_full(found.tree, dict(parent.segments))
            return
        self._lineage = parent.lineage
        self._change(found, parent)
        chain_bytes = parent.chain_bytes + len(self.frame)
        if parent.chain_items + 1 < parent.full_check_at and chain_bytes < CHAIN_BYTES:
            return
        change_frame = self.frame
        self.plan_full(found.tree, dict(parent.segments))
        sealed_bytes = sum(map(len, self.segment_frames.values())) * (1 - self._merged_share)
        full_bytes = len(self.frame) + int(sealed_bytes)
        if not full_pays(chain_bytes, full_bytes):
            self._change(found, parent, change_frame)
            self._full_check_at = parent.chain_items + 1 + CHAIN_ITEMS // 3

    def plan_full(self, tree: dict[str, Any], sizes: dict[str, int]) -> None:
        """The whole state, its sealed leaves referred to."""
        full = plan_full(tree, sizes, self._new_segment_id)
        self.kind, self._parent = FULL, None
        self._merged_share = full.merged_share
        self._tree, self._segments = full.tree, dict(full.segment_sizes)
        self.frame = self._framed(full.payload, self.key.sk)
        self.segment_frames = {
            segment: self._framed(encode_segment(batch), self._scope.segment(self.ns, segment).sk)
            for segment, batch in full.segments.items()
        }

    def item(self, value: BlobRef | None, run_id: str | None, times: Times = NEVER) -> CheckpointItem:
        """The item.

        Args:
            value: Where the frame is, if it is stored as a value of its own.
            run_id: The run that made the checkpoint, or None.
            times: When the conversation is over, and when the item may be deleted.
        """
        ns = self.ns if component_text(component(self.ns)) is None else None
        frame = self.frame if value is None else None
        return CheckpointItem(self.key, self.kind, self.parent_id, frame, value, run_id, ns, times)

    def image(self, item: CheckpointItem) -> StoredCheckpoint:
        """What is known of the checkpoint once it is stored."""
        tree = with_leaves(self._tree, Leaf.thinned)
        assert type(tree) is dict
        if self._parent is not None:
            return stored_change(item, tree, self._parent, self._full_check_at)
        lineage = (*self._lineage, self._id)[-LINEAGE:]
        return StoredCheckpoint(
            self._id,
            self.parent_id,
            tree,
            self._segments,
            lineage=lineage,
            fingerprint=item_fingerprint(item),
            expires_at=item.times.expires_at,
        )

    def _change(self, found: changes.Difference, parent: StoredCheckpoint, frame: bytes | None = None) -> None:
        assert type(found.tree) is dict
        self.kind, self._parent, self._tree = CHANGE, parent, found.tree
        self.frame = frame if frame is not None else self._framed(found.change, self.key.sk)
        self._full_check_at = parent.full_check_at
        self.segment_frames = {}

    def _framed(self, payload: Any, sk: str) -> bytes:
        return self._codec.frame(ormsgpack.packb(payload), context=sk, encryptor=self._sealer)

    def _new_segment_id(self, number: int, batch: list[Leaf]) -> str:
        digest = blake2b(digest_size=5)
        for leaf in batch:
            digest.update(leaf.plain_digest())
        return segment_id(self._id, number, digest.hexdigest())
