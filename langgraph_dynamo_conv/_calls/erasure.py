"""A message is edited or removed for good: in the state of every namespace, then in the transcript.

The rule: the newest checkpoint of a namespace gets a successor without the words, which shares no stored bytes with it.
So older checkpoints are all that still holds them, and pruning ends that. State first, as everywhere: after a crash
between the two the message is still shown, and the call can be repeated.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from langgraph.checkpoint.serde.types import INTERRUPT, _DeltaSnapshot

from langgraph_dynamo_conv._calls.adoption import replayed, store_after
from langgraph_dynamo_conv._calls.runtime import Runtime
from langgraph_dynamo_conv._checkpoints.loading import Loaded
from langgraph_dynamo_conv._format.keys import Namespace, Scope
from langgraph_dynamo_conv._format.tree import Leaf, leaves, to_python
from langgraph_dynamo_conv._history.listing import HistoryQuery
from langgraph_dynamo_conv._rows.erasing import Erasure
from langgraph_dynamo_conv._rows.pages import StaleRow
from langgraph_dynamo_conv._rows.updates import is_pending
from langgraph_dynamo_conv._state.checkpoint_tree import checkpoint_of
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._transcript.erasing import Erased, Target, erased, mentions
from langgraph_dynamo_conv._transcript.written import flat, put_together
from langgraph_dynamo_conv.errors import CorruptDataError, RunNotEndedError

_TRIES = 3
"""How often a row that does not fit its pages is read: it is older than they are, or messages are missing."""

_PREVIOUS, _END = "__previous__", "__end__"
"""What the functional API keeps for the next run, and what the last one gave."""


@dataclass(frozen=True)
class Done:
    """What was done.

    Args:
        message_id: The message's public id, also after an edit.
        checkpoint_id: The root's newest checkpoint now, if its state had the message.
        held_by: Ids of the older checkpoints that have the message in their state or their task writes, newest first.
    """

    message_id: str
    checkpoint_id: str | None
    held_by: tuple[str, ...]


@dataclass(frozen=True)
class _Step:
    """A namespace's newest checkpoint, and its messages without the words."""

    namespace: Namespace
    stored: StoredCheckpoint
    checkpoint: Any
    erased: Erased


@dataclass
class _Search:
    """Looks for a message in many checkpoints, at each value once."""

    runtime: Runtime
    names: frozenset[str]
    former: list[Any]
    _seen: dict[bytes, bool] = field(default_factory=dict)

    def finds(self, loaded: Loaded) -> bool:
        """Whether a checkpoint's state, or a write on it, has the message."""
        if any(mentions(value, self.names, self.former) for _, _, value in loaded.writes):
            return True
        return any(self._is_in(leaf, loaded.blobs) for leaf in leaves(loaded.stored.tree["channel_values"]))

    def _is_in(self, leaf: Leaf, blobs: dict[str, bytes]) -> bool:
        digest = leaf.plain_digest()
        if digest not in self._seen:
            value = to_python(leaf, self.runtime.serializer.loads, blobs)
            self._seen[digest] = mentions(value, self.names, self.former)
        return self._seen[digest]


def change(runtime: Runtime, scope: Scope, message_id: str, content: str | None) -> Done:
    """Give a message another text, or remove it where `content` is None. Can be repeated.

    Raises:
        ConversationNotFoundError, MessageNotFoundError: There is none.
        RunNotEndedError: The root's newest checkpoint is not the end of a run.

    Cost: a read of all checkpoints and task writes; for each namespace whose newest state has the message, that state
    once more, stored full; what `Erasing.apply` costs.
    """
    target = _target(runtime, scope, message_id, is_removal=content is None)
    root = runtime.checkpoints.load(scope.namespace())
    _check_ended(runtime, scope, root)
    first = _step(runtime, scope.namespace(), root, target, content) if root is not None else None
    former = first.erased.former if first is not None else []
    search = _Search(runtime, target.names, former)
    steps, held_by = _searched(runtime, scope, target, content, search)
    for step in steps:
        _store(runtime, step)
    after = _store(runtime, first) if first is not None else None
    head = after.checkpoint_id if after is not None else None
    erasure = Erasure(
        message_id,
        content,
        parent=first.stored.checkpoint_id if first is not None else None,
        head=head,
        is_adopted=mentions(former, frozenset(target.adopted), []),
    )

    def overtaken() -> None:
        if after is not None:
            runtime.removal.check_kept(scope.namespace(), after, {after.parent_id or ""})

    return Done(runtime.erasing.apply(scope, erasure, overtaken), head, held_by)


def _target(runtime: Runtime, scope: Scope, message_id: str, *, is_removal: bool) -> Target:
    for _ in range(_TRIES):
        with suppress(StaleRow):
            return runtime.erasing.target(runtime.directory.row(scope), message_id, is_removal=is_removal)
    raise CorruptDataError(
        f"the row of conversation {scope.thread_id} and its pages do not fit together: older messages are missing. "
        "`verify` names what is missing or damaged",
        key=str(scope.row()),
    )


def _check_ended(runtime: Runtime, scope: Scope, root: Loaded | None) -> None:
    if root is None:
        return
    is_asking = any(channel == INTERRUPT for _, channel, _ in root.writes)
    if is_asking or is_pending(root.stored.tree["channel_values"]):
        raise RunNotEndedError(
            "the last run of this conversation has not ended, and what is pending in it would be lost: resume it, or "
            "end it with graph.update_state(config, None, as_node=END)",
            table=runtime.table.name,
            key=str(scope.namespace().checkpoint(root.stored.checkpoint_id)),
        )


def _step(runtime: Runtime, namespace: Namespace, loaded: Loaded, target: Target, content: str | None) -> _Step | None:
    """What a namespace's newest checkpoint becomes; None if its state has no such message."""
    channel = runtime.row_updater.channel
    if channel not in loaded.stored.tree.get("channel_versions", ()):
        return None
    checkpoint = checkpoint_of(loaded.stored, loaded.blobs, runtime.serializer)
    values = checkpoint["channel_values"]
    value = values.get(channel)
    items = flat(value) if value is not None else put_together(replayed(runtime, namespace, loaded))
    without = erased(items, target, content)
    if not without.former:
        return None
    if value is None or hasattr(value, "value"):
        values[channel] = _DeltaSnapshot(without.items)
    else:
        values[channel] = type(value)(without.items) if isinstance(value, (list, tuple)) else without.items
    if channel == _PREVIOUS:
        values.pop(_END, None)  # what the last run gave may have the words, and no later run reads it
    return _Step(namespace, loaded.stored, checkpoint, without)


def _searched(
    runtime: Runtime, scope: Scope, target: Target, content: str | None, search: _Search
) -> tuple[list[_Step], tuple[str, ...]]:
    """What the newest checkpoints of other namespaces become, and the ids of all checkpoints that have the message."""
    steps: list[_Step] = []
    held_by: list[str] = []
    seen = {scope.namespace()}
    for namespace, loaded in runtime.history.read(scope, HistoryQuery(ns=None)):
        if namespace not in seen:
            seen.add(namespace)
            newest = runtime.checkpoints.load(namespace)
            step = _step(runtime, namespace, newest, target, content) if newest is not None else None
            steps += [step] if step is not None else []
        if search.finds(loaded):
            held_by.append(loaded.stored.checkpoint_id)
    return steps, tuple(sorted(held_by, reverse=True))


def _store(runtime: Runtime, step: _Step) -> StoredCheckpoint:
    return store_after(runtime, step.namespace, step.stored, step.checkpoint, is_apart=True)
