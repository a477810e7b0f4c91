"""Text that is safe to show. What controls a terminal, reorders a line or hides in it is written out, never sent."""

from __future__ import annotations

import re

_HOSTILE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed: they move the cursor, or worse
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # what turns the direction of text, or breaks lines
    "\ud800-\udfff\ufff9-\ufffb\ufffe\uffff]"
)


def visible(text: str) -> str:
    """Text in which characters that control a terminal or reorder a line are written out, as `\\x1b`.

    Tabs and line feeds stay.
    """
    return _HOSTILE.sub(_written_out, text)


def escaped(json_text: str) -> str:
    """JSON in which what `visible` writes out is escaped, so that it parses back."""
    return _HOSTILE.sub(lambda match: f"\\u{ord(match[0]):04x}", json_text)


def _written_out(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
