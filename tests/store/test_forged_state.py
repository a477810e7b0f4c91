"""What a writer of the table can have a reader run: anything with LangGraph's default, nothing in strict mode."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_dynamo_conv.cli.diagnosis.findings import Finding
from langgraph_dynamo_conv.errors import CorruptDataError
from tests.store.forgeries import CODES, ForgingSerializer, forgeries, ran

if TYPE_CHECKING:
    from tests.conftest import MakeSaver

ROOT = Path(__file__).parents[2]
PLACES = ("channel", "element of a list", "pending write")
ALL = {f"{name} as {place}" for name in CODES for place in PLACES}


def run_with(variable: str | None, folder: Path) -> set[str]:
    """What ran at `graph.get_state` in a program in whose environment LANGGRAPH_STRICT_MSGPACK is this."""
    environment = {name: value for name, value in os.environ.items() if name != "LANGGRAPH_STRICT_MSGPACK"}
    environment |= {"PYTHONPATH": str(ROOT)} | ({} if variable is None else {"LANGGRAPH_STRICT_MSGPACK": variable})
    command = [sys.executable, "-m", "tests.store.forgeries", str(folder)]
    ended = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return set(filter(None, ended.stdout.splitlines()))


def test_there_is_a_forgery_for_each_extension_of_langgraphs_serializer(tmp_path: Path) -> None:
    assert set(forgeries(tmp_path)) == set(CODES)


@pytest.mark.parametrize(("variable", "expected"), [(None, ALL), ("on", ALL), ("true", set())])
def test_only_strict_msgpack_keeps_a_writer_of_the_table_from_running_commands_in_its_readers(
    variable: str | None, expected: set[str], tmp_path: Path
) -> None:
    assert run_with(variable, tmp_path) == expected


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [(True, ALL), (None, set()), ([Finding], set())],
    ids=["all types", "LangChain's types", "one more"],
)
def test_a_serializer_with_a_list_of_types_is_strict_whatever_the_environment_says(
    make_saver: MakeSaver, allowed: Any, expected: set[str], tmp_path: Path
) -> None:
    forger = make_saver(serde=ForgingSerializer(), transcript=False)
    reader = make_saver(serde=JsonPlusSerializer(allowed_msgpack_modules=allowed), transcript=False)

    assert set(ran(reader.get_tuple, forger, tmp_path)) == expected


@pytest.mark.parametrize(("accept_plaintext", "expected"), [(False, set()), (True, ALL)])
def test_what_is_encrypted_can_not_be_forged_unless_plain_text_is_accepted(
    make_saver: MakeSaver, accept_plaintext: bool, expected: set[str], tmp_path: Path
) -> None:
    serde = EncryptedSerializer.from_pycryptodome_aes(
        JsonPlusSerializer(allowed_msgpack_modules=True), key=b"0123456789abcdef"
    )
    forger = make_saver(serde=ForgingSerializer(), transcript=False)
    reader = make_saver(serde=serde, accept_plaintext=accept_plaintext, transcript=False)

    def read(config: Any) -> None:
        if accept_plaintext:
            reader.get_tuple(config)
        else:
            with pytest.raises(CorruptDataError):
                reader.get_tuple(config)

    assert set(ran(read, forger, tmp_path)) == expected
