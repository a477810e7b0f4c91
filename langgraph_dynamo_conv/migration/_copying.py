"""Copying threads into the table, checkpoint by checkpoint, and comparing what is read back.

The rule: the table alone decides what is left to do. A thread is copied when every checkpoint of the source is read
back equal, so a migration that was cut off is finished by running it again.
"""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, cast

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointMetadata

from langgraph_dynamo_conv._arguments import check_flag, check_function, check_positive
from langgraph_dynamo_conv._calls.config import config_for
from langgraph_dynamo_conv._calls.runtime import Runtime
from langgraph_dynamo_conv._format.keys import Scope, check_each, check_text
from langgraph_dynamo_conv._state.serializer import serializer_of
from langgraph_dynamo_conv.migration._assigning import Assign, UnassignedError
from langgraph_dynamo_conv.migration._foreign import ForeignCheckpoint, Reference, reference_of, same, time_of
from langgraph_dynamo_conv.migration._source import Source, SourceError
from langgraph_dynamo_conv.saver import DynamoDBConversationSaver

Outcome = Literal["copied", "finished", "equal", "checked", "failed"]
"""What became of a thread: see `ThreadResult`."""


class _ThreadError(Exception):
    """This thread can't be copied; others can."""


@dataclass(frozen=True)
class ThreadResult:
    """What became of one thread.

    Args:
        thread_id: LangGraph's `thread_id`, the table's `conversation_id`.
        user_id: The owner of the thread.
        outcome: "copied"; "finished", if a part of the thread was in the table already; "equal", if all of it was;
            "checked", in a dry run; or "failed".
        checkpoints: How many checkpoints the source has of the thread.
        writes: How many pending writes the checkpoints have that were stored now; in a dry run, those of all.
        stored: How many checkpoints were stored now.
        bytes: The size of the same checkpoints and writes, each serialized whole, as most savers hold them.
        reason: Why the thread failed, or None.
        done: How many threads are done, this one included.
        total: How many threads there are in all.
    """

    thread_id: str
    user_id: str
    outcome: Outcome
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

    All ids and users are checked first. Then the checkpoints of each thread are stored, parents first, with their ids,
    parents, metadata and pending writes, and compared with what is read back. Conversation rows come about as if the
    turns were taken now, but have the times of the checkpoints. The source is only read. One checkpoint at a time is in
    memory.

    Running it again skips every thread that is in the table and equal, and finishes the others. A thread that has gone
    on in the table is equal if the table has all of the source's checkpoints; a thread that has gone on in both fails.

    Args:
        source: A synchronous saver.
        saver: The saver of the table. Its `serde` must read the types that the states hold.
        assign: Gives the user of each thread: `everyone`, `by_metadata`, `by_mapping` or a function like them.
        threads: Ids of the threads to copy; None for all that the source has.
        skip_unassigned: Whether to leave out threads that have no user, instead of refusing all.
        dry_run: Whether to read and check everything, and send nothing to the table.
        most_per_second: How many checkpoints to store in a second at most, more than 0; None for no limit.
        sleep: Waits for a number of seconds.

    Raises:
        UnassignedError: Threads have no user, several, or impossible ids. Nothing was written.
        SourceError: The source's threads can't be listed. If a single thread can't be read, its result says so.
        DynamoConvError: The table refused a request. What was stored stays; run the migration again.
        ValueError: An argument is out of range.

    Cost: Three reads of the source (four with `by_metadata`). In the table, the requests of the turns taken anew, and
    one read of each thread, two if a part of it was missing.
    """
    reader = Source(source)
    if not isinstance(saver, DynamoDBConversationSaver):
        raise ValueError(f"saver is a DynamoDBConversationSaver; got a {type(saver).__name__}")
    check_function("assign", assign, "a function that gives a thread's user, such as everyone(user_id)")
    threads = None if threads is None else check_each("threads", threads, partial(check_text, "threads"))
    check_flag("skip_unassigned", skip_unassigned)
    check_flag("dry_run", dry_run)
    if most_per_second is not None:
        check_positive("most_per_second", most_per_second)
    check_function("sleep", sleep, "a function that waits for seconds")
    scopes = _assigned(reader, assign, threads, skip_unassigned=skip_unassigned)
    copier = _Copier(reader, saver, partial(sleep, 1 / most_per_second) if most_per_second else lambda: None)
    work = copier.checked if dry_run else copier.copied
    return (replace(_settled(scope, work), done=number, total=len(scopes)) for number, scope in enumerate(scopes, 1))


def _assigned(source: Source, assign: Assign, threads: Iterable[str] | None, *, skip_unassigned: bool) -> list[Scope]:
    """Each thread with its user, ids checked.

    Raises:
        UnassignedError: This is not possible for some.
    """
    scopes, problems = [], {}
    for thread_id in dict.fromkeys(source.thread_ids() if threads is None else threads):
        try:
            user_id = assign(thread_id, partial(source.metadata, thread_id))
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
        return ThreadResult(scope.thread_id, scope.user_id, "failed", reason=str(error))


class _Copier:
    """Copies one thread after another.

    Args:
        source: Where the threads come from.
        saver: The saver of the table.
        pause: Called after each checkpoint that was stored.
    """

    def __init__(self, source: Source, saver: DynamoDBConversationSaver, pause: Callable[[], object]) -> None:
        self._source = source
        self._saver = saver
        self._pause = pause
        self._dumps = serializer_of(saver.serde).dumps
        self._now: str | None = None  # the time of the checkpoint that is being stored
        self._dated = copy.copy(saver)
        runtime = saver._runtime
        self._dated._first_runtime = Runtime(runtime.shared, saver.serde, lambda: self._now or runtime.rows.now())

    def checked(self, scope: Scope) -> ThreadResult:
        """Read a thread as copying it would."""
        references, sums = self._source.references(scope.thread_id), Counter[str]()
        for reference in references:
            self._read(scope, reference, sums)
        counts = len(references), sums["writes"], 0, sums["bytes"]
        return ThreadResult(scope.thread_id, scope.user_id, "checked", *counts)

    def copied(self, scope: Scope) -> ThreadResult:
        """Store the checkpoints of a thread that the table lacks, and compare."""
        references = self._source.references(scope.thread_id)
        before = self._compared(scope, references)
        missing = [one for one in references if before.get(one.place) != "equal"]
        additional = list(before.values()).count("additional")
        if missing and additional:
            raise _ThreadError(
                f"it has gone on in both: {len(missing)} checkpoints of the source are not in the table or differ, "
                f"and {additional} of the table are not in the source; delete one to copy the other"
            )
        sums = self._store(scope, missing)
        if not additional:
            self._bring_up_row(scope, references, missing)
        after = self._compared(scope, references) if missing else before
        different = len(references) - list(after.values()).count("equal")
        if different:
            raise _ThreadError(f"{different} checkpoints came back different")
        outcome: Outcome = "equal" if not missing else "finished" if before else "copied"
        counts = len(references), sums["writes"], len(missing), sums["bytes"]
        return ThreadResult(scope.thread_id, scope.user_id, outcome, *counts)

    def _read(self, scope: Scope, reference: Reference, sums: Counter[str]) -> ForeignCheckpoint:
        foreign = self._source.read(scope.thread_id, reference, scope.user_id)
        sums.update(writes=len(foreign.writes), bytes=foreign.size(self._dumps))
        return foreign

    def _store(self, scope: Scope, references: Iterable[Reference]) -> Counter[str]:
        """Store checkpoints of the source; gives the sums of their writes and bytes."""
        sums = Counter[str]()
        for reference in references:
            foreign = self._read(scope, reference, sums)
            self._now = time_of(foreign.checkpoint)
            try:
                self._put(scope, foreign)
            except (ValueError, TypeError) as error:  # an id or a value that can't be stored
                raise _ThreadError(f"checkpoint {reference.checkpoint_id} can't be stored: {error}") from error
            self._pause()
        return sums

    def _put(self, scope: Scope, foreign: ForeignCheckpoint) -> None:
        ns, checkpoint_id, parent_id = foreign.reference
        metadata, versions = cast("CheckpointMetadata", foreign.metadata), foreign.checkpoint["channel_versions"]
        config = self._dated.put(config_for(scope, ns, parent_id), foreign.checkpoint, metadata, versions)
        assert config["configurable"]["checkpoint_id"] == checkpoint_id
        for task_id, path, writes in foreign.tasks():
            self._dated.put_writes(config, writes, task_id, path)

    def _bring_up_row(self, scope: Scope, references: list[Reference], stored: list[Reference]) -> None:
        """Store the newest checkpoint again if its row did not follow: a crash may have come between the two."""
        roots = (one for one in references if one.ns == "")
        newest = max(roots, key=lambda one: one.checkpoint_id, default=None)
        if newest is None or newest in stored[-1:]:
            return
        row = self._saver._runtime.rows.get(scope)
        if row is None or row.head != newest.checkpoint_id:
            self._store(scope, [newest])

    def _compared(self, scope: Scope, references: list[Reference]) -> dict[tuple[str, str], str]:
        """Each checkpoint of a thread in the table: "equal", "different", or "additional" if the source lacks it.

        The source is read again for this.
        """
        by_place = {one.place: one for one in references}
        compared = {}
        for stored in self._saver.list(config_for(scope)):
            place = reference_of(stored).place
            compared[place] = "additional"
            if place in by_place:
                foreign = self._source.read(scope.thread_id, by_place[place], scope.user_id)
                compared[place] = "equal" if same(foreign, stored, self._dumps) else "different"
        return compared
