"""Messages that left the conversation row, and whole copies of those that the row shows shortened.

They are kept in message items, a run of consecutive messages in each, keyed by the number of the first. A number can be
in several items after a fork or a crash; the item with the largest first number counts. So storing a run removes the
items of an earlier branch that begin within it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, PendingBlobs
from langgraph_dynamo_conv._format.attributes import from_attribute, size_of, to_attribute
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import (
    EXPIRES_AT,
    AttributeMap,
    blob_ref_text,
    bytes_of,
    key_attributes,
    key_of,
    parse_blob_ref,
    stamp,
)
from langgraph_dynamo_conv._format.keys import SK, Key, Scope, parse_sk
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv._transcript.fitting import shorten
from langgraph_dynamo_conv._transcript.folding import Message

_ITEM_BYTES = 256 * 1024
"""Messages of one item; a larger single message is stored as a blob, and shortened in its item."""

_CONTEXT = "messages"
"""Checksum context of messages in a blob: it is found by its digest, wherever it is."""

_LAST = 10**10 - 1
"""The largest number that a message can have."""


class MessageItems:
    """Stores and reads message items. Safe to share between threads."""

    def __init__(self, table: Table, codec: Codec, blobs: Blobs, expiry: Expiry) -> None:
        self._expiry = expiry
        self._table = table
        self._codec = codec
        self._blobs = blobs

    def put(self, scope: Scope, numbered: list[tuple[int, Message]], replaced: int = 0) -> None:
        """Store messages by their numbers. Storing them again is harmless.

        Args:
            scope: Conversation and user.
            numbered: The messages.
            replaced: Numbers below this may be in items of an earlier branch.

        Cost: one PutItem for each 256 KB of consecutive messages; one small Query more for numbers below `replaced`.
        """
        for first, batch in _runs(numbered):
            key = scope.messages(first)
            pending: PendingBlobs = {}
            item = self._item(key, batch, pending)
            self._table.side_by_side(*self._blobs.requests(scope, pending))
            self._table.put(item)
            if len(batch) > 1 and first < replaced:
                self.remove(scope, first + 1, first + len(batch) - 1)

    def read(self, scope: Scope, first: int, last: int) -> dict[int, Message]:
        """Messages from number `first` to before `last`, as far as they are stored, by number.

        Cost: one Query for each MB.
        """
        messages: dict[int, Message] = {}
        if first >= last:
            return messages
        pages = self._table.query(
            scope.thread_id, scope.prefix("m"), last=scope.messages(last - 1).sk, newest_first=True
        )
        for item in (item for page in pages for item in page if not self._is_past(item)):
            start = int(parse_sk(item[SK]["S"]).parts[0])
            for number, message in enumerate(self.messages_of(scope, item), start):
                if first <= number < last:
                    messages.setdefault(number, message)
            if start <= first:
                break
        return messages

    def remove(self, scope: Scope, first: int = 0, last: int = _LAST) -> None:
        """Delete the message items that begin with these numbers.

        Cost: one Query for each MB, and one DeleteItem for each item.
        """
        low, high = scope.messages(first).sk, scope.messages(last).sk
        pages = self._table.query(scope.thread_id, scope.prefix("m"), first=low, last=high, keys_only=True)
        for key in [key_of(item) for page in pages for item in page]:
            self._table.delete(key)

    def _is_past(self, item: AttributeMap) -> bool:
        return EXPIRES_AT in item and self._expiry.is_past(int(item[EXPIRES_AT]["N"]))

    def _item(self, key: Key, batch: list[Message], pending: PendingBlobs) -> AttributeMap:
        item = {**key_attributes(key), **stamp(self._expiry.expires_at())}
        too_large = size_of(batch) > _ITEM_BYTES
        if too_large:
            frame = self._codec.frame(packed(batch), _CONTEXT)
            item["v"] = {"S": blob_ref_text(self._blobs.add(frame, pending))}
        if self._codec.encryptor is None:
            shortened = [shorten(message, _ITEM_BYTES) for message in batch] if too_large else batch
            item["messages"] = to_attribute(shortened)
        elif not too_large:
            item["sealed"] = {"B": self._codec.frame(packed(batch), key.sk)}
        return item

    def messages_of(self, scope: Scope, item: AttributeMap) -> list[Message]:
        """The messages of an item."""
        messages: list[Message]
        if "v" in item:
            ref = parse_blob_ref(item["v"]["S"])
            frame = self._blobs.fetch_frames(scope, [ref])[ref.digest]
            messages = unpacked(self._codec.unframe(frame, _CONTEXT))
        elif "sealed" in item:
            messages = unpacked(self._codec.unframe(bytes_of(item, "sealed"), item[SK]["S"]))
        else:
            self._codec.refuse_plaintext(item[SK]["S"])
            messages = from_attribute(item["messages"])
        return messages


def packed(value: Any) -> bytes:
    """A value of the row as bytes: the JSON of its attribute form."""
    return json.dumps(to_attribute(value), separators=(",", ":"), ensure_ascii=False).encode()


def unpacked(data: bytes) -> Any:
    """The value that `packed` gave."""
    return from_attribute(json.loads(data))


def _runs(numbered: list[tuple[int, Message]]) -> Iterator[tuple[int, list[Message]]]:
    """Runs of consecutive numbers, each small enough for one item."""
    first, size = 0, 0
    batch: list[Message] = []
    for number, message in numbered:
        weight = size_of(message)
        if batch and (number != first + len(batch) or size + weight > _ITEM_BYTES):
            yield first, batch
            batch, size = [], 0
        if not batch:
            first = number
        batch.append(message)
        size += weight
    if batch:
        yield first, batch
