"""Removing: whole conversations, runs, old checkpoints. All of it can be repeated after a crash.

The conversation row goes last, so what is half deleted can still be found and deleted. Before a checkpoint goes that
another builds on, the other goes, or is stored anew so that it stands by itself: whoever reads meanwhile finds a
checkpoint as it was, or not at all. What a checkpoint needs goes after it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import groupby

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, all_refs
from langgraph_dynamo_conv._checkpoints.cache import CheckpointCache
from langgraph_dynamo_conv._checkpoints.loading import CHAIN_PAGE, Checkpoints
from langgraph_dynamo_conv._checkpoints.store import CheckpointStore
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites
from langgraph_dynamo_conv._format.items import (
    CHANGE,
    REMOVED,
    AttributeMap,
    CheckpointItem,
    Link,
    WritesItem,
    blob_refs,
    blob_refs_of_row,
    checkpoints_of,
    key_of,
    link_of,
    number_of,
)
from langgraph_dynamo_conv._format.keys import PK, SK, Key, Namespace, Scope, parse_sk
from langgraph_dynamo_conv._format.tree import BlobRef
from langgraph_dynamo_conv._history.ancestry import ancestry
from langgraph_dynamo_conv._history.subgraph_calls import SubgraphCalls
from langgraph_dynamo_conv._state.chain import CheckpointPages, leaves_first, orphans
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.order import Trail, made_at
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._state.stored import StoredCheckpoint, replayed_channels
from langgraph_dynamo_conv._storage.failures import ConditionFailed
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import ConversationNotFoundError

GRACE_SECONDS = 3600
"""Segments and parts younger than this are left alone by `prune`: a run may be about to refer to them."""


class Removal:
    """Deletes and prunes. Safe to share between threads."""

    def __init__(
        self,
        table: Table,
        serializer: Serializer,
        cache: CheckpointCache,
        checkpoints: Checkpoints,
        blobs: Blobs,
        writes: TaskWrites,
        expiry: Expiry,
        channel: str,
        store: CheckpointStore,
    ) -> None:
        self._table = table
        self._serializer = serializer
        self._channel = channel
        self._cache = cache
        self._checkpoints = checkpoints
        self._store = store
        self._blobs = blobs
        self._writes = writes
        self._clock = expiry.clock

    def delete(self, thread_id: str, user_id: str | None = None) -> int:
        """Everything of a conversation, or of one user's share of it; the number of items removed.

        What another writer has stored meanwhile is removed too: it looks again until there is nothing but the row, and
        a row that was written since begins it anew.

        Cost: one query for each MB, one more, and one delete of 1 write unit for each KB of every item.
        """
        prefix = Scope(thread_id, user_id).prefix() if user_id is not None else ""
        count, is_gone = 0, False
        while not is_gone:
            self.forget(thread_id, user_id)
            rows: list[AttributeMap] = []
            removed = self._delete_others(items_of(self._table, thread_id, user_id), rows)
            while removed:
                count += removed
                removed = self._delete_others(self._table.query(thread_id, prefix), [])
            gone = list(map(self._is_row_deleted, rows))
            count, is_gone = count + sum(gone), all(gone)
        self.forget(thread_id, user_id)
        return count

    def _is_row_deleted(self, row: AttributeMap) -> bool:
        """Delete a row that was read; False where it has been written, or deleted, since."""
        version = {":version": row["version"]} if "version" in row else {}
        values = {"ExpressionAttributeValues": version} if version else {}
        condition = "#version = :version" if version else "attribute_not_exists(#version)"
        names = {"#version": "version"}
        with suppress(ConditionFailed):
            self._table.delete(key_of(row), ConditionExpression=condition, ExpressionAttributeNames=names, **values)
            return True
        return False

    def _delete_others(self, pages: Iterable[list[AttributeMap]], rows: list[AttributeMap]) -> int:
        """Delete all items but rows, which are added to `rows`; gives how many."""
        others: list[Key] = []
        checkpoints: list[Link] = []
        for page in pages:
            self._blobs.check(map(key_of, page))
            self._delete_all(run_pointers(page))
            checkpoints += [link_of(item) for item in page if kind_of(item) == "c"]
            others += [key_of(item) for item in page if kind_of(item) not in ("row", "c")]
            rows += [item for item in page if kind_of(item) == "row"]
        for group in (*leaves_first(checkpoints), others):
            self._delete_all(group)
        return len(checkpoints) + len(others)

    def clear(self, scope: Scope, before: str) -> None:
        """What is left of the state of a conversation that was over when the checkpoint `before` began it anew.

        Writes and sub-graphs of that checkpoint can be there already, and blobs that they refer to.
        """
        for page in self._table.query(scope.thread_id, scope.prefix()):
            left = [item for item in page if _is_left(item, before, self._clock() - GRACE_SECONDS)]
            self._delete_all(run_pointers(left))
            self._delete_all(map(key_of, left))

    def delete_run(self, scope: Scope, run_id: str) -> None:
        """The checkpoints and writes of a run in one conversation. What builds on them is stored anew first."""
        groups = list(self._by_namespace(scope))
        self._delete_some(groups, {item.key for _, items in groups for item in items if item.run_id == run_id})
        self.forget(scope.thread_id, scope.user_id)

    def check_kept(self, namespace: Namespace, stored: StoredCheckpoint, seen: Collection[str]) -> None:
        """Let a deletion win that another made while a run wrote: remove what the run has left since, and say so.

        Args:
            namespace: The root's.
            stored: A checkpoint that was just stored.
            seen: Ids of ancestors that were there while its run went on; "" for what was there before the first.

        Raises:
            ConversationNotFoundError: One of these is gone, or what the checkpoint builds on is.

        Cost: one Query, or one for each MB of what the run stored.
        """
        left = self._left(namespace, stored, seen)
        if not left:
            return
        scope = namespace.scope
        if self._checkpoints.has_row(scope):  # the run alone was deleted, or the conversation has begun anew
            groups = list(self._by_namespace(scope))
            gone = orphans(item for _, items in groups for item in items)
            self._delete_some(groups, gone | {namespace.checkpoint(checkpoint_id) for checkpoint_id in left})
            self.forget(scope.thread_id, scope.user_id)
        else:
            self.delete(scope.thread_id, scope.user_id)
        raise ConversationNotFoundError(
            "this conversation, or this run of it, was deleted while the run went on; what the run still wrote is "
            "deleted too. Begin anew, or go on from what is left: read the state again",
            table=self._table.name,
            key=str(scope.row()),
        )

    def _left(self, namespace: Namespace, stored: StoredCheckpoint, seen: Collection[str]) -> set[str]:
        """Ids of the checkpoints from one back to the first that is missing of those that it needs; none if all are
        there."""
        found: set[str] = set()
        for item, _ in ancestry(self._checkpoints, namespace, stored.checkpoint_id, CHAIN_PAGE):
            found.add(item.checkpoint_id)
            if item.kind != CHANGE and (item.parent_id or "") not in seen:
                return set()
        return found or {stored.checkpoint_id}

    def _delete_some(self, groups: list[tuple[Namespace, list[CheckpointItem]]], gone: set[Key]) -> None:
        """Delete some checkpoints; what builds on them, or refers to them, is stored anew first."""
        for namespace, items in groups:
            for item in items:
                if item.key not in gone and item.origin is not None and _origin_key(item) in gone:
                    self._store.rewrite_full(namespace, item, item.parent_id)
        for namespace, items in groups:
            self._delete_some_of(namespace, items, {item.checkpoint_id for item in items if item.key in gone})

    def _delete_some_of(self, namespace: Namespace, items: list[CheckpointItem], gone: set[str]) -> None:
        """Delete some checkpoints of a namespace; their children get the nearest parent that stays."""
        parents = {item.checkpoint_id: item.parent_id for item in items}
        for item in items:
            if item.parent_id in gone and item.checkpoint_id not in gone:
                kept = item.parent_id
                while kept in gone:
                    kept = parents[kept] or REMOVED
                self._store.rewrite_full(namespace, item, kept)
        if gone:
            self._delete_checkpoints(namespace, items, gone)
        if gone and len(gone) < len(items):
            self._checkpoints.revisions.change(namespace)

    def keep_latest(self, thread_id: str, user_id: str | None) -> None:
        """Of each namespace only the newest checkpoint, and what a `DeltaChannel` of it still replays; of calls of
        subgraphs that are over, nothing."""
        for scope in self.scopes(thread_id, user_id):
            groups = dict(self._by_namespace(scope))
            items = [item for group in groups.values() for item in group]
            left = orphans(items)
            long_ago = self._clock() - GRACE_SECONDS
            calls = SubgraphCalls(groups, left, self._checkpoints, self._writes, self._serializer, long_ago)
            for namespace in calls.over():
                group = groups.pop(namespace)
                self._delete_checkpoints(namespace, group, {item.checkpoint_id for item in group})
            kept: list[StoredCheckpoint] = []
            # sub-graphs first: they refer to what goes with their callers
            for namespace in sorted(groups, key=lambda one: one.ns, reverse=True):
                orphaned = {item.checkpoint_id for item in groups[namespace] if item.key in left}
                kept += self._keep_latest_of(namespace, groups[namespace][::-1], orphaned)
            ids = {stored.checkpoint_id for stored in kept}
            needed = {item.run_id for item in items if item.checkpoint_id in ids}
            gone = {item.run_id for item in items if item.run_id} - needed
            self._delete_all(scope.run(run_id) for run_id in gone if run_id)
            self._sweep(scope, kept)
            self.forget(scope.thread_id, scope.user_id)

    def forget(self, thread_id: str, user_id: str | None) -> None:
        """What this process knows of a conversation may be gone."""
        self._cache.forget(thread_id, user_id)
        self._blobs.forget(thread_id)

    def _by_namespace(self, scope: Scope) -> Iterator[tuple[Namespace, list[CheckpointItem]]]:
        """The checkpoints of a conversation, oldest first in each namespace; all are read before the first is given."""
        pages = self._table.query(scope.thread_id, scope.prefix("c"))
        items = [item for page in pages for item in checkpoints_of(page)]
        return ((scope.namespace(ns), list(group)) for ns, group in groupby(items, key=CheckpointItem.namespace))

    def _keep_latest_of(
        self, namespace: Namespace, items: list[CheckpointItem], left: set[str]
    ) -> list[StoredCheckpoint]:
        """Keep the first of a namespace's items (newest first), and of its ancestors what it replays; gives these.

        Args:
            namespace: The namespace.
            items: Its checkpoints.
            left: Ids of those that are orphans.
        """
        whole = [item for item in items if item.checkpoint_id not in left]
        if not whole:
            self._delete_checkpoints(namespace, items, left)
            return []
        by_id = {item.checkpoint_id: item for item in whole}
        pages = CheckpointPages(iter([items]))
        segments = self._checkpoints.segments.all(namespace)

        def rebuilt(item: CheckpointItem) -> StoredCheckpoint:
            return self._checkpoints.replay(namespace, pages.chain(item), segments)[-1]

        newest = rebuilt(whole[0])
        kept = [newest]
        needed: list[frozenset[str]] = []
        replayed = replayed_channels(newest, self._serializer)
        trail = Trail()
        while replayed and kept[-1].parent_id in by_id:
            trail.add(by_id[kept[-1].checkpoint_id].key)
            needed.append(frozenset(replayed))
            kept.append(rebuilt(by_id[kept[-1].parent_id or ""]))
            replayed -= kept[-1].tree["channel_values"].keys()
        if any(map(self._has_words, kept[1:], needed)):
            kept = self._without_words(namespace, [by_id[stored.checkpoint_id] for stored in kept], needed)
        elif kept[-1].parent_id or by_id[kept[-1].checkpoint_id].origin is not None:
            kept[-1:] = self._rewritten(namespace, by_id[kept[-1].checkpoint_id], REMOVED)
        self._delete_checkpoints(namespace, items, left | by_id.keys() - {stored.checkpoint_id for stored in kept})
        return kept

    def _is_dropped(self, channel: str, needed: frozenset[str]) -> bool:
        """Whether a kept ancestor does without a channel: what was said, or LangGraph's own, which may hold it too."""
        return channel not in needed and (channel == self._channel or channel.startswith("__"))

    def _has_words(self, stored: StoredCheckpoint, needed: frozenset[str]) -> bool:
        """Whether an ancestor holds, or may have on it, messages that are not replayed from it."""
        has_messages = self._channel in stored.tree.get("channel_versions", ())
        values = stored.tree["channel_values"]
        return (has_messages and self._channel not in needed) or any(self._is_dropped(name, needed) for name in values)

    def _without_words(
        self, namespace: Namespace, items: list[CheckpointItem], needed: list[frozenset[str]]
    ) -> list[StoredCheckpoint]:
        """Store the newest checkpoint anew, then its ancestors without what was said in them; gives all of them."""
        parents = [*(item.checkpoint_id for item in items[1:]), REMOVED]
        kept = self._rewritten(namespace, items[0], parents[0])
        for item, parent_id, channels in zip(items[1:], parents[1:], needed, strict=True):
            goes = partial(self._is_dropped, needed=channels)
            self._store.free_writes(namespace, item.checkpoint_id)
            kept += self._rewritten(namespace, item, parent_id, goes)
            self._writes.drop(namespace, item.checkpoint_id, goes)
        return kept

    def _rewritten(
        self,
        namespace: Namespace,
        item: CheckpointItem,
        parent_id: str,
        goes: Callable[[str], bool] | None = None,
    ) -> list[StoredCheckpoint]:
        self._store.rewrite_full(namespace, item, parent_id, goes)
        rewritten = self._checkpoints.get(namespace, item.checkpoint_id)
        return [rewritten] if rewritten is not None else []

    def _delete_checkpoints(self, namespace: Namespace, items: list[CheckpointItem], gone: set[str]) -> None:
        """Delete checkpoints, then their writes, and writes that an earlier crash in here has left without one."""
        for group in leaves_first(link_of(item.to_attributes()) for item in items if item.checkpoint_id in gone):
            self._delete_all(group)
        stay = {item.checkpoint_id for item in items} - gone
        long_ago = self._clock() - GRACE_SECONDS

        def goes(key: Key) -> bool:
            checkpoint_id = parse_sk(key.sk).parts[1]
            return checkpoint_id in gone or (checkpoint_id not in stay and made_at(checkpoint_id) < long_ago)

        for page in self._table.query(namespace.scope.thread_id, namespace.prefix("w"), keys_only=True):
            self._delete_all(filter(goes, map(key_of, page)))

    def _sweep(self, scope: Scope, kept: list[StoredCheckpoint]) -> None:
        """Delete old segments and blobs that nothing refers to any more."""
        segments = {segment for stored in kept for segment in stored.segments}
        blobs = {ref.digest for stored in kept for ref in all_refs(stored.tree)} | self._referred_blobs(scope)
        oldest = self._clock() - GRACE_SECONDS

        def is_needed(item: AttributeMap) -> bool:
            kind, parts = parse_sk(item[SK]["S"]).kind, parse_sk(item[SK]["S"]).parts
            return parts[0] in blobs if kind == "p" else "#".join(parts[1:]) in segments

        for kind in ("s", "p"):
            for page in self._table.query(scope.thread_id, scope.prefix(kind)):
                old = [item for item in page if number_of(item, "t") < oldest]
                self._delete_all(key_of(item) for item in old if not is_needed(item))

    def _referred_blobs(self, scope: Scope) -> set[str]:
        """Digests of the blobs that items themselves refer to: frames, large messages, and values of task writes."""
        refs: list[BlobRef] = []
        for page in self._table.query(scope.thread_id, scope.prefix("c")):
            refs += [item.blob for item in checkpoints_of(page) if item.blob]
        for page in self._table.query(scope.thread_id, scope.prefix("m")):
            refs += [ref for item in page for ref in blob_refs(item)]
        refs += blob_refs_of_row(self._table.get(scope.row()) or {})
        for page in self._table.query(scope.thread_id, scope.prefix("w")):
            for item in map(WritesItem.from_attributes, page):
                refs += self._writes.refs(scope, item)
        return {ref.digest for ref in refs}

    def scopes(self, thread_id: str, user_id: str | None) -> list[Scope]:
        """The conversations of an id: one user's, or everybody's. Cost: nothing, or one Query for each MB."""
        if user_id is not None:
            return [Scope(thread_id, user_id)]
        keys = (key_of(item) for page in self._table.query(thread_id, keys_only=True) for item in page)
        return [Scope(thread_id, user) for user in sorted({parse_sk(key.sk).user_id for key in keys})]

    def _delete_all(self, keys: Iterable[Key]) -> None:
        self._table.all_of(partial(self._blobs.delete, key) for key in keys)


def _origin_key(item: CheckpointItem) -> Key | None:
    """The key of the checkpoint in another namespace that one refers to."""
    user_id = parse_sk(item.key.sk).user_id
    origin = item.origin
    return Scope(item.key.pk, user_id).namespace(origin.ns).checkpoint(origin.checkpoint_id) if origin else None


def items_of(table: Table, thread_id: str, user_id: str | None) -> Iterator[list[AttributeMap]]:
    """All items of a conversation, or of one user's share of it, the row included."""
    if user_id is None:
        yield from table.query(thread_id)
        return
    scope = Scope(thread_id, user_id)
    row = table.get(scope.row())
    yield [row] if row else []
    yield from table.query(thread_id, scope.prefix())


def kind_of(item: AttributeMap) -> str:
    """The kind of an item, as its sort key tells."""
    return parse_sk(item[SK]["S"]).kind


def run_pointers(items: Iterable[AttributeMap]) -> Iterator[Key]:
    """The pointers of the runs that wrote these checkpoints, also of damaged ones as far as they name a run."""
    for item in items:
        if kind_of(item) == "c" and (run_id := item.get("r", {}).get("S")) is not None:
            yield Scope(item[PK]["S"], parse_sk(item[SK]["S"]).user_id).run(run_id)


def _is_left(item: AttributeMap, before: str, long_ago: float) -> bool:
    """Whether an item was there before the checkpoint `before`."""
    parsed = parse_sk(item[SK]["S"])
    if parsed.kind == "p":
        return number_of(item, "t") < long_ago
    return parsed.kind in ("c", "w", "s") and parsed.parts[1] < before
