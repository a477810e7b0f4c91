"""A random history on one conversation, made from one integer and compared with a log after every turn.

What never reaches a saver is not asked of it, and not made here. With `durability="exit"` these are the messages that
the agent dropped within the run (`Agent` keeps what was said since the run began), and messages without ids that left a
window (the channel "window" is not run with "exit"). A run that crashed is taken up again before anything else is said,
since LangGraph drops a question whose run had not begun.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, StateSnapshot

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.faults.failing import AFTER, BEFORE, INJECTED, FailingClient
from tests.integration.history_checks import Reader, compare_state
from tests.integration.history_graphs import HAVE_IDS, SCHEMAS, Agent, Graph
from tests.integration.spoken import Log, Place, Said, edited

USER = "alice"
STEPS = 14
WORKERS: dict[str, dict[str, Any]] = {"warm": {}, "cold": {}, "tiny": {"cache_bytes": 0}}
TOOLS = ("search", "details", "fail", "book")
REPEATED = ("yes", "yes", "no", "go on", "")

MakeSaver = Callable[..., DynamoDBConversationSaver]


@dataclass
class Worker:
    """A process that has the conversation in turn with others."""

    name: str
    kind: str
    make: Callable[[], DynamoDBConversationSaver]
    saver: DynamoDBConversationSaver | None = None

    def fresh(self) -> DynamoDBConversationSaver:
        """Its saver for the next turn."""
        if self.saver is None or self.kind == "cold":
            self.restart()
        assert self.saver is not None
        return self.saver

    def restart(self) -> None:
        """A new process takes its place."""
        if self.saver is not None:
            self.saver.close()
        self.saver = self.make()


class HistoryError(AssertionError):
    """A transcript that does not say what was said."""


class History:
    """A random history.

    Args:
        seed: All that is random comes from it, but for ids and the order of requests that run side by side.
        failing: The client of every worker.
        table_name: The table.
        reader: Reads the transcript and compares it.
        steps: How many steps it has.
    """

    def __init__(self, seed: int, failing: FailingClient, table_name: str, reader: Reader, steps: int = STEPS) -> None:
        self.random = random.Random(seed)
        self.script: list[str] = []
        self._failing, self._table, self._reader, self._steps = failing, table_name, reader, steps
        self._config = _config()
        self._log = Log()
        self._numbers = 0
        self._snapshot: StateSnapshot | None = None
        self._agent = self._choose_agent()
        self._row_bytes: dict[str, Any] = self.random.choice(
            ({}, {"row_bytes": 512}, {"row_bytes": 1000}, {"row_bytes": 2000})
        )
        self._ids = self.random.choice((0.0, 0.5, 1.0))
        kinds = [self.random.choice(list(WORKERS)) for _ in range(self.random.randint(2, 4))]
        self._workers = [
            Worker(f"{'ABCD'[n]} ({kind})", kind, lambda kind=kind: self._new(**WORKERS[kind]))  # type: ignore[misc]
            for n, kind in enumerate(kinds)
        ]
        agent = self._agent
        often = ", before every answer" if agent.often else ""
        self.script.append(f"channel {agent.channel}; {self._row_bytes or 'default rows'}; {_percent(self._ids)}")
        self.script.append(f"the agent's care: {agent.care}, keeps {agent.keep}{often}")

    def play(self) -> None:
        """Play it to its end.

        Raises:
            HistoryError: A reader was told something else than what was said.
        """
        try:
            for _ in range(self._steps):
                self._step()
            self._recovered()
        finally:
            for worker in self._workers:
                if worker.saver is not None:
                    worker.saver.close()

    def _choose_agent(self) -> Agent:
        chance = self.random
        channel = chance.choice(list(SCHEMAS))
        care = chance.choice(("nothing", "trim", "summarise")) if channel in HAVE_IDS else "nothing"
        return Agent(self._log, self._make, channel, care, chance.randint(1, 6), chance.random() < 0.4)

    def _new(self, **options: Any) -> DynamoDBConversationSaver:
        return DynamoDBConversationSaver(self._table, client=self._failing.client, **self._row_bytes, **options)

    def _make(self, role: str, text: str, **attributes: Any) -> Said:
        self._numbers += 1
        named = self.random.random() < self._ids
        return Said(self._numbers, role, text, f"m{self._numbers}" if named else None, **attributes)

    def _step(self) -> None:
        chance = self.random
        worker = chance.choice(self._workers)
        act = self._action()
        fault = chance.choice(BEFORE + AFTER) if chance.random() < 0.15 else None
        first, times = chance.randint(1, 24), chance.choice((1, 1, None))
        self._agent.durability = chance.choice(("sync", "sync", "async", "exit"))
        if self._agent.channel == "window" and self._agent.durability == "exit":
            self._agent.durability = "sync"
        self._agent.random = random.Random(chance.getrandbits(32))
        self.script.append(f"{worker.name}, {self._agent.durability}: ")
        before = INJECTED.total()
        error = None
        graph = self._agent.build(worker.fresh())
        try:
            if fault is None:
                act(graph)
            else:
                with self._failing.failing(fault, first, times=times):
                    act(graph)
        except Exception as raised:
            if INJECTED.total() == before:
                raise HistoryError(f"the run failed: {raised!r}") from raised
            error = raised
        struck = INJECTED.total() - before
        if struck:
            self._add(f"; {fault and fault.__name__} from request {first} on, {struck} times, {_name(error)}")
        if error is not None and chance.random() < 0.5:
            worker.restart()
            self._add("; the process begins anew")
        self._settle(error)
        if not struck:
            self._check(worker)

    def _action(self) -> Callable[[Graph], None]:
        """What is done next: whatever LangGraph lets a caller do at this point."""
        chance, snapshot = self.random, self._snapshot
        if self._is_broken_off():
            return self._go_on
        kinds: list[tuple[Callable[[Graph], None], int]] = [(self._say, 10)]
        if snapshot is not None:
            kinds += [(self._say_at_older, 2), (self._repeat_older, 2), (self._add_by_update, 1)]
            kinds += [(self._edit, 4), (self._edit_older, 1)] if self._agent.channel in HAVE_IDS else []
            kinds += [(self._resume, 30)] if snapshot.interrupts else []
        return chance.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]

    def _say(self, graph: Graph) -> None:
        self._run(graph, self._log.now, self._asks(), self._config)

    def _say_at_older(self, graph: Graph) -> None:
        place, config = self._older(graph)
        self._run(graph, place, self._asks(), config)

    def _repeat_older(self, graph: Graph) -> None:
        place, config = self._older(graph, to_do=True)
        self._add("what followed is done again")
        self._log.begin(place, again="checkpoint_id" in config["configurable"])
        graph.invoke(None, config, durability=self._agent.durability)

    def _go_on(self, graph: Graph) -> None:
        self._add("goes on")
        self._log.begin(self._log.now)
        graph.invoke(None, self._config, durability=self._agent.durability)

    def _resume(self, graph: Graph) -> None:
        answer = self.random.choice(("yes", "no", "later"))
        self._add(f"resumes with {answer!r}")
        self._log.begin(self._log.now)
        graph.invoke(Command(resume=answer), self._config, durability=self._agent.durability)

    def _add_by_update(self, graph: Graph) -> None:
        self._update(graph, self._log.now, self._make("user", f"Added {self._numbers}"), self._config)

    def _edit(self, graph: Graph) -> None:
        self._edit_at(graph, self._log.now, self._config)

    def _edit_older(self, graph: Graph) -> None:
        self._edit_at(graph, *self._older(graph))

    def _edit_at(self, graph: Graph, place: Place, config: RunnableConfig) -> None:
        known = [said for said in place.base if said.id and said.kept and not said.calls]
        if not known:
            return self._update(graph, place, self._make("user", f"Added {self._numbers}"), config)
        said = self.random.choice(known)
        text = f"Edited {self.random.getrandbits(16):x}." + " At length." * self.random.choice((0, 0, 30))
        self._add(f"edits {said.id} ({said.role}) into {_short(text)}")
        return self._update_to(graph, place, edited(place.base, said.key, text), said.key, config)

    def _update(self, graph: Graph, place: Place, said: Said, config: RunnableConfig) -> None:
        self._add(f"adds {said.text!r} by an update")
        self._update_to(graph, place, (*place.base, said), said.key, config)

    def _update_to(self, graph: Graph, place: Place, branch: Any, key: int, config: RunnableConfig) -> None:
        (said,) = (said for said in branch if said.key == key)
        self._log.begin(Place(place.base, branch))
        made = graph.update_state(config, {"messages": [said.message()]}, "agent")
        self._log.updated(str(made["configurable"]["checkpoint_id"]), branch)

    def _asks(self) -> Said:
        """What the user says, with a plan of the tool calls that it leads to."""
        chance = self.random
        text = f"Question {self._numbers}" + " of some length" * chance.choice((0, 0, 0, 1, 30))
        said = self._make("user", chance.choice(REPEATED) if chance.random() < 0.35 else text)
        rounds = chance.choice((0, 0, 1, 1, 2))
        plan = [[self._planned() for _ in range(chance.choice((1, 1, 2)))] for _ in range(rounds)]
        self._agent.plans[said.key] = plan
        calls = " / ".join(", ".join(f"{tool} {query}" for tool, query in calls) for calls in plan)
        self._add(f"says {_short(said.text)} (id {said.id}){' which takes ' * bool(calls)}{calls}")
        return said

    def _planned(self) -> tuple[str, str]:
        return self.random.choice(TOOLS), self.random.choice(("lakes", "rivers", "hills"))

    def _run(self, graph: Graph, place: Place, said: Said, config: RunnableConfig) -> None:
        self._log.begin(place, [said])
        as_pair = said.id is None and self._agent.channel in HAVE_IDS and self.random.random() < 0.5
        message: Any = ("user", said.text) if as_pair else said.message()
        graph.invoke({"messages": [message]}, config, durability=self._agent.durability)

    def _older(self, graph: Graph, *, to_do: bool = False) -> tuple[Place, RunnableConfig]:
        """A checkpoint of the past whose place in the log is known; of those with something to do, if there are any."""
        known = [
            (self._log.places[checkpoint_id], snapshot.config, snapshot.next)
            for snapshot in graph.get_state_history(self._config)
            if (checkpoint_id := snapshot.config["configurable"]["checkpoint_id"]) in self._log.places
            and (snapshot.metadata or {}).get("source") != "input"
        ]
        if not known:
            return self._log.now, self._config
        with_more = [found for found in known if found[2]]
        place, config, _ = self.random.choice((with_more if to_do else known) or known)
        self._add(f"at the checkpoint after {len(place.base)} messages: ")
        return place, config

    def _settle(self, error: Exception | None) -> None:
        """Find the newest checkpoint's place in the log."""
        with self._observing() as saver:
            graph = self._agent.build(saver)
            snapshot = graph.get_state(self._config)
            # Without an id, it would be what the state will be when tasks that are done have been applied.
            values = graph.get_state(snapshot.config).values
        newest = str(snapshot.config["configurable"].get("checkpoint_id", ""))
        source = str((snapshot.metadata or {}).get("source", ""))
        self._snapshot = snapshot if newest and source else None
        if error is None:
            self._log.ended(newest)
        else:
            parent = (snapshot.parent_config or {"configurable": {}})["configurable"].get("checkpoint_id", "")
            self._log.broken(newest, parent, source, whole=self._agent.durability == "exit")
        if self._agent.keeps_all and source != "input":
            compare_state(values.get("messages", []), self._log.now.base)

    def _is_broken_off(self) -> bool:
        """Whether a run crashed with something to do. A task whose writes are stored is in `tasks`, not in `next`."""
        return self._snapshot is not None and bool(self._snapshot.tasks) and not self._snapshot.interrupts

    def _recovered(self) -> None:
        """One more turn without a fault, so that the history ends well."""
        state = self.random.getstate()
        while self._is_broken_off():
            self._step()
        self.random.setstate(state)

    def _check(self, worker: Worker) -> None:
        if self._snapshot is None or self._is_broken_off():
            return
        with self._observing() as observer:
            cold = self.random.random() < 0.5
            self._reader.compare(observer if cold else worker.saver or observer, self._config, self._log.now.base)

    @contextmanager
    def _observing(self) -> Iterator[DynamoDBConversationSaver]:
        with self._new(cache_bytes=0) as saver:
            yield saver

    def _add(self, text: str) -> None:
        self.script[-1] += text


def _config() -> RunnableConfig:
    return {"configurable": {"thread_id": str(uuid.uuid4()), "user_id": USER}}


def _percent(share: float) -> str:
    return f"{share:.0%} of the messages have ids"


def _short(text: str) -> str:
    return repr(text) if len(text) < 30 else f"{text[:20]!r}... ({len(text)} characters)"


def _name(error: Exception | None) -> str:
    return f"the call raised {type(error).__name__}" if error else "the call ended well"
