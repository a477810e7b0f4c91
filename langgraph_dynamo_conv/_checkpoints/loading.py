"""Checkpoints as they are read.

A read asks side by side for the newest changes, the newest segments and the newest task writes. Where this process
has seen the conversation before, it asks only for what came since, and for proof that what it saw is still there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, missing_refs
from langgraph_dynamo_conv._checkpoints.cache import CheckpointCache
from langgraph_dynamo_conv._checkpoints.ended import REMEMBERED, EndedConversations
from langgraph_dynamo_conv._checkpoints.revisions import Revisions
from langgraph_dynamo_conv._checkpoints.segments import Segments
from langgraph_dynamo_conv._checkpoints.writes import PendingWrites, TaskWrites
from langgraph_dynamo_conv._checkpoints.writes_pages import WritesPages
from langgraph_dynamo_conv._format import changes
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import (
    FULL,
    CheckpointItem,
    Origin,
    RowSeen,
    checkpoint_items,
)
from langgraph_dynamo_conv._format.keys import Namespace, Scope
from langgraph_dynamo_conv._format.pool import Pool
from langgraph_dynamo_conv._state.chain import CheckpointPages, OrphanError, Stale, orphan_of
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.full import decode_full, fill, fill_packed
from langgraph_dynamo_conv._state.stored import CHAIN_ITEMS, RECHECK_ITEMS, StoredCheckpoint, stored_change, stored_full
from langgraph_dynamo_conv._storage.recent import Recent
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv._storage.underway import Underway
from langgraph_dynamo_conv.errors import CorruptDataError

CHAIN_PAGE = CHAIN_ITEMS + RECHECK_ITEMS + 1
"""A whole chain of ordinary length, in the first page: it is full again at the first or second check."""

_logger = logging.getLogger("langgraph_dynamo_conv")

Callers = dict[str, dict[str, StoredCheckpoint]]
"""Checkpoints that sub-graphs were called from, by namespace and id."""


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
    """Reads checkpoints of any conversation. Safe to share between threads."""

    def __init__(
        self,
        table: Table,
        codec: Codec,
        cache: CheckpointCache,
        blobs: Blobs,
        writes: TaskWrites,
        expiry: Expiry,
        ended: EndedConversations,
        underway: Underway[tuple[Namespace, str]],
    ) -> None:
        self.segments = Segments(table, codec)
        self.revisions = Revisions(table, expiry)
        self._table = table
        self._codec = codec
        self._cache = cache
        self._blobs = blobs
        self._writes = writes
        self._expiry = expiry
        self._ended = ended
        self._new: Recent[Scope, bool] = Recent(REMEMBERED)
        self._underway = underway

    def note_new(self, scope: Scope) -> None:
        """This process has made up the id of a conversation: there is probably nothing to read yet."""
        self._new.put(scope, True)

    def load(
        self,
        namespace: Namespace,
        checkpoint_id: str | None = None,
        seen: RowSeen | None = None,
        *,
        few_writes: bool = False,
    ) -> Loaded | None:
        """The newest checkpoint of a namespace, or the one named; None if there is none.

        Args:
            namespace: Where it is.
            checkpoint_id: Its id; None for the newest.
            seen: Where nothing is known of the root's newest, the row is read with it, if fewer changes than fill a
                page lie between them; this is told what was found.
            few_writes: Whether there are hardly any task writes: then segments are read with them.

        Cost: 2 requests side by side where the conversation was seen before, or with `few_writes`, else 3; one where it
        was made here and is still empty; one more round trip for large values or a large state.
        """
        is_new = self._new.pop(namespace.scope)
        if is_new and self.pages(namespace, page_items=1, seen=seen).newest() is None:
            return None
        cache = self._cache
        known = cache.get(namespace, checkpoint_id) if checkpoint_id else cache.newest(namespace)
        if known is not None:
            try:
                return self._load(namespace, checkpoint_id, known)
            except Stale:
                cache.forget(namespace.scope.thread_id, namespace.scope.user_id)
        try:
            return self._load(namespace, checkpoint_id, seen=seen, few_writes=few_writes)
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
        with suppress(OrphanError):
            if chains is not None:
                return chains.get(checkpoint_id) or self._needed(namespace, checkpoint_id, chains)
            loaded = self._load(namespace, checkpoint_id)
            return loaded.stored if loaded else None
        return None

    def settled(self, namespace: Namespace, checkpoint_id: str) -> StoredCheckpoint | None:
        """As `cached`, but of one that is just being stored by this process once it is."""
        self._underway.wait((namespace, checkpoint_id))
        return self._cache.get(namespace, checkpoint_id)

    def newest_seen(self, scope: Scope, origin: Origin) -> Origin:
        """In place of a checkpoint that a run stores at its end, if at all: the newest that this process has seen."""
        newest = self._cache.newest(scope.namespace(origin.ns))
        return origin if newest is None else Origin(origin.ns, newest.checkpoint_id)

    def cached(self, namespace: Namespace, checkpoint_id: str | None) -> StoredCheckpoint | None:
        """What is known of a checkpoint without reading, or None."""
        return self._cache.get(namespace, checkpoint_id) if checkpoint_id else None

    def replay(
        self,
        namespace: Namespace,
        chain: list[CheckpointItem],
        segments: dict[str, Any],
        before: StoredCheckpoint | None = None,
        callers: Callers | None = None,
    ) -> list[StoredCheckpoint]:
        """The checkpoints of a chain, oldest first, without the bytes of blobs.

        Args:
            namespace: Where they are.
            chain: Opens with a full checkpoint, or goes on from `before`.
            segments: Segments that were read; those that are missing are added.
            before: What the chain goes on from, which then is the first that is given, or None.
            callers: Checkpoints of other namespaces that were read for chains before; those that are read are added.

        Raises:
            OrphanError: The checkpoint that a sub-graph was called from is missing.
            CorruptDataError: What is stored is damaged, or does not fit together.
        """
        replayed = [before] if before else []
        refs = [item.blob for item in chain if item.blob]
        frames = self._blobs.fetch_frames(namespace.scope, refs) if refs else {}
        for item in chain:
            frame = frames[item.blob.digest] if item.blob else item.frame or b""
            payload = self._codec.unpack(frame, item.key.sk)
            try:
                replayed.append(self._rebuilt(namespace, item, payload, replayed, segments, callers))
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
        seen: RowSeen | None = None,
    ) -> CheckpointPages:
        """A read of a namespace's checkpoints, newest first: from `last` down to `first`, or with `seen` to the row."""
        scope = namespace.scope
        query = self._table.query(
            scope.thread_id,
            namespace.prefix("c"),
            first=namespace.checkpoint(first).sk if first else scope.row().sk if seen else None,
            last=namespace.checkpoint(last).sk if last else None,
            newest_first=True,
            page_items=page_items,
            doubling=doubling,
        )
        return CheckpointPages(checkpoint_items(query, scope, seen), self._expiry.is_past)

    def _load(
        self,
        namespace: Namespace,
        checkpoint_id: str | None,
        known: StoredCheckpoint | None = None,
        *,
        seen: RowSeen | None = None,
        few_writes: bool = False,
    ) -> Loaded | None:
        first = known.checkpoint_id if known else None
        pages = self.pages(namespace, first=first, last=checkpoint_id, page_items=CHAIN_PAGE, doubling=True, seen=seen)
        segments: dict[str, Any] = {}
        below = self.segments.into(namespace, segments) if few_writes else None
        writes = WritesPages(self._writes, self._table, namespace, checkpoint_id, below)
        reads: list[Callable[[], object]] = [pages.read, writes.read]
        if known is None and not few_writes:
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
            fill_packed(stored.tree, blobs)
        self.remember(namespace, stored)
        return Loaded(stored, blobs, writes.of(stored))

    def _needed(
        self, namespace: Namespace, checkpoint_id: str, chains: dict[str, StoredCheckpoint]
    ) -> StoredCheckpoint | None:
        """A checkpoint that another needs, listed or not, over or not; it is added to `chains`, with its chain."""
        pages = self.pages(namespace, last=checkpoint_id, page_items=CHAIN_PAGE, doubling=True)
        segments: dict[str, Any] = {}
        newest = partial(self.segments.newest, namespace, checkpoint_id)
        self._table.side_by_side(pages.read, lambda: segments.update(newest()))
        head = pages.get(checkpoint_id)
        if head is not None:
            chain = self.replay(namespace, pages.chain(head), segments)
            chains.update((one.checkpoint_id, one) for one in chain)
        return chains.get(checkpoint_id)

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
            chain = pages.chain(head, known)
            if known is None:
                self.caller(namespace.scope, chain[0])
            return chain
        except OrphanError as error:
            if not self.has_row(namespace.scope):
                return []
            if is_named:
                raise
            _logger.warning("an older state is read instead: %s", error)
        return pages.newest_chain()

    def caller(self, scope: Scope, item: CheckpointItem, callers: Callers | None = None) -> StoredCheckpoint | None:
        """The checkpoint of another namespace that one refers to; None if it refers to none.

        Raises:
            OrphanError: It is missing.
        """
        if item.origin is None:
            return None
        ns, checkpoint_id = item.origin
        chains = callers.setdefault(ns, {}) if callers is not None else {}
        stored = self.get(scope.namespace(ns), checkpoint_id, chains)
        if stored is None:
            raise orphan_of(item, checkpoint_id)
        return stored

    def has_row(self, scope: Scope) -> bool:
        """Whether a conversation has a row: one whose deletion has ended has none. Cost: one GetItem."""
        return self._table.get(scope.row()) is not None

    def remember(self, namespace: Namespace, stored: StoredCheckpoint) -> None:
        """Keep a checkpoint that was read or stored."""
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
        callers: Callers | None,
    ) -> StoredCheckpoint:
        if item.kind != FULL:
            parent = before[-1]
            built_on, change = payload
            parent.check_content(built_on, item)
            return stored_change(item, changes.apply(parent.tree, change, Pool(parent.tree)), parent)
        caller = self.caller(namespace.scope, item, callers)
        if caller is not None:
            caller.check_content(payload[-1], item)
        pool = Pool(caller.tree, is_elsewhere=True) if caller is not None else None
        tree, sizes = decode_full(payload, pool)
        self.segments.read(namespace, sizes, segments)
        fill(tree, segments)
        return stored_full(item, tree, sizes)
