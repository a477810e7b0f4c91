"""What every command has: the options that name a table, `--json`, and a saver made of them.

`@command(app, "name", examples=…)` registers a function as a command. Its first parameter is the `Run`; the others are
the command's own. Errors of the package end it with one line on stderr and an exit code of `_output.Exit`.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from rich.markup import escape

from langgraph_dynamo_conv._calls.runtime import Runtime
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.cli.aws import client_of
from langgraph_dynamo_conv.cli.output import Exit, Output, fail, one_line
from langgraph_dynamo_conv.conversations import Conversations
from langgraph_dynamo_conv.errors import DynamoConvError
from langgraph_dynamo_conv.saver import DynamoDBConversationSaver

F = TypeVar("F", bound=Callable[..., None])

_PANEL = "Table and output"

TableOption = Annotated[
    str | None,
    typer.Option("--table", "-t", envvar="DYNAMODB_TABLE_NAME", help="The table's name.", rich_help_panel=_PANEL),
]
RegionOption = Annotated[
    str | None,
    typer.Option(
        "--region", envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], help="The AWS region.", rich_help_panel=_PANEL
    ),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint-url",
        envvar="AWS_ENDPOINT_URL_DYNAMODB",
        help="Another endpoint than AWS's, such as DynamoDB Local's.",
        rich_help_panel=_PANEL,
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile", envvar="AWS_PROFILE", help="A profile of your AWS configuration.", rich_help_panel=_PANEL
    ),
]
SerdeOption = Annotated[
    str | None,
    typer.Option(
        "--serde",
        envvar="LANGGRAPH_DYNAMO_CONV_SERDE",
        metavar="MODULE:OBJECT",
        help="The savers' serializer, or a function that makes it; needed where data is encrypted.",
        rich_help_panel=_PANEL,
    ),
]
BucketOption = Annotated[
    str | None,
    typer.Option(
        "--s3-bucket",
        envvar="LANGGRAPH_DYNAMO_CONV_S3_BUCKET",
        help="The savers' bucket, if they keep large values in S3.",
        rich_help_panel=_PANEL,
    ),
]
PrefixOption = Annotated[
    str,
    typer.Option(
        "--s3-prefix",
        envvar="LANGGRAPH_DYNAMO_CONV_S3_PREFIX",
        help="The savers' prefix in that bucket.",
        rich_help_panel=_PANEL,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=_PANEL)]

ConversationArgument = Annotated[
    str, typer.Argument(metavar="CONVERSATION", help="The conversation's id (LangGraph's thread_id).")
]
UserOption = Annotated[
    str | None, typer.Option("--user", "-u", help="Its owner. Without, the one user who has it is looked up.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

_SHARED: dict[str, tuple[Any, Any]] = {
    "table": (TableOption, None),
    "region": (RegionOption, None),
    "endpoint_url": (EndpointOption, None),
    "profile": (ProfileOption, None),
    "serde": (SerdeOption, None),
    "s3_bucket": (BucketOption, None),
    "s3_prefix": (PrefixOption, ""),
    "as_json": (JsonOption, False),
}


@dataclass(frozen=True)
class Place:
    """Where the table is, as the shared options and the environment name it."""

    table: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    serde: str | None = None
    s3_bucket: str | None = None
    s3_prefix: str = ""


class Run:
    """One run of a command. Sends nothing by itself; the saver and its client are made when first asked for.

    Args:
        place: The shared options.
        output: Where the result goes.
    """

    def __init__(self, place: Place, output: Output) -> None:
        self.place = place
        self.out = output

    @property
    def table_name(self) -> str:
        """The table's name. Raises `ValueError` if none is given."""
        if not self.place.table:
            raise ValueError("no table: give --table, or set the environment variable DYNAMODB_TABLE_NAME")
        return self.place.table

    def client(self, service: str, endpoint_url: str | None = None) -> Any:
        """A boto3 client of another service, with the same profile and region."""
        place = self.place
        return client_of(service, region_name=place.region, endpoint_url=endpoint_url, profile_name=place.profile)

    @cached_property
    def saver(self) -> DynamoDBConversationSaver:
        """A saver on the table. Its serializer makes no object of a type that the data name, but LangChain's own."""
        name = self.table_name
        client = self.client("dynamodb", self.place.endpoint_url)
        serde = serializer_named(self.place.serde) if self.place.serde else strict_serializer()
        place = self.place
        return DynamoDBConversationSaver(
            name,
            client=client,
            serde=serde,
            s3_bucket=place.s3_bucket,
            s3_prefix=place.s3_prefix,
            s3_client=self.client("s3") if place.s3_bucket else None,
        )

    @property
    def conversations(self) -> Conversations:
        """The conversations of the table."""
        return self.saver.conversations

    @property
    def runtime(self) -> Runtime:
        """What the saver is made of, for commands that look at items."""
        return self.saver._runtime

    @property
    def table(self) -> Table:
        """The table on the wire."""
        return self.runtime.table

    def scope(self, conversation_id: str, user_id: str | None) -> Scope:
        """A conversation of a user; of the one user who has it if None.

        Raises:
            ConversationNotFoundError: Nobody has it.
            ValueError: Several users have; or a bad id.
        """
        return self.runtime.directory.scope_of(conversation_id, user_id)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something is lost; ends the command if the answer is no."""
        if yes:
            return
        if self.out.as_json:
            raise ValueError("nothing was done: with --json, say --yes")
        # typer's prompt writes to stdout, which is for results
        sys.stderr.write(f"{one_line(question)} [y/N] ")
        sys.stderr.flush()
        said_yes = sys.stdin.readline().strip().lower() in ("y", "yes")
        if not said_yes:
            self.out.note("nothing was done; --yes does it without asking")
            self.end(Exit.FOUND)

    def end(self, code: Exit) -> NoReturn:
        """End the command with an exit code."""
        raise typer.Exit(int(code))

    def close(self) -> None:
        """Close what was made."""
        if "saver" in self.__dict__:
            client: Any = self.table.client
            self.saver.close()
            client.close()


def strict_serializer() -> SerializerProtocol:
    """Reads what LangGraph writes, and imports nothing that the data name: other types come as plain values."""
    return JsonPlusSerializer(allowed_msgpack_modules=None)


def serializer_named(text: str) -> SerializerProtocol:
    """The serializer `module:object`, or what the object gives when it is called.

    Raises:
        ValueError: There is none.
    """
    module, _, name = text.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"--serde is module:object of a module that can be imported here: {error}") from error
    made = found if hasattr(found, "loads_typed") and not isinstance(found, type) else found()
    if not (hasattr(made, "dumps_typed") and hasattr(made, "loads_typed")):
        raise ValueError(f"--serde names a serializer, or a function that makes one; {text!r} gives another object")
    return made  # type: ignore[no-any-return]


def command(app: typer.Typer, name: str, *, examples: Sequence[str]) -> Callable[[F], F]:
    """Register a function as a command; its docstring is the help, the examples follow it.

    Args:
        app: The application.
        name: The command's name.
        examples: Its arguments, as a person would type them after the command's name.
    """

    def register(function: F) -> F:
        @wraps(function)
        def run(**options: Any) -> None:
            shared = {key: options.pop(key) for key in _SHARED}
            output = Output(as_json=shared.pop("as_json"))
            run_once(Run(Place(**shared), output), lambda one: function(one, **options))

        _declare(run, function)
        shown = "\n\n".join(escape(f"{program_name()} {name} {example}".rstrip()) for example in examples)
        app.command(name, epilog=f"Examples:\n\n{shown}")(run)
        return function

    return register


def program_name() -> str:
    """The name of the program in help and errors."""
    return "langgraph-dynamo-conv"


def run_once(run: Run, work: Callable[[Run], None]) -> None:
    """Do the work, and turn errors of the package into a line and an exit code."""
    try:
        work(run)
    except (DynamoConvError, ValueError) as error:
        raise typer.Exit(fail(error, as_json=run.out.as_json)) from error
    finally:
        run.close()


def _declare(run: Callable[..., None], function: Callable[..., None]) -> None:
    """Give `run` the function's own parameters and the shared ones, as typer reads them."""
    signature = inspect.signature(function, eval_str=True)
    _, *own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in signature.parameters.values()]
    shared = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for key, (annotation, default) in _SHARED.items()
    ]
    parameters = [*own, *shared]
    run.__signature__ = signature.replace(parameters=parameters, return_annotation=None)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    # typer would follow it to the function itself
    del run.__wrapped__  # type: ignore[attr-defined]
