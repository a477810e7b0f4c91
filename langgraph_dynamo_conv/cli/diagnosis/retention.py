"""How far back what is lost can be had: of the table, and of the bucket beside it, which must reach as far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

from langgraph_dynamo_conv import provision
from langgraph_dynamo_conv._storage import administration
from langgraph_dynamo_conv._storage.bucket import Bucket
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.cli.diagnosis.findings import NOTE, OK, WRONG, Finding, setting
from langgraph_dynamo_conv.errors import DynamoConvError

_ARCHIVES = {"GLACIER", "DEEP_ARCHIVE"}
_OLD_IMAGES = ("OLD_IMAGE", "NEW_AND_OLD_IMAGES")


def findings(table: Table, bucket: Bucket | None, described: Mapping[str, Any]) -> Iterator[Finding]:
    """Time-to-live, point-in-time recovery, and the same of the bucket. Cost: 2 requests; with a bucket, 4."""
    yield setting("expiry", lambda: _expiry(administration.ttl_attribute(table), described))
    recovery_days = cache(partial(administration.recovery_days, table))
    yield setting("recovery", lambda: _recovery(recovery_days()))
    if bucket is not None and bucket.name.startswith("arn:"):
        remedy = "run `doctor` with the name of the bucket behind it"
        yield Finding("versions", NOTE, "an access point does not tell what its bucket keeps", remedy)
    elif bucket is not None:
        days = _days_or_most(recovery_days)
        yield setting("versions", partial(_versions, bucket, days))
        yield setting("lifecycle", partial(_lifecycle, bucket, days))
        yield from _stream(described)


def _days_or_most(recovery_days: Callable[[], int]) -> int:
    try:
        return recovery_days()
    except DynamoConvError:  # `recovery` has told
        return administration.MOST_RECOVERY_DAYS


def _expiry(attribute: str | None, described: Mapping[str, Any]) -> Finding:
    if attribute is None and administration.is_strong(described):
        return Finding("expiry", OK, "time-to-live is off, as it must be with strong consistency")
    if attribute is None:
        off = "time-to-live is off: nothing is ever deleted by itself"
        return Finding("expiry", NOTE, off, "`setup --ttl` turns it on")
    if attribute != provision.TTL_ATTRIBUTE:
        wrong = f"time-to-live is on {attribute}, and must be on {provision.TTL_ATTRIBUTE}"
        return Finding("expiry", WRONG, wrong, "turn it off, and run `setup --ttl` an hour later")
    return Finding("expiry", OK, f"time-to-live is on {attribute}")


def _recovery(days: int) -> Finding:
    if days:
        return Finding("recovery", OK, f"point-in-time recovery is on, for {days} days")
    return Finding("recovery", NOTE, "point-in-time recovery is off", "`setup --pitr` turns it on, for a price per GB")


def _versions(bucket: Bucket, days: int) -> Finding:
    if administration.has_versions(bucket):
        return Finding("versions", OK, f"{bucket.name} keeps versions of its objects")
    off = f"{bucket.name} keeps no versions: what is deleted there can't be brought back with the table"
    remedy = "turn versioning on, with the rule of docs/large-values.md" if days else "turn it on with --pitr"
    return Finding("versions", NOTE, off, remedy)


def _lifecycle(bucket: Bucket, days: int) -> Finding:
    rules = [(bucket.meets(one), one) for one in administration.lifecycle_rules(bucket)]
    if any(meets != "none" and _loses_live_objects(one) for meets, one in rules):
        loses = "a lifecycle rule expires or archives current objects, which live conversations refer to"
        return Finding("lifecycle", NOTE, loses, "only with a `ttl` that is shorter; see docs/large-values.md")
    kept = {meets: [d for m, one in rules if m == meets and (d := _noncurrent_days(one))] for meets in ("all", "some")}
    if not kept["all"]:
        for_ever = "no lifecycle rule removes all that was deleted: if there are versions, they stay for ever"
        return Finding("lifecycle", NOTE, for_ever, "add the rule of docs/large-values.md")
    least = min(kept["all"] + kept["some"])
    if least < days:
        short = f"deleted objects are kept for {least} days, and the table can be restored for {days}"
        return Finding("lifecycle", NOTE, short, f"let NoncurrentDays be {days}, or shorten the table's recovery")
    return Finding("lifecycle", OK, f"deleted objects are kept for {least} days")


def _loses_live_objects(rule: Mapping[str, Any]) -> bool:
    """Whether a rule deletes current objects, or moves them to where they can't be read at once."""
    classes = {one.get("StorageClass") for one in rule.get("Transitions", ())}
    return not rule.get("Expiration", {}).keys().isdisjoint({"Days", "Date"}) or bool(classes & _ARCHIVES)


def _noncurrent_days(rule: Mapping[str, Any]) -> int:
    return int(rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays", 0))


def _stream(described: Mapping[str, Any]) -> Iterator[Finding]:
    """Without old images nobody learns which objects of expired conversations are to go."""
    stream = described.get("StreamSpecification", {})
    if not stream.get("StreamEnabled") or stream.get("StreamViewType") not in _OLD_IMAGES:
        said = "no stream with old images: objects of conversations that expire stay in the bucket"
        yield Finding("objects", NOTE, said, "if savers have a `ttl`, deploy the stream consumer; else none is needed")
