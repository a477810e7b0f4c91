"""`verify`: reads all of a conversation and names what is damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph.checkpoint.base import empty_checkpoint

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


def test_a_turn_that_langgraph_has_forgotten_is_named(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    config = saver.new_conversation("alice")
    base = {**empty_checkpoint(), "channel_values": {}}
    newest = "1f1e7acb-707c-6800-8001-000000000000"
    for checkpoint_id in (newest, "1f1e7acb-5d6a-6500-8002-000000000000", "1f1e7acb-5d6b-6500-8003-000000000000"):
        config = saver.put(config, {**base, "id": checkpoint_id}, {}, {})

    shown, data = cli("verify", id_of(config)), cli("verify", id_of(config), "--json").json

    assert shown.code == 0
    assert shown.out.endswith(": whole, 1 turn forgotten by LangGraph\n")
    assert "2.0 s or more" in shown.out
    assert (data["ok"], data["damage"]) == (True, [])
    (forgotten,) = data["forgotten"]
    assert forgotten["key"].endswith("#c##1f1e7acb-5d6a-6500-8002-000000000000")
    assert forgotten["last_checkpoint_id"] == "1f1e7acb-5d6b-6500-8003-000000000000"


def test_a_turn_with_ids_of_another_form_is_named_without_seconds(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    config = saver.new_conversation("alice")
    for checkpoint_id in ("b", "a"):
        config = saver.put(config, {**empty_checkpoint(), "channel_values": {}, "id": checkpoint_id}, {}, {})

    assert "unknown" in cli("verify", id_of(config)).out


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
