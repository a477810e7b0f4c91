"""Any Python value as one that an item can hold, and an item's value as JSON.

The rule: what DynamoDB has a type for keeps its type and its exact value; the rest becomes a string that a person can
read. Nothing here raises for a value it does not know: a strange tool result must not fail a run.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

MAX_LEVELS = 27
"""Maps and lists inside one another, below `args` or `result`. An item takes 32 levels with the innermost value
(Developer Guide, "Quotas: Nested attribute depth"), and messages, message, tool_calls and call are four of them."""

MAX_NAME_BYTES = 65_535
"""Length of a key of a map. Developer Guide, "Quotas: Attribute names"."""

_MAX_DIGITS = 38
_EXPONENTS = range(-130, 126)
_EMPTY_NAME = "(empty)"


def clean_text(text: str) -> str:
    """`text` as valid Unicode: a lone surrogate becomes U+FFFD, a split pair its character.

    DynamoDB takes UTF-8, which has no surrogates; models and scraped pages do send them.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def storable(value: Any, *, levels: int = MAX_LEVELS) -> Any:
    """`value` in types that an attribute can have: str, int, Decimal, bool, None, list, dict with string keys.

    Args:
        value: Anything. It is not changed.
        levels: How many maps and lists may stand inside one another; what is below becomes one JSON string.

    Returns:
        Floats as `Decimal`, numbers out of DynamoDB's range as strings, bytes as their length, tuples as lists, sets as
        lists in a fixed order, other objects as `str(value)`.
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
        return _container(value, levels)
    return clean_text(str(value))


def _container(value: Mapping[Any, Any] | Iterable[Any], levels: int) -> Any:
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
    name = clean_text(str(key)) or _EMPTY_NAME  # a map's key can't be empty, its values can
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    return name.encode()[: MAX_NAME_BYTES - 3].decode(errors="ignore") + "…"


def _storable_number(value: int | float | Decimal) -> int | Decimal | str:
    number = Decimal(float.__repr__(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        return str(number)
    if not number:
        return 0
    sign, digits, exponent = number.as_tuple()
    if len(digits) > _MAX_DIGITS:
        significant = len("".join(map(str, digits)).rstrip("0"))
        number = Decimal((sign, digits[:significant], int(exponent) + len(digits) - significant))
    if len(number.as_tuple().digits) > _MAX_DIGITS or number.adjusted() not in _EXPONENTS:
        return str(value) if isinstance(value, float) else str(Decimal(value))
    return int(value) if isinstance(value, int) and len(digits) <= _MAX_DIGITS else number


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
        return sorted((plain(item) for item in value), key=lambda item: (isinstance(item, str), item))
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
    """The bytes that DynamoDB counts for a value, without the name it has in its item.

    From the Developer Guide, "Item sizes and formats": strings by their UTF-8 bytes, a number a byte for two
    significant digits, one more, and one if negative; True, False and null 1; lists and maps 3, and 1 for each element.
    """
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="replace"))
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, (int, float, Decimal)):
        return _number_size(value)
    if isinstance(value, Mapping):
        return 3 + sum(1 + size_of(str(key)) + size_of(item) for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return 3 + sum(1 + size_of(item) for item in value)
    return len(value) if isinstance(value, (bytes, bytearray)) else size_of(str(value))


def _number_size(value: int | float | Decimal) -> int:
    number = Decimal(value) if not isinstance(value, float) else Decimal(float.__repr__(value))
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    return (len(digits) + 1) // 2 + 1 + number.is_signed()


def to_attribute(value: Any) -> dict[str, Any]:
    """A plain value of a conversation row as an attribute: str, int, Decimal, bool, None, bytes, list, dict."""
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
        return {f"{kind}S": sorted(item for one in value for item in to_attribute(one).values())}
    raise TypeError(f"a {type(value).__name__} can't be an attribute")


def from_attribute(attribute: Mapping[str, Any]) -> Any:
    """The plain value of an attribute. Whole numbers become int, others Decimal."""
    ((kind, value),) = attribute.items()
    if kind == "N":
        return _read_number(value)
    if kind == "M":
        return {key: from_attribute(item) for key, item in value.items()}
    if kind == "L":
        return [from_attribute(item) for item in value]
    if kind == "NULL":
        return None
    if kind == "NS":
        return {_read_number(number) for number in value}
    return set(value) if kind in ("SS", "BS") else value


def _read_number(text: str) -> int | Decimal:
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() and "." not in text else number
