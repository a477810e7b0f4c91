"""What `langgraph-dynamo-conv estimate` is made of: chats of several shapes, played on DynamoDB Local and counted.

    python3 dev.py benchmark --estimate       writes langgraph_dynamo_conv/cli/measured.json

Each row is a chat whose turns have no tool call, or one with a result of some size. Figures are of one turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.costs.shapes import Chat, Cost, full_state_chat
from tests.engines import Engine
from tests.reference_chat import Prose

MEASURED = Path(__file__).parent.parent / "langgraph_dynamo_conv" / "cli" / "measured.json"
SHAPES = ((0, 0.0), (1, 0.25), (1, 1.0), (1, 4.0), (1, 16.0))
"""Tool calls of a turn, and KB of a tool's result."""

TURNS = 60
COUNTED_AFTER = (5, 10, 20, 30, TURNS)
"""Turns after which what the transcript has written is kept: a row costs more until the chat outgrows it."""

FULL_STATE_TURNS = 20
"""Even: a chat's growth is that of its second half."""


def measure(engine: Engine) -> dict[str, Any]:
    """Play all chats."""
    client = engine.client()
    today = datetime.now(timezone.utc).date().isoformat()
    ours, theirs = version("langgraph-dynamo-conv"), version("langgraph-checkpoint-aws")
    measured = {
        "date": today,
        "sources": [
            f"this saver {ours}: chats of {TURNS} turns, played on DynamoDB Local on {today}, benchmarks/chats.py",
            f"full-state saver: langgraph-checkpoint-aws {theirs} without compression or S3, {FULL_STATE_TURNS} turns",
        ],
        "this_saver": [this_saver_row(client, *shape) for shape in SHAPES],
        "full_state": [full_state_row(engine, client, *shape) for shape in SHAPES],
    }
    client.close()
    return measured


def this_saver_row(client: Any, tool_calls: int, result_kb: float) -> dict[str, float]:
    """A chat with and without its transcript; what the second costs less is the transcript's.

    A cold read is what a turn reads more in a process that has not seen the conversation, for each turn before it.
    """
    with (
        chat_here(client, tool_calls, result_kb, transcript=True) as (whole, another),
        chat_here(client, tool_calls, result_kb, transcript=False) as (bare, _),
    ):
        both, state = played(whole), played(bare)
        with another() as cold:
            cold_read_units = whole.play(1, cold).read_units
    transcript = [one.write_units - other.write_units for one, other in zip(both, state, strict=True)]
    return {
        "tool_calls": tool_calls,
        "result_kb": result_kb,
        "state_write_units": a_turn(state[-1].write_units),
        "state_bytes": a_turn(state[-1].stored_bytes),
        **{f"transcript_write_units_{turns}": units for turns, units in zip(COUNTED_AFTER, transcript, strict=True)},
        "transcript_bytes": a_turn(both[-1].stored_bytes - state[-1].stored_bytes),
        "read_units": a_turn(both[-1].read_units),
        "cold_read_units": a_turn(cold_read_units - both[-1].read_units / TURNS),
    }


def played(chat: Chat) -> list[Cost]:
    """What all turns of a chat have cost, after each of `COUNTED_AFTER`."""
    write_units = read_units = 0.0
    costs = []
    for before, after in pairwise((0, *COUNTED_AFTER)):
        cost = chat.play(after - before)
        write_units, read_units = write_units + cost.write_units, read_units + cost.read_units
        costs.append(Cost(write_units, read_units, cost.stored_bytes))
    return costs


@contextmanager
def chat_here(
    client: Any, tool_calls: int, result_kb: float, *, transcript: bool
) -> Iterator[tuple[Chat, Callable[[], DynamoDBConversationSaver]]]:
    """A chat on this saver in a table of its own, and what makes another saver on it."""
    name = f"chat-{uuid4()}"

    def new_saver() -> DynamoDBConversationSaver:
        return DynamoDBConversationSaver(name, client=client, transcript=transcript)

    with new_saver() as saver:
        saver.setup()
        yield Chat(client, name, saver, saver.new_conversation("alice"), tool_calls, result_kb, Prose()), new_saver
    client.delete_table(TableName=name)


def full_state_row(engine: Engine, client: Any, tool_calls: int, result_kb: float) -> dict[str, float]:
    """How much the state grows with a turn, and what is stored besides the states of all checkpoints.

    With each of its checkpoints, a turn stores the state of all turns before it and, on average, of half of its own.
    The states of n turns are n * n / 2 growths for each checkpoint of a turn, so a chat twice as long stores four times
    the states, and twice the rest.
    """
    checkpoints, half = 3 + 2 * tool_calls, FULL_STATE_TURNS // 2
    with full_state_chat(engine, client, tool_calls, result_kb) as chat:
        first, second = chat.play(half), chat.play(half)
    growth = (second.stored_bytes - 2 * first.stored_bytes) / checkpoints / half**2
    of_states = checkpoints * growth * FULL_STATE_TURNS**2 / 2
    write_units = first.write_units + second.write_units
    return {
        "tool_calls": tool_calls,
        "result_kb": result_kb,
        "growth_bytes": round(growth),
        "other_bytes": round((second.stored_bytes - of_states) / FULL_STATE_TURNS),
        "other_write_units": round((write_units - of_states / 1024) / FULL_STATE_TURNS, 2),
    }


def a_turn(whole: float) -> float:
    """A turn's share of what all of them cost."""
    return round(whole / TURNS, 3)


def write(engine: Engine) -> Path:
    """Measure, and write what the package ships, a row a line. Gives the file."""
    text = json.dumps(measure(engine), indent=1)
    rows = re.sub(r"{\n +([^{}]+?)\n +}", lambda row: "{" + re.sub(r"\n +", " ", row[1]) + "}", text)
    MEASURED.write_text(rows + "\n", encoding="utf-8")
    return MEASURED
