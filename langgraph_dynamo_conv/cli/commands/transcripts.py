"""Commands that print messages: show, export. They print while they read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import typer

from langgraph_dynamo_conv._visible import one_line
from langgraph_dynamo_conv.cli.app import ConversationArgument, Run, UserOption, command
from langgraph_dynamo_conv.cli.output import Shown
from langgraph_dynamo_conv.cli.views import transcript
from langgraph_dynamo_conv.cli.views.following import News, follow
from langgraph_dynamo_conv.cli.views.page import page

Format = Literal["jsonl", "json", "markdown", "html"]


@command("show", "CONVERSATION --user alice", "CONVERSATION --limit 10 --tools", "CONVERSATION --follow")
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
    """Show the messages of a conversation.

    Each tool call is folded into a line.
    """
    scope = run.scope(conversation, user)
    latest = run.read(scope, limit)
    lines = (*transcript.heading(latest), *transcript.dialogue(latest, unfolded=tools))
    if not following:
        run.out.result(latest.to_dict(), *lines)
        return
    try:
        run.out.record(latest.to_dict(), *lines)
        for news in follow(lambda newest: run.read(scope, newest), latest):
            _print_news(run, news, tools)
    except KeyboardInterrupt:
        run.out.note("")


@command(
    "export",
    "CONVERSATION --format html --output flat.html",
    "--user alice --format jsonl > alice.jsonl",
    "--user alice --format markdown --output alice.md",
)
def export(
    run: Run,
    conversation: Annotated[
        str | None, typer.Argument(metavar="[CONVERSATION]", help="One conversation; all of --user if not given.")
    ] = None,
    user: UserOption = None,
    format: Annotated[Format, typer.Option(help="HTML is one page that needs nothing else.")] = "jsonl",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="A file; standard output if not given.")
    ] = None,
) -> None:
    """Write conversations to a file or to standard output.

    One is in memory at a time. A file appears when it is complete. --json reports what was written; without --output it
    means --format json.
    """
    if conversation is None and user is None:
        raise ValueError("which conversations? give CONVERSATION, or --user for all of a user's")
    pieces = _pieces(run, conversation, user, "json" if output is None and run.out.as_json else format)
    # errors come with the first piece, before there is a file
    pieces = chain([next(pieces, "")], pieces)
    if output is None:
        for piece in pieces:
            run.out.text(piece)
        return
    size = _write_file(output, pieces)
    run.out.result({"file": str(output), "format": format, "bytes": size}, f"{output}: {size} bytes")


def _pieces(run: Run, conversation: str | None, user: str | None, format: Format) -> Iterator[str]:
    scope = None if conversation is None else run.scope(conversation, user)
    owner = scope.user_id if scope else user or ""
    if format != "html":
        return run.conversations.export(owner, scope.thread_id if scope else None, format=format)
    if scope is None:
        return page(map(run.read, run.runtime.directory.of_user(owner)), f"Conversations of {owner}")
    one = run.read(scope)
    return page([one], one.title)


def _write_file(path: Path, pieces: Iterable[str]) -> int:
    """Write a file beside the path, and move it there when it is complete. Gives its bytes."""
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


def _print_news(run: Run, news: News, unfolded: bool) -> None:
    if news.message is None:
        run.out.record({"status": news.status}, Shown(f"— {one_line(news.status or 'no status')}\n", "dim"))
        return
    data = {"number": news.number, "changed": news.changed, **news.message.to_dict()}
    mark = "  (changed)" if news.changed else ""
    run.out.record(data, *transcript.message(news.message, unfolded=unfolded, mark=mark))
