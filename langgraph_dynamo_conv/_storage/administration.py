"""Requests about table and bucket themselves, which set-up and diagnosis send. A runtime role needs none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from langgraph_dynamo_conv._storage.bucket import Bucket
from langgraph_dynamo_conv._storage.failures import NoSuchSetting, TableExists
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import TableNotFoundError

MOST_RECOVERY_DAYS = 35
"""What point-in-time recovery keeps unless fewer days were chosen. API Reference, `PointInTimeRecoveryDescription`."""


def describe(table: Table) -> dict[str, Any] | None:
    """DescribeTable's `Table`, or None if there is no such table."""
    try:
        description: dict[str, Any] = table.send("describe_table")["Table"]
    except TableNotFoundError:
        return None
    return description


def is_strong(description: Mapping[str, Any]) -> bool:
    """Whether a table (DescribeTable's `Table`) is a global one whose regions are strongly consistent. DynamoDB has
    neither time-to-live nor transactions for it (Developer Guide, "Multi-Region strong consistency")."""
    return bool(description.get("MultiRegionConsistency") == "STRONG")


def create(table: Table, definition: Mapping[str, Any]) -> None:
    """Send CreateTable with these arguments; a table that somebody else creates at the same time is as good."""
    with suppress(TableExists):
        table.send("create_table", **{name: value for name, value in definition.items() if name != "TableName"})


def add_index(table: Table, attributes: Sequence[Mapping[str, str]], index: Mapping[str, Any]) -> None:
    """Let DynamoDB build an index; one that somebody else adds at the same time is as good.

    Args:
        table: The table.
        attributes: Definitions of the index's keys, as CreateTable takes them.
        index: What the index is like, as CreateTable takes it.
    """
    with suppress(TableExists):  # what UpdateTable says of a table that is being changed
        changes = [{"Create": dict(index)}]
        table.send("update_table", AttributeDefinitions=list(attributes), GlobalSecondaryIndexUpdates=changes)


def ttl_attribute(table: Table) -> str | None:
    """The attribute by which DynamoDB deletes items, or None."""
    description = table.send("describe_time_to_live")["TimeToLiveDescription"]
    if description.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
        return None
    return str(description["AttributeName"])


def enable_ttl(table: Table, attribute: str) -> None:
    """Let DynamoDB delete items after the time in this attribute."""
    specification = {"Enabled": True, "AttributeName": attribute}
    table.send("update_time_to_live", TimeToLiveSpecification=specification)


def protect(table: Table) -> None:
    """Let DynamoDB refuse to delete the table."""
    table.send("update_table", DeletionProtectionEnabled=True)


def recovery_days(table: Table) -> int:
    """How many days point-in-time recovery reaches back; 0 if it is off."""
    description = table.send("describe_continuous_backups")["ContinuousBackupsDescription"]
    recovery = description.get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
        return 0
    return int(recovery.get("RecoveryPeriodInDays", MOST_RECOVERY_DAYS))


def enable_recovery(table: Table) -> None:
    """Let DynamoDB keep what is needed to restore the table as it was at any second of the last 35 days."""
    specification = {"PointInTimeRecoveryEnabled": True}
    table.send("update_continuous_backups", PointInTimeRecoverySpecification=specification)


def has_versions(bucket: Bucket) -> bool:
    """Whether the bucket keeps what is deleted or overwritten, as versions."""
    return bool(bucket.ask("get_bucket_versioning").get("Status") == "Enabled")


def lifecycle_rules(bucket: Bucket) -> list[dict[str, Any]]:
    """The bucket's lifecycle rules that are in force."""
    try:
        rules: list[dict[str, Any]] = bucket.ask("get_bucket_lifecycle_configuration").get("Rules", [])
    except NoSuchSetting:
        return []
    return [one for one in rules if one.get("Status") == "Enabled"]


def set_tags(table: Table, table_arn: str, tags: Mapping[str, str]) -> None:
    """Set these tags; others stay."""
    table.send("tag_resource", ResourceArn=table_arn, Tags=tag_list(tags))


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as requests and templates have them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
