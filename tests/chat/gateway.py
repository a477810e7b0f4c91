"""API Gateway in front of the Lambda example, as far as the page needs it: requests become events, answers responses.

What the authorizer finds in a verified token is here the token itself: `Authorization: Bearer alice` is alice.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.chat.serving import built_page
from tests.examples.api_events import MISSING, Context, event

ROUTE = re.compile(r"/(session|me|chat|conversations(?:/(?P<id>[^/]+)(?P<rest>/\w+)?)?)")


@dataclass(frozen=True)
class Gateway:
    """Where it answers; what the page's tests call a server."""

    url: str


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, handler: Callable[[Any, Any], dict[str, Any]], *args: Any, **options: Any) -> None:
        self._handler = handler
        super().__init__(*args, **options)

    def do_GET(self) -> None:
        if ROUTE.fullmatch(urlsplit(self.path).path):
            self._pass_on()
        else:
            super().do_GET()

    def do_POST(self) -> None:
        self._pass_on()

    do_PATCH = do_DELETE = do_POST  # noqa: N815 (names of the base class)

    def _pass_on(self) -> None:
        answer = self._handler(self._event(), Context())
        body = str(answer["body"] or "").encode()
        self.send_response(answer["statusCode"])
        for name, value in answer["headers"].items():
            self.send_header(name, value if isinstance(value, str) else ",".join(value))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _event(self) -> dict[str, Any]:
        parts = urlsplit(self.path)
        found = ROUTE.fullmatch(parts.path)
        place = unquote(found["id"]) if found and found["id"] else None
        route = parts.path if place is None else "/conversations/{conversation_id}" + str(found and found["rest"] or "")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode() or None
        token = self.headers.get("Authorization", "").removeprefix("Bearer ") or MISSING
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(parts.query))
        return event(self.command, route, user=token, body=body, conversation_id=place, query=query, headers=headers)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def gateway(handler: Callable[[Any, Any], dict[str, Any]]) -> Iterator[Gateway]:
    """A running gateway, which also has the page's files."""
    made = partial(_Handler, handler, directory=built_page())
    with ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Gateway(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
