"""`setup`, `doctor` and the commands that print policies and templates."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import yaml
from botocore.stub import Stubber
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.cli import infrastructure
from langgraph_dynamo_conv.cli.diagnosis.checks import diagnose
from langgraph_dynamo_conv.cli.diagnosis.findings import Finding
from langgraph_dynamo_conv.cli.infrastructure import TemplateOptions
from langgraph_dynamo_conv.cli.output import Exit
from langgraph_dynamo_conv.provision import RUNTIME_ACTIONS, iam_policy, table_definition
from tests.cli.chats import chat
from tests.cli.template_variants import KEY_ARN
from tests.requests_log import RequestLog
from tests.store.test_permissions import Role, iam_enforced, use_all_of_the_runtime

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.cli.conftest import Cli, Ended
    from tests.conftest import MakeSaver


ACCOUNT = "123456789012"

__all__ = ["iam_enforced"]  # a fixture


class Person(Role):
    """An IAM user that can be who runs the commands."""

    def act(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the environment hold this user's credentials."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", self._key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", self._key["SecretAccessKey"])


@pytest.fixture
def new_name(client: DynamoDBClient) -> Iterator[str]:
    """A name of no table; one of that name is deleted at the end."""
    name = f"new-{uuid.uuid4()}"
    yield name
    if name in client.list_tables()["TableNames"]:
        client.delete_table(TableName=name)


def tags_of(client: DynamoDBClient, table_name: str) -> dict[str, str]:
    arn = client.describe_table(TableName=table_name)["Table"]["TableArn"]
    return {one["Key"]: one["Value"] for one in client.list_tags_of_resource(ResourceArn=arn)["Tags"]}


def recovery_of(client: DynamoDBClient, table_name: str) -> str:
    description = client.describe_continuous_backups(TableName=table_name)["ContinuousBackupsDescription"]
    return description["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]


def findings_of(ended: Ended) -> dict[str, tuple[str, str]]:
    """Verdict and words by check."""
    return {one["check"]: (one["verdict"], one["said"]) for one in ended.json["findings"]}


def test_setup_creates_the_table_and_can_be_repeated(cli: Cli, new_name: str) -> None:
    made = cli("setup", "--table", new_name)
    again = cli("setup", "--table", new_name, "--json")

    assert made.out == f"{new_name}: created, active\nturned on: time-to-live on expires_at\n"
    assert again.json == {"table": new_name, "created": False, "active": True, "changed": [], "pending": []}
    assert cli("list", "alice", "--table", new_name, "--json").json["conversations"] == []


@pytest.mark.engine("moto")
def test_setup_turns_on_recovery_and_sets_tags(cli: Cli, client: DynamoDBClient, new_name: str) -> None:
    options = ("--table", new_name, "--pitr", "--tag", "team=chat", "--tag", "cost=a=b")

    made = cli("setup", *options)
    again = cli("setup", *options, "--json").json

    assert "turned on: point-in-time recovery\n" in made.out
    assert tags_of(client, new_name) == {"team": "chat", "cost": "a=b"}
    assert recovery_of(client, new_name) == "ENABLED"
    assert again["changed"] == ["tags"]


@pytest.mark.engine("moto")
def test_setup_sets_up_a_table_that_is_there(cli: Cli, client: DynamoDBClient, table_name: str) -> None:
    ended = cli("setup", "--pitr", "--tag", "team=chat", "--no-ttl")

    assert ended.out == f"{table_name}: was there, active\nturned on: point-in-time recovery\nset: tags\n"
    assert tags_of(client, table_name) == {"team": "chat"}
    ttl = client.describe_time_to_live(TableName=table_name)["TimeToLiveDescription"]
    assert ttl["TimeToLiveStatus"] == "DISABLED"


@pytest.mark.engine("dynamodb-local", "moto")
def test_setup_adds_an_index_if_it_is_asked_to(cli: Cli, client: DynamoDBClient, new_name: str) -> None:
    client.create_table(**wrong_table(new_name))

    refused, ended = cli("setup", "--table", new_name), cli("setup", "--table", new_name, "--add-index")

    assert "--add-index" in refused.error
    assert ended.out == f"{new_name}: was there, active\nadded: the index user_id-created_at-index\n"


def test_setup_refuses_a_table_with_other_keys(cli: Cli, client: DynamoDBClient, new_name: str) -> None:
    client.create_table(**wrong_table(new_name))

    ended = cli("setup", "--table", new_name)

    assert ended.code == Exit.FAILED
    assert "it has no index user_id-created_at-index" in ended.error


def test_setup_that_does_not_wait_tells_what_is_left_to_do(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = boto3.client("dynamodb")
    definition = table_definition("slow")
    creating = {"TableStatus": "CREATING", "KeySchema": definition["KeySchema"]}
    indexes = [{**definition["GlobalSecondaryIndexes"][0], "IndexStatus": "CREATING"}]
    monkeypatch.setattr("langgraph_dynamo_conv.cli.app.client_of", lambda *_, **__: slow)

    with Stubber(slow) as answers:
        answers.add_client_error("describe_table", "ResourceNotFoundException")
        answers.add_response("create_table", {})
        answers.add_response("describe_table", {"Table": {**creating, "GlobalSecondaryIndexes": indexes}})
        ended = cli("setup", "--no-wait", "--pitr", "--table", "slow")

    assert ended.out.splitlines() == [
        "slow: created, not active yet",
        "not yet: time-to-live on expires_at (once the table is active: setup --ttl)",
        "not yet: point-in-time recovery (once the table is active: setup --pitr)",
    ]


@pytest.mark.parametrize("tag", ["nothing", "=value"])
def test_a_tag_without_key_or_value_is_a_wrong_argument(cli: Cli, tag: str) -> None:
    ended = cli("setup", "--tag", tag)

    assert (ended.code, ended.error) == (Exit.USAGE, f"error: --tag is KEY=VALUE; got '{tag.partition('=')[0]}'")


@pytest.mark.engine("dynamodb-local")  # AWS itself would be asked who this is
def test_doctor_finds_nothing_wrong_with_a_table_that_was_set_up(
    cli: Cli, client: DynamoDBClient, new_name: str
) -> None:
    cli("setup", "--table", new_name, "--protect")

    ended = cli("doctor", "--table", new_name)
    found = findings_of(cli("doctor", "--table", new_name, "--json"))
    client.update_table(TableName=new_name, DeletionProtectionEnabled=False)

    assert ended.code == 0
    assert ended.out.endswith("nothing is wrong\n")
    assert {verdict for check, (verdict, _) in found.items() if check not in ("recovery", "types")} == {"ok"}
    assert found["expiry"][1] == "time-to-live is on expires_at"
    assert found["index"][1] == "user_id-created_at-index: ACTIVE"
    assert found["PutItem"][1] == "allowed (nothing was written)"
    assert set(found) >= set(RUNTIME_ACTIONS)
    assert client.scan(TableName=new_name)["Count"] == 0


def test_doctor_writes_nothing_into_a_table_in_use(
    cli: Cli, client: DynamoDBClient, table_name: str, saver: DynamoDBConversationSaver
) -> None:
    chat(saver, "alice", "flats")
    before = client.scan(TableName=table_name)["Items"]

    cli("doctor")

    assert client.scan(TableName=table_name)["Items"] == before


@pytest.mark.engine("moto")
def test_doctor_tells_who_asks_and_whether_recovery_is_on(cli: Cli, client: DynamoDBClient, new_name: str) -> None:
    cli("setup", "--table", new_name)
    without = cli("doctor", "--table", new_name)
    cli("setup", "--table", new_name, "--pitr")
    found = findings_of(cli("doctor", "--table", new_name, "--json"))

    assert "!  recovery" in without.out
    assert "→ `setup --pitr` turns it on" in without.out
    assert found["recovery"] == ("ok", "point-in-time recovery is on, for 35 days")
    assert found["identity"] == ("ok", f"arn:aws:sts::{ACCOUNT}:user/moto in us-east-1")


@pytest.mark.engine("dynamodb-local")
def test_doctor_asks_no_other_host_when_the_endpoint_is_not_aws(cli: Cli) -> None:
    found = findings_of(cli("doctor", "--json"))

    assert found["identity"][0] == "ok"
    assert found["identity"][1].endswith("is not AWS")
    assert found["recovery"][0] == "note"


@pytest.mark.engine("dynamodb-local")  # AWS itself would be asked who this is
def test_doctor_says_that_there_is_no_table(cli: Cli) -> None:
    ended = cli("doctor", "--table", "no-such-table")

    assert ended.code == Exit.FOUND
    assert "there is no table no-such-table in us-east-1 at http" in ended.out
    assert "→ if it was there, restore it before anything takes its name; else make it with `setup`" in ended.out
    assert ended.out.endswith("1 wrong\n")


def test_doctor_says_what_is_wrong_with_keys_and_what_can_not_be_done(
    cli: Cli, client: DynamoDBClient, new_name: str
) -> None:
    client.create_table(**wrong_table(new_name))

    ended = cli("doctor", "--table", new_name, "--json")

    found = findings_of(ended)
    assert (ended.code, ended.json["ok"]) == (Exit.FOUND, False)
    assert found["keys"] == ("wrong", "it has no index user_id-created_at-index")
    assert found["Query of the index"][0] == "wrong"
    assert found["GetItem"] == ("ok", "allowed")


@pytest.mark.engine("moto")
def test_doctor_notes_provisioned_capacity_and_another_expiry(cli: Cli, client: DynamoDBClient, new_name: str) -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    definition = {**table_definition(new_name), "BillingMode": "PROVISIONED", "ProvisionedThroughput": units}
    definition["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] = units
    client.create_table(**definition)
    specification: Any = {"Enabled": True, "AttributeName": "ttl"}
    client.update_time_to_live(TableName=new_name, TimeToLiveSpecification=specification)

    found = findings_of(cli("doctor", "--table", new_name, "--json"))

    assert found["billing"] == ("note", "provisioned: 5 read and 6 write units a second")
    assert found["expiry"] == ("wrong", "time-to-live is on ttl, and must be on expires_at")


@pytest.mark.engine("memory", "dynamodb-local", "moto")
def test_doctor_warns_of_one_user_for_everybody(client: DynamoDBClient, table_name: str) -> None:
    def begin(user_id: str) -> None:
        row = {"conversation_id": str(uuid.uuid4()), "user_id": user_id, "created_at": "2026", "title": "one"}
        client.put_item(TableName=table_name, Item={name: {"S": text} for name, text in row.items()})

    def of_users() -> Finding:
        findings = diagnose(Table(table_name, client=client), lambda: "me", JsonPlusSerializer())
        return next(finding for finding in findings if finding.check == "users")

    few = of_users()
    for number in range(100):
        begin(f"user{number}")
    many = of_users()
    for _ in range(500):
        begin("demo")
    with RequestLog(client) as log:
        one = of_users()

    assert (few.verdict, many.verdict, one.verdict) == ("ok", "ok", "note")
    assert few.said == "too few conversations to tell whether one user has most of them: 0 found"
    assert re.fullmatch(r"no user has most of \d\d conversations, looked up at random", many.said)
    assert re.fullmatch(r"'demo' has \d\d of \d\d conversations, looked up at random; .* 60 writes .*", one.said)
    assert str(one.remedy).startswith("give every person a user id of their own")
    assert len(log) <= 40


@pytest.mark.engine("moto")
@pytest.mark.parametrize("missing", RUNTIME_ACTIONS)
def test_doctor_names_each_action_that_is_not_allowed(
    cli: Cli, role: Person, iam: Callable[[], None], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    role.allow(*(action for action in RUNTIME_ACTIONS if action != missing))
    role.act(monkeypatch)
    iam()

    ended = cli("doctor", "--json")

    found = findings_of(ended)
    wrong = {check for check, (verdict, _) in found.items() if verdict == "wrong"}
    assert ended.code == Exit.FOUND
    assert {check.split()[0] for check in wrong} == {missing}
    assert f"allow dynamodb:{missing} on the table" in found[missing][1]
    assert found["table"] == ("note", "this role may not describe it, so it is only tried")


@pytest.mark.engine("moto")
def test_the_runtime_works_under_the_policy_that_is_printed(
    cli: Cli, make_saver: MakeSaver, role: Person, iam: Callable[[], None]
) -> None:
    client = role.put(cli("iam-policy", "--account", ACCOUNT).json)
    iam()

    use_all_of_the_runtime(make_saver(client=client))


@pytest.mark.engine("moto")
def test_setup_and_doctor_work_under_the_policy_that_is_printed_for_them(
    cli: Cli, role: Person, iam: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    role.put(cli("iam-policy", "--for", "setup").json)
    role.act(monkeypatch)
    iam()

    assert cli("setup", "--pitr", "--ttl").code == 0
    found = findings_of(cli("doctor", "--json"))
    assert {found[check][0] for check in ("table", "keys", "index", "expiry", "recovery")} == {"ok"}


def test_the_policy_names_the_table_its_index_and_objects(
    cli: Cli, table_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    starred = cli("iam-policy").json
    monkeypatch.setenv("AWS_ACCOUNT_ID", ACCOUNT)
    asked = cli("iam-policy").json
    bucket = ("--s3-bucket", "chat-values", "--s3-prefix", "conversations/")
    elsewhere = cli("iam-policy", "--account", "1" * 12, "--region", "cn-north-1", *bucket).json

    arn = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{table_name}"
    assert asked == iam_policy(arn)
    assert starred == iam_policy(arn.replace(ACCOUNT, "*"))
    chinese = f"arn:aws-cn:dynamodb:cn-north-1:{'1' * 12}:table/{table_name}"
    assert elsewhere == iam_policy(chinese, s3_bucket="chat-values", s3_prefix="conversations/")
    assert cli("iam-policy", "--s3-prefix", "a/").code == Exit.USAGE
    less = cli("iam-policy", "--no-scan", "--kms-key", KEY_ARN).json
    assert less == iam_policy(arn, scan=False, kms_key_arn=KEY_ARN)


def test_templates_are_printed_without_asking_anyone(terminal: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boto3.session.Session", None)
    assert terminal("iam-policy", "--table", "chats").json["Statement"]

    yaml_text = terminal("cloudformation", "--table", "chats", "--tag", "team=chat").out
    as_json = terminal("cloudformation", "--table", "chats", "--tag", "team=chat", "--json").json
    hcl = terminal("terraform", "--table", "chats").out
    terraform = terminal("terraform", "--table", "chats", "--json").json

    assert yaml.safe_load(yaml_text) == as_json
    assert "&id" not in yaml_text
    assert as_json["Parameters"]["TableName"]["Default"] == "chats"
    assert 'resource "aws_dynamodb_table" "conversations" {' in hcl
    assert terraform["variable"]["table_name"]["default"] == "chats"


@pytest.mark.parametrize("command", ["cloudformation", "terraform"])
def test_every_option_of_a_template_reaches_it_and_is_explained(terminal: Cli, command: str) -> None:
    one = ("--no-ttl", "--no-pitr", "--no-protect", "--no-scan", "--kms-key", KEY_ARN, "--tag", "a=b", "--provisioned")
    other = ("--existing", "--s3-bucket", "values", "--s3-prefix", "chats", "--consumer")
    limited = ("--max-write-units", "500")
    without = {"ttl": False, "recovery": False, "protect": False, "scan": False}
    options = [
        (one, TemplateOptions("chats", tags={"a": "b"}, kms_key_arn=KEY_ARN, provisioned=True, **without)),
        (other, TemplateOptions("chats", existing=True, s3_bucket="values", s3_prefix="chats", consumer=True)),
        (limited, TemplateOptions("chats", max_write_units=500)),
    ]

    for words, wanted in options:
        assert terminal(command, "--table", "chats", *words).out == getattr(infrastructure, command)(wanted)
    page = (Path(__file__).parents[2] / "docs" / "infrastructure.md").read_text(encoding="utf-8")
    named = {word for words, _ in options for word in words if word.startswith("--")}
    assert {word for word in named if f"`{word}" not in page} == set()


@pytest.fixture
def role(client: DynamoDBClient, table_name: str) -> Iterator[Person]:
    role = Person(client.describe_table(TableName=table_name)["Table"]["TableArn"])
    yield role
    role.close()


@pytest.fixture
def iam(role: Person, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Turns moto's enforcement of policies on, once the test's tables and roles are made; off before they go."""

    def enforce() -> None:
        request.getfixturevalue("iam_enforced")

    yield enforce
    monkeypatch.undo()


def wrong_table(name: str) -> dict[str, Any]:
    """A table without the index."""
    definition = table_definition(name)
    del definition["GlobalSecondaryIndexes"]
    definition["AttributeDefinitions"] = definition["AttributeDefinitions"][:2]
    return definition
