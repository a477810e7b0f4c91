"""A process that is killed at any moment: the next one resumes, and nobody can tell from the conversation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.faults.graphs import expected_messages, expected_transcript, spoken, transcript

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from tests.conftest import MakeSaver, Report
    from tests.engines import Engine

KILLS = int(os.environ.get("KILLS", "15"))
KILLS_OF_ONE_CHAT = 15
TURNS = 12


@pytest.mark.engine("dynamodb-local")
@pytest.mark.timeout(120 + 10 * KILLS)
def test_a_conversation_outlives_its_processes(
    engine: Engine, make_saver: MakeSaver, table_name: str, report: Report
) -> None:
    survived, seed = 0, 0
    while survived < KILLS:
        seed += 1
        thread_id = str(uuid.uuid4())
        survived += lives(engine, table_name, thread_id, min(KILLS - survived, KILLS_OF_ONE_CHAT), seed)
        config: RunnableConfig = {"configurable": {"thread_id": thread_id, "user_id": "alice"}}
        assert spoken(make_saver(), config) == expected_messages(TURNS)
        assert transcript(make_saver(), config) == expected_transcript(TURNS)
    report(f"{survived} kills survived in {seed} conversations")


def lives(engine: Engine, table_name: str, thread_id: str, kills: int, seed: int) -> int:
    """Let a conversation be finished by processes that are killed; how many were."""
    command = [sys.executable, "-m", "tests.faults.mortal", str(engine.endpoint_url), table_name, thread_id]
    ended = subprocess.run([*command, str(TURNS), str(kills), str(seed)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["code"] == 0, ended.stderr
    return int(told["killed"])
