"""A task that sends thousands of others costs what its bytes cost: its writes share a bundle."""

from __future__ import annotations

import operator
from collections import Counter
from typing import Annotated, Any

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send
from typing_extensions import TypedDict

from tests.conftest import MakeSaver, Report
from tests.engines import Engine
from tests.factories import USER, config, noise, put, read
from tests.requests_log import RequestLog

KB = 1024
SENDS = "__pregel_tasks"


class Count(TypedDict):
    """How many tasks have run."""

    done: Annotated[int, operator.add]


def fan_out(count: int, size: int) -> StateGraph[Any]:
    """A graph in which one task sends so many others, each with so many bytes, and each counts itself."""

    def fan(state: Count) -> Command[Any]:
        return Command(goto=[Send("work", noise(size, number)) for number in range(count)])

    def work(argument: bytes) -> dict[str, int]:
        return {"done": len(argument) == size}

    builder = StateGraph(Count)
    builder.add_node("fan", fan)
    builder.add_node("work", work)
    builder.add_edge(START, "fan")
    return builder


@pytest.mark.engine("dynamodb-local")
@pytest.mark.parametrize(
    ("count", "size", "most_requests"),
    [(5000, 100, 20), (20_000, 100, 20), (5000, 5000, 90)],
    ids=["5,000 of 100 bytes", "20,000 of 100 bytes", "25 MB"],
)
def test_many_sends_of_one_task_cost_their_bytes(
    make_saver: MakeSaver, client: Any, report: Report, count: int, size: int, most_requests: int
) -> None:
    saver = make_saver(transcript=False)
    put(saver, 1, {"a": 1})
    writes = [(SENDS, Send("work", noise(size, number))) for number in range(count)]
    with RequestLog(client) as written:
        saver.put_writes(config(number=1), writes, "task")
    reader = make_saver()
    with RequestLog(client) as got:
        found = read(reader)

    report(f"{count} Sends of {size} bytes: written with {written}; read with {got}")
    assert found.pending_writes == [("task", *write) for write in writes]
    assert len(written) <= most_requests
    assert written.wru <= 1.2 * count * size / KB
    assert len(got) <= 3 + most_requests


@pytest.mark.engine("memory", "dynamodb-local")
@pytest.mark.timeout(600)
def test_a_graph_that_fans_out_costs_the_bytes_of_its_sends_and_a_request_for_each_task(
    make_saver: MakeSaver, client: Any, engine: Engine, report: Report
) -> None:
    count, size = (5000, 100) if engine.name == "dynamodb-local" else (300, 2000)
    graph = fan_out(count, size).compile(checkpointer=make_saver())
    with RequestLog(client) as log:
        result = graph.invoke({"done": 0}, {"configurable": {"thread_id": "thread", "user_id": USER}})
    history = list(make_saver().list(config()))

    of_tasks = Counter(one.table_key for one in log.requests if one.table_key and "#w#" in one.table_key[1])
    others = [one for one in log.requests if one.table_key not in of_tasks]
    report(f"a graph with {count} Sends of {size} bytes: {log}; {len(others)} requests but for the tasks' own")
    assert result == {"done": count}
    assert [len(one.pending_writes or []) for one in history] == [0, count, count, 2]
    assert [len(one.checkpoint["channel_values"].get(SENDS, [])) for one in history] == [0, count, 0, 0]
    assert max(of_tasks.values()) == 1
    assert len(of_tasks) == count + 2
    assert len(others) <= 20
