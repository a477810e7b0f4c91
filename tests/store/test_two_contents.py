"""One checkpoint id, two contents, from two processes: what was built on the first is never read on the second."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._format.tree import content_digest
from langgraph_dynamo_conv._format.tree import grow as tree_of
from langgraph_dynamo_conv.errors import CorruptDataError
from tests.conftest import MakeSaver
from tests.factories import config, generated, noise, put, read, values_of
from tests.sweeper import Clock

LARGE = noise(30_000)
STATES: dict[str, Any] = {
    "small": lambda number: {"items": list(range(number)), "same": "x"},
    "large": lambda number: {"items": [LARGE, *range(number)], "same": LARGE + b"same"},
    "many": lambda number: {"items": [noise(400, one).hex() for one in range(60)] + [number], "same": 1},
}
SERIALIZERS = {"plain": lambda: None, "encrypted": lambda: EncryptedSerializer.from_pycryptodome_aes(key=b"k" * 32)}


def saver_of(make_saver: MakeSaver, serializer: str, **options: Any) -> DynamoDBConversationSaver:
    serde = SERIALIZERS[serializer]()
    return make_saver(**options, **({"serde": serde} if serde is not None else {}))


def grow(saver: DynamoDBConversationSaver, kind: str, numbers: range) -> None:
    for number in numbers:
        put(saver, number, STATES[kind](number), parent=number - 1 or None)


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize("number", [1, 2, 5])
def test_what_was_built_on_another_content_is_refused(
    make_saver: MakeSaver, kind: str, serializer: str, number: int
) -> None:
    one, two = saver_of(make_saver, serializer), saver_of(make_saver, serializer)
    grow(one, kind, range(1, 7))
    put(two, number, {**STATES[kind](number), "same": "other"}, parent=number - 1 or None)
    for before in range(1, 7):  # what was there already was stored anew
        expected = {**STATES[kind](before), **({"same": "other"} if before == number else {})}
        assert values_of(saver_of(make_saver, serializer), config(number=before)) == expected
    third = saver_of(make_saver, serializer)
    values_of(third)
    put(two, 6, {**STATES[kind](6), "same": "other"}, parent=5)
    put(third, 7, STATES[kind](7), parent=6)

    for reader in (two, saver_of(make_saver, serializer)):
        with pytest.raises(CorruptDataError, match="another 1f000006.* than is stored"):
            reader.get_tuple(config(number=7))
        assert values_of(reader, config(number=6)) == {**STATES[kind](6), "same": "other"}
    named = saver_of(make_saver, serializer).conversations.verify("thread", "demo").damage
    assert [one.key.rsplit("#", 1)[1] for one in named] == [config(number=7)["configurable"]["checkpoint_id"]]


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_the_same_content_from_two_processes_is_one_however_it_is_stored(
    make_saver: MakeSaver, kind: str, serializer: str
) -> None:
    one, two = saver_of(make_saver, serializer), saver_of(make_saver, serializer)
    grow(one, kind, range(1, 5))
    put(two, 4, STATES[kind](4), parent=3)  # stored whole: this process has not read the parent before
    put(one, 5, STATES[kind](5), parent=4)

    assert values_of(saver_of(make_saver, serializer)) == STATES[kind](5)


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_rewriting_renewal_and_copies_leave_the_content_alone(
    make_saver: MakeSaver, kind: str, serializer: str
) -> None:
    clock, ttl = Clock(), timedelta(days=30)
    writer = saver_of(make_saver, serializer, ttl=ttl, clock=clock)
    grow(writer, kind, range(1, 6))
    saver_of(make_saver, serializer, ttl=ttl, clock=clock).prune(["thread"])
    put(writer, 6, STATES[kind](6), parent=5)  # on what this process knows, which was stored anew meanwhile
    clock.pass_by(ttl / 2)
    put(writer, 7, STATES[kind](7), parent=6)
    writer.copy_thread("thread", "copy", user_id="demo")
    put(writer, 8, STATES[kind](8), parent=7, at=config("copy"))

    reader = saver_of(make_saver, serializer, ttl=ttl, clock=clock)
    for number in (5, 6, 7):
        assert values_of(reader, config(number=number)) == STATES[kind](number)
    assert values_of(reader, config("copy")) == STATES[kind](8)
    assert read(reader, config(number=5)).parent_config is None


@generated
@given(st.lists(st.integers(0, 3), max_size=4), st.lists(st.integers(0, 3), max_size=4), st.integers(0, 3))
def test_the_digest_of_a_content_tells_contents_apart(first: list[int], second: list[int], same: int) -> None:
    def digest(items: list[int]) -> bytes:
        return content_digest(tree_of({"a": items, "b": {"c": same}}, lambda value: ("", repr(value).encode()), 2))

    assert (digest(first) == digest(second)) == (first == second)
