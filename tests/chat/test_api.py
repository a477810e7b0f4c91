"""The chat server's HTTP API: turns and their events, approvals, forks, cancelling; one user never meets another."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from playwright.sync_api import expect

from dev import CHAT, CHAT_MODULES
from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.chat.conftest import OpenPage
from tests.chat.gateway import Gateway
from tests.chat.serving import FOLDER, built_page
from tests.engines import free_port

sys.path[:0] = [str(path) for path in CHAT_MODULES]

import server as chat_server  # noqa: E402
import uvicorn  # noqa: E402
from library import FileLibrary  # noqa: E402
from offline_model import OfflineFileModel  # noqa: E402
from plan_runs import UNANSWERED  # noqa: E402
from run_bounds import OUT_OF_STEPS  # noqa: E402
from turn_events import EVENT_DATA, RESULT  # noqa: E402

APPROVE, REJECT = {"decisions": [{"type": "approve"}]}, {"decisions": [{"type": "reject"}]}
MOST_LINES = 300
STREAM = {"accept": "text/event-stream"}
WAIT_SECONDS = 20


class FailingModel(OfflineFileModel):
    """Fails as long as `fails`, and otherwise answers."""

    fails: bool = False
    fails_at: str = ""

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        if self.fails and messages[-1].text.startswith(self.fails_at):
            raise RuntimeError("the model's own secret words")
        return super()._generate(messages, *args, **kwargs)


class LoopingModel(OfflineFileModel):
    """Calls the same tool for ever."""

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        call = {"name": "search_files", "args": {"kind": "python"}, "id": f"call {len(messages)}", "type": "tool_call"}
        return ChatResult(generations=[ChatGeneration(message=AIMessage("", tool_calls=[call]))])


class Client(httpx.Client):
    """A user of a running server."""

    def __init__(self, url: str) -> None:
        super().__init__(base_url=url, timeout=WAIT_SECONDS)

    def sign_in(self, user: str) -> Client:
        assert self.post("/session", json={"name": user}).json() == {"user_id": user}
        return self

    def say(self, text: str, conversation: str | None = None, **body: Any) -> dict[str, Any]:
        """A turn's result."""
        place = {} if conversation is None else {"conversation_id": conversation}
        answer = self.post("/chat", json={"message": text} | place | body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def events(self, method: str, path: str, **options: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """The events of an answer, as they come."""
        with self.stream(method, path, headers=STREAM, **options) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            name = ""
            for line in answer.iter_lines():
                key, _, value = line.partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    yield name, json.loads(value)

    def resume(self, conversation: str, answers: dict[str, Any]) -> httpx.Response:
        return self.post(f"/conversations/{conversation}/resume", json={"answers": answers})

    def read(self, conversation: str) -> dict[str, Any]:
        return dict(self.get(f"/conversations/{conversation}").json())

    def said(self, conversation: str) -> list[str]:
        """The messages' beginnings."""
        return [message["content"][:24] for message in self.read(conversation)["messages"]]


@contextmanager
def serving(chat: Any, page: Path | None = None) -> Iterator[str]:
    """The server in a thread of this process, so that it works on any engine."""
    port = free_port()
    app = chat_server.create_app(chat, "a secret of the tests", page)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(WAIT_SECONDS)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def model() -> FailingModel:
    return FailingModel()


@pytest.fixture
def url(saver: DynamoDBConversationSaver, model: FailingModel) -> Iterator[str]:
    with serving(chat_server.Chat(saver, model, FileLibrary(FOLDER))) as address:
        yield address


@pytest.fixture
def alice(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client.sign_in("alice")


@pytest.fixture
def bob(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client.sign_in("bob")


def test_a_turn_streams_its_call_its_result_and_its_words(alice: Client):
    events = list(alice.events("POST", "/chat", json={"message": "show me the python files"}))
    names = [name for name, _ in events]
    assert names[:3] == ["run", "tool_call", "tool_result"]
    assert names[-1] == "end"
    assert set(names[3:-1]) == {"token"}
    assert names.count("token") > 10
    assert events[1][1]["args"] == {"kind": "python"}
    assert json.loads(events[2][1]["result"])["total"] > 5
    found = alice.read(events[0][1]["conversation_id"])
    assert found["messages"][1]["content"] == "".join(data["text"] for name, data in events if name == "token")
    assert events[-1][1]["conversation"] == {
        name: value for name, value in found.items() if name not in ("messages", "before")
    }


def test_a_client_that_takes_no_stream_gets_the_result(alice: Client):
    answer = alice.say("show me the python files")
    assert answer["answer"].startswith("I found")
    assert answer["tool_calls"] == [{"tool": "search_files", "args": {"kind": "python"}}]
    assert answer["conversation"]["status"] == "idle"
    assert answer["repeated"] is False


def test_an_approval_waits_in_the_row_and_is_answered_once(alice: Client):
    events = list(alice.events("POST", "/chat", json={"message": "note: milk"}))
    assert [name for name, _ in events] == ["run", "tool_call", "interrupt", "end"]
    waiting = events[-1][1]["conversation"]
    place, asked = waiting["conversation_id"], waiting["waiting_for"][0]
    assert waiting["status"] == "waiting"
    assert asked == events[2][1] == alice.read(place)["waiting_for"][0]
    refused = alice.post("/chat", json={"message": "hello", "conversation_id": place})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:chat:problem:waiting")
    assert alice.resume(place, {}).status_code == alice.resume(place, {"another": APPROVE}).status_code == 409
    assert alice.resume(place, {asked["id"]: APPROVE}).json()["answer"] == "I kept the note."
    assert alice.resume(place, {asked["id"]: APPROVE}).json()["type"] == "urn:chat:problem:nothing-to-answer"
    assert alice.read(place)["messages"][1]["tool_calls"][0]["result"] == "Kept: milk"


def test_a_rejection_is_told_to_the_agent(alice: Client):
    waiting = alice.say("note: milk")["conversation"]
    answers = {waiting["waiting_for"][0]["id"]: REJECT}
    assert alice.resume(waiting["conversation_id"], answers).json()["answer"].startswith("I did not keep the note.")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_message_replaces_an_earlier_one_and_what_followed(alice: Client, place: int):
    chat = alice.say("hello")["conversation_id"]
    alice.say("thanks", chat)
    alice.say("show me the python files", chat)
    asked = [message for message in alice.read(chat)["messages"] if message["role"] == "user"]
    assert alice.say("goodbye", chat, replaces=asked[place]["id"])["answer"].startswith("Goodbye")
    assert alice.said(chat)[0::2] == [*("hello", "thanks")[:place], "goodbye"]
    assert alice.say("thanks", chat)["answer"].startswith("You are welcome")
    assert len(alice.said(chat)) == 2 * place + 4


def test_what_waits_can_be_replaced(alice: Client):
    waiting = alice.say("note: milk")["conversation"]
    (asked, _) = alice.read(waiting["conversation_id"])["messages"]
    alice.say("hello", waiting["conversation_id"], replaces=asked["id"])
    found = alice.read(waiting["conversation_id"])
    assert (found["status"], found.get("waiting_for"), len(found["messages"])) == ("idle", None, 2)


def test_only_a_message_that_is_there_is_replaced(alice: Client):
    chat = alice.say("hello")["conversation_id"]
    assert alice.post("/chat", json={"message": "x", "conversation_id": chat, "replaces": "none"}).status_code == 404
    assert alice.post("/chat", json={"message": "x", "replaces": "none"}).status_code == 404
    assert len(alice.said(chat)) == 2


def test_a_run_outlives_its_reader_and_late_ones_get_all_of_it(alice: Client, model: FailingModel):
    model.seconds_per_word = 0.05
    stream = alice.events("POST", "/chat", json={"message": "show me the python files"})
    place = next(stream)[1]["conversation_id"]
    next(stream)
    stream.close()
    events = list(alice.events("GET", f"/conversations/{place}/events"))
    assert [name for name, _ in events[:3]] == ["run", "tool_call", "tool_result"]
    assert events[-1][0] == "end"
    assert alice.get(f"/conversations/{place}/events").status_code == 404
    assert alice.read(place)["messages"][1]["content"].startswith("I found")


def test_one_run_at_a_time_and_a_cancelled_one_leaves_what_was_said(alice: Client, model: FailingModel):
    model.seconds_per_word = 0.05
    stream = alice.events("POST", "/chat", json={"message": "show me the python files"})
    place = next(stream)[1]["conversation_id"]
    assert next(name for name, _ in stream if name == "token")
    busy = alice.post("/chat", json={"message": "hello", "conversation_id": place})
    assert (busy.status_code, busy.json()["type"]) == (409, "urn:chat:problem:conversation-busy")
    assert alice.read(place)["status"] == "running"
    assert alice.post(f"/conversations/{place}/cancel").status_code == 204
    assert list(stream)[-1][0] == "end"
    found = alice.read(place)
    assert found["status"] == "idle"
    assert found["messages"][1]["content"].startswith("I")
    assert "next ones" not in found["messages"][1]["content"]
    model.seconds_per_word = 0
    assert alice.say("thanks", place)["answer"].startswith("You are welcome")
    assert alice.post(f"/conversations/{place}/cancel").status_code == 204


def test_a_run_is_cancelled_before_its_conversation_is_deleted(alice: Client, model: FailingModel):
    model.seconds_per_word = 0.05
    stream = alice.events("POST", "/chat", json={"message": "hello"})
    place = next(stream)[1]["conversation_id"]
    next(stream)
    assert alice.delete(f"/conversations/{place}").status_code == 204
    list(stream)
    assert alice.get(f"/conversations/{place}").status_code == 404
    assert alice.get("/conversations").json() == {"conversations": [], "cursor": None}


def test_a_run_that_failed_says_so_without_inner_words_and_goes_on(alice: Client, model: FailingModel):
    model.fails = True
    events = list(alice.events("POST", "/chat", json={"message": "hello"}))
    assert events[-1][0] == "error"
    assert "secret" not in json.dumps(events)
    place = events[0][1]["conversation_id"]
    wait_until(lambda: alice.read(place)["status"] == "failed")
    model.fails = False
    assert alice.resume(place, {}).json()["answer"].startswith("Hello")
    assert alice.read(place)["status"] == "idle"


def test_a_run_that_failed_twice_is_closed_and_the_next_message_is_answered(alice: Client, model: FailingModel):
    model.fails = True
    ((_, begun), *_) = alice.events("POST", "/chat", json={"message": "hello"})
    place = begun["conversation_id"]
    assert alice.resume(place, {}).status_code == 500
    assert [one["content"] for one in alice.read(place)["messages"]] == ["hello", UNANSWERED]
    assert alice.read(place)["status"] == "idle"
    assert alice.resume(place, {}).json()["type"] == "urn:chat:problem:nothing-to-answer"
    model.fails = False
    assert alice.say("thanks", place)["answer"].startswith("You are welcome")


def test_a_new_message_lets_a_run_that_failed_go_on_once_and_is_answered_whatever_becomes_of_it(
    alice: Client, model: FailingModel
):
    model.fails = True
    ((_, begun), *_) = alice.events("POST", "/chat", json={"message": "hello"})
    place = begun["conversation_id"]
    model.fails_at = "hello"
    events = list(alice.events("POST", "/chat", json={"message": "thanks", "conversation_id": place}))
    assert next(data["text"] for name, data in events if name == "token") == UNANSWERED
    said = [one["content"] for one in alice.read(place)["messages"]]
    assert said[:3] == ["hello", UNANSWERED, "thanks"]
    assert said[3].startswith("You are welcome")


def test_a_run_that_takes_too_many_steps_is_closed_with_an_answer_that_says_so(saver: DynamoDBConversationSaver):
    with serving(chat_server.Chat(saver, LoopingModel(), FileLibrary(FOLDER))) as url, Client(url) as client:
        said = client.sign_in("alice").say("show me the python files")
        assert said["answer"] == OUT_OF_STEPS
        assert said["conversation"]["status"] == "idle"


def test_all_conversations_of_who_asks_are_deleted_and_no_others(alice: Client, bob: Client):
    for number in range(3):
        alice.say(f"hello {number}")
    kept = bob.say("hello")["conversation_id"]
    assert alice.delete("/me").status_code == 204
    assert alice.get("/conversations").json()["conversations"] == []
    assert bob.said(kept)[0] == "hello"


def test_no_log_has_the_words_of_an_error(
    alice: Client, model: FailingModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the page's own secret words")

    place = alice.say("hello")["conversation_id"]
    model.fails = True
    monkeypatch.setattr(chat_server.ChatPages, "rename", broken)
    with caplog.at_level(logging.DEBUG, "uvicorn.error"):
        assert alice.post("/chat", json={"message": "hello", "conversation_id": place}).status_code == 500
        assert alice.patch(f"/conversations/{place}", json={"title": "x"}).status_code == 500
        wait_until(lambda: "Exception in ASGI application" in caplog.text)
    assert "secret" not in caplog.text
    assert caplog.text.count("'error': 'RuntimeError'") == 2


@pytest.mark.browser
def test_the_page_offers_to_try_again_after_a_failure(
    saver: DynamoDBConversationSaver, model: FailingModel, open_page: OpenPage
):
    model.fails = True
    with serving(chat_server.Chat(saver, model, FileLibrary(FOLDER)), Path(built_page())) as address:
        page = open_page(Gateway(address), "alice")
        page.say("hello")
        expect(page.tab.get_by_text("Something went wrong")).to_be_visible()
        expect(page.listed.first).to_contain_text("failed")
        page.tab.reload()
        model.fails = False
        page.tab.get_by_role("button", name="Try again").click()
        expect(page.answers.last).to_contain_text("Hello!")
        expect(page.listed.first).not_to_contain_text("failed")
        page.context.close()


def test_the_same_key_adds_nothing(alice: Client, bob: Client):
    key = {"Idempotency-Key": "one"}
    first = alice.post("/chat", json={"message": "hello"}, headers=key).json()
    again = alice.post("/chat", json={"message": "hello"}, headers=key).json()
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert first["conversation_id"] == again["conversation_id"]
    assert len(alice.said(first["conversation_id"])) == 2
    assert alice.post("/chat", json={"message": "other"}, headers=key).status_code == 409
    assert (
        bob.post("/chat", json={"message": "hello"}, headers=key).json()["conversation_id"] != first["conversation_id"]
    )


def test_conversations_are_made_listed_renamed_exported_and_deleted(alice: Client):
    made = [alice.post("/conversations", json={"title": f"Number {number}"}).json() for number in range(5)]
    page = alice.get("/conversations", params={"limit": 3}).json()
    rest = alice.get("/conversations", params={"limit": 3, "cursor": page["cursor"]}).json()
    listed = [*page["conversations"], *rest["conversations"]]
    assert [one["title"] for one in listed] == [f"Number {number}" for number in reversed(range(5))]
    assert rest["cursor"] is None
    place = made[0]["conversation_id"]
    assert alice.patch(f"/conversations/{place}", json={"title": " Another "}).json()["title"] == "Another"
    alice.say("hello", place)
    for form, kind in (("markdown", "text/markdown"), ("json", "application/json"), ("jsonl", "application/jsonl")):
        exported = alice.get(f"/conversations/{place}/export", params={"format": form})
        assert exported.headers["content-type"].startswith(kind)
        assert "attachment" in exported.headers["content-disposition"]
        assert "Another" in exported.text
        assert "hello" in exported.text
    assert alice.delete(f"/conversations/{place}").status_code == 204
    assert alice.delete(f"/conversations/{place}").status_code == 404
    assert len(alice.get("/conversations").json()["conversations"]) == 4


def test_pages_of_messages_go_back_to_the_first(alice: Client):
    place = alice.say("hello")["conversation_id"]
    alice.say("thanks", place)
    newest = alice.get(f"/conversations/{place}", params={"limit": 3}).json()
    assert (len(newest["messages"]), newest["before"]) == (3, 1)
    first = alice.get(f"/conversations/{place}", params={"limit": 3, "before": 1}).json()
    assert ([message["content"] for message in first["messages"]], first["before"]) == (["hello"], None)


def test_another_users_conversation_is_one_that_never_was(alice: Client, bob: Client):
    place = alice.say("note: milk")["conversation"]
    path = f"/conversations/{place['conversation_id']}"
    requests: list[tuple[str, str, Any]] = [
        ("GET", path, None),
        ("PATCH", path, {"title": "mine"}),
        ("DELETE", path, None),
        ("GET", f"{path}/export", None),
        ("GET", f"{path}/events", None),
        ("POST", f"{path}/cancel", None),
        ("POST", f"{path}/resume", {"answers": {place["waiting_for"][0]["id"]: APPROVE}}),
        ("POST", "/chat", {"message": "hi", "conversation_id": place["conversation_id"]}),
    ]
    for method, where, body in requests:
        theirs = bob.request(method, where, json=body)
        never = where.replace(place["conversation_id"], "never-was")
        no_body = body and json.loads(json.dumps(body).replace(place["conversation_id"], "never-was"))
        nobodys = bob.request(method, never, json=no_body)
        assert theirs.status_code == nobodys.status_code == 404, (method, where)
        assert theirs.content == nobodys.content
    assert bob.get("/conversations").json()["conversations"] == []
    assert alice.read(place["conversation_id"])["status"] == "waiting"


def test_nobody_gets_anything_without_a_session_or_with_a_forged_one(url: str, alice: Client):
    place = alice.say("hello")["conversation_id"]
    with Client(url) as nobody:
        for session in ({}, {"session": "eyJ1c2VyX2lkIjoiYWxpY2UifQ==.a.b"}):
            nobody.cookies.update(session)
            for path in ("/session", "/conversations", f"/conversations/{place}"):
                refused = nobody.get(path)
                assert refused.status_code == 401
                assert refused.headers["content-type"] == "application/problem+json"
    alice.delete("/session")
    assert alice.get("/conversations").status_code == 401


def test_the_cookie_is_signed_for_this_site_alone(url: str):
    with Client(url) as client:
        cookie = client.post("/session", json={"name": "alice"}).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_pages_of_another_address_are_refused(alice: Client):
    for origin in ("http://127.0.0.1:1", "https://elsewhere.example", "null"):
        refused = alice.post("/chat", json={"message": "hello"}, headers={"origin": origin})
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:chat:problem:other-origin")
    own = str(alice.base_url).rstrip("/")
    assert alice.post("/chat", json={"message": "hello"}, headers={"origin": own}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": ""},
        {"message": "  "},
        {"message": 1},
        {"message": "x" * 8_001},
        {"message": "x", "user_id": "bob"},
        {"message": "x", "conversation_id": 1},
        [],
        None,
    ],
)
def test_what_has_not_the_documented_form_is_refused_without_its_values(alice: Client, body: Any):
    refused = alice.post("/chat", json=body)
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
    assert "xxx" not in refused.text


def test_a_body_is_json(alice: Client):
    form = alice.post("/chat", content='{"message": "hello"}', headers={"content-type": "text/plain"})
    assert form.status_code == 400
    assert alice.post("/chat", data={"message": "hello"}).status_code == 400
    assert alice.get("/conversations").json()["conversations"] == []


@pytest.mark.parametrize("cursor", ["x", "e30", "=="])
def test_a_broken_cursor_is_a_problem(alice: Client, cursor: str):
    assert alice.get("/conversations", params={"cursor": cursor}).status_code == 400


@pytest.mark.parametrize("name", ["", "a b", "a#b", "x" * 65, "<b>"])
def test_a_name_is_one_that_the_table_takes(url: str, name: str):
    with Client(url) as client:
        assert client.post("/session", json={"name": name}).status_code == 400


@pytest.mark.parametrize("place", ["%23", "a%23b", "%00", "x" * 3000])
def test_an_id_that_no_conversation_can_have_is_not_found(alice: Client, place: str):
    assert alice.get(f"/conversations/{place}").status_code == 404


def test_the_openapi_document_has_every_route_and_says_which_stream(alice: Client):
    document = alice.get("/openapi.json").json()
    routes = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    one = "/conversations/{conversation_id}"
    assert routes == {
        *(("POST", path) for path in ("/chat", "/conversations", "/session", f"{one}/resume", f"{one}/cancel")),
        *(("GET", path) for path in ("/conversations", "/session", one, f"{one}/export", f"{one}/events")),
        ("PATCH", one),
        ("DELETE", one),
        ("DELETE", "/session"),
        ("DELETE", "/me"),
    }
    for path in ("/chat", f"{one}/resume"):
        content = document["paths"][path]["post"]["responses"]["200"]["content"]
        assert {
            one["properties"]["event"]["const"] for one in content["text/event-stream"]["schema"]["items"]["oneOf"]
        } == {*EVENT_DATA}
        assert content["application/json"]["schema"]["required"] == [*RESULT]


def test_events_and_results_have_the_fields_that_the_document_names(alice: Client, model: FailingModel):
    said = list(alice.events("POST", "/chat", json={"message": "note: milk"}))
    said += alice.events("POST", "/chat", json={"message": "show me the python files"})
    model.fails = True
    said += alice.events("POST", "/chat", json={"message": "hello"})
    model.fails = False
    assert {name for name, _ in said} == {*EVENT_DATA} - {"ping"}
    assert all(data.keys() == EVENT_DATA[name].keys() for name, data in said)
    assert alice.say("hello").keys() == RESULT.keys()


def test_the_readme_names_every_route_and_every_event(alice: Client):
    readme = (CHAT / "README.md").read_text()
    for path, methods in alice.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path.replace('{conversation_id}', '{id}')}" in readme
    for event in EVENT_DATA:
        assert f"| `{event}` |" in readme


def test_the_servers_own_code_stays_small():
    files = list(CHAT.glob("*.py"))
    lines = [line for path in files for line in path.read_text().splitlines() if line.strip()]
    assert {path.name for path in files} == {"server.py", "turns.py"}
    assert len(lines) <= MOST_LINES


def test_no_lock_file_names_a_registry():
    page = Path(CHAT, "page")
    assert "resolved" not in (page / "package-lock.json").read_text()
    package = json.loads((page / "package.json").read_text())
    versions = [*package["dependencies"].values(), *package["devDependencies"].values()]
    assert all(version[0].isdigit() for version in versions)


def test_an_answer_that_is_stopped_while_a_tool_waits_gets_a_result_for_each_call(saver: DynamoDBConversationSaver):
    from assistant import build_graph, end_run
    from notes import NotesState, note_tools

    graph = build_graph(OfflineFileModel(), FileLibrary(FOLDER), saver, note_tools(), NotesState)
    config = saver.new_conversation(user_id="alice")
    graph.invoke({"messages": [("user", "note: milk")]}, config)
    end_run(graph, config)
    messages = graph.get_state(config).values["messages"]
    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
    assert isinstance(messages[-1], AIMessage)
    assert saver.conversations.get(config["configurable"]["thread_id"], "alice").status == "idle"
