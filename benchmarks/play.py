"""Plays a workload on a saver, turn by turn, and measures it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from benchmarks.contenders import CONVERSATIONS, FLOOR, OURS, THREAD_ID, USER, Contender, Opened, Place, config_for
from benchmarks.logical_time import LogicalTime, logical_time
from benchmarks.meter import Cost, Meter
from benchmarks.runs import Failure, Run, Stored
from benchmarks.weight import PutItems
from benchmarks.workloads import Workload
from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.engines import Engine, create_table
from tests.reference_chat import Prose
from tests.table_size import table_size

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

HISTORY = 200
ROOT = Path(__file__).parent.parent

Table = tuple[Any, str]
"""A client that is not measured, and a table's name."""


def create_pk_sk_table(client: Any) -> str:
    """The table that both peers ask for."""
    name = f"checkpoints-{uuid.uuid4()}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("PK", "SK")],
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
    )
    return name


@contextmanager
def table_for(contender: Contender, engine: Engine) -> Iterator[Table]:
    """A new, empty table of the contender's layout."""
    client = engine.client(read_timeout=60)
    name = create_table(client) if contender.layout == CONVERSATIONS else create_pk_sk_table(client)
    try:
        yield client, name
    finally:
        client.delete_table(TableName=name)
        client.close()


class Player:
    """A conversation of one workload on one saver.

    Args:
        contender: The saver.
        workload: What is played.
        place: Where it stores; its clock is the conversation's.
        prose: The text.
    """

    def __init__(self, contender: Contender, workload: Workload, place: Place, prose: Prose) -> None:
        self.contender, self.workload, self.place, self.prose = contender, workload, place, prose
        self.opened = contender.open(place)
        self.config = config_for(contender)
        if workload.is_begun_here and isinstance(self.opened.saver, DynamoDBConversationSaver):
            self.config = self.opened.saver.new_conversation(USER)
        self.put_items = PutItems()
        self.graph = self._compiled(self.opened)
        self.write_units: Counter[str] = Counter()

    def _compiled(self, opened: Opened) -> Any:
        if opened.client is not None and self.contender.key not in OURS:
            self.put_items.follow(opened.client)
        return self.workload.build(self.prose).compile(checkpointer=opened.saver)

    def reopen(self) -> None:
        """Go on with a new saver, as a new process would; the floor keeps its one, which is all it has."""
        if self.contender.key != FLOOR:
            self.close()
            self.opened = self.contender.open(self.place)
        self.graph = self._compiled(self.opened)

    def close(self) -> None:
        close = getattr(self.opened.saver, "close", None)
        if close:
            close()
        if self.opened.client is not None:
            self.opened.client.close()

    def turn(self, number: int) -> Cost:
        """Play one turn."""
        if self.workload.stateless:
            self.reopen()
        inputs = self.workload.inputs(self.prose, number)
        with Meter(self.opened.client) as meter:
            self.graph.invoke(inputs, self.config, durability=self.workload.durability)
        if self.contender.key in OURS:
            self.write_units += meter.write_units_by_kind
        return meter.cost

    def measured(self, call: Callable[[], object]) -> Cost:
        with Meter(self.opened.client) as meter:
            call()
        return meter.cost

    def weigh(self, client: DynamoDBClient) -> Stored:
        """What the table holds."""
        ours = self.contender.key in OURS
        size = table_size(client, self.place.table_name) if ours else self.put_items.size
        return Stored(size.items, size.item_bytes, size.billed_bytes)

    def state(self) -> Any:
        """The values of the newest state, as far as they are the same in every run: channels, or what a function
        returned."""
        values = self.graph.get_state(self.config).values
        return self.workload.seen(values) if self.workload.seen else values


def play(
    contender: Contender,
    workload: Workload,
    engine: Engine,
    turns: int,
    *,
    network_ms: float = 0,
    cold_starts: int = 0,
    weighed_at: Callable[[int], bool] = lambda _turn: False,
) -> tuple[Run, Any]:
    """Play a conversation on a new table; gives what it cost and the state at its end.

    Args:
        contender: The saver.
        workload: The workload.
        engine: The engine.
        turns: Length of the conversation.
        network_ms: Simulated network time of a request.
        cold_starts: In how many cold processes to play a turn at the end; other calls are measured too then.
        weighed_at: After which turns, besides the last, to weigh the table.
    """
    time = LogicalTime()
    run = Run(contender.key, workload.key, network_ms)
    with table_for(contender, engine) as (client, name), logical_time(time):
        place = Place(engine.endpoint_url or "", name, network_ms / 1000, time.seconds)
        player = Player(contender, workload, place, workload.prose())
        try:
            for turn in range(1, turns + 1):
                time.next_turn()
                try:
                    run.turns.append(player.turn(turn))
                except ClientError as error:
                    run.failure = Failure(turn, said(error))
                    break
                if weighed_at(turn):
                    run.stored[turn] = player.weigh(client)
            run.stored[len(run.turns)] = player.weigh(client)
            run.write_units = {kind: units for kind, units in player.write_units.items() if units}
            state = {} if run.failure else player.state()
            if cold_starts and not run.failure:
                run.calls = calls(player, len(run.turns), cold_starts)
        finally:
            player.close()
    return run, state


def said(error: ClientError) -> str:
    answer = error.response["Error"]
    return f"{answer['Code']}: {answer['Message']}"


def calls(player: Player, turns: int, cold_starts: int) -> dict[str, Cost]:
    """The calls beside the turns, in a conversation of so many turns."""
    costs = {"get_state, warm": player.measured(player.state)}
    player.reopen()
    costs["get_state, cold"] = player.measured(player.state)
    player.reopen()
    costs["history of 200"] = player.measured(
        lambda: list(player.graph.get_state_history(player.config, limit=HISTORY))
    )
    costs["first turn of a cold process"] = cold_turn(player, turns, cold_starts)
    player.reopen()
    costs["delete"] = player.measured(lambda: player.opened.saver.delete_thread(THREAD_ID))
    return costs


def cold_turn(player: Player, turns: int, starts: int) -> Cost:
    """One turn in a new process: counts of the first, the median time of all, from its start."""
    costs = []
    for number in range(starts):
        asked = {
            "contender": player.contender.key,
            "endpoint_url": player.place.endpoint_url,
            "table_name": player.place.table_name,
            "network_seconds": player.place.network_seconds,
            "turn": turns + 1 + number,
        }
        command = [sys.executable, "-m", "benchmarks.cold", json.dumps(asked)]
        begun = time.perf_counter()
        answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        elapsed = (time.perf_counter() - begun) * 1000
        costs.append(replace(Cost(**json.loads(answer.stdout)), wall_ms=round(elapsed, 2)))
    return replace(costs[0], **{name: median(asdict(cost)[name] for cost in costs) for name in ("wall_ms", "cpu_ms")})
