"""Runs LangGraph's own tests in a process of their own, with a checkpointer of ours or an `InMemorySaver`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.engines import Engine

ROOT = Path(__file__).parent.parent.parent
HOME = "LANGGRAPH_TESTS_HOME"
"""The variable that names the folder of LangGraph's source distribution."""

NOT_FETCHED = (
    f"{HOME} is not set, so LangGraph's own tests are not at hand. "
    "Run `python3 dev.py test --all tests/upstream`, which fetches them."
)
# They do not take a checkpointer: they need a server, or time what they do.
_IGNORED = ("test_prune_postgres.py", "test_remote_graph.py", "test_delta_channel_benchmark.py")
_TESTS_FAILED = 1
_MORE_TRIES = 2


class Run(NamedTuple):
    """What a run came to.

    Args:
        outcomes: By test: "passed", "failed" or "skipped".
        flaky: Tests that failed at first, and passed when they ran alone.
        said: What pytest printed.
    """

    outcomes: dict[str, str]
    flaky: list[str]
    said: str

    @property
    def failed(self) -> set[str]:
        return {name for name, outcome in self.outcomes.items() if outcome == "failed"}

    def __str__(self) -> str:
        count = {word: [*self.outcomes.values()].count(word) for word in ("passed", "failed", "skipped")}
        counts = ", ".join(f"{number} {word}" for word, number in count.items())
        return f"{counts}{f'; passed when run again: {sorted(self.flaky)}' if self.flaky else ''}"


def run(engine: Engine | None, part: int, parts: int, outcomes: Path) -> Run:
    """Run one part of the tests with this saver on an engine, or with an `InMemorySaver` (None).

    Some lose when the machine is busy, since they sleep instead of waiting: what fails is run again by itself.
    """
    saver = ["--saver", engine.name if engine else "in-memory"]
    saver += ["--endpoint-url", engine.endpoint_url] if engine and engine.endpoint_url else []
    first = found = _pytest([*saver, f"--part={part}", f"--parts={parts}"], _files(), outcomes)
    for _ in range(_MORE_TRIES):
        if found.failed:
            again = _pytest(saver, sorted(found.failed), outcomes)
            found = Run(found.outcomes | again.outcomes, sorted(first.failed - again.failed), again.said)
    return found


def _files() -> list[str]:
    """The modules that have tests which take a checkpointer."""
    files = sorted(_home().glob("tests/test_*.py"))
    found = [file.name for file in files if any(word in file.read_text() for word in ("_checkpointer", "MemorySaver"))]
    return [f"tests/{name}" for name in found if name not in _IGNORED]


def _home() -> Path:
    if HOME not in os.environ:
        raise RuntimeError(NOT_FETCHED)
    return Path(os.environ[HOME])


def _pytest(options: Iterable[str], tests: Sequence[str], outcomes: Path) -> Run:
    command = [sys.executable, "-m", "pytest", "-p", "langgraph_plugin", "-p", "no:cacheprovider", "--tb=short", "-q"]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        "NO_DOCKER": "true",
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, Path(__file__).parent))),
    }
    ended = subprocess.run(
        [*command, "--outcomes", outcomes, *options, *tests],
        cwd=_home(),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode not in {0, _TESTS_FAILED}:
        raise RuntimeError(f"pytest ended with {ended.returncode}:\n{ended.stdout[-5000:]}\n{ended.stderr[-5000:]}")
    return Run(json.loads(outcomes.read_text()), [], ended.stdout)
