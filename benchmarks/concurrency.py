"""Many conversations at once on one saver: `python benchmarks/concurrency.py [--conversations 200] [--turns 4]`.

Runs the reference chat on DynamoDB Local from asyncio tasks and from threads, as many of them as there are
conversations, and shows throughput, how long turns took, and how many connections were opened. `python3 dev.py test`
fetches DynamoDB Local; name its folder in `DYNAMODB_LOCAL_HOME`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.engines import create_table, running
from tests.reference_chat import Prose, chat_graph, user_message

Run = Callable[[Any, int, int], list[float]]


class Connections(logging.Handler):
    """Counts what urllib3 says of its pool."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.opened = self.discarded = 0
        logging.getLogger("urllib3.connectionpool").addHandler(self)
        logging.getLogger("urllib3.connectionpool").setLevel(logging.DEBUG)
        logging.getLogger("urllib3.connectionpool").propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self.opened += "Starting new" in record.msg
        self.discarded += "is full, discarding" in record.msg


def from_tasks(saver: DynamoDBConversationSaver, conversations: int, turns: int) -> list[float]:
    """Seconds of each turn, every conversation in an asyncio task of its own."""

    async def converse(number: int) -> list[float]:
        prose, config = Prose(number), saver.new_conversation(f"user-{number}")
        graph = chat_graph(prose).compile(checkpointer=saver)
        took = []
        for _ in range(turns):
            began = time.perf_counter()
            await graph.ainvoke(user_message(prose), config)
            took.append(time.perf_counter() - began)
        return took

    async def all_at_once() -> list[float]:
        return [one for took in await asyncio.gather(*map(converse, range(conversations))) for one in took]

    return asyncio.run(all_at_once())


def from_threads(saver: DynamoDBConversationSaver, conversations: int, turns: int) -> list[float]:
    """Seconds of each turn, every conversation in a thread of its own."""

    def converse(number: int) -> list[float]:
        prose, config = Prose(number), saver.new_conversation(f"user-{number}")
        graph = chat_graph(prose).compile(checkpointer=saver)
        took = []
        for _ in range(turns):
            began = time.perf_counter()
            graph.invoke(user_message(prose), config)
            took.append(time.perf_counter() - began)
        return took

    with ThreadPoolExecutor(conversations) as pool:
        return [one for took in pool.map(converse, range(conversations)) for one in took]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=200)
    parser.add_argument("--turns", type=int, default=4)
    options = parser.parse_args()
    os.environ.update(AWS_ACCESS_KEY_ID="dummy", AWS_SECRET_ACCESS_KEY="dummy")
    connections = Connections()
    ways: dict[str, Run] = {"asyncio tasks": from_tasks, "threads": from_threads}
    print(f"{options.conversations} conversations at once, {options.turns} turns each\n")
    print(
        f"{'':14}{'turns/s':>9}{'median':>9}{'p95':>9}{'max':>9}{'max/median':>12}{'connections':>13}{'discarded':>11}"
    )
    with running("dynamodb-local") as engine:
        table = create_table(engine.client())
        for name, run in ways.items():
            with DynamoDBConversationSaver(table, region_name="us-east-1", endpoint_url=engine.endpoint_url) as saver:
                run(saver, 4, 1)  # so that client and threads are there
                connections.opened = connections.discarded = 0
                began = time.perf_counter()
                took = run(saver, options.conversations, options.turns)
                seconds = time.perf_counter() - began
            middle = median(took)
            print(
                f"{name:14}{len(took) / seconds:9.1f}{middle:9.2f}{quantiles(took, n=20)[-1]:9.2f}{max(took):9.2f}"
                f"{max(took) / middle:12.2f}{connections.opened:13}{connections.discarded:11}"
            )


if __name__ == "__main__":
    main()
