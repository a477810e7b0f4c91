"""Threads of every kind, played with real graphs on any saver, and how they go on."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.pregel import Pregel
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict

from tests.reference_chat import Prose, chat_graph, user_message

Saver = BaseCheckpointSaver[Any]
Config = dict[str, Any]


class Kind(NamedTuple):
    """A kind of thread.

    Args:
        build: Makes its graph.
        begin: Plays its first part.
        go_on: Plays what comes after the migration.
    """

    build: Callable[[Saver], Pregel]
    begin: Callable[[Pregel, Config], object]
    go_on: Callable[[Pregel, Config], object]


def say(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text, id=f"id of {text}")]}


def echo(state: Any) -> dict[str, Any]:
    message = state["messages"][-1]
    return {"messages": [AIMessage(f"You said: {message.content}", id=f"answer to {message.id}")]}


# --- a chat with tools ------------------------------------------------------------------------------------


def chat(saver: Saver) -> Pregel:
    return chat_graph(Prose()).compile(checkpointer=saver)


def two_turns(graph: Pregel, config: Config) -> None:
    prose = Prose(3)
    for _ in range(2):
        graph.invoke(user_message(prose), config)


def one_turn(graph: Pregel, config: Config) -> None:
    graph.invoke(user_message(Prose(4)), config)


# --- forks and time travel --------------------------------------------------------------------------------


def echoing(saver: Saver) -> Pregel:
    return StateGraph(MessagesState).add_node(echo).add_edge(START, "echo").compile(checkpointer=saver)


def fork(graph: Pregel, config: Config) -> None:
    for text in ("one", "two", "three"):
        graph.invoke(say(text), config)
    fork_at(graph, config, "two", "two, edited")
    graph.invoke(say("four"), config)


def fork_again(graph: Pregel, config: Config) -> None:
    """Replay from the first turn, edit the last one, and go on."""
    ended = [one for one in graph.get_state_history(config) if not one.next]
    graph.invoke(None, ended[-1].config)
    fork_at(graph, config, "four", "four, edited")
    graph.invoke(say("five"), config)


def fork_at(graph: Pregel, config: Config, text: str, edited: str) -> None:
    before = next(
        one for one in graph.get_state_history(config) if one.next and one.values["messages"][-1].content == text
    )
    update = {"messages": [HumanMessage(edited, id=f"id of {text}")]}
    graph.invoke(None, graph.update_state(before.config, update))


# --- interrupts, in the root and in a subgraph that keeps its own checkpoints ------------------------------


class Order(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
    notes: Annotated[list[str], operator.add]


def ask(state: Order) -> dict[str, Any]:
    size = interrupt({"question": "Which size?"})
    colour = interrupt({"question": "Which colour?"})
    return {"notes": [f"{size}, {colour}"]}


def quick(state: Order) -> dict[str, Any]:
    return {"notes": ["quick is done"]}


def asking(saver: Saver) -> Pregel:
    """One task ends while the other waits, and waits again."""
    builder = StateGraph(Order).add_node(ask).add_node(quick).add_node(echo)
    builder.add_edge(START, "ask").add_edge(START, "quick").add_edge(["ask", "quick"], "echo")
    return builder.compile(checkpointer=saver)


def ask_first(graph: Pregel, config: Config) -> None:
    graph.invoke(say("a shirt"), config)
    graph.invoke(Command(resume="large"), config)


def answer(graph: Pregel, config: Config) -> None:
    # LangGraph may change what a join has seen while an earlier step is still being stored, unless it waits.
    graph.invoke(Command(resume="blue"), config, durability="sync")


def with_subgraph(saver: Saver) -> Pregel:
    inner = StateGraph(Order).add_node(quick).add_node(ask)
    inner.add_edge(START, "quick").add_edge("quick", "ask")
    outer = StateGraph(Order).add_node("inner", inner.compile(checkpointer=True)).add_node(echo)
    outer.add_edge(START, "inner").add_edge("inner", "echo")
    return outer.compile(checkpointer=saver)


# --- failures ---------------------------------------------------------------------------------------------


class Flaky(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
    done: Annotated[list[str], operator.add]
    broken: bool


def steady(state: Flaky) -> dict[str, Any]:
    return {"done": ["steady"]}


def flaky(state: Flaky) -> dict[str, Any]:
    if state.get("broken"):
        raise RuntimeError("it broke")
    return {"done": ["flaky"]}


def failing(saver: Saver) -> Pregel:
    builder = StateGraph(Flaky).add_node(steady).add_node(flaky).add_node(echo)
    builder.add_edge(START, "steady").add_edge(START, "flaky").add_edge(["steady", "flaky"], "echo")
    return builder.compile(checkpointer=saver)


def fail(graph: Pregel, config: Config) -> None:
    one_by_one = {**config, "max_concurrency": 1}  # what is steady ends before the other breaks
    try:
        graph.invoke({**say("go"), "broken": True}, one_by_one)
    except RuntimeError:
        return
    raise AssertionError("it did not break")


def mend(graph: Pregel, config: Config) -> None:
    graph.update_state(config, {"broken": False}, as_node="steady")
    graph.invoke(say("again"), config, durability="sync")


# --- DeltaChannel, Send, and a task with many writes -------------------------------------------------------


def add_all(state: list[AnyMessage] | None, writes: Sequence[Any]) -> list[AnyMessage]:
    for write in writes:
        state = add_messages(state or [], write)
    return state or []


def in_order(state: list[str] | None, writes: Sequence[list[str]]) -> list[str]:
    return [*(state or []), *(text for write in writes for text in write)]


MANY = 12


class Delta(TypedDict):
    messages: Annotated[list[AnyMessage], DeltaChannel(add_all)]
    log: Annotated[list[str], DeltaChannel(in_order, snapshot_frequency=3)]


def spread(state: Delta) -> list[Any]:
    return [Command(update={"log": [f"step {number}"]}) for number in range(MANY)]


def worker(task: dict[str, Any]) -> dict[str, Any]:
    return {"log": [f"worker {task['number']}"]}


def wide_delta(saver: Saver) -> Pregel:
    """Tasks with many writes, and many tasks at once: their order is the state."""
    builder = StateGraph(Delta).add_node(spread).add_node(worker).add_node(echo)
    builder.add_edge(START, "spread")
    builder.add_conditional_edges(
        "spread", lambda _: [Send("worker", {"number": number}) for number in range(MANY)], ["worker"]
    )
    builder.add_edge("worker", "echo")
    return builder.compile(checkpointer=saver)


def delta(saver: Saver) -> Pregel:
    return StateGraph(Delta).add_node(echo).add_edge(START, "echo").compile(checkpointer=saver)


def delta_turns(graph: Pregel, config: Config) -> None:
    for text in ("one", "two"):
        graph.invoke(say(text), config)


def delta_turn(graph: Pregel, config: Config) -> None:
    graph.invoke(say("three"), config)


def exit_turns(graph: Pregel, config: Config) -> None:
    for text in ("one", "two"):
        graph.invoke(say(text), config, durability="exit")


KINDS: dict[str, Kind] = {
    "chat": Kind(chat, two_turns, one_turn),
    "fork": Kind(echoing, fork, fork_again),
    "interrupt": Kind(asking, ask_first, answer),
    "subgraph": Kind(with_subgraph, ask_first, answer),
    "failed": Kind(failing, fail, mend),
    "delta": Kind(delta, delta_turns, delta_turn),
    "delta, exit": Kind(delta, exit_turns, delta_turn),
    "wide": Kind(wide_delta, delta_turns, delta_turn),
}

MISREAD = {
    "sqlite": set(),
    "postgres": set(),
    "aws": {"wide"},  # a task's write 10 comes before its write 2, and tasks in the order of their ids
    "dynamodb": {"wide", "delta, exit", "subgraph"},  # so do they; and a namespace is taken for any that it begins
}
"""Kinds of threads that a saver itself gives wrongly, so that there is nothing to compare with."""


def kinds_of(origin: str) -> list[Kind]:
    return [kind for name, kind in KINDS.items() if name not in MISREAD[origin]]


def thread_id_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def played(saver: Saver, kinds: Sequence[Kind], threads: int) -> list[str]:
    """So many threads of these kinds in turn, their users in the metadata; gives their ids."""
    for number in range(threads):
        kind = kinds[number % len(kinds)]
        kind.begin(kind.build(saver), source_config(number))
    return [thread_id_of(number) for number in range(threads)]


def source_config(number: int) -> Config:
    return {"configurable": {"thread_id": thread_id_of(number)}, "metadata": {"owner": user_of(number)}}


def target_config(number: int) -> Config:
    config = source_config(number)
    return {**config, "configurable": {**config["configurable"], "user_id": user_of(number)}}


def user_of(number: int) -> str:
    return f"user-{number % 5}"


def snapshots(graph: Pregel, config: Config) -> list[dict[str, Any]]:
    """Everything that the graph API tells of a thread, but for who owns it."""
    newest = graph.get_state(config, subgraphs=True)
    return [_plain(newest), *(_plain(one) for one in graph.get_state_history(config))]


def _plain(snapshot: Any) -> Any:
    if snapshot is None or not hasattr(snapshot, "created_at"):
        return _ids(snapshot) if isinstance(snapshot, dict) else snapshot
    tasks = [{**task._asdict(), "state": _plain(task.state), "error": repr(task.error)} for task in snapshot.tasks]
    return {
        **snapshot._asdict(),
        "config": _ids(snapshot.config),
        "parent_config": _ids(snapshot.parent_config),
        "metadata": {name: value for name, value in snapshot.metadata.items() if name != "user_id"},
        "tasks": tasks,
    }


def _ids(config: Any) -> Any:
    if config is None:
        return None
    at = config["configurable"]
    return {name: at.get(name) for name in ("thread_id", "checkpoint_ns", "checkpoint_id")}


def outcome_of(graph: Pregel, config: Config) -> dict[str, Any]:
    """What does not depend on ids that a run makes up."""
    state = graph.get_state(config)
    values = dict(state.values)
    values["messages"] = [(one.type, one.content) for one in values.get("messages", [])]
    history = [
        (one.metadata.get("source"), one.metadata.get("step"), one.next) for one in graph.get_state_history(config)
    ]
    return {"values": values, "next": state.next, "history": history}
