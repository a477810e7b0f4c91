"""Full checkpoints and segments: states come back whole, and what is rewritten stays linear."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_dynamo_conv._format.changes import apply
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import CHANGE, FULL, CheckpointItem
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._format.pool import Pool
from langgraph_dynamo_conv._format.tree import Leaf, Node, SegmentRef, content_digest, grow, to_python
from langgraph_dynamo_conv._state import full
from langgraph_dynamo_conv._state.full import decode_full, encode_segment, fill, full_pays, plan_full
from langgraph_dynamo_conv._state.planning import plan_checkpoint
from langgraph_dynamo_conv._state.stored import CHAIN_ITEMS, LINEAGE, StoredCheckpoint
from tests.factories import checkpoint_id, generated, noise

serde = JsonPlusSerializer()
codec = Codec()
root = Scope("thread", "demo").namespace()


def tree_of(state: dict[str, Any]) -> dict[str, Any]:
    tree = grow(state, serde.dumps_typed, 3)
    assert type(tree) is dict
    return tree


def value_of(tree: Node) -> Any:
    return to_python(tree, serde.loads_typed, {})


class Stored:
    """A history as `plan_checkpoint` plans it, kept in memory, and read back as a reader without a cache does."""

    def __init__(self) -> None:
        self.items: dict[str, CheckpointItem] = {}
        self.segments: dict[str, bytes] = {}
        self.segment_bytes = 0
        self.newest: StoredCheckpoint | None = None

    @property
    def frame_bytes(self) -> int:
        return sum(len(item.frame or b"") for item in self.items.values())

    @property
    def written_bytes(self) -> int:
        return self.frame_bytes + self.segment_bytes

    def put(self, state: dict[str, Any], *, fork_from: StoredCheckpoint | None = None) -> StoredCheckpoint:
        parent = fork_from or self.newest
        number = len(self.items) + 1
        parent_id = parent.checkpoint_id if parent else None
        plan = plan_checkpoint(
            root, checkpoint_id(number), parent_id, tree_of(state), parent, codec, linear=fork_from is None
        )
        item = plan.item(None, None)
        self.items[item.checkpoint_id] = item
        self.segments.update(plan.segment_frames)
        self.segment_bytes += sum(map(len, plan.segment_frames.values()))
        self.newest = plan.stored(item)
        return self.newest

    def read(self, wanted: str | None = None) -> dict[str, Any]:
        """Replay the chain of a checkpoint, the newest by default, from stored bytes alone."""
        chain = [self.items[wanted or max(self.items)]]
        while chain[0].kind == CHANGE:
            chain.insert(0, self.items[chain[0].parent_id or ""])
        whole, *changed = [unpacked(item.frame or b"", item.key.sk) for item in chain]
        tree, sizes = decode_full(whole)
        fill(tree, {segment: self._segment(segment) for segment in sizes})
        for built_on, change in changed:
            assert built_on == content_digest(tree)
            tree = apply(tree, change, Pool(tree))  # type: ignore[assignment,arg-type]
        return value_of(tree)

    def chain_length(self) -> int:
        kinds = [self.items[item].kind for item in sorted(self.items)]
        return kinds[::-1].index(FULL) + 1

    def _segment(self, segment: str) -> list[Any]:
        return unpacked(self.segments[segment], root.segment(segment).sk)


def unpacked(frame: bytes, sk: str) -> Any:
    return ormsgpack.unpackb(codec.unframe(frame, context=sk))


def text(characters: int, seed: int) -> str:
    """Text that hardly compresses."""
    return noise(characters // 2, seed).hex()


elements = st.builds(
    lambda size, seed: text(size, seed), st.sampled_from([2, 40, 200, 4000, 30_000]), st.integers(0, 99)
)
edits = st.lists(
    st.one_of(
        st.tuples(st.just("append"), elements),
        st.tuples(st.just("trim"), st.integers(1, 3)),
        st.tuples(st.just("edit"), elements),
        st.tuples(st.just("set"), st.tuples(st.sampled_from("abc"), elements)),
        st.tuples(st.just("drop"), st.sampled_from("abc")),
        st.tuples(st.just("reverse"), st.none()),
        st.tuples(st.just("clear"), st.none()),
    ),
    min_size=1,
    max_size=70,
)


def edited(state: dict[str, Any], kind: str, argument: Any) -> dict[str, Any]:
    items, named = list(state["items"]), dict(state["named"])
    if kind == "append":
        items.append(argument)
    elif kind == "trim":
        del items[:argument]
    elif kind == "edit" and items:
        items[len(items) // 2] = argument
    elif kind == "set":
        named[argument[0]] = argument[1]
    elif kind == "drop":
        named.pop(argument, None)
    elif kind == "reverse":
        items.reverse()
    elif kind == "clear":
        items = []
    return {**state, "items": items, "named": named, "step": state["step"] + 1}


@generated
@given(edits)
def test_every_state_of_a_random_history_is_read_back(history):
    stored, state, expected = Stored(), {"items": [], "named": {}, "step": 0}, {}
    for kind, argument in history:
        state = edited(state, kind, argument)
        expected[stored.put({"channel_values": state}).checkpoint_id] = state

    for wanted, values in expected.items():
        assert stored.read(wanted)["channel_values"] == values
        assert list(stored.read(wanted)["channel_values"]["named"]) == list(values["named"])


@generated
@given(edits, st.integers(0, 69), edits)
def test_both_branches_of_a_fork_are_read_back(history, at, more):
    stored, state, checkpoints, states = Stored(), {"items": [], "named": {}, "step": 0}, [], []
    for kind, argument in history:
        state = edited(state, kind, argument)
        checkpoints.append(stored.put({"channel_values": state}))
        states.append(state)
    at %= len(checkpoints)
    state, parent = states[at], checkpoints[at]
    for kind, argument in more:
        state = edited(state, kind, argument)
        parent = stored.put({"channel_values": state}, fork_from=parent if parent is checkpoints[at] else None)

    assert stored.read()["channel_values"] == state
    assert stored.read(checkpoints[-1].checkpoint_id)["channel_values"] == states[-1]


def test_what_is_known_of_a_plan_is_what_a_reader_sees():
    stored = Stored()
    for number in range(60):
        items = [text(600, seed) for seed in range(number)]
        known = stored.put({"channel_values": {"items": items}})

        assert value_of(known.tree) == stored.read()


def test_appending_writes_every_element_about_once():
    stored, items = Stored(), []
    for number in range(500):
        items = [*items, text(1000, number)]
        stored.put({"channel_values": {"items": items}})
    state_bytes = 500 * 500

    assert len(stored.read()["channel_values"]["items"]) == 500
    # In the change that brought it, in a segment, and once more where small segments were merged.
    assert stored.written_bytes < 3.2 * state_bytes
    assert stored.frame_bytes < 1.6 * state_bytes


def test_what_an_append_costs_does_not_grow_with_the_state():
    stored, items, written = Stored(), [], []
    for number in range(600):
        items = [*items, text(1000, number)]
        stored.put({"channel_values": {"items": items}})
        written.append(stored.written_bytes)

    early, late = written[299] - written[99], written[599] - written[399]
    assert late < 1.25 * early


def test_a_sliding_window_costs_what_goes_through_it():
    stored, items = Stored(), []
    for number in range(400):
        items = [*items, text(1000, number)][-50:]
        stored.put({"channel_values": {"items": items}})

    assert stored.read()["channel_values"]["items"] == items
    assert stored.written_bytes < 4 * 400 * 500


def test_a_sliding_window_refers_to_few_segments():
    stored, items = Stored(), []
    for number in range(400):
        items = [*items, text(1000, number)][-50:]
        known = stored.put({"channel_values": {"items": items}})

    assert sum(known.segments.values()) < 3 * 50 * 1000
    assert len(known.segments) < 10


def test_one_changing_key_of_two_hundred_costs_what_changes():
    stored, state = Stored(), {f"key-{number}": text(400, number) for number in range(200)}
    stored.put({"channel_values": {"known": state}})
    first = stored.written_bytes
    for number in range(300):
        state = {**state, "key-7": text(400, 1000 + number)}
        stored.put({"channel_values": {"known": state}})

    assert stored.read()["channel_values"]["known"] == state
    # Its old values are sealed with what did not change; 300 changes, and full checkpoints that together cost no more.
    assert stored.written_bytes - first < 2 * 300 * 300 + first


def test_a_chain_is_never_longer_than_a_page():
    stored, longest = Stored(), 0
    for number in range(300):
        stored.put({"channel_values": {"step": number, "small": [number]}})
        longest = max(longest, stored.chain_length())

    assert longest <= CHAIN_ITEMS + 1


def test_a_large_state_is_not_rewritten_for_small_changes():
    stored = Stored()
    names = {f"key-{number:05d}": text(40, number) for number in range(3000)}
    stored.put({"channel_values": {"names": names, "step": 0}})
    first = stored.written_bytes
    for number in range(60):
        stored.put({"channel_values": {"names": names, "step": number}})

    assert first > 40_000
    assert stored.written_bytes < 1.5 * first


def test_little_stays_in_the_checkpoint_itself():
    plan = plan_full(tree_of({"channel_values": {"items": ["x" * 100] * 10}}), {}, new_segment)

    assert plan.segments == {}


def test_much_is_sealed_in_segments_of_bounded_size():
    plan = plan_full(tree_of({"channel_values": {"items": ["x" * 20_000] * 100}}), {}, new_segment)
    sizes = [sum(leaf.size for leaf in batch) for batch in plan.segments.values()]

    assert len(sizes) > 1
    assert max(sizes) <= full.SEGMENT_BYTES
    assert dict(plan.segment_sizes) == dict(zip(plan.segments, sizes, strict=True))
    assert len(ormsgpack.packb(plan.payload)) < 1000


def test_a_value_too_large_for_any_segment_is_not_sealed():
    plan = plan_full(tree_of({"metadata": {"document": text(3 * full.SEGMENT_BYTES, 1)}}), {}, new_segment)

    assert plan.segments == {}


def test_a_tiny_leaf_is_not_sealed():
    plan = plan_full(tree_of({"channel_values": {"items": ["x" * 20_000] * 3, "step": 1}}), {}, new_segment)

    assert plan.tree["channel_values"]["step"].at is None
    assert all(isinstance(leaf.at, SegmentRef) for leaf in plan.tree["channel_values"]["items"])


def test_a_segment_of_which_less_than_half_lives_is_dissolved():
    first = plan_full(tree_of({"items": [text(2000, number) for number in range(20)]}), {}, new_segment)
    (old,) = first.segments
    kept = {"items": first.tree["items"][:8]}
    plan = plan_full(kept, first.segment_sizes, new_segment)

    assert old not in plan.segment_sizes
    assert value_of(plan.tree) == value_of(kept)
    assert [leaf.at.segment for leaf in plan.tree["items"]] == [*plan.segments] * 8


def test_a_segment_of_which_half_lives_stays():
    first = plan_full(tree_of({"items": [text(2000, number) for number in range(20)]}), {}, new_segment)
    plan = plan_full({"items": first.tree["items"][:10]}, first.segment_sizes, new_segment)

    assert plan.segments == {}
    assert dict(plan.segment_sizes) == dict(first.segment_sizes)


def test_a_segment_of_which_nothing_lives_is_forgotten():
    first = plan_full(tree_of({"items": [text(2000, number) for number in range(20)]}), {}, new_segment)
    plan = plan_full(tree_of({"items": []}), first.segment_sizes, new_segment)

    assert dict(plan.segment_sizes) == {}


@pytest.mark.parametrize(("count", "merged"), [(full.SMALL_SEGMENTS - 1, False), (full.SMALL_SEGMENTS, True)])
def test_eight_small_segments_are_merged(count, merged):
    tree: dict[str, Any] = {"items": []}
    sizes: dict[str, int] = {}
    for number in range(count):
        leaf = Leaf(*serde.dumps_typed(text(20_000, number)), SegmentRef(f"s{number}", 0))
        tree["items"].append(leaf)
        sizes[f"s{number}"] = leaf.size
    plan = plan_full(tree, sizes, new_segment)

    assert (len(plan.segments) > 0) is merged
    assert plan.merged_share == (1.0 if merged else 0.0)
    assert value_of(plan.tree) == value_of(tree)
    assert sum(plan.segment_sizes.values()) == sum(sizes.values())


def test_a_full_checkpoint_pays_when_the_chain_is_as_large():
    assert full_pays(100, 100)
    assert not full_pays(99, 100)
    assert full_pays(full.CHAIN_BYTES, 10 * full.CHAIN_BYTES)


def test_leaves_of_any_type_are_read_back_from_segments():
    tree = tree_of({"items": [b"b" * 9000, bytearray(b"c" * 9000), "text" * 3000, None]})
    plan = plan_full(tree, {}, new_segment)
    read, _ = decode_full(ormsgpack.unpackb(ormsgpack.packb(plan.payload)))
    fill(read, segments_of(plan.segments.items()))

    assert value_of(read) == value_of(tree)
    assert [type(item) for item in value_of(read)["items"]] == [bytes, bytearray, str, type(None)]


def test_a_missing_segment_is_an_error():
    plan = plan_full(tree_of({"items": ["x" * 20_000]}), {}, new_segment)
    read, _ = decode_full(ormsgpack.unpackb(ormsgpack.packb(plan.payload)))

    with pytest.raises(KeyError):
        fill(read, {})


def test_a_segment_that_is_too_short_is_an_error():
    plan = plan_full(tree_of({"items": ["x" * 20_000]}), {}, new_segment)
    read, _ = decode_full(ormsgpack.unpackb(ormsgpack.packb(plan.payload)))

    with pytest.raises(IndexError):
        fill(read, {name: [] for name in plan.segments})


@pytest.mark.parametrize("payload", [[[], []], [[], b"leaf"], [[], [1, []]], [[], None]], ids=repr)
def test_a_payload_that_is_no_state_is_an_error(payload):
    with pytest.raises(ValueError, match=r"."):
        decode_full(payload)


def test_a_stored_checkpoint_takes_at_least_its_bytes_of_memory():
    known = StoredCheckpoint("1", None, tree_of({"items": ["x" * 1000] * 10}))

    assert 10_000 < known.memory_apart()[0] < 20_000


def test_lineage_remembers_the_newest_ancestors():
    stored = Stored()
    for number in range(100):
        known = stored.put({"channel_values": {"step": number}})

    assert len(known.lineage) <= LINEAGE
    assert known.lineage[-1] == known.checkpoint_id
    assert list(known.lineage) == sorted(known.lineage)
    assert known.parent_id in known.lineage


def new_segment(number: int, batch: Iterable[Leaf]) -> str:
    return f"new-{number}-{random.Random(str([leaf.data for leaf in batch])).random()}"


def segments_of(batches: Iterable[tuple[str, list[Leaf]]]) -> dict[str, list[Any]]:
    return {segment: ormsgpack.unpackb(ormsgpack.packb(encode_segment(batch))) for segment, batch in batches}


def test_small_elements_of_a_long_list_are_sealed_with_the_large_ones_between_them() -> None:
    items = [text(40 if number % 2 else 2000, number) for number in range(64)]
    plan = plan_full(tree_of({"items": items}), {}, new_segment)

    assert all(isinstance(leaf.at, SegmentRef) for leaf in plan.tree["items"])
    assert len(ormsgpack.packb(plan.payload)) < 100


def test_small_elements_of_a_short_list_stay_in_the_checkpoint() -> None:
    plan = plan_full(tree_of({"items": [text(40, 1), text(20_000, 2)]}), {}, new_segment)

    assert [leaf.at is None for leaf in plan.tree["items"]] == [True, False]
