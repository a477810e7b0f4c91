"""Runs: which conversations one wrote to, so that its checkpoints are found without a scan.

A run leaves a pointer for each conversation, before its first checkpoint there is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from langgraph_dynamo_conv._format.items import key_attributes, key_of, stamp, text_of
from langgraph_dynamo_conv._format.keys import SK, Scope, check_each, check_text, check_user_id, parse_sk, run_partition
from langgraph_dynamo_conv._history.removal import Removal
from langgraph_dynamo_conv._rows.rows import Rows
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._storage.recent import Recent
from langgraph_dynamo_conv._storage.table import Table

REMEMBERED = 1024


class Runs:
    """Notes and deletes runs. Safe to share between threads.

    Args:
        table: The table.
        removal: Deletes checkpoints.
        rows: The conversations' rows.
        expiry: How long conversations live.
        noted: Runs whose pointer this process has stored, by conversation.
    """

    def __init__(
        self, table: Table, removal: Removal, rows: Rows, expiry: Expiry, noted: Recent[tuple[Scope, str], bool]
    ) -> None:
        self._table = table
        self._removal = removal
        self._rows = rows
        self._expiry = expiry
        self._noted = noted

    def note(self, scope: Scope, run_id: str) -> None:
        """Let a run be found.

        Cost: one PutItem of 1 write unit for each run and conversation.
        """
        if (scope, run_id) in self._noted:
            return
        pointer = {**key_attributes(scope.run(run_id)), "t": {"S": scope.thread_id}}
        self._table.put({**pointer, **stamp(self._expiry.outliving())})
        self._noted.put((scope, run_id), True)

    def forget(self, thread_id: str) -> None:
        """The pointers to this conversation may be gone."""
        self._noted.drop(lambda noted: noted[0].thread_id == thread_id)

    def delete(self, run_ids: Sequence[str], user_id: str | None) -> None:
        """The checkpoints and writes of these runs, in every conversation that they wrote to: a user's, or anybody's.

        Cost: one query for each run, and what reading those conversations' checkpoints costs; one UpdateItem of
        the row of each, billed for table and index.
        """
        prefix = "" if user_id is None else Scope("", check_user_id(user_id)).prefix("r")
        for run_id in check_each("run_ids", run_ids, partial(check_text, "run_id")):
            for page in list(self._table.query(run_partition(run_id), prefix)):
                for item in page:
                    scope = Scope(text_of(item, "t"), parse_sk(item[SK]["S"]).user_id)
                    self._removal.delete_run(scope, run_id)
                    self._rows.raise_version(scope)  # should the run still go on, it looks what has become of it
                    self._table.delete(key_of(item))
            self._noted.drop(lambda noted, run_id=run_id: noted[1] == run_id)  # type: ignore[misc]
