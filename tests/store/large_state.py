"""Stores or reads a large state in a process of its own, and prints the memory that took; see test_memory.py.

python -m tests.store.large_state ENDPOINT_URL TABLE put|get one|many|messages MEGABYTES
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.engines import Engine
from tests.factories import config, noise, put, values_of

MB = 1024 * 1024


def state_of(shape: str, megabytes: int) -> dict[str, Any]:
    """A state of that size: one value, values of 5 MB, or many messages."""
    if shape == "one":
        return {"document": noise(megabytes * MB)}
    if shape == "many":
        return {"images": [noise(5 * MB, number) for number in range(megabytes // 5)]}
    size = 1024
    return {"messages": [HumanMessage(noise(size, n).hex()[:size], id=str(n)) for n in range(megabytes * MB // size)]}


def resident_bytes() -> int:
    """Memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def peak_bytes() -> int:
    """The most memory this program ever had; `ru_maxrss` would count what the process was that started it."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def main(endpoint_url: str, table_name: str, what: str, shape: str, megabytes: str) -> None:
    client = Engine("dynamodb-local", endpoint_url).client(read_timeout=60)
    saver = DynamoDBConversationSaver(table_name, client=client, default_user_id="demo", transcript=False)
    if what == "put":
        state = state_of(shape, int(megabytes))
        saver.get_tuple(config("warm-up"))
        before = resident_bytes()
        put(saver, 1, state)
    else:
        saver.get_tuple(config("warm-up"))
        before = resident_bytes()
        assert values_of(saver)
    print((peak_bytes() - before) / (int(megabytes) * MB))
    saver.close()
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
