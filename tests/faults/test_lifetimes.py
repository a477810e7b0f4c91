"""Calls that are cancelled, loops and processes that end or fork with calls under way, closed clients and savers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.factories import USER, checkpoint, config, noise, put, values_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.conftest import MakeSaver
    from tests.engines import Engine

WAIT_SECONDS = 60


class Gate:
    """Holds request number `at` of a client until it is opened, before it is sent or after it was answered."""

    def __init__(self, client: DynamoDBClient, moment: str, at: int) -> None:
        self.reached, self._opened = threading.Event(), threading.Event()
        self._count, self._at, self._lock = 0, at, threading.Lock()
        self._events, self._name = client.meta.events, f"{moment}.dynamodb"

    def __enter__(self) -> Gate:
        self._events.register(self._name, self._pass)
        return self

    def __exit__(self, *_: object) -> None:
        self.open()
        self._events.unregister(self._name, self._pass)

    def open(self) -> None:
        self._opened.set()

    def _pass(self, **_: object) -> None:
        with self._lock:
            self._count += 1
            mine = self._count == self._at
        if mine:
            self.reached.set()
            assert self._opened.wait(WAIT_SECONDS)


MESSAGES = [HumanMessage("question", id="q"), AIMessage("answer", id="a")]
LARGE = {"messages": MESSAGES, "document": noise(60_000)}


def store(saver: DynamoDBConversationSaver) -> Awaitable[object]:
    return saver.aput(config(number=1, run_id="run"), checkpoint(2, LARGE), {"step": 2, "source": "loop"}, {})


def write(saver: DynamoDBConversationSaver) -> Awaitable[object]:
    return saver.aput_writes(config(number=1), [("a", 1), ("b", noise(60_000, 2))], "task")


def rename(saver: DynamoDBConversationSaver) -> Awaitable[object]:
    return saver.conversations.arename("thread", USER, "new title")


def add(saver: DynamoDBConversationSaver) -> Awaitable[object]:
    return saver.conversations.aadd_message("thread", "user", "more", user_id=USER, message_id="more")


def prune(saver: DynamoDBConversationSaver) -> Awaitable[object]:
    return saver.aprune(["thread"])


def delete(saver: DynamoDBConversationSaver) -> Awaitable[object]:
    return saver.adelete_thread("thread")


Call = Callable[[DynamoDBConversationSaver], Awaitable[object]]


def begun(saver: DynamoDBConversationSaver) -> None:
    saver.delete_thread("thread")
    put(saver, 1, {"messages": MESSAGES[:1]}, metadata={"source": "input"})


def outcome(saver: DynamoDBConversationSaver) -> Any:
    """All that can be read: states and writes without what is new at every call, and the transcript.

    A state that two calls at once have stored, under two ids, counts once.
    """
    states = ((one.checkpoint["channel_values"], one.pending_writes) for one in saver.list(config()))
    found = [state for state, _ in groupby(states)]
    row = saver.conversations.latest(USER)
    chat = saver.conversations.get("thread", USER) if row else None
    said = [(one.role, one.content) for one in chat.messages] if chat else None
    assert chat is None or saver.conversations.verify("thread", USER).ok
    return found, said, chat.title if chat else None


async def cancelled_at(saver: DynamoDBConversationSaver, gate: Gate, call: Call) -> bool:
    """Cancel a call while one of its requests is held, and repeat it at once; whether there was such a request."""
    task = asyncio.ensure_future(call(saver))
    reached = asyncio.get_running_loop().run_in_executor(None, gate.reached.wait, WAIT_SECONDS)
    await asyncio.wait([task, reached], return_when=asyncio.FIRST_COMPLETED)
    if not gate.reached.is_set():
        gate.reached.set()
        await asyncio.gather(task, reached)
        return False
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open()
    await call(saver)
    return True


@pytest.mark.engine("memory")
@pytest.mark.parametrize("moment", ["before-call", "after-call"])
@pytest.mark.parametrize("call", [store, write, rename, add, prune, delete], ids=lambda call: call.__name__)
def test_a_call_that_is_cancelled_at_any_request_and_repeated_acts_once(
    engine: Engine, make_saver: MakeSaver, call: Call, moment: str
) -> None:
    client = engine.client()
    begun(make_saver())
    asyncio.run(call(make_saver()))  # type: ignore[arg-type]
    expected, held = outcome(make_saver()), 0
    while True:
        begun(make_saver())
        saver = make_saver(client=client)
        with Gate(client, moment, held + 1) as gate:
            reached = asyncio.run(cancelled_at(saver, gate, call))
        saver.close()  # waits for the call that was cancelled
        assert outcome(make_saver()) == expected
        if not reached:
            break
        held += 1
    assert held >= 1
    client.close()


@pytest.mark.engine("memory")
def test_a_call_that_is_cancelled_before_its_turn_does_nothing(engine: Engine, make_saver: MakeSaver) -> None:
    client = engine.client(max_pool_connections=1)
    saver = make_saver(client=client)

    async def crowd(gate: Gate) -> None:
        first = asyncio.ensure_future(saver.aput(config(), checkpoint(1, {"a": 1}), {}, {}))
        await asyncio.get_running_loop().run_in_executor(None, gate.reached.wait, WAIT_SECONDS)
        second = asyncio.ensure_future(saver.aput(config("other"), checkpoint(1, {"a": 1}), {}, {}))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.open()
        await first

    with Gate(client, "before-call", 1) as gate:
        asyncio.run(crowd(gate))
    saver.close()
    assert values_of(make_saver()) == {"a": 1}
    assert make_saver().get_tuple(config("other")) is None
    client.close()


@pytest.mark.engine("memory")
def test_a_loop_may_end_with_calls_under_way_and_the_next_loop_goes_on(engine: Engine, make_saver: MakeSaver) -> None:
    client = engine.client()
    saver = make_saver(client=client)

    async def leave(gate: Gate) -> None:
        call = asyncio.ensure_future(saver.aput(config(), checkpoint(1, {"a": 1}), {}, {}))
        await asyncio.get_running_loop().run_in_executor(None, gate.reached.wait, WAIT_SECONDS)
        assert not call.done()

    async def go_on() -> Any:
        await saver.aput(config(number=1), checkpoint(2, {"a": 2}), {}, {})
        return await saver.aget_tuple(config())

    with Gate(client, "before-call", 1) as gate:
        asyncio.run(leave(gate))
    assert asyncio.run(go_on()).checkpoint["channel_values"] == {"a": 2}
    saver.close()
    assert values_of(make_saver(), config(number=1)) == {"a": 1}
    client.close()


def test_a_saver_works_after_its_client_was_closed(engine: Engine, make_saver: MakeSaver) -> None:
    client = engine.client()
    saver = make_saver(client=client)
    put(saver, 1, {"a": noise(800_000)})
    client.close()

    put(saver, 2, {"a": noise(800_000, 2)}, parent=1)
    assert values_of(saver) == values_of(make_saver()) == {"a": noise(800_000, 2)}
    client.close()


async def test_a_saver_works_after_it_was_closed(make_saver: MakeSaver) -> None:
    saver = make_saver()
    await saver.aput(config(), checkpoint(1, {"a": noise(800_000)}), {}, {})
    saver.close()
    saver.close()

    await saver.aput(config(number=1), checkpoint(2, {"a": 2}), {}, {})
    assert values_of(saver) == values_of(make_saver()) == {"a": 2}


def run_program(engine: Engine, table_name: str, what: str) -> subprocess.CompletedProcess[str]:
    # Python warns of forks with threads; this one is on purpose.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.faults.forking"]
    command += [str(engine.endpoint_url), table_name, what, "thread"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=4 * WAIT_SECONDS)


@pytest.mark.engine("dynamodb-local")
def test_a_forked_process_has_threads_and_connections_of_its_own(
    engine: Engine, table_name: str, make_saver: MakeSaver
) -> None:
    ended = run_program(engine, table_name, "fork")

    assert (ended.returncode, ended.stderr) == (0, "")
    for name in ("thread", "thread x", "thread xx"):
        assert values_of(make_saver(), config(name))["name"] == name


@pytest.mark.engine("dynamodb-local")
def test_a_process_that_ends_with_writes_under_way_leaves_each_whole_or_not_there(
    engine: Engine, table_name: str, make_saver: MakeSaver
) -> None:
    ended = run_program(engine, table_name, "exit")

    assert ended.returncode == 0, ended.stderr
    for number in range(1, 31):
        found = make_saver().get_tuple(config(f"thread {number}"))
        assert found is None or found.checkpoint["channel_values"]["large"] == noise(800_000, number)
