"""One dialogue, played by agents that treat their messages in different ways, gives one transcript."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.conftest import MakeSaver
from tests.integration.agents import DeltaState, OftenStoredState, tool_agent
from tests.integration.models import TOOLS, ScriptedModel, chat_model

DIALOGUE = ("hello", "search lakes, details 3", "details 1 / details 2", "bye")


def play(graph: Any, config: RunnableConfig, *texts: str) -> None:
    for text in texts:
        graph.invoke({"messages": [HumanMessage(text)]}, config)


def plain(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    play(tool_agent()(saver), config, *DIALOGUE)


def delta(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    play(tool_agent(DeltaState)(saver), config, *DIALOGUE)


def often_stored_delta(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    play(tool_agent(OftenStoredState)(saver), config, *DIALOGUE)


def trimming(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    """Keeps nothing but the current turn."""

    def forget(state: MessagesState) -> dict[str, Any]:
        turn = max(n for n, message in enumerate(state["messages"]) if isinstance(message, HumanMessage))
        return {"messages": [RemoveMessage(str(message.id)) for message in state["messages"][:turn]]}

    builder = StateGraph(MessagesState)
    builder.add_node("forget", forget)
    builder.add_node("agent", lambda state: {"messages": [chat_model().invoke(state["messages"])]})
    builder.add_node("tools", ToolNode(TOOLS, handle_tool_errors=True))
    builder.add_edge(START, "forget")
    builder.add_edge("forget", "agent")
    builder.add_conditional_edges("agent", tools_condition, ["tools", "__end__"])
    builder.add_edge("tools", "agent")
    play(builder.compile(checkpointer=saver), config, *DIALOGUE)


def summarising(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    summary = ScriptedModel(script=lambda _: AIMessage("a summary"))
    middleware = SummarizationMiddleware(model=summary, trigger=("messages", 8), keep=("messages", 6))
    play(create_agent(chat_model(), TOOLS, middleware=[middleware], checkpointer=saver), config, *DIALOGUE)


def forked(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    """Takes a wrong turn, twice, and goes back."""
    graph = tool_agent()(saver)
    play(graph, config, *DIALOGUE[:2])
    point = graph.get_state(config).config
    play(graph, config, "search rivers", "a wrong turn")
    play(graph, point, "another wrong turn")
    play(graph, point, DIALOGUE[2])
    play(graph, config, DIALOGUE[3])


@pytest.mark.parametrize("row_bytes", [512, 3072])
@pytest.mark.parametrize("other", [delta, often_stored_delta, trimming, summarising, forked])
def test_agents_that_differ_in_their_state_have_the_same_transcript(
    make_saver: MakeSaver, other: Any, row_bytes: int
) -> None:
    told = []
    for agent in (plain, other):
        saver = make_saver(row_bytes=row_bytes)
        config = saver.new_conversation("alice")
        agent(saver, config)
        conversation = saver.conversations.get(config["configurable"]["thread_id"], "alice")
        calls = [[(c.tool, c.args, c.result, c.status) for c in m.tool_calls] for m in conversation.messages]
        told.append([(m.role, m.content, call) for m, call in zip(conversation.messages, calls, strict=True)])
        assert conversation.status == "idle"
    assert told[0] == told[1]
    assert [content for role, content, _ in told[0] if role == "user"] == list(DIALOGUE)
