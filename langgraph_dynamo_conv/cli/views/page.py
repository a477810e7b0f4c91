"""Conversations as one HTML page that needs nothing else: no script, no font, no image, no other host.

Everything that the table holds is escaped by the template; the page's own policy forbids scripts and requests as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from langgraph_dynamo_conv.cli.views.rendering import template
from langgraph_dynamo_conv.conversations import Conversation


def page(conversations: Iterable[Conversation], title: str) -> Iterator[str]:
    """Pieces of the page; one conversation in memory at a time."""
    return template("conversations.html").generate(conversations=conversations, title=title)
