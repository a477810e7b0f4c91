"""Templates say what `setup` makes and what `iam_policy` allows, in three syntaxes, with any text in tags and names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_dynamo_conv.cli.aws import table_arn
from langgraph_dynamo_conv.cli.infrastructure import TemplateOptions, cloudformation, terraform, terraform_json
from langgraph_dynamo_conv.errors import CredentialsError
from langgraph_dynamo_conv.provision import differences, iam_policy, table_definition

FULL = TemplateOptions(
    "chats", tags={"team": "chat", "cost center": '${a} %{b} "c"'}, s3_bucket="values", s3_prefix="conversations/"
)
BARE = TemplateOptions("chats", ttl=False, recovery=False)
HOSTILE = [
    '${a} %{b} "c"',
    "a\nb\tc\rd\x1b\x7f\x9b",
    "\\d: 'e' <f> & # g",
    "yes",
    "1",
    "",
    "\u202e\u2028😀\uffff",
    "{{ x }}",
]


def of_cloudformation(options: TemplateOptions) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(cloudformation(options))
    return document


def cloudformation_table(options: TemplateOptions) -> dict[str, Any]:
    properties: dict[str, Any] = of_cloudformation(options)["Resources"]["ConversationsTable"]["Properties"]
    return properties


def cloudformation_statements(options: TemplateOptions) -> list[dict[str, Any]]:
    policy = of_cloudformation(options)["Resources"]["RuntimePolicy"]["Properties"]["PolicyDocument"]
    statements: list[dict[str, Any]] = policy["Statement"]
    return statements


def of_terraform(options: TemplateOptions) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(terraform_json(options))
    return document


def terraform_table(options: TemplateOptions) -> dict[str, Any]:
    table: dict[str, Any] = of_terraform(options)["resource"]["aws_dynamodb_table"]["conversations"]
    return table


def terraform_statements(options: TemplateOptions) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = of_terraform(options)["data"]["aws_iam_policy_document"]["runtime"]["statement"]
    return statements


def from_hcl(text: str) -> dict[str, Any]:
    """A document in Terraform's own syntax as in its JSON syntax; for what the template uses of it."""
    body = of_hcl(iter(text.splitlines()))
    body["terraform"] = body["terraform"][0]
    return body


def of_hcl(lines: Iterator[str]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for line in lines:
        if line.strip() == "}":
            break
        if argument := re.fullmatch(r' *(\w+|"(?:[^"\\]|\\.)*") *= (.+)', line):
            name, value = argument.groups()
            key = yaml.safe_load(name) if name.startswith('"') else name
            body[key] = of_hcl(lines) if value == "{" else value_of_hcl(value)
        elif opened := re.fullmatch(r' *(\w+)((?: "\w+")*) \{', line):
            kind, *labels = [opened[1], *re.findall(r"\w+", opened[2])]
            if not labels:
                body.setdefault(kind, []).append(of_hcl(lines))
                continue
            place = body.setdefault(kind, {})
            for label in labels[:-1]:
                place = place.setdefault(label, {})
            place[labels[-1]] = of_hcl(lines)
        else:
            assert line.strip() == "", line
    return body


def value_of_hcl(text: str) -> Any:
    if text.startswith("["):
        return [value_of_hcl(one) for one in text[1:-1].split(", ")]
    if text.startswith('"') or text in ("true", "false"):
        return yaml.safe_load(text)  # Terraform has the escapes of YAML that the template uses
    return text if text == "string" else f"${{{text}}}"


def test_the_cloudformation_table_is_that_of_setup() -> None:
    table = cloudformation_table(FULL)

    assert differences(table) == []
    definition = table_definition("chats")
    assert {name: table[name] for name in definition if name != "TableName"} == {
        name: value for name, value in definition.items() if name != "TableName"
    }
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["Tags"][0] == {"Key": "team", "Value": "chat"}


def test_the_terraform_table_is_that_of_setup() -> None:
    table = terraform_table(FULL)
    (index,) = table["global_secondary_index"]

    attributes = [{"AttributeName": one["name"], "AttributeType": one["type"]} for one in table["attribute"]]
    keys = [
        [{"AttributeName": one["hash_key"], "KeyType": "HASH"}, {"AttributeName": one["range_key"], "KeyType": "RANGE"}]
        for one in (table, index)
    ]
    indexes = [
        {
            "IndexName": index["name"],
            "KeySchema": keys[1],
            "Projection": {"ProjectionType": index["projection_type"]},
        }
    ]
    assert {
        "TableName": "chats",
        "BillingMode": table["billing_mode"],
        "AttributeDefinitions": attributes,
        "KeySchema": keys[0],
        "GlobalSecondaryIndexes": indexes,
    } == table_definition("chats")
    assert table["ttl"] == [{"attribute_name": "expires_at", "enabled": True}]
    assert table["point_in_time_recovery"] == [{"enabled": True}]
    assert table["lifecycle"] == [{"prevent_destroy": True}]


@pytest.mark.parametrize("options", [FULL, BARE, TemplateOptions("chats", s3_bucket="values"), TemplateOptions()])
def test_both_syntaxes_of_terraform_say_the_same(options: TemplateOptions) -> None:
    assert from_hcl(terraform(options)) == of_terraform(options)


def test_what_is_not_wanted_is_left_out() -> None:
    for text in (cloudformation(BARE), terraform(BARE), terraform_json(BARE)):
        assert "expires_at" not in text
        assert "ointInTime" not in text
        assert "point_in_time" not in text
        assert "s3:" not in text
        assert "tags" not in text.lower()


def test_all_policies_are_that_of_iam_policy() -> None:
    policy = iam_policy("arn:aws:dynamodb:r:1:table/chats", s3_bucket="values", s3_prefix="conversations/")

    of_table, of_index, of_objects = cloudformation_statements(FULL)
    assert [{**one, "Resource": None} for one in (of_table, of_index, of_objects)] == [
        {**one, "Resource": None} for one in policy["Statement"]
    ]
    assert [(one["sid"], one["actions"]) for one in terraform_statements(FULL)] == [
        (one["Sid"], one["Action"]) for one in policy["Statement"]
    ]
    assert of_table["Resource"] == {"Fn::GetAtt": ["ConversationsTable", "Arn"]}
    assert of_index["Resource"] == {"Fn::Sub": "${ConversationsTable.Arn}/index/user_id-created_at-index"}
    assert of_objects["Resource"] == {"Fn::Sub": "arn:${AWS::Partition}:s3:::values/conversations/*"}
    assert [one["resources"] for one in terraform_statements(FULL)] == [
        ["${aws_dynamodb_table.conversations.arn}"],
        ["${aws_dynamodb_table.conversations.arn}/index/user_id-created_at-index"],
        ["arn:${data.aws_partition.current.partition}:s3:::values/conversations/*"],
    ]


def test_a_table_outlives_its_stack() -> None:
    table = of_cloudformation(FULL)["Resources"]["ConversationsTable"]

    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_text_never_becomes_an_expression_of_terraform() -> None:
    hcl = terraform(FULL)

    assert r'"cost center" = "$${a} %%{b} \"c\""' in hcl
    assert r'"team"        = "chat"' in hcl
    assert terraform_table(FULL)["tags"]["cost center"] == '$${a} %%{b} "c"'


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_of_a_tag_or_a_name_comes_through(text: str) -> None:
    comes_through(text)


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_other_text_comes_through_too(text: str) -> None:
    comes_through(text)


def comes_through(text: str) -> None:
    options = TemplateOptions(f"name {text}", tags={f"key {text}": text})
    literal = text.replace("${", "$${").replace("%{", "%%{")

    assert of_cloudformation(options)["Parameters"]["TableName"]["Default"] == f"name {text}"
    assert cloudformation_table(options)["Tags"] == [{"Key": f"key {text}", "Value": text}]
    assert terraform_table(options)["tags"] == {f"key {literal}": literal}
    assert of_terraform(options)["variable"]["table_name"]["default"] == f"name {literal}"
    assert from_hcl(terraform(options)) == of_terraform(options)


def test_terraform_is_given_no_escapes_but_its_own() -> None:
    tags = {str(number): chr(number) for number in range(0xA0)}
    escapes = re.findall(r"\\(.)", terraform(TemplateOptions("chats", tags=tags)))

    assert set(escapes) == {"n", "t", "u", '"', "\\"}


def test_the_name_of_a_bucket_never_becomes_an_expression() -> None:
    options = TemplateOptions("chats", s3_bucket="${AWS::AccountId}", s3_prefix='%{x}"/')

    of_objects = cloudformation_statements(options)[-1]
    assert of_objects["Resource"] == {"Fn::Sub": 'arn:${AWS::Partition}:s3:::${!AWS::AccountId}/%{x}"/*'}
    (resource,) = terraform_statements(options)[-1]["resources"]
    assert resource == 'arn:${data.aws_partition.current.partition}:s3:::$${AWS::AccountId}/%%{x}"/*'
    assert from_hcl(terraform(options)) == of_terraform(options)


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-west-1", "aws"),
        ("us-east-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
    ],
)
def test_the_arn_of_a_table_has_the_partition_of_its_region(region: str, partition: str) -> None:
    arn = f"arn:{partition}:dynamodb:{region}:123456789012:table/chats"

    assert table_arn("chats", "123456789012", region) == arn


@pytest.mark.parametrize("region", ["mars-1", "aws-global", "eu-west"])
def test_a_region_that_aws_does_not_have_is_refused(region: str) -> None:
    with pytest.raises(ValueError, match="AWS has no region"):
        table_arn("chats", "123456789012", region)


def test_what_is_not_known_of_a_table_is_a_star(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)

    assert table_arn("chats") == "arn:aws:dynamodb:*:*:table/chats"

    configuration = tmp_path / "config"
    configuration.write_text("[profile china]\nregion = cn-north-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(configuration))
    assert table_arn("chats", profile_name="china") == "arn:aws-cn:dynamodb:cn-north-1:*:table/chats"
    with pytest.raises(CredentialsError, match="give another --profile"):
        table_arn("chats", profile_name="none")


@pytest.mark.parametrize("write", [cloudformation, terraform, terraform_json])
def test_a_template_without_a_table_asks_for_its_name(write: Callable[[TemplateOptions], str]) -> None:
    text = write(TemplateOptions())

    assert "default" not in text.lower()
    assert "TableName" in text or "table_name" in text
