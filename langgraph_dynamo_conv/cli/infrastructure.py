"""The table and the policy of those who use it, as CloudFormation and Terraform. Sends nothing.

The table is written out in the files of `templates/`; the policy's actions are those of `provision.iam_policy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from langgraph_dynamo_conv.cli.views.rendering import template
from langgraph_dynamo_conv.provision import iam_policy

_ANY_TABLE = "arn:aws:dynamodb:region:account:table/name"
"""The templates say themselves which table it is."""


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
    """

    table_name: str | None = None
    ttl: bool = True
    recovery: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    s3_bucket: str | None = None
    s3_prefix: str = ""


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
    policy = iam_policy(_ANY_TABLE, s3_bucket=options.s3_bucket, s3_prefix=options.s3_prefix)
    statements = {one["Sid"]: one for one in policy["Statement"]}
    actions = {sid: one["Action"] for sid, one in statements.items()}
    objects = statements["LargeValues"]["Resource"].removeprefix("arn:aws:s3:::") if options.s3_bucket else None
    return template(name).render(options=options, actions=actions, objects=objects) + "\n"
