"""What a saver keeps in memory is bounded, however many turns and conversations it has seen.

`MEMORY_TURNS=5000` plays as many; what it holds then is compared with what it held once all of its caches were full.
"""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

import pytest
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
MOST_MORE = 100
"""Objects and entries: one that is kept in every fourth turn is found in 400 turns."""

MOST_GROWTH_BYTES = 64 * 1024
"""Of objects without their entries, so that a text that grows is found too."""

CONTAINERS = (dict, list, set, deque)
PACKAGE = langgraph_dynamo_conv.__name__
FOLDER = str(Path(langgraph_dynamo_conv.__file__).parent)


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


def held() -> tuple[Counter[str], int]:
    """The package's objects that are still there and their entries, by the line that made them or by their type;
    and the bytes of those that have no entries.

    They are looked for one by one: the sums of `tracemalloc` also have blocks that are free again, and the
    dictionary of a full cache, which Python enlarges at some time.
    """
    gc.collect()
    modules = [(name, vars(module)) for name, module in sys.modules.items() if name.startswith(PACKAGE)]
    lasting = {id(value): f"{name}.{own}" for name, names in modules for own, value in names.items()}
    found: Counter[str] = Counter()
    size = 0
    seen: set[int] = set()
    waiting = [*gc.get_objects(), *(value for _, names in modules for value in names.values())]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        waiting.extend(referent for referent in gc.get_referents(one) if not gc.is_tracked(referent))
        where = maker(one) or lasting.get(id(one))
        if where:
            found[where] += 1 + (len(one) if isinstance(one, CONTAINERS) else 0)
            size += 0 if isinstance(one, CONTAINERS) else sys.getsizeof(one)
    return found, size


def maker(one: object) -> str:
    """The line of the package that made an object, or its type if that is the package's; "" for all others."""
    made = tracemalloc.get_object_traceback(one)
    if made is not None and made[0].filename.startswith(FOLDER):
        return f"{made[0].filename}:{made[0].lineno}"
    return repr(type(one)) if type(one).__module__.startswith(PACKAGE) else ""


@pytest.fixture
def traced() -> Iterator[None]:
    """Traces allocations; of what was there before, `held` looks at the package's modules alone."""
    gc.freeze()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.unfreeze()


def test_memory_does_not_grow_with_the_turns(traced: None, report: Report) -> None:
    table = BareTable()
    with DynamoDBConversationSaver("table", client=table.client(), cache_bytes=CACHE_BYTES) as saver:
        play(saver, table, 0, FULL_AT)
        early, early_bytes = held()
        play(saver, table, FULL_AT, TURNS)
        late, late_bytes = held()
    figures = [f"{count.total()} ({size / 1024:.0f} KB)" for count, size in ((early, early_bytes), (late, late_bytes))]
    report(f"objects of the package and their entries: {figures[0]} after {FULL_AT} turns, {figures[1]} after {TURNS}")
    assert late.total() - early.total() <= MOST_MORE, (late - early).most_common(10)
    assert late_bytes - early_bytes <= MOST_GROWTH_BYTES
