"""The command line, `langgraph-dynamo-conv`: arguments in, text or JSON out.

`commands` has a module for each group of commands, `views` what conversations and checkpoints look like. The help and
the version come at once: of the commands, only the one that is run is imported, and the package with it.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.panel import Panel
from typer.core import TyperGroup

import langgraph_dynamo_conv
from langgraph_dynamo_conv.cli.options import described
from langgraph_dynamo_conv.cli.output import PROGRAM, Exit, Output, fail, print_help

if TYPE_CHECKING:
    from langgraph_dynamo_conv.cli.app import Command

COMMANDS = {
    "setup": ("table", "Create the table and its index, or check what is there."),
    "doctor": ("table", "Say what is wrong with the table, and how to mend it."),
    "iam-policy": ("table", "Print the minimum permissions for an agent's role."),
    "cloudformation": ("table", "Print a CloudFormation template of the table and a policy."),
    "terraform": ("table", "Print Terraform of the table and a policy."),
    "list": ("conversations", "List a user's conversations, newest first."),
    "rename": ("conversations", "Give a conversation another title."),
    "delete": ("conversations", "Delete a conversation. It can't be undone."),
    "delete-user": ("conversations", "Delete everything of a person. It can't be undone."),
    "show": ("transcripts", "Show the messages of a conversation."),
    "export": ("transcripts", "Write conversations to a file or to standard output."),
    "history": ("checkpoints", "Show a conversation's checkpoints, with forks as a tree."),
    "state": ("checkpoints", "Show the state that an agent would continue with."),
    "prune": ("checkpoints", "Forget old checkpoints, and keep the messages."),
    "verify": ("checkpoints", "Read all of a conversation, and name what is damaged."),
    "stats": ("costs", "Count items by kind, their bytes, and what they cost."),
    "estimate": ("costs", "Estimate the bill of a month."),
    "restore-conversation": ("recovery", "Bring one conversation back from another table."),
    "restore-objects": ("recovery", "Bring back the objects in S3 that a restored table needs."),
    "rekey-user": ("recovery", "Give all conversations of a person another user id."),
    "migrate": ("migration", "Copy threads of another LangGraph saver into the table."),
}
"""The module of each command, and what the program's help says of it: the first paragraph of the command's own help."""

_COMPLETING = "_LANGGRAPH_DYNAMO_CONV_COMPLETE"
"""The variable by which a shell asks for completions."""


class _Program(TyperGroup):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        panel = Panel(described(), title="Options of every command", title_align="left", border_style="dim")
        print_help(panel)


def command_named(name: str) -> Command:
    """A command, with all that it imports."""
    module = importlib.import_module(f"{__name__}.commands.{COMMANDS[name][0]}")
    return next(one for one in vars(module).values() if getattr(one, "name", None) == name)  # type: ignore[no-any-return]


def app_of(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The application, in which only these commands can be run; of the others it has the names and first words."""
    app = typer.Typer(
        name=PROGRAM,
        cls=_Program,
        help="Set up, look after and read the conversations table of LangGraph agents.",
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name, (_, help_line) in COMMANDS.items():
        if name in names:
            command_named(name).add_to(app)
        else:
            app.command(name, help=help_line)(_not_asked_for)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and give its exit code, one of `Exit`."""
    # else Python prints LangGraph's warnings on stderr, beside the one line of an error
    logging.getLogger("langgraph").addHandler(logging.NullHandler())
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app = app_of(COMMANDS if _COMPLETING in os.environ else [word for word in words if word in COMMANDS][:1])
        code = app(args=words or ["--help"], prog_name=PROGRAM, standalone_mode=False)
    except typer.TyperException as error:
        problem = ValueError(f"{error.format_message()} See {PROGRAM} --help.")
        return fail(problem, as_json="--json" in words, code=error.exit_code)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
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


def _not_asked_for() -> None:
    raise AssertionError("a command was run whose name was not found among the words")
