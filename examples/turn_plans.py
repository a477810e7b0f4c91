"""What the agent is given for a request: a message, an answer to what it asked, or nothing but to go on."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from assistant import was_cut_off
from forks import checkpoint_before
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command
from problems import Problem, nothing_to_answer, waiting

from langgraph_dynamo_conv import Conversations


@dataclass(frozen=True)
class Plan:
    """The runs that a request needs.

    Args:
        config: The conversation, or for a fork its checkpoint.
        inputs: Those of the runs, one after the other; None goes on with a run that was cut off.
        is_repeated: Whether an earlier request brought the same message.
        messages: The agent's, before these runs.
    """

    config: RunnableConfig
    inputs: tuple[Any, ...]
    is_repeated: bool = False
    messages: tuple[BaseMessage, ...] = ()

    @property
    def said(self) -> BaseMessage | None:
        """The message that the runs bring, if they bring one."""
        last = self.inputs[-1] if self.inputs else None
        return last["messages"][0] if isinstance(last, dict) else None


def plan_message(
    graph: CompiledStateGraph[Any],
    conversations: Conversations,
    config: RunnableConfig,
    asked: HumanMessage,
    replaces: str | None = None,
) -> Plan:
    """The plan for a message. A run that was cut off is brought to its end first.

    Args:
        graph: The agent.
        conversations: Those of its table.
        config: Names the conversation and its user.
        asked: The message; its id is that of every repetition of the request.
        replaces: The message that it replaces.

    Raises:
        Problem: The conversation waits for an answer; the same request came with another text; there is no such
            message to replace.
    """
    state = graph.get_state(config)
    go_on = (None,) * was_cut_off(state)
    messages = tuple(state.values.get("messages", ()))
    earlier = [message for message in messages if message.id == asked.id]
    if earlier and earlier[0].content != asked.content:
        detail = "This Idempotency-Key came with another message before. Use a new key for a new message."
        raise Problem(HTTPStatus.CONFLICT, "idempotency-key-reused", detail)
    if earlier:
        return Plan(config, () if state.interrupts else go_on, is_repeated=True, messages=messages)
    message = {"messages": [asked]}
    if replaces is not None:
        return Plan(checkpoint_before(graph, conversations, config, replaces), (message,))
    if state.interrupts:
        raise waiting()
    return Plan(config, (*go_on, message))


def plan_answers(graph: CompiledStateGraph[Any], config: RunnableConfig, answers: dict[str, Any]) -> Plan:
    """The plan for answers to all that a conversation waits for, or without any for a run that failed or was cut off.

    Raises:
        Problem: The conversation does not wait for these answers.
    """
    state = graph.get_state(config)
    if not was_cut_off(state) or answers.keys() != {one.id for one in state.interrupts}:
        raise nothing_to_answer()
    return Plan(config, (Command(resume=answers) if answers else None,))
