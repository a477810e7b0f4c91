"""The command line run in this process on the engine's table, and conversations to run it on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from langgraph_dynamo_conv.cli import main
from tests.engines import REGION

if TYPE_CHECKING:
    from tests.engines import Engine


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """What it printed, as lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> str:
        """The one line that it printed on stderr."""
        (line,) = self.err.splitlines()
        return line


Cli = Callable[..., Ended]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs the command line with the environment as it is."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        code = main(arguments)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


@pytest.fixture
def cli(terminal: Cli, engine: Engine, table_name: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs the command line on the test's table, which the environment names."""
    monkeypatch.setenv("DYNAMODB_TABLE_NAME", table_name)
    monkeypatch.setenv("AWS_REGION", REGION)
    if engine.endpoint_url is not None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", engine.endpoint_url)
    return terminal
