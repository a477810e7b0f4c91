"""Python values as DynamoDB attributes, and attributes as JSON.

The rule: a value of a type that DynamoDB has keeps its type and its exact value; any other becomes a string that a
person can read. `storable` takes every value: a tool may return anything, and a strange result must not fail a run.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal, Inexact, Overflow, Subnormal
from typing import Any

MAX_LEVELS = 27
"""How many maps and lists `args` and `result` may have inside one another. An item takes 32 levels with the innermost
value (Developer Guide, "Quotas: Nested attribute depth"); messages, message, tool_calls and call are four of them."""

MAX_NAME_BYTES = 65_535
"""The longest key of a map, in bytes of UTF-8. Developer Guide, "Quotas: Attribute names"."""

# 38 significant digits, magnitudes of 1E-130 to 9.9…E+125. Developer Guide, "Naming rules and data types: Number".
_NUMBERS = Context(prec=38, Emin=-130, Emax=125, traps=[Inexact, Overflow, Subnormal])


def clean_text(text: str) -> str:
    """`text` as valid Unicode: a lone surrogate becomes U+FFFD, a split pair its character.

    DynamoDB takes UTF-8, which has no surrogates; models and scraped pages do send them.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def storable(value: Any, *, levels: int = MAX_LEVELS) -> Any:
    """`value` in types that an attribute can have: str, int, Decimal, bool, None, list, dict with string keys.

    Args:
        value: Any object. It is not changed.
        levels: How many maps and lists may stand inside one another. Anything deeper becomes one JSON string.

    Returns:
        A new value. Floats become `Decimal`, numbers out of DynamoDB's range strings, bytes a note of their length,
        tuples lists, sets lists in a fixed order, and other objects `str(value)`.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, (int, float, Decimal)):
        return _storable_number(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"[bytes: {len(value)}]"
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return _storable_container(value, levels)
    return clean_text(str(value))


def _storable_container(value: Mapping[Any, Any] | Iterable[Any], levels: int) -> Any:
    if not levels:
        return _json(value)
    if isinstance(value, Mapping):
        return {_name(key): storable(item, levels=levels - 1) for key, item in value.items()}
    # The order of a set differs between processes; an unchanged result must not look changed.
    items = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
    return [storable(item, levels=levels - 1) for item in items]


def _json(value: Any) -> str:
    try:
        return clean_text(json.dumps(value, ensure_ascii=False, default=str))
    except (TypeError, ValueError, RecursionError):  # keys that JSON lacks, a cycle
        return f"[{type(value).__name__}]"


def _name(key: Any) -> str:
    name = clean_text(str(key)) or "(empty)"  # DynamoDB refuses an empty key, though not an empty value
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    return name.encode()[: MAX_NAME_BYTES - 3].decode(errors="ignore") + "…"


def _storable_number(value: int | float | Decimal) -> int | Decimal | str:
    number = _decimal(value)
    if not number.is_finite():
        return str(number)
    try:
        exact = _NUMBERS.normalize(number)
    except (Inexact, Overflow, Subnormal):
        return str(value if isinstance(value, float) else number)  # of an int, `str` gives no more than 4300 digits
    if not number:
        return 0
    if len(number.as_tuple().digits) > _NUMBERS.prec:
        return exact
    return int(value) if isinstance(value, int) else number


def _decimal(value: int | float | Decimal) -> Decimal:
    # A float is the shortest text that gives it back, as a person wrote it: 0.1, not 0.1000000000000000055….
    return Decimal(float.__repr__(value) if isinstance(value, float) else value)


def plain(value: Any) -> Any:
    """A value read from an item as JSON has it: numbers as int or float, sets as sorted lists, binary as Base64.

    A fraction with more digits than a float has is rounded to the nearest float.
    """
    if isinstance(value, Decimal):
        return _plain_number(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(plain, value), key=lambda item: (isinstance(item, str), item))
    value = getattr(value, "value", value)  # boto3 wraps binary in an object of its own
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)


def _plain_number(value: Decimal) -> int | float | str:
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value():
        return int(value)
    number = float(value)
    return int(Decimal(repr(number))) if number.is_integer() else number


def size_of(value: Any) -> int:
    """The bytes that DynamoDB counts for a value, without the name that it has in its item.

    From the Developer Guide, "Item sizes and formats": a string has its UTF-8 bytes; a number one byte for two
    significant digits, one more, and one if it is negative; True, False and null have 1; a list or map has 3, and 1
    for each element.
    """
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="replace"))
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, (int, float, Decimal)):
        number = _decimal(value)
        digits = "".join(map(str, number.as_tuple().digits)).strip("0")
        return (len(digits) + 1) // 2 + 1 + number.is_signed()
    if isinstance(value, Mapping):
        return 3 + sum(1 + size_of(str(key)) + size_of(item) for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return 3 + sum(1 + size_of(item) for item in value)
    return len(value) if isinstance(value, (bytes, bytearray)) else size_of(str(value))


def to_attribute(value: Any) -> dict[str, Any]:
    """A value as the attribute that the client sends.

    Args:
        value: A str, bool, int, Decimal, None, bytes, or a dict, list, tuple or non-empty set of them.

    Raises:
        TypeError: DynamoDB has no such type. `storable` gives a value that it has.
    """
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, (int, Decimal)):
        return {"N": str(value)}
    if value is None:
        return {"NULL": True}
    if isinstance(value, dict):
        return {"M": {key: to_attribute(item) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return {"L": [to_attribute(item) for item in value]}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, (set, frozenset)) and value:
        ((kind, _),) = to_attribute(next(iter(value))).items()
        return {f"{kind}S": sorted(text for item in value for text in to_attribute(item).values())}
    raise TypeError(f"a {type(value).__name__} can't be an attribute")


def from_attribute(attribute: Mapping[str, Any]) -> Any:
    """The value of an attribute that the client gave: the inverse of `to_attribute`.

    Whole numbers that are written without a point become int, others Decimal.
    """
    ((kind, value),) = attribute.items()
    if kind == "N":
        return _number(value)
    if kind == "M":
        return {key: from_attribute(item) for key, item in value.items()}
    if kind == "L":
        return [from_attribute(item) for item in value]
    if kind == "NULL":
        return None
    if kind in ("NS", "SS", "BS"):
        return set(map(_number, value) if kind == "NS" else value)
    return value


def _number(text: str) -> int | Decimal:
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() and "." not in text else number
