"""`list`, `rename`, `delete` and `delete-user`, on DynamoDB Local."""

from __future__ import annotations

import io
import uuid
from typing import TYPE_CHECKING

import pytest

from langgraph_dynamo_conv.cli.output import Exit
from tests.buckets import new_bucket
from tests.cli.chats import HOSTILE, chat, id_of
from tests.conftest import MakeSaver
from tests.factories import USER, noise, put

if TYPE_CHECKING:
    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.cli.conftest import Cli


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What the person types."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def titles(saver: DynamoDBConversationSaver, user: str = "alice") -> list[str]:
    return [one.title for one in saver.conversations.list(user)]


def test_a_list_shows_title_status_count_and_id_newest_first(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    first, second = chat(saver, "alice", "flats in Lisbon"), chat(saver, "alice", "boats", "ships")
    chat(saver, "bob", "secret")

    ended = cli("list", "alice")

    assert (ended.code, ended.err) == (0, "")
    head, *rows = ended.out.splitlines()
    assert head.split() == ["title", "status", "messages", "created", "conversation"]
    assert [row.split()[-1] for row in rows] == [id_of(second), id_of(first)]
    assert rows[0].split()[:3] == ["boats", "idle", "4"]


def test_a_list_as_json_is_that_of_the_api(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    chat(saver, "alice", "flats in Lisbon")
    page = saver.conversations.list("alice")

    assert cli("list", "alice", "--json").json == {
        "conversations": [page[0].to_dict()],
        "cursor": None,
    }


def test_a_list_goes_on_where_a_page_ended(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    made = [saver.conversations.create("alice", title=f"chat {number}").conversation_id for number in range(5)]

    first = cli("list", "alice", "--limit", "2", "--oldest-first", "--json").json
    options = ("--limit", "2", "--oldest-first", "--cursor", first["cursor"])
    second = cli("list", "alice", *options, "--json").json
    every = cli("list", "alice", "--limit", "2", "--all", "--oldest-first", "--json").json

    assert [one["conversation_id"] for one in first["conversations"] + second["conversations"]] == made[:4]
    assert [one["conversation_id"] for one in every["conversations"]] == made
    assert cli("list", "alice", *options).error.startswith("more: --cursor ")


def test_a_list_can_be_filtered_and_ordered(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    old = saver.conversations.create("alice", title="Flats")
    chat(saver, "alice", "boats")
    saver.conversations.add_message(old.conversation_id, "user", "hello", user_id="alice")

    assert cli("list", "alice", "--title", "flat", "--json").json["conversations"][0]["title"] == "Flats"
    assert cli("list", "alice", "--status", "waiting", "--json").json["conversations"] == []
    assert cli("list", "alice", "--after", "2999", "--json").json["conversations"] == []
    assert len(cli("list", "alice", "--before", "2999", "--json").json["conversations"]) == 2
    by_update = cli("list", "alice", "--order-by", "updated_at")
    assert "updated" in by_update.out
    assert by_update.out.splitlines()[1].startswith("Flats")


def test_a_table_that_is_missing_is_told_with_the_command_that_makes_it(cli: Cli) -> None:
    assert "created with `langgraph-dynamo-conv setup`" in cli("list", "alice", "--table", "no-such-table").error


def test_a_user_without_conversations_has_an_empty_list(cli: Cli) -> None:
    assert cli("list", "nobody", "--json").json == {"conversations": [], "cursor": None}

    ended = cli("list", "nobody")

    assert (ended.code, ended.out) == (0, "")
    assert ended.error == "no conversation of nobody: check the name, which is compared exactly, and --table"
    filtered = cli("list", "nobody", "--title", "x").error
    assert filtered == "no conversation of nobody passes these filters: leave out the filters to see all"


def test_hostile_titles_reach_the_terminal_written_out(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    saver.conversations.create("alice", title=HOSTILE)

    ended = cli("list", "alice")

    assert "[bold]x[/bold]" in ended.out
    assert r"\x1b]0;owned\x07\x1b[2J \x9b31m \u202etxt.exe \x00" in ended.out
    assert {char for char in ended.out if not char.isprintable()} == {"\n"}
    shown = cli("list", "alice", "--json")
    assert shown.json["conversations"][0]["title"] == saver.conversations.list("alice")[0].title
    assert {char for char in shown.out if not char.isprintable()} == {"\n"}


def test_a_wrong_page_size_or_cursor_is_a_wrong_argument(cli: Cli) -> None:
    assert cli("list", "alice", "--limit", "0").code == Exit.USAGE

    ended = cli("list", "alice", "--cursor", "nonsense")

    assert ended.code == Exit.USAGE
    assert ended.error.startswith("error: the cursor is broken")


def test_a_conversation_is_renamed(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    conversation = id_of(chat(saver, "alice", "flats in Lisbon"))

    ended = cli("rename", conversation, "Alfama [b]", "--user", "alice", "--json")

    assert ended.json == {"conversation_id": conversation, "user_id": "alice", "title": "Alfama [b]"}
    assert titles(saver) == ["Alfama [b]"]
    assert cli("rename", conversation, "Graça").out == "renamed: Graça\n"
    assert titles(saver) == ["Graça"]


def test_a_conversation_is_deleted_when_the_answer_is_yes(
    cli: Cli, saver: DynamoDBConversationSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = chat(saver, "alice", "flats in Lisbon")

    answer(monkeypatch, "y\n")
    ended = cli("delete", id_of(config), "--user", "alice")

    assert ended.code == 0
    assert "Delete “flats in Lisbon” of alice" in ended.err
    assert ended.out.startswith("deleted: ")
    assert titles(saver) == []
    assert saver.get_tuple(config) is None


@pytest.mark.parametrize("typed", ["n\n", "\n", ""], ids=["no", "nothing", "end of input"])
def test_nothing_is_deleted_without_a_yes(
    cli: Cli, saver: DynamoDBConversationSaver, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    conversation = id_of(chat(saver, "alice", "flats in Lisbon"))

    for command in (["delete", conversation], ["delete-user", "alice"], ["prune", conversation]):
        answer(monkeypatch, typed)
        ended = cli(*command)
        assert ended.code == Exit.FOUND
        assert "nothing was done" in ended.err

    assert titles(saver) == ["flats in Lisbon"]
    assert len(cli("history", conversation, "--json").json["checkpoints"]) > 1


def test_with_json_deleting_needs_yes(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    conversation = id_of(chat(saver, "alice", "flats in Lisbon"))

    refused = cli("delete", conversation, "--json")
    done = cli("delete", conversation, "--json", "--yes").json

    assert refused.code == Exit.USAGE
    assert "--yes" in refused.error
    assert done["conversation_id"] == conversation
    assert done["items"] > 1


def test_what_a_crash_left_without_its_row_can_be_deleted(
    cli: Cli, saver: DynamoDBConversationSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = chat(saver, "alice", "flats in Lisbon")
    table = saver._runtime.table
    table.client.delete_item(
        TableName=table.name, Key={"conversation_id": {"S": id_of(config)}, "user_id": {"S": "alice"}}
    )

    answer(monkeypatch, "y\n")
    ended = cli("delete", id_of(config), "--user", "alice")

    assert ended.code == 0
    assert f"Delete {id_of(config)} of alice" in ended.err
    assert saver.get_tuple(config) is None


def test_a_missing_conversation_is_an_error(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    conversation = id_of(chat(saver, "alice", "flats in Lisbon"))

    for command in (
        ["show", str(uuid.uuid4())],
        ["show", conversation, "--user", "bob"],
        ["rename", conversation, "mine", "--user", "bob"],
        ["delete", conversation, "--user", "bob", "--yes"],
        ["export", conversation, "--user", "bob"],
        ["state", conversation, "--user", "bob"],
    ):
        ended = cli(*command)
        assert ended.code == Exit.MISSING
        assert ended.out == ""
        assert ended.error.startswith("error: th")

    assert titles(saver) == ["flats in Lisbon"]


def test_a_conversation_of_several_users_needs_the_user(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    conversation = saver.conversations.create("alice", title="Hers").conversation_id
    saver.conversations.create("bob", title="His", conversation_id=conversation)

    ended = cli("show", conversation)

    assert ended.code == Exit.USAGE
    assert "say which with" in ended.error
    assert cli("show", conversation, "-u", "bob", "--json").json["title"] == "His"


def test_a_user_is_deleted_with_everything(
    cli: Cli, saver: DynamoDBConversationSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat(saver, "alice", "flats")
    chat(saver, "alice", "boats")
    chat(saver, "bob", "his own")

    answer(monkeypatch, "yes\n")
    ended = cli("delete-user", "alice", "--scan")

    assert "Delete 2 conversations of alice" in ended.err
    assert ended.out.startswith("deleted: 2 conversations, ")
    assert (titles(saver), titles(saver, "bob")) == ([], ["his own"])
    assert cli("delete-user", "alice", "--yes", "--json").json == {"user_id": "alice", "conversations": 0, "items": 0}


@pytest.mark.engine("moto")
def test_a_conversation_with_a_value_in_a_bucket_is_deleted_with_it(
    cli: Cli, make_saver: MakeSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_bucket() as bucket:
        saver = make_saver(s3_bucket=bucket.name, s3_prefix="chats", s3_client=bucket.client)
        put(saver, 1, {"document": noise(400_000)})

        without = cli("delete", "thread", "--user", USER, "--yes")
        assert (without.code, bucket.keys != []) == (Exit.USAGE, True)
        assert "give s3_bucket" in without.err
        monkeypatch.setenv("LANGGRAPH_DYNAMO_CONV_S3_BUCKET", bucket.name)
        assert cli("verify", "thread", "--user", USER, "--s3-prefix", "chats").code == 0
        assert cli("delete", "thread", "--user", USER, "--yes", "--s3-prefix", "chats").code == 0
        assert bucket.keys == []
