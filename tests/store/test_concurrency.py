"""One saver in many threads and tasks, and many savers on one conversation.

Where the engine must answer many at once it is DynamoDB Local: moto answers one request at a time.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._storage.underway import Underway
from tests.conftest import MakeSaver
from tests.engines import Engine
from tests.factories import USER, checkpoint, checkpoint_id, config, items_of, noise, put, read, values_of
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.engine_matters

THREADS = 16
TASKS = 50
CALLERS = int(os.environ.get("CONCURRENT_CONVERSATIONS", "40"))
CONNECTIONS = 4


def at_once(count: int, work: Callable[[int], object]) -> None:
    """Run so many calls at once, each in a thread of its own, that start together."""
    barrier = threading.Barrier(count)

    def start(number: int) -> object:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(start, range(count)))


def converse(saver: DynamoDBConversationSaver, thread: str, steps: int = 5) -> None:
    messages: list[Any] = []
    for number in range(1, steps + 1):
        messages.append(HumanMessage(f"{thread} {number}", id=str(number)))
        at = config(thread)
        assert [m.content for m in (values_of(saver, at)["messages"] if number > 1 else [])] == [
            m.content for m in messages[:-1]
        ]
        put(saver, number, {"messages": messages}, at=at, parent=number - 1 or None)
        saver.put_writes(config(thread, number), [("a", number), ("b", thread)], "task")


@pytest.mark.engine("dynamodb-local")
def test_many_threads_share_a_saver(make_saver: MakeSaver) -> None:
    saver = make_saver()
    at_once(THREADS, lambda number: converse(saver, f"thread-{number}"))

    for number in range(THREADS):
        found = read(make_saver(), config(f"thread-{number}"))
        assert [m.content for m in found.checkpoint["channel_values"]["messages"]] == [
            f"thread-{number} {step}" for step in range(1, 6)
        ]
        assert found.pending_writes == [("task", "a", 5), ("task", "b", f"thread-{number}")]
        assert len(list(saver.list(config(f"thread-{number}")))) == 5


@pytest.mark.engine("dynamodb-local")
@pytest.mark.parametrize("caller", ["threads", "tasks"])
def test_many_more_callers_than_connections_wait_their_turn_and_open_no_others(
    make_saver: MakeSaver, engine: Engine, caplog: pytest.LogCaptureFixture, caller: str
) -> None:
    client = engine.client(max_pool_connections=CONNECTIONS)
    saver = make_saver(client=client)

    async def converse_in_task(number: int) -> None:
        for step in (1, 2):
            at = config(f"thread-{number}", step - 1 or None)
            await saver.aput(at, checkpoint(step, {"items": [number, step]}), {"step": step}, {})
            found = await saver.aget_tuple(config(f"thread-{number}"))
            assert found is not None
            assert found.checkpoint["channel_values"] == {"items": [number, step]}

    async def all_tasks() -> None:
        await asyncio.gather(*map(converse_in_task, range(CALLERS)))

    with caplog.at_level("DEBUG", "urllib3.connectionpool"):
        if caller == "tasks":
            asyncio.run(all_tasks())
        else:
            at_once(CALLERS, lambda number: converse(saver, f"thread-{number}", 2))

    opened = [record for record in caplog.records if record.msg.startswith("Starting new HTTP connection")]
    assert len(opened) <= CONNECTIONS
    assert not [record for record in caplog.records if "discarding" in record.msg]
    client.close()


async def test_many_tasks_share_a_saver(make_saver: MakeSaver) -> None:
    saver = make_saver()

    async def work(number: int) -> None:
        thread, items = f"thread-{number}", []
        for step in range(1, 4):
            items.append(f"{number}-{step}")
            at = config(thread, step - 1 or None)
            await saver.aput(at, checkpoint(step, {"items": items}), {"step": step}, {})
            await saver.aput_writes(config(thread, step), [("items", step)], "task")
            found = await saver.aget_tuple(config(thread))
            assert found is not None
            assert found.checkpoint["channel_values"] == {"items": items}
            assert found.pending_writes == [("task", "items", step)]
        assert len([one async for one in saver.alist(config(thread))]) == 3

    await asyncio.gather(*(work(number) for number in range(TASKS)))


def test_tasks_of_one_step_write_at_once(make_saver: MakeSaver) -> None:
    saver = make_saver()
    put(saver, 1, {"a": 1})
    at_once(
        THREADS,
        lambda number: saver.put_writes(
            config(number=1), [("a", number), ("b", noise(50_000, number))], f"t{number:02d}"
        ),
    )

    expected = [
        (f"t{number:02d}", *write)
        for number in range(THREADS)
        for write in (("a", number), ("b", noise(50_000, number)))
    ]
    assert read(make_saver()).pending_writes == expected


@pytest.mark.engine("dynamodb-local")
def test_threads_of_one_process_refuse_each_other_no_write_of_a_row(
    make_saver: MakeSaver, client: DynamoDBClient
) -> None:
    saver = make_saver()
    conversation = saver.conversations.create(USER).conversation_id
    saver.conversations.get(conversation, USER)
    with RequestLog(client) as log:
        at_once(THREADS, lambda number: saver.conversations.rename(conversation, USER, f"title {number}"))

    assert [request.error for request in log.requests] == [None] * THREADS
    assert log.operations == ["UpdateItem"] * THREADS


def test_a_thread_that_writes_a_row_does_not_wait_for_itself_and_not_long_for_others() -> None:
    underway: Underway[str] = Underway()
    with underway.alone("row"), underway.alone("row"), ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        pool.submit(underway.wait, "another row", 5).result()
        assert time.monotonic() - began < 0.2
        pool.submit(underway.wait, "row", 0.2).result()
        assert time.monotonic() - began >= 0.2


def test_the_first_of_equal_writes_at_once_stays(make_saver: MakeSaver) -> None:
    savers = [make_saver() for _ in range(THREADS)]
    put(savers[0], 1, {"a": 1})
    at_once(THREADS, lambda number: savers[number].put_writes(config(number=1), [("a", number), ("b", number)], "task"))
    first, second = read(make_saver()).pending_writes or []

    assert (first[:2], second[:2]) == (("task", "a"), ("task", "b"))
    assert first[2] == second[2]


def test_two_savers_go_on_from_one_checkpoint(make_saver: MakeSaver) -> None:
    one, two = make_saver(), make_saver()
    items = [noise(500, number).hex() for number in range(30)]
    for number in range(1, 31):
        put(one, number, {"items": items[:number]}, parent=number - 1 or None)
    two.get_tuple(config())
    for step in range(1, 30):
        put(one, 30 + 2 * step, {"items": [*items, *["one"] * step]}, parent=28 + 2 * step)
        put(two, 31 + 2 * step, {"items": [*items, *["two"] * step]}, parent=30 if step == 1 else 29 + 2 * step)

    for reader in (one, two, make_saver()):
        assert values_of(reader)["items"] == [*items, *["two"] * 29]
        assert values_of(reader, config(number=88))["items"] == [*items, *["one"] * 29]
        assert values_of(reader, config(number=50))["items"] == [*items, *["one"] * 10]


def test_many_savers_put_children_of_one_checkpoint_at_once(make_saver: MakeSaver) -> None:
    savers = [make_saver() for _ in range(THREADS)]
    put(savers[0], 1, {"items": [0]})
    at_once(THREADS, lambda number: put(savers[number], 2 + number, {"items": [0, number]}, parent=1))

    for number in range(THREADS):
        assert values_of(make_saver(), config(number=2 + number)) == {"items": [0, number]}


def test_the_same_checkpoint_put_at_once_is_stored_once(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver = make_saver(transcript=False)
    put(saver, 1, {"items": [1]})
    at_once(THREADS, lambda _: put(saver, 2, {"items": [1, 2]}, parent=1))

    assert values_of(make_saver()) == {"items": [1, 2]}
    assert len([item for item in items_of(client, table_name) if "#c#" in item["user_id"]["S"]]) == 2


def test_a_saver_reads_what_another_has_just_put(make_saver: MakeSaver) -> None:
    one, two = make_saver(), make_saver()
    items: list[str] = []
    for number in range(1, 41):
        writer, reader = (one, two) if number % 3 else (two, one)
        items.append(noise(400, number).hex())
        put(writer, number, {"items": items}, parent=number - 1 or None)
        assert values_of(reader) == {"items": items}
        items = values_of(reader)["items"]


def test_a_saver_notices_that_another_put_another_content(make_saver: MakeSaver) -> None:
    one, two = make_saver(), make_saver()
    put(one, 1, {"items": [1]})
    put(one, 2, {"items": [1, 2]}, parent=1)
    put(two, 2, {"items": ["other"]}, parent=1)

    assert values_of(one) == {"items": ["other"]}
    put(one, 3, {"items": ["other", 3]}, parent=2)
    assert values_of(two) == values_of(make_saver()) == {"items": ["other", 3]}


def test_reading_while_others_write_gives_one_state_or_the_next(make_saver: MakeSaver) -> None:
    writer, reader, seen = make_saver(transcript=False), make_saver(), []
    put(writer, 1, {"count": 1, "items": [0]})

    def write(_: int) -> None:
        for number in range(2, 41):
            put(writer, number, {"count": number, "items": list(range(number))}, parent=number - 1)

    def look(_: int) -> None:
        for _ in range(20):
            values = values_of(reader)
            seen.append(values["count"])
            assert values["items"] == list(range(values["count"]))

    at_once(4, lambda number: write(number) if number == 0 else look(number))
    assert len(seen) == 60
    assert set(seen) <= set(range(1, 41))


async def test_every_async_twin_gives_what_its_sync_call_gives(make_saver: MakeSaver) -> None:
    saver = make_saver()
    at = await saver.aput(config(run_id="r"), checkpoint(1, {"a": 1}), {"step": 1}, {})
    assert at == config(number=1)
    await saver.aput(config(number=1, run_id="s"), checkpoint(2, {"a": 2}), {"step": 2}, {})
    await saver.aput_writes(config(number=1), [("a", 1)], "task", "path")

    assert await saver.aget_tuple(config()) == saver.get_tuple(config())
    assert await saver.aget(config()) == saver.get(config())
    assert await saver.aget_tuple(config("none")) is None
    assert [one async for one in saver.alist(config())] == list(saver.list(config()))
    assert [one async for one in saver.alist(config(), limit=1, filter={"step": 1})] == list(
        saver.list(config(), filter={"step": 1})
    )
    assert [one async for one in saver.alist(config(), before=config(number=2))] == list(
        saver.list(config(), before=config(number=2))
    )
    assert [one async for one in saver.alist(None)] == list(saver.list(None))
    assert await saver.aget_delta_channel_history(config=config(), channels=["a"]) == saver.get_delta_channel_history(
        config=config(), channels=["a"]
    )
    assert await saver.aresume("demo") == saver.resume("demo")
    await saver.acopy_thread("thread", "copy")
    assert values_of(saver, config("copy")) == {"a": 2}
    await saver.adelete_for_runs(["r"])
    assert [one.config["configurable"]["checkpoint_id"] for one in saver.list(config())] == [checkpoint_id(2)]
    await saver.aprune(["copy"])
    assert len(list(saver.list(config("copy")))) == 1
    await saver.adelete_thread("copy")
    assert saver.get_tuple(config("copy")) is None


async def test_a_history_can_be_left_early_in_a_task(saver: DynamoDBConversationSaver) -> None:
    for number in range(1, 31):
        await saver.aput(config(number=number - 1 or None), checkpoint(number, {"a": number}), {}, {})
    async for one in saver.alist(config()):
        assert one.checkpoint["channel_values"] == {"a": 30}
        break


async def test_errors_reach_the_task(saver: DynamoDBConversationSaver) -> None:
    with pytest.raises(ValueError, match="a user_id is"):
        await saver.aget_tuple(config(user_id="a#b"))
    with pytest.raises(ValueError, match="a user_id is"):
        async for _ in saver.alist(config(user_id="a#b")):
            pass


def test_a_failure_that_is_stored_while_the_row_follows_its_checkpoint_is_shown(
    make_saver: MakeSaver, client: DynamoDBClient
) -> None:
    saver = make_saver()
    once = iter([True])

    def fail_meanwhile(**_: object) -> None:
        if next(once, False):
            saver.put_writes(config(number=1), [("__error__", "out of order")], "task")

    client.meta.events.register("before-call.dynamodb.UpdateItem", fail_meanwhile)
    put(saver, 1, {"branch:to:worker": None, "seen": ["in"]})

    assert saver.conversations.list(USER)[0].status == "failed"
