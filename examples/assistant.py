"""The agent: a chat model and the file library's tools in a loop. All that a program of your own needs.

The terminal (`agent.py`) and the Lambda function (`lambda/`) both run it; only what is around it differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import BaseTool, ToolException
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import StateSnapshot
from library import Library
from offline_model import OfflineFileModel
from run_bounds import RECURSION_LIMIT, STOPPED, Bounds, readable

PROMPT = (
    "You are the assistant of a file library. Answer from the tools' results only, briefly and in {form}."
    ' Keep the numbers of listed files: people refer to them ("the first one").'
    " It is {now:%A, %Y-%m-%d %H:%M} UTC."
)
ANSWERS = "agent"
"""The node that answers."""
MODEL_RETRIES = 1
"""How often a model's client asks again."""


def build_graph(
    model: BaseChatModel,
    library: Library,
    saver: BaseCheckpointSaver[Any],
    more_tools: Sequence[BaseTool] = (),
    state_type: type[MessagesState] = MessagesState,
    form: str = "plain text",
) -> CompiledStateGraph[Any]:
    """A model and the tools in a loop, until the model answers without calling a tool.

    Args:
        model: The chat model.
        library: What the assistant knows.
        saver: Where its state is kept.
        more_tools: Beside those of the library; what they update must be in the state's type.
        state_type: Of the graph's state.
        form: What the model is asked to write.
    """
    tools = [*library.tools(), *more_tools]
    thinker = model.bind_tools(tools)

    def prompted(state: MessagesState) -> list[BaseMessage]:
        system = SystemMessage(PROMPT.format(now=datetime.now(timezone.utc), form=form))
        return [system, *readable(state["messages"])]

    def agent(state: MessagesState, config: RunnableConfig) -> dict[str, list[BaseMessage]]:
        bounds = Bounds.of(config)
        bounds.check(state["messages"])
        return {"messages": [bounds.waited(lambda: thinker.invoke(prompted(state), config))]}

    async def answer(state: MessagesState, config: RunnableConfig) -> dict[str, list[BaseMessage]]:
        bounds = Bounds.of(config)
        bounds.check(state["messages"])
        # ends at once if the run is cancelled
        return {"messages": [await bounds.awaited(thinker.ainvoke(prompted(state), config))]}

    builder = StateGraph(state_type)
    builder.add_node(ANSWERS, RunnableLambda(agent, answer))
    builder.add_node("tools", ToolNode(tools, handle_tool_errors=_explain))
    builder.add_edge(START, ANSWERS)
    builder.add_conditional_edges(ANSWERS, tools_condition)
    builder.add_edge("tools", ANSWERS)
    return builder.compile(checkpointer=saver).with_config(recursion_limit=RECURSION_LIMIT)


def _explain(error: ToolException) -> str:
    """What the model reads instead of a result: a refusal, or arguments that do not fit."""
    return str(error)


def was_cut_off(state: StateSnapshot) -> bool:
    """Whether a run stopped before its end.

    `state.next` alone does not tell: it leaves out tasks that have stored what they wrote, whether or not the step that
    follows from it was stored too.
    """
    return bool(state.tasks)


def saver_of(graph: CompiledStateGraph[Any]) -> BaseCheckpointSaver[Any]:
    """The saver that a graph was compiled with."""
    return cast("BaseCheckpointSaver[Any]", graph.checkpointer)


def messages_of(found: CheckpointTuple) -> list[BaseMessage]:
    """The messages of a checkpoint; last, those of a run's input that no step has taken into the state yet."""
    values = found.checkpoint["channel_values"]
    return [*values.get("messages", []), *(values.get(START) or {}).get("messages", [])]


def all_messages(graph: CompiledStateGraph[Any], state: StateSnapshot) -> list[BaseMessage]:
    """The messages of a state, and of the input of a run that was cut off before its first step.

    Cost: of a run that was cut off so, a read of the checkpoint.
    """
    messages: list[BaseMessage] = state.values.get("messages", [])
    found = saver_of(graph).get_tuple(state.config) if (state.metadata or {}).get("source") == "input" else None
    known = {message.id for message in messages}
    return [*messages, *(one for one in (messages_of(found) if found else []) if one.id not in known)]


def play(graph: CompiledStateGraph[Any], config: RunnableConfig, inputs: Iterable[Any]) -> Iterator[BaseMessage]:
    """The messages of several runs, one after the other; the input None goes on with a run that was cut off."""
    for each in inputs:
        for update in graph.stream(each, config, stream_mode="updates"):
            yield from messages_in(update)


def messages_in(update: Mapping[str, Any]) -> Iterator[BaseMessage]:
    """The messages of a step, as the stream mode "updates" gives them."""
    for change in update.values():
        # What a run asks, and that a step was stored before the run was cut off, are told here too.
        for part in change if isinstance(change, list) else [change]:
            yield from part.get("messages", ()) if isinstance(part, Mapping) else ()


def end_run(
    graph: CompiledStateGraph[Any],
    config: RunnableConfig,
    answer: AIMessage | None = None,
    said: BaseMessage | None = None,
    begun_at: RunnableConfig | None = None,
) -> AIMessage | None:
    """End a run that was stopped, with what had come of it, so that the conversation can go on.

    Gives the message that now is the run's answer; None if there was nothing to end.

    Each call without a result gets one that says so: models refuse messages in which a call has none. What tasks have
    stored and no step has taken up is in the state that `get_state` shows, and not in what `update_state` builds on.
    What an input brought is in neither.

    Args:
        graph: The agent.
        config: Names the conversation.
        answer: What of the answer had come, under the id that the whole of it may be stored with.
        said: The message that the run brought, which is stored if the run was stopped before it was.
        begun_at: Where that message goes; `config` unless it began a fork.
    """
    state = graph.get_state(config)
    messages = all_messages(graph, state)
    told = {message.id for message in messages}
    is_lost = said is not None and said.id not in told
    if not is_lost and not was_cut_off(state):
        return None
    lost = [said] if said is not None and is_lost else []
    at = (begun_at or config) if is_lost else config
    results, unfinished = _results_of_stopped(messages), _not_taken_up(graph, state, messages)
    before = [*unfinished, *results] if at == config else []
    whole = None if is_lost or results else _whole_answer(messages, unfinished, answer)
    stopped = whole or (answer if answer is not None and answer.id not in told else AIMessage(STOPPED))
    graph.update_state(at, {"messages": [*before, *lost, *([] if whole else [stopped])]}, as_node=ANSWERS)
    return stopped


def _whole_answer(
    messages: Sequence[BaseMessage], unfinished: Sequence[BaseMessage], answer: AIMessage | None
) -> AIMessage | None:
    """The last message, if it is all of a run's answer: that which had begun to come, or one that calls no tools and
    that a task has stored."""
    last = messages[-1] if messages else None
    if not isinstance(last, AIMessage):
        return None
    is_given = answer is not None and last.id == answer.id
    return last if is_given or (last in unfinished and not last.tool_calls) else None


def _not_taken_up(
    graph: CompiledStateGraph[Any], state: StateSnapshot, messages: Sequence[BaseMessage]
) -> list[BaseMessage]:
    """Those of the messages that an input brought or tasks have stored, and no step has taken up."""
    stored = graph.get_state(state.config).values.get("messages", []) if state.metadata is not None else []
    known = {message.id for message in stored}
    return [message for message in messages if message.id not in known]


def _results_of_stopped(messages: Sequence[BaseMessage]) -> list[ToolMessage]:
    """A result for each call that has none."""
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    calls = [call for message in messages if isinstance(message, AIMessage) for call in message.tool_calls]
    unanswered = [call["id"] for call in calls if call["id"] not in answered]
    return [ToolMessage(STOPPED, tool_call_id=str(call_id), status="error") for call_id in unanswered]


def model_maker(name: str | None, seconds: int | None = None) -> Callable[[], BaseChatModel]:
    """What makes a chat model: `PROVIDER:NAME` for LangChain's, None for the one that needs no key.

    Args:
        name: The model.
        seconds: How long its client waits for an answer, which it asks for twice at most; as the client does if None.
    """
    if name is None:
        return OfflineFileModel
    from langchain.chat_models import init_chat_model  # only needed for real models

    options: dict[str, Any] = {} if seconds is None else {"timeout": seconds, "max_retries": MODEL_RETRIES}
    return partial(init_chat_model, name, **options)
