"""The agent: a chat model and the file library's tools in a loop. All that a program of your own needs.

The terminal (`agent.py`) and the Lambda function (`lambda/`) both run it; only what is around it differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from functools import partial
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import StateSnapshot
from library import FileLibrary
from offline_model import OfflineFileModel

PROMPT = (
    "You are the assistant of a file library. Answer from the tools' results only, briefly and in plain text."
    ' Keep the numbers of listed files: people refer to them ("the first one").'
    " It is {now:%A, %Y-%m-%d %H:%M} UTC."
)
ANSWERS = "agent"
"""The node that answers."""


def build_graph(model: BaseChatModel, library: FileLibrary, saver: BaseCheckpointSaver[Any]) -> CompiledStateGraph[Any]:
    """A model and the library's tools in a loop, until the model answers without calling a tool."""
    tools = library.tools()
    thinker = model.bind_tools(tools)

    def agent(state: MessagesState) -> dict[str, list[BaseMessage]]:
        prompt = SystemMessage(PROMPT.format(now=datetime.now(timezone.utc)))
        return {"messages": [thinker.invoke([prompt, *state["messages"]])]}

    builder = StateGraph(MessagesState)
    builder.add_node(ANSWERS, agent)
    builder.add_node("tools", ToolNode(tools, handle_tool_errors=_explain))
    builder.add_edge(START, ANSWERS)
    builder.add_conditional_edges(ANSWERS, tools_condition)
    builder.add_edge("tools", ANSWERS)
    return builder.compile(checkpointer=saver)


def _explain(error: ToolException) -> str:
    """What the model reads instead of a result: a refusal, or arguments that do not fit."""
    return str(error)


def run_turn(graph: CompiledStateGraph[Any], config: RunnableConfig, text: str) -> Iterator[BaseMessage]:
    """The messages of one turn, as they come; a turn that was cut off before is brought to its end first."""
    inputs: list[Any] = [{"messages": [HumanMessage(text)]}]
    if was_cut_off(graph.get_state(config)):
        inputs.insert(0, None)
    yield from play(graph, config, inputs)


def was_cut_off(state: StateSnapshot) -> bool:
    """Whether a run stopped before its end.

    `state.next` alone does not tell: it leaves out tasks that have stored what they wrote, whether or not the step that
    follows from it was stored too.
    """
    return bool(state.tasks)


def play(graph: CompiledStateGraph[Any], config: RunnableConfig, inputs: Iterable[Any]) -> Iterator[BaseMessage]:
    """The messages of several runs, one after the other; the input None goes on with a run that was cut off."""
    for each in inputs:
        for update in graph.stream(each, config, stream_mode="updates"):
            for node, change in update.items():
                if node != "__metadata__":  # which says that a step was stored before the run was cut off
                    yield from change["messages"]


def model_maker(name: str | None) -> Callable[[], BaseChatModel]:
    """What makes a chat model: `PROVIDER:NAME` for LangChain's, None for the one that needs no key."""
    if name is None:
        return OfflineFileModel
    from langchain.chat_models import init_chat_model  # only needed for real models

    return partial(init_chat_model, name)
