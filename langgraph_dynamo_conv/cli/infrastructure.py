"""The table and who may use it, as infrastructure code: IAM policies, CloudFormation, Terraform. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langgraph_dynamo_conv._format.keys import INDEX, bucket_prefix
from langgraph_dynamo_conv._storage.administration import tag_list
from langgraph_dynamo_conv.provision import OBJECT_ACTIONS, RUNTIME_ACTIONS, TTL_ATTRIBUTE, table_definition

INDEX_ACTIONS = ("Query",)

SETUP_ACTIONS = (
    "CreateTable",
    "DescribeContinuousBackups",
    "DescribeTable",
    "DescribeTimeToLive",
    "TagResource",
    "UpdateContinuousBackups",
    "UpdateTimeToLive",
)
"""What `setup` does, and `doctor` on top of the runtime's actions."""

_PARTITIONS = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("us-iso-", "aws-iso"), ("us-isob-", "aws-iso-b"))


@dataclass(frozen=True)
class Bucket:
    """Where large values go in S3.

    Args:
        name: The bucket.
        prefix: What the keys of its objects begin with, or "".
    """

    name: str
    prefix: str = ""

    @property
    def objects(self) -> str:
        """All of them, as an ARN ends."""
        return f"{self.name}/{bucket_prefix(self.prefix)}*"


@dataclass(frozen=True)
class TemplateOptions:
    """What a template is made for.

    Args:
        table_name: The table.
        ttl: Time-to-live on `expires_at`.
        recovery: Point-in-time recovery.
        tags: Tags of the table.
        bucket: S3 for large values, or None.
    """

    table_name: str
    ttl: bool = True
    recovery: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    bucket: Bucket | None = None


def partition_of(region: str) -> str:
    """The partition in the ARNs of a region."""
    return next((name for start, name in _PARTITIONS if region.startswith(start)), "aws")


def table_arn(table_name: str, region: str, account: str) -> str:
    """The ARN of a table."""
    return f"arn:{partition_of(region)}:dynamodb:{region}:{account}:table/{table_name}"


def runtime_policy(arn: Any, index_arn: Any, bucket: Bucket | None = None, partition: str = "aws") -> dict[str, Any]:
    """The least that the role of an agent needs, as an IAM policy.

    Args:
        arn: The table's ARN, or a template's expression for it.
        index_arn: That of the index.
        bucket: S3 for large values, or None.
        partition: Of the bucket's ARN.
    """
    statements = [
        _statement("Table", "dynamodb", sorted(RUNTIME_ACTIONS), arn),
        _statement("Index", "dynamodb", INDEX_ACTIONS, index_arn),
    ]
    if bucket is not None:
        objects = f"arn:{partition}:s3:::{bucket.objects}"
        statements.append(_statement("LargeValues", "s3", sorted(OBJECT_ACTIONS), objects))
    return _policy(statements)


def setup_policy(arn: str) -> dict[str, Any]:
    """What `setup` and `doctor` need besides; not for a runtime role."""
    return _policy([_statement("SetUp", "dynamodb", SETUP_ACTIONS, arn)])


def index_arn_of(arn: str) -> str:
    """The ARN of the index of a table."""
    return f"{arn}/index/{INDEX}"


def cloudformation_template(wish: TemplateOptions) -> dict[str, Any]:
    """A CloudFormation template of the table and a managed policy for those who use it."""
    definition = table_definition("")
    properties = {"TableName": {"Ref": "TableName"}, **{k: v for k, v in definition.items() if k != "TableName"}}
    if wish.ttl:
        properties["TimeToLiveSpecification"] = {"AttributeName": TTL_ATTRIBUTE, "Enabled": True}
    if wish.recovery:
        properties["PointInTimeRecoverySpecification"] = {"PointInTimeRecoveryEnabled": True}
    if wish.tags:
        properties["Tags"] = tag_list(wish.tags)
    kept = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    arn = {"Fn::GetAtt": ["ConversationsTable", "Arn"]}
    index_arn = {"Fn::Sub": f"${{ConversationsTable.Arn}}/index/{INDEX}"}
    policy = runtime_policy(arn, index_arn, wish.bucket)
    if wish.bucket is not None:
        objects = wish.bucket.objects.replace("${", "${!")  # "${!" is how Fn::Sub writes "${"
        policy["Statement"][-1]["Resource"] = {"Fn::Sub": f"arn:${{AWS::Partition}}:s3:::{objects}"}
    described = {"Description": "What an agent's role needs; attach it to that role", "PolicyDocument": policy}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Conversations and agent state of langgraph-dynamo-conv in one DynamoDB table",
        "Parameters": {"TableName": {"Type": "String", "Default": wish.table_name}},
        "Resources": {
            "ConversationsTable": {"Type": "AWS::DynamoDB::Table", **kept, "Properties": properties},
            "RuntimePolicy": {"Type": "AWS::IAM::ManagedPolicy", "Properties": described},
        },
        "Outputs": {
            "TableName": {"Description": "For DYNAMODB_TABLE_NAME", "Value": {"Ref": "ConversationsTable"}},
            "TableArn": {"Value": arn},
            "RuntimePolicyArn": {"Value": {"Ref": "RuntimePolicy"}},
        },
    }


class Expression(str):
    """A Terraform expression, as distinct from a string."""

    __slots__ = ()


@dataclass(frozen=True)
class Block:
    """A block of Terraform.

    Args:
        kind: Its type, such as "resource".
        labels: Its labels.
        body: Arguments by name (a string, bool, `Expression`, or a map or list of them), then blocks.
        blocks: The blocks in it.
    """

    kind: str
    labels: tuple[str, ...] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()


def terraform_blocks(wish: TemplateOptions) -> list[Block]:
    """The table, a policy for those who use it, and outputs, for Terraform's AWS provider."""
    arn = Expression("aws_dynamodb_table.conversations.arn")
    index_arn = Expression(f'"${{aws_dynamodb_table.conversations.arn}}/index/{INDEX}"')
    policy = runtime_policy(arn, index_arn, wish.bucket)
    partition = []
    if wish.bucket is not None:
        partition = [Block("data", ("aws_partition", "current"))]
        objects = _hcl_string(wish.bucket.objects)[1:-1]
        resource = Expression(f'"arn:${{data.aws_partition.current.partition}}:s3:::{objects}"')
        policy["Statement"][-1]["Resource"] = resource
    statements = [_terraform_statement(one) for one in policy["Statement"]]
    return [
        Block("terraform", (), {}, (Block("required_providers", (), {"aws": {"source": "hashicorp/aws"}}),)),
        Block("variable", ("table_name",), {"type": Expression("string"), "default": wish.table_name}),
        _terraform_table(wish),
        *partition,
        Block("data", ("aws_iam_policy_document", "runtime"), {}, tuple(statements)),
        Block(
            "resource",
            ("aws_iam_policy", "runtime"),
            {
                "name_prefix": Expression('"${var.table_name}-runtime-"'),
                "description": "What an agent's role needs; attach it to that role",
                "policy": Expression("data.aws_iam_policy_document.runtime.json"),
            },
        ),
        Block("output", ("table_name",), {"value": Expression("aws_dynamodb_table.conversations.name")}),
        Block("output", ("table_arn",), {"value": arn}),
        Block("output", ("runtime_policy_arn",), {"value": Expression("aws_iam_policy.runtime.arn")}),
    ]


def to_hcl(blocks: Sequence[Block]) -> str:
    """Terraform's own syntax, as `terraform fmt` lays it out."""
    return "\n".join("\n".join(_hcl_block(block, "")) + "\n" for block in blocks)


def to_terraform_json(blocks: Sequence[Block]) -> dict[str, Any]:
    """Terraform's JSON syntax, for a `.tf.json` file."""
    made: dict[str, Any] = {}
    for block in blocks:
        place = made
        *path, last = (block.kind, *block.labels)
        for name in path:
            place = place.setdefault(name, {})
        place[last] = _json_block(block)
    return made


def _policy(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def _statement(sid: str, service: str, actions: Sequence[str], resource: Any) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": [f"{service}:{one}" for one in actions], "Resource": resource}


def _terraform_table(wish: TemplateOptions) -> Block:
    definition = table_definition("")
    (index,) = definition["GlobalSecondaryIndexes"]
    (hash_key, range_key), (index_hash, index_range) = (
        [one["AttributeName"] for one in schema] for schema in (definition["KeySchema"], index["KeySchema"])
    )
    blocks = [
        Block("attribute", (), {"name": one["AttributeName"], "type": one["AttributeType"]})
        for one in definition["AttributeDefinitions"]
    ]
    keys = {"hash_key": index_hash, "range_key": index_range, "projection_type": index["Projection"]["ProjectionType"]}
    blocks.append(Block("global_secondary_index", (), {"name": index["IndexName"], **keys}))
    if wish.ttl:
        blocks.append(Block("ttl", (), {"attribute_name": TTL_ATTRIBUTE, "enabled": True}))
    if wish.recovery:
        blocks.append(Block("point_in_time_recovery", (), {"enabled": True}))
    blocks.append(Block("lifecycle", (), {"prevent_destroy": True}))
    body: dict[str, Any] = {
        "name": Expression("var.table_name"),
        "billing_mode": definition["BillingMode"],
        "hash_key": hash_key,
        "range_key": range_key,
    }
    if wish.tags:
        body["tags"] = dict(wish.tags)
    return Block("resource", ("aws_dynamodb_table", "conversations"), body, tuple(blocks))


def _terraform_statement(statement: Mapping[str, Any]) -> Block:
    body = {"sid": statement["Sid"], "actions": statement["Action"], "resources": [statement["Resource"]]}
    return Block("statement", (), body)


def _hcl_block(block: Block, indent: str) -> Iterator[str]:
    yield indent + " ".join([block.kind, *map(_hcl_string, block.labels), "{"])
    yield from _hcl_arguments(block.body, indent + "  ")
    for number, inner in enumerate(block.blocks):
        if number or block.body:
            yield ""
        yield from _hcl_block(inner, indent + "  ")
    yield indent + "}"


def _hcl_arguments(body: Mapping[str, Any], indent: str) -> Iterator[str]:
    width = max((len(name) for name, value in body.items() if not isinstance(value, Mapping)), default=0)
    for name, value in body.items():
        if isinstance(value, Mapping):
            yield f"{indent}{name} = {{"
            quoted = {_hcl_string(key) if not key.isidentifier() else key: one for key, one in value.items()}
            yield from _hcl_arguments(quoted, indent + "  ")
            yield indent + "}"
        else:
            yield f"{indent}{name:{width}} = {_hcl_value(value)}"


def _hcl_value(value: Any) -> str:
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(_hcl_value, value)) + "]"
    return _hcl_string(value)


def _hcl_string(text: str) -> str:
    """A quoted string: what would begin a template in it is escaped."""
    return json.dumps(_no_template(text), ensure_ascii=False)


def _no_template(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")


def _json_block(block: Block) -> dict[str, Any]:
    made = {name: _json_value(value) for name, value in block.body.items()}
    for inner in block.blocks:
        made.setdefault(inner.kind, []).append(_json_block(inner))
    return made


def _json_value(value: Any) -> Any:
    if isinstance(value, Expression):
        bare = str(value)
        if bare == "string":  # a type is a keyword, not an expression
            return bare
        return json.loads(bare) if bare.startswith('"') else f"${{{bare}}}"
    if isinstance(value, str):
        return _no_template(value)
    if isinstance(value, Mapping):
        return {name: _json_value(one) for name, one in value.items()}
    return [_json_value(one) for one in value] if isinstance(value, list) else value
