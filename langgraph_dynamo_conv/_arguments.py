"""What public calls take: counts, flags, texts, mappings and functions, checked before any request. Pure.

The rule: an argument of another type or range is a `ValueError` that names it and says what it may be; one text where a
list is meant, whose letters nobody means, is a `TypeError`. `keys` checks ids, which have rules of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_LONGEST_SHOWN = 80


def shown(value: object) -> str:
    """A value in an error, not too long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def check_count(name: str, value: object, least: int, most: int | None = None) -> int:
    """A whole number from `least` to `most`."""
    if type(value) is int and least <= value and (most is None or value <= most):
        return value
    allowed = f"at least {least}" if most is None else f"{least} to {most}"
    raise ValueError(f"{name} is a whole number, {allowed}; got {shown(value)}")


def check_positive(name: str, value: object) -> float:
    """A number above 0, whole or not."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and 0 < value < math.inf:  # type: ignore[operator]
        return value  # type: ignore[return-value]
    raise ValueError(f"{name} is a number above 0; got {shown(value)}")


def check_flag(name: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} is True or False; got {shown(value)}")
    return value


def check_words(name: str, value: object) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise ValueError(f"{name} is text; got {shown(value)}")
    return value


def check_name(name: str, value: object) -> str:
    """Any text but the empty one."""
    if not check_words(name, value):
        raise ValueError(f"{name} is text that is not empty; got {shown(value)}")
    return str(value)


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """One of some words."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} is one of {', '.join(choices)}; got {shown(value)}")
    return value


def check_mapping(name: str, value: object, rule: str = "a dict with texts as keys") -> Mapping[str, Any]:
    """A mapping with text as its keys."""
    if type(value) is dict and set(map(type, value)) <= {str}:
        return value  # told without a look at each key in turn
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"{name} is {rule}; got a {type(value).__name__}")
    return value


def check_function(name: str, value: Callable[..., T], rule: str) -> Callable[..., T]:
    """Anything that can be called."""
    if not callable(value):
        raise ValueError(f"{name} is {rule}; got {shown(value)}")
    return value


def check_methods(name: str, value: object, methods: tuple[str, ...], rule: str) -> None:
    """An object with these methods."""
    if isinstance(value, type) or not all(callable(getattr(value, method, None)) for method in methods):
        raise ValueError(f"{name} is {rule}; got {shown(value)}")
