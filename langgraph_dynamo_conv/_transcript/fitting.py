"""What of a message fits: titles, shortened messages, and which leave the row. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from typing import Any

from langgraph_dynamo_conv._format.attributes import size_of
from langgraph_dynamo_conv._transcript.folding import Message
from langgraph_dynamo_conv._transcript.langchain import meaning_of

DEFAULT_TITLE = "New conversation"
"""The title of a conversation in which the user has not said anything yet."""


_NEVER_CUT = {"role", "timestamp", "ids", "tool", "id", "status"}


# What adoption names a message by (see _messages) must survive a cut.
_MIN_CONTENT_CHARACTERS = 40


_MARKER_CHARACTERS = 30


_CHARACTERS_PER_ELEMENT = 8


def title_of(message_or_text: Mapping[str, Any] | str | None, limit: int = 80) -> str:
    """A title from what the user said first: one line of at most `limit` characters, cut at a word with "…".

    Returns:
        `DEFAULT_TITLE` where there is no text.
    """
    message = {"content": message_or_text} if not isinstance(message_or_text, Mapping) else message_or_text
    text = " ".join(meaning_of(message)[1].split())
    if len(text) <= limit:
        return text or DEFAULT_TITLE
    head = text[: limit - 1]
    whole_words = head if text[limit - 1] == " " else head.rpartition(" ")[0]
    return (whole_words or head).rstrip() + "…"


def split(messages: Sequence[Message], *, max_bytes: int, keep_bytes: int) -> tuple[list[Message], list[Message]]:
    """The messages that leave the row, and those that stay in it; each list oldest first.

    None leaves while all fit in `max_bytes`. When they do not, the oldest leave until the rest is at most `keep_bytes`,
    so that not every turn moves some. The newest stays even if it is larger by itself: see `shorten`.
    """
    sizes = [1 + size_of(message) for message in messages]
    if sum(sizes) <= max_bytes:
        return [], list(messages)
    rest, first = sum(sizes), 0
    while first < len(messages) - 1 and rest > keep_bytes:
        rest, first = rest - sizes[first], first + 1
    return list(messages[:first]), list(messages[first:])


def shorten(message: Message, max_bytes: int) -> Message:
    """The message as the row shows it when it is too large: its longest strings and lists cut, and `shortened` True.

    What is cut ends in a marker with the number of characters or elements left out. Role, timestamp, ids, and the first
    characters of the content stay, even if they are larger than `max_bytes`.

    Returns:
        The same object if it fits.
    """
    if size_of(message) <= max_bytes:
        return message

    def too_large(limit: int) -> bool:
        return size_of(_shortened(message, limit)) > max_bytes

    # One limit for every string takes from the longest first.
    limit = bisect.bisect_left(range(max_bytes + 1), True, key=too_large)
    return _shortened(message, max(limit - 1, 0))


def _shortened(message: Message, limit: int) -> Message:
    short = {key: value if key in _NEVER_CUT else _cut(value, limit) for key, value in message.items()}
    if "content" in message:
        short["content"] = _cut(message["content"], max(limit, _MIN_CONTENT_CHARACTERS))
    if isinstance(message.get("tool_calls"), list):
        calls = message["tool_calls"][: max(1, limit // _CHARACTERS_PER_ELEMENT)]
        short["tool_calls"] = [_cut_call(call, limit) for call in calls]
    return {**short, "shortened": True}


def _cut_call(call: Any, limit: int) -> Any:
    if not isinstance(call, Mapping):
        return _cut(call, limit)
    return {key: value if key in _NEVER_CUT else _cut(value, limit) for key, value in call.items()}


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
