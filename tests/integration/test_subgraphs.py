"""Graphs within graphs, with and without a memory of their own."""

from __future__ import annotations

import operator
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.pregel import Pregel
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.integration.conftest import MakeTwins
from tests.integration.play import Player, plain
from tests.integration.transcripts import TableReader, transcript


class Log(TypedDict):
    seen: Annotated[list[str], operator.add]


class Inner(TypedDict):
    seen: Annotated[list[str], operator.add]
    own: Annotated[list[str], operator.add]


def nested(checkpointer_of_inner: Any = None, *, asks: bool = False) -> Any:
    """Three graphs inside one another; the innermost asks, if it is to."""

    def build(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
        def work(state: Inner) -> dict[str, Any]:
            said = f" {interrupt('name?')}" if asks else ""
            return {"seen": [f"innermost{said}"], "own": [f"own {len(state.get('own', []))}"]}

        innermost = StateGraph(Inner)
        innermost.add_node("work", work)
        innermost.add_node("rest", lambda _: {"own": ["rest"]})
        innermost.add_edge(START, "work")
        innermost.add_edge("work", "rest")
        inner = StateGraph(Log)
        inner.add_node("innermost", innermost.compile(checkpointer=checkpointer_of_inner))
        inner.add_node("leave", lambda _: {"seen": ["leave"]})
        inner.add_edge(START, "innermost")
        inner.add_edge("innermost", "leave")
        outer = StateGraph(Log)
        outer.add_node("enter", lambda _: {"seen": ["enter"]})
        outer.add_node("inner", inner.compile(checkpointer=checkpointer_of_inner))
        outer.add_node("end", lambda _: {"seen": ["end"]})
        outer.add_edge(START, "enter")
        outer.add_edge("enter", "inner")
        outer.add_edge("inner", "end")
        return outer.compile(checkpointer=checkpointer)

    return build


@pytest.mark.parametrize("checkpointer", [None, True, False])
def test_subgraphs_run_twice_with_inherited_own_or_no_memory(twins: MakeTwins, checkpointer: Any):
    pair = twins(nested(checkpointer))
    for _ in range(2):
        pair.invoke({"seen": []})
        pair.compare()


@pytest.mark.parametrize("checkpointer", [None, True])
def test_an_interrupt_two_levels_down_shows_everywhere_and_is_answered(
    twins: MakeTwins, table: TableReader, checkpointer: Any
):
    pair = twins(nested(checkpointer, asks=True))
    result = pair.invoke({"seen": []})
    assert [found.value for found in result["__interrupt__"]] == ["name?"]
    pair.compare()
    assert table.row(pair.config)["status"] == "waiting"

    def innermost(player: Player) -> Any:
        inner = player.state(subgraphs=True).tasks[0].state
        return inner.tasks[0].state

    assert pair.do(innermost).next == ("work",)
    result = pair.invoke(Command(resume="Ann"))
    assert {"innermost Ann", "leave", "end"} <= set(result["seen"])
    pair.compare()
    assert table.row(pair.config)["status"] == "idle"


def test_the_state_of_a_waiting_subgraph_can_be_read_updated_and_replayed(twins: MakeTwins):
    pair = twins(nested(asks=True))
    pair.invoke({"seen": []})

    def inner_config(player: Player) -> Any:
        return player.state(subgraphs=True).tasks[0].state.tasks[0].state.config

    pair.do(lambda player: player.state(inner_config(player)))
    pair.do(lambda player: player.history(inner_config(player)))
    pair.do(lambda player: bool(player.update({"own": ["updated"]}, config=inner_config(player))))
    pair.do(lambda player: player.state(subgraphs=True))
    assert pair.invoke(Command(resume="Ann"))["seen"][-1] == "end"
    pair.compare()


def asking_twice(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    inner = StateGraph(Log)
    inner.add_node("ask", lambda state: {"seen": [f"{state['seen'][-1]}: {interrupt(state['seen'][-1])}"]})
    inner.add_edge(START, "ask")
    outer = StateGraph(Log)
    outer.add_node("inner", inner.compile())
    outer.add_conditional_edges(
        START, lambda _: [Send("inner", {"seen": [name]}) for name in ("left", "right")], ["inner"]
    )
    return outer.compile(checkpointer=checkpointer)


@pytest.mark.one_clock  # chance says which of the two makes the smaller ids
def test_two_runs_of_one_subgraph_ask_at_the_same_time(twins: MakeTwins):
    pair = twins(asking_twice)
    pair.do(lambda player: len(player.invoke({"seen": []})["__interrupt__"]))
    pair.compare()

    def answer(player: Player) -> Any:
        answers = {found.id: f"{found.value}!" for found in player.state().interrupts}
        return player.invoke(Command(resume=answers))

    assert "left: left!" in pair.do(answer)["seen"]
    pair.compare()


def talking_aside(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    """A subgraph whose own messages differ from what the parent gets."""
    inner = StateGraph(MessagesState)
    inner.add_node("think", lambda _: {"messages": [("ai", "thinking aloud")]})
    inner.add_edge(START, "think")
    aside = inner.compile(checkpointer=True)

    def consult(state: MessagesState) -> dict[str, Any]:
        thought = aside.invoke({"messages": [("user", "aside")]})["messages"]
        return {"messages": [("ai", f"after {len(thought)} thoughts")]}

    outer = StateGraph(MessagesState)
    outer.add_node("consult", consult)
    outer.add_edge(START, "consult")
    return outer.compile(checkpointer=checkpointer)


def test_messages_of_a_subgraph_stay_out_of_the_transcript_unless_the_parent_gets_them(
    twins: MakeTwins, saver: DynamoDBConversationSaver
):
    pair = twins(talking_aside)
    pair.invoke({"messages": [("user", "hello")]})
    pair.invoke({"messages": [("user", "again")]})
    pair.compare()
    assert transcript(saver, pair.config) == [
        ("user", "hello"),
        ("assistant", "after 2 thoughts"),
        ("user", "again"),
        ("assistant", "after 4 thoughts"),
    ]


def test_streams_of_subgraphs_have_the_same_namespaces(twins: MakeTwins):
    pair = twins(nested())

    def updates(player: Player) -> Any:
        chunks = player.graph.stream({"seen": []}, player.config, stream_mode="updates", subgraphs=True)
        return [([part.split(":")[0] for part in namespace], plain(chunk)) for namespace, chunk in chunks]

    pair.do(updates)
