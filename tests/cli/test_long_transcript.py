"""A conversation of 40 turns with edits and a fork: the row with its pages, `get` and the command line agree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import BaseMessage

from tests.integration.transcripts import TableReader
from tests.played_turns import ReferenceChat

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.cli.conftest import Cli

pytestmark = pytest.mark.engine("dynamodb-local")

Shown = list[tuple[str, str, list[Any]]]


def said(messages: list[BaseMessage]) -> Shown:
    """What the state has: who said what, with the results of the calls before it."""
    shown: Shown = []
    results: list[Any] = []
    for message in messages:
        if message.type == "tool":
            results.append(message.content)
        elif message.content:
            shown.append(({"human": "user", "ai": "assistant"}[message.type], str(message.content), results))
            results = []
    return shown


def of(messages: list[dict[str, Any]]) -> Shown:
    """The same of messages as they are stored and given."""
    return [(one["role"], one["content"], [call["result"] for call in one.get("tool_calls", [])]) for one in messages]


def edit(chat: ReferenceChat, place: int, text: str) -> None:
    old = chat.graph.get_state(chat.config).values["messages"][place]
    chat.graph.update_state(chat.config, {"messages": [old.model_copy(update={"content": text})]})


def test_the_row_and_get_and_the_command_line_agree_after_edits_and_a_fork(
    cli: Cli, saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
) -> None:
    chat, table = ReferenceChat(saver, client), TableReader(client, table_name)
    chat.play(34)
    edit(chat, 0, "another first question")
    edit(chat, 4 * 20 + 3, "another answer in the middle")
    end_of_turn_30 = next(
        state for state in chat.graph.get_state_history(chat.config) if len(state.values["messages"]) == 120
    )
    chat.config, newest = end_of_turn_30.config, chat.config
    chat.play(1)
    chat.config = newest
    chat.play(9)
    edit(chat, 4 * 35, "another question after the fork")
    thread_id = newest["configurable"]["thread_id"]

    told = said(chat.graph.get_state(newest).values["messages"])
    got = saver.conversations.get(thread_id, "alice")
    shown = cli("show", thread_id, "--user", "alice", "--json").json
    (exported,) = map(json.loads, cli("export", thread_id, "--user", "alice").out.splitlines())
    printed = cli("show", thread_id, "--user", "alice").out

    assert len(told) == 80
    assert got.title == shown["title"] == table.row(newest)["title"]
    assert of(table.messages(newest)) == told
    assert of([message.to_dict() for message in got.messages]) == told
    assert of(shown["messages"]) == of(exported["messages"]) == told
    flat, at = " ".join(printed.split()), 0
    for _, text, _ in told:
        at = flat.index(" ".join(text.split())[:60], at) + 1
