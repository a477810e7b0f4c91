"""Telling that the messages of a channel are what they were, without serializing them. Pure.

A message is serialized by way of pydantic, which costs several times what packing its plain fields does, and a long
chat has a thousand that no step touches. So a digest is taken of the fields. Equal digests mean equal bytes: what
`JsonPlusSerializer` writes of one of LangChain's messages follows from its class and its fields alone. Messages of
other classes, and fields that hold more than msgpack has types for, have no digest: these are serialized every time.

A digest is of what the messages hold at that moment, so a message that was changed in place is noticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import ormsgpack
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

_DIGESTED = frozenset({AIMessage, HumanMessage, SystemMessage, ToolMessage})

# Whatever is not exactly a str, int, float, bool, None, list, dict with string keys or binary is refused.
_PLAIN = (
    ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_UUID
)

_AT_ONCE = 256
"""Messages that are packed at once: a digest needs no copy of a long chat."""


@dataclass(frozen=True)
class MessagesDigest:
    """Digest of a channel's first `count` messages; equal digests mean equal serialized bytes."""

    count: int
    digest: bytes


MESSAGES_DIGEST_BYTES = 160
"""What one takes in memory."""


def digest_messages(messages: list[Any], before: MessagesDigest | None) -> tuple[MessagesDigest | None, int]:
    """The digest of messages, or None where they have none; and how many at their head are those of `before`.

    Take it before the messages are serialized: should another thread change one in between, the next digest differs.

    Args:
        messages: Anything that a list channel holds.
        before: The digest of the list that these may continue, or None.
    """
    if not _DIGESTED.issuperset(map(type, messages)):
        return None, 0
    head = before.count if before is not None and before.count <= len(messages) else 0
    digest = sha256()
    try:
        for packed in _packed(messages, 0, head):
            digest.update(packed)
        unchanged = head if before is not None and head and digest.digest() == before.digest else 0
        for packed in _packed(messages, head, len(messages)):
            digest.update(packed)
    except ormsgpack.MsgpackEncodeError:
        return None, 0
    return MessagesDigest(len(messages), digest.digest()), unchanged


def _packed(messages: Sequence[BaseMessage], first: int, last: int) -> Iterator[memoryview]:
    """Classes and fields of messages, one after the other as msgpack, wherever the pieces begin and end."""
    for start in range(first, last, _AT_ONCE):
        fields = [
            [type(message).__name__, message.__dict__, message.__pydantic_extra__]
            for message in messages[start : min(start + _AT_ONCE, last)]
        ]
        header_bytes = 1 if len(fields) < 16 else 3
        yield memoryview(ormsgpack.packb(fields, option=_PLAIN))[header_bytes:]
