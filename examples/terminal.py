"""Text of others on a terminal: titles, messages, tools and results can hold anything."""

from __future__ import annotations

_KEPT = "\n\u200c\u200d"
"""Line feeds, and the joiners of Persian and emoji."""


def safe(text: str) -> str:
    """Text in which what moves a cursor, turns the direction of a line or hides in it is written out, as `\\x1b`."""
    return "".join(char if char.isprintable() or char in _KEPT else ascii(char)[1:-1] for char in text)
