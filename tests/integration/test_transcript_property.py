"""Random histories of several workers on one conversation: every reader is told what was said, once, in order.

The seeds are the same every time. `TRANSCRIPT_HISTORIES` asks for so many (`--long`: 5,000), `TRANSCRIPT_SEED` for one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.engines import Engine
from tests.faults.failing import FailingClient
from tests.integration.histories import History
from tests.integration.history_checks import Reader
from tests.integration.transcripts import TableReader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DEFAULT, WITH_ALL, ON_DYNAMODB_LOCAL = 40, 300, 12
PARTS = 4
SHOWN = 3
"""Failing histories whose scripts a part prints; of the others it prints the seeds."""


@pytest.fixture
def failing(engine: Engine) -> Iterator[FailingClient]:
    """The workers' client."""
    failing = FailingClient(engine)
    yield failing
    failing.close()


def seeds(config: pytest.Config, engine: Engine) -> range | list[int]:
    """The seeds of this run."""
    if only := os.environ.get("TRANSCRIPT_SEED"):
        return [int(only)]
    if engine.name != "memory":
        return range(ON_DYNAMODB_LOCAL)
    default = WITH_ALL if config.getoption("--all") else DEFAULT
    return range(int(os.environ.get("TRANSCRIPT_HISTORIES", default)))


def failure(seed: int, failing: FailingClient, table: TableReader, table_name: str) -> str | None:
    """How a history goes wrong, with its script; None if it goes well."""
    history = History(seed, failing, table_name, Reader(table))
    try:
        history.play()
    except AssertionError as error:
        steps = "\n".join(f"{number:4} {line}" for number, line in enumerate(history.script, -1))
        return f"seed {seed}\n{steps}\n{error}"
    return None


@pytest.mark.engine("memory", "dynamodb-local")
@pytest.mark.parametrize("part", range(PARTS))
def test_every_reader_is_told_what_was_said(
    request: pytest.FixtureRequest,
    engine: Engine,
    client: DynamoDBClient,
    failing: FailingClient,
    table_name: str,
    part: int,
) -> None:
    table = TableReader(client, table_name)
    mine = seeds(request.config, engine)[part::PARTS]
    failed = {seed: told for seed in mine if (told := failure(seed, failing, table, table_name)) is not None}
    scripts = "\n\n".join(list(failed.values())[:SHOWN])
    assert not failed, f"{len(failed)} of {len(mine)} histories failed, seeds {list(failed)}\n\n{scripts}"
