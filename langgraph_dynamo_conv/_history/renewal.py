"""What a live conversation needs gets a new `expires_at` before its old one comes. `_state/expiry.py` has the plan.

Needed are: of each namespace the newest checkpoint with the chain that it builds on, the ancestors that a
`DeltaChannel` replays, and the task writes of all these; the segments and blobs that they refer to; the messages that
left the row; the row itself. Namespaces of single tasks (`node:<task>`) count only while the root's newest step may
still resume them: where they are not surely older than it. History beyond that goes when its time comes, whole chains
at once: what is kept only because a newer checkpoint needs it is no longer listed from then on, since what it needs
itself may be gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from langgraph_dynamo_conv._checkpoints.blobs import all_refs
from langgraph_dynamo_conv._checkpoints.cache import CheckpointCache
from langgraph_dynamo_conv._checkpoints.ended import EndedConversations
from langgraph_dynamo_conv._checkpoints.loading import CHAIN_PAGE, Checkpoints
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites
from langgraph_dynamo_conv._format.items import (
    EXPIRES_AT,
    LIVE_UNTIL,
    NEVER,
    AttributeMap,
    CheckpointItem,
    Times,
    WritesItem,
    blob_refs,
    blob_refs_of_row,
    checkpoints_of,
    is_revision,
    key_of,
    number_of,
)
from langgraph_dynamo_conv._format.keys import PK, Key, Namespace, Scope, after_prefix, parse_sk
from langgraph_dynamo_conv._format.tree import BlobRef
from langgraph_dynamo_conv._history.ancestry import ancestry
from langgraph_dynamo_conv._history.removal import Removal, kind_of
from langgraph_dynamo_conv._state.chain import orphans
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.order import CLOCKS_DIFFER_SECONDS, seconds_behind
from langgraph_dynamo_conv._state.planning import Caller
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._state.stored import StoredCheckpoint, replayed_channels
from langgraph_dynamo_conv._storage.failures import ConditionFailed
from langgraph_dynamo_conv._storage.table import Table

_OF_A_TASK = ":"
_UNTIL = {"c": "u", "row": LIVE_UNTIL}


class Renewal:
    """Gives checkpoints their times, and what they need theirs. Safe to share between threads."""

    def __init__(
        self,
        table: Table,
        serializer: Serializer,
        cache: CheckpointCache,
        checkpoints: Checkpoints,
        removal: Removal,
        writes: TaskWrites,
        expiry: Expiry,
        ended: EndedConversations,
    ) -> None:
        self._table = table
        self._serializer = serializer
        self._cache = cache
        self._checkpoints = checkpoints
        self._removal = removal
        self._writes = writes
        self._expiry = expiry
        self._ended = ended

    def times(
        self,
        namespace: Namespace,
        checkpoint_id: str,
        parent: StoredCheckpoint | None,
        caller: Caller | None = None,
    ) -> Times:
        """The times of a checkpoint that is about to be stored, on its parent or, without one, on its caller's state.

        Cost: nothing, but once in a slack's time a read of the conversation's checkpoints and one UpdateItem for each
        item that it needs, 1 write unit for each KB of it.
        """
        if parent is None:
            if namespace.ns == "" and self._ended.pop_ended(namespace.scope):
                self._removal.clear(namespace.scope, checkpoint_id)
            if caller is None:
                return self._expiry.fresh()
            namespace, parent = namespace.scope.namespace(caller.origin.ns), caller.stored
        if parent.expires_at is None and not self._expiry.is_on:
            return NEVER
        if not self._expiry.is_due(parent.expires_at):
            return Times(self._expiry.until(), parent.expires_at)
        times = self._expiry.fresh()
        self._renew(namespace, parent.checkpoint_id, times)
        return times

    def before_writes(self, namespace: Namespace, checkpoint_id: str) -> None:
        """A step that is interrupted again and again stores writes and no checkpoint: let its checkpoint live on."""
        if self._ended.is_due(namespace, checkpoint_id):
            self._renew(namespace, checkpoint_id, self._expiry.fresh())

    def _renew(self, namespace: Namespace, checkpoint_id: str, times: Times) -> None:
        scope = namespace.scope
        needs = _Needs(scope)
        for head, head_id in self._heads(namespace, checkpoint_id, needs):
            self._add_checkpoints(needs, head, head_id)
            self._add_writes(needs, head)
        for page in self._table.query(scope.thread_id, scope.prefix("m")):
            needs.others |= {key_of(item) for item in page}
            needs.add_blobs(ref for item in page for ref in blob_refs(item))
        needs.add_blobs(blob_refs_of_row(self._table.get(scope.row()) or {}))
        if any(self._expiry.is_late(item.times.expires_at) for item in needs.checkpoints.values()):
            self._table.all_of(partial(self._stamp, key, times) for key in self._late(scope) if key not in needs.others)
        self._table.all_of(partial(self._stamp, key, times) for key in needs.others)
        for key, item in sorted(needs.checkpoints.items()):  # what others build on first, should this process die
            self._stamp(key, times, needs.listed_until(item, times))
        self._cache.forget(scope.thread_id, scope.user_id)
        self._ended.note_expiry(namespace, checkpoint_id, times.expires_at)

    def _heads(self, namespace: Namespace, checkpoint_id: str, needs: _Needs) -> list[tuple[Namespace, str]]:
        """Namespace and id of the newest checkpoints that are needed, and of this one; revisions are needed too."""
        scope = namespace.scope
        there: list[CheckpointItem] = []
        for page in self._table.query(scope.thread_id, scope.prefix("c")):
            needs.others |= {key_of(item) for item in page if is_revision(item)}
            items = checkpoints_of(page)
            there += [replace(item, frame=None) for item in items if not self._expiry.is_past(item.times.expires_at)]
        left = orphans(there)
        newest: dict[str, str] = {}
        for item in there:
            if item.key not in left:
                newest[item.namespace()] = max(item.checkpoint_id, newest.get(item.namespace(), ""))
        root = newest.get("", "")
        needed = {(ns, head) for ns, head in newest.items() if _OF_A_TASK not in ns or not _is_before(head, root)}
        return [(scope.namespace(ns), head) for ns, head in sorted(needed | {(namespace.ns, checkpoint_id)})]

    def _add_checkpoints(self, needs: _Needs, namespace: Namespace, head: str, *, is_head: bool = True) -> None:
        if is_head:
            needs.heads.add(namespace.checkpoint(head))
        replayed: set[str] | None = None
        segments: dict[str, Any] = {}
        for item, pages in ancestry(self._checkpoints, namespace, head, CHAIN_PAGE):
            chain = pages.chain(item)
            if (origin := chain[0].origin) is not None:
                self._add_checkpoints(needs, namespace.scope.namespace(origin.ns), origin.checkpoint_id, is_head=False)
            stored = self._checkpoints.replay(namespace, chain, segments)[-1]
            needs.add_chain(namespace, chain, stored)
            values = stored.tree["channel_values"].keys()
            replayed = replayed_channels(stored, self._serializer) if replayed is None else replayed - values
            if not replayed:
                break

    def _add_writes(self, needs: _Needs, namespace: Namespace) -> None:
        ids = needs.ids.get(namespace)
        if not ids:
            return
        first, last = namespace.writes(min(ids)), after_prefix(namespace.writes(max(ids)))
        for page in self._table.query(namespace.scope.thread_id, namespace.prefix("w"), first=first, last=last):
            for item in map(WritesItem.from_attributes, page):
                if item.checkpoint_id in ids:
                    needs.others.add(item.key)
                    needs.add_blobs(self._writes.refs(namespace.scope, item))

    def _late(self, scope: Scope) -> Iterator[Key]:
        """Items from before a time to live was set, or from when it was longer."""
        for page in self._table.query(scope.thread_id, scope.prefix()):
            for item in page:
                if self._expiry.is_late(number_of(item, EXPIRES_AT) if EXPIRES_AT in item else None):
                    yield key_of(item)

    def _stamp(self, key: Key, times: Times, listed_until: int | None = None) -> None:
        """Give an item its times. One that somebody has removed meanwhile stays away."""
        until = _UNTIL.get(parse_sk(key.sk).kind)
        with suppress(ConditionFailed):
            self._table.update(key, ConditionExpression="attribute_exists(#pk)", **_change(times, until, listed_until))


def _is_before(checkpoint_id: str, root: str) -> bool:
    """Whether a checkpoint was made before another, as far as hosts' clocks tell."""
    seconds = seconds_behind(checkpoint_id, root)
    return checkpoint_id < root and (seconds is None or seconds > CLOCKS_DIFFER_SECONDS)


class _Needs:
    """Keys of what a conversation needs."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.checkpoints: dict[Key, CheckpointItem] = {}
        self.heads: set[Key] = set()
        self.others: set[Key] = {scope.row()}
        self.ids: dict[Namespace, set[str]] = {}

    def add_chain(self, namespace: Namespace, chain: list[CheckpointItem], stored: StoredCheckpoint) -> None:
        """A checkpoint with all that it builds on and refers to."""
        self.checkpoints |= {item.key: item for item in chain}
        self.ids.setdefault(namespace, set()).update(item.checkpoint_id for item in chain)
        self.others |= {self.scope.run(item.run_id) for item in chain if item.run_id}
        self.others |= {namespace.segment(segment) for segment in stored.segments}
        self.add_blobs(item.blob for item in chain if item.blob)
        self.add_blobs(all_refs(stored.tree))

    def listed_until(self, item: CheckpointItem, times: Times) -> int | None:
        """When a checkpoint is no longer listed that is needed by others alone; None if it stays listed."""
        ends = [end for end in (item.listed_until, item.times.expires_at, times.expires_at) if end is not None]
        return None if item.key in self.heads else min(ends, default=None)

    def add_blobs(self, refs: Iterable[BlobRef]) -> None:
        """The parts of blobs, or the pointers to their objects."""
        for ref in refs:
            parts = {self.scope.part(ref.digest, number) for number in range(ref.parts)}
            self.others |= parts or {self.scope.pointer(ref.digest)}


def timed(item: AttributeMap, times: Times) -> AttributeMap:
    """An item of a conversation that begins to live anew, with its times."""
    by_name = {EXPIRES_AT: times.expires_at, _UNTIL.get(kind_of(item), ""): times.until}
    return {**item, **{name: {"N": str(time)} for name, time in by_name.items() if name}}


def _change(times: Times, until: str | None, listed_until: int | None) -> dict[str, Any]:
    """The update that sets an item's times, or removes them.

    Args:
        times: The times.
        until: The attribute that says when the conversation is over; None for items that do not say it.
        listed_until: When a checkpoint is no longer listed, or None.
    """
    by_name = {EXPIRES_AT: times.expires_at, **({until: times.until or 0} if until else {})}
    is_set = times.expires_at is not None
    names = {"#pk": PK, **{f"#{name}": name for name in by_name}}
    values = {f":{name}": value for name, value in by_name.items() if is_set}
    values |= {":l": listed_until} if listed_until is not None else {}
    sets = [f"l = {name}" if name == ":l" else f"#{name[1:]} = {name}" for name in values]
    gone = [] if is_set else [f"#{name}" for name in by_name]
    parts = [f"SET {', '.join(sets)}" if sets else "", f"REMOVE {', '.join(gone)}" if gone else ""]
    update: dict[str, Any] = {"UpdateExpression": " ".join(filter(None, parts)), "ExpressionAttributeNames": names}
    if values:
        update["ExpressionAttributeValues"] = {name: {"N": str(value)} for name, value in values.items()}
    return update
