"""Runs that wait for a person: what they ask, what the row shows meanwhile, and how they go on."""

from __future__ import annotations

import operator
import threading
from typing import Annotated, Any

import pytest
from langchain_core.tools import tool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.types import INTERRUPT, RESUME
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.pregel import Pregel
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.conftest import MakeSaver
from tests.integration.agents import tool_agent
from tests.integration.conftest import MakeTwins
from tests.integration.play import Player
from tests.integration.transcripts import TableReader, said, transcript


class Log(TypedDict):
    seen: Annotated[list[str], operator.add]


def asking(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    def ask(state: Log) -> dict[str, Any]:
        return {"seen": [f"name {interrupt('name?')}", f"age {interrupt({'ask': 'age?'})}"]}

    builder = StateGraph(Log)
    builder.add_node("before", lambda _: {"seen": ["before"]})
    builder.add_node("ask", ask)
    builder.add_node("after", lambda _: {"seen": ["after"]})
    builder.add_edge(START, "before")
    builder.add_edge("before", "ask")
    builder.add_edge("ask", "after")
    return builder.compile(checkpointer=checkpointer)


def test_a_node_asks_twice_and_goes_on_with_the_answers(twins: MakeTwins, table: TableReader):
    pair = twins(asking)
    for answer, asked in (({"seen": []}, "name?"), (Command(resume="Ann"), {"ask": "age?"})):
        result = pair.invoke(answer)
        assert [found.value for found in result["__interrupt__"]] == [asked]
        assert pair.compare()[0].next == ("ask",)
        assert table.row(pair.config)["status"] == "waiting"
    result = pair.invoke(Command(resume=30))
    assert result["seen"] == ["before", "name Ann", "age 30", "after"]
    pair.compare()
    assert table.row(pair.config)["status"] == "idle"


def test_a_question_that_is_stored_before_the_answer_to_the_last_one_is_still_waited_for(
    make_saver: MakeSaver, table: TableReader, monkeypatch: pytest.MonkeyPatch
):
    """With durability "async" both are stored at the same time, in any order."""
    saver, asked_again = make_saver(), threading.Event()
    updater = saver._runtime.row_updater
    wrote = updater.wrote

    def late(scope: Any, checkpoint_id: str, task_id: str, writes: Any, start: Any = None) -> None:
        channels = {channel for channel, _ in writes}
        if channels == {RESUME}:
            assert asked_again.wait(10)
        wrote(scope, checkpoint_id, task_id, writes, start)
        if INTERRUPT in channels:
            asked_again.set()

    graph, config = asking(saver), saver.new_conversation("alice")
    graph.invoke({"seen": []}, config, durability="async")
    monkeypatch.setattr(updater, "wrote", late)
    asked_again.clear()
    graph.invoke(Command(resume="Ann"), config, durability="async")
    assert asked_again.is_set()
    row = table.row(config)
    assert (row["status"], [one["value"] for one in row["waiting_for"]]) == ("waiting", [{"ask": "age?"}])


def asking_in_parallel(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    builder = StateGraph(Log)
    for name in ("one", "two", "three"):
        builder.add_node(name, lambda _, name=name: {"seen": [f"{name} {interrupt(name)}"]})
        builder.add_edge(START, name)
    builder.add_node("four", lambda _: {"seen": ["four"]})
    builder.add_edge(START, "four")
    return builder.compile(checkpointer=checkpointer)


def test_several_interrupts_at_once_are_answered_one_by_one_or_together(twins: MakeTwins):
    pair = twins(asking_in_parallel)

    def ask(player: Player) -> list[str]:
        result = player.invoke({"seen": []})
        return sorted(found.value for found in result["__interrupt__"])

    def answer(names: set[str]) -> Any:
        def act(player: Player) -> Any:
            waiting = [found for found in player.state().interrupts if found.value in names]
            answers = Command(resume={found.id: f"{found.value}!" for found in waiting})
            result = player.invoke(answers)
            return result["seen"], len(result.get("__interrupt__", ()))

        return act

    assert pair.do(ask) == ["one", "three", "two"]
    pair.compare()
    assert pair.do(answer({"two"}))[1] == 2
    pair.compare()
    assert pair.do(answer({"one", "three"})) == (["four", "one one!", "three three!", "two two!"], 0)
    pair.compare()


def steps(**breakpoints: Any) -> Any:
    def build(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
        builder = StateGraph(Log)
        for name, before in (("one", START), ("two", "one"), ("three", "two")):
            builder.add_node(name, lambda _, name=name: {"seen": [name]})
            builder.add_edge(before, name)
        return builder.compile(checkpointer=checkpointer, **breakpoints)

    return build


@pytest.mark.parametrize(
    ("breakpoints", "stops"),
    [
        ({"interrupt_before": ["two"]}, [("two",)]),
        ({"interrupt_after": ["two"]}, [("three",)]),
        ({"interrupt_before": "*"}, [("one",), ("two",), ("three",)]),
    ],
)
def test_static_breakpoints_stop_and_go_on(twins: MakeTwins, breakpoints: dict[str, Any], stops: list[Any]):
    pair = twins(steps(**breakpoints))
    inputs: Any = {"seen": []}
    for stop in stops:
        pair.invoke(inputs)
        assert pair.compare()[0].next == stop
        inputs = None
    assert pair.invoke(None)["seen"] == ["one", "two", "three"]
    pair.compare()


def test_breakpoints_of_one_run_stop_only_that_run(twins: MakeTwins):
    pair = twins(steps())
    pair.invoke({"seen": []}, interrupt_before=["three"])
    assert pair.compare()[0].next == ("three",)
    assert pair.invoke(None)["seen"] == ["one", "two", "three"]
    pair.compare()


@tool
def book(query: str) -> str:
    """Book a room, if a person agrees."""
    return f"Booked {query} for {interrupt({'book': query})}."


booking = tool_agent(tools=[book])


def test_the_row_shows_the_pending_call_and_after_resume_its_result(
    twins: MakeTwins, saver: DynamoDBConversationSaver, table: TableReader
):
    pair = twins(booking)
    asks = {"messages": [("user", "book lake")]}
    pair.invoke(asks)
    pair.compare()
    row = table.row(pair.config)
    assert (row["status"], row["message_count"]) == ("waiting", 2)
    pending = [("book", "lake", "pending")]
    assert said(row["messages"]) == [("user", "book lake"), ("assistant", "", pending)]

    pair.invoke(Command(resume="Ann"))
    pair.compare()
    row = table.row(pair.config)
    assert row["status"] == "idle"
    done = [("book", "lake", "Booked lake for Ann.")]
    told = [
        ("user", "book lake"),
        ("assistant", "Answer to: book lake", done),
    ]
    assert said(row["messages"]) == told
    assert transcript(saver, pair.config) == told


def test_a_new_question_instead_of_an_answer_keeps_the_pending_call_and_goes_on(
    twins: MakeTwins, saver: DynamoDBConversationSaver, table: TableReader
):
    pair = twins(booking)
    pair.invoke({"messages": [("user", "book lake")]})
    pair.invoke({"messages": [("user", "never mind")]})
    pair.compare()
    assert transcript(saver, pair.config) == [
        ("user", "book lake"),
        ("assistant", "", [("book", "lake", "pending")]),
        ("user", "never mind"),
        ("assistant", "Answer to: never mind"),
    ]
    assert table.row(pair.config)["status"] == "idle"


def workflow(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    @task
    def draft(text: str) -> str:
        return f"draft of {text}"

    @entrypoint(checkpointer=checkpointer)
    def write(text: str) -> dict[str, str]:
        drafted = draft(text).result()
        return {"draft": drafted, "review": interrupt({"review": drafted})}

    return write


def test_a_workflow_of_the_functional_api_waits_and_does_not_repeat_its_tasks(twins: MakeTwins):
    pair = twins(workflow)
    assert "__interrupt__" in pair.invoke("cats")
    pair.compare()
    result = pair.invoke(Command(resume="good"))
    assert result == {"draft": "draft of cats", "review": "good"}
    pair.compare()


def test_resume_can_update_the_state_and_go_elsewhere(twins: MakeTwins):
    pair = twins(asking)
    pair.invoke({"seen": []})
    pair.invoke(Command(update={"seen": ["updated"]}, resume="Ann"))
    assert pair.invoke(Command(resume=1))["seen"][:2] == ["before", "updated"]
    pair.compare()
