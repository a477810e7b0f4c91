"""The HTTP API: requests in, answers out. Who asks is what the authorizer found in the token, and nothing else.

Every request is checked here before anything is read or written: the claims, the size, the encoding, the form.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from answer_sizes import fitted_reply, to_json
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from chat_requests import (
    EXPORT_TYPES,
    LARGEST_PAGE,
    ChatRequest,
    CreateRequest,
    ExportFormat,
    ResumeRequest,
    TitleRequest,
    export_headers,
)
from chat_service import ChatService, Reply, Turn
from failure_facts import facts_of
from problems import CONTENT_TYPE, RETRY_SECONDS, Problem, bad_request, not_found, problem_of, wrong_form

MAX_BODY_BYTES = 64 * 1024
MAX_EXPORT_BYTES = 5_500_000
"""As Lambda counts them, whose answers end at 6 MB."""

Event = Mapping[str, Any]
Answer = Response[str]

_OF_SERVICES = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
"""What a client gets when a service behind does not do its part."""

# OpenID Connect Core 1.0, section 2: `sub` is at most 255 ASCII characters. The table's user ids have no `#`.
_SUBJECT = re.compile(r"[!-\"$-~]{1,255}")
_KEY = re.compile(r"[!-~]{1,200}")
_EVENT_PARTS = ("requestContext", "authorizer", "jwt", "claims")

logger = Logger(service="chat")
logging.getLogger("aws_lambda_powertools").setLevel(logging.INFO)  # at DEBUG, the router writes out what it was sent


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
        api.get("/session")(self.session)
        api.post("/chat")(self.chat)
        api.post("/conversations/<conversation_id>/resume")(self.resume)
        api.post("/conversations/<conversation_id>/cancel")(self.cancel)
        api.get("/conversations/<conversation_id>/export")(self.export)
        api.post("/conversations")(self.create)
        api.get("/conversations")(self.conversations)
        api.get("/conversations/<conversation_id>")(self.conversation)
        api.patch("/conversations/<conversation_id>")(self.rename)
        api.delete("/conversations/<conversation_id>")(self.delete)
        api.delete("/me")(self.erase)
        api.exception_handler(Exception)(self._explained)

    def __call__(self, event: Event, context: LambdaContext) -> dict[str, Any]:
        """Answer a request. Nothing is ever raised to Lambda: a client gets a problem, the log gets the error."""
        seconds = context.get_remaining_time_in_millis() / 1000
        self._api.context.update(request_id=context.aws_request_id, seconds=seconds)
        try:
            self._service.time.begin(seconds)
            self._api.context.update(user_id=user_of(event), key=_key_of(event))
            answer: dict[str, Any] = self._api.resolve({**event, **_decoded_body(event)}, context)
        except Exception as error:  # noqa: BLE001 (the log gets it; the client must get an answer)
            return _as_result(self._explained(error))
        return answer

    def session(self) -> Answer:
        """`GET /session`: who asks."""
        return _answer({"user_id": self._user_id})

    def chat(self, body: Annotated[ChatRequest, Body()]) -> Answer:
        """`POST /chat`: a turn, in a new conversation or an old one."""
        user_id, key, seconds = (self._api.context[name] for name in ("user_id", "key", "seconds"))
        return _said(
            self._service.reply(Turn(user_id, body.message, body.conversation_id, key, seconds, body.replaces))
        )

    def resume(self, conversation_id: str, body: Annotated[ResumeRequest, Body()]) -> Answer:
        """`POST /conversations/{conversation_id}/resume`: answers to what it waits for."""
        seconds = self._api.context["seconds"]
        return _said(self._service.resume(self._user_id, self._named(conversation_id), body.answers, seconds))

    def cancel(self, conversation_id: str) -> Answer:
        """`POST /conversations/{conversation_id}/cancel`: end a run that was cut off or waits, or ask one under way."""
        is_over = self._service.cancel(self._user_id, self._named(conversation_id), self._api.context["seconds"])
        return _nothing() if is_over else _nothing(HTTPStatus.ACCEPTED)

    def create(self, body: Annotated[CreateRequest, Body()]) -> Answer:
        """`POST /conversations`: one without messages."""
        return _answer(self._service.pages.create(self._user_id, body.title), HTTPStatus.CREATED)

    def export(self, conversation_id: str, format: ExportFormat = "markdown") -> Answer:
        """`GET /conversations/{conversation_id}/export`: the conversation as a file."""
        named = self._named(conversation_id)
        content = "".join(self._service.pages.export(self._user_id, named, format))
        if len(json.dumps(content)) > MAX_EXPORT_BYTES:
            detail = "This conversation is larger than an answer can be. Use the command line's export."
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", detail)
        headers: dict[str, str | list[str]] = {**export_headers(named, format)}
        return Response(int(HTTPStatus.OK), EXPORT_TYPES[format][0], content, headers)

    def conversations(
        self,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 20,
        cursor: Annotated[str | None, Query(max_length=4096)] = None,
    ) -> Answer:
        """`GET /conversations`: the user's conversations, newest first."""
        return _answer(self._service.pages.list(self._user_id, limit, cursor))

    def conversation(
        self,
        conversation_id: str,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
        before: Annotated[int | None, Query(ge=0, le=10**9)] = None,
    ) -> Answer:
        """`GET /conversations/{conversation_id}`: the newest messages, or those before a number."""
        return _answer(self._service.pages.get(self._user_id, self._named(conversation_id), limit, before))

    def rename(self, conversation_id: str, body: Annotated[TitleRequest, Body()]) -> Answer:
        """`PATCH /conversations/{conversation_id}`: another title."""
        return _answer(self._service.pages.rename(self._user_id, self._named(conversation_id), body.title))

    def delete(self, conversation_id: str) -> Answer:
        """`DELETE /conversations/{conversation_id}`: the conversation and the agent's state."""
        self._service.delete(self._user_id, self._named(conversation_id), self._api.context["seconds"])
        return _nothing()

    def erase(self) -> Answer:
        """`DELETE /me`: all conversations of who asks, and what is counted of them."""
        is_done = self._service.erase(self._user_id, self._api.context["seconds"])
        return _nothing() if is_done else _nothing(HTTPStatus.ACCEPTED, RETRY_SECONDS)

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
            logger.error("failed", extra=facts_of(error) | facts)
        elif problem.status in _OF_SERVICES:
            logger.warning("refused", extra=facts_of(error) | facts)
        else:
            logger.info("refused", extra={"error": type(error.__cause__ or error).__name__} | facts)
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


def _said(reply: Reply) -> Answer:
    return _answer(fitted_reply(vars(reply)))


def _nothing(status: HTTPStatus = HTTPStatus.NO_CONTENT, retry_seconds: int | None = None) -> Answer:
    headers: dict[str, str | list[str]] = {"Cache-Control": "no-store"}
    if retry_seconds is not None:
        headers["Retry-After"] = str(retry_seconds)
    return Response(int(status), body="", headers=headers)


def _answer(body: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Response(int(status), content_types.APPLICATION_JSON, to_json(body), headers={"Cache-Control": "no-store"})


def _as_result(answer: Answer) -> dict[str, Any]:
    return {"statusCode": answer.status_code, "headers": answer.headers, "body": answer.body, "isBase64Encoded": False}
