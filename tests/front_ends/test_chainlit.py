"""`examples/chainlit`: a whole conversation in a browser, and what another user gets."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.engines import REGION, Engine, free_port

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.engine("dynamodb-local"), pytest.mark.browser]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
START_SECONDS = 90

ATTEMPTS = 6
SHOWN_MS = 10_000
"""How long a message that was sent may take to be seen."""


@pytest.fixture
def url(engine: Engine, table_name: str, tmp_path: Path) -> Iterator[str]:
    port = free_port()
    environment = {
        **os.environ,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_DYNAMODB": str(engine.endpoint_url),
        "CHAINLIT_AUTH_SECRET": "a secret of the tests, of thirty-two bytes or more",
        "CHAT_PASSWORD": "of the tests",
        "DYNAMODB_TABLE_NAME": table_name,
        "LIBRARY_FOLDER": str(EXAMPLES),
        "PYTHONPATH": str(EXAMPLES),
    }
    python = os.environ.get("CHAINLIT_PYTHON")
    if not python:
        raise RuntimeError("CHAINLIT_PYTHON is not set: run `python3 dev.py test`, which installs Chainlit")
    command = [python, "-m", "chainlit", "run", str(EXAMPLES / "chainlit" / "chat_in_chainlit.py"), "--headless"]
    log = tmp_path / "chainlit.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--port", str(port)], cwd=tmp_path, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            wait_until_it_answers(server, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=30)


def test_a_conversation_in_chainlit_is_the_tables(
    url: str, client: DynamoDBClient, table_name: str, browser: Browser
) -> None:
    with DynamoDBConversationSaver(table_name, client=client) as saver:
        page = browser.new_page()
        page.goto(url)
        page.locator("input").first.fill("alice")
        page.locator("input[type=password]").fill("of the tests")
        page.keyboard.press("Enter")
        say(page, "show me the Python files")
        page.get_by_text("of kind python").wait_for()
        (summary,) = saver.conversations.list("alice")
        thread_id = summary.conversation_id
        saver.conversations.rename(thread_id, "alice", "Renamed")

        page.goto(f"{url}/thread/{thread_id}")
        page.get_by_text("of kind python").wait_for()
        page.get_by_text("Renamed").first.wait_for()
        say(page, "the first one")
        page.get_by_text("SHA-256").wait_for()
        page.close()

        conversation = saver.conversations.get(thread_id, "alice")
        assert [one.role for one in conversation.messages] == ["user", "assistant"] * 2
        assert conversation.title == "Renamed"
        assert [call.tool for call in conversation.messages[1].tool_calls] == ["search_files"]


def test_a_user_lists_renames_and_deletes_and_another_reaches_nothing(
    url: str, client: DynamoDBClient, table_name: str
) -> None:
    with DynamoDBConversationSaver(table_name, client=client) as saver:
        for number in range(3):
            saver.conversations.create("alice", title=f"Number {number}")
        alice, bob = signed_in(url, "alice"), signed_in(url, "bob")
        first = threads(alice, 2)
        second = threads(alice, 2, first["pageInfo"]["endCursor"])
        shown = [one["name"] for one in first["data"] + second["data"]]
        assert shown == ["Number 2", "Number 1", "Number 0"]
        assert not second["pageInfo"]["hasNextPage"]
        assert threads(bob, 10)["data"] == []

        of_alice = first["data"][0]["id"]
        for method, path, body in (
            ("GET", f"/project/thread/{of_alice}", None),
            ("PUT", "/project/thread", {"threadId": of_alice, "name": "Bob's"}),
            ("DELETE", "/project/thread", {"threadId": of_alice}),
        ):
            assert bob.request(method, path, json=body).status_code in (401, 403, 404)
        assert saver.conversations.get(of_alice, "alice").title == "Number 2"

        alice.request("PUT", "/project/thread", json={"threadId": of_alice, "name": "New"}).raise_for_status()
        assert saver.conversations.get(of_alice, "alice").title == "New"
        alice.request("DELETE", "/project/thread", json={"threadId": of_alice}).raise_for_status()
        assert len(saver.conversations.list("alice")) == 2
        alice.close()
        bob.close()


def wait_until_it_answers(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(url)
        except httpx.TransportError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Chainlit did not start: {log.read_text()}") from error
            time.sleep(0.2)
        else:
            return


def say(page: Any, text: str) -> None:
    """Type a message and send it. The page takes none before it is connected, and may be built anew when it is."""
    box, sent = page.locator("#chat-input"), page.locator("[data-step-type=user_message]", has_text=text)
    for _ in range(ATTEMPTS):
        if text not in (box.text_content() or ""):
            box.click()
            page.keyboard.type(text)
        box.press("Enter")
        with suppress(PlaywrightTimeoutError):
            sent.last.wait_for(timeout=SHOWN_MS)
            return
    raise AssertionError(f"the page did not send {text!r}: its box has {box.text_content()!r}")


def signed_in(url: str, user_id: str) -> httpx.Client:
    client = httpx.Client(base_url=url)
    client.post("/login", data={"username": user_id, "password": "of the tests"}).raise_for_status()
    return client


def threads(client: httpx.Client, count: int, cursor: str | None = None) -> Any:
    wanted = {"pagination": {"first": count, "cursor": cursor}, "filter": {}}
    answer = client.post("/project/threads", json=wanted)
    answer.raise_for_status()
    return answer.json()
