"""Runs what a request needs (`turn_plans`), and closes a run that can't go on, so that no conversation is ever stuck.

A run is closed with an answer, and each of its calls gets a result: the next message then finds a state that models
take. It is closed at once after an error that will not go away (`problems.is_lasting`), such as a prompt that the model
refuses, or at a bound (`run_bounds`); after any other error it may go on once, and is closed if that fails too.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from typing import Any

from assistant import end_run, play, was_cut_off
from failure_facts import facts_of
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphRecursionError
from langgraph.graph.state import CompiledStateGraph
from problems import is_lasting
from run_bounds import OUT_OF_STEPS, BoundError, Bounds
from turn_plans import Plan

UNANSWERED = "This could not be answered. Try it in other words, or ask again later."

logger = logging.getLogger("chat")


def played(
    graph: CompiledStateGraph[Any], config: RunnableConfig, plan: Plan, bounds: Bounds | None = None
) -> list[BaseMessage]:
    """The messages of a plan's last run, or the answer that one was closed with.

    Args:
        graph: The agent.
        config: Names the conversation.
        plan: What to run.
        bounds: Of its runs; the common ones if None.
    """
    said = given_up(graph, config, plan)
    for each in plan.inputs:
        said = [*one_run(graph, config, plan, each, bounds or Bounds())]
    return said


def given_up(graph: CompiledStateGraph[Any], config: RunnableConfig, plan: Plan) -> list[BaseMessage]:
    """Close the run that was cut off, where the plan does not let it go on; the answer that it is closed with."""
    return [close(graph, config, UNANSWERED)] if plan.gives_up else []


def one_run(
    graph: CompiledStateGraph[Any], config: RunnableConfig, plan: Plan, each: Any, bounds: Bounds
) -> Iterator[BaseMessage]:
    """The messages of one of a plan's runs as they come, with the answer that it is closed with if it is closed.

    Raises:
        Exception: What the run failed with, if the plan ends with it.
    """
    try:
        yield from play(graph, plan.config_of(each, bounds), [each])
    except Exception as error:  # noqa: BLE001 (raised again unless another run follows or a bound was met)
        yield closed_after(graph, config, plan, each, error)


def closed_after(
    graph: CompiledStateGraph[Any], config: RunnableConfig, plan: Plan, each: Any, error: Exception
) -> AIMessage:
    """Close a run that has failed, unless it may go on later; gives the answer that it is closed with.

    Raises:
        Exception: The error, where the client must be told: no other run follows, and it is no bound.
    """
    bound, is_last = _words_of_bound(error), each is plan.inputs[-1]
    if bound is None and each is not None and not is_lasting(error):
        raise error
    closed = close(graph, config, bound or UNANSWERED, plan.said if is_last else None, plan)
    if bound is None and is_last:
        raise error
    logger.warning("a run was closed", extra=facts_of(error))
    return closed


def _words_of_bound(error: Exception) -> str | None:
    if isinstance(error, GraphRecursionError):
        return OUT_OF_STEPS
    return error.answer if isinstance(error, BoundError) else None


def close(
    graph: CompiledStateGraph[Any],
    config: RunnableConfig,
    words: str,
    said: BaseMessage | None = None,
    plan: Plan | None = None,
) -> AIMessage:
    """End a run with these words for an answer, unless the whole of it had come; gives the answer.

    `said` is the run's message, which is stored if it was not yet.
    """
    answer = AIMessage(words, id=str(uuid.uuid4()))
    return end_run(graph, config, answer, said, plan.config if plan else None) or answer


def run_turn(graph: CompiledStateGraph[Any], config: RunnableConfig, text: str) -> Iterator[BaseMessage]:
    """The messages of one turn, as they come; a turn that was cut off before may go on first, once."""
    message = {"messages": [HumanMessage(text)]}
    plan = Plan(config, (*(None,) * was_cut_off(graph.get_state(config)), message))
    for each in plan.inputs:
        yield from one_run(graph, config, plan, each, Bounds())
