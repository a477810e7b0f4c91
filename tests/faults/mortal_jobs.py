"""Jobs whose process dies: deleting, pruning, copying, storing full checkpoints, renewing what would expire.

Run as a program, it begins a job on a conversation, kills the process that does it at a random moment, lets the next
process begin the same job again, and so on, until it was killed often enough; then the last one finishes. It prints
what happened as JSON. A job is done in children that are forked, so this process has no threads and no connections.

    python -m tests.faults.mortal_jobs ENDPOINT TABLE JOB SOURCE KILLS SEED
"""

from __future__ import annotations

import json
import random
import signal
import sys
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.engines import Engine
from tests.factories import checkpoint_id, config, noise, put
from tests.faults.mortal import SMALL_ROW, one_life
from tests.sweeper import START, Clock, Sweeper

USER = "alice"
STEPS = 52
"""Checkpoints of the jobs that store some: of 1.5 KB each, so that every 24th is full and seals a segment."""

STEP_BYTES = 750
TTL = timedelta(days=30)
TIME_OF_A_STEP = timedelta(days=2)
KILLS_OF_ONE_JOB = 4
"""Then it may finish, and another begins; so the end of a job is also met."""


class Place(NamedTuple):
    """Where a job is done: the engine's address, the table, two conversations, and how many have died at it."""

    endpoint: str
    table: str
    source: str
    thread_id: str
    dead: int = 0

    def saver(self, **options: Any) -> DynamoDBConversationSaver:
        client = Engine("dynamodb-local", self.endpoint).client()
        return DynamoDBConversationSaver(self.table, client=client, row_bytes=SMALL_ROW, **options)


def messages(count: int) -> list[BaseMessage]:
    """So many messages, of a user and an assistant in turn."""
    texts = [noise(STEP_BYTES, number).hex() for number in range(count)]
    return [
        AIMessage(text, id=str(number)) if number % 2 else HumanMessage(text, id=str(number))
        for number, text in enumerate(texts)
    ]


def go_on(saver: DynamoDBConversationSaver, thread_id: str, before: Callable[[int], None] = lambda _: None) -> None:
    """Put the checkpoints that are missing, each with a message more than the one before, and their writes."""
    at = config(thread_id, user_id=USER)
    held = messages(STEPS)
    before(0)
    found = saver.get_tuple(at)
    begun = len(found.checkpoint["channel_values"]["messages"]) if found else 0
    for number in range(max(begun, 1), STEPS + 1):
        before(number)
        put(saver, number, {"messages": held[:number]}, parent=number - 1 or None, at=at)
        saver.put_writes(config(thread_id, number, user_id=USER), [("messages", [number])], f"task {number}")


def copy(place: Place) -> None:
    with place.saver() as saver:
        try:
            saver.copy_thread(place.source, place.thread_id, user_id=USER)
        except ValueError:  # the row is there, which goes last: the process before was killed at the very end
            saver.conversations.get(place.thread_id, USER)


def delete(place: Place) -> None:
    """Each of the two ways to delete finishes what the other has begun."""
    with place.saver() as saver:
        if place.dead % 2:
            saver.conversations.delete(place.thread_id, USER)
        else:
            saver.delete_thread(place.thread_id)


def prune(place: Place) -> None:
    with place.saver() as saver:
        saver.prune([place.thread_id], user_id=USER)


def compact(place: Place) -> None:
    with place.saver() as saver:
        go_on(saver, place.thread_id)


def expire(place: Place) -> None:
    clock = Clock()
    with place.saver(ttl=TTL, clock=clock) as saver:
        sweeper = Sweeper(saver._runtime.table.client, place.table, clock)

        def time_passes(number: int) -> None:
            clock.now = max(clock.now, time_of(number))
            if number % 4 == 3:
                sweeper.sweep(number)

        clock.now = time_of(begun_before(place))
        go_on(saver, place.thread_id, time_passes)


def time_of(step: int) -> float:
    return START + step * TIME_OF_A_STEP.total_seconds()


def begun_before(place: Place) -> int:
    """The step at which a process before this one was killed, by what is in the table; no saver is asked."""
    client = Engine("dynamodb-local", place.endpoint).client()
    answer = client.query(
        TableName=place.table,
        KeyConditionExpression="conversation_id = :id AND begins_with(user_id, :checkpoints)",
        ExpressionAttributeValues={":id": {"S": place.thread_id}, ":checkpoints": {"S": f"{USER}#c#"}},
        ScanIndexForward=False,
        Limit=1,
    )
    newest = [item["user_id"]["S"].rpartition("#")[2] for item in answer["Items"]]
    numbers = {checkpoint_id(number): number for number in range(1, STEPS + 1)}
    return numbers[newest[0]] if newest else 0


JOBS: dict[str, tuple[Callable[[Place], None], bool, float]] = {
    "delete": (delete, True, 0.25),
    "prune": (prune, True, 0.4),
    "copy": (copy, False, 0.25),
    "compact": (compact, False, 0.8),
    "expire": (expire, False, 0.8),
}
"""By name: the job, whether it needs a conversation, and the seconds in which its process is killed."""


def main(endpoint: str, table: str, job: str, source: str, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    do, needs_conversation, longest_life = JOBS[job]
    Engine("dynamodb-local", endpoint).client().close()  # so that children need not read botocore's models
    killed, threads = 0, []
    while killed < kills:
        place = Place(endpoint, table, source, str(uuid.UUID(int=chance.getrandbits(128), version=4)))
        threads.append(place.thread_id)
        if needs_conversation:
            must_end_well(one_life(partial(copy, place), None))
        for dead in range(min(KILLS_OF_ONE_JOB, kills - killed)):
            place = place._replace(dead=dead)
            code = one_life(partial(do, place), chance.uniform(0, longest_life))
            killed += code == -signal.SIGKILL
            if code != -signal.SIGKILL:
                must_end_well(code)
                break
        must_end_well(one_life(partial(do, place), None))
    print(json.dumps({"killed": killed, "threads": threads}))


def must_end_well(code: int) -> None:
    if code:
        sys.exit(f"a child failed by itself: {code}")


if __name__ == "__main__":
    main(*sys.argv[1:5], *map(int, sys.argv[5:7]))  # type: ignore[arg-type]
