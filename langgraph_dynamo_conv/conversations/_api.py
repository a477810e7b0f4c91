"""`Conversations`: the calls of `_sync_api.py`, and an async twin of each, which runs it in a thread of its pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

from langgraph_dynamo_conv._rows.row import Status
from langgraph_dynamo_conv.conversations._records import (
    Conversation,
    ConversationPage,
    ConversationSummary,
    Erasure,
    ExportFormat,
    OrderBy,
    Removed,
    Role,
)
from langgraph_dynamo_conv.conversations._sync_api import SyncConversations
from langgraph_dynamo_conv.conversations._verification import Verification


class Conversations(SyncConversations):
    """The conversations of a table. Can be shared by threads and tasks.

    Args:
        table_name: The table; the environment variable `DYNAMODB_TABLE_NAME` if None.
        client: A ready boto3 DynamoDB client; made at the first request if None.
        region_name: Region of the client that is made.
        endpoint_url: Endpoint of the client that is made.
        serde: The serializer of the savers that use this table; with an `EncryptedSerializer`, transcripts are
            decrypted and encrypted with it.
        accept_plaintext: Also read transcripts that are not encrypted, as the saver's option does.
        messages_channel: Name of the state's channel that holds the messages.
        ttl: How long conversations live that are written here; the same as that of the table's savers.
        clock: Seconds since the epoch.
        s3: `s3_bucket` and the options that go with it, as the savers have them.
    """

    async def alist(
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
        """Async `list`."""
        call = partial(
            self.list,
            user_id,
            limit=limit,
            cursor=cursor,
            created_after=created_after,
            created_before=created_before,
            newest_first=newest_first,
            order_by=order_by,
            status=status,
            title_contains=title_contains,
        )
        return await self._runtime.run(call)

    async def aget(
        self,
        conversation_id: str,
        user_id: str,
        *,
        limit: int | None = None,
        before: int | None = None,
        cursor: str | None = None,
    ) -> Conversation:
        """Async `get`."""
        call = partial(self.get, conversation_id, user_id, limit=limit, before=before, cursor=cursor)
        return await self._runtime.run(call)

    async def aowner(self, conversation_id: str) -> str:
        """Async `owner`."""
        return await self._runtime.run(partial(self.owner, conversation_id))

    async def alatest(self, user_id: str) -> ConversationSummary | None:
        """Async `latest`."""
        return await self._runtime.run(partial(self.latest, user_id))

    async def acount(self, user_id: str) -> int:
        """Async `count`."""
        return await self._runtime.run(partial(self.count, user_id))

    async def acreate(
        self, user_id: str, *, title: str | None = None, conversation_id: str | None = None
    ) -> ConversationSummary:
        """Async `create`."""
        return await self._runtime.run(partial(self.create, user_id, title=title, conversation_id=conversation_id))

    async def arename(self, conversation_id: str, user_id: str, title: str) -> None:
        """Async `rename`."""
        await self._runtime.run(partial(self.rename, conversation_id, user_id, title))

    async def adelete(self, conversation_id: str, user_id: str) -> int:
        """Async `delete`."""
        return await self._runtime.run(partial(self.delete, conversation_id, user_id))

    async def adelete_user(self, user_id: str, *, scan: bool = False) -> Removed:
        """Async `delete_user`."""
        return await self._runtime.run(partial(self.delete_user, user_id, scan=scan))

    async def aadd_message(
        self,
        conversation_id: str,
        role: Role,
        content: str,
        *,
        user_id: str | None = None,
        tool_calls: Sequence[Mapping[str, Any]] | None = None,
        message_id: str | None = None,
    ) -> None:
        """Async `add_message`."""
        options = partial(self.add_message, user_id=user_id, tool_calls=tool_calls, message_id=message_id)
        await self._runtime.run(partial(options, conversation_id, role, content))

    async def aedit_message(
        self, conversation_id: str, message_id: str, content: str, *, user_id: str | None = None
    ) -> Erasure:
        """Async `edit_message`."""
        call = partial(self.edit_message, conversation_id, message_id, content, user_id=user_id)
        return await self._runtime.run(call)

    async def aremove_message(self, conversation_id: str, message_id: str, *, user_id: str | None = None) -> Erasure:
        """Async `remove_message`."""
        return await self._runtime.run(partial(self.remove_message, conversation_id, message_id, user_id=user_id))

    async def averify(self, conversation_id: str, user_id: str | None = None) -> Verification:
        """Async `verify`."""
        return await self._runtime.run(partial(self.verify, conversation_id, user_id))

    async def aexport(
        self, user_id: str, conversation_id: str | None = None, *, format: ExportFormat = "jsonl"
    ) -> AsyncIterator[str]:
        """Async `export`."""
        pieces = await self._runtime.run(partial(self.export, user_id, conversation_id, format=format))
        while (piece := await self._runtime.run(partial(next, pieces, None))) is not None:
            yield piece
