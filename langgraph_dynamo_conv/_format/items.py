"""One frozen record per kind of item, to and from DynamoDB's attribute form. Pure.

Attribute names of our own items are one letter, since every item pays for its names:

    checkpoint   k "c" change | "f" full, d frame (or v: the frame as a blob), p parent ("": it was removed), r run,
                 n namespace if digested; where a time to live is set: u when the conversation is over,
                 l when it is no longer listed, being kept only for those that build on it
    task writes  w<idx> frame of a regular write, x<idx> of a special one (idx 1 to 4), b<n> frame of a bundle, which
                 holds many regular writes (n counts from 0 without a gap); each or a reference to the frame as a
                 blob; t task id if digested, u
    revision     d bytes that were never there before
    segment, part  d frame, or bytes; t when it was written; a pointer to an object: d the object's name
    run pointer  t thread
    all          expires_at when DynamoDB may delete it, where a time to live is set; times are in epoch seconds

They are read strictly: an attribute of our items that is missing or of another type is a `CorruptDataError` that names
item and attribute. `text_of`, `number_of`, `bytes_of` and `blob_ref_of` are the only ways to a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from langgraph_dynamo_conv._format.frames import fingerprint
from langgraph_dynamo_conv._format.keys import PK, SK, Key, Scope, component, component_text, parse_sk
from langgraph_dynamo_conv._format.tree import BlobRef
from langgraph_dynamo_conv.errors import CorruptDataError

AttributeMap = dict[str, dict[str, Any]]
"""An item or key as botocore's DynamoDB client takes and gives it."""

EXPIRES_AT = "expires_at"
"""The attribute by which DynamoDB deletes items."""

LIVE_UNTIL = "live_until"
"""The attribute of a row that says, in epoch seconds, when the conversation is over."""

BLOBS = "blobs"
"""The attribute of a row or page that lists the blobs to which its messages refer."""

CHANGE, FULL = "c", "f"
REMOVED = ""
"""The parent of a checkpoint whose ancestors were all removed."""

_TIMES = ("u", EXPIRES_AT, "l")


_BLOB_REF = re.compile(r"([0-9a-f]+):([0-9]{1,12}):([0-9]{1,5})")
_WRITE = re.compile(r"[wxb][0-9]+")


class Times(NamedTuple):
    """When a conversation is over if it has no later turn, and when DynamoDB may delete an item of it; None: never."""

    until: int | None = None
    expires_at: int | None = None


NEVER = Times()


def key_attributes(key: Key) -> AttributeMap:
    """A key as requests name it."""
    return {PK: {"S": key.pk}, SK: {"S": key.sk}}


def key_of(item: AttributeMap) -> Key:
    """The key of an item that was read."""
    return Key(item[PK]["S"], item[SK]["S"])


class Origin(NamedTuple):
    """The checkpoint that a sub-graph was called from: its namespace, as in LangGraph's `checkpoint_ns`, and its id."""

    ns: str
    checkpoint_id: str


@dataclass(frozen=True)
class CheckpointItem:
    """A checkpoint: a change against its parent, or full. `origin` is what a full one refers to, if it does."""

    key: Key
    kind: str
    parent_id: str | None
    frame: bytes | None
    blob: BlobRef | None = None
    run_id: str | None = None
    ns: str | None = None
    times: Times = NEVER
    listed_until: int | None = None
    origin: Origin | None = None

    @property
    def checkpoint_id(self) -> str:
        """The checkpoint's id, from its key."""
        return self.key.sk.rsplit("#", 1)[1]

    @property
    def size(self) -> int:
        """About its bytes as DynamoDB counts them."""
        body = len(self.frame) if self.frame is not None else 60
        return body + len(self.key.pk) + len(self.key.sk) + 80

    def to_attributes(self) -> AttributeMap:
        """The item as a request carries it."""
        item = {**key_attributes(self.key), "k": {"S": self.kind}}
        if self.frame is not None:
            item["d"] = {"B": self.frame}
        if self.blob is not None:
            item["v"] = {"S": blob_ref_text(self.blob)}
        origin = f"{self.origin.checkpoint_id}#{self.origin.ns}" if self.origin is not None else None
        for name, text in (("p", self.parent_id), ("r", self.run_id), ("n", self.ns), ("o", origin)):
            if text is not None:
                item[name] = {"S": text}
        for name, time in zip(_TIMES, (*self.times, self.listed_until), strict=True):
            if time is not None:
                item[name] = {"N": str(time)}
        return item

    @classmethod
    def from_attributes(cls, item: AttributeMap) -> CheckpointItem:
        """The record of an item that was read.

        Raises:
            CorruptDataError: An attribute is missing or of another type.
        """
        blob = blob_ref_of(item, "v") if "v" in item else None
        frame = bytes_of(item, "d") if blob is None else None
        parent_id, run_id, ns = (text_of(item, name) if name in item else None for name in ("p", "r", "n"))
        origin = origin_of(item)
        *times, listed = (number_of(item, name) if name in item else None for name in _TIMES)
        if (kind := text_of(item, "k")) not in (CHANGE, FULL):
            raise odd(item, "k", "it says neither change nor full")
        key = key_of(item)
        if component_text(in_key := parse_sk(key.sk).parts[0]) is None and component(ns or "") != in_key:
            raise odd(item, "n", "it is not the namespace whose digest the key has")
        return cls(key, kind, parent_id, frame, blob, run_id, ns, Times(*times), listed, origin)

    def namespace(self) -> str:
        """The namespace, from its key or, where the key has only a digest, from the item."""
        text = component_text(parse_sk(self.key.sk).parts[0])
        return text if text is not None else self.ns or ""


def origin_of(item: AttributeMap) -> Origin | None:
    """What a checkpoint's item refers to in another namespace. Raises `CorruptDataError` if that is no such text."""
    if "o" not in item:
        return None
    checkpoint_id, _, ns = text_of(item, "o").partition("#")
    return Origin(ns, checkpoint_id)


class Link(NamedTuple):
    """A checkpoint's key, and that of the checkpoint it builds on or refers to, if it does."""

    key: Key
    parent: Key | None


def link_of(item: AttributeMap) -> Link:
    """The link of a checkpoint item, also of a damaged one."""
    key = key_of(item)
    parent_id = item.get("p", {}).get("S")
    checkpoint_id, _, ns = item.get("o", {}).get("S", "").partition("#")
    if checkpoint_id:
        return Link(key, Scope(key.pk, parse_sk(key.sk).user_id).namespace(ns).checkpoint(checkpoint_id))
    if item.get("k") != {"S": CHANGE} or parent_id is None:
        return Link(key, None)
    return Link(key, Key(key.pk, f"{key.sk.rpartition('#')[0]}#{parent_id}"))


RowSeen = Callable[[AttributeMap | None], None]
"""Is told what a read of checkpoints found where the conversation row would be; not if it did not come there."""


def _above_row(pages: Iterable[list[AttributeMap]], scope: Scope, seen: RowSeen) -> Iterator[list[AttributeMap]]:
    """Pages of the root's checkpoints, newest first, from a Query whose range goes down to the conversation row.

    Between them are only items of other users, such as `alice!` for `alice`, at which it ends.
    """
    prefix = scope.namespace().prefix("c")
    for page in pages:
        checkpoints = [item for item in page if item[SK]["S"].startswith(prefix)]
        if len(checkpoints) < len(page):
            if page[len(checkpoints)][SK]["S"] == scope.row().sk:
                seen(page[len(checkpoints)])
            yield checkpoints
            return
        yield checkpoints
    seen(None)


def checkpoint_items(
    pages: Iterable[list[AttributeMap]], scope: Scope | None = None, row_seen: RowSeen | None = None
) -> Iterator[list[CheckpointItem]]:
    """Pages of checkpoints' records, as they are asked for; with `scope` and `row_seen` of a range down to its row.

    Raises what `CheckpointItem.from_attributes` does.
    """
    return map(checkpoints_of, _above_row(pages, scope, row_seen) if scope and row_seen else pages)


def checkpoints_of(page: Iterable[AttributeMap]) -> list[CheckpointItem]:
    """The checkpoints among items, without a revision. Raises what `CheckpointItem.from_attributes` does."""
    return [CheckpointItem.from_attributes(item) for item in page if not is_revision(item)]


def is_revision(item: AttributeMap) -> bool:
    """Whether an item is a namespace's revision, which is read with its checkpoints."""
    return parse_sk(item[SK]["S"]).kind == "v"


@dataclass(frozen=True)
class WritesItem:
    """Pending writes of one task: frames by the attribute that has them, of one write (w, x) or of a bundle (b)."""

    key: Key
    frames: Mapping[str, bytes | BlobRef]
    task_id: str
    checkpoint_id: str = field(default="")
    until: int | None = None

    @classmethod
    def from_attributes(cls, item: AttributeMap) -> WritesItem:
        """The record of an item that was read.

        Raises:
            CorruptDataError: An attribute is of another type.
        """
        key = key_of(item)
        _, checkpoint_id, in_key = parse_sk(key.sk).parts
        from_key = component_text(in_key)
        task_id = text_of(item, "t") if from_key is None or "t" in item else from_key
        if task_id != from_key and component(task_id) != in_key:
            raise odd(item, "t", "it is not the task whose digest the key has")
        frames = {
            name: bytes_of(item, name) if "B" in value else blob_ref_of(item, name)
            for name, value in item.items()
            if _WRITE.fullmatch(name)
        }
        until = number_of(item, "u") if "u" in item else None
        return cls(key, frames, task_id, checkpoint_id, until)


def write_name(index: int) -> str:
    """Attribute of the write with this index."""
    return f"w{index}" if index >= 0 else f"x{-index}"


def write_index(name: str) -> int:
    """Index of the write in this attribute."""
    return int(name[1:]) if name[0] == "w" else -int(name[1:])


def bundle_name(number: int) -> str:
    """Attribute of a task's bundle of writes with this number."""
    return f"b{number}"


def is_bundle(name: str) -> bool:
    """Whether an attribute of task writes has a bundle."""
    return name[0] == "b"


def blob_ref_text(blob: BlobRef) -> str:
    """A reference to a blob, as an attribute."""
    return f"{blob.digest}:{blob.size}:{blob.parts}"


def parse_blob_ref(text: str) -> BlobRef | None:
    """The reference in an attribute's text; None if it is none."""
    match = _BLOB_REF.fullmatch(text)
    return BlobRef(match[1], int(match[2]), int(match[3])) if match else None


def blob_refs(item: AttributeMap) -> Iterator[BlobRef]:
    """The blobs to which the messages of a page refer. Raises `CorruptDataError` where `blobs` holds anything else."""
    refs = item.get(BLOBS, {"L": []}).get("L")
    if refs is None:
        raise odd(item, BLOBS, _type_problem(item[BLOBS], "L"))
    for ref in refs:
        blob = parse_blob_ref(ref.get("S", ""))
        if blob is None:
            raise odd(item, BLOBS, "it holds what is no reference")
        yield blob


def blob_refs_of_row(row: AttributeMap) -> Iterator[BlobRef]:
    """The same of a row, in which `blobs` can be another program's attribute: what is no reference is passed over."""
    found = (parse_blob_ref(ref.get("S", "")) for ref in row.get(BLOBS, {}).get("L", ()))
    return (blob for blob in found if blob is not None)


def bytes_item(key: Key, data: bytes) -> AttributeMap:
    """A segment, or a part of a blob."""
    return {**key_attributes(key), "d": {"B": data}}


def bytes_of(item: AttributeMap, name: str = "d") -> bytes:
    """The bytes in an attribute. Raises `CorruptDataError` where it is missing or of another type."""
    return bytes(_value(item, name, "B"))


def text_of(item: AttributeMap, name: str) -> str:
    """The text in an attribute. Raises `CorruptDataError` where it is missing or of another type."""
    return str(_value(item, name, "S"))


def number_of(item: AttributeMap, name: str) -> int:
    """The whole number in an attribute. Raises `CorruptDataError` where it is missing, of another type or none."""
    try:
        return int(_value(item, name, "N"))
    except ValueError:
        raise odd(item, name, "it is no whole number") from None


def blob_ref_of(item: AttributeMap, name: str) -> BlobRef:
    """The reference in an attribute. Raises `CorruptDataError` where it is missing, of another type or none."""
    blob = parse_blob_ref(text_of(item, name))
    if blob is None:
        raise odd(item, name, "it is no reference")
    return blob


def odd(item: AttributeMap, name: str, problem: str) -> CorruptDataError:
    """The error for an attribute of our items that is not as we write it."""
    key = str(key_of(item))
    return CorruptDataError(
        f"the attribute '{name}' of the item at {key} is not as this package writes it: {problem}. Restore the item "
        "from a backup, or delete the conversation",
        key=key,
    )


def _value(item: AttributeMap, name: str, kind: str) -> Any:
    attribute = item.get(name, {})
    if kind not in attribute:
        raise odd(item, name, _type_problem(attribute, kind))
    return attribute[kind]


def _type_problem(attribute: Mapping[str, Any], kind: str) -> str:
    return f"it is of type {next(iter(attribute))}, not {kind}" if attribute else "it is missing"


def stamp(expires_at: int | None, until: int | None = None) -> AttributeMap:
    """The attribute that lets DynamoDB delete an item, and the one that says when its conversation is over; or none."""
    times = {EXPIRES_AT: expires_at, "u": until}
    return {name: {"N": str(time)} for name, time in times.items() if time is not None}


def item_fingerprint(item: CheckpointItem) -> bytes:
    """Tells whether an item is still the one that was seen."""
    if item.blob is not None:
        return item.blob.digest.encode()
    return fingerprint(item.frame or b"")
