"""Bounds of a run of the examples' agent: steps, time, and what the model is sent; no request outlasts the function."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from assistant import build_graph, model_maker
from botocore.exceptions import ReadTimeoutError
from chat_service import ChatService
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError
from library import FileLibrary
from plan_runs import UNANSWERED
from run_bounds import (
    MOST_MODEL_BYTES,
    OUT_OF_STEPS,
    OUT_OF_TIME,
    RECURSION_LIMIT,
    TOO_MUCH_TO_READ,
    BoundError,
    Bounds,
    readable,
)
from time_left import CLIENT_CONFIG, FUNCTION_SECONDS, LEAST_SECONDS, MODEL_SECONDS, STORE_SECONDS, TimeLeft

from tests.examples.api_events import Context, event
from tests.examples.containers import ONE, AnsweringModel, Container, MakeContainer
from tests.faults.failing import FailingClient

if TYPE_CHECKING:
    from tests.engines import Engine

GATEWAY_SECONDS = 30


def looping(_: Any) -> Any:
    """A model that calls the same tool for ever."""
    return [("search_files", {"kind": "python"})]


# Steps.


def test_a_run_that_takes_too_many_steps_ends_with_an_answer_and_does_not_go_on(
    make_container: MakeContainer,
) -> None:
    calls: list[int] = []

    def counted(messages: Any) -> Any:
        calls.append(len(messages))
        return looping(messages)

    chat = make_container(AnsweringModel(make=counted), steps=9)
    said = chat.say("go")
    again = chat.say("please stop", conversation_id=said["conversation_id"])

    assert said["answer"] == again["answer"] == OUT_OF_STEPS
    assert said["conversation"]["status"] == again["conversation"]["status"] == "idle"
    assert len(calls) == 10, "5 in each turn"
    assert [role for role, _ in chat.transcript(said["conversation_id"])] == ["user", "assistant"] * 2


def test_a_request_that_met_a_bound_is_repeated_with_the_same_answer(make_container: MakeContainer) -> None:
    chat = make_container(AnsweringModel(make=looping), steps=9)
    first = chat.say("go", key="k")

    assert chat.say("go", key="k") == first | {"repeated": True}


def test_a_graph_that_is_given_no_bounds_has_those_of_all(folder: Path) -> None:
    graph = build_graph(AnsweringModel(make=looping), FileLibrary(folder), InMemorySaver())

    with pytest.raises(GraphRecursionError):
        graph.invoke({"messages": [("user", "go")]}, {"configurable": {"thread_id": "t"}})
    said = graph.get_state({"configurable": {"thread_id": "t"}}).values["messages"]
    assert len([message for message in said if message.type == "ai"]) == RECURSION_LIMIT // 2 + 1


# Time.


class Clock:
    """A clock that others set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def timed(container: Container, clock: Clock) -> Container:
    """A container whose time is the clock's."""
    container.service.time = TimeLeft(clock)
    return container


def test_a_run_ends_with_an_answer_when_its_time_is_over(make_container: MakeContainer) -> None:
    clock = Clock()

    def slow(messages: Any) -> Any:
        clock.now += 8
        return looping(messages)

    chat = timed(make_container(AnsweringModel(make=slow)), clock)
    said = chat.say("go")

    assert said["answer"] == OUT_OF_TIME
    assert clock.now - 1000 == 16
    assert chat.transcript(said["conversation_id"])[-1] == ("assistant", OUT_OF_TIME)


def test_a_run_that_was_cut_off_gets_half_of_the_time_and_the_new_message_is_answered(
    make_container: MakeContainer,
) -> None:
    clock = Clock()

    def slow_at_first(messages: Any) -> Any:
        if messages[-1].text == "hello" or any(message.text == "bye" for message in messages):
            return "answered"
        if not any(message.type == "tool" for message in messages) and clock.now == 1000:
            clock.now += 1
            raise RuntimeError("once")
        clock.now += 5
        return looping(messages)

    chat = timed(make_container(AnsweringModel(make=slow_at_first)), clock)
    named = chat.say("hello")["conversation_id"]
    assert chat("POST", "/chat", body={"message": "go", "conversation_id": named})[0] == 500
    said = chat.say("bye", conversation_id=named)

    assert said["answer"] == "answered"
    assert [content for _, content in chat.transcript(named)][2:] == ["go", OUT_OF_TIME, "bye", "answered"]


def test_a_model_that_does_not_answer_in_time_is_a_503_and_then_closed(make_container: MakeContainer) -> None:
    told = threading.Event()

    def silent(messages: Any) -> str:
        if messages[-1].text == "hello":
            return "hi"
        assert told.wait(30)
        return "too late"

    chat = make_container(AnsweringModel(make=silent))
    named = chat.say("hello")["conversation_id"]
    request = event("POST", "/chat", body={"message": "go", "conversation_id": named})
    answers = [chat.raw(request, Context(STORE_SECONDS + 1.1))]
    resumed = event("POST", f"{ONE}/resume", body={}, conversation_id=named)
    answers.append(chat.raw(resumed, Context(STORE_SECONDS + 1.1)))
    told.set()

    for answer in answers:
        assert (answer["statusCode"], json.loads(answer["body"])["type"]) == (503, "urn:chat:problem:unavailable")
        assert answer["headers"]["Retry-After"] == "2"
    assert chat.transcript(named)[2:] == [("user", "go"), ("assistant", UNANSWERED)]


async def test_an_async_run_does_not_wait_longer_either() -> None:
    bounds = Bounds(ends_at=Bounds().clock() + 0.01)

    with pytest.raises(TimeoutError):
        await bounds.awaited(asyncio.sleep(30))


def test_all_that_a_request_may_wait_for_ends_before_the_function_and_that_before_the_gateway() -> None:
    read, connect = CLIENT_CONFIG.read_timeout, CLIENT_CONFIG.connect_timeout  # type: ignore[attr-defined]
    attempts = CLIENT_CONFIG.retries["total_max_attempts"]  # type: ignore[attr-defined]
    longest_pause = 2 ** (attempts - 2)  # botocore's standard mode: up to 1 s, 2 s, 4 s

    assert connect + read + longest_pause < LEAST_SECONDS < STORE_SECONDS
    assert MODEL_SECONDS + STORE_SECONDS <= FUNCTION_SECONDS < GATEWAY_SECONDS


@pytest.mark.engine("moto")
def test_a_models_client_waits_no_longer_than_the_function_and_asks_twice() -> None:
    model: Any = model_maker("bedrock_converse:anthropic.claude-3-haiku-20240307-v1:0", MODEL_SECONDS)()

    assert model.client.meta.config.read_timeout == MODEL_SECONDS
    assert model.client.meta.config.retries["total_max_attempts"] == 2


def test_no_request_is_sent_to_the_table_when_its_answer_could_come_too_late(
    engine: Engine, make_container: MakeContainer
) -> None:
    clock, client = Clock(), engine.client()
    chat = timed(make_container(client=client), clock)
    chat.service.time.guard(client)
    named = chat.say("hello")["conversation_id"]

    for method, route in (("GET", "/conversations"), ("GET", ONE), ("POST", "/chat"), ("DELETE", ONE)):
        body = {"message": "thanks"}
        answer = chat.raw(event(method, route, body=body, conversation_id=named), Context(LEAST_SECONDS - 0.1))
        assert (answer["statusCode"], answer["headers"]["Retry-After"]) == (503, "2"), (method, route)
    assert chat.say("thanks", conversation_id=named)["answer"].startswith("You are welcome")


@pytest.mark.parametrize("seconds", [0, 5, 10, 15, 17.9])
def test_a_table_that_hangs_after_any_time_is_a_503_before_the_function_ends(
    engine: Engine, make_container: MakeContainer, seconds: float
) -> None:
    clock, failing = Clock(), FailingClient(engine)

    def slow(messages: Any) -> Any:
        clock.now += 0 if messages[-1].type == "tool" else seconds
        return "found" if messages[-1].type == "tool" else looping(messages)

    chat = timed(make_container(AnsweringModel(make=slow), client=failing.client), clock)
    chat.service.time.guard(failing.client)

    def hangs(request: Any, deliver: Any) -> Any:
        if clock.now < 1000 + seconds:
            return deliver()
        clock.now += 3
        raise ReadTimeoutError(endpoint_url=request.url)

    with failing.failing(hangs, 1, times=None):
        answer = chat.raw(event("POST", "/chat", body={"message": "go"}), Context(FUNCTION_SECONDS))
    failing.close()

    assert clock.now - 1000 <= FUNCTION_SECONDS - (LEAST_SECONDS - 3)
    assert (answer["statusCode"], answer["headers"]["Retry-After"]) == (503, "2")


# What the model is sent.


def turn(number: int, size: int) -> list[BaseMessage]:
    call = {"name": "find", "args": {}, "id": f"c{number}", "type": "tool_call"}
    return [
        HumanMessage(f"question {number}"),
        AIMessage("", tool_calls=[call, call | {"id": f"d{number}"}]),
        ToolMessage("x" * size, tool_call_id=f"c{number}"),
        ToolMessage("y" * size, tool_call_id=f"d{number}"),
        AIMessage(f"answer {number}"),
    ]


def sizes(messages: list[BaseMessage]) -> int:
    return sum(len(message.text.encode()) for message in messages)


def test_what_fits_is_sent_as_it_is() -> None:
    messages = [AIMessage("first"), *turn(1, 10)]

    assert readable(messages) == messages


def test_old_turns_are_left_out_whole() -> None:
    messages = [message for number in range(10) for message in turn(number, 100)]

    sent = readable(messages, 1000)

    assert 0 < len(sent) < len(messages)
    assert sent == messages[-len(sent) :]
    assert sent[0].type == "human"


def test_of_a_turn_that_is_too_large_the_question_and_the_newest_step_are_sent() -> None:
    question, *step = turn(1, 300)[:-1]
    messages = [*turn(0, 300), question, *step, *turn(2, 300)[1:4]]

    sent = readable(messages, 1000)

    assert [message.type for message in sent] == ["human", "ai", "tool", "tool"]
    assert sent[0] is question
    assert sent[1:] == messages[-3:]


def test_a_step_that_is_too_large_ends_the_run() -> None:
    with pytest.raises(BoundError) as ended:
        readable(turn(1, 1000)[:-1], 1000)

    assert ended.value.answer == TOO_MUCH_TO_READ


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 400)), max_size=12),
    st.integers(100, 2000),
)
def test_whatever_is_sent_is_small_begins_with_a_question_and_has_each_result_with_its_call(
    shape: list[tuple[int, int]], most: int
) -> None:
    messages = [message for number, (kept, size) in enumerate(shape) for message in turn(number, size)[: kept + 1]]
    try:
        sent = readable(messages, most)
    except BoundError:
        return
    calls = {call["id"] for message in sent if isinstance(message, AIMessage) for call in message.tool_calls}
    results = [message.tool_call_id for message in sent if isinstance(message, ToolMessage)]

    assert sizes(sent) <= most
    assert not sent or sent[0].type == "human"
    assert set(results) <= calls
    assert not messages or sent


def test_the_state_keeps_what_the_model_is_not_sent(make_container: MakeContainer) -> None:
    sent: list[int] = []

    def measured(messages: Any) -> str:
        sent.append(sizes(messages))
        return "a" * 90_000

    chat = make_container(AnsweringModel(make=measured))
    named = chat.say("hello")["conversation_id"]
    for _ in range(4):
        chat.say("more", conversation_id=named)

    assert max(sent) < MOST_MODEL_BYTES + 1000
    assert sent[3] == sent[4]
    assert len(chat.transcript(named)) == 10


def test_more_than_the_model_can_read_is_an_answer_and_the_conversation_goes_on(
    make_container: MakeContainer, folder: Path
) -> None:
    (folder / "large.txt").write_text("x" * 100)

    def reads(messages: Any) -> Any:
        if messages[-1].text == "read":
            return [("search_files", {"name": "x" * 300_000})]
        return "well"

    chat = make_container(AnsweringModel(make=reads))
    said = chat.say("read")

    assert said["answer"] == TOO_MUCH_TO_READ
    assert chat.say("bye", conversation_id=said["conversation_id"])["answer"] == "well"


def test_a_container_of_the_template_has_all_bounds(monkeypatch: pytest.MonkeyPatch, table_name: str) -> None:
    for name, value in {
        "DYNAMODB_TABLE_NAME": table_name,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "RECURSION_LIMIT": "7",
        "TURNS_A_MINUTE": "0",
    }.items():
        monkeypatch.setenv(name, value)
    service = ChatService.from_environment()

    assert service._steps == 7
    assert service._counts._most == 0
    service.close()
