"""LangGraph state and readable conversations in one DynamoDB table."""

from langgraph_dynamo_conv.conversations import (
    Conversation,
    ConversationPage,
    Conversations,
    ConversationSummary,
    Message,
    ToolCall,
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
]
__version__ = "0.1.0"
