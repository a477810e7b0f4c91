"""A chat model without a provider, and the tools it calls. What the user types says what it does.

"search lakes, search rivers / details 3" makes it call `search` twice at once, then `details`, and then answer; any
other text is answered at once. It keeps no state, so a graph that is built anew in every turn goes on with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool

Script = Callable[[list[BaseMessage]], AIMessage]


class ScriptedModel(BaseChatModel):
    """A chat model that is a function of the messages."""

    script: Script

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> ScriptedModel:
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.script(messages))])


@tool
def search(query: str) -> str:
    """Search for files."""
    return json.dumps({"query": query, "hits": [f"{query} 1", f"{query} 2"], "score": 0.5})


@tool
def details(query: str) -> str:
    """Details of one file."""
    return f"Details of {query}."


@tool
def fail(query: str) -> str:
    """Always fails."""
    raise ValueError(f"no such file: {query}")


@tool(return_direct=True)
def direct(query: str) -> str:
    """Its result ends the run."""
    return f"Directly: {query}"


TOOLS = [search, details, fail, direct]
_NAMES = ("search", "details", "fail", "direct", "book", "dump", "transfer_to")


def do_as_told(messages: list[BaseMessage]) -> AIMessage:
    """The calls of the next round that the user asked for, or the answer."""
    turn = last_of_user(messages)
    text = str(messages[turn].text)
    rounds = [part.strip() for part in text.split("/")] if text.startswith(_NAMES) else []
    done = sum(isinstance(message, AIMessage) for message in messages[turn + 1 :])
    if done >= len(rounds):
        return AIMessage(f"Answer to: {text}")
    return AIMessage("", tool_calls=[_call(text, done, asked) for asked in rounds[done].split(",")])


def last_of_user(messages: list[BaseMessage]) -> int:
    return max(
        position
        for position, message in enumerate(messages)
        if isinstance(message, HumanMessage) and "lc_source" not in message.additional_kwargs
    )


def _call(text: str, round_: int, asked: str) -> ToolCall:
    name, _, query = asked.strip().partition(" ")
    digest = hashlib.blake2b(f"{text}/{round_}/{asked}".encode(), digest_size=4).hexdigest()
    return ToolCall(name=name, args={"query": query}, id=f"call-{digest}")


def chat_model() -> ScriptedModel:
    return ScriptedModel(script=do_as_told)
