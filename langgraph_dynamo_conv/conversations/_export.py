"""Conversations as text: JSON lines, one JSON array, or Markdown; streamed, a conversation at a time.

The rule: nothing that the table holds reaches a terminal raw, in whatever format. JSON parses back to what was stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from langgraph_dynamo_conv._visible import escaped
from langgraph_dynamo_conv.conversations._markdown import markdown
from langgraph_dynamo_conv.conversations._records import Conversation

FORMATS = ("jsonl", "json", "markdown")


def export(conversations: Iterable[Conversation], format: str) -> Iterator[str]:
    """Pieces of the text. `format` is one of `FORMATS`."""
    if format == "jsonl":
        for conversation in conversations:
            yield _json(conversation) + "\n"
    elif format == "json":
        before = "["
        for conversation in conversations:
            yield before + "\n" + _json(conversation)
            before = ","
        yield "[]\n" if before == "[" else "\n]\n"
    else:
        for conversation in conversations:
            yield from markdown(conversation)


def _json(conversation: Conversation) -> str:
    return escaped(json.dumps(conversation.to_dict(), ensure_ascii=False))
