"""Hostile text in every field that is stored reaches no terminal, page, document, error or log raw."""

from __future__ import annotations

import ast
import io
import logging
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

import langgraph_dynamo_conv
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv.cli import app_of
from langgraph_dynamo_conv.cli.aws import client_of
from langgraph_dynamo_conv.conversations._export import FORMATS
from langgraph_dynamo_conv.errors import DynamoConvError
from tests.cli.chats import chat, id_of, say
from tests.cli.hostile import (
    HOSTILE,
    MARK,
    QUIET,
    check,
    check_markdown,
    check_terminal,
    foreign_row,
    items_of_others,
    put_state,
    texts_in,
    variants,
)
from tests.cli.test_transcripts import waiting
from tests.factories import items_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.cli.conftest import Cli

READING = [
    ["show", "{id}"],
    ["show", "{id}", "--tools"],
    ["show", "{id}", "--json"],
    ["history", "{id}"],
    ["history", "{id}", "--json"],
    ["state", "{id}"],
    ["state", "{id}", "--json"],
    ["verify", "{id}"],
    ["verify", "{id}", "--json"],
    ["stats", "{id}"],
    *(["export", "{id}", "--format", name] for name in (*FORMATS, "html")),
]
"""Commands that read one conversation."""

OF_ROWS = [command for command in READING if command[0] in ("show", "verify") or "html" in command]
"""Those that read a row; its other exports are the API's."""

OF_ITEMS = [command for command in READING if command[0] in ("state", "history", "verify") and "--json" not in command]
"""Those that read other items, each attribute in its place."""

COMMANDS = [
    *READING,
    ["list", "{user}"],
    ["list", "{user}", "--json"],
    ["list", "{user}", "--status", HOSTILE],
    ["list", "{user}", "--cursor", HOSTILE],
    ["list", HOSTILE],
    ["rename", "{id}", HOSTILE],
    ["rename", "{id}", HOSTILE, "--json"],
    ["state", "{id}", "--channel", HOSTILE],
    ["state", "{id}", "--channel", HOSTILE, "--json"],
    ["state", "{id}", "--checkpoint", HOSTILE],
    ["state", "{id}", "--ns", HOSTILE],
    ["show", HOSTILE],
    ["export", "--user", "{user}", "--format", "html"],
    ["export", "--user", HOSTILE, "--format", "html"],
    ["stats"],
    ["stats", "--json"],
    ["doctor"],
    ["doctor", "--json"],
    ["doctor", "--table", HOSTILE],
    ["setup"],
    ["setup", "--tag", HOSTILE],
    ["iam-policy", "--account", "123456789012", "--s3-bucket", "b", "--s3-prefix", QUIET],
    ["cloudformation", "--tag", f"{HOSTILE}={HOSTILE}"],
    ["cloudformation", "--tag", f"{HOSTILE}={HOSTILE}", "--json"],
    ["terraform", "--tag", f"{HOSTILE}={HOSTILE}"],
    ["terraform", "--tag", f"{HOSTILE}={HOSTILE}", "--json"],
    ["estimate", "--turns", "10", "--price", HOSTILE],
    ["migrate", "--from", "tests.cli.hostile:foreign_saver", "--user-from-metadata", "owner"],
    ["migrate", "--from", "tests.cli.hostile:foreign_saver", "--user-from-metadata", "owner", "--json"],
    ["migrate", "--from", "tests.cli.hostile:foreign_saver", "--user", "alice", "--dry-run"],
    ["migrate", "--from", "tests.cli.hostile:quiet_saver", "--user", QUIET],
    ["migrate", "--from", "tests.cli.hostile:quiet_saver", "--user", QUIET, "--json"],
    ["migrate", "--from", HOSTILE, "--user", "alice"],
    ["restore-conversation", "{id}", "--from-table", HOSTILE],
    ["restore-objects", "--s3-bucket", HOSTILE],
    ["rekey-user", "{user}", HOSTILE, "--yes"],
    ["rekey-user", "{user}", f"{QUIET}2", "--dry-run"],
    ["rekey-user", "{user}", f"{QUIET}2"],
    ["rekey-user", "{user}", f"{QUIET}2", "--dry-run", "--json"],
    ["prune", "{id}", "--yes"],
    ["prune", "{id}", "--yes", "--json"],
    ["delete", "{id}"],
    ["delete", "{id}", "--yes", "--json"],
    ["delete-user", "{user}"],
    ["delete-user", "{user}", "--yes"],
]
"""All commands, those that delete last."""


@pytest.fixture(scope="module")
def command_line() -> Any:
    """All commands, made once."""
    return typer.main.get_command(app_of())


@pytest.fixture(autouse=True)
def short_work(monkeypatch: pytest.MonkeyPatch, command_line: Any) -> None:
    """What takes longer than most commands, is made once for all of them; and nobody answers a question."""
    monkeypatch.setattr("langgraph_dynamo_conv.cli.app_of", lambda *_: command_line)
    monkeypatch.setattr("langgraph_dynamo_conv.cli.app.client_of", cache(client_of))
    monkeypatch.setattr("sys.stdin", io.StringIO())


@pytest.fixture(params=["a pipe", "colours"])
def printing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Cli:
    """The command line, also with the colours of a terminal."""
    if request.param == "colours":
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm-256color")
    return cli


def filled(arguments: list[str], conversation_id: str, user_id: str) -> list[str]:
    whose = ["--user", user_id] if "{id}" in arguments else []
    names = {"{id}": conversation_id, "{user}": user_id}
    return [*(names.get(one, one) for one in arguments), *whose]


def rows_of(saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str) -> Iterator[dict[str, Any]]:
    """Rows with all that a row has: tool calls that failed or wait, what is asked, and another program's."""
    for config in (chat(saver, "alice", "fail"), waiting(saver)):
        key = Scope(id_of(config), "alice").row()
        stored = {"conversation_id": {"S": key.pk}, "user_id": {"S": key.sk}}
        yield dict(client.get_item(TableName=table_name, Key=stored)["Item"])
    yield foreign_row()


def test_every_command_is_given_hostile_text() -> None:
    assert {command[0] for command in COMMANDS} == {one.name for one in app_of().registered_commands}


def test_no_command_prints_anything_raw_of_a_conversation_that_is_hostile_throughout(
    printing: Cli, saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
) -> None:
    config = chat(saver, QUIET, HOSTILE)
    say(saver, config, "fail")
    call = {"tool": HOSTILE, "args": {HOSTILE: {HOSTILE: HOSTILE}}, "result": {HOSTILE: HOSTILE}, "id": HOSTILE}
    saver.conversations.add_message(id_of(config), "assistant", HOSTILE, user_id=QUIET, tool_calls=[call])
    saver.conversations.rename(id_of(config), QUIET, HOSTILE)
    put_state(saver, config, ns=HOSTILE)
    for user_id in [HOSTILE.replace("#", "")] * 12:
        row = {"conversation_id": str(uuid.uuid4()), "user_id": user_id, "created_at": HOSTILE, "title": HOSTILE}
        client.put_item(TableName=table_name, Item={name: {"S": text} for name, text in row.items()})
    of_state = saver.new_conversation(QUIET)
    put_state(saver, of_state)
    with_mark: set[str] = set()

    for one, commands in ((of_state, READING), (config, COMMANDS)):
        for command in commands:
            arguments = filled(command, id_of(one), QUIET)
            ended = printing(*arguments)
            check(ended, arguments)
            if MARK in ended.out + ended.err:
                with_mark.add(command[0])
            if command == ["show" if one is config else "state", "{id}", "--json"]:
                assert HOSTILE in set(texts_in(ended.json))

    assert {command[0] for command in COMMANDS} - with_mark == {"setup", "stats", "verify"}


def test_no_output_has_anything_raw_of_a_row_with_hostile_text_in_any_one_field(
    cli: Cli,
    saver: DynamoDBConversationSaver,
    client: DynamoDBClient,
    table_name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "langgraph_dynamo_conv")
    shown: set[str] = set()
    for row in list(rows_of(saver, client, table_name)):
        for path, item in variants(row):
            client.put_item(TableName=table_name, Item=item)
            conversation_id = item["conversation_id"]["S"]
            for command in OF_ROWS:
                ended = cli(*filled(command, conversation_id, "alice"))
                check(ended, command)
                if MARK in ended.out:
                    shown.add(path[-2])
            check_terminal("".join(said_of(saver, conversation_id)))
    check(cli("list", "alice", "--all"), [])

    assert shown >= {"title", "content", "tool", "timestamp", "result", "id", "value", "query", "text"}
    for record in caplog.records:
        if record.name == "langgraph_dynamo_conv":
            check_terminal(record.getMessage())
            assert "\n" not in record.getMessage()


def said_of(saver: DynamoDBConversationSaver, conversation_id: str) -> Iterator[str]:
    """What the API says of a conversation: its errors, and its exports."""
    config: Any = {"configurable": {"thread_id": conversation_id, "user_id": "alice"}}
    calls = [
        lambda: saver.conversations.get(conversation_id, "alice"),
        lambda: saver.conversations.list("alice"),
        lambda: saver.get_tuple(config),
        lambda: say(saver, config, "And now?"),
        lambda: saver.conversations.rename(conversation_id, "alice", "Other"),
    ]
    for call in calls:
        try:
            call()
        except (DynamoConvError, ValueError) as error:
            yield str(error).replace("\n", "\r")  # it is one line
    for name in FORMATS:
        try:
            text = "".join(saver.conversations.export("alice", conversation_id, format=name))
        except DynamoConvError as error:
            yield str(error)
        else:
            yield text
            if name == "markdown":
                check_markdown(text)


def test_no_output_has_anything_raw_of_an_item_with_hostile_text_in_any_attribute_or_key(
    cli: Cli, saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
) -> None:
    config = chat(saver, "alice", "flats")
    saver.put_writes(saver.get_tuple(config).config, [("messages", "x")], "task")  # type: ignore[union-attr]
    items = [item for item in items_of(client, table_name) if "#" in item["user_id"]["S"]]
    kinds = {}
    for item in items:
        kinds.setdefault(item["user_id"]["S"].split("#")[1], item)
    for item in kinds.values():
        for _, changed in variants(item):
            client.put_item(TableName=table_name, Item={**changed, "conversation_id": item["conversation_id"]})
            for command in OF_ITEMS:
                check(cli(*filled(command, id_of(config), "alice")), command)
        client.put_item(TableName=table_name, Item=item)
    for user_id in ("alice", HOSTILE.replace("#", "")):
        others = list(items_of_others(user_id))
        for other in others:
            client.put_item(TableName=table_name, Item=other)
        for command in OF_ITEMS:
            arguments = filled(command, others[0]["conversation_id"]["S"], user_id)
            check(cli(*arguments), command)
            check(cli(*arguments[:-2]), command)
    check(cli("stats"), [])


def test_text_for_a_terminal_is_made_and_written_in_one_module() -> None:
    """Who makes rich's texts or writes to a stream could forget to make them visible."""
    package = Path(langgraph_dynamo_conv.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_text = isinstance(node, ast.ImportFrom) and node.module == "rich.text"
            is_print = isinstance(node, ast.Name) and node.id == "print"
            is_write = isinstance(node, ast.Attribute) and ast.unparse(node) in {"sys.stdout.write", "sys.stderr.write"}
            if is_text or is_print or is_write or (isinstance(node, ast.Attribute) and node.attr == "from_markup"):
                found.add(path.relative_to(package).as_posix())

    assert found == {"cli/output.py", "__main__.py"}
