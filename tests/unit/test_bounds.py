"""What the snapshot rule promises, counted without a table: total writes are linear, a read is bounded by the state.

Each shape of state is played step by step through the planner of `put`; written bytes are those of all frames and
segments, a read is the chain since the last full checkpoint and the segments that it refers to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_dynamo_conv import _delta
from langgraph_dynamo_conv._codec import Codec
from langgraph_dynamo_conv._draft import Draft
from langgraph_dynamo_conv._image import CHAIN_BYTES, Image
from langgraph_dynamo_conv._keys import Scope
from langgraph_dynamo_conv._parts import Serializer
from langgraph_dynamo_conv._state import tree_of
from tests.conftest import Report
from tests.reference_chat import Prose

TURNS = int(os.environ.get("BOUNDS_TURNS", "300"))
STEPS_PER_TURN = 5
SCOPE = Scope("thread", "alice")
SERDE = JsonPlusSerializer()
SERIALIZER = Serializer(SERDE.dumps_typed, SERDE.loads_typed)

Shape = Callable[[Prose], Iterator[dict[str, Any]]]
"""Gives a turn's channel values, turn after turn."""


@dataclass
class Counts:
    """Bytes, by turn."""

    written: list[int] = field(default_factory=list)
    read: list[int] = field(default_factory=list)
    state: list[int] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)


def play(shape: Shape, turns: int) -> Counts:
    prose, codec, counts = Prose(), Codec(), Counts()
    values = shape(prose)
    parent: Image | None = None
    segments: dict[str, int] = {}
    step = full = 0
    for _ in range(turns):
        written = requests = 0
        state = next(values)
        for part in range(STEPS_PER_TURN):
            step += 1
            versions = dict.fromkeys(state, step)
            checkpoint: Any = {
                "v": 4,
                "ts": f"2026-11-22T20:00:00.{step:06}+00:00",
                "channel_values": {**state, "branch:to:agent": None} if part < STEPS_PER_TURN - 1 else state,
                "channel_versions": versions,
                "versions_seen": {"agent": {"branch:to:agent": step}, "__input__": {}},
                "updated_channels": list(state),
            }
            metadata = {"source": "loop", "step": step, "parents": {}, "user_id": "alice"}
            draft = Draft(codec, SCOPE, "", f"{step:036}", parent.checkpoint_id if parent else None, None)
            draft.plan(tree_of(checkpoint, metadata, SERIALIZER), parent, linear=True)
            item = draft.item(None, None, None)  # type: ignore[arg-type]
            frames = {name: len(frame) for name, frame in draft.segment_frames.items()}
            segments.update(frames)
            full = len(item.frame or b"") if item.kind == "f" else full
            written += len(item.frame or b"") + sum(frames.values())
            requests += 1 + len(frames)
            parent = draft.image(item)
        assert parent is not None
        counts.written.append(written)
        counts.requests.append(requests)
        counts.read.append(parent.chain_bytes + full + sum(segments[name] for name in parent.segments))
        counts.state.append(
            len(codec.frame(b"".join(leaf.data or b"" for leaf in _delta.leaves(parent.tree)), context=""))
        )
    return counts


def appending(prose: Prose) -> Iterator[dict[str, Any]]:
    messages: list[str] = []
    while True:
        messages = [*messages, prose.text(60), prose.text(120), prose.text(1000), prose.text(350)]
        yield {"messages": messages}


def trimming(prose: Prose) -> Iterator[dict[str, Any]]:
    for state in appending(prose):
        yield {"messages": state["messages"][-20:]}


def summarising(prose: Prose) -> Iterator[dict[str, Any]]:
    messages: list[str] = []
    while True:
        messages = [*messages, prose.text(60), prose.text(120), prose.text(1000), prose.text(350)]
        if len(messages) > 80:
            messages = [prose.text(2000), *messages[-20:]]
        yield {"messages": messages}


def document(prose: Prose) -> Iterator[dict[str, Any]]:
    """Sections of a 200 KB document, one of which changes in every tenth turn; a chat beside it."""
    sections = [prose.text(2000) for _ in range(100)]
    for turn, state in enumerate(appending(prose)):
        if turn % 10 == 0:
            sections = [*sections[:50], prose.text(2000), *sections[51:]]
        yield {**state, "messages": state["messages"][-40:], "sections": sections}


def files(prose: Prose) -> Iterator[dict[str, Any]]:
    held = {f"src/module_{n}.py": prose.text(500) for n in range(500)}
    turn = 0
    while True:
        turn += 1
        held = {**held, f"src/module_{turn * 37 % 500}.py": prose.text(500)}
        yield {"files": held}


SHAPES: dict[str, Shape] = {
    "appending": appending,
    "trimming": trimming,
    "summarising": summarising,
    "a document of 100 sections": document,
    "500 files": files,
}
SLACK_BYTES = CHAIN_BYTES // 8
"""What a read may have beside three times the state: a chain of 24 small changes and its writes."""

each_shape = pytest.mark.parametrize("name", SHAPES)


@each_shape
def test_writes_stay_linear_and_reads_bounded_by_the_state(name: str, report: Report) -> None:
    counts = play(SHAPES[name], TURNS)
    quarter = TURNS // 4
    early, late = sum(counts.written[quarter : 2 * quarter]), sum(counts.written[-quarter:])
    excess = max((read - SLACK_BYTES) / state for read, state in zip(counts.read, counts.state, strict=True))
    report(
        f"{name}: {sum(counts.written) / TURNS / 1024:.2f} KB written a turn "
        f"(last quarter by second {late / early:.2f}), a read is at most {max(counts.read) / 1024:.0f} KB "
        f"for a state of {max(counts.state) / 1024:.0f} KB, {max(counts.requests)} requests at most"
    )
    assert late / early <= 1.25
    assert excess <= 3
