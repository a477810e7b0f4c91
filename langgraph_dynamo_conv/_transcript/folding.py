"""LangChain messages folded into conversation messages.

The rule: one assistant message for each answer. Whatever an agent does on the way to an answer, its tool calls and
their results, belongs to that answer. A message of the user or the system ends it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

from langgraph_dynamo_conv._content.provider_tools import Outcome, provider_calls
from langgraph_dynamo_conv._content.text import answer_of, text_said
from langgraph_dynamo_conv._format.attributes import clean_text, plain, storable
from langgraph_dynamo_conv._transcript.ids import adopted_part, digest_of, is_adopted_call

Message = dict[str, Any]
"""A conversation message as the table documents it: role, content, timestamp, and where it has them tool_calls, ids."""

Whole = Callable[[Message], Message]
"""Gives a stored message whole, which may be shortened."""

_ROLES = {"user": "user", "human": "user", "system": "system", "developer": "system"}


def fold(messages: Any, *, timestamp: str) -> list[Message]:
    """The conversation messages of a state, oldest first.

    Tool calls and results become `tool_calls` of the answer that they led to; calls that have led to no answer yet are
    an assistant message without text. A call without a result is pending. Folding a state that has grown gives the same
    messages, but for the last ones.

    Args:
        messages: The value of a messages channel: messages, or their dict, tuple and string forms. Any other value in
            it is left out, and so is a human message that the user did not type (LangChain marks a summary or notice of
            a middleware with `lc_source`).
        timestamp: ISO 8601 in UTC with `Z`, given to every message.

    Returns:
        New dicts, in types that an item can hold.
    """
    folding = Folding(timestamp)
    for message in coerced(messages):
        folding.add(message)
    return folding.messages()


class Folding:
    """Folds messages into stored ones, one after the other. One that does not change stays the same object.

    Args:
        timestamp: The time of every new message.
        stored: The messages before, oldest first.
        names: For each of these the digests of the ids that its parts have.
        calls: For each of these the ids under which the results of its calls come.
        whole: Gives one of these whole.
    """

    def __init__(
        self,
        timestamp: str,
        stored: Sequence[Message] = (),
        names: Sequence[Sequence[str]] = (),
        calls: Sequence[Sequence[str]] = (),
        whole: Whole = lambda message: message,
    ) -> None:
        self.is_complete = True
        """Whether all that was changed or answered is among the messages."""
        self._timestamp = timestamp
        self._stored = stored
        self._names = names
        self._whole = whole
        self._messages = list(stored)
        self._before: dict[int, Message] = {}  # by position: what is being changed, as it was, whole
        self._positions = {name: position for position, known in enumerate(names) for name in known}
        self._calls: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)  # by id: position, number of the call
        for position, made in enumerate(calls):
            for number, call_id in enumerate(made):
                self._calls[call_id].append((position, number))
        self._base: str | None = None  # of the adopted message whose parts are being added
        self._seen: Counter[str] = Counter()
        last = len(stored) - 1
        self._open = last if stored and self._lacks_text(last) else None  # the answer that still lacks its text
        self._at: int | None = None  # the message that was told of last

    def messages(self) -> list[Message]:
        """All messages as they now are."""
        for position, before in self._before.items():
            message = self._messages[position]
            if message == before:
                self._messages[position] = self._stored[position]
            elif not message.get("ids"):
                # Another program's is known by those that it was adopted by.
                message["ids"] = " ".join(self._names[position])
        return list(self._messages)

    def go_on(self, message: BaseMessage) -> None:
        """What is added next follows this message, which may stand before others."""
        position = self._positions.get(digest_of(str(message.id)))
        if position is None:
            position = self._saying(message)
        self._open = position if position is not None and self._lacks_text(position) else None
        self._at = position

    def knows(self, message: BaseMessage) -> bool:
        """Whether a message is there already."""
        return digest_of(str(message.id)) in self._positions

    def add(self, message: BaseMessage) -> None:
        """Fold the next message in. One that is known already takes its own place."""
        base, result_kind = adopted_part(message.id)
        if base != self._base:
            # The parts of an adopted message fold into one message again, and nothing else joins it.
            self._open, self._base = None, base
        role = role_of_message(message)
        if isinstance(message, (ToolMessage, FunctionMessage)):
            self._add_result(message, result_kind)
        elif message.id and (position := self._positions.get(digest_of(message.id))) is not None:
            before = self._own(position).get("content")
            self._revise(position, message)
            if position == self._open or before == self._messages[position].get("content"):
                self._open = position if self._lacks_text(position) else None
        elif role == "assistant":
            self._add_answer(message)
        else:
            self._open = None
            self._start(message, role, text_said(message))

    def change(self, message: BaseMessage, was: BaseMessage | None = None) -> None:
        """Let a message that has changed take its own place.

        Args:
            message: As it is now.
            was: As it was, if that is known. If it had no id, it is the newest that said what it did.
        """
        position = self._positions.get(digest_of(str(message.id)))
        if isinstance(message, (ToolMessage, FunctionMessage)):
            if was is not None and was.id == message.id and position is None:
                self.is_complete = False  # it is that of an older call, which may have the id of a newer one
            if position is not None or getattr(message, "tool_call_id", "") in self._calls:
                self._add_result(message, adopted_part(message.id)[1], was)
            else:
                self.is_complete = False
            return
        if position is None and was is not None and not was.id:
            position = self._saying(was)
            if position is not None:
                self._note(position, message)
        if position is None:
            self.is_complete = False
        else:
            self._revise(position, message, was)

    def _saying(self, message: BaseMessage) -> int | None:
        """The newest message that says what this one does."""
        role, text = role_of_message(message), text_said(message)
        made = [(call_id, call["args"], None) for call, call_id in _calls_made(message)]
        if isinstance(message, ToolMessage):
            made = [(message.tool_call_id, None, plain(answer_of(message)))]
        if made:
            places = [(place, args, result) for name, args, result in made for place in self._calls.get(name, ())]
            return max(((self._tells(*one), one[0][0]) for one in places), default=(False, None))[1]
        for position in range(len(self._messages) - 1, -1, -1):
            stored = self._messages[position]
            if stored.get("role") == role and self._whole(stored).get("content") == text:
                return position
        return None

    def _tells(self, place: tuple[int, int], args: Any, result: Any) -> bool:
        """Whether a call has these arguments, or this result."""
        call = self._whole(self._messages[place[0]])["tool_calls"][place[1]]
        return bool(plain(call.get("args")) == plain(args)) if result is None else plain(call.get("result")) == result

    def _lacks_text(self, position: int) -> bool:
        message = self._messages[position]
        is_answer = message.get("role") == "assistant" and bool(message.get("ids"))
        return is_answer and bool(message.get("tool_calls")) and not message.get("content")

    def _own(self, position: int) -> Message:
        """A message, to be changed."""
        if position < len(self._stored) and position not in self._before:
            self._before[position] = whole = self._whole(self._stored[position])
            self._note_hidden(position, whole)
            others = {key: value for key, value in whole.items() if key != "tool_calls"}
            calls = [dict(call) for call in calls_in(whole)]
            self._messages[position] = {**others, "tool_calls": calls} if calls else others
        return self._messages[position]

    def _note_hidden(self, position: int, whole: Message) -> None:
        """A stored message that is shortened may lack its last calls."""
        if calls_in(self._stored[position]) and "shortened" in self._stored[position]:
            known = {place for places in self._calls.values() for place in places}
            for number, call in enumerate(calls_in(whole)):
                if (position, number) not in known:
                    self._calls[str(call.get("id") or "")].append((position, number))

    def _revise(self, position: int, message: BaseMessage, was: BaseMessage | None = None) -> None:
        """Let a message that comes again, which a middleware or a person has changed, take its own place."""
        before, seen = self._own(position), Counter[str]()
        # An adopted message makes the calls that are stored; those that are stored without ids have others by now.
        is_copy = was is None and adopted_part(message.id)[0] is not None
        made = () if is_copy else [*_calls_made(message), *provider_calls(message).made]
        twins = Counter(call_id for _, call_id in made)
        for call, call_id in made:
            numbers = [number for place, number in self._calls.get(call_id, ()) if place == position]
            if was is None and len(numbers) > twins[call_id]:
                continue  # other parts of the answer have calls of that id: which are this one's can't be told
            if seen[call_id] < len(numbers):
                _update(before["tool_calls"][numbers[seen[call_id]]], call)
            else:
                self._add_call(position, call, call_id)
            seen[call_id] += 1
        text, content = text_said(message), before.get("content")
        if isinstance(content, str) and (text or (was is not None and text_said(was) == content)):
            before["content"] = text

    def _add_call(self, position: int, call: Message, call_id: str) -> None:
        calls = self._own(position).setdefault("tool_calls", [])
        calls.append(call)
        self._calls[call_id].append((position, len(calls) - 1))

    def _start(self, message: BaseMessage, role: str, text: str) -> int:
        started = {"role": role, "content": text, "timestamp": self._timestamp, "ids": self._digest(message)}
        self._messages.append(started)
        self._positions[started["ids"]] = position = len(self._messages) - 1
        return position

    def _join(self, message: BaseMessage) -> int:
        """The open answer, which now has the message's id; a new one if none is open."""
        if self._open is None:
            return self._start(message, "assistant", "")
        self._note(self._open, message)
        return self._open

    def _note(self, position: int, message: BaseMessage) -> None:
        """A message is folded into another."""
        name, into = self._digest(message), self._own(position)
        into["ids"] = " ".join([*(str(into.get("ids") or "").split() or self._names[position]), name])
        self._positions[name] = position

    def _add_answer(self, message: BaseMessage) -> None:
        made, outcomes = provider_calls(message)
        answered = {outcome.call_id for outcome in outcomes if self._is_answered_by(outcome)}
        calls = [*_calls_made(message), *(entry for entry in made if entry[1] not in answered)]
        text = text_said(message, or_kind=not calls)
        position = self._at = self._join(message)
        for call, call_id in calls:
            self._add_call(position, call, call_id)
        if text.strip() or not (calls or answered):
            self._own(position)["content"], self._open = text, None
        else:
            self._open = position

    def _is_answered_by(self, outcome: Outcome) -> bool:
        """Whether a provider's result is that of a call in an earlier message, which then has it."""
        waiting = [place for place in self._calls.get(outcome.call_id, ()) if not self._has_result(place)]
        for position, number in waiting[:1]:
            self._own(position)["tool_calls"][number].update(outcome.fields)
        return bool(waiting)

    def _has_result(self, place: tuple[int, int]) -> bool:
        position, number = place
        return "result" in self._messages[position]["tool_calls"][number]

    def _add_result(
        self, message: ToolMessage | FunctionMessage, kind: str | None, was: BaseMessage | None = None
    ) -> None:
        known = self._positions.get(digest_of(message.id)) if message.id else None
        is_there, place = known is not None, self._open if known is None else known
        if place is not None and place < len(self._stored) and "shortened" in self._stored[place]:
            self._own(place)
        made = self._calls.get(getattr(message, "tool_call_id", ""))
        if (is_there and not made) or (kind == "n" and made and made[-1][0] < len(self._stored)):
            return  # a copy of what is stored
        position, number = self._call_answered(message, was)
        call = self._own(position)["tool_calls"][number]
        result = answer_of(message, kind)
        if kind != "n" and ("result" not in call or plain(call["result"]) != plain(result)):
            call["result"] = result
        if getattr(message, "status", None) == "error":
            call["status"] = "error"
        elif call.get("status") == "error":
            del call["status"]  # the newest result of a call counts

    def _answered_by(
        self, message: BaseMessage, was: BaseMessage | None, calls: list[tuple[int, int]]
    ) -> tuple[int, int] | None:
        """Which of several calls of one id a message answers that is known already."""
        if len(calls) > 1 and isinstance(was, ToolMessage):
            stored = [self._own(position)["tool_calls"][number].get("result") for position, number in calls]
            results = [plain(one) for one in stored]
            told = [plain(answer_of(one, adopted_part(one.id)[1])) for one in (was, message)]  # it may be told already
            return next((calls[results.index(one)] for one in told if one in results), None)
        # The ids of an answer are in the order in which its parts came: the calls, then their results.
        ids = str(self._messages[calls[0][0]].get("ids") or "").split()
        number = ids.index(name) - 1 if (name := digest_of(str(message.id))) in ids else -1
        return next((place for place in calls if place[1] == number), None if len(calls) > 1 else calls[0])

    def _call_answered(self, message: ToolMessage | FunctionMessage, was: BaseMessage | None = None) -> tuple[int, int]:
        call_id: str = getattr(message, "tool_call_id", "")
        known = self._positions.get(digest_of(message.id)) if message.id else None
        if made := self._calls.get(call_id):
            # Some models give several calls one id: those of an answer are answered in order, the newest answer's
            # first. A later result of a call replaces it.
            own = [place for place in (known, self._open, self._at) if any(place == one[0] for one in made)]
            position = own[0] if own else made[-1][0]
            calls = [place for place in made if place[0] == position]
            if position == known:
                found = self._answered_by(message, was, calls)
            else:
                found = self._answered_by(message, was, made[::-1]) if was is not None and len(made) > 1 else None
            if found is None:
                waiting = [place for place in calls if not self._has_result(place)]
                found = waiting[0] if waiting else calls[-1]
                # A second result may be that of an older call.
                self.is_complete &= bool(waiting) or position == known
            if known != position:
                self._note(found[0], message)
            return found
        # An agent that trims its messages may have cut the call, and kept its result.
        self.is_complete = False
        self._open = self._join(message)
        self._add_call(self._open, _call(message.name, {}, call_id), call_id)
        return self._calls[call_id][-1]

    def _digest(self, message: BaseMessage) -> str:
        """The digest of the message's id, or of what it says if it has no id. The second of two equal ones differs."""
        calls, answered = getattr(message, "tool_calls", None), getattr(message, "tool_call_id", None)
        name = message.id or repr([message.type, message.content, calls, answered])
        self._seen[name] += 1
        return digest_of(name if self._seen[name] == 1 else f"{name}#{self._seen[name]}")


def coerced(messages: Any) -> Iterator[BaseMessage]:
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


def role_of_message(message: BaseMessage) -> str:
    """The documented role of a message."""
    return role_of(message.role if isinstance(message, ChatMessage) else message.type)


def calls_in(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The tool calls of a stored message, whoever wrote it: the maps in a list, or one map."""
    calls = message.get("tool_calls")
    calls = [calls] if isinstance(calls, Mapping) else calls
    return [call for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []


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


def _update(stored: Message, call: Message) -> None:
    """Let a stored call have what it now is; what says the same stays as it is."""
    stored.update({name: value for name, value in call.items() if plain(stored.get(name)) != plain(value)})
