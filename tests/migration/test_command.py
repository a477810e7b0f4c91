"""The command `migrate` through the real entry point."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from tests.cli.conftest import Cli, cli, terminal
from tests.conftest import MakeSaver
from tests.factories import items_of
from tests.migration.conftest import MakeSource
from tests.migration.threads import KINDS, played, snapshots, source_config, target_config, thread_id_of, user_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["cli", "terminal"]

SHORT = [KINDS["fork"], KINDS["interrupt"]]
FORKED, THREADS = 14, 3


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A file of `SqliteSaver` with three threads."""
    path = tmp_path / "chat.db"
    with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        played(SqliteSaver(connection), SHORT, THREADS)
    return path


def test_a_dry_run_then_the_copy_then_nothing_more_to_do(
    cli: Cli, database: Path, client: DynamoDBClient, table_name: str, make_saver: MakeSaver
) -> None:
    arguments = ("migrate", "--from", f"sqlite:{database}", "--user-from-metadata", "owner")
    before = database.read_bytes()

    checked = cli(*arguments, "--dry-run")
    assert (checked.code, items_of(client, table_name)) == (0, [])
    assert {"checked", "3"} <= set(checked.out.split())
    copied = cli(*arguments, "--json")
    again = cli(*arguments)

    assert copied.code == again.code == 0
    assert [(one["thread_id"], one["user_id"], one["outcome"]) for one in copied.lines] == [
        (thread_id_of(number), user_of(number), "copied") for number in range(THREADS)
    ]
    assert "equal" in again.out
    assert "stored now" in again.out
    assert database.read_bytes() == before
    with closing(sqlite3.connect(database, check_same_thread=False)) as connection:
        for number in range(THREADS):
            kind = SHORT[number % 2]
            old = snapshots(kind.build(SqliteSaver(connection)), source_config(number))
            assert snapshots(kind.build(make_saver()), target_config(number)) == old


@pytest.mark.parametrize(
    ("origin", "name"), [("aws", "langgraph-checkpoint-aws"), ("dynamodb", "langgraph-dynamodb-checkpoint")]
)
def test_the_savers_on_dynamodb_are_named_by_their_tables(
    cli: Cli, make_source: MakeSource, origin: str, name: str, tmp_path: Path
) -> None:
    source: Any = make_source(origin)
    played(source, SHORT, 2)
    table = source.table_name if origin == "aws" else source.table.name
    users = tmp_path / "users.csv"
    users.write_text(f"thread_id,user_id\n{thread_id_of(0)},alice\n")

    refused = cli("migrate", "--from", f"{name}:{table}", "--user-map", str(users))
    copied = cli("migrate", "--from", f"{name}:{table}", "--user-map", str(users), "--skip-unmapped", "--json")

    assert refused.code == 2
    assert f"{thread_id_of(1)}: no user" in refused.error
    assert [(one["user_id"], one["outcome"]) for one in copied.lines] == [("alice", "copied")]


@pytest.mark.parametrize("kind", ["saver", "make", "opened", "Held.saver"])
def test_any_saver_is_named_by_module_and_object(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "my_checkpoints.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_checkpoints", raising=False)

    ended = cli("migrate", "--from", f"my_checkpoints:{kind}", "--user", "alice", "--json")

    assert [(one["thread_id"], one["outcome"]) for one in ended.lines] == [("one", "copied")]


MODULE = """
from contextlib import contextmanager
from langgraph.checkpoint.memory import InMemorySaver
from tests.factories import config, put

saver = InMemorySaver()
put(saver, 1, {"a": 1}, at=config("one", user_id=None))

def make():
    return saver

@contextmanager
def opened():
    yield saver

class Held:
    saver = saver

nothing = 1
"""


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--from", "sqlite:none.db", "--user", "alice"), "no file none.db"),
        (("--from", "sqlite:{tmp}/empty.db", "--user", "alice"), "no tables of langgraph-checkpoint-sqlite"),
        (("--from", "sqlite:{tmp}/text.db", "--user", "alice"), "can't be read"),
        (("--from", "somewhere", "--user", "alice"), "a source is one of"),
        (("--from", "no_such_module:saver", "--user", "alice"), "can't be imported"),
        (("--from", "json:loads", "--user", "alice"), "called without arguments"),
        (("--from", "json:JSONDecoder", "--user", "alice"), "got a JSONDecoder"),
        (("--from", "langgraph-checkpoint-aws:none", "--user", "alice"), "no table 'none' to read"),
        (("--from", "langgraph-dynamodb-checkpoint:none", "--user", "alice"), "no table 'none' to read"),
        (
            (
                "--from",
                "sqlite:x",
            ),
            "say whose the threads are",
        ),
        (("--from", "sqlite:x", "--user", "a", "--user-map", "b"), "say whose the threads are"),
        (("--from", "sqlite:x", "--user-map", "none.csv"), "can't be read"),
        (("--from", "sqlite:x", "--user", "a", "--threads-file", "none.txt"), "--threads-file can't be read"),
    ],
)
def test_a_wrong_source_is_told_in_one_line(cli: Cli, tmp_path: Path, arguments: tuple[str, ...], error: str) -> None:
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("this is no database, but a text of some length " * 10)

    ended = cli("migrate", *(argument.replace("{tmp}", str(tmp_path)) for argument in arguments))

    assert ended.code in {2, 7}
    assert error in ended.error


def test_a_thread_that_fails_is_told_and_ends_the_command_with_1(
    cli: Cli, database: Path, make_saver: MakeSaver, tmp_path: Path
) -> None:
    some = tmp_path / "some.txt"
    some.write_text(f"{thread_id_of(0)}\n")
    arguments = ("migrate", "--from", f"sqlite:{database}", "--user", "alice", "--threads-file", str(some))
    assert cli(*arguments).code == 0
    put_more(make_saver(default_user_id="alice"))
    with closing(sqlite3.connect(database, check_same_thread=False)) as connection:
        put_more(SqliteSaver(connection))

    ended = cli(*arguments)

    assert ended.code == 1
    assert f"✗ {thread_id_of(0)} (alice): it has gone on in both" in ended.out


def put_more(saver: Any) -> None:
    SHORT[0].build(saver).invoke({"messages": [("user", "more")]}, source_config(0))
