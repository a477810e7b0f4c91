"""A checkpoint of another saver as this one stores it, and whether the stored one is equal.

The rule: everything is kept. Channel versions that are no text, or text of another width, take the form of all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import groupby
from typing import Any, NamedTuple, cast

from langgraph.checkpoint.base import WRITES_IDX_MAP, Checkpoint, CheckpointTuple, writes_sort_key

from langgraph_dynamo_conv._format.tree import Dumps
from langgraph_dynamo_conv._rows.row import iso
from langgraph_dynamo_conv._state.versions import as_text


class Reference(NamedTuple):
    """A checkpoint by its ids."""

    ns: str
    checkpoint_id: str
    parent_id: str | None

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and checkpoint id: what a thread has only once."""
        return self[:2]


class PendingWrite(NamedTuple):
    """One write of a task, and its place in `writes_sort_key` order."""

    task_id: str
    task_path: str
    idx: int
    channel: str
    value: Any


class ForeignCheckpoint(NamedTuple):
    """A checkpoint of another saver as it is to be stored."""

    reference: Reference
    checkpoint: Checkpoint
    metadata: dict[str, Any]
    writes: list[PendingWrite]

    def tasks(self) -> list[tuple[str, str, list[tuple[str, Any]]]]:
        """Task id, path and writes for each call of `put_writes`.

        A task's regular writes come first, since `put_writes` numbers them by their place in the call. Special channels
        have fixed numbers.
        """
        ordered = sorted(self.writes, key=lambda write: (write.task_id, write.task_path, write.idx < 0, write.idx))
        return [
            (task_id, path, [(write.channel, write.value) for write in writes])
            for (task_id, path), writes in groupby(ordered, key=lambda write: (write.task_id, write.task_path))
        ]

    def size(self, dumps: Dumps) -> int:
        """Bytes of the checkpoint, its metadata and its writes, each serialized whole."""
        values = [self.checkpoint, self.metadata, *(write.value for write in self.writes)]
        return sum(len(dumps(value)[1]) for value in values)


def reference_of(checkpoint: CheckpointTuple) -> Reference:
    """The ids of a checkpoint that a saver gave."""
    ids = checkpoint.config["configurable"]
    parent = (checkpoint.parent_config or {}).get("configurable", {}).get("checkpoint_id")
    return Reference(ids.get("checkpoint_ns", ""), ids["checkpoint_id"], parent or None)


def parents_first(references: Iterable[Reference]) -> list[Reference]:
    """Checkpoints, oldest first. Where ids do not sort by time, a parent still comes before its children."""
    left = {one.place: one for one in sorted(references, key=lambda one: one.checkpoint_id)}
    ordered: list[Reference] = []
    while left:
        lineage = [left.pop(next(iter(left)))]
        while lineage[-1].parent_id and (lineage[-1].ns, lineage[-1].parent_id) in left:
            lineage.append(left.pop((lineage[-1].ns, lineage[-1].parent_id)))
        ordered += reversed(lineage)
    return ordered


def foreign_checkpoint(original: CheckpointTuple, writes: Sequence[PendingWrite], user_id: str) -> ForeignCheckpoint:
    """A checkpoint that another saver gave, as it is to be stored for a user.

    Raises:
        ValueError: A channel version has no counter, so that no turn could follow.
    """
    checkpoint: dict[str, Any] = dict(original.checkpoint)
    seen: Mapping[str, Any] = checkpoint.get("versions_seen") or {}
    checkpoint["channel_versions"] = _with_text(checkpoint.get("channel_versions") or {})
    checkpoint["versions_seen"] = {node: _with_text(versions) for node, versions in seen.items()}
    metadata = dict(cast("Mapping[str, Any]", original.metadata or {}))
    metadata.setdefault("user_id", user_id)  # as LangGraph does for every config with a user
    ordered = sorted(writes, key=lambda write: writes_sort_key(write.task_path, write.task_id, write.idx))
    return ForeignCheckpoint(reference_of(original), cast("Checkpoint", checkpoint), metadata, ordered)


def writes_without_paths(pending: Sequence[tuple[str, str, Any]] | None) -> list[PendingWrite]:
    """The writes of a saver that does not tell task paths, in the order in which it gave them.

    Where that is not the order of the task ids, the tasks get made-up paths that keep it.
    """
    writes = list(pending or [])
    tasks = list(dict.fromkeys(task_id for task_id, _, _ in writes))
    paths = {task: "" if tasks == sorted(tasks) else f"~{number:06d}" for number, task in enumerate(tasks)}
    return [
        PendingWrite(task_id, paths[task_id], WRITES_IDX_MAP.get(channel, place), channel, value)
        for place, (task_id, channel, value) in enumerate(writes)
    ]


def same(foreign: ForeignCheckpoint, stored: CheckpointTuple, dumps: Dumps) -> bool:
    """Whether a checkpoint that was read back is the one that was to be stored.

    Values and their order, metadata, parent and pending writes count.
    """
    writes = [(write.task_id, write.channel, write.value) for write in foreign.writes]
    return (
        foreign.reference == reference_of(stored)
        and _equal_sections(foreign.checkpoint, stored.checkpoint, dumps)
        and _equal_sections(foreign.metadata, stored.metadata, dumps)
        and _equal(writes, list(stored.pending_writes or []), dumps)
    )


def time_of(checkpoint: Checkpoint) -> str | None:
    """When a checkpoint was made, in the form of the times in conversation rows; None if it does not say."""
    try:
        time = datetime.fromisoformat(str(checkpoint.get("ts", "")).replace("Z", "+00:00"))
    except ValueError:
        return None
    return iso((time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp())


def _with_text(versions: Mapping[str, Any]) -> dict[str, str]:
    return {channel: as_text(version) for channel, version in versions.items()}


def _equal_sections(one: Mapping[str, Any], other: Mapping[str, Any], dumps: Dumps) -> bool:
    return one.keys() == other.keys() and all(_equal(one[name], other[name], dumps) for name in one)


def _equal(one: Any, other: Any, dumps: Dumps) -> bool:
    # Bytes are exact. Only where they differ, as those of equal sets can, does equality decide.
    if dumps(one) == dumps(other):
        return True
    try:
        return bool(one == other)
    except (TypeError, ValueError):  # values that compare element by element, such as arrays
        return False
