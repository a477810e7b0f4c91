"""What only the calls of `Conversations` take: times and cursors, checked before any request. Pure.

The rule: an argument of another type or range is a `ValueError` that names it and says what it may be.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime, timezone
from typing import Any

from langgraph_dynamo_conv._arguments import shown
from langgraph_dynamo_conv._rows.row import iso

_LONGEST_CURSOR = 4096
_YEAR_OR_MONTH = re.compile(r"\d{4}(-\d\d)?")


def time_in_utc(name: str, value: object) -> str:
    """A time as rows hold it, from a year, month, day or more. One without an offset is UTC."""
    try:
        if not isinstance(value, str):
            raise ValueError("it is no text")
        whole = value + "0000-01-01"[len(value) :] if _YEAR_OR_MONTH.fullmatch(value) else value
        time = datetime.fromisoformat(whole.replace("Z", "+00:00"))
        return iso((time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp())
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{name} is a time in ISO 8601, such as '2026-01-31' or '2026-01-31T09:00:00Z'; got {shown(value)}"
        ) from None


def to_cursor(position: Any) -> str:
    """A cursor that says where a page ended."""
    return base64.urlsafe_b64encode(json.dumps(position, separators=(",", ":")).encode()).decode()


def from_cursor(cursor: object) -> Any:
    """What a cursor says. Raises `ValueError` if it is broken."""
    if not isinstance(cursor, str) or len(cursor) > _LONGEST_CURSOR:
        raise ValueError("it is no text, or longer than any")
    try:
        return json.loads(base64.urlsafe_b64decode(cursor))
    except RecursionError:
        raise ValueError("it is nested deeper than any") from None
