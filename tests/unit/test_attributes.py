"""What an item can hold, and back."""

import json
import math
from datetime import date
from decimal import Decimal
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph_dynamo_conv._format.attributes import (
    MAX_LEVELS,
    clean_text,
    from_attribute,
    plain,
    size_of,
    storable,
    to_attribute,
)


class Colour(str, Enum):
    RED = "red"


class Binary:
    """As boto3 wraps binary values."""

    value = b"ab"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text() | st.binary() | st.dates(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner)
        | st.sets(st.integers() | st.text())
    ),
    max_leaves=20,
)


def assert_storable(value):
    if isinstance(value, dict):
        assert all(type(key) is str and key for key in value)
        [assert_storable(item) for item in [*value, *value.values()]]
    elif isinstance(value, list):
        [assert_storable(item) for item in value]
    elif isinstance(value, str):
        value.encode()
    elif isinstance(value, (int, Decimal)) and value:
        assert len(Decimal(value).as_tuple().digits) <= 38
        assert -130 <= Decimal(value).adjusted() <= 125
    else:
        assert value is None or isinstance(value, (bool, int, Decimal))


@given(ANYTHING)
def test_any_value_becomes_one_that_an_item_holds(value):
    assert_storable(storable(value))


@given(ANYTHING)
def test_what_an_item_holds_stays_as_it_is(value):
    assert storable(storable(value)) == storable(value)


@given(ANYTHING)
def test_what_an_item_holds_comes_back_from_its_attribute(value):
    assert from_attribute(to_attribute(storable(value))) == storable(value)


@given(ANYTHING)
def test_any_value_becomes_json(value):
    json.dumps(plain(value))
    json.dumps(plain(storable(value)), allow_nan=False)


@given(ANYTHING)
def test_any_value_has_a_size(value):
    assert size_of(value) >= 0
    assert size_of(storable(value)) == size_of(from_attribute(to_attribute(storable(value))))


@given(st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: 1e-130 < abs(number) < 1e125))
def test_a_float_is_stored_exactly(number):
    assert float(storable(number)) == number


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (0.1, Decimal("0.1")),
        (-0.0, 0),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (1e300, "1e+300"),
        (1e-200, "1e-200"),
        (10**38 - 1, 10**38 - 1),
        (10**38 + 1, str(10**38 + 1)),
        (10**125, Decimal("1E+125")),
        (10**126, str(10**126)),
        (Decimal("1.50"), Decimal("1.50")),
        (Decimal("0E-400"), 0),
        (Decimal("1E-130"), Decimal("1E-130")),
        (Decimal("9.9E-131"), "9.9E-131"),
        (Decimal("9.9E+125"), Decimal("9.9E+125")),
        (Decimal("1." + "0" * 60), Decimal(1)),
        (Decimal("1." + "0" * 60 + "1"), "1." + "0" * 60 + "1"),
        (True, True),
        (b"\x00\xff", "[bytes: 2]"),
        ((1, "a"), [1, "a"]),
        ({"b", "a"}, ["a", "b"]),
        (date(2026, 1, 2), "2026-01-02"),
        (Colour.RED, "red"),
        ({1: {None: 2}}, {"1": {"None": 2}}),
        ({"": 1}, {"(empty)": 1}),
        ("\ud83d\ude00 \ud83d", "\N{GRINNING FACE} \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_what_dynamodb_lacks_becomes_the_nearest_it_has(value, stored):
    assert str(storable(value)) == str(stored)
    assert type(storable(value)) is type(stored)


def test_a_number_of_more_digits_than_python_prints_is_its_digits():
    assert storable(10**5000) == "1" + "0" * 5000


def test_a_key_too_long_for_an_item_is_cut():
    (name,) = storable({"é" * 70_000: 1})
    assert len(name.encode()) <= 65_535
    assert name.endswith("…")


def nested(levels):
    value: object = 1
    for _ in range(levels):
        value = {"in": value}
    return value


def test_the_deepest_value_that_an_item_holds_is_kept():
    assert storable(nested(MAX_LEVELS)) == nested(MAX_LEVELS)


def test_what_is_nested_deeper_becomes_a_json_string():
    value = storable(nested(MAX_LEVELS + 2))
    for _ in range(MAX_LEVELS):
        value = value["in"]
    assert value == '{"in": {"in": 1}}'


def test_a_cycle_ends():
    cycle: list[object] = []
    cycle.append(cycle)
    assert "[list]" in str(storable(cycle))


def test_keys_that_json_lacks_end_below_the_deepest_level():
    assert storable({(1, 2): 3}, levels=0) == "[dict]"


@given(st.text())
def test_valid_text_is_not_changed(text):
    assert clean_text(text) == text


@pytest.mark.parametrize(
    ("stored", "json"),
    [
        (Decimal(1), 1),
        (Decimal("1.5"), 1.5),
        (Decimal("1E+3"), 1000),
        (Decimal("12345678901234567890.5"), 12345678901234567000),
        (Decimal("NaN"), "NaN"),
        ({Decimal(10), Decimal(9)}, [9, 10]),
        ({"b", "a"}, ["a", "b"]),
        ((1,), [1]),
        (b"ab", "YWI="),
        (Binary(), "YWI="),
        (date(2026, 1, 2), "2026-01-02"),
        ({"a": [None, True, "x"]}, {"a": [None, True, "x"]}),
    ],
)
def test_stored_values_become_json(stored, json):
    assert plain(stored) == json
    assert type(plain(stored)) is type(json)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("abc", 3),
        ("é", 2),
        (None, 1),
        (False, 1),
        (0, 1),
        (7, 2),
        (123, 3),
        (-123, 4),
        (12300, 3),
        (Decimal("0.5"), 2),
        (0.25, 2),
        (b"abc", 3),
        ([], 3),
        (["ab", 1], 3 + (1 + 2) + (1 + 2)),
        ({"k": "ab"}, 3 + 1 + 1 + 2),
        (date(2026, 1, 2), 10),
    ],
)
def test_sizes_are_those_that_dynamodb_counts(value, size):
    assert size_of(value) == size
