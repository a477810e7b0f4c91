"""Commands that give the messages of conversations: show, export."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv.cli.app import ConversationArgument, Run, UserOption, command
from langgraph_dynamo_conv.cli.output import one_line, visible
from langgraph_dynamo_conv.cli.views import page, transcript
from langgraph_dynamo_conv.cli.views.following import News, follow
from langgraph_dynamo_conv.conversations import Conversation


class Format(str, Enum):
    """What conversations are exported as."""

    JSONL = "jsonl"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    examples = ["CONVERSATION --user alice", "CONVERSATION --limit 10 --tools", "CONVERSATION --follow"]
    command(app, "show", examples=examples)(show)
    command(
        app,
        "export",
        examples=[
            "CONVERSATION --format html --output flat.html",
            "--user alice --format jsonl > alice.jsonl",
            "--user alice --format markdown --output alice.md",
        ],
    )(export)


def show(
    run: Run,
    conversation: ConversationArgument,
    user: UserOption = None,
    limit: Annotated[int | None, typer.Option(min=0, help="Only the newest so many messages.")] = None,
    tools: Annotated[bool, typer.Option("--tools", help="Unfold tool calls: all arguments and results.")] = False,
    following: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is new, until Ctrl-C; JSON then is a line each.")
    ] = False,
) -> None:
    """Show the dialogue of a conversation, each tool call folded into a line."""
    scope = run.scope(conversation, user)
    found = run.conversations.get(scope.thread_id, scope.user_id, limit=limit)
    shown = (*transcript.heading(found), *transcript.dialogue(found, unfolded=tools))
    if not following:
        run.out.result(found.to_dict(), *shown)
        return
    try:
        run.out.record(found.to_dict(), *shown)
        for news in follow(lambda newest: run.conversations.get(scope.thread_id, scope.user_id, limit=newest), found):
            _tell(run, news, tools)
    except KeyboardInterrupt:
        run.out.note("")


def export(
    run: Run,
    conversation: Annotated[
        str | None, typer.Argument(metavar="[CONVERSATION]", help="One conversation; all of --user if not given.")
    ] = None,
    user: UserOption = None,
    format: Annotated[
        Format, typer.Option("--format", help="HTML is one page that needs nothing else.")
    ] = Format.JSONL,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="A file; standard output if not given.")
    ] = None,
) -> None:
    """Write conversations to a file or standard output, one in memory at a time.

    A file appears when it is complete. --json reports what was written; without --output it means --format json.
    """
    if conversation is None and user is None:
        raise ValueError("which conversations? give CONVERSATION, or --user for all of a user's")
    wanted = Format.JSON if output is None and run.out.as_json else format
    pieces = _pieces(run, conversation, user, wanted)
    # what is wrong shows with the first piece, before there is a file
    pieces = chain([next(pieces, "")], pieces)
    if output is None:
        _write_out(run, pieces)
        return
    size = _write_file(output, pieces)
    run.out.result({"file": str(output), "format": wanted.value, "bytes": size}, f"{output}: {size} bytes")


def _pieces(run: Run, conversation: str | None, user: str | None, format: Format) -> Iterator[str]:
    scope = None if conversation is None else run.scope(conversation, user)
    owner, thread_id = (scope.user_id, scope.thread_id) if scope else (user or "", None)
    if format is not Format.HTML:
        return run.conversations.export(owner, thread_id, format=format.value)
    if scope is None:
        return page.page(_all_of(run, owner), f"Conversations of {owner}")
    found = run.conversations.get(scope.thread_id, scope.user_id)
    return page.page([found], found.title)


def _all_of(run: Run, user: str) -> Iterator[Conversation]:
    scopes: Iterable[Scope] = run.runtime.directory.of_user(user)
    for scope in scopes:
        yield run.conversations.get(scope.thread_id, user)


def _write_out(run: Run, pieces: Iterable[str]) -> None:
    on_terminal = sys.stdout.isatty()
    for piece in pieces:
        run.out.text(visible(piece) if on_terminal else piece)


def _write_file(path: Path, pieces: Iterable[str]) -> int:
    """Write beside the file, and put it in its place when it is whole. Gives its bytes."""
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with unfinished.open("w", encoding="utf-8", newline="\n") as file:
            for piece in pieces:
                file.write(piece)
        unfinished.replace(path)
    except OSError as error:
        raise ValueError(f"{path} can't be written: {error.strerror}. Name another file with --output") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return path.stat().st_size


def _tell(run: Run, news: News, unfolded: bool) -> None:
    if news.message is None:
        run.out.record({"status": news.status}, Text(f"— {one_line(news.status or 'no status')}\n", "dim"))
        return
    data = {"number": news.number, "changed": news.changed, **news.message.to_dict()}
    mark = "  (changed)" if news.changed else ""
    run.out.record(data, *transcript.message(news.message, unfolded=unfolded, mark=mark))
