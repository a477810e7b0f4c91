"""A boto3 client whose requests are answered in this process.

The answer is put where the network is: botocore checks the parameters, builds the request, retries and parses the
answer as with a server, and all of its events are emitted. Only the signature is left out, which nobody would read.
"""

from __future__ import annotations

import json
import uuid
import zlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.handlers import BUILTIN_HANDLERS

from tests.memory_engine.refusals import Refused
from tests.memory_engine.service import Service

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_TYPE = "com.amazonaws.dynamodb.v20120810#"
_OK, _REFUSED = 200, 400
EVENT = "before-send.dynamodb"


def memory_client(service: Service, region: str = "us-east-1", **config: Any) -> DynamoDBClient:
    """A new client of this service, whichever one is `running`; keyword arguments are those of botocore's `Config`."""
    options = {"signature_version": UNSIGNED, "max_pool_connections": 32, **config}
    client = boto3.client(
        "dynamodb",
        region_name=region,
        aws_access_key_id="dummy",
        aws_secret_access_key="dummy",
        config=Config(**options),
    )
    events: Any = client.meta.events
    events.unregister(EVENT, answered_in_process)
    events.register(EVENT, lambda request, **_: http_answer(service, request))
    return client


_running: list[Service] = []


@contextmanager
def running(service: Service) -> Iterator[None]:
    """Let the service answer every client of DynamoDB in this process, also those of a command line or an example."""
    _running.append(service)
    try:
        yield
    finally:
        _running.pop()


def answered_in_process(request: Any, **_: Any) -> AWSResponse | None:
    """What the running service answers; None where there is none, or the request is for a host that is not AWS's."""
    at_aws = str(urlsplit(request.url).hostname).endswith(".amazonaws.com")
    return http_answer(_running[-1], request) if _running and at_aws else None


BUILTIN_HANDLERS.append((EVENT, answered_in_process))


def http_answer(service: Service, request: Any) -> AWSResponse:
    """What a server would answer to a request of botocore's. Raises `NotImplementedError`."""
    target = request.headers["X-Amz-Target"]
    operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
    try:
        return _response(request.url, _OK, service.answer(operation, json.loads(request.body)))
    except Refused as error:
        return _response(request.url, _REFUSED, {"__type": _TYPE + error.code, **error.body})


def _response(url: str, status: int, answer: dict[str, Any]) -> AWSResponse:
    body = _JSON.encode(answer).encode()
    headers: Any = {
        "content-type": "application/x-amz-json-1.0",
        "content-length": str(len(body)),
        "date": formatdate(usegmt=True),
        "x-amzn-requestid": str(uuid.uuid4()),
        "x-amz-crc32": str(zlib.crc32(body)),
    }
    return AWSResponse(url, status, headers, _Body(body))


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


_JSON = json.JSONEncoder(default=_base64)


class _Body:
    """What botocore reads an answer from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._content
