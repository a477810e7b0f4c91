"""Transcripts as the API gives them: pages of one conversation, and all conversations of a user one by one."""

from __future__ import annotations

from collections.abc import Iterator

from langgraph_dynamo_conv._calls.runtime import Runtime
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._rows.row import Transcript
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

    def select(count: int) -> tuple[int, int]:
        last = count if before is None else min(before, count)
        return (0 if limit is None else max(last - limit, 0)), last

    found = runtime.rows.transcript(scope, select)
    if found is None:
        raise runtime.directory.not_found(scope)
    messages = tuple(map(Message._of, found.messages, _ids(runtime, found)))
    return Conversation(**summary_of(found.row), messages=messages, first=found.first)


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


def _ids(runtime: Runtime, found: Transcript) -> list[str]:
    """The public id of each message; where another program's are among them, by all messages before them too."""
    messages, last = found.messages, found.first + len(found.messages)
    if not found.first or not messages or all(map(has_ids, messages)):
        return public_ids(messages)
    whole = runtime.rows.transcript(found.row.scope, lambda count: (0, min(count, last)))
    return public_ids(whole.messages if whole is not None else messages)[-len(messages) :]
