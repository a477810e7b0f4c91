"""What a month of chats costs, here and with a saver that stores the whole state at every step. Pure.

Units of this saver are interpolated between chats that were played on DynamoDB Local, 40 turns each, and counted by the
capacity that it reports: a question of 60 characters, tool calls one after the other, an answer of 350 characters.
`tests/costs/test_estimate.py` plays such chats, on this saver and on a full-state one, and holds these figures to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from langgraph_dynamo_conv._format.limits import MAX_ITEM_BYTES
from langgraph_dynamo_conv.cli.prices import Prices

SOURCES = (
    "this saver: chats of 40 turns played on DynamoDB Local in November 2026, tests/costs/test_estimate.py",
    "full-state saver: langgraph-checkpoint-aws 1.2.6 without compression or S3, in the same test",
)

Points = tuple[tuple[float, float], ...]

_TURN_WITHOUT_TOOLS = 5.4
"""Write units of a turn of one question and one answer, without the transcript."""

_TOOL_CALL: Points = ((0.25, 4.35), (1, 4.57), (4, 7.38), (16, 21.3))
"""Write units that one tool call adds to its turn, by the KB of its result, without the transcript."""

_TRANSCRIPT: Points = ((0, 12.2), (0.25, 14.4), (1, 12.05), (4, 25.7), (16, 49.4))
"""Write units of a turn that are the transcript's, by the KB of all tool results of the turn."""

_BYTES_WITHOUT_TOOLS = 2035
"""Bytes stored of a turn of one question and one answer, without the transcript."""

_TOOL_CALL_BYTES: Points = ((0.25, 1722), (1, 2747), (4, 5889), (16, 18412))
"""Bytes that one tool call adds, by the KB of its result, without the transcript."""

_TRANSCRIPT_BYTES: Points = ((0, 580), (0.25, 990), (1, 1780), (4, 9430), (16, 33130))
"""Bytes stored of a turn that are the transcript's."""

_WARM_READ = 2.0
"""Read units of a turn in a process that knows the conversation."""

_COLD_READ: Points = ((0, 6 / 40), (0.25, 9 / 40), (1, 11 / 40), (4, 26 / 40), (16, 73 / 40))
"""Read units of a turn in another process, for each turn before it."""

_FULL_MESSAGE_KB, _FULL_TEXT_KB, _FULL_CALL_KB = 0.21, 0.41, 0.04
"""What a message, a question with its answer, and a call's arguments add to a full state, uncompressed."""

_FULL_ITEM_UNITS, _FULL_WRITE_UNITS = 1.5, 2.75
"""Write units of a full checkpoint beside its state, and of a task's writes: metadata and payload are items."""


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
        if min(self.turns, self.tool_calls, self.result_kb, self.months_kept) < 0 or self.turns_per_conversation < 1:
            raise ValueError("an estimate's numbers are at least 0, and turns_per_conversation at least 1")

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


def this_saver(shape: Shape) -> Bill:
    """The bill of this saver: every turn costs the same, but for a cold process's read."""
    write = _TURN_WITHOUT_TOOLS + shape.tool_calls * _at(_TOOL_CALL, shape.result_kb)
    size = _BYTES_WITHOUT_TOOLS + shape.tool_calls * _at(_TOOL_CALL_BYTES, shape.result_kb)
    if shape.transcript:
        write += _at(_TRANSCRIPT, shape.tool_kb)
        size += _at(_TRANSCRIPT_BYTES, shape.tool_kb)
    read = _WARM_READ
    if shape.cold:
        read += _at(_COLD_READ, shape.tool_kb) * (shape.turns_per_conversation - 1) / 2
    return Bill(shape.turns * write, shape.turns * read, shape.turns * shape.months_kept * size)


def full_state(shape: Shape) -> Bill:
    """The bill of a saver that stores the whole state with every checkpoint, and reads it for every turn.

    As long as it fits: nothing is added for the S3 that longer states need.
    """
    checkpoints, tasks = 3 + 2 * shape.tool_calls, 2 + 2 * shape.tool_calls
    grows_kb = _FULL_MESSAGE_KB * tasks + _FULL_TEXT_KB + shape.tool_calls * (_FULL_CALL_KB + shape.result_kb)
    mean_kb = grows_kb * (shape.turns_per_conversation + 1) / 2
    write = checkpoints * (mean_kb + _FULL_ITEM_UNITS) + tasks * _FULL_WRITE_UNITS + shape.tool_kb
    size = (checkpoints * mean_kb + grows_kb) * 1024
    read = (mean_kb / 4 + 1) / 2  # eventually consistent
    last_turn = int(MAX_ITEM_BYTES / 1024 / grows_kb)
    fails = last_turn + 1 if shape.turns_per_conversation > last_turn else None
    return Bill(shape.turns * write, shape.turns * read, shape.turns * shape.months_kept * size, fails)


def _at(points: Points, where: float) -> float:
    """A value between measured ones, or on the line through the last two."""
    (left, low), (right, high) = next(
        (pair for pair in pairwise(points) if where <= pair[1][0]), (points[-2], points[-1])
    )
    return low + (high - low) * (max(where, left) - left) / (right - left)
