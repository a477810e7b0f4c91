"""What each call of the saver does, in its order; the saver itself documents and names them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_metadata,
)

from langgraph_dynamo_conv._arguments import check_choice, check_count, check_mapping
from langgraph_dynamo_conv._calls import adoption
from langgraph_dynamo_conv._calls.arrivals import Place
from langgraph_dynamo_conv._calls.config import OF_REQUEST, Target, config_for, config_of_state, configurable_of
from langgraph_dynamo_conv._calls.row_failures import surviving_an_unreadable_row, surviving_the_row
from langgraph_dynamo_conv._calls.runtime import Runtime
from langgraph_dynamo_conv._checkpoints.loading import Loaded
from langgraph_dynamo_conv._checkpoints.writes import GrownWrites, may_refer
from langgraph_dynamo_conv._format.items import Origin
from langgraph_dynamo_conv._format.keys import (
    Namespace,
    Scope,
    check_checkpoint_id,
    check_each,
    check_text,
    check_thread_id,
)
from langgraph_dynamo_conv._history.listing import HistoryQuery
from langgraph_dynamo_conv._rows.starts import RunStart
from langgraph_dynamo_conv._state.checkpoint_tree import (
    CheckpointTree,
    as_started_by_name,
    checkpoint_of,
    metadata_of,
    sections_of,
)
from langgraph_dynamo_conv._state.order import seconds_behind
from langgraph_dynamo_conv.errors import ConversationNotFoundError

_logger = logging.getLogger("langgraph_dynamo_conv")

_DELETE = ("delete", "delete_all")


def get_tuple(runtime: Runtime, target: Target) -> CheckpointTuple | None:
    """Read one checkpoint."""
    scope = target.scope or _scope_by_index(runtime, target)
    if scope is None:
        return None
    namespace = scope.namespace(target.ns or "")
    is_run = namespace.ns == "" and target.checkpoint_id is None and target.run is not None
    known_rows = runtime.shared.rows
    row_seen = partial(runtime.rows.note, scope) if is_run and scope not in known_rows else None
    few_writes = is_run and target.is_stored_at_exit
    loaded = runtime.checkpoints.load(namespace, target.checkpoint_id, row_seen, few_writes=few_writes)
    runtime.deltas.saw(namespace, loaded.stored if loaded is not None else None)
    found: CheckpointTuple | None = None
    if loaded is not None:
        found = _tuple_of(runtime, namespace, loaded)
    elif namespace.ns == "" and (row_seen is None or scope not in known_rows or known_rows.get(scope) is not None):
        found = adoption.offered(runtime, scope, target.checkpoint_id)
    if namespace.ns == "" and target.run is not None:
        step = found.metadata.get("step") if found is not None else None
        checkpoint_id = found.checkpoint["id"] if found is not None else None
        row = runtime.rows.known(scope) if loaded is None and target.checkpoint_id is None else None
        runtime.shared.starts.begin(target.run, RunStart(target.checkpoint_id is not None, step, checkpoint_id, row))
    return found


def history(
    runtime: Runtime,
    target: Target | None,
    metadata: Mapping[str, Any] | None,
    before: RunnableConfig | None,
    limit: int | None,
) -> Iterator[CheckpointTuple]:
    """Read many checkpoints."""
    before_id = None if before is None else configurable_of("before", before).get("checkpoint_id")
    query = HistoryQuery(
        target.ns if target else None,
        target.checkpoint_id if target else None,
        None if before_id in (None, "") else check_checkpoint_id(before_id),
        None if limit is None else check_count("limit", limit, 0),
        None if metadata is None else check_mapping("filter", metadata),
    )
    return _history(runtime, target, query)


def _history(runtime: Runtime, target: Target | None, query: HistoryQuery) -> Iterator[CheckpointTuple]:
    left = query.limit
    for scope in _scopes(runtime, target):
        if left is not None and left <= 0:
            return
        for namespace, loaded in runtime.history.read(scope, replace(query, limit=left)):
            left = None if left is None else left - 1
            yield _tuple_of(runtime, namespace, loaded)


def put(
    runtime: Runtime, target: Target, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata
) -> RunnableConfig:
    """Store one checkpoint, once that which it may refer to is stored; the row follows once it is stored itself."""
    with _storing(runtime, target, checkpoint):
        state = None
        if (caller := _to_come(runtime, _caller(target, metadata))) is not None:
            state = _state(runtime, config, checkpoint, metadata)
            runtime.shared.arrivals.wait(caller)
        return _put(runtime, target, config, checkpoint, metadata, state)


async def aput(
    runtime: Runtime, target: Target, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata
) -> RunnableConfig:
    """The same for an event loop."""
    with _storing(runtime, target, checkpoint):
        state = None
        if (caller := _to_come(runtime, _caller(target, metadata))) is not None:
            state = await runtime.step(partial(_state, runtime, config, checkpoint, metadata))
            await runtime.shared.arrivals.await_(caller)
        return await runtime.step(partial(_put, runtime, target, config, checkpoint, metadata, state))


def _storing(runtime: Runtime, target: Target, checkpoint: object) -> AbstractContextManager[None]:
    """Let others wait for this checkpoint and the next; not if it can't be stored: LangGraph hands no other over."""
    checkpoint_id = checkpoint.get("id") if isinstance(checkpoint, Mapping) else None
    if target.scope is None or not target.is_stored_at_once or not isinstance(checkpoint_id, str):
        return nullcontext()
    return runtime.shared.arrivals.storing(Place(target.scope.namespace(target.ns or ""), checkpoint_id))


def _sections(config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata) -> dict[str, Any]:
    check_mapping("checkpoint", checkpoint)
    check_mapping("metadata", metadata)
    merged = cast("dict[str, Any]", get_checkpoint_metadata(config, metadata))
    return sections_of(checkpoint, {name: value for name, value in merged.items() if name not in OF_REQUEST})


def _state(
    runtime: Runtime, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata
) -> CheckpointTree:
    """What is stored of a checkpoint without a parent, as its values are now."""
    return CheckpointTree(_sections(config, checkpoint, metadata), runtime.serializer, None)


def _put(
    runtime: Runtime,
    target: Target,
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    state: CheckpointTree | None,
) -> RunnableConfig:
    sections = _sections(config, checkpoint, metadata)
    checkpoint_id, merged = check_checkpoint_id(checkpoint.get("id")), sections["metadata"]
    scope = target.scope or _scope_by_index(runtime, target)
    if scope is None:
        raise ConversationNotFoundError(
            "the config has no thread_id and this user has no conversation to continue: "
            "begin one with new_conversation(user_id)",
            table=runtime.table.name,
        )
    parent_id, run_id = target.checkpoint_id, merged.get("run_id")
    run_id = run_id if isinstance(run_id, str) and run_id else None
    if run_id is not None:
        runtime.runs.note(scope, run_id)
    namespace = scope.namespace(target.ns or "")
    is_root = namespace.ns == ""
    if parent_id is not None and checkpoint_id <= parent_id:
        _warn_of_clocks(runtime, scope, checkpoint_id, parent_id)
    parent = runtime.checkpoints.get(namespace, parent_id) if parent_id else None
    if is_root and parent is None and parent_id is not None:
        parent = adoption.materialize(runtime, scope, parent_id)
    start = runtime.shared.starts.of(target.run) if is_root else None
    if start is not None and start.is_named and start.checkpoint_id == parent_id:
        sections = as_started_by_name(sections)
    origin = None if is_root else _origin_of(namespace.ns, merged.get("parents"))
    if origin is not None and target.is_stored_at_exit:
        origin = runtime.checkpoints.newest_seen(scope, origin)
    stored = runtime.store_checkpoint(
        namespace, checkpoint_id, parent_id, parent, sections, run_id, state=state, origin=origin
    )
    if is_root:
        is_out = start is not None and start.is_out_of_steps(merged.get("step"), config.get("recursion_limit"))
        values, source = checkpoint["channel_values"], merged.get("source")
        with surviving_the_row(scope):
            row = runtime.row_updater.saved(scope, stored, parent, values, source, start, is_out)
            if row is not None:
                runtime.titler.consider(row)
    return config_for(scope, namespace.ns, checkpoint_id)


def _to_come(runtime: Runtime, place: Place | None) -> Place | None:
    """A checkpoint if a running graph may only be about to store it; else None."""
    return place if place is not None and runtime.shared.arrivals.comes(place) else None


def _caller(target: Target, metadata: object) -> Place | None:
    """The checkpoint that a running graph has called a sub-graph from, whose first checkpoint comes."""
    if target.scope is None or not target.ns or target.checkpoint_id is not None or not target.is_stored_at_once:
        return None
    origin = _origin_of(target.ns, metadata.get("parents") if isinstance(metadata, Mapping) else None)
    return Place(target.scope.namespace(origin.ns), origin.checkpoint_id) if origin is not None else None


def _written_on(target: Target) -> Place | None:
    """The checkpoint that a task of a running graph writes on."""
    if target.scope is None or target.checkpoint_id is None or not target.is_stored_at_once:
        return None
    return Place(target.scope.namespace(target.ns or ""), target.checkpoint_id)


def _origin_of(ns: str, parents: object) -> Origin | None:
    """The checkpoint that a sub-graph was called from, as its checkpoint's metadata name it: the nearest of them."""
    if not isinstance(parents, Mapping):
        return None
    around = [one for one in parents if isinstance(one, str) and ns.startswith(f"{one}|" if one else "") and one != ns]
    nearest = max(around, key=len, default=None)
    if nearest is None or not isinstance(parents[nearest], str) or not parents[nearest]:
        return None
    return Origin(nearest, check_checkpoint_id(parents[nearest]))


def _warn_of_clocks(runtime: Runtime, scope: Scope, checkpoint_id: str, parent_id: str) -> None:
    """Log, once for each conversation, that a checkpoint's id is not greater than its parent's."""
    if scope in runtime.shared.warned_of_clocks:
        return
    runtime.shared.warned_of_clocks.put(scope, True)
    behind = seconds_behind(checkpoint_id, parent_id)
    seconds = f" by {behind:.1f} s or more" if behind is not None else ""
    _logger.warning(
        "checkpoint %s of conversation %s is not greater than its parent %s: the clock of the host that made it is "
        "behind%s, and LangGraph may forget the turn. Keep the clocks of all hosts by NTP: `langgraph-dynamo-conv "
        "doctor` compares a host's with AWS's, and `verify` lists the turns that are forgotten",
        checkpoint_id,
        scope.thread_id,
        parent_id,
        seconds,
    )


def put_writes(
    runtime: Runtime, target: Target, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
) -> None:
    """Store one task's writes, once what they may refer to is stored; the row follows an interrupt or a failure of the
    root."""
    with _surviving(runtime, target):
        grown, written_on = _grown(runtime, target, writes), _written_on(target)
        if written_on is None or not may_refer(grown) or not runtime.shared.arrivals.comes(written_on):
            _put_writes(runtime, target, writes, task_id, task_path, grown)
            return
        with runtime.shared.writing.doing(written_on):
            runtime.shared.arrivals.wait(written_on)
            _put_writes(runtime, target, writes, task_id, task_path, grown)


async def aput_writes(
    runtime: Runtime, target: Target, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
) -> None:
    """The same for an event loop, on which bytes are taken of values before LangGraph's next step may change them."""
    with _surviving(runtime, target):
        grown, written_on = _grown(runtime, target, writes), _written_on(target)
        if written_on is not None and may_refer(grown):
            await runtime.shared.arrivals.await_(written_on)
        await runtime.step(partial(_put_writes, runtime, target, writes, task_id, task_path, grown))


def _surviving(runtime: Runtime, target: Target) -> AbstractContextManager[None]:
    """Let nobody wait for the next checkpoints if a write can't be stored: LangGraph may hand none over."""
    if target.scope is None or not target.is_stored_at_once:
        return nullcontext()
    return runtime.shared.arrivals.surviving(target.scope.namespace(target.ns or ""))


def _grown(runtime: Runtime, target: Target, writes: Sequence[tuple[str, Any]]) -> GrownWrites:
    """The writes as their values are now."""
    if target.scope is None or target.checkpoint_id is None:
        raise ValueError("put_writes needs a config with thread_id and checkpoint_id, as put gives it")
    _check_writes(writes)
    return runtime.writes.grown(writes)


def _put_writes(
    runtime: Runtime,
    target: Target,
    writes: Sequence[tuple[str, Any]],
    task_id: str,
    task_path: str,
    grown: GrownWrites,
) -> None:
    scope, ns, checkpoint_id = cast("Scope", target.scope), target.ns or "", cast("str", target.checkpoint_id)
    task_id, task_path = check_text("task_id", task_id), check_text("task_path", task_path)
    if ns == "":
        runtime.row_updater.writes(scope, checkpoint_id, task_id, {channel for channel, _ in writes})
    in_run = target.run is not None
    runtime.store_writes(scope.namespace(ns), checkpoint_id, task_id, task_path, grown, in_run=in_run)
    if ns == "":
        with surviving_the_row(scope):
            start = runtime.shared.starts.of(target.run)
            runtime.row_updater.wrote(scope, checkpoint_id, task_id, writes, start)


def delta_history(runtime: Runtime, target: Target, channels: Sequence[str]) -> dict[str, DeltaChannelHistory]:
    """Read what channels replay."""
    channels = check_each("channels", channels, partial(check_text, "channels"))
    scope = target.scope or _scope_by_index(runtime, target)
    if scope is None or not channels:
        return {channel: {"writes": []} for channel in channels}
    delta = runtime.deltas.delta(scope.namespace(target.ns or ""), target.checkpoint_id, channels)
    histories: dict[str, DeltaChannelHistory] = {}
    for channel, (writes, seed) in delta.items():
        histories[channel] = {"writes": runtime.writes.to_python(scope, writes)}
        if seed is not None:
            histories[channel]["seed"] = runtime.deltas.value(scope, seed)
    return histories


def copy(runtime: Runtime, source: str, target: str, user_id: str | None) -> None:
    """Copy a conversation, its row created now."""
    runtime.copying.copy(source, target, user_id, runtime.rows.now())
    runtime.removal.forget(target, user_id)
    runtime.forget(target)


def delete(runtime: Runtime, thread_id: str, user_id: str | None) -> None:
    """Delete a conversation."""
    runtime.removal.delete(thread_id, user_id)
    runtime.forget(thread_id, user_id)


def prune(runtime: Runtime, thread_ids: Sequence[str], strategy: str, user_id: str | None) -> None:
    """See `DynamoDBConversationSaver.prune`."""
    check_choice("strategy", strategy, ("keep_latest", *_DELETE))
    for thread_id in check_each("thread_ids", thread_ids, check_thread_id):
        (delete if strategy in _DELETE else _keep_latest)(runtime, thread_id, user_id)


def _keep_latest(runtime: Runtime, thread_id: str, user_id: str | None) -> None:
    """Forget old checkpoints of a conversation, and pages of its transcript that do not count."""
    for scope in runtime.removal.scopes(thread_id, user_id):
        with surviving_an_unreadable_row(scope):
            row = runtime.rows.get(scope)
            if row is not None:
                runtime.pages.clear(row)
    runtime.removal.keep_latest(thread_id, user_id)
    runtime.forget(thread_id, user_id)


def _check_writes(writes: object) -> None:
    is_list = isinstance(writes, Sequence) and not isinstance(writes, (str, bytes))
    if not is_list or not all(map(_is_write, writes)):  # type: ignore[call-overload]
        raise ValueError(f"writes is a list of pairs, each a channel's name and a value; got a {type(writes).__name__}")


def _is_write(one: object) -> bool:
    return isinstance(one, (tuple, list)) and len(one) == 2 and isinstance(one[0], str)


def _scope_by_index(runtime: Runtime, target: Target) -> Scope | None:
    """The conversation of a target that names none: the user's newest, or the one created then; None without one."""
    thread_id = runtime.rows.newest(target.user_id, target.created_at)
    return None if thread_id is None else Scope(thread_id, target.user_id)


def _scopes(runtime: Runtime, target: Target | None) -> Iterator[Scope]:
    if target is None:
        yield from runtime.directory.all()
    elif target.scope is None and target.created_at is None:
        yield from runtime.directory.of_user(target.user_id)
    elif (scope := target.scope or _scope_by_index(runtime, target)) is not None:
        yield scope


def _tuple_of(runtime: Runtime, namespace: Namespace, loaded: Loaded) -> CheckpointTuple:
    stored, scope, ns = loaded.stored, namespace.scope, namespace.ns
    return CheckpointTuple(
        config_of_state(scope, ns, stored.checkpoint_id),
        checkpoint_of(stored, loaded.blobs, runtime.serializer),
        metadata_of(stored, runtime.serializer),
        config_of_state(scope, ns, stored.parent_id) if stored.parent_id else None,
        loaded.writes,
    )
