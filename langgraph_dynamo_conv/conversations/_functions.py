"""Functions for the table that the environment variable `DYNAMODB_TABLE_NAME` names, each with a client of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from typing import Any

from langgraph_dynamo_conv.conversations._api import Conversations
from langgraph_dynamo_conv.errors import ConversationNotFoundError


def create_conversation(user_id: str, title: str | None = None) -> str:
    """Make a conversation on the table that `DYNAMODB_TABLE_NAME` names; gives its id. See `Conversations.create`.

    Makes a client for each call; programs that do more keep a `Conversations`.
    """
    with closing(Conversations()) as made:
        return made.create(user_id, title=title).conversation_id


def add_message(
    conversation_id: str,
    role: str,
    content: str,
    *,
    user_id: str | None = None,
    tool_calls: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Add a message, on the table that `DYNAMODB_TABLE_NAME` names. See `Conversations.add_message`."""
    with closing(Conversations()) as made:
        made.add_message(conversation_id, role, content, user_id=user_id, tool_calls=tool_calls)


def get_conversation(conversation_id: str, user_id: str | None = None) -> dict[str, Any] | None:
    """A conversation as a dict in the table's documented form, with all its messages; None if there is none.

    On the table that `DYNAMODB_TABLE_NAME` names. Without a user, the one user of the conversation.
    """
    with closing(Conversations()) as made, suppress(ConversationNotFoundError):
        scope = made._runtime.directory.scope_of(conversation_id, user_id)
        return made.get(scope.thread_id, scope.user_id).to_dict()
    return None
