"""What a `DeltaChannel` replays is remembered, and given only where a process that remembers nothing gives the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.conftest import MakeSaver
from tests.factories import config, items_of, put, read, sort_keys
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CHANNELS = ["log", "notes"]
COUNTED = {"counters_since_delta_snapshot": {"log": (1, 1), "notes": (1, 1)}}
Operation = Callable[[DynamoDBConversationSaver], Any]


def checkpoint(saver: Any, number: int, parent: int | None, *, run: str = "run", **values: Any) -> None:
    """A checkpoint that replays both channels but for those whose values it has."""
    counters = {name: count for name, count in COUNTED["counters_since_delta_snapshot"].items() if name not in values}
    metadata = {"counters_since_delta_snapshot": counters, "run_id": run} if parent is not None else {"run_id": run}
    versions = dict.fromkeys([*CHANNELS, *values], number)
    put(saver, number, values, parent=parent, metadata=metadata, channel_versions=versions)


def step(saver: Any, number: int, parent: int | None, *, run: str = "run", **values: Any) -> None:
    """A checkpoint, and writes on it."""
    checkpoint(saver, number, parent, run=run, **values)
    write(saver, number)


def begun_anew(saver: Any) -> None:
    saver.delete_thread("thread")
    for number in range(1, 7):
        checkpoint(saver, number, number - 1 or None, run="anew")
        write(saver, number, text="said anew")


def write(saver: Any, number: int, task: str = "task", text: str = "said") -> None:
    writes = [("log", f"{text} at {number}"), ("notes", [number]), ("branch:to:agent", None)]
    saver.put_writes(config(number=number), writes, task, "~" + task)


def replayed(saver: Any, number: int | None = None) -> dict[str, Any]:
    return dict(saver.get_delta_channel_history(config=config(number=number), channels=CHANNELS))


def warmed(make_saver: MakeSaver, steps: int = 6) -> DynamoDBConversationSaver:
    """A saver that has read what the newest of some checkpoints replays."""
    saver = make_saver(transcript=False)
    for number in range(1, steps + 1):
        step(saver, number, number - 1 or None, run=f"run {number}")
    read(saver)
    assert len(replayed(saver)["log"]["writes"]) == steps - 1
    return saver


def compare(make_saver: MakeSaver, *savers: Any, numbers: Any = (None,)) -> None:
    for number in numbers:
        expected = replayed(make_saver(), number)
        for saver in savers:
            assert replayed(saver, number) == expected


def test_only_what_came_since_is_read(make_saver: MakeSaver, client: DynamoDBClient):
    saver = warmed(make_saver, 30)
    for number in range(31, 34):
        step(saver, number, number - 1)
        read(saver)
        with RequestLog(client) as log:
            found = replayed(saver)
        assert log.operations == ["Query"] * 2  # the newest checkpoint, and the writes on its parent
        assert found["log"]["writes"][-1] == ("task", "log", f"said at {number - 1}")
        with RequestLog(client) as log:
            assert replayed(saver) == found
        assert log.operations == ["Query"]


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(lambda other: write(other, 3, "late"), id="a late write"),
        pytest.param(lambda other: (read(other), write(other, 3, "late")), id="a late write of a process that knows"),
        pytest.param(
            lambda other: (read(other, config(number=1)), write(other, 1, "late")),
            id="a late write of a process that knows the beginning only",
        ),
        pytest.param(lambda other: other.delete_thread("thread"), id="delete_thread"),
        pytest.param(lambda other: other.delete_for_runs(["run 3"]), id="delete_for_runs"),
        pytest.param(lambda other: other.delete_for_runs(["run 6"]), id="delete_for_runs, the newest"),
        pytest.param(lambda other: other.prune(["thread"]), id="prune"),
        pytest.param(lambda other: other.prune(["thread"], strategy="delete"), id="prune, delete"),
        pytest.param(lambda other: checkpoint(other, 4, 2), id="another checkpoint under the id of one"),
        pytest.param(lambda other: begun_anew(other), id="another conversation under the same ids"),
        pytest.param(lambda other: step(other, 7, 6), id="a step"),
        pytest.param(lambda other: step(other, 7, 4), id="a fork"),
        pytest.param(lambda other: step(other, 7, 6, log=["all"]), id="a value"),
        pytest.param(lambda other: (step(other, 7, 6, log=["all"]), step(other, 8, 7)), id="a value, and a step"),
    ],
)
def test_what_another_process_did_is_seen(make_saver: MakeSaver, operation: Operation):
    saver = warmed(make_saver)
    operation(make_saver(transcript=False))

    compare(make_saver, saver)
    compare(make_saver, saver, numbers=[*range(1, 9), None])


def test_a_write_that_was_stored_and_not_looked_after_is_seen_once_the_call_is_repeated(make_saver: MakeSaver):
    saver, other = warmed(make_saver), make_saver(transcript=False)
    look = other._runtime.checkpoints.revisions.note_late
    other._runtime.checkpoints.revisions.note_late = died  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        write(other, 3, "late")
    other._runtime.checkpoints.revisions.note_late = look  # type: ignore[method-assign]
    write(other, 3, "late")

    compare(make_saver, saver)


def test_what_a_run_writes_first_is_looked_after_when_its_child_is_stored(make_saver: MakeSaver):
    saver, other = make_saver(transcript=False), make_saver(transcript=False)
    run = {"__pregel_runtime": Run()}
    checkpoint(saver, 1, None)
    assert other.get_tuple(config(**run)) is not None
    step(saver, 2, 1)
    read(saver)
    assert replayed(saver) == {"log": {"writes": []}, "notes": {"writes": []}}
    other.put_writes(config(number=1, **run), [("log", "late")], "late", "~late")
    put(other, 3, {}, parent=1, at=config(**run), metadata=COUNTED, channel_versions=dict.fromkeys(CHANNELS, 3))

    compare(make_saver, saver, numbers=[2, None])
    assert replayed(saver, 2)["log"]["writes"] == [("late", "log", "late")]


class Run:
    """What LangGraph hands to the calls of a run."""


def died(*_: Any) -> None:
    raise RuntimeError("the process died here")


def test_an_ordinary_write_changes_no_revision(make_saver: MakeSaver, client: DynamoDBClient, table_name: str):
    saver = warmed(make_saver)
    assert not any(key.endswith("\x7f") for key in sort_keys(items_of(client, table_name), "c"))
    write(saver, 3, "late")
    assert any(key.endswith("\x7f") for key in sort_keys(items_of(client, table_name), "c"))
    assert saver.conversations is not None
    assert [one.checkpoint["id"] for one in saver.list(config())] == [
        one.checkpoint["id"] for one in make_saver().list(config())
    ]


def test_a_revision_is_neither_listed_nor_left_behind(make_saver: MakeSaver, client: DynamoDBClient, table_name: str):
    saver = warmed(make_saver)
    write(saver, 3, "late")
    assert len(list(saver.list(config()))) == 6
    saver.copy_thread("thread", "copy")
    assert len(list(saver.list(config("copy")))) == 6
    for thread in ("thread", "copy"):
        saver.delete_thread(thread)
    assert items_of(client, table_name) == []


def test_a_saver_without_a_cache_reads_all_each_time(make_saver: MakeSaver, client: DynamoDBClient):
    saver = make_saver(transcript=False, cache_bytes=0)
    for number in range(1, 4):
        step(saver, number, number - 1 or None)
    read(saver)
    found = replayed(saver)
    with RequestLog(client) as log:
        assert replayed(saver) == found
    assert len(log) == 2


@pytest.mark.parametrize("seed", range(5))
def test_whatever_several_processes_do_each_gives_what_a_new_one_gives(make_saver: MakeSaver, seed: int):
    chance = random.Random(seed)
    savers = [make_saver(transcript=False) for _ in range(3)]
    step(savers[0], 1, None)
    numbers = [1]
    for number in range(2, 30):
        saver = chance.choice(savers)
        what = chance.random()
        if what < 0.6 or len(numbers) < 3:
            read(saver)
            parent = numbers[-1] if chance.random() < 0.85 else chance.choice(numbers)
            step(saver, number, parent, run=f"run {number}", **({"log": [number]} if chance.random() < 0.1 else {}))
            numbers.append(number)
        elif what < 0.8:
            write(saver, chance.choice(numbers), f"late {number}")
        elif what < 0.9:
            gone = numbers.pop(chance.randrange(1, len(numbers)))
            saver.delete_for_runs([f"run {gone}"])
        elif what < 0.93:
            saver.prune(["thread"])
            numbers = [int(one.checkpoint["id"][2:8], 16) for one in saver.list(config())][::-1]
        for reader in chance.sample(savers, 2):
            read(reader)
            compare(make_saver, reader, numbers=[None, chance.choice(numbers)])
    compare(make_saver, *savers, numbers=[None, *numbers])
