"""Text that is safe to show: what may stay, what is written out, and that JSON keeps all of it."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph_dynamo_conv._visible import escaped, one_line, visible
from langgraph_dynamo_conv.errors import DynamoConvError

ARABIC_SIGNS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Format characters that are seen."""


def test_every_control_and_every_format_character_that_is_not_seen_is_written_out() -> None:
    seen = {*ARABIC_SIGNS, *map(chr, range(0x13430, 0x13440))}
    for char in map(chr, range(0x110000)):
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in seen and char not in "\t\n":
            assert visible(char) != char, hex(ord(char))
            assert visible(char).isascii()


@pytest.mark.parametrize("text", ["می‌خواهم", "क्‍ष", "👨‍👩‍👧", "👍🏽 ❤️ 1️⃣", "naïve — “quoted” 日本語", "a\tb\nc"])
def test_what_people_write_stays(text: str) -> None:
    assert visible(text) == text
    assert json.loads(escaped(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pass\u200dword", r"pass\u200dword"),
        ("a\u200bb", r"a\u200bb"),
        ("\u202etxt.exe", r"\u202etxt.exe"),
        ("\x1b[2J\x9b\x08", r"\x1b[2J\x9b\x08"),
        ("\U000e0041", r"\U000e0041"),
        ("é\u200d\u200dé", r"é\u200d\u200dé"),
    ],
)
def test_what_controls_reorders_or_hides_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_json_keeps_all_and_what_was_shown_once_stays(text: str) -> None:
    assert json.loads(escaped(json.dumps({text: text}, ensure_ascii=False))) == {text: text}
    assert visible(visible(text)) == visible(text)
    assert not set(one_line(text)) & {"\t", "\n", "\r", "\x1b", "\u2028"}


def test_an_error_says_one_visible_line_and_keeps_the_key_as_it_is() -> None:
    error = DynamoConvError("no item at c / \x1b[2J\r\nerror: x", key="c / \x1b[2J\r\nerror: x")

    assert str(error) == r"no item at c / \x1b[2J\x0d error: x"
    assert error.key == "c / \x1b[2J\r\nerror: x"
