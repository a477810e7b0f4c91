"""Steps of a run refer to each other however slow the table is: LangGraph stores a step once the one before is stored,
and what a task of it does may come first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, Send, interrupt

from langgraph_dynamo_conv._calls import arrivals as arrivals_module
from langgraph_dynamo_conv._calls.arrivals import Arrivals, Place
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv.errors import RequestFailedError
from tests.costs.flat_shapes import Topics
from tests.factories import items_of
from tests.integration.agents import DeltaState

if TYPE_CHECKING:
    from tests.conftest import MakeSaver

pytestmark = pytest.mark.engine("memory")

CALLS = 12
"""Sub-graphs at once: more than threads that store steps."""

NETWORK_SECONDS = 0.03


def invoke(graph: Any, given: Any, config: Any, **options: Any) -> Any:
    return graph.invoke(given, config, **options)


def ainvoke(graph: Any, given: Any, config: Any, **options: Any) -> Any:
    return asyncio.run(graph.ainvoke(given, config, **options))


each_way = pytest.mark.parametrize("run", [invoke, ainvoke], ids=["sync", "async"])


def slow(saver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each item take some time to be stored."""
    table = saver._runtime.table

    def later(call: Any, *arguments: Any, **more: Any) -> Any:
        time.sleep(NETWORK_SECONDS)
        return call(*arguments, **more)

    for name in ("put", "update"):
        monkeypatch.setattr(table, name, partial(later, getattr(table, name)))


def supervisor(prose: Topics, calls: int, *, asks: bool = False) -> StateGraph[Any]:
    """A graph that hands all its messages to so many agents at once, and repeats them itself."""

    def answer(_: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(interrupt("well?") if asks else prose.text(100), id=prose.uuid())]}

    agent = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").compile()

    def repeat(state: MessagesState) -> dict[str, Any]:
        return {"messages": state["messages"]}

    def hand_out(state: MessagesState) -> list[Any]:
        return ["repeat", *(Send("agent", state) for _ in range(calls))]

    builder = StateGraph(MessagesState).add_node("agent", agent).add_node("repeat", repeat)
    return builder.add_conditional_edges(START, hand_out, ["agent", "repeat"])


def said(prose: Topics) -> dict[str, Any]:
    return {"messages": [HumanMessage(prose.text(4000), id=prose.uuid()) for _ in range(3)]}


def begun(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first checkpoints of agents."""
    return [item for item in items if "agent" in item["user_id"]["S"] and item.get("k") == {"S": "f"}]


@each_way
def test_what_a_task_does_is_a_change_of_what_its_graph_has(
    make_saver: MakeSaver, client: Any, table_name: str, monkeypatch: pytest.MonkeyPatch, run: Any
) -> None:
    prose, saver = Topics(), make_saver()
    slow(saver, monkeypatch)
    config = saver.new_conversation("alice")
    graph = supervisor(prose, CALLS).compile(checkpointer=saver)
    for _ in range(2):
        run(graph, said(prose), config)

    items = items_of(client, table_name)
    called = begun(items)
    writes = [item for item in items if "#w##" in item["user_id"]["S"]]
    assert len(called) == 2 * CALLS
    assert all("o" in item for item in called)
    assert max(len(item["d"]["B"]) for item in called) < 1000
    assert max(len(value["B"]) for item in writes for value in item.values() if "B" in value) < 1000


@each_way
def test_a_sub_graph_that_asks_at_the_end_of_a_run_refers_to_what_the_run_began_with(
    make_saver: MakeSaver, client: Any, table_name: str, run: Any
) -> None:
    prose, saver = Topics(), make_saver()
    config = saver.new_conversation("alice")
    run(supervisor(prose, 1).compile(checkpointer=saver), said(prose), config, durability="exit")
    asking = supervisor(prose, 1, asks=True)
    run(asking.compile(checkpointer=saver), said(prose), config, durability="exit")

    called = begun(items_of(client, table_name))
    assert called
    assert all("o" in item for item in called)
    answer = run(asking.compile(checkpointer=make_saver()), Command(resume="yes"), config, durability="exit")
    assert answer["messages"][-1].content == "yes"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever waits in vain does so for longer than the test may take."""
    monkeypatch.setattr(arrivals_module, "_MOST_SECONDS", 30.0)
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 20


@each_way
@pytest.mark.usefixtures("impatient")
def test_a_run_waits_for_nothing_that_will_not_come(make_saver: MakeSaver, run: Any) -> None:
    """A process that goes on where another stopped, and one that keeps nothing in memory."""
    prose, config = Topics(), make_saver().new_conversation("alice")
    asking = supervisor(prose, 2, asks=True)
    run(asking.compile(checkpointer=make_saver()), said(prose), config)
    graph = asking.compile(checkpointer=make_saver(cache_bytes=0))
    pending = graph.get_state(config).interrupts
    run(graph, Command(resume={one.id: "yes" for one in pending}), config)


@each_way
@pytest.mark.usefixtures("impatient")
def test_a_run_waits_for_nothing_that_is_stored_long_since(make_saver: MakeSaver, run: Any) -> None:
    """However many other conversations and sub-graphs this process has stored meanwhile."""
    prose, saver = Topics(), make_saver()
    chat = supervisor(prose, 1).compile(checkpointer=saver)

    def think(_: MessagesState) -> dict[str, Any]:
        for _other in range(20):
            chat.invoke(said(prose), saver.new_conversation("bob"))
        return {"messages": [AIMessage(prose.text(4000), id=prose.uuid())]}

    slow_one = StateGraph(MessagesState).add_node("think", think).add_edge(START, "think")
    run(slow_one.compile(checkpointer=saver), said(prose), saver.new_conversation("alice"))
    run(supervisor(prose, 60).compile(checkpointer=saver), said(prose), saver.new_conversation("alice"))


@each_way
@pytest.mark.parametrize("nth", range(1, 8))
@pytest.mark.usefixtures("impatient")
def test_a_run_whose_checkpoint_cannot_be_stored_ends_at_once(
    make_saver: MakeSaver, monkeypatch: pytest.MonkeyPatch, run: Any, nth: int
) -> None:
    prose, saver = Topics(), make_saver()
    config = saver.new_conversation("alice")
    slow(saver, monkeypatch)
    table, puts = saver._runtime.table, count(1)
    put = table.put

    def failing(*arguments: Any, **more: Any) -> Any:
        if next(puts) == nth:
            raise RequestFailedError("refused", table="table")
        return put(*arguments, **more)

    monkeypatch.setattr(table, "put", failing)
    with pytest.raises(RequestFailedError, match="refused"):
        run(supervisor(prose, 2).compile(checkpointer=saver), said(prose), config)


@each_way
@pytest.mark.parametrize("schema", [MessagesState, DeltaState])
def test_what_a_task_gave_back_is_stored_as_it_was(
    make_saver: MakeSaver, monkeypatch: pytest.MonkeyPatch, schema: Any, run: Any
) -> None:
    """While its write waits, the next step changes the message in place."""
    text = Topics().text(4000)

    def give(_: Any) -> dict[str, Any]:
        return {"messages": [AIMessage(text, id="given")]}

    def change(state: Any) -> dict[str, Any]:
        state["messages"][-1].content = "changed in place"
        return {"messages": [AIMessage("second", id="second")]}

    saver = make_saver()
    slow(saver, monkeypatch)
    builder = StateGraph(schema).add_node("give", give).add_node("change", change)
    builder.add_edge(START, "give").add_edge("give", "change")
    config = saver.new_conversation("alice")
    run(builder.compile(checkpointer=saver), {"messages": [HumanMessage("hi", id="said")]}, config)

    given = [
        message.content
        for saved in make_saver().list(config)
        for _, channel, value in saved.pending_writes or ()
        if channel == "messages"
        for message in value
        if message.id == "given"
    ]
    assert given == [text]


@pytest.fixture
def place() -> Place:
    return Place(Scope("thread", "alice").namespace(), "2")


def waited(arrivals: Arrivals, place: Place) -> float:
    """Seconds of a wait in a thread and one on an event loop."""
    began = time.monotonic()
    arrivals.wait(place)
    asyncio.run(arrivals.await_(place))
    return time.monotonic() - began


def test_what_is_not_being_stored_is_not_waited_for(place: Place) -> None:
    arrivals = Arrivals()
    assert waited(arrivals, place) < 0.4
    with arrivals.storing(place._replace(checkpoint_id="3")):
        assert waited(arrivals, place) < 0.4
    arrivals = Arrivals()
    with arrivals.storing(Place(Scope("thread", "bob").namespace(), "1")):
        assert waited(arrivals, place) < 0.4
    with arrivals.storing(place):
        arrivals.note_stored(place)
        assert waited(arrivals, place) < 0.4
        assert arrivals.comes(place._replace(checkpoint_id="3"))
    assert not arrivals.comes(place)
    assert arrivals.comes(place._replace(checkpoint_id="3"))
    time.sleep(0.3)
    assert not arrivals.comes(place._replace(checkpoint_id="3"))


def test_what_never_comes_is_waited_for_some_time_and_then_forgotten(
    monkeypatch: pytest.MonkeyPatch, place: Place
) -> None:
    monkeypatch.setattr(arrivals_module, "_MOST_SECONDS", 0.6)
    arrivals = Arrivals()
    with arrivals.storing(place._replace(checkpoint_id="1")):
        assert 1.1 < waited(arrivals, place) < 4
        assert arrivals._waiting == {}

    async def is_cancelled() -> None:
        with arrivals.storing(place), suppress(asyncio.TimeoutError):
            await asyncio.wait_for(arrivals.await_(place), 0.1)

    asyncio.run(is_cancelled())
    assert arrivals._waiting == {}


def test_who_waits_goes_on_when_the_checkpoint_is_stored_and_when_nothing_is_stored_any_more(
    monkeypatch: pytest.MonkeyPatch, place: Place
) -> None:
    monkeypatch.setattr(arrivals_module, "_MOST_SECONDS", 60.0)
    arrivals, before = Arrivals(), place._replace(checkpoint_id="1")
    seconds = {}
    for name in ("stored", "failed", "idle"):
        with ThreadPoolExecutor() as threads, suppress(OSError), arrivals.storing(before):
            waiting = threads.submit(waited, arrivals, place)
            while not arrivals._waiting:
                time.sleep(0.01)
            if name == "stored":
                arrivals.note_stored(place)
            if name == "failed":
                raise OSError
        seconds[name] = waiting.result()
    assert max(seconds.values()) < 10


@each_way
@pytest.mark.parametrize("inner", ["sync", "async"])
@pytest.mark.usefixtures("impatient")
def test_a_sub_graph_of_a_run_that_stores_at_its_end_does_not_wait(make_saver: MakeSaver, run: Any, inner: Any) -> None:
    prose = Topics()
    leaf = StateGraph(MessagesState).add_node("leaf", lambda _: said(prose)).add_edge(START, "leaf").compile()
    call = StateGraph(MessagesState).add_node("call", lambda state: leaf.invoke(state, durability=inner))
    graph, config = call.add_edge(START, "call").compile(checkpointer=make_saver()), make_saver().new_conversation("a")
    for _ in range(3):
        run(graph, said(prose), config, durability="async")
        run(graph, said(prose), config, durability="exit")


@each_way
@pytest.mark.parametrize("schema", [MessagesState, DeltaState])
@pytest.mark.usefixtures("impatient")
def test_a_command_that_begins_a_conversation_waits_for_nothing(make_saver: MakeSaver, schema: Any, run: Any) -> None:
    prose, saver = Topics(), make_saver()
    answer = StateGraph(schema).add_node("answer", lambda _: said(prose)).add_edge(START, "answer")
    graph, config = answer.compile(checkpointer=saver), saver.new_conversation("alice")
    for turns in (1, 2):
        state = run(graph, Command(update=said(prose), goto="answer"), config)
        assert len(state["messages"]) == len(graph.get_state(config).values["messages"]) >= 6 * turns


@each_way
@pytest.mark.parametrize("schema", [MessagesState, DeltaState])
@pytest.mark.parametrize("nth", range(1, 5))
@pytest.mark.usefixtures("impatient")
def test_a_run_whose_write_cannot_be_stored_ends_at_once(
    make_saver: MakeSaver, monkeypatch: pytest.MonkeyPatch, run: Any, schema: Any, nth: int
) -> None:
    prose, saver = Topics(), make_saver()
    leaf = StateGraph(schema).add_node("leaf", lambda _: said(prose)).add_edge(START, "leaf").compile()
    builder = StateGraph(schema).add_node("listen", lambda _: said(prose)).add_node("leaf", leaf)
    builder = builder.add_edge(START, "listen").add_edge("listen", "leaf")
    graph, config = builder.compile(checkpointer=saver), saver.new_conversation("alice")
    run(graph, said(prose), config)
    save, calls = saver._runtime.writes.save, count(1)

    def failing(*arguments: Any, **more: Any) -> None:
        if next(calls) == nth:
            raise RequestFailedError("refused", table="table")
        save(*arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(saver._runtime.writes, "save", failing)
        slow(saver, patched)
        with pytest.raises(RequestFailedError, match="refused"):
            run(graph, said(prose), config)
    run(graph, None, config)
    assert graph.get_state(config).next == ()
