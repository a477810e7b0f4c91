"""Stored messages as LangChain messages, and what a stored message says.

The rule: any stored message can be read, whichever program wrote it. Where a key is missing or has another type than
the documented one, the nearest meaning is taken, and nothing is raised.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage

from langgraph_dynamo_conv._format.attributes import plain
from langgraph_dynamo_conv._transcript.folding import Message, role_of
from langgraph_dynamo_conv._transcript.ids import adopted_bases, adopted_call_id, digest_of

NO_RESULT = "(The result of this call is not recorded.)"
"""The text that a model reads where a stored call has no result: providers refuse a call that was not answered."""

_TYPES = {"user": HumanMessage, "system": SystemMessage, "assistant": AIMessage}

# Enough of the text to tell messages of one second apart, and so little that a shortened message still has it.
_NAMED_BY_CHARACTERS = 40


def to_langchain(messages: Sequence[Mapping[str, Any]]) -> list[BaseMessage]:
    """Stored messages as the state of an agent that is to continue them.

    The same messages always give the same ids. `fold` gives back their roles, contents, tools, args and results, and
    `merge` then recognises them. Numbers become int and float. A call without a result gets `NO_RESULT`.

    Args:
        messages: Conversation messages, oldest first, whole (not shortened). Other programs may have written them.

    Returns:
        For an assistant message with `tool_calls`: an `AIMessage` with the calls, a `ToolMessage` for each, and the
        text, if any, as a second `AIMessage`.
    """
    return [part for message, base in _with_bases(messages) for part in _parts(message, base)]


def adopted_ids(messages: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """For each message, the digests that `fold` gives its parts after `to_langchain(messages)`."""
    return [[digest_of(f"{base}-{name}") for name in _part_names(message)] for message, base in _with_bases(messages)]


def _with_bases(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], str]]:
    return zip(messages, adopted_bases(map(_name_of, messages)), strict=True)


def _name_of(message: Mapping[str, Any]) -> str:
    """The text that a message's adopted ids are derived from. Shortening the message does not change it."""
    if message.get("ids"):
        return str(message["ids"])
    text = _content(message)[:_NAMED_BY_CHARACTERS]
    return json.dumps([str(message.get("role")), str(message.get("timestamp")), text])


def _part_names(message: Mapping[str, Any]) -> Iterator[str]:
    """The last parts of the ids that `_parts` gives, in its order."""
    calls = _stored_calls(message)
    if calls:
        yield "c"
        yield from (f"{number}{_result_kind(call)}" for number, call in enumerate(calls))
    if _content(message) or not calls:
        yield "m"


def _parts(message: Mapping[str, Any], base: str) -> Iterator[BaseMessage]:
    role, text, calls = meaning_of(message)
    if calls:
        yield from _call_parts(_stored_calls(message), calls, base)
    if text or not calls:
        yield _TYPES[role](text, id=f"{base}-m")


def _call_parts(stored: list[Mapping[str, Any]], calls: list[Message], base: str) -> Iterator[BaseMessage]:
    ids = _call_ids(stored, base)
    made = [ToolCall(name=call["tool"], args=call["args"], id=name) for call, name in zip(calls, ids, strict=True)]
    yield AIMessage("", tool_calls=made, id=f"{base}-c")
    for number, call in enumerate(calls):
        kind = _result_kind(stored[number])
        yield ToolMessage(
            _result_text(call, kind),
            tool_call_id=ids[number],
            name=call["tool"],
            status=call.get("status", "success"),
            id=f"{base}-{number}{kind}",
        )


def _result_kind(call: Mapping[str, Any]) -> str:
    """The letter of a call's result in its adopted id."""
    return "n" if "result" not in call else "s" if isinstance(call["result"], str) else "j"


def _result_text(call: Mapping[str, Any], kind: str) -> str:
    if kind == "n":
        return NO_RESULT
    return str(call["result"]) if kind == "s" else json.dumps(call["result"], ensure_ascii=False)


def _call_ids(calls: list[Mapping[str, Any]], base: str) -> list[str]:
    """The stored id of each call, or a made one where it has none or an earlier call of the message has the same."""
    ids: list[str] = []
    for number, call in enumerate(calls):
        stored = call.get("id")
        is_usable = isinstance(stored, str) and stored and stored not in ids
        ids.append(str(stored) if is_usable else adopted_call_id(base, number))
    return ids


def meaning_of(message: Mapping[str, Any]) -> tuple[str, str, list[Message]]:
    """The role, text and tool calls of a stored message in plain values, by which two messages can be compared.

    Ids, timestamps and the keys of other programs are left out.
    """
    return role_of(message.get("role")), _content(message), [_meaning_of_call(call) for call in _stored_calls(message)]


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if content is None or isinstance(content, str):
        return content or ""
    return json.dumps(plain(content), ensure_ascii=False)


def _stored_calls(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    calls = message.get("tool_calls")
    if role_of(message.get("role")) != "assistant" or not isinstance(calls, list):
        return []
    return [call for call in calls if isinstance(call, Mapping)]


def _meaning_of_call(call: Mapping[str, Any]) -> Message:
    args = call.get("args")
    if not isinstance(args, Mapping):
        args = {} if args is None else {"_raw": args}
    meaning: Message = {"tool": str(call.get("tool") or "unknown"), "args": plain(args)}
    if "result" in call:
        meaning["result"] = plain(call["result"])
    return {**meaning, "status": "error"} if call.get("status") == "error" else meaning
