"""The setup guide's steps, line by line: each works on a table that the saver uses, and tells what the page says."""

from __future__ import annotations

import gzip
import json
import zipfile
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from langgraph_dynamo_conv import DynamoDBConversationSaver, add_message, create_conversation, get_conversation
from langgraph_dynamo_conv._format.attributes import to_attribute
from langgraph_dynamo_conv.errors import AccessDeniedError
from langgraph_dynamo_conv.provision import SetUp
from tests.adoption.agents import Agent, texts_of
from tests.adoption.guide import (
    COUNT,
    CREATE_TABLE,
    DESCRIBE,
    INDEX_STATUS,
    POLICY,
    POLICY_FILE,
    SAMPLE,
    TABLE,
    WAIT,
    OldProgram,
)
from tests.adoption.shells import Shell, run_until
from tests.conftest import MakeSaver
from tests.engines import REGION, Engine
from tests.store.test_permissions import Role, iam_enforced, role, use_all_of_the_runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["iam_enforced", "role"]  # fixtures

ROLE = "cg-chatbot-lambda-role"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
POLICY_NAME = "DynamoDBConversationsAccess"

on_dynamodb_local = pytest.mark.engine("dynamodb-local")


@pytest.fixture
def made(local: Shell, client: DynamoDBClient) -> Iterator[Shell]:
    """A shell on a table that the guide's commands made."""
    local.run(CREATE_TABLE)
    local.run(WAIT)
    yield local
    client.delete_table(TableName=TABLE)


@pytest.fixture
def named(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's step 3: the environment names the table; and here, the engine."""
    monkeypatch.setenv("DYNAMODB_TABLE_NAME", TABLE)
    if engine.endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", engine.endpoint_url)


@on_dynamodb_local
def test_step_1_makes_a_table_that_the_saver_takes_as_it_is(made: Shell, client: DynamoDBClient) -> None:
    before = client.describe_table(TableName=TABLE)["Table"]

    with DynamoDBConversationSaver(TABLE, client=client) as saver:
        assert saver.setup() == SetUp(created=False, active=True)
        agent = Agent(saver)
        agent.ask("new", "Hello!")
        assert saver.conversations.get("new", "alice").message_count == 2

    after = client.describe_table(TableName=TABLE)["Table"]
    for name in ("KeySchema", "AttributeDefinitions", "BillingModeSummary"):
        assert before[name] == after[name]
    assert "AttributeName" not in client.describe_time_to_live(TableName=TABLE)["TimeToLiveDescription"]


@pytest.mark.engine("moto")
def test_the_policy_of_step_2_is_enough_for_all_of_the_runtime(
    make_saver: MakeSaver, role: Role, request: pytest.FixtureRequest
) -> None:
    client = role.put(POLICY)
    request.getfixturevalue("iam_enforced")

    use_all_of_the_runtime(make_saver(client=client))


@pytest.mark.engine("moto")
def test_the_policy_of_step_2_needs_its_second_line_for_lists(
    make_saver: MakeSaver, role: Role, request: pytest.FixtureRequest
) -> None:
    (statement,) = POLICY["Statement"]
    client = role.put({**POLICY, "Statement": [{**statement, "Resource": statement["Resource"][:1]}]})
    request.getfixturevalue("iam_enforced")
    saver = make_saver(client=client)

    assert Agent(saver).ask("new", "Hello!") == ["Hello!"]
    with pytest.raises(AccessDeniedError, match="allow dynamodb:Query on the table and its index"):
        saver.conversations.list("alice")


def test_the_commands_of_steps_2_and_3_give_the_role_its_policy_and_the_function_its_table(cloud: Shell) -> None:
    (cloud.folder / "trust.json").write_text(json.dumps(TRUST))
    with zipfile.ZipFile(cloud.folder / "code.zip", "w") as code:
        code.writestr("app.py", "def handler(event, context): ...")
    cloud.run(f"aws iam create-role --role-name {ROLE} --assume-role-policy-document file://trust.json")
    role_arn = cloud.json(f"aws iam get-role --role-name {ROLE}")["Role"]["Arn"]
    cloud.run(
        f"aws lambda create-function --function-name chat --runtime python3.12 --handler app.handler --role {role_arn} "
        "--zip-file fileb://code.zip"
    )

    policy = f"--role-name {ROLE} --policy-name {POLICY_NAME}"
    cloud.run(f"aws iam put-role-policy {policy} --policy-document file://{POLICY_FILE}")
    environment = f"Variables={{DYNAMODB_TABLE_NAME={TABLE}}}"
    cloud.run(f"aws lambda update-function-configuration --function-name chat --environment {environment}")

    assert cloud.json(f"aws iam get-role-policy {policy}")["PolicyDocument"] == POLICY
    function = cloud.json("aws lambda get-function-configuration --function-name chat")
    assert function["Environment"]["Variables"] == {"DYNAMODB_TABLE_NAME": TABLE}


@pytest.mark.engine("dynamodb-local", "moto")
def test_step_4_works_as_it_is_printed_but_for_the_name_of_the_package(
    named: None, table_name: str, old: OldProgram, make_saver: MakeSaver
) -> None:
    conv_id = create_conversation(user_id="test_user", title="Test Conversation")
    add_message(conv_id, role="user", content="Hello!")
    add_message(conv_id, role="assistant", content="Hi there!")
    conversation = get_conversation(conv_id, user_id="test_user")

    assert conversation is not None
    assert (conversation["title"], conversation["message_count"]) == ("Test Conversation", 2)
    assert [(one["role"], one["content"]) for one in conversation["messages"]] == [
        ("user", "Hello!"),
        ("assistant", "Hi there!"),
    ]
    assert Agent(make_saver()).ask(conv_id, "And now?", "test_user") == ["Hello!", "Hi there!", "And now?"]


@on_dynamodb_local
def test_monitoring_and_troubleshooting_tell_what_they_told_but_for_the_count(
    made: Shell, client: DynamoDBClient
) -> None:
    with DynamoDBConversationSaver(TABLE, client=client) as saver:
        Agent(saver).ask("new", "Hello!")

    assert made.json(DESCRIBE)["Table"]["TableStatus"] == "ACTIVE"
    assert made.run(INDEX_STATUS).strip() == "ACTIVE"
    assert TABLE in made.json("aws dynamodb list-tables")["TableNames"]
    assert made.json(COUNT)["Count"] > 1  # of one conversation


def test_an_export_has_state_too_and_conversations_are_the_items_with_a_time_of_creation(
    cloud: Shell, cloud_dynamodb: DynamoDBClient, moto_url: str
) -> None:
    with DynamoDBConversationSaver(TABLE, client=cloud_dynamodb) as saver:
        Agent(saver).ask("new", "Hello!")
    arn = cloud.json(DESCRIBE)["Table"]["TableArn"]
    cloud.run("aws s3api create-bucket --bucket exported")
    cloud.run(
        f"aws dynamodb update-continuous-backups --table-name {TABLE} "
        "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
    )

    export = cloud.json(
        f"aws dynamodb export-table-to-point-in-time --table-arn {arn} --s3-bucket exported "
        "--export-format DYNAMODB_JSON --s3-prefix conversations"  # which moto can not do without
    )["ExportDescription"]
    asking = f"aws dynamodb describe-export --export-arn {export['ExportArn']}"
    run_until(cloud, f"{asking} --query ExportDescription.ExportStatus --output text", "COMPLETED")

    items = exported(moto_url)
    assert len(items) > 1
    (row,) = (item for item in items if "created_at" in item)
    assert (row["conversation_id"], row["user_id"]) == ({"S": "new"}, {"S": "alice"})


def exported(moto_url: str) -> list[dict[str, Any]]:
    """The items of an export."""
    s3 = boto3.client("s3", region_name=REGION, endpoint_url=moto_url)
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket="exported")["Contents"]]
    bodies = [s3.get_object(Bucket="exported", Key=key)["Body"].read() for key in keys if key.endswith(".gz")]
    s3.close()
    return [json.loads(line)["Item"] for body in bodies for line in gzip.decompress(body).splitlines()]


@pytest.mark.engine("dynamodb-local", "moto")
def test_the_sample_item_is_shown_whole_and_continued_by_an_agent_and_stays_readable_for_old_code(
    table: Any, client: DynamoDBClient, make_saver: MakeSaver
) -> None:
    client.put_item(TableName=TABLE, Item={name: to_attribute(value) for name, value in SAMPLE.items()})
    saver, old, conversation_id = make_saver(), OldProgram(table, "demo"), SAMPLE["conversation_id"]
    before = old.show(conversation_id)
    assert before is not None
    config: Any = {"configurable": {"thread_id": conversation_id, "user_id": "demo"}}

    shown = saver.conversations.get(conversation_id, "demo").to_dict()
    assert [{**one, "id": None} for one in shown["messages"]] == [{**one, "id": None} for one in SAMPLE["messages"]]
    offered = saver.get_tuple(config)
    assert offered is not None
    messages = offered.checkpoint["channel_values"]["messages"]
    assert [one.type for one in messages] == ["human", "ai", "tool", "ai", "human", "ai", "tool", "ai"]
    assert json.loads(messages[2].content) == SAMPLE["messages"][1]["tool_calls"][0]["result"]
    assert messages[5].tool_calls[0]["args"] == {"file_id": 123}
    assert old.show(conversation_id) == before, "reading writes nothing"

    assert Agent(saver).ask(conversation_id, "Who made it?", "demo")[0] == "Show me 4K renders"

    after = old.show(conversation_id)
    assert after is not None
    assert after["messages"][:4] == before["messages"]
    assert texts_of(after)[4:] == ["Who made it?", "answer to Who made it?"]
    assert {name: after[name] for name in ("title", "created_at")} == {
        name: before[name] for name in ("title", "created_at")
    }
    assert after["message_count"] == 6
    assert [one["title"] for one in old.list()] == ["4K Renders Search"]
