"""Whole agent turns of which any request fails: the state is that of a step, and the next turn mends the rest."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from langgraph_dynamo_conv.errors import DynamoConvError
from tests.faults.failing import AFTER, FailingClient, Fault, faults_at, unsent
from tests.faults.graphs import (
    expected_messages,
    expected_transcript,
    finish_turn,
    spoken,
    take_turn,
    transcript,
)

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.conftest import MakeSaver
    from tests.engines import Engine

SMALL_ROW = 512
"""Bytes of a row that holds about one turn, so that messages leave it all the time."""


def new_config() -> RunnableConfig:
    return {"configurable": {"thread_id": str(uuid.uuid4()), "user_id": "alice"}}


def talked(saver: DynamoDBConversationSaver, turns: int) -> RunnableConfig:
    """The config of a new conversation that has had so many turns."""
    config = new_config()
    for number in range(1, turns + 1):
        take_turn(saver, config, number)
    return config


class Trial:
    """One turn with a fault in it, and what must be true afterwards.

    Args:
        make_saver: Makes undisturbed savers.
        failing: The client that fails.
        turns: Undisturbed turns before.
        options: Options of the savers.
    """

    def __init__(self, make_saver: MakeSaver, failing: FailingClient, turns: int, **options: Any) -> None:
        self.make_saver = make_saver
        self.failing = failing
        self.turns = turns
        self.options = options
        self.steady = make_saver(**options)

    def count(self) -> int:
        """Requests of the turn, undisturbed."""
        config = talked(self.steady, self.turns)
        with self.failing.counting():
            take_turn(self.disturbed(), config, self.turns + 1)
        return self.failing.sent

    def disturbed(self) -> DynamoDBConversationSaver:
        return self.make_saver(client=self.failing.client, **self.options)

    def run(self, fault: Fault, first: int, times: int | None, *, resume_warm: bool) -> None:
        config = talked(self.steady, self.turns)
        saver = self.disturbed()
        with self.failing.failing(fault, first, times=times), suppress(DynamoConvError):
            take_turn(saver, config, self.turns + 1)
        self.is_at_a_step(config)
        resumed = saver if resume_warm else self.make_saver(**self.options)
        finish_turn(resumed, config, self.turns + 1)
        assert spoken(self.make_saver(), config) == expected_messages(self.turns + 1)
        take_turn(self.make_saver(**self.options), config, self.turns + 2)
        assert spoken(self.make_saver(), config) == expected_messages(self.turns + 2)
        assert transcript(self.make_saver(), config) == expected_transcript(self.turns + 2)

    def is_at_a_step(self, config: RunnableConfig) -> None:
        held = spoken(self.make_saver(), config)
        assert held == expected_messages(self.turns + 1)[: len(held)]
        assert len(held) >= 4 * self.turns, held


@pytest.mark.engine("memory")
@pytest.mark.parametrize("turns", [0, 1])
def test_any_one_request_of_a_turn_may_fail(make_saver: MakeSaver, failing: FailingClient, turns: int) -> None:
    trial = Trial(make_saver, failing, turns, row_bytes=SMALL_ROW)
    for first in range(1, trial.count() + 1):
        for fault in faults_at(first):
            trial.run(fault, first, 1, resume_warm=first % 2 == 0)


@pytest.mark.engine("memory")
def test_the_table_may_be_lost_at_any_request_of_a_turn(make_saver: MakeSaver, failing: FailingClient) -> None:
    trial = Trial(make_saver, failing, 1, row_bytes=SMALL_ROW)
    for first in range(1, trial.count() + 1):
        trial.run(unsent, first, None, resume_warm=first % 2 == 0)


@pytest.mark.engine("dynamodb-local")
def test_requests_of_a_turn_may_fail_on_dynamodb_local(make_saver: MakeSaver, failing: FailingClient) -> None:
    trial = Trial(make_saver, failing, 1, row_bytes=SMALL_ROW)
    for first in range(1, trial.count() + 1):
        trial.run(faults_at(first)[-1], first, 1, resume_warm=first % 2 == 0)


@pytest.mark.engine("memory")
@pytest.mark.parametrize("fault", AFTER, ids=lambda fault: fault.__name__)
def test_a_request_of_a_turn_that_botocore_resends_acts_once(
    engine: Engine, make_saver: MakeSaver, fault: Fault
) -> None:
    retrying = FailingClient(engine, retries={"mode": "legacy", "total_max_attempts": 3})
    trial = Trial(make_saver, retrying, 1, row_bytes=SMALL_ROW)
    for first in range(1, trial.count() + 1):
        config = talked(trial.steady, 1)
        with retrying.failing(fault, first):
            take_turn(trial.disturbed(), config, 2)
        assert spoken(make_saver(), config) == expected_messages(2)
        assert transcript(make_saver(), config) == expected_transcript(2)
    retrying.close()
