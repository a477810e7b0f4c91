"""Commands as the team types them: run with dummy credentials on servers of this machine, whatever they name."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.engines import DUMMY_ENVIRONMENT, START_SECONDS, free_port

BIN = Path(sys.executable).parent
"""Where the environment's programs are: `aws` and `langgraph-dynamo-conv` among them."""

_PROGRAMS = ("aws ", "langgraph-dynamo-conv ")
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL")
_TIMEOUT_SECONDS = 120


def commands_of(text: str) -> list[str]:
    """The commands of the console blocks of a page, each with its continuation lines."""
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    begins = "|".join(map(re.escape, _PROGRAMS))
    return [one.strip() for block in blocks for one in re.split(rf"^(?={begins})", block, flags=re.MULTILINE) if one]


def words_of(command: str) -> list[str]:
    """What a shell makes of a command."""
    return shlex.split(command.replace("\\\n", " "))


@dataclass(frozen=True)
class Shell:
    """Runs commands.

    Args:
        dynamodb_url: Where requests to DynamoDB go.
        other_url: Where those to all other services go.
        folder: The working directory, for `file://` arguments.
        variables: Environment variables besides.
    """

    dynamodb_url: str
    other_url: str
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, command: str | Sequence[str]) -> str:
        """What a command prints; it must end with 0."""
        words = words_of(command) if isinstance(command, str) else [*command]
        ended = subprocess.run(
            [str(BIN / words[0]), *words[1:]],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        assert ended.returncode == 0, f"{words}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def json(self, command: str) -> Any:
        """What a command prints, as JSON."""
        return json.loads(self.run(command))

    def environment(self) -> dict[str, str]:
        endpoints = dict(zip(_ENDPOINT_VARIABLES, (self.dynamodb_url, self.other_url), strict=True))
        return {**os.environ, **DUMMY_ENVIRONMENT, **endpoints, "AWS_PAGER": "", **self.variables}


def run_until(shell: Shell, command: str, wanted: str) -> None:
    """Run a command again and again, as a person who waits for what it is to print."""
    deadline = time.monotonic() + START_SECONDS
    while (printed := shell.run(command).strip()) != wanted:
        assert time.monotonic() < deadline, printed


@contextmanager
def moto_server() -> Iterator[str]:
    """AWS as moto plays it, in a process of its own: its data are nobody else's. Gives the address."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_until_it_listens(server, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=30)


def _wait_until_it_listens(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError("moto's server did not start")
