"""Fixtures of the examples' tests: containers of the Lambda example on the test's table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.examples.containers import ChatService, Container, MakeContainer, make_service

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("app.py", "lib/tool.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("print()\n")
    return tmp_path


@pytest.fixture
def make_container(client: DynamoDBClient, table_name: str, folder: Path) -> Iterator[MakeContainer]:
    """Containers on the test's table, each with clients, graph and memory of its own."""
    made: list[ChatService] = []

    def make(model: Any = None, client: Any = client, **options: Any) -> Container:
        made.append(make_service(client, table_name, model, folder, **options))
        return Container(made[-1])

    yield make
    for service in made:
        service.close()


@pytest.fixture
def chat(make_container: MakeContainer) -> Container:
    return make_container()
