"""What a command prints, and with which exit code it ends. Nothing that the table holds reaches the terminal raw."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from langgraph_dynamo_conv.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    BucketRequiredError,
    ConflictError,
    ConversationNotFoundError,
    CorruptDataError,
    CredentialsError,
    DynamoConvError,
    EndpointError,
    IndexNotReadyError,
    TableNotFoundError,
    ThrottledError,
)

_PIPE_WIDTH = 10_000
"""Columns where there is no terminal: nothing is wrapped, or cut that need not be."""

_HOSTILE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed: they move the cursor, or worse
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # what turns the direction of text, or breaks lines
    "\ud800-\udfff\ufff9-\ufffb\ufffe\uffff]"
)
_BREAKS = re.compile(r"[\t\n]+ *")


class Exit(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    FOUND = 1
    """`doctor` or `verify` found something wrong, or the person said no."""
    USAGE = 2
    """Wrong arguments; nothing was sent."""
    MISSING = 3
    """No such table, conversation or checkpoint."""
    REFUSED = 4
    """No credentials, or no permission."""
    AGAIN = 5
    """No answer, throttled, or somebody else wrote first: the command can be repeated."""
    DAMAGED = 6
    """Stored data can't be read."""
    FAILED = 7
    """Any other refusal."""
    INTERRUPTED = 130
    """Ctrl-C."""


_CODES: tuple[tuple[type[DynamoConvError], Exit], ...] = (
    (TableNotFoundError, Exit.MISSING),
    (BucketNotFoundError, Exit.MISSING),
    (ConversationNotFoundError, Exit.MISSING),
    (AccessDeniedError, Exit.REFUSED),
    (CredentialsError, Exit.REFUSED),
    (EndpointError, Exit.AGAIN),
    (ThrottledError, Exit.AGAIN),
    (ConflictError, Exit.AGAIN),
    (IndexNotReadyError, Exit.AGAIN),
    (CorruptDataError, Exit.DAMAGED),
    (BucketRequiredError, Exit.USAGE),
)


def exit_code_of(error: Exception) -> Exit:
    """The exit code of an error of the package; a `ValueError` is a wrong argument."""
    if isinstance(error, DynamoConvError):
        return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.FAILED)
    return Exit.USAGE


def visible(text: str) -> str:
    """Text with what could control a terminal, or reorder a line, written out as `\\x1b`. Tabs and lines stay."""
    return _HOSTILE.sub(_written_out, text)


def one_line(text: str) -> str:
    """`visible`, in one line."""
    return _BREAKS.sub(" ", visible(text))


def moment(timestamp: str, characters: int = 19) -> str:
    """An ISO 8601 time for a person: to the second, or to the minute with 16 characters. In UTC, as stored."""
    return one_line(timestamp)[:characters].replace("T", " ")


def counted(count: int, noun: str) -> str:
    """A number of things, such as "1 item" or "2,000 items"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def to_json(value: Any, *, indent: int | None = 2) -> str:
    """JSON that is safe to print: what `visible` writes out is escaped, and parses back."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    return _HOSTILE.sub(_json_escape, text)


def quoted(text: str) -> str:
    """A string in quotes, as JSON, YAML and Terraform read it alike; what `visible` writes out is escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{_HOSTILE.sub(_json_escape, escaped)}"'


class Output:
    """Where a command's result goes: tables and text for a person, or JSON.

    Args:
        as_json: Whether the result is JSON.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = _console(sys.stdout)

    def result(self, data: Any, *shown: RenderableType) -> None:
        """The result of a command: `data` as JSON, or what a person sees. Strings are printed as `visible`."""
        if self.as_json:
            self.text(to_json(data) + "\n")
            return
        for one in shown:
            self.console.print(Text(visible(one)) if isinstance(one, str) else one)

    def record(self, data: Any, *shown: RenderableType) -> None:
        """One of many results: a line of JSON, or what a person sees."""
        if self.as_json:
            self.text(to_json(data, indent=None) + "\n")
        else:
            self.result(data, *shown)

    def document(self, data: Any, text: str | None = None) -> None:
        """A document for another program: `text`, or `data` as JSON where that is asked for or there is no text."""
        self.text(visible(text) if text is not None and not self.as_json else to_json(data) + "\n")

    def text(self, text: str) -> None:
        """Text as it is: for documents, and text that is `visible` already."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """A remark for a person, on stderr; left out of JSON."""
        if not self.as_json:
            _console(sys.stderr).print(Text(one_line(text), style="dim"), soft_wrap=True)


def fail(error: Exception, *, as_json: bool, code: int | None = None) -> int:
    """Tell an error in one line on stderr; gives the exit code."""
    code = exit_code_of(error) if code is None else code
    if as_json:
        said = to_json({"error": type(error).__name__, "message": str(error), "exit_code": int(code)}, indent=None)
        sys.stderr.write(said + "\n")
    else:
        _console(sys.stderr).print(Text.assemble(("error: ", "bold red"), one_line(str(error))), soft_wrap=True)
    return int(code)


def table_of(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, whole: Sequence[str] = ()) -> Table:
    """A table of text cells.

    Args:
        columns: Their headings; one that begins with ">" is of numbers, to the right.
        rows: Their cells; strings are shown as `one_line`.
        whole: Headings of columns that are never cut or wrapped, such as ids.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        name = column.removeprefix(">")
        right = column.startswith(">")
        table.add_column(name, justify="right" if right else "left", no_wrap=right or name in whole, overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line(cell)) if isinstance(cell, str) else cell for cell in row))
    return table


def _console(file: Any) -> Console:
    width = None if file.isatty() else _PIPE_WIDTH
    return Console(file=file, width=width, markup=False, highlight=False, emoji=False)


def _written_out(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def _json_escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
