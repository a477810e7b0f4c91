"""What a boto3 DynamoDB client sent: operations, keys, bytes and capacity, read from its events.

Capacity is what AWS bills. The engine reports it, but for what DynamoDB Local reports as free: a Query that finds
nothing, and a write that a condition refused (`billing`). A `TransactWriteItems` costs twice as much on DynamoDB Local
as in AWS; moto's figures mean nothing.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.billing import READS, REFUSED, least_read_units, refused_write_units

if TYPE_CHECKING:
    from types import TracebackType

    from botocore.model import OperationModel
    from mypy_boto3_dynamodb import DynamoDBClient
    from typing_extensions import Self

WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})
_CONTEXT = "requests_log"
_PARAMS = "requests_log_params"


@dataclass(frozen=True)
class Request:
    """One request and its answer.

    Args:
        operation: DynamoDB's name of it, for instance "PutItem".
        table_key: `conversation_id` and `user_id` of the item, where the request names one item.
        table_units: Capacity that AWS bills for the table: write units or read units, as the operation is.
        index_units: The same for its indexes.
        request_bytes: Size of the request's body.
        response_bytes: Size of the answer's body; 0 if none came.
        error: DynamoDB's code, or the exception's name where no answer came; None if it succeeded.
        started: When it was sent, in seconds of `time.perf_counter`.
        ended: When its answer was there.
    """

    operation: str
    table_key: tuple[str, str] | None
    table_units: float
    index_units: float
    request_bytes: int
    response_bytes: int
    error: str | None
    started: float
    ended: float

    @property
    def units(self) -> float:
        return self.table_units + self.index_units


class RequestLog:
    """A context manager that records all requests of a client, from any thread.

    with RequestLog(client) as log:
        saver.put(...)
    assert log.wru <= 2
    """

    def __init__(self, client: DynamoDBClient) -> None:
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._events = client.meta.events
        self._handlers: dict[str, Any] = {
            "before-parameter-build.dynamodb": self._ask_for_capacity,
            "before-call.dynamodb": self._sent,
            "after-call.dynamodb": self._answered,
            "after-call-error.dynamodb": self._unanswered,
        }

    def __enter__(self) -> Self:
        for event, handler in self._handlers.items():
            self._events.register(event, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for event, handler in self._handlers.items():
            self._events.unregister(event, handler)

    def __len__(self) -> int:
        return len(self.requests)

    def __str__(self) -> str:
        return f"{len(self)} requests, {self.wru:g} WRU, {self.rru:g} RRU, {self.request_bytes} bytes sent"

    @property
    def operations(self) -> list[str]:
        return [request.operation for request in self.requests]

    @property
    def wru(self) -> float:
        """Write units of table and indexes."""
        return sum(request.units for request in self.requests if request.operation in WRITES)

    @property
    def rru(self) -> float:
        """Read units of table and indexes."""
        return sum(request.units for request in self.requests if request.operation not in WRITES)

    @property
    def request_bytes(self) -> int:
        return sum(request.request_bytes for request in self.requests)

    @property
    def response_bytes(self) -> int:
        return sum(request.response_bytes for request in self.requests)

    def clear(self) -> None:
        with self._lock:
            self.requests.clear()

    def _ask_for_capacity(
        self, params: dict[str, Any], model: OperationModel, context: dict[str, Any], **_: Any
    ) -> None:
        context[_CONTEXT] = {"table_key": _table_key(params), "request_bytes": 0, "started": time.perf_counter()}
        context[_PARAMS] = params
        if model.input_shape is not None and "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "INDEXES"
        if "ConditionExpression" in params:
            params["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"

    def _sent(self, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context[_CONTEXT] |= {"request_bytes": len(params["body"]), "started": time.perf_counter()}

    def _answered(
        self,
        http_response: Any,
        parsed: dict[str, Any],
        model: OperationModel,
        context: dict[str, Any],
        **_: Any,
    ) -> None:
        table_units, index_units = _billed(model.name, context[_PARAMS], parsed)
        self._record(
            operation=model.name,
            table_units=table_units,
            index_units=index_units,
            response_bytes=len(http_response.content),
            error=_code(parsed),
            **context[_CONTEXT],
        )

    def _unanswered(self, exception: Exception, context: dict[str, Any], event_name: str, **_: Any) -> None:
        self._record(
            operation=event_name.rpartition(".")[2],
            table_units=0.0,
            index_units=0.0,
            response_bytes=0,
            error=type(exception).__name__,
            **context[_CONTEXT],
        )

    def _record(self, **fields: Any) -> None:
        request = Request(**fields, ended=time.perf_counter())
        with self._lock:
            self.requests.append(request)


def _table_key(params: dict[str, Any]) -> tuple[str, str] | None:
    key = params.get("Key") or params.get("Item") or {}
    if "conversation_id" not in key or "user_id" not in key:
        return None
    return key["conversation_id"]["S"], key["user_id"]["S"]


def _code(parsed: dict[str, Any]) -> str | None:
    """DynamoDB's code of an answer that is an error, or None."""
    code: str | None = parsed.get("Error", {}).get("Code")
    return code


def _billed(operation: str, params: dict[str, Any], parsed: dict[str, Any]) -> tuple[float, float]:
    """Units of the table and of its indexes that AWS bills for an answered request."""
    code = _code(parsed)
    if code == REFUSED:
        return refused_write_units(operation, params, parsed.get("Item")), 0.0
    table_units, index_units = _units(parsed.get("ConsumedCapacity", []))
    if code is None and operation in READS and not table_units + index_units:
        least = least_read_units(params)
        return (0.0, least) if "IndexName" in params else (least, 0.0)
    return table_units, index_units


def _units(consumed: dict[str, Any] | list[dict[str, Any]]) -> tuple[float, float]:
    """Units of the tables and of their indexes; batches and transactions report one entry for each table."""
    entries = consumed if isinstance(consumed, list) else [consumed]
    total = sum(entry["CapacityUnits"] for entry in entries)
    indexes = [unit for entry in entries for unit in entry.get("GlobalSecondaryIndexes", {}).values()]
    of_indexes = sum(unit["CapacityUnits"] for unit in indexes)
    return total - of_indexes, of_indexes
