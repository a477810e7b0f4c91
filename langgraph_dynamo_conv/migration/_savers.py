"""What other savers do not tell by LangGraph's interface: all of their threads, the paths and the order of task writes.

The rule: whatever the public methods of a saver tell is taken from them. For the rest, the tables of four savers are
known here and read directly, never written. Any other saver must list all threads by `list(None)`, and its task writes
get made-up paths that keep their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, nullcontext
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple, writes_sort_key

from langgraph_dynamo_conv.migration._foreign import PendingWrite, writes_without_paths

Saver = BaseCheckpointSaver[Any]

_ids = itemgetter("thread_id", "checkpoint_ns", "checkpoint_id")


class KnownSaver(NamedTuple):
    """How a kind of saver is read.

    Args:
        thread_ids: Gives every thread of a saver, perhaps several times.
        writes: Gives the pending writes of a checkpoint that the saver gave.
        configurables: Gives, for a saver and a thread, the `configurable` of each call of `list` that it takes to get
            the checkpoints of all namespaces.
    """

    thread_ids: Callable[[Saver], Iterable[str]]
    writes: Callable[[Saver, CheckpointTuple], list[PendingWrite]]
    configurables: Callable[[Saver, str], list[dict[str, str]]] = lambda _, thread_id: [{"thread_id": thread_id}]


def known_saver(saver: Saver) -> KnownSaver:
    """How to read a saver, by its class or one that this extends."""
    modules = [base.__module__ for base in type(saver).__mro__]
    kinds = (kind for module in modules for prefix, kind in _KNOWN.items() if module.startswith(prefix))
    return next(kinds, _UNKNOWN)


def _paired(original: CheckpointTuple, rows: Iterable[tuple[str, str, int, str]]) -> list[PendingWrite]:
    """Rows (task id, path, index, channel) of a saver's table with the values that the saver gave in the same order.

    A row without a value is one that the saver leaves out as well: its value is lost.
    """
    values = list(original.pending_writes or [])
    writes = []
    for task_id, path, idx, channel in rows:
        if values and values[0][:2] == (task_id, channel):
            writes.append(PendingWrite(task_id, path, idx, channel, values.pop(0)[2]))
    if values:
        raise LookupError(f"a pending write of task {values[0][0]} is not in the saver's table")
    return writes


def _items(client: Any, operation: str, table: str, values: dict[str, Any], **expressions: Any) -> Iterator[Any]:
    """The items of all pages of a scan or a query."""
    request = {"TableName": table, "ExpressionAttributeValues": values, **expressions}
    for page in client.get_paginator(operation).paginate(**request):
        yield from page["Items"]


# --- SQLite and Postgres ----------------------------------------------------------------------------------


def _sql_threads(saver: Saver) -> list[str]:
    return [row[0] for row in _sql_rows(saver, "SELECT DISTINCT thread_id FROM checkpoints ORDER BY thread_id", ())]


def _sql_writes(table: str, mark: str, saver: Saver, original: CheckpointTuple) -> list[PendingWrite]:
    if not original.pending_writes:
        return []
    path = "task_path" if getattr(saver, "_has_task_path", True) else "''"  # an old table of SQLite may have none
    query = (
        f"SELECT task_id, {path}, idx, channel FROM {table} "
        f"WHERE thread_id = {mark} AND checkpoint_ns = {mark} AND checkpoint_id = {mark}"
    )
    rows = _sql_rows(saver, query, _ids(original.config["configurable"]))
    return _paired(original, sorted(rows, key=lambda row: writes_sort_key(row[1], row[0], row[2])))


def _sql_rows(saver: Any, query: str, values: tuple[str, ...]) -> list[Any]:
    """Rows of a query, on the saver's connection or on one of its pool."""
    shared = saver.conn.connection() if hasattr(saver.conn, "getconn") else nullcontext(saver.conn)
    with saver.lock, shared as connection, closing(connection.cursor()) as cursor:
        cursor.execute(query, values)
        return [tuple(row.values()) if isinstance(row, dict) else tuple(row) for row in cursor]


# --- langgraph-checkpoint-aws: DynamoDBSaver --------------------------------------------------------------


def _aws_threads(saver: Any) -> Iterator[str]:
    prefix = "CHECKPOINT_"
    keys = {"FilterExpression": "begins_with(PK, :prefix)", "ProjectionExpression": "PK"}
    items = _items(saver.client, "scan", saver.table_name, {":prefix": {"S": prefix}}, **keys)
    return (item["PK"]["S"].removeprefix(prefix) for item in items)


def _aws_writes(saver: Any, original: CheckpointTuple) -> list[PendingWrite]:
    """The pending writes with their indexes: the saver gives a task's write 10 before its write 2."""
    if not original.pending_writes:
        return []
    key = {":pk": {"S": "WRITES_" + "#".join(_ids(original.config["configurable"]))}}
    fields = {"KeyConditionExpression": "PK = :pk", "ProjectionExpression": "task_id, task_path, idx, channel"}
    rows = (
        (item["task_id"]["S"], item.get("task_path", {}).get("S", ""), int(item["idx"]["N"]), item["channel"]["S"])
        for item in _items(saver.client, "query", saver.table_name, key, **fields)
    )
    return _paired(original, rows)


# --- langgraph-dynamodb-checkpoint ------------------------------------------------------------------------

_BY_PREFIX = {"FilterExpression": "begins_with(checkpoint_key, :prefix)"}


def _dynamodb_threads(saver: Any) -> Iterator[str]:
    client, prefix = saver.table.meta.client, {":prefix": "checkpoint$"}
    items = _items(client, "scan", saver.table.name, prefix, ProjectionExpression="PK", **_BY_PREFIX)
    return (str(item["PK"]) for item in items)


def _dynamodb_configurables(saver: Any, thread_id: str) -> list[dict[str, str]]:
    prefix = f"checkpoint${thread_id}$"
    values = {":pk": thread_id, ":prefix": prefix}
    keys = {"KeyConditionExpression": "PK = :pk", "ProjectionExpression": "checkpoint_key", **_BY_PREFIX}
    items = _items(saver.table.meta.client, "query", saver.table.name, values, **keys)
    namespaces = {str(item["checkpoint_key"]).removeprefix(prefix).rpartition("$")[0] for item in items}
    return [{"thread_id": thread_id, "checkpoint_ns": ns} for ns in sorted(namespaces)]


def _dynamodb_writes(saver: Any, original: CheckpointTuple) -> list[PendingWrite]:
    """The pending writes in the table: the saver leaves out None, and what is past the first MB of a thread."""
    thread_id, ns, checkpoint_id = _ids(original.config["configurable"])
    prefix = f"writes${thread_id}${ns}${checkpoint_id}$"
    values = {":pk": thread_id, ":checkpoint": f"{checkpoint_id}$", ":prefix": prefix}
    keys = {"KeyConditionExpression": "PK = :pk AND begins_with(SK, :checkpoint)", **_BY_PREFIX}
    writes = []
    for item in _items(saver.table.meta.client, "query", saver.table.name, values, ConsistentRead=True, **keys):
        task_id, _, idx = str(item["checkpoint_key"]).removeprefix(prefix).rpartition("$")
        value = saver.dynamodb_serde.loads_typed((item["type"], item["value"]))
        writes.append(PendingWrite(task_id, item.get("task_path", ""), int(idx), item["channel"], value))
    return writes


_KNOWN: dict[str, KnownSaver] = {
    "langgraph.checkpoint.sqlite": KnownSaver(_sql_threads, partial(_sql_writes, "writes", "?")),
    "langgraph.checkpoint.postgres": KnownSaver(_sql_threads, partial(_sql_writes, "checkpoint_writes", "%s")),
    "langgraph_checkpoint_aws.checkpoint.dynamodb": KnownSaver(_aws_threads, _aws_writes),
    "langgraph_dynamodb_checkpoint": KnownSaver(_dynamodb_threads, _dynamodb_writes, _dynamodb_configurables),
}
"""How to read the savers that are defined in a module of this name or below it."""

_UNKNOWN = KnownSaver(
    lambda saver: (checkpoint.config["configurable"]["thread_id"] for checkpoint in saver.list(None)),
    lambda _, original: writes_without_paths(original.pending_writes),
)
