"""The HTTP API: requests in, answers out. Who asks is what the authorizer found in the token, and nothing else.

Every request is checked here before anything is read or written: the claims, the size, the encoding, the form.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from chat_service import ChatService, Turn
from problems import CONTENT_TYPE, Problem, bad_request, not_found, problem_of, wrong_form
from pydantic import BaseModel, ConfigDict, StringConstraints

MAX_BODY_BYTES = 64 * 1024
MAX_MESSAGE_CHARACTERS = 8_000
MAX_TITLE_CHARACTERS = 200
LARGEST_PAGE = 100

Event = Mapping[str, Any]
Answer = Response[str]

# OpenID Connect Core 1.0, section 2: `sub` is at most 255 ASCII characters. The table's user ids have no `#`.
_SUBJECT = re.compile(r"[!-\"$-~]{1,255}")
_KEY = re.compile(r"[!-~]{1,200}")
_EVENT_PARTS = ("requestContext", "authorizer", "jwt", "claims")

logger = Logger(service="chat", serialize_stacktrace=False)
to_json = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))


class ChatRequest(BaseModel):
    """Body of `POST /chat`. A `user_id`, like anything else that is not named here, is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    message: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_MESSAGE_CHARACTERS)]
    conversation_id: str | None = None


class TitleRequest(BaseModel):
    """Body of `PATCH /conversations/{conversation_id}`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TITLE_CHARACTERS)]


class ChatApi:
    """A Lambda handler for API Gateway's HTTP APIs (payload format 2.0). One for each container.

    Args:
        service: What it does.
    """

    def __init__(self, service: ChatService) -> None:
        self._service = service
        self._api = api = APIGatewayHttpResolver(
            enable_validation=True,
            response_validation_error_http_code=HTTPStatus.INTERNAL_SERVER_ERROR,  # else it is the client's fault
            serializer=to_json,
        )
        api.post("/chat")(self.chat)
        api.get("/conversations")(self.conversations)
        api.get("/conversations/<conversation_id>")(self.conversation)
        api.patch("/conversations/<conversation_id>")(self.rename)
        api.delete("/conversations/<conversation_id>")(self.delete)
        api.exception_handler(Exception)(self._explained)

    def __call__(self, event: Event, context: LambdaContext) -> dict[str, Any]:
        """Answer a request. Nothing is ever raised to Lambda: a client gets a problem, the log gets the error."""
        seconds = context.get_remaining_time_in_millis() / 1000
        self._api.context.update(request_id=context.aws_request_id, seconds=seconds)
        try:
            self._api.context.update(user_id=user_of(event), key=_key_of(event))
            answer: dict[str, Any] = self._api.resolve({**event, **_decoded_body(event)}, context)
        except Exception as error:  # noqa: BLE001 (the log gets it; the client must get an answer)
            return _as_result(self._explained(error))
        return answer

    def chat(self, body: Annotated[ChatRequest, Body()]) -> Answer:
        """`POST /chat`: a turn, in a new conversation or an old one."""
        user_id, key, seconds = (self._api.context[name] for name in ("user_id", "key", "seconds"))
        reply = self._service.reply(Turn(user_id, body.message, body.conversation_id, key, seconds))
        return _answer(vars(reply))

    def conversations(
        self,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 20,
        cursor: Annotated[str | None, Query(max_length=4096)] = None,
    ) -> Answer:
        """`GET /conversations`: the user's conversations, newest first."""
        return _answer(self._service.list(self._user_id, limit, cursor))

    def conversation(
        self,
        conversation_id: str,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
        before: Annotated[int | None, Query(ge=0, le=10**9)] = None,
    ) -> Answer:
        """`GET /conversations/{conversation_id}`: the newest messages, or those before a number."""
        return _answer(self._service.get(self._user_id, self._named(conversation_id), limit, before))

    def rename(self, conversation_id: str, body: Annotated[TitleRequest, Body()]) -> Answer:
        """`PATCH /conversations/{conversation_id}`: another title."""
        return _answer(self._service.rename(self._user_id, self._named(conversation_id), body.title))

    def delete(self, conversation_id: str) -> Answer:
        """`DELETE /conversations/{conversation_id}`: the conversation and the agent's state."""
        self._service.delete(self._user_id, self._named(conversation_id), self._api.context["seconds"])
        return Response(int(HTTPStatus.NO_CONTENT), body="", headers={"Cache-Control": "no-store"})

    @property
    def _user_id(self) -> str:
        return str(self._api.context["user_id"])

    def _named(self, routed: str) -> str:
        """The id in the path as API Gateway decoded it; the router's is the path's own text."""
        return self._api.current_event.path_parameters.get("conversation_id", routed)

    def _explained(self, error: Exception) -> Answer:
        problem, request_id = _problem_of(error), str(self._api.context.get("request_id"))
        facts = {"problem": problem.kind, "status": int(problem.status), "request_id": request_id}
        if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.error("failed", exc_info=error, extra=facts)
        else:
            logger.info("refused", extra=facts | {"error": type(error.__cause__ or error).__name__})
        headers: dict[str, str | list[str]] = {**problem.headers()}
        return Response(int(problem.status), CONTENT_TYPE, json.dumps(problem.body(request_id=request_id)), headers)


def _problem_of(error: Exception) -> Problem:
    """The router's own errors, and all others."""
    if isinstance(error, NotFoundError):
        return not_found()
    return wrong_form(error.errors()) if isinstance(error, RequestValidationError) else problem_of(error)


def user_of(event: Event) -> str:
    """The `sub` of the token that API Gateway's authorizer has verified."""
    found: Any = event
    for name in _EVENT_PARTS:
        found = found.get(name) if isinstance(found, Mapping) else None
    subject = found.get("sub") if isinstance(found, Mapping) else None
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", "The request comes without a token that names its user.")
    return subject


def _key_of(event: Event) -> str | None:
    """The header `Idempotency-Key`, commas and all."""
    key = _headers(event).get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise bad_request("An Idempotency-Key is 1 to 200 visible ASCII characters.")
    return key


def _decoded_body(event: Event) -> dict[str, Any]:
    """The body as text, as large as it may be and of the type it must be."""
    body = event.get("body")
    if not body:
        return {"body": None, "isBase64Encoded": False}
    kind = _headers(event).get("content-type", content_types.APPLICATION_JSON).partition(";")[0].strip().lower()
    if kind != content_types.APPLICATION_JSON:
        detail = "The body must be application/json."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    try:
        data = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
        if len(data) > MAX_BODY_BYTES:
            detail = f"The body may have {MAX_BODY_BYTES} bytes."
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", detail)
        text = data.decode()
        json.loads(text)  # the router would fail on what is nested too deeply
    except (binascii.Error, ValueError, RecursionError) as error:
        raise bad_request("The body is not JSON in UTF-8.") from error
    return {"body": text, "isBase64Encoded": False}


def _headers(event: Event) -> dict[str, str]:
    return {name.lower(): value for name, value in (event.get("headers") or {}).items()}


def _answer(body: dict[str, Any]) -> Answer:
    return Response(
        int(HTTPStatus.OK), content_types.APPLICATION_JSON, to_json(body), headers={"Cache-Control": "no-store"}
    )


def _as_result(answer: Answer) -> dict[str, Any]:
    return {"statusCode": answer.status_code, "headers": answer.headers, "body": answer.body, "isBase64Encoded": False}
