"""Scripted agents of every kind of messages channel, which tell a log what they say."""

from __future__ import annotations

import json
import operator
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from langchain_core.messages import AnyMessage, HumanMessage, RemoveMessage
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES, _messages_delta_reducer, add_messages
from langgraph.pregel import Pregel
from langgraph.types import Durability, Overwrite, interrupt
from typing_extensions import TypedDict

from tests.integration.spoken import Branch, Call, Log, Said, dropped

WINDOW = 5
"""Messages that the channel "window" holds; no step brings as many."""

Graph: TypeAlias = "Pregel[Any, Any, Any, Any]"

Make = Callable[..., Said]
"""Makes a message with the next number of the history."""


def newest_only(held: list[AnyMessage], new: list[AnyMessage]) -> list[AnyMessage]:
    """A reducer that lets the oldest messages go."""
    return [*held, *new][-WINDOW:]


class Added(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


class Listed(TypedDict):
    messages: Annotated[list[AnyMessage], operator.add]


class Window(TypedDict):
    messages: Annotated[list[AnyMessage], newest_only]


class Delta(TypedDict):
    messages: Annotated[list[AnyMessage], DeltaChannel(_messages_delta_reducer)]


class DeltaOften(TypedDict):
    messages: Annotated[list[AnyMessage], DeltaChannel(_messages_delta_reducer, snapshot_frequency=1)]


class DeltaSometimes(TypedDict):
    messages: Annotated[list[AnyMessage], DeltaChannel(_messages_delta_reducer, snapshot_frequency=4)]


SCHEMAS: dict[str, Any] = {
    "add_messages": Added,
    "operator.add": Listed,
    "window": Window,
    "delta": Delta,
    "delta/1": DeltaOften,
    "delta/4": DeltaSometimes,
}

HAVE_IDS = ("add_messages", "delta", "delta/1", "delta/4")
"""Channels in which a message is found by its id: only there can it be edited and removed."""


@dataclass
class Agent:
    """An agent that answers as it was told, whatever its state holds.

    Args:
        log: The log.
        make: Makes what it says.
        channel: One of `SCHEMAS`.
        care: What it does with old messages before it answers: "nothing", "trim" or "summarise".
        keep: How many messages it keeps then.
        often: Whether it does so before every answer of the model, not only at the beginning of a run.
    """

    log: Log
    make: Make
    channel: str
    care: str
    keep: int
    often: bool
    durability: Durability = "sync"

    def __post_init__(self) -> None:
        self.plans: dict[int, list[list[tuple[str, str]]]] = {}
        self.random = random.Random(0)

    @property
    def keeps_all(self) -> bool:
        """Whether its state is all that was said."""
        return self.care == "nothing" and self.channel != "window"

    def build(self, checkpointer: BaseCheckpointSaver[Any]) -> Graph:
        """The graph."""
        builder = StateGraph(SCHEMAS[self.channel])
        builder.add_node("care", self._care)
        builder.add_node("agent", self._agent)
        builder.add_node("tools", self._tools)
        builder.add_edge(START, "care")
        builder.add_edge("care", "agent")
        builder.add_conditional_edges("agent", _next, ["tools", "__end__"])
        builder.add_edge("tools", "care" if self.often else "agent")
        return builder.compile(checkpointer=checkpointer)

    def _care(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        at, held = _checkpoint(config), state["messages"]
        branch = self.log.work(at)
        # What is dropped within a run that stores nothing before its end never reaches a saver.
        keep = max(self.keep, self.log.fresh(at) if self.durability == "exit" else 0)
        old = held[: max(len(held) - keep, 0)] if self.care != "nothing" else []
        if self.care == "summarise" and len(old) < 3:
            old = []
        self.log.did(at, dropped(branch, [message.id for message in old]))
        return {"messages": self._without(held, old) if old else []}

    def _without(self, held: list[AnyMessage], old: list[AnyMessage]) -> Any:
        if self.care == "trim":
            return [RemoveMessage(str(message.id)) for message in old]
        note = HumanMessage("A summary of it all.", additional_kwargs={"lc_source": "summarization"})
        rest = [note, *held[len(old) :]]
        if self.channel == "add_messages":
            return [RemoveMessage(REMOVE_ALL_MESSAGES), *rest]
        return Overwrite(rest)

    def _agent(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        at = _checkpoint(config)
        branch = self.log.work(at)
        said = self._reply(branch)
        self.log.did(at, (*branch, said))
        return {"messages": [said.message()]}

    def _reply(self, branch: Branch) -> Said:
        """The next round of calls that was planned for the user's last message, or the answer."""
        asked = max((n for n, said in enumerate(branch) if said.role == "user"), default=0)
        done = sum(said.role == "assistant" for said in branch[asked:])
        plan = self.plans.get(branch[asked].key, []) if branch else []
        if done >= len(plan):
            return self.make("assistant", _words(self.random))
        ids = [f"call-{self.random.getrandbits(48):x}" for _ in plan[done]]
        ids = ids[:1] * len(ids) if self.random.random() < 0.04 else ids
        calls = [Call(tool, query, call_id) for (tool, query), call_id in zip(plan[done], ids, strict=True)]
        return self.make("assistant", "", calls=tuple(calls))

    def _tools(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        at = _checkpoint(config)
        branch = self.log.work(at)
        calls = [said for said in branch if said.role == "assistant"][-1].calls
        results = tuple(self._result(call) for call in calls)
        self.log.did(at, branch + results)
        return {"messages": [said.message() for said in results]}

    def _result(self, call: Call) -> Said:
        if call.tool == "book":
            answer = interrupt(f"book {call.query}?")
            return self.make("tool", f"booked {call.query}: {answer}", answers=call.id)
        if call.tool == "fail":
            return self.make("tool", f"no such file: {call.query}", answers=call.id, failed=True)
        text = json.dumps({"found": call.query, "score": 0.5}) if call.tool == "search" else f"Details of {call.query}."
        return self.make("tool", text, answers=call.id)


def _words(chance: random.Random) -> str:
    """An answer: short, long, or a word that is said again and again."""
    kind = chance.random()
    if kind < 0.3:
        return chance.choice(("yes", "OK", "Done."))
    number = chance.getrandbits(32)
    return f"Answer {number:x}." + (" And some details." * chance.randrange(40) if kind > 0.7 else "")


def _next(state: Any) -> str:
    return "tools" if state["messages"] and getattr(state["messages"][-1], "tool_calls", None) else "__end__"


def _checkpoint(config: RunnableConfig) -> str:
    return str(config["configurable"]["checkpoint_map"][""])
