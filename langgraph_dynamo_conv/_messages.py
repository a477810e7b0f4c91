"""LangChain messages folded into conversation messages, and conversation messages as LangChain messages.

The rule of folding: one assistant message for each answer. What an agent does on the way to an answer, its
tool calls and their results, belongs to that answer; a message of the user or the system ends it.

Every conversation message carries `ids`: short digests of the ids of the LangChain messages in it, by which a
later state, trimmed or edited or forked, finds it again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
    convert_to_messages,
)

from ._content import text_of, tool_result
from ._values import clean_text, plain, storable

Message = dict[str, Any]
"""As the table documents it: role, content, timestamp, and tool_calls and ids where it has them."""

NO_RESULT = "(The result of this call is not recorded.)"
"""What a model reads where a stored call has no result: providers refuse a call that was not answered."""

# The ids of adopted messages say which stored message they come from, so that they fold back into that one
# and no other, and whether a result was JSON (j), a string (s) or missing (n): its text does not tell.
_ADOPTED = re.compile(r"(?P<base>conv-[0-9a-f]{16}-\d+)-(?:m|c|\d+(?P<kind>[jsn]))")
_ADOPTED_CALL = re.compile(r"call_[0-9a-f]{16}_\d+_\d+")

_ROLES = {"user": "user", "human": "user", "system": "system", "developer": "system"}

# Enough of the text to tell messages of one second apart, and never cut from a message that is shortened.
_NAMED_BY_CHARACTERS = 40


def fold(messages: Any, *, timestamp: str) -> list[Message]:
    """The conversation messages that a state's messages are, oldest first.

    Tool calls and results become `tool_calls` of the answer they led to; those that led to none yet are an
    assistant message without text. A call without a result is pending. Folding a longer state changes only
    the last messages.

    Args:
        messages: what a messages channel holds: messages, or their dict, tuple and string forms. Anything
            else in it is left out, and so are human messages that the user did not type (LangChain marks a
            middleware's summary or notice with `lc_source`).
        timestamp: ISO 8601 in UTC with `Z`, given to every message; `merge` keeps the older one of a known
            message.

    Returns:
        New dicts, in types that an item can hold.
    """
    folding = _Folding(timestamp)
    for message in _coerced(messages):
        folding.add(message)
    return [{**message, "ids": " ".join(message["ids"])} for message in folding.messages]


class _Folding:
    """Messages folded so far. `_open` is the answer of this turn that still lacks its text."""

    def __init__(self, timestamp: str) -> None:
        self.messages: list[Message] = []
        self._timestamp = timestamp
        self._open: Message | None = None
        self._base: str | None = None
        self._calls: dict[str, tuple[Message, Message]] = {}
        self._seen: Counter[str] = Counter()

    def add(self, message: BaseMessage) -> None:
        adopted = _ADOPTED.fullmatch(message.id or "")
        base = adopted["base"] if adopted else None
        if base != self._base:
            self._open, self._base = None, base
        if isinstance(message, (ToolMessage, FunctionMessage)):
            self._add_result(message, kind=adopted["kind"] if adopted else None)
        elif (role := _role(message)) == "assistant":
            self._add_answer(message)
        else:
            self._open = None
            self._start(message, role, text_of(message.content))

    def _start(self, message: BaseMessage, role: str, text: str) -> None:
        ids = [self._digest(message)]
        self.messages.append({"role": role, "content": text, "timestamp": self._timestamp, "ids": ids})

    def _join(self, message: BaseMessage) -> Message:
        """The open answer, with the message in it; a new one if none is open."""
        if self._open is None:
            self._start(message, "assistant", "")
            return self.messages[-1]
        self._open["ids"].append(self._digest(message))
        return self._open

    def _add_answer(self, message: BaseMessage) -> None:
        text, calls = text_of(message.content), list(_calls_made(message))
        answer = self._join(message)
        for call, call_id in calls:
            answer.setdefault("tool_calls", []).append(call)
            self._calls[call_id] = answer, call
        if text.strip() or not calls:
            answer["content"], self._open = text, None
        else:
            self._open = answer

    def _add_result(self, message: ToolMessage | FunctionMessage, *, kind: str | None) -> None:
        call = self._call_answered(message)
        if kind != "n":
            call["result"] = tool_result(message.content, kind)
        if getattr(message, "status", None) == "error":
            call["status"] = "error"
        else:
            call.pop("status", None)  # a later result of the same call counts

    def _call_answered(self, message: ToolMessage | FunctionMessage) -> Message:
        known = self._calls.get(getattr(message, "tool_call_id", ""))
        if known:
            known[0]["ids"].append(self._digest(message))
            return known[1]
        # An agent that trims may cut a call from its result.
        self._open = self._join(message)
        call = _call(message.name, {}, getattr(message, "tool_call_id", None))
        self._open.setdefault("tool_calls", []).append(call)
        return call

    def _digest(self, message: BaseMessage) -> str:
        """The digest of the message's id; of equal ids, or equal messages without one, each has its own."""
        calls, answered = getattr(message, "tool_calls", None), getattr(message, "tool_call_id", None)
        name = message.id or repr([message.type, message.content, calls, answered])
        self._seen[name] += 1
        return digest_of(name if self._seen[name] == 1 else f"{name}#{self._seen[name]}")


def digest_of(message_id: str) -> str:
    """The eight hexadecimal characters that stand for a LangChain message's id in `ids`."""
    return hashlib.blake2b(message_id.encode(errors="replace"), digest_size=4).hexdigest()


def _coerced(messages: Any) -> Iterator[BaseMessage]:
    single = isinstance(messages, (str, BaseMessage, Mapping))
    pair = isinstance(messages, tuple) and len(messages) == 2 and isinstance(messages[0], str)
    items = [messages] if single or pair else messages
    for item in items if isinstance(items, Iterable) else ():
        try:
            (message,) = convert_to_messages([item])
        except (ValueError, TypeError, AttributeError, NotImplementedError):
            continue  # not a message: a messages channel may hold anything
        if not isinstance(message, RemoveMessage) and not _is_notice(message):
            yield message


def _is_notice(message: BaseMessage) -> bool:
    return isinstance(message, HumanMessage) and bool(message.additional_kwargs.get("lc_source"))


def _role(message: BaseMessage) -> str:
    return role_of(message.role if isinstance(message, ChatMessage) else message.type)


def role_of(name: Any) -> str:
    """The documented role for any name of one; what is not the user's or the system's is the assistant's."""
    return _ROLES.get(str(name).removesuffix("MessageChunk").lower(), "assistant")


def _calls_made(message: BaseMessage) -> Iterator[tuple[Message, str]]:
    if not isinstance(message, AIMessage):
        return
    for made in message.tool_calls:
        yield _call(made["name"], made["args"], made.get("id")), made.get("id") or ""
    for invalid in message.invalid_tool_calls:
        call = _call(invalid.get("name"), {"_raw": invalid.get("args") or ""}, invalid.get("id"))
        error = {"result": storable(invalid["error"])} if invalid.get("error") else {}
        yield {**call, **error, "status": "error"}, invalid.get("id") or ""


def _call(tool: str | None, args: Mapping[str, Any], call_id: str | None) -> Message:
    call = {"tool": clean_text(tool or "unknown"), "args": storable(args)}
    # The stored call had no id: it gets none from having been an agent's state.
    return call if not call_id or _ADOPTED_CALL.fullmatch(call_id) else {**call, "id": clean_text(call_id)}


def to_langchain(messages: Sequence[Mapping[str, Any]]) -> list[BaseMessage]:
    """Stored messages as the state of an agent that is to continue them.

    The same messages always give the same ids, and `fold` gives back their roles, contents, tools, args and
    results; `merge` then knows them again. Numbers become int and float. A call without a result gets
    `NO_RESULT`.

    Args:
        messages: conversation messages, oldest first, whole (not shortened). Other programs may have written
            them.

    Returns:
        For an assistant message with `tool_calls`: an `AIMessage` with the calls, a `ToolMessage` for each,
        and the text, if any, as a second `AIMessage`.
    """
    return [
        part for message, base in zip(messages, _adopted_bases(messages), strict=True) for part in _parts(message, base)
    ]


def _parts(message: Mapping[str, Any], base: str) -> Iterator[BaseMessage]:
    role, text, _ = meaning_of(message)
    if role == "user":
        yield HumanMessage(text, id=f"{base}-m")
    elif role == "system":
        yield SystemMessage(text, id=f"{base}-m")
    else:
        calls = _stored_calls(message)
        yield from _call_parts(calls, base)
        if text or not calls:
            yield AIMessage(text, id=f"{base}-m")


def _call_parts(stored: list[Mapping[str, Any]], base: str) -> Iterator[BaseMessage]:
    if not stored:
        return
    calls = [_meaning_of_call(call) for call in stored]
    ids = _call_ids(stored, base)
    pairs = list(zip(calls, ids, strict=True))
    made = [ToolCall(name=call["tool"], args=call["args"], id=call_id) for call, call_id in pairs]
    yield AIMessage("", tool_calls=made, id=f"{base}-c")
    for position, (call, call_id) in enumerate(pairs):
        kind = _result_kind(stored[position])
        yield ToolMessage(
            _result_text(call, kind),
            tool_call_id=call_id,
            name=call["tool"],
            status=call.get("status", "success"),
            id=f"{base}-{position}{kind}",
        )


def _result_kind(call: Mapping[str, Any]) -> str:
    if "result" not in call:
        return "n"
    return "s" if isinstance(call["result"], str) else "j"


def _result_text(call: Mapping[str, Any], kind: str) -> str:
    if kind == "n":
        return NO_RESULT
    return str(call["result"]) if kind == "s" else json.dumps(call["result"], ensure_ascii=False)


def _call_ids(calls: list[Mapping[str, Any]], base: str) -> list[str]:
    """Stored ids; a made one where there is none or another call of the message has it."""
    made = base.replace("conv-", "call_").replace("-", "_")
    ids: list[str] = []
    for position, call in enumerate(calls):
        stored = call.get("id")
        usable = isinstance(stored, str) and stored and stored not in ids
        ids.append(str(stored) if usable else f"{made}_{position}")
    return ids


def _adopted_bases(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What the ids of a message's parts begin with. Shortening keeps it; an equal message has another."""
    seen: Counter[str] = Counter()
    for message in messages:
        text = _content(message)[:_NAMED_BY_CHARACTERS]
        named_by = message.get("ids") or json.dumps([str(message.get("role")), str(message.get("timestamp")), text])
        digest = hashlib.blake2b(str(named_by).encode(), digest_size=8).hexdigest()
        yield f"conv-{digest}-{seen[digest]}"
        seen[digest] += 1


def adopted_ids(messages: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """For each message, the `ids` that `fold` would give it after `to_langchain(messages)`."""
    return [list(_part_ids(message, base)) for message, base in zip(messages, _adopted_bases(messages), strict=True)]


def _part_ids(message: Mapping[str, Any], base: str) -> Iterator[str]:
    calls = _stored_calls(message)
    if calls:
        yield digest_of(f"{base}-c")
        yield from (digest_of(f"{base}-{n}{_result_kind(call)}") for n, call in enumerate(calls))
    if _content(message) or not calls:
        yield digest_of(f"{base}-m")


def meaning_of(message: Mapping[str, Any]) -> tuple[str, str, list[Message]]:
    """Role, text and tool calls of a stored message in plain values, whoever wrote it: to compare by.

    Ids and timestamps are not in it, nor keys that other programs added.
    """
    calls = [_meaning_of_call(call) for call in _stored_calls(message)]
    return role_of(message.get("role")), _content(message), calls


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
