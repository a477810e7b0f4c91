"""What docs/large-values.md says of policy and lifecycle rule is what the code and AWS take."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from langgraph_dynamo_conv._storage.administration import MOST_RECOVERY_DAYS
from langgraph_dynamo_conv.provision import iam_policy
from tests.buckets import TestBucket

pytestmark = pytest.mark.engine("moto")

DOCUMENT = (Path(__file__).parents[2] / "docs" / "large-values.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    return found


def test_the_policy_is_what_iam_policy_gives() -> None:
    policy = iam_policy("arn:aws:dynamodb:r:1:table/t", s3_bucket="my-values", s3_prefix="chats")

    assert json.loads(blocks("json")[1]) == policy["Statement"][-1]


def test_the_lifecycle_rule_is_taken_and_expires_no_current_object(bucket: TestBucket) -> None:
    rule: Any = json.loads(blocks("json")[0])
    bucket.client.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration=rule)

    (stored,) = bucket.client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
    assert stored["Filter"] == {"Prefix": "chats/"}
    assert stored["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    assert stored["NoncurrentVersionExpiration"]["NoncurrentDays"] >= MOST_RECOVERY_DAYS
