"""Is everything of a conversation there and as it was written? Reads all of its items, and names what is damaged."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

from langgraph_dynamo_conv._calls.runtime import Runtime
from langgraph_dynamo_conv._checkpoints.blobs import missing_refs
from langgraph_dynamo_conv._checkpoints.writes import Write
from langgraph_dynamo_conv._format.items import (
    CHANGE,
    EXPIRES_AT,
    AttributeMap,
    CheckpointItem,
    WritesItem,
    blob_refs,
    blob_refs_of_row,
    bytes_of,
    is_revision,
    key_of,
    link_of,
    number_of,
)
from langgraph_dynamo_conv._format.keys import SK, Key, Scope, is_pointer, parse_sk
from langgraph_dynamo_conv._format.tree import BlobRef
from langgraph_dynamo_conv._rows.reading import oddities, oddities_of_messages
from langgraph_dynamo_conv._state.order import Trail, seconds_behind
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv.errors import CorruptDataError


@dataclass(frozen=True)
class Damage:
    """Something that is damaged or missing.

    Args:
        key: The item, as `conversation_id / sort key`.
        problem: What is wrong with it.
    """

    key: str
    problem: str


@dataclass(frozen=True)
class ForgottenTurn:
    """A turn that is in the transcript, and that LangGraph does not go on from, since its host's clock was behind.

    Args:
        key: Its first checkpoint, as `conversation_id / sort key`.
        last_checkpoint_id: Its newest checkpoint. A run that names it goes on from that turn.
        seconds_behind: How far at least that host's clock was behind the clock of the host that made the parent; None
            where the ids are not LangGraph's.
    """

    key: str
    last_checkpoint_id: str
    seconds_behind: float | None


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Args:
        items: Items that were read.
        checkpoints: Checkpoints among them.
        messages: Messages of the transcript that were found.
        damage: What is damaged or missing, in the order of the keys.
        forgotten: Turns whose state LangGraph has forgotten, in the order of the keys. They are no damage: the
            transcript has them, and so has the history.
    """

    items: int
    checkpoints: int
    messages: int
    damage: tuple[Damage, ...]
    forgotten: tuple[ForgottenTurn, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damage


class Verifier:
    """Verifies one conversation."""

    def __init__(self, runtime: Runtime, scope: Scope) -> None:
        self._runtime = runtime
        self._scope = scope
        self._damage: set[Damage] = set()
        self._items = 0
        self._checkpoints = 0
        self._messages = 0
        self._values: set[str] = set()
        self._pointed: set[str] = set()
        self._referring: dict[tuple[str, ...], list[tuple[Key, Write]]] = defaultdict(list)
        self._forgotten: tuple[ForgottenTurn, ...] = ()

    def run(self) -> Verification:
        """Read everything."""
        self._check(self._scope.row(), self._transcript)
        for item in self._all("m"):
            self._check(key_of(item), partial(self._older, item))
        for item in self._all("w"):
            self._check(key_of(item), partial(self._writes, item))
        for item in self._all("p"):
            self._check(key_of(item), partial(self._blob, item))
        segments = self._segments()
        for ns, items in groupby(self._checkpoint_items(), key=lambda item: parse_sk(item[SK]["S"]).parts[0]):
            self._namespace(list(items), segments.get(ns, {}))
        damage = sorted(self._damage, key=lambda one: (one.key, one.problem))
        return Verification(self._items, self._checkpoints, self._messages, tuple(damage), self._forgotten)

    def _all(self, kind: str) -> Iterator[AttributeMap]:
        """All items of a kind that have not expired, in the order of their keys."""
        for page in self._runtime.table.query(self._scope.thread_id, self._scope.prefix(kind)):
            for item in page:
                if not self._is_past(item):
                    self._items += 1
                    yield item

    def _checkpoint_items(self) -> Iterator[AttributeMap]:
        for item in self._all("c"):
            if is_revision(item):
                self._check(key_of(item), partial(bytes_of, item))
            else:
                yield item

    def _is_past(self, item: AttributeMap) -> bool:
        """Whether an item has expired; one whose time can't be read is damaged, and has not."""
        times: list[int] = []
        if EXPIRES_AT in item:
            self._check(key_of(item), lambda: times.append(number_of(item, EXPIRES_AT)))
        return any(map(self._runtime.expiry.is_past, times))

    def _check(self, key: Key, read: Callable[[], object]) -> None:
        try:
            read()
        except CorruptDataError as error:
            at = error.key if error.key and error.key.startswith(f"{self._scope.thread_id} / ") else str(key)
            self._damage.add(Damage(at, str(error)))

    def _transcript(self) -> None:
        self._items += 1
        transcript = self._runtime.rows.transcript(self._scope)
        if transcript is None:
            raise self._runtime.directory.not_found(self._scope)
        key, stored = str(self._scope.row()), self._runtime.table.get(self._scope.row()) or {}
        self._damage |= {Damage(key, oddity) for oddity in oddities(stored)}
        self._fetch(blob_refs_of_row(stored), self._runtime.blobs.fetch_frames)
        self._messages, count = len(transcript.messages), transcript.row.message_count
        if "N" in stored.get("message_count", {}) and transcript.row.attributes["message_count"] != count:
            self._damage.add(Damage(key, f"'message_count' is not {count}, as there are messages"))
        if self._messages < count:
            self._damage.add(Damage(key, f"{count - self._messages} of {count} messages are missing"))

    def _older(self, item: AttributeMap) -> None:
        self._runtime.pages.page_of(item)
        self._damage |= {Damage(str(key_of(item)), oddity) for oddity in oddities_of_messages(item)}
        self._fetch(blob_refs(item), self._runtime.blobs.fetch_frames)

    def _writes(self, item: AttributeMap) -> None:
        record = WritesItem.from_attributes(item)
        for frame in record.frames.values():
            if isinstance(frame, BlobRef):
                self._pointer(frame)
        for write in self._runtime.writes.decoded(self._scope, [record]):
            self._fetch(missing_refs(write.node))
            if write.built_on:
                self._referring[tuple(parse_sk(key_of(item).sk).parts[:2])].append((key_of(item), write))

    def _blob(self, item: AttributeMap) -> None:
        """A part, or the pointer to an object, which has no name while the object is being stored."""
        number_of(item, "t")
        if "d" in item or not is_pointer(key_of(item)):
            bytes_of(item)

    def _segments(self) -> dict[str, dict[str, Any]]:
        """The segments that are whole, by namespace (as in keys) and id."""
        segments: dict[str, dict[str, Any]] = {}
        for item in self._all("s"):
            self._check(key_of(item), partial(self._segment, item, segments))
        return segments

    def _segment(self, item: AttributeMap, segments: dict[str, dict[str, Any]]) -> None:
        number_of(item, "t")
        ns, checkpoint_id, number = parse_sk(item[SK]["S"]).parts
        decoded = self._runtime.checkpoints.segments.decode(item)
        segments.setdefault(ns, {})[f"{checkpoint_id}#{number}"] = decoded

    def _namespace(self, items: list[AttributeMap], segments: dict[str, Any]) -> None:
        self._checkpoints += len(items)
        links = (link_of(item) for item in items)
        builders = Counter(parse_sk(link.parent.sk).parts[1] for link in links if link.parent is not None)
        stored_by_id: dict[str, StoredCheckpoint] = {}
        for item in items:
            self._check(key_of(item), partial(self._checkpoint, item, stored_by_id, builders, segments))
        self._check(key_of(items[-1]), partial(self._parents, [one for one in map(_record_of, items) if one]))

    def _parents(self, records: list[CheckpointItem]) -> None:
        """Go back over the parents of all checkpoints that can be read: there is no ring, and who is forgotten."""
        by_id = {record.checkpoint_id: record for record in records}
        whole: set[str] = set()
        of_newest: set[str] = set()
        for record in reversed(records):
            trail, way, back = Trail(), list[str](), by_id.get(record.checkpoint_id)
            while back is not None and back.checkpoint_id not in whole:
                trail.add(back.key)
                way.append(back.checkpoint_id)
                back = by_id.get(back.parent_id or "")
            whole.update(way)
            of_newest = of_newest or set(way)
        if records and records[0].namespace() == "":
            self._forgotten = tuple(_forgotten(records, of_newest))

    def _checkpoint(
        self,
        item: AttributeMap,
        stored_by_id: dict[str, StoredCheckpoint],
        builders: Counter[str],
        segments: dict[str, Any],
    ) -> None:
        """Rebuild a checkpoint, and keep it as long as others build on it."""
        record = CheckpointItem.from_attributes(item)
        before = None
        if record.kind == CHANGE:
            before = stored_by_id.get(record.parent_id or "")
            builders[record.parent_id or ""] -= 1
            if before is None:
                raise CorruptDataError(f"it builds on {record.parent_id}, which is missing or damaged")
            if not builders[before.checkpoint_id]:
                del stored_by_id[before.checkpoint_id]
        namespace = self._scope.namespace(record.namespace())
        stored = self._runtime.checkpoints.replay(namespace, [record], segments, before)[-1]
        if record.blob is not None:
            self._pointer(record.blob)
        self._fetch(missing_refs(stored.tree))
        for key, write in self._referring.pop(tuple(parse_sk(record.key.sk).parts[:2]), []):
            self._check(key, partial(write.whole, stored))
        if builders[record.checkpoint_id]:
            stored_by_id[record.checkpoint_id] = stored

    def _fetch(self, refs: Iterable[BlobRef], fetch: Callable[[Scope, list[BlobRef]], object] | None = None) -> None:
        """Read large values, each once, and one at a time: together they can be larger than memory."""
        fetch = fetch or self._runtime.blobs.fetch_stored
        for ref in refs:
            if ref.digest not in self._values:
                self._values.add(ref.digest)
                fetch(self._scope, [ref])
                self._pointer(ref)

    def _pointer(self, ref: BlobRef) -> None:
        """An object is read without its pointer; but what copies, restores or deletes would not find it."""
        key = self._scope.pointer(ref.digest)
        if not ref.parts and ref.digest not in self._pointed:
            if self._runtime.table.get(key) is None:
                raise CorruptDataError(f"the item that points to an object in S3 is missing at {key}", key=str(key))
            self._pointed.add(ref.digest)


def _record_of(item: AttributeMap) -> CheckpointItem | None:
    """The checkpoint's record; None if it is damaged, which `Verifier` says of the item itself."""
    try:
        return CheckpointItem.from_attributes(item)
    except CorruptDataError:
        return None


def _forgotten(records: list[CheckpointItem], of_newest: set[str]) -> Iterator[ForgottenTurn]:
    """The turns that began with a smaller id than their parent's and did not come to be the newest state.

    Args:
        records: All checkpoints of the root, by id.
        of_newest: Ids of the newest and its ancestors.
    """
    children: dict[str | None, list[CheckpointItem]] = defaultdict(list)
    for record in records:
        children[record.parent_id].append(record)
    for record in records:
        parent_id, last, below = record.parent_id, record.checkpoint_id, [record]
        if parent_id is None or record.checkpoint_id > parent_id or record.checkpoint_id in of_newest:
            continue
        while below:
            one = below.pop()
            last = max(last, one.checkpoint_id)
            below += [child for child in children[one.checkpoint_id] if child.checkpoint_id > one.checkpoint_id]
        yield ForgottenTurn(str(record.key), last, seconds_behind(record.checkpoint_id, parent_id))
