"""What the agent is given for a request: a message, an answer to what it asked, or nothing but to go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from assistant import all_messages, was_cut_off
from forks import checkpoint_before
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, Interrupt, StateSnapshot
from problems import Problem, nothing_to_answer, waiting
from run_bounds import Bounds

from langgraph_dynamo_conv import Conversations

MayGoOn = Callable[[str, str, str], bool]
"""Whether a run that was cut off may go on, by conversation, user and the run's name: once, as it was tried before."""


class SecondAttempts:
    """The runs that went on in this process after they were cut off. One process of many keeps them in the table."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str, str]] = set()

    def __call__(self, conversation_id: str, user_id: str, run: str) -> bool:
        """See `MayGoOn`."""
        attempt = conversation_id, user_id, run
        is_new = attempt not in self._known
        self._known.add(attempt)
        return is_new


@dataclass(frozen=True)
class Plan:
    """The runs that a request needs.

    Args:
        config: The conversation, or for a fork its checkpoint.
        inputs: Those of the runs, one after the other; None goes on with a run that was cut off.
        is_repeated: Whether an earlier request brought the same message.
        messages: The agent's, before these runs.
        gives_up: Whether a run that was cut off is closed first, since it has gone on before.
    """

    config: RunnableConfig
    inputs: tuple[Any, ...]
    is_repeated: bool = False
    messages: tuple[BaseMessage, ...] = ()
    gives_up: bool = False

    def config_of(self, each: Any, bounds: Bounds) -> RunnableConfig:
        """The config of one of the runs; one that another follows has half of the time."""
        return (bounds if each is self.inputs[-1] else bounds.halved()).given_to(self.config)

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
    replaces: str | None,
    may_go_on: MayGoOn,
) -> Plan:
    """The plan for a message. A run that was cut off goes on first, or is closed if it did before.

    Args:
        graph: The agent.
        conversations: Those of its table.
        config: Names the conversation and its user.
        asked: The message; its id is that of every repetition of the request.
        replaces: The message that it replaces.
        may_go_on: Whether a run that was cut off may.

    Raises:
        Problem: The conversation waits for an answer; the same request came with another text; there is no such
            message to replace.
    """
    state = graph.get_state(config)
    messages, asked_back = tuple(all_messages(graph, state)), _asked_back(conversations, config, state)
    earlier = [message for message in messages if message.id == asked.id]
    if earlier and earlier[0].content != asked.content:
        detail = "This Idempotency-Key came with another message before. Use a new key for a new message."
        raise Problem(HTTPStatus.CONFLICT, "idempotency-key-reused", detail)
    if earlier and asked_back:
        return Plan(config, (), is_repeated=True, messages=messages)
    if earlier:
        go_on, gives_up = _ends(state, messages, config, may_go_on)
        return Plan(config, go_on, is_repeated=True, messages=messages, gives_up=gives_up)
    message = {"messages": [asked]}
    if replaces is not None:
        return Plan(checkpoint_before(graph, conversations, config, replaces), (message,))
    if asked_back:
        raise waiting()
    go_on, gives_up = _ends(state, messages, config, may_go_on)
    return Plan(config, (*go_on, message), gives_up=gives_up)


def plan_answers(
    graph: CompiledStateGraph[Any],
    conversations: Conversations,
    config: RunnableConfig,
    answers: dict[str, Any],
    may_go_on: MayGoOn,
) -> Plan:
    """The plan for answers to all that a conversation waits for, or without any for a run that failed or was cut off.

    LangGraph stores an answer with what its task ends with. After a process that was killed meanwhile, the conversation
    asks again; what was answered twice in vain is closed.

    Raises:
        Problem: The conversation does not wait for these answers.
    """
    state = graph.get_state(config)
    if not was_cut_off(state) or answers.keys() != {one.id for one in _asked_back(conversations, config, state)}:
        raise nothing_to_answer()
    if not answers:
        go_on, gives_up = _ends(state, all_messages(graph, state), config, may_go_on)
        return Plan(config, go_on, gives_up=gives_up)
    run = " ".join(sorted(answers))
    if any(may_go_on(*_place_of(config), f"{run} {attempt}") for attempt in ("first", "second")):
        return Plan(config, (Command(resume=answers),))
    return Plan(config, (), gives_up=True)


def _asked_back(conversations: Conversations, config: RunnableConfig, state: StateSnapshot) -> tuple[Interrupt, ...]:
    """What a conversation waits for.

    LangGraph keeps what a task has asked after it was answered and the task has failed, and keeps the error when the
    task goes on and asks again. The conversation's status tells these two apart.
    """
    if not any(task.error and task.interrupts for task in state.tasks):
        return state.interrupts
    is_waiting = conversations.get(*_place_of(config), limit=0).status == "waiting"
    return state.interrupts if is_waiting else ()


def _ends(
    state: StateSnapshot, messages: Sequence[BaseMessage], config: RunnableConfig, may_go_on: MayGoOn
) -> tuple[tuple[None, ...], bool]:
    """How a run that was cut off comes to its end: the input to go on with, if it may, and whether it is given up."""
    if not was_cut_off(state):
        return (), False
    asked = [message.id for message in messages if isinstance(message, HumanMessage)]
    may = may_go_on(*_place_of(config), str(asked[-1] if asked else ""))
    return (None,) * may, not may


def _place_of(config: RunnableConfig) -> tuple[str, str]:
    return config["configurable"]["thread_id"], config["configurable"]["user_id"]
