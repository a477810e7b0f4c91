"""Every call of the saver, with any of its requests failing: before or after, and never between."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.base import create_checkpoint, empty_checkpoint

from langgraph_dynamo_conv._state.stored import CHAIN_ITEMS
from langgraph_dynamo_conv.errors import DynamoConvError
from tests.faults.failing import THOROUGH, FailingClient, Fault, answer_lost, faults_at
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.conftest import MakeSaver
    from tests.engines import Engine

USER = "alice"


def at(thread_id: str, checkpoint_id: str | None = None) -> RunnableConfig:
    config: RunnableConfig = {"configurable": {"thread_id": thread_id, "user_id": USER, "checkpoint_ns": ""}}
    if checkpoint_id:
        config["configurable"]["checkpoint_id"] = checkpoint_id
    return config


def noise(number: int, size: int) -> str:
    """Text that does not compress, the same for the same number."""
    return random.Random(number).randbytes(size // 2).hex()


@dataclass
class Chain:
    """A conversation written by hand, one checkpoint after the other.

    Args:
        sizes: Characters that each checkpoint adds to the state.
        run_of: The run that writes a checkpoint.
    """

    sizes: list[int]
    run_of: Callable[[int], str] = lambda _: "run"
    checkpoints: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        notes: list[str] = []
        checkpoint = empty_checkpoint()
        for step, size in enumerate(self.sizes):
            notes = [*notes, noise(step, size)]
            checkpoint = create_checkpoint(checkpoint, None, step)
            checkpoint["channel_values"] = {"notes": notes, "step": step}
            checkpoint["channel_versions"] = {"notes": step + 1, "step": step + 1}
            self.checkpoints.append(checkpoint)

    def put(self, saver: DynamoDBConversationSaver, thread_id: str, step: int) -> None:
        parent = self.checkpoints[step - 1]["id"] if step else None
        metadata: Any = {"source": "loop", "step": step, "run_id": self.run_of(step)}
        checkpoint = self.checkpoints[step]
        saver.put(at(thread_id, parent), checkpoint, metadata, checkpoint["channel_versions"])

    def put_all(self, saver: DynamoDBConversationSaver, thread_id: str, upto: int | None = None) -> None:
        """The first checkpoints; the newest three with task writes."""
        steps = range(len(self.sizes))[:upto]
        for step in steps:
            self.put(saver, thread_id, step)
            if step >= len(steps) - 3:
                config = at(thread_id, self.checkpoints[step]["id"])
                saver.put_writes(config, [("notes", f"{step}"), ("step", noise(step, 100))], f"task-{step}")


def everything(saver: DynamoDBConversationSaver, thread_id: str) -> list[Any]:
    """All that the saver tells of a conversation's state, and the newest as it tells it alone."""
    found = [told(one) for one in saver.list(at(thread_id))]
    newest = saver.get_tuple(at(thread_id))
    assert found[:1] == ([told(newest)] if newest else [])
    return found


def told(one: Any) -> Any:
    parent = one.parent_config["configurable"]["checkpoint_id"] if one.parent_config else None
    return one.checkpoint, one.metadata, one.pending_writes, parent


@dataclass
class Call:
    """A call to be disturbed.

    Args:
        chain: The conversation.
        prepared: Checkpoints that are there before.
        act: The call.
    """

    chain: Chain
    prepared: int
    act: Callable[[DynamoDBConversationSaver, str, Chain], Any]


SMALL = [400] * 4
SEALED = [2_000] * (CHAIN_ITEMS + 1)
"""Enough checkpoints for a state that is stored whole again, and has a segment."""


def get(saver: DynamoDBConversationSaver, thread_id: str, chain: Chain) -> None:
    saver.get_tuple(at(thread_id))


def put_next(saver: DynamoDBConversationSaver, thread_id: str, chain: Chain) -> None:
    chain.put(saver, thread_id, len(chain.sizes) - 1)


def write(values: list[tuple[str, Any]]) -> Callable[..., None]:
    def act(saver: DynamoDBConversationSaver, thread_id: str, chain: Chain) -> None:
        saver.put_writes(at(thread_id, chain.checkpoints[-1]["id"]), values, "another-task")

    return act


CALLS: dict[str, Callable[[], Call]] = {
    "get_tuple": lambda: Call(Chain(SEALED), len(SEALED), get),
    "put": lambda: Call(Chain(SMALL), 3, put_next),
    "put, the first": lambda: Call(Chain(SMALL[:1]), 0, put_next),
    "put, full with segments": lambda: Call(Chain(SEALED), CHAIN_ITEMS, put_next),
    "put, large values": lambda: Call(Chain([400, 400, 900_000]), 2, put_next),
    "put_writes": lambda: Call(Chain(SMALL), 4, write([("notes", "x"), ("__interrupt__", ["why?"])])),
    "put_writes, large value": lambda: Call(Chain(SMALL), 4, write([("notes", noise(1, 900_000)), ("step", 1)])),
    "put_writes, many": lambda: Call(Chain(SMALL), 4, write([("notes", f"{n}") for n in range(100)])),
    "put_writes, many large": lambda: Call(Chain(SMALL), 4, write([("notes", noise(n, 5000)) for n in range(100)])),
}


class Trial:
    """One call, again and again, each time with another request failing."""

    def __init__(self, make_saver: MakeSaver, failing: FailingClient, call: Call) -> None:
        self.make_saver = make_saver
        self.failing = failing
        self.call = call
        self.prepared = str(uuid.uuid4())
        self.steady = make_saver()
        call.chain.put_all(self.steady, self.prepared, call.prepared)
        self.before = everything(make_saver(), self.prepared)
        thread_id = self.copy()
        call.act(make_saver(), thread_id, call.chain)
        self.after = everything(make_saver(), thread_id)

    def copy(self) -> str:
        thread_id = str(uuid.uuid4())
        self.steady.copy_thread(self.prepared, thread_id)
        return thread_id

    def disturbed(self, thread_id: str, *, warm: bool) -> DynamoDBConversationSaver:
        saver = self.make_saver(client=self.failing.client)
        if warm:
            saver.get_tuple(at(thread_id))
        return saver

    def count(self, *, warm: bool) -> int:
        thread_id = self.copy()
        saver = self.disturbed(thread_id, warm=warm)
        with self.failing.counting():
            self.call.act(saver, thread_id, self.call.chain)
        return self.failing.sent

    def run(self, fault: Fault, first: int, *, warm: bool, times: int | None = 1) -> None:
        thread_id = self.copy()
        saver = self.disturbed(thread_id, warm=warm)
        with self.failing.failing(fault, first, times=times), suppress(DynamoConvError):
            self.call.act(saver, thread_id, self.call.chain)
        assert everything(self.make_saver(), thread_id) in (self.before, self.after)
        again = saver if first % 2 else self.make_saver()
        self.call.act(again, thread_id, self.call.chain)
        assert everything(again, thread_id) == self.after
        if again is saver:
            assert everything(self.make_saver(), thread_id) == self.after


@pytest.mark.engine("memory")
@pytest.mark.parametrize("name", CALLS)
def test_any_one_request_of_a_call_may_fail(make_saver: MakeSaver, failing: FailingClient, name: str) -> None:
    trial = Trial(make_saver, failing, CALLS[name]())
    for first in range(1, trial.count(warm=True) + 1):
        for fault in faults_at(first):
            trial.run(fault, first, warm=True)
    for first in range(1, trial.count(warm=False) + 1):
        for fault in faults_at(first) if THOROUGH else faults_at(first)[first % 2 :][:1]:
            trial.run(fault, first, warm=False)


@pytest.mark.engine("memory")
def test_a_put_after_a_whole_chain_stores_the_state_whole_and_a_segment(make_saver: MakeSaver, client: Any) -> None:
    call = CALLS["put, full with segments"]()
    saver, thread_id = make_saver(), str(uuid.uuid4())
    call.chain.put_all(saver, thread_id, call.prepared)
    with RequestLog(client) as log:
        call.act(saver, thread_id, call.chain)
    keys = [request.table_key[1] for request in log.requests if request.operation == "PutItem" and request.table_key]
    assert [key.split("#")[1] for key in keys] == ["s", "c"]


@pytest.mark.engine("memory")
@pytest.mark.parametrize("name", ["put", "put, full with segments", "put_writes, many", "put_writes, many large"])
def test_a_call_whose_answers_are_lost_again_and_again_acts_once(
    engine: Engine, make_saver: MakeSaver, name: str
) -> None:
    retrying = FailingClient(engine, retries={"mode": "legacy", "total_max_attempts": 4})
    trial = Trial(make_saver, retrying, CALLS[name]())
    thread_id = trial.copy()

    with retrying.failing(answer_lost, 1, times=3):
        trial.call.act(trial.disturbed(thread_id, warm=False), thread_id, trial.call.chain)

    assert everything(make_saver(), thread_id) == trial.after
    retrying.close()


@pytest.mark.engine("dynamodb-local")
@pytest.mark.parametrize("name", ["put, full with segments", "put, large values", "put_writes, many"])
def test_requests_of_a_call_may_fail_on_dynamodb_local(
    make_saver: MakeSaver, failing: FailingClient, name: str
) -> None:
    trial = Trial(make_saver, failing, CALLS[name]())
    for first in range(1, trial.count(warm=False) + 1):
        trial.run(faults_at(first)[-1], first, warm=False)
