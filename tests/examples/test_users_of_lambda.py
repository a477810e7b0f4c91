"""What the Lambda example does for each user: counts their turns, and erases all that it has of them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from time_left import STORE_SECONDS, TimeLeft

from tests.examples.api_events import Context, event
from tests.examples.containers import EXAMPLES, ONE, AnsweringModel, Container, FailingModel, MakeContainer, items
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Clock:
    """A clock that others set."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


# Turns a minute.


def test_a_users_turns_in_a_minute_are_bounded_in_all_containers(make_container: MakeContainer) -> None:
    clock = Clock(60_000_045.0)
    containers = [make_container(turns_a_minute=3) for _ in range(2)]
    for container in containers:
        container.service._counts._clock = clock

    named = containers[0].say("hello")["conversation_id"]
    containers[1].say("hello")
    containers[0].say("thanks", conversation_id=named)
    for method, route in (("POST", "/chat"), ("POST", f"{ONE}/resume")):
        body: dict[str, Any] = {"message": "more"} if route == "/chat" else {}
        refused = containers[1].raw(event(method, route, body=body, conversation_id=named))
        assert (refused["statusCode"], refused["headers"]["Retry-After"]) == (429, "15")
        assert "urn:chat:problem:too-many-turns" in refused["body"]
    assert containers[1].say("hello", user="bob")["answer"]
    assert containers[1]("GET", ONE, conversation_id=named)[0] == 200
    clock.now += 15
    assert containers[1].say("hello")["answer"]


def test_a_turn_that_is_refused_reads_its_conversations_row_and_changes_nothing(
    make_container: MakeContainer, client: DynamoDBClient, table_name: str
) -> None:
    chat = make_container(turns_a_minute=1)
    chat.service._counts._clock = Clock(60_000_000.0)
    named = chat.say("hello")["conversation_id"]
    before = items(client, table_name)

    with RequestLog(client) as log:
        assert chat("POST", "/chat", body={"message": "more", "conversation_id": named})[0] == 429

    assert log.operations == ["GetItem", "UpdateItem"]
    assert items(client, table_name) == before


def test_what_is_answered_already_and_what_is_not_there_take_no_turn(make_container: MakeContainer) -> None:
    chat = make_container(turns_a_minute=2)
    chat.service._counts._clock = Clock(60_000_000.0)
    missing = {"conversation_id": "none"}
    assert chat("POST", "/chat", body={"message": "hello", **missing})[0] == 404
    assert chat("POST", f"{ONE}/resume", body={}, **missing)[0] == 404

    first, second = chat.say("hello", key="1"), chat.say("thanks", key="2")
    refused = chat("POST", "/chat", body={"message": "more"}, headers={"idempotency-key": "3"})

    assert refused[0] == 429
    assert chat.say("hello", key="1") == first | {"repeated": True}
    assert chat.say("thanks", key="2") == second | {"repeated": True}


def test_a_run_that_goes_on_takes_one_turn_and_is_not_tried_where_none_is_left(make_container: MakeContainer) -> None:
    clock, body, headers = Clock(60_000_000.0), {"message": "hello"}, {"idempotency-key": "k"}
    chat = make_container(FailingModel(failures=[RuntimeError("once")]), turns_a_minute=1)
    chat.service._counts._clock = clock

    assert chat("POST", "/chat", body=body, headers=headers)[0] == 500
    for _ in range(3):
        assert chat("POST", "/chat", body=body, headers=headers)[0] == 429
    clock.now += 60
    assert chat.say("hello", key="k")["answer"].startswith("Hello")
    assert chat("POST", "/chat", body={"message": "more"})[0] == 429


def test_counts_expire_and_no_list_or_conversation_has_them(
    make_container: MakeContainer, client: DynamoDBClient, table_name: str
) -> None:
    chat = make_container(turns_a_minute=5)
    chat.say("hello")

    (count,) = [item for item in items(client, table_name) if item["conversation_id"]["S"] == "turns#alice"]
    assert int(count["expires_at"]["N"]) % 60 == 0
    assert len(chat("GET", "/conversations")[1]["conversations"]) == 1
    assert chat("GET", ONE, conversation_id="turns#alice")[0] == 404


def test_without_a_limit_nothing_is_counted(chat: Container, client: DynamoDBClient, table_name: str) -> None:
    chat.say("hello")

    assert [item for item in items(client, table_name) if item["conversation_id"]["S"].startswith("turns#")] == []


# Erasing a person.


def test_all_that_is_stored_of_who_asks_is_erased_and_nothing_of_others(
    make_container: MakeContainer, client: DynamoDBClient, table_name: str
) -> None:
    chat = make_container(turns_a_minute=100)
    for number in range(4):
        chat.say(f"hello {number}")
    chat("POST", "/conversations", body={"title": "empty"})
    chat.say("Keep a note: milk")
    kept = chat.say("hello", user="alicea")["conversation_id"]

    assert chat("DELETE", "/me") == (204, {})
    assert chat("DELETE", "/me") == (204, {})

    left = items(client, table_name)
    assert [item for item in left if item["user_id"]["S"].partition("#")[0] == "alice"] == []
    assert chat.transcript(kept, user="alicea")[0] == ("user", "hello")


def test_what_has_expired_and_is_still_in_the_table_is_erased_too(
    make_container: MakeContainer, client: DynamoDBClient, table_name: str
) -> None:
    chat = make_container(days=1)
    chat.say("hello")
    for item in items(client, table_name):
        client.put_item(TableName=table_name, Item={**item, "expires_at": {"N": str(int(time.time()) - 60)}})
    assert chat("GET", "/conversations")[1]["conversations"] == []

    assert chat("DELETE", "/me") == (204, {})
    assert items(client, table_name) == []


def test_more_conversations_than_fit_into_the_time_are_erased_by_repetition(make_container: MakeContainer) -> None:
    clock, chat = Clock(1000.0), make_container()
    for number in range(6):
        chat.say(f"hello {number}")
    chat.service.time = TimeLeft(clock)
    leases = chat.service._leases
    take = leases._take

    def slow_take(*args: Any) -> None:
        clock.now += 5
        take(*args)

    leases._take = slow_take  # type: ignore[method-assign]
    answers = [chat.raw(event("DELETE", "/me"), Context(STORE_SECONDS + 12)) for _ in range(2)]

    assert [answer["statusCode"] for answer in answers] == [202, 204]
    assert answers[0]["headers"]["Retry-After"] == "2"
    assert chat("GET", "/conversations")[1]["conversations"] == []


def test_a_run_under_way_is_asked_to_stop_and_its_conversation_is_erased_by_repetition(
    make_container: MakeContainer,
) -> None:
    asked, told = threading.Event(), threading.Event()

    def slow(messages: Any) -> Any:
        if messages[-1].text == "hello":
            return "hi"
        asked.set()
        assert told.wait(20)
        return [("search_files", {"kind": "python"})]

    chat, other = make_container(AnsweringModel(make=slow)), make_container()
    named = chat.say("hello")["conversation_id"]
    chat.say("hello")
    with ThreadPoolExecutor(1) as pool:
        turn = pool.submit(chat, "POST", "/chat", body={"message": "go", "conversation_id": named})
        assert asked.wait(20)
        first = other.raw(event("DELETE", "/me"))["statusCode"]
        told.set()
        said = turn.result()[1]
    second = other.raw(event("DELETE", "/me"))["statusCode"]

    assert (first, said["answer"], second) == (202, "Stopped.", 204)
    assert other("GET", "/conversations")[1]["conversations"] == []


# What a turn costs, as the example's README says.


@pytest.mark.engine("dynamodb-local")
def test_a_turn_costs_what_the_readme_says(make_container: MakeContainer, client: DynamoDBClient) -> None:
    readme = " ".join((EXAMPLES / "lambda" / "README.md").read_text().split())
    chat = make_container(turns_a_minute=1000)

    def counted(**where: Any) -> tuple[int, float]:
        with RequestLog(client) as log:
            chat.say("Show me the Python files", **where)
        return len(log), log.wru

    first = counted(key="first")
    repeated = counted(key="first")
    named = chat("GET", "/conversations")[1]["conversations"][0]["conversation_id"]
    later = [counted(conversation_id=named) for _ in range(6)]

    least, most = min(units for _, units in later), max(units for _, units in later)
    assert {requests for requests, _ in later} == {later[0][0]}
    assert f"a turn with a tool call is {later[0][0]} requests and {least:g} to {most:g} write units" in readme
    assert f"the first turn of a conversation is {first[0]} requests and {first[1]:g} units" in readme
    assert f"a request that was answered before is {repeated[0]} requests and {repeated[1]:g} units" in readme
