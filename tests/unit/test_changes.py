"""Changes: replaying one gives what it was made from, in order and type, and shared where it is the same."""

from typing import Any

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Send, TimeoutPolicy

from langgraph_dynamo_conv._format.changes import UNCHANGED, apply, common_head, decode, difference, encode
from langgraph_dynamo_conv._format.pool import Pool
from langgraph_dynamo_conv._format.tree import (
    BlobRef,
    Leaf,
    Node,
    Pieces,
    SegmentRef,
    Slice,
    StateRef,
    channel_value,
    grow,
    grow_channel,
    leaves,
    to_python,
)
from tests.factories import generated

serde = JsonPlusSerializer()

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70).filter(lambda n: -(2**63) <= n < 2**64),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.binary(max_size=8),
)
nested = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text("abcdef", max_size=2), inner, max_size=4),
        st.dictionaries(st.integers(0, 3), inner, max_size=2),
    ),
    max_leaves=12,
)
small = st.sampled_from(["a", "b", "c", 1, None, "", 1.0, True])
related = st.one_of(
    st.lists(small, max_size=8),
    st.dictionaries(st.sampled_from("abcd"), st.one_of(small, st.lists(small, max_size=4)), max_size=4),
    small,
)
depths = st.integers(0, 3)


def tree(value: Any, depth: int = 2) -> Node:
    return grow(value, serde.dumps_typed, depth)


def value(node: Node) -> Any:
    return to_python(node, serde.loads_typed, {})


def stored(encoded: Any) -> Any:
    """Through the bytes that are stored."""
    return ormsgpack.unpackb(ormsgpack.packb(encoded))


def shape(value: Any) -> Any:
    """Equal only for equal values of equal types in equal order."""
    if isinstance(value, dict):
        return dict, [(shape(key), shape(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [shape(item) for item in value]
    return type(value), repr(value)


@generated
@given(nested, depths)
def test_a_tree_gives_back_its_value_with_types_and_order(original, depth):
    assert shape(value(tree(original, depth))) == shape(original)


@generated
@given(nested, depths)
def test_decoding_gives_back_what_was_encoded(original, depth):
    node = tree(original, depth)

    assert shape(value(decode(stored(encode(node)), []))) == shape(original)


@generated
@given(st.one_of(related, nested), st.one_of(related, nested), depths)
def test_a_change_replays_to_the_new_value(old, new, depth):
    old, new = {"channel": old}, {"channel": new}
    before = tree(old, depth + 1)
    step = difference(before, tree(new, depth + 1))

    assert shape(value(step.tree)) == shape(new)
    assert shape(value(apply(before, stored(step.change)))) == shape(new)
    assert shape(value(before)) == shape(old)


@generated
@given(st.lists(related, min_size=2, max_size=6))
def test_changes_one_after_the_other_replay_to_the_last_value(values):
    written = read = tree({"channel": values[0]})
    for new in values[1:]:
        step = difference(written, tree({"channel": new}))
        written, read = step.tree, apply(read, stored(step.change))

    assert shape(value(read)) == shape(value(written)) == shape({"channel": values[-1]})


@generated
@given(st.one_of(related, nested), depths)
def test_equal_values_are_unchanged(original, depth):
    before = tree(original, depth)
    step = difference(before, tree(original, depth))

    assert step.change is UNCHANGED
    assert step.tree is before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1, "b": 2, "c": 3}, {"c": 3, "a": 1}),
        ({"a": 1}, {"b": 2, "a": 1}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}),
        ({"a": [1]}, {"a": {"0": 1}}),
        ({"a": {}}, {"a": []}),
        ({"a": None}, {}),
        ({}, {"a": None}),
        ([1, 2, 3], [3, 2, 1]),
        ([1, 1, 1], [1, 1]),
        ([1, 1], [1, 1, 1]),
        ([], [1]),
        ([1], []),
        ([True], [1]),
        ([1.0], [1]),
    ],
)
def test_order_type_and_number_count(old, new):
    before = tree(old)
    step = difference(before, tree(new))

    assert step.change is not UNCHANGED
    assert shape(value(apply(before, stored(step.change)))) == shape(new)


def test_appending_to_a_list_stores_only_what_is_new():
    old = ["x" * 100] * 50
    step = difference(tree(old), tree([*old, "new"]))

    assert len(ormsgpack.packb(step.change)) < 20


def test_changing_one_key_of_many_stores_only_that_one():
    old = {f"key-{number}": "x" * 100 for number in range(200)}
    step = difference(tree(old), tree({**old, "key-7": "new"}))

    assert len(ormsgpack.packb(step.change)) < 30


def test_a_window_that_slides_stores_only_what_is_new():
    old = [f"{number:04d}" * 20 for number in range(50)]
    step = difference(tree(old), tree([*old[1:], "new"]))

    assert step.change == [6, 0, 0, [[7, 1, 49], serde.dumps_typed("new")[1]]]


def test_what_changes_places_is_not_stored_again():
    old = [f"{number:04d}" * 20 for number in range(50)]
    before = tree(old)
    step = difference(before, tree(old[::-1]))

    assert len(ormsgpack.packb(step.change)) < 50 * 5
    assert [id(leaf) for leaf in step.tree] == [id(leaf) for leaf in before[::-1]]


def test_an_element_that_is_doubled_is_stored_once_more():
    step = difference(tree(["a", "b"]), tree(["b", "a", "a"]))

    assert len({id(leaf) for leaf in step.tree}) == 3
    assert step.change == [6, 0, 0, [[7, 1, 1], [7, 0, 1], serde.dumps_typed("a")[1]]]


def test_a_new_tree_shares_what_is_the_same_with_the_old():
    before = tree({"list": ["a", "b", "c"], "dict": {"x": 1}, "leaf": 1})
    step = difference(before, tree({"list": ["a", "new", "c"], "dict": {"x": 1}, "leaf": 1}))

    assert step.tree["dict"] is before["dict"]
    assert step.tree["leaf"] is before["leaf"]
    assert step.tree["list"][0] is before["list"][0]
    assert step.tree["list"][2] is before["list"][2]


def test_replaying_shares_what_is_the_same_with_the_old():
    before = tree({"list": ["a", "b"], "leaf": 1})
    after = apply(before, stored(difference(before, tree({"list": ["a", "b", "c"], "leaf": 1})).change))

    assert after["leaf"] is before["leaf"]
    assert after["list"][:2] == before["list"]
    assert before["list"] == before["list"][:2]


def test_values_of_a_subclass_are_not_taken_apart():
    class Sub(dict):
        pass

    class Items(list):
        pass

    node = grow({"a": Sub(x=1), "b": Items([1])}, lambda value: ("x", repr(value).encode()), 3)

    assert isinstance(node["a"], Leaf)
    assert isinstance(node["b"], Leaf)


LONG = "a state " * 200
WITH_STATE = {"call": {"name": "look", "args": [1, 2]}, "state": {"messages": [LONG, "short"], "turn": 3}}
ARGUMENTS = [
    None,
    "text",
    LONG,
    [LONG],
    WITH_STATE,
    {**WITH_STATE, 1: LONG},
    {"\0": LONG},
    {"a": {"\0": LONG}},
    {"numbers": [1.5] * 300},
    {"a": {"b": {"c": [LONG, [LONG]]}}},
]


@pytest.mark.parametrize("timeout", [None, 2.5, TimeoutPolicy(run_timeout=9, idle_timeout=4)], ids=repr)
def test_a_send_gives_back_node_argument_and_timeout(timeout):
    sends = [Send("node", argument, timeout=timeout) for argument in ARGUMENTS]
    for value in (*sends, sends, [1, *sends, LONG], [sends], {"a": sends}):
        original = repr(value)
        node = grow_channel(value, serde.dumps_typed)
        assert decode(encode(node), ()) is not None
        assert repr(value) == original
        back = channel_value(decode(encode(node), ()), serde.loads_typed, {})
        assert (back, repr(back)) == (value, repr(value))


@pytest.mark.parametrize(
    "value", [{"\0": [LONG]}, {"\0": LONG, "0": LONG}, {"0": LONG}, ["\0"]], ids=["one", "two", "only places", "list"]
)
def test_a_value_that_looks_like_a_send_taken_apart_comes_back_as_it_is(value):
    assert channel_value(grow_channel(value, serde.dumps_typed), serde.loads_typed, {}) == value


def test_what_a_send_has_in_common_with_the_state_is_a_reference():
    messages = [f"{number} {LONG}" for number in range(50)]
    state = {"channel_values": {"messages": grow_channel(messages, serde.dumps_typed)}}
    for value in (Send("node", {"state": {"messages": messages}}), [Send("node", {"messages": messages})] * 2):
        referring = Pool(state).referring(grow_channel(value, serde.dumps_typed))
        assert sum(leaf.size for leaf in leaves(referring)) < 200
        assert sum(isinstance(leaf.at, StateRef) for leaf in leaves(referring)) % 50 == 0
        assert channel_value(Pool(state).resolved(referring), serde.loads_typed, {}) == value


def test_a_small_send_is_one_leaf():
    assert isinstance(grow_channel(Send("node", {"subject": "cats"}), serde.dumps_typed), Leaf)


def test_a_dict_with_another_key_than_strings_is_one_leaf():
    assert isinstance(tree({1: "a", "b": 2}), Leaf)
    assert value(tree({1: "a", "b": 2})) == {1: "a", "b": 2}


def test_a_leaf_without_bytes_is_compared_by_its_digest():
    whole = Leaf("msgpack", b"large", Pieces((BlobRef("00", 5, 1),)))
    thin = whole.thinned()

    assert thin.data is None
    assert thin.same(Leaf("msgpack", b"large"))
    assert not thin.same(Leaf("msgpack", b"Large"))
    assert not thin.same(Leaf("bytes", b"large"))


def test_a_leaf_that_is_nowhere_else_keeps_its_bytes():
    inline, sealed = Leaf("msgpack", b"x"), Leaf("msgpack", b"x", SegmentRef("s", 0))

    assert inline.thinned() is inline
    assert sealed.thinned() is sealed


def test_leaves_of_other_types_and_equal_bytes_differ():
    assert not Leaf("msgpack", b"x").same(Leaf("bytes", b"x"))
    assert difference([Leaf("a", b"")], [Leaf("b", b"")]).change is not UNCHANGED


def test_neighbours_in_a_segment_are_written_as_one_run():
    node = [Leaf("msgpack", b"x", SegmentRef("s", index)) for index in range(100)]
    encoded = encode(node, {"s": 0})

    assert encoded == [1, [[3, 0, 0, 100]]]
    assert [leaf.at for leaf in decode(encoded, ["s"])] == [leaf.at for leaf in node]


def test_a_run_ends_where_the_order_or_the_segment_changes():
    at = [SegmentRef("s", 0), SegmentRef("s", 2), SegmentRef("s", 1), SegmentRef("t", 2), SegmentRef("t", 3)]
    encoded = encode([Leaf("msgpack", b"x", place) for place in at], {"s": 0, "t": 1})

    assert encoded == [1, [[3, 0, 0, 1], [3, 0, 2, 1], [3, 0, 1, 1], [3, 1, 2, 2]]]
    assert [leaf.at for leaf in decode(encoded, ["s", "t"])] == at


BLOBS = st.builds(BlobRef, st.sampled_from(["ab", "cd"]), st.integers(1, 9), st.integers(0, 2))
PLACES = st.one_of(
    st.none(),
    st.builds(SegmentRef, st.sampled_from("st"), st.integers(0, 5)),
    st.lists(
        st.binary(max_size=3) | st.builds(BlobRef, st.sampled_from(["ab", "cd"]), st.integers(1, 9), st.integers(0, 2)),
        max_size=3,
    ).map(lambda parts: Pieces(tuple(parts))),
)


@generated
@given(st.lists(st.tuples(st.sampled_from(["msgpack", "bytes"]), PLACES), max_size=12))
def test_places_come_back_in_their_order_however_they_are_mixed(places):
    # A leaf in a segment is of the type "msgpack": the segment has no other.
    node = [Leaf("msgpack" if isinstance(at, SegmentRef) else typ, b"x", at) for typ, at in places]
    encoded = stored(encode({"list": node, "leaves": {str(n): leaf for n, leaf in enumerate(node)}}, {"s": 0, "t": 1}))

    for items in (decode(encoded, ["s", "t"])["list"], list(leaves(decode(encoded, ["s", "t"])["leaves"]))):
        assert [(leaf.typ, leaf.at) for leaf in items] == [(leaf.typ, leaf.at) for leaf in node]
        assert [leaf.data for leaf in items] == [b"x" if leaf.at is None else None for leaf in node]


@generated
@given(st.lists(small, max_size=6), st.lists(small, max_size=6), st.lists(small, max_size=6))
def test_the_common_head_of_two_lists_is_as_long_as_it_can_be(head, old, new):
    before = tree([*head, *old])
    after = [*before[: len(head)], *tree(new)]

    count = common_head(before, after)

    assert count >= len(head)
    assert shape(value(before[:count])) == shape(value(after[:count]))
    assert count in (len(before), len(after)) or not before[count].same(after[count])


@generated
@given(st.lists(small, max_size=8), st.lists(small, max_size=8))
def test_a_change_of_a_list_stores_only_the_elements_that_the_list_lacked(old, new):
    before, after = tree(old), tree(new)
    change = difference(before, after).change
    if change is UNCHANGED:
        return
    _, in_front, behind, middle = change
    replaced, instead = before[in_front : len(old) - behind], after[in_front : len(new) - behind]

    for leaf in instead:
        lacked = sum(one.same(leaf) for one in instead) - sum(one.same(leaf) for one in replaced)
        assert middle.count(encode(leaf)) == max(lacked, 0)


def test_a_value_reference_keeps_its_type_and_place():
    place = Pieces((b"front", BlobRef("ab", 9, 2), b"back", Slice(BlobRef("cd", 8, 1), 3, 4)))
    leaf = decode(stored(encode(Leaf("bytes", b"x", place))), [])

    assert (leaf.typ, leaf.data, leaf.at) == ("bytes", None, place)


MALFORMED = [
    [],
    [99],
    [0],
    [0, "x"],
    [1],
    [1, 5],
    [1, [{}]],
    [1, [[1, []]]],
    [2, 0],
    [2, 7, 0],
    [2, -1, 0],
    [3, 0, 0, 1],
    [1, [[3, 9, 0, 1]]],
    [1, [[]]],
    [4],
    [4, "t", "d"],
    None,
    1,
    "text",
    {"a": 1},
    {"a": [99]},
]


@pytest.mark.parametrize("encoded", MALFORMED, ids=repr)
def test_what_is_not_of_the_grammar_is_not_decoded(encoded):
    with pytest.raises(ValueError, match=r"."):
        decode(encoded, ["segment"])


@pytest.mark.parametrize("encoded", MALFORMED, ids=repr)
def test_what_is_not_of_the_grammar_is_not_replayed(encoded):
    with pytest.raises(ValueError, match=r"."):
        apply(tree({"a": 1}), encoded)


@pytest.mark.parametrize(
    ("old", "change"),
    [
        ({"a": 1}, [6, 0, 0, []]),
        ([1, 2], [5, {}, [], None]),
        (1, [5, {}, [], None]),
        (None, [6, 0, 0, []]),
        ([1, 2], [6, 2, 1, []]),
        ([1, 2], [6, -1, 0, []]),
        ([1, 2], [6, 0, -1, []]),
        ([1, 2], [6, 0, 0, None]),
        ([1, 2], [6, 0, 0]),
        ([1, 2], [6, "0", 0, []]),
        ([1, 2], [6, 0, 0, [[1, []]]]),
        ([1, 2], [6, 0, 0, [[7, 0, 3]]]),
        ([1, 2], [6, 0, 0, [[7, -1, 1]]]),
        ([1, 2], [6, 0, 0, [[7, 1, 0]]]),
        ([1, 2], [6, 0, 0, [[7, 1]]]),
        ({"a": 1}, [5, {}, ["b"], None]),
        ({"a": 1}, [5, {}, [], ["b"]]),
        ({"a": 1}, [5, {}, [], []]),
        ({"a": 1}, [5, {"b": [5, {}, [], None]}, [], None]),
        ({"a": 1}, [5, {}]),
        ({"a": 1}, [5, [], [], None]),
        ({"a": 1}, [5, {}, None, None]),
    ],
    ids=repr,
)
def test_a_change_that_does_not_fit_is_not_replayed(old, change):
    with pytest.raises(ValueError, match=r"."):
        apply(tree(old), change)


@generated
@given(
    st.recursive(
        st.one_of(st.none(), st.integers(-2, 8), st.text("ab", max_size=2), st.binary(max_size=2)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.text("ab", max_size=2), inner, max_size=2)
        ),
        max_leaves=10,
    )
)
def test_anything_is_either_replayed_or_a_value_error(change):
    try:
        node = apply(tree({"a": [1, 2], "b": 1}), change)
    except ValueError:
        return
    assert all(isinstance(leaf, Leaf) for leaf in leaves(node))
