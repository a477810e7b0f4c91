"""The figures that `estimate` is made of are those of chats that are played, and counted on DynamoDB Local."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import chats
from langgraph_dynamo_conv.cli.estimate import Shape, full_state, measured, this_saver
from langgraph_dynamo_conv.cli.prices import Prices, prices_of
from tests.conftest import MakeSaver, Report
from tests.costs.shapes import Chat, full_state_chat
from tests.engines import Engine
from tests.reference_chat import Prose

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

on_dynamodb_local = pytest.mark.engine("dynamodb-local")
FULL_TURNS = 20


@on_dynamodb_local
@pytest.mark.parametrize(
    ("tool_calls", "result_kb", "turns"), [(0, 1, 30), (1, 1, 7), (1, 1, 100), (1, 4, 40), (3, 1, 40)]
)
def test_the_estimate_of_this_saver_is_what_a_played_chat_costs(
    make_saver: MakeSaver, client: Any, table_name: str, report: Report, tool_calls: int, result_kb: int, turns: int
) -> None:
    saver = make_saver()
    cost = Chat(client, table_name, saver, saver.new_conversation("alice"), tool_calls, result_kb, Prose()).play(turns)

    told = this_saver(Shape(turns, turns, tool_calls, result_kb, 1))

    report(
        f"{tool_calls} tool calls of {result_kb} KB, {turns} turns: {cost.write_units / turns:.1f} WRU a turn, told "
        f"{told.write_units / turns:.1f}; {cost.stored_bytes / turns:.0f} bytes, told {told.stored_bytes / turns:.0f}"
    )
    assert told.write_units == pytest.approx(cost.write_units, rel=0.2)
    assert told.read_units == pytest.approx(cost.read_units, rel=0.2)
    assert told.stored_bytes == pytest.approx(cost.stored_bytes, rel=0.25)


@on_dynamodb_local
@pytest.mark.parametrize(("tool_calls", "result_kb"), [(1, 1), (2, 4)])
def test_the_estimate_of_a_full_state_saver_is_what_a_played_chat_costs_there(
    engine: Engine, client: DynamoDBClient, report: Report, tool_calls: int, result_kb: int
) -> None:
    with full_state_chat(engine, client, tool_calls, result_kb) as chat:
        cost = chat.play(FULL_TURNS)

    told = full_state(Shape(FULL_TURNS, FULL_TURNS, tool_calls, result_kb, 1))

    report(
        f"full state, {tool_calls} tool calls of {result_kb} KB: {cost.write_units / FULL_TURNS:.0f} WRU a turn, told "
        f"{told.write_units / FULL_TURNS:.0f}; {cost.read_units / FULL_TURNS:.1f} RRU, told "
        f"{told.read_units / FULL_TURNS:.1f}; {cost.stored_bytes / FULL_TURNS:.0f} bytes, told "
        f"{told.stored_bytes / FULL_TURNS:.0f}"
    )
    assert told.write_units == pytest.approx(cost.write_units, rel=0.05)
    assert told.stored_bytes == pytest.approx(cost.stored_bytes, rel=0.05)
    assert told.read_units == pytest.approx(cost.read_units, rel=0.2)


@on_dynamodb_local
def test_the_figures_are_those_of_the_chats_that_they_name(engine: Engine, client: Any) -> None:
    number, shape = 2, chats.SHAPES[2]

    assert measured()["this_saver"][number] == pytest.approx(chats.this_saver_row(client, *shape), rel=0.05)
    assert measured()["full_state"][number] == pytest.approx(chats.full_state_row(engine, client, *shape), rel=0.05)


def test_a_full_state_saver_fails_where_its_state_no_longer_fits_into_an_item() -> None:
    # chats of these shapes, played on langgraph-checkpoint-aws 1.2.6 until DynamoDB Local refused the item
    assert full_state(Shape(1000, 200)).fails_at_turn == 167
    assert full_state(Shape(1000, 200, tool_calls=2, result_kb=4)).fails_at_turn == 41
    assert full_state(Shape(1000, 100)).fails_at_turn is None
    assert this_saver(Shape(1000, 200)).fails_at_turn is None


def test_state_costs_the_same_a_turn_at_any_length_but_for_cold_reads() -> None:
    short, long = (this_saver(Shape(1000, turns, transcript=False)) for turns in (10, 400))
    cold = this_saver(Shape(1000, 400, transcript=False, cold=True))

    assert short == long
    assert cold.write_units == long.write_units
    assert cold.read_units > 20 * long.read_units


def test_a_turn_of_a_long_chat_costs_less_than_one_in_which_the_whole_chat_is_in_its_row() -> None:
    bills = [this_saver(Shape(1000, turns)).write_units for turns in (10, 100, 400, 2000)]

    assert bills == sorted(bills, reverse=True)
    assert bills[-2] == pytest.approx(bills[-1], rel=0.05)


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
