"""The command line, `langgraph-dynamo-conv`: arguments in, text or JSON out.

`commands` has a module for each group of commands, `views` what conversations and checkpoints look like.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import langgraph_dynamo_conv
from langgraph_dynamo_conv.cli.app import PROGRAM, Command
from langgraph_dynamo_conv.cli.commands import checkpoints, conversations, costs, migration, table, transcripts
from langgraph_dynamo_conv.cli.output import Output, fail

GROUPS = (table, conversations, transcripts, checkpoints, costs, migration)
"""The modules of commands, in the order of the help."""


def app_of() -> typer.Typer:
    """The application with all commands."""
    app = typer.Typer(
        name=PROGRAM,
        help="Set up, look after and read the conversations table of LangGraph agents.",
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for group in GROUPS:
        for one in vars(group).values():
            if isinstance(one, Command):
                one.add_to(app)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and give its exit code, one of `Exit`."""
    # else Python prints LangGraph's warnings on stderr, beside the one line of an error
    logging.getLogger("langgraph").addHandler(logging.NullHandler())
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app_of()(args=words or ["--help"], prog_name=PROGRAM, standalone_mode=False)
    except typer.TyperException as error:
        problem = ValueError(f"{error.format_message()} See {PROGRAM} --help.")
        return fail(problem, as_json="--json" in words, code=error.exit_code)
    return int(code or 0)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        Output(as_json=False).text(f"{PROGRAM} {langgraph_dynamo_conv.__version__}\n")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options of the program itself."""
