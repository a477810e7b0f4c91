"""Commands about conversations: list, show, rename, delete, export."""

from __future__ import annotations

from typing import Annotated

import typer

from langgraph_dynamo_conv.cli._context import Run, command
from langgraph_dynamo_conv.cli._output import table_of


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    command(app, "list", examples=["alice", "alice --limit 5 --order-by updated_at", "alice --status waiting"])(
        list_conversations
    )


def list_conversations(
    run: Run,
    user: Annotated[str, typer.Argument(help="The owner of the conversations.")],
    limit: Annotated[int, typer.Option(help="Conversations in a page, 1 to 1000.")] = 20,
) -> None:
    """List a user's conversations, newest first."""
    page = run.conversations.list(user, limit=limit)
    rows = [[one.title, one.conversation_id, one.created_at, str(one.message_count)] for one in page]
    table = table_of(["title", "conversation", "created", ">messages"], rows, whole=("conversation", "created"))
    run.out.result({"conversations": [one.to_dict() for one in page], "cursor": page.cursor}, table)
