"""Which of a state's messages a conversation message is made of, and the state without its words. Pure.

The rule: a message of the transcript is found in a state by its `ids`, its own or those of its adopted parts. Where its
parts have no ids, as in a plain list, it is the message that says the same, counted from the end, since agents forget
from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage, RemoveMessage, ToolMessage

from langgraph_dynamo_conv._content.text import text_said
from langgraph_dynamo_conv._transcript.differences import named
from langgraph_dynamo_conv._transcript.folding import Message, coerced, fold
from langgraph_dynamo_conv._transcript.ids import digest_of, ids_of
from langgraph_dynamo_conv._transcript.langchain import meaning_of

_WITH_WORDS = ("content", "text", "parts", "additional_kwargs", "response_metadata")
"""Fields of a message in which its words are, or may be once more: refusals, transcripts of audio, logprobs."""


@dataclass(frozen=True)
class Target:
    """A message of the transcript that is to be edited or removed.

    Args:
        message: As it is stored, whole.
        adopted: The digests that its parts have in a state that adopted it.
        later: How many messages after it say the same.
    """

    message: Message
    adopted: tuple[str, ...] = ()
    later: int = 0

    @property
    def names(self) -> frozenset[str]:
        """The digests by which a state's messages are its parts."""
        return frozenset((*ids_of(self.message), *self.adopted))

    def is_same(self, message: Message) -> bool:
        """Whether a message says the same."""
        return meaning_of(message)[:2] == meaning_of(self.message)[:2]


@dataclass(frozen=True)
class Erased:
    """A state's messages without the words of a target.

    Args:
        items: The messages as the state holds them.
        former: Those that were changed or left out, as they were.
    """

    items: list[Any]
    former: list[Any]


def erased(items: Sequence[Any], target: Target, content: str | None) -> Erased:
    """A state's messages with the target's text replaced, or without the target where `content` is None."""
    parts = _parts_of(items, target)
    if content is None:
        changed = [item for position, item in enumerate(items) if position not in parts]
        former = [items[position] for position in parts]
    else:
        place = _text_at(items, parts)
        changed = [_edited(item, content) if position == place else item for position, item in enumerate(items)]
        former = [] if place is None else [items[place]]
    return Erased(changed, former)


def mentions(value: Any, names: frozenset[str], former: Sequence[Any]) -> bool:
    """Whether a value has a message with one of these names, or one of the former messages, at any depth of lists."""
    if isinstance(value, BaseMessage):
        is_named = value.id is not None and digest_of(value.id) in names
        return (is_named and not isinstance(value, RemoveMessage)) or value in former
    value = getattr(value, "value", value)  # a DeltaChannel's snapshot, or an Overwrite
    if isinstance(value, Mapping):
        is_named = isinstance(value.get("id"), str) and digest_of(value["id"]) in names
        return is_named or value in former or any(mentions(one, names, former) for one in value.values())
    if isinstance(value, (list, tuple)):
        return value in former or any(mentions(one, names, former) for one in value)
    return value in former


def _parts_of(items: Sequence[Any], target: Target) -> list[int]:
    """The positions of the messages that are folded into the target."""
    messages = dict(_with_ids(items))
    places = {digest_of(str(message.id)): position for position, message in messages.items()}
    groups = [[places[name] for name in ids_of(one) if name in places] for one in fold(messages.values(), timestamp="")]
    known = {position for name, position in places.items() if name in target.names}
    if known:
        joined = {place for group in groups if known.intersection(group) for place in group}
        results = {place for place in joined if isinstance(messages[place], ToolMessage)}  # whatever their ids are now
        return sorted(known | results | {place for place in joined if not _has_id(items[place])})
    may_have_ids = not ids_of(target.message)
    folded = [fold([messages[place] for place in group], timestamp="") for group in groups]
    same = [
        group
        for group, said in zip(groups, folded, strict=True)
        if len(said) == 1 and target.is_same(said[0]) and (may_have_ids or not any(_has_id(items[p]) for p in group))
    ]
    return sorted(same[-1 - target.later]) if len(same) > target.later else []


def _with_ids(items: Sequence[Any]) -> Iterator[tuple[int, BaseMessage]]:
    """The messages of a state that belong in a transcript, by position, each with an id, if one of its own making."""
    for position, item in enumerate(items):
        for message in coerced([item]):
            yield position, named(message, f"at {position}")


def _has_id(item: Any) -> bool:
    return bool(item.get("id") if isinstance(item, Mapping) else getattr(item, "id", None))


def _text_at(items: Sequence[Any], parts: Sequence[int]) -> int | None:
    """Where the text of an answer is: in its last message with text, else in its last one that is no tool's."""
    messages = {place: message for place, message in _with_ids(items) if place in parts}
    spoken = [place for place, message in messages.items() if not isinstance(message, ToolMessage)]
    with_text = [place for place in spoken if text_said(messages[place]).strip()]
    return next(iter((with_text or spoken)[-1:]), None)


def _edited(item: Any, content: str) -> Any:
    """A message as a state holds it, with another text, and without the fields that may quote the former one."""
    if isinstance(item, BaseMessage):
        return item.model_copy(update={"content": content, "additional_kwargs": {}, "response_metadata": {}})
    if isinstance(item, Mapping):
        return {**{key: value for key, value in item.items() if key not in _WITH_WORDS}, "content": content}
    return content if isinstance(item, str) else type(item)((item[0], content))
