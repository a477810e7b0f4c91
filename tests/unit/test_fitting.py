"""What of the messages fits into the row: titles, the newest exchange, shortened messages."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langgraph_dynamo_conv._format.attributes import size_of
from langgraph_dynamo_conv._transcript.fitting import (
    DEFAULT_TITLE,
    newest_exchange,
    shorten,
    sizes_of,
    title_of,
    total_size,
)
from langgraph_dynamo_conv._transcript.folding import fold

NOW = "2026-01-02T03:05:00.000Z"


def folded(*messages: BaseMessage) -> list[dict[str, Any]]:
    return fold(list(messages), timestamp=NOW)


def user(name: str) -> HumanMessage:
    return HumanMessage(f"text of {name}", id=name)


def answer(name: str) -> AIMessage:
    return AIMessage(f"text of {name}", id=name)


# Titles


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Show me\n  renders ", "Show me renders"),
        ("x" * 20, "x" * 20),
        ("Show me the renders", "Show me the renders"),
        ("Show me the renders of May", "Show me the renders…"),
        ("Show me the renderings of May", "Show me the…"),
        ("Show me the four cats", "Show me the four…"),
        ("x" * 21, "x" * 19 + "…"),
        ("", DEFAULT_TITLE),
        (" \n", DEFAULT_TITLE),
        (None, DEFAULT_TITLE),
    ],
)
def test_a_title_is_the_text_cut_at_a_word(text, title):
    assert title_of({"role": "user", "content": text}, limit=20) == title


def test_a_conversation_in_which_the_user_has_said_nothing_has_the_default_title():
    assert title_of(None) == DEFAULT_TITLE


@given(st.text(), st.integers(2, 40))
def test_a_title_is_one_line_within_the_limit(text, limit):
    title = title_of({"role": "user", "content": text}, limit=limit)
    assert title == DEFAULT_TITLE or len(title) <= limit
    assert "\n" not in title


# The row's size


def message_of(size: int) -> dict[str, Any]:
    return {"role": "user", "content": "x" * size, "timestamp": NOW}


def test_the_newest_exchange_begins_with_the_newest_message_of_the_user():
    messages = folded(user("1"), answer("2"), user("3"), answer("4"), answer("5"))
    assert newest_exchange(messages, 10_000) == 2
    assert newest_exchange(messages[:3], 10_000) == 2
    assert newest_exchange(folded(answer("1"), answer("2")), 10_000) == 0
    assert newest_exchange([], 10_000) == 0


@given(st.lists(st.integers(0, 300).map(message_of), min_size=1), st.integers(0, 2000))
def test_of_a_large_exchange_the_newest_messages_that_fit_are_kept(messages, max_bytes):
    exchange = [{**messages[0], "role": "user"}, *({**one, "role": "assistant"} for one in messages[1:])]
    start = newest_exchange(exchange, max_bytes)
    assert size_of(exchange[start:]) <= max_bytes or start == len(exchange) - 1
    assert start == 0 or size_of(exchange[start - 1 :]) > max_bytes


def test_a_message_that_fits_is_not_copied():
    message = message_of(10)
    assert shorten(message, 1000) is message


LARGE = {
    "role": "assistant",
    "content": "Found. " * 10,
    "timestamp": NOW,
    "ids": "aaaaaaaa bbbbbbbb",
    "tool_calls": [
        {"tool": "read", "args": {"path": "a.txt"}, "id": "1", "result": "x" * 300_000, "status": "error"},
        {"tool": "list", "args": {}, "id": "2", "result": {"rows": [Decimal(n) for n in range(10_000)]}},
        {"tool": "note", "args": {f"key{n}": True for n in range(900)}, "id": "3"},
        None,
    ],
}


def test_the_largest_values_are_cut_first_and_say_so():
    short = shorten(LARGE, 4096)
    assert 3500 < size_of(short) <= 4096
    assert short["shortened"] is True
    read, rows, note, _ = short["tool_calls"]
    assert read["result"].endswith(f"… [{300_000 - read['result'].index('…')} characters more]")
    assert rows["result"]["rows"][-1] == f"… [{10_001 - len(rows['result']['rows'])} more]"
    assert note["args"]["…"].endswith(" more]")
    unchanged = [(key, short[key]) for key in ("role", "content", "timestamp", "ids")]
    assert unchanged == [(key, LARGE[key]) for key in ("role", "content", "timestamp", "ids")]
    assert [(call["tool"], call["id"]) for call in (read, rows, note)] == [
        ("read", "1"),
        ("list", "2"),
        ("note", "3"),
    ]


def test_shortening_does_not_change_the_message():
    before = repr(LARGE)
    shorten(LARGE, 1000)
    assert repr(LARGE) == before


def test_a_message_of_very_many_calls_shows_the_first_ones():
    calls = [{"tool": "a", "args": {}, "id": str(n), "result": "ok"} for n in range(5000)]
    short = shorten({**LARGE, "tool_calls": calls}, 4096)
    assert size_of(short) <= 4096
    assert short["tool_calls"] == calls[: len(short["tool_calls"])] != []


def test_a_limit_too_small_for_any_message_leaves_the_least():
    short = shorten({**LARGE, "tool_calls": "odd", "content": "y" * 500, "binary": b"ab"}, 1)
    assert (short["role"], short["ids"]) == ("assistant", "aaaaaaaa bbbbbbbb")
    assert short["content"] == "y" * 40 + "… [460 characters more]"


def test_a_message_of_another_program_without_content_is_shortened_too():
    assert shorten({"role": "user", "note": "x" * 1000}, 100)["note"].endswith("characters more]")


@given(st.text(max_size=3000), st.lists(st.text(max_size=300), max_size=30), st.integers(300, 5000))
def test_a_shortened_message_fits(text, lines, max_bytes):
    message = {"role": "assistant", "content": text, "timestamp": NOW}
    message["tool_calls"] = [{"tool": "a", "args": {}, "result": lines}]
    assert size_of(shorten(message, max_bytes)) <= max_bytes


# Sizes


def test_a_message_is_counted_once_while_it_stays_the_same_object():
    said, reply = {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good evening"}
    counted = {place: (message, size + 1000) for place, (message, size) in sizes_of([said], {}).items()}

    assert total_size([said, reply], sizes_of([said, reply], counted)) == size_of([said, reply]) + 1000


def test_another_object_is_counted_whatever_it_equals():
    said = {"role": "user", "content": "Hello"}
    counted = {place: (message, 0) for place, (message, _) in sizes_of([said], {}).items()}
    copied = dict(said)

    assert total_size([copied], sizes_of([copied], counted)) == size_of([copied])
