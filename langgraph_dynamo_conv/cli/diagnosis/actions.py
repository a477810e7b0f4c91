"""Whether this role may do what an agent does: each action is tried.

PutItem and UpdateItem carry a condition that no item meets, so they write nothing; DynamoDB checks the permission
first, so a failed condition shows that the action is allowed. S3 has no such conditions for all three: a few bytes are
stored under a key of their own, read, and deleted.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

from langgraph_dynamo_conv._format.items import key_attributes
from langgraph_dynamo_conv._format.keys import PK, Key
from langgraph_dynamo_conv._storage.bucket import Bucket
from langgraph_dynamo_conv._storage.failures import ConditionFailed
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.cli.diagnosis.findings import OK, WRONG, Finding
from langgraph_dynamo_conv.errors import AccessDeniedError, DynamoConvError

_MISSING = "attribute_exists(#pk)"
_POLICIES = (None, "identity-based policy")
"""Kinds of policies that the printed one mends."""


def of_table(table: Table) -> Iterator[Finding]:
    """The six actions. Cost: 3 write units, 3 read units."""
    key = Key(f"doctor-{uuid.uuid4()}", "doctor")
    condition = {"ConditionExpression": _MISSING, "ExpressionAttributeNames": {"#pk": PK}}
    actions: tuple[tuple[str, Callable[[], object]], ...] = (
        ("GetItem", lambda: table.get(key)),
        ("Query", lambda: next(table.query(key.pk, page_items=1))),
        ("Query of the index", lambda: next(table.query_index(key.sk, page_items=1))),
        ("Scan", lambda: next(table.scan(Limit=1))),
        ("PutItem", lambda: table.put(key_attributes(key), **condition)),
        ("UpdateItem", lambda: table.update(key, UpdateExpression="REMOVE nothing", **condition)),
        ("DeleteItem", lambda: table.delete(key)),
    )
    for name, action in actions:
        yield _tried(name, action)


def _tried(name: str, action: Callable[[], object]) -> Finding:
    try:
        action()
    except ConditionFailed:
        return Finding(name, OK, "allowed (nothing was written)")
    except AccessDeniedError as error:
        is_roles = error.policy in _POLICIES and not str(error.action).startswith("kms:")
        remedy = "give the role the policy that `iam-policy` prints" if is_roles else "do what it says"
        return Finding(name, WRONG, str(error), remedy)
    except DynamoConvError as error:
        return Finding(name, WRONG, str(error), "mend what it says, and run `doctor` again")
    return Finding(name, OK, "allowed")


def of_bucket(bucket: Bucket) -> Iterator[Finding]:
    """The three actions on the bucket's prefix. A bucket with versions keeps a noncurrent one of a few bytes."""
    name = f"doctor-{uuid.uuid4()}"
    yield _tried("PutObject", lambda: bucket.put(name, b"ok"))
    yield _tried("GetObject", lambda: bucket.get(name, 0, 1))
    yield _tried("DeleteObject", lambda: bucket.delete(name))
