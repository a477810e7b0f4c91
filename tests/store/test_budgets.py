"""The cost promises, counted on DynamoDB Local by the capacity that it reports. No time is measured."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver

from tests.conftest import MakeSaver, Report
from tests.reference_chat import Prose, chat_graph, user_message
from tests.requests_log import RequestLog
from tests.table_size import table_size

pytestmark = pytest.mark.engine("dynamodb-local")


@dataclass
class Turn:
    requests: int
    wru: float
    rru: float
    sent: int


def play(saver: BaseCheckpointSaver[Any], client: Any, config: Any, turns: int) -> list[Turn]:
    """The reference chat; one entry a turn."""
    prose = Prose()
    graph = chat_graph(prose).compile(checkpointer=saver)
    played = []
    for _ in range(turns):
        with RequestLog(client) as log:
            graph.invoke(user_message(prose), config, durability="async")
        played.append(Turn(len(log), log.wru, log.rru, log.request_bytes))
    return played


@pytest.mark.timeout(600)
def test_a_turn_of_the_reference_chat_stays_within_its_budgets_and_costs_the_same_at_any_length(
    make_saver: MakeSaver, client: Any, table_name: str, report: Report
) -> None:
    saver = make_saver()
    config = saver.new_conversation("alice")
    turns = play(saver, client, config, 100)
    bytes_100 = table_size(client, table_name).item_bytes
    graph = chat_graph(Prose()).compile(checkpointer=saver)
    with RequestLog(client) as warm:
        assert len(graph.get_state(config).values["messages"]) == 400
    cold_graph = chat_graph(Prose()).compile(checkpointer=make_saver())
    with RequestLog(client) as cold:
        assert len(cold_graph.get_state(config).values["messages"]) == 400
    with RequestLog(client) as history:
        assert (
            len(list(chat_graph(Prose()).compile(checkpointer=make_saver()).get_state_history(config, limit=200)))
            == 200
        )

    rows = [(number, turns[number - 1]) for number in (1, 20, 100)]
    lines = [f"{n:8}  {t.requests:8}  {t.wru:3.0f}  {t.rru:3.0f}  {t.sent:10}" for n, t in rows]
    means = f"{mean(t.wru for t in turns):.1f} WRU, {mean(t.requests for t in turns):.1f} requests"
    report("\n".join(["reference chat:", "    turn  requests  WRU  RRU  bytes sent", *lines]))
    report(f"    mean of 100 turns: {means}; stored {bytes_100} bytes")
    report(f"    get_state warm: {warm}\n    get_state cold: {cold}\n    history of 200: {history}")

    assert mean(turn.wru for turn in turns) <= 24
    assert mean(turn.requests for turn in turns) <= 14
    most, *others = sorted((turn.requests for turn in turns[1:]), reverse=True)
    assert most <= 16  # the turn in which the chat outgrows its row: what leaves it fills three pages
    assert max(others) <= 15  # where the state is stored in full, with a segment
    assert turns[99].rru <= 20
    assert bytes_100 <= 800_000
    assert len(warm) <= 3
    assert len(cold) <= 3
    assert len(history) <= 5
    early, late = mean(t.wru for t in turns[10:30]), mean(t.wru for t in turns[80:100])
    assert late / early <= 1.25


@pytest.mark.engine("memory", "dynamodb-local")
@pytest.mark.timeout(600)
def test_turn_400_writes_about_as_much_as_turn_20_with_the_transcript_off(
    make_saver: MakeSaver, client: Any, report: Report
) -> None:
    saver = make_saver(transcript=False)
    turns = play(saver, client, saver.new_conversation("alice"), 400)
    early, late = mean(t.wru for t in turns[10:30]), mean(t.wru for t in turns[380:400])
    report(f"transcript off: {mean(t.wru for t in turns[:100]):.1f} WRU, mean of 100 turns")
    report(f"    around turn 20: {early:.1f} WRU, around turn 400: {late:.1f} WRU, ratio {late / early:.2f}")
    assert mean(turn.wru for turn in turns[:100]) <= 12
    assert late / early <= 1.25


def test_a_list_of_20_conversations_is_one_request_of_at_most_20_read_units(make_saver: MakeSaver, client: Any) -> None:
    saver = make_saver()
    for _ in range(20):
        play(saver, client, saver.new_conversation("alice"), 3)
    with RequestLog(client) as log:
        assert len(saver.conversations.list("alice", limit=20)) == 20
    assert len(log) == 1
    assert log.rru <= 20
