"""One turn of a conversation in a process that has seen nothing: `python -m benchmarks.cold <JSON>`; prints its cost.

Its parent takes the time from the process's start to its end.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, replace
from typing import Any

from benchmarks.contenders import BY_KEY, Place, config_for
from benchmarks.logical_time import LogicalTime, logical_time
from benchmarks.meter import Cost, Meter
from tests.reference_chat import Prose, chat_graph, user_message

_SEED = 1_000_000
"""Ids of messages must be others than those of the turns before."""


def turn(asked: dict[str, Any]) -> Cost:
    """Continue the reference chat that the parent has begun."""
    number = asked["turn"]
    clock = LogicalTime(days=number)
    contender = BY_KEY[asked["contender"]]
    place = Place(asked["endpoint_url"], asked["table_name"], asked["network_seconds"], clock.seconds)
    prose = Prose(_SEED + number)
    with logical_time(clock):
        opened = contender.open(place)
        graph = chat_graph(prose).compile(checkpointer=opened.saver)
        with Meter(opened.client) as meter:
            graph.invoke(user_message(prose), config_for(contender), durability="async")
    return replace(meter.cost, cpu_ms=round(time.process_time() * 1000, 2))


if __name__ == "__main__":
    print(json.dumps(asdict(turn(json.loads(sys.argv[1])))))
