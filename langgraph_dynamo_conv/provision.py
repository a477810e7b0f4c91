"""Setting up the table, and the policies of those who use it: for deployment, not for a runtime role.

An existing table is checked; only the settings that are asked for are changed. No other module names actions of IAM.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from langgraph_dynamo_conv._arguments import (
    check_flag,
    check_function,
    check_mapping,
    check_name,
    check_words,
)
from langgraph_dynamo_conv._format.items import EXPIRES_AT
from langgraph_dynamo_conv._format.keys import INDEX, PK, SK, bucket_prefix
from langgraph_dynamo_conv._policies import check_table_arn, key_statement, objects_arn, policy, statement
from langgraph_dynamo_conv._storage import administration
from langgraph_dynamo_conv._storage.administration import tag_list
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import IndexNotReadyError, RequestFailedError, TableMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TTL_ATTRIBUTE = EXPIRES_AT

RUNTIME_ACTIONS = ("DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")
"""What a runtime role, that of an agent, does with the table."""

INDEX_ACTIONS = ("Query",)
"""What a runtime role does with the index."""

OBJECT_ACTIONS = ("DeleteObject", "GetObject", "PutObject")
"""What a runtime role does with large values in S3."""

KEY_ACTIONS = ("Decrypt", "DescribeKey")
"""What DynamoDB does with a customer managed key in the name of whoever reads or writes the table."""

CONSUMER_ACTIONS = {
    "Pointers": ("dynamodb", ("GetItem",)),
    "Stream": ("dynamodb", ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")),
    "Objects": ("s3", ("DeleteObject",)),
    "Failures": ("sqs", ("SendMessage",)),
    "Logs": ("logs", ("CreateLogStream", "PutLogEvents")),
}
"""What the function does that deletes the objects of what has expired: services and actions by statement."""

SETUP_ACTIONS = (
    "CreateTable",
    "DescribeContinuousBackups",
    "DescribeTable",
    "DescribeTimeToLive",
    "TagResource",
    "UpdateContinuousBackups",
    "UpdateTable",
    "UpdateTimeToLive",
)
"""What `setup` does, and `doctor` besides the actions of a runtime role."""

Setting = Literal["index", "ttl", "pitr", "tags", "protection"]
"""What set-up adds, turns on or sets."""

_WAIT_SECONDS = 600.0
_POLL_SECONDS = 2.0
_CREATED_AT = "created_at"
_NO_INDEX = f"it has no index {INDEX}"
_NO_KEYS = "DynamoDB does not tell its keys:"
_BACKUPS_NOT_YET = "ContinuousBackupsUnavailableException"


@dataclass(frozen=True)
class SetupOptions:
    """What set-up turns on besides making the table and its index.

    Args:
        ttl: Time-to-live on `expires_at`. None: on a table that is made now. A table that is there is left as it is, as
            with False: its items may have an `expires_at` of their own, and DynamoDB would delete them by that.
        recovery: Point-in-time recovery. False leaves it as it is.
        tags: Tags to set; others stay.
        wait: Whether to wait until table and index are active. If not, what can't be set before is left out.
        add_index: Whether to add the index to a table that is there without it. DynamoDB builds it from the items that
            are there, and bills a write for each row; the table stays in use meanwhile.
        protect: Deletion protection: DynamoDB refuses to delete the table. False leaves it as it is.
    """

    ttl: bool | None = None
    recovery: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    wait: bool = True
    add_index: bool = False
    protect: bool = False

    def __post_init__(self) -> None:
        if self.ttl is not None:
            check_flag("ttl", self.ttl)
        check_flag("recovery", self.recovery)
        check_flag("wait", self.wait)
        check_flag("add_index", self.add_index)
        check_flag("protect", self.protect)
        for value in check_mapping("tags", self.tags, "a dict of texts").values():
            check_words("tags", value)


@dataclass(frozen=True)
class SetUp:
    """The result of a set-up.

    Args:
        created: Whether the table was created now.
        active: Whether table and index can be used.
        changed: What was added, turned on or set: "index", "ttl", "pitr", "tags", "protection".
        pending: What can't be turned on before the table is active, in the same words.
    """

    created: bool
    active: bool
    changed: tuple[Setting, ...] = ()
    pending: tuple[Setting, ...] = ()


def table_definition(table_name: str) -> dict[str, Any]:
    """The arguments of CreateTable for the conversations table and its index, billed per request."""
    return {
        "TableName": check_words("table_name", table_name),
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


def iam_policy(
    table_arn: str,
    *,
    s3_bucket: str | None = None,
    s3_prefix: str = "",
    scan: bool = True,
    kms_key_arn: str | None = None,
) -> dict[str, Any]:
    """The policy of a runtime role: the least that works.

    Six actions on the table, Query on its index, three on the bucket's prefix if there is a bucket, and two on the key
    that encrypts the table if that is your own, for requests that DynamoDB sends.

    Args:
        table_arn: ARN of the table.
        s3_bucket: The savers' bucket, or None.
        s3_prefix: The savers' prefix in it.
        scan: Whether the role may read the whole table. `list(None)`, `delete_user(scan=True)` and `doctor` need it.
        kms_key_arn: ARN of the customer managed key that encrypts the table, or None.

    Raises:
        ValueError: `table_arn` or `kms_key_arn` is no such ARN, or the prefix is none that a saver takes.
    """
    check_table_arn(table_arn)
    if s3_bucket is not None:
        check_name("s3_bucket", s3_bucket)
    prefix = bucket_prefix(s3_prefix)
    actions = [one for one in RUNTIME_ACTIONS if check_flag("scan", scan) or one != "Scan"]
    statements = [
        statement("Table", "dynamodb", actions, table_arn),
        statement("Index", "dynamodb", INDEX_ACTIONS, f"{table_arn}/index/{INDEX}"),
    ]
    if s3_bucket is not None:
        objects = objects_arn(table_arn, s3_bucket, prefix)
        statements.append(statement("LargeValues", "s3", OBJECT_ACTIONS, objects))
    if kms_key_arn is not None:
        statements.append(key_statement(kms_key_arn, KEY_ACTIONS))
    return policy(statements)


def setup_policy(table_arn: str) -> dict[str, Any]:
    """The policy of a role that sets up and diagnoses the table, besides that of `iam_policy`; raises as that does."""
    check_table_arn(table_arn)
    return policy([statement("SetUp", "dynamodb", SETUP_ACTIONS, table_arn)])


def setup_table(table: Table, sleep: Callable[[float], None] = time.sleep, wanted: SetupOptions | None = None) -> SetUp:
    """Create the table if it is missing, else check it; wait until it is active; turn on what is asked for.

    Args:
        table: The table.
        sleep: Waits so many seconds.
        wanted: What to turn on; by default what `SetupOptions` has.

    Raises:
        TableMismatchError: A table of that name differs from `table_definition` in a way that matters, its time-to-live
            is on another attribute, or it can have none, since its regions are strongly consistent.
        IndexNotReadyError: Table or index did not become active in 10 minutes.
    """
    if not isinstance(table, Table):
        raise ValueError(f"table is a saver's table, such as that of setup(); got a {type(table).__name__}")
    check_function("sleep", sleep, "a function that waits for seconds")
    options = wanted if wanted is not None else SetupOptions()
    if not isinstance(options, SetupOptions):
        raise ValueError(f"wanted is a SetupOptions; got a {type(options).__name__}")
    created, changed = _created(table, options)
    description = _wait_until_active(table, sleep) if options.wait else administration.describe(table) or {}
    if description:
        _check(table, description)
    ttl = created if options.ttl is None else options.ttl
    asked: dict[Setting, bool] = {
        "ttl": ttl,
        "pitr": options.recovery,
        "tags": bool(options.tags) and not created,
        "protection": options.protect,
    }
    names = [name for name, is_asked in asked.items() if is_asked]
    if not is_active(description):
        return SetUp(created, False, changed, pending=tuple(names))
    turned_on = [name for name in names if _turned_on(table, name, description, options, sleep)]
    return SetUp(created, True, (*changed, *turned_on))


def is_active(description: Mapping[str, Any]) -> bool:
    """Whether table and index (DescribeTable's `Table`) can be used."""
    check_mapping("description", description)
    return description.get("TableStatus") in ("ACTIVE", "UPDATING") and index_status(description) == "ACTIVE"


def index_status(description: Mapping[str, Any]) -> str | None:
    """The index's status in DescribeTable's `Table`; None if there is no such index."""
    index = _indexes(check_mapping("description", description)).get(INDEX)
    return None if index is None else str(index.get("IndexStatus", "ACTIVE"))


def differences(description: Mapping[str, Any]) -> list[str]:
    """Why a table (DescribeTable's `Table`) can't be used, in words; empty if it can."""
    if "KeySchema" not in check_mapping("description", description):  # of a table that is being deleted
        return [f"{_NO_KEYS} it is {description.get('TableStatus')}"]
    key, expected_key = _in_words(description["KeySchema"]), _in_words(_key_schema(PK, SK))
    problems = [f"its key is {key}, and must be {expected_key}"] if key != expected_key else []
    types = {one["AttributeName"]: one["AttributeType"] for one in description.get("AttributeDefinitions", ())}
    wrong = [name for name in (PK, SK, _CREATED_AT) if types.get(name, "S") != "S"]
    problems += [f"{name} is of type {types[name]}, and must be S" for name in wrong]
    indexes = _indexes(description)
    if INDEX not in indexes:
        others = f" (it has {', '.join(sorted(indexes))})" if indexes else ""
        return [*problems, f"{_NO_INDEX}{others}"]
    key, expected_key = _in_words(indexes[INDEX]["KeySchema"]), _in_words(_key_schema(SK, _CREATED_AT))
    problems += [f"the key of {INDEX} is {key}, and must be {expected_key}"] if key != expected_key else []
    projection = indexes[INDEX]["Projection"]["ProjectionType"]
    problems += [f"{INDEX} projects {projection}, and must project ALL"] if projection != "ALL" else []
    return problems


def _remedy_of(problems: Sequence[str]) -> str:
    """What to do about some `differences`: an index can be added, keys and what an index projects can't be changed."""
    if problems[0].startswith(_NO_KEYS):
        return "Run `langgraph-dynamo-conv doctor`, which says what that means"
    if all(one.startswith(_NO_INDEX) for one in problems):
        return "Add it by setup(add_index=True), or by `langgraph-dynamo-conv setup --add-index`"
    if all(INDEX in one or one.startswith(_CREATED_AT) for one in problems):
        return "Delete that index and add it anew by setup(add_index=True), or use another table"
    return "Use another table: keys can't be changed"


def _indexes(description: Mapping[str, Any]) -> dict[str, Any]:
    return {one["IndexName"]: one for one in description.get("GlobalSecondaryIndexes", ())}


def _created(table: Table, options: SetupOptions) -> tuple[bool, tuple[Setting, ...]]:
    """Create the table, or check the one that is there; gives whether it was created, and what was changed."""
    description = administration.describe(table)
    if description is None:
        tags = {"Tags": tag_list(options.tags)} if options.tags else {}
        administration.create(table, {**table_definition(table.name), **tags})
        return True, ()
    if options.add_index and INDEX not in _indexes(description):
        _check(table, description, but_index=True)
        _add_index(table, description)
        return False, ("index",)
    _check(table, description)
    return False, ()


def _add_index(table: Table, description: Mapping[str, Any]) -> None:
    """Add the index, with the table's own capacity where that is provisioned."""
    definition = table_definition(table.name)
    (index,) = definition["GlobalSecondaryIndexes"]
    if description.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED") == "PROVISIONED":
        units = description["ProvisionedThroughput"]
        index["ProvisionedThroughput"] = {name: units[name] for name in ("ReadCapacityUnits", "WriteCapacityUnits")}
    keys = [one for one in definition["AttributeDefinitions"] if one["AttributeName"] in (SK, _CREATED_AT)]
    administration.add_index(table, keys, index)


def _check(table: Table, description: Mapping[str, Any], *, but_index: bool = False) -> None:
    problems = [one for one in differences(description) if not (but_index and one.startswith(_NO_INDEX))]
    if problems:
        raise TableMismatchError(
            f"the table '{table.name}' exists, but {'; '.join(problems)}. {_remedy_of(problems)}",
            operation="DescribeTable",
            table=table.name,
        )


def _turned_on(
    table: Table, name: str, description: Mapping[str, Any], options: SetupOptions, sleep: Callable[[float], None]
) -> bool:
    """Turn on "ttl", "pitr", "tags" or "protection"; gives whether that changed anything."""
    if name == "tags":
        administration.set_tags(table, str(description["TableArn"]), options.tags)
        return True
    if name == "ttl" and not _expires(table):
        _check_can_expire(table, description)
        _expire(table)
        return True
    if name == "protection" and not description.get("DeletionProtectionEnabled"):
        administration.protect(table)
        return True
    if name == "pitr" and not administration.recovery_days(table):
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


def _check_can_expire(table: Table, description: Mapping[str, Any]) -> None:
    if administration.is_strong(description):
        raise TableMismatchError(
            f"the table '{table.name}' is a global table with strong consistency, for which DynamoDB has no "
            "time-to-live. Leave it off: setup(ttl=False), or `langgraph-dynamo-conv setup --no-ttl`",
            operation="UpdateTimeToLive",
            table=table.name,
        )


def _expire(table: Table) -> None:
    """Turn time-to-live on, unless another process turns it on at the same time."""
    try:
        administration.enable_ttl(table, TTL_ATTRIBUTE)
    except RequestFailedError:
        if not _expires(table):
            raise


def _expires(table: Table) -> bool:
    """Whether time-to-live is on. Raises `TableMismatchError` if it is on another attribute."""
    attribute = administration.ttl_attribute(table)
    if attribute not in (None, TTL_ATTRIBUTE):
        raise TableMismatchError(
            f"the table '{table.name}' expires its items by the attribute '{attribute}', and must do it by "
            f"'{TTL_ATTRIBUTE}'. Use another table, or turn its time-to-live off and setup(ttl=True) an hour later",
            operation="DescribeTimeToLive",
            table=table.name,
        )
    return attribute is not None


def _wait_until_active(table: Table, sleep: Callable[[float], None]) -> dict[str, Any]:
    """The description of the table, as soon as it and its index can be used."""
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


def _in_words(schema: list[dict[str, str]]) -> str:
    return " and ".join(f"{one['AttributeName']} ({one['KeyType']})" for one in schema)
