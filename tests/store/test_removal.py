"""Deleting, pruning and copying: nothing that is needed goes, nothing else stays."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import ConversationNotFoundError
from tests.conftest import MakeSaver
from tests.factories import checkpoint_id, config, items_of, noise, put, read, sort_keys, values_of
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

HOUR = 3600
SUB = config(ns="sub")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def grow(saver: DynamoDBConversationSaver, count: int, at: Any = None, **more: Any) -> list[str]:
    items: list[str] = []
    for number in range(1, count + 1):
        items.append(noise(800, number).hex())
        put(saver, number, {"items": items}, parent=number - 1 or None, at=at, **more)
        where = (at or config())["configurable"]
        saver.put_writes(config(where["thread_id"], number, ns=where["checkpoint_ns"]), [("items", number)], "task")
    return items


def listed(saver: DynamoDBConversationSaver, at: Any = None) -> list[str]:
    return [one.config["configurable"]["checkpoint_id"] for one in saver.list(at or config())]


def ids(*numbers: int) -> list[str]:
    return [checkpoint_id(number) for number in numbers]


# Deleting


def test_a_deleted_conversation_leaves_nothing_of_its_user(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver = make_saver()
    for thread, user in (("one", "alice@example.com"), ("two", "bob")):
        for number in range(1, 41):
            messages = [HumanMessage(f"hi {step} " + noise(300, step).hex(), id=str(step)) for step in range(number)]
            at = config(thread, user_id=user, run_id=f"run-{number // 10}")
            put(saver, number, {"messages": messages, "document": noise(400_000)}, at=at, parent=number - 1 or None)
            saver.put_writes(config(thread, number, user_id=user), [("messages", noise(30_000))], "task")
        put(saver, 1, {"a": 1}, at=config(thread, user_id=user, ns="sub:1"))
    kinds = {
        item["user_id"]["S"].split("#")[1:2][0] for item in items_of(client, table_name) if "#" in item["user_id"]["S"]
    }
    assert kinds == {"c", "m", "p", "r", "s", "w"}
    saver.delete_thread("one")

    assert "alice" not in repr(items_of(client, table_name))
    assert values_of(make_saver(), config("two", user_id="bob"))["document"] == noise(400_000)
    assert list(saver.conversations.list("alice@example.com")) == []


def test_only_one_users_share_of_a_conversation_is_deleted(make_saver: MakeSaver) -> None:
    saver = make_saver()
    for user in ("alice", "alice2"):
        put(saver, 1, {"messages": [HumanMessage("hi", id="1")]}, at=config(user_id=user))
    saver.delete_thread("thread", user_id="alice")

    assert saver.get_tuple(config(user_id="alice")) is None
    assert saver.get_tuple(config(user_id="alice2")) is not None


def test_a_deleted_conversation_can_begin_again(make_saver: MakeSaver) -> None:
    saver = make_saver()
    grow(saver, 30)
    saver.delete_thread("thread")

    assert saver.get_tuple(config()) is None
    put(saver, 31, {"items": ["new"]})
    assert values_of(make_saver()) == {"items": ["new"]}
    assert listed(saver) == ids(31)


def test_what_is_not_there_can_be_deleted(saver: DynamoDBConversationSaver) -> None:
    saver.delete_thread("nothing")
    saver.delete_for_runs(["nothing", ""])
    saver.prune(["nothing"])


def test_a_saver_notices_what_another_has_deleted(make_saver: MakeSaver) -> None:
    mine, other = make_saver(), make_saver()
    grow(mine, 5)
    other.delete_thread("thread")

    assert mine.get_tuple(config()) is None
    assert mine.get_tuple(config(number=5)) is None
    assert listed(mine) == []
    put(mine, 6, {"items": ["new"]})
    assert values_of(other) == {"items": ["new"]}


def test_who_puts_into_a_conversation_that_another_has_deleted_is_told(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    running, other = make_saver(), make_saver()
    grow(running, 5)
    other.delete_thread("thread")
    with pytest.raises(ConversationNotFoundError, match="deleted while the run went on"):
        put(running, 6, {"messages": [HumanMessage("more", id="1")]}, parent=5)

    assert items_of(client, table_name) == []
    assert other.get_tuple(config()) is None
    assert running.get_tuple(config()) is None


# Pruning


def test_pruning_keeps_the_newest_of_each_namespace(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver = make_saver()
    items = grow(saver, 40)
    grow(saver, 7, SUB)
    saver.prune(["thread"])

    for reader in (saver, make_saver()):
        assert listed(reader) == ids(40)
        assert listed(reader, SUB) == ids(7)
        assert values_of(reader) == {"items": items}
        assert read(reader).pending_writes == [("task", "items", 40)]
        assert len(values_of(reader, SUB)["items"]) == 7
    assert len(sort_keys(items_of(client, table_name), "w")) == 2


@pytest.mark.parametrize("is_delta", [False, True])
@pytest.mark.parametrize("remove", ["prune", "delete_for_runs"])
def test_what_is_kept_has_no_parent_that_is_gone(make_saver: MakeSaver, remove: str, is_delta: bool) -> None:
    saver, items = make_saver(), []
    for number in range(1, 40):
        items.append(number)
        values = {"items": items} if number % 9 == 1 or not is_delta else {}
        metadata = {"counters_since_delta_snapshot": {"items": [1, 1]}} if is_delta else {}
        parent = number - 1 or None
        put(saver, number, values, parent=parent, at=config(run_id=f"run-{number % 3}"), metadata=metadata)
    if remove == "prune":
        saver.prune(["thread"])
    else:
        saver.delete_for_runs(["run-1", "run-0"])

    kept = {one.config["configurable"]["checkpoint_id"]: one.parent_config for one in make_saver().list(config())}
    parents = [parent["configurable"]["checkpoint_id"] for parent in kept.values() if parent is not None]
    assert kept.keys() >= {*parents}
    assert len(parents) == len(kept) - 1


def test_a_pruned_conversation_goes_on(make_saver: MakeSaver) -> None:
    saver = make_saver()
    items = grow(saver, 30)
    make_saver().prune(["thread"])
    for number in range(31, 61):
        items.append(str(number))
        put(saver, number, {"items": items}, parent=number - 1)

    assert values_of(make_saver()) == {"items": items}
    assert read(make_saver(), config(number=31)).parent_config == config(number=30)


@pytest.mark.parametrize("kind", ["s", "p"])
def test_segments_and_parts_are_swept_only_when_they_are_old(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str, kind: str
) -> None:
    clock = Clock()
    saver = make_saver(clock=clock)
    put(saver, 1, {"items": [noise(5000, number) for number in range(20)], "document": noise(400_000)})
    put(saver, 2, {"items": ["few"], "document": "small"}, parent=1)
    clock.now += HOUR - 1
    saver.prune(["thread"])
    assert sort_keys(items_of(client, table_name), kind) != []
    clock.now += 2
    saver.prune(["thread"])

    assert sort_keys(items_of(client, table_name), kind) == []
    assert values_of(make_saver()) == {"items": ["few"], "document": "small"}


def test_old_segments_and_parts_that_are_needed_stay(make_saver: MakeSaver) -> None:
    clock = Clock()
    saver = make_saver(clock=clock)
    values = {"items": [noise(5000, number) for number in range(20)], "document": noise(400_000)}
    put(saver, 1, values)
    saver.put_writes(config(number=1), [("document", noise(400_000, 2))], "task")
    put(saver, 1, values, at=SUB)
    for number in range(2, 40):
        put(saver, number, {**values, "step": number}, parent=number - 1)
    saver.put_writes(config(number=39), [("document", noise(400_000, 3)), ("a", noise(400_000, 4))], "task")
    clock.now += 2 * HOUR
    saver.prune(["thread"])

    reader = make_saver()
    assert values_of(reader) == {**values, "step": 39}
    assert values_of(reader, SUB) == values
    assert [value for _, _, value in read(reader).pending_writes or []] == [noise(400_000, 3), noise(400_000, 4)]


def test_pruning_keeps_what_a_delta_channel_replays(make_saver: MakeSaver) -> None:
    saver = make_saver(transcript=False)
    for number in range(1, 41):
        values = {"log": list(range(number))} if number == 30 else {}
        counters = {"counters_since_delta_snapshot": {"log": (number - 30, 1)}}
        put(saver, number, {"step": number, **values}, parent=number - 1 or None, metadata=counters)
        saver.put_writes(config(number=number), [("log", number)], "task")
    before = saver.get_delta_channel_history(config=config(), channels=["log"])
    saver.prune(["thread"])

    for reader in (saver, make_saver()):
        assert reader.get_delta_channel_history(config=config(), channels=["log"]) == before
        assert listed(reader) == ids(*range(40, 29, -1))
        assert values_of(reader, config(number=35)) == {"step": 35}


@pytest.mark.parametrize(("size", "parts"), [(1, 0), (4000, 4)], ids=["in items", "as blobs"])
def test_pruning_leaves_of_many_writes_what_is_replayed(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str, size: int, parts: int
) -> None:
    clock = Clock()
    saver = make_saver(transcript=False, clock=clock)
    said, logged = ([(name, noise(size, seed + n)) for n in range(60)] for name, seed in (("messages", 0), ("log", 99)))
    for number in (1, 2, 3):
        counters = {"counters_since_delta_snapshot": {"log": (number, 1)}}
        put(saver, number, {"messages": ["said"]}, parent=number - 1 or None, metadata=counters)
        saver.put_writes(config(number=number), [("messages", 1), ("log", 2), ("__interrupt__", "why")], "many")
        saver.put_writes(config(number=number), [("log", 3), ("messages", 4), *said, *logged], "many")
        saver.put_writes(config(number=number), [("log", "late")] * 3, "many")
        saver.put_writes(config(number=number), said * 2, "said")
    before = saver.get_delta_channel_history(config=config(), channels=["log"])
    saver.prune(["thread"])
    after = [saver.get_delta_channel_history(config=config(), channels=["log"])]
    clock.now += 2 * HOUR
    saver.prune(["thread"])
    after.append(make_saver().get_delta_channel_history(config=config(), channels=["log"]))

    assert before["log"]["writes"] == [("many", "log", 2), *(("many", *write) for write in logged)] * 2
    assert after == [before, before]
    old = [read(make_saver(), config(number=number)).pending_writes or [] for number in (1, 2)]
    assert [{(task, channel) for task, channel, _ in writes} for writes in old] == [{("many", "log")}] * 2
    assert len(read(saver).pending_writes or []) == 1 + 2 + 120 + 120
    items = items_of(client, table_name)
    assert (len(sort_keys(items, "w")), len(sort_keys(items, "p"))) == (4, parts)


def test_pruning_leaves_other_conversations_and_users(make_saver: MakeSaver) -> None:
    saver = make_saver()
    for at in (config(), config("other"), config(user_id="demo2")):
        for number in (1, 2):
            put(saver, number, {"a": number}, at=at, parent=number - 1 or None)
    saver.prune(["thread"], user_id="demo")

    assert listed(saver) == ids(2)
    assert listed(saver, config("other")) == listed(saver, config(user_id="demo2")) == ids(2, 1)
    saver.prune(["thread"])
    assert listed(saver, config(user_id="demo2")) == ids(2)


def test_pruning_keeps_the_transcript(saver: DynamoDBConversationSaver) -> None:
    for number in range(1, 6):
        messages = [HumanMessage("hi", id="1"), AIMessage(f"answer {number}", id=f"a{number}")]
        put(saver, number, {"messages": messages}, parent=number - 1 or None)
    before = saver.conversations.get("thread", "demo")
    saver.prune(["thread"])

    assert saver.conversations.get("thread", "demo") == before


@pytest.mark.parametrize("strategy", ["delete", "delete_all"])
def test_pruning_can_delete(make_saver: MakeSaver, client: DynamoDBClient, table_name: str, strategy: str) -> None:
    saver = make_saver()
    grow(saver, 3)
    saver.prune(["thread"], strategy=strategy)

    assert items_of(client, table_name) == []


@pytest.mark.parametrize("ids", ["thread", b"thread", 7, None])
def test_one_text_is_no_list_of_ids(saver: DynamoDBConversationSaver, client: DynamoDBClient, ids: Any) -> None:
    with RequestLog(client) as log:
        for call in (saver.prune, saver.delete_for_runs):
            with pytest.raises(TypeError, match="is a list of texts"):
                call(ids)
    assert log.operations == []


def test_another_strategy_is_refused(saver: DynamoDBConversationSaver, client: DynamoDBClient) -> None:
    with (
        RequestLog(client) as log,
        pytest.raises(ValueError, match="strategy is one of keep_latest, delete, del"),
    ):
        saver.prune(["thread"], strategy="all")

    assert log.operations == []


def test_a_saver_notices_what_another_has_pruned(make_saver: MakeSaver) -> None:
    mine, other = make_saver(), make_saver()
    items = grow(mine, 30)
    mine.get_tuple(config(number=10))
    other.prune(["thread"])

    assert mine.get_tuple(config(number=10)) is None
    assert values_of(mine) == {"items": items}
    assert listed(mine) == ids(30)


# Deleting runs


def test_the_checkpoints_and_writes_of_a_run_go(make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> None:
    saver = make_saver(transcript=False)
    items: list[Any] = []
    for number in range(1, 31):
        items.append(noise(300, number).hex())
        run = f"run-{number % 3}"
        put(saver, number, {"items": items}, parent=number - 1 or None, at=config(run_id=run))
        saver.put_writes(config(number=number), [("items", number)], "task")
    saver.delete_for_runs(["run-1", "run-2"])

    for reader in (saver, make_saver()):
        assert listed(reader) == ids(*range(30, 0, -3))
        assert values_of(reader) == {"items": items}
        assert values_of(reader, config(number=12)) == {"items": items[:12]}
    left = items_of(client, table_name)
    assert len(sort_keys(left, "w")) == 10
    assert [item["conversation_id"]["S"] for item in left if "#r#" in item["user_id"]["S"]] == ["run#run-0"]


def test_a_run_is_deleted_in_every_conversation_it_wrote_to(make_saver: MakeSaver) -> None:
    saver = make_saver()
    for thread, user, ns in (
        ("a", "alice", ""),
        ("a", "alice", "sub"),
        ("b", "alice", ""),
        ("a", "bob", ""),
        ("t" * 900, "bob", ""),
    ):
        put(saver, 1, {"a": 1}, at=config(thread, user_id=user, ns=ns, run_id="r/1"))
        put(saver, 2, {"a": 2}, at=config(thread, user_id=user, ns=ns, run_id="r2"), parent=1)
    make_saver().delete_for_runs(["r/1"])

    assert {one.config["configurable"]["checkpoint_id"] for one in saver.list(None)} == {checkpoint_id(2)}
    assert len(list(saver.list(None))) == 5


def test_a_run_is_deleted_in_the_conversations_of_one_user_if_that_is_asked(make_saver: MakeSaver) -> None:
    saver = make_saver()
    for thread, user in (("a", "alice"), ("a", "bob"), ("b", "bob"), ("b", "bob2")):
        put(saver, 1, {"a": 1}, at=config(thread, user_id=user, run_id="r"))
    make_saver().delete_for_runs(["r"], user_id="bob")

    left = {(one["thread_id"], one["user_id"]) for one in (found.config["configurable"] for found in saver.list(None))}
    assert left == {("a", "alice"), ("b", "bob2")}
    with pytest.raises(ValueError, match="a user_id is"):
        saver.delete_for_runs(["r"], user_id="")
    saver.delete_for_runs(["r"])
    assert list(saver.list(None)) == []


def test_deleting_runs_never_scans(make_saver: MakeSaver, client: DynamoDBClient) -> None:
    saver = make_saver(transcript=False)
    for number in (1, 2, 3):
        put(saver, number, {"a": number}, parent=number - 1 or None, at=config(run_id=f"run-{number}"))
    with RequestLog(client) as log:
        saver.delete_for_runs(["run-1", "run-2", "none"])

    assert set(log.operations) <= {"Query", "GetItem", "PutItem", "UpdateItem", "DeleteItem"}
    assert listed(saver) == ids(3)


def test_a_run_that_goes_on_after_it_was_deleted_can_be_deleted_again(make_saver: MakeSaver) -> None:
    saver = make_saver(transcript=False)
    put(saver, 1, {"a": 1}, at=config(run_id="r"))
    saver.delete_for_runs(["r"])
    put(saver, 2, {"a": 2}, at=config(run_id="r"))
    assert listed(saver) == ids(2)
    saver.delete_for_runs(["r"])

    assert listed(saver) == []


def test_a_run_that_goes_on_after_a_deletion_of_its_conversation_can_be_deleted(make_saver: MakeSaver) -> None:
    saver = make_saver(transcript=False)
    put(saver, 1, {"a": 1}, at=config(run_id="r"))
    saver.prune(["thread"], strategy="delete")
    put(saver, 2, {"a": 2}, at=config(run_id="r"))
    saver.delete_for_runs(["r"])

    assert listed(saver) == []


# Copying


def test_a_copy_is_whole_and_its_own(make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> None:
    saver, copy = make_saver(), config("copy")
    items = grow(saver, 30)
    put(saver, 31, {"items": items, "document": noise(400_000)}, parent=30)
    put(saver, 1, {"a": 1}, at=SUB)
    saver.copy_thread("thread", "copy")
    saver.delete_thread("thread")

    for reader in (saver, make_saver()):
        assert values_of(reader, copy) == {"items": items, "document": noise(400_000)}
        assert listed(reader, copy) == ids(*range(31, 0, -1))
        assert read(reader, config("copy", 30)).pending_writes == [("task", "items", 30)]
        assert read(reader, copy).parent_config == config("copy", 30)
        assert values_of(reader, config("copy", ns="sub")) == {"a": 1}
    assert {item["conversation_id"]["S"] for item in items_of(client, table_name)} == {"copy"}


def test_many_writes_are_copied(make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> None:
    saver = make_saver()
    put(saver, 1, {"a": 1})
    writes = [("a", noise(10_000, number)) for number in range(100)]
    saver.put_writes(config(number=1), writes, "task")
    saver.copy_thread("thread", "copy")
    saver.delete_thread("thread")

    assert read(make_saver(), config("copy")).pending_writes == [("task", *write) for write in writes]
    saver.delete_thread("copy")
    assert items_of(client, table_name) == []


def test_a_copy_and_its_original_go_on_apart(saver: DynamoDBConversationSaver) -> None:
    grow(saver, 3)
    saver.copy_thread("thread", "copy")
    put(saver, 4, {"items": ["original"]}, parent=3)
    put(saver, 4, {"items": ["copy"]}, parent=3, at=config("copy"))

    assert values_of(saver) == {"items": ["original"]}
    assert values_of(saver, config("copy")) == {"items": ["copy"]}


def test_the_row_of_a_copy_is_created_when_it_is_copied(make_saver: MakeSaver) -> None:
    clock = Clock()
    saver = make_saver(clock=clock)
    put(saver, 1, {"messages": [HumanMessage("hi", id="1"), AIMessage("hello", id="2")]})
    clock.now += 60
    saver.copy_thread("thread", "copy")

    newest, oldest = saver.conversations.list("demo")
    assert (newest.conversation_id, oldest.conversation_id) == ("copy", "thread")
    assert newest.created_at > oldest.created_at
    original, copy = saver.conversations.get("thread", "demo"), saver.conversations.get("copy", "demo")
    assert [message.content for message in copy.messages] == ["hi", "hello"]
    assert (copy.title, copy.messages, copy.message_count) == (original.title, original.messages, 2)


def test_a_run_of_a_copy_is_found(saver: DynamoDBConversationSaver) -> None:
    put(saver, 1, {"a": 1}, at=config(run_id="r"))
    put(saver, 2, {"a": 2}, at=config(run_id="s"), parent=1)
    saver.copy_thread("thread", "copy")
    saver.delete_for_runs(["r"])

    assert listed(saver) == listed(saver, config("copy")) == ids(2)


def test_one_users_share_is_copied_alone(saver: DynamoDBConversationSaver) -> None:
    for user in ("alice", "alice2"):
        put(saver, 1, {"a": user}, at=config(user_id=user))
    saver.copy_thread("thread", "copy", user_id="alice")

    assert values_of(saver, config("copy", user_id="alice")) == {"a": "alice"}
    assert saver.get_tuple(config("copy", user_id="alice2")) is None


def test_a_copy_never_overwrites(make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> None:
    saver = make_saver()
    for thread in ("thread", "copy"):
        put(saver, 1, {"messages": [HumanMessage(thread, id="1")]}, at=config(thread))
    before = items_of(client, table_name)

    with pytest.raises(ValueError, match="'copy' has a conversation already"):
        saver.copy_thread("thread", "copy")
    with pytest.raises(ValueError, match="the target is the source"):
        saver.copy_thread("thread", "thread")
    assert items_of(client, table_name) == before


def test_nothing_can_be_copied(make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> None:
    make_saver().copy_thread("nothing", "copy")

    assert items_of(client, table_name) == []


def test_copies_of_copies(saver: DynamoDBConversationSaver) -> None:
    grow(saver, 26)
    for source, target in itertools.pairwise(("thread", "one", "two")):
        saver.copy_thread(source, target)

    assert values_of(saver, config("two")) == values_of(saver)
