"""What a call cost: counts from the client's events, and times."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

from tests.requests_log import WRITES, Request, RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from typing_extensions import Self


@dataclass(frozen=True)
class Cost:
    """What a call cost. All but the last three fields repeat exactly.

    Args:
        requests: Requests sent.
        wru: Write units of table and indexes.
        rru: Read units.
        sent_bytes: Bytes of all requests' bodies.
        received_bytes: Bytes of all answers' bodies.
        round_trips: The most requests of which each was sent after the one before it was answered.
        wall_ms: Time to the end of the call.
        cpu_ms: CPU time of this process, all threads.
    """

    requests: int
    wru: float
    rru: float
    sent_bytes: int
    received_bytes: int
    round_trips: int
    wall_ms: float
    cpu_ms: float

    @property
    def counts(self) -> tuple[float, ...]:
        """The fields that repeat exactly."""
        return (self.requests, self.wru, self.rru, self.sent_bytes, self.received_bytes)


@dataclass
class Meter:
    """A context manager that measures what happens in it.

    with Meter(client) as meter:
        graph.invoke(...)
    print(meter.cost.wru)
    """

    client: DynamoDBClient | None
    requests: list[Request] = field(default_factory=list)
    wall_ms: float = 0.0
    cpu_ms: float = 0.0
    _log: RequestLog | None = None

    def __enter__(self) -> Self:
        if self.client is not None:
            self._log = RequestLog(self.client)
            self.requests = self._log.__enter__().requests
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wall_ms = (time.perf_counter() - self._wall) * 1000
        self.cpu_ms = (time.process_time() - self._cpu) * 1000
        if self._log is not None:
            self._log.__exit__(kind, error, trace)

    @property
    def cost(self) -> Cost:
        log = self._log
        return Cost(
            requests=len(self.requests),
            wru=log.wru if log else 0.0,
            rru=log.rru if log else 0.0,
            sent_bytes=log.request_bytes if log else 0,
            received_bytes=log.response_bytes if log else 0,
            round_trips=round_trips(self.requests),
            wall_ms=round(self.wall_ms, 2),
            cpu_ms=round(self.cpu_ms, 2),
        )

    @property
    def write_units_by_kind(self) -> Counter[str]:
        """Where this saver's write units went: by the kind of item, the index by itself."""
        units: Counter[str] = Counter()
        for request in self.requests:
            if request.operation in WRITES:
                units[kind_of(request)] += request.table_units  # type: ignore[assignment]
                units["index"] += request.index_units  # type: ignore[assignment]
        return units


KINDS = {"c": "checkpoints", "w": "task writes", "s": "segments", "m": "older messages", "p": "parts", "r": "runs"}


def kind_of(request: Request) -> str:
    """The kind of the item that a request of this saver wrote."""
    sort_key = request.table_key[1] if request.table_key else "#?"
    _, separator, rest = sort_key.partition("#")
    return KINDS.get(rest[:1], "several items at once") if separator else "conversation row"


def round_trips(requests: Iterable[Request]) -> int:
    """The longest sequence of requests of which each began when the one before it had ended."""
    count, last = 0, float("-inf")
    for request in sorted(requests, key=lambda request: request.ended):
        if request.started >= last:
            count, last = count + 1, request.ended
    return count
