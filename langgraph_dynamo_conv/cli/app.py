"""What every command has: the options that name a table, `--json`, and a saver made of them.

`@command("name", *examples)` makes a command of a function. Its first parameter is the `Run`; the others are the
command's own. An error of the package ends it with one line on stderr and an exit code of `output.Exit`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache, cached_property
from typing import Annotated, Any, NoReturn, get_type_hints

import typer
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from rich.markup import escape

from langgraph_dynamo_conv._calls.runtime import Runtime
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._storage.bucket import Bucket
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.cli.aws import client_of
from langgraph_dynamo_conv.cli.options import CommandWithShortHelp, SharedOptions, in_one_line
from langgraph_dynamo_conv.cli.output import PROGRAM, Exit, Output, closed, fail
from langgraph_dynamo_conv.conversations import Conversation, Conversations
from langgraph_dynamo_conv.errors import DynamoConvError
from langgraph_dynamo_conv.saver import DynamoDBConversationSaver

ConversationArgument = Annotated[
    str, typer.Argument(metavar="CONVERSATION", help="The conversation's id (LangGraph's thread_id).")
]
UserOption = Annotated[
    str | None,
    typer.Option("--user", "-u", help="The conversation's owner. If not given, the one user who has it is looked up."),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before doing it.")]


class Run:
    """One run of a command. Sends nothing by itself; the saver and its client are made when first asked for.

    Args:
        options: The shared options.
    """

    def __init__(self, options: SharedOptions) -> None:
        self.options = options
        self.out = Output(as_json=options.as_json)

    @property
    def table_name(self) -> str:
        """The table's name. Raises `ValueError` if none is given."""
        if not self.options.table:
            raise ValueError("no table: give --table, or set the environment variable DYNAMODB_TABLE_NAME")
        return self.options.table

    def client(self, service: str) -> Any:
        """A boto3 client with the profile and region of the options; for DynamoDB with their endpoint too."""
        options = self.options
        endpoint_url = options.endpoint_url if service == "dynamodb" else None
        return client_of(service, region_name=options.region, endpoint_url=endpoint_url, profile_name=options.profile)

    def new_saver(self, default: SerializerProtocol, **settings: Any) -> DynamoDBConversationSaver:
        """A saver on the table.

        Args:
            default: Its serializer if the options name none.
            settings: Further options of the saver.
        """
        name, serde = self.table_name, self.serializer(default)
        return DynamoDBConversationSaver(name, client=self.client("dynamodb"), serde=serde, **settings)

    def serializer(self, default: SerializerProtocol) -> SerializerProtocol:
        """The serializer that the options name, or else the default."""
        return serializer_named(self.options.serde) if self.options.serde else default

    @cached_property
    def saver(self) -> DynamoDBConversationSaver:
        """A saver on the table. Its serializer instantiates no types that stored data name, but LangChain's own."""
        bucket = self.options.s3_bucket
        return self.new_saver(
            JsonPlusSerializer(allowed_msgpack_modules=None),
            s3_bucket=bucket,
            s3_prefix=self.options.s3_prefix,
            s3_client=self.client("s3") if bucket else None,
        )

    @property
    def conversations(self) -> Conversations:
        """The conversations of the table."""
        return self.saver.conversations

    @property
    def runtime(self) -> Runtime:
        """The parts of the saver, for commands that look at items."""
        return self.saver._runtime

    @property
    def table(self) -> Table:
        """The data path to the table."""
        return self.runtime.table

    @property
    def bucket(self) -> Bucket | None:
        """The data path to the bucket of large values; None without one."""
        return self.runtime.shared.bucket

    def scope(self, conversation_id: str, user_id: str | None) -> Scope:
        """The keys of a conversation; without a user, of the one user who has it.

        Raises:
            ConversationNotFoundError: No user has it.
            ValueError: Several users have it, or an id is malformed.
        """
        return self.runtime.directory.scope_of(conversation_id, user_id)

    def read(self, scope: Scope, limit: int | None = None) -> Conversation:
        """A conversation with its messages, or the newest so many of them."""
        return self.conversations.get(scope.thread_id, scope.user_id, limit=limit)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something is lost, unless `yes`; ends the command if the answer is no."""
        if yes:
            return
        if self.out.as_json:
            raise ValueError("nothing was done: with --json, say --yes")
        if not self.out.asked(question):
            self.out.note("nothing was done; --yes does it without asking")
            self.end(Exit.FOUND)

    def end(self, code: Exit) -> NoReturn:
        """End the command with an exit code."""
        raise typer.Exit(int(code))

    def close(self) -> None:
        """Close the saver and its client, if they were made."""
        if "saver" in self.__dict__:
            client: Any = self.table.client
            self.saver.close()
            client.close()


@dataclass(frozen=True)
class Command:
    """A function as a command: its docstring is the help, and the examples follow it.

    Args:
        name: The command's name.
        function: What it does with a `Run` and its own options.
        examples: Its arguments, as a person would type them after the command's name.
    """

    name: str
    function: Callable[..., None]
    examples: tuple[str, ...]

    def add_to(self, app: typer.Typer) -> None:
        """Register the command in an application."""
        examples = "\n\n".join(escape(f"{PROGRAM} {self.name} {example}".rstrip()) for example in self.examples)
        parameters = [*self._own_parameters(), *_shared_parameters()]

        def run(**options: Any) -> None:
            shared = SharedOptions(**{one.name: options.pop(one.name) for one in fields(SharedOptions)})
            run_once(Run(shared), lambda one: self.function(one, **options))

        paragraphs = inspect.cleandoc(self.function.__doc__ or "").split("\n\n")
        run.__doc__ = "\n\n".join(" ".join(one.split()) for one in paragraphs)  # the terminal breaks lines
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        every = f"Every command takes {in_one_line()}; [bold]{PROGRAM} --help[/bold] describes these."
        app.command(self.name, cls=CommandWithShortHelp, epilog=f"Examples:\n\n{examples}\n\n{every}")(run)

    def _own_parameters(self) -> list[inspect.Parameter]:
        _, *own = inspect.signature(self.function, eval_str=True).parameters.values()
        return [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]


def command(name: str, *examples: str) -> Callable[[Callable[..., None]], Command]:
    """Make a command of a function; `add_to` registers it."""
    return lambda function: Command(name, function, examples)


def run_once(run: Run, work: Callable[[Run], None]) -> None:
    """Do the work, and turn errors of the package into a line and an exit code."""
    try:
        work(run)
    except (DynamoConvError, ValueError) as error:
        raise typer.Exit(fail(error, as_json=run.out.as_json)) from error
    except BrokenPipeError:
        raise typer.Exit(closed()) from None
    finally:
        run.close()


def serializer_named(text: str) -> SerializerProtocol:
    """The serializer `module:object`, or the one that this object gives when it is called.

    Raises:
        ValueError: There is no such module or object, or it is no serializer.
    """
    module, _, name = text.partition(":")
    try:
        named: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"--serde is module:object of a module that can be imported here: {error}") from error
    serializer = named if hasattr(named, "loads_typed") and not isinstance(named, type) else named()
    if not (hasattr(serializer, "dumps_typed") and hasattr(serializer, "loads_typed")):
        raise ValueError(f"--serde names a serializer, or a function that makes one; {text!r} gives another object")
    return serializer  # type: ignore[no-any-return]


@cache
def _shared_parameters() -> list[inspect.Parameter]:
    hints, kind = get_type_hints(SharedOptions, include_extras=True), inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(one.name, kind, default=one.default, annotation=hints[one.name])
        for one in fields(SharedOptions)
    ]
