"""A dialogue that plays itself, and a check that the table holds everything that it should afterwards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer
from terminal import safe

if TYPE_CHECKING:
    from agent import Chat

FIRST_TALK = (
    "Show me the {kind} files",
    "show me the first one",
    "Which of them are larger than 1 KB?",
    "How large is the largest of them?",
)
SECOND_TALK = ("Show me 4K renders", "What changed this week?")
FOLLOW_UP = "When was the first one changed?"  # which one that is, only the first talk's state knows

Json = dict[str, Any]


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


def run(chat: Chat) -> int:
    """Play the dialogue, print what is stored, check it; 0 if nothing is missing, else 1."""
    kind = chat.files.commonest_kind()
    if kind is None:
        print(f"Missing: files to talk about in {chat.files.folder}")
        return 1
    evidence = play(chat, tuple(line.format(kind=kind) for line in FIRST_TALK))
    missing = missing_from(evidence)
    for what in missing:
        print(f"Missing: {what}")
    if not missing:
        print("Nothing is missing: messages, tool calls with results, title, times, list order, memory.")
    return 1 if missing else 0


def play(chat: Chat, first_talk: tuple[str, ...]) -> Evidence:
    """Type both talks and the follow-up, print what the table then holds, and hand it back."""
    first_id = chat.conversation_id
    _type(chat, *first_talk)
    created_at = str(_plain(stored_item(chat, first_id)).get("created_at"))
    _type(chat, "/new")
    second_id = chat.conversation_id
    _type(chat, *SECOND_TALK, "/list", "/open 2", FOLLOW_UP, "/list")
    raw_item = stored_item(chat, first_id)
    _print_item(raw_item)
    with chat.table.saver() as saver:
        listed_ids = [summary.conversation_id for summary in saver.conversations.list(chat.user, limit=20)]
        transcript = saver.conversations.get(first_id, chat.user).to_dict()["messages"]
    said = (*first_talk, FOLLOW_UP)
    return Evidence(first_id, second_id, chat.user, said, created_at, _plain(raw_item), transcript, listed_ids)


def _type(chat: Chat, *lines: str) -> None:
    for line in lines:
        print(f"\nyou> {line}")
        chat.handle(line)


def stored_item(chat: Chat, conversation_id: str) -> Json:
    """The conversation's row as DynamoDB gives it; empty if there is none."""
    key = {"conversation_id": {"S": conversation_id}, "user_id": {"S": chat.user}}
    answer = chat.table.client().get_item(TableName=chat.table.name, Key=key, ConsistentRead=True)
    return dict(answer.get("Item", {}))


def _print_item(raw_item: Json) -> None:
    in_row, total = len(_plain(raw_item).get("messages", ())), _plain(raw_item).get("message_count")
    print(f"\nThe stored item of the first conversation, with {in_row} of its {total} messages:")
    text = json.dumps(raw_item, indent=1, ensure_ascii=False)
    print(safe(re.sub(r"\{\n *(\"(?:S|N|BOOL|NULL)\": .*)\n *\}", r"{\1}", text)))  # a value with its type on one line


def _plain(raw_item: Json) -> Json:
    return {name: TypeDeserializer().deserialize(value) for name, value in raw_item.items()}


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
    first_of_list: str | None = None
    for line, answer in zip(said, answers, strict=True):
        calls = answer.get("tool_calls", [])
        asked_for = [call.get("args", {}).get("path") for call in calls]
        if "the first one" in line and (first_of_list is None or first_of_list not in asked_for):
            yield f"memory: {line!r} should have shown {first_of_list}, but asked for {asked_for}"
        lists = [call["result"]["files"] for call in calls if _is_list(call)]
        first_of_list = lists[-1][0]["path"] if lists else first_of_list


def _is_list(call: Json) -> bool:
    """Whether the call has listed files; to ask for the largest of them alone makes no new list."""
    result = call.get("result")
    return isinstance(result, dict) and bool(result.get("files")) and call.get("args", {}).get("limit") != 1


def _missing_in_list(evidence: Evidence) -> Iterator[str]:
    if evidence.listed_ids[:2] != [evidence.second_id, evidence.conversation_id]:
        yield "both conversations at the head of the user's list, newest first"
