"""Whole agent turns of which any request fails: the state is that of a step, and the next turn mends the rest."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from langgraph_dynamo_conv.errors import DynamoConvError
from tests.faults.failing import AFTER, THOROUGH, FailingClient, Fault, faults_at, unsent
from tests.faults.graphs import (
    CHATS,
    expected_messages,
    expected_transcript,
    finish_turn,
    spoken,
    steps_of_turn,
    take_turn,
    transcript,
)
from tests.thresholds import cut_out_small_strings, refer_to_small_values

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.conftest import MakeSaver
    from tests.engines import Engine

SHARE = 6
"""Of the requests of a turn in which everything is referred to, and which has many; `THOROUGH` has all of them."""

SMALL_ROW = 512
"""Bytes of a row that holds about one turn, so that messages leave it all the time."""


def new_config() -> RunnableConfig:
    return {"configurable": {"thread_id": str(uuid.uuid4()), "user_id": "alice"}}


class Trial:
    """One turn with a fault in it, and what must be true afterwards.

    Args:
        make_saver: Makes undisturbed savers.
        failing: The client that fails.
        turns: Undisturbed turns before.
        chat: The graph.
        two_workers: Two savers take turns, each with a cache that knows only its own and what it has read, and one of
            them fails; otherwise every saver is new.
    """

    def __init__(
        self,
        make_saver: MakeSaver,
        failing: FailingClient,
        turns: int,
        chat: str = "tools",
        *,
        two_workers: bool = False,
    ) -> None:
        self.make_saver = make_saver
        self.failing = failing
        self.turns = turns
        self.chat = chat
        self.two_workers = two_workers
        self.steady = self.new_saver()

    def count(self) -> int:
        """Requests of the turn, undisturbed."""
        config, saver, _ = self.talked()
        with self.failing.counting():
            take_turn(saver, config, self.turns + 1, self.chat)
        return self.failing.sent

    def new_saver(self) -> DynamoDBConversationSaver:
        return self.make_saver(row_bytes=SMALL_ROW)

    def talked(self) -> tuple[RunnableConfig, DynamoDBConversationSaver, DynamoDBConversationSaver]:
        """A conversation that has had its undisturbed turns, the saver that may fail, and the one beside it."""
        config = new_config()
        disturbed = self.make_saver(client=self.failing.client, row_bytes=SMALL_ROW)
        other = self.new_saver() if self.two_workers else self.steady
        for number in range(1, self.turns + 1):
            playing = disturbed if self.two_workers and number % 2 else other
            take_turn(playing, config, number, self.chat)
        return config, disturbed, other

    def run(self, fault: Fault, first: int, times: int | None, *, resume_warm: bool) -> None:
        config, disturbed, other = self.talked()
        with self.failing.failing(fault, first, times=times), suppress(DynamoConvError):
            take_turn(disturbed, config, self.turns + 1, self.chat)
        self.is_at_a_step(config)
        beside = [other, disturbed] if self.two_workers else [self.new_saver(), self.new_saver()]
        resumed = disturbed if resume_warm else beside[0]
        finish_turn(resumed, config, self.turns + 1, self.chat)
        assert self.spoken(config) == expected_messages(self.turns + 1, self.chat)
        take_turn(beside[0] if resume_warm else beside[1], config, self.turns + 2, self.chat)
        assert self.spoken(config) == expected_messages(self.turns + 2, self.chat)
        assert transcript(self.make_saver(), config) == expected_transcript(self.turns + 2)

    def spoken(self, config: RunnableConfig) -> list[Any]:
        return spoken(self.make_saver(), config, self.chat)

    def is_at_a_step(self, config: RunnableConfig) -> None:
        nothing_yet: list[Any] = [[]] if self.turns == 0 else []
        held = self.spoken(config)
        assert held in nothing_yet + steps_of_turn(self.turns + 1, self.chat), held


@pytest.mark.engine("memory")
@pytest.mark.parametrize("turns", [0, 1])
def test_any_one_request_of_a_turn_may_fail(make_saver: MakeSaver, failing: FailingClient, turns: int) -> None:
    trial = Trial(make_saver, failing, turns)
    for first in range(1, trial.count() + 1):
        for fault in faults_at(first):
            trial.run(fault, first, 1, resume_warm=first % 2 == 0)


@pytest.mark.engine("memory")
@pytest.mark.parametrize("chat", [name for name in CHATS if name != "tools"])
def test_one_request_of_either_of_two_workers_may_fail(
    make_saver: MakeSaver, failing: FailingClient, chat: str
) -> None:
    trial = Trial(make_saver, failing, 2, chat, two_workers=True)
    for first in range(1, trial.count() + 1):
        for number, fault in enumerate(faults_at(first)):
            if THOROUGH or first % 4 == number * 2:
                trial.run(fault, first, 1, resume_warm=first % 8 > 3)


@pytest.mark.with_all
@pytest.mark.engine("memory", "dynamodb-local")
@pytest.mark.parametrize("two_workers", [False, True], ids=["new savers", "two workers"])
@pytest.mark.parametrize("chat", CHATS)
def test_any_one_request_of_a_turn_may_fail_in_every_graph(
    make_saver: MakeSaver, failing: FailingClient, chat: str, two_workers: bool
) -> None:
    trial = Trial(make_saver, failing, 2, chat, two_workers=two_workers)
    for first in range(1, trial.count() + 1):
        for number, fault in enumerate(faults_at(first)):
            trial.run(fault, first, 1, resume_warm=(first + number) % 2 == 0)


@pytest.mark.engine("memory")
@pytest.mark.parametrize("two_workers", [False, True], ids=["new savers", "two workers"])
@pytest.mark.parametrize("chat", ["subgraph", "interrupt in a subgraph", "repeating"])
@pytest.mark.parametrize("large", [refer_to_small_values, cut_out_small_strings])
def test_any_one_request_may_fail_where_what_is_stored_refers_to_what_is_there(
    make_saver: MakeSaver,
    failing: FailingClient,
    monkeypatch: pytest.MonkeyPatch,
    chat: str,
    large: Any,
    two_workers: bool,
) -> None:
    large(monkeypatch)
    trial = Trial(make_saver, failing, 2, chat, two_workers=two_workers)
    for first in range(1, trial.count() + 1):
        for number, fault in enumerate(faults_at(first)):
            if THOROUGH or (first + number) % SHARE == two_workers:
                trial.run(fault, first, 1, resume_warm=(first + number) % (2 * SHARE) >= SHARE)


@pytest.mark.engine("memory")
def test_the_table_may_be_lost_at_any_request_of_a_turn(make_saver: MakeSaver, failing: FailingClient) -> None:
    trial = Trial(make_saver, failing, 1)
    for first in range(1, trial.count() + 1):
        trial.run(unsent, first, None, resume_warm=first % 2 == 0)


@pytest.mark.engine("dynamodb-local")
def test_requests_of_a_turn_may_fail_on_dynamodb_local(make_saver: MakeSaver, failing: FailingClient) -> None:
    trial = Trial(make_saver, failing, 1)
    for first in range(1, trial.count() + 1):
        trial.run(faults_at(first)[-1], first, 1, resume_warm=first % 2 == 0)


@pytest.mark.engine("memory")
@pytest.mark.parametrize("fault", AFTER, ids=lambda fault: fault.__name__)
def test_a_request_of_a_turn_that_botocore_resends_acts_once(
    engine: Engine, make_saver: MakeSaver, fault: Fault
) -> None:
    retrying = FailingClient(engine, retries={"mode": "legacy", "total_max_attempts": 3})
    trial = Trial(make_saver, retrying, 1)
    for first in range(1, trial.count() + 1):
        config, disturbed, _ = trial.talked()
        with retrying.failing(fault, first):
            take_turn(disturbed, config, 2)
        assert trial.spoken(config) == expected_messages(2)
        assert transcript(make_saver(), config) == expected_transcript(2)
    retrying.close()
