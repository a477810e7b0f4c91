"""A DynamoDB endpoint for the processes of the demo: moto behind HTTP, in the demo's own process, with a meter.

It outlives each of them, as a table does. Nothing leaves the machine.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from demo.units import Ask, Meter

NO_AWS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "embedded",
    "AWS_SECRET_ACCESS_KEY": "embedded",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}
"""The environment of what talks to the endpoint: no credentials of the person's are looked up."""
_CONTENT = "application/x-amz-json-1.0"


@contextmanager
def running_endpoint(ask: Ask | None = None) -> Iterator[tuple[str, Meter]]:
    """Serve until the end what moto or `ask` answers; gives the address, and the meter of all requests."""
    meter = Meter(ask or _moto())
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(meter))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", meter
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _moto() -> Ask:
    """What asks moto."""
    from moto.moto_server.werkzeug_app import create_backend_app  # a test tool: not needed with a real table

    client = create_backend_app("dynamodb").test_client()

    def ask(operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        headers = {"X-Amz-Target": f"DynamoDB_20120810.{operation}", "Content-Type": _CONTENT}
        answer = client.post("/", data=json.dumps(request), headers=headers)
        return answer.status_code, json.loads(answer.data or "{}")

    return ask


def _handler(meter: Meter) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = meter.answer(self.headers["X-Amz-Target"].rpartition(".")[2], body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", _CONTENT)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the demo tells what happens."""

    return Handler
