"""No log has what people say, or what a model or a database answered in its own words; it has what helps to mend it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from failure_facts import facts_of

from langgraph_dynamo_conv import errors
from langgraph_dynamo_conv.errors import DynamoConvError, RequestFailedError
from tests.examples.api_events import event
from tests.examples.containers import ONE, AnsweringModel, Container, MakeContainer
from tests.faults.failing import Deliver, FailingClient, Fault, error_500, refusal, throttled

if TYPE_CHECKING:
    from tests.engines import Engine

SECRET = "the-secret-of-alice"
OWN_WORDS = "the-models-own-words"
OURS = ("chat", "langgraph_dynamo_conv", "langgraph", "langchain", "langchain_core")
FOREIGN = ("botocore", "boto3", "urllib3")


class Kept(logging.Handler):
    """Keeps all of every record: message, arguments, fields, traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def text(self) -> str:
        formatter = logging.Formatter()
        return "\n".join(f"{formatter.format(record)} {vars(record)!r}" for record in self.records)


@pytest.fixture
def kept(capfd: pytest.CaptureFixture[str]) -> Iterator[Kept]:
    """All that is logged with every level turned on, but botocore's, which writes out requests where it is told to."""
    handler, root = Kept(), logging.getLogger()
    known = [one for one in logging.Logger.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    heard = [root, *(one for one in known if not one.propagate)]
    levels = {one: one.level for one in (root, *(logging.getLogger(name) for name in OURS + FOREIGN))}
    for one in levels:
        one.setLevel(logging.WARNING if one.name in FOREIGN else logging.DEBUG)
    for one in heard:
        one.addHandler(handler)
    yield handler
    for one in heard:
        one.removeHandler(handler)
    for one, level in levels.items():
        one.setLevel(level)
    out, err = capfd.readouterr()
    assert SECRET not in out + err
    assert OWN_WORDS not in out + err


def refused(messages: Any) -> str:
    """A model that quotes what it was sent in its refusal."""
    said = f"{OWN_WORDS}: {messages[-1].text}"
    answer: Any = {
        "Error": {"Code": "ValidationException", "Message": said},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    raise ClientError(answer, "Converse")


def away(messages: Any) -> str:
    raise ReadTimeoutError(endpoint_url=f"{OWN_WORDS} {messages[-1].text}")


def broken(messages: Any) -> str:
    try:
        raise KeyError(messages[-1].text)
    except KeyError as error:
        raise RuntimeError(f"{OWN_WORDS}: {messages[-1].text}") from error


def looping(messages: Any) -> Any:
    return [("search_files", {"name": messages[1].text})]


def unknown_tool(messages: Any) -> Any:
    return [(f"tool {messages[1].text}", {"name": messages[1].text})]


@pytest.mark.parametrize("make", [refused, away, broken, looping, unknown_tool])
def test_no_log_has_the_words_of_a_user_or_of_a_model_that_fails(
    make_container: MakeContainer, kept: Kept, make: Callable[[Any], Any]
) -> None:
    chat = make_container(AnsweringModel(make=make), steps=5)
    headers = {"idempotency-key": "k"}
    for _ in range(3):
        chat("POST", "/chat", body={"message": SECRET}, headers=headers)
    named = chat("GET", "/conversations")[1]["conversations"][0]["conversation_id"]
    for body in ({"message": SECRET, "conversation_id": named}, {"message": f"{SECRET} 2"}):
        chat("POST", "/chat", body=body)
    chat("POST", f"{ONE}/resume", conversation_id=named, body={"answers": {SECRET: SECRET}})
    chat("POST", f"{ONE}/cancel", conversation_id=named)

    assert SECRET not in kept.text()
    assert OWN_WORDS not in kept.text()
    assert kept.records


def telling(code: str) -> Fault:
    def fault(request: Any, deliver: Deliver) -> Any:
        return refusal(request, code, f"{OWN_WORDS}: {request.body!r}")

    return fault


@pytest.mark.parametrize(
    "fault",
    [telling("ValidationException"), telling("AccessDeniedException"), telling("Unheard"), throttled, error_500],
    ids=["validation", "access", "unheard", "throttled", "error 500"],
)
@pytest.mark.parametrize("first", [1, 2, 3, 4, 6, 8, 10, 12])
def test_no_log_has_the_words_of_a_user_where_the_table_fails(
    engine: Engine, make_container: MakeContainer, kept: Kept, fault: Fault, first: int
) -> None:
    failing = FailingClient(engine)
    chat = make_container(client=failing.client)
    with failing.failing(fault, first, times=None):
        chat("POST", "/chat", body={"message": f"files named {SECRET}"})
        chat("POST", "/conversations", body={"title": SECRET})
    failing.close()

    assert SECRET not in kept.text()


@pytest.mark.parametrize(
    "made",
    [
        event("POST", "/chat", body={"message": 7, SECRET: SECRET}),
        event("POST", "/chat", body=f"not JSON: {SECRET}"),
        event("POST", "/chat", body={"message": "hello", "conversation_id": SECRET}),
        event("GET", "/conversations", query={"cursor": SECRET}),
        event("GET", "/conversations", query={"limit": SECRET}),
        event("PATCH", ONE, conversation_id="c", body={"title": SECRET * 50}),
        event("POST", f"/{SECRET}", body={"message": SECRET}),
        event("POST", "/chat", body={"message": "hello"}, headers={"idempotency-key": f"é{SECRET}"}),
    ],
)
def test_no_log_has_what_was_sent_in_a_wrong_request(chat: Container, kept: Kept, made: Any) -> None:
    assert chat.send(made)[0] in (400, 404)

    assert SECRET not in kept.text()


def test_a_failure_is_logged_with_class_code_operation_and_place(make_container: MakeContainer, kept: Kept) -> None:
    make_container(AnsweringModel(make=refused))("POST", "/chat", body={"message": SECRET})

    (record,) = [vars(one) for one in kept.records if one.levelno == logging.ERROR]
    assert (record["error"], record["code"], record["operation"]) == ("ClientError", "ValidationException", "Converse")
    assert (record["service_status"], record["status"], record["problem"]) == (400, 500, "internal")
    assert any(frame.startswith("test_logs.py:") and frame.endswith(" refused") for frame in record["frames"])
    assert record["exc_info"] is None


@pytest.mark.parametrize(
    ("code", "name"),
    [("AccessDeniedException", "AccessDeniedError"), ("ResourceNotFoundException", "TableNotFoundError")],
)
@pytest.mark.parametrize(
    ("method", "route"), [("POST", "/chat"), ("POST", f"{ONE}/resume"), ("GET", ONE), ("DELETE", "/me")]
)
@pytest.mark.parametrize("turns", [0, 20])
def test_what_an_alarm_looks_for_has_one_name_whichever_request_fails(
    engine: Engine, make_container: MakeContainer, kept: Kept, code: str, name: str, method: str, route: str, turns: int
) -> None:
    failing = FailingClient(engine)
    chat = make_container(client=failing.client, turns_a_minute=turns)
    with failing.failing(telling(code), 1, times=None):
        chat(method, route, body={"message": "hello"} if route == "/chat" else {}, conversation_id="c")
    failing.close()

    (record,) = [vars(one) for one in kept.records if one.levelno == logging.ERROR]
    assert (record["error"], record["code"], record["status"]) == (name, code, 500)


def test_the_facts_of_an_error_name_its_causes_and_are_json() -> None:
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise RequestFailedError(SECRET, operation="Query", table="t") from error
    except RequestFailedError as error:
        facts = facts_of(error)

    assert (facts["error"], facts["caused_by"], facts["operation"]) == ("RequestFailedError", ["ValueError"], "Query")
    assert SECRET not in json.dumps(facts)


def test_the_facts_of_an_error_of_others_have_nothing_of_its_words() -> None:
    wordy: Any = RuntimeError(SECRET)
    for name in ("action", "code", "operation", "policy", "reason", "resource", "status_code", "table"):
        setattr(wordy, name, SECRET)
    for error in (wordy, URLError(SECRET)):
        assert facts_of(error).keys() == {"error", "frames"}
        assert SECRET not in json.dumps(facts_of(error))


def test_the_status_of_a_models_client_is_among_the_facts() -> None:
    error: Any = RuntimeError(SECRET)
    error.status_code = 529

    assert facts_of(error)["service_status"] == 529


@pytest.mark.parametrize("name", errors.__all__)
def test_an_alarm_for_a_kind_of_error_sees_those_below_it(name: str) -> None:
    error: DynamoConvError = getattr(errors, name)("gone")
    wrapped = RuntimeError()
    wrapped.__cause__ = error
    kind, *_ = [one for one in type(error).__mro__ if DynamoConvError in (one, *one.__bases__)]

    assert facts_of(error)["error"] == kind.__name__
    assert facts_of(wrapped)["caused_by"] == [kind.__name__]
    assert name in (kind.__name__, *facts_of(error).get("classes", []))


def test_an_unknown_format_rings_where_corrupt_data_does() -> None:
    facts = facts_of(errors.UnknownFormatError("newer"))

    assert (facts["error"], facts["classes"]) == ("CorruptDataError", ["UnknownFormatError"])
