"""Checkpoints: one is one item, a change against its parent or full, put last and so the commit of its step.

Reading asks side by side for the newest changes, the newest segments and the newest task writes. Where this process
has seen the conversation before, it asks only for what came since, and for proof that what it saw is still there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import ormsgpack

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, PendingBlobs, blob_refs, with_blob_digests
from langgraph_dynamo_conv._checkpoints.cache import CheckpointCache, Place
from langgraph_dynamo_conv._checkpoints.ended import EndedConversations
from langgraph_dynamo_conv._checkpoints.segments import Segments
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites, Writes
from langgraph_dynamo_conv._format import changes
from langgraph_dynamo_conv._format.frames import Codec, Encryptor
from langgraph_dynamo_conv._format.items import CHANGE, FULL, CheckpointItem, Times, item_fingerprint
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._format.limits import INLINE_FRAME_BYTES, LARGE_ELEMENT_BYTES
from langgraph_dynamo_conv._format.tree import BlobRef, Leaf, Node, leaves, with_leaves
from langgraph_dynamo_conv._state.chain import CheckpointPages, Stale
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.full import decode_full, fill
from langgraph_dynamo_conv._state.message_digests import MessagesDigest
from langgraph_dynamo_conv._state.planning import Draft
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._state.stored import CHAIN_ITEMS, StoredCheckpoint, stored_change
from langgraph_dynamo_conv._storage.failures import ConditionFailed
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import CorruptDataError

CHAIN_PAGE = CHAIN_ITEMS + CHAIN_ITEMS // 3 + 1
"""A whole chain of ordinary length, in the first page: it is full again at the first or second check."""

_UNSEEN = "attribute_not_exists(#pk) OR #d = :d"


@dataclass(frozen=True)
class Loaded:
    """A checkpoint that was read.

    Args:
        image: What is known of it.
        values: Serialized bytes of its large values, by digest.
        writes: Its pending writes.
    """

    image: StoredCheckpoint
    values: dict[str, bytes]
    writes: Writes


class Checkpoints:
    """Loads and saves checkpoints."""

    def __init__(
        self,
        table: Table,
        codec: Codec,
        cache: CheckpointCache,
        parts: Blobs,
        writes: TaskWrites,
        expiry: Expiry,
        ended: EndedConversations,
    ) -> None:
        self._expiry = expiry
        self._ended = ended
        self._table = table
        self._codec = codec
        self._cache = cache
        self.segments = Segments(table, codec)
        self._parts = parts
        self._writes = writes

    def load(self, scope: Scope, ns: str, serializer: Serializer, checkpoint_id: str | None = None) -> Loaded | None:
        """The newest checkpoint of a namespace, or the one named; None if there is none.

        Cost: 2 requests side by side where the conversation was seen before, else 3; one more round trip for large
        values or a large state.
        """
        place = (scope.thread_id, scope.user_id, ns)
        known = self._cache.get(place, checkpoint_id) if checkpoint_id else self._cache.newest(place)
        if known is not None:
            try:
                return self._load(scope, ns, serializer, checkpoint_id, known)
            except Stale:
                self._cache.forget(scope.thread_id, scope.user_id)
        return self._load(scope, ns, serializer, checkpoint_id, None)

    def image(self, scope: Scope, ns: str, serializer: Serializer, checkpoint_id: str) -> StoredCheckpoint | None:
        """What is known of a checkpoint, from the cache if possible."""
        cached = self.cached(scope, ns, checkpoint_id)
        if cached is not None and not self._expiry.is_past(cached.expires_at):
            return cached
        loaded = self._load(scope, ns, serializer, checkpoint_id, None)
        return loaded.image if loaded else None

    def cached(self, scope: Scope, ns: str, checkpoint_id: str) -> StoredCheckpoint | None:
        """What is known of a checkpoint without reading, or None."""
        return self._cache.get((scope.thread_id, scope.user_id, ns), checkpoint_id)

    def save(
        self,
        scope: Scope,
        ns: str,
        checkpoint_id: str,
        parent_id: str | None,
        parent: StoredCheckpoint | None,
        tree: dict[str, Any],
        serializer: Serializer,
        run_id: str | None,
        times: Times,
        message_digests: Mapping[str, MessagesDigest] | None = None,
    ) -> StoredCheckpoint:
        """Store a checkpoint. Storing the same one again is harmless.

        Args:
            scope: Conversation and user.
            ns: Namespace.
            checkpoint_id: Its id.
            parent_id: Its parent's id, or None.
            parent: What is known of the parent, or None: then the checkpoint is stored full.
            tree: Its state, as `_state.grown` made it of the same parent.
            serializer: How its values became bytes.
            run_id: The run that made it, or None.
            times: When the conversation is over, and when the item may be deleted: not after what it builds on.
            marks: Those of the tree's messages.

        Cost: one PutItem, of about 1 write unit for an ordinary step; before it, side by side, one for each new
        segment and each part of a large value.
        """
        place = (scope.thread_id, scope.user_id, ns)
        newest = self._cache.newest(place)
        pending = PendingBlobs()
        draft = Draft(self._codec, scope, ns, checkpoint_id, parent_id, serializer.encryptor)
        spilled_tree = self._with_values_of(parent, tree, scope, serializer, pending)
        draft.plan(spilled_tree, parent, linear=_is_linear(checkpoint_id, parent_id, newest))
        item = self._item(draft, pending, run_id, times)
        before = [*self._parts.puts(scope, pending), *self._segment_puts(scope, ns, draft)]
        self._table.side_by_side(*before)
        self._commit(scope, ns, item, serializer)
        image = replace(draft.image(item), message_digests=message_digests or {})
        self._remember(place, image)
        return image

    def rewrite_full(self, scope: Scope, ns: str, was: CheckpointItem, serializer: Serializer) -> None:
        """Store a checkpoint anew so that it needs no other checkpoint; its state stays the same."""
        loaded = self._load(scope, ns, serializer, was.checkpoint_id, None)
        if loaded is None:
            return
        image = loaded.image
        draft = Draft(self._codec, scope, ns, was.checkpoint_id, image.parent_id, serializer.encryptor)
        draft.plan_full(image.tree, dict(image.segments))
        pending = PendingBlobs()
        item = self._item(draft, pending, was.run_id, was.times)
        self._table.side_by_side(*self._parts.puts(scope, pending), *self._segment_puts(scope, ns, draft))
        self._table.put(item.to_attributes())
        self._cache.forget(scope.thread_id, scope.user_id)

    def build(
        self,
        scope: Scope,
        ns: str,
        chain: list[CheckpointItem],
        serializer: Serializer,
        segments: dict[str, Any],
        before: StoredCheckpoint | None = None,
    ) -> list[StoredCheckpoint]:
        """The images of a chain, oldest first, without the bytes of values.

        Args:
            scope: Conversation and user.
            ns: Namespace.
            chain: Opens with a full checkpoint, or goes on from `before`.
            serializer: How values became bytes.
            segments: Segments that were read; those that are missing are added.
            before: What the chain goes on from, which then is the first image, or None.
        """
        return self._replayed(scope, ns, chain, [before] if before else [], serializer, segments)

    def _replayed(
        self,
        scope: Scope,
        ns: str,
        chain: list[CheckpointItem],
        before: list[StoredCheckpoint],
        serializer: Serializer,
        segments: dict[str, Any],
    ) -> list[StoredCheckpoint]:
        """The images of `before` and of a chain that goes on from the last of them."""
        images = [*before]
        for item, payload in zip(chain, self._payloads(scope, chain, serializer.encryptor), strict=True):
            try:
                images.append(self._built(scope, ns, item, payload, images, segments, serializer.encryptor))
            except (ValueError, KeyError, IndexError, TypeError) as error:
                raise CorruptDataError(
                    f"the checkpoint at {item.key} can't be rebuilt: {error!r}", key=str(item.key)
                ) from error
        return images

    def ancestors(self, scope: Scope, ns: str, checkpoint_id: str, oldest: str) -> set[str]:
        """Ids of a checkpoint's ancestors down to `oldest` (which need not be one)."""
        pages = self._table.query(
            scope.thread_id,
            scope.checkpoints(ns),
            first=scope.checkpoints(ns) + oldest,
            last=scope.checkpoint(ns, checkpoint_id).sk,
            newest_first=True,
        )
        items = CheckpointPages(pages)
        found: set[str] = set()
        item = items.get(checkpoint_id)
        while item is not None and item.parent_id and item.parent_id >= oldest:
            found.add(item.parent_id)
            item = items.get(item.parent_id)
        return found

    def _load(
        self, scope: Scope, ns: str, serializer: Serializer, checkpoint_id: str | None, known: StoredCheckpoint | None
    ) -> Loaded | None:
        last = scope.checkpoint(ns, checkpoint_id).sk if checkpoint_id else None
        first = scope.checkpoint(ns, known.checkpoint_id).sk if known else None
        items = CheckpointPages(
            self._table.query(
                scope.thread_id,
                scope.checkpoints(ns),
                first=first,
                last=last,
                newest_first=True,
                page_items=CHAIN_PAGE,
                doubling=True,
            ),
            self._expiry.is_past,
        )
        writes = self._writes.newest(scope, ns, checkpoint_id)
        segments: dict[str, Any] = {}
        reads: list[Callable[[], object]] = [items.read, writes.read]
        if known is None:
            reads.append(lambda: segments.update(self.segments.newest(scope, ns, checkpoint_id, serializer.encryptor)))
        self._table.side_by_side(*reads)
        head = items.newest()
        if head is None or (checkpoint_id and head.checkpoint_id != checkpoint_id):
            if known is not None:
                raise Stale
            return None
        if self._ended.is_over(scope, ns, head, newest=checkpoint_id is None):
            self._cache.forget(scope.thread_id, scope.user_id)
            return None
        image = self._head_image(scope, ns, head, items, serializer, segments, known)
        values = self._parts.fetch(scope, blob_refs(image.tree), serializer.encryptor)
        with_blob_digests(image.tree, values)
        self._remember((scope.thread_id, scope.user_id, ns), image)
        return Loaded(image, values, writes.of(image.checkpoint_id, serializer))

    def _remember(self, place: Place, image: StoredCheckpoint) -> None:
        self._cache.put(place, image)
        thread_id, user_id, ns = place
        self._ended.saw(Scope(thread_id, user_id), ns, image.checkpoint_id, image.expires_at)

    def _head_image(
        self,
        scope: Scope,
        ns: str,
        head: CheckpointItem,
        items: CheckpointPages,
        serializer: Serializer,
        segments: dict[str, Any],
        known: StoredCheckpoint | None,
    ) -> StoredCheckpoint:
        chain = items.chain(head, known)
        return self._replayed(scope, ns, chain, [known] if known else [], serializer, segments)[-1]

    def _built(
        self,
        scope: Scope,
        ns: str,
        item: CheckpointItem,
        payload: Any,
        before: list[StoredCheckpoint],
        segments: dict[str, Any],
        encryptor: Encryptor | None,
    ) -> StoredCheckpoint:
        if item.kind == FULL:
            tree, sizes = decode_full(payload)
            self.segments.read(scope, ns, sizes, segments, encryptor)
            fill(tree, segments)
            parents = (item.parent_id,) if item.parent_id else ()
            lineage = (*parents, item.checkpoint_id)
            return StoredCheckpoint(
                item.checkpoint_id,
                item.parent_id,
                tree,
                sizes,
                lineage=lineage,
                fingerprint=item_fingerprint(item),
                expires_at=item.times.expires_at,
            )
        parent = before[-1]
        return stored_change(item, changes.apply(parent.tree, payload), parent)

    def _payloads(self, scope: Scope, chain: list[CheckpointItem], encryptor: Encryptor | None) -> list[Any]:
        frames = self._parts.fetch_frames(scope, [item.blob for item in chain if item.blob])
        return [
            ormsgpack.unpackb(
                self._codec.unframe(
                    frames[item.blob.digest] if item.blob else item.frame or b"",
                    context=item.key.sk,
                    encryptor=encryptor,
                )
            )
            for item in chain
        ]

    def _with_values_of(
        self,
        parent: StoredCheckpoint | None,
        tree: dict[str, Any],
        scope: Scope,
        serializer: Serializer,
        pending: PendingBlobs,
    ) -> dict[str, Any]:
        """Refer to the large values that the parent has, and spill those that are new."""
        state = tree["channel_values"]
        if parent is not None:
            stored = {leaf.plain_digest(): leaf.at for leaf in leaves(parent.tree) if isinstance(leaf.at, BlobRef)}
            if stored:
                state = _referring(state, stored)
        return {**tree, "channel_values": self._parts.spill(state, scope, serializer.encryptor, pending)}

    def _item(self, draft: Draft, pending: PendingBlobs, run_id: str | None, times: Times) -> CheckpointItem:
        """The item of a draft; its frame becomes a value where it is too large."""
        value = self._parts.add(draft.frame, pending) if len(draft.frame) > INLINE_FRAME_BYTES else None
        return draft.item(value, run_id, times)

    def _segment_puts(self, scope: Scope, ns: str, draft: Draft) -> list[Callable[[], None]]:
        return [
            self._parts.dated_put(scope.segment(ns, segment), frame) for segment, frame in draft.segment_frames.items()
        ]

    def _commit(self, scope: Scope, ns: str, item: CheckpointItem, serializer: Serializer) -> None:
        """Put the checkpoint if it is new or the same. If another of that id exists, first free what builds on it."""
        wire = item.to_attributes()
        name = "d" if item.frame is not None else "v"
        try:
            self._table.put(
                wire,
                ConditionExpression=_UNSEEN,
                ExpressionAttributeNames={"#pk": "conversation_id", "#d": name},
                ExpressionAttributeValues={":d": wire[name]},
            )
        except ConditionFailed:
            self._free_children(scope, ns, item.checkpoint_id, serializer)
            self._table.put(wire)
            self._cache.forget(scope.thread_id, scope.user_id)

    def _free_children(self, scope: Scope, ns: str, checkpoint_id: str, serializer: Serializer) -> None:
        first = scope.checkpoint(ns, checkpoint_id).sk
        for page in self._table.query(scope.thread_id, scope.checkpoints(ns), first=first):
            for item in map(CheckpointItem.from_attributes, page):
                if item.parent_id == checkpoint_id and item.kind == CHANGE:
                    self.rewrite_full(scope, ns, item, serializer)


def _is_linear(checkpoint_id: str, parent_id: str | None, newest: StoredCheckpoint | None) -> bool:
    """Whether a checkpoint goes on from the newest, or is the newest once more. A parent sorts before its changes."""
    if parent_id is None or parent_id >= checkpoint_id:
        return False
    return newest is None or newest.checkpoint_id in (parent_id, checkpoint_id)


def _referring(state: Node, stored: Mapping[bytes, BlobRef]) -> Node:
    """Refer to large values that are stored already, in whichever channel they are now."""

    def place(leaf: Leaf) -> Leaf:
        if leaf.size < LARGE_ELEMENT_BYTES or leaf.plain_digest() not in stored:
            return leaf
        placed = Leaf(leaf.typ, leaf.data, stored[leaf.plain_digest()])
        placed.digest = leaf.digest
        return placed

    return with_leaves(state, place)
