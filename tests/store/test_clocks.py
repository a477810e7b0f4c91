"""Where hosts' clocks differ a parent's id may be greater than its child's, and nothing of what it holds is missed."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import CorruptDataError
from tests.conftest import MakeSaver
from tests.engines import create_table
from tests.factories import USER, checkpoint_id, config, put, values_of
from tests.sweeper import Clock

CHANNELS = ["log", "kept", "none"]


@st.composite
def trees(draw: st.DrawFn) -> list[tuple[int, int | None, bool]]:
    """Checkpoints as they are stored: the number of the id, that of the parent's, and whether it has the value."""
    numbers = draw(st.permutations(range(1, draw(st.integers(2, 14)) + 1)))
    found: list[tuple[int, int | None, bool]] = []
    for place, number in enumerate(numbers):
        parent = numbers[max(0, place - draw(st.sampled_from((1, 1, 1, 2, 5))))] if place else None
        found.append((number, parent, draw(st.booleans()) if place else True))
    return found


def fill(saver: Any, tree: list[tuple[int, int | None, bool]]) -> None:
    for number, parent, has_value in tree:
        values = {"step": number, **({"log": [number]} if has_value else {})}
        versions = {"step": f"{number:032}", "log": f"{number:032}.{has_value:d}"}
        put(saver, number, values, parent=parent, channel_versions=versions)
        for task in ("t2", "t1"):
            saver.put_writes(config(number=number), [("log", (number, task)), ("kept", number)], task, f"~{task}")


def listed(saver: Any) -> list[Any]:
    return [
        (one.config["configurable"]["checkpoint_id"], one.checkpoint["channel_values"], one.pending_writes)
        for one in saver.list(config())
    ]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(tree=trees())
def test_ids_in_any_order_give_the_states_and_histories_of_the_saver_in_memory(
    make_saver_once: MakeSaver, tree: list[tuple[int, int | None, bool]]
) -> None:
    ours, theirs = make_saver_once(transcript=False), InMemorySaver()
    ours.delete_thread("thread")
    fill(ours, tree)
    fill(theirs, tree)

    for saver in (ours, make_saver_once(transcript=False, cache_bytes=0)):
        assert listed(saver) == listed(theirs)
        for at in (config(), *(config(number=number) for number, _, _ in tree)):
            assert values_of(saver, at) == values_of(theirs, at)
            expected = theirs.get_delta_channel_history(config=at, channels=CHANNELS)
            assert saver.get_delta_channel_history(config=at, channels=CHANNELS) == expected
    assert ours.conversations.verify("thread", USER).ok


@pytest.fixture(scope="module")
def make_saver_once(client: Any, request: pytest.FixtureRequest) -> Any:
    """`make_saver` on one table for all examples of a test."""
    name = create_table(client)
    made: list[DynamoDBConversationSaver] = []

    def make(**options: Any) -> DynamoDBConversationSaver:
        made.append(DynamoDBConversationSaver(name, client=client, default_user_id=USER, **options))
        return made[-1]

    yield make
    for saver in made:
        saver.close()
    client.delete_table(TableName=name)


def test_a_parent_that_is_far_above_is_found(make_saver: MakeSaver) -> None:
    saver = make_saver(transcript=False)
    for number in (500, *range(1, 300), 501):
        parent = {500: None, 1: 500, 501: 500}.get(number, number - 1)
        put(saver, number, {"log": ["seed"]} if number == 500 else {}, parent=parent)
        saver.put_writes(config(number=number), [("log", number)], "task")
    found = make_saver().get_delta_channel_history(config=config(number=299), channels=["log"])["log"]

    assert found["seed"] == ["seed"]
    assert [value for _, _, value in found["writes"]] == [500, *range(1, 299)]


def test_what_is_replayed_from_a_parent_with_a_greater_id_outlives_renewal_and_prune(make_saver: MakeSaver) -> None:
    clock = Clock()
    saver = make_saver(transcript=False, ttl=timedelta(days=4), clock=clock)
    tree = ((8, None), (3, 8), (4, 3), (9, 4))
    counters = {"counters_since_delta_snapshot": {"log": (1, 1)}}
    for number, parent in tree:
        values = {"log": ["seed"]} if parent is None else {}
        put(saver, number, values, parent=parent, metadata=counters, channel_versions={"log": str(number)})
        saver.put_writes(config(number=number), [("log", number)], "task")
        clock.pass_by(timedelta(days=2))

    for _ in range(2):
        history = make_saver(clock=clock).get_delta_channel_history(config=config(), channels=["log"])["log"]
        assert history["seed"] == ["seed"]
        assert [value for _, _, value in history["writes"]] == [8, 3, 4]
        saver.prune(["thread"])


def test_a_subgraph_whose_host_is_behind_is_renewed_with_the_root_that_may_resume_it(make_saver: MakeSaver) -> None:
    clock = Clock()
    saver = make_saver(transcript=False, ttl=timedelta(days=4), clock=clock)
    conversation = saver.new_conversation()
    at = turn(saver, conversation, 100)
    for seconds, ns in ((98, "asks:1"), (100 - 2 * 3600, "asked:1")):
        turn(saver, conversation, seconds, ns=ns)
    for seconds in (101, 102):
        clock.pass_by(timedelta(days=2.5))
        at = turn(saver, at, seconds)
    clock.pass_by(timedelta(days=2.5))

    thread_id = conversation["configurable"]["thread_id"]
    reader = make_saver(clock=clock)
    assert reader.get_tuple(config(thread_id, ns="asks:1")) is not None
    assert reader.get_tuple(config(thread_id, ns="asked:1")) is None


def ring(saver: DynamoDBConversationSaver) -> None:
    """Two checkpoints, each the other's parent."""
    metadata = {"counters_since_delta_snapshot": {"log": (1, 1)}}
    for number, parent in ((1, None), (2, 1), (1, 2)):
        values = {"messages": [HumanMessage("hello", id="hello")]}
        put(saver, number, values, parent=parent, metadata=metadata)


def test_a_ring_of_parents_is_a_named_error_or_ends(make_saver: MakeSaver) -> None:
    for saver in (make_saver(), make_saver(cache_bytes=0)):
        ring(saver)
        assert len(list(saver.list(config()))) == 2
        for at in (config(), config(number=1)):
            with pytest.raises(CorruptDataError, match="ancestor of itself"):
                saver.get_delta_channel_history(config=at, channels=["log"])
        with pytest.raises(CorruptDataError, match="ancestor of itself"):
            saver.prune(["thread"])
        (damage,) = saver.conversations.verify("thread", USER).damage
        assert "ancestor of itself" in damage.problem
        saver.copy_thread("thread", "copy")
        put(saver, 3, {"messages": [HumanMessage("again", id="again")]}, parent=1)
        for thread_id in ("thread", "copy"):
            saver.delete_thread(thread_id)
        assert list(saver.list(config())) == []


def test_a_row_that_has_to_be_brought_up_over_a_ring_stays_behind(
    make_saver: MakeSaver, caplog: pytest.LogCaptureFixture
) -> None:
    ring(make_saver())
    put(make_saver(), 9, {"messages": [HumanMessage("more", id="more")]})

    assert "stays behind its state: CorruptDataError" in caplog.text
    assert "ancestor of itself" in caplog.text


def test_the_renewal_of_a_ring_is_a_named_error(make_saver: MakeSaver) -> None:
    clock = Clock()
    saver = make_saver(transcript=False, ttl=timedelta(days=4), clock=clock)
    ring(saver)
    clock.pass_by(timedelta(days=2))

    with pytest.raises(CorruptDataError, match="ancestor of itself"):
        put(saver, 3, {}, parent=2)


def dated(seconds: float) -> str:
    """An id of LangGraph's form, made so many seconds after another."""
    ticks = 0x1F0A1B2C3D4E000 + int(seconds * 1e7)
    return f"{ticks >> 28:08x}-{ticks >> 12 & 0xFFFF:04x}-6{ticks & 0xFFF:03x}-8000-000000000000"


def turn(saver: DynamoDBConversationSaver, at: dict[str, Any], seconds: float, *, ns: str = "") -> dict[str, Any]:
    values = {"messages": [HumanMessage(f"at {seconds}", id=f"at {seconds}")]}
    where = {"configurable": {**at["configurable"], "checkpoint_ns": ns}}
    checkpoint = {**empty_checkpoint(), "id": dated(seconds), "channel_values": values}
    checkpoint["channel_versions"] = {"messages": f"{int(seconds * 100):032}.0"}
    return saver.put(where, checkpoint, {"step": 1}, {})  # type: ignore[arg-type, return-value, typeddict-item]


def test_a_clock_that_is_behind_is_warned_of_once_a_conversation(
    saver: DynamoDBConversationSaver, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = saver.new_conversation(), saver.new_conversation()
    for conversation in (first, second):
        at = turn(saver, conversation, 100)
        at = turn(saver, at, 100.5)
        assert caplog.text.count("is behind") == 0
    for at in (turn(saver, first, 102), turn(saver, second, 102)):
        for seconds in (100.75, 100.8):
            turn(saver, at, seconds)
    at = turn(saver, second, 103, ns="sub")
    turn(saver, at, 102.5, ns="sub")

    warned = [one.getMessage() for one in caplog.records if "is behind" in one.getMessage()]
    assert len(warned) == 2
    assert all("is behind by 1.2 s or more" in one and "doctor" in one and "verify" in one for one in warned)
    assert [one["configurable"]["thread_id"] in text for one, text in zip((first, second), warned, strict=True)]


def test_ids_that_are_not_of_langgraphs_form_are_warned_of_without_seconds(
    saver: DynamoDBConversationSaver, caplog: pytest.LogCaptureFixture
) -> None:
    base = {**empty_checkpoint(), "channel_values": {}}
    at = saver.put(config(), {**base, "id": "b"}, {}, {})
    saver.put(at, {**base, "id": "a"}, {}, {})

    assert "is behind, and LangGraph may forget the turn" in caplog.text


def test_a_forgotten_turn_stays_in_the_transcript_and_is_listed(saver: DynamoDBConversationSaver) -> None:
    conversation = saver.new_conversation()
    thread_id = conversation["configurable"]["thread_id"]
    newest = turn(saver, conversation, 100)
    late = turn(saver, newest, 98)
    late = turn(saver, late, 98.5)
    report = saver.conversations.verify(thread_id, USER)

    assert report.ok
    (forgotten,) = report.forgotten
    assert forgotten.key == f"{thread_id} / {USER}#c##{dated(98)}"
    assert forgotten.last_checkpoint_id == dated(98.5)
    assert forgotten.seconds_behind == pytest.approx(2, abs=0.001)
    told = [message.content for message in saver.conversations.get(thread_id, USER).messages]
    assert told == ["at 100", "at 98", "at 98.5"]

    turn(saver, late, 101)  # LangGraph goes on from what was forgotten
    assert saver.conversations.verify(thread_id, USER).forgotten == ()


def test_forks_and_turns_of_subgraphs_are_not_forgotten_turns(saver: DynamoDBConversationSaver) -> None:
    conversation = saver.new_conversation()
    first = turn(saver, conversation, 100)
    for seconds in (101, 102, 103):
        turn(saver, first, seconds)
    at = turn(saver, conversation, 110, ns="sub")
    turn(saver, at, 109, ns="sub")

    assert saver.conversations.verify(conversation["configurable"]["thread_id"], USER).forgotten == ()


def test_a_long_conversation_of_random_clocks_is_read_to_the_same_branch(make_saver: MakeSaver) -> None:
    chance, saver = random.Random(5), make_saver(transcript=False)
    numbers = list(range(1, 150))
    chance.shuffle(numbers)
    for place, number in enumerate(numbers):
        parent = numbers[place - 1] if place else None
        put(saver, number, {"log": ["seed"]} if not place else {}, parent=parent)
        saver.put_writes(config(number=number), [("log", number)], "task")
    at = {"configurable": {**config()["configurable"], "checkpoint_id": checkpoint_id(numbers[-1])}}
    found = make_saver().get_delta_channel_history(config=at, channels=["log"])["log"]

    assert [value for _, _, value in found["writes"]] == numbers[:-1]
