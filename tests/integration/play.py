"""The same graph played on two checkpointers, and what a person sees of it, without the ids that chance gave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, Protocol

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.pregel import Pregel
from langgraph.types import Interrupt, PregelTask, StateSnapshot
from pydantic import BaseModel

Build = Callable[[BaseCheckpointSaver[Any]], Pregel]
"""Compiles a graph with a checkpointer."""

MODES = {"sync": "async", "async": "exit", "cold": "sync"}
"""How a graph is called, and the durability that it runs with unless a test says otherwise. `cold` is sync with a new
saver and graph for every call, as in a function that runs somewhere else every time."""


class Player:
    """One graph on one checkpointer in one conversation."""

    def __init__(
        self, build: Build, checkpointer: Callable[[], BaseCheckpointSaver[Any]], mode: str, config: RunnableConfig
    ) -> None:
        self.config = config
        self._build = build
        self._checkpointer = checkpointer
        self._mode = mode
        self._graph: Pregel | None = None

    @property
    def graph(self) -> Pregel:
        if self._graph is None or self._mode == "cold":
            self._graph = self._build(self._checkpointer())
        return self._graph

    def invoke(self, inputs: Any, config: RunnableConfig | None = None, **options: Any) -> Any:
        """What the run gives: its result, or its error."""
        graph, config = self.graph, config or self.config
        options = {"durability": MODES[self._mode], **options}
        try:
            if self._mode == "async":
                return run(graph.ainvoke(inputs, config, **options))
            return graph.invoke(inputs, config, **options)
        except Exception as error:  # noqa: BLE001 - compared with the other's
            return error

    def state(self, config: RunnableConfig | None = None, **options: Any) -> StateSnapshot:
        if self._mode == "async":
            return run(self.graph.aget_state(config or self.config, **options))
        return self.graph.get_state(config or self.config, **options)

    def history(self, config: RunnableConfig | None = None, **options: Any) -> list[StateSnapshot]:
        if self._mode == "async":
            return run(_all(self.graph.aget_state_history(config or self.config, **options)))
        return list(self.graph.get_state_history(config or self.config, **options))

    def update(self, values: Any, as_node: str | None = None, config: RunnableConfig | None = None) -> RunnableConfig:
        if self._mode == "async":
            return run(self.graph.aupdate_state(config or self.config, values, as_node))
        return self.graph.update_state(config or self.config, values, as_node)

    def at(self, node: str, *, nth: int = 0) -> RunnableConfig:
        """The config of a checkpoint of the past at which this node was next; the newest such one is the 0th."""
        return [snapshot.config for snapshot in self.history() if node in snapshot.next][nth]


class Others(Protocol):
    """What is done with twins is done here too."""

    def do(self, action: Callable[[Player], Any]) -> None: ...


class Twins:
    """One dialogue on this package's saver and on LangGraph's own in memory; every call must give the same."""

    def __init__(self, ours: Player, theirs: Player, others: Sequence[Others] = ()) -> None:
        self.ours = ours
        self.theirs = theirs
        self._others = others

    @property
    def config(self) -> RunnableConfig:
        return self.ours.config

    def do(self, action: Callable[[Player], Any]) -> Any:
        """Do it on both, compare what it gives, and give ours."""
        ours, theirs = action(self.ours), action(self.theirs)
        assert plain(ours) == plain(theirs)
        for others in self._others:
            others.do(action)
        return ours

    def invoke(self, inputs: Any, **options: Any) -> Any:
        return self.do(lambda player: player.invoke(inputs, **options))

    def compare(self) -> list[StateSnapshot]:
        """Compare state and history, and give our history."""
        self.do(lambda player: player.state())
        self.do(lambda player: player.state(subgraphs=True))
        ours, theirs = self.ours.history(), self.theirs.history()
        for mine, other in zip(ours, theirs, strict=True):
            assert plain(mine) == plain(other)
        assert _parents(ours) == _parents(theirs)
        return ours


def plain(value: Any) -> Any:
    """A value without ids and times, to be compared and read."""
    if isinstance(value, BaseMessage):
        kept = ("content", "name", "tool_calls", "status", "additional_kwargs")
        return {"type": value.type, **{name: getattr(value, name, None) for name in kept}}
    if isinstance(value, StateSnapshot):
        return _plain_snapshot(value)
    if isinstance(value, PregelTask):
        return _plain_task(value)
    if isinstance(value, Interrupt):
        return {"interrupt": plain(value.value)}
    if isinstance(value, BaseException):
        return {"error": type(value).__name__, "says": str(value)}
    if isinstance(value, Mapping):
        own = {"thread_id", "checkpoint_id", "checkpoint_map"}
        return {name: plain(item) for name, item in value.items() if name not in own}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, BaseModel) or (is_dataclass(value) and not isinstance(value, type)):
        fields = value.model_dump() if isinstance(value, BaseModel) else asdict(value)
        return {"class": type(value).__name__, **plain(fields)}
    return value


def run(call: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(call)


async def _all(snapshots: Any) -> list[StateSnapshot]:
    return [snapshot async for snapshot in snapshots]


def _plain_snapshot(snapshot: StateSnapshot) -> dict[str, Any]:
    # Our configs carry the user, and so does the metadata of what was forked from them.
    left_out = ("parents", "run_id", "user_id")
    metadata = snapshot.metadata or {}
    return {
        "values": plain(snapshot.values),
        "next": sorted(snapshot.next),
        "metadata": {name: value for name, value in metadata.items() if name not in left_out},
        "tasks": [plain(task) for task in sorted(snapshot.tasks, key=lambda task: str(task.path))],
        "interrupts": [plain(interrupt) for interrupt in snapshot.interrupts],
        "dated": bool(snapshot.created_at),
    }


def _plain_task(task: PregelTask) -> dict[str, Any]:
    within = plain(task.state) if isinstance(task.state, StateSnapshot) else bool(task.state)
    names = ("name", "error", "interrupts", "result")
    return {**{name: plain(getattr(task, name)) for name in names}, "state": within}


def _parents(history: Sequence[StateSnapshot]) -> list[int | None]:
    ids = [_id(snapshot.config) for snapshot in history]
    return [ids.index(_id(snapshot.parent_config)) if snapshot.parent_config else None for snapshot in history]


def _id(config: RunnableConfig) -> str:
    return str(config["configurable"]["checkpoint_id"])
