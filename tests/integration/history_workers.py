"""Workers of one conversation: processes with a saver and a client each, which die, lose answers and take turns."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.conftest import MakeSaver
from tests.faults import failing
from tests.faults.failing import INJECTED, FailingClient
from tests.integration.histories import Fault

SECONDS = 20
"""After which somebody has waited too long."""

_CACHES = {"warm": {}, "cold": {}, "tiny": {"cache_bytes": 3000}, "none": {"cache_bytes": 0}}


class WaitingClient(FailingClient):
    """A client that asks before each request, if it has to."""

    gate: Callable[[], None] | None = None

    def _send(self, request: Any, **given: Any) -> Any:
        if self.gate is not None:
            self.gate()
        return super()._send(request, **given)


class Worker:
    """One process.

    Args:
        memory: "warm", "tiny", "none" or "cold".
        client: Its client.
        make_saver: Makes savers.
        options: Of the savers.
    """

    def __init__(self, memory: str, client: WaitingClient, make_saver: MakeSaver, options: dict[str, Any]) -> None:
        self.client = client
        self._memory = memory
        self._make = lambda: make_saver(client=client.client, **options, **_CACHES[memory])
        self._saver: DynamoDBConversationSaver | None = None

    def saver(self) -> DynamoDBConversationSaver:
        """Its saver, in a new turn."""
        if self._saver is None or self._memory == "cold":
            self._saver = self._make()
        return self._saver

    @contextmanager
    def suffering(self, fault: Fault | None) -> Iterator[Callable[[], bool]]:
        """Let a request fail; yields whether it has."""
        before = INJECTED.total()
        if fault is None:
            yield lambda: False
            return
        with self.client.failing(getattr(failing, fault.name), fault.first, times=None if fault.dies else 1):
            yield lambda: INJECTED.total() > before
        if fault.dies and INJECTED.total() > before:
            self._saver = None


class Baton:
    """Lets one of two workers send requests at a time. The seed says when it is handed over."""

    def __init__(self, seed: int) -> None:
        self._chances = [random.Random(f"{seed} {number}") for number in range(2)]
        self._holder = 0
        self._ended: set[int] = set()
        self._changed = threading.Condition()

    def gate(self, number: int) -> Callable[[], None]:
        """What a worker asks before each request."""
        return lambda: self._wait(number)

    def _wait(self, number: int) -> None:
        with self._changed:
            self._get(number)
            if self._chances[number].random() < 0.3:
                self._holder = 1 - number
                self._changed.notify_all()
                self._get(number)

    def _get(self, number: int) -> None:
        free = self._changed.wait_for(lambda: self._holder == number or 1 - number in self._ended, SECONDS)
        assert free, "the other worker neither ends nor sends a request"

    def end(self, number: int) -> None:
        """A worker has ended."""
        with self._changed:
            self._ended.add(number)
            self._changed.notify_all()


def apart(*jobs: Callable[[], object]) -> None:
    """Do jobs at once, each in a thread that knows nothing of the run in which this one may be."""
    failures: list[BaseException] = []

    def work(job: Callable[[], object]) -> None:
        try:
            Context().run(job)
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
