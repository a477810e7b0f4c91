"""IAM policies as documents: their form, and the ARNs in them. Which actions there are, `provision` says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from langgraph_dynamo_conv._arguments import shown

_KEY_ARN = re.compile(r"arn:[a-z-]+:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]+")


def check_table_arn(table_arn: object) -> None:
    """Raises `ValueError` for what is no table's ARN."""
    if not isinstance(table_arn, str) or not table_arn.startswith("arn:") or ":table/" not in table_arn:
        raise ValueError(
            f"table_arn is a table's ARN, arn:aws:dynamodb:<region>:<account>:table/<name>; got {shown(table_arn)}"
        )


def policy(statements: list[dict[str, Any]]) -> dict[str, Any]:
    """A policy of these statements."""
    return {"Version": "2012-10-17", "Statement": statements}


def statement(sid: str, service: str, actions: Sequence[str], resource: str) -> dict[str, Any]:
    """What allows actions of a service on a resource."""
    return {"Sid": sid, "Effect": "Allow", "Action": [f"{service}:{one}" for one in actions], "Resource": resource}


def objects_arn(table_arn: str, s3_bucket: str, prefix: str) -> str:
    """The ARN of a prefix's objects: in a bucket of the table's partition, or behind the ARN of an access point."""
    if s3_bucket.startswith("arn:"):
        return f"{s3_bucket}/object/{prefix}*"
    return f"arn:{table_arn.split(':')[1]}:s3:::{s3_bucket}/{prefix}*"


def key_statement(kms_key_arn: object, actions: Sequence[str]) -> dict[str, Any]:
    """What allows actions on a table's key, for requests that DynamoDB sends. The key is in the table's region.

    Raises:
        ValueError: This is no ARN of a key. That of an alias is none: a policy would not hold for its key.
    """
    found = _KEY_ARN.fullmatch(kms_key_arn) if isinstance(kms_key_arn, str) else None
    if found is None:
        raise ValueError(
            f"kms_key_arn is a key's ARN, arn:aws:kms:<region>:<account>:key/<id>; got {shown(kms_key_arn)}"
        )
    through = {"StringEquals": {"kms:ViaService": f"dynamodb.{found['region']}.amazonaws.com"}}
    return {**statement("Key", "kms", actions, found[0]), "Condition": through}
