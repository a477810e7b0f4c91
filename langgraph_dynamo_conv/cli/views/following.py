"""Following a live conversation: it is read again and again, less often while nothing happens, for what is new."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from langgraph_dynamo_conv.conversations import Conversation, Message

FIRST_SECONDS = 0.5
SLOWEST_SECONDS = 10.0
_GROWTH = 1.5

RECHECKED = 20
"""Newest messages that each read compares with those of the last one: an answer that is being written changes."""


@dataclass(frozen=True)
class News:
    """A message that is new or has changed, or another status.

    Args:
        status: The conversation's status, if that is the news.
        number: The message's number, from 0.
        message: The message.
        changed: Whether the message was given before, in another form.
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
        read: Reads the conversation with so many of its newest messages.
        first: The conversation as it was read before; only what comes after it is news.
        sleep: Waits so many seconds.
    """
    seconds, last = FIRST_SECONDS, first
    while True:
        sleep(seconds)
        now = read(RECHECKED)
        if now.first > last.message_count:
            now = read(now.message_count - last.message_count)
        news = list(_news(last, now))
        yield from news
        seconds = FIRST_SECONDS if news else min(seconds * _GROWTH, SLOWEST_SECONDS)
        last = now


def _news(last: Conversation, now: Conversation) -> Iterator[News]:
    before = _numbered(last)
    for number, message in _numbered(now).items():
        older = before.get(number)
        if number >= last.message_count or older not in (None, message):
            yield News(number=number, message=message, changed=older is not None)
    if now.status != last.status:
        yield News(status=now.status)


def _numbered(conversation: Conversation) -> dict[int, Message]:
    return dict(enumerate(conversation.messages, conversation.first))
