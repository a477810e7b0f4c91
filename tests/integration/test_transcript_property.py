"""Random histories of conversations, and what every reader is told of them: the promises of docs/transcripts.md.

A history is one conversation with two to four workers: processes that remember everything, little or nothing of it.
They take turns and run at once, fork, edit, repeat, interrupt and answer, die at any request and lose answers, with
agents that keep all messages, trim, summarise or rewrite them. A log that never asks a saver knows what was said
(tests/integration/spoken.py). After every turn in which no request failed, all readers must be told just that: the API,
whole and in pages, the list, and a program that reads row and pages with plain boto3.

Exceptions are documented, and no plan has them (tests/integration/histories.py); all else is asserted:

- With durability "exit", messages that the agent dropped within the run. In a run with "exit" the agent keeps what was
  said in this run. And what one step changes and drops: a step that changes a message drops none.
- Messages without ids that left a window. Where messages have no ids and the agent forgets some, no words come twice.
- Answers and results of before that a node rewrites under their ids in a `DeltaChannel`: there it rewrites the user's.
- What a run at once has said, once the transcript went back to before it and then on to a state of the other run: no
  plan goes there (`Log.is_told_of`).
- Equal words of two runs at once where each overwrites the other's list (no reducer, no ids): these do not run at once.

`TRANSCRIPT_SEED=n` plays one seed alone and prints its plan; `TRANSCRIPT_HISTORIES` says how many are played.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from tests.conftest import MakeSaver, Report
from tests.engines import Engine
from tests.faults.failing import INJECTED
from tests.integration.histories import brief, history
from tests.integration.history_player import Player
from tests.integration.history_workers import WaitingClient
from tests.integration.transcripts import TableReader

PORTION = 10
"""Histories of one test."""

FAILED_ONCE = (
    1038,
    1051,
    1061,
    1062,
    1065,
    1093,
    1144,
    1261,
    1262,
    1330,
    1355,
    1395,
    1409,
    1454,
    1480,
    1736,
    2012,
    4540,
)
"""Seeds that found what no other test had: forks of forks, forks beside runs at once, calls of one id, edits."""

ON_DYNAMODB_LOCAL = 2
"""How many of them DynamoDB Local gets: it takes several times as long."""


def seeds(config: pytest.Config) -> list[Sequence[int]]:
    """The seeds to play, in portions."""
    alone = os.environ.get("TRANSCRIPT_SEED")
    if alone is not None:
        return [range(int(alone), int(alone) + 1)]
    count = int(os.environ.get("TRANSCRIPT_HISTORIES", 300 if config.getoption("--all") else 40))
    found = [FAILED_ONCE[::2], FAILED_ONCE[1::2]]
    return [*(range(first, min(first + PORTION, count)) for first in range(0, count, PORTION)), *found]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    portions = seeds(metafunc.config)
    metafunc.parametrize("portion", portions, ids=[f"{portion[0]}-{portion[-1]}" for portion in portions])


@pytest.fixture(scope="session")
def clients(engine: Engine) -> Iterator[list[WaitingClient]]:
    """A client for each worker."""
    clients = [WaitingClient(engine) for _ in range(4)]
    yield clients
    for client in clients:
        client.close()


@pytest.mark.engine("memory", "dynamodb-local")
def test_every_reader_is_told_what_was_said(
    engine: Engine,
    portion: Sequence[int],
    make_saver: MakeSaver,
    clients: list[WaitingClient],
    table: TableReader,
    report: Report,
) -> None:
    portion = portion if engine.name == "memory" else portion[:ON_DYNAMODB_LOCAL]
    failures: list[str] = []
    turns: Counter[str] = Counter()
    before = INJECTED.total()
    for seed in portion:
        plan = history(seed)
        turns.update(type(turn).__name__ for turn in plan.turns)
        if "TRANSCRIPT_SEED" in os.environ:
            report(f"seed {seed}: {plan}")
        try:
            Player(plan, make_saver, clients, table).play()
        except AssertionError as error:
            failures.append(f"TRANSCRIPT_SEED={seed} {brief(plan.kind)}\n{error}")
    counted = ", ".join(f"{count} {name}" for name, count in sorted(turns.items()))
    report(f"histories {portion[0]} to {portion[-1]}: {counted}; {INJECTED.total() - before} faults")
    assert not failures, "\n\n".join(failures)
