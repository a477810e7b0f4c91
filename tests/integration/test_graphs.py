"""Graphs of every shape give the same results, states and histories as on LangGraph's own saver in memory."""

from __future__ import annotations

import operator
from threading import Event
from typing import Annotated, Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.pregel import Pregel
from langgraph.types import Command, RetryPolicy, Send
from typing_extensions import TypedDict

from tests.conftest import MakeSaver
from tests.engines import Engine
from tests.integration.agents import tool_agent
from tests.integration.conftest import MakeTwins
from tests.integration.transcripts import TableReader


class Log(TypedDict):
    seen: Annotated[list[str], operator.add]


class Count(TypedDict):
    number: int
    seen: Annotated[list[str], operator.add]


def test_an_agent_with_tools_runs_for_several_turns(twins: MakeTwins, mode: str):
    pair = twins(tool_agent())
    for text in ("hello", "search lakes, search rivers / details 3", "fail it", "bye"):
        pair.invoke({"messages": [("user", text)]})

    history = pair.compare()
    assert len(history[0].values["messages"]) == 15
    assert len(history) == (4 if mode == "async" else 18)


def parallel(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    builder = StateGraph(Log)
    for name in ("split", "left", "middle", "right", "join"):
        builder.add_node(name, lambda _, name=name: {"seen": [name]})
    builder.add_edge(START, "split")
    for name in ("left", "middle", "right"):
        builder.add_edge("split", name)
    builder.add_edge(["left", "middle", "right"], "join")
    return builder.compile(checkpointer=checkpointer)


def test_parallel_branches_join(twins: MakeTwins):
    pair = twins(parallel)
    for _ in range(2):
        assert len(pair.invoke({"seen": ["in"]})["seen"]) % 6 == 0
    pair.compare()


def test_a_checkpoint_that_is_stored_late_holds_the_state_of_its_own_step(engine: Engine, make_saver: MakeSaver):
    joined = Event()
    joined.set()
    client = engine.client()
    client.meta.events.register("before-parameter-build.dynamodb.PutItem", lambda **_: joined.wait(20))

    def join(state: Log) -> dict[str, Any]:
        joined.set()
        return {"seen": ["join"]}

    builder = StateGraph(Log)
    for name in ("split", "left", "right"):
        builder.add_node(name, lambda _, name=name: {"seen": [name]})
    builder.add_node("join", join)
    builder.add_edge(START, "split")
    builder.add_edge("split", "left")
    builder.add_edge("split", "right")
    builder.add_edge(["left", "right"], "join")
    saver = make_saver(client=client)
    graph, config = builder.compile(checkpointer=saver), saver.new_conversation()
    graph.invoke({"seen": []}, config, durability="sync")
    joined.clear()
    graph.invoke({"seen": []}, config, durability="async")

    history = [set(snapshot.next) for snapshot in graph.get_state_history(config, limit=5)]
    assert history == [set(), {"join"}, {"left", "right"}, {"split"}, {"__start__"}]
    client.close()


def fan_out(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    builder = StateGraph(Log)
    builder.add_node("plan", lambda _: {"seen": ["plan"]})
    builder.add_node("work", lambda state: {"seen": [f"work {state['part']}"]})
    builder.add_edge(START, "plan")
    builder.add_conditional_edges("plan", lambda _: [Send("work", {"part": part}) for part in range(100)], ["work"])
    return builder.compile(checkpointer=checkpointer)


def test_a_hundred_sends_at_once_come_back_in_order(twins: MakeTwins):
    pair = twins(fan_out)
    result = pair.invoke({"seen": []})
    assert result["seen"] == ["plan", *(f"work {part}" for part in range(100))]
    pair.compare()


def loop(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    builder = StateGraph(Count)
    builder.add_node("odd", lambda state: {"number": state["number"] + 1, "seen": [f"odd {state['number']}"]})
    builder.add_node("even", lambda state: {"number": state["number"] // 2, "seen": [f"even {state['number']}"]})

    def route(state: Count) -> str:
        return END if state["number"] <= 1 else "odd" if state["number"] % 2 else "even"

    builder.add_conditional_edges(START, route, ["odd", "even", END])
    builder.add_conditional_edges("odd", route, ["odd", "even", END])
    builder.add_conditional_edges("even", route, ["odd", "even", END])
    return builder.compile(checkpointer=checkpointer)


def test_conditional_edges_and_loops_run_past_the_first_full_checkpoint(twins: MakeTwins):
    pair = twins(loop)
    for number in (27, 97, 1023):
        assert pair.invoke({"number": number, "seen": []}, durability="sync")["number"] == 1
    assert len(pair.compare()) > 35


def goto(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    builder = StateGraph(Log)
    builder.add_node("first", lambda _: Command(goto="last", update={"seen": ["first"]}), destinations=("last",))
    builder.add_node("last", lambda _: {"seen": ["last"]})
    builder.add_edge(START, "first")
    return builder.compile(checkpointer=checkpointer)


def test_a_node_goes_where_its_command_says(twins: MakeTwins):
    pair = twins(goto)
    assert pair.invoke({"seen": []})["seen"] == ["first", "last"]
    pair.compare()


def flaky(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    attempts: list[int] = []

    def work(state: Log) -> dict[str, Any]:
        attempts.append(1)
        if len(attempts) % 3:
            raise ConnectionError("try again")
        return {"seen": ["worked"]}

    builder = StateGraph(Log)
    builder.add_node("work", work, retry_policy=RetryPolicy(max_attempts=3, initial_interval=0, jitter=False))
    builder.add_edge(START, "work")
    return builder.compile(checkpointer=checkpointer)


def test_a_node_that_is_retried_leaves_no_trace_of_its_failures(twins: MakeTwins, table: TableReader):
    pair = twins(flaky)
    assert pair.invoke({"seen": []})["seen"] == ["worked"]
    pair.compare()
    assert table.row(pair.config)["status"] == "idle"


class Worker:
    """A graph with a node that fails until it is mended."""

    def __init__(self) -> None:
        self.broken = True

    def __call__(self, checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
        builder = StateGraph(Log)
        builder.add_node("before", lambda _: {"seen": ["before"]})
        builder.add_node("work", self.work)
        builder.add_node("after", lambda _: {"seen": ["after"]})
        builder.add_edge(START, "before")
        builder.add_edge("before", "work")
        builder.add_edge("work", "after")
        return builder.compile(checkpointer=checkpointer)

    def work(self, state: Log) -> dict[str, Any]:
        if self.broken:
            raise ValueError("out of order")
        return {"seen": ["worked"]}


def test_a_failed_run_goes_on_where_it_failed(twins: MakeTwins, table: TableReader):
    worker = Worker()
    pair = twins(worker)
    failure = pair.invoke({"seen": ["in"]})
    assert isinstance(failure, ValueError)
    pair.compare()
    assert table.row(pair.config)["status"] == "failed"

    worker.broken = False
    result = pair.invoke(None)
    assert result["seen"] == ["in", "before", "worked", "after"]
    pair.compare()
    assert table.row(pair.config)["status"] == "idle"


def functional(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    @task
    def double(number: int) -> int:
        return number * 2

    @entrypoint(checkpointer=checkpointer)
    def add_up(numbers: list[int], *, previous: int | None = None) -> entrypoint.final[dict[str, int], int]:
        doubled = sum(future.result() for future in [double(number) for number in numbers])
        total = (previous or 0) + doubled
        return entrypoint.final(value={"doubled": doubled, "total": total}, save=total)

    return add_up


def test_a_workflow_of_the_functional_api_remembers_what_it_saved(twins: MakeTwins):
    pair = twins(functional)
    assert pair.invoke([1, 2, 3]) == {"doubled": 12, "total": 12}
    assert pair.invoke([10]) == {"doubled": 20, "total": 32}
    pair.compare()


def deferred(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    builder = StateGraph(Log)
    for name in ("a", "b", "c"):
        builder.add_node(name, lambda _, name=name: {"seen": [name]})
    builder.add_node("last", lambda _: {"seen": ["last"]}, defer=True)
    builder.add_edge(START, "a")
    builder.add_edge("a", "b")
    builder.add_edge("b", "c")
    builder.add_edge("a", "last")
    builder.add_edge("c", "last")
    return builder.compile(checkpointer=checkpointer)


def test_a_deferred_node_runs_last(twins: MakeTwins):
    pair = twins(deferred)
    assert pair.invoke({"seen": []})["seen"] == ["a", "b", "c", "last"]
    pair.compare()


def test_a_graph_without_messages_has_a_row_without_messages_that_is_listed(twins: MakeTwins, table: TableReader):
    pair = twins(parallel)
    pair.invoke({"seen": ["in"]})
    (listed,) = table.listed()
    assert listed["conversation_id"] == pair.config["configurable"]["thread_id"]
    assert (listed["messages"], listed["message_count"], listed["status"]) == ([], 0, "idle")


def test_streams_of_every_mode_give_the_same_chunks_as_in_memory(twins: MakeTwins):
    pair = twins(tool_agent())
    modes = ["values", "updates", "debug", "checkpoints", "tasks"]

    def kinds(graph: Pregel, config: Any) -> list[Any]:
        inputs = {"messages": [("user", "search lakes")]}
        return [mode for mode, _ in graph.stream(inputs, config, stream_mode=modes)]

    assert kinds(pair.ours.graph, pair.config) == kinds(pair.theirs.graph, pair.config)
