"""The savers that threads come from."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph_checkpoint_aws import DynamoDBSaver as AwsSaver
from langgraph_dynamodb_checkpoint import DynamoDBSaver as OtherSaver

from tests.engines import REGION, Engine

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KNOWN_SAVERS = ("sqlite", "aws", "dynamodb")

Saver = BaseCheckpointSaver[Any]
MakeSource = Callable[[str], Saver]


@pytest.fixture
def make_source(
    engine: Engine, client: DynamoDBClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeSource]:
    """Makes a saver of one of `KNOWN_SAVERS` on new tables."""
    opened: list[sqlite3.Connection] = []
    tables: list[str] = []

    def make(name: str) -> Saver:
        if name == "sqlite":
            opened.append(sqlite3.connect(tmp_path / "threads.sqlite", check_same_thread=False))
            return SqliteSaver(opened[-1])
        tables.append(f"{name}-{uuid.uuid4()}")
        create_source_table(client, tables[-1])
        if name == "aws":
            return AwsSaver(tables[-1], region_name=REGION, endpoint_url=engine.endpoint_url)
        if engine.endpoint_url:
            monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", engine.endpoint_url)
        return OtherSaver(tables[-1])

    yield make
    for connection in opened:
        connection.close()
    for table in tables:
        client.delete_table(TableName=table)


def create_source_table(client: DynamoDBClient, name: str) -> None:
    """The table that both DynamoDB savers ask for."""
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "PK", "AttributeType": "S"},
            {"AttributeName": "SK", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
    )
