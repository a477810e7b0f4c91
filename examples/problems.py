"""What a client is told when a request fails: a problem (RFC 9457) of few known types, and nothing from inside.

Another user's conversation and one that never was are the same problem, to the last byte but the request's id. Both
servers, that of `lambda/` and that of `chat/`, answer with these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from langgraph_dynamo_conv.errors import (
    ConflictError,
    ConversationNotFoundError,
    EndpointError,
    ItemTooLargeError,
    ThrottledError,
)

RETRY_SECONDS = 2
CONTENT_TYPE = "application/problem+json"

_THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceQuotaExceededException",
        "ThrottledException",
        "ThrottlingException",
    }
)
_SERVER_ERROR = 500
_UNAVAILABLE = frozenset({"ModelNotReadyException", "ModelTimeoutException", "ServiceUnavailableException"})


class Problem(Exception):
    """A request that gets no answer.

    Args:
        status: HTTP status.
        kind: The type's name, for programs.
        detail: One sentence for people, without anything from inside.
        errors: Which parts of the request are wrong: `{"at": ..., "rule": ...}` each.
        retry_seconds: After how many seconds the same request may succeed; None if it will not.
    """

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        errors: list[dict[str, str]] | None = None,
        retry_seconds: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.errors, self.retry_seconds = errors, retry_seconds

    def body(self, **more: str) -> dict[str, Any]:
        """As it is sent; `more` are fields of the server's own."""
        body: dict[str, Any] = {
            "type": f"urn:chat:problem:{self.kind}",
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
            **more,
        }
        return body | ({"errors": self.errors} if self.errors else {})

    def headers(self) -> dict[str, str]:
        """What goes with it."""
        retry = {} if self.retry_seconds is None else {"Retry-After": str(self.retry_seconds)}
        return {"Cache-Control": "no-store", **retry}


def bad_request(detail: str, errors: list[dict[str, str]] | None = None) -> Problem:
    """The request itself is wrong; sending it again does not help."""
    return Problem(HTTPStatus.BAD_REQUEST, "bad-request", detail, errors=errors)


def not_found() -> Problem:
    """There is no such conversation of this user, or no such route."""
    return Problem(HTTPStatus.NOT_FOUND, "not-found", "There is nothing here for this user.")


def wrong_form(errors: Iterable[Mapping[str, Any]]) -> Problem:
    """The request breaks these of pydantic's rules: says where and which, without the values that were sent."""
    rules = [{"at": ".".join(map(str, one["loc"])), "rule": str(one["type"])} for one in errors]
    return bad_request("The request does not have the documented form.", rules)


def waiting() -> Problem:
    """The conversation waits for an answer to what it has asked."""
    return Problem(HTTPStatus.CONFLICT, "waiting", "The conversation waits for an approval. Answer that first.")


def nothing_to_answer() -> Problem:
    """What is answered is not what the conversation waits for, if it waits at all."""
    detail = "The conversation does not wait for these answers. They may have been given already."
    return Problem(HTTPStatus.CONFLICT, "nothing-to-answer", detail)


def busy(retry_seconds: int) -> Problem:
    """Another request works on the same conversation."""
    detail = "Another request is at work on this conversation. Repeat this one later, with the same Idempotency-Key."
    return Problem(HTTPStatus.CONFLICT, "conversation-busy", detail, retry_seconds=retry_seconds)


def problem_of(error: Exception) -> Problem:
    """What a client is told of any error."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ConversationNotFoundError):
        return not_found()
    if isinstance(error, ConflictError):
        return busy(RETRY_SECONDS)
    if isinstance(error, ItemTooLargeError):
        return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", "This is too large to be stored.")
    code, status = _refusal(error)
    if isinstance(error, ThrottledError) or code in _THROTTLED:
        detail = "Too many requests at the moment. Repeat this one later."
        return Problem(HTTPStatus.TOO_MANY_REQUESTS, "throttled", detail, retry_seconds=RETRY_SECONDS)
    if isinstance(error, (EndpointError, BotoCoreError)) or code in _UNAVAILABLE or status >= _SERVER_ERROR:
        detail = "A service behind this one does not answer. Repeat the request later."
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail, retry_seconds=RETRY_SECONDS)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "Something went wrong; the operators can see what.")


def _refusal(error: Exception) -> tuple[str, int]:
    """Code and HTTP status of an answer of AWS (a lease's, a model's); nothing of any other error."""
    if not isinstance(error, ClientError):
        return "", 0
    metadata = error.response.get("ResponseMetadata", {})
    return error.response.get("Error", {}).get("Code", ""), metadata.get("HTTPStatusCode", 0)
