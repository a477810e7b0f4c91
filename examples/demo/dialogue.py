"""The dialogue: what is typed, the processes that it is typed into, and what is shown of the table afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
from table import Table

from demo.check import Evidence, missing_from
from demo.endpoint import NO_AWS, running_endpoint
from demo.screen import Cost, Screen
from demo.units import Meter, Usage
from langgraph_dynamo_conv.cli.prices import Prices

AGENT = Path(__file__).resolve().parents[1] / "agent.py"
STEPS = (
    ("Show me 4K renders",),
    ("Show me the first one",),
    ("/new", "Show me harbour videos"),
    ("/list",),
    ("/open 2", "When was the second one rendered?"),
)
"""What is typed into each process. It begins with the user's newest conversation open."""
SAID = ("Show me 4K renders", "Show me the first one", "When was the second one rendered?")
"""What of it is said in the first conversation."""
STEP_SECONDS = 120


@dataclass(frozen=True)
class Demo:
    """One play of the dialogue.

    Args:
        table: Where the conversations are.
        user: Whose they are.
        options: Further options of each process.
        screen: Where all is shown.
        meter: What counts the requests; None for a table that others count.
    """

    table: Table
    user: str
    options: Sequence[str]
    screen: Screen
    meter: Meter | None = None

    def run(self) -> int:
        """Play the dialogue, show the row and the costs, check the table; 0 if nothing is missing, else 1."""
        self.screen.title(
            "An agent whose memory is a DynamoDB table.",
            "Each step is a new process: all that it knows, it reads from the table.",
        )
        evidence, costs = self.play()
        self.screen.row(f"The row, as any program reads it: Table({self.table.name!r}).get_item", evidence.item)
        if self.meter is not None:
            self.screen.costs(costs, Prices())
        missing = missing_from(evidence)
        self.screen.verdict(missing)
        return 1 if missing else 0

    def play(self) -> tuple[Evidence, list[Cost]]:
        """Go through the steps; gives what the table then holds, and what each step cost."""
        costs = [self._step(*lines) for lines in STEPS[:2]]
        first_id, created_at = self._newest()
        costs += [self._step(*STEPS[2])]
        second_id, _ = self._newest()
        costs += [self._step(*lines) for lines in STEPS[3:]]
        with self.table.saver() as saver:
            listed_ids = [each.conversation_id for each in saver.conversations.list(self.user, limit=20)]
            transcript = saver.conversations.get(first_id, self.user).to_dict()["messages"]
        item = stored_row(self.table, first_id, self.user)
        return Evidence(first_id, second_id, self.user, SAID, created_at, item, transcript, listed_ids), costs

    def _step(self, *lines: str) -> Cost:
        """Type lines into a new process, and show what it says."""
        before = self.meter.total if self.meter else Usage()
        says = [f"--say={line}" for line in lines]
        command = [sys.executable, str(AGENT), "--user", self.user, *self.table.options, *self.options, *says]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONUTF8": "1"},
            encoding="utf-8",
        ) as process:
            try:
                output, errors = process.communicate(timeout=STEP_SECONDS)
            finally:
                process.kill()
        self.screen.step(process.pid, output)
        if process.returncode:
            raise RuntimeError(f"process {process.pid} failed: {errors.strip()}")
        after = self.meter.total if self.meter else Usage()
        return Cost(process.pid, lines[-1], after - before)

    def _newest(self) -> tuple[str, str]:
        """The newest conversation and when it began."""
        with self.table.saver() as saver:
            for each in saver.conversations.list(self.user, limit=1):
                return each.conversation_id, each.created_at
        return "", ""


def stored_row(table: Table, conversation_id: str, user: str) -> dict[str, Any]:
    """The conversation's row as boto3 alone gives it to any program; empty if there is none."""
    resource = boto3.resource("dynamodb", region_name=table.region, endpoint_url=table.endpoint_url)
    key = {"conversation_id": conversation_id, "user_id": user}
    return dict(resource.Table(table.name).get_item(Key=key, ConsistentRead=True).get("Item", {}))


@contextmanager
def embedded_table() -> Iterator[tuple[Table, Meter]]:
    """A table that outlives the processes of the demo, and not the demo; no credentials are looked up."""
    with mock.patch.dict(os.environ, NO_AWS), running_endpoint() as (address, meter):
        os.environ.pop("AWS_PROFILE", None)
        table = Table("conversations", "us-east-1", address)
        with table.saver() as saver:
            saver.setup()
        yield table, meter
