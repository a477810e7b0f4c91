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

from langgraph_dynamo_conv._calls.config import config_for
from langgraph_dynamo_conv._calls.runtime import Runtime
from langgraph_dynamo_conv._checkpoints.store import Loaded
from langgraph_dynamo_conv._format.frames import is_refused
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._rows.row import Row
from langgraph_dynamo_conv._state.checkpoint_tree import checkpoint_of, grown, metadata_of, tree_of
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._transcript.folding import Message
from langgraph_dynamo_conv._transcript.langchain import to_langchain

_OFFERED = "00000000-0000-6000-8000-"
_METADATA = {"source": "update", "step": 0, "parents": {}}


def is_offered(checkpoint_id: str | None) -> bool:
    """Whether a checkpoint id is one that stands for a row."""
    return checkpoint_id is not None and checkpoint_id.startswith(_OFFERED)


def offered(
    runtime: Runtime, scope: Scope, serializer: Serializer, checkpoint_id: str | None
) -> CheckpointTuple | None:
    """The messages of a row that has no checkpoints, as one; None if there is none.

    Cost: one GetItem, and one Query for each MB of messages that have left the row.
    """
    if checkpoint_id is not None and not is_offered(checkpoint_id):
        return None
    found = _checkpoint(runtime, scope, serializer)
    if found is None or checkpoint_id not in (None, found["id"]):
        return None
    metadata: Any = {**_METADATA, "user_id": scope.user_id}
    return CheckpointTuple(config_for(scope, "", found["id"]), found, metadata, None, [])


def materialize(runtime: Runtime, scope: Scope, serializer: Serializer, checkpoint_id: str | None) -> None:
    """Store the checkpoint that was offered, unless it is stored already or the row has changed since."""
    if checkpoint_id is None or runtime.checkpoints.image(scope, "", serializer, checkpoint_id) is not None:
        return
    found = _checkpoint(runtime, scope, serializer)
    if found is not None and found["id"] == checkpoint_id:
        tree = tree_of(found, {**_METADATA, "user_id": scope.user_id}, serializer)
        runtime.save(scope, "", checkpoint_id, None, None, tree, serializer)


def append(
    runtime: Runtime, scope: Scope, message: Message, next_version: Any, serializer: Serializer
) -> StoredCheckpoint | None:
    """Let the newest state have one more message, unless it has it; None without a state or its messages channel.

    Cost: what reading the newest state costs, and one PutItem; for a `DeltaChannel`, what it replays is read too, and
    one UpdateItem more.
    """
    loaded = runtime.checkpoints.load(scope, "", serializer)
    channel = runtime.row_updater.channel
    if loaded is None or channel not in loaded.image.tree.get("channel_versions", ()):
        return None
    new = to_langchain([message])
    checkpoint = checkpoint_of(loaded.image, loaded.values, serializer)
    held, name = checkpoint["channel_values"].get(channel), str(new[0].id)
    if any(_has(one, name) for one in ([held] if held is not None else _replayed(runtime, scope, loaded, serializer))):
        return loaded.image
    if held is None:  # under a task's id that a repetition has too
        runtime.save_writes(scope, "", loaded.image.checkpoint_id, name, "", [(channel, new)], serializer)
    else:
        checkpoint["channel_values"][channel] = _with(held, new)
    return _save_after(runtime, scope, loaded, checkpoint, next_version, serializer)


def _save_after(
    runtime: Runtime, scope: Scope, loaded: Loaded, checkpoint: Checkpoint, next_version: Any, serializer: Serializer
) -> StoredCheckpoint:
    channel = runtime.row_updater.channel
    metadata: dict[str, Any] = {**metadata_of(loaded.image, serializer), "source": "update"}
    metadata["step"] = int(metadata.get("step", -1)) + 1
    counters = metadata.get("counters_since_delta_snapshot", {})
    if channel in counters or channel not in checkpoint["channel_values"]:
        updates, steps = counters.get(channel, (0, 0))
        metadata["counters_since_delta_snapshot"] = {**counters, channel: (updates + 1, steps + 1)}
    checkpoint["id"] = str(uuid6(clock_seq=metadata["step"]))
    checkpoint["ts"] = runtime.rows.now()
    checkpoint["channel_versions"][channel] = next_version(checkpoint["channel_versions"].get(channel), None)
    checkpoint["updated_channels"] = [channel]
    parent = loaded.image
    tree, message_digests = grown(checkpoint, metadata, serializer, parent)
    return runtime.save(
        scope, "", checkpoint["id"], parent.checkpoint_id, parent, tree, serializer, message_digests=message_digests
    )


def _with(held: Any, new: Sequence[BaseMessage]) -> Any:
    if isinstance(held, (list, tuple)):
        return type(held)([*held, *new])
    return held._replace(value=_with(held.value, new))  # a DeltaChannel's snapshot


def _replayed(runtime: Runtime, scope: Scope, loaded: Loaded, serializer: Serializer) -> Iterator[Any]:
    """What a `DeltaChannel` of messages was stored as last, and what was written to it since."""
    channel = runtime.row_updater.channel
    replayed = runtime.history.delta(scope, "", loaded.image.checkpoint_id, [channel], serializer)
    for writes, seed in replayed.values():
        if seed is not None:
            yield runtime.history.value(scope, seed, serializer)
        yield from (value for _, _, value in runtime.writes.to_python(scope, writes, serializer))


def _has(held: Any, message_id: str) -> bool:
    messages = getattr(held, "value", held)  # a DeltaChannel's snapshot has one
    several = messages if isinstance(messages, (list, tuple)) else [messages]
    return any(getattr(message, "id", None) == message_id for message in several)


def _checkpoint(runtime: Runtime, scope: Scope, serializer: Serializer) -> Checkpoint | None:
    encryptor = runtime.row_updater.encryptor(serializer)
    row = runtime.rows.get(scope, encryptor)
    if row is None or not row.message_count or is_refused(encryptor, "sealed" in row.found):
        return None
    messages = to_langchain(runtime.rows.messages(row, 0, row.message_count, encryptor))
    channel = runtime.row_updater.channel
    return {
        "v": 4,
        "id": _id_of(row, messages),
        "ts": row.updated_at,
        "channel_values": {channel: messages},
        "channel_versions": {channel: 1},
        "versions_seen": {},
        "updated_channels": [channel],
    }


def _id_of(row: Row, messages: Sequence[BaseMessage]) -> str:
    digest = blake2b(row.created_at.encode(), digest_size=6)
    for message in messages:
        digest.update(str(message.id).encode())
    return _OFFERED + digest.hexdigest()
