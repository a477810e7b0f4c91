"""Transcripts as the API gives them: pages of one conversation, and all conversations of a user one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from langgraph_dynamo_conv._arguments import check_count
from langgraph_dynamo_conv._calls.runtime import Runtime
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._rows.row import Row, Transcript
from langgraph_dynamo_conv._transcript.langchain import has_ids, public_ids
from langgraph_dynamo_conv.conversations import _listing
from langgraph_dynamo_conv.conversations._listing import ConversationQuery, from_cursor, to_cursor
from langgraph_dynamo_conv.conversations._records import Conversation, Message, summary_of
from langgraph_dynamo_conv.errors import ConversationNotFoundError, CorruptDataError

_PAGE_ITEMS = 1000


class _Position(NamedTuple):
    """What a cursor says: a place in a conversation, and the numbering that it is of."""

    before: int
    renumbered: int
    incarnation: str

    def is_of(self, row: Row) -> bool:
        """Whether the row's messages have the same numbers still."""
        return (self.renumbered, self.incarnation) == (row.renumbered, row.incarnation)


def transcript(
    runtime: Runtime, scope: Scope, limit: int | None = None, before: int | None = None, cursor: str | None = None
) -> Conversation:
    """A conversation with some of its messages. See `Conversations.get`."""
    for name, count in (("limit", limit), ("before", before)):
        if count is not None:
            check_count(name, count, 0)
    if before is not None and cursor is not None:
        raise ValueError("give before or a cursor, not both: either says where the page ends")
    position = _position(cursor) if cursor is not None else None

    def select(row: Row) -> tuple[int, int]:
        end = position.before if position is not None and position.is_of(row) else before
        last = row.message_count if end is None else min(end, row.message_count)
        return (0 if limit is None else max(last - limit, 0)), last

    found = runtime.rows.transcript(scope, select)
    if found is None:
        raise runtime.directory.not_found(scope)
    row, first = found.row, found.first
    return Conversation(
        **summary_of(row),
        messages=tuple(map(Message._of, found.messages, _ids(runtime, found))),
        first=first,
        cursor=to_cursor([*_Position(first, row.renumbered, row.incarnation)]) if first else None,
        is_anew=position is not None and not position.is_of(row),
    )


def _position(cursor: str) -> _Position:
    try:
        before, renumbered, incarnation = from_cursor(cursor)
        if not (type(before) is type(renumbered) is int and before > 0 and isinstance(incarnation, str)):
            raise ValueError("it names no place")
    except (ValueError, TypeError) as error:
        raise ValueError("the cursor is broken: give the one that the page after came with") from error
    return _Position(before, renumbered, incarnation)


def all_transcripts(runtime: Runtime, user_id: str) -> Iterator[Conversation]:
    """Every conversation of a user, newest first.

    Raises:
        CorruptDataError: One can't be read; raised for the first such, once all others were given.
    """
    query = ConversationQuery(user_id, _PAGE_ITEMS, now=runtime.expiry.clock())
    unreadable: CorruptDataError | None = None
    for row in _listing.all_rows(runtime.table, query, runtime.rows.summary_from_attributes):
        try:
            yield transcript(runtime, row.scope)
        except ConversationNotFoundError:
            continue  # deleted since it was listed
        except CorruptDataError as error:
            unreadable = unreadable or error
    if unreadable is not None:
        raise unreadable


def _ids(runtime: Runtime, found: Transcript) -> list[str]:
    """The public id of each message; where another program's are among them, by all messages before them too."""
    messages, last = found.messages, found.first + len(found.messages)
    if not found.first or not messages or all(map(has_ids, messages)):
        return public_ids(messages)
    whole = runtime.rows.transcript(found.row.scope, lambda row: (0, min(row.message_count, last)))
    return public_ids(whole.messages if whole is not None else messages)[-len(messages) :]
