"""What each run began with: whether it named a checkpoint, and at which step.

The rule: a run is a fork only if it was started on a checkpoint by name. Every other run goes on with the conversation,
also where another one runs at the same time. LangGraph hands the same object to `get_tuple` and to every `put` of a
run; it is held here, since `id()` of one that is gone can be another's.
"""

from __future__ import annotations

from dataclasses import dataclass

from langgraph_dynamo_conv._rows.row import Row
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.recent import Recent

REMEMBERED = 512

_BEFORE_THE_FIRST = -2
"""The step at which LangGraph takes a thread to be that has no checkpoint."""


@dataclass(frozen=True)
class RunStart:
    """What a run began with.

    Args:
        is_named: Whether it was started on a checkpoint by name.
        step: The step of the checkpoint that it began with; None without one.
        checkpoint_id: That checkpoint's id; None without one.
        row: The conversation's row, where it had one and no stored checkpoint; else None.
    """

    is_named: bool
    step: int | None
    checkpoint_id: str | None = None
    row: Row | None = None

    def seen_in(self, stored: StoredCheckpoint, row: Row | None) -> set[str]:
        """Ids of a checkpoint's ancestors that were there while the run went on, as far as they are known.

        Where the checkpoint is the first, and the row that the run began with is not the one that is there now, "":
        what was there before the first checkpoint is gone.

        Args:
            stored: The checkpoint.
            row: The row as it is now; None if there is none.
        """
        if stored.parent_id is None and self.row is not None and self.row.created_at:
            is_there = row is not None and row.created_at == self.row.created_at
            return set() if is_there else {""}
        lineage = stored.lineage
        first = lineage.index(self.checkpoint_id) if self.checkpoint_id in lineage else 0
        return {*lineage[first:]} - {""}

    def may_be_lost(self, stored: StoredCheckpoint, row: Row | None) -> bool:
        """Whether the row that is there speaks for a deletion since the run began: there is none, or it is another's.

        A conversation that was begun anew has a row whose checkpoint the run's checkpoints do not come from.
        """
        if row is None:
            return self.row is not None or not stored.has_just_begun
        return self.checkpoint_id is not None and bool(row.head) and row.head not in stored.lineage

    def is_out_of_steps(self, step: object, limit: object) -> bool:
        """Whether a checkpoint is the last one that a run's recursion limit lets it come to.

        From LangGraph's loop: it stops at the step that is `limit` + 2 above the one that it loaded.
        """
        loaded = self.step if isinstance(self.step, int) else _BEFORE_THE_FIRST
        return isinstance(step, int) and isinstance(limit, int) and step == loaded + limit + 2


UNKNOWN_START = RunStart(is_named=False, step=None)
"""What is known of a run that this process has not seen begin."""


class RunStarts:
    """Remembers what runs began with. Safe to share between threads."""

    def __init__(self) -> None:
        self._starts: Recent[int, tuple[object, RunStart]] = Recent(REMEMBERED)

    def begin(self, run: object, start: RunStart) -> None:
        """A run reads its first checkpoint, or another one later."""
        if self.of(run) is None:
            self._starts.put(id(run), (run, start))

    def of(self, run: object) -> RunStart | None:
        """What a run began with; None if that is not known."""
        noted = self._starts.get(id(run))
        return noted[1] if noted is not None and noted[0] is run else None
