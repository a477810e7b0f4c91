"""Setting up the table, and the policies of those who use it: for deployment, not for a runtime role.

An existing table is checked, and never changed but by what is asked for. This module is the only builder of policies.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langgraph_dynamo_conv._format.keys import INDEX, PK, SK, bucket_prefix
from langgraph_dynamo_conv._storage import administration
from langgraph_dynamo_conv._storage.administration import tag_list
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import IndexNotReadyError, RequestFailedError, TableMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TTL_ATTRIBUTE = "expires_at"

RUNTIME_ACTIONS = ("DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")
"""What the role of an agent does with the table."""

INDEX_ACTIONS = ("Query",)
"""What it does with the index."""

OBJECT_ACTIONS = ("DeleteObject", "GetObject", "PutObject")
"""What it does with large values in S3."""

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

_WAIT_SECONDS = 600.0
_POLL_SECONDS = 2.0
_CREATED_AT = "created_at"
_BACKUPS_NOT_YET = "ContinuousBackupsUnavailableException"
_INDEXES = "GlobalSecondaryIndexes"


@dataclass(frozen=True)
class SetupOptions:
    """What a table shall have besides its keys and its index.

    Args:
        ttl: Time-to-live on `expires_at`. False leaves it as it is.
        recovery: Point-in-time recovery. False leaves it as it is.
        tags: Tags to set; others stay.
        wait: Whether to wait until table and index are active. Without, what can't be set yet is left out.
    """

    ttl: bool = True
    recovery: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    wait: bool = True


@dataclass(frozen=True)
class SetUp:
    """What was done to a table.

    Args:
        created: Whether it was created now.
        active: Whether table and index can be used.
        changed: What was turned on or set: "ttl", "pitr", "tags".
        pending: What could not be done before the table is active: the same words.
    """

    created: bool
    active: bool
    changed: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()


def table_definition(table_name: str) -> dict[str, Any]:
    """The arguments of CreateTable for the conversations table and its index, billed per request."""
    return {
        "TableName": table_name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in (PK, SK, _CREATED_AT)],
        "KeySchema": _key_schema(PK, SK),
        "GlobalSecondaryIndexes": [
            {
                "IndexName": INDEX,
                "KeySchema": _key_schema(SK, _CREATED_AT),
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    }


def iam_policy(table_arn: str, *, s3_bucket: str | None = None, s3_prefix: str = "") -> dict[str, Any]:
    """The policy of a runtime role: the least that works.

    Six actions on the table, Query on its index, and three on the bucket's prefix if there is a bucket.

    Args:
        table_arn: ARN of the table.
        s3_bucket: The savers' bucket, or None.
        s3_prefix: The savers' prefix in it.

    Raises:
        ValueError: `table_arn` is no ARN, or the prefix is none that a saver takes.
    """
    if not table_arn.startswith("arn:") or ":table/" not in table_arn:
        raise ValueError(
            f"table_arn is a table's ARN, arn:aws:dynamodb:<region>:<account>:table/<name>; got {table_arn!r}"
        )
    statements = [
        _statement("Table", "dynamodb", RUNTIME_ACTIONS, table_arn),
        _statement("Index", "dynamodb", INDEX_ACTIONS, f"{table_arn}/index/{INDEX}"),
    ]
    if s3_bucket is not None:
        partition = table_arn.split(":")[1]
        objects = f"arn:{partition}:s3:::{s3_bucket}/{bucket_prefix(s3_prefix)}*"
        statements.append(_statement("LargeValues", "s3", OBJECT_ACTIONS, objects))
    return _policy(statements)


def setup_policy(table_arn: str) -> dict[str, Any]:
    """The policy of a role that sets up and diagnoses the table, besides that of `iam_policy`."""
    return _policy([_statement("SetUp", "dynamodb", SETUP_ACTIONS, table_arn)])


def setup_table(table: Table, sleep: Callable[[float], None] = time.sleep, wanted: SetupOptions | None = None) -> SetUp:
    """Create the table if it is missing, else check it; wait until it is active; turn on what is wanted.

    Raises:
        TableMismatchError: A table of that name differs from `table_definition` in a way that matters, or its
            time-to-live is on another attribute.
        IndexNotReadyError: Table or index did not become active in 10 minutes.
    """
    wanted = wanted if wanted is not None else SetupOptions()
    description = administration.describe(table)
    created = description is None
    if description is None:
        tags = {"Tags": tag_list(wanted.tags)} if wanted.tags else {}
        administration.create(table, {**table_definition(table.name), **tags})
    else:
        _check(table.name, description)
    found = _wait_until_active(table, sleep) if wanted.wait else administration.describe(table) or {}
    if wanted.wait or found:
        _check(table.name, found)
    todo = [name for name, on in (("ttl", wanted.ttl), ("pitr", wanted.recovery)) if on]
    todo += ["tags"] if wanted.tags and not created else []
    if not is_active(found):
        return SetUp(created, False, pending=tuple(todo))
    changed = tuple(name for name in todo if _turned_on(table, name, found, wanted, sleep))
    return SetUp(created, True, changed)


def is_active(description: Mapping[str, Any]) -> bool:
    """Whether table and index (DescribeTable's `Table`) can be used."""
    return description.get("TableStatus") in ("ACTIVE", "UPDATING") and index_status(description) == "ACTIVE"


def index_status(description: Mapping[str, Any]) -> str | None:
    """The index's status in DescribeTable's `Table`; None if there is no such index."""
    states = {one["IndexName"]: one.get("IndexStatus", "ACTIVE") for one in description.get(_INDEXES, ())}
    status = states.get(INDEX)
    return None if status is None else str(status)


def differences(description: dict[str, Any]) -> list[str]:
    """What of a table (DescribeTable's `Table`) keeps it from being used, in words; empty if nothing."""
    found = []
    wanted = table_definition("")
    types = {one["AttributeName"]: one["AttributeType"] for one in description.get("AttributeDefinitions", ())}
    if _names(description["KeySchema"]) != _names(wanted["KeySchema"]):
        found.append(f"its key is {_said(description['KeySchema'])}, and must be {_said(wanted['KeySchema'])}")
    found += [f"{name} is of type {types[name]}, and must be S" for name in (PK, SK) if types.get(name, "S") != "S"]
    indexes = {one["IndexName"]: one for one in description.get("GlobalSecondaryIndexes", ())}
    index = indexes.get(INDEX)
    if index is None:
        have = f" (it has {', '.join(sorted(indexes))})" if indexes else ""
        found.append(f"it has no index {INDEX}{have}")
        return found
    schema = wanted["GlobalSecondaryIndexes"][0]["KeySchema"]
    if _names(index["KeySchema"]) != _names(schema):
        found.append(f"the key of {INDEX} is {_said(index['KeySchema'])}, and must be {_said(schema)}")
    if types.get(_CREATED_AT, "S") != "S":
        found.append(f"{_CREATED_AT} is of type {types[_CREATED_AT]}, and must be S")
    if index["Projection"]["ProjectionType"] != "ALL":
        found.append(f"{INDEX} projects {index['Projection']['ProjectionType']}, and must project ALL")
    return found


def _policy(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def _statement(sid: str, service: str, actions: Sequence[str], resource: str) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": [f"{service}:{one}" for one in actions], "Resource": resource}


def _check(table_name: str, description: dict[str, Any]) -> None:
    found = differences(description)
    if found:
        raise TableMismatchError(
            f"the table '{table_name}' exists, but {'; '.join(found)}. Use another name, or change the table",
            operation="DescribeTable",
            table=table_name,
        )


def _turned_on(
    table: Table, name: str, description: Mapping[str, Any], wanted: SetupOptions, sleep: Callable[[float], None]
) -> bool:
    """Do one of the things that are wanted; gives whether anything was changed."""
    if name == "tags":
        administration.set_tags(table, str(description["TableArn"]), wanted.tags)
        return True
    if name == "ttl" and not _expires(table):
        _expire(table)
        return True
    if name == "pitr" and not administration.has_recovery(table):
        _recover(table, sleep)
        return True
    return False


def _recover(table: Table, sleep: Callable[[float], None]) -> None:
    """Turn point-in-time recovery on, which a new table refuses for some seconds."""
    waited = 0.0
    while True:
        try:
            administration.enable_recovery(table)
        except RequestFailedError as error:
            if _BACKUPS_NOT_YET not in str(error) or waited >= _WAIT_SECONDS:
                raise
        else:
            return
        sleep(_POLL_SECONDS)
        waited += _POLL_SECONDS


def _expire(table: Table) -> None:
    """Turn time-to-live on, unless another process turns it on at the same time."""
    try:
        administration.enable_ttl(table, TTL_ATTRIBUTE)
    except RequestFailedError:
        if not _expires(table):
            raise


def _expires(table: Table) -> bool:
    attribute = administration.ttl_attribute(table)
    if attribute not in (None, TTL_ATTRIBUTE):
        raise TableMismatchError(
            f"the table '{table.name}' expires its items by the attribute '{attribute}', and must do it by "
            f"'{TTL_ATTRIBUTE}'. Use another table, or turn its time-to-live off and setup() an hour later",
            operation="DescribeTimeToLive",
            table=table.name,
        )
    return attribute is not None


def _wait_until_active(table: Table, sleep: Callable[[float], None]) -> dict[str, Any]:
    """The description of the table, once it and its index can be used."""
    waited = 0.0
    while True:
        description = administration.describe(table) or {}
        if is_active(description):
            return description
        if waited >= _WAIT_SECONDS:
            raise IndexNotReadyError(
                f"after {waited:.0f} s the table '{table.name}' is {description.get('TableStatus')} and {INDEX} is "
                f"{index_status(description)}: run setup() again later",
                operation="DescribeTable",
                table=table.name,
            )
        sleep(_POLL_SECONDS)
        waited += _POLL_SECONDS


def _key_schema(hash_key: str, range_key: str) -> list[dict[str, str]]:
    return [{"AttributeName": hash_key, "KeyType": "HASH"}, {"AttributeName": range_key, "KeyType": "RANGE"}]


def _names(schema: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(one["AttributeName"], one["KeyType"]) for one in schema]


def _said(schema: list[dict[str, str]]) -> str:
    return " and ".join(f"{name} ({kind})" for name, kind in _names(schema))
