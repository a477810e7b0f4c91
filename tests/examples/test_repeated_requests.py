"""Requests of the Lambda example that end anywhere and are sent again: nothing is lost, nothing is said twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from plan_runs import UNANSWERED

from tests.engines import Engine
from tests.examples.api_events import Context, event
from tests.examples.containers import ONE, AnsweringModel, Container, MakeContainer
from tests.faults.failing import Deliver, FailingClient, Fault, unsent

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_REQUESTS = 60
"""More than a turn sends."""


class Killed(BaseException):
    """The function is killed: nothing in it can go on."""


def killed(request: Any, deliver: Deliver) -> Any:
    raise Killed


FAULTS = [
    pytest.param(unsent, 1, id="one request fails"),
    pytest.param(unsent, None, id="all requests fail"),
    pytest.param(killed, None, id="killed"),
]


def echo(messages: Any) -> str:
    return f"answer to {messages[-1].text}"


def cut_off(
    engine: Engine,
    make_container: MakeContainer,
    body: dict[str, Any],
    key: str | None,
    place: tuple[int, Fault, Any],
    later: int = 0,
) -> bool:
    """Send a request whose function fails or is killed at one of its requests; whether it came so far."""
    number, fault, times = place
    failing = FailingClient(engine)
    chat = make_container(AnsweringModel(make=echo), client=failing.client)
    with after_the_leases(chat, later), failing.failing(fault, number, times=times), suppress(Killed):
        chat("POST", "/chat", body=body, headers={"idempotency-key": key} if key else None)
    failing.close()
    return failing.sent >= number


@contextmanager
def after_the_leases(chat: Container, number: int = 1) -> Iterator[None]:
    """Later, when so many leases that were left over have ended."""
    leases = chat.service._leases
    now = leases._clock
    leases._clock = lambda: now() + 60 * number
    yield
    leases._clock = now


def begun(chat: Container, *texts: str) -> str:
    """A conversation in which all this was said."""
    named = chat.say(texts[0])["conversation_id"]
    for text in texts[1:]:
        chat.say(text, conversation_id=named)
    return str(named)


def turns(*texts: str) -> list[tuple[str, str]]:
    """A transcript in which each text got its answer."""
    return [said for text in texts for said in (("user", text), ("assistant", f"answer to {text}"))]


@pytest.mark.parametrize(("fault", "times"), FAULTS)
@pytest.mark.parametrize("before", [(), ("one", "two")], ids=["first turn", "later turn"])
def test_a_key_that_is_repeated_gets_one_answer_wherever_the_first_request_ended(
    engine: Engine, make_container: MakeContainer, fault: Fault, times: int | None, before: tuple[str, ...]
) -> None:
    chat, ends = make_container(AnsweringModel(make=echo)), 0
    for number in range(1, MOST_REQUESTS):
        key, body = f"key-{number}", {"message": "question"}
        if before:
            body["conversation_id"] = begun(chat, *before)
        if not cut_off(engine, make_container, body, key, (number, fault, times)):
            break
        ends += 1
        with after_the_leases(chat):
            said = chat.say(**{"text": body.pop("message"), **body, "key": key})
        again = chat.say("question", key=key, **body)

        named = said["conversation_id"]
        assert chat.transcript(named) == turns(*before, "question"), number
        assert said["answer"] == again["answer"] == "answer to question", number
        assert again == said | {"repeated": True}, number
        state = chat.service._graph.get_state({"configurable": {"thread_id": named, "user_id": "alice"}})
        assert len(state.values["messages"]) == 2 * len(before) + 2, number
    assert 10 < ends < MOST_REQUESTS - 2


def test_a_key_whose_requests_all_end_early_keeps_its_message_and_gets_one_answer(
    engine: Engine, make_container: MakeContainer
) -> None:
    chat, answers = make_container(AnsweringModel(make=echo)), set()
    for number in range(1, MOST_REQUESTS):
        key, body = f"key-{number}", {"message": "question"}
        if not cut_off(engine, make_container, body, key, (number, killed, None)):
            break
        for attempt in (1, 2):
            cut_off(engine, make_container, body, key, (number, killed, None), attempt)
        with after_the_leases(chat, 3):
            said = chat.say("question", key=key)

        assert chat.transcript(said["conversation_id"]) == [("user", "question"), ("assistant", said["answer"])], number
        answers.add(said["answer"])
    assert answers == {"answer to question", UNANSWERED}


def test_a_key_whose_function_was_killed_before_its_conversations_row_was_written_is_answered(
    make_container: MakeContainer, client: DynamoDBClient, table_name: str
) -> None:
    said = make_container(AnsweringModel(make=echo)).say("question", key="key")
    named = said["conversation_id"]
    client.delete_item(TableName=table_name, Key={"conversation_id": {"S": named}, "user_id": {"S": "alice"}})
    chat = make_container(AnsweringModel(make=echo))

    assert chat.say("question", key="key")["answer"] == said["answer"]
    assert chat.transcript(named) == turns("question")
    chat.say("more", conversation_id=named)
    assert chat.transcript(named) == turns("question", "more")


@pytest.mark.parametrize("key", [None, "key"])
@pytest.mark.parametrize(("fault", "times"), FAULTS)
def test_an_edit_that_is_repeated_keeps_all_earlier_turns_wherever_the_first_request_ended(
    engine: Engine, make_container: MakeContainer, fault: Fault, times: int | None, key: str | None
) -> None:
    chat, ends = make_container(AnsweringModel(make=echo)), 0
    for number in range(1, MOST_REQUESTS):
        named = begun(chat, "one", "two", "three", "wrong")
        replaces = chat("GET", ONE, conversation_id=named)[1]["messages"][-2]["id"]
        body = {"message": "right", "conversation_id": named, "replaces": replaces}
        name = f"{key}-{number}" if key else None
        if not cut_off(engine, make_container, body, name, (number, fault, times)):
            break
        ends += 1
        with after_the_leases(chat):
            made = event("POST", "/chat", body=body, headers={"idempotency-key": name} if name else None)
            status = chat.send(made, Context())[0]
        # Without a key, there is nothing to replace once the transcript shows the new message.
        assert status in ((200,) if name else (200, 404)), number
        chat.say("more", conversation_id=named)
        assert chat.transcript(named) == turns("one", "two", "three", "right", "more"), number
    assert 10 < ends < MOST_REQUESTS - 2
