"""A process that dies between any two requests loses nothing, and leaves no object that deleting does not find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._format.keys import Scope, object_name
from langgraph_dynamo_conv.errors import DynamoConvError
from tests.buckets import TestBucket, Wire, new_bucket, s3_client
from tests.conftest import MakeSaver
from tests.engines import Engine
from tests.factories import config, items_of, noise, put, values_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.engine("moto")

OLD, NEW = noise(30_000, 1), noise(30_000, 2)
TEXT = noise(135_000, 3).hex()  # too large for a message item
THRESHOLD = 25_000
MANY = 60
"""More requests than any operation here sends."""

each_side = pytest.mark.parametrize("done", [False, True], ids=["unsent", "answer lost"])


class Stage:
    """A table, a bucket, and savers whose process can die."""

    def __init__(self, make_saver: MakeSaver, bucket: TestBucket, engine: Engine) -> None:
        self.bucket = bucket
        self._make_saver = make_saver
        self._mortal_s3 = s3_client()
        self._mortal = engine.client(retries={"total_max_attempts": 1})
        self._clock = 1_700_000_000.0
        self.wire = Wire(self._mortal, self._mortal_s3)

    def saver(self) -> DynamoDBConversationSaver:
        """A saver of a process that lives."""
        return self._make_saver(s3_client=self.bucket.client, **self._options())

    def dies(self, work: Callable[[DynamoDBConversationSaver], object], number: int, *, done: bool) -> bool:
        """Whether a process that does this work dies at that request; it has fewer otherwise."""
        saver = self._make_saver(client=self._mortal, s3_client=self._mortal_s3, **self._options())
        with self.wire:
            self.wire.cut(number, done=done)
            try:
                work(saver)
            except DynamoConvError:
                return True
            finally:
                self.wire.mend()
        return False

    def hours_later(self, hours: float) -> None:
        self._clock += hours * 3600

    def close(self) -> None:
        self._mortal.close()
        self._mortal_s3.close()

    def _options(self) -> dict[str, Any]:
        return {"s3_bucket": self.bucket.name, "s3_threshold_bytes": THRESHOLD, "clock": self._now}

    def _now(self) -> float:
        return self._clock


@pytest.fixture
def stage(make_saver: MakeSaver, engine: Engine) -> Iterator[Stage]:
    with new_bucket() as bucket:
        stage = Stage(make_saver, bucket, engine)
        yield stage
        stage.close()


def fill(saver: DynamoDBConversationSaver, thread: str = "thread") -> None:
    put(saver, 1, {"document": OLD}, at=config(thread))


def put_next(saver: DynamoDBConversationSaver) -> None:
    put(saver, 2, {"document": NEW}, parent=1)


def say_much(saver: DynamoDBConversationSaver) -> None:
    put(saver, 2, {"document": OLD, "messages": [HumanMessage("hi", id="1"), AIMessage(TEXT, id="2")]}, parent=1)


def write_much(saver: DynamoDBConversationSaver) -> None:
    saver.put_writes(config(number=1), [("document", NEW), ("document", OLD)], "task")


def is_empty(stage: Stage, client: DynamoDBClient, table_name: str) -> bool:
    return stage.bucket.keys == [] and items_of(client, table_name) == []


def every_object_has_a_pointer(stage: Stage, client: DynamoDBClient, table_name: str) -> bool:
    pointers = [item for item in items_of(client, table_name) if item["user_id"]["S"].endswith("#s3")]
    named = {
        object_name(Scope(item["conversation_id"]["S"], "demo").pointer(item["user_id"]["S"].split("#")[2]))
        for item in pointers
    }
    return set(stage.bucket.keys) <= named


@each_side
@pytest.mark.parametrize("work", [put_next, say_much, write_much])
def test_storing_dies_at_any_request(
    stage: Stage, client: DynamoDBClient, table_name: str, work: Callable[[DynamoDBConversationSaver], None], done: bool
) -> None:
    for number in range(1, MANY):
        fill(stage.saver())
        died = stage.dies(work, number, done=done)

        assert values_of(stage.saver())["document"] in (OLD, NEW)
        assert every_object_has_a_pointer(stage, client, table_name)
        work(stage.saver())  # the same call again
        found = stage.saver().get_tuple(config())
        assert found is not None
        assert found.checkpoint["channel_values"].keys() & {"document", "messages"}
        stage.saver().delete_thread("thread")
        assert is_empty(stage, client, table_name)
        if not died:
            break
    assert 4 < number < MANY - 1


@each_side
def test_a_conversation_whose_process_died_while_storing_is_deleted_whole(
    stage: Stage, client: DynamoDBClient, table_name: str, done: bool
) -> None:
    for number in range(1, MANY):
        fill(stage.saver())
        died = stage.dies(put_next, number, done=done)
        stage.saver().conversations.delete_user("demo", scan=True)
        assert is_empty(stage, client, table_name)
        if not died:
            break
    assert 4 < number < MANY - 1


@each_side
def test_deleting_dies_at_any_request_and_is_repeated(
    stage: Stage, client: DynamoDBClient, table_name: str, done: bool
) -> None:
    for number in range(1, MANY):
        fill(stage.saver())
        say_much(stage.saver())
        died = stage.dies(lambda saver: saver.delete_thread("thread"), number, done=done)
        assert every_object_has_a_pointer(stage, client, table_name)
        stage.saver().delete_thread("thread")
        assert is_empty(stage, client, table_name)
        if not died:
            break
    assert 8 < number < MANY - 1


@each_side
def test_pruning_dies_at_any_request_and_is_repeated(
    stage: Stage, client: DynamoDBClient, table_name: str, done: bool
) -> None:
    for number in range(1, MANY):
        fill(stage.saver())
        put_next(stage.saver())
        stage.hours_later(1.1)
        died = stage.dies(lambda saver: saver.prune(["thread"]), number, done=done)
        assert values_of(stage.saver())["document"] == NEW
        assert every_object_has_a_pointer(stage, client, table_name)
        stage.saver().prune(["thread"])
        assert len(stage.bucket.keys) == 1
        assert values_of(stage.saver()) == {"document": NEW}
        stage.saver().delete_thread("thread")
        if not died:
            break
    assert 8 < number < MANY - 1


@each_side
def test_copying_dies_at_any_request_and_is_repeated(
    stage: Stage, client: DynamoDBClient, table_name: str, done: bool
) -> None:
    for number in range(1, MANY):
        fill(stage.saver())
        say_much(stage.saver())
        died = stage.dies(lambda saver: saver.copy_thread("thread", "copy"), number, done=done)
        assert every_object_has_a_pointer(stage, client, table_name)
        with suppress(ValueError):  # it was done, and only the answer was lost
            stage.saver().copy_thread("thread", "copy")
        stage.saver().delete_thread("thread")
        assert values_of(stage.saver(), config("copy"))["document"] == OLD
        stage.saver().delete_thread("copy")
        assert is_empty(stage, client, table_name)
        if not died:
            break
    assert 8 < number < MANY - 1


def test_a_pointer_that_a_crash_left_without_its_object_hinders_no_copy(
    stage: Stage, client: DynamoDBClient, table_name: str
) -> None:
    fill(stage.saver())
    number = next(
        number
        for number in range(1, MANY)
        if stage.dies(put_next, number, done=False) and stage.wire.operations[number - 1] == "PutObject"
    )
    assert number > 1
    stage.saver().copy_thread("thread", "copy")

    assert len(stage.bucket.keys) == 2
    assert values_of(stage.saver(), config("copy")) == {"document": OLD}


def test_an_object_that_arrives_after_its_conversation_was_deleted_is_still_found(
    stage: Stage, client: DynamoDBClient, table_name: str
) -> None:
    fill(stage.saver())
    saver = stage.saver()
    saver._runtime.blobs._bucket = late = LateBucket(stage, saver._runtime.blobs._bucket)
    put_next(saver)
    assert late.was_deleted

    assert every_object_has_a_pointer(stage, client, table_name)
    stage.saver().delete_thread("thread")
    assert is_empty(stage, client, table_name)


class LateBucket:
    """A bucket in which an object arrives when its conversation has just been deleted."""

    def __init__(self, stage: Stage, bucket: Any) -> None:
        self._stage = stage
        self._bucket = bucket
        self.threshold_bytes = bucket.threshold_bytes
        self.was_deleted = False

    def put(self, name: str, data: bytes) -> None:
        self._stage.saver().delete_thread("thread")
        self.was_deleted = True
        self._bucket.put(name, data)

    def get(self, name: str, first: int, last: int) -> bytes:
        data: bytes = self._bucket.get(name, first, last)
        return data
