"""What both servers show of a user's conversations: lists, transcripts, titles. Each method takes the user who asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from answer_sizes import MOST_PAGE_BYTES, fitted_message, fitted_summary, size_of
from chat_requests import ExportFormat
from problems import bad_request, not_found

from langgraph_dynamo_conv import Conversation, Conversations, ConversationSummary
from langgraph_dynamo_conv.errors import RequestFailedError


class ChatPages:
    """The conversations of a table, as JSON values.

    Args:
        conversations: A saver's.
    """

    def __init__(self, conversations: Conversations) -> None:
        self.conversations = conversations

    def list(self, user_id: str, limit: int, cursor: str | None) -> dict[str, Any]:
        """A page of the user's conversations, newest first."""
        try:
            page = self.conversations.list(user_id, limit=limit, cursor=cursor)
        except (ValueError, RequestFailedError) as error:
            if cursor is None:
                raise
            raise bad_request("The cursor is not one that this list came with.") from error
        return {"conversations": [_shown(each) for each in page], "cursor": page.cursor}

    def create(self, user_id: str, title: str | None) -> dict[str, Any]:
        """A new conversation without messages."""
        return _shown(self.conversations.create(user_id, title=title))

    def get(self, user_id: str, conversation_id: str, limit: int, before: int | None) -> dict[str, Any]:
        """A conversation with its newest messages, or those before a number; as many as an answer can hold."""
        found = self.existing(user_id, conversation_id, limit=limit, before=before)
        messages: list[dict[str, Any]] = []
        room = MOST_PAGE_BYTES
        for message in reversed(found.messages):
            shown = fitted_message(message.to_dict())
            room -= size_of(shown)
            if messages and room < 0:
                break
            messages.insert(0, shown)
        first = found.first + len(found.messages) - len(messages)
        return _shown(found) | {"messages": messages, "before": first or None}

    def summary(self, user_id: str, conversation_id: str) -> dict[str, Any]:
        """A conversation without its messages."""
        return _shown(self.existing(user_id, conversation_id))

    def rename(self, user_id: str, conversation_id: str, title: str) -> dict[str, Any]:
        """Give a conversation another title; gives it back without messages."""
        self.existing(user_id, conversation_id)
        self.conversations.rename(conversation_id, user_id, title)
        return self.summary(user_id, conversation_id)

    def export(self, user_id: str, conversation_id: str, format: ExportFormat) -> Iterator[str]:
        """A whole conversation as pieces of a file."""
        self.existing(user_id, conversation_id)
        return self.conversations.export(user_id, conversation_id, format=format)

    def existing(
        self, user_id: str, conversation_id: str, *, limit: int = 0, before: int | None = None
    ) -> Conversation:
        """The conversation, if it is this user's.

        Raises:
            ConversationNotFoundError: It never was, or is another user's.
            Problem: No conversation can have this id.
        """
        try:
            return self.conversations.get(conversation_id, user_id, limit=limit, before=before)
        except ValueError as error:
            raise not_found() from error


def _shown(conversation: ConversationSummary) -> dict[str, Any]:
    """Without the user, who knows, and without messages."""
    shown = conversation.to_dict()
    return fitted_summary({name: value for name, value in shown.items() if name not in ("user_id", "messages")})
