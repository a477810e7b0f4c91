"""One saver for many conversations at once, from tasks and from threads."""

from __future__ import annotations

import asyncio
import operator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, StateGraph
from langgraph.pregel import Pregel
from typing_extensions import TypedDict

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.integration.agents import tool_agent
from tests.integration.transcripts import found_search, transcript

MANY = 20


def say(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text, id=f"id of {text}")]}


def expected(number: int) -> list[Any]:
    asked = f"search {number}"
    return [
        ("user", asked),
        ("assistant", f"Answer to: {asked}", [("search", str(number), found_search(str(number)))]),
        ("user", f"bye {number}"),
        ("assistant", f"Answer to: bye {number}"),
    ]


async def test_twenty_conversations_at_once_from_tasks(saver: DynamoDBConversationSaver):
    graph = tool_agent()(saver)
    configs = [saver.new_conversation(f"user {number % 3}") for number in range(MANY)]

    async def talk(number: int) -> None:
        for text in (f"search {number}", f"bye {number}"):
            await graph.ainvoke(say(text), configs[number])

    await asyncio.gather(*map(talk, range(MANY)))
    for number, config in enumerate(configs):
        assert transcript(saver, config) == expected(number)
        state = await graph.aget_state(config)
        assert len(state.values["messages"]) == 6


def test_twenty_conversations_at_once_from_threads(saver: DynamoDBConversationSaver):
    graph = tool_agent()(saver)
    configs = [saver.new_conversation(f"user {number % 3}") for number in range(MANY)]

    def talk(number: int) -> None:
        for text in (f"search {number}", f"bye {number}"):
            graph.invoke(say(text), configs[number])

    with ThreadPoolExecutor(MANY) as threads:
        list(threads.map(talk, range(MANY)))
    for number, config in enumerate(configs):
        assert transcript(saver, config) == expected(number)
        assert len(list(graph.get_state_history(config))) == 8


class Log(TypedDict):
    seen: Annotated[list[str], operator.add]


def waiting_for_each_other(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    """Nodes that run only side by side."""
    both = asyncio.Barrier(2) if hasattr(asyncio, "Barrier") else None

    async def meet(name: str) -> dict[str, Any]:
        if both is not None:
            await both.wait()
        return {"seen": [name]}

    builder = StateGraph(Log)
    for name in ("left", "right"):

        async def node(state: Log, name: str = name) -> dict[str, Any]:
            return await meet(name)

        builder.add_node(name, node)
        builder.add_edge(START, name)
    return builder.compile(checkpointer=checkpointer)


async def test_async_nodes_run_side_by_side_in_many_conversations(saver: DynamoDBConversationSaver):
    graphs = [(waiting_for_each_other(saver), saver.new_conversation()) for _ in range(MANY)]
    results = await asyncio.gather(*(graph.ainvoke({"seen": []}, config) for graph, config in graphs))
    assert [result["seen"] for result in results] == [["left", "right"]] * MANY
    for graph, config in graphs:
        history = [snapshot async for snapshot in graph.aget_state_history(config)]
        assert len(history) == 3


async def test_a_cancelled_run_can_be_repeated(saver: DynamoDBConversationSaver):
    started = asyncio.Event()

    async def slow(state: Log) -> dict[str, Any]:
        started.set()
        await asyncio.Event().wait()
        return {"seen": ["never"]}

    async def quick(state: Log) -> dict[str, Any]:
        return {"seen": ["done"]}

    def build(node: Any) -> Pregel:
        builder = StateGraph(Log)
        builder.add_node("work", node)
        builder.add_edge(START, "work")
        return builder.compile(checkpointer=saver)

    config = saver.new_conversation()
    run = asyncio.create_task(build(slow).ainvoke({"seen": ["in"]}, config, durability="sync"))
    await started.wait()
    run.cancel()
    results = await asyncio.gather(run, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    result = await build(quick).ainvoke(None, config)
    assert result["seen"] == ["in", "done"]
