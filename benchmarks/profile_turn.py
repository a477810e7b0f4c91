"""Where the CPU time of a turn goes: `python benchmarks/profile_turn.py [--messages 1000] [--profile]`.

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


def recorded(messages: int, turns: int) -> tuple[list[Call], list[Call]]:
    """The calls that bring a chat to so many messages, in its last checkpoint alone; and those of the turns after."""
    prose, saver = Prose(), Recorder()
    graph = chat_graph(prose).compile(checkpointer=saver)
    held: list[Any] = []
    seeding = chat_graph(prose).compile(checkpointer=InMemorySaver())
    for _ in range(25):
        held = seeding.invoke(user_message(prose), CONFIG)["messages"]
    long = [
        message.model_copy(update={"id": f"{message.id}-{copied}"})
        for copied in range(messages // 100)
        for message in held
    ]
    graph.update_state(CONFIG, {"messages": long}, as_node="agent")
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
    return {
        "this saver, without botocore": lambda: DynamoDBConversationSaver("table", client=BareTable().client()),
        "this saver, with botocore": lambda: DynamoDBConversationSaver(
            "table", client=memory_client(BareTable().service)
        ),
        "the same, transcript off": lambda: DynamoDBConversationSaver(
            "table", client=memory_client(BareTable().service), transcript=False
        ),
        "InMemorySaver": InMemorySaver,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--profile", action="store_true", help="show the dearest functions of this saver")
    options = parser.parse_args()
    before, turns = recorded(options.messages, options.turns)
    print(f"CPU milliseconds a turn, median of {options.turns} turns from {options.messages} messages on:\n")
    print(f"{'':32}{'get_tuple':>10}{'5 puts':>10}{'4 writes':>10}{'all':>10}")
    for name, make in savers().items():
        saver = make()
        play(saver, before)
        spent = play(saver, turns)
        row = [spent["get_tuple"], spent["put"], spent["put_writes"], sum(spent.values())]
        print(f"{name:32}" + "".join(f"{value:10.2f}" for value in row))
    if options.profile:
        saver = next(iter(savers().values()))()
        play(saver, before)
        with cProfile.Profile() as profile:
            play(saver, turns)
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)


if __name__ == "__main__":
    main()
