"""The team's table on DynamoDB Local or moto, its old program, agents beside it, and shells for its commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.adoption.guide import POLICY, POLICY_FILE, TABLE, TABLE_FILE, TABLE_JSON, OldProgram
from tests.adoption.shells import Shell, moto_server
from tests.engines import REGION, Engine

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Where moto answers, in a process of its own."""
    with moto_server() as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the guide's files."""
    (tmp_path / TABLE_FILE).write_text(TABLE_JSON)
    (tmp_path / POLICY_FILE).write_text(json.dumps(POLICY))
    return tmp_path


@pytest.fixture
def local(engine: Engine, moto_url: str, folder: Path) -> Shell:
    """A shell whose DynamoDB is DynamoDB Local."""
    assert engine.endpoint_url is not None
    return Shell(engine.endpoint_url, moto_url, folder)


@pytest.fixture
def cloud(moto_url: str, folder: Path) -> Shell:
    """A shell whose services are all moto's: for what DynamoDB Local does not have."""
    return Shell(moto_url, moto_url, folder)


@pytest.fixture
def cloud_dynamodb(moto_url: str) -> Iterator[DynamoDBClient]:
    """moto's DynamoDB with the team's table."""
    client = boto3.client("dynamodb", region_name=REGION, endpoint_url=moto_url)
    yield from with_table(client)
    client.close()


@pytest.fixture
def table_name(client: DynamoDBClient) -> Iterator[str]:
    """The team's table on the engine, under the name that it has, as the guide's file makes it."""
    for _ in with_table(client):
        yield TABLE


@pytest.fixture
def table(table_name: str, engine: Engine, client: DynamoDBClient) -> Iterator[Any]:
    """boto3's resource of the team's table."""
    resource = boto3.resource("dynamodb", region_name=REGION, endpoint_url=engine.endpoint_url)
    yield resource.Table(table_name)
    resource.meta.client.close()


@pytest.fixture
def old(table: Any) -> OldProgram:
    """What the team had, for the user "alice"."""
    return OldProgram(table)


def with_table(client: DynamoDBClient) -> Iterator[DynamoDBClient]:
    """Give the client while the team's table is there."""
    client.create_table(**json.loads(TABLE_JSON))
    yield client
    client.delete_table(TableName=TABLE)
