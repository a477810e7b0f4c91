"""A client of which chosen requests fail, on any engine, without the saver knowing.

The fault sits where the network is: after botocore has signed a request and before it parses the answer, so that
botocore's own retries, parsing and checks all run.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from tests.engines import Engine

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Deliver = Callable[[], AWSResponse]
Fault = Callable[[Any, Deliver], AWSResponse]
"""Given a request and how to deliver it, the answer that the client sees, or an exception."""


def unsent(request: Any, deliver: Deliver) -> AWSResponse:
    """The request never reaches the server."""
    raise EndpointConnectionError(endpoint_url=request.url)


def answer_lost(request: Any, deliver: Deliver) -> AWSResponse:
    """The server does it, and no answer comes in time."""
    deliver()
    raise ReadTimeoutError(endpoint_url=request.url)


def reset(request: Any, deliver: Deliver) -> AWSResponse:
    """The server does it, and the connection is closed while it answers."""
    deliver()
    raise ConnectionClosedError(endpoint_url=request.url, request=request, endpoint=None)


def throttled(request: Any, deliver: Deliver) -> AWSResponse:
    """The server refuses for want of capacity."""
    said = "The level of configured provisioned throughput for the table was exceeded"
    return refusal(request, "ProvisionedThroughputExceededException", said)


def error_500(request: Any, deliver: Deliver) -> AWSResponse:
    """The server does it, and then says that it failed."""
    deliver()
    return refusal(request, "InternalServerError", "Internal server error", status=500)


BEFORE: tuple[Fault, ...] = (unsent, throttled)
"""Faults after which the server has not done it."""

AFTER: tuple[Fault, ...] = (answer_lost, reset, error_500)
"""Faults after which it has."""

INJECTED: Counter[str] = Counter()
"""Faults that this process has injected, by their names."""

THOROUGH = bool(os.environ.get("THOROUGH_FAULTS"))


def faults_at(number: int) -> tuple[Fault, ...]:
    """What happens to request `number`: one of each kind in turn, or all if `THOROUGH_FAULTS` is set."""
    if THOROUGH:
        return BEFORE + AFTER
    return BEFORE[number % len(BEFORE)], AFTER[number % len(AFTER)]


def refusal(
    request: Any, code: str, said: str, *, status: int = 400, more: Mapping[str, object] = MappingProxyType({})
) -> AWSResponse:
    """An answer as DynamoDB refuses with."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": said, **more}
    headers: Any = {"x-amzn-requestid": "injected"}
    return AWSResponse(request.url, status, headers, _Body(json.dumps(body).encode()))


class FailingClient:
    """An engine's client of which requests fail while `failing` is open.

    Args:
        engine: The engine.
        config: Options of botocore's `Config`. Without `retries`, a request is sent once.
    """

    def __init__(self, engine: Engine, **config: Any) -> None:
        options = {"retries": {"total_max_attempts": 1}, **config}
        self.client: DynamoDBClient = engine.client(**options)
        self.sent = 0
        self._fault: Fault | None = None
        self._numbers: Callable[[int], bool] = lambda _: False
        self._lock = threading.Lock()
        self._deliver = engine.taken_over(self.client)
        events: Any = self.client.meta.events
        events.register("before-send.dynamodb", self._send)

    @contextmanager
    def failing(self, fault: Fault, first: int, *, times: int | None = 1) -> Iterator[None]:
        """Let `times` requests fail, from the one with number `first` (from 1) on; None: all from there on."""
        self.sent = 0
        self._fault = fault
        self._numbers = lambda number: number >= first and (times is None or number < first + times)
        try:
            yield
        finally:
            self._fault = None

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count the requests sent, in `sent`."""
        self.sent = 0
        yield

    def close(self) -> None:
        self.client.close()

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        with self._lock:
            self.sent += 1
            fault = self._fault if self._numbers(self.sent) else None
        if fault is None:
            return self._deliver(request)
        INJECTED[fault.__name__] += 1
        return fault(request, lambda: self._deliver(request))


class _Body:
    """What botocore reads an answer from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._content
