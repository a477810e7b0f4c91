"""When the row follows the state, and what then changes in it. One namespace alone counts: the root's.

The row follows when the user's message has arrived and when the run is over, is interrupted or fails; not at tool
steps. Whether a run is over is read from LangGraph's own channels: no node is about to be triggered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME

from langgraph_dynamo_conv._checkpoints.loading import Checkpoints
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._history.ancestry import path
from langgraph_dynamo_conv._history.removal import Removal
from langgraph_dynamo_conv._rows.row import FAILED, IDLE, RUNNING, WAITING, Asked, Row, RowUpdate, asked, has_stopped
from langgraph_dynamo_conv._rows.rows import Rows
from langgraph_dynamo_conv._rows.starts import UNKNOWN_START, RunStart
from langgraph_dynamo_conv._rows.steps import Steps, Way
from langgraph_dynamo_conv._state.checkpoint_tree import is_started_by_name
from langgraph_dynamo_conv._state.order import after
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.recent import Recent
from langgraph_dynamo_conv._transcript.folding import Message, fold
from langgraph_dynamo_conv._transcript.ids import digest_of, ids_of
from langgraph_dynamo_conv._transcript.langchain import has_ids
from langgraph_dynamo_conv._transcript.written import flat

_TASKS = "__pregel_tasks"
_START = "__start__"
_BRANCH = "branch:to:"

_NULL_TASK = "00000000-0000-0000-0000-000000000000"
"""LangGraph's task for what comes from outside the graph, such as an answer to an interrupt."""

_BY_HAND = ("update", "fork")
"""Sources of checkpoints that may change any message, not only the newest."""

_MOST_BESIDE = 3

REMEMBERED = 512

EarlyStatuses = Recent[tuple[Scope, str], str]
"""The status that interrupts and failures lead to, by checkpoint, until that is saved."""


class _Place(NamedTuple):
    """Where a checkpoint is, seen from what the row shows.

    Args:
        head: The checkpoint that the row was last derived from, if any.
        common: The newest that both come from; "" if they have begun by themselves, None if that can't be told.
        others: What the row shows beside `head`.
        is_beside: Whether `common` is one of these.
    """

    head: str | None
    common: str | None
    others: Sequence[str] = ()
    is_beside: bool = False

    @property
    def is_apart(self) -> bool:
        """Whether the row shows what the checkpoint does not come from."""
        return bool(self.head) and self.common != self.head

    def beside(self, stored: StoredCheckpoint) -> list[str]:
        """What the row shows beside the checkpoint, once it shows that, if it is no fork."""
        others = [*self.others, self.head] if self.head and self.is_apart else self.others
        return [one for one in others if one not in stored.lineage][-_MOST_BESIDE:]


class RowUpdater:
    """Keeps conversation rows up to the states that are saved. Safe to share between threads.

    Args:
        rows: The rows.
        checkpoints: The states.
        removal: Lets a deletion win.
        steps: What their steps said.
        channel: Name of the channel that holds the messages.
        transcript: Whether the row holds messages; without, it is only there to be found.
        early: Interrupts and failures whose checkpoint is not saved yet.
    """

    def __init__(
        self,
        rows: Rows,
        checkpoints: Checkpoints,
        removal: Removal,
        steps: Steps,
        *,
        channel: str,
        transcript: bool,
        early: EarlyStatuses,
    ) -> None:
        self._rows = rows
        self._checkpoints = checkpoints
        self._removal = removal
        self._steps = steps
        self.channel = channel
        self._transcript = transcript
        self._early = early
        self._answered: Recent[tuple[Scope, str | None], bool] = Recent(REMEMBERED)
        self._stops: Recent[tuple[Scope, str], tuple[RunStart | None, Asked]] = Recent(REMEMBERED)

    def saved(
        self,
        scope: Scope,
        stored: StoredCheckpoint,
        parent: StoredCheckpoint | None,
        values: Mapping[str, Any],
        source: Any,
        start: RunStart | None = None,
        is_out_of_steps: bool = False,
    ) -> Row | None:
        """A checkpoint of the root was saved: let the row follow if it is time; gives the row if it did.

        Args:
            scope: Conversation and user.
            stored: The checkpoint.
            parent: What is known of its parent.
            values: Its channels' values.
            source: LangGraph's word for where it came from, of its metadata.
            start: What its run began with, if that is known.
            is_out_of_steps: Whether it is the last that the run's recursion limit allows.
        """
        row = self._rows.known(scope)
        is_over = not is_pending(values)
        if not self._transcript:
            self._keep(scope, stored, start, is_over=is_over)
            return None
        self._steps.note(scope, stored, parent, values.get(self.channel))
        early = self._early.pop((scope, stored.checkpoint_id))
        has_exited = not is_over and source == "loop" and self._saved_at_exit(scope, stored)
        is_answered = self._answered.get((scope, stored.parent_id))
        has_stopped = row is not None and (row.status == FAILED or (row.status == WAITING and not is_answered))
        by_hand = source in _BY_HAND
        has_failed = is_out_of_steps and not is_over
        is_time = early or is_over or has_failed or has_exited or by_hand or has_stopped
        if is_time or self._user_spoke(scope, stored, values, source):
            status = early or (IDLE if is_over else FAILED if has_failed else RUNNING)
            is_guess = not early and not is_over and not has_failed
            return self.apply(
                scope, stored, status, is_guess=is_guess, is_start=not is_time, start=start, by_hand=by_hand
            )
        return None

    def writes(self, scope: Scope, checkpoint_id: str, task_id: str, channels: Iterable[str]) -> None:
        """A task of the root is about to write: with an answer to an interrupt, the next step need not show it."""
        if task_id == _NULL_TASK and RESUME in channels:
            self._answered.put((scope, checkpoint_id), True)

    def wrote(
        self,
        scope: Scope,
        checkpoint_id: str,
        task_id: str,
        writes: Sequence[tuple[str, Any]],
        start: RunStart | None = None,
    ) -> None:
        """A task of the root wrote: an interrupt, its answer or a failure shows in the row.

        With durability "async" that can come before the checkpoint; then the row follows when that is saved.
        """
        channels = {channel for channel, _ in writes}
        status = FAILED if ERROR in channels else WAITING if INTERRUPT in channels else None
        if not self._transcript:
            return
        if status is None:
            if task_id == _NULL_TASK and RESUME in channels:
                self._resumed(scope, checkpoint_id, start)
            return
        questions = asked(value for channel, value in writes if channel == INTERRUPT)
        run, before = self._stops.get((scope, checkpoint_id)) or (start, [])
        self._stops.put((scope, checkpoint_id), (start, [*before, *questions] if run is start else questions))
        self._early.put((scope, checkpoint_id), status)
        stored = self._checkpoints.get(scope.namespace(), checkpoint_id)
        if stored is not None and self._early.pop((scope, checkpoint_id)) is not None:
            self.apply(scope, stored, status, start=start, is_rerun=start is None or start.is_named)

    def _resumed(self, scope: Scope, checkpoint_id: str, start: RunStart | None) -> None:
        """What was asked at a checkpoint has been answered: the row that waits no longer does.

        With durability "async" the run's next question may have been stored first; then it waits for that.
        """

        def running(row: Row | None) -> Row | None:
            run, _ = self._stops.get((scope, checkpoint_id)) or (None, [])
            asks_again = start is not None and run is start
            if row is None or row.status != WAITING or row.head != checkpoint_id or asks_again:
                return None
            return replace(row, status=RUNNING, status_at=self._rows.now(), waiting_for=())

        self._rows.change(scope, running)

    def apply(
        self,
        scope: Scope,
        stored: StoredCheckpoint,
        status: str | None,
        *,
        is_guess: bool = False,
        is_start: bool = False,
        start: RunStart | None = None,
        is_rerun: bool = False,
        by_hand: bool = False,
    ) -> Row | None:
        """Bring the row up to a checkpoint of the root.

        Args:
            scope: Conversation and user.
            stored: The checkpoint.
            status: The status to show, or None to leave it.
            is_guess: Whether an interrupt or failure that the row shows at this checkpoint tells more than `status`;
                its write can be stored at the same time as the checkpoint, and be first.
            is_start: Whether the user's message has just come, and more of the turn is to follow.
            start: What its run began with, if that is known.
            is_rerun: Whether a run goes on from this checkpoint, which may be an older one.
            by_hand: Whether a person made the step, and may have changed a message that the agent has forgotten.
        """
        now, way = self._rows.now(), Way([], False)

        def update_of(row: Row | None) -> RowUpdate | None:
            nonlocal way
            if (start or UNKNOWN_START).may_be_lost(stored, row):
                self._check_kept(scope, stored, start)
            if is_start and row is not None and self._rows.is_dear(row):
                return None
            at = self._place(scope, stored, row)
            if row is not None and row.messages and not any(map(has_ids, row.messages)):
                way = Way(self._steps.all(scope, stored), True)  # known by what they say, from the first on
            else:
                way = self._steps.way(scope, stored, at.common or "", may_read=bool(at.head))
            if at.is_apart and at.common == stored.checkpoint_id and not is_rerun:
                return None  # the row shows what followed
            run, questions = self._stops.get((scope, stored.checkpoint_id)) or (None, [])
            update = RowUpdate(
                way.said,
                None if is_guess and has_stopped(row, stored.checkpoint_id) else status,
                stored.checkpoint_id,
                now,
                waiting_for=questions if status == WAITING else (),
                asks_anew=status == WAITING and run is not None,
                is_all=way.is_all,
                is_apart=at.is_apart or by_hand or way.is_all,
                beside=at.beside(stored),
                is_far=bool(at.head) and at.head not in stored.lineage,
            )
            has_left = at.is_apart and at.common is not None and not at.is_beside
            if has_left and self._is_fork(scope, stored, at, start, by_hand):
                return self._fork(scope, stored, at, update, row.messages if row is not None else [])
            is_last = not at.is_apart and not at.others  # what was said before it is what the row ends with
            return replace(update, after=self._steps.last(scope, at.common) if at.common and not is_last else None)

        row = self._rows.apply(scope, update_of, partial(self._check_kept, scope, stored, start))
        if (shown := self._rows.known(scope)) is not None and shown.head == stored.checkpoint_id:
            self._steps.forget(scope, way.checkpoint_ids)
        return row

    def _keep(self, scope: Scope, stored: StoredCheckpoint, start: RunStart | None, *, is_over: bool) -> None:
        """Let a row be there that does not follow the messages, unless it was deleted.

        Cost: one write of the row when a conversation begins, one when a run is over: 1 unit, 2 with a time to live.
        """
        if stored.parent_id is None and self._rows.known(scope) is None:
            self._rows.create(scope)
        if is_over and not self._rows.mark(scope, is_run=start is not None):
            self._check_kept(scope, stored, start)
            self._rows.create(scope)

    def _check_kept(self, scope: Scope, stored: StoredCheckpoint, start: RunStart | None) -> None:
        """Raise if what a checkpoint comes from was deleted while its run went on. See `Removal.check_kept`."""
        parent_id = stored.parent_id or ""
        seen = {parent_id} if self._checkpoints.cached(scope.namespace(), parent_id) is not None else set()
        seen = start.seen_in(stored, self._rows.known(scope)) if start is not None else seen
        self._removal.check_kept(scope.namespace(), stored, seen)

    def _place(self, scope: Scope, stored: StoredCheckpoint, row: Row | None) -> _Place:
        """Where a checkpoint is, seen from what the row shows."""
        if row is None or not row.head:
            return _Place(None, "")
        common = self._steps.common(scope, stored, row.head)
        shown = [one for one in after(stored.lineage, common) if one in row.beside]
        if shown and common != row.head:
            return _Place(row.head, shown[-1], row.beside, True)
        return _Place(row.head, common, row.beside)

    def _is_fork(
        self, scope: Scope, stored: StoredCheckpoint, at: _Place, start: RunStart | None, by_hand: bool
    ) -> bool:
        """Whether a state that left the branch of the row's head at `common` takes back what followed there.

        A run knows whether it was started by name, on that branch; what others have built on its own steps is no fork.
        A person's update is one unless it was made on the newest state. The same goes for earlier runs and updates,
        whose row may not be written yet: of a run its first checkpoint says so; of an update ids, which is all that is
        known, and nothing if the head's is smaller than that of what both come from, since hosts' clocks differ then.
        """
        common, head = at.common or "", at.head or ""
        way = self._way(scope, stored, common)
        if start is not None:
            began = start.checkpoint_id or ""
            if start.is_named or began not in way[1:]:
                return start.is_named and began in way
        elif not by_hand or (stored.parent_id or "") < head:
            return True
        return any(self._was_fork(scope, one, head) for one in way[1:])

    def _was_fork(self, scope: Scope, checkpoint_id: str, head: str) -> bool:
        """Whether a checkpoint was stored by a run that was started by name, or by an update made beside the head."""
        stored = self._checkpoints.get(scope.namespace(), checkpoint_id)
        if stored is None or is_started_by_name(stored):
            return stored is not None
        is_beside = (stored.parent_id or "") < head < checkpoint_id
        return is_beside and self._steps.metadata(scope, stored, "source") in _BY_HAND

    def _way(self, scope: Scope, stored: StoredCheckpoint, common: str) -> Sequence[str]:
        """Ids from one that a checkpoint comes from ("": the beginning) to it."""
        lineage: Sequence[str] = stored.lineage
        if common not in lineage:  # more is known of a checkpoint that was stored whole by reading alone
            lineage = path(self._checkpoints, scope.namespace(), stored.checkpoint_id, common)[::-1]
        return [common, *after(lineage, common)]

    def _fork(
        self, scope: Scope, stored: StoredCheckpoint, at: _Place, update: RowUpdate, newest: Sequence[Message]
    ) -> RowUpdate:
        """An update that takes back what the row shows and its state does not come from."""
        if not at.common or at.head is None:
            return replace(update, forked_from=[], beside=())
        forked_from = self._messages_at(scope, at.common, update.now)
        undone = self._steps.undone(scope, at.head, at.common)
        comes_from = partial(self._steps.common, scope, stored)
        tips = [at.head, *(tip for tip in at.others if tip > at.common or comes_from(tip) == at.common)]
        ways = [self._since(scope, stored, tip) for tip in tips]
        edited = self._edited(scope, at.head, ways[0], newest, forked_from)
        undone += self._steps.former(scope, at.common, edited) if edited else []
        update = replace(update, said=[*undone, *update.said], forked_from=forked_from, beside=())
        new = [one.message for way in ways if way is not None for one in way.said if one.is_new]
        said = {digest_of(str(one.id)): len(getattr(one, "tool_calls", ())) for one in new}
        last = self._steps.last(scope, at.common)
        before = {digest_of(str(one.message.id)) for one in undone}
        before |= {name for message in forked_from for name in ids_of(message)}
        taken_back = {name: calls for name, calls in said.items() if name not in before}
        if not taken_back and (not forked_from or None not in ways):
            return replace(update, forked_from=None)  # nothing was said since, or neither that nor anything before
        return replace(update, has_ids=last is not None and bool(last.id), taken_back=taken_back)

    def _edited(
        self, scope: Scope, head: str, way: Way | None, newest: Sequence[Message], forked_from: Sequence[Message]
    ) -> set[str]:
        """Ids of messages that a person has changed on the way to the head, where the agent had forgotten them.

        They stand before what its state has, or have left the row. What stands after it, the fork takes back.
        """
        known = {name for message in forked_from for name in ids_of(message)}
        at_fork = [place for place, message in enumerate(newest) if not known.isdisjoint(ids_of(message))]
        later = {name for message in newest[max(at_fork, default=-1) + 1 :] for name in ids_of(message)}
        put = self._steps.by_hand(scope, head, way) if way is not None else set()
        return {one for one in put if digest_of(one) not in later}

    def _since(self, scope: Scope, stored: StoredCheckpoint, tip: str) -> Way | None:
        """What was said on the way to a checkpoint since that of another has parted from it; None: can't be told."""
        there, common = self._checkpoints.get(scope.namespace(), tip), self._steps.common(scope, stored, tip)
        return self._steps.way(scope, there, common) if there is not None and common is not None else None

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
        return parent is not None and self._steps.metadata(scope, parent, "source") == "input"

    def _saved_at_exit(self, scope: Scope, stored: StoredCheckpoint) -> bool:
        """Whether a run with durability "exit" has stopped here, at a breakpoint if nothing else says why."""
        if stored.parent_id is None:
            return True
        parent = self._checkpoints.cached(scope.namespace(), stored.parent_id)
        return parent is not None and self._steps.skips(scope, stored, parent)

    def _messages_at(self, scope: Scope, checkpoint_id: str, now: str) -> list[Message]:
        """The messages that a state has, folded; none if it is not there."""
        stored = self._checkpoints.get(scope.namespace(), checkpoint_id)
        return fold([one.message for one in self._steps.all(scope, stored)], timestamp=now) if stored else []


def is_pending(values: Mapping[str, Any]) -> bool:
    """Whether LangGraph's own channels say that a node is about to run."""
    return any(name.startswith(_BRANCH) or name == _START or (name == _TASKS and values[name]) for name in values)
