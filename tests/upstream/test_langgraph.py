"""LangGraph's own tests that take a checkpointer, with this saver and with an `InMemorySaver` in the same environment.

They come from LangGraph's source distribution, of the release that is pinned (`requirements-upstream.txt`).
"""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.conftest import LONG, Report
from tests.engines import ENGINES, Engine
from tests.upstream import known
from tests.upstream.known import WITH_IN_MEMORY_SAVER, WITH_THIS_SAVER_ALONE
from tests.upstream.runs import run

PARTS = 8
"""Tests are dealt into so many parts by their names; without `--long`, each engine has one, of about a minute."""

FEWEST = 640
"""Tests that must pass in all parts together, so that a plugin which finds none is noticed."""


@pytest.mark.with_all
@pytest.mark.engine("memory", "dynamodb-local")
@pytest.mark.timeout(3600)
def test_langgraphs_own_tests_fail_only_as_with_in_memory_saver(engine: Engine, tmp_path: Path, report: Report) -> None:
    part, parts = (0, 1) if LONG else (ENGINES.index(engine.name), PARTS)

    theirs = run(None, part, parts, tmp_path / "theirs.json")
    ours = run(engine, part, parts, tmp_path / "ours.json")

    report(f"LangGraph's own tests, InMemorySaver: {theirs}\nthe same with this saver on {engine.name}: {ours}")
    print(ours.said[-20_000:])
    ran = ours.outcomes.keys()
    assert sorted(ran) == sorted(theirs.outcomes)
    assert sorted(theirs.failed) == sorted(WITH_IN_MEMORY_SAVER & ran)
    assert sorted(ours.failed) == sorted((WITH_IN_MEMORY_SAVER | WITH_THIS_SAVER_ALONE.keys()) & ran)
    assert [*ours.outcomes.values()].count("passed") >= FEWEST // parts


def test_known_failures_are_those_of_the_release_that_is_run() -> None:
    release = re.search(r"LangGraph (\S+) ", str(known.__doc__))
    assert release
    assert release[1] == version("langgraph")
