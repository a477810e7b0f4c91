"""Messages that came from outside a graph become state: rows of other programs, and `add_message`.

A row that has messages and no checkpoints is offered as a checkpoint that is not stored: reading never writes. Its id
sorts before every real one. The first checkpoint that builds on it stores it too, so that histories are whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

from langchain_core.messages import BaseMessage
from langgraph.checkpoint.base import Checkpoint, CheckpointTuple
from langgraph.checkpoint.base.id import uuid6

from langgraph_dynamo_conv._calls.config import config_of_state
from langgraph_dynamo_conv._calls.row_failures import surviving_an_unreadable_row
from langgraph_dynamo_conv._calls.runtime import Runtime
from langgraph_dynamo_conv._checkpoints.loading import Loaded
from langgraph_dynamo_conv._format.keys import Namespace, Scope
from langgraph_dynamo_conv._rows.row import Row
from langgraph_dynamo_conv._rows.steps import is_offered, offered_id
from langgraph_dynamo_conv._state.checkpoint_tree import checkpoint_of, metadata_of, sections_of
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._state.versions import as_text, next_version
from langgraph_dynamo_conv._transcript.folding import Message
from langgraph_dynamo_conv._transcript.langchain import to_langchain
from langgraph_dynamo_conv._transcript.written import flat

_METADATA = {"source": "update", "step": 0, "parents": {}}


def offered(runtime: Runtime, scope: Scope, checkpoint_id: str | None) -> CheckpointTuple | None:
    """The messages of a row that has no checkpoints, as one; None if there is none.

    Cost: one GetItem, and one Query for each MB of messages that have left the row.
    """
    if checkpoint_id is not None and not is_offered(checkpoint_id):
        return None
    checkpoint = _checkpoint_of_row(runtime, scope)
    if checkpoint is None or checkpoint_id not in (None, checkpoint["id"]):
        return None
    metadata: Any = {**_METADATA, "user_id": scope.user_id}
    return CheckpointTuple(config_of_state(scope, "", checkpoint["id"]), checkpoint, metadata, None, [])


def materialize(runtime: Runtime, scope: Scope, checkpoint_id: str) -> StoredCheckpoint | None:
    """Store the checkpoint that was offered, and give it; None if it was not offered, or the row has changed since.

    Messages that were only added since do not count: they are not in the state that the run has begun with.
    """
    if not is_offered(checkpoint_id):
        return None
    checkpoint = _checkpoint_of_row(runtime, scope, checkpoint_id)
    if checkpoint is None or checkpoint["id"] != checkpoint_id:
        return None
    sections = sections_of(checkpoint, {**_METADATA, "user_id": scope.user_id})
    return runtime.store_checkpoint(scope.namespace(), checkpoint_id, None, None, sections)


def append(runtime: Runtime, scope: Scope, message: Message) -> StoredCheckpoint | None:
    """Let the newest state have one more message, unless it has it; None without a state or its messages channel.

    Cost: what reading the newest state costs, and one PutItem; for a `DeltaChannel`, what it replays is read too, and
    one UpdateItem more.
    """
    namespace = scope.namespace()
    loaded = runtime.checkpoints.load(namespace)
    channel = runtime.row_updater.channel
    if loaded is None or channel not in loaded.stored.tree.get("channel_versions", ()):
        return None
    new = to_langchain([message])
    message_id = str(new[0].id)
    checkpoint = checkpoint_of(loaded.stored, loaded.blobs, runtime.serializer)
    value = checkpoint["channel_values"].get(channel)
    values = [value] if value is not None else replayed(runtime, namespace, loaded)
    if any(message_id == getattr(one, "id", None) for stored_value in values for one in flat(stored_value)):
        return loaded.stored
    if value is None:  # under a task's id that a repetition has too
        runtime.store_writes(
            namespace, loaded.stored.checkpoint_id, message_id, "", runtime.writes.grown([(channel, new)])
        )
    else:
        checkpoint["channel_values"][channel] = _extended(value, new)
    return store_after(runtime, namespace, loaded.stored, checkpoint)


def store_after(
    runtime: Runtime,
    namespace: Namespace,
    parent: StoredCheckpoint,
    checkpoint: Checkpoint,
    *,
    is_apart: bool = False,
) -> StoredCheckpoint:
    """Store a checkpoint whose messages channel was updated by hand after `parent`.

    Args:
        runtime: What stores.
        namespace: Where.
        parent: What it follows.
        checkpoint: The parent's, with the channel's new value.
        is_apart: Whether it is to share no stored bytes with the parent, not even a segment, and replay none of its
            messages: whatever of the parent is removed, this one does not keep.
    """
    channel = runtime.row_updater.channel
    metadata: dict[str, Any] = {**metadata_of(parent, runtime.serializer), "source": "update"}
    metadata["step"] = int(metadata.get("step", -1)) + 1
    counters = metadata.get("counters_since_delta_snapshot", {})
    if is_apart:
        metadata.pop("counters_since_delta_snapshot", None)
        if others := {name: count for name, count in counters.items() if name != channel}:
            metadata["counters_since_delta_snapshot"] = others
    elif channel in counters or channel not in checkpoint["channel_values"]:
        updates, steps = counters.get(channel, (0, 0))
        metadata["counters_since_delta_snapshot"] = {**counters, channel: (updates + 1, steps + 1)}
    checkpoint["id"] = str(uuid6(clock_seq=metadata["step"]))
    checkpoint["ts"] = runtime.rows.now()
    checkpoint["channel_versions"][channel] = next_version(checkpoint["channel_versions"].get(channel))
    checkpoint["updated_channels"] = [channel]
    sections = sections_of(checkpoint, metadata)
    return runtime.store_checkpoint(
        namespace, checkpoint["id"], parent.checkpoint_id, parent, sections, is_apart=is_apart
    )


def _extended(value: Any, new: Sequence[BaseMessage]) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)([*value, *new])
    return value._replace(value=_extended(value.value, new))  # a DeltaChannel's snapshot


def replayed(runtime: Runtime, namespace: Namespace, loaded: Loaded) -> Iterator[Any]:
    """What a `DeltaChannel` of messages was stored as last, and what was written to it since."""
    channel, scope = runtime.row_updater.channel, namespace.scope
    history = runtime.deltas.delta(namespace, loaded.stored.checkpoint_id, [channel])
    for writes, seed in history.values():
        if seed is not None:
            yield runtime.deltas.value(scope, seed)
        yield from (value for _, _, value in runtime.writes.to_python(scope, writes))


def _checkpoint_of_row(runtime: Runtime, scope: Scope, offered_before: str | None = None) -> Checkpoint | None:
    """The messages of a row as a checkpoint; as many of the first of them as were there when one of that id was."""
    transcript = None
    with surviving_an_unreadable_row(scope):
        transcript = runtime.rows.transcript(scope)
    if transcript is None or not transcript.messages or runtime.rows.is_refused(transcript.row):
        return None
    row, messages = transcript.row, to_langchain(transcript.messages)
    counts = range(len(messages), 0, -1) if offered_before is not None else ()
    messages = next((messages[:count] for count in counts if _id_of(row, messages[:count]) == offered_before), messages)
    channel = runtime.row_updater.channel
    return {
        "v": 4,
        "id": _id_of(row, messages),
        "ts": row.updated_at,
        "channel_values": {channel: messages},
        "channel_versions": {channel: as_text(1)},
        "versions_seen": {},
        "updated_channels": [channel],
    }


def _id_of(row: Row, messages: Sequence[BaseMessage]) -> str:
    digest = blake2b(row.created_at.encode(), digest_size=6)
    for message in messages:
        digest.update(str(message.id).encode())
    return offered_id(digest.hexdigest())
