"""The chat's HTTP API, and the page's files. README.md has the routes and the events in words.

`python3 dev.py chat` runs it, with this folder and the one above it in `PYTHONPATH`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

import chat_requests as bodies
import uvicorn
from assistant import build_graph, model_maker
from chat_markdown import as_markdown
from chat_pages import ChatPages
from chat_requests import EXPORT_TYPES, Cursor, ExportFormat, Limit, Number, export_headers
from failure_facts import without_text
from fastapi import APIRouter, Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from library import FileLibrary
from notes import NotesState, note_tools
from offline_model import OfflineFileModel
from problems import CONTENT_TYPE, Problem, not_found, problem_of, wrong_form
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from table import Table
from turn_events import RESULT, Run, calls_of, schema_of, schema_of_events, text_of
from turn_plans import SecondAttempts, plan_answers, plan_message
from turns import Turns

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import DynamoConvError

EVENTS = "text/event-stream"
TURN: Any = {"description": "The result, or with `Accept: text/event-stream` its events", "content": {}}
TURN["content"] |= {EVENTS: {"schema": schema_of_events()}, "application/json": {"schema": schema_of(RESULT)}}
Json: TypeAlias = "dict[str, Any]"


class Chat:
    """What the routes work with; one for each application."""

    def __init__(self, saver: DynamoDBConversationSaver, model: BaseChatModel, library: FileLibrary) -> None:
        self.graph = build_graph(model, library, saver, note_tools(), NotesState, "Markdown")
        self.pages = ChatPages(saver.conversations)
        self.turns, self.may_go_on = Turns(self.graph, self.pages), SecondAttempts()


def chat_of(request: Request) -> Chat:
    chat: Chat = request.app.state.chat
    return chat


def check_origin(request: Request) -> None:
    """Only this server's own pages send requests."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Problem(HTTPStatus.FORBIDDEN, "other-origin", "The request comes from a page of another address.")


def user_of(request: Request) -> str:
    """Who asks: the user of the signed session, and nothing else."""
    # COGNITO: in production, verify the access token of the header `Authorization` here instead (its signature by the
    # pool's keys, `iss`, `client_id`, `token_use`, `exp`), and return its `sub`. All routes have the user from here.
    user_id = request.session.get("user_id")
    if not isinstance(user_id, str):
        raise Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", "Sign in first.")
    return user_id


The: TypeAlias = Annotated[Chat, Depends(chat_of)]
User: TypeAlias = Annotated[str, Depends(user_of)]
Accept: TypeAlias = Annotated[str, Header()]
Key: TypeAlias = Annotated["str | None", Header(pattern=r"^[!-~]{1,200}$")]
api = APIRouter(dependencies=[Depends(check_origin)])


async def config_of(chat: Chat, user_id: str, conversation_id: str) -> RunnableConfig:
    """The config of a conversation that the user has."""
    await asyncio.to_thread(chat.pages.existing, user_id, conversation_id)
    return {"configurable": {"user_id": user_id, "thread_id": conversation_id}}


async def answer(run: Run, accept: str) -> Response:
    """The events of a run as they come, or where the client does not take these its result."""
    if EVENTS in accept:
        events = (f"event: {name}\ndata: {json.dumps(data)}\n\n" async for name, data in run.follow())
        return StreamingResponse(events, media_type=EVENTS, headers={"Cache-Control": "no-store"})
    said = [event async for event in run.follow()]
    last, data = said[-1]
    if last == "error":
        return JSONResponse(data, data["status"], media_type=CONTENT_TYPE)
    place = {"conversation_id": data["conversation"]["conversation_id"]}
    return JSONResponse(place | {"answer": text_of(said), "tool_calls": calls_of(said)} | data)


@api.get("/session")
def session(user_id: User) -> Json:
    return {"user_id": user_id}


@api.post("/session")
def sign_in(request: Request, body: bodies.SessionRequest) -> Json:
    """Sign in by a name alone, as a demonstration may."""
    request.session["user_id"] = body.name
    return {"user_id": body.name}


@api.delete("/session", status_code=204)
def sign_out(request: Request) -> None:
    request.session.clear()


@api.delete("/me", status_code=204)
async def erase(chat: The, user_id: User) -> None:
    """All of the user's conversations; runs under way are stopped first."""
    await chat.turns.close(user_id)
    await chat.pages.conversations.adelete_user(user_id)


@api.get("/conversations")
def conversations(chat: The, user_id: User, limit: Limit = 20, cursor: Cursor | None = None) -> Json:
    """The user's conversations, newest first."""
    return chat.pages.list(user_id, limit, cursor)


@api.post("/conversations", status_code=201)
def create(chat: The, user_id: User, body: bodies.CreateRequest) -> Json:
    return chat.pages.create(user_id, body.title)


@api.get("/conversations/{conversation_id}")
def read(chat: The, user_id: User, conversation_id: str, limit: Limit = 50, before: Number | None = None) -> Json:
    """A conversation with its newest messages, or those before a number."""
    return chat.pages.get(user_id, conversation_id, limit, before)


@api.patch("/conversations/{conversation_id}")
def rename(chat: The, user_id: User, conversation_id: str, body: bodies.TitleRequest) -> Json:
    return chat.pages.rename(user_id, conversation_id, body.title)


@api.delete("/conversations/{conversation_id}", status_code=204)
async def delete(chat: The, user_id: User, conversation_id: str) -> None:
    """All of it, the agent's state too; a run under way is stopped first."""
    await config_of(chat, user_id, conversation_id)
    async with chat.turns.kept_out(user_id, conversation_id):
        await chat.pages.conversations.adelete(conversation_id, user_id)


@api.get("/conversations/{conversation_id}/export", response_class=StreamingResponse)
def export(chat: The, user_id: User, conversation_id: str, format: ExportFormat = "markdown") -> StreamingResponse:
    """The conversation as a file."""
    pieces = chat.pages.export(user_id, conversation_id, format)
    return StreamingResponse(pieces, 200, export_headers(conversation_id, format), EXPORT_TYPES[format][0])


@api.post("/chat", responses={200: TURN})
async def say(
    chat: The, user_id: User, body: bodies.ChatRequest, accept: Accept = "", idempotency_key: Key = None
) -> Response:
    """A turn. The same `Idempotency-Key` again adds nothing."""
    name = f"{user_id} {idempotency_key or uuid.uuid4()}"
    asked = HumanMessage(body.message, id=f"request-{uuid.uuid5(uuid.NAMESPACE_OID, name)}")
    place = user_id, body.conversation_id or str(uuid.uuid5(uuid.NAMESPACE_URL, name))
    config: RunnableConfig = {"configurable": {"user_id": user_id, "thread_id": place[1]}}
    if body.conversation_id is not None:
        await config_of(chat, *place)
    run = chat.turns.under_way(*place)
    if run is None or run.message_id != asked.id:
        plan = partial(plan_message, chat.graph, chat.pages.conversations, config, asked, body.replaces, chat.may_go_on)
        run = chat.turns.start(*place, plan, asked.id)
    await asyncio.shield(run.begun)
    return await answer(run, accept)


@api.post("/conversations/{conversation_id}/resume", responses={200: TURN})
async def resume(
    chat: The, user_id: User, conversation_id: str, body: bodies.ResumeRequest, accept: Accept = ""
) -> Response:
    """Answer what the conversation waits for, or let a run go on that failed or was cut off."""
    config = await config_of(chat, user_id, conversation_id)
    plan = partial(plan_answers, chat.graph, chat.pages.conversations, config, body.answers, chat.may_go_on)
    run = chat.turns.start(user_id, conversation_id, plan)
    await asyncio.shield(run.begun)
    return await answer(run, accept)


@api.post("/conversations/{conversation_id}/cancel", status_code=204)
async def cancel(chat: The, user_id: User, conversation_id: str) -> None:
    """Stop the run; what was said so far stays."""
    await config_of(chat, user_id, conversation_id)
    await chat.turns.cancel(user_id, conversation_id)


@api.get("/conversations/{conversation_id}/events", responses={200: TURN})
async def events(chat: The, user_id: User, conversation_id: str) -> Response:
    """The events of the run under way, from its first."""
    run = chat.turns.under_way(user_id, conversation_id)
    if run is None:
        raise not_found()
    return await answer(run, EVENTS)


async def answer_problem(_request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that failed."""
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        problem = not_found() if status == HTTPStatus.NOT_FOUND else Problem(status, "bad-request", status.phrase)
    else:
        problem = wrong_form(error.errors()) if isinstance(error, RequestValidationError) else problem_of(error)
    return JSONResponse(problem.body(), int(problem.status), problem.headers(), CONTENT_TYPE)


def create_app(chat: Chat, secret: str, page: Path | None = None) -> FastAPI:
    """The application: the API, and the built page if there is one. FastAPI's own pages would load foreign scripts."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await chat.turns.close()

    logging.getLogger("uvicorn.error").addFilter(without_text)  # Starlette raises what no route was ready for once more
    app = FastAPI(title="Chat", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.chat = chat
    app.add_middleware(SessionMiddleware, secret_key=secret, same_site="lax")
    for kind in (Exception, Problem, DynamoConvError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer_problem)
    app.include_router(api)
    if page is not None:
        app.mount("/", StaticFiles(directory=page, html=True))
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the chat page and its API; CHAT_SECRET signs the sessions.")
    for name in ("table", "region", "endpoint-url", "model"):
        parser.add_argument(f"--{name}", default="conversations" if name == "table" else None)
    parser.add_argument("--setup", action="store_true", help="create the table if it is missing")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="the library")
    parser.add_argument("--word-seconds", type=float, default=0.03, help="the rules' pause after each word")
    parser.add_argument("--page", type=Path, help="the built page")
    given = parser.parse_args()
    rules = partial(OfflineFileModel, seconds_per_word=given.word_seconds, words=as_markdown)
    model = model_maker(given.model)() if given.model else rules()
    with Table(given.table, given.region, given.endpoint_url).saver() as saver:
        if given.setup:
            saver.setup()
        app = create_app(Chat(saver, model, FileLibrary(given.folder)), os.environ["CHAT_SECRET"], given.page)
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
        print(f"Chat: http://127.0.0.1:{given.port} (Ctrl-C stops it)", flush=True)
        uvicorn.run(app, port=given.port, log_level="warning", timeout_graceful_shutdown=2)


if __name__ == "__main__":
    main()
