"""A program whose saver has threads and connections under way when it forks, or when it ends.

python -m tests.faults.forking ENDPOINT TABLE fork|exit THREAD
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.engines import Engine
from tests.factories import checkpoint, config, noise, put, values_of

CHILDREN = 2
READS = 20


async def read_at_once(saver: DynamoDBConversationSaver, thread_id: str) -> list[Any]:
    found = await asyncio.gather(*(saver.aget_tuple(config(thread_id)) for _ in range(READS)))
    return [one.checkpoint["channel_values"]["name"] for one in found if one]


def work(saver: DynamoDBConversationSaver, thread_id: str) -> None:
    """Read and write, in both pools of the saver; fails if anything of another conversation comes back."""
    put(saver, 1, {"name": thread_id, "large": noise(800_000, len(thread_id))}, at=config(thread_id))
    assert asyncio.run(read_at_once(saver, thread_id)) == [thread_id] * READS
    assert values_of(saver, config(thread_id))["large"] == noise(800_000, len(thread_id))


def fork(saver: DynamoDBConversationSaver, thread_id: str) -> None:
    """Work before, in children, and in the parent while the children work."""
    work(saver, thread_id)
    pids = [
        child(lambda number=number: work(saver, f"{thread_id} {'x' * number}")) for number in range(1, CHILDREN + 1)
    ]
    work(saver, thread_id)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    saver.close()
    sys.exit(max(codes))


def child(live: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            live()
        except BaseException as error:  # noqa: BLE001 - nothing of the parent must run in the child
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return pid


def leave(saver: DynamoDBConversationSaver, thread_id: str) -> None:
    """End with writes under way that nobody waits for."""

    async def begin() -> None:
        for number in range(1, 31):
            at = config(f"{thread_id} {number}")
            values = {"name": thread_id, "large": noise(800_000, number)}
            call = saver.aput(at, checkpoint(1, values), {"step": 1}, {})
            tasks.append(asyncio.ensure_future(call))
        await asyncio.sleep(0)

    tasks: list[Any] = []
    asyncio.run(begin())


if __name__ == "__main__":
    endpoint, table, what, thread_id = sys.argv[1:5]
    saver = DynamoDBConversationSaver(table, client=Engine("dynamodb-local", endpoint).client())
    {"fork": fork, "exit": leave}[what](saver, thread_id)
