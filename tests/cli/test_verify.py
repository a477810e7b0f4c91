"""`verify`: reads all of a conversation and names what is damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_dynamo_conv.cli.output import Exit
from tests.cli.chats import chat, id_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.cli.conftest import Cli


def test_a_whole_conversation_is_told_so(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    conversation = id_of(chat(saver, "alice", "flats"))

    shown, data = cli("verify", conversation), cli("verify", conversation, "--user", "alice", "--json").json

    assert shown.code == 0
    assert shown.out.endswith(": whole\n")
    assert data["ok"] is True
    assert (data["checkpoints"], data["messages"], data["damage"]) == (5, 2, [])
    assert data["items"] > 5


def test_damage_is_named_by_its_key(
    cli: Cli, saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
) -> None:
    conversation = id_of(chat(saver, "alice", "flats"))
    newest = cli("history", conversation, "--json").json["checkpoints"][0]["checkpoint_id"]
    sort_key = f"alice#c##{newest}"
    client.update_item(
        TableName=table_name,
        Key={"conversation_id": {"S": conversation}, "user_id": {"S": sort_key}},
        UpdateExpression="SET d = :nonsense",
        ConditionExpression="attribute_exists(d)",
        ExpressionAttributeValues={":nonsense": {"B": b"\x01\x00nonsense"}},
    )

    shown, ended = cli("verify", conversation), cli("verify", conversation, "--json")

    assert (shown.code, ended.code) == (Exit.FOUND, Exit.FOUND)
    assert ended.json["ok"] is False
    assert any(sort_key in one["key"] for one in ended.json["damage"])
    assert sort_key in shown.out
    assert "damaged" in shown.out.splitlines()[-1]


def test_a_missing_conversation_can_not_be_verified(cli: Cli) -> None:
    assert cli("verify", "no-such-conversation").code == Exit.MISSING
