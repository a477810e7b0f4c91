"""What a conversation of any length costs, for every shape of state: counted through the saver, on a table in memory.

Each shape is played turn after turn. What is written in a turn must not grow, and all of it is at most a constant times
what changed; a process that has seen nothing reads at most a constant times the state, with a bounded number of
requests. docs/storage-format.md has the reasons. `BOUNDS_TURNS=2000` plays the full length.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Annotated, Any

import ormsgpack
import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._checkpoints.loading import CHAIN_PAGE
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._state.full import CHAIN_BYTES, SMALL_SEGMENT_BYTES, SMALL_SEGMENTS
from tests.conftest import Report
from tests.costs import flat_shapes
from tests.factories import USER, checkpoint_id, config
from tests.memory_engine.bare import BareTable, Counts
from tests.reference_chat import Prose

TURNS = int(os.environ.get("BOUNDS_TURNS", "200"))
STEPS_PER_TURN = 5
SAMPLES = 8
"""Cold reads on the way."""

SERDE = JsonPlusSerializer()

Values = dict[str, Any]
Shape = Callable[[Prose], Iterator[Values]]
"""Gives a turn's channel values, turn after turn."""


def appending(prose: Prose) -> Iterator[Values]:
    messages: list[str] = []
    while True:
        messages = [*messages, prose.text(60), prose.text(120), prose.text(1000), prose.text(350)]
        yield {"messages": messages}


def trimming(prose: Prose) -> Iterator[Values]:
    for state in appending(prose):
        yield {"messages": state["messages"][-20:]}


def summarising(prose: Prose) -> Iterator[Values]:
    messages: list[str] = []
    while True:
        messages = [*messages, prose.text(60), prose.text(120), prose.text(1000), prose.text(350)]
        if len(messages) > 80:
            messages = [prose.text(2000), *messages[-20:]]
        yield {"messages": messages}


def document(prose: Prose) -> Iterator[Values]:
    """A document of 200 KB that changes in every fiftieth turn; a chat beside it."""
    text = prose.text(200_000)
    for turn, state in enumerate(trimming(prose)):
        if turn % 50 == 49:
            text = text[:100_000] + prose.text(500) + text[100_500:]
        yield {**state, "document": text}


def sections(prose: Prose) -> Iterator[Values]:
    """A document of 100 sections, one of which changes in every tenth turn; a chat beside it."""
    held = [prose.text(2000) for _ in range(100)]
    for turn, state in enumerate(appending(prose)):
        if turn % 10 == 0:
            held = [*held[:50], prose.text(2000), *held[51:]]
        yield {"messages": state["messages"][-40:], "sections": held}


def files(prose: Prose) -> Iterator[Values]:
    held = {f"src/module_{n}.py": prose.text(500) for n in range(500)}
    turn = 0
    while True:
        turn += 1
        held = {**held, f"src/module_{turn * 37 % 500}.py": prose.text(500)}
        yield {"files": held}


def wide(prose: Prose) -> Iterator[Values]:
    """60 nodes with a channel each, all of which run in every turn: long `channel_versions` and `versions_seen`."""
    turn = 0
    while True:
        turn += 1
        yield {f"result_of_node_{n}": prose.text(40) for n in range(60)}


SHAPES: dict[str, Shape] = {
    "appending": appending,
    "trimming": trimming,
    "summarising": summarising,
    "a document of 200 KB": document,
    "a document of 100 sections": sections,
    "500 files": files,
    "60 nodes": wide,
}


@dataclass
class Read:
    """What a process that has seen nothing reads, and how large the state is, compressed."""

    requests: int
    read_bytes: int
    state_bytes: int
    state_raw_bytes: int
    segments: int
    chain_items: int


@dataclass
class Played:
    """Counts of each turn, bytes that changed in each, and cold reads on the way."""

    turns: list[Counts] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)

    def written(self, first: int, last: int) -> float:
        """Mean bytes written in the turns between two shares of the run."""
        chosen = self.turns[first:last]
        return sum(turn.written_bytes for turn in chosen) / len(chosen)


def saver_on(table: BareTable) -> DynamoDBConversationSaver:
    return DynamoDBConversationSaver("table", client=table.client(), transcript=False)


def play(shape: Shape, turns: int, *, cold: bool = False) -> Played:
    """The puts and task writes of so many turns; `cold`: each turn in a process of its own."""
    table, played, held = BareTable(), Played(), {}
    saver = saver_on(table)
    at = config("thread")
    states = shape(Prose())
    sampled = {turns * (n + 1) // SAMPLES - 1 for n in range(SAMPLES)}
    for turn in range(turns):
        state = next(states)
        saver = saver_on(table) if cold else saver
        table.clear()
        saver.get_tuple(config("thread"))
        at = put_turn(saver, at, turn, state, held)
        played.turns.append(table.counts)
        played.changed.append(changed_bytes(held, state))
        held = state
        if turn in sampled:
            played.reads.append(cold_read(table, state))
    return played


def put_turn(saver: DynamoDBConversationSaver, at: Any, turn: int, state: Values, before: Values) -> Any:
    """The steps of a turn: the channels change in the second, and LangGraph's own in each."""
    for part in range(STEPS_PER_TURN):
        step = turn * STEPS_PER_TURN + part + 1
        values = before if part == 0 else state
        own = {"branch:to:agent": None} if part < STEPS_PER_TURN - 1 else {}
        seen = {name: {f"branch:to:{name}": step} for name in state}
        checkpoint: Any = {
            "v": 4,
            "ts": f"2026-11-22T20:00:00.{step:06}+00:00",
            "id": checkpoint_id(step),
            "channel_values": {**values, **own},
            "channel_versions": {**dict.fromkeys(state, turn if part == 0 else turn + 1), "branch:to:agent": step},
            "versions_seen": {"__input__": {}, **seen},
            "updated_channels": None,
        }
        metadata: Any = {"source": "loop", "step": step, "parents": {}}
        at = saver.put(at, checkpoint, metadata, {})
        if part < STEPS_PER_TURN - 1:
            saver.put_writes(at, [("branch:to:agent", None)], f"task-{step}")
    return at


def cold_read(table: BareTable, state: Values) -> Read:
    table.clear()
    saver = saver_on(table)
    found = saver.get_tuple(config("thread"))
    assert found is not None
    assert found.checkpoint["channel_values"] == state
    raw = ormsgpack.packb([found.checkpoint, found.metadata])
    stored = saver._runtime.checkpoints.cached(Scope("thread", USER).namespace(), found.checkpoint["id"])
    assert stored is not None
    return Read(
        table.counts.reads,
        table.counts.read_bytes,
        len(Codec().frame(raw, context="")),
        len(raw),
        len(stored.segments),
        stored.chain_items,
    )


def changed_bytes(old: Values, new: Values) -> int:
    """Bytes of what is in the new state and not in the old one, element by element, uncompressed."""
    return sum(_changed(old.get(name), value) for name, value in new.items())


def _changed(old: Any, new: Any) -> int:
    if isinstance(new, list):
        before = set(old or ())
        return sum(len(item) for item in new if item not in before)
    if isinstance(new, dict):
        return sum(len(item) for name, item in new.items() if (old or {}).get(name) != item)
    return 0 if old == new else len(new)


BOOKKEEPING_BYTES = 450
"""What a step has of its own besides the state: keys, ids, times, versions, metadata, and its task writes' item."""

SLACK_BYTES = CHAIN_BYTES // 8
"""What a cold read may have beside three times the state: a chain of small changes and its task writes."""

each_shape = pytest.mark.parametrize("name", SHAPES)


@each_shape
@pytest.mark.parametrize("cold", [False, True], ids=["one process", "a process a turn"])
def test_what_is_written_is_linear_and_what_is_read_bounded_by_the_state(name: str, cold: bool, report: Report) -> None:
    played = play(SHAPES[name], TURNS, cold=cold)
    window = min(200, TURNS // 4)
    early, late = played.written(window // 2, window // 2 + window), played.written(TURNS - window, TURNS)
    total = sum(turn.written_bytes for turn in played.turns)
    changed, steps = sum(played.changed), TURNS * STEPS_PER_TURN
    report(_line(f"{name}{', a process a turn' if cold else ''}", played, early, late, total / changed))

    assert total <= changed + steps * BOOKKEEPING_BYTES
    assert late <= 1.5 * early  # the first cleaning of segments may come after the early turns
    for read in played.reads:
        assert read.read_bytes <= 3 * read.state_bytes + SLACK_BYTES
        assert read.chain_items < 3 * CHAIN_PAGE + read.state_bytes / 512
        assert read.segments <= SMALL_SEGMENTS + 2 * read.state_raw_bytes / SMALL_SEGMENT_BYTES
        assert read.requests <= 4 + read.segments


def _line(name: str, played: Played, early: float, late: float, by_changed: float) -> str:
    last = played.reads[-1]
    return (
        f"{name}: {early / 1024:.2f} KB written in an early turn, {late / 1024:.2f} in a late one, "
        f"{by_changed:.2f} of what changed; a cold read is {max(r.requests for r in played.reads)} requests at most, "
        f"{last.read_bytes / 1024:.0f} KB for a state of {last.state_bytes / 1024:.0f} KB; "
        f"{max(r.chain_items for r in played.reads)} changes and {max(r.segments for r in played.reads)} segments, "
        f"{max(turn.writes for turn in played.turns)} writes in a turn at most"
    )


WHOLE_AFTER_UPDATES = 100
"""After so many a `DeltaChannel` is stored whole: LangGraph's default, which was 1,000 in older releases."""


class DeltaState(TypedDict):
    messages: Annotated[
        list[AnyMessage],
        DeltaChannel(lambda held, more: add_messages(held, [*chain(*more)]), snapshot_frequency=WHOLE_AFTER_UPDATES),
    ]


class Inner(TypedDict):
    notes: Annotated[list[str], operator.add]


def chat(schema: Any, prose: Prose) -> Any:
    def agent(_: Any) -> dict[str, Any]:
        return {"messages": [AIMessage(prose.text(350), id=prose.uuid())]}

    builder = StateGraph(schema)
    builder.add_node("agent", agent)
    builder.add_edge(START, "agent")
    return builder


def within(prose: Prose) -> Any:
    """A chat whose agent asks a graph that has a memory of its own."""
    inner = StateGraph(Inner)
    inner.add_node("think", lambda _: {"notes": [prose.text(200)]})
    inner.add_edge(START, "think")
    thinking = inner.compile(checkpointer=True)

    def agent(_: Any) -> dict[str, Any]:
        thinking.invoke({"notes": [prose.text(60)]})
        return {"messages": [AIMessage(prose.text(350), id=prose.uuid())]}

    outer = StateGraph(MessagesState)
    outer.add_node("agent", agent)
    outer.add_edge(START, "agent")
    return outer


GRAPHS: dict[str, Callable[[Prose], Any]] = {
    "DeltaChannel": lambda prose: chat(DeltaState, prose),
    "a subgraph with a memory": within,
}


def play_graph(make: Callable[[Prose], Any], turns: int) -> tuple[list[Counts], list[Any]]:
    """So many turns of a graph, on a saver that keeps the transcript too; and its messages at the end."""
    prose, table = Prose(), BareTable()
    with DynamoDBConversationSaver("table", client=table.client()) as saver:
        graph = make(prose).compile(checkpointer=saver)
        played = []
        for _ in range(turns):
            table.clear()
            graph.invoke(
                {"messages": [HumanMessage(prose.text(60), id=prose.uuid())]}, config("thread"), durability="sync"
            )
            played.append(table.counts)
        return played, graph.get_state(config("thread")).values["messages"]


OTHER_SHAPES = {
    "an image in each turn": flat_shapes.images_of(19_000),
    "a subgraph that shares `messages`": flat_shapes.SUBGRAPH,
    "the functional API with `previous`": flat_shapes.PREVIOUS,
    "an agent that sends its state": flat_shapes.SENT,
}

MOST_READ_BYTES = 96 * 1024
"""What a turn reads in a process that has seen the one before: what came since, and a chain that was stored anew."""


@pytest.mark.parametrize("name", OTHER_SHAPES)
def test_a_turn_refers_to_what_is_stored_already(name: str, report: Report) -> None:
    table = BareTable()
    with DynamoDBConversationSaver("table", client=table.client()) as saver:
        turn, played = OTHER_SHAPES[name].begin(saver, config("thread")), []
        for _ in range(TURNS):
            table.clear()
            turn()
            played.append(table.counts)
    window = min(200, TURNS // 4)
    early, late = (
        sum(one.written_bytes - one.written["s"] for one in played[first : first + window]) / window
        for first in (window // 2, TURNS - window)
    )
    segments, others = (sum(one.written[kind] for one in played) for kind in ("s", "c"))
    most_read, most_reads = max(one.read_bytes for one in played), max(one.reads for one in played)
    report(
        f"{name}: {early / 1024:.2f} KB written in an early turn, {late / 1024:.2f} in a late one, with transcript, "
        f"and {segments / TURNS / 1024:.2f} of segments; a turn reads at most {most_read / 1024:.0f} KB with "
        f"{most_reads} requests"
    )

    assert late <= 1.15 * early
    assert segments <= 1.5 * others  # segments that are merged are written anew
    assert most_read <= MOST_READ_BYTES
    assert most_reads <= 12


MOST_REPLAYED_BYTES = 256 * 1024
"""Checkpoints and writes of the updates after which a `DeltaChannel` is stored whole; and as many read in vain."""


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_costs_the_same_in_every_turn(name: str, report: Report) -> None:
    turns = max(TURNS, 100)
    played, messages = play_graph(GRAPHS[name], turns)
    window = min(200, turns // 4)
    early, late = (
        sum(turn.written_bytes - turn.written["p"] for turn in played[first : first + window]) / window
        for first in (window // 2, turns - window)
    )
    stored_whole = [turn.written["p"] for turn in played if turn.written["p"]]
    state_bytes = len(Codec().frame(SERDE.dumps_typed(messages)[1], context=""))
    report(
        f"{name}: {early / 1024:.2f} KB written in an early turn, {late / 1024:.2f} in a late one, with transcript; "
        f"{len(stored_whole)} times whole, {sum(stored_whole) / 1024:.0f} KB; a turn reads at most "
        f"{max(turn.read_bytes for turn in played) / 1024:.0f} KB with {max(turn.reads for turn in played)} requests, "
        f"for a state of {state_bytes / 1024:.0f} KB"
    )

    assert late <= 1.15 * early
    assert len(stored_whole) <= (2 * turns // WHOLE_AFTER_UPDATES if name == "DeltaChannel" else 0)
    assert max(stored_whole, default=0) <= 1.1 * state_bytes
    assert max(turn.read_bytes for turn in played) <= MOST_REPLAYED_BYTES + 2 * state_bytes
    assert max(turn.reads for turn in played) <= 12
