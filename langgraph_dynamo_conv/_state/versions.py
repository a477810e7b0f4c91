"""Versions of channels, as text that LangGraph's server and its own savers make too.

The rule: a version is a counter of 32 digits, a point and a random fraction. LangGraph compares versions of a channel:
later ones sort later, and two branches that go on from one version have two. Any saver goes on from any of them.

The fraction has six digits that are random, not sixteen as elsewhere: what is random can't be compressed.
"""

from __future__ import annotations

import random
from typing import Any

_DIGITS = 32
_FRACTIONS = 10**6


def next_version(current: Any) -> str:
    """The version after one (None: the first), which another saver may have made.

    Raises:
        ValueError: It has no counter.
    """
    counter = _counter(current) if current is not None else 0
    digits = len(current.partition(".")[0]) if isinstance(current, str) else _DIGITS  # else it might sort before
    return f"{counter + 1:0{digits}}.{random.randrange(_FRACTIONS) / _FRACTIONS:016}"


def as_text(version: Any) -> str:
    """A version that another saver made, as text of that form. What differs still does, in the order of the counters.

    Raises:
        ValueError: It has no counter.
    """
    fraction = version.partition(".")[2] if isinstance(version, str) else f"{0:016}"
    return f"{_counter(version):0{_DIGITS}}.{fraction}"


def _counter(version: Any) -> int:
    try:
        counter = int(version.split(".", 1)[0] if isinstance(version, str) else version)
        if isinstance(version, str) or counter == version:
            return counter
    except (TypeError, ValueError):
        pass
    raise ValueError(f"the channel version {version!r} has no counter, so there is none after it")
