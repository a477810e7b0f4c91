"""What the table should hold after the dialogue: the check that the demo ends with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

ORDINALS = ("the first one", "the second one")
"""Which entry of a list is meant, only the state of an earlier process knows."""


@dataclass(frozen=True)
class Evidence:
    """What was said in the first conversation, and what the table then holds."""

    conversation_id: str
    second_id: str
    user: str
    said: tuple[str, ...]
    created_at: str
    item: Json
    transcript: list[Json]
    listed_ids: list[str]


def missing_from(evidence: Evidence) -> list[str]:
    """What the table should hold after the dialogue and does not, in words; empty if all is there."""
    if not evidence.item:
        return ["the conversation's item"]
    return [*_missing_in_row(evidence), *_missing_in_messages(evidence), *_missing_in_list(evidence)]


def _missing_in_row(evidence: Evidence) -> Iterator[str]:
    item, count = evidence.item, 2 * len(evidence.said)
    if (item.get("conversation_id"), item.get("user_id")) != (evidence.conversation_id, evidence.user):
        yield "the conversation's and the user's id as the item's key"
    if item.get("title") != evidence.said[0]:
        yield f"the first message as title (it is {item.get('title')!r})"
    if item.get("message_count") != count:
        yield f"a message_count of {count} (it is {item.get('message_count')})"
    if item.get("created_at") != evidence.created_at:
        yield f"an unchanged created_at (it was {evidence.created_at} and is {item.get('created_at')})"
    if not str(item.get("updated_at", "")) > evidence.created_at:
        yield f"an updated_at after created_at (it is {item.get('updated_at')})"


def _missing_in_messages(evidence: Evidence) -> Iterator[str]:
    in_row = evidence.item.get("messages", [])
    older = len(evidence.transcript) - len(in_row)  # a long conversation's row holds only the newest messages
    messages = [*evidence.transcript[: max(older, 0)], *in_row]
    if [message.get("role") for message in messages] != ["user", "assistant"] * len(evidence.said):
        yield f"{len(evidence.said)} questions, each with its answer (there are {len(messages)} messages)"
        return
    questions, answers = messages[::2], messages[1::2]
    for said, question, answer in zip(evidence.said, questions, answers, strict=True):
        if question.get("content") != said:
            yield f"the message {said!r} (there is {question.get('content')!r})"
        if not answer.get("content") or not answer.get("timestamp"):
            yield f"text and time of the answer to {said!r}"
        if not answer.get("tool_calls"):
            yield f"tool calls in the answer to {said!r}"
        for call in answer.get("tool_calls", []):
            if not call.get("result"):
                yield f"the result of {call.get('tool')} in the answer to {said!r}"
    yield from _missing_in_memory(evidence.said, answers)


def _missing_in_memory(said: tuple[str, ...], answers: list[Json]) -> Iterator[str]:
    listed: list[str] = []
    for line, answer in zip(said, answers, strict=True):
        calls = answer.get("tool_calls", [])
        asked_for = [call.get("args", {}).get("path") for call in calls]
        for place, ordinal in enumerate(ORDINALS):
            meant = listed[place] if place < len(listed) else None
            if ordinal in line and (meant is None or meant not in asked_for):
                yield f"memory: {line!r} should have shown {meant}, but asked for {asked_for}"
        lists = [call["result"]["files"] for call in calls if _is_list(call)]
        listed = [file["path"] for file in lists[-1]] if lists else listed


def _is_list(call: Json) -> bool:
    """Whether the call has listed files; to ask for the largest of them alone makes no new list."""
    result = call.get("result")
    return isinstance(result, dict) and bool(result.get("files")) and call.get("args", {}).get("limit") != 1


def _missing_in_list(evidence: Evidence) -> Iterator[str]:
    if evidence.listed_ids[:2] != [evidence.second_id, evidence.conversation_id]:
        yield "both conversations at the head of the user's list, newest first"
