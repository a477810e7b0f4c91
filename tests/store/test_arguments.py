"""Every argument of `Conversations` is checked before any request: a `ValueError` that names it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.conftest import MakeSaver

BAD_NUMBERS: list[Any] = ["5", 5.0, True, -1, [1], b"1"]
BAD_TEXTS: list[Any] = [5, b"a", ["a"], True]
BAD_TIMES: list[Any] = [*BAD_TEXTS, "yesterday", "2026-13", "2026-01-01T25:00", "", "1700000000", "2026-01-01\x00"]

LIST_ARGUMENTS: dict[str, list[Any]] = {
    "limit": [*BAD_NUMBERS, 0, 1001, None],
    "newest_first": [1, "yes", None],
    "order_by": [*BAD_TEXTS, "title", ""],
    "status": [*BAD_TEXTS, "done", ""],
    "title_contains": BAD_TEXTS,
    "created_after": BAD_TIMES,
    "created_before": BAD_TIMES,
}
GET_ARGUMENTS: dict[str, list[Any]] = {"limit": BAD_NUMBERS, "before": BAD_NUMBERS}


def cursor_of(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


PLACE = {"u": "alice", "o": "created_at", "n": True, "id": "t", "at": "2026"}

BAD_CURSORS: list[Any] = [
    *BAD_TEXTS,
    "",
    "x",
    "é",
    "A" * 5000,
    base64.urlsafe_b64encode(b"[" * 3000).decode(),
    *map(
        cursor_of, (None, 7, [], {}, [1, 2], {**PLACE, "u": "bob"}, {**PLACE, "o": "updated_at"}, {**PLACE, "n": False})
    ),
    *map(cursor_of, ({**PLACE, "id": ""}, {**PLACE, "id": "x" * 3000}, {**PLACE, "at": 7}, {**PLACE, "at": ""})),
    *map(cursor_of, ({**PLACE, "w": 7}, {**PLACE, "w": ["2026"]}, {**PLACE, "id": "\ud800"})),
]


def bad(arguments: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(name, value, id=f"{name}-{value!r:.30}") for name, values in arguments.items() for value in values
    ]


@pytest.fixture
def refused(client: DynamoDBClient) -> Callable[[Callable[[], Any], str], None]:
    """Asserts that a call is refused with words, and sends nothing."""

    def check(call: Callable[[], Any], words: str) -> None:
        with RequestLog(client) as log, pytest.raises(ValueError, match=words):
            call()
        assert log.operations == []

    return check


@pytest.mark.parametrize(("name", "value"), bad(LIST_ARGUMENTS))
def test_an_argument_of_a_list_is_refused_by_name(
    saver: DynamoDBConversationSaver, refused: Any, name: str, value: Any
) -> None:
    if name != "limit" and value is None:
        value = 0
    refused(lambda: saver.conversations.list("alice", **{name: value}), f"{name} is ")


@pytest.mark.parametrize(("name", "value"), bad(GET_ARGUMENTS))
def test_an_argument_of_a_transcript_is_refused_by_name(
    saver: DynamoDBConversationSaver, refused: Any, name: str, value: Any
) -> None:
    refused(lambda: saver.conversations.get("t", "alice", **{name: value}), f"{name} is ")


@pytest.mark.parametrize("cursor", BAD_CURSORS, ids=lambda cursor: f"{cursor!r:.30}")
def test_a_broken_cursor_is_refused(saver: DynamoDBConversationSaver, refused: Any, cursor: Any) -> None:
    refused(lambda: saver.conversations.list("alice", cursor=cursor), "the cursor is broken")
    refused(lambda: saver.conversations.get("t", "alice", cursor=cursor), "the cursor is broken")


@pytest.mark.parametrize(
    ("after", "before"),
    [("2026-02", "2026-01"), ("2026-01", "2026-01"), ("2026-01-01T12:00:00+02:00", "2026-01-01T10:00:00Z")],
)
def test_an_interval_without_a_moment_is_refused(
    saver: DynamoDBConversationSaver, refused: Any, after: str, before: str
) -> None:
    call = lambda: saver.conversations.list("alice", created_after=after, created_before=before)  # noqa: E731
    refused(call, "created_after is before created_before")


def test_times_are_compared_as_times_whatever_their_offset(make_saver: MakeSaver) -> None:
    saver = make_saver(clock=lambda: 1_767_225_600.0)  # 2026-01-01T00:00:00Z
    saver.conversations.create("alice", title="new year")

    for after, is_listed in (
        ("2026-01-01T01:30:00+02:00", True),
        ("2025-12-31T20:00:00-05:00", False),
        ("2025-12-31T23:59:59Z", True),
        ("2025-12-31T23:59:59", True),
        ("2025", True),
        ("0999", True),
        ("2026-02", False),
    ):
        assert bool(saver.conversations.list("alice", created_after=after)) is is_listed
        assert bool(saver.conversations.list("alice", created_before=after)) is not is_listed


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*PLACE, "w"]), inner, max_size=7),
    max_leaves=12,
)


exact = {name: st.just(value) for name, value in PLACE.items()}
places = st.fixed_dictionaries({**exact, "at": st.text(), "id": st.text()})


@pytest.mark.engine("dynamodb-local")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(json_values | places, st.booleans())
def test_no_made_up_cursor_gives_another_error(saver: DynamoDBConversationSaver, value: Any, is_bounded: bool) -> None:
    bounds: Any = {"created_after": "2026", "created_before": "2027"} if is_bounded else {}
    with suppress_words("the cursor is broken"):
        saver.conversations.list("alice", cursor=cursor_of(value), **bounds)
    with suppress_words("the cursor is broken", "no such conversation"):
        saver.conversations.get("nobody", "alice", cursor=cursor_of(value))


@contextmanager
def suppress_words(*words: str) -> Iterator[None]:
    """Let a refusal with any of these words pass, and no other error."""
    try:
        yield
    except (ValueError, LookupError) as error:
        if not any(one in str(error) for one in words):
            raise
