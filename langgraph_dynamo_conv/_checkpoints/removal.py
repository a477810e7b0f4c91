"""Removing and copying: whole conversations, runs, old checkpoints. All of it can be repeated after a crash.

The conversation row goes last, so what is half deleted can still be found and deleted. Before a checkpoint goes that
another builds on, the other goes, or is stored anew so that it stands by itself: whoever reads meanwhile finds a
checkpoint as it was, or not at all. What a checkpoint needs goes after it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from langgraph_dynamo_conv._checkpoints.blobs import Blobs
from langgraph_dynamo_conv._checkpoints.cache import CheckpointCache
from langgraph_dynamo_conv._checkpoints.history import replayed_channels
from langgraph_dynamo_conv._checkpoints.store import Checkpoints
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites
from langgraph_dynamo_conv._format.items import (
    CHANGE,
    AttributeMap,
    CheckpointItem,
    WritesItem,
    key_of,
    parse_blob_ref,
    stamp,
)
from langgraph_dynamo_conv._format.keys import PK, SK, Key, Scope, is_pointer, parse_sk, run_partition
from langgraph_dynamo_conv._format.tree import BlobRef, Node, leaves
from langgraph_dynamo_conv._state.chain import CheckpointPages
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.table import Table

GRACE_SECONDS = 3600
"""Segments and parts younger than this are left alone by `prune`: a run may be about to refer to them."""

_UUID_EPOCH = 12_219_292_800
"""Seconds from the Gregorian calendar's first day to 1970, from which UUIDs count."""

_TIME_ORDERED = 6


class Removal:
    """Deletes, prunes and copies. Safe to share between threads."""

    def __init__(
        self,
        table: Table,
        cache: CheckpointCache,
        checkpoints: Checkpoints,
        parts: Blobs,
        writes: TaskWrites,
        expiry: Expiry,
    ) -> None:
        self._table = table
        self._cache = cache
        self._checkpoints = checkpoints
        self._parts = parts
        self._writes = writes
        self._expiry = expiry
        self._clock = expiry.clock

    def delete(self, thread_id: str, user_id: str | None = None) -> int:
        """Everything of a conversation, or of one user's share of it; the number of items removed.

        Cost: one query for each MB, and one delete of 1 write unit for each KB of every item.
        """
        self._forget(thread_id, user_id)
        rows: list[Key] = []
        others: list[Key] = []
        checkpoints: list[Link] = []
        for page in self._share(thread_id, user_id):
            self._parts.check(map(key_of, page))
            self._delete_all(_run_pointers(page))
            checkpoints += [link_of(item) for item in page if _kind(item) == "c"]
            others += [key_of(item) for item in page if _kind(item) not in ("row", "c")]
            rows += [key_of(item) for item in page if _kind(item) == "row"]
        for keys in (*leaves_first(checkpoints), others, rows):
            self._delete_all(keys)
        self._forget(thread_id, user_id)
        return len(checkpoints) + len(others) + len(rows)

    def clear(self, scope: Scope, before: str) -> None:
        """What is left of the state of a conversation that was over when the checkpoint `before` began it anew.

        Writes and sub-graphs of that checkpoint can be there already, and parts that they refer to.
        """
        for page in self._table.query(scope.thread_id, scope.prefix()):
            left = [item for item in page if _is_left(item, before, self._clock() - GRACE_SECONDS)]
            self._delete_all(_run_pointers(left))
            self._delete_all(map(key_of, left))

    def delete_runs(self, run_ids: Sequence[str], serializer: Serializer) -> None:
        """The checkpoints and writes of these runs, in every conversation that they wrote to.

        Cost: one query for each run, and what reading those conversations' checkpoints costs.
        """
        for run_id in run_ids:
            pk = run_partition(run_id)
            for page in list(self._table.query(pk)):
                for item in page:
                    scope = Scope(item["t"]["S"], parse_sk(item[SK]["S"]).user_id)
                    self._delete_run(scope, run_id, serializer)
                    self._table.delete(key_of(item))

    def keep_latest(self, thread_id: str, user_id: str | None, serializer: Serializer) -> None:
        """Of each namespace only the newest checkpoint, and what a `DeltaChannel` of it still replays."""
        for scope in self._scopes(thread_id, user_id):
            kept: list[StoredCheckpoint] = []
            pages = self._table.query(scope.thread_id, scope.prefix("c"), newest_first=True)
            items = [CheckpointItem.from_attributes(item) for page in pages for item in page]
            for _, group in groupby(items, key=lambda item: parse_sk(item.key.sk).parts[0]):
                kept += self._keep_latest_of(scope, list(group), serializer)
            stays = {image.checkpoint_id for image in kept}
            runs = {item.run_id for item in items if item.checkpoint_id in stays}
            gone = {item.run_id for item in items if item.run_id} - runs
            self._delete_all(scope.run(run_id) for run_id in gone if run_id)
            self._sweep(scope, kept, serializer)
            self._forget(scope.thread_id, scope.user_id)

    def copy(self, source: str, target: str, user_id: str | None, now: str) -> None:
        """Everything of a conversation under another thread id; rows last, created now.

        Each checkpoint comes after all that it needs, so that whoever reads the copy meanwhile finds it whole.

        Raises:
            ValueError: The target is the source, or has a conversation already.
        """
        if source == target:
            raise ValueError(f"the target is the source: {target!r}; name another thread")
        if any(_kind(item) == "row" and user_id in (None, item[SK]["S"]) for item in self._keys_of(target)):
            raise ValueError(f"{target!r} has a conversation already; name another thread, or delete that one")
        rows: list[AttributeMap] = []
        for page in self._share(source, user_id):
            pointers = [item for item in page if is_pointer(key_of(item))]
            self._table.side_by_side(*(partial(self._parts.copy_object, pointer, target) for pointer in pointers))
            items = [{**item, PK: {"S": target}} for item in page if not is_pointer(key_of(item))]
            rows += [item for item in items if _kind(item) == "row"]
            for item in items:
                for key in _run_pointers([item]):
                    self._table.put({**_pointer(key, target), **stamp(self._expiry.outliving())})
            self._put_all(item for item in items if _kind(item) not in ("row", "c"))
        prefix = Scope(source, user_id).prefix("c") if user_id is not None else ""
        for page in self._table.query(source, prefix):
            checkpoints = {key_of(item): item for item in page if _kind(item) == "c"}
            for keys in reversed(list(leaves_first(map(link_of, checkpoints.values())))):
                self._put_all({**checkpoints[key], PK: {"S": target}} for key in keys)
        dates = {"created_at": {"S": now}, "updated_at": {"S": now}}
        self._put_all({**row, **{name: date for name, date in dates.items() if name in row}} for row in rows)
        self._forget(target, user_id)

    def _keep_latest_of(
        self, scope: Scope, items: list[CheckpointItem], serializer: Serializer
    ) -> list[StoredCheckpoint]:
        """Keep the first of a namespace's items (newest first) and the ancestors it replays; give their images."""
        ns = items[0].namespace()
        by_id = {item.checkpoint_id: item for item in items}
        descending = CheckpointPages(iter([[item.to_attributes() for item in items]]))
        segments = self._checkpoints.segments.all(scope, ns, serializer.encryptor)

        def image_of(item: CheckpointItem) -> StoredCheckpoint:
            chain = descending.chain(item)
            return self._checkpoints.build(scope, ns, chain, serializer, segments)[-1]

        kept = [image_of(items[0])]
        replayed = replayed_channels(kept[0], serializer)
        while replayed and kept[-1].parent_id in by_id:
            kept.append(image_of(by_id[kept[-1].parent_id or ""]))
            replayed -= kept[-1].tree["channel_values"].keys()
        oldest = by_id[kept[-1].checkpoint_id]
        if oldest.kind == CHANGE:
            self._checkpoints.rewrite_full(scope, ns, oldest, serializer)
            rewritten = self._checkpoints.image(scope, ns, serializer, oldest.checkpoint_id)
            kept = [*kept[:-1], *([rewritten] if rewritten else [])]
        ids = {image.checkpoint_id for image in kept}
        self._delete_checkpoints(scope, ns, [item for item in items if item.checkpoint_id not in ids], ids)
        return kept

    def _delete_checkpoints(self, scope: Scope, ns: str, items: list[CheckpointItem], stay: set[str]) -> None:
        """Delete checkpoints, then their writes, and writes that an earlier crash in here has left without one."""
        for keys in leaves_first(link_of(item.to_attributes()) for item in items):
            self._delete_all(keys)
        gone = {item.checkpoint_id for item in items}
        long_ago = self._clock() - GRACE_SECONDS

        def goes(key: Key) -> bool:
            checkpoint_id = parse_sk(key.sk).parts[1]
            return checkpoint_id in gone or (checkpoint_id not in stay and _made_at(checkpoint_id) < long_ago)

        for page in self._table.query(scope.thread_id, scope.all_writes(ns), keys_only=True):
            self._delete_all(key for key in map(key_of, page) if goes(key))

    def _delete_run(self, scope: Scope, run_id: str, serializer: Serializer) -> None:
        pages = self._table.query(scope.thread_id, scope.prefix("c"))
        items = [CheckpointItem.from_attributes(item) for page in pages for item in page]
        for _, group in groupby(items, key=lambda item: parse_sk(item.key.sk).parts[0]):
            of_ns = list(group)
            ns = of_ns[0].namespace()
            gone = {item.checkpoint_id for item in of_ns if item.run_id == run_id}
            for item in of_ns:
                if item.kind == CHANGE and item.parent_id in gone and item.checkpoint_id not in gone:
                    self._checkpoints.rewrite_full(scope, ns, item, serializer)
            if gone:
                stay = {item.checkpoint_id for item in of_ns} - gone
                self._delete_checkpoints(scope, ns, [item for item in of_ns if item.checkpoint_id in gone], stay)
        self._forget(scope.thread_id, scope.user_id)

    def _sweep(self, scope: Scope, kept: list[StoredCheckpoint], serializer: Serializer) -> None:
        """Delete old segments and parts that nothing refers to any more."""
        values, segments = self._referred(scope, kept, serializer)
        oldest = self._clock() - GRACE_SECONDS
        for kind in ("s", "b"):
            for page in self._table.query(scope.thread_id, scope.prefix(kind)):
                old = [item for item in page if int(item.get("t", {"N": "0"})["N"]) < oldest]
                self._delete_all(key_of(item) for item in old if not _is_referred(key_of(item), values, segments))

    def _referred(
        self, scope: Scope, kept: list[StoredCheckpoint], serializer: Serializer
    ) -> tuple[set[str], set[str]]:
        segments = {segment for image in kept for segment in image.segments}
        values = {digest for image in kept for digest in _value_digests(image.tree)}
        for page in self._table.query(scope.thread_id, scope.prefix("c")):
            records = map(CheckpointItem.from_attributes, page)
            values |= {record.blob.digest for record in records if record.blob}
        for page in self._table.query(scope.thread_id, scope.prefix("m")):
            values |= {parse_blob_ref(item["v"]["S"]).digest for item in page if "v" in item}
        for page in self._table.query(scope.thread_id, scope.prefix("w")):
            for item in map(WritesItem.from_attributes, page):
                frames = [frame for frame in item.frames.values() if isinstance(frame, BlobRef)]
                values |= {frame.digest for frame in frames}
                for write in self._writes.decoded(scope, [item], serializer.encryptor):
                    values |= set(_value_digests(write.node))
        return values, segments

    def _share(self, thread_id: str, user_id: str | None) -> Iterator[list[AttributeMap]]:
        """All items of a conversation, or of one user's share of it, the row included."""
        if user_id is None:
            yield from self._table.query(thread_id)
            return
        row = self._table.get(Scope(thread_id, user_id).row())
        yield [row] if row else []
        yield from self._table.query(thread_id, Scope(thread_id, user_id).prefix())

    def _keys_of(self, thread_id: str) -> Iterator[AttributeMap]:
        return (item for page in self._table.query(thread_id, keys_only=True) for item in page)

    def _scopes(self, thread_id: str, user_id: str | None) -> list[Scope]:
        if user_id is not None:
            return [Scope(thread_id, user_id)]
        users = {parse_sk(item[SK]["S"]).user_id for item in self._keys_of(thread_id)}
        return [Scope(thread_id, user) for user in sorted(users)]

    def _delete_all(self, keys: Iterable[Key]) -> None:
        self._table.all_of(partial(self._parts.delete, key) for key in keys)

    def _put_all(self, items: Iterable[AttributeMap]) -> None:
        self._table.all_of(partial(self._table.put, item) for item in items)

    def _forget(self, thread_id: str, user_id: str | None) -> None:
        self._cache.forget(thread_id, user_id)
        self._parts.forget(thread_id)


class Link(NamedTuple):
    """A checkpoint's key, and that of the checkpoint it builds on, if it does."""

    key: Key
    parent: Key | None


def link_of(item: AttributeMap) -> Link:
    """The link of a checkpoint item, also of a damaged one."""
    key = key_of(item)
    if item.get("k") != {"S": CHANGE} or "p" not in item:
        return Link(key, None)
    return Link(key, Key(key.pk, f"{key.sk.rpartition('#')[0]}#{item['p']['S']}"))


def leaves_first(links: Iterable[Link]) -> Iterator[list[Key]]:
    """Keys in groups, each checkpoint in a later group than those that build on it."""
    parents = dict(links)
    waiting = Counter(parent for parent in parents.values() if parent is not None and parent in parents)
    group = [key for key in parents if key not in waiting]
    while group:
        yield group
        freed = [parent for key in group if (parent := parents.pop(key)) is not None and parent in waiting]
        waiting.subtract(freed)
        group = [key for key in dict.fromkeys(freed) if not waiting[key]]
    yield list(parents)  # only a damaged chain has a ring


def _made_at(checkpoint_id: str) -> float:
    """When a checkpoint was made, as LangGraph's ids (UUID version 6) tell; infinity for other ids."""
    try:
        number = UUID(checkpoint_id)
    except ValueError:
        return math.inf
    ticks = (number.int >> 80) << 12 | (number.int >> 64) & 0xFFF
    return ticks / 1e7 - _UUID_EPOCH if number.version == _TIME_ORDERED else math.inf


def _kind(item: AttributeMap) -> str:
    return parse_sk(item[SK]["S"]).kind


def _is_left(item: AttributeMap, before: str, long_ago: float) -> bool:
    """Whether an item was there before the checkpoint `before`."""
    parsed = parse_sk(item[SK]["S"])
    if parsed.kind == "b":
        return int(item.get("t", {"N": "0"})["N"]) < long_ago
    return parsed.kind in ("c", "w", "s") and parsed.parts[1] < before


def _run_pointers(items: Iterable[AttributeMap]) -> Iterator[Key]:
    """The pointers of the runs that wrote these checkpoints."""
    for item in items:
        if _kind(item) == "c" and "r" in item:
            yield Scope(item[PK]["S"], parse_sk(item[SK]["S"]).user_id).run(item["r"]["S"])


def _pointer(key: Key, thread_id: str) -> AttributeMap:
    return {PK: {"S": key.pk}, SK: {"S": key.sk}, "t": {"S": thread_id}}


def _value_digests(node: Node) -> Iterator[str]:
    return (leaf.at.digest for leaf in leaves(node) if isinstance(leaf.at, BlobRef))


def _is_referred(key: Key, values: set[str], segments: set[str]) -> bool:
    parsed = parse_sk(key.sk)
    if parsed.kind == "b":
        return parsed.parts[0] in values
    return "#".join(parsed.parts[1:]) in segments
