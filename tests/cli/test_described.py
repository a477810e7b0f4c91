"""What `doctor` says of a table that DescribeTable describes, and of the bucket beside it, as an operator needs it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from botocore.session import get_session

from langgraph_dynamo_conv._format.keys import INDEX
from langgraph_dynamo_conv._storage.bucket import Bucket
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.cli.diagnosis import actions, retention
from langgraph_dynamo_conv.cli.diagnosis.description import findings
from langgraph_dynamo_conv.cli.diagnosis.findings import Finding, allow
from langgraph_dynamo_conv.errors import AccessDeniedError
from langgraph_dynamo_conv.provision import differences, iam_policy, table_definition
from tests.buckets import TestBucket, Wire, new_bucket, s3_refusal
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEY = "arn:aws:kms:eu-west-1:1:key/k"
BACKUP = "arn:aws:dynamodb:eu-west-1:1:table/conversations/backup/01"
SINCE = datetime(2026, 11, 24, 2, 14, tzinfo=timezone.utc)


def statuses(shape: str) -> list[str]:
    """All that DynamoDB's API names."""
    found: list[str] = get_session().get_service_model("dynamodb").shape_for(shape).enum
    return found


def described(**changes: Any) -> dict[str, Any]:
    """DescribeTable's `Table`."""
    definition = table_definition("conversations")
    del definition["BillingMode"]
    indexes = [{**definition["GlobalSecondaryIndexes"][0], "IndexStatus": "ACTIVE", **changes.pop("index", {})}]
    return {
        **definition,
        "TableStatus": "ACTIVE",
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        "GlobalSecondaryIndexes": indexes,
        "DeletionProtectionEnabled": True,
        **changes,
    }


def told(**changes: Any) -> dict[str, Finding]:
    return {one.check: one for one in findings(described(**changes))}


def test_a_table_that_is_as_it_should_be_has_nothing_to_note() -> None:
    assert {one.verdict for one in told().values()} == {"ok"}


@pytest.mark.parametrize("status", statuses("TableStatus"))
def test_every_status_of_the_api_is_told_with_what_to_do(status: str) -> None:
    found = told(TableStatus=status)["table"]

    is_usable = status in ("ACTIVE", "UPDATING")
    assert (found.verdict, found.remedy is None) == (("ok", True) if is_usable else ("wrong", False))
    assert "look it up" not in str(found.remedy)


def test_a_table_whose_key_is_gone_is_told_when_it_will_be_archived() -> None:
    encryption = {"SSEType": "KMS", "KMSMasterKeyArn": KEY, "InaccessibleEncryptionDateTime": SINCE}

    found = told(TableStatus="INACCESSIBLE_ENCRYPTION_CREDENTIALS", SSEDescription=encryption)

    assert "restore the key now" in str(found["table"].remedy)
    assert "archived on 2026-12-01 02:14 UTC" in str(found["table"].remedy)
    assert (found["key"].verdict, found["key"].said) == ("wrong", f"{KEY} can't be used since 2026-11-24 02:14 UTC")


@pytest.mark.parametrize("status", ["DELETING", "ARCHIVED"])
def test_a_table_of_which_dynamodb_tells_little_is_told_in_one_line_and_set_up_by_nobody(status: str) -> None:
    little = {"TableName": "conversations", "TableStatus": status}

    (table, key) = findings(little)
    (difference,) = differences(little)

    assert (table.verdict, key.check) == ("wrong", "key")
    assert difference == f"DynamoDB does not tell its keys: it is {status}"


def test_an_archived_table_is_not_waited_for() -> None:
    found = told(TableStatus="ARCHIVED", ArchivalSummary={"ArchivalBackupArn": BACKUP})["table"]

    assert BACKUP in str(found.remedy)
    assert "waiting does not help" in str(found.remedy)


def test_a_table_that_anybody_can_delete_is_noted() -> None:
    found = told(DeletionProtectionEnabled=False)["protection"]

    assert (found.verdict, found.remedy) == ("note", "`setup --protect` turns it on")


@pytest.mark.parametrize(
    ("table", "index", "is_less"),
    [
        ({"MaxWriteRequestUnits": 100}, {"MaxWriteRequestUnits": 100}, False),
        ({"MaxWriteRequestUnits": 100}, {"MaxWriteRequestUnits": 40}, True),
        ({"MaxWriteRequestUnits": 100}, {"MaxWriteRequestUnits": -1}, False),
        ({}, {"MaxWriteRequestUnits": 40}, True),
    ],
)
def test_an_index_whose_maximum_is_below_the_tables_is_noted(
    table: dict[str, int], index: dict[str, int], is_less: bool
) -> None:
    found = told(OnDemandThroughput=table, index={"OnDemandThroughput": index})

    assert ("index units" in found) == is_less
    assert ("at most 100 write units a second" in found["billing"].said) == bool(table)


@pytest.mark.parametrize(("own", "is_less"), [(10, False), (5, True)])
def test_an_index_with_less_provisioned_capacity_than_the_table_is_noted(own: int, is_less: bool) -> None:
    found = told(
        BillingModeSummary={},
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 10},
        index={"ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": own}},
    )

    assert ("index units" in found) == is_less
    assert found["billing"].said == "provisioned: 5 read and 10 write units a second"


@pytest.mark.parametrize(
    ("consistency", "said", "remedy"),
    [
        ("EVENTUAL", "a condition holds in its own region alone", "write each conversation in one region"),
        ("STRONG", "no time-to-live, and no transactions", "give savers no `ttl`"),
    ],
)
def test_regions_are_told_with_what_holds_across_them(consistency: str, said: str, remedy: str) -> None:
    replicas = [{"RegionName": name, "ReplicaStatus": "ACTIVE"} for name in ("us-west-2", "us-east-2")]

    found = told(Replicas=replicas, MultiRegionConsistency=consistency)["regions"]

    assert "us-east-2, us-west-2" in found.said
    assert said in found.said
    assert remedy in str(found.remedy)


@pytest.mark.parametrize("status", sorted({*statuses("ReplicaStatus")} - {"ACTIVE", "UPDATING"}))
def test_a_replica_that_is_not_active_is_wrong(status: str) -> None:
    found = told(Replicas=[{"RegionName": "us-west-2", "ReplicaStatus": status}])["replica"]

    assert (found.verdict, found.said) == ("wrong", f"the replica in us-west-2 is {status}")


def test_a_table_class_for_what_is_seldom_read_is_noted() -> None:
    assert told(TableClassSummary={"TableClass": "STANDARD_INFREQUENT_ACCESS"})["class"].verdict == "note"


def test_the_stream_and_the_key_are_told() -> None:
    found = told(
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"},
        SSEDescription={"SSEType": "KMS", "KMSMasterKeyArn": KEY},
    )

    assert (found["stream"].said, found["key"].said) == ("OLD_IMAGE", f"encrypted with {KEY}")


def test_the_index_under_construction_is_wrong() -> None:
    found = told(index={"IndexStatus": "CREATING"})["index"]

    assert (found.verdict, found.said) == ("wrong", f"{INDEX}: CREATING")


@pytest.fixture
def values() -> Iterator[TestBucket]:
    with new_bucket() as bucket:
        yield bucket


def of_bucket(values: TestBucket, days: int = 35, prefix: str = "chats") -> dict[str, Finding]:
    bucket = Bucket(values.name, prefix=prefix, client=values.client)
    both = (retention._versions(bucket, days), retention._lifecycle(bucket, days))
    return {one.check: one for one in both}


def rule(**changes: Any) -> dict[str, Any]:
    return {"ID": "deleted", "Status": "Enabled", "Filter": {"Prefix": "chats/"}, **changes}


def set_up(values: TestBucket, *rules: dict[str, Any]) -> None:
    values.client.put_bucket_versioning(Bucket=values.name, VersioningConfiguration={"Status": "Enabled"})
    configuration: Any = {"Rules": list(rules)}
    values.client.put_bucket_lifecycle_configuration(Bucket=values.name, LifecycleConfiguration=configuration)


def test_a_bucket_without_versions_and_rules_is_noted(values: TestBucket) -> None:
    found = of_bucket(values)

    assert (found["versions"].verdict, found["lifecycle"].verdict) == ("note", "note")
    assert "can't be brought back with the table" in found["versions"].said


@pytest.mark.parametrize(("kept", "verdict"), [(1, "note"), (34, "note"), (35, "ok"), (90, "ok")])
def test_deleted_objects_are_to_be_kept_as_long_as_the_table_can_be_restored(
    values: TestBucket, kept: int, verdict: str
) -> None:
    set_up(values, rule(NoncurrentVersionExpiration={"NoncurrentDays": kept}))

    found = of_bucket(values)

    assert (found["versions"].verdict, found["lifecycle"].verdict) == ("ok", verdict)
    assert f"{kept} days" in found["lifecycle"].said


@pytest.mark.parametrize(
    "changes",
    [
        {"Expiration": {"Days": 90}},
        {"Expiration": {"Date": "2030-01-01T00:00:00Z"}},
        {"Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]},
        {"Transitions": [{"Days": 30, "StorageClass": "DEEP_ARCHIVE"}]},
        {"Expiration": {"Days": 90}, "Filter": {"Prefix": "chats/a"}},
        {"Expiration": {"Days": 90}, "Filter": {"And": {"Prefix": "", "ObjectSizeGreaterThan": 1}}},
    ],
)
def test_a_rule_that_takes_current_objects_away_is_noted(changes: dict[str, Any]) -> None:
    assert "expires or archives current objects" in lifecycle(rule(**changes)).said


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"Filter": {"Prefix": "other/"}}, "note"),
        ({"Filter": {"Prefix": "chats/a"}}, "note"),
        ({"Filter": {}}, "ok"),
        ({"Filter": {"Prefix": "chats/"}, "Transitions": [{"Days": 1, "StorageClass": "STANDARD_IA"}]}, "ok"),
    ],
)
def test_a_rule_counts_as_far_as_it_reaches(changes: dict[str, Any], verdict: str) -> None:
    assert lifecycle(rule(NoncurrentVersionExpiration={"NoncurrentDays": 90}, **changes)).verdict == verdict


def test_the_shortest_rule_for_some_of_the_objects_counts() -> None:
    small = {"And": {"Prefix": "", "ObjectSizeLessThan": 9}}
    rules = [rule(NoncurrentVersionExpiration={"NoncurrentDays": 90})]
    rules.append(rule(Filter=small, NoncurrentVersionExpiration={"NoncurrentDays": 1}))

    assert "kept for 1 days" in lifecycle(*rules).said


class Told(Bucket):
    """A bucket that tells these rules."""

    def __init__(self, rules: list[dict[str, Any]]) -> None:
        super().__init__("values", prefix="chats")
        self._rules = rules

    def ask(self, method: str) -> dict[str, Any]:
        return {"Rules": self._rules}


def lifecycle(*rules: dict[str, Any]) -> Finding:
    return retention._lifecycle(Told(list(rules)), 35)


def test_an_access_point_is_allowed_by_its_own_arn() -> None:
    arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/chats"
    policy = iam_policy("arn:aws:dynamodb:eu-west-1:1:table/t", s3_bucket=arn, s3_prefix="p")

    assert policy["Statement"][-1]["Resource"] == f"{arn}/object/p/*"


@pytest.mark.engine("moto")
def test_each_setting_of_table_and_bucket_is_asked_for_once(
    values: TestBucket, client: DynamoDBClient, table_name: str
) -> None:
    with RequestLog(client) as log:
        list(
            retention.findings(Table(table_name, client=client), Bucket(values.name, client=values.client), described())
        )

    assert log.operations == ["DescribeTimeToLive", "DescribeContinuousBackups"]


def test_what_a_role_may_not_see_of_the_bucket_is_not_said_to_be_in_a_printed_policy() -> None:
    of_table, of_bucket = (AccessDeniedError("no", action=one) for one in ("dynamodb:DescribeTable", "s3:GetBucketAcl"))

    assert "iam-policy --for setup" in allow(of_table)
    assert allow(of_bucket) == "allow s3:GetBucketAcl to those who set up, not to agents"


@pytest.mark.parametrize("operation", ["PutObject", "GetObject", "DeleteObject"])
def test_each_action_on_the_bucket_is_tried(values: TestBucket, operation: str) -> None:
    denied = f"User: r is not authorized to perform: s3:{operation} because no identity-based policy allows it"
    bucket = Bucket(values.name, prefix="chats", client=values.client)
    assert {one.check: one.verdict for one in actions.of_bucket(bucket)} == dict.fromkeys(
        ["PutObject", "GetObject", "DeleteObject"], "ok"
    )
    assert values.keys == []

    with Wire(values.client) as wire:
        wire.fail(operation, s3_refusal("AccessDenied", denied, 403))
        found = {one.check: one for one in actions.of_bucket(bucket)}

    assert found[operation].verdict == "wrong"
    assert f"allow s3:{operation} on {values.name}/chats/*" in found[operation].said


def test_without_a_stream_of_old_images_objects_of_what_expires_are_said_to_stay() -> None:
    on = {"StreamEnabled": True}
    (found,) = retention._stream(described(StreamSpecification={**on, "StreamViewType": "KEYS_ONLY"}))

    assert "stay in the bucket" in found.said
    assert list(retention._stream(described(StreamSpecification={**on, "StreamViewType": "OLD_IMAGE"}))) == []
