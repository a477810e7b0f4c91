"""The table and the policy of those who use it, as CloudFormation and Terraform. Sends nothing.

The table is written out in the files of `templates/`; the actions of policies are those that `provision` names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langgraph_dynamo_conv._arguments import check_count
from langgraph_dynamo_conv.cli.views.rendering import template
from langgraph_dynamo_conv.provision import CONSUMER_ACTIONS, iam_policy

_ANY_TABLE = "arn:aws:dynamodb:region:account:table/name"
"""The templates say themselves which table it is."""

_EXPIRED_POINTERS = {
    "eventName": ["REMOVE"],
    "userIdentity": {"type": ["Service"], "principalId": ["dynamodb.amazonaws.com"]},
    "dynamodb": {"Keys": {"user_id": {"S": [{"suffix": "#s3"}]}}},
}
"""Which records of the stream the consumer is called for: pointers that time-to-live has deleted."""

_CONSUMER = Path(__file__).parent / "templates" / "expired_objects.py"


@dataclass(frozen=True)
class TemplateOptions:
    """What a template is made for.

    Args:
        table_name: The table; None for a template that must be given its name.
        ttl: Time-to-live on `expires_at`.
        recovery: Point-in-time recovery.
        tags: Tags of the table.
        s3_bucket: The savers' bucket, or None.
        s3_prefix: The savers' prefix in it.
        protect: Deletion protection.
        existing: Whether the table is there: then policy and consumer alone are made.
        scan: Whether the policy allows Scan.
        kms_key_arn: The customer managed key that encrypts the table, or None.
        max_write_units: The most write units a second, on demand, of table and index each; None for no limit.
        provisioned: Whether capacity is provisioned and scales, and not on demand.
        consumer: Whether a function deletes the objects of what has expired.

    Raises:
        ValueError: Two options contradict each other.
    """

    table_name: str | None = None
    ttl: bool = True
    recovery: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    s3_bucket: str | None = None
    s3_prefix: str = ""
    protect: bool = True
    existing: bool = False
    scan: bool = True
    kms_key_arn: str | None = None
    max_write_units: int | None = None
    provisioned: bool = False
    consumer: bool = False

    def __post_init__(self) -> None:
        if self.max_write_units is not None:
            check_count("max_write_units", self.max_write_units, 1)
        of_capacity = self.provisioned or self.max_write_units is not None
        if self.existing and (of_capacity or self.tags):
            raise ValueError(
                "--existing leaves the table as it is: --tag, --max-write-units and --provisioned set it up"
            )
        if self.provisioned and self.max_write_units is not None:
            raise ValueError("--max-write-units is of tables on demand; with --provisioned, MaxWriteUnits is the limit")
        if self.consumer and self.s3_bucket is None:
            raise ValueError("--consumer deletes objects of a bucket: give --s3-bucket")


def cloudformation(options: TemplateOptions) -> str:
    """A CloudFormation template in YAML: the table, and a managed policy for the role of an agent."""
    return _filled("cloudformation.yaml.jinja", options)


def terraform(options: TemplateOptions) -> str:
    """The same in Terraform's own syntax."""
    return _filled("terraform.tf.jinja", options)


def terraform_json(options: TemplateOptions) -> str:
    """The same in Terraform's JSON syntax, written as YAML."""
    return _filled("terraform.yaml.jinja", options)


def _filled(name: str, options: TemplateOptions) -> str:
    policy = iam_policy(
        _ANY_TABLE,
        s3_bucket=options.s3_bucket,
        s3_prefix=options.s3_prefix,
        scan=options.scan,
        kms_key_arn=options.kms_key_arn,
    )
    statements = {one["Sid"]: one for one in policy["Statement"]}
    known: dict[str, Any] = {"options": options, "statements": statements, "objects": None, "prefix": None}
    known["actions"] = {sid: one["Action"] for sid, one in statements.items()}
    known["consumer_actions"] = {sid: [f"{of}:{one}" for one in names] for sid, (of, names) in CONSUMER_ACTIONS.items()}
    known["pattern"] = json.dumps(_EXPIRED_POINTERS)
    known["code"] = _CONSUMER.read_text(encoding="utf-8").rstrip()
    if options.s3_bucket:
        if options.s3_bucket.startswith("arn:"):
            raise ValueError(
                "a template is for a bucket: give --s3-bucket its name, and not the ARN of an access point"
            )
        known["objects"] = statements["LargeValues"]["Resource"].removeprefix("arn:aws:s3:::")
        known["prefix"] = known["objects"].removeprefix(f"{options.s3_bucket}/").removesuffix("*")
    return template(name).render(known).rstrip() + "\n"
