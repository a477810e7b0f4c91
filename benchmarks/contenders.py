"""The savers that are compared, each with the options that its documents begin with.

Each imports its package when it is opened, so that a cold process pays for its own only.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3
from botocore.config import Config
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REGION = "us-east-1"
USER = "alice"
THREAD_ID = str(uuid.UUID(int=0x5EED, version=4))
PK_SK = "PK and SK"
CONVERSATIONS = "conversations"
CREDENTIALS: Any = {"aws_access_key_id": "dummy", "aws_secret_access_key": "dummy"}


@dataclass(frozen=True)
class Place:
    """Where a saver stores.

    Args:
        endpoint_url: The engine.
        table_name: A table of the contender's layout.
        network_seconds: What each request waits for in the client's thread before it is sent.
        clock: The time, for savers that take a clock.
    """

    endpoint_url: str
    table_name: str
    network_seconds: float = 0.0
    clock: Callable[[], float] = time.time

    def watched(self, client: DynamoDBClient) -> DynamoDBClient:
        """The client, with the network's time."""
        if self.network_seconds:
            client.meta.events.register("before-send.dynamodb", partial(_wait, self.network_seconds))
        return client


@dataclass(frozen=True)
class Opened:
    """A saver and its client, None where it has none."""

    saver: BaseCheckpointSaver[Any]
    client: DynamoDBClient | None


@dataclass(frozen=True)
class Contender:
    """A saver that is compared.

    Args:
        key: Its name in the JSON.
        label: Its name in tables and plots.
        package: The distribution that it comes from.
        module: What must be importable for it.
        layout: The table that it needs; None if none.
        open: Makes a new saver, as a new process would.
    """

    key: str
    label: str
    package: str
    module: str
    layout: str | None
    open: Callable[[Place], Opened]

    @property
    def importable(self) -> bool:
        return find_spec(self.module) is not None


def boto_config() -> Config:
    return Config(connect_timeout=5, read_timeout=60, max_pool_connections=32)


def _wait(seconds: float, **_: Any) -> None:
    time.sleep(seconds)


def _ours(place: Place, *, transcript: bool) -> Opened:
    from langgraph_dynamo_conv import DynamoDBConversationSaver

    client = boto3.client(
        "dynamodb", region_name=REGION, endpoint_url=place.endpoint_url, config=boto_config(), **CREDENTIALS
    )
    saver = DynamoDBConversationSaver(
        place.table_name, client=place.watched(client), transcript=transcript, clock=place.clock
    )
    return Opened(saver, client)


def _aws(place: Place, *, compressed: bool) -> Opened:
    from langgraph_checkpoint_aws.checkpoint.dynamodb import DynamoDBSaver

    saver = DynamoDBSaver(
        table_name=place.table_name,
        session=boto3.Session(region_name=REGION, **CREDENTIALS),
        region_name=REGION,
        endpoint_url=place.endpoint_url,
        boto_config=boto_config(),
        enable_checkpoint_compression=compressed,
    )
    return Opened(saver, place.watched(saver.client))


def _dynamodb_checkpoint(place: Place) -> Opened:
    from langgraph_dynamodb_checkpoint import DynamoDBSaver, logger

    logger.setLevel(logging.WARNING)  # it writes to the standard output
    # It has no arguments for these.
    environment = {
        "AWS_ENDPOINT_URL_DYNAMODB": place.endpoint_url,
        "AWS_DEFAULT_REGION": REGION,
        **{name.upper(): value for name, value in CREDENTIALS.items()},
    }
    with patch.dict(os.environ, environment):
        saver = DynamoDBSaver(place.table_name)
    return Opened(saver, place.watched(saver.table.meta.client))


def _memory(_place: Place) -> Opened:
    return Opened(InMemorySaver(), None)


_AWS = ("langgraph-checkpoint-aws", "langgraph_checkpoint_aws", PK_SK)
_PACKAGE = ("langgraph-dynamo-conv", "langgraph_dynamo_conv", CONVERSATIONS)

CONTENDERS = (
    Contender("ours-off", "this saver, transcript off", *_PACKAGE, partial(_ours, transcript=False)),
    Contender("ours-on", "this saver, transcript on", *_PACKAGE, partial(_ours, transcript=True)),
    Contender("aws", "langgraph-checkpoint-aws", *_AWS, partial(_aws, compressed=False)),
    Contender("aws-gzip", "langgraph-checkpoint-aws, compressed", *_AWS, partial(_aws, compressed=True)),
    Contender(
        "dynamodb-checkpoint",
        "langgraph-dynamodb-checkpoint",
        "langgraph-dynamodb-checkpoint",
        "langgraph_dynamodb_checkpoint",
        PK_SK,
        _dynamodb_checkpoint,
    ),
    Contender(
        "memory", "InMemorySaver (the floor)", "langgraph-checkpoint", "langgraph.checkpoint.memory", None, _memory
    ),
)
BY_KEY = {contender.key: contender for contender in CONTENDERS}
OURS = ("ours-off", "ours-on")
PEERS = ("aws", "aws-gzip", "dynamodb-checkpoint")
FLOOR = "memory"


def config_for(contender: Contender) -> RunnableConfig:
    """The config of the conversation; this saver's has its user."""
    user = {"user_id": USER} if contender.key in OURS else {}
    return {"configurable": {"thread_id": THREAD_ID, **user}}
