"""Pending writes: kept or replaced by LangGraph's rules, in its order, however many and however large."""

from __future__ import annotations

import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from threading import Barrier
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.base import WRITES_IDX_MAP, writes_sort_key
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import CorruptDataError
from tests.conftest import MakeSaver
from tests.factories import USER, config, generated, items_of, noise, put, read, sort_keys
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SPECIAL = sorted(WRITES_IDX_MAP)


def pending(saver: DynamoDBConversationSaver | InMemorySaver, number: int = 1) -> list[Any]:
    return list(read(saver, config(number=number)).pending_writes or [])


@pytest.fixture
def saver(make_saver: MakeSaver) -> DynamoDBConversationSaver:
    """A saver, and one checkpoint."""
    made = make_saver(transcript=False)
    put(made, 1, {"a": 1})
    return made


def test_writes_come_back_with_their_task_and_channel(saver: DynamoDBConversationSaver) -> None:
    saver.put_writes(config(number=1), [("a", 1), ("b", [None, {"x": b"y"}]), ("a", 2)], "task")

    assert pending(saver) == [("task", "a", 1), ("task", "b", [None, {"x": b"y"}]), ("task", "a", 2)]


def test_writes_of_tasks_come_in_sort_key_order_and_not_in_the_order_they_arrived(
    saver: DynamoDBConversationSaver,
) -> None:
    tasks = [(f"~__pregel_{kind}, {number}", f"{kind}{number}") for kind in ("pull", "push") for number in range(12)]
    random.Random(1).shuffle(tasks)
    for path, task in tasks:
        saver.put_writes(config(number=1), [("a", path), ("b", path)], task, path)
    keys = sorted(
        ((path, task, index) for path, task in tasks for index in (0, 1)), key=lambda key: writes_sort_key(*key)
    )

    assert pending(saver) == [(task, "ab"[index], path) for path, task, index in keys]


def test_more_than_ten_writes_of_a_task_stay_in_order(saver: DynamoDBConversationSaver) -> None:
    saver.put_writes(config(number=1), [("a", number) for number in range(25)], "task")

    assert [value for _, _, value in pending(saver)] == list(range(25))


def test_regular_writes_are_kept_and_new_ones_added(saver: DynamoDBConversationSaver) -> None:
    saver.put_writes(config(number=1), [("a", "first")], "task")
    saver.put_writes(config(number=1), [("b", "second"), ("c", "third")], "task")

    assert pending(saver) == [("task", "a", "first"), ("task", "c", "third")]


@pytest.mark.parametrize("channel", SPECIAL)
def test_special_writes_are_replaced(saver: DynamoDBConversationSaver, channel: str) -> None:
    saver.put_writes(config(number=1), [(channel, "first")], "task")
    saver.put_writes(config(number=1), [(channel, "second")], "task")

    assert pending(saver) == [("task", channel, "second")]


def test_special_writes_of_a_task_do_not_displace_each_other(saver: DynamoDBConversationSaver) -> None:
    for channel in SPECIAL:
        saver.put_writes(config(number=1), [(channel, channel)], "task")
    saver.put_writes(config(number=1), [("a", 1)], "task")

    assert sorted(pending(saver)) == sorted([("task", "a", 1), *(("task", channel, channel) for channel in SPECIAL)])


def test_a_regular_write_keeps_its_index_beside_special_ones(saver: DynamoDBConversationSaver) -> None:
    memory = InMemorySaver()
    put(memory, 1, {"a": 1})
    for one in (saver, memory):
        one.put_writes(config(number=1), [(SPECIAL[0], 0), ("a", 1), (SPECIAL[1], 2), ("b", 3)], "task")
        one.put_writes(config(number=1), [("c", 4), ("c", 5), ("c", 6)], "task")

    assert pending(saver) == pending(memory)


def test_no_writes_are_no_request(saver: DynamoDBConversationSaver, client: DynamoDBClient) -> None:
    with RequestLog(client) as log:
        saver.put_writes(config(number=1), [], "task")

    assert log.operations == []
    assert pending(saver) == []


def test_writes_are_one_request(saver: DynamoDBConversationSaver, client: DynamoDBClient) -> None:
    with RequestLog(client) as log:
        saver.put_writes(config(number=1), [("a", number) for number in range(60)], "task")

    assert log.operations == ["UpdateItem"]


def test_writes_can_arrive_before_their_checkpoint(make_saver: MakeSaver) -> None:
    saver = make_saver()
    saver.put_writes(config(number=1), [("a", 1)], "task")
    assert saver.get_tuple(config()) is None
    put(saver, 1, {"a": 0})
    saver.put_writes(config(number=2), [("a", 2)], "task")

    for reader in (saver, make_saver()):
        assert read(reader).config == config(number=1)
        assert read(reader).pending_writes == [("task", "a", 1)]


def test_many_early_writes_do_not_hide_those_of_the_newest_checkpoint(saver: DynamoDBConversationSaver) -> None:
    saver.put_writes(config(number=1), [("a", 1)], "task")
    for number in range(2, 12):
        saver.put_writes(config(number=number), [("a", number)], "task")

    assert read(saver).pending_writes == [("task", "a", 1)]


def test_writes_belong_to_one_checkpoint_and_namespace(saver: DynamoDBConversationSaver) -> None:
    put(saver, 2, {"a": 2}, parent=1)
    put(saver, 1, {"a": 1}, at=config(ns="sub"))
    saver.put_writes(config(number=1), [("a", "one")], "task")
    saver.put_writes(config(number=2), [("a", "two")], "task")
    saver.put_writes(config(number=1, ns="sub"), [("a", "sub")], "task")

    assert pending(saver, 1) == [("task", "a", "one")]
    assert pending(saver, 2) == [("task", "a", "two")]
    assert read(saver, config(ns="sub")).pending_writes == [("task", "a", "sub")]


@pytest.mark.engine("dynamodb-local")  # moto takes seconds for each of these requests
def test_a_thousand_writes_of_one_task(saver: DynamoDBConversationSaver, client: DynamoDBClient) -> None:
    writes = [("a", {"number": number}) for number in range(1000)]
    with RequestLog(client) as log:
        saver.put_writes(config(number=1), writes, "task")

    assert log.operations == ["UpdateItem"]
    assert pending(saver) == [("task", *write) for write in writes]


def test_more_writes_than_fit_into_an_update_can_be_sent_again(saver: DynamoDBConversationSaver) -> None:
    writes = [("a", number) for number in range(70)]
    saver.put_writes(config(number=1), writes, "task")
    saver.put_writes(config(number=1), [*[("a", "other")] * 70, ("b", 1)], "task")

    assert pending(saver) == [("task", "a", number) for number in range(70)] + [("task", "b", 1)]


def test_many_writes_join_those_that_are_there(saver: DynamoDBConversationSaver) -> None:
    saver.put_writes(config(number=1), [("a", "first"), (SPECIAL[0], "old")], "task")
    saver.put_writes(config(number=1), [("a", number) for number in range(100)], "task")

    assert [value for _, channel, value in pending(saver) if channel == "a"] == ["first", *range(1, 100)]


def test_writes_of_a_task_that_has_a_bundle_join_it(saver: DynamoDBConversationSaver) -> None:
    saver.put_writes(config(number=1), [(SPECIAL[0], "old"), *(("a", number) for number in range(1, 100))], "task")
    saver.put_writes(config(number=1), [("b", "first"), ("b", "second"), (SPECIAL[0], "new")], "task")
    saver.put_writes(config(number=1), [("c", number) for number in range(200)], "task")

    regular = [
        ("task", "b", "first"),
        *(("task", "a", n) for n in range(1, 100)),
        *(("task", "c", n) for n in range(100, 200)),
    ]
    assert pending(saver) == [("task", SPECIAL[0], "new"), *regular]


def test_what_a_bundle_has_is_not_stored_again(saver: DynamoDBConversationSaver, client: DynamoDBClient) -> None:
    writes = [("a", number) for number in range(100)]
    saver.put_writes(config(number=1), writes, "task")
    with RequestLog(client) as log:
        saver.put_writes(config(number=1), writes, "task")

    assert [(one.operation, one.error) for one in log.requests] == [("UpdateItem", "ConditionalCheckFailedException")]


@pytest.mark.parametrize("writes", [[(SPECIAL[0], 1)], [("a", 1)], [("a", 1), (SPECIAL[0], 1)]], ids=str)
def test_few_writes_are_one_request_also_of_a_task_that_has_a_bundle(
    saver: DynamoDBConversationSaver, client: DynamoDBClient, writes: list[Any]
) -> None:
    saver.put_writes(config(number=1), [("a", number) for number in range(100)], "task")
    with RequestLog(client) as log:
        saver.put_writes(config(number=1), writes, "task")

    assert [(one.operation, one.error) for one in log.requests] == [("UpdateItem", None)]


CALL = st.lists(
    st.tuples(
        st.sampled_from([*"ab" * 30, *SPECIAL]),
        st.integers(0, 3),
        st.sampled_from([1, 1, 1, 20_000]),
        st.sampled_from([1, 1, 1, 2, 58, 61, 300]),
    ),
    min_size=1,
    max_size=5,
)
"""Runs of equal writes: channel, value, its bytes, how many."""


@settings(generated, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(CALL, min_size=1, max_size=5))
@pytest.mark.engine("memory")
def test_calls_with_few_and_many_writes_give_what_the_in_memory_saver_gives(
    saver: DynamoDBConversationSaver, calls: list[list[tuple[str, int, int, int]]]
) -> None:
    memory, at = InMemorySaver(), config(uuid4().hex, 1)
    for one in (saver, memory):
        put(one, 1, {"a": 1}, at=config(at["configurable"]["thread_id"]))
    for number, call in enumerate(calls):
        writes = [
            (channel, noise(size, seed + 10 * number)) for channel, seed, size, count in call for _ in range(count)
        ]
        for one in (saver, memory):
            one.put_writes(at, writes, "task", f"path {number % 2}")

    assert read(saver, at).pending_writes == read(memory, at).pending_writes


@pytest.mark.engine_matters
@pytest.mark.parametrize("attempt", range(5))
def test_calls_at_once_for_one_task_act_one_after_the_other(make_saver: MakeSaver, attempt: int) -> None:
    counts = [3, 70, 100, 2]
    calls = [[(f"channel {caller}", index) for index in range(count)] for caller, count in enumerate(counts)]
    savers = [make_saver(transcript=False) for _ in calls]
    put(savers[0], 1, {"a": 1})
    together = Barrier(len(calls))

    def call(saver: DynamoDBConversationSaver, writes: list[Any]) -> None:
        together.wait()
        saver.put_writes(config(number=1), writes, "task")

    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(call, savers, calls))
    found = [(channel, value) for _, channel, value in pending(savers[0])]
    assert found in [merged(order) for order in permutations(calls)]


def merged(calls: Iterable[list[Any]]) -> list[Any]:
    """The writes of calls, the first at each index."""
    kept: dict[int, Any] = {}
    for writes in calls:
        kept = {**dict(enumerate(writes)), **kept}
    return [kept[index] for index in sorted(kept)]


@pytest.mark.engine("dynamodb-local")
@pytest.mark.parametrize(("count", "size"), [(1000, 700), (200, 3000), (20, 200_000), (1, 2_000_000)])
def test_writes_that_do_not_fit_into_an_item_together(make_saver: MakeSaver, count: int, size: int) -> None:
    saver = make_saver(transcript=False)
    put(saver, 1, {"a": 1})
    writes = [("a", noise(size, number)) for number in range(count)]
    saver.put_writes(config(number=1), writes, "task")

    assert pending(make_saver(cache_bytes=0)) == [("task", *write) for write in writes]


def test_writes_that_fill_an_item_little_by_little(saver: DynamoDBConversationSaver) -> None:
    writes = [("a", noise(40_000, number)) for number in range(15)]
    for count in range(3, 18, 3):
        saver.put_writes(config(number=1), writes[:count], "task")

    assert pending(saver) == [("task", *write) for write in writes]


def test_a_large_write_and_the_state_that_holds_it_share_its_bytes(
    saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
) -> None:
    value = noise(500_000)
    saver.put_writes(config(number=1), [("a", [value])], "task")
    put(saver, 2, {"a": [value]}, parent=1)

    assert len(sort_keys(items_of(client, table_name), "p")) == 2
    assert read(saver).checkpoint["channel_values"] == {"a": [value]}


@pytest.mark.parametrize("task", ["", "#", "t#1", "é", "~", "%23", "t" * 500, "a/b c"])
def test_any_text_can_be_a_task_id(saver: DynamoDBConversationSaver, task: str) -> None:
    saver.put_writes(config(number=1), [("a", 1)], task, "path")
    saver.put_writes(config(number=1), [("a", 2)], "other", "path")

    assert sorted(pending(saver)) == sorted([(task, "a", 1), ("other", "a", 2)])


def test_a_damaged_write_is_an_error_that_names_it(
    saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver.put_writes(config(number=1), [("a", 1)], "task")
    item = next(item for item in items_of(client, table_name) if "#w#" in item["user_id"]["S"])
    item["w0"] = {"B": item["w0"]["B"][:-1]}
    client.put_item(TableName=table_name, Item=item)

    with pytest.raises(CorruptDataError, match="task/w0"):
        saver.get_tuple(config())


@pytest.mark.parametrize("size", [1, 10_000], ids=["in the item", "as a blob"])
def test_a_damaged_bundle_is_an_error_that_names_it(
    saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str, size: int
) -> None:
    saver.put_writes(config(number=1), [("a", noise(size, number)) for number in range(100)], "task")
    kind = "w" if size == 1 else "p"
    item = next(item for item in items_of(client, table_name) if f"#{kind}#" in item["user_id"]["S"])
    name = "b0" if size == 1 else "d"
    client.put_item(TableName=table_name, Item={**item, name: {"B": item[name]["B"][:-1]}})

    with pytest.raises(CorruptDataError, match="task/b0" if size == 1 else "parts of a value are missing or damaged"):
        saver.get_tuple(config())
    assert not saver.conversations.verify("thread", USER).ok


def test_writes_need_a_checkpoint(saver: DynamoDBConversationSaver) -> None:
    with pytest.raises(ValueError, match="put_writes needs a config with thread_id and checkpoint_id"):
        saver.put_writes(config(), [("a", 1)], "task")
    with pytest.raises(ValueError, match="put_writes needs"):
        saver.put_writes({"configurable": {"user_id": "demo", "checkpoint_id": "1"}}, [("a", 1)], "task")
