"""Which errors of model providers' own libraries the examples take for lasting, and what a client is told of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from anthropic import APIConnectionError, AuthenticationError, BadRequestError, InternalServerError, RateLimitError
from google.genai.errors import ClientError, ServerError
from httpx import Request, Response

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "examples")]

from problems import is_lasting, problem_of  # noqa: E402

REQUEST = Request("POST", "https://model.example")


def answered(status: int) -> Response:
    return Response(status, request=REQUEST)


@pytest.mark.parametrize(
    ("error", "lasts", "status"),
    [
        (BadRequestError("no", response=answered(400), body=None), True, 500),
        (AuthenticationError("no", response=answered(401), body=None), True, 500),
        (RateLimitError("no", response=answered(429), body=None), False, 429),
        (InternalServerError("no", response=answered(529), body=None), False, 503),
        (APIConnectionError(request=REQUEST), False, 500),
        (ClientError(400, {}), True, 500),
        (ClientError(429, {}), False, 429),
        (ServerError(503, {}), False, 503),
    ],
    ids=repr,
)
def test_the_status_of_a_providers_answer_decides(error: Exception, lasts: bool, status: int) -> None:
    assert is_lasting(error) is lasts
    assert problem_of(error).status == status
