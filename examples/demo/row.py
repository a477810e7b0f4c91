"""A row as readable JSON: plain values, packed into lines, and no longer than a screen.

What is left out is marked with "…"; the result is JSON all the same.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

Pair = tuple[str, Any]

WIDTH = 76
MEMBERS = 6
"""Of an object inside the row."""
CUTS = ((60, 8), (44, 8), (36, 8), (36, 4), (24, 2))
"""The longest string and the longest list of the row's own, the next where one is too long. Deeper lists show one."""


def readable(item: dict[str, Any], most_lines: int, width: int = WIDTH) -> str:
    """An item as boto3's `Table` gives it, in at most so many lines; cut off there if nothing else helps."""
    lines: list[str] = []
    for characters, entries in CUTS:
        row = {name: _shortened(value, characters, entries) for name, value in item.items()}
        lines = _lines("", row, "", 0, width)
        if len(lines) <= most_lines:
            break
    return "\n".join(lines[:most_lines])


def _shortened(value: Any, characters: int, entries: int) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    value = getattr(value, "value", value)  # boto3 wraps binary in an object of its own
    if isinstance(value, bytes):
        return f"… {len(value)} bytes"
    if isinstance(value, str):
        return value if len(value) <= characters else value[: characters - 1] + "…"
    if isinstance(value, dict):
        kept = {name: _shortened(held, characters, 1) for name, held in list(value.items())[:MEMBERS]}
        return kept | ({"…": f"{len(value) - MEMBERS} more"} if len(value) > MEMBERS else {})
    if isinstance(value, (list, set)):
        first = [_shortened(one, characters, 1) for one in list(value)[:entries]]
        return first + ([f"… {len(value) - entries} more"] if len(value) > entries else [])
    return value


def _lines(name: str, value: Any, after: str, indent: int, width: int) -> list[str]:
    """A value between its name and what follows it: one line if it fits, else as many members on each as fit."""
    margin = " " * indent
    flat = margin + name + json.dumps(value, ensure_ascii=False) + after
    if len(flat) <= width or not isinstance(value, (dict, list)) or not value:
        return [flat]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    *first, last = _named(value)
    lines: list[str] = []
    may_grow = False
    for member, held, follows in [*((*one, ",") for one in first), (*last, closing + after)]:
        added = _lines(member, held, follows, indent + 1, width)
        if may_grow and len(added) == 1 and len(lines[-1]) + 1 + len(added[0].lstrip()) <= width:
            lines[-1] += " " + added[0].lstrip()
        else:
            lines += added
        may_grow = len(added) == 1
    if name:
        return [margin + name + opening, *lines]
    return [margin + opening + lines[0].lstrip(), *lines[1:]]


def _named(value: dict[str, Any] | list[Any]) -> list[Pair]:
    if isinstance(value, dict):
        return [(json.dumps(name, ensure_ascii=False) + ": ", held) for name, held in value.items()]
    return [("", held) for held in value]
