"""What DescribeTable tells: the status in words, keys and index, what protects the table, its capacity, its regions.

From DynamoDB's API Reference, `TableDescription`; nothing else is asked. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from langgraph_dynamo_conv import provision
from langgraph_dynamo_conv._format.keys import INDEX
from langgraph_dynamo_conv._storage import administration
from langgraph_dynamo_conv.cli.diagnosis.findings import NOTE, OK, WRONG, Finding

DAYS_WITHOUT_KEY = 7
"""After so many days without its key DynamoDB archives a table. API Reference, `SSEDescription`."""

_REMEDIES = {
    "CREATING": "wait until it is active",
    "DELETING": "if nobody meant it, note the time: with point-in-time recovery it can be restored for 35 days",
    "INACCESSIBLE_ENCRYPTION_CREDENTIALS": "restore the key now: enable it, cancel its deletion, or mend its policy; "
    "the table is archived {deadline}",
    "ARCHIVING": "enable the key; when the table is archived, restore its backup",
    "ARCHIVED": "enable the key, and restore {backup} into another table; waiting does not help",
    "REPLICATION_NOT_AUTHORIZED": "mend what the replication's role or the key's policy denies",
}
"""What to do about a status in which the table can't be used."""

_USABLE = ("ACTIVE", "UPDATING")
_UNITS = ("ReadCapacityUnits", "WriteCapacityUnits")
_MOST_UNITS = ("MaxReadRequestUnits", "MaxWriteRequestUnits")


def is_usable(described: Mapping[str, Any]) -> bool:
    """Whether the table can be read and written."""
    return described["TableStatus"] in _USABLE


def findings(described: Mapping[str, Any]) -> Iterator[Finding]:
    """Everything that DescribeTable's `Table` tells."""
    yield _status(described)
    if "KeySchema" not in described:  # it is being deleted, and DynamoDB tells no more
        yield _key(described)
        return
    yield from _keys(described)
    status = provision.index_status(described)
    if status is not None:
        is_built, remedy = status == "ACTIVE", "wait until it is built"
        yield Finding("index", OK if is_built else WRONG, f"{INDEX}: {status}", None if is_built else remedy)
    yield _capacity(described)
    yield from _index_capacity(described)
    yield _protection(described)
    yield _key(described)
    yield from _regions(described)
    if described.get("TableClassSummary", {}).get("TableClass") == "STANDARD_INFREQUENT_ACCESS":
        dearer = "table class Standard-IA: each request costs a quarter more, storage 60% less"
        yield Finding("class", NOTE, dearer, "the class Standard is cheaper for conversations that are in use")
    stream = described.get("StreamSpecification", {})
    yield Finding("stream", OK, stream["StreamViewType"] if stream.get("StreamEnabled") else "off")


def _status(described: Mapping[str, Any]) -> Finding:
    status = str(described["TableStatus"])
    state = f"{described['TableName']}: {status}, {described.get('ItemCount', 0)} items when last counted"
    if is_usable(described):
        return Finding("table", OK, state)
    since = described.get("SSEDescription", {}).get("InaccessibleEncryptionDateTime")
    summary = described.get("ArchivalSummary", {})
    deadline = f"on {_day(since + timedelta(days=DAYS_WITHOUT_KEY))}" if since else "after seven days"
    remedy = _REMEDIES.get(status, "look it up in DynamoDB's API Reference")
    backup = summary.get("ArchivalBackupArn", "the backup that was made of it")
    return Finding("table", WRONG, state, remedy.format(deadline=deadline, backup=backup))


def _keys(described: Mapping[str, Any]) -> Iterator[Finding]:
    differences = provision.differences(described)
    for difference in differences:
        remedy = provision._remedy_of([difference])
        yield Finding("keys", WRONG, difference, remedy[0].lower() + remedy[1:])
    if not differences:
        yield Finding("keys", OK, "conversation_id and user_id; the index by user_id and created_at")


def _is_on_demand(described: Mapping[str, Any]) -> bool:
    return bool(described.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST")


def _capacity(described: Mapping[str, Any]) -> Finding:
    if not _is_on_demand(described):
        read, write = (described["ProvisionedThroughput"][name] for name in _UNITS)
        capacity = f"provisioned: {read} read and {write} write units a second"
        return Finding("billing", NOTE, capacity, "watch for throttled requests, on the index too; or bill by request")
    most = _most(described)
    if not most:
        return Finding("billing", OK, "by request (PAY_PER_REQUEST)")
    said = " and ".join(f"{units} {name}" for name, units in most.items())
    remedy = "what is above is throttled: compare with the peak of ConsumedWriteCapacityUnits"
    return Finding("billing", NOTE, f"by request, at most {said} units a second", remedy)


def _most(described: Mapping[str, Any]) -> dict[str, int]:
    """The maximum of an on-demand table or index, by "read" and "write", where there is one."""
    set_ = described.get("OnDemandThroughput", {})
    limits = {name: set_.get(key, -1) for name, key in zip(("read", "write"), _MOST_UNITS, strict=True)}
    return {name: units for name, units in limits.items() if units > 0}


def _index_capacity(described: Mapping[str, Any]) -> Iterator[Finding]:
    """Where the index takes less than the table: it then holds back the table's writes."""
    indexes = described.get("GlobalSecondaryIndexes", ())
    index: Mapping[str, Any] = next((one for one in indexes if one["IndexName"] == INDEX), {})
    if _is_on_demand(described):
        table, own = _most(described).get("write"), _most(index).get("write")
    else:
        table, own = (one.get("ProvisionedThroughput", {}).get(_UNITS[1]) for one in (described, index))
    if own is not None and (table is None or own < table):
        most = f"the table {table}" if table is not None else "the table has no maximum"
        said = f"the index takes {own} write units a second, {most}: a full index throttles the table's writes"
        yield Finding("index units", NOTE, said, "give the index what the table has")


def _protection(described: Mapping[str, Any]) -> Finding:
    if described.get("DeletionProtectionEnabled"):
        return Finding("protection", OK, "deletion protection is on")
    return Finding("protection", NOTE, "deletion protection is off", "`setup --protect` turns it on")


def _key(described: Mapping[str, Any]) -> Finding:
    encryption = described.get("SSEDescription", {})
    key = encryption.get("KMSMasterKeyArn")
    if key is None:
        return Finding("key", OK, "encrypted with a key of AWS's own")
    since = encryption.get("InaccessibleEncryptionDateTime")
    if since is not None:
        return Finding("key", WRONG, f"{key} can't be used since {_day(since)}", "enable it, or mend its policy")
    return Finding("key", OK, f"encrypted with {key}")


def _regions(described: Mapping[str, Any]) -> Iterator[Finding]:
    replicas = described.get("Replicas", ())
    for one in replicas:
        if one.get("ReplicaStatus") not in (None, "ACTIVE", "UPDATING"):
            said = f"the replica in {one['RegionName']} is {one['ReplicaStatus']}"
            why = one.get("ReplicaStatusDescription", "mend its key, role or region before DynamoDB drops it")
            yield Finding("replica", WRONG, said, why)
    regions = ", ".join(sorted(one["RegionName"] for one in replicas))
    if replicas and administration.is_strong(described):
        said = f"strongly consistent with {regions}: no time-to-live, and no transactions"
        yield Finding("regions", NOTE, said, "give savers no `ttl`; see docs/concurrency.md")
    elif replicas:
        said = f"replicated to {regions}, in about a second: a condition holds in its own region alone"
        yield Finding("regions", NOTE, said, "write each conversation in one region; see docs/concurrency.md")


def _day(when: datetime) -> str:
    return f"{when.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
