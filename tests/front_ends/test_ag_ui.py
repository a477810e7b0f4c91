"""`examples/ag_ui_server.py`: the events of AG-UI, and whose the conversation is."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.conftest import MakeSaver

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

from ag_ui_server import serve  # noqa: E402
from assistant import build_graph  # noqa: E402
from library import FileLibrary  # noqa: E402
from offline_model import OfflineFileModel  # noqa: E402

# AG-UI's library asks the graph for a schema by a function that LangGraph has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`get_config_jsonschema` is deprecated")


@pytest.fixture
def client(make_saver: MakeSaver) -> Any:
    graph = build_graph(OfflineFileModel(), FileLibrary(EXAMPLES), make_saver(default_user_id=None))
    with TestClient(serve(graph)) as client:
        yield client


def post(client: TestClient, user_id: str | None, thread_id: str, *texts: str) -> Any:
    """Ask for a run; as AG-UI's clients do, with all messages of the conversation."""
    messages = [{"id": f"{thread_id} {text}", "role": "user", "content": text} for text in texts]
    run = {"threadId": thread_id, "runId": uuid.uuid4().hex, "messages": messages}
    body = {**run, "state": {}, "tools": [], "context": [], "forwardedProps": {}}
    return client.post("/", json=body, headers={"X-User": user_id} if user_id else {})


def events_of(client: TestClient, user_id: str, thread_id: str, *texts: str) -> list[dict[str, Any]]:
    answer = post(client, user_id, thread_id, *texts)
    assert answer.status_code == 200
    return [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]


def test_a_conversation_over_ag_ui_is_its_users(client: TestClient, make_saver: MakeSaver) -> None:
    thread_id = str(uuid.uuid4())
    first = events_of(client, "alice", thread_id, "show me the Python files")
    events_of(client, "alice", thread_id, "show me the Python files", "the first one")

    kinds = [event["type"] for event in first]
    assert kinds[0] == "RUN_STARTED"
    assert kinds[-1] == "RUN_FINISHED"
    assert "TOOL_CALL_RESULT" in kinds
    assert "RUN_ERROR" not in kinds
    said = make_saver().conversations.get(thread_id, "alice").messages
    assert [one.role for one in said] == ["user", "assistant"] * 2
    assert said[1].tool_calls[0].tool == "search_files"


def test_anothers_thread_is_an_empty_one(client: TestClient, make_saver: MakeSaver) -> None:
    thread_id = str(uuid.uuid4())
    events_of(client, "alice", thread_id, "show me the Python files")
    events = events_of(client, "bob", thread_id, "the first one")

    assert "alice" not in json.dumps(events)
    assert "search_files" not in json.dumps([event for event in events if event["type"] == "MESSAGES_SNAPSHOT"])
    assert make_saver().conversations.get(thread_id, "alice").messages[0].content == "show me the Python files"


def test_without_a_user_nothing_is_run(client: TestClient) -> None:
    assert post(client, None, "thread", "hello").status_code == 401
