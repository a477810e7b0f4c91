"""How the parts of the saver are put together, once for a saver and its clones."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from langgraph.checkpoint.serde.base import SerializerProtocol

from langgraph_dynamo_conv._checkpoints.blobs import Blobs
from langgraph_dynamo_conv._checkpoints.cache import CheckpointCache
from langgraph_dynamo_conv._checkpoints.ended import EndedConversations
from langgraph_dynamo_conv._checkpoints.history import History
from langgraph_dynamo_conv._checkpoints.removal import Removal
from langgraph_dynamo_conv._checkpoints.renewal import Renewal
from langgraph_dynamo_conv._checkpoints.store import Checkpoints
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites
from langgraph_dynamo_conv._format.frames import Codec, Encryptor
from langgraph_dynamo_conv._format.items import key_attributes, key_of, stamp
from langgraph_dynamo_conv._format.keys import PK, SK, Scope, after_prefix, check_thread_id, is_conversation, parse_sk
from langgraph_dynamo_conv._rows.message_items import OlderMessages
from langgraph_dynamo_conv._rows.row import Row
from langgraph_dynamo_conv._rows.rows import ROW_BYTES, Rows
from langgraph_dynamo_conv._rows.titles import TitleFunction, Titler
from langgraph_dynamo_conv._rows.updates import RowUpdater
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.message_digests import MessagesDigest
from langgraph_dynamo_conv._state.serializer import Serializer, serializer_of
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.bucket import Bucket
from langgraph_dynamo_conv._storage.forks import Lock, renew_in_children
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import ConversationNotFoundError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")

_RUNS_REMEMBERED = 1024


def table_of(
    table_name: str | None,
    client: DynamoDBClient | None,
    region_name: str | None,
    endpoint_url: str | None,
    *,
    consistent: bool = True,
) -> Table:
    """The table that a saver's arguments name. Sends nothing.

    Raises:
        ValueError: No table name, or a client together with a region or endpoint.
    """
    name = table_name or os.environ.get("DYNAMODB_TABLE_NAME")
    if not name:
        raise ValueError("no table: give table_name, or set the environment variable DYNAMODB_TABLE_NAME")
    if client is not None and (region_name or endpoint_url):
        raise ValueError("a client has its own region and endpoint: give region_name and endpoint_url, or client")
    return Table(name, client=client, region_name=region_name, endpoint_url=endpoint_url, consistent=consistent)


@dataclass(frozen=True)
class Options:
    """What savers can be told; see `DynamoDBConversationSaver`.

    Args:
        messages_channel: Name of the channel that holds the messages.
        transcript: Whether rows follow the messages.
        encrypt_transcript: Whether transcripts are encrypted where states are.
        title: Makes a title of the first exchange, or None.
        row_bytes: Bytes of messages in a row.
        cache_bytes: Bytes that the cache of images may hold.
        ttl: How long a conversation lives after its last turn, or None.
        clock: Seconds since the epoch.
        accept_plaintext: Whether data that is not encrypted is read where all should be.
    """

    messages_channel: str = "messages"
    transcript: bool = True
    encrypt_transcript: bool = True
    title: TitleFunction | None = None
    row_bytes: int = ROW_BYTES
    cache_bytes: int = 64 * 1024 * 1024
    ttl: timedelta | None = None
    clock: Callable[[], float] = time.time
    accept_plaintext: bool = False

    def __post_init__(self) -> None:
        if self.row_bytes < 512 or self.cache_bytes < 0:
            raise ValueError("row_bytes is at least 512, and cache_bytes at least 0")


class Runtime:
    """Everything that a saver shares with its clones: caches, threads, and what stores and reads."""

    def __init__(self, table: Table, options: Options, bucket: Bucket | None = None) -> None:
        self.table = table
        self.expiry = expiry = Expiry(options.ttl, options.clock)
        codec = Codec()
        cache = CheckpointCache(options.cache_bytes)
        self.parts = Blobs(table, codec, expiry, bucket)
        self.writes = TaskWrites(table, codec, self.parts, expiry)
        ended = EndedConversations(table, self.writes, expiry)
        self.checkpoints = Checkpoints(table, codec, cache, self.parts, self.writes, expiry, ended)
        self.history = History(table, self.checkpoints, self.parts, self.writes, expiry, ended)
        self.removal = Removal(table, cache, self.checkpoints, self.parts, self.writes, expiry)
        self.renewal = Renewal(table, cache, self.checkpoints, self.removal, self.writes, expiry, ended)
        self.older = OlderMessages(table, codec, self.parts, expiry)
        self.rows = Rows(table, codec, self.older, expiry, options.row_bytes)
        self.row_updater = RowUpdater(
            self.rows,
            self.checkpoints,
            self.writes,
            self.parts,
            channel=options.messages_channel,
            transcript=options.transcript,
            encrypts=options.encrypt_transcript,
        )
        self.titler = Titler(self.rows, options.title, self._submit)
        self._accepts_plaintext = options.accept_plaintext
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._runs: OrderedDict[tuple[Scope, str], None] = OrderedDict()
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked child: without the parent's threads."""
        self._pool = None

    @property
    def pool(self) -> ThreadPoolExecutor:
        """The threads that run the `a*` calls: as many as requests can be under way."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.table.connections, "dynamo-conv-call")
            return self._pool

    def dated(self, now: Callable[[], str]) -> Runtime:
        """The same engine, but rows take their times from `now`: for states stored later than they came about.

        Shares caches, threads and requests; close the original alone.
        """
        made = copy.copy(self)
        made.rows = self.rows.dated(now)
        made.row_updater = self.row_updater.with_rows(made.rows)
        return made

    def close(self) -> None:
        """Wait for calls under way and stop all threads."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)
        self.table.close()

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call in a thread of the pool, in the caller's context."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self.pool, context.run, call)

    def serializer(self, serde: SerializerProtocol) -> Serializer:
        """How values become bytes at this call: `with_allowlist` gives a clone another one."""
        return serializer_of(serde, accept_plaintext=self._accepts_plaintext)

    def save(
        self,
        scope: Scope,
        ns: str,
        checkpoint_id: str,
        parent_id: str | None,
        parent: StoredCheckpoint | None,
        tree: dict[str, Any],
        serializer: Serializer,
        run_id: str | None = None,
        message_digests: Mapping[str, MessagesDigest] | None = None,
    ) -> StoredCheckpoint:
        """Store a checkpoint; what it builds on lives on with it. See `Checkpoints.save`."""
        times = self.renewal.times(scope, ns, checkpoint_id, parent, serializer)
        return self.checkpoints.save(
            scope, ns, checkpoint_id, parent_id, parent, tree, serializer, run_id, times, message_digests
        )

    def save_writes(
        self,
        scope: Scope,
        ns: str,
        checkpoint_id: str,
        task_id: str,
        task_path: str,
        writes: Sequence[tuple[str, Any]],
        serializer: Serializer,
    ) -> None:
        """Store a task's writes; the checkpoint they are on lives on with them. See `TaskWrites.save`."""
        self.renewal.before_writes(scope, ns, checkpoint_id, serializer)
        self.writes.save(scope, ns, checkpoint_id, task_id, task_path, writes, serializer)

    def note_run(self, scope: Scope, run_id: str) -> None:
        """Let a run be found without a scan, before its first checkpoint is stored.

        Cost: one PutItem of 1 write unit for each run and conversation.
        """
        with self._lock:
            if (scope, run_id) in self._runs:
                return
        pointer = {**key_attributes(scope.run(run_id)), "t": {"S": scope.thread_id}, **stamp(self.expiry.outliving())}
        self.table.put(pointer)
        with self._lock:
            self._runs[scope, run_id] = None
            if len(self._runs) > _RUNS_REMEMBERED:
                self._runs.popitem(last=False)

    def forget(self, thread_id: str, user_id: str | None = None) -> None:
        """What was seen of a conversation no longer counts."""
        self.rows.forget(thread_id, user_id)
        with self._lock:
            for run in [run for run in self._runs if run[0].thread_id == thread_id]:
                del self._runs[run]

    def forget_runs(self, run_ids: Collection[str]) -> None:
        """The pointers from these runs are gone."""
        with self._lock:
            for place in [place for place in self._runs if place[1] in run_ids]:
                del self._runs[place]

    def conversations_of(self, user_id: str) -> Iterator[Scope]:
        """All conversations of a user, newest first, by the index."""
        for answer in self.table.query_index(user_id, ProjectionExpression="#id", names={"#id": PK}):
            for item in answer.get("Items", []):
                yield Scope(item[PK]["S"], user_id)

    def scanned_conversations_of(self, user_id: str) -> Iterator[Scope]:
        """All conversations in which a user has any item, by paging through the table."""
        seen: set[str] = set()
        for page in self.table.scan(
            ProjectionExpression="#pk, #sk",
            FilterExpression="#sk = :user OR begins_with(#sk, :prefix)",
            ExpressionAttributeNames={"#pk": PK, "#sk": SK},
            ExpressionAttributeValues={":user": {"S": user_id}, ":prefix": {"S": f"{user_id}#"}},
        ):
            for key in map(key_of, page):
                if key.pk not in seen and is_conversation(key.pk):
                    seen.add(key.pk)
                    yield Scope(key.pk, user_id)

    def scope_of(self, conversation_id: str, user_id: str | None) -> Scope:
        """A conversation of a user; if None, of the one user who has a row in it.

        Raises:
            ConversationNotFoundError: Nobody has one.
            ValueError: Several users do.
        """
        if user_id is not None:
            return Scope.checked(conversation_id, user_id)
        users = self.users_of(check_thread_id(conversation_id))
        if len(users) > 1:
            raise ValueError("several users have a conversation of this id: say which with user_id")
        if not users:
            raise self.not_found(Scope(conversation_id, ""))
        return Scope(conversation_id, users[0])

    def row(self, scope: Scope, encryptor: Encryptor | None) -> Row:
        """The row as it is now. Raises `ConversationNotFoundError`."""
        row = self.rows.get(scope, encryptor)
        if row is None:
            raise self.not_found(scope)
        return row

    def not_found(self, scope: Scope) -> ConversationNotFoundError:
        """The error for a conversation that a user does not have, whoever else has one."""
        return ConversationNotFoundError(
            "this user has no such conversation: check id and user, or make one with create()",
            table=self.table.name,
            key=str(scope.row()),
        )

    def users_of(self, thread_id: str) -> list[str]:
        """The users who have a row in a conversation: almost always one. Cost: three Queries of an item at most."""
        users: list[str] = []
        first = "\x01"
        while True:
            row = self._first_item(thread_id, first, "\U0010ffff")
            if row is None:
                return users
            user_id = parse_sk(row).user_id
            if user_id not in users:
                users.append(user_id)
            between = self._first_item(thread_id, user_id + "\x01", user_id + '"\U0010ffff') if row == user_id else None
            first = between if between is not None else after_prefix(f"{user_id}#")

    def _first_item(self, thread_id: str, first: str, last: str) -> str | None:
        pages = self.table.query(thread_id, first=first, last=last, page_items=1, keys_only=True)
        return next((key_of(item).sk for page in pages for item in page), None)

    def _submit(self, call: Callable[[], object]) -> None:
        self.pool.submit(call)

    def all_conversations(self) -> Iterator[Scope]:
        """Every conversation that has checkpoints, by paging through the table."""
        seen: Scope | None = None
        for page in self.table.scan(
            ProjectionExpression="#pk, #sk",
            FilterExpression="contains(#sk, :kind)",
            ExpressionAttributeNames={"#pk": PK, "#sk": SK},
            ExpressionAttributeValues={":kind": {"S": "#c#"}},
        ):
            for key in map(key_of, page):
                scope = Scope(key.pk, parse_sk(key.sk).user_id)
                if scope != seen:
                    yield scope
                seen = scope
