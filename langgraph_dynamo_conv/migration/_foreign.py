"""A checkpoint of another saver as this one stores it, and whether what came back is equal. Pure.

Other savers may number channel versions with strings ("00000003.0.41…", a counter and a random tail); this one counts
with integers. LangGraph only ever compares versions of one channel with each other, so the counter is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import groupby
from typing import Any, NamedTuple, cast

from langgraph.checkpoint.base import WRITES_IDX_MAP, Checkpoint, CheckpointTuple, writes_sort_key

ISO = "%Y-%m-%dT%H:%M:%S.%fZ"

Dumps = Callable[[Any], tuple[str, bytes]]


class Reference(NamedTuple):
    """A checkpoint by its ids."""

    ns: str
    checkpoint_id: str
    parent_id: str | None


class PendingWrite(NamedTuple):
    """One write of a task, and its place in `writes_sort_key` order."""

    task_id: str
    task_path: str
    idx: int
    channel: str
    value: Any


class ForeignCheckpoint(NamedTuple):
    """A checkpoint as it is to be stored."""

    reference: Reference
    checkpoint: Checkpoint
    metadata: dict[str, Any]
    writes: list[PendingWrite]

    def tasks(self) -> list[tuple[str, str, list[tuple[str, Any]]]]:
        """Task id, path and writes for each call of `put_writes`. Regular writes come first: their place counts."""
        ordered = sorted(self.writes, key=lambda one: (one.task_id, one.task_path, one.idx < 0, one.idx))
        return [
            (task_id, path, [(one.channel, one.value) for one in group])
            for (task_id, path), group in groupby(ordered, key=lambda one: (one.task_id, one.task_path))
        ]


def reference_of(found: CheckpointTuple) -> Reference:
    """The ids of a checkpoint."""
    at = found.config["configurable"]
    parent = (found.parent_config or {}).get("configurable", {}).get("checkpoint_id")
    return Reference(at.get("checkpoint_ns", ""), at["checkpoint_id"], parent or None)


def parents_first(references: Iterable[Reference]) -> list[Reference]:
    """Oldest first; where ids do not sort by time, a parent still comes before its children."""
    left = {(one.ns, one.checkpoint_id): one for one in sorted(references, key=lambda one: one.checkpoint_id)}
    ordered: list[Reference] = []
    while left:
        lineage = [left.pop(next(iter(left)))]
        while lineage[-1].parent_id and (lineage[-1].ns, lineage[-1].parent_id) in left:
            lineage.append(left.pop((lineage[-1].ns, lineage[-1].parent_id)))
        ordered += reversed(lineage)
    return ordered


def foreign_checkpoint(found: CheckpointTuple, writes: Sequence[PendingWrite], user_id: str) -> ForeignCheckpoint:
    """A checkpoint that was read, as it is to be stored for a user.

    Raises:
        ValueError: Its channel versions can't become integers.
    """
    checkpoint: dict[str, Any] = dict(found.checkpoint)
    versions = dict(checkpoint.get("channel_versions") or {})
    seen = {node: dict(of_node) for node, of_node in (checkpoint.get("versions_seen") or {}).items()}
    _refuse_merged([versions, *seen.values()])
    checkpoint["channel_versions"] = _integers(versions)
    checkpoint["versions_seen"] = {node: _integers(of_node) for node, of_node in seen.items()}
    metadata = dict(cast("Mapping[str, Any]", found.metadata or {}))
    metadata.setdefault("user_id", user_id)  # as LangGraph does for every config with a user
    return ForeignCheckpoint(reference_of(found), cast("Checkpoint", checkpoint), metadata, _ordered(writes))


def writes_without_paths(pending: Sequence[tuple[str, str, Any]] | None) -> list[PendingWrite]:
    """Writes of a saver that does not tell task paths, in the order it gave them.

    Where that is not the order of the task ids, paths are made up that keep it.
    """
    writes = list(pending or [])
    tasks = list(dict.fromkeys(task_id for task_id, _, _ in writes))
    paths = {task: "" if tasks == sorted(tasks) else f"~{number:06d}" for number, task in enumerate(tasks)}
    return [
        PendingWrite(task_id, paths[task_id], WRITES_IDX_MAP.get(channel, place), channel, value)
        for place, (task_id, channel, value) in enumerate(writes)
    ]


def same(foreign: ForeignCheckpoint, found: CheckpointTuple, dumps: Dumps) -> bool:
    """Whether what was read back is what was to be stored: values, order, metadata, parent, pending writes."""
    expected_writes = [(one.task_id, one.channel, one.value) for one in foreign.writes]
    return (
        foreign.reference == reference_of(found)
        and _equal_sections(foreign.checkpoint, found.checkpoint, dumps)
        and _equal_sections(foreign.metadata, found.metadata, dumps)
        and _equal(expected_writes, list(found.pending_writes or []), dumps)
    )


def size_of(foreign: ForeignCheckpoint, dumps: Dumps) -> int:
    """Bytes of a checkpoint and its writes, serialized whole."""
    parts = [foreign.checkpoint, foreign.metadata, *(one.value for one in foreign.writes)]
    return sum(len(dumps(part)[1]) for part in parts)


def time_of(checkpoint: Checkpoint) -> str | None:
    """When a checkpoint came about, as conversation rows tell times; None if it does not say."""
    try:
        told = datetime.fromisoformat(str(checkpoint.get("ts", "")).replace("Z", "+00:00"))
    except ValueError:
        return None
    utc = told if told.tzinfo else told.replace(tzinfo=timezone.utc)
    return utc.astimezone(timezone.utc).strftime(ISO)


def _ordered(writes: Sequence[PendingWrite]) -> list[PendingWrite]:
    return sorted(writes, key=lambda one: writes_sort_key(one.task_path, one.task_id, one.idx))


def _integers(versions: Mapping[str, Any]) -> dict[str, int]:
    return {channel: integer_version(version) for channel, version in versions.items()}


def integer_version(version: object) -> int:
    """The counter in a channel version.

    Raises:
        ValueError: It has none.
    """
    counter = version.split(".", 1)[0] if isinstance(version, str) else version
    try:
        number = int(counter)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        number = None
    if number is None or isinstance(version, float) and number != version:
        raise ValueError(f"the channel version {version!r} has no counter, so it can't become an integer")
    return int(number)


def _refuse_merged(sections: Iterable[Mapping[str, Any]]) -> None:
    """Two versions of one channel that differ must still differ as integers: LangGraph runs a node if they do."""
    known: dict[tuple[str, int], Any] = {}
    for section in sections:
        for channel, version in section.items():
            if known.setdefault((channel, integer_version(version)), version) != version:
                raise ValueError(f"two versions of the channel {channel!r} have the same counter: {version!r}")


def _equal_sections(one: Mapping[str, Any], other: Mapping[str, Any], dumps: Dumps) -> bool:
    return one.keys() == other.keys() and all(_equal(one[name], other[name], dumps) for name in one)


def _equal(one: Any, other: Any, dumps: Dumps) -> bool:
    # Bytes are exact. Only where they differ, as those of equal sets can, does equality decide.
    if dumps(one) == dumps(other):
        return True
    try:
        return bool(one == other)
    except (TypeError, ValueError):  # what compares element by element, such as arrays
        return False
