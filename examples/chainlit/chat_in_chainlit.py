"""Chainlit in front of the example's agent: its sidebar is the table's list, and its history the stored conversation.

    chainlit run chat_in_chainlit.py

The agent's state and the readable conversation are stored by the saver, so Chainlit's own steps are not stored again.
"""

from __future__ import annotations

import hmac
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import chainlit as cl
from assistant import build_graph, model_maker
from chainlit.data.base import BaseDataLayer
from chainlit.types import PageInfo, PaginatedResponse
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from library import FileLibrary

from langgraph_dynamo_conv import Conversation, ConversationSummary, DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import ConversationNotFoundError

saver = DynamoDBConversationSaver()
library = FileLibrary(os.environ.get("LIBRARY_FOLDER", Path(__file__).resolve().parents[2]))
graph = build_graph(model_maker(os.environ.get("MODEL"))(), library, saver)


class Conversations(BaseDataLayer):
    """What Chainlit lists, shows, renames and deletes.

    It asks for threads by their id alone, after it has compared `get_thread_author` with who is signed in; so the owner
    is looked up in the table.
    """

    async def get_user(self, identifier: str) -> cl.PersistedUser:
        return cl.PersistedUser(id=identifier, identifier=identifier, createdAt="")

    async def create_user(self, user: cl.User) -> cl.PersistedUser:
        return await self.get_user(user.identifier)

    async def get_thread_author(self, thread_id: str) -> str:
        with suppress(ConversationNotFoundError):
            return await saver.conversations.aowner(thread_id)
        return ""

    async def list_threads(self, pagination: Any, filters: Any) -> PaginatedResponse[Any]:
        page = await saver.conversations.alist(
            filters.userId, limit=pagination.first, cursor=pagination.cursor, title_contains=filters.search or None
        )
        return PaginatedResponse(
            pageInfo=PageInfo(page.cursor is not None, pagination.cursor, page.cursor),
            data=[thread_of(one, filters.userId) for one in page],
        )

    async def get_thread(self, thread_id: str) -> Any:
        if not (user_id := await self.get_thread_author(thread_id)):
            return None
        conversation = await saver.conversations.aget(thread_id, user_id, limit=1000)
        return thread_of(conversation, user_id) | {"steps": steps_of(conversation)}

    async def update_thread(self, thread_id: str, name: str | None = None, **_: Any) -> None:
        if name and (user_id := await self.get_thread_author(thread_id)):
            await saver.conversations.arename(thread_id, user_id, name)

    async def delete_thread(self, thread_id: str) -> None:
        if user_id := await self.get_thread_author(thread_id):
            await saver.conversations.adelete(thread_id, user_id)

    async def close(self) -> None:
        saver.close()

    async def _nothing(self, *_: Any, **__: Any) -> Any:
        """Steps are stored by the saver; elements, feedback and favourites are not stored."""

    create_step = update_step = delete_step = create_element = delete_element = get_element = _nothing
    upsert_feedback = delete_feedback = build_debug_url = _nothing

    async def get_favorite_steps(self, user_id: str) -> list[Any]:  # noqa: ARG002
        return []


def thread_of(one: Conversation | ConversationSummary, user_id: str) -> dict[str, Any]:
    owner = {"userId": user_id, "userIdentifier": user_id}
    return {"id": one.conversation_id, "name": one.title, "createdAt": one.created_at, "metadata": {}, **owner}


def steps_of(conversation: Conversation) -> list[dict[str, Any]]:
    """The messages as Chainlit shows them: each tool call before the answer that it led to."""
    steps: list[dict[str, Any]] = []
    for number, message in enumerate(conversation.messages):
        kind, at = f"{message.role}_message", {"threadId": conversation.conversation_id, "createdAt": message.timestamp}
        for place, call in enumerate(message.to_dict().get("tool_calls", [])):
            shown = {"input": json.dumps(call.get("args")), "output": json.dumps(call.get("result"))}
            steps.append({"id": f"{number}.{place}", "type": "tool", "name": call["tool"], **shown, **at})
        steps.append({"id": str(number), "type": kind, "name": message.role, "output": message.content, **at})
    return steps


@cl.data_layer
def data_layer() -> Conversations:
    return Conversations()


@cl.password_auth_callback
async def sign_in(username: str, password: str) -> cl.User | None:
    """Everybody with one password, for this example; use `cl.oauth_callback` with Cognito instead, and its `sub`."""
    is_right = hmac.compare_digest(password.encode(), os.environ["CHAT_PASSWORD"].encode())
    return cl.User(identifier=username) if is_right else None


@cl.on_chat_resume
async def on_chat_resume(thread: Any) -> None:
    """Nothing to load: the agent's state is found by the thread's id."""


@cl.on_message
async def on_message(message: cl.Message) -> None:
    user: Any = cl.user_session.get("user")
    config: Any = {"configurable": {"thread_id": message.thread_id, "user_id": user.identifier}}
    async for update in graph.astream({"messages": [HumanMessage(message.content)]}, config, stream_mode="updates"):
        for change in update.values():
            for said in change["messages"]:
                await show(said)


async def show(said: BaseMessage) -> None:
    if isinstance(said, ToolMessage):
        async with cl.Step(name=said.name or "tool", type="tool") as step:
            step.output = str(said.content)
    elif isinstance(said, AIMessage) and said.content:
        await cl.Message(str(said.content)).send()
