"""Commands about conversations: list, rename, delete, delete-user. What can't be undone is asked about first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import RenderableType

from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._rows.row import FAILED, RUNNING, WAITING
from langgraph_dynamo_conv._visible import one_line
from langgraph_dynamo_conv.cli.app import ConversationArgument, Run, UserOption, YesOption, command
from langgraph_dynamo_conv.cli.output import Entry, Shown, counted, moment, table_of
from langgraph_dynamo_conv.conversations import ConversationSummary, OrderBy, Status
from langgraph_dynamo_conv.errors import ConversationNotFoundError

_STYLES = {RUNNING: "cyan", WAITING: "yellow", FAILED: "red"}

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="The owner of the conversations.")]

_TABLE_WIDTH = 110
"""Columns of a terminal from which on a list is a table: what a title leaves for 30 characters of it."""

_OTHER_COLUMNS = 42
"""Characters that status, number and time of a conversation take in a table, with what parts the columns."""

_SHORTEST_TITLE = 20


@command("list", "alice", "alice --status waiting --all", "alice --order-by updated_at --limit 5 --json")
def list_conversations(
    run: Run,
    user: UserArgument,
    limit: Annotated[int, typer.Option(help="Conversations in a page, 1 to 1000.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on after a page: the cursor that it ended with.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Follow the cursor to the last page.")] = False,
    order_by: Annotated[
        OrderBy, typer.Option(help="By updated_at, the newest 2000 are read and sorted.")
    ] = "created_at",
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="List the oldest first.")] = False,
    status: Annotated[
        Status | None,
        typer.Option(metavar="STATUS", help="Only those with this status: running, idle, waiting or failed."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Only those with this in their title.")] = None,
    after: Annotated[str | None, typer.Option(help="Only those created after this time, such as 2026-11-01.")] = None,
    before: Annotated[str | None, typer.Option(help="Only those created before this time.")] = None,
) -> None:
    """List a user's conversations, newest first.

    Reads the index, which follows the table in less than a second.
    """
    summaries: list[ConversationSummary] = []
    while True:
        page = run.conversations.list(
            user,
            limit=limit,
            cursor=cursor,
            created_after=after,
            created_before=before,
            newest_first=not oldest_first,
            order_by=order_by,
            status=status,
            title_contains=title,
        )
        summaries += page
        cursor = page.cursor
        if cursor is None or not every:
            break
    parts = _listed(summaries, order_by, run.out.console.width) if summaries else []
    run.out.result({"conversations": [one.to_dict() for one in summaries], "cursor": cursor}, *parts)
    if not summaries:
        filters = any((status, title, after, before, cursor))
        remedy = (
            "leave out the filters to see all" if filters else "check the name, which is compared exactly, and --table"
        )
        run.out.note(f"no conversation of {user}{' passes these filters' * filters}: {remedy}")
    if cursor is not None:
        run.out.note(f"more: --cursor {cursor}")


@command("rename", "CONVERSATION 'Flat in Lisbon' --user alice")
def rename(
    run: Run,
    conversation: ConversationArgument,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="The new title.")],
    user: UserOption = None,
) -> None:
    """Give a conversation another title.

    Later messages do not change it.
    """
    scope = run.scope(conversation, user)
    run.conversations.rename(scope.thread_id, scope.user_id, title)
    data = {"conversation_id": scope.thread_id, "user_id": scope.user_id, "title": title}
    run.out.result(data, f"renamed: {one_line(title)}")


@command("delete", "CONVERSATION --user alice", "CONVERSATION --user alice --yes")
def delete(
    run: Run,
    conversation: ConversationArgument,
    user: UserOption = None,
    yes: YesOption = False,
) -> None:
    """Delete a conversation. It can't be undone.

    Its state, task writes, messages and row go. Asks first. Can be repeated if it was interrupted.
    """
    scope = run.scope(conversation, user)
    run.confirm(f"Delete {_named(run, scope)}, with its messages and all of its state?", yes=yes)
    items = run.conversations.delete(scope.thread_id, scope.user_id)
    if not items:
        raise run.runtime.directory.not_found(scope)
    data = {"conversation_id": scope.thread_id, "user_id": scope.user_id, "items": items}
    run.out.result(data, f"deleted: {counted(items, 'item')}")


@command("delete-user", "alice", "alice --scan --yes --json")
def delete_user(
    run: Run,
    user: UserArgument,
    scan: Annotated[
        bool, typer.Option("--scan", help="Also look through the whole table for what no index entry leads to.")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Delete everything of a person. It can't be undone.

    Asks first. Can be repeated if it was interrupted.
    """
    count = run.conversations.count(user)
    run.confirm(f"Delete {counted(count, 'conversation')} of {user}, with all of their state?", yes=yes)
    removed = run.conversations.delete_user(user, scan=scan)
    summary = f"deleted: {counted(removed.conversations, 'conversation')}, {counted(removed.items, 'item')}"
    run.out.result({"user_id": user, **asdict(removed)}, summary)


def _listed(summaries: Sequence[ConversationSummary], order_by: OrderBy, width: int) -> list[RenderableType]:
    """A table where the terminal is wide enough for titles beside ids; else two lines for each conversation."""
    if width < _TABLE_WIDTH:
        return [_entry(one, order_by) for one in summaries]
    longest_id = max(len(one_line(one.conversation_id)) for one in summaries)
    time = order_by.removesuffix("_at")
    columns = ("title", "status", ">messages", time, "conversation")
    rows = [
        (
            _cut(one.title, width - _OTHER_COLUMNS - longest_id),
            _status(one),
            str(one.message_count),
            moment(getattr(one, order_by), 16),
            one.conversation_id,
        )
        for one in summaries
    ]
    return [table_of(columns, rows, whole=("status", time, "conversation"))]


def _cut(title: str, width: int) -> Shown:
    cut = Shown(one_line(title))
    cut.truncate(max(width, _SHORTEST_TITLE), overflow="ellipsis")
    return cut


def _entry(one: ConversationSummary, order_by: OrderBy) -> Entry:
    details = Shown.assemble(
        _status(one),
        f"  {counted(one.message_count, 'message')}  {moment(getattr(one, order_by), 16)}  ",
        (one_line(one.conversation_id), "dim"),
    )
    return Entry(Shown(one_line(one.title), "bold"), details)


def _status(one: ConversationSummary) -> Shown:
    return Shown(one_line(one.status or "-"), _STYLES.get(one.status or "", ""))


def _named(run: Run, scope: Scope) -> str:
    """A conversation in a question: its title, or its id if a crash left it without its row."""
    try:
        title = run.read(scope, limit=0).title
    except ConversationNotFoundError:
        return f"{scope.thread_id} of {scope.user_id}"
    return f"“{title}” of {scope.user_id}"
