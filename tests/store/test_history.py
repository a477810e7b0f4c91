"""Many checkpoints: in order, filtered, bounded, for few requests; and what a `DeltaChannel` replays."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base import BaseCheckpointSaver

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import ConversationNotFoundError
from tests.conftest import MakeSaver
from tests.factories import checkpoint, config, noise, put
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def numbers(found: Any) -> list[int]:
    return [int(one.config["configurable"]["checkpoint_id"][2:8], 16) for one in found]


def grow(saver: DynamoDBConversationSaver, count: int, *, size: int = 20, first: int = 1) -> list[str]:
    """A thread of so many checkpoints, each with an element more and a write."""
    items: list[str] = []
    for number in range(first, first + count):
        items.append(noise(size, number).hex())
        put(saver, number, {"items": items}, parent=number - 1 if number > first else None)
        saver.put_writes(config(number=number), [("items", number)], "task")
    return items


def test_history_is_newest_first_and_whole(make_saver: MakeSaver) -> None:
    items = grow(make_saver(), 60)
    found = list(make_saver().list(config()))

    assert numbers(found) == list(range(60, 0, -1))
    for number, one in zip(range(60, 0, -1), found, strict=True):
        assert one.checkpoint["channel_values"] == {"items": items[:number]}
        assert one.pending_writes == [("task", "items", number)]
        assert one.parent_config == (config(number=number - 1) if number > 1 else None)
        assert one.metadata["step"] == number


@pytest.mark.engine("dynamodb-local")
def test_history_of_200_checkpoints_is_at_most_five_requests(make_saver: MakeSaver, client: DynamoDBClient) -> None:
    grow(make_saver(transcript=False), 200, size=500)
    reader = make_saver()
    with RequestLog(client) as log:
        assert len(list(reader.list(config()))) == 200

    assert len(log) <= 5
    assert set(log.operations) == {"Query"}


def test_a_bounded_history_reads_little(make_saver: MakeSaver, client: DynamoDBClient) -> None:
    grow(make_saver(transcript=False), 60)
    reader = make_saver()
    with RequestLog(client) as log:
        assert numbers(reader.list(config(), limit=3)) == [60, 59, 58]

    assert len(log) <= 4


@pytest.mark.parametrize(
    ("limit", "before", "expected"),
    [
        (None, 4, [3, 2, 1]),
        (2, None, [9, 8]),
        (0, None, []),
        (2, 4, [3, 2]),
        (99, 99, [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        (None, 1, []),
    ],
)
def test_a_history_can_be_bounded(
    saver: DynamoDBConversationSaver, limit: int | None, before: int | None, expected: list[int]
) -> None:
    grow(saver, 9)
    bound = None if before is None else config(number=before)

    assert numbers(saver.list(config(), limit=limit, before=bound)) == expected


def test_a_history_can_be_filtered_by_metadata(saver: DynamoDBConversationSaver) -> None:
    for number in range(1, 7):
        put(saver, number, {}, parent=number - 1 or None, metadata={"even": number % 2 == 0, "tags": [number]})

    assert numbers(saver.list(config(), filter={"even": True})) == [6, 4, 2]
    assert numbers(saver.list(config(), filter={"even": True}, limit=2)) == [6, 4]
    assert numbers(saver.list(config(), filter={"tags": [3]})) == [3]
    assert numbers(saver.list(config(), filter={"even": True, "step": 3})) == []
    assert numbers(saver.list(config(), filter={"absent": None})) == [6, 5, 4, 3, 2, 1]
    assert numbers(saver.list(config(), filter={"absent": 1})) == []


def test_a_config_with_a_checkpoint_lists_that_alone(saver: DynamoDBConversationSaver) -> None:
    grow(saver, 30)

    assert numbers(saver.list(config(number=7))) == [7]
    assert numbers(saver.list(config(number=99))) == []


def test_all_namespaces_are_listed_where_none_is_named(saver: DynamoDBConversationSaver) -> None:
    for ns in ("", "sub:1", "n" * 500):
        put(saver, 1, {"a": ns}, at=config(ns=ns))
        put(saver, 2, {"a": ns}, at=config(ns=ns), parent=1)
    found = list(saver.list({"configurable": {"thread_id": "thread", "user_id": "demo"}}))

    assert sorted(
        (one.config["configurable"]["checkpoint_ns"], one.checkpoint["channel_values"]["a"]) for one in found
    ) == sorted((ns, ns) for ns in ("", "", "sub:1", "sub:1", "n" * 500, "n" * 500))
    assert numbers(saver.list(config(ns="sub:1"))) == [2, 1]
    assert len(list(saver.list({"configurable": {"thread_id": "thread", "user_id": "demo"}}, limit=3))) == 3


def test_a_history_can_be_left_early(saver: DynamoDBConversationSaver) -> None:
    grow(saver, 30)

    assert numbers(itertools.islice(saver.list(config()), 2)) == [30, 29]


def test_a_history_of_forks_is_whole(make_saver: MakeSaver) -> None:
    saver = make_saver()
    items = grow(saver, 30)
    put(saver, 31, {"items": [*items[:5], "fork"]}, parent=5)
    put(make_saver(), 32, {"items": [*items[:30], "on"]}, parent=30)
    put(make_saver(), 33, {"items": [*items[:5], "fork", "on"]}, parent=31)
    found = {
        number: one.checkpoint["channel_values"]["items"]
        for one in make_saver().list(config())
        for number in numbers([one])
    }

    assert found[33] == [*items[:5], "fork", "on"]
    assert found[32] == [*items, "on"]
    assert found[31] == [*items[:5], "fork"]
    assert found[30] == items


def test_all_conversations_of_a_user_are_listed(make_saver: MakeSaver) -> None:
    ticks = itertools.count(1_700_000_000)
    saver = make_saver(clock=lambda: next(ticks))
    for thread, user in (("a", "alice"), ("b", "alice"), ("c", "alice2"), ("d", "bob")):
        put(saver, 1, {"messages": [HumanMessage("hi", id="1")]}, at=config(thread, user_id=user))
        put(saver, 2, {"messages": [HumanMessage("hi", id="1")]}, at=config(thread, user_id=user), parent=1)

    def listed(**more: Any) -> list[tuple[str, int]]:
        found = list(saver.list({"configurable": {"user_id": "alice", **more}}))
        return [(one.config["configurable"]["thread_id"], *numbers([one])) for one in found]

    assert listed() == [("b", 2), ("b", 1), ("a", 2), ("a", 1)]
    oldest = saver.conversations.list("alice")[-1]
    assert listed(created_at=oldest.created_at) == [("a", 2), ("a", 1)]
    assert listed(created_at="1999") == []


def test_the_whole_table_is_listed_without_a_config(saver: DynamoDBConversationSaver) -> None:
    expected = set()
    for thread, user, ns in itertools.product(("a", "b"), ("alice", "bob"), ("", "sub")):
        put(saver, 1, {"a": 1}, at=config(thread, user_id=user, ns=ns, run_id="run"))
        expected.add((thread, user, ns))
    found = [one.config["configurable"] for one in saver.list(None)]

    assert len(found) == len(expected)
    assert {(one["thread_id"], one["user_id"], one["checkpoint_ns"]) for one in found} == expected
    assert len(list(saver.list(None, limit=3))) == 3
    assert list(saver.list(None, filter={"user_id": "carol"})) == []


def test_a_user_without_a_thread_continues_the_newest_conversation(make_saver: MakeSaver) -> None:
    ticks = itertools.count(1_700_000_000)
    saver = make_saver(clock=lambda: next(ticks))
    for thread in ("a", "b"):
        put(saver, 1, {"messages": [HumanMessage(thread, id="1")]}, at=config(thread, user_id="alice"))
    alice: Any = {"configurable": {"user_id": "alice"}}

    found = saver.get_tuple(alice)
    assert found is not None
    assert found.config == config("b", 1, user_id="alice")
    stored = saver.put({"configurable": {"user_id": "alice", "checkpoint_ns": ""}}, checkpoint(2, {}), {}, {})
    assert stored == config("b", 2, user_id="alice")
    assert saver.resume("alice")["configurable"]["thread_id"] == "b"


def test_a_conversation_is_named_by_when_it_was_created(make_saver: MakeSaver) -> None:
    ticks = itertools.count(1_700_000_000)
    saver = make_saver(clock=lambda: next(ticks))
    for thread in ("a", "b", "c"):
        put(saver, 1, {"messages": [HumanMessage(thread, id="1")]}, at=config(thread, user_id="alice"))

    for summary in saver.conversations.list("alice"):
        found = saver.get_tuple({"configurable": {"user_id": "alice", "created_at": summary.created_at}})
        assert found is not None
        assert found.config == config(summary.conversation_id, 1, user_id="alice")
    assert saver.get_tuple({"configurable": {"user_id": "alice", "created_at": "1999-01-01T00:00:00Z"}}) is None


def test_a_user_without_any_conversation(saver: DynamoDBConversationSaver) -> None:
    nobody: Any = {"configurable": {"user_id": "nobody", "checkpoint_ns": ""}}

    assert saver.get_tuple(nobody) is None
    assert list(saver.list(nobody)) == []
    with pytest.raises(ConversationNotFoundError, match="new_conversation"):
        saver.put(nobody, checkpoint(1, {}), {}, {})
    with pytest.raises(ConversationNotFoundError, match="new_conversation"):
        saver.resume("nobody")


def test_delta_history_is_that_of_the_base_class(make_saver: MakeSaver) -> None:
    saver = make_saver(transcript=False)
    for number in range(1, 31):
        values = {"log": list(range(number))} if number in (1, 20) else {}
        put(saver, number, {**values, "step": number}, parent=number - 1 or None)
        for task in ("t2", "t1"):
            saver.put_writes(config(number=number), [("log", (number, task)), ("step", number)], task, f"~{task}")
    channels = ["log", "step", "none"]

    for reader, at in itertools.product((saver, make_saver()), (config(), config(number=15), config(number=1))):
        expected = BaseCheckpointSaver.get_delta_channel_history(reader, config=at, channels=channels)
        assert reader.get_delta_channel_history(config=at, channels=channels) == expected
    assert saver.get_delta_channel_history(config=config(), channels=["log"])["log"]["seed"] == list(range(20))


def test_delta_history_follows_the_branch(make_saver: MakeSaver) -> None:
    saver = make_saver(transcript=False)
    for number, parent in ((1, None), (2, 1), (3, 2), (4, 2), (5, 4)):
        put(saver, number, {"log": []} if number == 1 else {}, parent=parent)
        saver.put_writes(config(number=number), [("log", number)], "task")
    found = saver.get_delta_channel_history(config=config(), channels=["log"])

    assert [value for _, _, value in found["log"]["writes"]] == [1, 2, 4]


def test_delta_history_of_nothing(saver: DynamoDBConversationSaver) -> None:
    assert saver.get_delta_channel_history(config=config(), channels=[]) == {}
    assert saver.get_delta_channel_history(config=config(), channels=["log"]) == {"log": {"writes": []}}
    put(saver, 1, {"log": [1]})
    assert saver.get_delta_channel_history(config=config(), channels=["log"]) == {"log": {"writes": []}}


def test_delta_history_is_a_few_requests_whatever_the_depth(make_saver: MakeSaver, client: DynamoDBClient) -> None:
    saver = make_saver(transcript=False)
    for number in range(1, 121):
        put(saver, number, {"step": number}, parent=number - 1 or None)
        saver.put_writes(config(number=number), [("log", number)], "task")
    reader = make_saver()
    with RequestLog(client) as log:
        found = reader.get_delta_channel_history(config=config(), channels=["log"])

    assert len(found["log"]["writes"]) == 119
    assert len(log) <= 6


def test_a_large_delta_value_comes_back(saver: DynamoDBConversationSaver) -> None:
    put(saver, 1, {"log": [noise(400_000)]})
    saver.put_writes(config(number=1), [("log", noise(500_000, 2))], "task")
    put(saver, 2, {}, parent=1)
    found = saver.get_delta_channel_history(config=config(), channels=["log"])

    assert found["log"] == {"writes": [("task", "log", noise(500_000, 2))], "seed": [noise(400_000)]}
