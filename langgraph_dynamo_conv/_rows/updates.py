"""When the row follows the state, and what then changes in it. One namespace alone counts: the root's.

The row follows when the user's message has arrived and when the run is over, is interrupted or fails; not at tool
steps. Whether a run is over is read from LangGraph's own channels: no node is about to be triggered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langgraph.checkpoint.serde.types import ERROR, INTERRUPT

from langgraph_dynamo_conv._checkpoints.history import History
from langgraph_dynamo_conv._checkpoints.store import Checkpoints
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites
from langgraph_dynamo_conv._format import changes
from langgraph_dynamo_conv._format.attributes import storable
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._rows.row import FAILED, IDLE, RUNNING, WAITING, Row, RowUpdate
from langgraph_dynamo_conv._rows.rows import Rows
from langgraph_dynamo_conv._rows.starts import RunStart
from langgraph_dynamo_conv._state.checkpoint_tree import metadata_of
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.recent import Recent
from langgraph_dynamo_conv._transcript.folding import Message, fold, named
from langgraph_dynamo_conv._transcript.ids import digest_of, ids_of
from langgraph_dynamo_conv._transcript.merging import fork_point

_TASKS = "__pregel_tasks"
_START = "__start__"
_BRANCH = "branch:to:"

_BY_HAND = ("update", "fork")
"""Sources of checkpoints that may change any message, not only the newest."""

REMEMBERED = 512

Asked = list[dict[str, Any]]
"""What interrupts ask, each as `id` and `value`."""

EarlyStatuses = Recent[tuple[Scope, str], tuple[str, Asked]]
"""Interrupts and failures by checkpoint, until that is saved: the status, and what is asked."""


class RowUpdater:
    """Keeps conversation rows up to the states that are saved. Safe to share between threads.

    Args:
        rows: The rows.
        checkpoints: The states.
        history: Values of states.
        writes: Task writes.
        serializer: How values become bytes.
        channel: Name of the channel that holds the messages.
        transcript: Whether the row holds messages; without, it is only there to be found.
        early: Interrupts and failures whose checkpoint is not saved yet.
    """

    def __init__(
        self,
        rows: Rows,
        checkpoints: Checkpoints,
        history: History,
        writes: TaskWrites,
        serializer: Serializer,
        *,
        channel: str,
        transcript: bool,
        early: EarlyStatuses,
    ) -> None:
        self._rows = rows
        self._checkpoints = checkpoints
        self._history = history
        self._writes = writes
        self._serializer = serializer
        self.channel = channel
        self._transcript = transcript
        self._early = early

    def saved(
        self,
        scope: Scope,
        stored: StoredCheckpoint,
        values: Mapping[str, Any],
        source: Any,
        start: RunStart | None = None,
        is_out_of_steps: bool = False,
    ) -> Row | None:
        """A checkpoint of the root was saved: let the row follow if it is time; gives the row if it did.

        Args:
            scope: Conversation and user.
            stored: The checkpoint.
            values: Its channels' values.
            source: LangGraph's word for where it came from, of its metadata.
            start: What its run began with, if that is known.
            is_out_of_steps: Whether it is the last that the run's recursion limit allows.
        """
        row = self._rows.known(scope)
        is_over = not is_pending(values)
        if not self._transcript:
            if row is None:
                self._rows.create(scope)
            if is_over:
                self._rows.prolong(scope)
            return None
        trimmed = self._trimmed(scope, stored) if source == "loop" else None
        if trimmed is not None:
            self.apply(scope, trimmed, RUNNING, is_guess=True)
        early, asked = self._early.pop((scope, stored.checkpoint_id)) or (None, [])
        has_exited = not is_over and source == "loop" and self._saved_at_exit(scope, stored)
        has_stopped = row is not None and row.status in (WAITING, FAILED)
        by_hand = source in _BY_HAND
        has_failed = is_out_of_steps and not is_over
        is_time = early or is_over or has_failed or has_exited or by_hand or has_stopped
        if is_time or self._user_spoke(scope, stored, values, source):
            status = early or (IDLE if is_over else FAILED if has_failed else RUNNING)
            is_guess = not early and not is_over and not has_failed
            is_fork = by_hand or start is None or start.is_named
            messages = values.get(self.channel)
            return self.apply(
                scope, stored, status, messages, whole=by_hand, is_guess=is_guess, may_fork=is_fork, asked=asked
            )
        return None

    def wrote(self, scope: Scope, checkpoint_id: str, writes: Sequence[tuple[str, Any]]) -> None:
        """A task of the root wrote: an interrupt or a failure shows in the row.

        With durability "async" that can come before the checkpoint; then the row follows when that is saved.
        """
        channels = {channel for channel, _ in writes}
        status = FAILED if ERROR in channels else WAITING if INTERRUPT in channels else None
        if status is None or not self._transcript:
            return
        asked = _asked(value for channel, value in writes if channel == INTERRUPT)
        _, before = self._early.get((scope, checkpoint_id)) or (status, [])
        self._early.put((scope, checkpoint_id), (status, before + asked))
        stored = self._checkpoints.get(scope.namespace(), checkpoint_id)
        if stored is not None and (early := self._early.pop((scope, checkpoint_id))) is not None:
            self.apply(scope, stored, status, asked=early[1])

    def apply(
        self,
        scope: Scope,
        stored: StoredCheckpoint,
        status: str | None,
        messages: Any = None,
        *,
        whole: bool = False,
        is_guess: bool = False,
        may_fork: bool = True,
        asked: Asked | None = None,
    ) -> Row | None:
        """Bring the row up to a checkpoint of the root.

        Args:
            scope: Conversation and user.
            stored: The checkpoint.
            status: The status to show, or None to leave it.
            messages: What its messages channel holds, if that is at hand.
            whole: Whether any message may have changed, not only the newest.
            is_guess: Whether an interrupt or failure that the row shows at this checkpoint tells more than `status`;
                its write can be stored at the same time as the checkpoint, and be first.
            may_fork: Whether this can be a fork; if not, what the row has beside it came from another run.
            asked: What interrupts ask that were just stored.
        """
        now = self._rows.now()

        def update_of(row: Row | None) -> RowUpdate:
            newest = flat(messages) if messages is not None else self._messages(scope, stored, row)
            is_whole = messages is not None or self.channel in stored.tree["channel_values"]
            forked_from = self._forked_from(scope, stored, row, now) if may_fork else None
            if row is not None and forked_from is None and not whole:
                newest = _newest_of(newest, row)
            status_shown = None if is_guess and _has_stopped(row, stored) else status
            last = None if is_whole or forked_from is not None else self._rows.last_whole(row)
            folded = fold(newest, timestamp=now, after=last)
            return RowUpdate(
                folded,
                status_shown,
                stored.checkpoint_id,
                now,
                waiting_for=asked or [],
                forked_from=forked_from,
                may_edit=whole,
                may_cut=not stored.is_full,
            )

        return self._rows.apply(scope, update_of)

    def _user_spoke(self, scope: Scope, stored: StoredCheckpoint, values: Mapping[str, Any], source: Any) -> bool:
        """Whether the newest message is the user's.

        What a `DeltaChannel` holds does not show, so there the first step of a run counts.
        """
        newest = flat(values.get(self.channel) or [])[-1:]
        if newest:
            return getattr(newest[0], "type", None) in ("human", "system")
        if source != "loop" or not stored.parent_id or self.channel not in stored.tree.get("channel_versions", ()):
            return False
        parent = self._checkpoints.get(scope.namespace(), stored.parent_id)
        return parent is not None and metadata_of(parent, self._serializer).get("source") == "input"

    def _saved_at_exit(self, scope: Scope, stored: StoredCheckpoint) -> bool:
        """Whether a run with durability "exit" has stopped here, at a breakpoint if nothing else says why."""
        if stored.parent_id is None:
            return True
        parent = self._checkpoints.cached(scope.namespace(), stored.parent_id)
        if parent is None:
            return False
        step, before = (metadata_of(one, self._serializer).get("step") for one in (stored, parent))
        return isinstance(step, int) and isinstance(before, int) and step > before + 1

    def _trimmed(self, scope: Scope, stored: StoredCheckpoint) -> StoredCheckpoint | None:
        """The state before this one, if messages that the row may still lack are gone from it: the agent forgot."""
        before = self._checkpoints.cached(scope.namespace(), stored.parent_id)
        messages = before.tree["channel_values"].get(self.channel) if before is not None else None
        left = stored.tree["channel_values"].get(self.channel, [])
        if type(messages) is not list or type(left) is not list:
            return None
        return None if changes.common_head(messages, left) == len(messages) else before

    def _messages(self, scope: Scope, stored: StoredCheckpoint, row: Row | None) -> list[Any]:
        """The state's messages; of a `DeltaChannel`, those that task writes brought since the row was written."""
        node = stored.tree["channel_values"].get(self.channel)
        if node is not None:
            return flat(self._history.value(scope, node))
        if self.channel not in stored.tree.get("channel_versions", ()):
            return []
        oldest = row.head if row is not None and row.head is not None else ""
        if oldest and oldest not in stored.lineage:  # another run's: what this one brought since it left that
            oldest = max((ancestor for ancestor in stored.lineage[:-1] if ancestor < oldest), default="")
        path = self._path(scope, stored, oldest)
        writes = self._writes.between(scope.namespace(), oldest, stored.checkpoint_id)
        origins, brought = [], []
        for checkpoint_id in sorted(path & writes.keys()):
            for write in writes[checkpoint_id]:
                if write.channel == self.channel:
                    origins.append(f"{checkpoint_id}.{write.task_id}.{write.idx}")
                    brought.append(write)
        values = (value for _, _, value in self._writes.to_python(scope, brought))
        return [message for value, origin in zip(values, origins, strict=True) for message in named(value, origin)]

    def _path(self, scope: Scope, stored: StoredCheckpoint, oldest: str) -> set[str]:
        """Ancestors of a checkpoint since `oldest`."""
        if oldest and stored.lineage and oldest >= stored.lineage[0]:
            return set(stored.lineage[:-1])
        return self._checkpoints.ancestors(scope.namespace(), stored.checkpoint_id, oldest)

    def _forked_from(self, scope: Scope, stored: StoredCheckpoint, row: Row | None, now: str) -> list[Message] | None:
        """The messages at the point where this state left the branch that the row shows, or None if it did not.

        That is before all messages where both have begun by themselves: two first turns at once.
        """
        lineage = stored.lineage
        if row is None or row.head is None or row.head in lineage or row.head < lineage[0]:
            return None
        ancestors = [ancestor for ancestor in lineage[:-1] if ancestor < row.head]
        before = self._checkpoints.get(scope.namespace(), ancestors[-1]) if any(ancestors) else None
        messages = [] if before is None else fold(self._messages(scope, before, None), timestamp=now)
        # Only in a young conversation: later ones, whose messages have left the row, would cost more to tell.
        is_young = not row.first and fork_point(row.messages, messages) is None
        if is_young and self._began_apart(scope, stored.checkpoint_id, row.head):
            return []
        return None if before is None else messages

    def _began_apart(self, scope: Scope, *checkpoint_ids: str) -> bool:
        """Whether checkpoints go back to different first ones. Where one between is not there, they do not."""
        firsts = {self._checkpoints.first(scope.namespace(), checkpoint_id) for checkpoint_id in checkpoint_ids}
        return None not in firsts and len(firsts) > 1


def _has_stopped(row: Row | None, stored: StoredCheckpoint) -> bool:
    """Whether the row shows already that the step after this checkpoint was interrupted or failed."""
    return row is not None and row.head == stored.checkpoint_id and row.status in (WAITING, FAILED)


def _asked(values: Iterable[Any]) -> Asked:
    interrupts = [one for value in values for one in (value if isinstance(value, (list, tuple)) else [value])]
    return [{"id": str(getattr(one, "id", "")), "value": storable(getattr(one, "value", one))} for one in interrupts]


def _newest_of(messages: list[Any], row: Row) -> list[Any]:
    """The messages from the first one on that the row may still have to learn: later ones are all it can show.

    They begin with a message of the user, and the oldest of which the row has something, so that folding them gives
    what folding all would.
    """
    in_row = {name for message in row.messages for name in ids_of(message)}
    start, is_in_row = 0, False
    for position in range(len(messages) - 1, -1, -1):
        message = messages[position]
        is_in_row = is_in_row or digest_of(str(getattr(message, "id", None))) in in_row
        if getattr(message, "type", None) == "human":
            if is_in_row:
                start, is_in_row = position, False
            elif start:
                break
    return messages[start:]


def flat(value: Any) -> list[Any]:
    """What a messages channel holds, or was written to it, as a list."""
    messages = getattr(value, "value", value)  # a DeltaChannel's snapshot has one
    return list(messages) if isinstance(messages, (list, tuple)) else [messages]


def is_pending(values: Mapping[str, Any]) -> bool:
    """Whether LangGraph's own channels say that a node is about to run."""
    return any(name.startswith(_BRANCH) or name == _START or (name == _TASKS and values[name]) for name in values)
