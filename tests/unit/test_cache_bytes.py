"""The cache counts the memory that it holds: what is counted, beside what is free again once all of it is dropped."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._checkpoints.cache import CheckpointCache
from tests.conftest import Report
from tests.factories import config, noise, put, read
from tests.memory_engine.bare import BareTable
from tests.reference_chat import Prose, chat_graph, user_message

MOST_WRONG = 0.1
CHANNELS = [f"channel_{number}" for number in range(80)]
FOLDER = "/home/alice/documents-of-the-project/notes-from-the-meetings-of-the-team"

Saver = DynamoDBConversationSaver
Fill = Callable[[Saver, Saver], None]
"""Fills the cache of the first saver; the second is another process on the same table."""


def thread(number: int) -> str:
    return f"conversation-{number:024}"


def chats(count: int, turns: int) -> Fill:
    """Conversations of the reference chat."""

    def fill(saver: Saver, _: Saver) -> None:
        prose = Prose()
        graph = chat_graph(prose).compile(checkpointer=saver)
        for number in range(count):
            for _turn in range(turns):
                graph.invoke(user_message(prose), config(thread(number)))

    return fill


def steps(values: Callable[[int, int], dict[str, Any]], *, count: int = 1, steps_each: int = 3, ns: str = "") -> Fill:
    """Conversations of so many steps, with values by conversation and step."""

    def fill(saver: Saver, _: Saver) -> None:
        for number in range(count):
            at = config(thread(number), checkpoint_ns=ns)
            for step in range(1, steps_each + 1):
                put(saver, step, values(number, step), at=at, parent=step - 1 or None)

    return fill


def read_anew(fill: Fill, count: int = 1) -> Fill:
    """What another process has written is read."""

    def filled(saver: Saver, other: Saver) -> None:
        fill(other, other)
        for number in range(count):
            read(saver, config(thread(number)))

    return filled


def said(places: range) -> list[AnyMessage]:
    kinds = HumanMessage, AIMessage
    return [kinds[place % 2](f"{place:06} " * (20 + place % 50), id=f"{place:08}") for place in places]


def messages(_: int, step: int) -> dict[str, Any]:
    return {"messages": said(range(996 + step * 2))}


def window(_: int, step: int) -> dict[str, Any]:
    return {"messages": said(range(step * 10, step * 10 + 200))}


def channels(number: int, step: int) -> dict[str, Any]:
    return {name: f"{number} {step if place == 7 else 0} {place}" for place, name in enumerate(CHANNELS)}


def files(_: int, step: int) -> dict[str, Any]:
    lengths = {place: 20 + place % 50 + step * (place == 5) for place in range(200)}
    return {"files": {f"{FOLDER}/notes-{place}.md": f"{place:06} " * lengths[place] for place in lengths}}


def documents(number: int, step: int) -> dict[str, Any]:
    return {"documents": [f"{number} {place} " * 4_000 for place in range(step + 3)]}


def images(number: int, step: int) -> dict[str, Any]:
    return {"images": [noise(90_000, number * 100 + place) for place in range(step + 3)]}


SHAPES: dict[str, Fill] = {
    "20 chats of two turns": chats(20, 2),
    "3 chats of 12 turns": chats(3, 12),
    "a chat of 1,000 messages": steps(messages),
    "a chat of 1,000 messages, read": read_anew(steps(messages)),
    "a window over messages": steps(window, steps_each=6),
    "80 channels": steps(channels, count=5),
    "200 files": steps(files),
    "200 files, read": read_anew(steps(files)),
    "documents": steps(documents, count=4),
    "images": steps(images, count=10),
    "subgraphs": steps(channels, count=5, ns="supervisor:1f000001-0000-6000-8000-000000000000"),
    "one step each": steps(lambda number, step: {"topic": [number, step]}, count=100, steps_each=1),
}


def freed_bytes(cache: CheckpointCache) -> int:
    """The memory that is free again once a cache has forgotten all of its conversations."""
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(100):
        cache.forget(thread(number))
    gc.collect()
    return before - tracemalloc.get_traced_memory()[0]


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_cache_counts_what_it_holds(traced: None, report: Report, shape: str) -> None:
    table = BareTable()
    with Saver("table", client=table.client(), default_user_id="demo") as saver:
        with Saver("table", client=table.client(), default_user_id="demo", cache_bytes=0) as other:
            SHAPES[shape](saver, other)
        cache = saver._runtime.shared.cache
        shared = saver._runtime.shared
        for other in (shared.blobs, shared.deltas._names, shared.deltas._unguarded):
            other.drop(lambda _: True)  # these hold references to large values, and names of conversations, too
        counted = cache.weight
        held = freed_bytes(cache)

    report(f"cache, {shape}: {counted / 1024:.1f} KB counted, {held / 1024:.1f} KB held")
    assert cache.weight == 0
    assert abs(counted / held - 1) <= MOST_WRONG
