"""All checks, in the order in which one of them explains the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from langgraph.checkpoint.serde.base import SerializerProtocol

from langgraph_dynamo_conv._storage import administration
from langgraph_dynamo_conv._storage.bucket import Bucket
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.cli.diagnosis import actions, description, retention
from langgraph_dynamo_conv.cli.diagnosis.clock import ServerClock
from langgraph_dynamo_conv.cli.diagnosis.environment import identity_of, types, versions
from langgraph_dynamo_conv.cli.diagnosis.findings import NOTE, WRONG, Finding, allow
from langgraph_dynamo_conv.cli.diagnosis.users import owners
from langgraph_dynamo_conv.errors import AccessDeniedError, DynamoConvError


def diagnose(
    table: Table,
    identity: Callable[[], str],
    serde: SerializerProtocol,
    clock: Callable[[], float] = time.time,
    bucket: Bucket | None = None,
) -> Iterator[Finding]:
    """All findings, each as soon as it is known.

    Args:
        table: The table.
        identity: Gives the ARN of whoever sends the requests.
        serde: The serializer of the agents, as this environment makes it.
        clock: Gives seconds since the epoch.
        bucket: The agents' bucket; None if they have none.

    Cost: some 37 requests, 3 write units, and 3 read units and one for each 8 KB of 24 items; with a bucket, 5 more.
    """
    yield from versions()
    yield types(serde)
    server_clock = ServerClock(table, clock)
    yield identity_of(table, identity)
    yield from _table(table, bucket)
    yield server_clock.finding()


def _table(table: Table, bucket: Bucket | None) -> Iterator[Finding]:
    try:
        described = administration.describe(table)
    except AccessDeniedError as error:
        yield Finding("table", NOTE, "this role may not describe it, so it is only tried", allow(error))
    except DynamoConvError as error:
        yield Finding("table", WRONG, str(error), "check --region, --endpoint-url, --profile, and the network")
        return
    else:
        if described is None:
            place = f"{table.client.meta.region_name} at {table.client.meta.endpoint_url}"
            remedy = "if it was there, restore it before anything takes its name; else make it with `setup`"
            yield Finding("table", WRONG, f"there is no table {table.name} in {place}", remedy)
            return
        yield from description.findings(described)
        if not description.is_usable(described):
            return
        yield from retention.findings(table, bucket, described)
    yield from actions.of_table(table)
    if bucket is not None:
        yield from actions.of_bucket(bucket)
    yield from owners(table)
