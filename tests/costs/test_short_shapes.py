"""Turns that are few to a process: a conversation's first, and each turn in a process of its own, as on Lambda."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING, Any

import pytest

from tests.costs.flat_shapes import Topics
from tests.played_turns import ReferenceChat, Turn, mean_wru
from tests.reference_chat import chat_graph, user_message
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from tests.conftest import MakeSaver, Report

pytestmark = pytest.mark.engine("dynamodb-local")


@pytest.mark.parametrize(("is_made_here", "most"), [(True, 12), (False, 14)])
def test_the_first_turn_of_a_conversation(
    make_saver: MakeSaver, client: Any, report: Report, is_made_here: bool, most: int
) -> None:
    """Eleven requests write: 5 checkpoints, 4 task writes, the row twice. The others are what must be read before."""
    saver = make_saver()
    chat = ReferenceChat(saver, client)
    if not is_made_here:
        chat.config = {"configurable": {"thread_id": "an id of the caller's", "user_id": "alice"}}
    first, second = chat.play(2)
    report(f"first turn, id made {'here' if is_made_here else 'by the caller'}: {first.requests} requests")
    assert first.requests <= most
    assert first.wru <= 15
    assert first.rru <= most - 11
    assert second.requests <= 13


def at_exit(make_saver: MakeSaver, client: Any, turns: int, **options: Any) -> list[Turn]:
    """The reference chat, each turn in a process of its own that stores its state at its end."""
    prose, config, played = Topics(), make_saver().new_conversation("alice"), []
    for _ in range(turns):
        graph = chat_graph(prose).compile(checkpointer=make_saver(**options))
        with RequestLog(client) as log:
            graph.invoke(user_message(prose), config, durability="exit")
        played.append(Turn(len(log), log.wru, log.rru, log.request_bytes, log.requests))
    return played


def summary(turns: list[Turn]) -> str:
    requests, rru = (mean(getattr(turn, name) for turn in turns) for name in ("requests", "rru"))
    return f"{mean_wru(turns):.1f} WRU, {rru:.1f} RRU, {requests:.1f} requests"


@pytest.mark.timeout(300)
def test_a_turn_in_a_process_of_its_own_that_stores_its_state_at_exit(
    make_saver: MakeSaver, client: Any, report: Report
) -> None:
    """Up to 16 KB the row holds the whole chat, and is written whole, for table and index; then the newest exchange."""
    turns = at_exit(make_saver, client, 20)
    report(f"a new process each turn, durability exit, mean of 20 turns: {summary(turns)}")
    report(f"    of turns 11 to 20: {summary(turns[10:])}")
    assert mean(turn.requests for turn in turns) <= 4.9
    assert max(turn.requests for turn in turns) <= 7  # where the chat outgrows its row
    assert mean(turn.rru for turn in turns) <= 5.5
    assert mean_wru(turns) <= 16
    assert mean_wru(turns[10:]) <= 8


@pytest.mark.timeout(300)
def test_the_same_with_a_small_row_or_none(make_saver: MakeSaver, client: Any, report: Report) -> None:
    small = at_exit(make_saver, client, 20, row_bytes=4096)
    none = at_exit(make_saver, client, 20, transcript=False)
    report(f"the same with row_bytes=4096: {summary(small)}; with transcript=False: {summary(none)}")
    assert mean_wru(small) <= 9
    assert mean_wru(none) <= 4
    assert mean(turn.requests for turn in none) <= 4.1
