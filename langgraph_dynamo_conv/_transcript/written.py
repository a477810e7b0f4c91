"""What is written to a messages channel, and what a `DeltaChannel` holds by that. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage, RemoveMessage, convert_to_messages

from langgraph_dynamo_conv._transcript.folding import coerced

_REMOVE_ALL, _OVERWRITE = "__remove_all__", "__overwrite__"
"""LangGraph's words. The modules that have them are too slow to import."""


def flat(value: Any) -> list[Any]:
    """What a messages channel holds, or was written to it, as a list."""
    messages = getattr(value, "value", value)  # a DeltaChannel's snapshot has one, and an Overwrite
    is_pair = isinstance(messages, tuple) and len(messages) == 2 and isinstance(messages[0], str)
    return list(messages) if isinstance(messages, (list, tuple)) and not is_pair else [messages]


def put_together(values: Iterable[Any]) -> list[Any]:
    """The messages of a `DeltaChannel` from what it was stored as and what was written since, oldest first.

    As LangGraph's `_messages_delta_reducer` does it, and with `REMOVE_ALL_MESSAGES` as `add_messages` does.
    """
    messages: dict[str, Any] = {}  # by id; those without one by their number
    for value in values:
        is_reset, messages_written = _as_written(value)
        messages = {} if is_reset else messages
        for message in convert_to_messages(messages_written):
            if message.id == _REMOVE_ALL:
                messages = {}
            elif isinstance(message, RemoveMessage):
                messages.pop(str(message.id), None)
            else:
                messages[message.id or f"{len(messages)} of {id(message)}"] = message
    return list(messages.values())


def instead_of_all(value: Any) -> list[Any] | None:
    """What a write puts in the place of all messages; None if it adds some."""
    is_reset, messages = _as_written(value)
    if is_reset:
        return messages
    ids = [getattr(one, "id", None) if isinstance(one, RemoveMessage) else None for one in messages]
    return messages[len(ids) - ids[::-1].index(_REMOVE_ALL) :] if _REMOVE_ALL in ids else None


def agree(writes: Sequence[tuple[str, Any]], value: Sequence[Any]) -> bool:
    """Whether a value is what these writes, and none of another branch, have led to."""
    written = [_said_by(one) for _, each in writes for one in coerced(flat(each))]
    held = [_said_by(one) for one in coerced(value)]
    return bool(written) and set(written) <= set(held) and (held[-1] in written)


def _said_by(message: BaseMessage) -> str:
    return repr([message.type, message.content, getattr(message, "tool_calls", None)])


def _as_written(value: Any) -> tuple[bool, list[Any]]:
    """Whether a write sets the channel anew, and its messages."""
    is_reset = type(value).__name__ == "Overwrite"
    if isinstance(value, Mapping) and (_OVERWRITE in value or value.get("type") == _OVERWRITE):
        is_reset, value = True, value.get(_OVERWRITE, value.get("value"))
    elif hasattr(value, "value"):
        value = value.value
    return is_reset, list(value) if isinstance(value, list) else [] if value is None else [value]
