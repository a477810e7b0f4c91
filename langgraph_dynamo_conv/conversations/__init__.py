"""The conversations of a table: `Conversations`, what it gives, and functions.

`saver.conversations` for programs with a graph, `Conversations(...)` for others, and the functions for the table that
the environment variable `DYNAMODB_TABLE_NAME` names.
"""

from langgraph_dynamo_conv._rows.row import Status
from langgraph_dynamo_conv.conversations._api import Conversations
from langgraph_dynamo_conv.conversations._functions import (
    add_message,
    create_conversation,
    delete_conversation,
    get_conversation,
    list_conversations,
    rename_conversation,
)
from langgraph_dynamo_conv.conversations._records import (
    Conversation,
    ConversationPage,
    ConversationSummary,
    Erasure,
    ExportFormat,
    Message,
    OrderBy,
    Removed,
    Role,
    TitleFunction,
    ToolCall,
)
from langgraph_dynamo_conv.conversations._verification import Damage, ForgottenTurn, Verification

__all__ = [
    "Conversation",
    "ConversationPage",
    "ConversationSummary",
    "Conversations",
    "Damage",
    "Erasure",
    "ExportFormat",
    "ForgottenTurn",
    "Message",
    "OrderBy",
    "Removed",
    "Role",
    "Status",
    "TitleFunction",
    "ToolCall",
    "Verification",
    "add_message",
    "create_conversation",
    "delete_conversation",
    "get_conversation",
    "list_conversations",
    "rename_conversation",
]
