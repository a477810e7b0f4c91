"""The options of every command, and their description in the help. Imports little, so that the help comes at once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, get_args, get_type_hints

import typer
from rich.table import Table
from typer.core import TyperCommand

from langgraph_dynamo_conv.cli.output import Shown


@dataclass(frozen=True)
class SharedOptions:
    """The options of every command: where the table is, and how to print. The environment can give most of them."""

    table: Annotated[
        str | None, typer.Option("--table", "-t", envvar="DYNAMODB_TABLE_NAME", help="The table's name.")
    ] = None
    region: Annotated[
        str | None, typer.Option("--region", envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], help="The AWS region.")
    ] = None
    endpoint_url: Annotated[
        str | None,
        typer.Option(
            "--endpoint-url",
            envvar="AWS_ENDPOINT_URL_DYNAMODB",
            help="Another endpoint than AWS's, such as DynamoDB Local's.",
        ),
    ] = None
    profile: Annotated[
        str | None, typer.Option("--profile", envvar="AWS_PROFILE", help="A profile of your AWS configuration.")
    ] = None
    serde: Annotated[
        str | None,
        typer.Option(
            "--serde",
            envvar="LANGGRAPH_DYNAMO_CONV_SERDE",
            metavar="MODULE:OBJECT",
            help="The savers' serializer, or a function that makes it; needed where data is encrypted.",
        ),
    ] = None
    s3_bucket: Annotated[
        str | None,
        typer.Option(
            "--s3-bucket",
            envvar="LANGGRAPH_DYNAMO_CONV_S3_BUCKET",
            help="The savers' bucket, if they keep large values in S3.",
        ),
    ] = None
    s3_prefix: Annotated[
        str,
        typer.Option(
            "--s3-prefix", envvar="LANGGRAPH_DYNAMO_CONV_S3_PREFIX", help="The savers' prefix in that bucket."
        ),
    ] = ""
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False


class CommandWithShortHelp(TyperCommand):
    """A command whose help names the options of every command in one line, so that its own stay on the screen."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        shared = [one for one in self.params if one.name in SharedOptions.__dataclass_fields__]
        for one in shared:
            one.hidden = True  # type: ignore[attr-defined]
        try:
            super().format_help(ctx, formatter)
        finally:
            for one in shared:
                one.hidden = False  # type: ignore[attr-defined]


def in_one_line() -> str:
    """The names of the options, for the help of a command."""
    return ", ".join("/".join(reversed(names)) for names, _ in _described())


def described() -> Table:
    """The options with what they mean and the variables that give them, for the help of the program."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for names, info in _described():
        variables = [info.envvar] if isinstance(info.envvar, str) else info.envvar or []
        meaning = Shown(info.help or "")
        if variables:
            meaning.append(f"\n${', $'.join(variables)}", "dim")
        grid.add_row(Shown(", ".join(reversed(names)), "bold cyan"), meaning)
    return grid


def _described() -> list[tuple[list[str], Any]]:
    hints = get_type_hints(SharedOptions, include_extras=True)
    infos = [get_args(hints[one.name])[1] for one in fields(SharedOptions)]
    return [([info.default, *info.param_decls], info) for info in infos]
