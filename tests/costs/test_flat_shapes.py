"""The budgets of agents of other shapes than the reference chat, a process that goes on, turn after turn, counted.

`docs/performance.md` has the whole table with what is measured here beside each budget; what the text of others is
worth differs a little, so the table is right within a tenth.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean, median
from typing import Any

import pytest

from tests.conftest import MakeSaver, Report
from tests.costs import flat_shapes
from tests.costs.flat_shapes import Shape
from tests.requests_log import WRITES, RequestLog

pytestmark = [pytest.mark.engine("dynamodb-local"), pytest.mark.timeout(900)]

EARLY = 20
"""A turn that budgets name: the figure is the mean of it and of those around it, since some turns tidy up."""

AROUND = 5


@dataclass(frozen=True)
class Units:
    """What a turn cost.

    Args:
        wru: Write units, with those of the index.
        rru: Read units.
        row: The write units of the conversation row among them.
    """

    wru: float
    rru: float
    row: float


@dataclass(frozen=True)
class Budget:
    """What turns of a shape may cost.

    Args:
        shape: The agent.
        turns: How many are played.
        wru: Write units of a turn at the end, without those of the row if `beside_row`.
        rru: Read units of a turn at the end.
        beside_row: Whether the row is not in the budget: it has its own.
    """

    shape: Shape
    turns: int
    wru: float
    rru: float
    beside_row: bool = False


BUDGETS = {
    "an image of 200 KB in each turn": Budget(flat_shapes.IMAGES, EARLY + AROUND, 230, 8),
    "a subgraph that shares `messages`": Budget(flat_shapes.SUBGRAPH, 100, 45, 10),
    "the functional API with `previous`": Budget(flat_shapes.PREVIOUS, 100, 10, 4),
    "200 files of 2 KB, one edited a turn": Budget(flat_shapes.FILES_EDITED, EARLY + AROUND, 50, 12),
    "20 documents of 4 KB replaced each turn": Budget(flat_shapes.RETRIEVAL, EARLY + AROUND, 45, 8, beside_row=True),
}


def played(shape: Shape, saver: Any, client: Any, turns: int) -> list[Units]:
    """Turns of a shape, each with its units."""
    turn, units = shape.begin(saver, saver.new_conversation("alice")), []
    for _ in range(turns):
        with RequestLog(client) as log:
            turn()
        of_row = [one.units for one in log.requests if one.operation in WRITES and one.table_key == _row_of(saver, log)]
        units.append(Units(log.wru, log.rru, sum(of_row)))
    return units


def _row_of(saver: Any, log: RequestLog) -> tuple[str, str]:
    """The key of the conversation's row: its sort key is the user's id alone."""
    thread_id = next(one.table_key[0] for one in log.requests if one.table_key)
    return thread_id, "alice"


@pytest.mark.parametrize("name", BUDGETS)
def test_a_turn_keeps_its_budget_at_any_length(make_saver: MakeSaver, client: Any, report: Report, name: str) -> None:
    budget = BUDGETS[name]
    units = played(budget.shape, make_saver(), client, budget.turns)
    early, late = units[EARLY - AROUND : EARLY + AROUND], units[-2 * AROUND :]
    wru, rru, row = (mean(getattr(one, figure) for one in late) for figure in ("wru", "rru", "row"))
    report(
        f"{name}: {wru:.1f} WRU of which the row {row:.1f}, {rru:.1f} RRU in turn {budget.turns - AROUND}; "
        f"mean of all {budget.turns}: {mean(one.wru for one in units):.1f} WRU"
    )
    assert wru - (row if budget.beside_row else 0) <= budget.wru
    assert rru <= budget.rru
    assert max(one.rru for one in units[1:]) <= 2 * budget.rru
    if budget.turns > 2 * EARLY:
        assert wru <= 1.25 * mean(one.wru for one in early)
        of_state = [median(one.wru - one.row for one in some) for some in (late, early)]
        assert of_state[0] <= 1.25 * of_state[1]
