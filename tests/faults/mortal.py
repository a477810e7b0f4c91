"""An agent's processes that die: run as a program, it kills its children at random moments until its chats are done.

With one worker, a child is forked for each life, resumes the conversation from the table alone, and goes on until it is
killed with SIGKILL, by its own process id, or has finished all turns. With two, two children take turns, each with what
it remembers; where one is killed in its turn, the other finishes it, and a new one takes the place of the dead. Nobody
dies in the last turn, which mends the row if the turn before left it behind. The program prints as JSON how many were
killed in each conversation.

    python -m tests.faults.mortal ENDPOINT TABLE WORKERS TURNS KILLS SEED THREAD=CHAT...
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.engines import Engine
from tests.faults.graphs import finish_turn, turns_begun

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.runnables import RunnableConfig

SMALL_ROW = 512
PRUNED_EVERY = 5
"""Turns after which old checkpoints are pruned."""

LONGEST_LIFE = 0.35
"""Seconds; about as long as it takes to start and to run a few turns."""

KILLED_OF_TURNS = 0.6
"""How often one of two workers is killed in its turn, or thereabouts: within the time that the turn before took."""


class Conversation(NamedTuple):
    """Where a conversation is, and which graph leads it."""

    endpoint: str
    table: str
    thread_id: str
    chat: str

    @property
    def config(self) -> RunnableConfig:
        return {"configurable": {"thread_id": self.thread_id, "user_id": "alice"}}

    def saver(self) -> DynamoDBConversationSaver:
        client = Engine("dynamodb-local", self.endpoint).client()
        return DynamoDBConversationSaver(self.table, client=client, row_bytes=SMALL_ROW)

    def finish(self, saver: DynamoDBConversationSaver, number: int) -> None:
        """Bring turn `number` to its end."""
        finish_turn(saver, self.config, number, self.chat)
        if number % PRUNED_EVERY == 0:
            saver.prune([self.thread_id])


def live(conversation: Conversation, turns: int) -> None:
    """Go on with the conversation to its end."""
    with conversation.saver() as saver:
        begun = turns_begun(saver, conversation.config, conversation.chat)
        for number in range(max(begun, 1), turns + 1):
            conversation.finish(saver, number)


def one_life(live: Callable[[], None], seconds: float | None) -> int:
    """Fork a child, kill it after so many seconds (None: never), and give its exit code; negative: the signal."""
    pid = forked(live)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def forked(live: Callable[[], None]) -> int:
    """Fork a child that lives and ends; gives its process id."""
    pid = os.fork()
    if pid == 0:
        try:
            live()
        except BaseException as error:  # noqa: BLE001 - nothing of the parent must run in the child
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return pid


class Worker:
    """A child that finishes the turns it is told to, and remembers what it has read."""

    def __init__(self, conversation: Conversation) -> None:
        orders, self._orders = os.pipe()
        self._done, done = os.pipe()
        self._pid = forked(partial(obey, conversation, orders, done))
        os.close(orders)
        os.close(done)

    def finish(self, number: int, seconds: float | None) -> bool:
        """Let it finish a turn; killed after so many seconds (None: never), it gives False."""
        os.write(self._orders, bytes([number]))
        if not select.select([self._done], [], [], seconds)[0]:
            self.end()
            return False
        if not os.read(self._done, 1):
            sys.exit(f"a child failed by itself: {os.waitpid(self._pid, 0)[1]}")
        return True

    def end(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._orders)
        os.close(self._done)


def obey(conversation: Conversation, orders: int, done: int) -> None:
    with conversation.saver() as saver:
        while order := os.read(orders, 1):
            conversation.finish(saver, order[0])
            os.write(done, order)


def one_worker(conversation: Conversation, turns: int, kills: int, chance: random.Random) -> int:
    go_on = partial(live, conversation, turns - 1)
    killed = 0
    while killed < kills:
        code = one_life(go_on, chance.uniform(0, LONGEST_LIFE))
        if code == 0:
            break
        if code != -signal.SIGKILL:
            sys.exit(f"a child failed by itself: {code}")
        killed += 1
    code = one_life(partial(live, conversation, turns), None)
    if code:
        sys.exit(f"a child failed by itself: {code}")
    return killed


def two_workers(conversation: Conversation, turns: int, kills: int, chance: random.Random) -> int:
    workers = [Worker(conversation), Worker(conversation)]
    killed, seconds = 0, 0.0
    for number in range(1, turns + 1):
        turn_of = number % 2
        dies = killed < kills and 1 < number < turns and chance.random() < KILLED_OF_TURNS
        if dies and not workers[turn_of].finish(number, chance.uniform(0, seconds)):
            killed += 1
            workers[turn_of] = Worker(conversation)
            turn_of = 1 - turn_of
        begun = time.monotonic()
        workers[turn_of].finish(number, None)
        seconds = max(seconds, time.monotonic() - begun)
    for worker in workers:
        worker.end()
    return killed


def main(endpoint: str, table: str, numbers: list[int], conversations: list[str]) -> None:
    workers, turns, kills, seed = numbers
    Engine("dynamodb-local", endpoint).client().close()  # so that children need not read botocore's models
    play, chance = {1: one_worker, 2: two_workers}[workers], random.Random(seed)
    killed = {}
    for thread_id, chat in (one.split("=") for one in conversations):
        killed[thread_id] = play(Conversation(endpoint, table, thread_id, chat), turns, kills, chance)
    print(json.dumps(killed))


if __name__ == "__main__":
    main(*sys.argv[1:3], [int(number) for number in sys.argv[3:7]], sys.argv[7:])
