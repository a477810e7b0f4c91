"""Setting up the table, over canned answers of DynamoDB; the store tests do it on engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import IndexNotReadyError, RequestFailedError, TableMismatchError
from langgraph_dynamo_conv.provision import (
    TTL_ATTRIBUTE,
    SetUp,
    SetupOptions,
    differences,
    iam_policy,
    setup_table,
    table_definition,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX = "user_id-created_at-index"
ON = {"TimeToLiveStatus": "ENABLED", "AttributeName": TTL_ATTRIBUTE}
OFF = {"TimeToLiveStatus": "DISABLED"}


@pytest.fixture
def client() -> Iterator[DynamoDBClient]:
    client = boto3.client("dynamodb", region_name="us-east-1")
    yield client
    client.close()


@pytest.fixture
def answers(client: DynamoDBClient) -> Iterator[Stubber]:
    """The answers to come, in order; another request fails."""
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


class Clock:
    """Counts the seconds slept."""

    def __init__(self) -> None:
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


def description(status: str = "ACTIVE", index_status: str = "ACTIVE") -> dict[str, Any]:
    """DescribeTable's `Table` of the table as it should be."""
    definition = table_definition("conversations")
    index = {**definition["GlobalSecondaryIndexes"][0], "IndexStatus": index_status}
    return {**definition, "TableStatus": status, "GlobalSecondaryIndexes": [index], "BillingMode": None}


def described(answers: Stubber, *descriptions: dict[str, Any]) -> None:
    for one in descriptions:
        table = {name: value for name, value in one.items() if name != "BillingMode"}
        answers.add_response("describe_table", {"Table": table})


def expiring(answers: Stubber, setting: dict[str, str]) -> None:
    answers.add_response("describe_time_to_live", {"TimeToLiveDescription": setting})


def set_up(client: DynamoDBClient, *, ttl: bool | None = None) -> float:
    clock = Clock()
    setup_table(Table("conversations", client=client), clock.sleep, SetupOptions(ttl=ttl))
    return clock.slept


def test_a_missing_table_is_created_and_waited_for(client: DynamoDBClient, answers: Stubber) -> None:
    answers.add_client_error("describe_table", "ResourceNotFoundException", "Requested resource not found")
    answers.add_response("create_table", {}, table_definition("conversations"))
    described(answers, description("CREATING", "CREATING"), description())
    expiring(answers, OFF)
    answers.add_response("update_time_to_live", {})

    assert set_up(client) > 0


def test_a_table_that_another_process_creates_first_is_as_good(client: DynamoDBClient, answers: Stubber) -> None:
    answers.add_client_error("describe_table", "ResourceNotFoundException")
    answers.add_client_error("create_table", "ResourceInUseException")
    described(answers, description())
    expiring(answers, ON)

    assert set_up(client) == 0


def test_a_table_that_is_there_is_left_as_it_is(client: DynamoDBClient, answers: Stubber) -> None:
    described(answers, description(), description())

    assert setup_table(Table("conversations", client=client)) == SetUp(created=False, active=True)


def test_a_table_that_is_there_expires_if_it_is_told_to(client: DynamoDBClient, answers: Stubber) -> None:
    described(answers, description(), description())
    expiring(answers, OFF)
    answers.add_response("update_time_to_live", {})

    done = setup_table(Table("conversations", client=client), wanted=SetupOptions(ttl=True))

    assert done == SetUp(created=False, active=True, changed=("ttl",))


def test_a_table_that_another_process_creates_otherwise_is_refused(client: DynamoDBClient, answers: Stubber) -> None:
    answers.add_client_error("describe_table", "ResourceNotFoundException")
    answers.add_client_error("create_table", "ResourceInUseException")
    described(answers, changed(lambda table: table["KeySchema"].pop()))

    with pytest.raises(TableMismatchError, match="its key is"):
        set_up(client)


def test_an_index_that_is_still_built_on_an_existing_table_is_waited_for(
    client: DynamoDBClient, answers: Stubber
) -> None:
    building = description("UPDATING", "CREATING")
    described(answers, building, building, building, description("UPDATING"))

    assert set_up(client) == 4


def recovering(answers: Stubber, status: str) -> None:
    recovery = {"PointInTimeRecoveryStatus": status}
    backups = {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery}
    answers.add_response("describe_continuous_backups", {"ContinuousBackupsDescription": backups})


def test_without_waiting_what_a_new_table_refuses_is_left_to_do(client: DynamoDBClient, answers: Stubber) -> None:
    wanted = SetupOptions(recovery=True, tags={"team": "chat"}, wait=False)
    answers.add_client_error("describe_table", "ResourceNotFoundException")
    tags = [{"Key": "team", "Value": "chat"}]
    answers.add_response("create_table", {}, {**table_definition("conversations"), "Tags": tags})
    described(answers, description("CREATING", "CREATING"))

    done = setup_table(Table("conversations", client=client), wanted=wanted)

    assert done == SetUp(created=True, active=False, pending=("ttl", "pitr"))


def test_without_waiting_a_table_that_is_not_visible_yet_is_left_to_do(
    client: DynamoDBClient, answers: Stubber
) -> None:
    answers.add_client_error("describe_table", "ResourceNotFoundException")
    answers.add_response("create_table", {})
    answers.add_client_error("describe_table", "ResourceNotFoundException")

    done = setup_table(Table("conversations", client=client), wanted=SetupOptions(ttl=False, wait=False))

    assert done == SetUp(created=True, active=False)


def test_recovery_is_turned_on_once_a_new_table_allows_it(client: DynamoDBClient, answers: Stubber) -> None:
    clock = Clock()
    described(answers, description(), description())
    recovering(answers, "DISABLED")
    answers.add_client_error("update_continuous_backups", "ContinuousBackupsUnavailableException")
    answers.add_response("update_continuous_backups", {})

    done = setup_table(Table("conversations", client=client), clock.sleep, SetupOptions(ttl=False, recovery=True))

    assert (done.changed, clock.slept) == (("pitr",), 2)


def test_recovery_that_is_on_is_left_alone(client: DynamoDBClient, answers: Stubber) -> None:
    described(answers, description(), description())
    recovering(answers, "ENABLED")

    done = setup_table(Table("conversations", client=client), wanted=SetupOptions(ttl=False, recovery=True))

    assert done == SetUp(created=False, active=True)


def test_a_refusal_to_turn_recovery_on_is_told(client: DynamoDBClient, answers: Stubber) -> None:
    described(answers, description(), description())
    recovering(answers, "DISABLED")
    answers.add_client_error("update_continuous_backups", "ValidationException", "not here")

    with pytest.raises(RequestFailedError, match="not here"):
        setup_table(Table("conversations", client=client), wanted=SetupOptions(ttl=False, recovery=True))


def test_waiting_ends_after_ten_minutes(client: DynamoDBClient, answers: Stubber) -> None:
    described(answers, *[description("UPDATING", "CREATING")] * 302)

    with pytest.raises(IndexNotReadyError, match="after 600 s the table 'conversations' is UPDATING") as caught:
        set_up(client)

    assert f"{INDEX} is CREATING" in str(caught.value)
    assert (caught.value.operation, caught.value.table) == ("DescribeTable", "conversations")


def test_time_to_live_that_is_on_is_left_alone(client: DynamoDBClient, answers: Stubber) -> None:
    described(answers, description(), description())
    expiring(answers, {**ON, "TimeToLiveStatus": "ENABLING"})

    set_up(client, ttl=True)


def test_time_to_live_that_another_process_turns_on_is_as_good(client: DynamoDBClient, answers: Stubber) -> None:
    described(answers, description(), description())
    expiring(answers, OFF)
    answers.add_client_error("update_time_to_live", "ValidationException", "TimeToLive is already enabled")
    expiring(answers, ON)

    set_up(client, ttl=True)


def test_a_refusal_to_turn_time_to_live_on_is_told(client: DynamoDBClient, answers: Stubber) -> None:
    described(answers, description(), description())
    expiring(answers, OFF)
    said = "Time to live has been modified multiple times within a fixed interval"
    answers.add_client_error("update_time_to_live", "ValidationException", said)
    expiring(answers, OFF)

    with pytest.raises(RequestFailedError, match=said):
        set_up(client, ttl=True)


def test_time_to_live_on_another_attribute_is_refused(client: DynamoDBClient, answers: Stubber) -> None:
    described(answers, description(), description())
    expiring(answers, {**ON, "AttributeName": "ttl"})

    with pytest.raises(TableMismatchError, match="by the attribute 'ttl', and must do it by 'expires_at'"):
        set_up(client, ttl=True)


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """The right description, but for one change."""
    table = description()
    table["KeySchema"] = list(table["KeySchema"])
    change(table)
    return table


def test_the_right_table_has_no_differences() -> None:
    assert differences(description()) == []


def test_other_keys_are_told() -> None:
    found = differences(changed(lambda table: table["KeySchema"].reverse()))

    assert found == [
        "its key is user_id (RANGE) and conversation_id (HASH), and must be conversation_id (HASH) and user_id (RANGE)"
    ]


def test_keys_of_other_types_are_told() -> None:
    found = differences(changed(lambda table: [one.update(AttributeType="N") for one in table["AttributeDefinitions"]]))

    assert found == [f"{name} is of type N, and must be S" for name in ("conversation_id", "user_id", "created_at")]


def test_a_missing_index_is_told_with_those_there_are() -> None:
    def rename(table: dict[str, Any]) -> None:
        table["GlobalSecondaryIndexes"][0]["IndexName"] = "by_user"

    assert differences(changed(rename)) == [f"it has no index {INDEX} (it has by_user)"]
    assert differences(changed(lambda table: table.pop("GlobalSecondaryIndexes"))) == [f"it has no index {INDEX}"]


def test_an_index_with_other_keys_or_projection_is_told() -> None:
    def change(table: dict[str, Any]) -> None:
        index = table["GlobalSecondaryIndexes"][0]
        index["KeySchema"] = index["KeySchema"][:1]
        index["Projection"] = {"ProjectionType": "KEYS_ONLY"}

    assert differences(changed(change)) == [
        f"the key of {INDEX} is user_id (HASH), and must be user_id (HASH) and created_at (RANGE)",
        f"{INDEX} projects KEYS_ONLY, and must project ALL",
    ]


TABLE_ARN = "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/conversations"


def test_the_policy_has_six_actions_on_the_table_and_query_on_its_index() -> None:
    of_table, of_index = iam_policy(TABLE_ARN)["Statement"]

    actions = ("DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")
    assert of_table["Action"] == [f"dynamodb:{action}" for action in actions]
    assert of_table["Resource"] == TABLE_ARN
    assert (of_index["Action"], of_index["Resource"]) == (["dynamodb:Query"], f"{TABLE_ARN}/index/{INDEX}")


@pytest.mark.parametrize(("prefix", "resource"), [("", "values/*"), ("a/b", "values/a/b/*"), ("a/b/", "values/a/b/*")])
def test_with_a_bucket_it_has_three_more_on_the_prefix_and_none_on_the_bucket(prefix: str, resource: str) -> None:
    *of_table, of_bucket = iam_policy(TABLE_ARN, s3_bucket="values", s3_prefix=prefix)["Statement"]

    assert of_table == iam_policy(TABLE_ARN)["Statement"]
    assert of_bucket == {
        "Sid": "LargeValues",
        "Effect": "Allow",
        "Action": ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
        "Resource": f"arn:aws-cn:s3:::{resource}",
    }


KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def test_without_scan_the_policy_has_the_other_five_actions() -> None:
    of_table, of_index = iam_policy(TABLE_ARN, scan=False)["Statement"]

    assert of_table["Action"] == [
        f"dynamodb:{one}" for one in ("DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem")
    ]
    assert of_index == iam_policy(TABLE_ARN)["Statement"][1]


def test_with_a_key_it_allows_what_dynamodb_does_with_that_key_in_its_region_and_no_more() -> None:
    *of_table, of_key = iam_policy(TABLE_ARN, kms_key_arn=KEY_ARN)["Statement"]

    assert of_table == iam_policy(TABLE_ARN)["Statement"]
    assert of_key == {
        "Sid": "Key",
        "Effect": "Allow",
        "Action": ["kms:Decrypt", "kms:DescribeKey"],
        "Resource": KEY_ARN,
        "Condition": {"StringEquals": {"kms:ViaService": "dynamodb.eu-west-1.amazonaws.com"}},
    }


@pytest.mark.parametrize("arn", [KEY_ARN.replace("key/", "alias/"), "1234abcd", KEY_ARN.replace("kms", "dynamodb"), ""])
def test_what_is_no_keys_arn_is_refused(arn: str) -> None:
    with pytest.raises(ValueError, match="kms_key_arn is a key's ARN"):
        iam_policy(TABLE_ARN, kms_key_arn=arn)


@pytest.mark.parametrize(("arn", "prefix"), [("conversations", ""), ("arn:aws:s3:::x", ""), (TABLE_ARN, "/a")])
def test_a_policy_of_something_else_is_refused(arn: str, prefix: str) -> None:
    with pytest.raises(ValueError, match="table_arn is a table's ARN|s3_prefix is made of names"):
        iam_policy(arn, s3_bucket="values", s3_prefix=prefix)
