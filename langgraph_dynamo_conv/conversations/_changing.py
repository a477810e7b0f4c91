"""What the conversation API changes: conversations are made, renamed, deleted, and their messages added and erased."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from langgraph_dynamo_conv._calls import adoption, erasure
from langgraph_dynamo_conv._calls.runtime import Runtime
from langgraph_dynamo_conv._format.attributes import clean_text
from langgraph_dynamo_conv._format.keys import Scope, check_text
from langgraph_dynamo_conv._rows.row import IDLE, Row, RowUpdate
from langgraph_dynamo_conv._rows.starts import UNKNOWN_START
from langgraph_dynamo_conv._rows.updates import is_pending
from langgraph_dynamo_conv._transcript.folding import Message
from langgraph_dynamo_conv._transcript.ids import digest_of
from langgraph_dynamo_conv.conversations._records import Erasure, Role, stored_message
from langgraph_dynamo_conv.errors import ConflictError


def create(runtime: Runtime, user_id: str, title: str | None, conversation_id: str | None) -> Row:
    """See `Conversations.create`."""
    scope = Scope.checked(conversation_id if conversation_id is not None else str(uuid.uuid4()), user_id)
    title = None if title is None else clean_text(check_text("title", title))
    if not runtime.rows.create(scope, title):
        raise ConflictError(
            "the user has a conversation of that id already; choose another id, or none",
            operation="UpdateItem",
            table=runtime.table.name,
            key=str(scope.row()),
        )
    return runtime.directory.row(scope)


def rename(runtime: Runtime, scope: Scope, title: str) -> None:
    """See `Conversations.rename`."""
    title = clean_text(check_text("title", title))

    def renamed(row: Row | None) -> Row:
        if row is None:
            raise runtime.directory.not_found(scope)
        return row if row.title == title else replace(row, title=title)

    runtime.rows.change(scope, renamed)


def delete(runtime: Runtime, scope: Scope) -> int:
    """See `Conversations.delete`."""
    runtime.forget(scope.thread_id, scope.user_id)
    return runtime.removal.delete(scope.thread_id, scope.user_id)


def delete_user(runtime: Runtime, user_id: str, *, scan: bool) -> tuple[int, int]:
    """See `Conversations.delete_user`; gives the numbers of conversations and items."""
    directory = runtime.directory
    scopes = list(directory.scanned_of_user(user_id) if scan else directory.of_user(user_id))
    return len(scopes), sum(delete(runtime, scope) for scope in scopes)


def add_message(
    runtime: Runtime,
    conversation_id: str,
    said: tuple[Role, str, Sequence[Mapping[str, Any]] | None],
    user_id: str | None,
    message_id: str | None,
) -> None:
    """See `Conversations.add_message`; `said` is role, content and tool calls."""
    message = stored_message(*said, runtime.rows.now())
    named = check_text("message_id", str(uuid.uuid4()) if message_id is None else message_id)
    message["ids"] = digest_of(named)
    scope, may_have_state = runtime.directory.owned(conversation_id, user_id)
    if not may_have_state:
        with suppress(_OvertakenError):  # a run may have begun
            _add_to_row(runtime, scope, message, is_first=True)
            return
    stored = adoption.append(runtime, scope, message)
    if stored is not None:
        # The row of a run that is over may not say so yet, and then never would. It is no fork: others lose nothing.
        status = None if is_pending(stored.tree["channel_values"]) else IDLE
        runtime.row_updater.apply(scope, stored, status, start=UNKNOWN_START)
    else:
        _add_to_row(runtime, scope, message)


class _OvertakenError(Exception):
    """Another writer has changed the row since it was read."""


def _add_to_row(runtime: Runtime, scope: Scope, message: Message, *, is_first: bool = False) -> None:
    """Add a message to a conversation without a state; with `is_first`, raise where the row has changed since."""

    def update(row: Row | None) -> RowUpdate:
        if row is None:
            raise runtime.directory.not_found(scope)
        return RowUpdate([], None, None, message["timestamp"], added=[message])

    def overtaken() -> None:
        if is_first:
            raise _OvertakenError

    runtime.rows.apply(scope, update, overtaken)


def erase(
    runtime: Runtime,
    conversation_id: str,
    message_id: str,
    content: str | None,
    user_id: str | None,
) -> Erasure:
    """See `Conversations.edit_message`; without a content, `Conversations.remove_message`."""
    message_id = check_text("message_id", message_id)
    scope = runtime.directory.scope_of(conversation_id, user_id)
    done = erasure.change(runtime, scope, message_id, content)
    return Erasure(done.message_id, done.checkpoint_id, done.held_by)
