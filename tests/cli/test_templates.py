"""Templates say what `setup` makes and what `iam_policy` allows, in three syntaxes, with any text in tags and names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_dynamo_conv.cli.aws import table_arn
from langgraph_dynamo_conv.cli.infrastructure import TemplateOptions, cloudformation, terraform, terraform_json
from langgraph_dynamo_conv.errors import CredentialsError
from langgraph_dynamo_conv.provision import differences, iam_policy, table_definition
from tests.cli.template_readers import (
    cloudformation_statements,
    cloudformation_table,
    from_hcl,
    of_cloudformation,
    of_terraform,
    said_by_cloudformation,
    said_by_terraform,
    terraform_statements,
    terraform_table,
)
from tests.cli.template_variants import KEY_ARN, VARIANTS

FULL = TemplateOptions(
    "chats", tags={"team": "chat", "cost center": '${a} %{b} "c"'}, s3_bucket="values", s3_prefix="conversations/"
)
BARE = TemplateOptions("chats", ttl=False, recovery=False)
CONSUMER = TemplateOptions("chats", s3_bucket="values", s3_prefix="conversations", kms_key_arn=KEY_ARN, consumer=True)
each_variant = pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
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


@each_variant
def test_both_syntaxes_of_terraform_say_the_same(options: TemplateOptions) -> None:
    assert from_hcl(terraform(options)) == of_terraform(options)


@each_variant
def test_cloudformation_and_terraform_say_the_same(options: TemplateOptions) -> None:
    assert said_by_cloudformation(options) == said_by_terraform(options)


def test_a_template_protects_the_table_from_deletion_unless_it_is_asked_not_to() -> None:
    assert said_by_cloudformation(TemplateOptions())["protected"] is True
    assert said_by_cloudformation(TemplateOptions(protect=False))["protected"] is None


def test_an_existing_table_is_left_out_and_its_policy_names_it() -> None:
    options = TemplateOptions("chats", existing=True)
    arn = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${TableName}"

    assert list(of_cloudformation(options)["Resources"]) == ["RuntimePolicy"]
    of_table, of_index = cloudformation_statements(options)
    assert of_table["Resource"] == {"Fn::Sub": arn}
    assert of_index["Resource"] == {"Fn::Sub": f"{arn}/index/user_id-created_at-index"}
    assert list(of_terraform(options)["resource"]) == ["aws_iam_policy"]
    assert terraform_statements(options)[0]["resources"] == ["${data.aws_dynamodb_table.conversations.arn}"]


def test_a_limit_of_write_units_is_that_of_table_and_index() -> None:
    said = said_by_cloudformation(TemplateOptions(max_write_units=500))

    assert (said["billing"], said["limits"]) == ("PAY_PER_REQUEST", [500, 500])


def test_provisioned_capacity_scales_for_reads_and_writes_of_table_and_index() -> None:
    said = said_by_cloudformation(TemplateOptions(provisioned=True))

    assert said["billing"] == "PROVISIONED"
    assert said["units"] == [["minreadunits", "minwriteunits"]] * 2
    assert said["scaled"] == {
        f"{place}{way.lower()}": (
            f"dynamodb:{place}:{way}CapacityUnits",
            "/index/user_id-created_at-index" if place == "index" else "",
            f"min{way.lower()}units",
            f"max{way.lower()}units",
        )
        for place in ("table", "index")
        for way in ("Read", "Write")
    }
    assert said["targets"] == {name: (name, 70, metric_of(name)) for name in said["scaled"]}


def metric_of(name: str) -> str:
    return f"DynamoDB{'Read' if name.endswith('read') else 'Write'}CapacityUtilization"


@each_variant
def test_every_reference_of_terraform_leads_to_what_it_declares(options: TemplateOptions) -> None:
    document = of_terraform(options)
    declared = {f"var.{name}" for name in document["variable"]} | {"path.module"}
    for prefix, kind in (("", "resource"), ("data.", "data")):
        declared |= {f"{prefix}{of}.{name}" for of, named in document[kind].items() for name in named}

    found = set(re.findall(r"(?<!\$)\$\{((?:data\.)?\w+\.\w+)", json.dumps(document)))
    assert found - declared == set()


def test_terraform_leaves_alone_what_scaling_changes() -> None:
    (lifecycle,) = terraform_table(TemplateOptions(provisioned=True))["lifecycle"]

    assert lifecycle["ignore_changes"] == ["read_capacity", "write_capacity", "global_secondary_index"]


def test_a_key_encrypts_the_table_and_may_be_used_through_dynamodb_alone() -> None:
    table = cloudformation_table(CONSUMER)
    key = iam_policy("arn:aws:dynamodb:r:1:table/chats", kms_key_arn=KEY_ARN)["Statement"][-1]

    assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY_ARN}
    assert cloudformation_statements(CONSUMER)[-1] == key
    said = said_by_cloudformation(CONSUMER)
    assert said["runtime"]["Key"] == said["consumer"]["Key"] == (key["Action"], key["Condition"])


def test_without_scan_the_role_may_not_read_the_whole_table() -> None:
    actions, _ = said_by_cloudformation(TemplateOptions(scan=False))["runtime"]["Table"]

    assert "dynamodb:Scan" not in actions
    assert len(actions) == 5


def test_a_consumer_is_called_for_expired_pointers_halves_a_batch_gives_up_and_tells_a_queue() -> None:
    source = of_cloudformation(CONSUMER)["Resources"]["ExpiredObjectsSource"]["Properties"]

    assert cloudformation_table(CONSUMER)["StreamSpecification"] == {"StreamViewType": "OLD_IMAGE"}
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert (source["BisectBatchOnFunctionError"], source["MaximumRetryAttempts"]) == (True, 10)
    queue = {"Fn::GetAtt": ["ExpiredObjectsFailures", "Arn"]}
    assert source["DestinationConfig"] == {"OnFailure": {"Destination": queue}}
    assert json.loads(source["FilterCriteria"]["Filters"][0]["Pattern"]) == {
        "eventName": ["REMOVE"],
        "userIdentity": {"type": ["Service"], "principalId": ["dynamodb.amazonaws.com"]},
        "dynamodb": {"Keys": {"user_id": {"S": [{"suffix": "#s3"}]}}},
    }


def test_the_consumer_of_an_existing_table_needs_its_stream() -> None:
    options = TemplateOptions("chats", s3_bucket="values", consumer=True, existing=True)

    document = of_cloudformation(options)
    assert "Default" not in document["Parameters"]["StreamArn"]
    assert document["Resources"]["ExpiredObjectsSource"]["Properties"]["EventSourceArn"] == {"Ref": "StreamArn"}
    source = of_terraform(options)["resource"]["aws_lambda_event_source_mapping"]["consumer"]
    assert source["event_source_arn"] == "${data.aws_dynamodb_table.conversations.stream_arn}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"provisioned": True, "max_write_units": 5}, "on demand"),
        ({"existing": True, "max_write_units": 5}, "leaves the table as it is"),
        ({"existing": True, "provisioned": True}, "leaves the table as it is"),
        ({"existing": True, "tags": {"a": "b"}}, "leaves the table as it is"),
        ({"consumer": True}, "give --s3-bucket"),
        ({"max_write_units": 0}, "max_write_units is a whole number"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TemplateOptions("chats", **options)


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
