"""What a command prints, and the exit code that it ends with.

The rule: this module alone writes to stdout and stderr, and makes text for a terminal: all of it is `visible`, so that
nothing that the table holds reaches a terminal raw. A test looks for others that do.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

from langgraph_dynamo_conv import errors
from langgraph_dynamo_conv._visible import escaped, one_line, visible, written_out

if TYPE_CHECKING:
    from typing_extensions import Self

PROGRAM = "langgraph-dynamo-conv"

_PIPE_WIDTH = 10_000
"""Columns where the output is no terminal, so that nothing is wrapped or cut."""

_INDENT = 2


class Exit(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    FOUND = 1
    """Something is wrong or not whole, a conversation was not copied, or the person answered no."""
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
    CLOSED = 141
    """Whoever read the output has gone, such as `head`."""


_CODES: dict[type[errors.DynamoConvError], Exit] = {
    errors.TableNotFoundError: Exit.MISSING,
    errors.BucketNotFoundError: Exit.MISSING,
    errors.ConversationNotFoundError: Exit.MISSING,
    errors.MessageNotFoundError: Exit.MISSING,
    errors.AccessDeniedError: Exit.REFUSED,
    errors.CredentialsError: Exit.REFUSED,
    errors.EndpointError: Exit.AGAIN,
    errors.ThrottledError: Exit.AGAIN,
    errors.ConflictError: Exit.AGAIN,
    errors.IndexNotReadyError: Exit.AGAIN,
    errors.CorruptDataError: Exit.DAMAGED,
    errors.BucketRequiredError: Exit.USAGE,
}


def exit_code_of(error: Exception) -> Exit:
    """The exit code of an error of the package; a `ValueError` is a wrong argument."""
    if isinstance(error, errors.DynamoConvError):
        return next((code for kind, code in _CODES.items() if isinstance(error, kind)), Exit.FAILED)
    return Exit.USAGE


class Shown(Text):
    """Text for a terminal: `visible`, whatever it is made of."""

    def __init__(self, text: str = "", style: StyleType = "", **options: Any) -> None:
        super().__init__(visible(text), style, **options)

    def append(self, text: Text | str, style: StyleType | None = None) -> Self:
        """Add text to the end."""
        super().append(visible(text) if isinstance(text, str) else text, style)
        return self


@dataclass(frozen=True)
class Entry:
    """One of a list, for a terminal that is too narrow for a table: a line that is cut at its end, and one below it."""

    title: Text
    details: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        title = self.title.copy()
        title.truncate(options.max_width, overflow="ellipsis")
        yield title
        yield Indented(self.details)


@dataclass(frozen=True)
class Indented:
    """Text whose lines are all indented, also those that the terminal's width breaks."""

    text: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for line in self.text.wrap(console, max(options.max_width - _INDENT, 1)):
            line.rstrip()
            yield Text(" " * _INDENT).append_text(line)


def pretty(value: Any) -> str:
    """A string as it is; any other value as indented JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


def shortened(text: str, characters: int) -> str:
    """A text of at most so many characters, and its length if some were left out."""
    return text if len(text) <= characters else f"{text[: characters - 1]}… ({len(text)} characters)"


def moment(timestamp: str, characters: int = 19) -> str:
    """A time for a person: to the second, or with 16 characters to the minute. In UTC, as it is stored in ISO 8601."""
    return one_line(timestamp)[:characters].replace("T", " ")


def counted(count: int, noun: str) -> str:
    """A number of things, such as "1 item" or "2,000 items"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def to_json(value: Any, *, indent: int | None = 2) -> str:
    """JSON that is safe to print: what `visible` writes out is escaped, so that it parses back."""
    return escaped(json.dumps(value, ensure_ascii=False, indent=indent, default=str))


def quoted(text: str) -> str:
    """A string in quotes, with escapes that YAML and Terraform read alike."""
    inner = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    escapes = written_out(inner, lambda number: f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}")
    return f'"{escapes}"'


class Output:
    """Where a command's result goes: tables and text for a person, or JSON.

    Args:
        as_json: Whether the result is JSON.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = console_of(sys.stdout)

    def result(self, data: Any, *parts: RenderableType, indent: int | None = 2) -> None:
        """Print the result of a command: `data` as JSON, or the parts for a person."""
        if self.as_json:
            self.text(to_json(data, indent=indent) + "\n")
            return
        for part in parts:
            self.console.print(Shown(part) if isinstance(part, str) else part)

    def record(self, data: Any, *parts: RenderableType) -> None:
        """Print one of many results: a line of JSON, or the parts for a person."""
        self.result(data, *parts, indent=None)

    def document(self, data: Any, text: str | None = None) -> None:
        """Print a document for another program: `text`, or `data` as JSON with `--json` or without a text."""
        self.text(text if text is not None and not self.as_json else to_json(data) + "\n")

    def text(self, text: str) -> None:
        """Print text as it is, but for what `visible` writes out."""
        _write(sys.stdout, text)

    def note(self, text: str) -> None:
        """Print a remark for a person on stderr; none with `--json`."""
        if not self.as_json:
            console_of(sys.stderr).print(Shown(one_line(text), "dim"), soft_wrap=True)

    def asked(self, question: str) -> bool:
        """Ask a person, on stderr, since stdout is for results; gives whether the answer is yes."""
        _write(sys.stderr, f"{one_line(question)} [y/N] ")
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def fail(error: Exception, *, as_json: bool, code: int | None = None) -> int:
    """Print an error as one line on stderr; gives the exit code."""
    code = exit_code_of(error) if code is None else code
    if as_json:
        record = {"error": type(error).__name__, "message": str(error), "exit_code": int(code)}
        _write(sys.stderr, to_json(record, indent=None) + "\n")
    else:
        said = one_line(str(error)).replace("with setup()", f"with `{PROGRAM} setup`")
        console_of(sys.stderr).print(Shown.assemble(("error: ", "bold red"), said), soft_wrap=True)
    return int(code)


def table_of(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Shown]],
    *,
    whole: Sequence[str] = (),
) -> Table:
    """A table of text cells.

    Args:
        columns: The headings; that of a column of numbers, set to the right, begins with ">".
        rows: The cells of each row; strings are made `one_line`.
        whole: Headings of columns that are never cut or wrapped, such as ids.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        name = column.removeprefix(">")
        right = column.startswith(">")
        table.add_column(name, justify="right" if right else "left", no_wrap=right or name in whole, overflow="fold")
    for row in rows:
        table.add_row(*(Shown(one_line(cell)) if isinstance(cell, str) else cell for cell in row))
    return table


def print_help(part: RenderableType) -> None:
    """Print a part of the help, as wide as the others."""
    Console(markup=False, highlight=False, emoji=False).print(part)


def console_of(file: TextIO) -> Console:
    """The console of a file; it reads no markup."""
    width = None if file.isatty() else _PIPE_WIDTH
    return _Console(file=file, width=width, markup=False, highlight=False, emoji=False)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def closed() -> Exit:
    """What a command ends with whose reader has gone; what is still to be written at exit fails quietly."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.CLOSED


def _write(file: TextIO, text: str) -> None:
    file.write(visible(text))
    file.flush()
