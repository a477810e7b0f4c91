"""The command line: `langgraph-dynamo-conv`. One module for each group of commands, which adds them to the app."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import langgraph_dynamo_conv
from langgraph_dynamo_conv.cli.app import program_name
from langgraph_dynamo_conv.cli.commands import checkpoints, conversations, costs, migration, table, transcripts
from langgraph_dynamo_conv.cli.output import fail

GROUPS = (table, conversations, transcripts, checkpoints, costs, migration)
"""The modules of commands, in the order of the help."""


def app_of() -> typer.Typer:
    """The application with all commands."""
    app = typer.Typer(
        name=program_name(),
        help="Set up, look after and read the conversations table of LangGraph agents.",
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for group in GROUPS:
        group.register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and give its exit code, one of `Exit`."""
    # else Python prints LangGraph's warnings on stderr, beside the one line of an error
    logging.getLogger("langgraph").addHandler(logging.NullHandler())
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        ended = app_of()(args=given or ["--help"], prog_name=program_name(), standalone_mode=False)
    except typer.TyperException as error:
        said = ValueError(f"{error.format_message()} See {program_name()} --help.")
        return fail(said, as_json="--json" in given, code=error.exit_code)
    return int(ended or 0)


def _tell_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"{program_name()} {langgraph_dynamo_conv.__version__}\n")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_tell_version)
    ] = False,
) -> None:
    """Options of the program itself."""
