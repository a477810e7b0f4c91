"""Copying threads into the table, checkpoint by checkpoint, and comparing what is read back."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointMetadata

from langgraph_dynamo_conv._calls.config import config_for
from langgraph_dynamo_conv._calls.runtime import Runtime
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._state.serializer import serializer_of
from langgraph_dynamo_conv.migration._assigning import Assign, UnassignedError
from langgraph_dynamo_conv.migration._foreign import (
    Dumps,
    ForeignCheckpoint,
    Reference,
    reference_of,
    same,
    size_of,
    time_of,
)
from langgraph_dynamo_conv.migration._source import Source, SourceError
from langgraph_dynamo_conv.saver import DynamoDBConversationSaver

COPIED, FINISHED, EQUAL, CHECKED, FAILED = "copied", "finished", "equal", "checked", "failed"


class _ThreadError(Exception):
    """One thread can't be copied; others can."""


@dataclass(frozen=True)
class ThreadResult:
    """What became of one thread.

    Args:
        thread_id: LangGraph's `thread_id`, the table's `conversation_id`.
        user_id: Its owner.
        outcome: "copied"; "finished", if part of it was there; "equal", if all of it was; "checked", in a dry run; or
            "failed".
        checkpoints: Checkpoints that the source has of it.
        writes: Pending writes of those that were stored now, or in a dry run of all.
        stored: How many checkpoints were stored now.
        bytes: Of the same checkpoints and writes, each serialized whole, as most savers hold them.
        reason: Why it failed, or None.
        done: Threads until now, this one included.
        total: Threads in all.
    """

    thread_id: str
    user_id: str
    outcome: str
    checkpoints: int = 0
    writes: int = 0
    stored: int = 0
    bytes: int = 0
    reason: str | None = None
    done: int = field(default=0, compare=False)
    total: int = field(default=0, compare=False)


def migrate(
    source: BaseCheckpointSaver[Any],
    saver: DynamoDBConversationSaver,
    *,
    assign: Assign,
    threads: Iterable[str] | None = None,
    skip_unassigned: bool = False,
    dry_run: bool = False,
    most_per_second: float | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[ThreadResult]:
    """Copy threads of another saver into the table of this one; gives a result for each as it is done.

    All ids and users are checked first. Then each thread's checkpoints are stored, parents first, with their ids,
    parents, metadata and pending writes, and compared with what is read back. Conversation rows come about as if the
    turns were taken now, with the times at which they were. The source is only read. One checkpoint at a time is held
    in memory.

    Running it again skips what is there and equal, and finishes the rest. A thread that has gone on in the table is
    equal if it has all of the source's checkpoints; if it has gone on in both, it fails.

    Args:
        source: A synchronous saver.
        saver: The saver of the table. Its `serde` must read the types that the states hold.
        assign: The threads' users: `everyone`, `by_metadata`, `by_mapping` or a function like them.
        threads: Thread ids; all that the source has if None.
        skip_unassigned: Leave out threads that have no user, instead of refusing all.
        dry_run: Read and check everything, and send nothing to the table.
        most_per_second: Store at most so many checkpoints a second.
        sleep: Waits for so many seconds.

    Raises:
        UnassignedError: Threads have no user, several, or impossible ids. Nothing was written.
        SourceError: The source's threads can't be listed. If a single thread can't be read, its result says so.
        DynamoConvError: The table refused. What was stored stays; run it again.
        ValueError: An argument is out of range.

    Cost: reads the source three times (once more for `by_metadata`). In the table, that of the turns taken anew, and
    of one read of each thread.
    """
    if most_per_second is not None and most_per_second <= 0:
        raise ValueError(f"most_per_second is more than 0; got {most_per_second}")
    reader = Source(source)
    scopes = _planned(reader, assign, threads, skip_unassigned=skip_unassigned)
    copier = _Copier(reader, saver, 1 / most_per_second if most_per_second else 0, sleep)
    work = copier.checked if dry_run else copier.copied
    return (replace(_settled(scope, work), done=number, total=len(scopes)) for number, scope in enumerate(scopes, 1))


def _planned(source: Source, assign: Assign, threads: Iterable[str] | None, *, skip_unassigned: bool) -> list[Scope]:
    scopes, problems = [], {}
    for thread_id in dict.fromkeys(source.thread_ids() if threads is None else threads):
        try:
            user_id = assign(thread_id, lambda thread_id=thread_id: source.metadata(thread_id))  # type: ignore[misc]
            if user_id is not None:
                scopes.append(Scope.checked(thread_id, user_id))
            elif not skip_unassigned:
                problems[thread_id] = "no user"
        except ValueError as error:
            problems[thread_id] = str(error)
    if problems:
        raise UnassignedError(problems)
    return scopes


def _settled(scope: Scope, work: Callable[[Scope], ThreadResult]) -> ThreadResult:
    try:
        return work(scope)
    except (_ThreadError, SourceError) as error:
        return ThreadResult(scope.thread_id, scope.user_id, FAILED, reason=str(error))


@dataclass(frozen=True)
class _Compared:
    """A thread in the table beside what the source has: the ids of checkpoints."""

    equal: frozenset[tuple[str, str]]
    different: frozenset[tuple[str, str]]
    more: frozenset[tuple[str, str]]


class _Copier:
    """Copies one thread after another."""

    def __init__(
        self, source: Source, saver: DynamoDBConversationSaver, pause: float, sleep: Callable[[float], object]
    ) -> None:
        self._source = source
        self._saver = saver
        self._pause = pause
        self._sleep = sleep
        self._now: str | None = None
        self._dated = copy.copy(saver)
        runtime = saver._runtime
        self._dated._first_runtime = Runtime(runtime.shared, saver.serde, lambda: self._now or runtime.rows.now())

    @property
    def _dumps(self) -> Dumps:
        return serializer_of(self._saver.serde).dumps

    def checked(self, scope: Scope) -> ThreadResult:
        """Read a thread, as copying it would."""
        references = self._source.references(scope.thread_id)
        read = _Tally()
        for reference in references:
            read.add(self._source.read(scope.thread_id, reference, scope.user_id), self._dumps)
        return ThreadResult(scope.thread_id, scope.user_id, CHECKED, len(references), read.writes, 0, read.bytes)

    def copied(self, scope: Scope) -> ThreadResult:
        """Store what the table lacks of a thread, and compare."""
        references = self._source.references(scope.thread_id)
        before = self._compared(scope, references)
        missing = [one for one in references if one[:2] not in before.equal]
        if missing and before.more:
            raise _ThreadError(
                f"it has gone on in both: {len(missing)} checkpoints of the source are not in the table or differ, "
                f"and {len(before.more)} of the table are not in the source; delete one to copy the other"
            )
        stored = self._store(scope, missing)
        if not before.more:
            self._bring_up_row(scope, references, missing)
        after = self._compared(scope, references) if missing else before
        if len(after.equal) != len(references):
            raise _ThreadError(f"{len(references) - len(after.equal)} checkpoints came back different")
        outcome = EQUAL if not missing else FINISHED if before.equal or before.different else COPIED
        total, now = len(references), len(missing)
        return ThreadResult(scope.thread_id, scope.user_id, outcome, total, stored.writes, now, stored.bytes)

    def _store(self, scope: Scope, references: Iterable[Reference]) -> _Tally:
        stored = _Tally()
        for reference in references:
            foreign = self._source.read(scope.thread_id, reference, scope.user_id)
            stored.add(foreign, self._dumps)
            self._now = time_of(foreign.checkpoint)
            try:
                self._put(scope, foreign)
            except (ValueError, TypeError) as error:  # an id or a value that can't be stored
                raise _ThreadError(f"checkpoint {reference.checkpoint_id} can't be stored: {error}") from error
            if self._pause:
                self._sleep(self._pause)
        return stored

    def _put(self, scope: Scope, foreign: ForeignCheckpoint) -> None:
        ns, checkpoint_id, parent_id = foreign.reference
        metadata, versions = cast("CheckpointMetadata", foreign.metadata), foreign.checkpoint["channel_versions"]
        at = self._dated.put(config_for(scope, ns, parent_id), foreign.checkpoint, metadata, versions)
        assert at["configurable"]["checkpoint_id"] == checkpoint_id
        for task_id, path, writes in foreign.tasks():
            self._dated.put_writes(at, writes, task_id, path)

    def _bring_up_row(self, scope: Scope, references: list[Reference], stored: list[Reference]) -> None:
        """Store the newest checkpoint again if its row did not follow: a crash may have come between the two."""
        roots = [one for one in references if one.ns == ""]
        if not roots:
            return
        newest = max(roots, key=lambda one: one.checkpoint_id)
        row = self._saver._runtime.rows.get(scope)
        behind = row is None or row.head != newest.checkpoint_id
        if behind and newest not in stored[-1:]:
            self._store(scope, [newest])

    def _compared(self, scope: Scope, references: list[Reference]) -> _Compared:
        """What of a thread is in the table. Reads the source again for what is."""
        wanted = {one[:2]: one for one in references}
        equal, different, more = set(), set(), set()
        for found in self._saver.list(config_for(scope)):
            place = reference_of(found)[:2]
            if place not in wanted:
                more.add(place)
            elif same(self._source.read(scope.thread_id, wanted[place], scope.user_id), found, self._dumps):
                equal.add(place)
            else:
                different.add(place)
        return _Compared(frozenset(equal), frozenset(different), frozenset(more))


@dataclass
class _Tally:
    """What was read."""

    writes: int = 0
    bytes: int = 0

    def add(self, foreign: ForeignCheckpoint, dumps: Dumps) -> None:
        self.writes += len(foreign.writes)
        self.bytes += size_of(foreign, dumps)
