"""Buckets of moto's S3 for the tests, and a wire that sees, and cuts, what clients of S3 and DynamoDB send."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from tests.engines import REGION, answered_by_moto

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Fault = Callable[[Any], AWSResponse]


@dataclass(frozen=True)
class TestBucket:
    """A bucket, and a client that may do everything."""

    __test__ = False

    name: str
    client: S3Client

    @property
    def keys(self) -> list[str]:
        """Keys of all objects."""
        return sorted(one["Key"] for one in self.client.list_objects_v2(Bucket=self.name).get("Contents", []))

    def data(self, key: str) -> bytes:
        """An object's bytes."""
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def move(self, target: TestBucket, prefix: str = "") -> None:
        """Copy all objects, as whoever moves a bucket does."""
        for key in self.keys:
            target.client.put_object(Bucket=target.name, Key=prefix + key, Body=self.data(key))


def s3_client(**options: Any) -> S3Client:
    """A client of moto's S3 that sends a request once."""
    config = Config(**{"retries": {"total_max_attempts": 1}, **options})
    return boto3.client("s3", region_name=REGION, config=config)


@contextmanager
def new_bucket() -> Iterator[TestBucket]:
    """An empty bucket in moto."""
    with mock_aws():
        bucket = TestBucket(f"values-{uuid.uuid4()}", s3_client())
        bucket.client.create_bucket(Bucket=bucket.name)
        yield bucket
        for key in bucket.keys:
            bucket.client.delete_object(Bucket=bucket.name, Key=key)
        bucket.client.delete_bucket(Bucket=bucket.name)
        bucket.client.close()


class Wire:
    """Records what clients send, in order, and lets chosen requests fail.

    Args:
        clients: Clients of moto, of S3 and DynamoDB.
    """

    def __init__(self, *clients: Any) -> None:
        self.sent: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._cut_at: int | None = None
        self._done = False
        self._faults: dict[str, Fault] = {}
        self._events = [client.meta.events for client in clients]

    def __enter__(self) -> Wire:
        for events in self._events:
            events.register_first("before-send", self._send)
        return self

    def __exit__(self, *_: object) -> None:
        for events in self._events:
            events.unregister("before-send", self._send)

    @property
    def operations(self) -> list[str]:
        """Names of the operations sent so far."""
        return [operation for operation, _ in self.sent]

    def cut(self, number: int, *, done: bool) -> None:
        """From request `number` (from 1) on nothing goes through, as if the process had died.

        Args:
            number: The first that fails.
            done: Whether the server still does that one.
        """
        self.sent.clear()
        self._cut_at, self._done = number, done

    def mend(self) -> None:
        """Everything goes through again."""
        self._cut_at = None
        self._faults.clear()

    def fail(self, operation: str, fault: Fault) -> None:
        """Answer every request of an operation so."""
        self._faults[operation] = fault

    def _send(self, request: Any, event_name: str, **_: Any) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        with self._lock:
            self.sent.append((operation, request.url))
            number, cut = len(self.sent), self._cut_at
        if operation in self._faults:
            return self._faults[operation](request)
        if cut is None or number < cut:
            return None
        if number == cut and self._done:
            answered_by_moto("before-send", request)
        raise EndpointConnectionError(endpoint_url=request.url)


def s3_refusal(code: str, said: str = "", status: int = 403) -> Fault:
    """A fault: S3's refusal with this code and these words."""

    def fault(request: Any) -> AWSResponse:
        body = f"<Error><Code>{code}</Code><Message>{said or code}</Message></Error>"
        return answered(request, status, body.encode())

    return fault


def answered(request: Any, status: int, content: bytes, **headers: str) -> AWSResponse:
    """An answer of S3."""
    return AWSResponse(request.url, status, headers, _Body(content))  # type: ignore[arg-type]


class _Body:
    """What botocore reads an answer from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, amount: int | None = None, **_: Any) -> bytes:
        taken, self._content = self._content[:amount], b"" if amount is None else self._content[amount:]
        return taken

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._content
