"""The figures of a benchmark: records, their JSON, and what they cost in dollars."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from benchmarks.meter import Cost

PRICES_SINCE = "1 November 2024"
PRICES = {"write_units_million": 0.625, "read_units_million": 0.125, "gb_month": 0.25}
"""On-demand list prices of DynamoDB's standard table class in us-east-1, in US dollars.

From aws.amazon.com/dynamodb/pricing/on-demand; the free tier is left out.
"""


@dataclass(frozen=True)
class Failure:
    """The turn that a saver could not store, and why."""

    turn: int
    error: str


@dataclass(frozen=True)
class Stored:
    """What a table held.

    Args:
        items: Items of the table.
        item_bytes: Their names and values.
        billed_bytes: With the index, and DynamoDB's 100 bytes for each item of both.
    """

    items: int
    item_bytes: int
    billed_bytes: int


@dataclass
class Run:
    """One workload on one saver.

    Args:
        contender: Key of the saver.
        workload: Key of the workload.
        network_ms: Simulated network time of each request.
        turns: The cost of each turn that was stored.
        stored: What the table held after some turns.
        failure: What ended it early.
        calls: Costs of other calls at its end.
        write_units: Where this saver's write units went, by kind of item.
        as_in_memory: Whether the state at its end equals `InMemorySaver`'s; None if that was not compared.
    """

    contender: str
    workload: str
    network_ms: float
    turns: list[Cost] = field(default_factory=list)
    stored: dict[int, Stored] = field(default_factory=dict)
    failure: Failure | None = None
    calls: dict[str, Cost] = field(default_factory=dict)
    write_units: dict[str, float] = field(default_factory=dict)
    as_in_memory: bool | None = None

    def dollars(self, first: int, last: int) -> float:
        """Price of the requests of these turns."""
        return dollars_of(self.turns[first - 1 : last])

    @property
    def counts(self) -> list[tuple[float, ...]]:
        """What repeats exactly."""
        return [*(cost.counts for cost in self.turns), *(cost.counts for cost in self.calls.values())]

    def as_json(self) -> dict[str, Any]:
        record = asdict(self)
        names = [field.name for field in fields(Cost)]
        record["turns"] = {name: [getattr(cost, name) for cost in self.turns] for name in names}
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Run:
        columns = record["turns"]
        return cls(
            **{
                **record,
                "turns": [Cost(*row) for row in zip(*(columns[field.name] for field in fields(Cost)), strict=True)],
                "stored": {int(turn): Stored(**size) for turn, size in record["stored"].items()},
                "failure": Failure(**record["failure"]) if record["failure"] else None,
                "calls": {name: Cost(**cost) for name, cost in record["calls"].items()},
            }
        )


def dollars_of(costs: Iterable[Cost]) -> float:
    """List price of the requests."""
    costs = list(costs)
    writes, reads = sum(cost.wru for cost in costs), sum(cost.rru for cost in costs)
    return (writes * PRICES["write_units_million"] + reads * PRICES["read_units_million"]) / 1_000_000


def dollars_a_month(stored_bytes: float) -> float:
    """List price of keeping so much."""
    return stored_bytes / 1_000_000_000 * PRICES["gb_month"]


@dataclass(frozen=True)
class Results:
    """All runs of a benchmark, and where and how it ran."""

    setting: dict[str, Any]
    runs: Sequence[Run]

    def run(self, contender: str, workload: str, network_ms: float = 0) -> Run | None:
        wanted = (contender, workload, network_ms)
        return next((run for run in self.runs if (run.contender, run.workload, run.network_ms) == wanted), None)

    def to_text(self) -> str:
        """JSON, one run a line."""
        runs = ",\n".join(json.dumps(run.as_json(), separators=(",", ":")) for run in self.runs)
        return f'{{"setting": {json.dumps(self.setting, indent=1)},\n"runs": [\n{runs}\n]}}\n'

    @classmethod
    def from_text(cls, text: str) -> Results:
        record = json.loads(text)
        return cls(record["setting"], [Run.from_json(run) for run in record["runs"]])
