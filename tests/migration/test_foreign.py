"""Checkpoints of other savers as data: their order, versions, times and writes, and when two are equal. Pure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.base import CheckpointTuple, writes_sort_key
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_dynamo_conv._state.versions import as_text
from langgraph_dynamo_conv.migration._foreign import (
    PendingWrite,
    Reference,
    foreign_checkpoint,
    parents_first,
    same,
    time_of,
    writes_without_paths,
)
from langgraph_dynamo_conv.migration._source import Source, SourceError
from tests.factories import checkpoint, config, generated, put

dumps = JsonPlusSerializer().dumps_typed


class Elements(list):
    """Compares element by element, as arrays do."""

    def __eq__(self, other: object) -> Any:
        return Elements(map(str, self))

    def __bool__(self) -> bool:
        raise ValueError("the truth value of several elements is ambiguous")

    __hash__ = None  # type: ignore[assignment]


def original(values: dict[str, Any] | None = None, *, writes: Any = (), **sections: Any) -> CheckpointTuple:
    """A checkpoint as a saver gives it."""
    versions = dict.fromkeys(values or {}, as_text(1))
    made = checkpoint(1, values or {}, **{"channel_versions": versions, **sections})
    return CheckpointTuple(config("thread", 1), made, {"source": "loop"}, None, list(writes))


@st.composite
def families(draw: st.DrawFn) -> list[Reference]:
    """Checkpoints of two namespaces with ids in any order, each with a parent that was made before it, or none."""
    ids = draw(st.lists(st.text("abc", min_size=1, max_size=3), unique=True, max_size=8))
    made: list[Reference] = []
    for checkpoint_id in ids:
        ns = draw(st.sampled_from(["", "inner"]))
        parents = [one.checkpoint_id for one in made if one.ns == ns]
        made.append(Reference(ns, checkpoint_id, draw(st.sampled_from([None, "lost", *parents]))))
    return draw(st.permutations(made))


@generated
@given(families())
def test_parents_come_before_their_children_whatever_their_ids_are(references: list[Reference]) -> None:
    ordered = parents_first(references)

    assert sorted(ordered, key=repr) == sorted(references, key=repr)
    positions = {one.place: position for position, one in enumerate(ordered)}
    for one in ordered:
        assert positions.get((one.ns, str(one.parent_id)), -1) < positions[one.place]


def test_checkpoints_whose_ids_sort_by_time_come_in_that_order() -> None:
    references = [
        Reference("", "3", "1"),
        Reference("", "2", "1"),
        Reference("", "1", None),
        Reference("inner", "0", None),
    ]

    assert [one.checkpoint_id for one in parents_first(references)] == ["0", "1", "2", "3"]


@generated
@given(st.dictionaries(st.sampled_from("abc"), st.integers(0, 10**12)), st.integers(0, 9))
def test_text_versions_stay_and_others_become_text(versions: dict[str, int], tail: int) -> None:
    text = {channel: f"{version:032}.0.{tail}" for channel, version in versions.items()}
    found = original(channel_versions=text, versions_seen={"node": versions})
    stored = foreign_checkpoint(found, [], "alice").checkpoint

    assert stored["channel_versions"] == text
    assert stored["versions_seen"] == {"node": {name: f"{one:032}.{0:016}" for name, one in versions.items()}}


@pytest.mark.parametrize(
    ("ts", "time"),
    [
        ("2026-01-02T03:04:05.678901+00:00", "2026-01-02T03:04:05.678901Z"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02T05:04:05+02:00", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05.000000Z"),
        ("yesterday", None),
        ("", None),
    ],
)
def test_the_time_of_a_checkpoint_has_the_form_of_times_in_rows(ts: str, time: str | None) -> None:
    assert time_of(checkpoint(1, {}, ts=ts)) == time


@generated
@given(st.lists(st.tuples(st.sampled_from(["t1", "t2", "t3"]), st.sampled_from(["a", "b", "__error__"])), max_size=8))
def test_writes_without_paths_keep_the_order_in_which_they_came(pairs: list[tuple[str, str]]) -> None:
    # A saver gives the writes of a task together.
    tasks = list(dict.fromkeys(task for task, _ in pairs))
    pending = [(task, channel, n) for task in tasks for n, (name, channel) in enumerate(pairs) if name == task]
    regular = [write for write in writes_without_paths(pending) if write.idx >= 0]

    ordered = sorted(regular, key=lambda write: writes_sort_key(write.task_path, write.task_id, write.idx))

    assert [(write.task_id, write.channel, write.value) for write in ordered] == [
        write for write in pending if write[1] != "__error__"
    ]


def test_each_task_is_put_at_once_and_its_regular_writes_first() -> None:
    writes = [
        PendingWrite("t2", "~2", -1, "__error__", "no"),
        PendingWrite("t2", "~2", 1, "b", 2),
        PendingWrite("t1", "~1", 0, "a", 1),
        PendingWrite("t2", "~2", 0, "a", 1),
    ]

    assert foreign_checkpoint(original(), writes, "alice").tasks() == [
        ("t1", "~1", [("a", 1)]),
        ("t2", "~2", [("a", 1), ("b", 2), ("__error__", "no")]),
    ]


def test_a_set_in_another_order_is_equal() -> None:
    first, second = original({"a": {"x", "y"}}), original({"a": {"y", "x"}})
    foreign = foreign_checkpoint(first, [], "alice")

    def in_order(value: Any) -> tuple[str, bytes]:
        return "text", repr(value).encode() + str(id(value)).encode()  # differs even where values are equal

    assert same(foreign, second._replace(metadata={"source": "loop", "user_id": "alice"}), in_order)  # type: ignore[typeddict-unknown-key]


@pytest.mark.parametrize(
    "other",
    [
        original({"a": 2}),
        original({"a": "1"}),
        original({"b": 1}),
        original({"a": 1}, versions_seen={}),
        original({"a": 1}, writes=[("task", "a", 1)]),
        original({"a": 1})._replace(config=config("thread", 2)),
        original({"a": 1})._replace(parent_config=config("thread", 0)),
        original({"a": 1})._replace(metadata={"source": "input"}),
    ],
)
def test_a_checkpoint_that_differs_is_not_the_same(other: CheckpointTuple) -> None:
    one = original({"a": 1})
    foreign = foreign_checkpoint(one, [], "alice")
    with_user: Any = {"user_id": "alice"}

    assert same(foreign, one._replace(metadata={**one.metadata, **with_user}), dumps)
    assert not same(foreign, other._replace(metadata={**other.metadata, **with_user}), dumps)


def test_values_that_compare_element_by_element_are_compared_by_their_bytes() -> None:
    foreign = foreign_checkpoint(original({"a": Elements([1])}), [], "alice")
    stored = original({"a": Elements([2])})._replace(metadata={"source": "loop", "user_id": "alice"})  # type: ignore[typeddict-unknown-key]

    assert not same(foreign, stored, dumps)


def test_a_checkpoint_that_went_away_while_it_was_read_is_an_error_that_names_it() -> None:
    saver = InMemorySaver()
    put(saver, 1, {"a": 1}, at=config("thread", user_id=None))
    source = Source(saver)
    (reference,) = source.references("thread")
    saver.delete_thread("thread")

    with pytest.raises(
        SourceError, match=f"reading checkpoint {reference.checkpoint_id} of thread thread failed .* is gone"
    ):
        source.read("thread", reference, "alice")


@pytest.mark.parametrize("reading", ["thread_ids", "references"])
def test_a_source_that_cannot_be_listed_is_an_error(reading: str) -> None:
    class Broken(InMemorySaver):
        def list(self, *_: Any, **__: Any) -> Any:
            raise OSError("disk error")

    arguments = ("thread",) if reading == "references" else ()

    with pytest.raises(SourceError, match="listing .* failed in the source: OSError: disk error"):
        list(getattr(Source(Broken()), reading)(*arguments))
