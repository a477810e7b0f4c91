"""What was said in a conversation, as a tree of branches: the log that a transcript is compared with.

The log knows what a test sent and what its scripted agent answered. It never asks a saver what was said: of the saver's
checkpoints it uses the ids alone, as names of places in the tree. A node tells the log the checkpoint that it works on,
so the log knows what had been said at that checkpoint, also where a crash lets a node run again or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
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
        key: Its number in the history, which an edit does not change.
        role: "user", "assistant" or "tool".
        text: Its content.
        id: The id that the test gave it, or None.
        calls: The tool calls of an assistant's message.
        answers: The id of the call whose result it is.
        failed: Whether the tool failed.
        kept: Whether the agent still has it.
    """

    key: int
    role: str
    text: str
    id: str | None = None
    calls: tuple[Call, ...] = ()
    answers: str = ""
    failed: bool = False
    kept: bool = True

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


@dataclass
class Place:
    """A checkpoint.

    Args:
        base: What had been said.
        after: What has been said when its task is done; None before.
    """

    base: Branch
    after: Branch | None = None

    @property
    def end(self) -> Branch:
        return self.base if self.after is None else self.after


@dataclass
class Log:
    """The tree.

    Args:
        places: The checkpoints that the log knows, by id.
        now: Where the run stands; between two runs, the newest checkpoint.
    """

    places: dict[str, Place] = field(default_factory=dict)
    now: Place = field(default_factory=lambda: Place(()))
    _start: Place = field(default_factory=lambda: Place(()))
    _again: bool = False

    def begin(self, place: Place, said: Iterable[Said] = (), *, again: bool = False) -> None:
        """A run begins at a place, with new input; `again`: it does once more what was done from there on."""
        said = tuple(said)
        self.now = Place(place.base, place.base + said) if said else place
        self._start, self._again = self.now, again

    def work(self, checkpoint_id: str) -> Branch:
        """A node begins to work on a checkpoint; gives what has been said until then."""
        place = self.places.get(checkpoint_id)
        if place is None:
            before = self.now.base if self._again and self.now is self._start else self.now.end
            place = self.places[checkpoint_id] = Place(before)
        place.after = None
        self.now = place
        return place.base

    def did(self, checkpoint_id: str, after: Branch) -> None:
        """The node has ended."""
        self.places[checkpoint_id].after = after

    def fresh(self, checkpoint_id: str) -> int:
        """How many messages at a checkpoint were said since the run began."""
        return len(self.places[checkpoint_id].base) - len(self._start.base)

    def ended(self, newest: str) -> None:
        """The run has ended well; `newest` is the conversation's newest checkpoint."""
        self.now = self.places.setdefault(newest, Place(self.now.end))

    def updated(self, checkpoint_id: str, branch: Branch) -> None:
        """An update has made a checkpoint."""
        self.now = self.places[checkpoint_id] = Place(branch)

    def broken(self, newest: str, parent: str, source: str, *, whole: bool) -> None:
        """The run or update has crashed; `newest` is the newest checkpoint that was stored.

        Args:
            newest: Its id, or "" where nothing was stored.
            parent: Its parent's id.
            source: What made it, in LangGraph's words.
            whole: Whether the run stores nothing before its end.
        """
        if newest not in self.places:
            self.places[newest] = self._place_unknown(parent, source, whole=whole) if newest else Place(())
        self.now = self.places[newest]

    def _place_unknown(self, parent: str, source: str, *, whole: bool) -> Place:
        if source == "input":
            return Place(self._start.base, self._start.after)
        if not source:
            return Place(())  # LangGraph's empty checkpoint, to which "exit" ties the writes of a `DeltaChannel`
        if source in ("fork", "update"):
            return Place(self._start.base if source == "fork" else self._start.end)
        if whole:
            return Place(self.now.end)
        return Place(self.places[parent].end if parent in self.places else self._start.end)


def shown(branch: Branch) -> list[Shown]:
    """The transcript of a branch: calls and results belong to the answer that they led to."""
    messages: list[tuple[str, str, list[list[Any]]]] = []
    called: list[tuple[str, list[Any]]] = []
    is_open = False
    for said in branch:
        if said.role == "tool":
            _answer(called, said)
            continue
        joins = said.role == "assistant" and is_open
        if joins:
            messages[-1] = (said.role, said.text, messages[-1][2])
        else:
            messages.append((said.role, said.text, []))
        for call in said.calls:
            entry = [call.tool, {"query": call.query}, PENDING, None]
            messages[-1][2].append(entry)
            called.append((call.id, entry))
        is_open = bool(said.calls) and not said.text
    return [(role, text, tuple(map(tuple, calls))) for role, text, calls in messages]


def _answer(called: list[tuple[str, list[Any]]], said: Said) -> None:
    """Give the oldest call with this id that has no result its result."""
    entry = next(entry for call_id, entry in called if call_id == said.answers and entry[2] == PENDING)
    entry[2] = _result(said.text)
    entry[3] = "error" if said.failed else None


def _result(text: str) -> Any:
    return json.loads(text) if text.startswith("{") else text


def title(branch: Branch) -> str | None:
    """The first text of the user."""
    return next((said.text for said in branch if said.role == "user" and said.text.strip()), None)


def edited(branch: Branch, key: int, text: str) -> Branch:
    """The branch with another text for one message."""
    return tuple(replace(said, text=text) if said.key == key else said for said in branch)


def dropped(branch: Branch, ids: Iterable[str | None]) -> Branch:
    """The branch of which the agent has forgotten some messages."""
    gone = set(ids)
    return tuple(replace(said, kept=False) if said.id and said.id in gone else said for said in branch)
