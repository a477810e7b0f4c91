"""The cases of `docs/transcripts.md`: each plays a conversation, whose messages are then read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.integration.agents import DeltaState
from tests.integration.models import TOOLS, ScriptedModel, chat_model

Case = Callable[[DynamoDBConversationSaver, RunnableConfig], None]

CASES: dict[str, Case] = {}


def case(title: str) -> Callable[[Case], Case]:
    def add(function: Case) -> Case:
        CASES[title] = function
        return function

    return add


def agent(saver: DynamoDBConversationSaver, **options: Any) -> Any:
    return create_agent(chat_model(), TOOLS, checkpointer=saver, **options)


def echo(saver: DynamoDBConversationSaver, *answers: AIMessage, state: Any = MessagesState) -> Any:
    """A graph that gives the answers in turn, then "ok"."""
    left = list(answers)
    builder = StateGraph(state)
    builder.add_node("agent", lambda _: {"messages": [left.pop(0) if left else AIMessage("ok")]})
    builder.add_edge(START, "agent")
    builder.add_edge("agent", END)
    return builder.compile(checkpointer=saver)


def said(*texts: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text) for text in texts]}


@case("a question and its answer")
def plain(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    agent(saver).invoke(said("hello"), config)


@case("two tool calls at once")
def parallel(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    agent(saver).invoke(said("search lakes, details 3"), config)


@case("several rounds of tools in one turn")
def rounds(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    agent(saver).invoke(said("search lakes / details 1 / details 2"), config)


@case("a failed tool, which the model is told of")
def failed_tool(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    left = [
        AIMessage("", tool_calls=[{"name": "search", "args": {"query": "x"}, "id": "call-1"}]),
        ToolMessage("no such index", tool_call_id="call-1", name="search", status="error"),
        AIMessage("It failed."),
    ]
    builder = StateGraph(MessagesState)
    builder.add_node("agent", lambda _: {"messages": [left.pop(0)]})
    builder.add_edge(START, "agent")
    builder.add_conditional_edges("agent", lambda _: "agent" if left else END)
    builder.compile(checkpointer=saver).invoke(said("find x"), config)


@case("a tool whose result is the answer (`return_direct`)")
def return_direct(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    agent(saver).invoke(said("direct the file"), config)


def asking(saver: DynamoDBConversationSaver) -> Any:
    def tools(state: MessagesState) -> dict[str, Any]:
        answer = interrupt("Book it?")
        call = state["messages"][-1].tool_calls[0]  # type: ignore[union-attr]
        return {"messages": [ToolMessage(f"booked: {answer}", tool_call_id=call["id"], name="book")]}

    builder = StateGraph(MessagesState)
    builder.add_node("agent", lambda state: {"messages": [chat_model().invoke(state["messages"])]})
    builder.add_node("tools", tools)
    builder.add_edge(START, "agent")
    builder.add_conditional_edges("agent", lambda s: "tools" if s["messages"][-1].tool_calls else END, ["tools", END])
    builder.add_edge("tools", "agent")
    return builder.compile(checkpointer=saver)


@case("an interrupt: the call is pending, the status is `waiting`")
def waiting(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    asking(saver).invoke(said("book a table"), config)


@case("the same, resumed")
def resumed(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    asking(saver).invoke(said("book a table"), config)
    asking(saver).invoke(Command(resume="yes"), config)


@case("content blocks: text, reasoning, an image, a file")
def blocks(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    question = HumanMessage(
        [
            {"type": "text", "text": "What is this?"},
            {"type": "image", "base64": "iVBORw0KGgo" * 400, "mime_type": "image/png"},
            {"type": "file", "base64": "JVBERi0xLjQK" * 100, "mime_type": "application/pdf", "filename": "plan.pdf"},
        ]
    )
    answer = AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "A plan."}])
    echo(saver, answer).invoke({"messages": [question]}, config)


@case("a system message, and an empty answer")
def system(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    echo(saver, AIMessage("")).invoke({"messages": [SystemMessage("Be brief."), HumanMessage("hello")]}, config)


@case("an agent that trims its messages to two")
def trimming(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    def node(state: MessagesState) -> dict[str, Any]:
        old = state["messages"][:-2]
        return {"messages": [*(RemoveMessage(str(m.id)) for m in old), AIMessage(f"kept {len(state['messages'])}")]}

    builder = StateGraph(MessagesState)
    builder.add_node("agent", node)
    builder.add_edge(START, "agent")
    builder.add_edge("agent", END)
    for text in ("one", "two", "three"):
        builder.compile(checkpointer=saver).invoke(said(text), config)


@case("an agent that removes all its messages (`REMOVE_ALL_MESSAGES`)")
def clearing(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [RemoveMessage(REMOVE_ALL_MESSAGES), AIMessage(f"forgot {len(state['messages'])}")]}

    builder = StateGraph(MessagesState)
    builder.add_node("agent", node)
    builder.add_edge(START, "agent")
    builder.add_edge("agent", END)
    for text in ("one", "two"):
        builder.compile(checkpointer=saver).invoke(said(text), config)


@case("an agent that summarises (`SummarizationMiddleware`)")
def summarising(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    summary = ScriptedModel(script=lambda _: AIMessage("a summary"))
    middleware = SummarizationMiddleware(model=summary, trigger=("messages", 4), keep=("messages", 2))
    for text in ("one", "two", "three"):
        agent(saver, middleware=[middleware]).invoke(said(text), config)


@case("a regenerated answer: the run is repeated from before it")
def regenerated(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    graph = echo(saver, AIMessage("first"), AIMessage("second"))
    graph.invoke(said("hello"), config)
    before = next(state for state in graph.get_state_history(config) if state.next == ("agent",))
    graph.invoke(None, before.config)


@case("a fork: another second question")
def forked(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    graph = agent(saver)
    graph.invoke(said("one"), config)
    point = graph.get_state(config).config
    graph.invoke(said("two"), config)
    graph.invoke(said("three"), config)
    graph.invoke(said("two, otherwise"), point)


@case("an edited message (`update_state`)")
def edited(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    graph = agent(saver)
    graph.invoke(said("one"), config)
    first = graph.get_state(config).values["messages"][0]
    graph.update_state(config, {"messages": [HumanMessage("one, edited", id=first.id)]})


@case("a `DeltaChannel` graph")
def delta(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    graph = echo(saver, AIMessage("first"), AIMessage("second"), state=DeltaState)
    for text in ("one", "two"):
        graph.invoke(said(text), config)


@case("a run that fails after a tool call: the status is `failed`")
def failing(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    def crash(_: MessagesState) -> dict[str, Any]:
        raise RuntimeError("down")

    builder = StateGraph(MessagesState)
    builder.add_node("agent", lambda state: {"messages": [chat_model().invoke(state["messages"])]})
    builder.add_node("tools", crash)
    builder.add_edge(START, "agent")
    builder.add_edge("agent", "tools")
    try:
        builder.compile(checkpointer=saver).invoke(said("search lakes"), config)
    except RuntimeError:
        return


@case("a graph without messages")
def without(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    class Numbers(TypedDict):
        number: int

    builder = StateGraph(Numbers)
    builder.add_node("next", lambda state: {"number": state["number"] + 1})
    builder.add_edge(START, "next")
    builder.add_edge("next", END)
    builder.compile(checkpointer=saver).invoke({"number": 1}, config)
