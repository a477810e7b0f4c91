"""What a client is told when a request fails: a problem (RFC 9457) of few known types, and nothing from inside.

Another user's conversation and one that never was are the same problem, to the last byte but the request's id. Both
servers, that of `lambda/` and that of `chat/`, answer with these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from langchain_core.exceptions import ModelError, ModelRateLimitError

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
_CLIENT_ERROR = 400
_SERVER_ERROR = 500
_PASSING = frozenset({0, 408, 409, 424, 425, 429})
"""Statuses below 500 after which the same request may succeed; Bedrock's 424 is a failure of the model. 0 is none."""
_UNAVAILABLE = frozenset({"ModelNotReadyException", "ModelTimeoutException", "ServiceUnavailableException"})


class OutOfTimeError(BotoCoreError):
    """A request to a service was not sent, since the function could end before the answer."""

    fmt = "no time is left for another request"


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


class Busy(Problem):
    """Another request works on the same conversation."""


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


def busy(retry_seconds: int) -> Busy:
    """Another request works on the same conversation."""
    detail = "Another request is at work on this conversation. Repeat this one later, with the same Idempotency-Key."
    return Busy(HTTPStatus.CONFLICT, "conversation-busy", detail, retry_seconds=retry_seconds)


def too_many_turns(retry_seconds: int) -> Problem:
    """The user has taken all the turns that a minute may have."""
    detail = "You have sent as many messages as a minute may have. Wait until the next one."
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-turns", detail, retry_seconds=retry_seconds)


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
    if (
        isinstance(error, (ThrottledError, ModelRateLimitError))
        or code in _THROTTLED
        or status == HTTPStatus.TOO_MANY_REQUESTS
    ):
        detail = "Too many requests at the moment. Repeat this one later."
        return Problem(HTTPStatus.TOO_MANY_REQUESTS, "throttled", detail, retry_seconds=RETRY_SECONDS)
    if _is_unavailable(error) or code in _UNAVAILABLE or status >= _SERVER_ERROR:
        detail = "A service behind this one does not answer. Repeat the request later."
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail, retry_seconds=RETRY_SECONDS)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "Something went wrong; the operators can see what.")


def is_lasting(error: Exception) -> bool:
    """Whether the same run would fail again: the model, or another service, has refused what it was sent.

    The service's status decides, 4xx but for those of throttling and time-outs, or the class that LangChain gives to
    errors of its providers. Any other error may go away.
    """
    code, status = _refusal(error)
    if code in _THROTTLED | _UNAVAILABLE:
        return False
    if status:
        return _CLIENT_ERROR <= status < _SERVER_ERROR and status not in _PASSING
    return isinstance(error, ModelError) and not error.is_retryable


def _is_unavailable(error: BaseException) -> bool:
    if isinstance(error, ModelError):
        return error.is_retryable
    if isinstance(error, (EndpointError, BotoCoreError, TimeoutError, ConnectionError)):
        return True
    return isinstance(error.__cause__, OutOfTimeError)


def _refusal(error: Exception) -> tuple[str, int]:
    """Code and HTTP status of a service's answer; nothing of any other error.

    Errors of boto3 carry both, those of Anthropic and OpenAI have a `status_code`, those of Google a `code`.
    """
    if isinstance(error, ClientError):
        metadata = error.response.get("ResponseMetadata", {})
        return error.response.get("Error", {}).get("Code", ""), metadata.get("HTTPStatusCode", 0)
    statuses = (getattr(error, name, None) for name in ("status_code", "code"))
    return "", next((status for status in statuses if type(status) is int), 0)
