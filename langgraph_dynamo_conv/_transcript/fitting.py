"""What of the messages fits into the row: titles, shortened messages, and which messages leave it.

The rule: the row stays below its limit whatever a tool returns. What the row leaves out it names, by a marker with the
number of characters or elements, and nothing is lost: messages that left are in pages, and shortened ones are whole in
blobs.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from typing import Any

from langgraph_dynamo_conv._content.media import is_description
from langgraph_dynamo_conv._format.attributes import size_of
from langgraph_dynamo_conv._transcript.folding import Message
from langgraph_dynamo_conv._transcript.langchain import meaning_of, speaker_of

DEFAULT_TITLE = "New conversation"
"""The title of a conversation in which the user has not said anything yet."""

_NEVER_CUT = {"role", "timestamp", "ids", "tool", "id", "status"}

# The ids of an adopted message are derived from the beginning of its text (`langchain.adopted_ids`).
_MIN_CONTENT_CHARACTERS = 40

# A string is cut only where more than this is left out, since the marker takes about as much.
_MARKER_CHARACTERS = 30

# The limit is in characters of a string; of a list or map, one element is kept for so many of them.
_CHARACTERS_PER_ELEMENT = 8


Sizes = Mapping[int, tuple[Message, int]]
"""Messages that were counted, each with its size, by `id`: a message that does not change stays one object."""


def sizes_of(messages: Sequence[Message], known: Sizes) -> Sizes:
    """The size of each message, counted only where it is not known."""
    return {id(one): known.get(id(one)) or (one, size_of(one)) for one in messages}


def total_size(messages: Sequence[Message], sizes: Sizes) -> int:
    """`size_of(messages)`, of messages whose sizes are known."""
    return size_of([]) + sum(1 + sizes[id(one)][1] for one in messages)


def title_of(said: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None, limit: int = 80) -> str:
    """A title from the first message of the user that has text: one line of at most `limit` characters.

    It is cut at a word, with "…". A message that is nothing but images, files or audio has no text.

    Args:
        said: A transcript from its beginning, or one message of the user.
        limit: The most characters.

    Returns:
        `DEFAULT_TITLE` where there is no message or no text.
    """
    messages = [said] if isinstance(said, Mapping) else said or ()
    texts = (" ".join(meaning_of(message)[1].split()) for message in messages if _has_text_of_user(message))
    text = next(texts, DEFAULT_TITLE)
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    whole_words = head if text[limit - 1] == " " else head.rpartition(" ")[0]
    return (whole_words or head).rstrip() + "…"


def _has_text_of_user(message: Mapping[str, Any]) -> bool:
    if speaker_of(message) != "user":
        return False
    lines = map(str.strip, meaning_of(message)[1].splitlines())
    return any(line and not is_description(line) for line in lines)


def newest_exchange(messages: Sequence[Message], max_bytes: int) -> int:
    """The position from which on messages are the newest exchange: from the last message of the user on.

    Of an exchange that is larger than `max_bytes`, as many of the newest messages as fit, and at least one.
    """
    starts = [position for position, message in enumerate(messages) if speaker_of(message) == "user"]
    start = starts[-1] if starts else 0
    rest = size_of(messages[start:])
    while rest > max_bytes and start < len(messages) - 1:
        rest, start = rest - 1 - size_of(messages[start]), start + 1
    return start


def shorten(message: Message, max_bytes: int) -> Message:
    """A message that is too large for the row as the row shows it: its longest strings and lists cut, `shortened` True.

    What is cut ends in a marker with the number of characters or elements left out. Role, timestamp, ids and the first
    characters of the content stay, even if they are larger than `max_bytes`.

    Returns:
        The same object if it fits.
    """
    if size_of(message) <= max_bytes:
        return message

    def is_too_large(limit: int) -> bool:
        return size_of(_shortened(message, limit)) > max_bytes

    # One limit for every string takes from the longest first.
    limit = bisect.bisect_left(range(max_bytes + 1), True, key=is_too_large)
    return _shortened(message, max(limit - 1, 0))


def shorten_values(maps: Sequence[Mapping[str, Any]], max_bytes: int) -> list[Mapping[str, Any]]:
    """Maps with the longest strings and lists of their `value` cut, until all have at most `max_bytes` together."""

    def cut(limit: int) -> list[Mapping[str, Any]]:
        return [{**one, "value": _cut(one["value"], limit)} for one in maps]

    if size_of(maps) <= max_bytes:
        return list(maps)
    limit = bisect.bisect_left(range(max_bytes + 1), True, key=lambda limit: size_of(cut(limit)) > max_bytes)
    return cut(max(limit - 1, 0))


def _shortened(message: Message, limit: int) -> Message:
    short = _cut_values(message, limit)
    if "content" in message:
        short["content"] = _cut(message["content"], max(limit, _MIN_CONTENT_CHARACTERS))
    if isinstance(message.get("tool_calls"), list):
        calls = message["tool_calls"][: max(1, limit // _CHARACTERS_PER_ELEMENT)]
        cut = [_cut_values(call, limit) if isinstance(call, Mapping) else _cut(call, limit) for call in calls]
        short["tool_calls"] = cut
    return {**short, "shortened": True}


def _cut_values(fields: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """A message or a call with all of its keys, each value cut unless a reader needs the whole of it."""
    return {key: value if key in _NEVER_CUT else _cut(value, limit) for key, value in fields.items()}


def _cut(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        left_out = len(value) - limit
        return value if left_out <= _MARKER_CHARACTERS else f"{value[:limit]}… [{left_out} characters more]"
    count = limit // _CHARACTERS_PER_ELEMENT
    if isinstance(value, Mapping):
        kept = {key: _cut(item, limit) for key, item in list(value.items())[:count]}
        return kept if len(value) <= count else {**kept, "…": f"[{len(value) - count} more]"}
    if isinstance(value, list):
        items = [_cut(item, limit) for item in value[:count]]
        return items if len(value) <= count else [*items, f"… [{len(value) - count} more]"]
    return value
