"""LangGraph state and readable conversations in one DynamoDB table.

What is named here is imported when it is first used, so that the command line's help need not wait for LangGraph.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langgraph_dynamo_conv.conversations import (
        Conversation,
        ConversationPage,
        Conversations,
        ConversationSummary,
        Message,
        ToolCall,
        add_message,
        create_conversation,
        delete_conversation,
        get_conversation,
        list_conversations,
        rename_conversation,
    )
    from langgraph_dynamo_conv.errors import DynamoConvError
    from langgraph_dynamo_conv.saver import DynamoDBConversationSaver

__all__ = [
    "Conversation",
    "ConversationPage",
    "ConversationSummary",
    "Conversations",
    "DynamoConvError",
    "DynamoDBConversationSaver",
    "Message",
    "ToolCall",
    "add_message",
    "create_conversation",
    "delete_conversation",
    "get_conversation",
    "list_conversations",
    "rename_conversation",
]
__version__ = "0.1.0"

_ELSEWHERE = {"DynamoConvError": "errors", "DynamoDBConversationSaver": "saver"}


_MODULES = ("conversations", "errors", "migration", "provision", "saver", "server")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_ELSEWHERE.get(name, 'conversations')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, *(name for name in globals() if name.startswith("__"))})
