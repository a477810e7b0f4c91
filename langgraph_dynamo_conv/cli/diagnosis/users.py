"""Whether one user has most conversations: all rows of a user share one key of the index, and what it can write."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator

from langgraph_dynamo_conv._format.keys import PK, SK, is_conversation, parse_sk
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.cli.diagnosis.findings import NOTE, OK, Finding
from langgraph_dynamo_conv.errors import DynamoConvError

SAMPLED = 24
"""Places of the table that are looked at for a conversation."""

TELLING = 10
"""Conversations in a sample from which on the share of a user tells anything."""


def owners(table: Table) -> Iterator[Finding]:
    """Nothing where Scan is not allowed or fails, which the actions have told. Cost: 24 Scans of one item."""
    try:
        owners = Counter(dict(_sampled(table)).values())
    except DynamoConvError:
        return
    (user, most), count = next(iter(owners.most_common(1)), ("", 0)), owners.total()
    sampled = f"of {count} conversations, looked up at random"
    if count < TELLING:
        yield Finding("users", OK, f"too few conversations to tell whether one user has most of them: {count} found")
    elif most * 2 <= count:
        yield Finding("users", OK, f"no user has most {sampled}")
    else:
        limit = "all rows of a user share a key of the index, which takes about 60 writes of full rows a second"
        remedy = "give every person a user id of their own; else DynamoDB throttles this one, and with it the table"
        yield Finding("users", NOTE, f"{user!r} has {most} {sampled}; {limit}", remedy)


def _sampled(table: Table) -> Iterator[tuple[str, str]]:
    """The first conversation after each of some random places of the table, and its user.

    A scan is in the order of a hash of the conversation's id, so no user's conversations are beside each other there. A
    scan of the index would go through one user's after the other.
    """
    for _ in range(SAMPLED):
        place = {PK: {"S": str(uuid.uuid4())}, SK: {"S": "doctor"}}
        for item in next(table.scan(Limit=1, ExclusiveStartKey=place, ProjectionExpression=f"{PK}, {SK}")):
            if is_conversation(item[PK]["S"]):
                yield item[PK]["S"], parse_sk(item[SK]["S"]).user_id
