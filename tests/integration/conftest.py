"""Graphs played twice, side by side, and the table as others see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.conftest import MakeSaver
from tests.integration.clocks import OFFSETS, Host, Workers, Worlds, by_hosts_clocks
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
def offsets(request: pytest.FixtureRequest, mode: str) -> Sequence[float]:
    """By how much the clocks of two workers differ who do all that the twins do; see tests/integration/clocks.py."""
    if request.node.get_closest_marker("one_clock") is not None:
        return ()
    is_long = request.config.getoption("--all") or request.config.getoption("--others")
    return OFFSETS if is_long else {"sync": OFFSETS[:1], "async": OFFSETS[3:]}.get(mode, ())


@pytest.fixture
def twins(
    make_saver: MakeSaver, mode: str, offsets: Sequence[float], monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeTwins]:
    """A factory: the graph that a function builds, on this package's saver and on LangGraph's own in memory."""
    by_hosts_clocks(monkeypatch)
    worlds: list[Worlds] = []

    def make(build: Build, **options: Any) -> Twins:
        config = make_saver().new_conversation()
        shared: list[BaseCheckpointSaver[Any]] = [make_saver(**options), InMemorySaver()]
        ours = Player(build, lambda: make_saver(**options) if mode == "cold" else shared[0], mode, config)
        others = [worlds_of(build, offset, options) for offset in offsets]
        worlds.extend(others)
        return Twins(ours, Player(build, lambda: shared[1], mode, config), others)

    def worlds_of(build: Build, offset: float, options: Any) -> Worlds:
        config, theirs = make_saver().new_conversation("workers"), InMemorySaver()

        def savers_of(host: Host) -> Callable[[], BaseCheckpointSaver[Any]]:
            shared = make_saver(clock=host.clock, **options)
            return lambda: make_saver(clock=host.clock, **options) if mode == "cold" else shared

        players = [Workers(build, savers, mode, config, offset) for savers in (savers_of, lambda _: lambda: theirs)]
        return Worlds(players[0], players[1], offset)

    yield make
    for one in worlds:
        one.compare()
