"""What a log is told of an error: its class, the operation and code of the service behind, and where it happened.

An error's own text is left out, with that of its causes: models and databases quote what they were sent, and so what
people say. A traceback is left out too, since it ends with that text.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from langgraph_dynamo_conv.errors import DynamoConvError

MOST_FRAMES = 12
MOST_CAUSES = 5

_OF_AWS = ("action", "policy", "reason", "resource")
"""What errors of the package say in AWS's words: what which kind of policy denied, what was throttled and why."""


def facts_of(error: BaseException) -> dict[str, Any]:
    """Fields for a structured log. An alarm looks for the package's errors by the names right below their root."""
    causes = [*_causes(error)]
    kinds, classes = [_kind_of(cause) for cause in causes], [type(cause).__name__ for cause in causes]
    facts: dict[str, Any] = {"error": kinds[0], "frames": _frames(causes[-1])}
    if len(causes) > 1:
        facts["caused_by"] = kinds[1:]
    if classes != kinds:
        facts["classes"] = classes
    for cause in causes:
        facts = _answer_of(cause) | facts
    return facts


def without_text(record: logging.LogRecord) -> bool:
    """A filter for loggers of other libraries that write out exceptions: their facts instead of their text."""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        record.msg, record.args = f"{record.msg} {facts_of(error)}", ()
        record.exc_info = record.exc_text = None
    return True


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from, the nearest first."""
    found: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if found is None:
            return
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def _kind_of(error: BaseException) -> str:
    """The class's name; of the package's errors, that of the class right below their root."""
    return next((one for one in type(error).__mro__ if DynamoConvError in one.__bases__), type(error)).__name__


def _answer_of(error: BaseException) -> dict[str, Any]:
    """Operation, code and status of a service's answer."""
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return {"operation": error.operation_name, "code": code, "service_status": status}
    if isinstance(error, DynamoConvError):
        found = {name: getattr(error, name, None) for name in ("operation", *_OF_AWS)}
        return {name: value for name, value in found.items() if isinstance(value, str)}
    status = getattr(error, "status_code", None)  # of the clients of models; any other attribute may have words
    return {"service_status": status} if type(status) is int else {}


def _frames(error: BaseException) -> list[str]:
    """Where it happened, outermost first: `file.py:12 function` each."""
    frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
