"""Values in pieces: nothing is lost, and what is large is the same piece wherever it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Command, Interrupt, Send
from pydantic import BaseModel

from langgraph_dynamo_conv._format.pieces import cut
from tests.factories import noise

LEAST = 1000
LARGE = noise(2000).hex()
serde = JsonPlusSerializer()


class Model(BaseModel):
    """A model of a program's own."""

    text: str


@dataclass
class Data:
    """A dataclass of a program's own."""

    text: str


small = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=40)
    | st.binary(max_size=300)
)
sized = small | st.integers(900, 1200).map(lambda size: "x" * size) | st.integers(900, 70_000).map(bytes)
values = st.recursive(
    sized,
    lambda some: st.lists(some, max_size=20) | st.dictionaries(st.text(max_size=3), some, max_size=20),
    max_leaves=30,
)


@given(values)
def test_the_pieces_are_the_value_and_each_large_string_is_one(value: Any) -> None:
    typ, data = serde.dumps_typed(value)
    pieces = cut(typ, data, LEAST)
    wanted = [one for one in _strings(value) if len(one) >= LEAST]

    assert b"".join(pieces) == data
    if typ == "msgpack":
        assert b"" not in pieces
        assert [piece for piece in pieces if piece in set(wanted)] == wanted
        assert all(piece in wanted for piece in pieces[1::2])


@given(st.binary(max_size=4000))
def test_bytes_that_are_no_msgpack_are_cut_without_loss(data: bytes) -> None:
    assert b"".join(cut("msgpack", data, 10)) == data
    assert b"".join(cut("json", data, 10)) == data


IMAGE = {"type": "image", "base64": LARGE, "mime_type": "image/png"}
HOLDERS = [
    LARGE,
    [LARGE],
    {"a": {"b": [1, 2.5, None, True, LARGE]}},
    HumanMessage([{"type": "text", "text": "Look."}, IMAGE]),
    HumanMessage([IMAGE], id="with an id"),
    AIMessage("", additional_kwargs={"image": LARGE}),
    ToolMessage("done", tool_call_id="1", artifact=LARGE),
    {"messages": [HumanMessage([IMAGE])]},
    Document(LARGE, metadata={"source": "a"}),
    Send("node", {"picture": LARGE}),
    Command(resume={"picture": LARGE}),
    Interrupt({"picture": LARGE}, id="1"),
    Model(text=LARGE),
    Data(LARGE),
    (1, LARGE),
    {1: LARGE},
    {LARGE},
]


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_a_large_string_is_one_piece_whatever_langgraph_serializes_around_it(holder: Any) -> None:
    pieces = cut(*serde.dumps_typed(holder), LEAST)

    assert pieces.count(LARGE.encode()) == 1
    assert sum(map(len, pieces)) < len(LARGE) + 800


def test_what_follows_many_small_values_stays_together() -> None:
    typ, data = serde.dumps_typed([*range(30_000), LARGE])

    assert cut(typ, data, LEAST) == [data]


def _strings(value: Any) -> list[bytes]:
    """All strings and byte strings in a value, in order."""
    if isinstance(value, str):
        return [value.encode(errors="surrogatepass")]
    if isinstance(value, bytes):
        return [value]
    if isinstance(value, list):
        return [one for item in value for one in _strings(item)]
    if isinstance(value, dict):
        return [one for item in value.items() for part in item for one in _strings(part)]
    return []
