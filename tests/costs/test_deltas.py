"""What chats on a `DeltaChannel` cost: reads that do not grow, and writes of short chats, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import MakeSaver
from tests.costs.flat_shapes import Topics
from tests.integration.agents import DeltaState
from tests.reference_chat import chat_graph, user_message
from tests.requests_log import WRITES, RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.engine("dynamodb-local")


def reads(log: RequestLog) -> float:
    """Read units as DynamoDB bills them: also a read that finds nothing is one."""
    return sum(max(request.units, 1) for request in log.requests if request.operation not in WRITES)


def written(log: RequestLog) -> tuple[float, float]:
    """Write units of the row, and of all else."""
    of_row = sum(one.units for one in log.requests if one.operation in WRITES and "#" not in (one.table_key or "##")[1])
    return of_row, log.wru - of_row


def test_a_turn_on_a_delta_channel_reads_the_same_at_any_length(make_saver: MakeSaver, client: DynamoDBClient):
    saver, prose = make_saver(), Topics()
    config = saver.new_conversation("alice")
    graph = chat_graph(prose, DeltaState).compile(checkpointer=saver)
    turns: list[tuple[float, int]] = []
    for _ in range(24):
        with RequestLog(client) as log:
            graph.invoke(user_message(prose), config, durability="sync")
        turns.append((reads(log), len([one for one in log.requests if one.operation not in WRITES])))

    print("\nreads of each turn, units and requests:", turns)
    assert max(units for units, _ in turns[2:]) <= 10
    assert {requests for _, requests in turns[2:]} == {9}


def test_a_chat_of_two_turns_on_a_delta_channel_writes_nine_units_a_turn_beside_its_row(
    make_saver: MakeSaver, client: DynamoDBClient
):
    saver, prose = make_saver(), Topics()
    config = saver.new_conversation("alice")
    graph = chat_graph(prose, DeltaState).compile(checkpointer=saver)
    turns = []
    for _ in range(2):
        with RequestLog(client) as log:
            graph.invoke(user_message(prose), config, durability="async")
        turns.append(written(log))

    print("\nwrites of each turn, the row and all else:", turns)
    assert [rest for _, rest in turns] == [9, 9]
    assert [row for row, _ in turns] == [6, 14]
