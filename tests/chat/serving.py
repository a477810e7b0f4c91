"""The chat's server as a process of its own, and a browser: what tests of the page and its pictures are made with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from dev import CHAT, CHAT_MODULES
from tests.engines import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

START_SECONDS = 60
FOLDER = Path(__file__).resolve().parents[2] / "examples"
"""The library that the assistant is asked about."""
NO_CHROMIUM = (
    "There is no Chromium to drive. Install it (on Debian: apt-get install chromium), name its executable in CHROMIUM, "
    "or leave these tests out with --no-browser."
)
NO_PAGE = "CHAT_PAGE is not set, so there is no built page: run `python3 dev.py test`, which builds it."


class ChatServer:
    """The server on a port of its own, on a DynamoDB endpoint; can be stopped and started again.

    Args:
        endpoint_url: DynamoDB's.
        word_seconds: How long the offline model waits after each word.
        table: The conversations table.
    """

    def __init__(self, endpoint_url: str, *, word_seconds: float = 0.01, table: str = "conversations") -> None:
        self._endpoint_url, self._word_seconds, self._table = endpoint_url, word_seconds, table
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = ["--endpoint-url", self._endpoint_url, "--region", "us-east-1", "--setup", "--table", self._table]
        options += ["--port", str(self._port), "--folder", str(FOLDER), "--page", built_page()]
        command = [sys.executable, str(CHAT / "server.py"), *options, "--word-seconds", str(self._word_seconds)]
        variables = {"PYTHONPATH": os.pathsep.join(map(str, CHAT_MODULES)), "CHAT_SECRET": "of the tests"}
        self._process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                httpx.get(f"{self.url}/session")
                return
            if self._process.poll() is not None:
                raise RuntimeError(f"the chat's server ended with {self._process.returncode}")
            time.sleep(0.1)
        raise RuntimeError("the chat's server does not answer")

    def stop(self, *, at_once: bool = False) -> None:
        """Stop it, as Ctrl-C does, or by killing it."""
        if self._process is not None:
            self._process.kill() if at_once else self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None


@contextmanager
def chat_server(endpoint_url: str, *, word_seconds: float = 0.01, table: str = "conversations") -> Iterator[ChatServer]:
    """A running server, which is stopped at the end."""
    server = ChatServer(endpoint_url, word_seconds=word_seconds, table=table)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def built_page() -> str:
    """The folder of the built page."""
    page = os.environ.get("CHAT_PAGE")
    if not page:
        raise RuntimeError(NO_PAGE)
    return page


def launched(playwright: Playwright) -> Browser:
    """A headless Chromium. Its own sandbox needs a user that is not root."""
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        raise RuntimeError(NO_CHROMIUM)
    return playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
