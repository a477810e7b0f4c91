"""Sizes of items as DynamoDB counts them, and what reading and writing them costs.

The rules of single types are in the developer guide, "DynamoDB item sizes and formats", which is vague about
numbers: they take one byte for each pair of digits, the pairs counted from the decimal point, and one more; another
one if they are negative. The contract suite measures that on DynamoDB Local.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from tests.memory_engine.items.values import EXACT, Attributes, Value, decimal_of

ITEM_BYTES = 400 * 1024
PAGE_BYTES = 1024 * 1024
WRITE_UNIT_BYTES = 1024
READ_UNIT_BYTES = 4096

_CONTAINER_BYTES = 3
_ELEMENT_BYTES = 1


def value_size(value: Value) -> int:
    """Bytes of a value."""
    ((kind, held),) = value.items()
    return _SIZES[kind](held)


def attribute_size(name: str, value: Value) -> int:
    """Bytes of an attribute with its name."""
    return _text_size(name) + value_size(value)


def attributes_size(attributes: Mapping[str, Value]) -> int:
    """Bytes of an item."""
    return sum(attribute_size(name, value) for name, value in attributes.items())


def write_units(size: int) -> float:
    """Units of writing an item of so many bytes, the larger of before and after."""
    return float(max(1, -(-size // WRITE_UNIT_BYTES)))


def read_units(size: int, consistent: bool) -> float:
    """Units of reading so many bytes in one request. AWS bills one unit, or half of one, where nothing is found."""
    return max(1, -(-size // READ_UNIT_BYTES)) * (1.0 if consistent else 0.5)


def _text_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


@lru_cache(maxsize=4096)
def _number_size(text: str) -> int:
    sign, digits, exponent = decimal_of(text).normalize(EXACT).as_tuple()
    if digits == (0,):
        return 1
    pairs = (len(digits) + int(exponent) % 2 + 1) // 2
    return 1 + pairs + sign


def _list_size(held: list[Value]) -> int:
    return _CONTAINER_BYTES + sum(_ELEMENT_BYTES + value_size(one) for one in held)


def _map_size(held: Attributes) -> int:
    return _CONTAINER_BYTES + sum(_ELEMENT_BYTES + attribute_size(name, one) for name, one in held.items())


_SIZES: dict[str, Callable[[Any], int]] = {
    "S": _text_size,
    "N": _number_size,
    "B": len,
    "BOOL": lambda _: 1,
    "NULL": lambda _: 1,
    "SS": lambda held: sum(map(_text_size, held)),
    "NS": lambda held: sum(map(_number_size, held)),
    "BS": lambda held: sum(map(len, held)),
    "L": _list_size,
    "M": _map_size,
}
