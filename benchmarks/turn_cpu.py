"""CPU of a whole turn beside `InMemorySaver`: `python benchmarks/turn_cpu.py [--messages 12 1000] [--rounds 8]`.

Plays turns of the reference chat by `graph.invoke`, so LangGraph's own work counts too, from so many messages on. The
table answers in this process, and the CPU that its answers take is taken off: what is left is that of an agent's
process, of all of its threads, without the network. This saver is played without botocore and with it, which checks,
builds and parses each request and answer of every saver over boto3.

Times of two runs can't be compared; the ratios of one run can. So the savers take turns, one turn of the chat each.
What else runs on a machine only lengthens a turn: a figure is the least that each turn took in any round, the mean of
these turns. The last column has the medians of all of them, by the same of `InMemorySaver`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.profile_turn import CONFIG, long_chat
from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.memory_engine.bare import BareClient, BareTable
from tests.memory_engine.client import memory_client
from tests.reference_chat import Prose, chat_graph, user_message

WARM_TURNS = 2
FLOOR = "InMemorySaver"


class Engine:
    """A table, and the CPU seconds that its answers took."""

    def __init__(self) -> None:
        self.service = BareTable().service
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.service, name)

    def answer(self, operation: str, request: Any) -> Any:
        began = time.thread_time()
        try:
            return self.service.answer(operation, request)
        finally:
            self.seconds += time.thread_time() - began


def savers() -> dict[str, Callable[[Engine], Any]]:
    """The savers by their names."""

    def bare(engine: Any, **options: Any) -> Any:
        return DynamoDBConversationSaver("table", client=BareClient(engine), **options)

    def with_botocore(engine: Any, **options: Any) -> Any:
        return DynamoDBConversationSaver("table", client=memory_client(engine), **options)

    return {
        FLOOR: lambda _: InMemorySaver(),
        "this saver, without botocore": bare,
        "this saver, without botocore, transcript off": lambda engine: bare(engine, transcript=False),
        "this saver, with botocore": with_botocore,
    }


class Chat:
    """A chat of so many messages, on a saver of its own."""

    def __init__(self, open_saver: Callable[[Engine], Any], messages: int) -> None:
        self._prose, self._engine = Prose(), Engine()
        self._graph = chat_graph(self._prose).compile(checkpointer=open_saver(self._engine))
        self._graph.update_state(CONFIG, {"messages": long_chat(self._prose, messages)}, as_node="agent")
        for _ in range(WARM_TURNS):
            self.turn()

    def turn(self) -> float:
        """Play a turn; gives its CPU milliseconds."""
        before = self._engine.seconds
        began = time.process_time()
        self._graph.invoke(user_message(self._prose), CONFIG)
        return (time.process_time() - began - self._engine.seconds + before) * 1000


def side_by_side(messages: int, turns: int, rounds: int) -> dict[str, list[list[float]]]:
    """CPU milliseconds of each saver's turns, by round."""
    spent: dict[str, list[list[float]]] = {name: [] for name in savers()}
    for _ in range(rounds):
        chats = {name: Chat(open_saver, messages) for name, open_saver in savers().items()}
        for name in chats:
            spent[name].append([])
        for _ in range(turns):
            for name, chat in chats.items():
                spent[name][-1].append(chat.turn())
    return spent


def least(rounds: list[list[float]]) -> float:
    """The least that each turn took, on average."""
    return mean(map(min, zip(*rounds, strict=True)))


def middle(rounds: list[list[float]]) -> float:
    """The median of all turns."""
    return median(one for turns in rounds for one in turns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, nargs="+", default=[12, 1000])
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    for messages in options.messages:
        print(f"\nCPU milliseconds a turn, {options.turns} from {messages} messages on, {options.rounds} rounds:\n")
        print(f"{'':48}{'least':>8}{'by ' + FLOOR:>18}{'of medians':>12}")
        spent = side_by_side(messages, options.turns, options.rounds)
        floor = spent[FLOOR]
        for name, rounds in spent.items():
            ratios = [figure(rounds) / figure(floor) for figure in (least, middle)]
            print(f"{name:48}{least(rounds):8.1f}{ratios[0]:18.2f}{ratios[1]:12.2f}")


if __name__ == "__main__":
    main()
