"""`docs/transcripts.md` says what becomes of each kind of conversation. Here each is played, to hold it to that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from langgraph_dynamo_conv.conversations import Conversation, Message
from tests.conftest import MakeSaver
from tests.integration.transcript_cases import CASES

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "transcripts.md"


def described(conversation: Conversation) -> str:
    """A conversation in a cell of the document's table."""
    lines = [line for message in conversation.messages for line in _lines(message)] or ["(no messages)"]
    return (
        "<br>".join([*lines, f"*{conversation.status}, title: {conversation.title}*"])
        .replace("\n", "<br>")
        .replace("|", "\\|")
    )


def _lines(message: Message) -> list[str]:
    calls = []
    for call in message.tool_calls:
        result = "pending" if call.pending else json.dumps(call.result, sort_keys=True)
        failed = ", status error" if call.status else ""
        calls.append(f"&nbsp;&nbsp;`{call.tool}` {json.dumps(call.args, sort_keys=True)} → {result}{failed}")
    return [f"**{message.role}** {message.content or '(empty)'}", *calls]


@pytest.mark.parametrize("title", CASES)
def test_the_document_says_what_becomes_of(title: str, make_saver: MakeSaver) -> None:
    saver = make_saver()
    config = saver.new_conversation("alice")
    CASES[title](saver, config)
    conversation = saver.conversations.get(config["configurable"]["thread_id"], "alice")
    assert saver.conversations.list("alice")[0].message_count == len(conversation.messages)
    assert f"| {title} | {described(conversation)} |" in DOCUMENT.read_text().splitlines()
