"""Graphs played twice, side by side, and the table as others see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.conftest import MakeSaver
from tests.integration.play import MODES, Build, Player, Twins
from tests.integration.transcripts import TableReader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MakeTwins = Callable[..., Twins]


@pytest.fixture
def table(client: DynamoDBClient, table_name: str) -> TableReader:
    """The table as another program sees it."""
    return TableReader(client, table_name)


@pytest.fixture
def config(saver: DynamoDBConversationSaver) -> RunnableConfig:
    """A new conversation."""
    return saver.new_conversation()


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """How a graph is called."""
    return str(request.param)


@pytest.fixture
def twins(make_saver: MakeSaver, mode: str) -> MakeTwins:
    """A factory: the graph that a function builds, on this package's saver and on LangGraph's own in memory."""

    def make(build: Build, **options: Any) -> Twins:
        config = make_saver().new_conversation()
        shared: list[BaseCheckpointSaver[Any]] = [make_saver(**options), InMemorySaver()]
        ours = Player(build, lambda: make_saver(**options) if mode == "cold" else shared[0], mode, config)
        return Twins(ours, Player(build, lambda: shared[1], mode, config))

    return make
