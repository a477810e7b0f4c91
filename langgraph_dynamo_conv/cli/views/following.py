"""Tailing a live conversation: polls with a growing interval, and tells what is new or has changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from langgraph_dynamo_conv.conversations import Conversation, Message

FIRST_SECONDS = 0.5
SLOWEST_SECONDS = 10.0
_GROWTH = 1.5

RECHECKED = 20
"""Messages at the end that are compared in each poll: an answer under way changes."""


@dataclass(frozen=True)
class News:
    """A message that is new or has changed, or a status.

    Args:
        status: The conversation's status, if that is the news.
        number: The message's number, from 0.
        message: The message.
        changed: Whether it was told before, in another form.
    """

    status: str | None = None
    number: int = 0
    message: Message | None = None
    changed: bool = False


def follow(
    read: Callable[[int | None], Conversation],
    first: Conversation,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[News]:
    """News of a conversation, without end.

    Args:
        read: Reads the newest so many messages.
        first: What was told before; only what comes after it is news.
        sleep: Waits so many seconds.
    """
    told = _numbered(first)
    status, count = first.status, first.message_count
    seconds = FIRST_SECONDS
    while True:
        sleep(seconds)
        found = read(RECHECKED)
        if found.first > count:
            found = read(found.message_count - count)
        news = list(_changes(told, count, found))
        if found.status != status:
            news.append(News(status=found.status))
        yield from news
        seconds = FIRST_SECONDS if news else min(seconds * _GROWTH, SLOWEST_SECONDS)
        told, status, count = _numbered(found), found.status, found.message_count


def _changes(told: dict[int, Message], count: int, found: Conversation) -> Iterator[News]:
    for number, message in _numbered(found).items():
        before = told.get(number)
        if number >= count or before not in (None, message):
            yield News(number=number, message=message, changed=before is not None)


def _numbered(conversation: Conversation) -> dict[int, Message]:
    return dict(enumerate(conversation.messages, conversation.first))
