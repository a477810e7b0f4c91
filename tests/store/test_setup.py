"""The constructor, which sends nothing, and setup(), which makes the table or says what is wrong with it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._storage import administration
from langgraph_dynamo_conv.errors import CredentialsError, TableMismatchError, TableNotFoundError
from langgraph_dynamo_conv.provision import SetUp, differences, table_definition
from tests.factories import config, put, values_of
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.engine_matters

INDEX = "user_id-created_at-index"


@pytest.fixture
def new_name(client: DynamoDBClient) -> Iterator[str]:
    """A name of no table; one of that name is deleted at the end."""
    name = f"new-{uuid.uuid4()}"
    yield name
    if name in client.list_tables()["TableNames"]:
        client.delete_table(TableName=name)


def changed(name: str, **changes: Any) -> dict[str, Any]:
    return {**table_definition(name), **changes}


def schema(hash_key: str, range_key: str) -> list[dict[str, str]]:
    return [{"AttributeName": hash_key, "KeyType": "HASH"}, {"AttributeName": range_key, "KeyType": "RANGE"}]


def index(**changes: Any) -> dict[str, Any]:
    return {**table_definition("")["GlobalSecondaryIndexes"][0], **changes}


def test_setup_makes_the_table_that_users_have(client: DynamoDBClient, new_name: str) -> None:
    with DynamoDBConversationSaver(new_name, client=client, default_user_id="demo") as saver:
        assert saver.setup() == SetUp(created=True, active=True, changed=("ttl",))
        put(saver, 1, {"a": 1})
        assert values_of(saver) == {"a": 1}
        assert saver.resume("demo") == {"configurable": {"thread_id": "thread", "user_id": "demo"}}
    table = client.describe_table(TableName=new_name)["Table"]

    assert differences(table) == []  # type: ignore[arg-type]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["KeySchema"] == schema("conversation_id", "user_id")
    (made,) = table["GlobalSecondaryIndexes"]
    assert (made["IndexName"], made["KeySchema"]) == (INDEX, schema("user_id", "created_at"))
    assert made["Projection"] == {"ProjectionType": "ALL"}
    ttl = client.describe_time_to_live(TableName=new_name)["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "expires_at")


def test_setup_can_be_repeated(client: DynamoDBClient, new_name: str) -> None:
    with DynamoDBConversationSaver(new_name, client=client, default_user_id="demo") as saver:
        assert saver.setup() == SetUp(created=True, active=True, changed=("ttl",))
        put(saver, 1, {"a": 1})
        with RequestLog(client) as log:
            saver.setup()
        assert {"CreateTable", "UpdateTimeToLive"} & set(log.operations) == set()
        assert values_of(saver) == {"a": 1}


def test_setup_takes_the_table_that_is_there(client: DynamoDBClient, table_name: str) -> None:
    with DynamoDBConversationSaver(table_name, client=client) as saver:
        assert saver.setup() == SetUp(created=False, active=True)
        assert "AttributeName" not in client.describe_time_to_live(TableName=table_name)["TimeToLiveDescription"]
        assert saver.setup(ttl=True) == SetUp(created=False, active=True, changed=("ttl",))

    assert client.describe_time_to_live(TableName=table_name)["TimeToLiveDescription"]["AttributeName"] == "expires_at"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"KeySchema": schema("user_id", "conversation_id")},
            r"its key is user_id \(HASH\) and conversation_id \(RANGE\), and must be conversation_id \(HASH\)",
        ),
        ({"GlobalSecondaryIndexes": [index(IndexName="other")]}, rf"it has no index {INDEX} \(it has other\)"),
        (
            {"GlobalSecondaryIndexes": [index(KeySchema=schema("created_at", "user_id"))]},
            rf"the key of {INDEX} is created_at \(HASH\) and user_id \(RANGE\)",
        ),
        (
            {"GlobalSecondaryIndexes": [index(Projection={"ProjectionType": "KEYS_ONLY"})]},
            rf"{INDEX} projects KEYS_ONLY, and must project ALL",
        ),
        (
            {
                "AttributeDefinitions": [
                    {"AttributeName": "conversation_id", "AttributeType": "S"},
                    {"AttributeName": "user_id", "AttributeType": "S"},
                    {"AttributeName": "created_at", "AttributeType": "N"},
                ]
            },
            "created_at is of type N, and must be S",
        ),
        (
            {
                "AttributeDefinitions": [
                    {"AttributeName": "conversation_id", "AttributeType": "N"},
                    {"AttributeName": "user_id", "AttributeType": "S"},
                    {"AttributeName": "created_at", "AttributeType": "S"},
                ]
            },
            "conversation_id is of type N, and must be S",
        ),
    ],
    ids=["keys swapped", "other index", "index keys swapped", "projection", "type of created_at", "type of key"],
)
def test_setup_says_what_is_wrong_with_a_table(
    client: DynamoDBClient, new_name: str, changes: dict[str, Any], said: str
) -> None:
    client.create_table(**changed(new_name, **changes))

    with (
        DynamoDBConversationSaver(new_name, client=client) as saver,
        pytest.raises(TableMismatchError, match=f"'{new_name}' exists, but .*{said}"),
    ):
        saver.setup()


def test_setup_says_that_a_table_has_no_index_at_all(client: DynamoDBClient, new_name: str) -> None:
    definition = changed(new_name, AttributeDefinitions=table_definition("")["AttributeDefinitions"][:2])
    del definition["GlobalSecondaryIndexes"]
    client.create_table(**definition)

    with (
        DynamoDBConversationSaver(new_name, client=client) as saver,
        pytest.raises(TableMismatchError, match=f"it has no index {INDEX}"),
    ):
        saver.setup()


def test_a_missing_table_is_an_error_that_names_setup(client: DynamoDBClient, new_name: str) -> None:
    with DynamoDBConversationSaver(new_name, client=client, default_user_id="demo") as saver:
        with pytest.raises(TableNotFoundError, match=rf"no table '{new_name}' in us-east-1 .*setup\(\)"):
            saver.get_tuple(config())
        with pytest.raises(TableNotFoundError):
            put(saver, 1, {"a": 1})


def test_an_index_makes_the_table_usable_only_once_it_is_named_right() -> None:
    assert differences(table_definition("any")) == []


def test_the_constructor_sends_nothing_and_needs_no_credentials(
    client: DynamoDBClient, table_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boto3.session, "Session", None)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    with RequestLog(client) as log:
        for options in ({}, {"client": client}, {"region_name": "eu-west-1"}, {"endpoint_url": "http://localhost:1"}):
            with DynamoDBConversationSaver(table_name, **options) as saver:  # type: ignore[arg-type]
                saver.new_conversation("alice")
                assert saver.config_specs is not None
                assert saver.get_next_version(1, None).startswith("2".zfill(32) + ".")

    assert log.operations == []


def test_no_region_is_an_error_at_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)

    with (
        DynamoDBConversationSaver("table", default_user_id="demo") as saver,
        pytest.raises(CredentialsError, match="no AWS region is known: give region_name, or set AWS_DEFAULT_REGION"),
    ):
        saver.get_tuple(config())


def test_no_credentials_are_an_error_at_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    with (
        DynamoDBConversationSaver("table", default_user_id="demo", endpoint_url="http://localhost:1") as saver,
        pytest.raises(CredentialsError, match="no usable AWS credentials for table 'table'"),
    ):
        saver.get_tuple(config())


def test_the_table_is_named_by_the_environment(
    client: DynamoDBClient, table_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNAMODB_TABLE_NAME", table_name)
    with DynamoDBConversationSaver(client=client, default_user_id="demo") as saver:
        put(saver, 1, {"a": 1})
    monkeypatch.setenv("DYNAMODB_TABLE_NAME", "another")
    with DynamoDBConversationSaver(table_name, client=client, default_user_id="demo") as saver:
        assert values_of(saver) == {"a": 1}


@pytest.mark.parametrize("name", [None, ""])
def test_no_table_name_is_an_error(name: str | None) -> None:
    with pytest.raises(ValueError, match="give table_name, or set the environment variable DYNAMODB_TABLE_NAME"):
        DynamoDBConversationSaver(name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"default_user_id": "a#b"}, "a user_id is"),
        ({"default_user_id": ""}, "a user_id is"),
        ({"row_bytes": 1}, "row_bytes is a whole number, at least 512"),
        ({"cache_bytes": -1}, "cache_bytes is a whole number, at least 0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DynamoDBConversationSaver("table", **options)


@pytest.mark.parametrize("options", [{"region_name": "eu-west-1"}, {"endpoint_url": "http://localhost:1"}])
def test_a_client_with_a_region_or_endpoint_is_a_contradiction(client: DynamoDBClient, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a client has its own region and endpoint"):
        DynamoDBConversationSaver("table", client=client, **options)


def test_options_are_given_by_name(client: DynamoDBClient) -> None:
    with pytest.raises(TypeError):
        DynamoDBConversationSaver("table", client)  # type: ignore[misc]


def test_close_can_be_repeated_and_a_closed_saver_opens_again(client: DynamoDBClient, table_name: str) -> None:
    saver = DynamoDBConversationSaver(table_name, client=client, default_user_id="demo")
    put(saver, 1, {"a": 1})
    saver.close()
    saver.close()

    assert values_of(saver) == {"a": 1}
    saver.close()


@pytest.mark.engine("dynamodb-local", "moto")
def test_setup_adds_the_index_that_a_table_lacks(client: DynamoDBClient, new_name: str) -> None:
    lacking = {name: value for name, value in table_definition(new_name).items() if name != "GlobalSecondaryIndexes"}
    lacking["AttributeDefinitions"] = [one for one in lacking["AttributeDefinitions"] if "created" not in str(one)]
    client.create_table(**lacking)
    row = {"conversation_id": {"S": "old"}, "user_id": {"S": "alice"}, "created_at": {"S": "2025-01-01T00:00:00Z"}}
    client.put_item(TableName=new_name, Item=row)
    with DynamoDBConversationSaver(new_name, client=client) as saver:
        with pytest.raises(TableMismatchError, match=r"setup\(add_index=True\)"):
            saver.setup()
        assert saver.setup(add_index=True) == SetUp(created=False, active=True, changed=("index",))
        assert saver.setup(add_index=True) == SetUp(created=False, active=True)
        assert [one.conversation_id for one in saver.conversations.list("alice")] == ["old"]
    assert differences(client.describe_table(TableName=new_name)["Table"]) == []  # type: ignore[arg-type]


@pytest.mark.engine("dynamodb-local", "moto")
def test_an_added_index_has_the_capacity_of_a_provisioned_table(client: DynamoDBClient, new_name: str) -> None:
    lacking = {name: value for name, value in table_definition(new_name).items() if name != "GlobalSecondaryIndexes"}
    lacking["AttributeDefinitions"] = [one for one in lacking["AttributeDefinitions"] if "created" not in str(one)]
    units = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 5}
    client.create_table(**{**lacking, "BillingMode": "PROVISIONED", "ProvisionedThroughput": units})
    with DynamoDBConversationSaver(new_name, client=client) as saver:
        saver.setup(add_index=True)
    (made,) = client.describe_table(TableName=new_name)["Table"]["GlobalSecondaryIndexes"]
    assert {name: made["ProvisionedThroughput"][name] for name in units} == units  # type: ignore[literal-required]


@pytest.mark.engine("dynamodb-local", "moto")
def test_setup_adds_no_index_to_a_table_with_another_key(client: DynamoDBClient, new_name: str) -> None:
    other = changed(new_name, KeySchema=schema("user_id", "conversation_id"))
    client.create_table(
        **{name: value for name, value in other.items() if name != "GlobalSecondaryIndexes"}
        | {"AttributeDefinitions": [one for one in other["AttributeDefinitions"] if "created" not in str(one)]}
    )
    with (
        DynamoDBConversationSaver(new_name, client=client) as saver,
        pytest.raises(TableMismatchError, match="its key is"),
    ):
        saver.setup(add_index=True)
    assert not client.describe_table(TableName=new_name)["Table"].get("GlobalSecondaryIndexes")


@pytest.mark.engine("dynamodb-local", "moto")
def test_setup_turns_deletion_protection_on_once(client: DynamoDBClient, new_name: str) -> None:
    with DynamoDBConversationSaver(new_name, client=client) as saver:
        saver.setup()
        assert saver.setup(protect=True) == SetUp(created=False, active=True, changed=("protection",))
        assert saver.setup(protect=True) == SetUp(created=False, active=True)
    with pytest.raises(client.exceptions.ClientError, match="rotect"):
        client.delete_table(TableName=new_name)
    client.update_table(TableName=new_name, DeletionProtectionEnabled=False)


@pytest.mark.engine("moto")
def test_time_to_live_on_a_strongly_consistent_global_table_is_refused_before_dynamodb_refuses_it(
    client: DynamoDBClient, new_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DynamoDBConversationSaver(new_name, client=client) as saver:
        saver.setup(ttl=False)
        described = {**client.describe_table(TableName=new_name)["Table"], "MultiRegionConsistency": "STRONG"}
        monkeypatch.setattr(administration, "describe", lambda _: described)

        with pytest.raises(TableMismatchError, match="has no time-to-live.*setup --no-ttl"):
            saver.setup(ttl=True)
        assert saver.setup(ttl=False) == SetUp(created=False, active=True)
        assert saver.setup() == SetUp(created=False, active=True)
