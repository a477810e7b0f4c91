"""Random histories: a seed gives a plan, which is what the workers of one conversation do, turn by turn.

A plan knows nothing of how it will go: a turn that makes no sense when its time has come (an answer where nothing is
asked) is left out by the player.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

CHANNELS = ("add", "add", "add", "plain", "sum", "delta", "function")
DURABILITIES: tuple[Any, ...] = ("sync", "sync", "async", "exit")
FAULTS = ("unsent", "throttled", "answer_lost", "reset", "error_500")


@dataclass(frozen=True)
class Kind:
    """How an agent keeps its messages.

    Args:
        channel: "add" (`add_messages`), "plain" (a list), "sum" (`operator.add`), "delta" or "function" (the
            functional API's `__previous__`).
        ids: Whether messages come with ids.
        stable: Whether a step that is done again gives the same ids.
        window: How many messages the reducer keeps; None for all.
        tidies: Whether nodes remove and summarise messages.
        repeats: Whether the same few words are said again and again.
        call_ids: "unique"; "twins" (all calls of a message have one id); "recurring" (the same ids in every message).
    """

    channel: str
    ids: bool
    stable: bool
    window: int | None
    tidies: bool
    repeats: bool
    call_ids: str

    @property
    def keeps_all(self) -> bool:
        return self.window is None and not self.tidies

    @property
    def edits(self) -> bool:
        """Whether a message can be edited by its id."""
        return self.ids and self.channel in ("add", "plain", "delta")


@dataclass(frozen=True)
class Fault:
    """A request of a turn that fails.

    Args:
        first: Its number, from 1 on.
        name: In which way: a function in tests/faults/failing.py.
        dies: Whether the worker dies with it, and all of its later requests fail; else it goes on, warm.
    """

    first: int
    name: str
    dies: bool


@dataclass(frozen=True)
class Step:
    """One step of an agent.

    Args:
        does: "call", "results", "approve" (an interrupt, then results), "answer", "both" (two nodes answer), "fix"
            (edits an older message), "tidy" (says nothing) or "fail" (until the run is repeated).
        text: What it says.
        calls: How many tools it calls.
        keep: How many of the messages that it found it keeps; None for all.
        how: How it removes the others: "ids", "all" (`REMOVE_ALL_MESSAGES`, then the rest again), "summary" (the same,
            with a summary in their place).
        nth: Which message it edits, from 0 (the oldest) to 1.
    """

    does: str
    text: str = ""
    calls: int = 0
    keep: int | None = None
    how: str = "ids"
    nth: float = 0


@dataclass(frozen=True)
class Ask:
    """The user says something, and the agent does its steps.

    Args:
        worker: Whose turn it is.
        durability: LangGraph's.
        texts: What the user says.
        steps: What the agent does.
        fork: Where the run begins, from 0 (the oldest checkpoint) to 1; None for the newest.
        fault: What fails.
    """

    worker: int
    durability: Any
    texts: tuple[str, ...]
    steps: tuple[Step, ...]
    fork: float | None = None
    fault: Fault | None = None


@dataclass(frozen=True)
class Again:
    """The run goes on where it failed or crashed, or is done again from an older checkpoint."""

    worker: int
    durability: Any
    fork: float | None = None
    fault: Fault | None = None


@dataclass(frozen=True)
class Resume:
    """An interrupt is answered."""

    worker: int
    durability: Any
    answer: str
    fault: Fault | None = None


@dataclass(frozen=True)
class Edit:
    """A message is edited by hand (`update_state`), at the newest checkpoint or at an older one."""

    worker: int
    nth: float
    text: str
    fork: float | None = None
    fault: Fault | None = None


@dataclass(frozen=True)
class Remove:
    """A message is taken from the agent by hand; the transcript keeps it."""

    worker: int
    nth: float


@dataclass(frozen=True)
class AtOnce:
    """Two runs at the same time.

    Args:
        first: One of them.
        second: The other.
        during: In which step of the first all of the second happens; None: they alternate, request by request.
        seed: Of how they alternate.
    """

    first: Ask
    second: Ask
    during: int | None
    seed: int


Turn = Ask | Again | Resume | Edit | Remove | AtOnce


@dataclass(frozen=True)
class History:
    """A plan.

    Args:
        kind: How the agent keeps its messages.
        row_bytes: Of all savers.
        workers: For each, what it remembers: "warm" (everything), "tiny" (little), "none", or "cold" (it is a new one
            in every turn).
        turns: What happens.
    """

    kind: Kind
    row_bytes: int | None
    workers: tuple[str, ...]
    turns: tuple[Turn, ...]

    def __str__(self) -> str:
        turns = "\n".join(f"  {number}: {brief(turn)}" for number, turn in enumerate(self.turns))
        return f"{brief(self.kind)}\n  row_bytes={self.row_bytes} workers={', '.join(self.workers)}\n{turns}"


def brief(value: Any) -> str:
    """A part of a plan in one line, without what is as usual."""
    if isinstance(value, str):
        return repr(value if len(value) < 30 else f"{value[:16]}... ({len(value)})")
    if isinstance(value, tuple):
        return f"({', '.join(map(brief, value))})"
    if isinstance(value, float):
        return f"{value:.2f}"
    if not is_dataclass(value):
        return repr(value)
    told = [(one.name, getattr(value, one.name)) for one in fields(value) if getattr(value, one.name) != one.default]
    return f"{type(value).__name__}({', '.join(f'{name}={brief(part)}' for name, part in told)})"


def history(seed: int) -> History:
    """The plan of a seed."""
    chance = random.Random(seed)
    kind = _kind(chance)
    workers = tuple(chance.choice(("warm", "warm", "tiny", "none", "cold")) for _ in range(chance.randint(2, 4)))
    row_bytes = chance.choice((512, 700, 1200, 3000, None))
    planner = _Planner(chance, kind, len(workers))
    first: list[Turn] = [planner.ask() for _ in range(chance.randint(1, 3))]
    return History(kind, row_bytes, workers, (*first, *(planner.turn() for _ in range(chance.randint(3, 9)))))


def _kind(chance: random.Random) -> Kind:
    channel = chance.choice(CHANNELS)
    ids = chance.random() < 0.6
    window = chance.randint(4, 9) if channel in ("add", "sum") and chance.random() < 0.25 else None
    tidies = channel in ("add", "plain", "delta") and chance.random() < 0.4
    # The exception "messages without ids that left a window": there, words are not repeated.
    repeats = chance.random() < 0.4 and (ids or (window is None and not tidies))
    call_ids = chance.choice(("unique", "unique", "twins", "recurring"))
    return Kind(channel, ids, ids and chance.random() < 0.5, window, tidies, repeats, call_ids)


class _Planner:
    """Makes up turns."""

    def __init__(self, chance: random.Random, kind: Kind, workers: int) -> None:
        self._chance = chance
        self._kind = kind
        self._workers = workers
        self._words = 0

    def turn(self) -> Turn:
        kinds = ["ask"] * 6 + ["again"] * 3 + ["resume"] * 2 + ["at once"] * 2
        kinds += ["edit"] * 3 * self._kind.edits + ["remove"] * self._kind.edits
        if self._kind.channel == "plain" and not self._kind.ids and self._kind.repeats:
            kinds = [one for one in kinds if one != "at once"]  # each would overwrite the other's list with equal words
        what = self._chance.choice(kinds)
        if what == "ask":
            return self.ask(fork=self._fork(), fault=self._fault())
        if what == "again":
            # What is done again may drop messages: not within an "exit" run.
            durability = "sync" if self._kind.tidies or self._kind.window else self._durability()
            return Again(self._worker(), durability, self._fork(0.5), self._fault())
        if what == "resume":
            resume = Resume(self._worker(), self._durability(), self._text(), self._fault())
            drops = self._kind.tidies or self._kind.window
            return replace(resume, durability="sync") if drops and resume.durability == "exit" else resume
        if what == "edit":
            return Edit(self._worker(), self._chance.random(), self._text(), self._fork(), self._fault())
        if what == "remove":
            return Remove(self._worker(), self._chance.random())
        return self._at_once()

    def ask(self, *, fork: float | None = None, fault: Fault | None = None, talk: bool = False) -> Ask:
        texts = tuple(self._text() for _ in range(self._chance.choice((1, 1, 1, 2))))
        steps = self._steps(talk)
        size = len(texts) + sum(2 * (step.does == "both") + step.calls + 1 for step in steps)
        durability = self._durability()
        if durability == "exit":
            # The exception 'with durability="exit", messages that the agent dropped within the run': there are none.
            if self._kind.window is not None and self._kind.window < size:
                durability = "sync"
            steps = tuple(step if step.keep is None else replace(step, keep=step.keep + size) for step in steps)
        return Ask(self._worker(), durability, texts, steps, fork, fault)

    def _at_once(self) -> Turn:
        first, second = self.ask(talk=True), self.ask(talk=True)
        during = self._chance.randrange(len(first.steps)) if self._chance.random() < 0.5 else None
        if during is None:
            others = [number for number in range(self._workers) if number != first.worker]
            second = replace(second, worker=self._chance.choice(others))
        if self._kind.channel == "delta":
            # LangGraph ties the input of both to one checkpoint, if they begin on it, and keeps that of one.
            during, first = during or 0, replace(first, durability="sync")
        return AtOnce(first, second, during, self._chance.randrange(1000))

    def _steps(self, talk: bool) -> tuple[Step, ...]:
        """What the agent does; `talk`: nothing that stops or edits."""
        steps: list[Step] = []
        odd = not talk and self._kind.channel != "function"
        for _ in range(self._chance.choice((0, 0, 1, 1, 2))):
            text = self._text() if self._chance.random() < 0.2 else ""
            steps.append(Step("call", text, calls=self._chance.randint(1, 3)))
            if odd and self._chance.random() < 0.15:
                steps.append(Step("fail"))
            steps.append(Step("approve" if odd and self._chance.random() < 0.25 else "results"))
        if self._chance.random() < 0.9:
            both = self._kind.channel in ("add", "sum", "delta") and self._chance.random() < 0.15
            steps.append(Step("both" if both else "answer", self._text()))
        if odd and self._kind.edits and self._chance.random() < 0.2:
            steps.insert(self._chance.randint(0, len(steps)), Step("fix", self._text(), nth=self._chance.random()))
        if self._kind.tidies and self._chance.random() < 0.3:
            steps.insert(self._chance.randint(0, len(steps)), Step("tidy"))
        return tuple(self._tidying(step) for step in steps or [Step("answer", self._text())])

    def _tidying(self, step: Step) -> Step:
        # What one step changes and forgets is in no state.
        if not self._kind.tidies or step.does in ("fail", "fix") or step.does != "tidy" and self._chance.random() < 0.7:
            return step
        how = self._chance.choice(("ids", "all", "summary"))
        return replace(step, keep=self._chance.randint(0, 6), how=how)

    def _text(self) -> str:
        self._words += 1
        if self._kind.repeats:
            return self._chance.choice(("yes", "yes", "no", "go on"))
        size = self._chance.choice((0, 0, 30, 200, 400)) if self._chance.random() < 0.97 else 4000
        return f"words {self._words}" + f" {'x' * size}" * (size > 0)

    def _worker(self) -> int:
        return self._chance.randrange(self._workers)

    def _durability(self) -> Any:
        return self._chance.choice(DURABILITIES)

    def _fork(self, probability: float = 0.25) -> float | None:
        return self._chance.random() if self._chance.random() < probability else None

    def _fault(self) -> Fault | None:
        if self._chance.random() > 0.25:
            return None
        return Fault(self._chance.randint(1, 25), self._chance.choice(FAULTS), self._chance.random() < 0.5)
