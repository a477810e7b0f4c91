"""When the row follows the state, and what it is told. One namespace alone counts: the root's.

The row follows when the user's message has arrived and when the run is over, is interrupted or fails; not at tool
steps. Whether a run is over is read from LangGraph's own channels: no node is about to be triggered.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.checkpoint.serde.types import ERROR, INTERRUPT

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, blob_refs
from langgraph_dynamo_conv._checkpoints.store import Checkpoints
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites
from langgraph_dynamo_conv._format import changes
from langgraph_dynamo_conv._format.frames import Encryptor
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._format.tree import to_python
from langgraph_dynamo_conv._rows.row import FAILED, IDLE, RUNNING, WAITING, Row, RowUpdate
from langgraph_dynamo_conv._rows.rows import Rows
from langgraph_dynamo_conv._state.checkpoint_tree import metadata_of
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.forks import Lock
from langgraph_dynamo_conv._transcript.folding import Message, fold
from langgraph_dynamo_conv._transcript.ids import digest_of

_TASKS = "__pregel_tasks"
_START = "__start__"
_BRANCH = "branch:to:"

_BY_HAND = ("update", "fork")
"""Sources of checkpoints that may change any message, not only the newest."""

_EARLY = 512
"""Interrupts and failures that are remembered until their checkpoint is saved."""


class RowUpdater:
    """Keeps conversation rows up to the states that are saved. Safe to share between threads.

    Args:
        channel: Name of the channel that holds the messages.
        transcript: Whether the row holds messages; without, it is only there to be found.
        seals: Whether the transcript is encrypted where the state is.
    """

    def __init__(
        self,
        rows: Rows,
        checkpoints: Checkpoints,
        writes: TaskWrites,
        parts: Blobs,
        *,
        channel: str,
        transcript: bool,
        encrypts: bool,
    ) -> None:
        self._rows = rows
        self._checkpoints = checkpoints
        self._writes = writes
        self._parts = parts
        self.channel = channel
        self._transcript = transcript
        self._seals = encrypts
        self._lock = Lock()
        self._early: OrderedDict[tuple[Scope, str], str] = OrderedDict()

    def with_rows(self, rows: Rows) -> RowUpdater:
        """The same follower, but of these rows."""
        made = copy.copy(self)
        made._rows = rows
        return made

    def encryptor(self, serializer: Serializer) -> Encryptor | None:
        """What encrypts transcripts, or None."""
        return serializer.encryptor if self._seals else None

    def saved(
        self,
        scope: Scope,
        image: StoredCheckpoint,
        values: Mapping[str, Any],
        source: str | None,
        serializer: Serializer,
    ) -> Row | None:
        """A checkpoint of the root was saved: let the row follow if it is time; gives the row if it did."""
        known = self._rows.known(scope)
        if not self._transcript:
            if known is None:
                self._rows.create(scope, None, self.encryptor(serializer))
            if not _is_pending(values):
                self._rows.prolong(scope, self.encryptor(serializer))
            return None
        trimmed = self._trimmed(scope, image) if source == "loop" else None
        if trimmed is not None:
            self.apply(scope, trimmed, RUNNING, serializer, is_guess=True)
        over = not _is_pending(values)
        early = self._take_early(scope, image.checkpoint_id)
        exited = not over and source == "loop" and self._saved_at_exit(scope, image, serializer)
        due = early or over or exited or source in _BY_HAND or (known is not None and known.status in (WAITING, FAILED))
        if due or self._user_spoke(scope, image, values, source, serializer):
            held = values.get(self.channel)
            status = early or (IDLE if over else WAITING if exited else RUNNING)
            is_guess = not early and not over
            return self.apply(scope, image, status, serializer, held, whole=source in _BY_HAND, is_guess=is_guess)
        return None

    def wrote(
        self, scope: Scope, checkpoint_id: str, writes: Sequence[tuple[str, Any]], serializer: Serializer
    ) -> None:
        """A task of the root wrote: an interrupt or a failure shows in the row.

        With durability "async" that can come before the checkpoint; then the row follows when that is saved.
        """
        channels = {channel for channel, _ in writes}
        status = FAILED if ERROR in channels else WAITING if INTERRUPT in channels else None
        if status is None or not self._transcript:
            return
        with self._lock:
            self._early[scope, checkpoint_id] = status
            while len(self._early) > _EARLY:
                self._early.popitem(last=False)
        image = self._checkpoints.image(scope, "", serializer, checkpoint_id)
        if image is not None and self._take_early(scope, checkpoint_id):
            self.apply(scope, image, status, serializer)

    def _take_early(self, scope: Scope, checkpoint_id: str) -> str | None:
        with self._lock:
            return self._early.pop((scope, checkpoint_id), None)

    def apply(
        self,
        scope: Scope,
        image: StoredCheckpoint,
        status: str | None,
        serializer: Serializer,
        held: Any = None,
        *,
        whole: bool = False,
        is_guess: bool = False,
    ) -> Row | None:
        """Bring the row up to a checkpoint of the root.

        Args:
            scope: Conversation and user.
            image: The checkpoint.
            status: The status to show, or None to leave it.
            serializer: How its values became bytes.
            held: What its messages channel holds, if that is at hand.
            whole: Whether any message may have changed, not only the newest.
            is_guess: Whether an interrupt or failure that the row shows at this checkpoint tells more than `status`;
                its write can be stored at the same time as the checkpoint, and be first.
        """
        now = self._rows.now()

        def state(row: Row | None) -> RowUpdate:
            messages = _flat(held) if held is not None else self._messages(scope, image, row, serializer)
            forked_from = self._forked_from(scope, image, row, serializer, now)
            if row is not None and forked_from is None and not whole:
                messages = _newest_of(messages, row)
            folded = fold(messages, timestamp=now)
            shown = None if is_guess and _has_stopped(row, image) else status
            return RowUpdate(folded, shown, image.checkpoint_id, now, forked_from, may_move_later=image.is_fresh)

        return self._rows.apply(scope, state, self.encryptor(serializer))

    def _user_spoke(
        self,
        scope: Scope,
        image: StoredCheckpoint,
        values: Mapping[str, Any],
        source: str | None,
        serializer: Serializer,
    ) -> bool:
        """Whether the newest message is the user's.

        What a `DeltaChannel` holds does not show, so there the first step of a run counts.
        """
        messages = values.get(self.channel)
        if messages:
            return getattr(_flat(messages)[-1], "type", None) in ("human", "system")
        if source != "loop" or not image.parent_id or self.channel not in image.tree.get("channel_versions", ()):
            return False
        parent = self._checkpoints.image(scope, "", serializer, image.parent_id)
        return parent is not None and metadata_of(parent, serializer).get("source") == "input"

    def _saved_at_exit(self, scope: Scope, image: StoredCheckpoint, serializer: Serializer) -> bool:
        """Whether a run with durability "exit" has stopped here, at a breakpoint if nothing else says why."""
        if image.parent_id is None:
            return True
        parent = self._checkpoints.cached(scope, "", image.parent_id)
        if parent is None:
            return False
        step, before = (metadata_of(one, serializer).get("step") for one in (image, parent))
        return isinstance(step, int) and isinstance(before, int) and step > before + 1

    def _trimmed(self, scope: Scope, image: StoredCheckpoint) -> StoredCheckpoint | None:
        """The state before this one, if messages that the row may still lack are gone from it: the agent forgot."""
        before = self._checkpoints.cached(scope, "", image.parent_id) if image.parent_id else None
        held = before.tree["channel_values"].get(self.channel) if before is not None else None
        left = image.tree["channel_values"].get(self.channel, [])
        if type(held) is not list or type(left) is not list:
            return None
        return None if changes.common_head(held, left) == len(held) else before

    def _messages(self, scope: Scope, image: StoredCheckpoint, row: Row | None, serializer: Serializer) -> list[Any]:
        """The state's messages; of a `DeltaChannel`, those that task writes brought since the row was written."""
        node = image.tree["channel_values"].get(self.channel)
        if node is not None:
            values = self._parts.fetch(scope, blob_refs(node), serializer.encryptor)
            return _flat(to_python(node, serializer.loads, values))
        if self.channel not in image.tree.get("channel_versions", ()):
            return []
        oldest = row.head if row is not None and row.head is not None else ""
        path = self._path(scope, image, oldest)
        found = self._writes.between(scope, "", oldest, image.checkpoint_id, serializer)
        brought = [
            write
            for checkpoint_id in sorted(found)
            if checkpoint_id in path
            for write in found[checkpoint_id]
            if write.channel == self.channel
        ]
        return [
            message for _, _, value in self._writes.to_python(scope, brought, serializer) for message in _flat(value)
        ]

    def _path(self, scope: Scope, image: StoredCheckpoint, oldest: str) -> set[str]:
        """Ancestors of a checkpoint since `oldest`."""
        if oldest and image.lineage and oldest >= image.lineage[0]:
            return set(image.lineage[:-1])
        return self._checkpoints.ancestors(scope, "", image.checkpoint_id, oldest)

    def _forked_from(
        self, scope: Scope, image: StoredCheckpoint, row: Row | None, serializer: Serializer, now: str
    ) -> list[Message] | None:
        """The messages at the point where this state left the branch that the row shows, or None if it did not."""
        if row is None or row.head is None or row.head in image.lineage or row.head < image.lineage[0]:
            return None
        ancestors = [ancestor for ancestor in image.lineage[:-1] if ancestor < row.head]
        before = self._checkpoints.image(scope, "", serializer, ancestors[-1]) if ancestors else None
        return None if before is None else fold(self._messages(scope, before, None, serializer), timestamp=now)


def _has_stopped(row: Row | None, image: StoredCheckpoint) -> bool:
    """Whether the row shows already that the step after this checkpoint was interrupted or failed."""
    return row is not None and row.head == image.checkpoint_id and row.status in (WAITING, FAILED)


def _newest_of(messages: list[Any], row: Row) -> list[Any]:
    """The messages from the first one on that the row may still have to learn: later ones are all it can show.

    They begin with a message of the user, and the oldest of which the row has something, so that folding them gives
    what folding all would.
    """
    known = {name for message in row.messages for name in str(message.get("ids") or "").split()}
    start, has_known = 0, False
    for position in range(len(messages) - 1, -1, -1):
        message = messages[position]
        has_known = has_known or digest_of(str(getattr(message, "id", None))) in known
        if getattr(message, "type", None) == "human":
            if has_known:
                start, has_known = position, False
            elif start:
                break
    return messages[start:]


def _flat(value: Any) -> list[Any]:
    held = getattr(value, "value", value)
    return list(held) if isinstance(held, (list, tuple)) else [held]


def _is_pending(values: Mapping[str, Any]) -> bool:
    """Whether LangGraph's own channels say that a node is about to run."""
    return any(name.startswith(_BRANCH) or name == _START or (name == _TASKS and values[name]) for name in values)
