"""The commands of docs/restoring.md, as they are printed, bring back what was lost; erased users stay erased.

moto restores the items of the moment at which it is asked. So each restore is asked for at the moment that it goes back
to, and what it is to undo happens afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import boto3
import pytest
from langchain_core.messages import HumanMessage

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import CorruptDataError
from tests.adoption.shells import BIN, Shell
from tests.engines import REGION
from tests.factories import config, noise, put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "restoring.md").read_text(encoding="utf-8")
BLOCKS = [re.sub(r"^ {3}", "", one, flags=re.MULTILINE) for one in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)]

LOST = "3f0c1c4e-6f0b-4a52-9d7e-0a4b8f2f5c11"
"""The conversation of alice's that the page brings back."""

ERASED = (("bob", "bobs"), (" carol  ann ", "carols"))
"""Users who are erased, and their conversations."""

placed: set[str] = set()
"""The blocks that a test of this file runs."""


def block(words: str) -> str:
    """The block of the page that has certain words in it."""
    (found,) = (one for one in BLOCKS if words in one)
    placed.add(found)
    return found


RESTORE = block("restore-table-to-point-in-time")
ERASE = block("erased-users.txt")
OBJECTS = block("restore-objects")
SETTINGS = block("--protect")
DELETED = block("--backup-type SYSTEM")
ONE = block("restore-conversation")
STACK = block("create-change-set")


class Cloud:
    """The page's table and bucket, and a shell for its commands.

    Args:
        url: Where moto answers.
        folder: The shell's working directory.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.dynamodb: DynamoDBClient = boto3.client("dynamodb", region_name=REGION, endpoint_url=url)
        self.s3: S3Client = boto3.client("s3", region_name=REGION, endpoint_url=url)
        self.shell = Shell(url, url, folder, {"PATH": f"{BIN}:/usr/bin:/bin"})
        self.s3.create_bucket(Bucket="chat-values")
        self.s3.put_bucket_versioning(Bucket="chat-values", VersioningConfiguration={"Status": "Enabled"})
        self.run("langgraph-dynamo-conv setup --table chat --pitr")

    def run(self, commands: str) -> str:
        """What a block of commands prints; each must end with 0."""
        return self.shell.run(["/bin/bash", "-euc", commands])

    def saver(self, table_name: str = "chat", **options: Any) -> DynamoDBConversationSaver:
        bucket: Any = {"s3_bucket": "chat-values", "s3_client": self.s3}
        return DynamoDBConversationSaver(table_name, client=self.dynamodb, **bucket, **options)

    def chat(self, user: str, thread: str, **options: Any) -> None:
        """A conversation with a value in S3."""
        with closing(self.saver(**options)) as saver:
            put(
                saver,
                1,
                {"messages": [HumanMessage("hi", id="1")], "file": of(thread)},
                at=config(thread, user_id=user),
            )

    def lose(self, user: str, thread: str) -> None:
        with closing(self.saver()) as saver:
            assert saver.conversations.delete(thread, user)

    def has(self, user: str, thread: str, table_name: str) -> bool:
        """Whether the conversation is there, and whole with its value in S3."""
        with closing(self.saver(table_name)) as saver:
            found = saver.get_tuple(config(thread, user_id=user))
            return found is not None and found.checkpoint["channel_values"]["file"] == of(thread)

    def objects(self) -> int:
        return len(self.s3.list_objects_v2(Bucket="chat-values").get("Contents", []))

    def close(self) -> None:
        self.dynamodb.close()
        self.s3.close()


def of(thread: str) -> bytes:
    return noise(400_000, sum(thread.encode()))


@pytest.fixture
def cloud(moto_url: str, tmp_path: Path) -> Iterator[Cloud]:
    """The page's table with conversations of alice's and bob's, in an AWS that has nothing else."""
    reset = Request(f"{moto_url}/moto-api/reset", method="POST")
    urlopen(reset).close()
    cloud = Cloud(moto_url, tmp_path)
    for user, thread in (("alice", LOST), ("alice", "another"), *ERASED):
        cloud.chat(user, thread)
    yield cloud
    cloud.close()
    urlopen(reset).close()


def erase(cloud: Cloud) -> None:
    """What the page asks whoever erases a person to do; the last line of the file has no end."""
    users = [user for user, _ in ERASED]
    (cloud.folder / "erased-users.txt").write_text("\n".join(users))
    for user in users:
        cloud.run(f"langgraph-dynamo-conv delete-user '{user}' --scan --yes --table chat --s3-bucket chat-values")


def test_a_table_comes_back_with_its_objects_and_without_those_who_were_erased_since(cloud: Cloud) -> None:
    cloud.run(RESTORE)
    erase(cloud)
    cloud.lose("alice", LOST)
    assert cloud.objects() == 1

    with pytest.raises(CorruptDataError):
        cloud.has("alice", LOST, "chat-restored")
    assert cloud.has("alice", "another", "chat-restored")
    assert cloud.run(ERASE).count("deleted: 1 conversation") == len(ERASED)
    assert cloud.run(OBJECTS) == "objects: 1 there, 1 brought back, 0 missing\n"

    assert cloud.has("alice", LOST, "chat-restored")
    assert not any(cloud.has(*one, "chat-restored") for one in ERASED)
    scanned = cloud.dynamodb.scan(TableName="chat-restored")["Items"]
    assert {one["user_id"]["S"].split("#")[0] for one in scanned} == {"alice"}
    assert cloud.objects() == 2
    for thread in (LOST, "another"):
        assert "whole" in cloud.run(f"langgraph-dynamo-conv verify {thread} -t chat-restored --s3-bucket chat-values")


def test_the_erasures_end_at_the_first_that_fails(cloud: Cloud) -> None:
    cloud.run(RESTORE)
    (cloud.folder / "erased-users.txt").write_text("no#user\nbob\n")

    cloud.shell.run(["/bin/bash", "-uc", ERASE])  # as a person's shell, which goes on after a failure

    assert cloud.has("bob", "bobs", "chat-restored")


def test_what_is_in_s3_is_edited_and_rekeyed_once_its_objects_are_back(cloud: Cloud) -> None:
    cloud.run(RESTORE)
    cloud.lose("alice", LOST)

    with closing(cloud.saver("chat-restored")) as saver:
        (message,) = saver.conversations.get(LOST, "alice").messages
        with pytest.raises(CorruptDataError):
            saver.conversations.edit_message(LOST, message.id, "hello", user_id="alice")
        cloud.run(OBJECTS)
        saver.conversations.edit_message(LOST, message.id, "hello", user_id="alice")
    rekeyed = cloud.run("langgraph-dynamo-conv rekey-user alice al -t chat-restored --s3-bucket chat-values --yes")

    assert rekeyed == "conversations: 2 moved, 0 over, 0 failed\n"
    assert all(cloud.has("al", one, "chat-restored") for one in (LOST, "another"))


def test_what_a_restore_loses_is_set_again(cloud: Cloud) -> None:
    cloud.run(RESTORE)
    cloud.run(SETTINGS)

    table: Any = cloud.dynamodb.describe_table(TableName="chat-restored")["Table"]
    recovery: Any = cloud.dynamodb.describe_continuous_backups(TableName="chat-restored")[
        "ContinuousBackupsDescription"
    ]
    living = cloud.dynamodb.describe_time_to_live(TableName="chat-restored")["TimeToLiveDescription"]
    tags = cloud.dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    assert table["DeletionProtectionEnabled"]
    assert recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert (living["TimeToLiveStatus"], living["AttributeName"]) == ("ENABLED", "expires_at")
    assert tags == [{"Key": "app", "Value": "chat"}]


def test_a_deleted_table_comes_back_under_its_name(cloud: Cloud) -> None:
    cloud.dynamodb.create_backup(TableName="chat", BackupName="chat$DeletedTableBackup")  # DynamoDB makes it itself
    cloud.dynamodb.delete_table(TableName="chat")

    cloud.run(DELETED)

    assert all(cloud.has(*one, "chat") for one in (("alice", LOST), ("alice", "another"), ("bob", "bobs")))


def test_one_conversation_comes_back_from_a_restored_table_and_others_stay(cloud: Cloud) -> None:
    cloud.run(RESTORE)
    cloud.lose("alice", LOST)
    cloud.chat("alice", "a new one")
    cloud.lose("bob", "bobs")

    printed = cloud.run(ONE).splitlines()

    assert printed[0].replace("to restore", "restored") == printed[2]
    assert printed[1::2] == [
        "objects: 0 there, 1 to bring back, 0 missing",
        "objects: 0 there, 1 brought back, 0 missing",
    ]
    assert all(cloud.has("alice", one, "chat") for one in (LOST, "another", "a new one"))
    assert not cloud.has("bob", "bobs", "chat")


def test_an_expired_conversation_comes_back_for_as_many_days_as_the_page_says(cloud: Cloud) -> None:
    cloud.lose("alice", LOST)
    cloud.chat("alice", LOST, ttl=timedelta(days=10), clock=lambda: 1.7e9)
    cloud.run(RESTORE)
    cloud.lose("alice", LOST)
    (option,) = re.findall(r"`(--ttl-days \d+)`", TEXT)

    cloud.run(ONE.replace("--s3-bucket", f"{option} --s3-bucket"))

    assert cloud.has("alice", LOST, "chat")


def test_the_commands_for_the_stack_are_the_aws_clis(cloud: Cloud) -> None:
    (cloud.folder / "table.yaml").write_text(cloud.run("langgraph-dynamo-conv cloudformation --table chat-restored"))
    commands = re.split(r"^(?=aws )", STACK, flags=re.MULTILINE)[1:]

    for command in (one.strip() for one in commands if " wait " not in one):
        cloud.run(f"{command} --generate-cli-skeleton input")


def test_no_command_of_the_page_is_left_unrun() -> None:
    assert set(BLOCKS) == placed
