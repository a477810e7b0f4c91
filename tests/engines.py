"""The three engines that tests run on, each reached over plain boto3 clients with dummy credentials.

- "memory" answers in this process (tests/memory_engine): fast, and it refuses whatever it does not really do.
- "dynamodb-local" is AWS's own engine, as a server. `python3 dev.py test` names its folder in `DYNAMODB_LOCAL_HOME`
  and a Java runtime in `DYNAMODB_LOCAL_JAVA` (by default "java").
- "moto" answers in this process too, as users' own tests do.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.handlers import BUILTIN_HANDLERS
from moto import mock_aws
from moto.core.models import botocore_stubber

from dev import DYNAMODB_LOCAL_VARIABLES, dynamodb_local_command
from tests.memory_engine import client as memory
from tests.memory_engine.bare import conversations_table
from tests.memory_engine.service import Service

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ENGINES = ("memory", "dynamodb-local", "moto")
REGION = "us-east-1"
START_SECONDS = 60
DUMMY_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "dummy",
    "AWS_SECRET_ACCESS_KEY": "dummy",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
NO_DYNAMODB_LOCAL = (
    "DYNAMODB_LOCAL_HOME is not set, so the tests cannot run on DynamoDB Local. "
    "Run `python3 dev.py test`, which fetches it, or narrow the run with `--engine=memory`."
)


@dataclass(frozen=True)
class Engine:
    """A running engine.

    Args:
        name: One of `ENGINES`.
        endpoint_url: Where a client reaches it; None for an engine that answers in this process.
    """

    name: str
    endpoint_url: str | None

    def client(self, **config: Any) -> DynamoDBClient:
        """A new client of this engine; keyword arguments are those of botocore's `Config`."""
        options = {"connect_timeout": 2, "read_timeout": 20, "max_pool_connections": 32, **config}
        # botocore puts its own together anew for each request, letter by letter.
        options.setdefault("user_agent", "tests")
        return boto3.client(
            "dynamodb",
            region_name=REGION,
            endpoint_url=self.endpoint_url,
            aws_access_key_id="dummy",
            aws_secret_access_key="dummy",
            config=Config(**options),
        )

    def taken_over(self, client: Any) -> Callable[[Any], AWSResponse]:
        """Let the caller decide what a client's requests come to; gives what answers a request."""
        events: Any = client.meta.events
        if self.name == "memory":
            events.unregister(memory.EVENT, memory.answered_in_process)
            return lambda request: memory.answered_in_process(request)  # type: ignore[return-value]
        if self.name == "moto":
            events.unregister("before-send", answered_by_moto)
            return lambda request: answered_by_moto("before-send", request)
        return lambda request: client._endpoint.http_session.send(request)


@contextmanager
def running(name: str) -> Iterator[Engine]:
    """Start an engine and stop it at the end."""
    if name == "memory":
        with memory.running(Service()):
            yield Engine(name, None)
    elif name == "moto":
        with mock_aws():
            yield Engine(name, None)
    else:
        with dynamodb_local() as port:
            yield Engine(name, f"http://127.0.0.1:{port}")


@contextmanager
def dynamodb_local() -> Iterator[int]:
    """Run DynamoDB Local on a free port, in memory, and yield the port."""
    home = os.environ.get("DYNAMODB_LOCAL_HOME")
    if not home:
        raise RuntimeError(NO_DYNAMODB_LOCAL)
    port = free_port()
    command = dynamodb_local_command(os.environ.get("DYNAMODB_LOCAL_JAVA", "java"), port)
    environment = {**os.environ, **DYNAMODB_LOCAL_VARIABLES}
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until_it_answers(server, port, log)
            yield port
        finally:
            server.terminate()
            server.wait(timeout=30)


def wait_until_it_answers(server: subprocess.Popen[bytes], port: int, log: IO[bytes]) -> None:
    client = Engine("dynamodb-local", f"http://127.0.0.1:{port}").client(retries={"total_max_attempts": 1})
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.list_tables()
        except BotoCoreError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                raise RuntimeError(f"DynamoDB Local did not start: {log.read().decode()}") from error
            time.sleep(0.1)
        else:
            return


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def create_table(client: DynamoDBClient) -> str:
    """Create the conversations table under a name of its own, as its users have it, and return the name."""
    name = f"conversations-{secrets.token_hex(16)}"
    client.create_table(**conversations_table(name))
    return name


_moto_lock = threading.RLock()


def answered_by_moto(event_name: str, request: Any, **_: Any) -> Any:
    """What moto answers; one request at a time."""
    with _moto_lock:
        return botocore_stubber(event_name, request)


# moto checks a condition and writes in two steps without a lock, which DynamoDB does in one.
BUILTIN_HANDLERS[BUILTIN_HANDLERS.index(("before-send", botocore_stubber))] = ("before-send", answered_by_moto)
