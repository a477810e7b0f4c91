"""Agents that do the steps of a plan, each as LangGraph's users keep messages, and tell the log what they say.

How far the agent has come is in its state, beside the messages, so that it goes on rightly after a crash, an interrupt
and a fork, whatever it has forgotten.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.func import entrypoint
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES, add_messages
from langgraph.types import interrupt
from typing_extensions import TypedDict

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.integration.agents import add_all
from tests.integration.histories import Ask, Kind, Step
from tests.integration.spoken import Branch, Call, Effect, Log, Run, Said


class ScriptedFailure(Exception):
    """What a step that fails raises."""


@dataclass
class Script:
    """What one agent does in one run.

    Args:
        kind: How it keeps its messages.
        asks: The plan's turns, by number.
        turn: The number of the turn that is played.
        run: What the log knows of this run.
        log: The log.
        meanwhile: What happens during a step, by the step's number; each once.
    """

    kind: Kind
    asks: dict[int, Ask]
    turn: int
    run: Run
    log: Log
    meanwhile: dict[int, Callable[[], object]] = field(default_factory=dict)

    def steps(self, ask: int) -> Sequence[Step]:
        return self.asks[ask].steps

    def question(self, ask: int) -> Branch:
        """What the user says in a turn."""
        texts = enumerate(self.asks[ask].texts)
        ids = self.kind.ids
        return tuple(Said("user", text, f"q{ask}.{place}" if ids else None, turn=ask) for place, text in texts)

    def happens(self, done: int) -> None:
        """A step has begun."""
        if (other := self.meanwhile.pop(done, None)) is not None:
            other()

    def said(self, ask: int, done: int, messages: Sequence[Any], part: str = "") -> Branch:
        """What the agent says in a step."""
        step = self.steps(ask)[done]
        name = f"a{ask}.{done}{part}" + ("" if self.kind.stable else f"@{self.turn}")
        given = name if self.kind.ids else None
        if step.does == "call":
            return (Said("assistant", step.text, given, self._calls(name, step.calls), turn=ask),)
        if step.does in ("results", "approve"):
            word = interrupt(f"may I, in {name}?") if step.does == "approve" else "found"
            return tuple(
                Said("tool", self._result(word, call), f"{given}-{place}" if given else None, answers=call.id)
                for place, call in enumerate(self._calls(f"a{ask}.{done - 1}", self.steps(ask)[done - 1].calls))
            )
        if step.does == "fail" and ask == self.turn:
            raise ScriptedFailure(name)
        if step.does not in ("answer", "both"):
            return ()
        text = step.text if self.kind.repeats else f"{name}: {step.text}"
        return (Said("assistant", text, given, turn=ask),)

    def _calls(self, name: str, count: int) -> tuple[Call, ...]:
        name = name.partition("@")[0]
        ids = {"unique": f"{name}#{{}}", "twins": f"{name}#", "recurring": "call {}"}[self.kind.call_ids]
        return tuple(Call("search", f"{name} {place}", ids.format(place)) for place in range(count))

    def _result(self, word: str, call: Call) -> str:
        return f'{{"{word}": "{call.query}"}}' if call.query.endswith("1") else f"{word} {call.query}"

    def edits(self, step: Step, messages: Sequence[Any]) -> tuple[tuple[str, str], ...]:
        """What a step changes in older messages: id and new text."""
        whose = [message for message in messages if message.text and message.id and "." in message.id]
        if self.kind.channel == "delta":  # an exception: what is of before, and a node rewrites under its id
            whose = [message for message in whose if message.type == "human"]
        if step.does != "fix" or not whose:
            return ()
        return ((str(whose[int(step.nth * len(whose))].id), f"fixed: {step.text}"),)


def schema(kind: Kind) -> Any:
    """The state: the messages, whose turn the agent is at, and how many of its steps are done."""
    messages: Any = {
        "add": Annotated[list, _window(add_messages, kind.window)],
        "sum": Annotated[list, _window(operator.add, kind.window)],
        "plain": list,
        "delta": Annotated[list, DeltaChannel(add_all, snapshot_frequency=3)],
    }[kind.channel]
    return TypedDict("State", {"messages": messages, "ask": int, "done": int})  # type: ignore[operator]


def _window(reducer: Any, count: int | None) -> Any:
    if count is None:
        return reducer
    return lambda left, right: reducer(left, right)[-count:]


def agent(script: Script, saver: DynamoDBConversationSaver) -> Any:
    """The agent of a run, compiled."""
    return _function(script, saver) if script.kind.channel == "function" else _graph(script, saver)


def given_to(script: Script, ask: int, held: Sequence[BaseMessage]) -> dict[str, Any]:
    """The input of a turn; `held`: the messages before, for a channel that input replaces."""
    messages = [said.message() for said in script.question(ask)]
    if script.kind.channel == "plain":
        messages = [*held, *messages]
    return {"messages": messages, "ask": ask, "done": 0}


def _graph(script: Script, saver: DynamoDBConversationSaver) -> Any:
    def act(state: Any, config: RunnableConfig) -> dict[str, Any]:
        ask, done, messages = state["ask"], state["done"], state["messages"]
        script.happens(done)
        step = script.steps(ask)[done]
        effect = Effect(script.said(ask, done, messages), script.edits(step, messages))
        script.log.did(script.run, _checkpoint_of(config), "act", effect)
        return {"messages": written(script.kind, step, messages, effect), "done": done + 1}

    def also(state: Any, config: RunnableConfig) -> dict[str, Any]:
        effect = Effect(script.said(state["ask"], state["done"], state["messages"], "b"))
        script.log.did(script.run, _checkpoint_of(config), "also", effect)
        return {"messages": [said.message() for said in effect.said]}

    def route(state: Any) -> list[str]:
        steps = script.steps(state["ask"]) if "ask" in state else ()
        done = state.get("done", 0)
        if done >= len(steps):
            return [END]
        return ["act", "also"] if steps[done].does == "both" else ["act"]

    builder = StateGraph(schema(script.kind))
    builder.add_node("act", act)
    builder.add_node("also", also)
    builder.add_conditional_edges(START, route, ["act", "also", END])
    builder.add_conditional_edges("act", route, ["act", "also", END])
    return builder.compile(checkpointer=saver)


def written(kind: Kind, step: Step, messages: Sequence[Any], effect: Effect) -> list[Any]:
    """What a step writes to the messages channel."""
    new = [said.message() for said in effect.said]
    texts = dict(effect.edits)
    edited = [m.model_copy(update={"content": texts[m.id]}) for m in messages if m.id in texts]
    count = len(messages) if step.keep is None else min(step.keep, len(messages))
    rest = list(messages[len(messages) - count :])
    summary = _summary(len(messages)) if step.keep is not None and step.how == "summary" else []
    if kind.channel == "plain":
        return [*summary, *(m.model_copy(update={"content": texts.get(m.id, m.content)}) for m in rest), *new]
    if step.keep is None:
        return [*edited, *new]
    if step.how == "ids":
        gone = {message.id for message in messages[: len(messages) - count]}
        removed = [RemoveMessage(id=str(message.id)) for message in messages[: len(messages) - count]]
        return [*removed, *(one for one in edited if one.id not in gone), *new]
    again = [m.model_copy(update={"content": texts.get(m.id, m.content)}) for m in rest]
    return [RemoveMessage(id=REMOVE_ALL_MESSAGES), *summary, *again, *new]


def _summary(count: int) -> list[HumanMessage]:
    """As LangChain's middleware marks it."""
    return [HumanMessage(f"a summary of {count}", additional_kwargs={"lc_source": "summarization"})]


def _function(script: Script, saver: DynamoDBConversationSaver) -> Any:
    @entrypoint(checkpointer=saver)
    def talk(given: dict[str, Any], *, previous: list[BaseMessage] | None, config: RunnableConfig) -> Any:
        ask = given["ask"]
        branch = script.question(ask)
        for done in range(len(script.steps(ask))):
            script.happens(done)
            branch += script.said(ask, done, ())
        script.log.did(script.run, _checkpoint_of(config), "talk", Effect(branch))
        messages = [*(previous or []), *(said.message() for said in branch)]
        return entrypoint.final(value=AIMessage("done"), save=messages)

    return talk


def _checkpoint_of(config: RunnableConfig) -> str:
    """The checkpoint that a node works on."""
    return str(config["configurable"]["checkpoint_map"][""])
