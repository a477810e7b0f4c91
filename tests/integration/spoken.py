"""What was said in a conversation: the log that a transcript is compared with.

The log knows what a test sent and what its scripted agent answered. It never asks a saver what was said: of the saver's
checkpoints it uses the ids alone, as names of places in the conversation's tree. A node tells the log the checkpoint
that it works on, so the log knows what had been said at a checkpoint, also where a crash lets a node run again or not
at all.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

Shown = tuple[str, str, tuple[Any, ...]]
"""Role, content, and for each tool call (tool, args, result, status) of one message of a transcript."""

PENDING = "(pending)"


@dataclass(frozen=True)
class Call:
    """A tool call of an answer."""

    tool: str
    query: str
    id: str


@dataclass(frozen=True)
class Said:
    """One LangChain message.

    Args:
        role: "user", "assistant" or "tool".
        text: Its content.
        id: The id that the test gave it, or None.
        calls: The tool calls of an assistant's message.
        answers: The id of the call whose result it is.
        failed: Whether the tool failed.
        turn: The number of the turn that it belongs to: an answer is of one turn, whoever speaks in between.
    """

    role: str
    text: str
    id: str | None = None
    calls: tuple[Call, ...] = ()
    answers: str = ""
    failed: bool = False
    turn: int = 0

    def message(self) -> BaseMessage:
        """It as a new LangChain message."""
        if self.role == "user":
            return HumanMessage(self.text, id=self.id)
        if self.role == "tool":
            status = "error" if self.failed else "success"
            return ToolMessage(self.text, id=self.id, tool_call_id=self.answers, status=status)
        calls = [{"name": call.tool, "args": {"query": call.query}, "id": call.id} for call in self.calls]
        return AIMessage(self.text, id=self.id, tool_calls=calls)


Branch = tuple[Said, ...]


@dataclass(frozen=True)
class Effect:
    """What an input, an update or a node does to what was said.

    Args:
        said: New messages.
        edits: New texts of old messages, by id.
    """

    said: Branch = ()
    edits: tuple[tuple[str, str], ...] = ()

    def on(self, branch: Branch) -> Branch:
        """What has been said after it."""
        texts = dict(self.edits)
        old = tuple(replace(said, text=texts[said.id]) if said.id in texts else said for said in branch)
        return old + self.said


@dataclass
class Run:
    """One run or update.

    Args:
        start: The checkpoint that it began on, or "".
        base: What was shown there.
        given: What it was given, or what was given before and waits at `start`.
        goes_on: Whether it does the work that was pending at `start`, where some tasks may have ended already.
        worked: The checkpoints that its nodes have worked on.
    """

    start: str
    base: Branch
    given: Effect = field(default_factory=Effect)
    goes_on: bool = False
    worked: set[str] = field(default_factory=set)


class Log:
    """What was said.

    Args:
        now: What every reader must be shown.
        newest: The newest checkpoint, or "".
        places: What was shown at each checkpoint, by id; without those of two runs at once.
    """

    def __init__(self) -> None:
        self.now: Branch = ()
        self.newest = ""
        self.places: dict[str, Branch] = {}
        self._waiting: dict[str, Effect] = {}
        self._effects: dict[str, dict[str, Effect]] = {}
        self._beside: set[int] = set()  # turns of runs at once
        self._lock = threading.Lock()

    def is_told_of(self, place: str) -> bool:
        """Whether what was shown at a place can be shown again.

        What a run at once said is in no state that another run has led to. A transcript that has gone back to before
        both does not know any more, on the way there, that it stood beside.
        """
        turns = {said.turn for said in self.places[place]} & self._beside
        return turns <= {said.turn for said in self.now}

    def begin(self, at: str | None = None, given: Effect | None = None, *, goes_on: bool = False) -> Run:
        """A run begins.

        Args:
            at: An older checkpoint, of which it makes a fork; None for the newest.
            given: What it is given; None for nothing, to go on with what waits.
            goes_on: Whether tasks that have ended there need not run again.
        """
        start = self.newest if at is None else at
        base = self.now if at is None else self.places[at]
        return Run(start, base, self._waiting.get(start, Effect()) if given is None else given, goes_on)

    def did(self, run: Run, checkpoint_id: str, node: str, effect: Effect) -> None:
        """A node of a run has ended; what it did at this checkpoint before does not count any more."""
        with self._lock:
            run.worked.add(checkpoint_id)
            self._effects.setdefault(checkpoint_id, {})[node] = effect

    def ended(self, run: Run, stored: Sequence[tuple[str, str]]) -> None:
        """A run has ended, well or not.

        Args:
            run: The run.
            stored: The checkpoints that are there of it, oldest first, each with what LangGraph says made it ("" for
                the empty one to which durability "exit" ties the writes of a `DeltaChannel`).
        """
        for checkpoint_id, source in stored:
            self.places[checkpoint_id] = run.base
            if source in ("input", "fork"):
                self._waiting[checkpoint_id] = run.given  # LangGraph applies it in the next step, or never
            elif source:
                self.places[checkpoint_id] = self._after(run, checkpoint_id)
            self.newest, self.now = checkpoint_id, self.places[checkpoint_id]

    def ended_beside(self, runs: Sequence[Run], newest: str, told: Sequence[Shown]) -> None:
        """Two runs at once have ended well: their messages stay, in any order in which each run's own is kept.

        Args:
            runs: The runs.
            newest: The newest checkpoint.
            told: What is shown now; which of the possible orders it is counts from now on.
        """
        base = runs[0].base
        first, second = (units(self._after(run, "~")[len(base) :]) for run in runs)
        order = _merged(first, second, told[len(shown(base)) :])
        self._beside |= {said.turn for unit in (*first, *second) for said in unit}
        self.now = base + tuple(said for unit in order or [*first, *second] for said in unit)
        self.newest = newest

    def _after(self, run: Run, checkpoint_id: str) -> Branch:
        """What was said by a run before a checkpoint of its own."""
        worked = run.worked | ({run.start} if run.goes_on else set())
        branch = run.given.on(run.base)
        for place in sorted(worked):
            if place < checkpoint_id:
                for _, effect in sorted(self._effects.get(place, {}).items()):
                    branch = effect.on(branch)
        return branch


def _merged(first: list[Branch], second: list[Branch], told: Sequence[Shown]) -> list[Branch] | None:
    """The units of two runs in the order in which they are told; None if they are not told just so."""
    if not told:
        return None if first or second else []
    for one, rest in ((first, (first[1:], second)), (second, (first, second[1:]))):
        if one and shown(one[0]) == [told[0]] and (order := _merged(*rest, told[1:])) is not None:
            return [one[0], *order]
    return None


def units(branch: Branch) -> list[Branch]:
    """The messages that make up one message of the transcript, for each of these."""
    made: list[list[Said]] = []
    called: dict[str, list[Said]] = {}
    is_open = False
    for said in branch:
        if said.role == "tool":
            called[said.answers].append(said)
            continue
        if said.role == "assistant" and is_open and said.turn == made[-1][0].turn:
            made[-1].append(said)
        else:
            made.append([said])
        called |= {call.id: made[-1] for call in said.calls}
        is_open = bool(said.calls) and not said.text
    return [tuple(unit) for unit in made]


def shown(branch: Branch) -> list[Shown]:
    """The transcript of a branch: calls and results belong to the answer that they led to."""
    return [_shown(unit) for unit in units(branch)]


def _shown(unit: Branch) -> Shown:
    calls: list[list[Any]] = []
    ids: list[str] = []
    for said in unit:
        calls += [[call.tool, {"query": call.query}, PENDING, None] for call in said.calls]
        ids += [call.id for call in said.calls]
        if said.role == "tool":
            _answer([call for call_id, call in zip(ids, calls, strict=True) if call_id == said.answers], said)
    text = next((said.text for said in reversed(unit) if said.role != "tool"), "")
    return unit[0].role, text, tuple(map(tuple, calls))


def _answer(calls: list[list[Any]], said: Said) -> None:
    """Give the oldest of these calls that has no result its result."""
    call = next(call for call in calls if call[2] == PENDING)
    call[2] = json.loads(said.text) if said.text.startswith("{") else said.text
    call[3] = "error" if said.failed else None


def title(branch: Branch) -> str | None:
    """The first text of the user."""
    return next((said.text for said in branch if said.role == "user" and said.text.strip()), None)


def held_by(branch: Iterable[Said], message_id: str) -> Said:
    """The message with an id."""
    return next(said for said in branch if said.id == message_id)
