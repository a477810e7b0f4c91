"""What a month of chats costs, here and with a saver that stores the whole state at every step. Sends nothing.

The figures are those of `measured.json`: chats that were played on DynamoDB Local, and counted by the capacity that it
reports. `python3 dev.py benchmark --estimate` plays them anew; `tests/costs/test_estimate.py` holds the estimates to
others. A size of tool results that was not played is on the line between those that were. So is the number of turns: a
row holds the whole chat at first, and its writes grow with it; then it holds the newest exchange, at a steady price.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any

from langgraph_dynamo_conv._arguments import check_count
from langgraph_dynamo_conv._format.limits import MAX_ITEM_BYTES
from langgraph_dynamo_conv.cli.prices import Prices

Rows = list[dict[str, float]]
"""Figures of a turn: the first row's without tool calls, the others' with one, by the KB of its result."""


_TRANSCRIPT = "transcript_write_units_"
"""Columns with what the transcript has written after so many turns."""


@dataclass(frozen=True)
class Shape:
    """A month of chats.

    Args:
        turns: Turns of all users.
        turns_per_conversation: Turns of one conversation.
        tool_calls: Tool calls of a turn, one after the other.
        result_kb: KB of a tool's result.
        months_kept: Months that a conversation is kept.
        cold: Whether every turn runs in a process that does not know the conversation.
        transcript: Whether rows follow the messages.

    Raises:
        ValueError: A number is out of range.
    """

    turns: int
    turns_per_conversation: int = 20
    tool_calls: int = 1
    result_kb: float = 1.0
    months_kept: int = 12
    cold: bool = False
    transcript: bool = True

    def __post_init__(self) -> None:
        for name, least in (("turns", 0), ("turns_per_conversation", 1), ("tool_calls", 0), ("months_kept", 0)):
            check_count(name, getattr(self, name), least)
        if not 0 <= self.result_kb < math.inf:
            raise ValueError(f"result_kb is a number, at least 0; got {self.result_kb}")

    @property
    def tool_kb(self) -> float:
        """KB of all tool results of a turn."""
        return self.tool_calls * self.result_kb


@dataclass(frozen=True)
class Bill:
    """Units of a month, and bytes that are kept once the oldest conversations go.

    Args:
        write_units: Write units.
        read_units: Read units.
        stored_bytes: Bytes kept.
        fails_at_turn: The turn of a conversation whose state no longer fits into an item, if there is one.
    """

    write_units: float
    read_units: float
    stored_bytes: float
    fails_at_turn: int | None = None

    def dollars(self, prices: Prices) -> float:
        """The month's bill."""
        return prices.of(self.write_units, self.read_units, self.stored_bytes)


@cache
def measured() -> dict[str, Any]:
    """The file of figures."""
    return dict(json.loads(files(__package__).joinpath("measured.json").read_text(encoding="utf-8")))


def this_saver(shape: Shape) -> Bill:
    """The bill of this saver: the state costs the same in every turn, the row more in a chat's first ones."""
    rows: Rows = measured()["this_saver"]
    write, size = _of_turn(rows, "state_write_units", shape), _of_turn(rows, "state_bytes", shape)
    if shape.transcript:
        write += _of_transcript(rows, shape)
        size += _at(rows, "transcript_bytes", shape.tool_kb)
    read = _at(rows, "read_units", shape.tool_kb)
    if shape.cold:
        read += _at(rows, "cold_read_units", shape.tool_kb) * (shape.turns_per_conversation - 1) / 2
    return Bill(shape.turns * write, shape.turns * read, shape.turns * shape.months_kept * size)


def full_state(shape: Shape) -> Bill:
    """The bill of a saver that stores the whole state with every checkpoint, and reads it for every turn.

    As long as it fits: nothing is added for the S3 that longer states need.
    """
    rows: Rows = measured()["full_state"]
    growth = _of_turn(rows, "growth_bytes", shape)
    states = (3 + 2 * shape.tool_calls) * growth * shape.turns_per_conversation / 2
    write = states / 1024 + _of_turn(rows, "other_write_units", shape)
    size = states + _of_turn(rows, "other_bytes", shape)
    read = (growth * shape.turns_per_conversation / 2 / 4096 + 1) / 2  # eventually consistent
    last_turn = int(MAX_ITEM_BYTES / growth)
    fails = last_turn + 1 if shape.turns_per_conversation > last_turn else None
    return Bill(shape.turns * write, shape.turns * read, shape.turns * shape.months_kept * size, fails)


def _of_transcript(rows: Rows, shape: Shape) -> float:
    """Write units of the transcript in a turn, the mean of a conversation's."""
    after = {int(name.rpartition("_")[2]): name for name in rows[0] if name.startswith(_TRANSCRIPT)}
    points = [(0.0, 0.0), *((float(turns), _at(rows, name, shape.tool_kb)) for turns, name in after.items())]
    return _on_line(points, shape.turns_per_conversation) / shape.turns_per_conversation


def _of_turn(rows: Rows, column: str, shape: Shape) -> float:
    """A figure of a turn without tool calls, and what each of its calls adds to it."""
    without, *with_call = rows
    return without[column] + shape.tool_calls * (_at(with_call, column, shape.result_kb) - without[column])


def _at(rows: Rows, column: str, result_kb: float) -> float:
    """A figure between measured ones, or on the line through the last two."""
    return _on_line([(row["result_kb"], row[column]) for row in rows], result_kb)


def _on_line(points: list[tuple[float, float]], at: float) -> float:
    """The value at a place between points, at the first of them, or on the line through the last two."""
    (left, low), (right, high) = next((pair for pair in pairwise(points) if at <= pair[1][0]), (points[-2], points[-1]))
    return low + (high - low) * (max(at, left) - left) / (right - left)
