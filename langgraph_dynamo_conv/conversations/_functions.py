"""Functions for the table that the environment variable `DYNAMODB_TABLE_NAME` names.

The region is that of `AWS_REGION`, or else the one that boto3 finds; the credentials are those that boto3 finds first.
One `Conversations`, and so one client, serves all calls of a process, as long as the variables that say which table is
meant, and where, are the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from langgraph_dynamo_conv.conversations._api import Conversations
from langgraph_dynamo_conv.conversations._records import Role
from langgraph_dynamo_conv.errors import ConversationNotFoundError

_PLACE = (
    "DYNAMODB_TABLE_NAME",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
)
"""Variables that say which table is meant."""

_MOST_PLACES = 8


def create_conversation(user_id: str, title: str | None = None) -> str:
    """Make a conversation, and give its id, a UUID v4. See `Conversations.create`.

    Cost: one UpdateItem, for table and index, and one GetItem.
    """
    return _conversations().create(user_id, title=title).conversation_id


def add_message(
    conversation_id: str,
    role: Role,
    content: str,
    *,
    user_id: str | None = None,
    tool_calls: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Add a message. See `Conversations.add_message`.

    Cost: two requests where a conversation has no checkpoints and is whole in its row; seven at most where it has
    checkpoints, whose newest state is read and stored.
    """
    _conversations().add_message(conversation_id, role, content, user_id=user_id, tool_calls=tool_calls)


def get_conversation(conversation_id: str, user_id: str | None = None) -> dict[str, Any] | None:
    """A conversation as a dict in the table's documented form, with all its messages; None if there is none.

    Without a user, the one user of the conversation: for administration, since a request that names no user is
    authorised by nothing. See `Conversations.get`.
    """
    conversations = _conversations()
    with suppress(ConversationNotFoundError):
        owner = conversations.owner(conversation_id) if user_id is None else user_id
        return conversations.get(conversation_id, owner).to_dict()
    return None


def list_conversations(user_id: str, limit: int = 20) -> list[dict[str, Any]]:
    """A user's conversations without their messages, the newest first by `created_at`. See `Conversations.list`.

    Args:
        user_id: The owner.
        limit: How many at most, 1 to 1,000. Longer lists come in pages from `Conversations.list`.

    Cost: one Query of the index.
    """
    return [summary.to_dict() for summary in _conversations().list(user_id, limit=limit)]


def rename_conversation(conversation_id: str, user_id: str, title: str) -> None:
    """Give a conversation another title, which then stays. See `Conversations.rename`.

    Raises:
        ConversationNotFoundError: The user has no such conversation.
    """
    _conversations().rename(conversation_id, user_id, title)


def delete_conversation(conversation_id: str, user_id: str) -> bool:
    """Delete a conversation with all of its state; gives whether there was one. See `Conversations.delete`."""
    return _conversations().delete(conversation_id, user_id) > 0


def _conversations() -> Conversations:
    return _of_place(tuple(os.environ.get(name) for name in _PLACE))


@lru_cache(_MOST_PLACES)
def _of_place(place: tuple[str | None, ...]) -> Conversations:
    return Conversations(place[0], region_name=place[_PLACE.index("AWS_REGION")] or None)
