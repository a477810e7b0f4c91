"""Items: to DynamoDB's attributes and back, and no damaged one is taken for a good one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph_dynamo_conv._format import attributes, items
from langgraph_dynamo_conv._format.items import CHANGE, FULL, CheckpointItem, WritesItem
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._format.tree import BlobRef
from langgraph_dynamo_conv.errors import CorruptDataError
from tests.factories import generated

scope = Scope("thread", "demo")
plain = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**37), 10**37),
        st.text(max_size=10),
        st.binary(max_size=5),
        st.integers(-(10**9), 10**9).filter(lambda number: number % 100).map(lambda number: Decimal(number).scaleb(-2)),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=10,
)

CHECKPOINTS = [
    CheckpointItem(scope.namespace().checkpoint("2"), CHANGE, "1", b"frame"),
    CheckpointItem(scope.namespace("node:1").checkpoint("2"), FULL, None, b""),
    CheckpointItem(scope.namespace().checkpoint("2"), FULL, "1", None, BlobRef("0f" * 16, 1000, 3), "run"),
    CheckpointItem(scope.namespace("n" * 999).checkpoint("2"), CHANGE, "1", b"x", None, "run", "n" * 999),
]


@pytest.mark.parametrize("item", CHECKPOINTS, ids=lambda item: item.key.sk[:12])
def test_a_checkpoint_item_comes_back(item):
    assert CheckpointItem.from_attributes(item.to_attributes()) == item


@pytest.mark.parametrize("ns", ["", "node", "a:1|b:2", "#", "n" * 999])
def test_a_checkpoint_item_knows_its_namespace(ns):
    item = CheckpointItem(scope.namespace(ns).checkpoint("2"), FULL, None, b"", ns=ns if len(ns) > 200 else None)

    assert CheckpointItem.from_attributes(item.to_attributes()).namespace() == ns
    assert item.checkpoint_id == "2"


def test_absent_attributes_cost_nothing():
    assert set(CHECKPOINTS[1].to_attributes()) == {"conversation_id", "user_id", "k", "d"}


@pytest.mark.parametrize("missing", ["k", "d"])
def test_a_checkpoint_item_without_an_attribute_is_damaged(missing):
    wire = CHECKPOINTS[0].to_attributes()
    del wire[missing]

    with pytest.raises(CorruptDataError, match=f"'{missing}' of the item at thread / demo#c##2 .* missing"):
        CheckpointItem.from_attributes(wire)


@pytest.mark.parametrize(
    "attributes",
    [{"d": {"S": "text"}}, {"v": {"S": "no reference"}}, {"v": {"S": "a:b:c"}}, {"k": {"N": "1"}}, {"p": {"B": b""}}],
    ids=str,
)
def test_a_checkpoint_item_with_an_attribute_of_another_type_is_damaged(attributes):
    with pytest.raises(CorruptDataError, match=f"'{next(iter(attributes))}' of the item at thread / demo#c##2 "):
        CheckpointItem.from_attributes({**CHECKPOINTS[0].to_attributes(), **attributes})


@pytest.mark.parametrize("index", [0, 1, 59, 999, -1, -2, -3, -4])
def test_a_write_attribute_tells_its_index(index):
    assert items.write_index(items.write_name(index)) == index


def test_special_writes_have_attributes_of_their_own():
    names = [items.write_name(index) for index in range(-4, 10)]

    assert len(set(names)) == len(names)


def test_the_writes_of_an_item_are_read_by_attribute():
    key = scope.namespace("ns").task("7", "task#1")
    wire = {
        **items.key_attributes(key),
        "w0": {"B": b"a"},
        "w10": {"B": b"b"},
        "x3": {"B": b"c"},
        "b0": {"B": b"d"},
        "expires_at": {"N": "1"},
    }
    item = WritesItem.from_attributes(wire)

    assert dict(item.frames) == {"w0": b"a", "w10": b"b", "x3": b"c", "b0": b"d"}
    assert list(map(items.is_bundle, item.frames)) == [False, False, False, True]
    assert (item.task_id, item.checkpoint_id) == ("task#1", "7")


def test_a_write_can_be_a_value_of_its_own():
    wire = {
        **items.key_attributes(scope.namespace().task("7", "t")),
        "w0": {"S": items.blob_ref_text(BlobRef("ab", 5, 1))},
    }

    assert dict(WritesItem.from_attributes(wire).frames) == {"w0": BlobRef("ab", 5, 1)}


def test_a_digested_task_id_is_read_from_the_item():
    wire = {**items.key_attributes(scope.namespace().task("7", "t" * 999)), "t": {"S": "t" * 999}, "w0": {"B": b""}}

    assert WritesItem.from_attributes(wire).task_id == "t" * 999


@pytest.mark.parametrize(
    "attributes", [{"w0": {"N": "1"}}, {"w0": {"S": "no reference"}}, {"t": {"N": "1"}, "w0": {"B": b""}}], ids=str
)
def test_a_writes_item_with_an_attribute_of_another_type_is_damaged(attributes):
    with pytest.raises(CorruptDataError, match=f"'{next(iter(attributes))}' of the item at thread / demo#w##7#t "):
        WritesItem.from_attributes({**items.key_attributes(scope.namespace().task("7", "t")), **attributes})


@pytest.mark.parametrize("ref", [BlobRef("00" * 16, 0, 0), BlobRef("ff" * 16, 10**9, 2858)])
def test_a_reference_comes_back_from_its_text(ref):
    assert items.parse_blob_ref(items.blob_ref_text(ref)) == ref


@generated
@given(plain)
def test_a_plain_value_comes_back_from_its_attribute(value):
    assert same(attributes.from_attribute(attributes.to_attribute(value)), value)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ({"N": "5"}, 5),
        ({"N": "5.0"}, Decimal("5.0")),
        ({"N": "1E+3"}, 1000),
        ({"NS": ["1", "2.5"]}, {1, Decimal("2.5")}),
        ({"SS": ["a", "b"]}, {"a", "b"}),
        ({"BS": [b"a"]}, {b"a"}),
        ({"NULL": True}, None),
        ({"M": {"a": {"L": [{"BOOL": False}]}}}, {"a": [False]}),
    ],
    ids=["whole", "decimal", "exponent", "numbers", "texts", "bytes", "null", "nested"],
)
def test_attributes_that_other_programs_write_are_read(attribute, value):
    assert same(attributes.from_attribute(attribute), value)


@pytest.mark.parametrize("attribute", [{"SS": ["a", "b"]}, {"NS": ["1", "2.5"]}, {"BS": [b"a", b"b"]}])
def test_sets_that_other_programs_wrote_are_written_back_as_they_were(attribute):
    assert attributes.to_attribute(attributes.from_attribute(attribute)) == attribute


@pytest.mark.parametrize("value", [1.5, object(), {1: "a"}.keys(), set()], ids=["float", "object", "view", "empty set"])
def test_what_is_no_attribute_is_refused(value):
    with pytest.raises(TypeError, match="can't be an attribute"):
        attributes.to_attribute(value)


def same(one: object, other: object) -> bool:
    return type(one) is type(other) and repr(one) == repr(other) or one == other and type(one) is set
