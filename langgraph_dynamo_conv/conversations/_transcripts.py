"""Transcripts as the API gives them: pages of one conversation, and all conversations of a user one by one."""

from __future__ import annotations

from collections.abc import Iterator

from langgraph_dynamo_conv._calls.runtime import Runtime
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._rows.row import Row
from langgraph_dynamo_conv._transcript.folding import Message as StoredMessage
from langgraph_dynamo_conv._transcript.langchain import has_ids, public_ids
from langgraph_dynamo_conv.conversations import _listing
from langgraph_dynamo_conv.conversations._listing import ConversationQuery
from langgraph_dynamo_conv.conversations._records import Conversation, Message, summary_of
from langgraph_dynamo_conv.errors import ConversationNotFoundError, CorruptDataError

_PAGE_ITEMS = 1000


def transcript(runtime: Runtime, scope: Scope, limit: int | None, before: int | None) -> Conversation:
    """A conversation with some of its messages. See `Conversations.get`."""
    if limit is not None and limit < 0 or before is not None and before < 0:
        raise ValueError("limit and before are at least 0")
    row = runtime.directory.row(scope)
    last = row.message_count if before is None else min(before, row.message_count)
    first = 0 if limit is None else max(last - limit, 0)
    messages = runtime.rows.messages(row, first, last)
    ids = _ids(runtime, row, messages, first, last)
    return Conversation(*summary_of(row), messages=tuple(map(Message._of, messages, ids)), first=first)


def all_transcripts(runtime: Runtime, user_id: str) -> Iterator[Conversation]:
    """Every conversation of a user, newest first.

    Raises:
        CorruptDataError: One can't be read; raised for the first such, once all others were given.
    """
    query = ConversationQuery(user_id, _PAGE_ITEMS, now=runtime.expiry.clock())
    unreadable: CorruptDataError | None = None
    for row in _listing.all_rows(runtime.table, query, runtime.rows.summary_from_attributes):
        try:
            yield transcript(runtime, row.scope, None, None)
        except ConversationNotFoundError:
            continue  # deleted since it was listed
        except CorruptDataError as error:
            unreadable = unreadable or error
    if unreadable is not None:
        raise unreadable


def _ids(runtime: Runtime, row: Row, messages: list[StoredMessage], first: int, last: int) -> list[str]:
    """The public id of each message; where another program's are among them, by all messages before them too."""
    if not first or not messages or all(map(has_ids, messages)):
        return public_ids(messages)
    return public_ids(runtime.rows.messages(row, 0, last))[-len(messages) :]
