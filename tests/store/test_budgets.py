"""The cost promises, counted on DynamoDB Local as AWS bills them (`tests/billing.py`). No time is measured."""

from __future__ import annotations

from statistics import mean
from typing import Any

import pytest

from tests.conftest import MakeSaver, Report
from tests.played_turns import ReferenceChat, mean_wru
from tests.reference_chat import Prose, chat_graph
from tests.requests_log import RequestLog
from tests.table_size import table_size

pytestmark = pytest.mark.engine("dynamodb-local")


@pytest.mark.timeout(600)
def test_a_turn_of_the_reference_chat_stays_within_its_budgets_and_costs_the_same_at_any_length(
    make_saver: MakeSaver, client: Any, table_name: str, report: Report
) -> None:
    chat = ReferenceChat(make_saver(), client)
    config, turns = chat.config, chat.play(100)
    bytes_100 = table_size(client, table_name).item_bytes
    with RequestLog(client) as warm:
        assert len(chat.graph.get_state(config).values["messages"]) == 400
    cold_graph = chat_graph(Prose()).compile(checkpointer=make_saver())
    with RequestLog(client) as cold:
        assert len(cold_graph.get_state(config).values["messages"]) == 400
    with RequestLog(client) as history:
        assert (
            len(list(chat_graph(Prose()).compile(checkpointer=make_saver()).get_state_history(config, limit=200)))
            == 200
        )

    turns += chat.play(20)

    rows = [(number, turns[number - 1]) for number in (1, 20, 100)]
    lines = [f"{n:8}  {t.requests:8}  {t.wru:3.0f}  {t.rru:3.0f}  {t.sent:10}" for n, t in rows]
    hundred, later = turns[:100], turns[80:]
    means = f"{mean_wru(hundred):.1f} WRU, {mean(t.requests for t in hundred):.1f} requests"
    means += f", most after the first {max(t.requests for t in hundred[1:])}"
    report("\n".join(["reference chat:", "    turn  requests  WRU  RRU  bytes sent", *lines]))
    report(f"    mean of 100 turns: {means}; stored {bytes_100} bytes; of turns 81 to 120: {mean_wru(later):.1f} WRU")
    report(f"    get_state warm: {warm}\n    get_state cold: {cold}\n    history of 200: {history}")

    assert mean_wru(hundred) <= 24
    assert mean_wru(later) <= 24
    assert mean(turn.requests for turn in hundred) <= 14
    most, *others = sorted((turn.requests for turn in hundred[1:]), reverse=True)
    assert most <= 16  # the turn in which the chat outgrows its row: what leaves it fills three pages
    assert max(others) <= 15  # where the state is stored in full, with a segment
    assert turns[99].rru <= 20
    assert bytes_100 <= 800_000
    assert len(warm) <= 3
    assert len(cold) <= 3
    assert len(history) <= 5
    assert mean_wru(turns[80:100]) / mean_wru(turns[10:30]) <= 1.25


@pytest.mark.engine("memory", "dynamodb-local")
@pytest.mark.timeout(600)
def test_turn_400_writes_about_as_much_as_turn_20_with_the_transcript_off(
    make_saver: MakeSaver, client: Any, report: Report
) -> None:
    turns = ReferenceChat(make_saver(transcript=False), client).play(400)
    early, late = mean_wru(turns[10:30]), mean_wru(turns[380:400])
    report(f"transcript off: {mean_wru(turns[:100]):.1f} WRU, mean of 100 turns")
    report(f"    around turn 20: {early:.1f} WRU, around turn 400: {late:.1f} WRU, ratio {late / early:.2f}")
    assert mean_wru(turns[:100]) <= 12
    assert late / early <= 1.25
