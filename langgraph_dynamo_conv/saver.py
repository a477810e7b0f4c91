"""`DynamoDBConversationSaver`: the calls of the checkpointer and what each costs; `_calls/graph.py` does them."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from langgraph_dynamo_conv import provision
from langgraph_dynamo_conv._calls import graph
from langgraph_dynamo_conv._calls.config import Target, config_for, user_of
from langgraph_dynamo_conv._calls.runtime import Options, Runtime, Shared, checked_serde, table_of
from langgraph_dynamo_conv._format.keys import Scope, check_text, check_thread_id, check_user_id
from langgraph_dynamo_conv._format.limits import BUCKET_BYTES
from langgraph_dynamo_conv._state.versions import next_version
from langgraph_dynamo_conv._storage.bucket import bucket_of
from langgraph_dynamo_conv.conversations._api import Conversations
from langgraph_dynamo_conv.conversations._records import TitleFunction, of_stored

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from typing_extensions import Self


class DynamoDBConversationSaver(BaseCheckpointSaver[str]):
    """Keeps LangGraph state and readable conversations in one DynamoDB table.

    Pass it as `checkpointer=` when a graph is compiled. One saver can be shared by any number of threads and asyncio
    tasks; a process needs only one. No request is sent and no credential looked up before the first call. Close it, or
    use it as a context manager, to stop its threads.

    Args:
        table_name: The table; the environment variable `DYNAMODB_TABLE_NAME` if None.
        client: A ready boto3 DynamoDB client, used as it is (its retries, timeouts and pool size count). Without one
            the saver makes its own at the first request: standard retries, 6 attempts, 32 connections.
        region_name: Region of the client that the saver makes; the environment's if None.
        endpoint_url: Endpoint of that client; AWS's if None.
        default_user_id: The user where a config names none. For demos ("demo") and programs with one user only.
        serde: LangGraph serializer; `JsonPlusSerializer` if None, which calls whatever stored data name unless
            `LANGGRAPH_STRICT_MSGPACK` is set. With an `EncryptedSerializer` everything that the saver stores of the
            state is encrypted, and data that is not is refused.
        messages_channel: Name of the state's channel that holds the messages; "__previous__" for the functional API.
        transcript: Whether the conversation row follows the messages. Without it, the row is created and listed, but
            has no messages.
        encrypt_transcript: Whether title and messages of the row are encrypted too where `serde` encrypts.
        accept_plaintext: With an `EncryptedSerializer`, also read what is not encrypted: for a table from before there
            was one. All that is written is encrypted. Whoever can write to the table can then forge state and messages.
        title: Makes a conversation's title from the messages of its first exchange; called in a thread of the saver's
            after the answer is stored. If it fails, the first message's title stays.
        row_bytes: The most bytes of messages that a row holds, at least 512, whoever began it. If None, a row is whole
            up to 16 KB, and one that another program began up to 300 KB; above that it holds the newest exchange.
        cache_bytes: Memory for what was last seen of each conversation; 0 to read everything every time.
        consistent: Whether reads of the table are strongly consistent. False halves the cost; may miss the newest step.
        ttl: How long a conversation lives after its last turn, at least a second; None: until it is deleted. Then it
            is gone for every read at once; DynamoDB deletes its items after a quarter of `ttl` more (up to a day: all
            of it) and some days of its own. Savers of one table should have the same. See docs/expiry.md.
        clock: Gives the time in seconds since the epoch.
        s3_bucket: A bucket for large values; the table holds them if None. Every saver and `Conversations` that reads
            or deletes a conversation needs the one that it was written with (docs/large-values.md).
        s3_prefix: What the keys of all objects begin with, so that the bucket can be shared.
        s3_threshold_bytes: Values whose stored, compressed bytes are more than these are objects; 350 KB.
        s3_client: A ready boto3 S3 client; made like `client`, in its region, at the first large value if None.

    Raises:
        ValueError: No table name, or contradicting or impossible options.
    """

    def __init__(
        self,
        table_name: str | None = None,
        *,
        client: DynamoDBClient | None = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        default_user_id: str | None = None,
        serde: SerializerProtocol | None = None,
        messages_channel: str = "messages",
        transcript: bool = True,
        encrypt_transcript: bool = True,
        accept_plaintext: bool = False,
        title: TitleFunction | None = None,
        row_bytes: int | None = None,
        cache_bytes: int = 64 * 1024 * 1024,
        consistent: bool = True,
        ttl: timedelta | None = None,
        clock: Callable[[], float] = time.time,
        s3_bucket: str | None = None,
        s3_prefix: str = "",
        s3_threshold_bytes: int = BUCKET_BYTES,
        s3_client: S3Client | None = None,
    ) -> None:
        super().__init__(serde=checked_serde(serde))
        if default_user_id is not None:
            check_user_id(default_user_id)
        of_rows = messages_channel, transcript, encrypt_transcript, of_stored(title), row_bytes
        options = Options(*of_rows, cache_bytes, ttl, clock, accept_plaintext)
        table = table_of(table_name, client, region_name, endpoint_url, consistent=consistent)
        self._default_user_id = default_user_id
        bucket = bucket_of(client, region_name, s3_bucket, s3_prefix, s3_threshold_bytes, s3_client)
        self._first_runtime = Runtime(Shared(table, options, bucket), self.serde)

    def setup(self, *, ttl: bool | None = None, add_index: bool = False, protect: bool = False) -> provision.SetUp:
        """Create the table if it is missing, and wait until it and its index are active. Can be repeated. Run it from
        where you deploy: a runtime role should not have the actions that it needs (docs/table.md).

        Args:
            ttl: Whether to turn on time-to-live on `expires_at`, of whatever program. None: for a new table alone.
            add_index: Whether to add the index to a table that is there without it: a write for each row is billed.
            protect: Whether to turn on deletion protection. False leaves it as it is.

        Returns:
            What was done: whether the table was `created`, and what was `changed`.

        Raises:
            TableMismatchError: A table of that name differs from what is needed; the message says in what.
            IndexNotReadyError: Table or index did not become active in 10 minutes: repeat it later.
        """
        wanted = provision.SetupOptions(ttl=ttl, add_index=add_index, protect=protect)
        return provision.setup_table(self._runtime.table, wanted=wanted)

    @property
    def conversations(self) -> Conversations:
        """The conversations of the table, as a chat page needs them."""
        return Conversations._over(self._runtime)

    def new_conversation(self, user_id: str | None = None, *, title: str | None = None) -> RunnableConfig:
        """A config for a new conversation: `{"configurable": {"thread_id": <uuid4>, "user_id": ...}}`.

        The row appears with the first message, or now if a title is given.

        Cost: nothing, or one UpdateItem if a title is given.
        """
        scope = Scope(str(uuid.uuid4()), self._user(user_id))
        if title is not None:
            self._runtime.rows.create(scope, check_text("title", title))
        self._runtime.checkpoints.note_new(scope)
        return config_for(scope)

    async def anew_conversation(self, user_id: str | None = None, *, title: str | None = None) -> RunnableConfig:
        """Async `new_conversation`."""
        return await self._runtime.run(partial(self.new_conversation, user_id, title=title))

    def resume(self, user_id: str | None = None) -> RunnableConfig:
        """The config of the user's newest conversation, by the index (which can lag behind by less than a second).

        Raises:
            ConversationNotFoundError: The user has none.

        Cost: one Query, half a read unit for each 4 KB of the newest row.
        """
        return config_for(self._runtime.directory.newest(self._user(user_id)))

    def _user(self, user_id: str | None) -> str:
        return user_of({} if user_id is None else {"user_id": user_id}, self._default_user_id)

    async def aresume(self, user_id: str | None = None) -> RunnableConfig:
        """Async `resume`."""
        return await self._runtime.run(partial(self.resume, user_id))

    def close(self) -> None:
        """Wait for calls under way and stop the saver's threads. The client is left open. Can be repeated."""
        self._runtime.shared.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that a config names, or the newest of its namespace; None if there is none.

        A config with a user and no `thread_id` means the user's newest conversation, or the one with that
        `created_at`. `pending_writes` are in `writes_sort_key` order. Reads are strongly consistent unless
        `consistent=False`; the index never is.

        Raises:
            UserRequiredError: The config names no user and there is no default.
            ValueError: An id of another type or shape.
            CorruptDataError: Stored bytes are damaged.

        Cost: 2 requests side by side if this process knows the conversation, or its run stores at exit; else 3. More
        for large values, or without a `thread_id`. Read units: what is new of the state, and of a run the row, by 4 KB.
        """
        return graph.get_tuple(self._runtime, self._target(config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, newest first within each namespace.

        Args:
            config: A conversation (all its namespaces if it names no `checkpoint_ns`); with a user and no `thread_id`
                all conversations of that user; None pages through the whole table, for administration.
            filter: Metadata that must be equal.
            before: Only checkpoints with smaller ids than the one this config names.
            limit: So many at most.

        Cost: one Query for each MB of changes, of task writes and of segments, whatever the number of checkpoints.
        """
        target = None if config is None else self._target(config)
        return graph.history(self._runtime, target, filter, before, limit)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,  # noqa: ARG002 - what changed is found by comparing
    ) -> RunnableConfig:
        """Store a checkpoint; the config's `checkpoint_id` is its parent. Gives the config of what was stored.

        The conversation row follows if the user's message has come or the run is over. Storing a checkpoint again is
        harmless. A warning is logged, once for each conversation, where its id is not greater than its parent's: the
        clock of a host is behind, and LangGraph may forget the turn (docs/reliability.md).

        Raises:
            ConversationNotFoundError: A config with a user and no `thread_id`, where the user has no conversation.
            UserRequiredError, ValueError: See `get_tuple`.

        Cost: one PutItem of about 1 write unit for an ordinary step; about every 30th stores what is new since the
        last such one in one or two requests more; the row costs one UpdateItem when it follows.
        """
        return graph.put(self._runtime, self._target(config), config, checkpoint, metadata)

    def get_next_version(self, current: str | None, channel: None = None) -> str:  # noqa: ARG002 - LangGraph's signature
        """The version of a channel after one that this saver, LangGraph's server or another saver has made.

        Raises:
            ValueError: `current` has no counter.
        """
        return next_version(current)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store a task's writes on the checkpoint that the config names. Can arrive before it does.

        Regular writes are kept if they are there already, special ones (`WRITES_IDX_MAP`) replace.

        Raises:
            ValueError: The config names no `thread_id` or no `checkpoint_id`, or an id is of another type or shape.

        Cost: one UpdateItem, 1 write unit for each KB of what the task has written. Before it, one PutItem for each
        350 KB of writes that do not fit into an item; after it, to a `DeltaChannel`, a Query of 1 read unit.
        """
        graph.put_writes(self._runtime, self._target(config), writes, task_id, task_path)

    def delete_thread(self, thread_id: str, *, user_id: str | None = None) -> None:
        """Delete a conversation: state, writes, messages, row. The row goes last; can be repeated after a crash.

        Args:
            thread_id: The conversation.
            user_id: Only this user's share of it; everybody's if None. Give it wherever the id came from a user.

        Cost: one Query for each MB and one DeleteItem for each item.
        """
        graph.delete(self._runtime, check_thread_id(thread_id), None if user_id is None else check_user_id(user_id))

    def delete_for_runs(self, run_ids: Sequence[str], *, user_id: str | None = None) -> None:
        """Delete the checkpoints and writes of these runs (`run_id` in their metadata). Never scans the table.

        In all conversations, or only in those of `user_id`: give it wherever the ids came from a user. What builds on a
        deleted checkpoint is stored anew. A `DeltaChannel` that replays a deleted run's writes loses them.

        Cost: one Query for each run, and one read of the checkpoints of each conversation it wrote to.
        """
        self._runtime.runs.delete(run_ids, user_id)

    def copy_thread(self, source_thread_id: str, target_thread_id: str, *, user_id: str | None = None) -> None:
        """Copy a conversation: state, writes, messages, and its row, created now. Can be repeated after a crash.

        Args:
            source_thread_id: What is copied.
            target_thread_id: The new conversation.
            user_id: Only this user's share; everybody's if None.

        Raises:
            ValueError: The target is the source, or has a conversation already.

        Cost: one Query for each MB, one more for each MB of checkpoints, and one PutItem for each item.
        """
        source, target = check_thread_id(source_thread_id), check_thread_id(target_thread_id)
        graph.copy(self._runtime, source, target, None if user_id is None else check_user_id(user_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest", user_id: str | None = None) -> None:
        """Forget old checkpoints of these conversations.

        Args:
            thread_ids: The conversations.
            strategy: "keep_latest" keeps the newest checkpoint of each namespace with its writes, and of its ancestors
                what a `DeltaChannel` of it still replays; the transcript stays whole. A subgraph's call leaves nothing
                once it is over (docs/storage-format.md). Segments and parts that were written in the last hour stay
                until the next call. "delete" or "delete_all" is `delete_thread`.
            user_id: Only this user's share; everybody's if None.

        Cost: one read of each conversation, and one DeleteItem for each item that goes.
        """
        graph.prune(self._runtime, thread_ids, strategy, None if user_id is None else check_user_id(user_id))

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What each `DeltaChannel` replays: its writes since it was last stored, oldest first, and that value.

        Cost: two small Queries at once for what came since this process asked last; else one for each MB in between.
        """
        return graph.delta_history(self._runtime, self._target(config), channels)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Async `get_tuple`."""
        return await self._runtime.step(partial(self.get_tuple, config))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Async `list`."""
        tuples = self.list(config, filter=filter, before=before, limit=limit)
        while (item := await self._runtime.run(partial(next, tuples, None))) is not None:
            yield item

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,  # noqa: ARG002 - what changed is found by comparing
    ) -> RunnableConfig:
        """Async `put`."""
        return await graph.aput(self._runtime, self._target(config), config, checkpoint, metadata)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Async `put_writes`."""
        await graph.aput_writes(self._runtime, self._target(config), writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str, *, user_id: str | None = None) -> None:
        """Async `delete_thread`."""
        await self._runtime.run(partial(self.delete_thread, thread_id, user_id=user_id))

    async def adelete_for_runs(self, run_ids: Sequence[str], *, user_id: str | None = None) -> None:
        """Async `delete_for_runs`."""
        await self._runtime.run(partial(self.delete_for_runs, run_ids, user_id=user_id))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str, *, user_id: str | None = None) -> None:
        """Async `copy_thread`."""
        await self._runtime.run(partial(self.copy_thread, source_thread_id, target_thread_id, user_id=user_id))

    async def aprune(
        self, thread_ids: Sequence[str], *, strategy: str = "keep_latest", user_id: str | None = None
    ) -> None:
        """Async `prune`."""
        await self._runtime.run(partial(self.prune, thread_ids, strategy=strategy, user_id=user_id))

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Async `get_delta_channel_history`."""
        return await self._runtime.step(partial(self.get_delta_channel_history, config=config, channels=channels))

    @property
    def _runtime(self) -> Runtime:
        """What stores and reads with the serializer of this moment: a clone of `with_allowlist` has another one."""
        runtime = self._first_runtime
        return runtime if runtime.serde is self.serde else runtime.with_serde(self.serde)

    def _target(self, config: RunnableConfig) -> Target:
        return Target.of(config, self._default_user_id)
