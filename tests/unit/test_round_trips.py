"""How long each call waits for the table: its requests, and which of them are under way at the same time.

A request of the client here is not answered before all that are expected beside it have been sent. So a call that sends
them one after the other waits in vain, and one that sends another number fails.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._checkpoints.loading import CHAIN_PAGE
from tests.factories import USER, config, noise, put, read
from tests.memory_engine.bare import BareTable

WAIT_SECONDS = 10


class Together:
    """A client that answers groups of requests, each group once all of it has been sent."""

    def __init__(self, table: BareTable) -> None:
        self._client = table.client()
        self.meta = self._client.meta
        self._lock = threading.Lock()
        self._expected: list[threading.Barrier] | None = None

    def expect(self, *sizes: int) -> None:
        """The sizes of the groups to come; nothing else may be asked."""
        self._expected = [barrier for size in sizes for barrier in [threading.Barrier(size)] * size]

    @property
    def left(self) -> int:
        """How many of the expected requests have not been sent."""
        return len(self._expected or ())

    def __getattr__(self, method: str) -> Any:
        send = getattr(self._client, method)

        def answered(**request: Any) -> Any:
            if self._expected is not None:
                with self._lock:
                    assert self._expected, f"a {method} that was not expected"
                    together = self._expected.pop(0)
                together.wait(WAIT_SECONDS)
            return send(**request)

        return answered


class Stage:
    """A conversation of some steps, the saver that wrote it, and a saver that has seen nothing."""

    def __init__(self, steps: int) -> None:
        self.table = BareTable()
        self.client = Together(self.table)
        self.warm, self.cold = self._saver(), self._saver()
        self.items: list[str] = []
        for number in range(1, steps + 1):
            self.items.append(noise(20, number).hex())
            self.put(self.warm, number, {"items": self.items})
            self.warm.put_writes(config(number=number), [("items", number)], f"task-{number}")
        self.next = steps + 1

    def put(self, saver: DynamoDBConversationSaver, number: int, values: dict[str, Any]) -> None:
        put(saver, number, values, parent=number - 1 or None)

    def _saver(self) -> DynamoDBConversationSaver:
        client: Any = self.client
        return DynamoDBConversationSaver("table", client=client, transcript=False)


def put_a_step(stage: Stage) -> None:
    stage.put(stage.warm, stage.next, {"items": [*stage.items, "more"]})


def put_large_values(stage: Stage) -> None:
    """Two values of 2 and 3 parts, then the checkpoint."""
    stage.put(stage.warm, stage.next, {"items": stage.items, "a": noise(600_000), "b": noise(900_000, 2)})


def put_writes(stage: Stage) -> None:
    stage.warm.put_writes(config(number=stage.next - 1), [("items", n) for n in range(60)], "other")


def put_many_writes(stage: Stage) -> None:
    stage.warm.put_writes(config(number=stage.next - 1), [("items", n) for n in range(5000)], "other")


def put_many_large_writes(stage: Stage) -> None:
    """A bundle of 2 parts, then the item that refers to it."""
    stage.warm.put_writes(config(number=stage.next - 1), [("items", noise(1000, n)) for n in range(500)], "other")


def read_warm(stage: Stage) -> None:
    read(stage.warm)


def read_cold(stage: Stage) -> None:
    assert read(stage.cold).checkpoint["channel_values"] == {"items": stage.items}


@pytest.mark.parametrize(
    ("steps", "call", "groups"),
    [
        (5, put_a_step, [1]),
        (5, put_writes, [1]),
        (5, put_many_writes, [1]),
        (5, put_many_large_writes, [2, 1]),
        (5, put_large_values, [5, 1]),
        (5, read_warm, [2]),
        (5, read_cold, [3]),
        (24, read_cold, [3]),
        (CHAIN_PAGE, read_cold, [3]),
        (300, put_a_step, [1]),
        (300, read_warm, [2]),
        (300, read_cold, [3]),
    ],
)
def test_a_call_waits_for_so_many_round_trips(steps: int, call: Callable[[Stage], None], groups: list[int]) -> None:
    stage = Stage(steps)
    stage.client.expect(*groups)

    call(stage)

    assert stage.client.left == 0


@pytest.mark.parametrize(
    ("call", "most"),
    [
        (lambda saver: list(saver.list(config())), 3),
        (lambda saver: list(saver.list(config(), limit=50)), 4),
        (lambda saver: saver.get_delta_channel_history(config=config(), channels=["none"]), 6),
        (lambda saver: saver.copy_thread("thread", "copy", user_id=USER), 4),  # checkpoints twice: they are put last
        (lambda saver: saver.delete_thread("thread", user_id=USER), 4),  # the last looks for what came meanwhile
    ],
    ids=["history", "a part of it", "delta history", "copy", "delete"],
)
def test_reading_many_checkpoints_takes_queries_by_their_bytes_not_by_their_number(
    call: Callable[[DynamoDBConversationSaver], object], most: int
) -> None:
    stage = Stage(300)
    stage.table.clear()

    call(stage.cold)

    assert stage.table.counts.reads <= most
