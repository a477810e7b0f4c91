"""Answers of the Lambda example are below Lambda's 6 MB, whatever the conversations hold, and say what is left out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from answer_sizes import (
    MARK,
    MOST_MESSAGE_BYTES,
    MOST_PAGE_BYTES,
    MOST_SUMMARY_BYTES,
    fitted,
    fitted_message,
    fitted_reply,
    fitted_summary,
    size_of,
    to_json,
)
from chat_requests import LARGEST_PAGE
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples.api_events import event
from tests.examples.containers import ONE, AnsweringModel, Container, MakeContainer

LAMBDA_BYTES = 6_291_556
"""AWS Lambda Developer Guide, "Lambda quotas": 6 MB for a synchronous answer; the number is that of its error."""

PIECES = ["a", "é", "😀", '"', "\\", "\n", "\0", "\u202e", "word ", "<b>"]
texts = st.builds(lambda piece, times: piece * times, st.sampled_from(PIECES), st.integers(0, 3_000))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.integers(-(10**400), 10**400), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(texts, inner, max_size=6)),
    max_leaves=20,
)


def answered(answer: Any) -> int:
    """The bytes of a function's answer, as the runtimes before Python 3.12 encode it, which escape the most."""
    return len(json.dumps(answer))


@given(values, st.integers(2, 5_000))
def test_whatever_is_fitted_has_no_more_bytes_than_it_may(value: Any, most: int) -> None:
    shown = fitted(value, most)

    assert shown is None or size_of(shown) <= max(most, size_of(""))
    assert shown is value or size_of(value) > most
    assert shown is None or isinstance(shown, type(value)) or isinstance(value, int)


@given(texts, st.integers(100, 5_000))
def test_a_text_keeps_as_much_of_its_beginning_as_fits_and_says_that_it_was_cut(text: str, most: int) -> None:
    shown = fitted(text, most)

    if shown != text:
        assert shown.endswith(MARK)
        kept = shown.removesuffix(MARK)
        assert text.startswith(kept)
        assert size_of(text[: len(kept) + 1] + MARK) > most


@given(st.lists(values, max_size=8), texts, st.integers(300, 5_000))
@settings(max_examples=50)
def test_small_parts_stay_whole_and_names_and_types_stay(results: list[Any], text: str, most: int) -> None:
    message = {
        "role": "assistant",
        "content": text * 10,
        "id": "m1",
        "tool_calls": [{"result": one} for one in results],
    }

    shown = fitted(message, most)

    assert shown.keys() == message.keys()
    assert (shown["role"], shown["id"]) == ("assistant", "m1")
    assert isinstance(shown["content"], str)
    assert isinstance(shown["tool_calls"], list)


def test_a_page_of_the_largest_conversations_is_below_the_limit() -> None:
    summary = fitted_summary({"conversation_id": "x" * 2048, "title": "😀" * 100_000, "waiting_for": ["é" * 50_000]})
    page = {"conversations": [summary] * LARGEST_PAGE, "cursor": "x" * 8_000}

    assert summary["shortened"] is True
    assert summary["conversation_id"] == "x" * 2048
    assert answered({"body": to_json(page)}) < LAMBDA_BYTES
    assert MOST_PAGE_BYTES + 2 * MOST_SUMMARY_BYTES + 2 * MOST_MESSAGE_BYTES < LAMBDA_BYTES


@given(texts, st.lists(st.tuples(texts, values), max_size=5))
@settings(max_examples=20)
def test_the_answer_to_a_turn_is_below_its_bound_and_marked(answer: str, calls: list[tuple[str, Any]]) -> None:
    large = {"answer": answer * 100, "tool_calls": [{"tool": name, "args": {"v": args}} for name, args in calls * 50]}
    shown = fitted_reply({"conversation_id": "c", **large, "repeated": False, "conversation": {}})

    assert size_of(shown) <= MOST_MESSAGE_BYTES + 200
    assert ("shortened" in shown) == (size_of(large) > MOST_MESSAGE_BYTES)


def test_a_message_that_fits_is_the_same() -> None:
    message = {"role": "user", "content": "hello", "timestamp": "t", "id": "m"}

    assert fitted_message(message) is message


# The function's answers.


def raw(chat: Container, made: Any) -> dict[str, Any]:
    """The body of an answer that Lambda takes."""
    answer = chat.raw(made)
    assert answered(answer) < LAMBDA_BYTES
    assert answer["statusCode"] == 200, answer["body"][:200]
    body: dict[str, Any] = json.loads(answer["body"])
    return body


@pytest.mark.parametrize("piece", ["a", '"', "😀"])
def test_an_answer_of_7_mb_is_shortened_wherever_it_is_sent(make_container: MakeContainer, piece: str) -> None:
    text = piece * (7_000_000 // len(piece.encode()))
    chat = make_container(AnsweringModel(make=lambda messages: text if len(messages) == 2 else "small"))

    said = raw(chat, event("POST", "/chat", body={"message": "hello"}, headers={"idempotency-key": "k"}))
    named = {"conversation_id": said["conversation_id"]}
    again = raw(chat, event("POST", "/chat", body={"message": "hello"}, headers={"idempotency-key": "k"}))
    shown = raw(chat, event("GET", ONE, **named))
    listed = raw(chat, event("GET", "/conversations"))

    assert said["shortened"] is again["shortened"] is shown["messages"][1]["shortened"] is True
    for content in (said["answer"], again["answer"], shown["messages"][1]["content"]):
        assert content.startswith(piece * 30_000)
        assert content.endswith(MARK)
    assert len(listed["conversations"]) == 1
    assert "shortened" not in shown["messages"][0]
    assert chat("GET", f"{ONE}/export", **named)[0] == 413


def test_arguments_and_results_of_tools_are_shortened_too(make_container: MakeContainer) -> None:
    def calls(messages: Any) -> Any:
        if messages[-1].type == "tool":
            return "done"
        return [("search_files", {"name": "😀" * 49_000}), ("search_files", {"kind": "python"})]

    chat = make_container(AnsweringModel(make=calls))
    said = raw(chat, event("POST", "/chat", body={"message": "hello"}))
    shown = raw(chat, event("GET", ONE, conversation_id=said["conversation_id"]))

    for message in (said, shown["messages"][1]):
        large, small = message["tool_calls"]
        assert large["args"]["name"].endswith(MARK)
        assert small["args"] == {"kind": "python"}
        assert message["shortened"] is True
    assert (said["answer"], shown["messages"][1]["content"]) == ("done", "done")


def test_large_messages_are_paged_so_that_each_page_fits(make_container: MakeContainer) -> None:
    chat = make_container(AnsweringModel(make=lambda _: '"' * 200_000))
    named = {"conversation_id": chat.say("hello")["conversation_id"]}
    for _ in range(11):
        chat.say("more", **named)

    found, query = 0, {"limit": "100"}
    while query.get("before") != "None":
        page = raw(chat, event("GET", ONE, query=query, **named))
        found += len(page["messages"])
        query = {"limit": "100", "before": str(page["before"])}

    assert found == 24
