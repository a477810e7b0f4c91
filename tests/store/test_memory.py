"""Large states: stored once, many requests at a time, in little more memory than they have themselves.

`THOROUGH_MEMORY=1` measures states of 100 MB too, and 10,000 messages.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from tests.buckets import TestBucket
from tests.conftest import MakeSaver, Report
from tests.engines import Engine
from tests.factories import items_of, noise, put, sort_keys, stored_bytes, values_of
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROOT = Path(__file__).parent.parent.parent
MB = 1024 * 1024
AT_ONCE = 8
STATES = [("many", 50)] + [("one", 100), ("many", 100), ("messages", 10)] * bool(os.environ.get("THOROUGH_MEMORY"))
MOST = {"put": 3.0, "get": 4.0}
"""Memory by the size of the state. LangChain's message objects alone have several times their text's size."""
MOST_OF_MESSAGES = 6.0


def memory_of(engine: Engine, table_name: str, what: str, shape: str, megabytes: int) -> float:
    """The most memory that a process took to put or get a state, by the state's size."""
    command = [sys.executable, "-m", "tests.store.large_state", engine.endpoint_url or "", table_name, what, shape]
    done = subprocess.run([*command, str(megabytes)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.engine("dynamodb-local")
@pytest.mark.parametrize(("shape", "megabytes"), STATES)
def test_memory_is_a_small_multiple_of_the_state(
    engine: Engine, table_name: str, report: Report, shape: str, megabytes: int
) -> None:
    taken = {what: memory_of(engine, table_name, what, shape, megabytes) for what in ("put", "get")}
    report(f"memory of {megabytes} MB ({shape}): put {taken['put']:.1f} times its size, get {taken['get']:.1f} times")

    assert all(times < (MOST_OF_MESSAGES if shape == "messages" else MOST[what]) for what, times in taken.items())


def test_an_image_in_a_message_is_stored_once(make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> None:
    image = base64.b64encode(noise(5 * MB * 3 // 4)).decode()
    content: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "base64": image, "mime_type": "image/png"},
    ]
    saver, messages = make_saver(), [HumanMessage(content, id="0")]
    with RequestLog(client) as log:
        for number in range(1, 41):
            put(saver, number, {"messages": messages}, parent=number - 1 or None)
            messages.append(AIMessage(f"An image. {noise(200, number).hex()}", id=str(number)))

    assert log.request_bytes < 1.5 * len(image)  # base64 once more, as DynamoDB's JSON has it
    assert stored_bytes(items_of(client, table_name)) < 0.8 * len(image)
    restored = values_of(make_saver())["messages"]
    assert restored == messages[:-1]


@pytest.mark.engine("dynamodb-local")
def test_ten_thousand_messages_are_stored_once(make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> None:
    saver = make_saver(transcript=False)
    messages = [{"role": "user", "content": noise(100, number).hex()} for number in range(10_000)]
    put(saver, 1, {"messages": messages})
    with RequestLog(client) as log:
        for number in range(2, 42):
            messages = [*messages, {"role": "assistant", "content": noise(100, number).hex()}]
            put(saver, number, {"messages": messages}, parent=number - 1)

    assert log.request_bytes < 150_000
    assert stored_bytes(items_of(client, table_name)) < 2.2 * MB
    assert values_of(make_saver())["messages"] == messages


def test_a_large_value_that_stays_is_not_sent_again_when_the_state_is_rewritten(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver, value = make_saver(), noise(3 * MB)
    with RequestLog(client) as log:
        for number in range(1, 61):
            put(saver, number, {"document": value, "step": noise(2000, number)}, parent=number - 1 or None)

    kinds = [item["k"]["S"] for item in items_of(client, table_name) if "k" in item]
    assert kinds.count("f") > 1
    sent = [request for request in log.requests if request.table_key and "#p#" in request.table_key[1]]
    assert len(sent) == len(sort_keys(items_of(client, table_name), "p")) == 9


class AtOnce:
    """Holds requests of an operation until so many are under way; if no more come, they fail."""

    def __init__(self, client: Any, operation: str, text: bytes = b"") -> None:
        self._operation, self._text = operation, text
        self._events = client.meta.events
        self._barrier = threading.Barrier(AT_ONCE)
        self._left = AT_ONCE
        self._lock = threading.Lock()

    def __enter__(self) -> AtOnce:
        self._events.register_first("before-send", self._hold)
        return self

    def __exit__(self, *_: object) -> None:
        self._events.unregister("before-send", self._hold)
        assert self._left <= 0

    def _hold(self, request: Any, event_name: str, **_: Any) -> None:
        if not event_name.endswith(f".{self._operation}") or self._text and self._text not in request.body:
            return
        with self._lock:
            self._left -= 1
            held = self._left >= 0
        if held:
            self._barrier.wait(timeout=20)


@pytest.mark.engine("memory")
def test_parts_are_written_and_read_many_at_a_time(make_saver: MakeSaver, client: DynamoDBClient) -> None:
    value = noise(6 * MB)
    with AtOnce(client, "PutItem", b"#p#"):
        put(make_saver(), 1, {"document": value})
    with AtOnce(client, "Query", b"#p#"):
        assert values_of(make_saver())["document"] == value


@pytest.mark.engine("memory")
def test_objects_are_written_and_read_many_at_a_time(make_s3_saver: MakeSaver, bucket: TestBucket) -> None:
    images = [noise(400_000, number) for number in range(10)]
    with AtOnce(bucket.client, "PutObject"):
        put(make_s3_saver(), 1, {"images": images})
    with AtOnce(bucket.client, "GetObject"):
        assert values_of(make_s3_saver())["images"] == images


@pytest.mark.engine("memory")
def test_the_ranges_of_an_object_are_read_many_at_a_time(
    make_s3_saver: MakeSaver, bucket: TestBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langgraph_dynamo_conv._checkpoints.blobs.OBJECT_RANGE_BYTES", 100_000)
    value = noise(1_000_000)
    put(make_s3_saver(), 1, {"document": value})
    with AtOnce(bucket.client, "GetObject"):
        assert values_of(make_s3_saver())["document"] == value
