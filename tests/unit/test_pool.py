"""References to the leaves of a state: what refers comes back, and is small."""

from __future__ import annotations

from typing import Any

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_dynamo_conv._format import pool
from langgraph_dynamo_conv._format.changes import apply, decode, encode, state_difference
from langgraph_dynamo_conv._format.pool import Pool, has_references, pool_for
from langgraph_dynamo_conv._format.tree import BlobRef, Leaf, Pieces, SegmentRef, grow_channel, leaves, to_python

serde = JsonPlusSerializer()
texts = st.sampled_from(["a", "b" * 30, "c" * 500, "d" * 1500])
channel = (
    st.lists(texts, max_size=8) | st.dictionaries(st.sampled_from("xy"), st.lists(texts, max_size=4) | texts) | texts
)
states = st.dictionaries(st.sampled_from(["messages", "__start__", "other"]), channel, max_size=3)


def tree(values: dict[str, Any]) -> dict[str, Any]:
    """A state's tree."""
    return {"channel_values": {name: grow_channel(value, serde.dumps_typed) for name, value in values.items()}}


def stored(encoded: Any) -> Any:
    """As it comes back from a frame."""
    return ormsgpack.unpackb(ormsgpack.packb(encoded))


def values(state: dict[str, Any]) -> Any:
    """A state's values."""
    return to_python(state["channel_values"], serde.loads_typed, {})


@pytest.fixture(autouse=True)
def small_values_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "WRITE_UNIT_BYTES", 1)


@given(states, states)
def test_a_change_that_refers_replays_to_the_new_state(old: dict[str, Any], new: dict[str, Any]) -> None:
    before, after = tree(old), tree(new)
    step = state_difference(before, after)
    replayed = apply(before, stored(step.change), Pool(before))

    assert values(replayed) == values(step.tree) == new
    assert list(replayed["channel_values"]) == list(new)


@given(states, channel)
def test_a_write_that_refers_is_whole_again_on_its_state(held: dict[str, Any], written: Any) -> None:
    state = tree(held)
    node = Pool(state).referring(grow_channel(written, serde.dumps_typed))
    read = decode(stored(encode(node)), [])

    assert encode(read) == encode(node)  # what is read is written again as it is, without its state at hand
    assert has_references(read) == has_references(node)
    assert to_python(Pool(state).resolved(read), serde.loads_typed, {}) == written


@given(st.lists(texts, min_size=1, max_size=40))
def test_a_list_that_the_state_has_is_one_run(items: list[str]) -> None:
    state = tree({"first": "x" * 100, "messages": items})
    node = Pool(state).referring(grow_channel([*items, "new"], serde.dumps_typed))

    runs = len(encode(node)[1])
    repeats = sum(items.index(one) != at for at, one in enumerate(items))
    assert runs <= 2 + 2 * repeats + items.count("a")


def test_leaves_of_another_namespace_are_in_no_segment_of_this_one() -> None:
    leaf, value = Leaf("msgpack", b"x" * 100, SegmentRef("s", 0)), Leaf("msgpack", None, Pieces((BlobRef("ab", 1, 1),)))
    value.digest = b"0" * 16
    state = {"channel_values": {"messages": [leaf, value]}}

    assert [one.at for one in Pool(state).leaves] == [leaf.at, value.at]
    assert [one.at for one in Pool(state, is_elsewhere=True).leaves] == [None, value.at]


def test_a_look_is_taken_where_more_than_a_write_unit_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "WRITE_UNIT_BYTES", 1024)
    some = Pool({})

    assert pool_for([Leaf("msgpack", b"x" * 1023)], some) is None
    assert pool_for([Leaf("msgpack", b"x" * 1023), Leaf("msgpack", b"x")], some) is some
    assert pool_for([Leaf("msgpack", b"x" * 2000)], None) is None


@pytest.mark.parametrize("reference", [[8, 0, 2], [8, 1, 1], [8, -1, 1], [8, 0, 0], [8, 0, -1], [8, 0, 10**12]])
def test_references_to_what_there_is_not_are_damage(reference: list[int]) -> None:
    state = {"channel_values": {"messages": [Leaf("msgpack", b"x")]}}
    with pytest.raises(ValueError, match="refers to"):
        apply(
            state, [5, {"channel_values": [5, {"messages": [6, 0, 0, [reference]]}, [], None]}, [], None], Pool(state)
        )


def test_a_reference_to_more_than_a_state_has_is_refused_unseen() -> None:
    with pytest.raises(ValueError, match="refers to"):
        decode([1, [[8, 0, 10**12]]], [])


def test_every_leaf_is_counted_once() -> None:
    state = tree({"a": ["x", "y"], "b": {"c": ["z"], "d": "w"}})

    assert len(Pool(state).leaves) == len(list(leaves(state["channel_values"]))) == 4
