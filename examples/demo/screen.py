"""What the demo shows: colours and frames on a terminal, plain text elsewhere. At most 80 columns, all of it `safe`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.highlighter import JSONHighlighter
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.theme import Theme
from terminal import safe

from demo.row import readable
from demo.units import Usage
from langgraph_dynamo_conv.cli.prices import Prices

WIDTH = 80
ROW_LINES = 38
"""Of the row's JSON; with its frame, 40."""
STYLES = (("you> ", "bold green"), ("    [", "cyan"))
"""How lines are shown that begin so."""
FRAME = "bright_black"
KEYS = Theme({"json.key": "cyan", "json.str": "default", "json.number": "yellow"})


@dataclass(frozen=True)
class Cost:
    """What was typed into a process, and what that cost."""

    process: int
    typed: str
    usage: Usage


class Screen:
    """Where the demo is shown; as rich has it, `NO_COLOR` leaves the colours out."""

    def __init__(self) -> None:
        terminal = sys.stdout.isatty()
        self._console = Console(
            file=sys.stdout,
            width=None if terminal else WIDTH,
            theme=KEYS,
            markup=False,
            highlight=False,
            emoji=False,
        )
        self._framed = self._console.is_terminal

    def title(self, first: str, second: str) -> None:
        """What this is."""
        self._show(Text(first, "bold"))
        self._show(Text(second, "dim"))

    def step(self, process: int, output: str) -> None:
        """What a process has said."""
        self._heading(f"new process {process}")
        for line in output.splitlines():
            style = next((style for start, style in STYLES if line.startswith(start)), "")
            self._show(Text(safe(line), style))

    def row(self, title: str, item: dict[str, Any]) -> None:
        """The row as JSON."""
        text = Text(safe(readable(item, ROW_LINES)))
        if self._framed:
            JSONHighlighter().highlight(text)
            self._show(Panel(text, title=safe(title), title_align="left", border_style=FRAME, padding=(0, 1)))
        else:
            self._heading(safe(title))
            self._show(text)

    def costs(self, costs: Sequence[Cost], prices: Prices) -> None:
        """What each process cost, and all together."""
        frame = box.ROUNDED if self._framed else None
        table = Table(box=frame, border_style=FRAME, header_style="bold", pad_edge=self._framed)
        table.add_column("process", justify="right")
        table.add_column("typed", no_wrap=True)
        for heading in ("requests", "write\nunits", "read\nunits"):
            table.add_column(heading, justify="right", no_wrap=True)
        for cost in costs:
            table.add_row(str(cost.process), safe(cost.typed), *_cells(cost.usage))
        total = sum((cost.usage for cost in costs), Usage())
        table.add_row("", "all of it", *_cells(total), style="bold")
        if not self._framed:
            self._heading("The costs")
        self._show(table)
        dollars = prices.of(total.write_units, total.read_units)
        self._show(Text(f"${dollars:.6f} on demand in us-east-1: a dollar pays for {1 / dollars:,.0f} such dialogues."))
        self._show(Text("Units are computed from the items' sizes by DynamoDB's rules: moto reports none.", "dim"))

    def verdict(self, missing: Sequence[str]) -> None:
        """Whether all is there that should be."""
        for what in missing:
            self._show(Text(safe(f"Missing: {what}"), "bold red"))
        if not missing:
            everything = "messages, tool calls, title, times, list order, memory"
            self._show(Text(f"Nothing is missing: {everything}.", "bold green"))

    def _heading(self, text: str) -> None:
        if self._framed:
            self._console.rule(Text(text, "bold"), align="left", style=FRAME)
        else:
            self._show(Text(f"--- {text} ---"))

    def _show(self, what: RenderableType) -> None:
        self._console.print(what, soft_wrap=isinstance(what, Text))
        self._console.file.flush()


def _cells(usage: Usage) -> tuple[str, str, str]:
    return f"{usage.requests}", f"{usage.write_units:g}", f"{usage.read_units:g}"
