"""Runs of the Lambda example that fail or are cut off: no conversation is ever stuck, and no message is lost."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import notes
import pytest
from assistant import ANSWERS, build_graph, end_run
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from langchain_core.exceptions import ContextOverflowError, ModelRateLimitError, ModelTimeoutError
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from library import FileLibrary
from offline_model import OfflineFileModel
from plan_runs import UNANSWERED
from problems import is_lasting, problem_of
from run_bounds import STOPPED

from langgraph_dynamo_conv.errors import EndpointError, ThrottledError
from tests.examples.api_events import event
from tests.examples.containers import (
    ONE,
    AnsweringModel,
    Container,
    FailingModel,
    MakeContainer,
    client_error,
    items,
)
from tests.faults.failing import FailingClient, answer_lost

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.engines import Engine

LISTS = "Show me the Python files"
REFUSED = client_error("ValidationException")


class Killed(BaseException):
    """The function is killed: nothing in it can go on."""


def poisoned(messages: Any) -> str:
    """A model that refuses one prompt for ever, wherever it stands."""
    if messages[-1].text == "poison":
        raise REFUSED
    return f"You said {messages[-1].text}"


def send(chat: Container, text: str, conversation_id: str | None = None, key: str | None = None) -> int:
    """The status of a turn that may fail."""
    body = {"message": text} | ({"conversation_id": conversation_id} if conversation_id else {})
    return chat("POST", "/chat", body=body, headers={"idempotency-key": key} if key else None)[0]


def test_a_prompt_that_the_model_refuses_is_closed_at_once_and_the_next_messages_are_answered(
    make_container: MakeContainer,
) -> None:
    chat = make_container(AnsweringModel(make=poisoned))
    named = chat.say("hello")["conversation_id"]

    assert send(chat, "poison", named) == 500
    assert chat("GET", ONE, conversation_id=named)[1]["status"] == "idle"
    assert chat.say("bye", conversation_id=named)["answer"] == "You said bye"

    assert chat.transcript(named) == [
        ("user", "hello"),
        ("assistant", "You said hello"),
        ("user", "poison"),
        ("assistant", UNANSWERED),
        ("user", "bye"),
        ("assistant", "You said bye"),
    ]


def test_a_refused_message_that_is_repeated_gets_the_answer_that_it_was_closed_with(
    make_container: MakeContainer,
) -> None:
    chat = make_container(AnsweringModel(make=poisoned))

    assert send(chat, "poison", key="k") == 500
    said = chat.say("poison", key="k")

    assert (said["answer"], said["repeated"]) == (UNANSWERED, True)
    assert len(chat.transcript(said["conversation_id"])) == 2


def test_a_run_that_failed_twice_in_two_containers_is_closed_and_the_new_message_is_answered(
    make_container: MakeContainer,
) -> None:
    fails = [RuntimeError("first"), RuntimeError("second")]
    first, second = (make_container(FailingModel(failures=[fails.pop(0)])) for _ in range(2))
    named = make_container().say("hello")["conversation_id"]

    assert send(first, LISTS, named) == 500
    said = second.say("thanks", conversation_id=named)

    assert said["answer"].startswith("You are welcome")
    shown = second.transcript(named)
    assert shown[2:4] == [("user", LISTS), ("assistant", UNANSWERED)]
    assert shown[4] == ("user", "thanks")


def test_a_run_whose_function_was_killed_twice_is_closed_without_a_third_attempt(
    make_container: MakeContainer,
) -> None:
    asked: list[str] = []

    def killing(messages: Any) -> str:
        asked.append(messages[-1].text)
        if messages[-1].text == "slow":
            raise Killed
        return "answered"

    chat = make_container(AnsweringModel(make=killing))
    named = chat.say("hello")["conversation_id"]
    for text in ("slow", "again"):
        with pytest.raises(Killed):
            chat("POST", "/chat", body={"message": text, "conversation_id": named})
    other = make_container(AnsweringModel(make=killing))

    assert other.say("bye", conversation_id=named)["answer"] == "answered"
    assert asked == ["hello", "slow", "slow", "bye"]
    assert other.transcript(named)[2:] == [
        ("user", "slow"),
        ("assistant", UNANSWERED),
        ("user", "bye"),
        ("assistant", "answered"),
    ]


def test_a_run_that_goes_on_once_is_finished_and_a_later_one_has_its_own_second_attempt(
    make_container: MakeContainer,
) -> None:
    named = make_container().say("hello")["conversation_id"]
    for text in (LISTS, "files named tool"):
        broken = make_container(FailingModel(failures=[RuntimeError("once")]))
        assert send(broken, text, named) == 500
        broken.say("thanks", conversation_id=named)

    said = [content for _, content in make_container().transcript(named)]
    assert UNANSWERED not in said
    assert len(said) == 10


def test_a_run_that_may_not_go_on_is_closed_when_it_is_asked_to(make_container: MakeContainer) -> None:
    chat = make_container(FailingModel(failures=[RuntimeError("1"), RuntimeError("2"), RuntimeError("3")]))
    named = make_container().say("hello")["conversation_id"]
    resume = ("POST", f"{ONE}/resume")

    assert send(chat, LISTS, named) == 500
    assert chat(*resume, conversation_id=named, body={})[0] == 500
    assert chat.transcript(named)[-1] == ("assistant", UNANSWERED)
    status, problem = chat(*resume, conversation_id=named, body={})
    assert (status, problem["type"]) == (409, "urn:chat:problem:nothing-to-answer")


def test_each_call_of_a_closed_run_has_a_result(make_container: MakeContainer) -> None:
    seen: list[Any] = []

    def calls_then_fails(messages: Any) -> Any:
        seen.append(messages)
        if messages[-1].type == "tool":
            raise REFUSED
        return [("search_files", {"kind": "python"}), ("search_files", {})] if messages[-1].text == "go" else "well"

    chat = make_container(AnsweringModel(make=calls_then_fails))
    named = chat.say("hello")["conversation_id"]

    assert send(chat, "go", named) == 500
    assert chat.say("bye", conversation_id=named)["answer"] == "well"
    calls = [call["id"] for message in seen[-1] for call in getattr(message, "tool_calls", ())]
    results = [message.tool_call_id for message in seen[-1] if message.type == "tool"]
    assert len(calls) == 2
    assert results == calls


def test_two_containers_let_a_run_go_on_once_between_them_even_if_an_answer_is_lost(
    engine: Engine, make_container: MakeContainer, client: DynamoDBClient, table_name: str
) -> None:
    failing = FailingClient(engine, retries={"total_max_attempts": 2})
    leases = [make_container(client=one).service._leases for one in (failing.client, client)]

    with failing.failing(answer_lost, 1):
        assert leases[0].may_go_on("c", "alice", "run") is True
    assert leases[1].may_go_on("c", "alice", "run") is False
    assert leases[1].may_go_on("c", "alice", "another") is True
    failing.close()
    assert all("expires_at" in item for item in items(client, table_name))


def test_what_is_known_of_attempts_is_deleted_with_the_conversation(
    make_container: MakeContainer, client: DynamoDBClient, table_name: str
) -> None:
    chat = make_container(FailingModel(failures=[RuntimeError("1"), RuntimeError("2")]))
    assert send(chat, LISTS) == 500
    named = chat("GET", "/conversations")[1]["conversations"][0]["conversation_id"]
    chat.say("hello", conversation_id=named)
    assert any("#turn#" in item["user_id"]["S"] for item in items(client, table_name))

    assert chat("DELETE", ONE, conversation_id=named)[0] == 204
    assert items(client, table_name) == []


@pytest.mark.parametrize(
    ("error", "lasts"),
    [
        (client_error("ValidationException"), True),
        (client_error("AccessDeniedException", 403), True),
        (client_error("ResourceNotFoundException", 404), True),
        (client_error("ThrottlingException", 429), False),
        (client_error("ThrottlingException"), False),
        (client_error("ServiceQuotaExceededException"), False),
        (client_error("ModelTimeoutException", 408), False),
        (client_error("ModelErrorException", 424), False),
        (client_error("ModelNotReadyException", 429), False),
        (client_error("InternalServerException", 500), False),
        (ContextOverflowError("too long"), True),
        (ModelRateLimitError("slow down"), False),
        (ReadTimeoutError(endpoint_url="x"), False),
        (ConnectTimeoutError(endpoint_url="x"), False),
        (ThrottledError("slow down"), False),
        (EndpointError("gone"), False),
        (RuntimeError("a bug"), False),
    ],
    ids=repr,
)
def test_an_error_lasts_if_the_service_refused_what_it_was_sent(error: Exception, lasts: bool) -> None:
    assert is_lasting(error) is lasts


@pytest.mark.parametrize(
    ("error", "status"),
    [(ModelRateLimitError("slow down"), 429), (ModelTimeoutError("no answer"), 503), (TimeoutError("no answer"), 503)],
    ids=repr,
)
def test_an_error_of_a_model_is_told_by_its_class(error: Exception, status: int) -> None:
    problem = problem_of(error)

    assert problem.status == status
    assert "Retry-After" in problem.headers()


# An approved tool that fails.


class FailingNotes:
    """Makes the tool `save_note` fail after its approval, in each of these ways and then no more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *failures: BaseException) -> None:
        self.failures, self.runs, self._save = list(failures), 0, notes.save_note.func
        monkeypatch.setattr(notes.save_note, "func", self.run)

    def run(self, text: str, tool_call_id: str) -> Any:
        assert self._save is not None
        kept = self._save(text=text, tool_call_id=tool_call_id)  # stops here until it is approved
        self.runs += 1
        if self.failures:
            raise self.failures.pop(0)
        return kept


def asked_for_a_note(chat: Container) -> tuple[str, dict[str, Any]]:
    """A conversation that waits for an approval, and the body that approves."""
    said = chat.say("Keep a note: milk")
    (asked,) = said["conversation"]["waiting_for"]
    return said["conversation_id"], {"answers": {asked["id"]: {"decisions": [{"type": "approve"}]}}}


def resumed(chat: Container, named: str, body: dict[str, Any]) -> tuple[int, str]:
    """Status, and the answer or the problem's type."""
    status, said = chat("POST", f"{ONE}/resume", conversation_id=named, body=body)
    return status, said["answer"] if status == 200 else said["type"].rpartition(":")[2]


def test_a_tool_that_failed_after_its_approval_goes_on_without_another_answer(
    make_container: MakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat, tool = make_container(), FailingNotes(monkeypatch, OSError("disk"))
    named, approval = asked_for_a_note(chat)

    assert resumed(chat, named, approval) == (500, "internal")
    assert chat("GET", ONE, conversation_id=named)[1]["status"] == "failed"
    assert resumed(chat, named, approval) == (409, "nothing-to-answer")
    status, answer = resumed(chat, named, {})

    assert (status, tool.runs) == (200, 2)
    assert answer == "I kept the note."
    assert chat("GET", ONE, conversation_id=named)[1]["status"] == "idle"


@pytest.mark.parametrize("ends_with", ["a message", "nothing"])
def test_a_tool_that_failed_twice_after_its_approval_is_closed(
    make_container: MakeContainer, monkeypatch: pytest.MonkeyPatch, ends_with: str
) -> None:
    chat, tool = make_container(), FailingNotes(monkeypatch, OSError("disk"), OSError("disk"), OSError("disk"))
    named, approval = asked_for_a_note(chat)

    assert resumed(chat, named, approval) == (500, "internal")
    if ends_with == "nothing":
        assert resumed(chat, named, {}) == (500, "internal")
    assert chat.say("hello", conversation_id=named)["answer"].startswith("Hello")

    assert tool.runs == 2
    said = [content for _, content in chat.transcript(named)]
    assert said[:3] == ["Keep a note: milk", UNANSWERED, "hello"]


def test_an_answer_whose_function_was_killed_can_be_given_once_more_and_then_the_run_is_closed(
    make_container: MakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat, tool = make_container(), FailingNotes(monkeypatch, Killed(), Killed(), Killed())
    named, approval = asked_for_a_note(chat)

    for _ in range(2):
        with pytest.raises(Killed):
            resumed(chat, named, approval)
    assert resumed(make_container(), named, approval) == (200, UNANSWERED)

    assert tool.runs == 2
    assert chat.say("hello", conversation_id=named)["answer"].startswith("Hello")


def test_a_tool_that_asks_again_after_a_failure_waits_for_that_answer(
    make_container: MakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat, tool = make_container(), FailingNotes(monkeypatch, OSError("disk"))
    named, approval = asked_for_a_note(chat)
    assert resumed(chat, named, approval)[0] == 500
    approved = tool._save

    def twice(text: str, tool_call_id: str) -> Any:
        notes.approval_of(notes.SAVE_NOTE, {"text": text}, "Keep this note?")
        assert approved is not None
        return approved(text=text, tool_call_id=tool_call_id)

    tool._save = twice
    assert resumed(chat, named, {})[0] == 200
    status, shown = chat("GET", ONE, conversation_id=named)
    assert (status, shown["status"]) == (200, "waiting")
    assert send(chat, "hello", named) == 409
    (asked,) = shown["waiting_for"]
    status, answer = resumed(chat, named, {"answers": {asked["id"]: {"decisions": [{"type": "approve"}]}}})

    assert (status, answer) == (200, "I kept the note.")


# Stopping a run.


def test_a_cut_off_run_is_cancelled_with_a_result_for_each_call(make_container: MakeContainer) -> None:
    def calls_then_fails(messages: Any) -> Any:
        if messages[-1].type == "tool":
            raise RuntimeError("away")
        return [("search_files", {"kind": "python"})]

    chat = make_container(AnsweringModel(make=calls_then_fails))
    named = make_container().say("hello")["conversation_id"]
    assert send(chat, "go", named) == 500

    assert chat("POST", f"{ONE}/cancel", conversation_id=named) == (204, {})
    status, shown = chat("GET", ONE, conversation_id=named)
    assert (status, shown["status"], shown["messages"][-1]["content"]) == (200, "idle", STOPPED)
    assert make_container().say("thanks", conversation_id=named)["answer"].startswith("You are welcome")


def test_a_run_under_way_is_asked_to_stop_and_does_before_its_next_step(make_container: MakeContainer) -> None:
    asked, told = threading.Event(), threading.Event()
    models = 0

    def slow(messages: Any) -> Any:
        nonlocal models
        models += 1
        if messages[-1].text == "hello":
            return "hi"
        asked.set()
        assert told.wait(20)
        return [("search_files", {"kind": "python"})]

    chat, other = make_container(AnsweringModel(make=slow)), make_container()
    named = chat.say("hello")["conversation_id"]
    with ThreadPoolExecutor(1) as pool:
        turn = pool.submit(chat, "POST", "/chat", body={"message": "go", "conversation_id": named})
        assert asked.wait(20)
        answer = other.raw(event("POST", f"{ONE}/cancel", conversation_id=named))
        told.set()
        status, said = turn.result()

    assert (answer["statusCode"], answer["body"]) == (202, "")
    assert (status, said["answer"], said["conversation"]["status"]) == (200, STOPPED, "idle")
    assert models == 2
    assert other.say("thanks", conversation_id=named)["answer"].startswith("You are welcome")
    assert json.dumps(other.transcript(named)).count(STOPPED) == 1


def test_a_stop_that_was_asked_for_holds_for_one_turn(make_container: MakeContainer) -> None:
    chat = make_container()
    named = chat.say("hello")["conversation_id"]
    leases = chat.service._leases

    with leases.held(named, "alice", 20):
        assert leases.ask_to_stop(named, "alice") is True
    assert leases.ask_to_stop(named, "alice") is False
    assert "app.py" in chat.say(LISTS, conversation_id=named)["answer"]


@pytest.mark.parametrize("has_called", [False, True], ids=["an answer", "a call of a tool"])
def test_a_run_is_closed_with_the_answer_that_its_task_had_stored(tmp_path: Path, has_called: bool) -> None:
    saver, config = InMemorySaver(), RunnableConfig(configurable={"thread_id": "t"})
    graph = build_graph(OfflineFileModel(), FileLibrary(tmp_path), saver)
    graph.invoke({"messages": [HumanMessage("question", id="q")]}, config, interrupt_before=[ANSWERS])
    state = graph.get_state(config)
    calls = [{"name": "search_files", "args": {}, "id": "c"}] * has_called
    saver.put_writes(state.config, [("messages", [AIMessage("had come", id="a", tool_calls=calls)])], state.tasks[0].id)

    ended = end_run(graph, config, AIMessage("could not be answered", id="other"))

    ids = [message.id for message in graph.get_state(config).values["messages"] if message.type != "tool"]
    assert ids == (["q", "a", "other"] if has_called else ["q", "a"])
    assert ended is not None
    assert ended.id == ids[-1]
    assert end_run(graph, config) is None
