"""What the conversation API gives: frozen records, and their documented form as JSON. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args, overload

from langgraph_dynamo_conv._arguments import check_choice
from langgraph_dynamo_conv._format.attributes import clean_text, plain, storable
from langgraph_dynamo_conv._rows.reading import time_of
from langgraph_dynamo_conv._rows.row import Row
from langgraph_dynamo_conv._transcript.folding import Message as StoredMessage
from langgraph_dynamo_conv._transcript.langchain import calls_of, meaning_of, public_ids

Role = Literal["user", "assistant", "system"]
"""Who says a message."""

OrderBy = Literal["created_at", "updated_at"]
"""What a list is sorted by."""

TitleFunction = Callable[[list["Message"]], str]
"""Gives a title for the first exchange of a conversation."""

ExportFormat = Literal["jsonl", "json", "markdown"]
"""The form of an export: a conversation a line, one array, or text to read."""


@dataclass(frozen=True)
class ToolCall:
    """One tool call of an answer.

    Args:
        tool: The tool's name.
        args: Its arguments.
        result: What it gave; None while the call is pending (see `pending`).
        id: The model's id of the call, or None.
        status: "error" for a failed tool, else None.
        pending: Whether there is no result yet.
    """

    tool: str
    args: dict[str, Any]
    result: Any = None
    id: str | None = None
    status: str | None = None
    pending: bool = False

    @classmethod
    def _of(cls, call: Mapping[str, Any]) -> ToolCall:
        result, is_pending = call.get("result"), "result" not in call
        return cls(call["tool"], call["args"], result, call.get("id"), call.get("status"), is_pending)

    def to_dict(self) -> dict[str, Any]:
        """As in the table: `result` is absent while the call is pending."""
        attributes: dict[str, Any] = {"tool": self.tool, "args": self.args}
        if not self.pending:
            attributes["result"] = self.result
        optional = {"id": self.id, "status": self.status}
        return attributes | {name: value for name, value in optional.items() if value is not None}


@dataclass(frozen=True)
class Message:
    """One message of a transcript.

    Args:
        role: "user", "assistant" or "system".
        content: Its text.
        timestamp: When it was first seen, ISO 8601 in UTC.
        tool_calls: What the assistant called on the way to this answer, in order.
        id: A name that stays the message's, unlike those of all others of the conversation: a key for a page. An
            answer keeps it while its tool calls and its text come.
    """

    role: Role
    content: str
    timestamp: str
    tool_calls: tuple[ToolCall, ...] = ()
    id: str = ""

    @classmethod
    def _of(cls, stored: Mapping[str, Any], id: str) -> Message:
        role, content, _ = meaning_of(stored)
        calls = tuple(map(ToolCall._of, calls_of(stored)))
        return cls(cast("Role", role), content, time_of(stored.get("timestamp")), calls, id)

    def to_dict(self) -> dict[str, Any]:
        """As in the table, and the `id`."""
        attributes: dict[str, Any] = {"role": self.role, "content": self.content, "timestamp": self.timestamp}
        if self.tool_calls:
            attributes["tool_calls"] = [call.to_dict() for call in self.tool_calls]
        return attributes | {"id": self.id}


@dataclass(frozen=True)
class ConversationSummary:
    """What a list shows of a conversation.

    Args:
        conversation_id: LangGraph's `thread_id`.
        user_id: The owner.
        title: Its title.
        created_at: ISO 8601 in UTC.
        updated_at: When its messages last changed.
        message_count: All its messages.
        status: "running", "idle", "waiting" or "failed"; None where another program wrote the row.
        status_at: When the status was set, ISO 8601 in UTC; None where another program wrote the row. A run that was
            cancelled or killed stays "running": after some time, it is not.
        waiting_for: While the status is "waiting", what is asked: the interrupts' `id` and `value`, at most 1 KB.
    """

    conversation_id: str
    user_id: str
    title: str
    created_at: str
    updated_at: str
    message_count: int
    status: str | None = None
    status_at: str | None = None
    waiting_for: tuple[dict[str, Any], ...] = ()

    @classmethod
    def _of(cls, row: Row) -> ConversationSummary:
        return cls(**summary_of(row))

    def to_dict(self) -> dict[str, Any]:
        """As in the table."""
        left_out = (None, ())
        return {name: value for name, value in vars(self).items() if value not in left_out}


@dataclass(frozen=True)
class Conversation(ConversationSummary):
    """A conversation with its messages, oldest first.

    Args:
        messages: All messages, or those of the page that was asked for.
        first: The number (from 0) of the first of them: `before=first` gives the page before.
        cursor: Gives the page before too, as `get(..., cursor=...)`; None if there is none.
        is_anew: Whether the page is the newest though a cursor was given, since a fork, a removal or runs at the same
            time have moved messages after that was made. What shows the pages has to begin anew with this one.
    """

    messages: tuple[Message, ...] = ()
    first: int = 0
    cursor: str | None = None
    is_anew: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As in the table, with the messages at hand."""
        of_page = ("first", "cursor", "is_anew")
        summary = {name: value for name, value in super().to_dict().items() if name not in of_page}
        return {**summary, "messages": [message.to_dict() for message in self.messages]}


@dataclass(frozen=True)
class ConversationPage(Sequence[ConversationSummary]):
    """Some conversations of a user, in order; a sequence.

    Args:
        items: The summaries.
        cursor: Gives the next page, as `list(..., cursor=...)`; None if this is the last.
    """

    items: tuple[ConversationSummary, ...]
    cursor: str | None = None

    @overload
    def __getitem__(self, index: int) -> ConversationSummary: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ConversationSummary, ...]: ...
    def __getitem__(self, index: int | slice) -> ConversationSummary | tuple[ConversationSummary, ...]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Removed:
    """What `delete_user` removed.

    Args:
        conversations: How many conversations.
        items: How many items of the table.
    """

    conversations: int
    items: int


@dataclass(frozen=True)
class Erasure:
    """What `edit_message` and `remove_message` did, and what still holds the former words.

    Args:
        message_id: The id under which `get` gives an edited message now, or gave a removed one. A message whose state
            has no ids for messages is named by what it says, so it gets another.
        checkpoint_id: The checkpoint without the words that is the newest now; None if the state did not have the
            message, so that only the transcript changed.
        held_by: Ids of the older checkpoints, newest first, that still have the message in their state or in a task's
            writes. `saver.prune([conversation_id])` deletes them.
    """

    message_id: str
    checkpoint_id: str | None
    held_by: tuple[str, ...]


def checked_content(content: object) -> str:
    """The text of a message as an item can hold it. Raises `ValueError` where it is no string."""
    if not isinstance(content, str):
        raise ValueError(f"content is a string; got a {type(content).__name__}")
    return clean_text(content)


def of_stored(title: TitleFunction | None) -> Callable[[list[StoredMessage]], str] | None:
    """A function that makes titles, for messages as they are stored."""
    if title is None or not callable(title):
        return title  # what can't be called is refused with the other options

    def of(stored: list[StoredMessage]) -> str:
        return title(list(map(Message._of, stored, public_ids(stored))))

    return of


def summary_of(row: Row) -> dict[str, Any]:
    """A row's fields, by the names of `ConversationSummary`."""
    return {
        "conversation_id": row.scope.thread_id,
        "user_id": row.scope.user_id,
        "title": row.title,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "message_count": row.message_count,
        "status": row.status,
        "status_at": row.status_at or None,
        "waiting_for": tuple(plain(dict(one)) for one in row.waiting_for),
    }


def stored_message(
    role: Role, content: str, tool_calls: Sequence[Mapping[str, Any]] | None, timestamp: str
) -> StoredMessage:
    """A message from outside, in the table's documented form.

    Raises:
        ValueError: A role, content or tool call of another shape.
    """
    check_choice("role", role, get_args(Role))
    message: StoredMessage = {"role": role, "content": checked_content(content), "timestamp": timestamp}
    if tool_calls is not None and not (isinstance(tool_calls, (list, tuple)) and all(map(_is_tool_call, tool_calls))):
        raise ValueError("tool_calls is a list, and each tool call is {'tool': str, 'args': dict, 'result': any}")
    if tool_calls:
        if role != "assistant":
            raise ValueError("only an assistant's message has tool_calls")
        message["tool_calls"] = [storable({"args": {}, **call}) for call in tool_calls]
    return message


def _is_tool_call(call: object) -> bool:
    return isinstance(call, Mapping) and isinstance(call.get("tool"), str) and isinstance(call.get("args", {}), Mapping)
