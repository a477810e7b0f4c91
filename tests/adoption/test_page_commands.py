"""Every command of docs/existing-table.md runs as it is printed, and does what the page says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from langgraph_dynamo_conv.provision import INDEX_ACTIONS, RUNTIME_ACTIONS, SETUP_ACTIONS, differences
from tests.adoption.agents import Agent
from tests.adoption.guide import INDEX, TABLE, TABLE_JSON, OldProgram
from tests.adoption.shells import Shell, commands_of, run_until
from tests.conftest import MakeSaver

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PAGE = Path(__file__).parents[2] / "docs" / "existing-table.md"
COMMANDS = commands_of(PAGE.read_text(encoding="utf-8"))

placed: set[str] = set()
"""The commands that a test of this file runs."""

on_dynamodb_local = pytest.mark.engine("dynamodb-local")


def runs(**of_arguments: str) -> Callable[[Any], Any]:
    """Give a test the page's commands, each as the one that has certain words in it."""
    found = {name: the_one_with(words) for name, words in of_arguments.items()}
    placed.update(found.values())

    def decorate(test: Any) -> Any:
        for name, command in found.items():
            test = pytest.mark.parametrize(name, [pytest.param(command, id=of_arguments[name])])(test)
        return test

    return decorate


def the_one_with(words: str) -> str:
    (command,) = (one for one in COMMANDS if words in one)
    return command


def without_index(client: DynamoDBClient) -> None:
    """Make the table anew without its index, with one conversation and one item of another kind."""
    client.delete_table(TableName=TABLE)
    definition = json.loads(TABLE_JSON)
    del definition["GlobalSecondaryIndexes"]
    definition["AttributeDefinitions"] = definition["AttributeDefinitions"][:2]
    client.create_table(**definition)
    key = {"conversation_id": {"S": "old"}, "user_id": {"S": "alice"}}
    client.put_item(TableName=TABLE, Item={**key, "created_at": {"S": "2025-12-30T14:00:00Z"}})
    client.put_item(TableName=TABLE, Item={**key, "user_id": {"S": "alice#turn"}})


def is_complete(client: DynamoDBClient) -> bool:
    """Whether the table is as the saver needs it, and lists the old conversation."""
    description: Any = client.describe_table(TableName=TABLE)["Table"]
    listed = client.scan(TableName=TABLE, IndexName=INDEX)["Items"]
    return differences(description) == [] and [one["conversation_id"]["S"] for one in listed] == ["old"]


@on_dynamodb_local
@runs(command="doctor")
def test_doctor_finds_nothing_wrong_with_the_guides_table_and_changes_nothing(
    local: Shell, old: OldProgram, table: Any, command: str
) -> None:
    old.chat(old.create("Renders"), "Show me 4K renders", "I found 5")
    before = table.scan()["Items"]

    printed = local.run(command)

    assert "nothing is wrong" in printed
    assert "`setup --ttl` turns it on" in printed
    assert "conversation_id and user_id; the index by user_id and created_at" in printed
    assert table.scan()["Items"] == before


@on_dynamodb_local
@runs(command="--index-name")
def test_a_count_of_the_index_is_that_of_conversations_and_of_the_table_that_of_items(
    local: Shell, old: OldProgram, make_saver: MakeSaver, command: str
) -> None:
    agent = Agent(make_saver())
    for number in range(3):
        agent.ask(old.create(f"Chat {number}"), "Hello!")

    of_index = local.json(command)["Count"]
    of_table = local.json(command.replace(f"--index-name {INDEX} ", ""))["Count"]

    assert of_index == len(old.list()) == 3
    assert of_table > 3 * 4


@on_dynamodb_local
@runs(command="--add-index")
def test_setup_adds_the_missing_index(local: Shell, client: DynamoDBClient, table_name: str, command: str) -> None:
    without_index(client)

    printed = local.run(command)

    assert printed.splitlines() == [f"{TABLE}: was there, active", f"added: the index {INDEX}"]
    assert is_complete(client)


@on_dynamodb_local
@runs(adding="dynamodb update-table", asking="IndexStatus")
def test_the_aws_cli_adds_the_missing_index_too(
    local: Shell, client: DynamoDBClient, table_name: str, adding: str, asking: str
) -> None:
    without_index(client)
    assert local.run(asking).strip() == "None"

    local.run(adding)
    run_until(local, asking, "ACTIVE")

    assert is_complete(client)


@on_dynamodb_local
@runs(counting="attribute_exists(expires_at)", turning_on="update-time-to-live")
def test_time_to_live_is_turned_on_once_no_item_uses_its_attribute(
    local: Shell, old: OldProgram, table: Any, client: DynamoDBClient, counting: str, turning_on: str
) -> None:
    conversation_id = old.create("Renders")
    assert local.json(counting)["Count"] == 0
    used = {**(old.show(conversation_id) or {}), "conversation_id": "other", "expires_at": "next year"}
    table.put_item(Item=used)
    assert local.json(counting)["Count"] == 1

    local.run(turning_on)

    found = client.describe_time_to_live(TableName=TABLE)["TimeToLiveDescription"]
    assert (found["TimeToLiveStatus"], found["AttributeName"]) == ("ENABLED", "expires_at")
    assert "time-to-live is on expires_at" in local.run(f"langgraph-dynamo-conv doctor --table {TABLE}")


@on_dynamodb_local
def test_setup_turns_time_to_live_on_when_asked_alone(local: Shell, table_name: str) -> None:
    setup = f"langgraph-dynamo-conv setup --table {TABLE}"

    assert local.run(setup).splitlines() == [f"{TABLE}: was there, active"]
    assert local.run(f"{setup} --ttl").splitlines()[1:] == ["turned on: time-to-live on expires_at"]


@runs(command="update-continuous-backups")
def test_point_in_time_recovery_is_turned_on(cloud: Shell, cloud_dynamodb: DynamoDBClient, command: str) -> None:
    def status() -> str:
        found = cloud_dynamodb.describe_continuous_backups(TableName=TABLE)["ContinuousBackupsDescription"]
        return found["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]

    assert status() == "DISABLED"
    cloud.run(command)
    assert status() == "ENABLED"


@runs(runtime="iam-policy --table", setting_up="iam-policy --for setup")
def test_the_policies_allow_six_actions_and_query_of_the_index_and_more_for_setup(
    cloud: Shell, runtime: str, setting_up: str
) -> None:
    arn = f"arn:aws:dynamodb:us-east-1:*:table/{TABLE}"

    allowed = {
        statement["Resource"]: {action.removeprefix("dynamodb:") for action in statement["Action"]}
        for statement in cloud.json(runtime)["Statement"]
    }
    (more,) = cloud.json(setting_up)["Statement"]

    assert allowed == {arn: set(RUNTIME_ACTIONS), f"{arn}/index/{INDEX}": set(INDEX_ACTIONS)}
    assert more["Action"] == [f"dynamodb:{action}" for action in SETUP_ACTIONS]
    assert more["Resource"] == arn


def test_no_command_of_the_page_is_left_unrun() -> None:
    assert len(COMMANDS) == len(set(COMMANDS))
    assert [one for one in COMMANDS if one not in placed] == []
    assert PAGE.read_text().count("\naws ") + PAGE.read_text().count("\nlanggraph-dynamo-conv ") == len(COMMANDS)
