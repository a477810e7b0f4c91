"""LangGraph's server with the example's configuration, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.engines import REGION, Engine, free_port

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "langgraph_server"
START_SECONDS = 120
PEOPLE = {"token of alice": "alice", "token of bob": "bob"}


def configuration(folder: Path, *, authenticated: bool) -> Path:
    """The example's `langgraph.json` with one agent more, its paths absolute; without its authentication if so said."""
    wanted = json.loads((EXAMPLE / "langgraph.json").read_text())
    for part in (wanted["auth"], wanted["checkpointer"]):
        part["path"] = absolute(part["path"])
    wanted["graphs"] = {name: absolute(path) for name, path in wanted["graphs"].items()}
    wanted["graphs"]["slow"] = f"{Path(__file__).with_name('slow_agent.py')}:graph"
    wanted["dependencies"] = [str((EXAMPLE / path).resolve()) for path in wanted["dependencies"]]
    if not authenticated:
        del wanted["auth"]
    path = folder / "langgraph.json"
    path.write_text(json.dumps(wanted))
    return path


def absolute(path: str) -> str:
    return str(EXAMPLE / path) if path.startswith(".") else path


@contextmanager
def langgraph_dev(folder: Path, engine: Engine, table_name: str, *, authenticated: bool, **more: str) -> Iterator[str]:
    """Run `langgraph dev`, and give its address; its threads stay in the folder."""
    port = free_port()
    config = configuration(folder, authenticated=authenticated)
    options = ["--no-browser", "--no-reload", "--host", "127.0.0.1", "--port", str(port), "--config", str(config)]
    environment: dict[str, str] = {
        **{name: value for name, value in os.environ.items() if not name.startswith("COV_")},
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_DYNAMODB": str(engine.endpoint_url),
        "AWS_ACCESS_KEY_ID": "dummy",
        "AWS_SECRET_ACCESS_KEY": "dummy",
        "DYNAMODB_TABLE_NAME": table_name,
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        "LANGSMITH_TRACING": "false",
        "PEOPLE": json.dumps(PEOPLE),
        "LIBRARY_FOLDER": str(ROOT / "examples"),
        **more,
    }
    log = folder / "server.log"
    with log.open("ab") as output:
        command = [sys.executable, "-m", "langgraph_cli", "dev", *options]
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_it_answers(server, url, log)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=60)


def wait_until_it_answers(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{url}/ok", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError) as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"langgraph dev did not start: {log.read_text()}") from error
            time.sleep(0.2)


def asked(text: str) -> dict[str, Any]:
    """A run's input."""
    return {"messages": [{"role": "user", "content": text}]}
