"""A process that is killed at any moment: the next one resumes, and nobody can tell from the conversation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.faults.graphs import CHATS, expected_messages, expected_transcript, spoken, transcript

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from tests.conftest import MakeSaver, Report
    from tests.engines import Engine

KILLS = int(os.environ.get("KILLS", "15"))
KILLS_OF_ONE_CHAT = 3
"""At most."""
TURNS = 6


@pytest.mark.engine("dynamodb-local")
@pytest.mark.timeout(120 + 10 * KILLS)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_conversation_outlives_its_processes(
    engine: Engine, make_saver: MakeSaver, table_name: str, report: Report, workers: int
) -> None:
    survived: Counter[str] = Counter()
    for seed in count():
        if survived.total() >= KILLS:
            break
        chats = {str(uuid.uuid4()): chat for chat in CHATS}
        for thread_id, killed in lives(engine, table_name, workers, seed, chats).items():
            chat = chats[thread_id]
            survived[chat] += killed
            config: RunnableConfig = {"configurable": {"thread_id": thread_id, "user_id": "alice"}}
            assert spoken(make_saver(), config, chat) == expected_messages(TURNS, chat), (chat, seed)
            assert transcript(make_saver(), config) == expected_transcript(TURNS), (chat, seed)
    report(f"kills survived with {workers} at a time: {dict(survived)}")


def lives(engine: Engine, table_name: str, workers: int, seed: int, chats: dict[str, str]) -> dict[str, int]:
    """Let conversations be finished by processes that are killed; how many were in each."""
    command = [sys.executable, "-m", "tests.faults.mortal", str(engine.endpoint_url), table_name]
    numbers = map(str, (workers, TURNS, KILLS_OF_ONE_CHAT, seed))
    conversations = [f"{thread_id}={chat}" for thread_id, chat in chats.items()]
    ended = subprocess.run([*command, *numbers, *conversations], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    killed: dict[str, int] = json.loads(ended.stdout)
    return killed
