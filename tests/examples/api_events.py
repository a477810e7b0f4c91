"""Events of API Gateway's HTTP APIs, payload format 2.0, as a Lambda function gets them; and the function's context.

Made from the whole events in `examples/lambda/events`, in the form of AWS's "Create AWS Lambda proxy integrations for
HTTP APIs". As there: header names are lower case, the path and its parameters come decoded, absent parts are left out.
"""

from __future__ import annotations

import copy
import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

EVENTS = Path(__file__).resolve().parents[2] / "examples" / "lambda" / "events"
EVENT = json.loads((EVENTS / "chat.json").read_text())
MISSING = object()
"""A claim that the token does not have."""


@dataclass
class Context:
    """What Lambda passes beside the event."""

    seconds: float = 20.0
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


def event(
    method: str,
    route: str,
    *,
    user: Any = "alice",
    body: Any = None,
    conversation_id: str | None = None,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A request of a signed-in user; `body` is sent as JSON, or as it is if it is a string."""
    made = copy.deepcopy(EVENT)
    path = route.replace("{conversation_id}", conversation_id or "")
    made.update(routeKey=f"{method} {route}", rawPath=path, rawQueryString=urlencode(query or {}))
    made["requestContext"].update(routeKey=f"{method} {route}")
    made["requestContext"]["http"].update(method=method, path=path)
    claims = made["requestContext"]["authorizer"]["jwt"]["claims"]
    claims["sub"] = user
    if user is MISSING:
        del claims["sub"]
    made["headers"] |= headers or {}
    del made["body"]
    if body is not None:
        made["body"] = body if isinstance(body, str) else json.dumps(body)
    if query:
        made["queryStringParameters"] = query
    if conversation_id is not None:
        made["pathParameters"] = {"conversation_id": conversation_id}
    return made
