"""The example's agent behind AG-UI, the protocol of CopilotKit: `uvicorn --factory ag_ui_server:app`.

One `LangGraphAgent` for each request, with its user: the stock endpoint passes none.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from typing import Any

from ag_ui.core.types import RunAgentInput
from ag_ui.encoder import EventEncoder
from ag_ui_langgraph import LangGraphAgent
from assistant import build_graph, model_maker
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from langgraph.graph.state import CompiledStateGraph
from library import FileLibrary

from langgraph_dynamo_conv import DynamoDBConversationSaver


def signed_in(request: Request) -> str:
    """The user of a request. Here a header names them, which anyone can set: verify Cognito's token instead."""
    user_id = request.headers.get("x-user")
    if not user_id:
        raise HTTPException(status_code=401, detail="sign in: no user came with the request")
    return user_id


def serve(graph: CompiledStateGraph[Any], user_of: Callable[[Request], str] = signed_in) -> FastAPI:
    """An app that runs the graph for whoever `user_of` says asks."""
    app = FastAPI()

    @app.post("/")
    def run(run: RunAgentInput, request: Request) -> StreamingResponse:
        encoder, of_user = EventEncoder(), {"configurable": {"user_id": user_of(request)}}
        agent = LangGraphAgent(name="assistant", graph=graph, config=of_user)

        async def events() -> AsyncIterator[str]:
            async for event in agent.run(run):
                yield encoder.encode(event)

        return StreamingResponse(events(), media_type=encoder.get_content_type())

    return app


def app() -> FastAPI:
    """The example's assistant; the table is that of `DYNAMODB_TABLE_NAME`."""
    library = FileLibrary(os.environ.get("LIBRARY_FOLDER", "."))
    return serve(build_graph(model_maker(os.environ.get("MODEL"))(), library, DynamoDBConversationSaver()))
