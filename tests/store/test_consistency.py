"""Reads of the table are strongly consistent, unless the saver is told otherwise; those of the index never can be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.conftest import MakeSaver
from tests.factories import USER, config, put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.engine_matters

READS = ("GetItem", "Query")
EVENT = "before-parameter-build.dynamodb"


@contextmanager
def reads_of(client: DynamoDBClient) -> Iterator[list[dict[str, Any]]]:
    """The arguments of the client's reads."""
    found: list[dict[str, Any]] = []

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name in READS:
            found.append(dict(params))

    client.meta.events.register(EVENT, note)
    try:
        yield found
    finally:
        client.meta.events.unregister(EVENT, note)


def read_all(saver: DynamoDBConversationSaver) -> None:
    """Every way to read a conversation."""
    saver.get_tuple(config())
    list(saver.list(config()))
    saver.get_delta_channel_history(config=config(), channels=["items"])
    saver.conversations.get("thread", USER)
    saver.conversations.list(USER)
    saver.conversations.verify("thread", USER)
    saver.resume(USER)


@pytest.mark.parametrize("consistent", [True, False])
def test_reads_of_the_table_are_consistent_unless_the_saver_is_told_otherwise(
    make_saver: MakeSaver, client: DynamoDBClient, consistent: bool
) -> None:
    put(make_saver(), 1, {"items": ["one"]})
    with reads_of(client) as reads:
        read_all(make_saver(consistent=consistent))
    of_the_index = [read for read in reads if "IndexName" in read]
    of_the_table = [read for read in reads if "IndexName" not in read]

    assert len(of_the_table) >= 5
    assert {read.get("ConsistentRead") for read in of_the_table} == {consistent}
    assert len(of_the_index) == 2
    assert {read.get("ConsistentRead", False) for read in of_the_index} == {False}
