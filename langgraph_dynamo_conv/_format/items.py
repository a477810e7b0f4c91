"""One frozen record per kind of item, to and from DynamoDB's attribute form. Pure.

Attribute names of our own items are one letter, since every item pays for its names:

    checkpoint   k "c" change | "f" full, d frame (or v: the frame as a blob), p parent ("": it was removed), r run,
                 n namespace if digested; where a time to live is set: u when the conversation is over,
                 l when it is no longer listed, being kept only for those that build on it
    task writes  w<idx> frame of a regular write, x<idx> of a special one (idx 1 to 4), b<n> frame of a bundle, which
                 holds many regular writes (n counts from 0 without a gap); each or a reference to the frame as a
                 blob; t task id if digested, u
    segment, part  d frame, or bytes; t when it was written; a pointer to an object: d the object's name
    run pointer  t thread
    all          expires_at when DynamoDB may delete it, where a time to live is set; times are in epoch seconds
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from langgraph_dynamo_conv._format.frames import fingerprint
from langgraph_dynamo_conv._format.keys import PK, SK, Key, component_text, parse_sk
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


_BLOB_REF = re.compile(r"[0-9a-f]+:\d+:\d+")


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


@dataclass(frozen=True)
class CheckpointItem:
    """A checkpoint: a change against its parent, or full."""

    key: Key
    kind: str
    parent_id: str | None
    frame: bytes | None
    blob: BlobRef | None = None
    run_id: str | None = None
    ns: str | None = None
    times: Times = NEVER
    listed_until: int | None = None

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
        for name, text in (("p", self.parent_id), ("r", self.run_id), ("n", self.ns)):
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
        key = key_of(item)
        try:
            blob = parse_blob_ref(item["v"]["S"]) if "v" in item else None
            frame = bytes(item["d"]["B"]) if blob is None else None
            texts = [item[name]["S"] if name in item else None for name in ("p", "r", "n")]
            *times, listed = (int(item[name]["N"]) if name in item else None for name in _TIMES)
            return cls(key, item["k"]["S"], texts[0], frame, blob, texts[1], texts[2], Times(*times), listed)
        except (KeyError, ValueError, TypeError) as error:
            raise CorruptDataError(f"the checkpoint item at {key} is damaged: {error!r}", key=str(key)) from error

    def namespace(self) -> str:
        """The namespace, from its key or, where the key has only a digest, from the item."""
        text = component_text(parse_sk(self.key.sk).parts[0])
        return text if text is not None else self.ns or ""


def checkpoint_items(pages: Iterable[list[AttributeMap]]) -> Iterator[list[CheckpointItem]]:
    """Pages of checkpoints' records, as they are asked for. Raises what `CheckpointItem.from_attributes` does."""
    return (list(map(CheckpointItem.from_attributes, page)) for page in pages)


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
        _, checkpoint_id, escaped = parse_sk(key.sk).parts
        try:
            task_id = item["t"]["S"] if "t" in item else component_text(escaped) or ""
            until = int(item["u"]["N"]) if "u" in item else None
            frames = {
                name: bytes(value["B"]) if "B" in value else parse_blob_ref(value["S"])
                for name, value in item.items()
                if name[0] in "wxb" and name[1:].isdigit()
            }
        except (KeyError, ValueError, TypeError) as error:
            raise CorruptDataError(f"the task writes at {key} are damaged: {error!r}", key=str(key)) from error
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


def parse_blob_ref(text: str) -> BlobRef:
    """The reference in an attribute."""
    digest, size, parts = text.split(":")
    return BlobRef(digest, int(size), int(parts))


def blob_refs(item: AttributeMap) -> Iterator[BlobRef]:
    """The blobs to which the messages of a row or page refer. In a row, `blobs` can be another program's attribute."""
    texts = (ref.get("S", "") for ref in item.get(BLOBS, {}).get("L", ()))
    return (parse_blob_ref(text) for text in texts if _BLOB_REF.fullmatch(text))


def bytes_item(key: Key, data: bytes) -> AttributeMap:
    """A segment, or a part of a blob."""
    return {**key_attributes(key), "d": {"B": data}}


def bytes_of(item: AttributeMap, name: str = "d") -> bytes:
    """The bytes in an attribute of an item that was read.

    Raises:
        CorruptDataError: The attribute is missing or of another type.
    """
    try:
        return bytes(item[name]["B"])
    except (KeyError, TypeError) as error:
        key = str(key_of(item))
        raise CorruptDataError(f"the attribute '{name}' of the item at {key} holds no bytes", key=key) from error


def stamp(expires_at: int | None, until: int | None = None) -> AttributeMap:
    """The attribute that lets DynamoDB delete an item, and the one that says when its conversation is over; or none."""
    times = {EXPIRES_AT: expires_at, "u": until}
    return {name: {"N": str(time)} for name, time in times.items() if time is not None}


def item_fingerprint(item: CheckpointItem) -> bytes:
    """Tells whether an item is still the one that was seen."""
    if item.blob is not None:
        return item.blob.digest.encode()
    return fingerprint(item.frame or b"")
