"""Storing a checkpoint, or the writes of a task: what it builds on lives on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph_dynamo_conv._calls.runtime import Runtime
from langgraph_dynamo_conv._format.keys import Namespace
from langgraph_dynamo_conv._state.checkpoint_tree import CheckpointTree
from langgraph_dynamo_conv._state.stored import StoredCheckpoint


def store_checkpoint(
    runtime: Runtime,
    namespace: Namespace,
    checkpoint_id: str,
    parent_id: str | None,
    parent: StoredCheckpoint | None,
    sections: Mapping[str, Any],
    run_id: str | None = None,
) -> StoredCheckpoint:
    """Store a checkpoint. Storing the same one again is harmless.

    Args:
        runtime: The parts of the saver.
        namespace: Where.
        checkpoint_id: Its id.
        parent_id: Its parent's id, or None.
        parent: What is known of the parent; None if there is none, or it is not there.
        sections: The rest of it, as `sections_of` gave it.
        run_id: The run that made it, or None.

    Cost: that of `Checkpoints.save`, and of `Renewal.times`.
    """
    state = CheckpointTree(sections, runtime.serializer, parent)
    times = runtime.renewal.times(namespace, checkpoint_id, parent)
    return runtime.checkpoints.save(namespace, checkpoint_id, parent_id, parent, state, run_id, times)


def store_writes(
    runtime: Runtime,
    namespace: Namespace,
    checkpoint_id: str,
    task_id: str,
    task_path: str,
    writes: Sequence[tuple[str, Any]],
) -> None:
    """Store a task's writes. See `TaskWrites.save`."""
    runtime.renewal.before_writes(namespace, checkpoint_id)
    runtime.writes.save(namespace, checkpoint_id, task_id, task_path, writes)
