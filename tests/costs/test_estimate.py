"""The figures that `estimate` is made of are those of chats that are played, and counted on DynamoDB Local."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from langgraph_checkpoint_aws import DynamoDBSaver as AwsSaver

from langgraph_dynamo_conv.cli.estimate import Shape, full_state, this_saver
from langgraph_dynamo_conv.cli.prices import Prices, prices_of
from tests.conftest import MakeSaver, Report
from tests.costs.shapes import measured, shaped_chat
from tests.engines import REGION, Engine
from tests.migration.conftest import create_source_table
from tests.reference_chat import Prose
from tests.table_size import table_size

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

on_dynamodb_local = pytest.mark.engine("dynamodb-local")
TURNS = 40
FULL_TURNS = 20


@on_dynamodb_local
@pytest.mark.parametrize(("tool_calls", "result_kb"), [(0, 1), (1, 1), (1, 4), (3, 1)])
def test_the_estimate_of_this_saver_is_what_a_played_chat_costs(
    make_saver: MakeSaver, client: Any, table_name: str, report: Report, tool_calls: int, result_kb: int
) -> None:
    saver, prose = make_saver(), Prose()
    config = saver.new_conversation("alice")
    log = measured(client, shaped_chat(prose, tool_calls, result_kb * 1000), prose, saver, config, TURNS)

    told = this_saver(Shape(TURNS, TURNS, tool_calls, result_kb, 1))

    size = table_size(client, table_name).item_bytes
    report(
        f"{tool_calls} tool calls of {result_kb} KB: {log.wru / TURNS:.1f} WRU a turn, told "
        f"{told.write_units / TURNS:.1f}; {size / TURNS:.0f} bytes, told {told.stored_bytes / TURNS:.0f}"
    )
    assert told.write_units == pytest.approx(log.wru, rel=0.2)
    assert told.read_units == pytest.approx(log.rru, rel=0.2)
    assert told.stored_bytes == pytest.approx(size, rel=0.25)


@on_dynamodb_local
@pytest.mark.parametrize(("tool_calls", "result_kb"), [(1, 1), (2, 4)])
def test_the_estimate_of_a_full_state_saver_is_what_a_played_chat_costs_there(
    engine: Engine, client: DynamoDBClient, report: Report, tool_calls: int, result_kb: int
) -> None:
    name, prose = f"full-{uuid4()}", Prose()
    create_source_table(client, name)
    saver = AwsSaver(name, region_name=REGION, endpoint_url=engine.endpoint_url)
    config = {"configurable": {"thread_id": "one"}}
    log = measured(saver.client, shaped_chat(prose, tool_calls, result_kb * 1000), prose, saver, config, FULL_TURNS)

    told = full_state(Shape(FULL_TURNS, FULL_TURNS, tool_calls, result_kb, 1))

    size = table_size(client, name).item_bytes
    client.delete_table(TableName=name)
    report(
        f"full state, {tool_calls} tool calls of {result_kb} KB: {log.wru / FULL_TURNS:.0f} WRU a turn, told "
        f"{told.write_units / FULL_TURNS:.0f}; {log.rru / FULL_TURNS:.1f} RRU, told "
        f"{told.read_units / FULL_TURNS:.1f}; {size / FULL_TURNS:.0f} bytes, told {told.stored_bytes / FULL_TURNS:.0f}"
    )
    assert told.write_units == pytest.approx(log.wru, rel=0.1)
    assert told.stored_bytes == pytest.approx(size, rel=0.1)
    assert told.read_units == pytest.approx(log.rru, rel=0.2)


def test_a_full_state_saver_fails_where_its_state_no_longer_fits_into_an_item() -> None:
    # langgraph-checkpoint-aws 1.2.6 fails at turn 173 of the reference chat
    assert full_state(Shape(1000, 200)).fails_at_turn == pytest.approx(173, abs=5)
    assert full_state(Shape(1000, 100)).fails_at_turn is None
    assert this_saver(Shape(1000, 200)).fails_at_turn is None


def test_this_saver_costs_the_same_a_turn_at_any_length_but_for_cold_reads() -> None:
    short, long = this_saver(Shape(1000, 10)), this_saver(Shape(1000, 400))
    cold = this_saver(Shape(1000, 400, cold=True))

    assert short == long
    assert cold.write_units == long.write_units
    assert cold.read_units > 20 * long.read_units


@pytest.mark.parametrize("field", ["write_units", "stored_bytes"])
def test_larger_results_and_more_calls_never_cost_less_of_state(field: str) -> None:
    sizes = [getattr(this_saver(Shape(1, result_kb=size / 4, transcript=False)), field) for size in range(200)]
    calls = [getattr(this_saver(Shape(1, tool_calls=number, transcript=False)), field) for number in range(20)]

    assert all(low <= high for values in (sizes, calls) for low, high in pairwise(values))


def test_prices_are_replaced_by_name() -> None:
    assert prices_of(["write=1.5", "storage=0"]) == Prices(write=1.5, storage=0)
    assert Prices(write=2, read=1, storage=0.5).of(1e6, 2e6, 1024**3) == 4.5


@pytest.mark.parametrize("text", ["write", "write=", "write=-1", "rent=1", "read=nan", "read=inf"])
def test_a_price_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a price is write=…"):
        prices_of([text])


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Shape(10, 0)
    with pytest.raises(ValueError, match="at least 0"):
        Shape(-1)
