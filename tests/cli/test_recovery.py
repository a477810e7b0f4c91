"""`rekey-user`, `restore-conversation` and `restore-objects`."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._history.rekeying import Rekeying
from langgraph_dynamo_conv._history.restoring import put_new
from langgraph_dynamo_conv.cli.commands.recovery import rekey_user, restore_conversation, restore_objects
from langgraph_dynamo_conv.cli.options import SharedOptions
from langgraph_dynamo_conv.cli.output import Exit
from langgraph_dynamo_conv.errors import AccessDeniedError, ConflictError
from tests.buckets import TestBucket, Wire, new_bucket, s3_refusal
from tests.cli.chats import chat, id_of, say
from tests.cli.runs import RunWith
from tests.engines import create_table
from tests.factories import config, items_of, noise, put, read
from tests.reference_chat import Prose, chat_graph, user_message
from tests.requests_log import WRITES, RequestLog
from tests.store.test_rekeying import rekeying_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.cli.conftest import Cli
    from tests.conftest import MakeSaver, Report

KEY = b"k" * 32


def sealing() -> EncryptedSerializer:
    """The serializer that `--serde` names."""
    return EncryptedSerializer.from_pycryptodome_aes(key=KEY)


SERDE = ("--serde", f"{__name__}:sealing")


def dumped(client: DynamoDBClient, table_name: str) -> list[Any]:
    return sorted(items_of(client, table_name), key=lambda one: (one["conversation_id"]["S"], one["user_id"]["S"]))


class TestRekeying:
    def test_a_dry_run_checks_all_conversations_and_changes_nothing(
        self, cli: Cli, saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
    ) -> None:
        chat(saver, "old", "flats in Lisbon")
        chat(saver, "old", "boats")
        before = dumped(client, table_name)

        ended = cli("rekey-user", "old", "new", "--dry-run")

        assert (ended.code, ended.err, ended.out) == (0, "", "conversations: 2 checked, 0 over, 0 failed\n")
        assert dumped(client, table_name) == before

    def test_all_conversations_keep_ids_times_order_and_status(
        self, cli: Cli, saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
    ) -> None:
        for texts in (["flats in Lisbon"], ["boats", "ships"], ["fail"]):
            chat(saver, "old", *texts)
        chat(saver, "other", "secret")
        before = [one.to_dict() for one in saver.conversations.list("old")]

        ended = cli("rekey-user", "old", "new", "--yes", "--json")

        assert ended.code == 0
        assert [one["outcome"] for one in ended.lines] == ["moved"] * 3
        assert [one.to_dict() for one in saver.conversations.list("new")] == [
            {**one, "user_id": "new"} for one in before
        ]
        assert {one["user_id"]["S"].split("#")[0] for one in items_of(client, table_name)} == {"new", "other"}

    @pytest.mark.parametrize("mode", ["--dry-run", "--yes"])
    def test_a_user_without_conversations_is_told_so(
        self, cli: Cli, saver: DynamoDBConversationSaver, mode: str
    ) -> None:
        chat(saver, "old", "boats")

        ended = cli("rekey-user", "odl", "new", mode)

        assert (ended.code, ended.out) == (Exit.MISSING, "")
        assert ended.error.startswith("error: odl has no conversation: check the id, which is compared exactly")

    def test_it_asks_first(self, cli: Cli, saver: DynamoDBConversationSaver, monkeypatch: pytest.MonkeyPatch) -> None:
        chat(saver, "old", "boats")
        monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))

        ended = cli("rekey-user", "old", "new")

        assert (ended.code, ended.out) == (Exit.FOUND, "")
        assert ended.err.startswith("Give 1 conversation of old to new? [y/N]")
        assert saver.conversations.count("old") == 1

    def test_a_conversation_that_runs_is_left_unless_it_is_forced(
        self, cli: Cli, saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
    ) -> None:
        put(saver, 1, {"messages": [("user", "hi")]}, at=config(user_id="old"))
        client.update_item(
            TableName=table_name,
            Key={"conversation_id": {"S": "thread"}, "user_id": {"S": "old"}},
            UpdateExpression="SET #status = :running",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":running": {"S": "running"}},
        )

        ended = cli("rekey-user", "old", "new", "--yes")
        assert ended.code == Exit.FOUND
        assert "✗ thread: its status is running: wait, or give --force" in ended.out
        assert saver.conversations.count("old") == 1

        assert cli("rekey-user", "old", "new", "--yes", "--force").code == 0
        assert saver.conversations.get("thread", "new").status == "running"

    def test_one_that_fails_does_not_hinder_the_others(self, cli: Cli, saver: DynamoDBConversationSaver) -> None:
        taken = id_of(chat(saver, "old", "boats"))
        chat(saver, "old", "flats in Lisbon")
        saver.conversations.create("new", conversation_id=taken, title="mine")

        ended = cli("rekey-user", "old", "new", "--yes")

        assert ended.code == Exit.FOUND
        assert "conversations: 1 moved, 0 over, 1 failed" in ended.out
        assert sorted(one.title for one in saver.conversations.list("new")) == ["flats in Lisbon", "mine"]
        assert saver.conversations.get(taken, "old").title == "boats"

    def test_without_the_key_nothing_is_written(
        self, cli: Cli, make_saver: MakeSaver, client: DynamoDBClient, table_name: str
    ) -> None:
        with closing(make_saver(serde=sealing())) as saver:
            at = chat(saver, "old", "boats")
            before = dumped(client, table_name)

            ended = cli("rekey-user", "old", "new", "--yes")

            assert ended.code == Exit.FOUND
            assert "give the saver the EncryptedSerializer that wrote it" in " ".join(ended.out.split())
            assert dumped(client, table_name) == before
            assert cli("rekey-user", "old", "new", "--yes", *SERDE).code == 0
            assert saver.conversations.get(id_of(at), "new").messages[0].content == "boats"

    def test_a_conversation_that_is_over_is_left_to_dynamodb(self, cli: Cli, make_saver: MakeSaver) -> None:
        put(make_saver(ttl=timedelta(hours=1), clock=lambda: 1e9), 1, {"messages": []}, at=config(user_id="old"))

        assert cli("rekey-user", "old", "new", "--yes").out == "conversations: 0 moved, 1 over, 0 failed\n"

    def test_a_damaged_conversation_is_named_and_stays(
        self, cli: Cli, saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
    ) -> None:
        put(saver, 1, {"messages": [], "x": noise(400_000)}, at=config(user_id="old"))
        lose(client, table_name, "#p#")

        ended = cli("rekey-user", "old", "new", "--yes")

        assert ended.code == Exit.FOUND
        assert "it is damaged; `verify` lists what" in ended.out
        assert saver.conversations.count("old") == 1

    @pytest.mark.engine("dynamodb-local")
    @pytest.mark.parametrize(("turns", "most"), [(5, (150, 180, 120)), (50, (1100, 1300, 750))])
    def test_what_a_rekey_costs(
        self,
        saver: DynamoDBConversationSaver,
        client: DynamoDBClient,
        table_name: str,
        report: Report,
        turns: int,
        most: tuple[int, int, int],
    ) -> None:
        prose = Prose()
        graph: Any = chat_graph(prose).compile(checkpointer=saver)
        for _ in range(turns):
            graph.invoke(user_message(prose), config(user_id="old"), durability="sync")
        options = SharedOptions(table=table_name, as_json=True)

        with RequestLog(client) as log, closing(RunWith(options, {"dynamodb": client})) as run:
            rekey_user.function(run, "old", "new", yes=True)

        writes = sum(one.units for one in log.requests if one.operation in WRITES)
        reads = sum(one.units for one in log.requests if one.operation not in WRITES)
        report(f"rekey-user, {turns} turns: {len(log.requests)} requests, {writes:.0f} WRU, {reads:.0f} RRU")
        assert all(count <= limit for count, limit in zip((len(log.requests), writes, reads), most, strict=True))

    def test_a_rekey_that_broke_off_once_it_was_settled_is_finished(
        self, cli: Cli, saver: DynamoDBConversationSaver
    ) -> None:
        at = chat(saver, "old", "boats")
        scopes = [Scope(id_of(at), user) for user in ("old", "new")]
        rekeying = rekeying_of(saver)
        rekeying.settle(*scopes, rekeying.copy(*scopes))

        assert cli("rekey-user", "old", "new", "--dry-run").out == "conversations: 1 checked, 0 over, 0 failed\n"
        assert cli("rekey-user", "old", "new", "--yes").out == "conversations: 1 moved, 0 over, 0 failed\n"
        assert [saver.conversations.count(user) for user in ("old", "new")] == [0, 1]

    def test_a_copy_that_differs_is_told_and_removes_nothing(
        self, cli: Cli, saver: DynamoDBConversationSaver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at = chat(saver, "old", "boats")
        copy = Rekeying.copy

        def copied_badly(self: Rekeying, old: Scope, new: Scope) -> bytes:
            digest = copy(self, old, new)
            saver.conversations.rename(new.thread_id, new.user_id, "another title")
            return digest

        with monkeypatch.context() as patch:
            patch.setattr(Rekeying, "copy", copied_badly)
            ended = cli("rekey-user", "old", "new", "--yes")

        assert ended.code == Exit.FOUND
        assert "the copy is not the same. Nothing of the old user's is removed" in " ".join(ended.out.split())
        assert saver.conversations.get(id_of(at), "old").message_count == 2

    def test_the_same_user_is_refused(self, cli: Cli) -> None:
        assert cli("rekey-user", "old", "old").error == "error: OLD and NEW are the same user id"


@pytest.fixture
def restored(client: DynamoDBClient) -> Iterator[str]:
    """A second table, as a restore makes it."""
    name = create_table(client)
    yield name
    client.delete_table(TableName=name)


def copy_table(client: DynamoDBClient, source: str, target: str) -> None:
    """What a restore does: the items as they are now."""
    for item in items_of(client, source):
        client.put_item(TableName=target, Item=item)


def lose(client: DynamoDBClient, table_name: str, part: str, *, thread: str = "thread") -> None:
    """Remove an item of a conversation with this in its sort key."""
    ours = [one for one in items_of(client, table_name) if one["conversation_id"]["S"] == thread]
    item = next(one for one in ours if part in one["user_id"]["S"])
    key: Any = {name: item[name] for name in ("conversation_id", "user_id")}
    client.delete_item(TableName=table_name, Key=key)


class TestRestoringAConversation:
    def test_it_comes_back_as_it_was_and_others_stay(
        self, cli: Cli, saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str, restored: str
    ) -> None:
        at, other = chat(saver, "alice", "boats", "ships"), chat(saver, "alice", "flats in Lisbon")
        put(saver, 1, {"messages": []}, at=config("of a run", user_id="alice", run_id="r"))
        copy_table(client, table_name, restored)
        before = dumped(client, table_name)
        for one in (id_of(at), "of a run"):
            saver.conversations.delete(one, "alice")

        dry = cli("restore-conversation", id_of(at), "--from-table", restored, "--dry-run")
        assert not saver.conversations.list("alice", title_contains="boats")
        ended = [cli("restore-conversation", one, "--from-table", restored) for one in (id_of(at), "of a run")]

        assert [(one.code, one.err) for one in (dry, *ended)] == [(0, "")] * 3
        assert dry.out.replace("to restore", "restored") == ended[0].out
        assert dumped(client, table_name) == before
        assert saver.conversations.get(id_of(other), "alice").message_count == 2

    def test_what_is_there_is_replaced_only_on_request_and_after_a_question(
        self,
        cli: Cli,
        saver: DynamoDBConversationSaver,
        client: DynamoDBClient,
        table_name: str,
        restored: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        at = chat(saver, "alice", "boats")
        copy_table(client, table_name, restored)
        before = dumped(client, table_name)
        say(saver, at, "ships")
        words = ("restore-conversation", id_of(at), "--from-table", restored)

        refused = cli(*words)
        monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
        asked = cli(*words, "--replace")
        assert saver.conversations.get(id_of(at), "alice").message_count == 4
        done = cli(*words, "--replace", "--yes")

        assert refused.error.endswith("of alice: --replace removes that first")
        assert (asked.code, asked.out) == (Exit.FOUND, "")
        assert done.code == 0
        assert dumped(client, table_name) == before

    def test_one_that_was_begun_anew_meanwhile_is_not_overwritten(
        self, saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
    ) -> None:
        put(saver, 1, {"messages": []}, at=config(user_id="alice"))
        (row,) = [one for one in items_of(client, table_name) if "created_at" in one]

        put_new(saver._runtime.table, row, "begun anew")  # as where an answer was lost, and botocore sends it again
        with pytest.raises(ConflictError, match="begun anew"):
            put_new(saver._runtime.table, {**row, "title": {"S": "older"}}, "begun anew")

    def test_another_users_share_of_the_same_id_stays(
        self, cli: Cli, saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str, restored: str
    ) -> None:
        for user in ("alice", "bob"):
            put(saver, 1, {"messages": []}, at=config(user_id=user))
        copy_table(client, table_name, restored)
        put(saver, 2, {"messages": [], "x": 1}, parent=1, at=config(user_id="bob"))
        saver.delete_thread("thread", user_id="alice")

        assert cli("restore-conversation", "thread", "--from-table", restored, "--user", "alice").code == 0

        assert read(saver, config(user_id="bob")).checkpoint["channel_values"] == {"messages": [], "x": 1}
        assert read(saver, config(user_id="alice")).checkpoint["channel_values"] == {"messages": []}

    def test_what_the_other_table_lacks_is_not_found_and_the_same_table_is_refused(
        self, cli: Cli, saver: DynamoDBConversationSaver, table_name: str, restored: str
    ) -> None:
        put(saver, 1, {"messages": []}, at=config(user_id="alice"))
        words = ("restore-conversation", "thread", "--user", "alice", "--from-table")

        assert cli(*words, restored, "--replace", "--yes").code == Exit.MISSING
        assert cli(*words, table_name).error == "error: --from-table is the same table as --table"
        assert saver.conversations.count("alice") == 1

    def test_a_restored_conversation_that_is_damaged_ends_with_1(
        self, cli: Cli, saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str, restored: str
    ) -> None:
        put(saver, 1, {"messages": [], "x": noise(400_000)}, at=config(user_id="alice"))
        copy_table(client, table_name, restored)
        saver.delete_thread("thread", user_id="alice")
        lose(client, restored, "#p#")

        ended = cli("restore-conversation", "thread", "--from-table", restored)

        assert ended.code == Exit.FOUND
        assert "✗ thread / alice#p#" in ended.out

    @pytest.mark.parametrize("mode", ["--dry-run", "--yes"])
    @pytest.mark.parametrize("lost", ["#p#", "#c##"])
    def test_a_damaged_one_replaces_nothing(
        self,
        cli: Cli,
        saver: DynamoDBConversationSaver,
        client: DynamoDBClient,
        table_name: str,
        restored: str,
        mode: str,
        lost: str,
    ) -> None:
        at = config(user_id="alice")
        said = [("user", noise(20_000, number).hex()) for number in range(3)]
        put(saver, 1, {"messages": said, "x": noise(400_000)}, at=at)
        put(saver, 2, {"messages": said, "x": noise(400_000), "y": 1}, parent=1, at=at)
        copy_table(client, table_name, restored)
        before = dumped(client, table_name)
        lose(client, restored, lost)

        ended = cli("restore-conversation", "thread", "--from-table", restored, "--replace", mode)

        assert (ended.code, ended.out) == (Exit.DAMAGED, "")
        assert f"error: {restored} has this conversation damaged, so that of {table_name} stays as it is: " in ended.err
        assert dumped(client, table_name) == before

    def test_a_dry_run_tells_damage_where_nothing_would_be_replaced(
        self, cli: Cli, saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str, restored: str
    ) -> None:
        put(saver, 1, {"messages": [], "x": noise(400_000)}, at=config(user_id="alice"))
        copy_table(client, table_name, restored)
        saver.delete_thread("thread", user_id="alice")
        lose(client, restored, "#p#")

        ended = cli("restore-conversation", "thread", "--from-table", restored, "--dry-run", "--json")

        assert ended.code == Exit.FOUND
        assert [one["key"].split("#")[1] for one in ended.json["damage"]] == ["p"]


DAY = 24 * 3600


class TestWhatHasExpired:
    def at(self, make_saver: MakeSaver, seconds: float, days: int = 10) -> DynamoDBConversationSaver:
        return make_saver(ttl=timedelta(days=days), clock=lambda: seconds, row_bytes=512)

    def expired(self, make_saver: MakeSaver, client: DynamoDBClient, table_name: str, restored: str) -> Any:
        """A conversation whose time to live passed in November 2023, as the restored table has it, and what it told."""
        saver = self.at(make_saver, 1.7e9 - 10 * DAY)
        at = config(user_id="alice", run_id="run")
        said = [("user", noise(300, number).hex()) for number in range(6)]
        put(saver, 1, {"messages": said[:5], "x": noise(400_000)}, at=at)
        put(saver, 2, {"messages": said, "x": noise(400_000), "y": noise(3000)}, parent=1, at=at)
        saver.put_writes(config(number=2, user_id="alice"), [("y", 1)], "task")
        told = self.told(saver)
        copy_table(client, table_name, restored)
        for item in items_of(client, table_name):  # what time to live does
            client.delete_item(TableName=table_name, Key={name: item[name] for name in ("conversation_id", "user_id")})
        return told

    def told(self, saver: DynamoDBConversationSaver) -> Any:
        chat = saver.conversations.get("thread", "alice")
        return chat, [(one.checkpoint, one.metadata, one.pending_writes) for one in saver.list(config(user_id="alice"))]

    def test_it_is_refused_with_the_time_and_the_option(
        self, cli: Cli, make_saver: MakeSaver, client: DynamoDBClient, table_name: str, restored: str
    ) -> None:
        self.expired(make_saver, client, table_name, restored)

        for words in ((), ("--dry-run",), ("--replace", "--yes")):
            ended = cli("restore-conversation", "thread", "--from-table", restored, *words)

            assert (ended.code, ended.out) == (Exit.MISSING, "")
            assert "this conversation expired on 2023-11-14 22:13:20 UTC: --ttl-days N lets it live" in ended.error
        assert items_of(client, table_name) == []

    def test_it_comes_back_whole_and_lives_as_long_as_is_asked_for(
        self, cli: Cli, make_saver: MakeSaver, client: DynamoDBClient, table_name: str, restored: str
    ) -> None:
        told = self.expired(make_saver, client, table_name, restored)
        count = len([one for one in items_of(client, restored) if one["conversation_id"]["S"] == "thread"])
        words = ("restore-conversation", "thread", "--from-table", restored, "--ttl-days", "30")

        dry = cli(*words, "--dry-run")
        began = time.time()
        ended = cli(*words)

        assert (dry.code, dry.out) == (0, f"to restore: {count} items\n")
        assert (ended.code, ended.out) == (0, f"restored: {count} items\n")
        assert self.told(make_saver()) == told
        expires_at = {float(one["expires_at"]["N"]) for one in items_of(client, table_name)}
        assert min(expires_at) > began + 30 * DAY
        ends = began + 30 * DAY + 60
        for seconds, is_there in ((ends - 120, True), (ends, False)):
            late = self.at(make_saver, seconds)
            assert (len(late.conversations.list("alice")) == 1) is is_there
            assert (late.get_tuple(config(user_id="alice")) is not None) is is_there

    def test_what_had_expired_before_stays_away(
        self, cli: Cli, make_saver: MakeSaver, client: DynamoDBClient, table_name: str, restored: str
    ) -> None:
        self.expired(make_saver, client, table_name, restored)
        first = next(one for one in items_of(client, restored) if "#c#" in one["user_id"]["S"])
        # older history, of which DynamoDB has deleted what it builds on
        old: Any = {**first, "user_id": {"S": "alice#c#old#1f0"}, "k": {"S": "c"}, "p": {"S": "1ef"}}
        client.put_item(TableName=restored, Item={**old, "expires_at": {"N": str(int(1.7e9) - DAY)}})

        ended = cli("restore-conversation", "thread", "--from-table", restored, "--ttl-days", "30")

        assert ended.code == 0
        assert [one for one in items_of(client, table_name) if "#old#" in one["user_id"]["S"]] == []

    def test_one_that_lives_gets_the_time_too_and_keeps_its_own_without(
        self, cli: Cli, make_saver: MakeSaver, client: DynamoDBClient, table_name: str, restored: str
    ) -> None:
        put(self.at(make_saver, time.time()), 1, {"messages": []}, at=config(user_id="alice"))
        copy_table(client, table_name, restored)
        before = dumped(client, table_name)
        words = ("restore-conversation", "thread", "--from-table", restored, "--replace", "--yes")

        assert cli(*words).code == 0
        assert dumped(client, table_name) == before
        assert cli(*words, "--ttl-days", "30").code == 0
        assert min(float(one["expires_at"]["N"]) for one in items_of(client, table_name)) > time.time() + 30 * DAY


@pytest.fixture
def bucket() -> Iterator[TestBucket]:
    """A bucket that keeps versions, which are removed in the end."""
    with new_bucket() as bucket:
        bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
        yield bucket
        found: Any = bucket.client.list_object_versions(Bucket=bucket.name)
        for one in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]:
            bucket.client.delete_object(Bucket=bucket.name, Key=one["Key"], VersionId=one["VersionId"])


@pytest.mark.engine("moto")
class TestObjects:
    def fill(self, make_saver: MakeSaver, bucket: TestBucket) -> DynamoDBConversationSaver:
        saver = make_saver(s3_bucket=bucket.name, s3_client=bucket.client, s3_prefix="chats")
        for number, thread in enumerate(("one", "two")):
            put(saver, 1, {"messages": [], "x": noise(400_000, number)}, at=config(thread, user_id="alice"))
        return saver

    def test_deleted_objects_of_a_conversation_come_back_with_it(
        self,
        cli: Cli,
        make_saver: MakeSaver,
        bucket: TestBucket,
        client: DynamoDBClient,
        table_name: str,
        restored: str,
    ) -> None:
        saver = self.fill(make_saver, bucket)
        copy_table(client, table_name, restored)
        keys = bucket.keys
        for thread in ("one", "two"):
            saver.delete_thread(thread, user_id="alice")
        place = ("--s3-bucket", bucket.name, "--s3-prefix", "chats")
        words = ("restore-conversation", "one", "--from-table", restored)

        assert "give s3_bucket" in cli(*words).error
        assert dumped(client, table_name) == []
        assert "objects: 0 there, 1 to bring back, 0 missing" in cli(*words, *place, "--dry-run").out
        assert bucket.keys == []
        ended = cli(*words, *place)

        assert (ended.code, ended.out.splitlines()[1]) == (0, "objects: 0 there, 1 brought back, 0 missing")
        assert len(bucket.keys) == 1
        assert set(bucket.keys) < set(keys)
        assert read(
            make_saver(s3_bucket=bucket.name, s3_client=bucket.client, s3_prefix="chats"),
            config("one", user_id="alice"),
        )

    def test_a_lost_pointer_in_the_other_table_replaces_nothing(
        self,
        cli: Cli,
        make_saver: MakeSaver,
        bucket: TestBucket,
        client: DynamoDBClient,
        table_name: str,
        restored: str,
    ) -> None:
        saver = self.fill(make_saver, bucket)
        copy_table(client, table_name, restored)
        before, keys = dumped(client, table_name), bucket.keys
        lose(client, restored, "#s3", thread="one")
        words = ("restore-conversation", "one", "--from-table", restored, "--replace")

        for mode in ("--dry-run", "--yes"):
            ended = cli(*words, mode, "--s3-bucket", bucket.name, "--s3-prefix", "chats")

            assert (ended.code, ended.out) == (Exit.DAMAGED, "")
            assert "the item that points to an object in S3 is missing" in ended.err
            assert (dumped(client, table_name), bucket.keys) == (before, keys)
        assert not saver.conversations.verify("one", "alice").damage

    def test_a_dry_run_reads_deleted_objects_and_leaves_them_deleted(
        self,
        cli: Cli,
        make_saver: MakeSaver,
        bucket: TestBucket,
        client: DynamoDBClient,
        table_name: str,
        restored: str,
    ) -> None:
        saver = self.fill(make_saver, bucket)
        copy_table(client, table_name, restored)
        lost = set(bucket.keys)
        saver.delete_thread("one", user_id="alice")
        (key,) = lost - set(bucket.keys)
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"not what was stored")
        bucket.client.delete_object(Bucket=bucket.name, Key=key)
        words = ("restore-conversation", "one", "--from-table", restored, "--dry-run")

        ended = cli(*words, "--s3-bucket", bucket.name, "--s3-prefix", "chats")

        assert ended.code == Exit.FOUND
        assert "objects: 0 there, 1 to bring back, 0 missing" in ended.out
        assert "parts of a value are missing or damaged" in ended.out
        assert key not in bucket.keys

    def test_replacing_a_conversation_keeps_the_objects_that_both_have(
        self,
        cli: Cli,
        make_saver: MakeSaver,
        bucket: TestBucket,
        client: DynamoDBClient,
        table_name: str,
        restored: str,
    ) -> None:
        saver = self.fill(make_saver, bucket)
        copy_table(client, table_name, restored)
        keys = bucket.keys
        values = {"messages": [], "x": noise(400_000, 7)}
        put(saver, 2, values, parent=1, at=config("one", user_id="alice"))

        words = ("restore-conversation", "one", "--from-table", restored, "--replace", "--yes")
        ended = cli(*words, "--s3-bucket", bucket.name, "--s3-prefix", "chats")

        assert (ended.code, ended.out.splitlines()[1]) == (0, "objects: 1 there, 0 brought back, 0 missing")
        assert bucket.keys == keys

    def test_all_objects_that_a_table_points_to_come_back_and_no_others(
        self, cli: Cli, make_saver: MakeSaver, bucket: TestBucket
    ) -> None:
        saver = self.fill(make_saver, bucket)
        keys = bucket.keys
        for key in keys:
            bucket.client.delete_object(Bucket=bucket.name, Key=key)
            bucket.client.delete_object(Bucket=bucket.name, Key=key)  # a second delete marker
        saver.delete_thread("two", user_id="alice")
        words = ("restore-objects", "--s3-bucket", bucket.name, "--s3-prefix", "chats")

        dry = cli(*words, "--dry-run")
        assert (dry.out, bucket.keys) == ("objects: 0 there, 1 to bring back, 0 missing\n", [])
        ended = cli(*words)

        assert (ended.code, ended.out) == (0, "objects: 0 there, 1 brought back, 0 missing\n")
        assert len(bucket.keys) == 1
        assert cli(*words, "--json").json == {"objects": {"there": 1, "deleted": 0, "missing": 0}}

    def test_an_object_without_a_version_is_missing(self, cli: Cli, make_saver: MakeSaver, bucket: TestBucket) -> None:
        self.fill(make_saver, bucket)
        key = bucket.keys[0]
        found: Any = bucket.client.list_object_versions(Bucket=bucket.name, Prefix=key)["Versions"]
        bucket.client.delete_object(Bucket=bucket.name, Key=key, VersionId=found[0]["VersionId"])

        ended = cli("restore-objects", "--s3-bucket", bucket.name, "--s3-prefix", "chats")

        assert (ended.code, ended.out) == (Exit.FOUND, "objects: 1 there, 0 brought back, 1 missing\n")

    def test_a_missing_permission_to_read_a_deleted_object_is_named(
        self, make_saver: MakeSaver, bucket: TestBucket, client: DynamoDBClient, table_name: str, restored: str
    ) -> None:
        saver = self.fill(make_saver, bucket)
        copy_table(client, table_name, restored)
        saver.delete_thread("one", user_id="alice")
        options = SharedOptions(table=table_name, s3_bucket=bucket.name, s3_prefix="chats")
        clients = {"dynamodb": client, "s3": bucket.client}

        with Wire(bucket.client) as wire, closing(RunWith(options, clients)) as run:
            wire.fail("GetObject", s3_refusal("AccessDenied"))
            with pytest.raises(AccessDeniedError, match=f"s3:GetObjectVersion on {bucket.name}/chats/"):
                restore_conversation.function(run, "one", restored, "alice")
        assert len(bucket.keys) == 1

    @pytest.mark.parametrize(
        ("operation", "missing"),
        [
            ("ListObjectVersions", "allow s3:ListBucketVersions on {}"),
            ("DeleteObject", "s3:DeleteObjectVersion on {}/chats/*"),
        ],
    )
    def test_a_missing_permission_is_named(
        self,
        make_saver: MakeSaver,
        bucket: TestBucket,
        client: DynamoDBClient,
        table_name: str,
        operation: str,
        missing: str,
    ) -> None:
        self.fill(make_saver, bucket)
        bucket.client.delete_object(Bucket=bucket.name, Key=bucket.keys[0])
        options = SharedOptions(table=table_name, s3_bucket=bucket.name, s3_prefix="chats")
        clients = {"dynamodb": client, "s3": bucket.client}

        with Wire(bucket.client) as wire, closing(RunWith(options, clients)) as run:
            wire.fail(operation, s3_refusal("AccessDenied"))
            with pytest.raises(AccessDeniedError, match=re.escape(missing.format(bucket.name))):
                restore_objects.function(run)

    def test_rekeyed_objects_are_the_new_users(self, cli: Cli, make_saver: MakeSaver, bucket: TestBucket) -> None:
        saver = self.fill(make_saver, bucket)
        keys = bucket.keys

        ended = cli("rekey-user", "alice", "new", "--yes", "--s3-bucket", bucket.name, "--s3-prefix", "chats")

        assert (ended.code, ended.out) == (0, "conversations: 2 moved, 0 over, 0 failed\n")
        assert len(bucket.keys) == 2
        assert not set(keys) & set(bucket.keys)
        assert read(saver, config("one", user_id="new")).checkpoint["channel_values"]["x"] == noise(400_000, 0)

    def test_without_a_bucket_nothing_is_written(
        self, cli: Cli, make_saver: MakeSaver, bucket: TestBucket, client: DynamoDBClient, table_name: str
    ) -> None:
        self.fill(make_saver, bucket)
        before = dumped(client, table_name)

        assert cli("restore-objects").error.startswith("error: which bucket? give --s3-bucket")
        assert "give s3_bucket" in cli("rekey-user", "alice", "new", "--yes").err
        assert dumped(client, table_name) == before
