"""Where a word is in a table: in attributes as they are, and in what frames hold once they are expanded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from langgraph_dynamo_conv._format.frames import Codec, _opened
from langgraph_dynamo_conv._format.items import key_of
from langgraph_dynamo_conv._format.keys import parse_sk
from langgraph_dynamo_conv.errors import CorruptDataError
from tests.factories import items_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def keys_with(client: DynamoDBClient, table_name: str, word: str) -> list[str]:
    """The keys of all items of the table that have a word, whatever it is packed in; parts of a value together."""
    found = []
    parts: dict[str, bytes] = {}
    for item in items_of(client, table_name):
        key = key_of(item)
        parsed = parse_sk(key.sk)
        if parsed.kind == "p":
            name = f"{key.pk} / {parsed.parts[0]}"
            parts[name] = parts.get(name, b"") + item["d"]["B"]
        elif any(word.encode() in data for data in _held({"M": item}, key.sk)):
            found.append(str(key))
    contexts = "value", "message"
    return found + [name for name, frame in parts.items() if word.encode() in _expanded(frame, *contexts)]


def _held(attribute: dict[str, Any], sk: str) -> Iterator[bytes]:
    """All texts in an attribute, and what its frames hold."""
    for kind, value in attribute.items():
        if kind == "M":
            for name, one in value.items():
                yield name.encode()
                yield from _held(one, f"{sk}/{name}" if "#w#" in sk else sk)
        elif kind == "L":
            for one in value:
                yield from _held(one, sk)
        elif kind == "B":
            yield _expanded(value, sk)
        else:
            yield repr(value).encode()


def _expanded(frame: bytes, *contexts: str) -> bytes:
    """What a frame holds; it must be one, of one of these contexts."""
    for context in contexts:
        try:
            return bytes(Codec()._expanded(*_opened(frame, context)))
        except CorruptDataError:
            continue
    raise AssertionError(f"no frame of {contexts}")
