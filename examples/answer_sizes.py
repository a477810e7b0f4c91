"""How large an answer may be: Lambda refuses one of more than 6 MB, and the client then reads a 502.

A size here is that of the text as Lambda counts it: the body is JSON, and becomes a string in the JSON that the
function gives back. So a quotation mark in a message counts 4 bytes, and a letter beyond ASCII 6 or 12, as runtimes
before Python 3.12 escape it. A message has at most 500,000 of these bytes, and a page of messages 4,000,000: with a
conversation's other fields, that is below 6,291,556 by more than a third.

What is larger is shortened: texts are cut, and end in a mark that people see; programs see `"shortened": true` beside.
The table and the agent's state keep all of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

MOST_MESSAGE_BYTES = 500_000
MOST_SUMMARY_BYTES = 20_000
MOST_PAGE_BYTES = 4_000_000

MARK = " … [shortened]"
"""How a text ends that was cut."""

to_json = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))

_BRACES = 2
_COLON_AND_COMMA = 2


def size_of(value: Any) -> int:
    """The bytes of a value in an answer, as Lambda counts them."""
    return len(json.dumps(to_json(value))) - 2


def fitted(value: Any, most_bytes: int) -> Any:
    """The value itself, or where it has more bytes than that, one of the same type that has not.

    The parts of an object or a list share its room: small ones are kept whole, and the large ones are shortened to the
    same size. What has no room at all is left out.
    """
    if size_of(value) <= most_bytes:
        return value
    if isinstance(value, str):
        return _cut(value, most_bytes)
    if isinstance(value, Mapping):
        costs = {name: size_of(name) + _COLON_AND_COMMA for name in value}
        return dict(_shared(value, costs, most_bytes))
    if isinstance(value, (list, tuple)):
        return [each for _, each in _shared(dict(enumerate(value)), dict.fromkeys(range(len(value)), 1), most_bytes)]
    return None


def fitted_summary(conversation: dict[str, Any]) -> dict[str, Any]:
    """A conversation without its messages, as an answer can hold it."""
    return _marked(conversation, fitted(conversation, MOST_SUMMARY_BYTES))


def fitted_message(message: dict[str, Any]) -> dict[str, Any]:
    """A message of a transcript, with its calls, as an answer can hold it."""
    return _marked(message, fitted(message, MOST_MESSAGE_BYTES))


def fitted_reply(reply: dict[str, Any]) -> dict[str, Any]:
    """The answer to a turn: its text and its calls share the room of a message."""
    said = {name: reply[name] for name in ("answer", "tool_calls")}
    return reply | _marked(said, fitted(said, MOST_MESSAGE_BYTES))


def _marked(whole: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    return whole if shown is whole else {**shown, "shortened": True}


def _shared(parts: Mapping[Any, Any], costs: Mapping[Any, int], most_bytes: int) -> list[tuple[Any, Any]]:
    """The parts that have room, in their order, each as large as its share.

    Args:
        parts: Names or places, and values.
        costs: What each needs beside its value.
        most_bytes: Of all together.
    """
    sizes, left = {name: size_of(value) for name, value in parts.items()}, most_bytes - _BRACES
    kept: dict[Any, Any] = {}
    by_size = sorted(sizes, key=lambda name: costs[name] + sizes[name])
    for number, name in enumerate(by_size):
        room = left // (len(by_size) - number) - costs[name]
        if room < _BRACES:
            continue
        shown = fitted(parts[name], room)
        used = size_of(shown)
        if used <= room:
            kept[name] = shown
            left -= costs[name] + used
    return [(name, kept[name]) for name in parts if name in kept]


def _cut(text: str, most_bytes: int) -> str:
    """The longest beginning that fits with the mark; the empty text where the mark has no room."""
    room = most_bytes - size_of(MARK)
    low, high = 0, max(0, min(len(text), room))
    while low < high:
        middle = (low + high + 1) // 2
        if size_of(text[:middle]) - size_of("") <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low] + MARK if room >= 0 else ""
