"""What a checkpoint's item will be: a change against its parent, or full. No I/O."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import ormsgpack

from langgraph_dynamo_conv import _delta, _image
from langgraph_dynamo_conv._chain import item_fingerprint
from langgraph_dynamo_conv._codec import Codec, Sealer
from langgraph_dynamo_conv._delta import Leaf
from langgraph_dynamo_conv._expiry import NEVER, Times
from langgraph_dynamo_conv._image import Image
from langgraph_dynamo_conv._items import CHANGE, FULL, CheckpointItem
from langgraph_dynamo_conv._keys import Scope, component, component_text, segment_id
from langgraph_dynamo_conv._limits import INLINE_FRAME_BYTES
from langgraph_dynamo_conv._parts import Parts, Spilled


class Draft:
    """A checkpoint that is about to be stored."""

    def __init__(
        self, codec: Codec, scope: Scope, ns: str, checkpoint_id: str, parent_id: str | None, sealer: Sealer | None
    ) -> None:
        self._codec = codec
        self._scope = scope
        self._ns = ns
        self._sealer = sealer
        self._id = checkpoint_id
        self._parent_id = parent_id
        self._key = scope.checkpoint(ns, checkpoint_id)
        self._parent: Image | None = None
        self._kind = FULL
        self._frame = b""
        self._merged_share = 0.0
        self._lineage: tuple[str, ...] = (parent_id,) if parent_id else ()
        self._tree: dict[str, Any] = {}
        self._segments: dict[str, int] = {}
        self._full_check_at = _image.CHAIN_ITEMS
        self.segment_frames: dict[str, bytes] = {}

    def plan(self, tree: dict[str, Any], parent: Image | None, *, linear: bool) -> None:
        """A change against the parent where the parent is the newest and its chain is short, else full."""
        if parent is None:
            self.plan_full(tree, {})
            return
        found = _delta.difference(parent.tree, tree)
        assert type(found.tree) is dict
        if not linear:
            self.plan_full(found.tree, dict(parent.segments))
            return
        self._lineage = parent.lineage
        self._change(found, parent)
        chain_bytes = parent.chain_bytes + len(self._frame)
        if parent.chain_items + 1 < parent.full_check_at and chain_bytes < _image.CHAIN_BYTES:
            return
        change_frame = self._frame
        self.plan_full(found.tree, dict(parent.segments))
        sealed_bytes = sum(map(len, self.segment_frames.values())) * (1 - self._merged_share)
        full_bytes = len(self._frame) + int(sealed_bytes)
        if not _image.full_pays(chain_bytes, full_bytes):
            self._change(found, parent, change_frame)
            self._full_check_at = parent.chain_items + 1 + _image.CHAIN_ITEMS // 3

    def plan_full(self, tree: dict[str, Any], sizes: dict[str, int]) -> None:
        """The whole state, its sealed leaves referred to."""
        full = _image.plan_full(tree, sizes, self._new_segment_id)
        self._kind, self._parent = FULL, None
        self._merged_share = full.merged_share
        self._tree, self._segments = full.tree, dict(full.segment_sizes)
        self._frame = self._framed(full.payload, self._key.sk)
        self.segment_frames = {
            segment: self._framed(_image.encode_segment(batch), self._scope.segment(self._ns, segment).sk)
            for segment, batch in full.segments.items()
        }

    def item(self, parts: Parts, spilled: Spilled, run_id: str | None, times: Times = NEVER) -> CheckpointItem:
        """The item; its frame becomes a value where it is too large."""
        ns = self._ns if component_text(component(self._ns)) is None else None
        if len(self._frame) <= INLINE_FRAME_BYTES:
            return CheckpointItem(self._key, self._kind, self._parent_id, self._frame, None, run_id, ns, times)
        value = parts.add(self._frame, spilled)
        return CheckpointItem(self._key, self._kind, self._parent_id, None, value, run_id, ns, times)

    def image(self, item: CheckpointItem) -> Image:
        """What is known of the checkpoint once it is stored."""
        tree = _delta.with_leaves(self._tree, Leaf.thinned)
        assert type(tree) is dict
        if self._parent is not None:
            return child_image(item, tree, self._parent, self._full_check_at)
        lineage = (*self._lineage, self._id)[-_image.LINEAGE :]
        return Image(
            self._id,
            self._parent_id,
            tree,
            self._segments,
            lineage=lineage,
            fingerprint=item_fingerprint(item),
            expires_at=item.times.expires_at,
        )

    def _change(self, found: _delta.Difference, parent: Image, frame: bytes | None = None) -> None:
        assert type(found.tree) is dict
        self._kind, self._parent, self._tree = CHANGE, parent, found.tree
        self._frame = frame if frame is not None else self._framed(found.change, self._key.sk)
        self._full_check_at = parent.full_check_at
        self.segment_frames = {}

    def _framed(self, payload: Any, sk: str) -> bytes:
        return self._codec.frame(ormsgpack.packb(payload), context=sk, sealer=self._sealer)

    def _new_segment_id(self, number: int, batch: list[Leaf]) -> str:
        digest = blake2b(digest_size=5)
        for leaf in batch:
            digest.update(leaf.plain_digest())
        return segment_id(self._id, number, digest.hexdigest())


def child_image(item: CheckpointItem, tree: _delta.Node, parent: Image, full_check_at: int | None = None) -> Image:
    """What is known of a checkpoint that is stored as a change against `parent`."""
    assert type(tree) is dict
    return Image(
        item.checkpoint_id,
        item.parent_id,
        tree,
        parent.segments,
        chain_items=parent.chain_items + 1,
        chain_bytes=parent.chain_bytes + (item.value.size if item.value else len(item.frame or b"")),
        lineage=(*parent.lineage, item.checkpoint_id)[-_image.LINEAGE :],
        fingerprint=item_fingerprint(item),
        full_check_at=full_check_at if full_check_at is not None else parent.full_check_at,
        expires_at=item.times.expires_at,
    )
