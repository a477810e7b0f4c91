"""A process that is killed while it deletes, prunes, copies, compacts or renews: the next one finishes the job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import checkpoint_id, config, items_of
from tests.faults.mortal import SMALL_ROW
from tests.faults.mortal_jobs import STEPS, USER, go_on, messages, time_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.conftest import MakeSaver, Report
    from tests.engines import Engine

KILLS = max(int(os.environ.get("KILLS", "15")) // 5, 3)
"""Of each job."""

pytestmark = [pytest.mark.engine("dynamodb-local"), pytest.mark.timeout(120 + 10 * KILLS)]


@pytest.fixture
def source(make_saver: MakeSaver) -> str:
    """A conversation with changes, full checkpoints, segments, writes and messages that have left the row."""
    thread_id = str(uuid.uuid4())
    go_on(make_saver(row_bytes=SMALL_ROW), thread_id)
    return thread_id


class Workers:
    """Runs a job in processes that are killed, and says in which conversations it was finished."""

    def __init__(self, engine: Engine, table_name: str, report: Report) -> None:
        self._where = [str(engine.endpoint_url), table_name]
        self._report = report

    def killed_at(self, job: str, source: str = "none") -> list[str]:
        command = [sys.executable, "-m", "tests.faults.mortal_jobs", *self._where, job, source, str(KILLS), "1"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        told = json.loads(ended.stdout)
        assert told["killed"] == KILLS
        self._report(f"{KILLS} kills survived at {job} of {len(told['threads'])} conversations")
        return list(told["threads"])


@pytest.fixture
def workers(engine: Engine, table_name: str, report: Report) -> Workers:
    return Workers(engine, table_name, report)


def history(saver: DynamoDBConversationSaver, thread_id: str) -> dict[str, Any]:
    """All checkpoints with their writes, by id, without the thread's name."""
    return {
        one.checkpoint["id"]: (one.checkpoint, one.metadata, one.pending_writes)
        for one in saver.list(config(thread_id, user_id=USER))
    }


def shown(saver: DynamoDBConversationSaver, thread_id: str) -> list[Any]:
    chat = saver.conversations.get(thread_id, USER)
    assert chat.message_count == len(chat.messages)
    return [(message.role, message.content) for message in chat.messages]


def is_whole(saver: DynamoDBConversationSaver, thread_id: str) -> bool:
    """The newest state, its writes and the transcript are those of an undisturbed run, and nothing is damaged."""
    found = saver.get_tuple(config(thread_id, user_id=USER))
    assert found is not None
    assert found.checkpoint["channel_values"] == {"messages": messages(STEPS)}
    assert found.pending_writes == [(f"task {STEPS}", "messages", [STEPS])]
    said = [("assistant" if one.type == "ai" else "user", one.content) for one in messages(STEPS)]
    assert shown(saver, thread_id) == said
    assert saver.conversations.verify(thread_id, USER).damage == ()
    return True


def test_what_a_killed_process_was_deleting_is_gone_in_the_end(
    client: DynamoDBClient, table_name: str, make_saver: MakeSaver, source: str, workers: Workers
) -> None:
    before = items_of(client, table_name)

    workers.killed_at("delete", source)

    assert items_of(client, table_name) == before
    assert is_whole(make_saver(), source)


def test_what_a_killed_process_was_pruning_keeps_its_newest_state(
    make_saver: MakeSaver, source: str, workers: Workers
) -> None:
    newest = {checkpoint_id(STEPS): history(make_saver(), source)[checkpoint_id(STEPS)]}

    for thread_id in workers.killed_at("prune", source):
        assert without_parents(history(make_saver(), thread_id)) == without_parents(newest)
        assert is_whole(make_saver(), thread_id)


def without_parents(found: dict[str, Any]) -> list[Any]:
    return [(checkpoint, writes) for checkpoint, _, writes in found.values()]


def test_what_a_killed_process_was_copying_is_a_whole_copy_in_the_end(
    make_saver: MakeSaver, source: str, workers: Workers
) -> None:
    for thread_id in workers.killed_at("copy", source):
        assert history(make_saver(), thread_id) == history(make_saver(), source)
        assert is_whole(make_saver(), thread_id)


def test_full_checkpoints_and_segments_outlive_the_processes_that_store_them(
    client: DynamoDBClient, table_name: str, make_saver: MakeSaver, source: str, workers: Workers
) -> None:
    for thread_id in workers.killed_at("compact"):
        assert history(make_saver(), thread_id) == history(make_saver(), source)
        assert is_whole(make_saver(), thread_id)
        of_thread = [item for item in items_of(client, table_name) if item["conversation_id"]["S"] == thread_id]
        assert [item for item in of_thread if "#s#" in item["user_id"]["S"]]


def test_a_conversation_that_is_renewed_by_killed_processes_loses_nothing(
    make_saver: MakeSaver, workers: Workers
) -> None:
    for thread_id in workers.killed_at("expire"):
        assert is_whole(make_saver(clock=lambda: time_of(STEPS)), thread_id)
