"""Turns that are played and counted, one by one: what the tests of budgets are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from tests.reference_chat import Prose, chat_graph, user_message
from tests.requests_log import WRITES, Request, RequestLog


@dataclass
class Turn:
    """What a turn cost.

    Args:
        requests: How many requests it sent.
        wru: Write units.
        rru: Read units.
        sent: Bytes of the requests.
        log: The requests.
    """

    requests: int
    wru: float
    rru: float
    sent: int
    log: list[Request]

    def writes(self, kind: str) -> list[Request]:
        """The writes of single items with this in their sort key."""
        return [one for one in self.log if one.operation in WRITES and one.table_key and kind in one.table_key[1]]


Say = Callable[[Any, Any, Any], object]
"""Plays a turn, given the graph, the user's message and the config."""


class ReferenceChat:
    """The reference chat on a saver; it can be played on.

    Args:
        saver: The saver.
        client: The client whose requests are counted.
        build: Makes the graph, not compiled, from a source of text.
        say: Plays a turn; one `invoke` unless given.
    """

    def __init__(
        self, saver: Any, client: Any, build: Callable[[Prose], Any] = chat_graph, say: Say | None = None
    ) -> None:
        self.prose = Prose()
        self.config = saver.new_conversation("alice")
        self.graph = build(self.prose).compile(checkpointer=saver)
        self._client = client
        self._say = say or invoke

    def play(self, turns: int) -> list[Turn]:
        """Play so many turns more; one entry a turn."""
        return [self._counted() for _ in range(turns)]

    def tell(self, turns: int) -> None:
        """Let so many turns have been, with one update of the state."""
        messages = [message for _ in range(turns) for message in exchange(self.prose)]
        self.graph.update_state(self.config, {"messages": messages}, as_node="agent")

    def _counted(self) -> Turn:
        with RequestLog(self._client) as log:
            self._say(self.graph, user_message(self.prose), self.config)
        return Turn(len(log), log.wru, log.rru, log.request_bytes, log.requests)


def invoke(graph: Any, message: Any, config: Any) -> None:
    graph.invoke(message, config, durability="async")


def exchange(prose: Prose) -> list[BaseMessage]:
    """The messages of a turn."""
    call: Any = {"name": "search_files", "args": {"query": prose.text(40), "limit": 10}, "id": prose.uuid()}
    return [
        *user_message(prose)["messages"],
        AIMessage("", tool_calls=[call], id=f"lc_run--{prose.uuid()}"),
        ToolMessage(prose.text(1000), tool_call_id=call["id"], name=call["name"], id=prose.uuid()),
        AIMessage(prose.text(350), id=f"lc_run--{prose.uuid()}"),
    ]


def mean_wru(turns: Sequence[Turn]) -> float:
    return mean(turn.wru for turn in turns)


def wru_around(turns: Sequence[Turn], number: int) -> float:
    """What turn `number` writes, whichever of those around it stores the state in full: the median of eleven."""
    return median(turn.wru for turn in turns[number - 6 : number + 5])


def figures(name: str, turns: Sequence[Turn]) -> str:
    """A line for a report."""
    requests = mean(turn.requests for turn in turns)
    by_kind = {kind: sum(one.units for turn in turns for one in turn.writes(f"#{kind}#")) for kind in "cwspm"}
    shares = ", ".join(f"{kind} {units / len(turns):.1f}" for kind, units in by_kind.items())
    middle = median(turn.wru for turn in turns)
    return f"{name}: {mean_wru(turns):.1f} WRU (median {middle:.1f}), of these {shares}; {requests:.1f} requests"
