"""Attribute values: checked, and in one form, so that equal values are equal Python objects.

A value is what botocore's client takes, `{"S": "text"}`, with binary data as `bytes`. In the one form numbers are
written out without superfluous zeros and sets are sorted. Values are never changed once they are made.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from tests.memory_engine.refusals import Invalid

Value = dict[str, Any]
Attributes = dict[str, Value]

Order = str | bytes | Decimal
"""What a value that can be a key is sorted by. Text sorts by code points, as its UTF-8 form does."""

TYPES = frozenset({"S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"})
SORTABLE = frozenset({"S", "N", "B"})
DEEPEST = 31
"""Lists and maps within each other."""

_LONGEST_NAME = 65535
_DIGITS = 38
_HIGHEST, _LOWEST = 125, -130
_HIGHEST_EXPONENT = 2**31 - 1
"""As it is written: zero may have any, and numbers have other limits."""

EXACT = Context(prec=400, Emin=MIN_EMIN, Emax=MAX_EMAX)
"""No number that DynamoDB takes is rounded in it."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE](?P<exponent>[+-]?[0-9]+))?")
_PLAIN = re.compile(r"0|-?[1-9][0-9]{0,37}")
_NOT_A_NUMBER = "A value provided cannot be converted into a number"
_SET_NAMES = {"SS": "string", "NS": "number", "BS": "binary"}


def canonical(value: Any, depth: int = 0) -> Value:
    """The value in the one form. Raises `Invalid`."""
    if len(value) != 1:
        said = "has more than one datatypes set" if value else "is empty"
        raise Invalid(f"Supplied AttributeValue {said}, must contain exactly one of the supported datatypes")
    ((kind, held),) = value.items()
    if kind not in TYPES:
        raise Invalid(f"Supplied AttributeValue has the unknown datatype {kind}")
    return {kind: _FORMS[kind](held, depth)}


def canonical_attributes(attributes: Any, depth: int = 0) -> Attributes:
    """All values of an item, a key or a map in the one form. Raises `Invalid`."""
    return {_name(name): canonical(value, depth) for name, value in attributes.items()}


def number(text: str) -> str:
    """A number in the one form. Raises `Invalid`."""
    if _PLAIN.fullmatch(text):
        return text
    matched = _NUMBER.fullmatch(text)
    if not matched or abs(int(matched["exponent"] or 0)) > _HIGHEST_EXPONENT:
        raise Invalid(_NOT_A_NUMBER)
    return _written(_decimal(text))


def from_decimal(exact: Decimal) -> Value:
    """A number as a value. Raises `Invalid` if DynamoDB has no such number."""
    return {"N": _written(exact)}


@lru_cache(maxsize=4096)
def decimal_of(text: str) -> Decimal:
    """A number in the one form as what it is calculated with."""
    return Decimal(text)


def added(left: str, right: str, operator: str = "+") -> Value:
    """The sum of two numbers, or with "-" their difference. Raises `Invalid`."""
    calculate = EXACT.add if operator == "+" else EXACT.subtract
    return from_decimal(calculate(Decimal(left), Decimal(right)))


def order_of(value: Value) -> Order:
    """What a value of one of the types of `SORTABLE` is sorted by."""
    ((kind, held),) = value.items()
    return decimal_of(held) if kind == "N" else held


def kind_of(value: Value) -> str:
    """The type's name in requests."""
    return next(iter(value))


def depth_of(value: Value) -> int:
    """How many lists and maps are within each other."""
    ((kind, held),) = value.items()
    if kind not in ("L", "M"):
        return 0
    return 1 + max(map(depth_of, held if kind == "L" else held.values()), default=0)


def too_deep() -> Invalid:
    return Invalid(
        "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond "
        "supported limit"
    )


def _name(name: str) -> str:
    if not name:
        raise Invalid("Empty attribute name")
    if len(name) > _LONGEST_NAME or len(name.encode()) > _LONGEST_NAME:
        raise Invalid("Attribute name is too large, must be less than 65536 bytes")
    return name


def _text(held: str, _depth: int) -> str:
    return held


def _number(held: str, _depth: int) -> str:
    return number(held)


def _binary(held: str | bytes, _depth: int) -> bytes:
    if isinstance(held, (bytes, bytearray)):
        return bytes(held)
    try:
        data = binascii.a2b_base64(held)
    except binascii.Error as error:
        raise Invalid("Invalid Base64") from error
    if binascii.b2a_base64(data, newline=False).decode() != held:
        raise Invalid("Invalid Base64")
    return data


def _truth(held: bool, _depth: int) -> bool:
    return held


def _null(held: bool, _depth: int) -> bool:
    if held is not True:
        raise Invalid(
            "One or more parameter values were invalid: Null attribute value types must have the value of true"
        )
    return held


def _set(kind: str, member: Callable[[Any, int], Any], key: Callable[[Any], Any]) -> Callable[[Any, int], list[Any]]:
    def form(held: Iterable[Any], depth: int) -> list[Any]:
        members = sorted((member(one, depth) for one in held), key=key)
        if not members:
            raise Invalid(f"One or more parameter values were invalid: An {_SET_NAMES[kind]} set  may not be empty")
        if len(set(members)) < len(members):
            raise Invalid("One or more parameter values were invalid: Input collection contains duplicates")
        return members

    return form


def _list(held: list[Any], depth: int) -> list[Value]:
    if depth >= DEEPEST:
        raise too_deep()
    return [canonical(one, depth + 1) for one in held]


def _map(held: dict[str, Any], depth: int) -> Attributes:
    if depth >= DEEPEST:
        raise too_deep()
    return canonical_attributes(held, depth + 1)


_FORMS: dict[str, Callable[[Any, int], Any]] = {
    "S": _text,
    "N": _number,
    "B": _binary,
    "BOOL": _truth,
    "NULL": _null,
    "SS": _set("SS", _text, lambda text: text),
    "NS": _set("NS", _number, decimal_of),
    "BS": _set("BS", _binary, lambda data: data),
    "L": _list,
    "M": _map,
}


def _decimal(text: str) -> Decimal:
    try:
        return EXACT.create_decimal(text)
    except InvalidOperation as error:
        raise Invalid(_NOT_A_NUMBER) from error


def _written(exact: Decimal) -> str:
    if not exact:
        return "0"
    exact = exact.normalize(EXACT)
    if exact.adjusted() > _HIGHEST:
        raise Invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
    if exact.adjusted() < _LOWEST:
        raise Invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
    if len(exact.as_tuple().digits) > _DIGITS:
        raise Invalid("DynamoDB only supports precision up to 38 digits")
    return format(exact, "f")
