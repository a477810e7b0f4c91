"""What a run shows: its figures, how they are written, and their budgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean, median

from benchmarks.meter import Cost
from benchmarks.runs import Run, dollars_a_month, dollars_of

NOTHING = "-"

Figure = Callable[[Run], float | None]
"""What a run shows; None if it did not get so far."""

OfTurns = Callable[[list[Cost]], float]


@dataclass(frozen=True)
class Budget:
    """A figure of an agent that must cost the same at any length.

    Args:
        workload: The key of its workload.
        title: What is counted.
        figure: How.
        most: Its budget; None if it has none.
    """

    workload: str
    title: str
    figure: OfTurns
    most: float | None = None


def mean_of(name: str, unit: float = 1) -> OfTurns:
    return lambda costs: mean(getattr(cost, name) for cost in costs) / unit


def median_of(name: str) -> OfTurns:
    return lambda costs: median(getattr(cost, name) for cost in costs)


def sum_of(name: str) -> OfTurns:
    return lambda costs: sum(getattr(cost, name) for cost in costs)


def last(name: str, turns: int) -> OfTurns:
    """The mean of the last turns."""
    return lambda costs: mean(getattr(cost, name) for cost in costs[-turns:])


def first(name: str) -> OfTurns:
    return lambda costs: getattr(costs[0], name)  # type: ignore[no-any-return]


def grown(costs: list[Cost]) -> float:
    """Write units of the second half of the turns by those of the first half."""
    half = len(costs) // 2
    wru = mean_of("wru")
    return wru(costs[-half:]) / (wru(costs[:half]) or 1)


def number(value: float) -> str:
    """Three figures or so."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def growth(run: Run) -> str:
    """Write units of the last quarter of the turns by those of the second quarter."""
    quarter = len(run.turns) // 4
    if not quarter:
        return NOTHING
    wru = mean_of("wru")
    return number(wru(run.turns[-quarter:]) / wru(run.turns[quarter : 2 * quarter]))


def ending(run: Run) -> str:
    return f"{len(run.turns)}, then fails" if run.failure else str(len(run.turns))


def stored(mark: int, run: Run) -> float | None:
    return run.stored[mark].billed_bytes / 1e6 if mark in run.stored else None


def price(mark: int, run: Run) -> float | None:
    return 1000 * run.dollars(1, mark) if len(run.turns) >= mark else None


def rent(mark: int, run: Run) -> float | None:
    return 1000 * dollars_a_month(run.stored[mark].billed_bytes) if mark in run.stored else None


def of_call(name: str, field: str, run: Run) -> float | None:
    return getattr(run.calls[name], field) if name in run.calls else None


def flaw(run: Run) -> str:
    if run.failure:
        return f", fails at turn {run.failure.turn}"
    return ", **wrong state**" if run.as_in_memory is False else ""


def turn_price(run: Run) -> float:
    return 1000 * dollars_of(run.turns) / len(run.turns)


def shape_counts(run: Run) -> str:
    means = [number(mean(getattr(cost, name) for cost in run.turns)) for name in ("wru", "rru", "requests")]
    weighed = run.stored.get(len(run.turns))
    kilobytes = number(weighed.billed_bytes / 1000 / len(run.turns)) if weighed else NOTHING
    return " / ".join([*means, kilobytes])


BUDGETS = (
    Budget("short", "requests of the first turn", first("requests"), 11),
    Budget("short", "WRU a turn", mean_of("wru")),
    Budget("short", "RRU a turn", mean_of("rru")),
    Budget("images", "WRU of the last 5 turns", last("wru", 5), 230),
    Budget("images", "RRU of the last 5 turns", last("rru", 5), 8),
    Budget("subgraph", "WRU of the last 10 turns", last("wru", 10), 45),
    Budget("subgraph", "RRU of the last 10 turns", last("rru", 10), 10),
    Budget("subgraph", "WRU of the second half by those of the first", grown, 1.25),
    Budget("previous", "WRU of the last 10 turns", last("wru", 10), 10),
    Budget("previous", "RRU of the last 10 turns", last("rru", 10), 4),
    Budget("lambda", "WRU a turn", mean_of("wru"), 7),
    Budget("lambda", "RRU a turn", mean_of("rru"), 2.5),
    Budget("lambda", "requests a turn", mean_of("requests"), 4.9),
    Budget("deep", "RRU of the last 5 turns", last("rru", 5), 12),
    Budget("deep", "WRU of the last 5 turns", last("wru", 5)),
    Budget("retrieval", "WRU of the last 5 turns", last("wru", 5), 45),
    Budget("short-delta", "WRU a turn", mean_of("wru"), 14),
)
"""Of agents of other shapes; figures of other workloads are in the other tables."""
