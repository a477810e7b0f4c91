"""States of every kind come back as they went in."""

from __future__ import annotations

import operator
import os
import subprocess
import sys
from collections import deque
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, StateGraph
from langgraph.pregel import Pregel
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from tests.engines import Engine
from tests.integration.conftest import MakeTwins

ROOT = Path(__file__).resolve().parents[2]


class Colour(Enum):
    """Defined by the user."""

    RED = "red"
    BLUE = "blue"


@dataclass
class Place:
    """Defined by the user."""

    name: str
    height: float
    tags: list[str] = field(default_factory=list)


class Note(BaseModel):
    """Defined by the user."""

    text: str
    written: datetime
    places: list[dict[str, int]] = []


class Point(NamedTuple):
    """Defined by the user."""

    x: int
    y: int


class PydanticState(BaseModel):
    """A state that is checked."""

    number: int = 0
    notes: Annotated[list[Note], operator.add] = Field(default_factory=list)
    colour: Colour = Colour.RED


@dataclass
class DataclassState:
    """A state with fields."""

    number: int = 0
    places: Annotated[list[Place], operator.add] = field(default_factory=list)
    best: Place | None = None


def larger(left: int, right: int) -> int:
    return max(left, right)


def merged(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in [*right, *left]}


class ReducedState(TypedDict, total=False):
    """A state with reducers of its own."""

    total: Annotated[int, operator.add]
    largest: Annotated[int, larger]
    counts: Annotated[dict[str, int], merged]
    names: Annotated[set[str], operator.or_]
    anything: Any


WRITTEN = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone.utc)
ANYTHING = [
    None,
    True,
    -(2**63),
    2**64 - 1,
    1e308,
    -0.0,
    "ümlaut \U0001f600",
    b"\x00\xff",
    "",
    {},
    [],
    {"b": 1, "a": [1, {"c": ()}]},
    {1: "one", (2, 3): "pair"},
    {"set", "of"},
    frozenset({1, 2}),
    deque([1, 2], maxlen=3),
    Decimal("1.10"),
    UUID(int=5),
    WRITTEN,
    date(2026, 1, 2),
    timedelta(days=-1, microseconds=3),
    PurePosixPath("/a/b"),
    IPv4Address("127.0.0.1"),
    Colour.BLUE,
    Place("lake", 0.5, ["wet"]),
    Note(text="n", written=WRITTEN),
    Point(1, 2),
    complex(1, 2),
]


def three_steps(schema: Any, *updates: dict[str, Any]) -> Any:
    def build(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
        builder = StateGraph(schema)
        before = START
        for number, update in enumerate(updates):
            builder.add_node(f"step {number}", lambda _, update=update: update)
            builder.add_edge(before, f"step {number}")
            before = f"step {number}"
        return builder.compile(checkpointer=checkpointer)

    return build


def test_a_pydantic_state(twins: MakeTwins):
    note = Note(text="n", written=WRITTEN, places=[{"a": 1}])
    pair = twins(three_steps(PydanticState, {"notes": [note]}, {"colour": Colour.BLUE, "number": 2}))
    for number in range(2):
        pair.invoke(PydanticState(number=number, notes=[note]))
    history = pair.compare()
    assert history[0].values["notes"] == [note] * 4
    assert isinstance(history[0].values["notes"][0], Note)


def test_a_dataclass_state(twins: MakeTwins):
    place = Place("lake", 0.5, ["wet"])
    pair = twins(three_steps(DataclassState, {"places": [place]}, {"best": place}, {"number": 3}))
    for number in range(2):
        pair.invoke(DataclassState(number, [place]))
    history = pair.compare()
    assert history[0].values["best"] == place


def test_reducers_of_all_kinds(twins: MakeTwins):
    updates = [
        {"total": 1, "largest": 5, "counts": {"z": 1, "a": 1}, "names": {"one"}},
        {"total": 2, "largest": 3, "counts": {"a": 2}, "names": {"two", "three"}},
    ]
    pair = twins(three_steps(ReducedState, *updates))
    for _ in range(2):
        pair.invoke({"total": 10, "names": {"zero"}})
    values = pair.compare()[0].values
    assert values["counts"] == {"z": 2, "a": 6}
    assert list(values["counts"]) == ["a", "z"]
    assert values["names"] == {"zero", "one", "two", "three"}


@pytest.mark.one_clock  # some are equal only by their own rules, and by `repr`
def test_values_of_any_type_come_back_as_from_memory(twins: MakeTwins):
    names = {f"value {number}": value for number, value in enumerate(ANYTHING)}
    schema = TypedDict("schema", dict.fromkeys(names, Any))  # type: ignore[misc]
    lists = {name: [value, value] for name, value in names.items()}
    maps = {name: {"a": value, "b": [value]} for name, value in names.items()}
    pair = twins(three_steps(schema, names, lists, maps, names))
    pair.invoke({"value 0": 0}, durability="sync")
    ours, theirs = pair.ours.history(), pair.theirs.history()
    for mine, other in zip(ours, theirs, strict=True):
        for name in names:
            assert repr(mine.values.get(name)) == repr(other.values.get(name))
            assert mine.values.get(name) == other.values.get(name)


STRICT = """
import logging, sys, warnings
from dataclasses import dataclass, field
from typing import Annotated, Any
import operator
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict
from langgraph_dynamo_conv import DynamoDBConversationSaver

logging.basicConfig(level=logging.ERROR)

@dataclass
class Place:
    name: str

@dataclass
class Stranger:
    name: str

@dataclass
class State:
    places: Annotated[list[Place], operator.add] = field(default_factory=list)
    anything: Any = None

def graph(checkpointer):
    builder = StateGraph(State)
    builder.add_node("one", lambda state: {"places": [Place("lake")], "anything": Stranger("x")})
    builder.add_node("two", lambda state: {"places": [Place("river")]})
    builder.add_edge(START, "one")
    builder.add_edge("one", "two")
    return builder.compile(checkpointer=checkpointer)

with DynamoDBConversationSaver(sys.argv[1], endpoint_url=sys.argv[2] or None, default_user_id="demo") as saver:
    config = saver.new_conversation()
    found = []
    for checkpointer in (saver, InMemorySaver()):
        built = graph(checkpointer)
        built.invoke(State(), config)
        built.invoke(State(places=[Place("pond")]), config)
        state = built.get_state(config)
        history = [snapshot.values for snapshot in built.get_state_history(config)]
        found.append((repr(state.values), repr(history), state.next))
    raw = repr(saver.get_tuple(config).checkpoint["channel_values"])
assert found[0] == found[1], found
assert "Place(name='lake')" in found[0][0], found[0]
assert "Stranger(" not in found[0][0], found[0]
print("as in memory", raw)
"""


def test_strict_msgpack_admits_the_types_of_the_state_and_no_others(engine: Engine, table_name: str):
    endpoint = engine.endpoint_url
    code = STRICT if endpoint else IN_MOTO + STRICT
    finished = subprocess.run(
        [sys.executable, "-c", code, table_name, endpoint or ""],
        env={**os.environ, "LANGGRAPH_STRICT_MSGPACK": "true", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("as in memory")


IN_MOTO = """
import sys
from moto import mock_aws
mock_aws().start()
from tests.engines import Engine, create_table
sys.argv[1] = create_table(Engine("moto", None).client())
"""
