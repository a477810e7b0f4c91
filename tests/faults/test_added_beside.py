"""Messages added from outside beside runs and beside each other: whichever request comes late, none is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.failing import Deliver, FailingClient
from tests.faults.said import USER, ask, read

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse
    from mypy_boto3_dynamodb import DynamoDBClient

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.conftest import MakeSaver

from tests.integration.transcripts import TableReader

_LONG = 30
"""Seconds that no request of these tests takes."""

Act = Callable[["DynamoDBConversationSaver", Any, str], None]


def added(saver: DynamoDBConversationSaver, config: Any, text: str) -> None:
    saver.conversations.add_message(config["configurable"]["thread_id"], "user", text, user_id=USER)


def asked(durability: str) -> Act:
    return lambda saver, config, text: ask(saver, config, "add_messages", durability, text)


def words_of(act: Act, text: str) -> list[str]:
    return [text] if act is added else [text, f"to {text}"]


ACTS: dict[str, Act] = {"added": added, "asked, async": asked("async"), "asked, exit": asked("exit")}
BEFORE: dict[str, Act | None] = {"nothing": None, "a message": added, "a turn": asked("async")}


@pytest.fixture
def late(
    make_saver: MakeSaver, failing: FailingClient, client: DynamoDBClient, table_name: str
) -> Callable[[Act | None, Act, Act, int], tuple[bool, str]]:
    """Plays one act held up at a request until another one is over; gives whether there was such a request."""

    def play(before: Act | None, slow: Act, other: Act, number: int) -> tuple[bool, str]:
        saver, beside = make_saver(client=failing.client), make_saver()
        config = saver.new_conversation(USER)
        beside.conversations.create(USER, conversation_id=config["configurable"]["thread_id"])
        if before is not None:
            before(beside, config, "before")
        is_held, may_go = threading.Event(), threading.Event()
        held_at: list[str] = []

        def held(request: Any, deliver: Deliver) -> AWSResponse:
            held_at.append(request.headers["X-Amz-Target"].decode().rpartition(".")[2])
            is_held.set()
            assert may_go.wait(_LONG)
            return deliver()

        with ThreadPoolExecutor(1) as pool, failing.failing(held, number):
            playing = pool.submit(slow, saver, config, "slow")
            while not (is_held.wait(0.01) or playing.done()):
                continue
            try:
                other(beside, config, "other")
            finally:
                may_go.set()
            playing.result()
        case = f"request {number}: {held_at}"
        words = read(make_saver(), TableReader(client, table_name), config, case)
        expected = words_of(before, "before") if before is not None else []
        assert words[: len(expected)] == expected, case
        assert sorted(words) == sorted([*expected, *words_of(slow, "slow"), *words_of(other, "other")]), case
        for text in (text for text in ("slow", "other") if f"to {text}" in words):
            assert words.index(f"to {text}") > words.index(text), case
        return bool(held_at), case

    return play


@pytest.mark.engine("memory")
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize(
    ("slow", "other"),
    [(slow, other) for slow in ACTS for other in ACTS if "added" in (slow, other)],
)
def test_no_message_is_lost_whichever_request_comes_late(
    late: Callable[[Act | None, Act, Act, int], tuple[bool, str]], before: str, slow: str, other: str
) -> None:
    number, is_held = 1, True
    while is_held:
        is_held, _ = late(BEFORE[before], ACTS[slow], ACTS[other], number)
        number += 1
    assert number > 3
