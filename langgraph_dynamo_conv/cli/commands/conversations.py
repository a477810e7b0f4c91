"""Commands about conversations: list, rename, delete, delete-user. What can't be undone is asked about first."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._rows.row import FAILED, RUNNING, WAITING, Status
from langgraph_dynamo_conv._visible import one_line
from langgraph_dynamo_conv.cli.app import ConversationArgument, Run, UserOption, YesOption, command
from langgraph_dynamo_conv.cli.output import Shown, counted, moment, table_of
from langgraph_dynamo_conv.conversations import ConversationSummary
from langgraph_dynamo_conv.errors import ConversationNotFoundError

_STYLES = {RUNNING: "cyan", WAITING: "yellow", FAILED: "red"}

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="The owner of the conversations.")]

OrderBy = Literal["created_at", "updated_at"]


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
    status: Annotated[Status | None, typer.Option(help="Only those with this status.")] = None,
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
    columns = ["title", "status", ">messages", order_by.removesuffix("_at"), "conversation"]
    rows = [_cells(one, order_by) for one in summaries]
    tables = [table_of(columns, rows, whole=("status", columns[3], "conversation"))] if rows else []
    run.out.result({"conversations": [one.to_dict() for one in summaries], "cursor": cursor}, *tables)
    if not summaries:
        run.out.note(f"{user} has no such conversation")
    if cursor is not None:
        run.out.note(f"more: --cursor {cursor}")


@command("rename", "CONVERSATION 'Flat in Lisbon' --user alice")
def rename(
    run: Run,
    conversation: ConversationArgument,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="The new title.")],
    user: UserOption = None,
) -> None:
    """Give a conversation another title, which later messages do not change."""
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
    """Delete a conversation: its state, task writes, messages and row. It can't be undone.

    Asks first. Can be repeated if it was interrupted.
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


def _cells(one: ConversationSummary, order_by: OrderBy) -> list[str | Shown]:
    status = Shown(one_line(one.status or ""), _STYLES.get(one.status or "", ""))
    return [one.title, status, str(one.message_count), moment(getattr(one, order_by), 16), one.conversation_id]


def _named(run: Run, scope: Scope) -> str:
    """A conversation in a question: its title, or its id if a crash left it without its row."""
    try:
        title = run.read(scope, limit=0).title
    except ConversationNotFoundError:
        return f"{scope.thread_id} of {scope.user_id}"
    return f"“{title}” of {scope.user_id}"
