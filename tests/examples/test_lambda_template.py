"""The templates: what they make is what the package needs, no more is allowed, and what they name exists."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from langgraph_dynamo_conv.errors import AccessDeniedError, CorruptDataError, TableNotFoundError
from langgraph_dynamo_conv.provision import TTL_ATTRIBUTE, iam_policy, table_definition
from tests.examples.api_events import Context, event
from tests.examples.templates import LAMBDA, Stack
from tests.factories import items_of
from tests.store.test_permissions import Role, iam_enforced, role  # noqa: F401 (fixtures)

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(LAMBDA.parent), str(LAMBDA)]

from chat_api import ChatApi  # noqa: E402
from chat_service import ChatService  # noqa: E402
from library import FileLibrary  # noqa: E402
from offline_model import OfflineFileModel  # noqa: E402

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TABLE_ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/conversations"
RESOURCES = Stack("template.yaml").resources
FUNCTION = RESOURCES["ChatFunction"]["Properties"]
ROLE = {one["PolicyName"]: one["PolicyDocument"] for one in RESOURCES["ChatRole"]["Properties"]["Policies"]}


def test_the_table_is_the_one_that_setup_makes() -> None:
    table = RESOURCES["ConversationsTable"]["Properties"]
    definition = table_definition("any")

    assert {name: table[name] for name in definition if name != "TableName"} == {
        name: value for name, value in definition.items() if name != "TableName"
    }
    assert table["TimeToLiveSpecification"] == {"AttributeName": TTL_ATTRIBUTE, "Enabled": True}


def test_conversations_outlive_mistakes() -> None:
    table = RESOURCES["ConversationsTable"]

    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
    assert table["Properties"]["DeletionProtectionEnabled"] is True
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_a_table_that_is_there_is_used_and_none_is_made() -> None:
    stack = Stack("template.yaml", ExistingTableName="restored", BillingMode="PROVISIONED")
    kinds = {one["Type"] for one in stack.resources.values()}
    arn = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/restored"

    assert not kinds & {"AWS::DynamoDB::Table", "AWS::ApplicationAutoScaling::ScalableTarget"}
    function = stack.resources["ChatFunction"]["Properties"]
    assert function["Environment"]["Variables"]["DYNAMODB_TABLE_NAME"] == stack.outputs["TableName"] == "restored"
    of_table, of_index = conversations_policy(stack)["Statement"]
    assert of_table["Resource"] == {"Sub": arn}
    assert of_index["Resource"] == {"Sub": f"{arn}/index/user_id-created_at-index"}
    assert '"ConversationsTable' not in json.dumps(stack.resources)


def test_a_key_of_your_own_encrypts_the_table_and_the_role_may_use_it_through_dynamodb_alone() -> None:
    stack = Stack("template.yaml", KmsKeyArn=KEY_ARN)
    (statement,) = stack.resources["KeyPolicy"]["Properties"]["PolicyDocument"]["Statement"]

    table = stack.resources["ConversationsTable"]["Properties"]
    assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY_ARN}
    through = statement["Condition"]["StringEquals"]["kms:ViaService"]["Sub"].replace("${AWS::Region}", "eu-west-1")
    said = {**statement, "Sid": "Key", "Condition": {"StringEquals": {"kms:ViaService": through}}}
    assert said == iam_policy(TABLE_ARN, kms_key_arn=KEY_ARN)["Statement"][-1]
    assert "SSESpecification" not in RESOURCES["ConversationsTable"]["Properties"]
    assert "KeyPolicy" not in RESOURCES


def test_a_limit_of_write_units_is_that_of_table_and_index() -> None:
    table = Stack("template.yaml", MaxWriteUnits=500).resources["ConversationsTable"]["Properties"]
    (index,) = table["GlobalSecondaryIndexes"]

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["OnDemandThroughput"] == index["OnDemandThroughput"] == {"MaxWriteRequestUnits": 500}


def test_provisioned_capacity_scales_for_reads_and_writes_of_table_and_index() -> None:
    stack = Stack("template.yaml", BillingMode="PROVISIONED", MaxWriteUnits=500)
    table = stack.resources["ConversationsTable"]["Properties"]
    (index,) = table["GlobalSecondaryIndexes"]
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    made = stack.resources
    targets = {name: one["Properties"] for name, one in made.items() if one["Type"].endswith("::ScalableTarget")}
    policies = [one["Properties"] for one in made.values() if one["Type"].endswith("::ScalingPolicy")]

    assert table["ProvisionedThroughput"] == index["ProvisionedThroughput"] == units
    assert "OnDemandThroughput" not in json.dumps(table)
    of_table, of_index = "table/${ConversationsTable}", "table/${ConversationsTable}/index/user_id-created_at-index"
    assert {(one["ScalableDimension"], one["ResourceId"]["Sub"]) for one in targets.values()} == {
        ("dynamodb:table:ReadCapacityUnits", of_table),
        ("dynamodb:table:WriteCapacityUnits", of_table),
        ("dynamodb:index:ReadCapacityUnits", of_index),
        ("dynamodb:index:WriteCapacityUnits", of_index),
    }
    assert {one["ScalingTargetId"]["Ref"] for one in policies} == targets.keys()
    assert {(one["MinCapacity"], one["MaxCapacity"]) for one in targets.values()} == {(5, 100)}


def test_the_function_has_containers_of_its_own_where_that_is_asked() -> None:
    function = Stack("template.yaml", ReservedConcurrency=8).resources["ChatFunction"]["Properties"]

    assert function["ReservedConcurrentExecutions"] == 8
    assert "ReservedConcurrentExecutions" not in FUNCTION


def test_every_route_on_which_the_model_answers_has_a_limit_of_its_own() -> None:
    api = Stack("template.yaml", ChatRequestsASecond=3, ChatRequestsAtOnce=4).resources["ChatApi"]["Properties"]
    limits = {"ThrottlingBurstLimit": 4, "ThrottlingRateLimit": 3}

    assert api["RouteSettings"] == {"POST /chat": limits, "POST /conversations/{conversation_id}/resume": limits}
    routes = {
        f"{one['Method']} {one['Path']}" for one in (event["Properties"] for event in FUNCTION["Events"].values())
    }
    assert api["RouteSettings"].keys() <= routes


def test_limits_of_turns_steps_and_days_reach_the_function() -> None:
    given = Stack("template.yaml", TurnsAMinute=7, RecursionLimit=9, ConversationDays=30).resources["ChatFunction"]
    names = ("TURNS_A_MINUTE", "RECURSION_LIMIT", "CONVERSATION_DAYS")

    assert [given["Properties"]["Environment"]["Variables"][name] for name in names] == [7, 9, 30]
    assert [FUNCTION["Environment"]["Variables"][name] for name in names] == [20, 25, 0]


@pytest.mark.engine("moto")
@pytest.mark.parametrize("days", ["0", "30"])
def test_conversations_expire_after_the_days_of_the_template(
    client: DynamoDBClient, table_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: str
) -> None:
    for name in FUNCTION["Environment"]["Variables"]:
        monkeypatch.delenv(name, raising=False)
    given = {"DYNAMODB_TABLE_NAME": table_name, "LIBRARY_FOLDER": str(tmp_path), "CONVERSATION_DAYS": days}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    service = ChatService.from_environment()
    event_of_turn = event("POST", "/chat", body={"message": "hello"})
    assert ChatApi(service)(event_of_turn, Context())["statusCode"] == 200  # type: ignore[arg-type]
    service.close()

    rows = [item for item in items_of(client, table_name) if "created_at" in item]
    left = [(int(row["expires_at"]["N"]) - time.time()) / 86400 for row in rows if "expires_at" in row]
    assert (len(rows), len(left)) == (1, 0 if days == "0" else 1)
    assert all(30 <= one <= 40 for one in left), left


def test_the_model_may_be_asked_as_a_whole_and_as_a_stream() -> None:
    stack = Stack("template.yaml", Model="bedrock_converse:m", ModelArns="arn")
    (statement,) = stack.resources["ModelPolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert statement["Action"] == ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
    assert statement["Resource"] == "arn"


def test_the_role_may_do_what_iam_policy_says_without_scan_and_nothing_else_with_dynamodb() -> None:
    assert allowed(statements(TABLE_ARN)) == allowed(iam_policy(TABLE_ARN, scan=False)["Statement"])
    others = json.dumps([ROLE["logs"], Stack("template.yaml", Model="m").resources["ModelPolicy"]])
    assert "dynamodb" not in others
    assert '"*"' not in others
    assert "ManagedPolicyArns" not in RESOURCES["ChatRole"]["Properties"]
    assert FUNCTION["Role"] == {"GetAtt": "ChatRole.Arn"}
    assert "Policies" not in FUNCTION


def test_every_route_is_the_handlers_and_none_is_without_the_authorizer() -> None:
    api = ChatApi(None)._api  # type: ignore[arg-type]
    handled = {
        (route.method, re.sub(r"<(\w+)>", r"{\1}", route.path)) for route in api._static_routes + api._dynamic_routes
    }
    routes = [one["Properties"] for one in FUNCTION["Events"].values()]

    assert sorted((route["Method"], route["Path"]) for route in routes) == sorted(handled), "each once"
    assert all(route["ApiId"] == {"Ref": "ChatApi"} and "Auth" not in route for route in routes)
    auth = RESOURCES["ChatApi"]["Properties"]["Auth"]
    assert auth["DefaultAuthorizer"] in auth["Authorizers"]


def test_the_function_ends_before_the_api_stops_waiting_and_has_time_to_start() -> None:
    assert FUNCTION["Timeout"] == 25
    alarms = Stack("alarms.yaml").template["Parameters"]
    assert alarms["FunctionTimeoutMilliseconds"]["Default"] == FUNCTION["Timeout"] * 1000


def test_the_functions_files_and_variables_are_there() -> None:
    module, _, name = FUNCTION["Handler"].rpartition(".")

    assert f"{name} = " in (LAMBDA / f"{module}.py").read_text()
    ours = {name for name in FUNCTION["Environment"]["Variables"] if not name.startswith("LANGGRAPH_")}
    read = set().union(*(re.findall(r'environ(?:\.get\(|\[)"(\w+)"', path.read_text()) for path in LAMBDA.glob("*.py")))
    assert ours == read


def test_logs_do_not_stay_for_ever() -> None:
    groups = [one for one in RESOURCES.values() if one["Type"] == "AWS::Logs::LogGroup"]

    assert len(groups) == 2
    assert all("RetentionInDays" in group["Properties"] for group in groups)


ALL = {
    "FunctionName": "f",
    "LogGroupName": "l",
    "ApiId": "a",
    "ModelId": "m",
    "FailuresQueueName": "q",
    "MonthlyDollars": 9,
}
WATCHED = Stack("alarms.yaml", TableName="chats", AlarmTopicArn="topic", **ALL).resources
ALARMS = {name: one["Properties"] for name, one in WATCHED.items() if one["Type"] == "AWS::CloudWatch::Alarm"}


@pytest.mark.parametrize(("name", "alarm"), ALARMS.items(), ids=ALARMS)
def test_every_alarm_wakes_somebody_who_finds_what_to_do_and_tells_when_all_is_well(
    name: str, alarm: dict[str, Any]
) -> None:
    page, section = re.search(r"(\S+\.md), '(.+)'$", alarm["AlarmDescription"]).groups()  # type: ignore[union-attr]

    assert alarm["AlarmActions"] == alarm["OKActions"] == ["topic"]
    assert f"\n### {section}\n" in (ROOT / page).read_text(), name


@pytest.mark.parametrize("error", [CorruptDataError, AccessDeniedError, TableNotFoundError])
def test_one_line_of_the_log_with_such_an_error_is_enough(error: type[Exception]) -> None:
    name = error.__name__
    counted = WATCHED[f"{name.removesuffix('Error')}Count"]["Properties"]
    (metric,) = counted["MetricTransformations"]
    alarm = ALARMS[name.removesuffix("Error")]

    assert counted["LogGroupName"] == "l"
    said = [f'({field} = "{name}")' for field in ("$.error", "$.caused_by[0]", "$.caused_by[1]")]
    said += ['($.message = "an older state is read instead*")'] * (error is CorruptDataError)
    assert counted["FilterPattern"] == f"{{ {' || '.join(said)} }}"
    assert (alarm["Namespace"], alarm["MetricName"]) == (metric["MetricNamespace"], metric["MetricName"])
    assert (alarm["Statistic"], alarm["Threshold"], alarm["EvaluationPeriods"]) == ("Sum", 0, 1)


@pytest.mark.parametrize("name", ["FunctionFails", "ApiFails"])
def test_failures_are_seen_whether_they_come_thick_or_now_and_then(name: str) -> None:
    thick, sparse = ALARMS[name], ALARMS[f"{name}Sometimes"]

    assert [thick[one] for one in ("Period", "EvaluationPeriods", "DatapointsToAlarm")] == [60, 5, 3]
    assert [sparse[one] for one in ("Period", "EvaluationPeriods", "Threshold")] == [900, 1, 3]
    same = ("Namespace", "MetricName", "Dimensions", "Statistic")
    assert [thick[one] for one in same] == [sparse[one] for one in same]


def watched(name: str) -> set[tuple[str, str]]:
    """Names of metrics that an alarm is of, each with the names of its dimensions."""
    alarm = ALARMS[name]
    metrics = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one] or [alarm]
    return {
        (
            f"{one['Namespace']} {one['MetricName']}",
            " ".join(dimension["Name"] for dimension in one.get("Dimensions", [])),
        )
        for one in metrics
    }


@pytest.mark.parametrize(
    ("name", "metrics"),
    [
        ("ModelThrottled", {("AWS/Bedrock InvocationThrottles", "ModelId")}),
        ("ModelAskedTooOften", {("AWS/Bedrock Invocations", "ModelId")}),
        ("TokensRunAway", {("AWS/Bedrock InputTokenCount", "ModelId"), ("AWS/Bedrock OutputTokenCount", "ModelId")}),
        ("ConcurrencyNearQuota", {("AWS/Lambda ConcurrentExecutions", "")}),
        ("ReadsRunAway", {("AWS/DynamoDB ConsumedReadCapacityUnits", "TableName")}),
        ("IndexWritesRunAway", {("AWS/DynamoDB ConsumedWriteCapacityUnits", "TableName GlobalSecondaryIndexName")}),
        ("IndexReadsRunAway", {("AWS/DynamoDB ConsumedReadCapacityUnits", "TableName GlobalSecondaryIndexName")}),
        ("ExpiredObjectsStay", {("AWS/SQS ApproximateNumberOfMessagesVisible", "QueueName")}),
    ],
)
def test_what_can_run_away_or_run_out_is_watched(name: str, metrics: set[tuple[str, str]]) -> None:
    assert watched(name) == metrics


def test_a_budget_tells_before_and_when_it_is_spent() -> None:
    budget = WATCHED["Budget"]["Properties"]

    assert budget["Budget"]["BudgetLimit"] == {"Amount": 9, "Unit": "USD"}
    told = budget["NotificationsWithSubscribers"]
    assert [(one["Notification"]["NotificationType"], one["Notification"]["Threshold"]) for one in told] == [
        ("ACTUAL", 80),
        ("FORECASTED", 100),
    ]
    assert [one["Subscribers"] for one in told] == [[{"SubscriptionType": "SNS", "Address": "topic"}]] * 2


def test_of_what_is_not_named_there_are_no_alarms() -> None:
    made = Stack("alarms.yaml", TableName="chats", AlarmTopicArn="topic").resources

    namespaces = {namespace for name in made for namespace in (metric.split()[0] for metric, _ in watched(name))}
    assert namespaces == {"AWS/DynamoDB"}


@pytest.fixture
def policy_only(role: Role) -> DynamoDBClient:  # noqa: F811
    """A client that may do what the template's policy says, of the test's table."""
    return role.put({**ROLE["conversations"], "Statement": statements(role.table_arn)})


def conversations_policy(stack: Stack) -> dict[str, Any]:
    """The role's policy for the table, as the template has it."""
    policies = {
        one["PolicyName"]: one["PolicyDocument"] for one in stack.resources["ChatRole"]["Properties"]["Policies"]
    }
    document: dict[str, Any] = policies["conversations"]
    return document


def statements(table_arn: str) -> list[dict[str, Any]]:
    """The template's policy of a table."""
    return [
        {**one, "Resource": table_arn + one["Resource"].get("Sub", "").replace("${ConversationsTable.Arn}", "")}
        for one in ROLE["conversations"]["Statement"]
    ]


def allowed(policy: Sequence[Mapping[str, Any]]) -> dict[str, set[str]]:
    """The actions that statements allow, by resource."""
    assert all(one["Effect"] == "Allow" for one in policy)
    return {
        one["Resource"]: {one["Action"]} if isinstance(one["Action"], str) else set(one["Action"]) for one in policy
    }


@pytest.mark.engine("moto")
def test_the_handlers_whole_life_needs_just_that_policy(
    policy_only: DynamoDBClient, table_name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    service = ChatService(policy_only, table_name, OfflineFileModel(), FileLibrary(tmp_path))
    request.getfixturevalue("iam_enforced")
    handler, one = ChatApi(service), "/conversations/{conversation_id}"

    def send(method: str, route: str, **parts: Any) -> Any:
        answer = handler(event(method, route, **parts), Context())  # type: ignore[arg-type]
        return answer["statusCode"], json.loads(answer["body"] or "{}")

    key = {"idempotency-key": "k"}
    status, said = send("POST", "/chat", body={"message": "Show me the Python files"}, headers=key)
    named = {"conversation_id": said["conversation_id"]}
    statuses = [
        status,
        send("POST", "/chat", body={"message": "Show me the Python files"}, headers=key)[0],
        send("POST", "/chat", body={"message": "hello", **named})[0],
        send("GET", "/conversations")[0],
        send("GET", one, **named)[0],
        send("PATCH", one, **named, body={"title": "Files"})[0],
        send("DELETE", one, **named)[0],
        send("GET", one, **named)[0],
    ]
    service.close()

    assert statuses == [200, 200, 200, 200, 200, 200, 204, 404]
