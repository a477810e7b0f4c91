"""Stored messages as LangChain messages, and what a stored message says.

The rule: any stored message can be read, whichever program wrote it. Where a key is missing or has another type than
the documented one, the nearest meaning is taken, and nothing is raised.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage

from langgraph_dynamo_conv._content.text import text_of
from langgraph_dynamo_conv._format.attributes import plain
from langgraph_dynamo_conv._transcript.folding import Message, calls_in, role_of
from langgraph_dynamo_conv._transcript.ids import adopted_bases, adopted_call_id, digest_of, ids_of

NO_RESULT = "(The result of this call is not recorded.)"
"""The text that a model reads where a stored call has no result: providers refuse a call that was not answered."""

_MOST_BITS = 63

_TYPES = {"user": HumanMessage, "system": SystemMessage, "assistant": AIMessage}

_CONTENTS = ("content", "text", "parts")
"""Where the content of a message may be, the documented name first."""

# Enough of the text to tell messages of one second apart, and so little that a shortened message still has it.
_NAMED_BY_CHARACTERS = 40


def to_langchain(messages: Sequence[Mapping[str, Any]]) -> list[BaseMessage]:
    """Stored messages as the state of an agent that is to continue them.

    The same messages always give the same ids. `fold` gives back their roles, contents, tools, args and results, and
    `grow` then recognises them. Numbers become int and float. A call without a result gets `NO_RESULT`.

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


def adopted_call_ids(messages: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """For each message, the ids of its calls after `to_langchain(messages)`."""
    return [_call_ids(_stored_calls(message), base) for message, base in _with_bases(messages)]


def call_ids(message: Mapping[str, Any]) -> list[str]:
    """For each call of a stored message the id under which its result comes; "" without one."""
    return [call["id"] if isinstance(call.get("id"), str) else "" for call in _calls_of_answer(message)]


def _with_bases(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], str]]:
    return zip(messages, adopted_bases(map(_name_of, messages)), strict=True)


def _name_of(message: Mapping[str, Any]) -> str:
    """The text that a message's adopted ids are derived from. Shortening the message does not change it."""
    if message.get("ids"):
        return str(plain(message["ids"]))
    content = message.get("content")
    # Of blocks the stored form: their text may change with the rules that read it.
    text = content if isinstance(content, str) else json.dumps(plain(content), ensure_ascii=False, sort_keys=True)
    text = "" if content is None else text[:_NAMED_BY_CHARACTERS]
    return json.dumps([str(plain(message.get("role"))), str(plain(message.get("timestamp"))), text])


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
    made = [
        ToolCall(name=call["tool"], args=_serializable(call["args"]), id=name)
        for call, name in zip(calls, ids, strict=True)
    ]
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


def _serializable(value: Any) -> Any:
    """A value that was stored, as LangGraph can store it again: msgpack has no whole numbers of more than 64 bits."""
    if isinstance(value, dict):
        return {key: _serializable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_serializable(item) for item in value]
    return float(value) if isinstance(value, int) and value.bit_length() > _MOST_BITS else value


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
    return speaker_of(message), _content(message), [_meaning_of_call(call) for call in _stored_calls(message)]


def speaker_of(message: Mapping[str, Any]) -> str:
    """The documented role of a stored message. Some programs call it `type`."""
    role = message.get("role")
    return role_of(message.get("type") if role is None else role)


def public_ids(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each message the id that a page can use as a key: its first one, or the base of those that it is adopted by.

    Args:
        messages: All messages up to some number: equal ones that have no ids are told apart by those before them.
    """
    return [next(iter(ids_of(message)), base) for message, base in _with_bases(messages)]


def has_ids(message: Mapping[str, Any]) -> bool:
    """Whether a message has an id of its own: other programs' have none."""
    return bool(ids_of(message))


def _content(message: Mapping[str, Any]) -> str:
    content = next((message[name] for name in _CONTENTS if message.get(name) is not None), None)
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, Mapping) and ("text" in content or "type" in content):
        content = [content]
    if isinstance(content, list):
        return text_of([block for block in content if block is not None])
    return json.dumps(plain(content), ensure_ascii=False)


def _stored_calls(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [_documented_call(call) for call in _calls_of_answer(message)]


def _calls_of_answer(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return calls_in(message) if speaker_of(message) == "assistant" else ()


def _documented_call(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """A call as the table documents it; OpenAI and LangChain have other names for the tool and its arguments."""
    function = call.get("function")
    other = {**call, **function} if isinstance(function, Mapping) else call
    tool = call.get("tool") or other.get("name") or (function if isinstance(function, str) else None)
    args = next((other[name] for name in ("args", "arguments", "input") if other.get(name) is not None), None)
    return {**call, "tool": tool, "args": _parsed(args) if "args" not in call else args}


def _parsed(args: Any) -> Any:
    """Arguments that were stored as JSON, as a map; others as they are."""
    try:
        parsed = json.loads(args) if isinstance(args, str) else args
    except (ValueError, RecursionError):
        return args
    return parsed if isinstance(parsed, Mapping) else args


def _meaning_of_call(call: Mapping[str, Any]) -> Message:
    args, tool = call.get("args"), call.get("tool")
    if not isinstance(args, Mapping):
        args = {} if args is None else {"_raw": args}
    meaning: Message = {"tool": str(plain(tool or "unknown")), "args": plain(args)}
    if "result" in call:
        meaning["result"] = plain(call["result"])
    return {**meaning, "status": "error"} if call.get("status") == "error" else meaning


def calls_of(message: Mapping[str, Any]) -> list[Message]:
    """The tool calls of a stored message as it is shown: what they mean, and the model's ids where they are stored."""
    ids = [call.get("id") for call in _stored_calls(message)]
    meanings = meaning_of(message)[2]
    return [
        {**meaning, "id": name} if isinstance(name, str) else meaning
        for meaning, name in zip(meanings, ids, strict=True)
    ]
