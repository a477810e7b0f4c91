"""Conversations as text: JSON lines, one JSON array, or Markdown; streamed, a conversation at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from langgraph_dynamo_conv.conversations._records import Conversation, Message

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
            yield from _markdown(conversation)


def _json(conversation: Conversation) -> str:
    return json.dumps(conversation.to_dict(), ensure_ascii=False)


def _markdown(conversation: Conversation) -> Iterator[str]:
    title = " ".join(conversation.title.split())
    yield f"# {title}\n\n"
    yield f"{conversation.conversation_id} · {conversation.created_at} · {conversation.message_count} messages\n\n"
    for message in conversation.messages:
        yield f"**{message.role}** · {message.timestamp}\n\n"
        yield from _markdown_calls(message)
        if message.content:
            yield f"{message.content}\n\n"


def _markdown_calls(message: Message) -> Iterator[str]:
    for call in message.tool_calls:
        args = json.dumps(call.args, ensure_ascii=False)
        yield f"> `{call.tool}({args})`" + (" failed" if call.status == "error" else "") + "\n"
        if call.pending:
            yield ">\n> (no result yet)\n\n"
            continue
        result = call.result if isinstance(call.result, str) else json.dumps(call.result, ensure_ascii=False, indent=1)
        yield ">\n" + "".join(f"> {line}\n" for line in result.splitlines() or [""]) + "\n"
