"""The client that fails, and how many faults the run has injected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.faults.failing import INJECTED, FailingClient

if TYPE_CHECKING:
    from tests.engines import Engine

_INJECTED = "faults"


@pytest.fixture
def failing(engine: Engine) -> Iterator[FailingClient]:
    """A client of the engine that sends each request once, and fails when told."""
    failing = FailingClient(engine)
    yield failing
    failing.close()


@pytest.fixture(autouse=True)
def _count_faults(request: pytest.FixtureRequest) -> Iterator[None]:
    before = INJECTED.total()
    yield
    request.node.user_properties.append((_INJECTED, INJECTED.total() - before))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    ended = [report for report in reports if getattr(report, "when", None) == "teardown"]
    counts = [count for report in ended for name, count in report.user_properties if name == _INJECTED]
    if counts:
        terminalreporter.write_line(f"faults injected: {sum(counts)}")
