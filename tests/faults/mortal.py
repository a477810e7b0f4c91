"""An agent's process that dies: run as a program, it kills its children at random moments until the chat is done.

A child is forked for each life, resumes the conversation from the table alone, and goes on until it is killed with
SIGKILL, by its own process id, or has finished all turns. The program prints what happened as JSON.

    python -m tests.faults.mortal ENDPOINT TABLE THREAD TURNS KILLS SEED
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.engines import Engine
from tests.faults.graphs import finish_turn, spoken

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.runnables import RunnableConfig

SMALL_ROW = 512
PRUNED_EVERY = 5
"""Turns after which old checkpoints are pruned."""

LONGEST_LIFE = 0.35
"""Seconds; about as long as it takes to start and to run a few turns."""


def live(endpoint: str, table: str, config: RunnableConfig, turns: int) -> None:
    """Go on with the conversation to its end."""
    client = Engine("dynamodb-local", endpoint).client()
    with DynamoDBConversationSaver(table, client=client, row_bytes=SMALL_ROW) as saver:
        begun = len(spoken(saver, config)) // 4
        for number in range(max(begun, 1), turns + 1):
            finish_turn(saver, config, number)
            if number % PRUNED_EVERY == 0:
                saver.prune([config["configurable"]["thread_id"]])


def one_life(live: Callable[[], None], seconds: float | None) -> int:
    """Fork a child, kill it after so many seconds (None: never), and give its exit code; negative: the signal."""
    pid = os.fork()
    if pid == 0:
        try:
            live()
        except BaseException as error:  # noqa: BLE001 - nothing of the parent must run in the child
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(endpoint: str, table: str, thread_id: str, turns: int, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    config: RunnableConfig = {"configurable": {"thread_id": thread_id, "user_id": "alice"}}
    go_on = partial(live, endpoint, table, config, turns)
    killed = 0
    Engine("dynamodb-local", endpoint).client().close()  # so that children need not read botocore's models
    while killed < kills:
        code = one_life(go_on, chance.uniform(0, LONGEST_LIFE))
        if code == 0:
            break
        if code != -signal.SIGKILL:
            sys.exit(f"a child failed by itself: {code}")
        killed += 1
    code = one_life(go_on, None)
    print(json.dumps({"killed": killed, "code": code}))


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:7]))  # type: ignore[arg-type]
