"""What a saver keeps in memory is bounded, however many turns and conversations it has seen.

`MEMORY_TURNS=5000` plays as many; what it holds then is compared with what it held once all of its caches were full.
"""

from __future__ import annotations

import gc
import os
import tracemalloc
from pathlib import Path

from langchain_core.messages import HumanMessage

import langgraph_dynamo_conv
from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.conftest import Report
from tests.factories import config, put, read
from tests.memory_engine.bare import BareTable

TURNS = int(os.environ.get("MEMORY_TURNS", "1500"))
FULL_AT = 1100
"""Turns after which rows and runs, the largest caches by count, are full."""

CACHE_BYTES = 256 * 1024
MOST_MORE_BLOCKS = 100
"""Blocks of memory: one that is kept in every fourth turn is found in 400 turns."""

MOST_GROWTH_BYTES = 128 * 1024
"""Python enlarges the dictionary of a full cache of 1,024 entries at some time, which is 52 KB more in one block."""

PACKAGE = str(Path(langgraph_dynamo_conv.__file__).parent / "*")


def play(saver: DynamoDBConversationSaver, table: BareTable, first: int, last: int) -> None:
    """Turns of conversations, two in each, after which the table forgets it."""
    for turn in range(first, last):
        thread, step = f"thread-{turn // 2:06}", turn % 2 + 1
        at = config(thread, run_id=f"run-{turn:06}")
        messages = [HumanMessage(f"in turn {turn:06} " * 15, id=str(number)) for number in range(step * 2)]
        put(saver, step, {"messages": messages}, at=at, parent=step - 1 or None, metadata={"run_id": f"run-{turn:06}"})
        saver.put_writes(config(thread, step), [("messages", messages[-1]), ("__interrupt__", [turn])], "task")
        assert len(read(saver, config(thread)).checkpoint["channel_values"]["messages"]) == step * 2
        if step == 2:
            table.forget(thread)
        table.forget(f"run#run-{turn:06}")


def held() -> tracemalloc.Snapshot:
    """What was allocated by the package's code and is still there."""
    gc.collect()
    return tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, PACKAGE)])


def test_memory_does_not_grow_with_the_turns(report: Report) -> None:
    table = BareTable()
    with DynamoDBConversationSaver("table", client=table.client(), cache_bytes=CACHE_BYTES) as saver:
        tracemalloc.start()
        try:
            play(saver, table, 0, FULL_AT)
            early = held()
            play(saver, table, FULL_AT, TURNS)
            grown = held().compare_to(early, "lineno")
        finally:
            tracemalloc.stop()
    most = "\n".join(map(str, grown[:10]))
    kilobytes, growth = sum(line.size for line in grown) / 1024, sum(line.size_diff for line in grown)
    report(f"memory of the package: {kilobytes:.0f} KB after {TURNS} turns, {growth} bytes more than after {FULL_AT}")
    assert sum(line.count_diff for line in grown) <= MOST_MORE_BLOCKS, most
    assert growth <= MOST_GROWTH_BYTES, most
