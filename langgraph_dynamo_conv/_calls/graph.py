"""What each call of the saver does, in its order; the saver itself only documents and names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
    get_checkpoint_metadata,
)

from langgraph_dynamo_conv._calls import adoption
from langgraph_dynamo_conv._calls.config import Target, config_for
from langgraph_dynamo_conv._calls.runtime import Runtime
from langgraph_dynamo_conv._checkpoints.history import HistoryQuery, metadata_matches
from langgraph_dynamo_conv._checkpoints.store import Loaded
from langgraph_dynamo_conv._format.keys import Scope, check_checkpoint_id, check_text
from langgraph_dynamo_conv._state.checkpoint_tree import checkpoint_of, grown, metadata_of, sections_of
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv.errors import ConversationNotFoundError


def get_tuple(runtime: Runtime, target: Target, serializer: Serializer) -> CheckpointTuple | None:
    """Read one checkpoint."""
    scope = found(runtime, target)
    if scope is None:
        return None
    ns = target.ns or ""
    loaded = runtime.checkpoints.load(scope, ns, serializer, target.checkpoint_id)
    if loaded is not None:
        return _tuple_of(scope, ns, loaded, serializer)
    return adoption.offered(runtime, scope, serializer, target.checkpoint_id) if ns == "" else None


def history(
    runtime: Runtime,
    target: Target | None,
    wanted: Mapping[str, Any] | None,
    before: RunnableConfig | None,
    limit: int | None,
    serializer: Serializer,
) -> Iterator[CheckpointTuple]:
    """Read many checkpoints."""
    before_id = get_checkpoint_id(before) if before else None
    asked = HistoryQuery(
        target.ns if target else None,
        target.checkpoint_id if target else None,
        check_checkpoint_id(before_id) if before_id else None,
        limit,
        metadata_matches(serializer, wanted),
    )
    left = limit
    for scope in _scopes(runtime, target):
        if left is not None and left <= 0:
            return
        for ns, loaded in runtime.history.read(scope, replace(asked, limit=left), serializer):
            left = None if left is None else left - 1
            yield _tuple_of(scope, ns, loaded, serializer)


def put(
    runtime: Runtime,
    target: Target,
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    serializer: Serializer,
) -> RunnableConfig:
    """Store one checkpoint; the row follows once it is stored."""
    scope, ns = found(runtime, target), target.ns or ""
    if scope is None:
        raise ConversationNotFoundError(
            "the config has no thread_id and this user has no conversation to continue: "
            "begin one with new_conversation(user_id)",
            table=runtime.table.name,
        )
    merged = cast("dict[str, Any]", get_checkpoint_metadata(config, metadata))
    parent_id = target.checkpoint_id
    sections_of(checkpoint, merged)  # refuses what is no checkpoint before any request
    checkpoint_id = check_checkpoint_id(checkpoint["id"])
    run_id = merged.get("run_id")
    run_id = run_id if isinstance(run_id, str) and run_id else None
    if run_id is not None:
        runtime.note_run(scope, run_id)
    if ns == "" and adoption.is_offered(target.checkpoint_id):
        adoption.materialize(runtime, scope, serializer, target.checkpoint_id)
    parent = runtime.checkpoints.image(scope, ns, serializer, parent_id) if parent_id else None
    tree, message_digests = grown(checkpoint, merged, serializer, parent)
    image = runtime.save(scope, ns, checkpoint_id, parent_id, parent, tree, serializer, run_id, message_digests)
    if ns == "":
        row = runtime.row_updater.saved(scope, image, checkpoint["channel_values"], merged.get("source"), serializer)
        runtime.titler.consider(row, runtime.row_updater.encryptor(serializer))
    return config_for(scope, ns, image.checkpoint_id)


def put_writes(
    runtime: Runtime,
    target: Target,
    writes: Sequence[tuple[str, Any]],
    task_id: str,
    task_path: str,
    serializer: Serializer,
) -> None:
    """Store one task's writes; the row follows an interrupt or a failure of the root."""
    if target.thread_id is None or target.checkpoint_id is None:
        raise ValueError("put_writes needs a config with thread_id and checkpoint_id, as put gives it")
    scope, ns = target.scope(), target.ns or ""
    task_id, task_path = check_text("task_id", task_id), check_text("task_path", task_path)
    runtime.save_writes(scope, ns, target.checkpoint_id, task_id, task_path, writes, serializer)
    if ns == "":
        runtime.row_updater.wrote(scope, target.checkpoint_id, writes, serializer)


def delta_history(
    runtime: Runtime, target: Target, channels: Sequence[str], serializer: Serializer
) -> dict[str, DeltaChannelHistory]:
    """Read what channels replay."""
    scope = found(runtime, target)
    if scope is None or not channels:
        return {channel: {"writes": []} for channel in channels}
    delta = runtime.history.delta(scope, target.ns or "", target.checkpoint_id, channels, serializer)
    histories: dict[str, DeltaChannelHistory] = {}
    for channel, (writes, seed) in delta.items():
        histories[channel] = {"writes": runtime.writes.to_python(scope, writes, serializer)}
        if seed is not None:
            histories[channel]["seed"] = runtime.history.value(scope, seed, serializer)
    return histories


def found(runtime: Runtime, target: Target) -> Scope | None:
    """The conversation that a target names, or that the index gives for its user; None if there is none."""
    if target.thread_id is not None:
        return target.scope()
    thread_id = runtime.rows.newest(target.user_id, target.created_at)
    return None if thread_id is None else target.scope(thread_id)


def _scopes(runtime: Runtime, target: Target | None) -> Iterator[Scope]:
    if target is None:
        yield from runtime.all_conversations()
    elif target.thread_id is not None:
        yield target.scope()
    elif target.created_at is not None:
        scope = found(runtime, target)
        yield from [scope] if scope else []
    else:
        yield from runtime.conversations_of(target.user_id)


def _tuple_of(scope: Scope, ns: str, loaded: Loaded, serializer: Serializer) -> CheckpointTuple:
    image = loaded.image
    return CheckpointTuple(
        config_for(scope, ns, image.checkpoint_id),
        checkpoint_of(image, loaded.values, serializer),
        metadata_of(image, serializer),
        config_for(scope, ns, image.parent_id) if image.parent_id else None,
        loaded.writes,
    )
