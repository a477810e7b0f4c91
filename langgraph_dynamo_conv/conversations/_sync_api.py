"""Conversations as a chat page needs them: lists, transcripts, changes, export. Reading never writes.

`_api.py` adds the async twin of each call; both in one file would be too long to read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.base import SerializerProtocol

from langgraph_dynamo_conv._arguments import check_choice, check_flag
from langgraph_dynamo_conv._calls.runtime import Options, Runtime, Shared, checked_serde, table_of
from langgraph_dynamo_conv._format.keys import Scope, check_user_id
from langgraph_dynamo_conv._rows.row import Status
from langgraph_dynamo_conv._storage.bucket import bucket_of
from langgraph_dynamo_conv.conversations import _changing, _export, _listing
from langgraph_dynamo_conv.conversations._listing import ConversationQuery
from langgraph_dynamo_conv.conversations._records import (
    Conversation,
    ConversationPage,
    ConversationSummary,
    Erasure,
    ExportFormat,
    OrderBy,
    Removed,
    Role,
    checked_content,
)
from langgraph_dynamo_conv.conversations._transcripts import all_transcripts, transcript
from langgraph_dynamo_conv.conversations._verification import Verification, Verifier

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from typing_extensions import Self, Unpack

    from langgraph_dynamo_conv._storage.bucket import BucketOptions


class SyncConversations:
    """The calls of `Conversations`, which wait for DynamoDB."""

    def __init__(
        self,
        table_name: str | None = None,
        *,
        client: DynamoDBClient | None = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        serde: SerializerProtocol | None = None,
        accept_plaintext: bool = False,
        messages_channel: str = "messages",
        ttl: timedelta | None = None,
        clock: Callable[[], float] = time.time,
        **s3: Unpack[BucketOptions],
    ) -> None:
        table, bucket = table_of(table_name, client, region_name, endpoint_url), bucket_of(client, region_name, **s3)
        options = Options(messages_channel=messages_channel, ttl=ttl, clock=clock, accept_plaintext=accept_plaintext)
        saver: BaseCheckpointSaver[Any] = BaseCheckpointSaver(serde=checked_serde(serde))
        self._runtime = Runtime(Shared(table, options, bucket), saver.serde)

    @classmethod
    def _over(cls, runtime: Runtime) -> Self:
        conversations = cls.__new__(cls)
        conversations._runtime = runtime
        return conversations

    def close(self) -> None:
        """Stop the threads. The client is left open. Can be repeated."""
        self._runtime.shared.close()

    def list(
        self,
        user_id: str,
        *,
        limit: int = 20,
        cursor: str | None = None,
        created_after: str | None = None,
        created_before: str | None = None,
        newest_first: bool = True,
        order_by: OrderBy = "created_at",
        status: Status | None = None,
        title_contains: str | None = None,
    ) -> ConversationPage:
        """A page of a user's conversations, through `user_id-created_at-index`.

        The index follows the table in less than a second; it can't be read consistently. A page is short only if it is
        the last, whatever the filters. A row that another program wrote is listed whatever it holds; its
        `message_count` is shown as it is stored, 0 if that is no count.

        Args:
            user_id: The owner.
            limit: Conversations in a page, 1 to 1,000.
            cursor: The `cursor` of the page before; the other arguments must be the same.
            created_after: Only those created later than this ISO 8601 time.
            created_before: Only those created earlier.
            newest_first: Newest or oldest first.
            order_by: "created_at", or "updated_at": there is no index of that, so 2,000 conversations, the newest by
                `created_at` (or the oldest), are read and sorted for every page. Once their pages are through, the
                cursor goes on with the next 2,000, sorted by themselves.
            status: Only those with this status.
            title_contains: Only those with this in their title, upper or lower case.

        Raises:
            ValueError: An argument is out of range, or the cursor is broken or of another list.
            CorruptDataError: A title is in plain text where a `serde` encrypts, without `accept_plaintext`.

        Cost: one Query and half a read unit for each 4 KB of rows in the page; with a filter, of the rows passed over
        too; ordered by `updated_at`, of 2,000 rows, or of all if there are fewer, and of 2,000
        more for a page that goes on with the next.
        """
        bounds = limit, created_after, created_before
        now = self._runtime.expiry.clock()
        query = ConversationQuery(check_user_id(user_id), *bounds, newest_first, order_by, status, title_contains, now)
        return _listing.page(self._runtime.table, query, cursor, self._runtime.rows.summary_from_attributes)

    def get(
        self,
        conversation_id: str,
        user_id: str,
        *,
        limit: int | None = None,
        before: int | None = None,
        cursor: str | None = None,
    ) -> Conversation:
        """A conversation with its messages, oldest first. Strongly consistent unless `consistent=False`.

        Args:
            conversation_id: LangGraph's `thread_id`.
            user_id: The owner.
            limit: Only the newest so many messages; all if None.
            before: Only messages before this number: the `first` of the page after, for scrolling backwards.
            cursor: The `cursor` of the page after, instead of `before`. Where messages have moved since, the newest
                page is given, and says so (`is_anew`).

        Raises:
            ConversationNotFoundError: The user has no such conversation.
            CorruptDataError: The row or a page can't be read; the error's key names it.

        Cost: one GetItem; if the page reaches messages that have left the row, one Query for each MB of them, half a
        read unit for each 4 KB; one Query more for each message that is too large for the row.
        """
        return transcript(self._runtime, Scope.checked(conversation_id, user_id), limit, before, cursor)

    def owner(self, conversation_id: str) -> str:
        """The user of a conversation. For administration only: a request is never authorised by it.

        Args:
            conversation_id: LangGraph's `thread_id`.

        Raises:
            ConversationNotFoundError: Nobody has such a conversation.
            ValueError: Several users have one.

        Cost: three Queries of one item at most.
        """
        return self._runtime.directory.scope_of(conversation_id, None).user_id

    def latest(self, user_id: str) -> ConversationSummary | None:
        """The user's newest conversation, or None. Cost: one Query."""
        return next(iter(self.list(user_id, limit=1)), None)

    def count(self, user_id: str) -> int:
        """How many conversations the user has. Cost: one Query for each MB of the user's rows."""
        answers = self._runtime.table.query_index(
            check_user_id(user_id), **self._runtime.rows.live({"Select": "COUNT"})
        )
        return sum(int(answer["Count"]) for answer in answers)

    def create(
        self, user_id: str, *, title: str | None = None, conversation_id: str | None = None
    ) -> ConversationSummary:
        """Make a conversation without messages.

        Args:
            user_id: The owner.
            title: Its title; made from the first message if None.
            conversation_id: Its id; a new UUID v4 if None.

        Raises:
            ConflictError: The user has a conversation of that id.

        Cost: one UpdateItem, for table and index.
        """
        return ConversationSummary._of(_changing.create(self._runtime, user_id, title, conversation_id))

    def rename(self, conversation_id: str, user_id: str, title: str) -> None:
        """Give a conversation another title, which then stays. `updated_at` does not change.

        Raises:
            ConversationNotFoundError: The user has no such conversation.

        Cost: one GetItem at most and one UpdateItem, for table and index.
        """
        _changing.rename(self._runtime, Scope.checked(conversation_id, user_id), title)

    def delete(self, conversation_id: str, user_id: str) -> int:
        """Delete a user's conversation: state, writes, parts, messages, row. Can be repeated after a crash.

        Returns:
            How many items were removed; 0 if there was no such conversation.

        Cost: one Query for each MB, and one DeleteItem for each item.
        """
        return _changing.delete(self._runtime, Scope.checked(conversation_id, user_id))

    def delete_user(self, user_id: str, *, scan: bool = False) -> Removed:
        """Delete everything of a person. Can be repeated after a crash.

        Args:
            user_id: The person.
            scan: Also look through the whole table for what no index entry leads to: a run that died before its first
                message was shown. Costs one read of the table.

        Cost: one Query of the index for each MB of rows, and for each conversation that of `delete`.
        """
        return Removed(*_changing.delete_user(self._runtime, check_user_id(user_id), scan=check_flag("scan", scan)))

    def add_message(
        self,
        conversation_id: str,
        role: Role,
        content: str,
        *,
        user_id: str | None = None,
        tool_calls: Sequence[Mapping[str, Any]] | None = None,
        message_id: str | None = None,
    ) -> None:
        """Add a message from outside the graph. The agent's next run has it in its state.

        Repeated after a failure it can add the message twice, unless both calls give the same `message_id`.

        Args:
            conversation_id: An existing conversation.
            role: "user", "assistant" or "system".
            content: Its text.
            user_id: The owner; if None, the one user of the conversation.
            tool_calls: For an assistant: `{"tool": str, "args": dict, "result": any}` each.
            message_id: A name for the message, of your own: where the conversation has it, nothing is added. Any
                text; a new one if None.

        Raises:
            ConversationNotFoundError: There is no such conversation.
            ValueError: No `user_id`, and several users share the conversation id; or a wrong role or tool call.

        Cost: one Query of two items, a read of the newest state if there may be one, one PutItem for that, and one
            UpdateItem of the row; without `user_id`, one small Query more unless the row is all that there is. Two
            requests to three where a conversation has no checkpoints, one more where messages leave the row; else 7.
        """
        said = role, content, tool_calls
        _changing.add_message(self._runtime, conversation_id, said, user_id, message_id)

    def edit_message(
        self, conversation_id: str, message_id: str, content: str, *, user_id: str | None = None
    ) -> Erasure:
        """Give a message another text: in the transcript, its title, and the agent's state. Can be repeated.

        Its tool calls stay. Not while a run is under way, which would store the state that it has read. docs/erasure.md
        says what is reached.

        Args:
            conversation_id: The conversation.
            message_id: `Message.id`, as `get` gives it.
            content: The new text.
            user_id: The owner; if None, the one user of the conversation.

        Returns:
            What was changed, and which older checkpoints still hold the former words, until `saver.prune`.

        Raises:
            ConversationNotFoundError, MessageNotFoundError: There is none.
            RunNotEndedError: The last run waits, has failed, or is under way.
            ValueError: No `user_id`, and several users share the conversation id; or the content is no string.

        Cost: a read of all checkpoints and task writes; the newest state stored whole; one UpdateItem, or a
        transaction with the pages that had the message.
        """
        text = checked_content(content)
        return _changing.erase(self._runtime, conversation_id, message_id, text, user_id)

    def remove_message(self, conversation_id: str, message_id: str, *, user_id: str | None = None) -> Erasure:
        """Remove a message, an answer with its tool calls and results. Else as `edit_message`.

        Raises:
            ConflictError: More than 90 pages of messages follow it: edit it instead.

        Cost: that of `edit_message`; all pages from the message on are written in the transaction.
        """
        return _changing.erase(self._runtime, conversation_id, message_id, None, user_id)

    def export(
        self, user_id: str, conversation_id: str | None = None, *, format: ExportFormat = "jsonl"
    ) -> Iterator[str]:
        """A conversation, or all of a user's, as pieces of text; one conversation in memory at a time.

        Args:
            user_id: The owner.
            conversation_id: The conversation; all of the user's, newest first, if None.
            format: "jsonl" (a conversation a line), "json" (one array) or "markdown".

        Raises:
            ConversationNotFoundError: The user has no such conversation.
            CorruptDataError: A conversation can't be read; of several, all others are given first.

        Cost: that of `get` for each conversation, and of listing them.
        """
        check_choice("format", format, _export.FORMATS)
        user_id = check_user_id(user_id)
        if conversation_id is not None:
            return _export.export([self.get(conversation_id, user_id)], format)
        return _export.export(all_transcripts(self._runtime, user_id), format)

    def verify(self, conversation_id: str, user_id: str | None = None) -> Verification:
        """Read everything of a conversation and say what of it is damaged, missing or forgotten. Changes nothing.

        Not while a run is under way or the conversation is being deleted: what is about to be written or is half gone
        looks damaged.

        Args:
            conversation_id: The conversation.
            user_id: The owner; if None, the one user of the conversation.

        Raises:
            ConversationNotFoundError: There is no such conversation.

        Cost: one Query for each MB, and once more the parts of its large values; three for each call of a subgraph; one
        GetItem for each object in S3, which is read.
        """
        return Verifier(self._runtime, self._runtime.directory.scope_of(conversation_id, user_id)).run()
