"""Messages that are too large for the conversation row: shortened there, and whole as a blob, which is stored once.

The rule: a shortened message says in `shortened` where the whole one is: `<digest of the message>:<reference of the
blob>`. It keeps that when it leaves the row for a page. Row and page list the references in an attribute of their own,
`blobs`, so that whoever removes blobs that nothing refers to need not read messages, which may be encrypted.
A `shortened` of another form is another program's: the message is shown as it is.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, PendingBlobs
from langgraph_dynamo_conv._format.attributes import from_attribute, to_attribute
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import BLOBS, AttributeMap, blob_ref_text, parse_blob_ref
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._format.tree import BlobRef
from langgraph_dynamo_conv._transcript.fitting import shorten
from langgraph_dynamo_conv._transcript.folding import Message

SHORTENED = "shortened"
"""The key of a shortened message that says where the whole one is."""

_CONTEXT = "message"
"""Checksum context of a message in a blob: it is found by its digest, wherever it is."""


class LargeMessages:
    """Shortens messages, stores them whole, and reads them back. Safe to share between threads."""

    def __init__(self, codec: Codec, blobs: Blobs) -> None:
        self._codec = codec
        self._blobs = blobs

    def shorten(
        self, messages: Iterable[Message], max_bytes: int, before: Iterable[Message], pending: PendingBlobs
    ) -> list[Message]:
        """The messages as a row shows them.

        Args:
            messages: Whole, or shortened already.
            max_bytes: The most bytes of one.
            before: Messages of the row as it was: what they have stored whole is not stored again.
            pending: Takes the blobs that are to be stored first.
        """
        stored = {one[SHORTENED].partition(":")[0]: one[SHORTENED] for one in before if ref_of(one) is not None}

        def shown(message: Message) -> Message:
            short = message if ref_of(message) is not None else shorten(message, max_bytes)
            if short is message:
                return message
            data = packed(message)
            digest = blake2b(data, digest_size=6).hexdigest()
            if digest not in stored:
                ref = self._blobs.add(self._codec.frame(data, _CONTEXT), pending)
                stored[digest] = f"{digest}:{blob_ref_text(ref)}"
            return {**short, SHORTENED: stored[digest]}

        return [shown(message) for message in messages]

    def store(self, scope: Scope, pending: PendingBlobs) -> None:
        """Store what `shorten` has put into `pending`."""
        self._blobs.store(scope, pending)

    def whole(self, scope: Scope, messages: Sequence[Message]) -> list[Message]:
        """The messages, shortened ones whole. Raises `CorruptDataError` if one is missing or damaged.

        Cost: nothing without shortened ones; else one Query for each, side by side.
        """
        refs = {ref.digest: ref for message in messages if (ref := ref_of(message)) is not None}
        if not refs:
            return list(messages)
        frames = self._blobs.fetch_frames(scope, refs.values())
        stored = {digest: unpacked(self._codec.unframe(frame, _CONTEXT)) for digest, frame in frames.items()}
        return [message if (ref := ref_of(message)) is None else stored[ref.digest] for message in messages]


def refs_of(messages: Iterable[Message]) -> list[str]:
    """The references of the blobs of shortened messages."""
    return sorted({blob_ref_text(ref) for message in messages if (ref := ref_of(message)) is not None})


def refs_attribute(messages: Iterable[Message]) -> AttributeMap:
    """The attribute that lists the blobs of messages, if there are any."""
    refs = refs_of(messages)
    return {BLOBS: {"L": [{"S": ref} for ref in refs]}} if refs else {}


def ref_of(message: Message) -> BlobRef | None:
    """The blob that has a message whole; None where the message is not shortened."""
    said = message.get(SHORTENED)
    return parse_blob_ref(said.partition(":")[2]) if isinstance(said, str) else None


def packed(value: Any) -> bytes:
    """A value of the row as bytes: the JSON of its attribute form."""
    text = json.dumps(to_attribute(value), separators=(",", ":"), ensure_ascii=False, default=_as_base64)
    return text.encode()


def unpacked(data: bytes) -> Any:
    """The value that `packed` gave."""
    return from_attribute(json.loads(data, object_hook=_with_bytes))


def _as_base64(data: Any) -> Any:
    """Bytes in the attribute form of JSON; sets of them as lists."""
    return base64.b64encode(data).decode() if isinstance(data, (bytes, bytearray)) else list(data)


def _with_bytes(node: dict[str, Any]) -> dict[str, Any]:
    """An attribute with its bytes. A map's own key "B" has an attribute under it, and never a text."""
    return {"B": base64.b64decode(node["B"])} if isinstance(node.get("B"), str) else node
