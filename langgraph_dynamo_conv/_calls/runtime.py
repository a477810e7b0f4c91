"""How the parts of the saver are put together: what a saver shares with its clones, and what is of one serializer."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from langgraph.checkpoint.serde.base import SerializerProtocol

from langgraph_dynamo_conv._arguments import (
    check_count,
    check_flag,
    check_function,
    check_methods,
    check_name,
    check_words,
)
from langgraph_dynamo_conv._calls import runs
from langgraph_dynamo_conv._calls.arrivals import Arrivals, Place
from langgraph_dynamo_conv._calls.directory import Directory
from langgraph_dynamo_conv._calls.runs import Runs
from langgraph_dynamo_conv._calls.titles import StoredTitleFunction, Titler
from langgraph_dynamo_conv._checkpoints import blobs, ended
from langgraph_dynamo_conv._checkpoints.blobs import Blobs, KnownBlobs
from langgraph_dynamo_conv._checkpoints.cache import CheckpointCache
from langgraph_dynamo_conv._checkpoints.ended import EndedConversations
from langgraph_dynamo_conv._checkpoints.loading import Checkpoints
from langgraph_dynamo_conv._checkpoints.replays import KnownDeltas
from langgraph_dynamo_conv._checkpoints.store import CheckpointStore
from langgraph_dynamo_conv._checkpoints.writes import GrownWrites, TaskWrites
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import Origin
from langgraph_dynamo_conv._format.keys import Namespace, Scope
from langgraph_dynamo_conv._history.copying import Copying
from langgraph_dynamo_conv._history.deltas import Deltas
from langgraph_dynamo_conv._history.listing import History
from langgraph_dynamo_conv._history.removal import Removal
from langgraph_dynamo_conv._history.renewal import Renewal
from langgraph_dynamo_conv._rows import updates
from langgraph_dynamo_conv._rows.erasing import Erasing
from langgraph_dynamo_conv._rows.large_messages import LargeMessages
from langgraph_dynamo_conv._rows.pages import Pages
from langgraph_dynamo_conv._rows.placement import RowLimits
from langgraph_dynamo_conv._rows.rows import KnownRows, Rows
from langgraph_dynamo_conv._rows.starts import RunStarts
from langgraph_dynamo_conv._rows.steps import Steps, known_steps
from langgraph_dynamo_conv._rows.updates import EarlyStatuses, RowUpdater
from langgraph_dynamo_conv._state.checkpoint_tree import CheckpointTree
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.planning import Caller
from langgraph_dynamo_conv._state.serializer import serializer_of
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.bucket import Bucket
from langgraph_dynamo_conv._storage.forks import renew_in_children
from langgraph_dynamo_conv._storage.recent import Recent
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv._storage.underway import Underway

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")

STEP_THREADS = 3
"""Threads for the `a*` calls of a running graph. One thread runs Python at a time, and the event loop waits its turn
among those that want to. docs/performance.md, "The event loop", has what 2, 3, 4 and 32 of them do."""


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
    for argument, text in (("table_name", table_name), ("region_name", region_name), ("endpoint_url", endpoint_url)):
        if text is not None:
            check_words(argument, text)
    check_flag("consistent", consistent)
    if client is not None:
        check_methods("client", client, ("get_item", "query"), "a boto3 DynamoDB client, not a resource or a session")
    name = table_name or os.environ.get("DYNAMODB_TABLE_NAME")
    if not name:
        raise ValueError("no table: give table_name, or set the environment variable DYNAMODB_TABLE_NAME")
    if client is not None and (region_name or endpoint_url):
        raise ValueError("a client has its own region and endpoint: give region_name and endpoint_url, or client")
    return Table(name, client=client, region_name=region_name, endpoint_url=endpoint_url, consistent=consistent)


def checked_serde(serde: SerializerProtocol | None) -> SerializerProtocol | None:
    """A serializer, with typed methods or, as LangGraph takes it too, without. Raises `ValueError`."""
    if serde is not None and not all(callable(getattr(serde, name, None)) for name in ("dumps", "loads")):
        check_methods("serde", serde, ("dumps_typed", "loads_typed"), "a serializer of LangGraph's")
    return serde


@dataclass(frozen=True)
class Options:
    """The options of a saver; see `DynamoDBConversationSaver`.

    Args:
        messages_channel: Name of the channel that holds the messages.
        transcript: Whether rows follow the messages.
        encrypt_transcript: Whether transcripts are encrypted where states are.
        title: Makes a title of the first exchange, or None.
        row_bytes: The most bytes of messages in a row; None for the defaults of `RowLimits`.
        cache_bytes: Bytes that the cache of checkpoints may hold.
        ttl: How long a conversation lives after its last turn, or None.
        clock: Seconds since the epoch.
        accept_plaintext: Whether data that is not encrypted is read where all should be.
    """

    messages_channel: str = "messages"
    transcript: bool = True
    encrypt_transcript: bool = True
    title: StoredTitleFunction | None = None
    row_bytes: int | None = None
    cache_bytes: int = 64 * 1024 * 1024
    ttl: timedelta | None = None
    clock: Callable[[], float] = time.time
    accept_plaintext: bool = False

    def __post_init__(self) -> None:
        check_name("messages_channel", self.messages_channel)
        for name in ("transcript", "encrypt_transcript", "accept_plaintext"):
            check_flag(name, getattr(self, name))
        if self.title is not None:
            check_function("title", self.title, "a function that makes a title of messages")
        if self.row_bytes is not None:
            check_count("row_bytes", self.row_bytes, 512)
        check_count("cache_bytes", self.cache_bytes, 0)
        check_function("clock", self.clock, "a function that gives seconds since the epoch")


class Shared:
    """What a saver shares with its clones: table, threads, and all that the process remembers."""

    def __init__(self, table: Table, options: Options, bucket: Bucket | None = None) -> None:
        self.table = table
        self.options = options
        self.bucket = bucket
        self.expiry = Expiry(options.ttl, options.clock)
        self.codec = Codec()
        self.cache = CheckpointCache(options.cache_bytes)
        self.deltas = KnownDeltas()
        self.blobs: KnownBlobs = Recent(blobs.REMEMBERED)
        self.ended: Recent[Scope, bool] = Recent(ended.REMEMBERED)
        self.expiries: Recent[Namespace, tuple[str, int | None]] = Recent(ended.REMEMBERED)
        self.rows = KnownRows()
        self.arrivals = Arrivals()
        self.underway: Underway[tuple[Namespace, str]] = Underway()
        self.writing: Underway[tuple[Namespace, str]] = Underway()
        self.starts = RunStarts()
        self.steps = known_steps()
        self.warned_of_clocks: Recent[Scope, bool] = Recent(updates.REMEMBERED)
        self.early: EarlyStatuses = Recent(updates.REMEMBERED)
        self.runs: Recent[tuple[Scope, str], bool] = Recent(runs.REMEMBERED)
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked child: without the parent's threads, and with a lock that is free."""
        self._lock = threading.Lock()
        self._pools: dict[str, ThreadPoolExecutor] = {}

    @property
    def step_pool(self) -> ThreadPoolExecutor:
        """The threads that run the `a*` calls of a running graph: few, so that the event loop is not held up."""
        return self._threads("step", min(STEP_THREADS, self.table.connections))

    @property
    def pool(self) -> ThreadPoolExecutor:
        """The threads that run all other `a*` calls, which may take long: as many as requests can be under way."""
        return self._threads("call", self.table.connections)

    def _threads(self, name: str, most: int) -> ThreadPoolExecutor:
        with self._lock:
            if name not in self._pools:
                self._pools[name] = ThreadPoolExecutor(most, f"dynamo-conv-{name}")
            return self._pools[name]

    def close(self) -> None:
        """Wait for calls under way and stop all threads."""
        with self._lock:
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.shutdown(wait=True)
        self.table.close()


class Runtime:
    """All that stores and reads, for one serializer.

    Args:
        shared: What is shared with others of the same saver.
        serde: The saver's serializer.
        now: The time as rows hold it, for states that are stored later than they came about; the clock's if None.
    """

    def __init__(self, shared: Shared, serde: SerializerProtocol, now: Callable[[], str] | None = None) -> None:
        table, options, expiry, cache = shared.table, shared.options, shared.expiry, shared.cache
        serializer = serializer_of(serde, shared.codec, accept_plaintext=options.accept_plaintext)
        self.shared = shared
        self.serde = serde
        self._now = now
        self.serializer = serializer
        self.table = table
        self.expiry = expiry
        stored_blobs = expiry, shared.bucket, shared.blobs, cache
        self.blobs = Blobs(table, serializer.codec, *stored_blobs)
        self.writes = TaskWrites(table, serializer, self.blobs, expiry)
        ended = EndedConversations(table, self.writes, expiry, shared.ended, shared.expiries)
        of_process = expiry, ended, shared.underway
        self.checkpoints = Checkpoints(table, serializer.codec, cache, self.blobs, self.writes, *of_process)
        of_checkpoints = self.checkpoints, self.blobs, self.writes
        self.store = CheckpointStore(table, serializer.codec, cache, *of_checkpoints, shared.writing)
        self.history = History(table, serializer, *of_checkpoints, expiry, ended)
        self.deltas = Deltas(table, serializer, cache, *of_checkpoints, expiry, shared.deltas)
        self.removal = Removal(table, serializer, cache, *of_checkpoints, expiry, options.messages_channel, self.store)
        self.renewal = Renewal(table, serializer, cache, self.checkpoints, self.removal, self.writes, expiry, ended)
        self.copying = Copying(table, self.blobs, expiry)
        transcript_codec = serializer.codec if options.encrypt_transcript else shared.codec
        transcript_blobs = Blobs(table, transcript_codec, *stored_blobs)
        large, limits = LargeMessages(transcript_codec, transcript_blobs), RowLimits(options.row_bytes)
        self.pages = Pages(table, transcript_codec, expiry)
        self.rows = Rows(table, transcript_codec, self.pages, large, expiry, limits, shared.rows, now)
        self.runs = Runs(table, self.removal, self.rows, expiry, shared.runs)
        self.erasing = Erasing(table, self.rows, self.pages, large, limits, expiry)
        self.directory = Directory(table, self.rows)
        self.row_updater = RowUpdater(
            self.rows,
            self.checkpoints,
            self.removal,
            Steps(self.checkpoints, self.deltas, self.writes, options.messages_channel, shared.steps),
            channel=options.messages_channel,
            transcript=options.transcript,
            early=shared.early,
        )
        self.titler = Titler(self.rows, options.title, self._submit)

    def with_serde(self, serde: SerializerProtocol) -> Runtime:
        """One of another serializer that shares the rest."""
        return Runtime(self.shared, serde, self._now)

    def store_checkpoint(
        self,
        namespace: Namespace,
        checkpoint_id: str,
        parent_id: str | None,
        parent: StoredCheckpoint | None,
        sections: Mapping[str, Any],
        run_id: str | None = None,
        *,
        state: CheckpointTree | None = None,
        is_apart: bool = False,
        origin: Origin | None = None,
    ) -> StoredCheckpoint:
        """Store a checkpoint, while what it builds on lives on with it. Storing the same one again is harmless.

        Args:
            namespace: Where.
            checkpoint_id: Its id.
            parent_id: Its parent's id, or None.
            parent: What is known of the parent; None if there is none, or it is not there.
            sections: The rest of the checkpoint, as `sections_of` gave it.
            run_id: The run that made it, or None.
            state: The tree of `sections` where there is no parent and it is made already, or None.
            is_apart: Whether it shares no stored bytes with its parent.
            origin: What a sub-graph was called from, or None.

        Cost: that of `CheckpointStore.save`, of `Renewal.times`, and of `Deltas.saved`.
        """
        with self.shared.underway.doing((namespace, checkpoint_id)):
            caller = self._caller(namespace.scope, origin) if parent is None else None
            times = self.renewal.times(namespace, checkpoint_id, parent, caller)
            base = None if is_apart else parent
            of_parent = parent_id, base, state or CheckpointTree(sections, self.serializer, base)
            stored = self.store.save(namespace, checkpoint_id, *of_parent, run_id, times, caller)
        self.shared.arrivals.note_stored(Place(namespace, checkpoint_id))
        self.deltas.saved(namespace, stored)
        return stored

    def _caller(self, scope: Scope, origin: Origin | None) -> Caller | None:
        """What this process knows of the checkpoint that a sub-graph was called from."""
        if origin is None:
            return None
        stored = self.checkpoints.settled(scope.namespace(origin.ns), origin.checkpoint_id)
        return Caller(origin, stored) if stored is not None else None

    def store_writes(
        self,
        namespace: Namespace,
        checkpoint_id: str,
        task_id: str,
        task_path: str,
        writes: GrownWrites,
        *,
        in_run: bool = False,
    ) -> None:
        """Store a task's writes, while the checkpoint that they are on lives on with them. See `TaskWrites.save`, and
        `Deltas.wrote`."""
        self.renewal.before_writes(namespace, checkpoint_id)
        state = partial(self.checkpoints.settled, namespace, checkpoint_id)
        with self.shared.writing.doing((namespace, checkpoint_id)):
            self.writes.save(namespace, checkpoint_id, task_id, task_path, writes, state)
        self.deltas.wrote(namespace, checkpoint_id, {channel for channel, _ in writes.values()}, in_run=in_run)

    def forget(self, thread_id: str, user_id: str | None = None) -> None:
        """What was seen of a conversation, and of the runs that wrote to it, no longer counts."""
        self.rows.forget(thread_id, user_id)
        self.runs.forget(thread_id)

    async def step(self, call: Callable[[], T]) -> T:
        """Run a call of a running graph in one of few threads, in the caller's context."""
        return await _run_in(self.shared.step_pool, call)

    async def run(self, call: Callable[[], T]) -> T:
        """Run any other call in a thread, in the caller's context."""
        return await _run_in(self.shared.pool, call)

    def _submit(self, call: Callable[[], Any]) -> None:
        self.shared.pool.submit(call)


async def _run_in(pool: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(pool, context.run, call)
