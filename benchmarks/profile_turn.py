"""Where the CPU time of a turn goes: `python benchmarks/profile_turn.py [--messages 1000] [--profile]`.

The last column is what following the conversation row adds: CPU of the puts with the transcript, by that without. Times
of two machines can't be compared, and on a busy one not even those of two minutes; the shares of one run can.

Records what LangGraph asks of a checkpointer in turns of the reference chat (one get_tuple, 5 puts, 4 put_writes) once
the chat has so many messages, and plays that to several savers. The table is a dict that answers at once, so what is
counted is CPU of this process alone: for this saver without botocore, with botocore, and for `InMemorySaver`.
"""

from __future__ import annotations

import argparse
import copy
import cProfile
import pstats
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.memory_engine.bare import BareTable
from tests.memory_engine.client import memory_client
from tests.reference_chat import Prose, chat_graph, user_message

CONFIG = {"configurable": {"thread_id": "chat", "user_id": "alice", "checkpoint_ns": ""}}
OFF = ", transcript off"
Call = tuple[str, tuple[Any, ...]]


class Recorder(InMemorySaver):
    """Keeps every call, its arguments as they were at that moment."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def get_tuple(self, config: Any) -> Any:
        self.calls.append(("get_tuple", (config,)))
        return super().get_tuple(config)

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        values = {name: copy.copy(value) for name, value in checkpoint["channel_values"].items()}
        seen = {**checkpoint, "channel_values": values, "versions_seen": copy.deepcopy(checkpoint["versions_seen"])}
        self.calls.append(("put", (config, seen, metadata, new_versions)))
        return super().put(config, checkpoint, metadata, new_versions)

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        self.calls.append(("put_writes", (config, writes, task_id, task_path)))
        super().put_writes(config, writes, task_id, task_path)


def long_chat(prose: Prose, count: int) -> list[Any]:
    """So many messages of the reference chat: those of 25 turns, again and again under other ids."""
    held: list[Any] = []
    graph = chat_graph(prose).compile(checkpointer=InMemorySaver())
    for _ in range(25):
        held = graph.invoke(user_message(prose), CONFIG)["messages"]
    copies = range(-(-count // len(held)))
    return [one.model_copy(update={"id": f"{one.id}-{copied}"}) for copied in copies for one in held][:count]


def recorded(messages: int, turns: int) -> tuple[list[Call], list[Call]]:
    """The calls that bring a chat to so many messages, in its last checkpoint alone; and those of the turns after."""
    prose, saver = Prose(), Recorder()
    graph = chat_graph(prose).compile(checkpointer=saver)
    graph.update_state(CONFIG, {"messages": long_chat(prose, messages)}, as_node="agent")
    before, saver.calls = saver.calls, []
    for _ in range(turns):
        graph.invoke(user_message(prose), CONFIG, durability="sync")
    return before, saver.calls


def play(saver: Any, calls: list[Call]) -> dict[str, float]:
    """CPU milliseconds by method: the median of turns, each of which begins with a get_tuple."""
    turns: list[Counter[str]] = []
    for method, arguments in calls:
        if method == "get_tuple":
            turns.append(Counter())
        began = time.process_time()
        getattr(saver, method)(*arguments)
        turns[-1][method] += (time.process_time() - began) * 1000  # type: ignore[assignment]
    return {method: median(turn[method] for turn in turns) for method in ("get_tuple", "put", "put_writes")}


def savers() -> dict[str, Callable[[], Any]]:
    """The savers by their names; each of this package comes with and without the transcript."""

    def bare(**options: Any) -> DynamoDBConversationSaver:
        return DynamoDBConversationSaver("table", client=BareTable().client(), **options)

    def with_botocore(**options: Any) -> DynamoDBConversationSaver:
        return DynamoDBConversationSaver("table", client=memory_client(BareTable().service), **options)

    return {
        "this saver, without botocore": bare,
        f"this saver, without botocore{OFF}": lambda: bare(transcript=False),
        "this saver, with botocore": with_botocore,
        f"this saver, with botocore{OFF}": lambda: with_botocore(transcript=False),
        "InMemorySaver": InMemorySaver,
    }


def side_by_side(before: list[Call], turns: list[Call], rounds: int) -> dict[str, dict[str, float]]:
    """CPU milliseconds of each saver by method: the least of several rounds, in each of which all savers take turns."""
    spent: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for name, make in savers().items():
            saver = make()
            play(saver, before)
            times = play(saver, turns)
            spent[name] = {method: min(times[method], spent.get(name, times)[method]) for method in times}
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="show the dearest functions of this saver")
    options = parser.parse_args()
    before, turns = recorded(options.messages, options.turns)
    print(f"CPU milliseconds a turn, median of {options.turns} turns from {options.messages} messages on:\n")
    print(f"{'':44}{'get_tuple':>10}{'5 puts':>10}{'4 writes':>10}{'all':>10}{'on / off':>10}")
    spent = side_by_side(before, turns, options.rounds)
    for name, times in spent.items():
        row = [times["get_tuple"], times["put"], times["put_writes"], sum(times.values())]
        off = spent.get(name + OFF)
        share = "" if off is None else f"{times['put'] / off['put']:10.2f}"
        print(f"{name:44}" + "".join(f"{value:10.2f}" for value in row) + share)
    if options.profile:
        saver = next(iter(savers().values()))()
        play(saver, before)
        with cProfile.Profile() as profile:
            play(saver, turns)
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)


if __name__ == "__main__":
    main()
