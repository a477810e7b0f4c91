"""The Lambda example: API Gateway's events in, answers out, on a table of DynamoDB; one user never meets another."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import runpy
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import chat_pages
import cold_start
import pytest
from assistant import model_maker
from botocore.exceptions import ReadTimeoutError
from chat_api import MAX_BODY_BYTES
from chat_requests import MAX_MESSAGE_CHARACTERS, ResumeRequest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ValidationError

from tests.examples.api_events import EVENTS, MISSING, event
from tests.examples.containers import (
    EXAMPLES,
    ONE,
    SECRET,
    Container,
    FailingModel,
    MakeContainer,
    OfflineFileModel,
    client_error,
    items,
)
from tests.faults.failing import Deliver, FailingClient, Fault, error_500, refusal, throttled, unsent
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.engines import Engine

SIX_ACTIONS = {"PutItem", "GetItem", "UpdateItem", "DeleteItem", "Query", "Scan"}


def without_id(problem: dict[str, Any]) -> dict[str, Any]:
    """A problem without what tells requests apart."""
    assert uuid.UUID(problem.pop("request_id"))
    return problem


# A chat.


def test_a_chat_goes_on_in_any_container(make_container: MakeContainer) -> None:
    first = make_container().say("Show me the Python files")
    second = make_container().say("the first one", conversation_id=first["conversation_id"])

    assert "app.py" in first["answer"]
    assert first["tool_calls"] == [{"tool": "search_files", "args": {"kind": "python"}}]
    assert second["conversation_id"] == first["conversation_id"]
    assert second["tool_calls"] == [{"tool": "file_details", "args": {"path": "app.py"}}]
    assert first["repeated"] is second["repeated"] is False


def test_a_conversation_is_listed_shown_renamed_and_deleted(
    chat: Container, client: DynamoDBClient, table_name: str
) -> None:
    said = chat.say("Show me the Python files")
    named = {"conversation_id": said["conversation_id"]}

    status, listed = chat("GET", "/conversations")
    assert (status, listed["cursor"]) == (200, None)
    (summary,) = listed["conversations"]
    times = {"created_at", "updated_at", "status_at"}
    assert summary.keys() == {"conversation_id", "title", "message_count", "status", *times}
    assert (summary["title"], summary["message_count"], summary["status"]) == ("Show me the Python files", 2, "idle")
    status, renamed = chat("PATCH", ONE, **named, body={"title": "  Pythón "})
    assert (status, renamed) == (200, summary | {"title": "Pythón"})
    status, shown = chat("GET", ONE, **named)
    assert shown.items() >= renamed.items()
    assert [message["role"] for message in shown["messages"]] == ["user", "assistant"]
    assert shown["messages"][1]["tool_calls"][0]["tool"] == "search_files"
    assert shown["messages"][1]["content"] == said["answer"]
    deleted = chat.raw(event("DELETE", ONE, **named))
    assert (deleted["statusCode"], deleted["body"]) == (204, "")
    assert chat("GET", ONE, **named)[0] == 404
    assert chat("DELETE", ONE, **named)[0] == 404
    assert chat("POST", "/chat", body={"message": "hello", **named})[0] == 404
    assert items(client, table_name) == []


def test_a_list_is_paged_by_its_cursor(chat: Container) -> None:
    begun = [chat.say(f"hello {number}")["conversation_id"] for number in range(5)]
    found: list[str] = []
    query = {"limit": "2"}
    while query.get("cursor") != "":
        _, page = chat("GET", "/conversations", query=query)
        assert len(page["conversations"]) <= 2
        found += [each["conversation_id"] for each in page["conversations"]]
        query = {"limit": "2", "cursor": page["cursor"] or ""}

    assert found == begun[::-1]


def test_older_messages_are_paged_by_number(chat: Container) -> None:
    conversation_id = chat.say("hello 0")["conversation_id"]
    for number in range(1, 3):
        chat.say(f"hello {number}", conversation_id=conversation_id)

    _, newest = chat("GET", ONE, conversation_id=conversation_id, query={"limit": "4"})
    query = {"limit": "4", "before": str(newest["before"])}
    _, older = chat("GET", ONE, conversation_id=conversation_id, query=query)

    assert (newest["before"], older["before"]) == (2, None)
    whole = [message["content"] for message in older["messages"] + newest["messages"]]
    assert whole == [content for _, content in chat.transcript(conversation_id)]
    assert whole[::2] == ["hello 0", "hello 1", "hello 2"]


def test_a_page_has_no_more_than_lambda_can_answer(chat: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    conversation_id = chat.say("hello 0")["conversation_id"]
    chat.say("hello 1", conversation_id=conversation_id)
    monkeypatch.setattr(chat_pages, "MOST_PAGE_BYTES", 10)

    query: dict[str, str] = {}
    found: list[Any] = []
    for _ in range(4):
        _, page = chat("GET", ONE, conversation_id=conversation_id, query=query)
        assert len(page["messages"]) == 1
        found = page["messages"] + found
        query = {"before": str(page["before"])}

    assert query == {"before": "None"}
    assert [message["content"] for message in found][::2] == ["hello 0", "hello 1"]


@pytest.mark.parametrize("text", ["Grüße 😀 \u202e", "a\0b", "line\nline", "'; DROP TABLE", "\ufeffx", "#" * 300])
def test_whatever_is_said_is_kept(chat: Container, text: str) -> None:
    conversation_id = chat.say(text)["conversation_id"]

    assert chat.transcript(conversation_id)[0] == ("user", text)


def test_a_body_in_base64_is_decoded(chat: Container) -> None:
    made = event("POST", "/chat")
    made["body"] = base64.b64encode(json.dumps({"message": "hállo"}).encode()).decode()
    made["isBase64Encoded"] = True

    status, said = chat.send(made)

    assert status == 200
    assert chat.transcript(said["conversation_id"])[0] == ("user", "hállo")


@pytest.mark.parametrize("name", ["chat", "conversation"])
def test_the_events_to_try_it_with_are_answered(chat: Container, name: str) -> None:
    status, _ = chat.send(json.loads((EVENTS / f"{name}.json").read_text()))

    assert status == {"chat": 200, "conversation": 404}[name]


# Who asks.


def test_another_users_conversation_is_as_if_it_never_was(
    chat: Container, client: DynamoDBClient, table_name: str
) -> None:
    theirs = chat.say("Show me the Python files", user="alice")["conversation_id"]
    before = items(client, table_name)

    for named in (theirs, str(uuid.uuid4())):
        for status, problem in (
            chat("GET", ONE, user="bob", conversation_id=named),
            chat("PATCH", ONE, user="bob", conversation_id=named, body={"title": "Mine"}),
            chat("DELETE", ONE, user="bob", conversation_id=named),
            chat("POST", "/chat", user="bob", body={"message": "hello", "conversation_id": named}),
        ):
            assert status == 404
            assert without_id(problem) == {
                "type": "urn:chat:problem:not-found",
                "title": "Not Found",
                "status": 404,
                "detail": "There is nothing here for this user.",
            }
    assert chat("GET", "/conversations", user="bob")[1] == {"conversations": [], "cursor": None}
    assert items(client, table_name) == before


@pytest.mark.parametrize("route", ["/chat", "/conversations", ONE])
def test_the_user_comes_from_the_token_alone(chat: Container, route: str) -> None:
    alices = chat.say("hello", user="alice")["conversation_id"]
    others = {"user_id": "alice", "sub": "alice"}
    headers = {"user-id": "alice", "x-user-id": "alice", "x-amzn-oidc-identity": "alice"}

    if route == "/chat":
        status, problem = chat("POST", route, user="bob", body={"message": "hello", "user_id": "alice"})
        assert (status, problem["errors"]) == (400, [{"at": "body.user_id", "rule": "extra_forbidden"}])
        status, said = chat("POST", route, user="bob", body={"message": "hello"}, query=others, headers=headers)
        assert (status, said["conversation_id"] == alices) == (200, False)
    elif route == ONE:
        assert chat("GET", route, user="bob", conversation_id=alices, query=others, headers=headers)[0] == 404
    else:
        assert chat("GET", route, user="bob", query=others, headers=headers)[1]["conversations"] == []
    assert len(chat("GET", "/conversations", user="alice")[1]["conversations"]) == 1


@pytest.mark.engine("moto")
@pytest.mark.parametrize(
    "subject", [MISSING, None, "", " ", 7, True, 1.5, ["alice"], {"a": "b"}, "a#b", "a\0", "a b", "é", "x" * 256]
)
def test_without_a_subject_nothing_is_done(chat: Container, client: DynamoDBClient, subject: Any) -> None:
    with RequestLog(client) as log:
        for method, route in (("POST", "/chat"), ("GET", "/conversations"), ("GET", ONE), ("DELETE", ONE)):
            status, problem = chat(method, route, user=subject, body={"message": "hello"}, conversation_id="c")
            assert (status, problem["type"]) == (401, "urn:chat:problem:unauthorized")

    assert len(log) == 0


@pytest.mark.engine("moto")
@pytest.mark.parametrize("part", ["requestContext", "authorizer", "jwt", "claims"])
@pytest.mark.parametrize("value", [MISSING, None, "alice", [], ["sub"], 7])
def test_an_event_without_an_authorizers_claims_is_refused(chat: Container, part: str, value: Any) -> None:
    made = event("GET", "/conversations")
    holder: Any = made
    for name in ("requestContext", "authorizer", "jwt", "claims"):
        if name == part:
            break
        holder = holder[name]
    holder.pop(part) if value is MISSING else holder.update({part: value})

    assert chat.send(made)[0] == 401


# What is asked.

BAD_BODIES: list[tuple[Any, int]] = [
    (None, 400),
    ("", 400),
    ("{", 400),
    ("null", 400),
    ("[]", 400),
    ('"hello"', 400),
    ("NaN", 400),
    ("[" * 60_000, 400),
    ('{"message": "\\ud800"}', 400),
    ({}, 400),
    ({"message": ""}, 400),
    ({"message": "  \n "}, 400),
    ({"message": None}, 400),
    ({"message": 7}, 400),
    ({"message": ["hello"]}, 400),
    ({"message": "x" * (MAX_MESSAGE_CHARACTERS + 1)}, 400),
    ({"message": "hello", "conversation_id": 7}, 400),
    ({"message": "hello", "conversation_id": ["a"]}, 400),
    ({"message": "hello", "thread_id": "t"}, 400),
    ({"message": "x" * MAX_BODY_BYTES}, 413),
    ("x" * 5_000_000, 413),
]


@pytest.mark.engine("moto")
@pytest.mark.parametrize(("body", "status"), BAD_BODIES)
def test_a_wrong_body_is_refused_before_any_request(
    chat: Container, client: DynamoDBClient, body: Any, status: int
) -> None:
    with RequestLog(client) as log:
        answer = chat.raw(event("POST", "/chat", body=body))

    assert answer["statusCode"] == json.loads(answer["body"])["status"] == status
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert len(log) == 0


@pytest.mark.engine("moto")
@pytest.mark.parametrize(
    "answers",
    ['"a\\ud800b"', '{"x": ["\\udfff"]}', '{"\\ud800": 1}'],
    ids=["text", "list", "name"],
)
def test_an_answer_that_is_no_text_in_utf_8_is_refused_before_any_request(
    chat: Container, client: DynamoDBClient, answers: str
) -> None:
    made = event("POST", f"{ONE}/resume", conversation_id="c", body=f'{{"answers": {{"id": {answers}}}}}')
    with RequestLog(client) as log:
        status, problem = chat.send(made)

    assert (status, problem["type"]) == (400, "urn:chat:problem:bad-request")
    assert len(log) == 0


def test_an_answer_that_is_nested_too_deeply_to_be_written_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(ValidationError, match="nested too deeply"):
        ResumeRequest(answers={"id": deep})


@pytest.mark.engine("moto")
@pytest.mark.parametrize("body", ["not base64!", "YQ", base64.b64encode(b"\xff\xfe{}").decode(), "é"])
def test_a_body_that_is_not_what_it_is_said_to_be_is_refused(chat: Container, body: str) -> None:
    made = event("POST", "/chat", body=body)
    made["isBase64Encoded"] = True

    assert chat.send(made)[0] == 400


@pytest.mark.engine("moto")
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_body_of_another_type_is_refused(chat: Container, kind: str) -> None:
    status, problem = chat("POST", "/chat", body="message=hello", headers={"content-type": kind})

    assert (status, problem["type"]) == (415, "urn:chat:problem:unsupported-media-type")


@pytest.mark.engine("moto")
@pytest.mark.parametrize(
    ("changes", "statuses"),
    [
        ({"headers": None, "queryStringParameters": None, "pathParameters": None, "cookies": None}, {200}),
        ({"headers": {"content-type": "application/json; charset=utf-8"}}, {200}),
        ({"headers": {"Content-Type": "text/plain"}}, {415}),
        ({"headers": {"content-type": None}}, {400, 500}),
        ({"body": {"message": "hello"}}, {400, 500}),
        ({"rawPath": None}, {400, 404, 500}),
        ({"rawPath": 7}, {400, 404, 500}),
        ({"version": "1.0"}, {200}),
    ],
)
def test_whatever_the_event_is_there_is_an_answer(chat: Container, changes: dict[str, Any], statuses: set[int]) -> None:
    assert chat.send(event("POST", "/chat", body={"message": "hello"}) | changes)[0] in statuses


def test_the_longest_message_is_taken(chat: Container) -> None:
    text = "é" * MAX_MESSAGE_CHARACTERS

    assert chat.transcript(chat.say(text)["conversation_id"])[0] == ("user", text)


HOSTILE_IDS = [
    "#",
    "a#b",
    "run#1",
    "alice#c##1",
    "%",
    "%23",
    "%00",
    "a\0b",
    "x" * 300,
    "é" * 300,
    "x" * 3000,
    "../chat",
    "a/b",
    " ",
    "'",
    '"',
    "`",
    "\\",
    "?",
    "\u202e",
    "😀",
    "$context",
    "null",
]


@pytest.mark.parametrize("named", HOSTILE_IDS)
def test_an_id_that_no_conversation_has_is_not_found(
    chat: Container, client: DynamoDBClient, table_name: str, named: str
) -> None:
    for status, problem in (
        chat("GET", ONE, conversation_id=named),
        chat("PATCH", ONE, conversation_id=named, body={"title": "Mine"}),
        chat("DELETE", ONE, conversation_id=named),
        chat("POST", "/chat", body={"message": "hello", "conversation_id": named}),
    ):
        assert (status, problem["type"]) == (404, "urn:chat:problem:not-found")
    assert items(client, table_name) == []


def test_an_id_with_percent_signs_is_taken_as_api_gateway_decoded_it(
    chat: Container, client: DynamoDBClient, table_name: str
) -> None:
    conversation_id = chat.say("hello")["conversation_id"]
    for item in items(client, table_name):
        client.put_item(TableName=table_name, Item={**item, "conversation_id": {"S": "50%41"}})

    assert chat.transcript("50%41") == chat.transcript(conversation_id)
    assert chat("GET", ONE, conversation_id="50A")[0] == 404


def cursor_of(**changes: Any) -> str:
    """A cursor as `GET /conversations` gives it, with changes."""
    body = {"u": "alice", "o": "created_at", "n": True, "id": "c", "at": "2025-01-01T00:00:00Z", **changes}
    return base64.urlsafe_b64encode(json.dumps(body).encode()).decode()


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "-1"},
        {"limit": "x"},
        {"limit": "1e2"},
        {"limit": ""},
        {"limit": "1,2x"},
        {"cursor": "x"},
        {"cursor": "é"},
        {"cursor": "x" * 5000},
        {"cursor": cursor_of(u="bob")},
        {"cursor": cursor_of(o="updated_at")},
        {"cursor": cursor_of(id=7)},
    ],
)
def test_a_wrong_query_is_refused(chat: Container, query: dict[str, str]) -> None:
    status, problem = chat("GET", "/conversations", query=query)

    assert (status, problem["type"]) == (400, "urn:chat:problem:bad-request")


@pytest.mark.parametrize(
    "changes", [{"id": ""}, {"at": ""}, {"id": "x" * 2049}, {"at": "x" * 1025}, {"id": "a#b"}, {"at": "9"}]
)
def test_a_cursor_that_was_made_up_fails_nothing_and_shows_nothing_of_others(
    chat: Container, changes: dict[str, str]
) -> None:
    chat.say("hello", user="bob")

    status, said = chat("GET", "/conversations", query={"cursor": cursor_of(**changes)})

    assert (status, said.get("conversations")) in ((400, None), (200, []))


@pytest.mark.parametrize("query", [{"before": "-1"}, {"before": "x"}, {"before": "9" * 30}, {"limit": "0"}])
def test_a_wrong_page_of_messages_is_refused(chat: Container, query: dict[str, str]) -> None:
    conversation_id = chat.say("hello")["conversation_id"]

    assert chat("GET", ONE, conversation_id=conversation_id, query=query)[0] == 400


@pytest.mark.parametrize("body", [None, {}, {"title": ""}, {"title": " "}, {"title": "x" * 201}, {"title": 1}, ["x"]])
def test_a_wrong_title_is_refused(chat: Container, body: Any) -> None:
    conversation_id = chat.say("hello")["conversation_id"]

    assert chat("PATCH", ONE, conversation_id=conversation_id, body=body)[0] == 400
    assert chat("GET", "/conversations")[1]["conversations"][0]["title"] == "hello"


@pytest.mark.engine("moto")
@pytest.mark.parametrize(("method", "route"), [("GET", "/"), ("PUT", "/chat"), ("GET", "/chat"), ("POST", "/nowhere")])
def test_a_route_that_is_none_is_not_found(chat: Container, method: str, route: str) -> None:
    assert chat(method, route, body={"message": "hello"})[0] == 404


# The same request again.


def test_a_request_that_is_repeated_is_answered_alike_and_done_once(make_container: MakeContainer) -> None:
    first = make_container().say("Show me the Python files", key="k 1".replace(" ", ","))
    again = make_container().say("Show me the Python files", key="k,1")
    other = make_container().say("Show me the Python files", key="k,2")

    assert again == first | {"repeated": True}
    assert other["conversation_id"] != first["conversation_id"]
    assert len(make_container().transcript(first["conversation_id"])) == 2


def test_an_early_request_is_repeated_late(chat: Container) -> None:
    named = {"conversation_id": chat.say("hello")["conversation_id"]}
    early = chat.say("Show me the Python files", key="early", **named)
    chat.say("the first one", key="late", **named)

    repeated = chat.say("Show me the Python files", key="early", **named)
    assert repeated == early | {"repeated": True, "conversation": repeated["conversation"]}
    assert len(chat.transcript(named["conversation_id"])) == 6


def test_a_key_is_a_users_own(chat: Container) -> None:
    alices = chat.say("hello", user="alice", key="same")
    bobs = chat.say("thanks", user="bob", key="same")

    assert alices["conversation_id"] != bobs["conversation_id"]
    assert bobs["repeated"] is False


def test_a_key_with_another_message_is_refused(chat: Container) -> None:
    conversation_id = chat.say("hello", key="k")["conversation_id"]

    status, problem = chat("POST", "/chat", body={"message": "bye"}, headers={"idempotency-key": "k"})

    assert (status, problem["type"]) == (409, "urn:chat:problem:idempotency-key-reused")
    assert len(chat.transcript(conversation_id)) == 2


@pytest.mark.engine("moto")
@pytest.mark.parametrize("key", ["", " ", "é", "x" * 201, "a\0"])
def test_a_key_of_another_form_is_refused(chat: Container, key: str) -> None:
    assert chat("POST", "/chat", body={"message": "hello"}, headers={"idempotency-key": key})[0] == 400


class SlowModel(OfflineFileModel):
    """A model that answers when it is told to."""

    asked: Any = None
    told: Any = None

    def _generate(self, *args: Any, **options: Any) -> ChatResult:
        self.asked.set()
        assert self.told.wait(20)
        return super()._generate(*args, **options)


def test_two_requests_at_once_are_one_turn(make_container: MakeContainer) -> None:
    asked, told = threading.Event(), threading.Event()
    slow, other = make_container(SlowModel(asked=asked, told=told)), make_container()
    known = other.say("hello")["conversation_id"]
    request = {"body": {"message": "thanks", "conversation_id": known}, "headers": {"idempotency-key": "k"}}

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(slow, "POST", "/chat", **request)
        assert asked.wait(20)
        second = other.raw(event("POST", "/chat", **request))
        deletion, _ = other("DELETE", ONE, conversation_id=known)
        told.set()

    assert first.result()[0] == 200
    assert (second["statusCode"], deletion) == (409, 409)
    assert json.loads(second["body"])["type"] == "urn:chat:problem:conversation-busy"
    assert 1 <= int(second["headers"]["Retry-After"]) <= 22
    assert other("POST", "/chat", **request)[1] == first.result()[1] | {"repeated": True}
    assert [content for role, content in other.transcript(known) if role == "user"] == ["hello", "thanks"]


def test_a_container_that_died_blocks_its_conversation_only_for_its_time(
    chat: Container, client: DynamoDBClient, table_name: str
) -> None:
    conversation_id = chat.say("hello")["conversation_id"]
    lease = {"conversation_id": {"S": conversation_id}, "user_id": {"S": "alice#turn"}, "owner": {"S": "dead"}}
    client.put_item(TableName=table_name, Item={**lease, "expires_at": {"N": "1000000000"}})

    assert chat.say("thanks", conversation_id=conversation_id)["repeated"] is False
    assert [item for item in items(client, table_name) if item["user_id"]["S"] == "alice#turn"] == []


def test_a_turn_whose_model_failed_is_ended_by_its_repetition(make_container: MakeContainer) -> None:
    chat = make_container(FailingModel(failures=[RuntimeError("once")]))
    request = {"body": {"message": "Show me the Python files"}, "headers": {"idempotency-key": "k"}}

    assert chat("POST", "/chat", **request)[0] == 500
    status, said = chat("POST", "/chat", **request)

    assert status == 200
    assert "app.py" in said["answer"]
    assert [role for role, _ in chat.transcript(said["conversation_id"])] == ["user", "assistant"]


def test_a_new_message_ends_the_turn_that_was_cut_off(make_container: MakeContainer) -> None:
    chat = make_container(FailingModel(failures=[]))
    named = {"conversation_id": chat.say("hello")["conversation_id"]}
    broken = make_container(FailingModel(failures=[RuntimeError("once")]))

    assert broken("POST", "/chat", body={"message": "Show me the Python files", **named})[0] == 500
    assert "app.py" in chat.say("the first one", **named)["answer"]

    roles = [role for role, _ in chat.transcript(named["conversation_id"])]
    assert roles == ["user", "assistant"] * 3


@pytest.mark.parametrize("fault", [unsent, error_500])
def test_a_request_that_failed_anywhere_is_repeated_without_harm(
    engine: Engine, make_container: MakeContainer, fault: Fault
) -> None:
    failing = FailingClient(engine, retries={"total_max_attempts": 1})
    calm = make_container()
    expected = calm.transcript(calm.say("Show me the Python files", user="carol")["conversation_id"], user="carol")
    failed = 0
    for number in range(1, 24):
        key = f"key-{number}"
        with failing.failing(fault, number, times=1):
            status, _ = make_container(client=failing.client)(
                "POST", "/chat", body={"message": "Show me the Python files"}, headers={"idempotency-key": key}
            )
        failed += status != 200
        said = said_once_free(calm, key)
        assert calm.transcript(said["conversation_id"]) == expected, number
    failing.close()

    assert failed > 5


def test_a_row_that_missed_the_answer_gets_it_when_the_request_is_repeated(
    engine: Engine, make_container: MakeContainer
) -> None:
    failing = FailingClient(engine, retries={"total_max_attempts": 1})
    request = {"body": {"message": "Show me the Python files"}, "headers": {"idempotency-key": "k"}}

    def without_answer(request: Any, deliver: Deliver) -> Any:
        row = b'"user_id": {"S": "alice"}' in request.body and b"UpdateExpression" in request.body
        return unsent(request, deliver) if row and b"app.py" in request.body else deliver()

    with failing.failing(without_answer, 1, times=None):
        assert make_container(client=failing.client)("POST", "/chat", **request)[0] == 200
    failing.close()
    chat = make_container()
    before = chat("GET", "/conversations")[1]["conversations"][0]
    said = chat("POST", "/chat", **request)[1]
    after = chat("GET", "/conversations")[1]["conversations"][0]

    assert (before["status"], before["message_count"]) == ("running", 1)
    assert (after["status"], after["message_count"]) == ("idle", 2)
    assert chat.transcript(said["conversation_id"])[1] == ("assistant", said["answer"])
    assert chat.say("the first one", conversation_id=said["conversation_id"])["answer"].startswith("app.py")


def said_once_free(container: Container, key: str) -> dict[str, Any]:
    """Repeat a request whose lease may be left over, when that lease has ended."""
    leases = container.service._leases
    now = leases._clock
    leases._clock = lambda: now() + 60
    try:
        return container.say("Show me the Python files", key=key)
    finally:
        leases._clock = now


# When something fails.


def refused_with(code: str) -> Fault:
    def fault(request: Any, deliver: Deliver) -> Any:
        return refusal(request, code, f"User: {SECRET} is not authorized to perform: dynamodb:Query")

    return fault


@pytest.mark.engine("moto")
@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (throttled, 429, "throttled"),
        (error_500, 503, "unavailable"),
        (unsent, 503, "unavailable"),
        (refused_with("AccessDeniedException"), 500, "internal"),
        (refused_with("ResourceNotFoundException"), 500, "internal"),
        (refused_with("UnrecognizedClientException"), 500, "internal"),
    ],
)
@pytest.mark.parametrize(("method", "route"), [("POST", "/chat"), ("GET", "/conversations"), ("GET", ONE)])
def test_a_table_that_fails_is_told_without_its_words(
    engine: Engine, make_container: MakeContainer, fault: Fault, status: int, kind: str, method: str, route: str
) -> None:
    failing = FailingClient(engine, retries={"total_max_attempts": 1})
    chat = make_container(client=failing.client)

    with failing.failing(fault, 1, times=None):
        answer = chat.raw(event(method, route, body={"message": "hello"}, conversation_id="c"))
    failing.close()

    assert (answer["statusCode"], json.loads(answer["body"])["type"]) == (status, f"urn:chat:problem:{kind}")
    assert ("Retry-After" in answer["headers"]) == (status != 500)
    for word in (SECRET, "dynamodb", "DynamoDB", "conversations-", "Traceback", "Error"):
        assert word not in answer["body"].replace("Internal Server Error", "")


@pytest.mark.engine("moto")
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (client_error("ThrottlingException"), 429),
        (client_error("ServiceUnavailableException", 503), 503),
        (client_error("ModelTimeoutException", 408), 503),
        (client_error("InternalServerException", 500), 503),
        (ReadTimeoutError(endpoint_url=SECRET), 503),
        (client_error("ValidationException"), 500),
        (client_error("AccessDeniedException", 403), 500),
        (RuntimeError(SECRET), 500),
        (ValueError(SECRET), 500),
        (KeyError(SECRET), 500),
    ],
)
def test_a_model_that_fails_is_told_without_its_words(
    make_container: MakeContainer, error: Exception, status: int
) -> None:
    answer = make_container(FailingModel(failures=[error])).raw(event("POST", "/chat", body={"message": "hello"}))

    assert answer["statusCode"] == status
    assert SECRET not in json.dumps(answer)


@pytest.mark.engine("moto")
def test_an_answer_without_text_is_an_answer(make_container: MakeContainer) -> None:
    class Silent(OfflineFileModel):
        def _generate(self, *args: Any, **options: Any) -> ChatResult:
            return ChatResult(generations=[ChatGeneration(message=AIMessage(""))])

    assert make_container(Silent()).say("hello")["answer"] == ""


# The function as a whole.


def live(chat: Container) -> None:
    """Everything that the API can do."""
    conversation_id = chat.say("Show me the Python files", key="k")["conversation_id"]
    chat.say("the first one", conversation_id=conversation_id)
    assert chat.say("Show me the Python files", key="k")["repeated"] is True
    assert chat("GET", "/conversations")[0] == 200
    assert chat("GET", ONE, conversation_id=conversation_id)[0] == 200
    assert chat("PATCH", ONE, conversation_id=conversation_id, body={"title": "Python"})[0] == 200
    assert chat("DELETE", ONE, conversation_id=conversation_id)[0] == 204


def test_what_is_built_has_every_module_that_the_function_imports() -> None:
    modules = {path.stem: path for path in (*EXAMPLES.glob("*.py"), *EXAMPLES.glob("lambda/*.py"))}
    needed, new = set[str](), {"app"}
    while new:
        needed |= new
        code = "\n".join(modules[name].read_text() for name in new)
        new = {name for name in re.findall(r"^ *(?:from|import) (\w+)", code, re.MULTILINE) if name in modules} - needed

    built = runpy.run_path(str(EXAMPLES / "lambda" / "build.py"))
    assert {*built["OWN"], *built["SHARED"]} == needed
    assert {name for name in needed if modules[name].parent.name == "lambda"} == {*built["OWN"]}


def test_its_life_needs_no_other_actions(chat: Container, client: DynamoDBClient) -> None:
    with RequestLog(client) as log:
        live(chat)

    assert set(log.operations) <= SIX_ACTIONS


@pytest.mark.engine("moto")
def test_a_model_of_bedrock_is_made_by_its_name() -> None:
    model = model_maker("bedrock_converse:anthropic.claude-3-haiku-20240307-v1:0")()

    assert type(model).__name__ == "ChatBedrockConverse"


@pytest.mark.engine("dynamodb-local")
def test_a_cold_start_is_measured(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    assert cold_start.main(["--endpoint-url", str(engine.endpoint_url), "--runs", "1", "--imports"]) == 0

    printed = capsys.readouterr().out
    for phase in (*cold_start.PHASES, "imports, measured one by one"):
        assert phase in printed
    # Which ten packages are the slowest is up to the machine; that they are packages is not.
    packages = [line.split()[0] for line in printed.splitlines() if line.startswith("  ")]
    assert len(packages) == 10
    assert all(importlib.util.find_spec(package) for package in packages)


@pytest.mark.engine("moto")
def test_the_slowest_imports_are_summed_by_package(capsys: pytest.CaptureFixture[str]) -> None:
    small = [f"import time:      {1000 + each} |      9000 | small{each}.part" for each in range(10)]
    report = [
        "import time: self [us] | cumulative | imported package",
        *small,
        "import time:    400000 |    400000 |   botocore.client",
        "import time:    200000 |    600000 | botocore",
        "import time:    389955 |    389955 |     langchain_core.messages",
        "a warning | of another program",
    ]

    cold_start.print_imports("\n".join(report))

    first, *packages = capsys.readouterr().out.splitlines()
    assert first == "imports, measured one by one: 1000 ms"
    assert [line.split() for line in packages[:2]] == [
        ["botocore", "600", "ms", "60%"],
        ["langchain_core", "390", "ms", "39%"],
    ]
    assert [line.split()[0] for line in packages[2:]] == [f"small{each}" for each in range(9, 1, -1)]


def test_conversations_expire_after_the_days_that_the_environment_says(
    client: DynamoDBClient, table_name: str, make_container: MakeContainer
) -> None:
    make_container(days=30).say("hello")
    make_container().say("hello", user="bob")

    until = {item["user_id"]["S"]: item.get("live_until") for item in items(client, table_name) if "created_at" in item}
    assert until["bob"] is None
    assert abs(int(until["alice"]["N"]) - time.time() - 30 * 24 * 3600) < 60
