"""The templates: what they make is what the package needs, no more is allowed, and what they name exists."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from langgraph_dynamo_conv.provision import TTL_ATTRIBUTE, iam_policy, table_definition
from tests.examples.api_events import Context, event
from tests.store.test_permissions import Role, iam_enforced, role  # noqa: F401 (fixtures)

ROOT = Path(__file__).resolve().parents[2]
LAMBDA = ROOT / "examples" / "lambda"
sys.path[:0] = [str(LAMBDA.parent), str(LAMBDA)]

from chat_api import ChatApi  # noqa: E402
from chat_service import ChatService  # noqa: E402
from library import FileLibrary  # noqa: E402
from offline_model import OfflineFileModel  # noqa: E402

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref X` becomes `{"Ref": "X"}`."""


def short_form(loader: yaml.SafeLoader, name: str, node: Any) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    assert isinstance(node, yaml.SequenceNode)
    return {name: loader.construct_sequence(node, deep=True)}


TemplateLoader.add_multi_constructor("!", short_form)


def resources_of(name: str) -> dict[str, Any]:
    template = yaml.load((LAMBDA / name).read_text(), Loader=TemplateLoader)
    resources: dict[str, Any] = template["Resources"]
    return resources


RESOURCES = resources_of("template.yaml")
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


def test_the_role_may_do_what_iam_policy_says_and_nothing_else_with_dynamodb() -> None:
    arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/conversations"

    assert allowed(statements(arn)) == allowed(iam_policy(arn)["Statement"])
    others = json.dumps([ROLE["logs"], RESOURCES["ModelPolicy"]])
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

    assert {(route["Method"], route["Path"]) for route in routes} == handled
    assert all(route["ApiId"] == {"Ref": "ChatApi"} and "Auth" not in route for route in routes)
    auth = RESOURCES["ChatApi"]["Properties"]["Auth"]
    assert auth["DefaultAuthorizer"] in auth["Authorizers"]


def test_the_function_ends_before_the_api_stops_waiting() -> None:
    assert FUNCTION["Timeout"] < 30


def test_the_functions_files_and_variables_are_there() -> None:
    module, _, name = FUNCTION["Handler"].rpartition(".")

    assert f"{name} = " in (LAMBDA / f"{module}.py").read_text()
    ours = {name for name in FUNCTION["Environment"]["Variables"] if not name.startswith("LANGGRAPH_")}
    assert ours == set(re.findall(r'os\.environ(?:\.get\(|\[)"(\w+)"', (LAMBDA / "chat_service.py").read_text()))


def test_logs_do_not_stay_for_ever() -> None:
    groups = [one for one in RESOURCES.values() if one["Type"] == "AWS::Logs::LogGroup"]

    assert len(groups) == 2
    assert all("RetentionInDays" in group["Properties"] for group in groups)


@pytest.mark.parametrize(("name", "alarm"), resources_of("alarms.yaml").items())
def test_every_alarm_wakes_somebody_who_finds_what_to_do(name: str, alarm: dict[str, Any]) -> None:
    properties = alarm["Properties"]
    page, section = re.search(r"(\S+\.md), '(.+)'$", properties["AlarmDescription"]).groups()  # type: ignore[union-attr]

    assert properties["AlarmActions"] == [{"Ref": "AlarmTopicArn"}]
    assert f"\n### {section}\n" in (ROOT / page).read_text(), name


@pytest.fixture
def policy_only(role: Role) -> DynamoDBClient:  # noqa: F811
    """A client that may do what the template's policy says, of the test's table."""
    return role.put({**ROLE["conversations"], "Statement": statements(role.table_arn)})


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
