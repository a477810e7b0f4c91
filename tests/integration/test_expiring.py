"""Real graphs whose conversations live long by short times to live, while DynamoDB deletes all that it may."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START as ENTRY
from langgraph.graph import MessagesState, StateGraph
from langgraph.pregel import Pregel
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from tests.conftest import MakeSaver
from tests.integration.agents import DeltaState, OftenStoredState, tool_agent
from tests.sweeper import Clock, Sweeper

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TTL = timedelta(days=10)


def said(graph: Pregel, config: Any) -> list[Any]:
    return [(message.type, message.content) for message in graph.get_state(config).values["messages"]]


@pytest.mark.parametrize("schema", [MessagesState, DeltaState, OftenStoredState])
def test_an_agent_remembers_all_of_a_long_life(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str, schema: Any
) -> None:
    clock = Clock()
    sweeper = Sweeper(client, table_name, clock)
    config = make_saver().new_conversation()
    theirs = tool_agent(schema)(InMemorySaver())
    for turn in range(8):
        ours = tool_agent(schema)(make_saver(ttl=TTL, clock=clock, row_bytes=512))
        for graph in (ours, theirs):
            graph.invoke({"messages": [HumanMessage(f"search lake {turn}", id=str(turn))]}, config)
        clock.pass_by(TTL * 0.6)
        sweeper.sweep()
        reader = make_saver(clock=clock)
        assert said(tool_agent(schema)(reader), config) == said(theirs, config)
        assert reader.conversations.get(config["configurable"]["thread_id"], "demo").message_count == 2 * (turn + 1)


class Notes(TypedDict):
    asked: Annotated[list[str], lambda old, new: [*old, *new]]


def two_questions(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    """Two subgraphs in one step, each of which asks twice."""

    def asker(name: str) -> Any:
        def ask(_: Notes) -> dict[str, Any]:
            return {"asked": [f"{name} {interrupt(name + ' 1')} {interrupt(name + ' 2')}"]}

        return StateGraph(Notes).add_node("ask", ask).add_edge(ENTRY, "ask").compile()

    builder = StateGraph(Notes)
    for name in ("left", "right"):
        builder.add_node(name, asker(name))
        builder.add_edge(ENTRY, name)
    return builder.compile(checkpointer=checkpointer)


def test_questions_of_one_step_can_be_answered_one_by_one_over_a_long_time(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    clock = Clock()
    sweeper = Sweeper(client, table_name, clock)
    config = make_saver().new_conversation()
    results = []
    for checkpointer in (make_saver(ttl=TTL, clock=clock), InMemorySaver()):
        graph = two_questions(checkpointer)
        graph.invoke({"asked": []}, config)
        for answer in ("a", "b", "c", "d"):
            waiting = sorted(graph.get_state(config).interrupts, key=lambda one: str(one.value))
            graph.invoke(Command(resume={waiting[-1].id: answer}), config)
            if not isinstance(checkpointer, InMemorySaver):
                clock.pass_by(TTL * 0.7)
                sweeper.sweep()
        results.append(sorted(graph.get_state(config).values["asked"]))
    assert results[0] == results[1]
    assert results[1] == ["left c d", "right a b"]
