"""What other savers keep to themselves: all of their threads, the paths and the order of task writes.

Checkpoints come through the public methods of every saver. Beyond them, four savers are known here: their tables are
read, never written. Of any other saver, `list(None)` must give all threads, and made-up task paths keep its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple, writes_sort_key

from langgraph_dynamo_conv.migration._foreign import PendingWrite, writes_without_paths

Saver = BaseCheckpointSaver[Any]

AWS = "langgraph-checkpoint-aws"
DYNAMODB = "langgraph-dynamodb-checkpoint"
SQLITE, POSTGRES = "sqlite", "postgresql"


class KnownSaver(NamedTuple):
    """How to read a kind of saver.

    Args:
        thread_ids: Every thread of the saver, once.
        namespaces: Those of a thread, or None where `list` gives all of them unasked.
        writes: The pending writes of a checkpoint that was read.
    """

    thread_ids: Callable[[Saver], Iterable[str]]
    namespaces: Callable[[Saver, str], list[str]] | None
    writes: Callable[[Saver, CheckpointTuple], list[PendingWrite]]


def known_saver(saver: Saver) -> KnownSaver:
    """How to read a saver."""
    for base in type(saver).__mro__:
        for prefix, peer in _KNOWN.items():
            if base.__module__.startswith(prefix):
                return peer
    return KnownSaver(_listed_threads, None, lambda _, found: writes_without_paths(found.pending_writes))


def _listed_threads(saver: Saver) -> Iterator[str]:
    return _once(found.config["configurable"]["thread_id"] for found in saver.list(None))


def _once(names: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if name not in seen:
            seen.add(name)
            yield name


# --- SQLite and Postgres ----------------------------------------------------------------------------------


def _sql_threads(saver: Saver) -> list[str]:
    return [row[0] for row in _rows(saver, "SELECT DISTINCT thread_id FROM checkpoints ORDER BY thread_id", ())]


def _sqlite_writes(saver: Saver, found: CheckpointTuple) -> list[PendingWrite]:
    path = "task_path" if getattr(saver, "_has_task_path", True) else "''"
    return _sql_writes(
        saver,
        found,
        f"SELECT task_id, {path}, idx, channel FROM writes "
        "WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?",
    )


def _postgres_writes(saver: Saver, found: CheckpointTuple) -> list[PendingWrite]:
    return _sql_writes(
        saver,
        found,
        "SELECT task_id, task_path, idx, channel FROM checkpoint_writes "
        "WHERE thread_id = %s AND checkpoint_ns = %s AND checkpoint_id = %s",
    )


def _sql_writes(saver: Saver, found: CheckpointTuple, query: str) -> list[PendingWrite]:
    if not found.pending_writes:
        return []
    at = found.config["configurable"]
    rows = _rows(saver, query, (at["thread_id"], at["checkpoint_ns"], at["checkpoint_id"]))
    rows.sort(key=lambda row: writes_sort_key(row[1], row[0], row[2]))
    return _paired(rows, found)


def _rows(saver: Any, query: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Rows of a query, on the saver's connection or on one of its pool."""
    shared = saver.conn.connection() if hasattr(saver.conn, "getconn") else nullcontext(saver.conn)
    with saver.lock, shared as connection:
        cursor = connection.cursor()
        try:
            cursor.execute(query, values)
            return [tuple(row.values()) if isinstance(row, dict) else tuple(row) for row in cursor.fetchall()]
        finally:
            cursor.close()


def _paired(rows: Iterable[tuple[str, str, int, str]], found: CheckpointTuple) -> list[PendingWrite]:
    """Rows (task id, path, index, channel) with the values that the saver gave in the same order.

    A row without a value is one that the saver does not show either: its value is lost.
    """
    values = list(found.pending_writes or [])
    paired = []
    for task_id, path, idx, channel in rows:
        if values and values[0][:2] == (task_id, channel):
            paired.append(PendingWrite(task_id, path, idx, channel, values.pop(0)[2]))
    if values:
        raise LookupError(f"a pending write of task {values[0][0]} is not in the saver's table")
    return paired


# --- langgraph-checkpoint-aws: DynamoDBSaver --------------------------------------------------------------


def _aws_threads(saver: Any) -> Iterator[str]:
    prefix = "CHECKPOINT_"
    pages = _pages(
        saver.client.scan,
        TableName=saver.table_name,
        ProjectionExpression="PK",
        FilterExpression="begins_with(PK, :prefix)",
        ExpressionAttributeValues={":prefix": {"S": prefix}},
    )
    return _once(item["PK"]["S"].removeprefix(prefix) for item in pages)


def _aws_writes(saver: Any, found: CheckpointTuple) -> list[PendingWrite]:
    """The saver gives a task's write 10 before its write 2: the table has the numbers."""
    if not found.pending_writes:
        return []
    at = found.config["configurable"]
    items = _pages(
        saver.client.query,
        TableName=saver.table_name,
        KeyConditionExpression="PK = :pk",
        ExpressionAttributeValues={
            ":pk": {"S": f"WRITES_{at['thread_id']}#{at['checkpoint_ns']}#{at['checkpoint_id']}"}
        },
        ProjectionExpression="task_id, task_path, idx, channel",
    )
    return _paired(
        (
            (item["task_id"]["S"], item.get("task_path", {}).get("S", ""), int(item["idx"]["N"]), item["channel"]["S"])
            for item in items
        ),
        found,
    )


# --- langgraph-dynamodb-checkpoint ------------------------------------------------------------------------

_SEPARATOR = "$"


def _dynamodb_threads(saver: Any) -> Iterator[str]:
    pages = _pages(
        saver.table.scan,
        ProjectionExpression="PK",
        FilterExpression="begins_with(checkpoint_key, :prefix)",
        ExpressionAttributeValues={":prefix": f"checkpoint{_SEPARATOR}"},
    )
    return _once(str(item["PK"]) for item in pages)


def _dynamodb_namespaces(saver: Any, thread_id: str) -> list[str]:
    prefix = f"checkpoint{_SEPARATOR}{thread_id}{_SEPARATOR}"
    items = _pages(
        saver.table.query,
        KeyConditionExpression="PK = :pk",
        FilterExpression="begins_with(checkpoint_key, :prefix)",
        ExpressionAttributeValues={":pk": thread_id, ":prefix": prefix},
        ProjectionExpression="checkpoint_key",
    )
    return sorted({str(item["checkpoint_key"]).removeprefix(prefix).rpartition(_SEPARATOR)[0] for item in items})


def _dynamodb_writes(saver: Any, found: CheckpointTuple) -> list[PendingWrite]:
    """The saver leaves out writes whose value is None, and those past the first MB of a thread: the table has all."""
    at = found.config["configurable"]
    place = _SEPARATOR.join(["writes", at["thread_id"], at["checkpoint_ns"], at["checkpoint_id"], ""])
    items = _pages(
        saver.table.query,
        KeyConditionExpression="PK = :pk AND begins_with(SK, :checkpoint)",
        FilterExpression="begins_with(checkpoint_key, :place)",
        ExpressionAttributeValues={
            ":pk": at["thread_id"],
            ":checkpoint": f"{at['checkpoint_id']}{_SEPARATOR}",
            ":place": place,
        },
        ConsistentRead=True,
    )
    return [_dynamodb_write(saver, item, place) for item in items]


def _dynamodb_write(saver: Any, item: dict[str, Any], place: str) -> PendingWrite:
    task_id, _, idx = str(item["checkpoint_key"]).removeprefix(place).rpartition(_SEPARATOR)
    value = saver.dynamodb_serde.loads_typed((item["type"], item["value"]))
    return PendingWrite(task_id, item.get("task_path", ""), int(idx), item["channel"], value)


def _pages(call: Callable[..., dict[str, Any]], **request: Any) -> Iterator[dict[str, Any]]:
    while True:
        answer = call(**request)
        yield from answer.get("Items", [])
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


_KNOWN: dict[str, KnownSaver] = {
    "langgraph.checkpoint.sqlite": KnownSaver(_sql_threads, None, _sqlite_writes),
    "langgraph.checkpoint.postgres": KnownSaver(_sql_threads, None, _postgres_writes),
    "langgraph_checkpoint_aws.checkpoint.dynamodb": KnownSaver(_aws_threads, None, _aws_writes),
    "langgraph_dynamodb_checkpoint": KnownSaver(_dynamodb_threads, _dynamodb_namespaces, _dynamodb_writes),
}
"""Savers by the module that defines them, or a class that they extend."""
