"""Templates agree with each other and with what `setup` makes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from langgraph_dynamo_conv.cli.infrastructure import (
    Block,
    Bucket,
    Expression,
    TemplateOptions,
    cloudformation_template,
    partition_of,
    terraform_blocks,
    to_hcl,
    to_terraform_json,
)
from langgraph_dynamo_conv.provision import differences, table_definition

FULL = TemplateOptions(
    "chats", tags={"team": "chat", "cost center": '${a} %{b} "c"'}, bucket=Bucket("values", "conversations/")
)
BARE = TemplateOptions("chats", ttl=False, recovery=False)


def cloudformation_table(wish: TemplateOptions) -> dict[str, Any]:
    properties: dict[str, Any] = cloudformation_template(wish)["Resources"]["ConversationsTable"]["Properties"]
    return properties


def terraform_table(wish: TemplateOptions) -> dict[str, Any]:
    table: dict[str, Any] = to_terraform_json(terraform_blocks(wish))["resource"]["aws_dynamodb_table"]["conversations"]
    return table


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


def test_what_is_not_wanted_is_left_out() -> None:
    cloudformation, terraform = cloudformation_template(BARE), to_terraform_json(terraform_blocks(BARE))

    for text in (json.dumps(cloudformation), json.dumps(terraform), to_hcl(terraform_blocks(BARE))):
        assert "expires_at" not in text
        assert "ointInTime" not in text
        assert "point_in_time" not in text
        assert "s3:" not in text
        assert "tags" not in text.lower()


def test_both_policies_allow_the_same() -> None:
    document = cloudformation_template(FULL)["Resources"]["RuntimePolicy"]["Properties"]["PolicyDocument"]
    statements = to_terraform_json(terraform_blocks(FULL))["data"]["aws_iam_policy_document"]["runtime"]["statement"]

    assert [one["Action"] for one in document["Statement"]] == [one["actions"] for one in statements]
    assert document["Statement"][2]["Resource"] == {"Fn::Sub": "arn:${AWS::Partition}:s3:::values/conversations/*"}
    assert [one["resources"] for one in statements] == [
        ["${aws_dynamodb_table.conversations.arn}"],
        ["${aws_dynamodb_table.conversations.arn}/index/user_id-created_at-index"],
        ["arn:${data.aws_partition.current.partition}:s3:::values/conversations/*"],
    ]


def test_a_table_outlives_its_stack() -> None:
    table = cloudformation_template(FULL)["Resources"]["ConversationsTable"]

    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_text_never_becomes_an_expression_of_terraform() -> None:
    hcl = to_hcl(terraform_blocks(FULL))

    assert r'"cost center" = "$${a} %%{b} \"c\""' in hcl
    assert terraform_table(FULL)["tags"]["cost center"] == '$${a} %%{b} "c"'


def test_the_name_of_a_bucket_never_becomes_an_expression() -> None:
    wish = TemplateOptions("chats", bucket=Bucket("${AWS::AccountId}", '%{x}"/'))
    document = cloudformation_template(wish)["Resources"]["RuntimePolicy"]["Properties"]["PolicyDocument"]

    assert document["Statement"][2]["Resource"] == {"Fn::Sub": 'arn:${AWS::Partition}:s3:::${!AWS::AccountId}/%{x}"/*'}
    statements = to_terraform_json(terraform_blocks(wish))["data"]["aws_iam_policy_document"]["runtime"]["statement"]
    assert statements[2]["resources"][0].endswith(':s3:::$${AWS::AccountId}/%%{x}"/*')


def test_blocks_are_laid_out_as_terraform_formats_them() -> None:
    inner = Block("inner", (), {"on": True, "names": ["a", Expression("b.c")]})
    block = Block("resource", ("type", "name"), {"a": "x", "longer": False, "map": {"k": "v"}}, (inner, Block("empty")))

    assert to_hcl([block, Block("output", ("o",), {"value": Expression("x.y")})]) == (
        'resource "type" "name" {\n'
        '  a      = "x"\n'
        "  longer = false\n"
        "  map = {\n"
        '    k = "v"\n'
        "  }\n"
        "\n"
        "  inner {\n"
        "    on    = true\n"
        '    names = ["a", b.c]\n'
        "  }\n"
        "\n"
        "  empty {\n"
        "  }\n"
        "}\n"
        "\n"
        'output "o" {\n'
        "  value = x.y\n"
        "}\n"
    )


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
def test_a_region_has_its_partition(region: str, partition: str) -> None:
    assert partition_of(region) == partition
