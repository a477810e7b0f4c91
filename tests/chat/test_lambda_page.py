"""The Lambda example answers the same API, but for what its gateway can't: the page works with both."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect

from dev import CHAT
from tests.chat.chat_page import ChatPage
from tests.chat.gateway import Gateway, gateway
from tests.chat.serving import FOLDER

sys.path[:0] = [str(CHAT.parent), str(CHAT.parent / "lambda")]

from chat_api import ChatApi  # noqa: E402
from chat_markdown import as_markdown  # noqa: E402
from chat_service import ChatService  # noqa: E402
from library import FileLibrary  # noqa: E402
from offline_model import OfflineFileModel  # noqa: E402

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from playwright.sync_api import Browser

APPROVE, REJECT = {"decisions": [{"type": "approve"}]}, {"decisions": [{"type": "reject"}]}
NOTE = "Keep a note: milk is out"


@pytest.fixture
def behind(client: DynamoDBClient, table_name: str) -> Iterator[Gateway]:
    """The function behind its gateway."""
    service = ChatService(client, table_name, OfflineFileModel(words=as_markdown), FileLibrary(FOLDER))
    with gateway(ChatApi(service)) as running:
        yield running
    service.close()


@pytest.fixture
def alice(behind: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=behind.url, headers={"authorization": "Bearer alice"}, timeout=30) as client:
        yield client


@pytest.fixture
def page(behind: Gateway, browser: Browser) -> Iterator[ChatPage]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script("sessionStorage.setItem('chat-token', 'alice')")
    page = ChatPage(context, behind)
    expect(page.composer).to_be_visible()
    yield page
    context.close()
    assert page.errors == page.foreign == []


def test_an_approval_is_given_or_refused_once(alice: httpx.Client):
    for answer, words in ((APPROVE, "I kept the note."), (REJECT, "I did not keep the note.")):
        waiting = alice.post("/chat", json={"message": NOTE}).json()["conversation"]
        assert waiting["status"] == "waiting"
        path = f"/conversations/{waiting['conversation_id']}/resume"
        answers = {"answers": {waiting["waiting_for"][0]["id"]: answer}}
        message = {"message": "hello", "conversation_id": waiting["conversation_id"]}
        assert alice.post("/chat", json=message).json()["type"] == "urn:chat:problem:waiting"
        assert alice.post(path, json=answers).json()["answer"].startswith(words)
        assert alice.post(path, json=answers).json()["type"] == "urn:chat:problem:nothing-to-answer"


def test_what_waits_is_cancelled(alice: httpx.Client):
    waiting = alice.post("/chat", json={"message": NOTE}).json()["conversation_id"]
    assert alice.post(f"/conversations/{waiting}/cancel").status_code == 204
    assert alice.get(f"/conversations/{waiting}").json()["status"] == "idle"


def test_a_message_replaces_another(alice: httpx.Client):
    chat = alice.post("/chat", json={"message": "hello"}).json()["conversation_id"]
    (asked, _) = alice.get(f"/conversations/{chat}").json()["messages"]
    body = {"message": "thanks", "conversation_id": chat, "replaces": asked["id"]}
    assert alice.post("/chat", json=body).json()["answer"].startswith("You are welcome")
    assert alice.get(f"/conversations/{chat}").json()["messages"][0]["content"] == "thanks"


def test_conversations_are_made_and_exported(alice: httpx.Client):
    assert alice.get("/session").json() == {"user_id": "alice"}
    made = alice.post("/conversations", json={"title": "Mine"})
    assert (made.status_code, made.json()["title"]) == (201, "Mine")
    exported = alice.get(f"/conversations/{made.json()['conversation_id']}/export?format=json")
    assert exported.headers["content-disposition"].startswith("attachment")
    assert exported.json()[0]["title"] == "Mine"


def test_another_users_conversation_is_one_that_never_was(behind: Gateway, alice: httpx.Client):
    chat = alice.post("/chat", json={"message": NOTE}).json()["conversation"]
    path = f"/conversations/{chat['conversation_id']}"
    answers = {"answers": {chat["waiting_for"][0]["id"]: APPROVE}}
    with httpx.Client(base_url=behind.url, headers={"authorization": "Bearer bob"}) as bob:
        assert bob.post(f"{path}/resume", json=answers).status_code == 404
        assert bob.post(f"{path}/cancel").status_code == 404
        assert bob.get(f"{path}/export").status_code == 404


def test_every_route_of_the_chat_servers_is_the_functions_but_what_its_gateway_cannot():
    own = set(re.findall(r'@api\.(\w+)\("([^"]+)"', (CHAT / "server.py").read_text()))
    functions = re.findall(r'api\.(\w+)\("([^"]+)"', Path(CHAT.parent, "lambda", "chat_api.py").read_text())
    theirs = {(method, path.replace("<", "{").replace(">", "}")) for method, path in functions}
    assert own - theirs == {
        ("get", "/conversations/{conversation_id}/events"),  # the gateway does not stream
        ("post", "/session"),  # the user pool signs people in
        ("delete", "/session"),
    }
    assert theirs <= own


@pytest.mark.browser
def test_the_page_works_with_the_function(page: ChatPage):
    page.say("Show me the Python files")
    expect(page.answers.last).to_contain_text("files of kind python")
    expect(page.cards).to_have_count(1)
    page.say(NOTE)
    page.tab.reload()
    page.approval.get_by_role("button", name="Approve").click()
    expect(page.answers.last).to_contain_text("I kept the note.")
    page.questions.first.hover()
    page.questions.first.get_by_role("button", name="Edit").click()
    page.tab.get_by_label("Edit your message").fill("thanks")
    page.tab.get_by_role("button", name="Send", exact=True).first.click()
    expect(page.answers).to_have_text([re.compile("You are welcome")])
    page.wait_until_idle()
    page.more("Rename", of="thanks")
    page.tab.get_by_label("Title").fill("Another title")
    page.tab.get_by_role("button", name="Rename", exact=True).click()
    expect(page.listed.first).to_contain_text("Another title")
    with page.tab.expect_download():
        page.more("Export as Markdown")
    page.more("Delete", of="Another title")
    page.tab.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.listed).to_have_count(0)
