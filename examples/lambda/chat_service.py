"""What the API does, in the words of chats: turns of the agent, and the user's conversations.

A container makes one of these and keeps it: clients, graph, and what the saver remembers of conversations stay warm.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from assistant import ANSWERS, build_graph, model_maker, play, was_cut_off
from botocore.config import Config
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from library import FileLibrary
from problems import Problem, bad_request, not_found
from turn_lease import TurnLeases

from langgraph_dynamo_conv import Conversation, DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import RequestFailedError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CLIENT_CONFIG = Config(
    # A container handles one request at a time, and its largest step sends a few side by side.
    max_pool_connections=10,
    connect_timeout=1,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 4},
    tcp_keepalive=True,
)
WHOLE_ANSWER_BYTES = 2_000_000
"""Messages of one page: Lambda's answers end at 6 MB, and escaping can double a text."""


@dataclass(frozen=True)
class Turn:
    """What a user says.

    Args:
        user_id: Who.
        text: What.
        conversation_id: In which conversation; a new one if None.
        key: The client's name for this request, for repeating it without harm; None if it gave none.
        seconds: How long the function may still run.
    """

    user_id: str
    text: str
    conversation_id: str | None
    key: str | None
    seconds: float

    @property
    def message_id(self) -> str:
        """The message's id in the agent's state: that of every repetition with the same key."""
        return f"request-{self._digest('message').hex()}" if self.key else str(uuid.uuid4())

    @property
    def new_conversation_id(self) -> str:
        """The id of the conversation that this begins: that of every repetition with the same key."""
        return str(uuid.UUID(bytes=self._digest("conversation"), version=4)) if self.key else str(uuid.uuid4())

    def _digest(self, purpose: str) -> bytes:
        return blake2b(f"{purpose}\0{self.user_id}\0{self.key}".encode(), digest_size=16).digest()


@dataclass(frozen=True)
class Reply:
    """What the assistant answers.

    Args:
        conversation_id: Where.
        answer: Its text.
        tool_calls: What it called on the way: `{"tool": ..., "args": ...}` each.
        repeated: Whether an earlier request with the same key was answered so.
    """

    conversation_id: str
    answer: str
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    repeated: bool = False


class ChatService:
    """The assistant and the conversations of a table.

    Args:
        client: A DynamoDB client.
        table_name: The conversations table.
        model: The chat model.
        library: What the assistant knows.
    """

    def __init__(self, client: DynamoDBClient, table_name: str, model: BaseChatModel, library: FileLibrary) -> None:
        saver = DynamoDBConversationSaver(table_name, client=client)
        self._graph = build_graph(model, library, saver)
        self._leases = TurnLeases(client, table_name)
        self._conversations = saver.conversations
        self.close = saver.close

    @classmethod
    def from_environment(cls) -> ChatService:
        """As the template configures it: `DYNAMODB_TABLE_NAME`, `MODEL` (none: rules), `LIBRARY_FOLDER`."""
        client = boto3.client("dynamodb", config=CLIENT_CONFIG)
        model = model_maker(os.environ.get("MODEL") or None)()
        library = FileLibrary(os.environ.get("LIBRARY_FOLDER") or Path(__file__).parent)
        return cls(client, os.environ["DYNAMODB_TABLE_NAME"], model, library)

    def reply(self, turn: Turn) -> Reply:
        """Take a turn, unless it was taken before: the same key and text get the same answer.

        A run that was cut off (the function timed out, the model failed) is brought to its end first.

        Raises:
            Problem: The user has no such conversation; another request is at work on it; the key was used for another
                text.

        Cost: a turn's, and 2 write units for the lease; one GetItem if the turn names its conversation.
        """
        conversation_id = self._conversation_of(turn)
        config: RunnableConfig = {"configurable": {"thread_id": conversation_id, "user_id": turn.user_id}}
        asked = HumanMessage(turn.text, id=turn.message_id)
        with self._leases.held(conversation_id, turn.user_id, turn.seconds):
            messages = self._settled(config)
            earlier = [message for message in messages if message.id == asked.id]
            if earlier and earlier[0].content != asked.content:
                raise Problem(
                    HTTPStatus.CONFLICT,
                    "idempotency-key-reused",
                    "This Idempotency-Key came with another message before. Use a new key for a new message.",
                )
            if not earlier:
                return _reply(conversation_id, [*play(self._graph, config, [{"messages": [asked]}])])
            self._mend_row(conversation_id, config)
        return _reply(conversation_id, _answer_to(asked, messages), repeated=True)

    def list(self, user_id: str, limit: int, cursor: str | None) -> dict[str, Any]:
        """A page of the user's conversations, newest first."""
        try:
            page = self._conversations.list(user_id, limit=limit, cursor=cursor)
        except (ValueError, RequestFailedError) as error:
            if cursor is None:
                raise
            raise bad_request("The cursor is not one that this list came with.") from error
        return {"conversations": [_shown(each.to_dict()) for each in page], "cursor": page.cursor}

    def get(self, user_id: str, conversation_id: str, limit: int, before: int | None) -> dict[str, Any]:
        """A conversation with its newest messages, or those before a number; as many as an answer can hold."""
        found = self._existing(user_id, conversation_id, limit=limit, before=before)
        messages: list[dict[str, Any]] = []
        room = WHOLE_ANSWER_BYTES
        for message in reversed(found.messages):
            shown = message.to_dict()
            room -= len(json.dumps(shown).encode())
            if messages and room < 0:
                break
            messages.insert(0, shown)
        first = found.first + len(found.messages) - len(messages)
        return _shown(found.to_dict()) | {"messages": messages, "before": first or None}

    def rename(self, user_id: str, conversation_id: str, title: str) -> dict[str, Any]:
        """Give a conversation another title; gives it back without messages."""
        self._existing(user_id, conversation_id)
        self._conversations.rename(conversation_id, user_id, title)
        found = _shown(self._existing(user_id, conversation_id).to_dict())
        return {name: value for name, value in found.items() if name != "messages"}

    def delete(self, user_id: str, conversation_id: str, seconds: float) -> None:
        """Delete a conversation with all that belongs to it, unless a request is at work on it."""
        self._existing(user_id, conversation_id)
        with self._leases.held(conversation_id, user_id, seconds):
            self._conversations.delete(conversation_id, user_id)

    def _conversation_of(self, turn: Turn) -> str:
        if turn.conversation_id is None:
            return turn.new_conversation_id
        return self._existing(turn.user_id, turn.conversation_id).conversation_id

    def _existing(
        self, user_id: str, conversation_id: str, *, limit: int = 0, before: int | None = None
    ) -> Conversation:
        try:
            return self._conversations.get(conversation_id, user_id, limit=limit, before=before)
        except ValueError as error:  # an id that no conversation can have
            raise not_found() from error

    def _settled(self, config: RunnableConfig) -> Sequence[BaseMessage]:
        """The messages so far, with the answer of a run that was cut off."""
        state = self._graph.get_state(config)
        if was_cut_off(state):
            list(play(self._graph, config, [None]))
            state = self._graph.get_state(config)
        messages: list[BaseMessage] = state.values.get("messages", [])
        return messages

    def _mend_row(self, conversation_id: str, config: RunnableConfig) -> None:
        """Let the row have the answer, if the function died between the state and the row."""
        user_id = config["configurable"]["user_id"]
        if self._conversations.get(conversation_id, user_id, limit=0).status != "idle":
            self._graph.update_state(config, {"messages": []}, as_node=ANSWERS)


def _answer_to(asked: HumanMessage, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """What followed a message, up to the next one of the user's."""
    ids = [message.id for message in messages]
    answer: list[BaseMessage] = []
    for message in messages[ids.index(asked.id) + 1 :]:
        if isinstance(message, HumanMessage):
            break
        answer.append(message)
    return answer


def _reply(conversation_id: str, said: Sequence[BaseMessage], *, repeated: bool = False) -> Reply:
    of_model = [message for message in said if isinstance(message, AIMessage)]
    calls = [{"tool": call["name"], "args": call["args"]} for message in of_model for call in message.tool_calls]
    return Reply(conversation_id, of_model[-1].text if of_model else "", calls, repeated)


def _shown(conversation: dict[str, Any]) -> dict[str, Any]:
    """Without the user, who knows."""
    return {name: value for name, value in conversation.items() if name != "user_id"}
