"""Messages that were not changed are not serialized again, and every message that was changed is."""

from __future__ import annotations

import copy
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_dynamo_conv._format.tree import BlobRef, Leaf, Pieces, leaves
from langgraph_dynamo_conv._state.checkpoint_tree import CheckpointTree, sections_of
from langgraph_dynamo_conv._state.message_digests import MessagesDigest, digest_messages
from langgraph_dynamo_conv._state.serializer import serializer_of
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from tests.factories import checkpoint, generated

SERDE = JsonPlusSerializer()
SERIALIZER = serializer_of(SERDE)

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, -0.0, 1.0, float("inf")]),
    st.sampled_from(["", "a", "1", "é"]), st.sampled_from([b"", b"a", bytearray(b"a")]),
)  # fmt: skip
fields = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=2).map(tuple),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    ),
    max_leaves=5,
)
messages = st.one_of(
    st.builds(HumanMessage, st.sampled_from(["", "hi"]), id=st.sampled_from(["1", None]), surplus=fields),
    st.builds(SystemMessage, st.sampled_from(["", "hi"]), id=st.sampled_from(["1", None])),
    st.builds(AIMessage, st.just("hi"), additional_kwargs=st.dictionaries(st.sampled_from("ab"), fields, max_size=2)),
    st.builds(ToolMessage, st.just("hi"), tool_call_id=st.just("c"), artifact=fields),
)


def chat(count: int) -> list[BaseMessage]:
    return [HumanMessage(f"message {number}", id=str(number), surplus={"n": [number]}) for number in range(count)]


def stored(
    values: dict[str, Any], *, parent: StoredCheckpoint | None = None, serde: Any = SERDE, number: int = 1
) -> CheckpointTree:
    return CheckpointTree(sections_of(checkpoint(number, values), {"step": number}), serializer_of(serde), parent)


def image_of(of: CheckpointTree) -> StoredCheckpoint:
    return StoredCheckpoint("1", None, of.tree, message_digests=of.message_digests)


def written(of: CheckpointTree) -> list[tuple[str, bytes | None]]:
    return [(leaf.typ, leaf.data) for leaf in leaves(of.tree)]


def kept(before: CheckpointTree, after: CheckpointTree) -> int:
    """How many messages were taken over without serializing them."""
    old, new = (of.tree["channel_values"]["messages"] for of in (before, after))
    return len({id(leaf) for leaf in old} & {id(leaf) for leaf in new})


@generated
@given(st.lists(messages, min_size=1, max_size=3), st.lists(messages, min_size=1, max_size=3))
def test_equal_marks_mean_equal_bytes(one: list[BaseMessage], other: list[BaseMessage]) -> None:
    first, second = digest_messages(one, None)[0], digest_messages(other, None)[0]

    if first is not None and first == second:
        assert [SERDE.dumps_typed(m) for m in one] == [SERDE.dumps_typed(m) for m in other]


@generated
@given(st.lists(messages, max_size=5), st.lists(messages, max_size=5), st.integers(0, 5))
def test_what_is_stored_is_the_same_with_a_parent_at_hand_as_without(
    before: list[BaseMessage], after: list[BaseMessage], shared: int
) -> None:
    parent = image_of(stored({"messages": before}))
    now = {"messages": [*copy.deepcopy(before[:shared]), *after]}

    assert written(stored(now, parent=parent, number=2)) == written(stored(now, number=2))


@pytest.mark.parametrize("count", [1, 15, 16, 255, 256, 257, 600])
@pytest.mark.parametrize("more", [0, 1, 300])
def test_messages_that_go_on_from_known_ones_are_known_wherever_these_end(count: int, more: int) -> None:
    before, known = digest_messages(chat(count), None)
    assert known == 0

    after, known = digest_messages(chat(count + more), before)

    assert known == count
    assert after == digest_messages(chat(count + more), None)[0]


def test_unchanged_messages_are_taken_over_and_only_new_ones_are_serialized() -> None:
    before = stored({"messages": chat(30)})

    after = stored({"messages": chat(33)}, parent=image_of(before), number=2)

    assert kept(before, after) == 30
    assert len(after.tree["channel_values"]["messages"]) == 33


def change_content(held: list[BaseMessage]) -> None:
    held[3].content = "other"


def change_a_field_in_depth(held: Any) -> None:
    held[3].surplus["n"].append(7)


def change_the_class(held: list[BaseMessage]) -> None:
    held[3] = SystemMessage(held[3].content, id=held[3].id, surplus={"n": [3]})


def change_the_order(held: list[BaseMessage]) -> None:
    held[3], held[4] = held[4], held[3]


def trim(held: list[BaseMessage]) -> None:
    del held[:2]


@pytest.mark.parametrize("change", [change_content, change_a_field_in_depth, change_the_class, change_the_order, trim])
def test_a_change_in_place_is_noticed(change: Any) -> None:
    held = chat(10)
    parent = image_of(stored({"messages": held}))
    change(held)

    assert written(stored({"messages": held}, parent=parent, number=2)) == written(stored({"messages": held}, number=2))


class Own(HumanMessage):
    pass


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "message",
    [
        Own("hi"),
        AIMessageChunk("hi"),
        "hi",
        {"role": "user", "content": "hi"},
        None,
        HumanMessage("hi", surplus=(1, 2)),
        HumanMessage("hi", surplus={1: 2}),
        HumanMessage("hi", surplus=Text("x")),
        HumanMessage("hi", surplus=2**70),
        HumanMessage("hi", surplus=datetime(2026, 1, 1, tzinfo=timezone.utc)),
        HumanMessage("hi", surplus=HumanMessage("inner")),
        HumanMessage("\ud800"),
    ],
    ids=repr,
)
def test_what_may_be_more_than_plain_fields_has_no_mark(message: Any) -> None:
    assert digest_messages([HumanMessage("hi"), message], None) == (None, 0)


def test_a_serializer_of_another_class_serializes_every_message_every_time() -> None:
    class Shouting(JsonPlusSerializer):
        def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
            return super().dumps_typed(obj.upper() if isinstance(obj, str) else obj)

    before = stored({"messages": chat(5)}, serde=Shouting())

    assert before.message_digests == {}
    assert kept(before, stored({"messages": chat(5)}, parent=image_of(before), serde=Shouting(), number=2)) == 0


def test_an_encrypted_state_takes_messages_over_too() -> None:
    serde = EncryptedSerializer.from_pycryptodome_aes(SERDE, key=b"k" * 32)
    before = stored({"messages": chat(5)}, serde=serde)

    assert kept(before, stored({"messages": chat(6)}, parent=image_of(before), serde=serde, number=2)) == 5


def test_a_channel_of_the_parents_version_is_taken_over_with_its_mark() -> None:
    before = stored({"messages": chat(5)})

    after = stored({"messages": chat(5)}, parent=image_of(before), number=1)

    assert kept(before, after) == 5
    assert after.message_digests == before.message_digests


def test_a_mark_of_more_messages_than_there_are_knows_none() -> None:
    before = MessagesDigest(3, b"")

    assert digest_messages(chat(2), before) == digest_messages(chat(2), None)


def test_messages_beside_a_value_that_is_stored_apart_are_taken_over_as_they_are() -> None:
    apart = Leaf("msgpack", None, Pieces((BlobRef("00", 1, 1),)))
    before = stored({"messages": chat(2)})
    before.tree["channel_values"]["messages"][1] = apart

    after = stored({"messages": chat(3)}, parent=image_of(before), number=2)

    assert after.tree["channel_values"]["messages"][1] is apart
