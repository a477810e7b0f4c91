"""LangChain messages folded into conversation messages.

The rule: one assistant message for each answer. Whatever an agent does on the way to an answer, its tool calls and
their results, belongs to that answer. A message of the user or the system ends it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    ToolMessage,
    convert_to_messages,
)

from langgraph_dynamo_conv._format.attributes import clean_text, storable
from langgraph_dynamo_conv._transcript.content import answer_of, text_said
from langgraph_dynamo_conv._transcript.ids import adopted_part, digest_of, ids_of, is_adopted_call
from langgraph_dynamo_conv._transcript.provider_tools import Outcome, provider_calls

Message = dict[str, Any]
"""A conversation message as the table documents it: role, content, timestamp, and where it has them tool_calls, ids."""

_ROLES = {"user": "user", "human": "user", "system": "system", "developer": "system"}


def fold(messages: Any, *, timestamp: str, after: Message | None = None) -> list[Message]:
    """The conversation messages of a state, oldest first.

    Tool calls and results become `tool_calls` of the answer that they led to; calls that have led to no answer yet are
    an assistant message without text. A call without a result is pending. Folding a state that has grown gives the same
    messages, but for the last ones.

    Args:
        messages: The value of a messages channel: messages, or their dict, tuple and string forms. Any other value in
            it is left out, and so is a human message that the user did not type (LangChain marks a summary or notice of
            a middleware with `lc_source`).
        timestamp: ISO 8601 in UTC with `Z`, given to every message. `merge` keeps the older one of a message that is
            stored already.
        after: The stored message that these follow, whole. If it is an answer that still lacks its text or a result,
            they go on with it, and it is the first message that is given.

    Returns:
        New dicts, in types that an item can hold.
    """
    folding = _Folding(timestamp)
    if after is not None:
        folding.go_on(after)
    for message in _coerced(messages):
        folding.add(message)
    return folding.messages


def named(messages: Any, origin: str) -> list[BaseMessage]:
    """The messages of one write; those without an id get one by where they came from, whatever they say.

    Args:
        messages: The value that was written, as for `fold`.
        origin: Names the write: its checkpoint, task and number.
    """
    return [
        message if message.id else message.model_copy(update={"id": f"{origin}.{place}"})
        for place, message in enumerate(_coerced(messages))
    ]


class _Folding:
    """The messages folded so far.

    Args:
        timestamp: The time of every message.
    """

    def __init__(self, timestamp: str) -> None:
        self.messages: list[Message] = []
        self._timestamp = timestamp
        self._open: Message | None = None  # the answer that still lacks its text
        self._base: str | None = None  # of the adopted message whose parts are being added
        self._calls: defaultdict[str, list[tuple[Message, Message]]] = defaultdict(list)  # by id: answer and call
        self._seen: Counter[str] = Counter()
        self._by_id: dict[str, Message] = {}  # by the digests of ids: what the message is folded into

    def go_on(self, answer: Message) -> None:
        """Go on with a stored answer, if it lacks its text or a result."""
        calls = answer.get("tool_calls") or ()
        is_open = not answer.get("content")
        if answer.get("role") == "assistant" and calls and (is_open or any("result" not in call for call in calls)):
            copy = {**answer, "tool_calls": [dict(call) for call in calls]}
            self.messages.append(copy)
            self._by_id |= dict.fromkeys(ids_of(copy), copy)
            self._open = copy if is_open else None
            for call in copy["tool_calls"]:
                self._calls[str(call.get("id") or "")].append((copy, call))

    def add(self, message: BaseMessage) -> None:
        """Fold the next message in."""
        base, result_kind = adopted_part(message.id)
        if base != self._base:
            # The parts of an adopted message fold into one message again, and nothing else joins it.
            self._open, self._base = None, base
        if isinstance(message, (ToolMessage, FunctionMessage)):
            self._add_result(message, result_kind)
        elif message.id and (before := self._by_id.get(digest_of(message.id))) is not None:
            self._revise(before, message)
        elif (role := role_of(message.role if isinstance(message, ChatMessage) else message.type)) == "assistant":
            self._add_answer(message)
        else:
            self._open = None
            self._start(message, role, text_said(message))

    def _revise(self, before: Message, message: BaseMessage) -> None:
        """Let a message that comes again, which a middleware or a person has changed, take its own place."""
        stored = {call.get("id"): call for call in before.get("tool_calls", ())}
        for call, call_id in _calls_made(message):
            if call.get("id") in stored:
                stored[call.get("id")].update(call)
            else:
                before.setdefault("tool_calls", []).append(call)
                self._calls[call_id].append((before, call))
        for call, _ in provider_calls(message).made:
            if call.get("id") in stored:
                stored[call.get("id")].update(call)
        if text := text_said(message):
            before["content"] = text

    def _start(self, message: BaseMessage, role: str, text: str) -> Message:
        started = {"role": role, "content": text, "timestamp": self._timestamp, "ids": self._digest(message)}
        self.messages.append(started)
        self._by_id[started["ids"]] = started
        return started

    def _join(self, message: BaseMessage) -> Message:
        """The open answer, which now has the message's id; a new one if none is open."""
        if self._open is None:
            return self._start(message, "assistant", "")
        self._note(self._open, message)
        return self._open

    def _note(self, into: Message, message: BaseMessage) -> None:
        """A message is folded into another."""
        name = self._digest(message)
        into["ids"] += f" {name}"
        self._by_id[name] = into

    def _add_answer(self, message: BaseMessage) -> None:
        made, outcomes = provider_calls(message)
        answered = {outcome.call_id for outcome in outcomes if self._is_answered_by(outcome)}
        calls = [*_calls_made(message), *(entry for entry in made if entry[1] not in answered)]
        text = text_said(message, or_kind=not calls)
        answer = self._join(message)
        for call, call_id in calls:
            answer.setdefault("tool_calls", []).append(call)
            self._calls[call_id].append((answer, call))
        if text.strip() or not (calls or answered):
            answer["content"], self._open = text, None
        else:
            self._open = answer

    def _is_answered_by(self, outcome: Outcome) -> bool:
        """Whether a provider's result is that of a call in an earlier message, which then has it."""
        waiting = [call for _, call in self._calls.get(outcome.call_id, ()) if "result" not in call]
        for call in waiting[:1]:
            call.update(outcome.fields)
        return bool(waiting)

    def _add_result(self, message: ToolMessage | FunctionMessage, kind: str | None) -> None:
        call = self._call_answered(message)
        if kind != "n":
            call["result"] = answer_of(message, kind)
        if getattr(message, "status", None) == "error":
            call["status"] = "error"
        else:
            call.pop("status", None)  # the newest result of a call counts

    def _call_answered(self, message: ToolMessage | FunctionMessage) -> Message:
        call_id: str = getattr(message, "tool_call_id", "")
        made = self._calls.get(call_id)
        if made:
            # Some models give several calls of an answer one id: these are answered in order. A later result of a call
            # replaces it.
            newest = [one for one in made if one[0] is made[-1][0]]
            answer, call = next((one for one in newest if "result" not in one[1]), newest[-1])
            if not message.id or digest_of(message.id) not in ids_of(answer):
                self._note(answer, message)
            return call
        # An agent that trims its messages may have cut the call, and kept its result.
        self._open = self._join(message)
        call = _call(message.name, {}, call_id)
        self._open.setdefault("tool_calls", []).append(call)
        return call

    def _digest(self, message: BaseMessage) -> str:
        """The digest of the message's id, or of what it says if it has no id. The second of two equal ones differs."""
        calls, answered = getattr(message, "tool_calls", None), getattr(message, "tool_call_id", None)
        name = message.id or repr([message.type, message.content, calls, answered])
        self._seen[name] += 1
        return digest_of(name if self._seen[name] == 1 else f"{name}#{self._seen[name]}")


def _coerced(messages: Any) -> Iterator[BaseMessage]:
    """The messages in a channel's value that belong in a transcript."""
    is_one = isinstance(messages, (str, BaseMessage, Mapping))
    is_pair = isinstance(messages, tuple) and len(messages) == 2 and isinstance(messages[0], str)
    items = [messages] if is_one or is_pair else messages
    for item in items if isinstance(items, Iterable) else ():
        try:
            (message,) = convert_to_messages([item])
        except (ValueError, TypeError, AttributeError, NotImplementedError):
            continue  # a messages channel may hold other things than messages
        is_notice = isinstance(message, HumanMessage) and message.additional_kwargs.get("lc_source")
        is_for_framework = is_notice or message.response_metadata.get("__is_handoff_back")
        if not is_for_framework and not isinstance(message, RemoveMessage):
            yield message


def role_of(name: Any) -> str:
    """The documented role for any name of a role: every speaker but the user and the system is the assistant."""
    return _ROLES.get(str(name).removesuffix("Chunk").removesuffix("Message").strip().lower(), "assistant")


def _calls_made(message: BaseMessage) -> Iterator[tuple[Message, str]]:
    """The tool calls in a message, each with the id under which its result comes."""
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
    # An adopted call that was stored without an id stays without one.
    return call if not call_id or is_adopted_call(call_id) else {**call, "id": clean_text(call_id)}
