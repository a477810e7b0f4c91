"""What the API does, in the words of chats: turns of the agent, and the user's conversations.

A container makes one of these and keeps it: clients, graph, and what the saver remembers of conversations stay warm.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from assistant import ANSWERS, build_graph, end_run, model_maker
from chat_pages import ChatPages
from chat_requests import LARGEST_PAGE
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from library import FileLibrary
from notes import NotesState, note_tools
from plan_runs import played
from problems import Busy
from run_bounds import RECURSION_LIMIT, Bounds
from time_left import CLIENT_CONFIG, MODEL_SECONDS, TimeLeft
from turn_counts import TURNS_A_MINUTE, TurnCounts
from turn_lease import TurnLeases
from turn_plans import Plan, plan_answers, plan_message

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import ConversationNotFoundError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True)
class Turn:
    """What a user says.

    Args:
        user_id: Who.
        text: What.
        conversation_id: In which conversation; a new one if None.
        key: The client's name for this request, for repeating it without harm; None if it gave none.
        seconds: How long the function may still run.
        replaces: The user's earlier message that this one replaces with all that followed it, or None.
    """

    user_id: str
    text: str
    conversation_id: str | None
    key: str | None
    seconds: float
    replaces: str | None = None

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
        conversation: The conversation without its messages: its status, what it waits for.
    """

    conversation_id: str
    answer: str
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    repeated: bool = False
    conversation: dict[str, Any] = field(default_factory=dict)


class ChatService:
    """The assistant and the conversations of a table.

    Args:
        client: A DynamoDB client.
        table_name: The conversations table.
        model: The chat model.
        library: What the assistant knows.
        steps: How many steps a run of the agent may take.
        turns_a_minute: How many turns a user may take in a minute; 0 for any number.
        days: After how many days without a turn a conversation expires; 0 for never.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        table_name: str,
        model: BaseChatModel,
        library: FileLibrary,
        *,
        steps: int = RECURSION_LIMIT,
        turns_a_minute: int = 0,
        days: int = 0,
    ) -> None:
        saver = DynamoDBConversationSaver(table_name, client=client, ttl=timedelta(days=days) if days else None)
        self._graph = build_graph(model, library, saver, note_tools(), NotesState, "Markdown")
        self._leases = TurnLeases(client, table_name)
        self._counts = TurnCounts(client, table_name, turns_a_minute)
        self._steps = steps
        self.time = TimeLeft()
        self.pages = ChatPages(saver.conversations)
        self.close = saver.close

    @classmethod
    def from_environment(cls) -> ChatService:
        """As the template configures it.

        `DYNAMODB_TABLE_NAME`, `MODEL` (none: rules), `LIBRARY_FOLDER`, `RECURSION_LIMIT`, `TURNS_A_MINUTE`,
        `CONVERSATION_DAYS` (0: conversations do not expire).
        """
        client = boto3.client("dynamodb", config=CLIENT_CONFIG)
        model = model_maker(os.environ.get("MODEL") or None, MODEL_SECONDS)()
        library = FileLibrary(os.environ.get("LIBRARY_FOLDER") or Path(__file__).parent)
        steps = int(os.environ.get("RECURSION_LIMIT") or RECURSION_LIMIT)
        turns = int(os.environ.get("TURNS_A_MINUTE") or TURNS_A_MINUTE)
        days = int(os.environ.get("CONVERSATION_DAYS") or 0)
        table_name = os.environ["DYNAMODB_TABLE_NAME"]
        service = cls(client, table_name, model, library, steps=steps, turns_a_minute=turns, days=days)
        service.time.guard(client)
        return service

    def reply(self, turn: Turn) -> Reply:
        """Take a turn, unless it was taken before: the same key and text get the same answer.

        A run that was cut off (the function timed out, the model failed) goes on first, once, or is closed.

        Raises:
            Problem: The user has no such conversation; another request is at work on it; the key was used for another
                text; the user has taken all turns of this minute.

        Cost: a turn's, 2 write units for the lease, 1 for the count of turns; one GetItem if the turn names its
            conversation, one for each step with tools.
        """
        place = self._conversation_of(turn), turn.user_id
        count = cache(partial(self._counts.add, turn.user_id))  # counts once, whoever calls it how often
        if turn.key is None:
            count()

        def may_go_on(*run: str) -> bool:
            count()
            return self._leases.may_go_on(*run)

        config, asked = _config_of(*place), HumanMessage(turn.text, id=turn.message_id)
        request = self._graph, self.pages.conversations, config, asked, turn.replaces
        with self._leases.held(*place, turn.seconds):
            plan = plan_message(*request, may_go_on)
            if plan.inputs:
                count()
            said: Sequence[BaseMessage] = self._played(plan, config)
            if plan.is_repeated:
                has_run = plan.inputs or plan.gives_up
                messages = self._graph.get_state(config).values["messages"] if has_run else plan.messages
                said = _answer_to(asked, messages)
                summary = self._mended(config)
            else:
                summary = self.pages.summary(turn.user_id, place[0])
        return _reply(summary, said, repeated=plan.is_repeated)

    def resume(self, user_id: str, conversation_id: str, answers: dict[str, Any], seconds: float) -> Reply:
        """Answer what a conversation waits for; without answers, let a run go on that failed or was cut off.

        Raises:
            Problem: It does not wait for these answers; another request is at work on it; the user has taken all turns
                of this minute.
        """
        self.pages.existing(user_id, conversation_id)
        self._counts.add(user_id)
        config = _config_of(conversation_id, user_id)
        with self._leases.held(conversation_id, user_id, seconds):
            request = self._graph, self.pages.conversations, config, answers
            said = self._played(plan_answers(*request, self._leases.may_go_on), config)
            return _reply(self.pages.summary(user_id, conversation_id), said)

    def cancel(self, user_id: str, conversation_id: str, seconds: float) -> bool:
        """End a run that was cut off or waits; ask one under way to stop. Whether it is over.

        A run under way stops before its next call of the model, which follows after each step with tools.
        """
        self.pages.existing(user_id, conversation_id)
        try:
            with self._leases.held(conversation_id, user_id, seconds):
                end_run(self._graph, _config_of(conversation_id, user_id))
        except Busy:
            if not self._leases.ask_to_stop(conversation_id, user_id):
                raise
            return False
        return True

    def delete(self, user_id: str, conversation_id: str, seconds: float) -> None:
        """Delete a conversation with all that belongs to it, unless a request is at work on it."""
        self.pages.existing(user_id, conversation_id)
        with self._leases.held(conversation_id, user_id, seconds):
            self.pages.conversations.delete(conversation_id, user_id)

    def erase(self, user_id: str, seconds: float) -> bool:
        """Delete all of a user's conversations and what is counted of them. Can be repeated; whether it is done.

        It is not where time runs out, or where a run is under way, which is asked to stop. The list of conversations is
        that of the index, which follows the table in less than a second.
        """
        is_done, cursor = True, None
        while True:
            page = self.pages.conversations.list(user_id, limit=LARGEST_PAGE, cursor=cursor)
            for one in page:
                if self.time.is_short():
                    return False
                is_done = self._is_erased(user_id, one.conversation_id, seconds) and is_done
            cursor = page.cursor
            if cursor is None:
                break
        if is_done:
            self.pages.conversations.delete_user(user_id)  # lists hide those that have expired and are still there
        self._counts.erase(user_id)
        return is_done

    def _is_erased(self, user_id: str, conversation_id: str, seconds: float) -> bool:
        try:
            with self._leases.held(conversation_id, user_id, seconds):
                self.pages.conversations.delete(conversation_id, user_id)
        except Busy:
            self._leases.ask_to_stop(conversation_id, user_id)
            return False
        return True

    def _conversation_of(self, turn: Turn) -> str:
        if turn.conversation_id is None:
            return turn.new_conversation_id
        return self.pages.existing(turn.user_id, turn.conversation_id).conversation_id

    def _played(self, plan: Plan, config: RunnableConfig) -> list[BaseMessage]:
        """The messages of a plan's last run, within the bounds of this request."""
        place = config["configurable"]["thread_id"], config["configurable"]["user_id"]
        is_stopped = partial(self._leases.is_asked_to_stop, *place)
        return played(
            self._graph, config, plan, Bounds(self._steps, self.time.run_ends_at, is_stopped, self.time.clock)
        )

    def _mended(self, config: RunnableConfig) -> dict[str, Any]:
        """The conversation; its row gets the answer first if the function died before that, or before there was one."""
        place = config["configurable"]["user_id"], config["configurable"]["thread_id"]
        with suppress(ConversationNotFoundError):
            summary = self.pages.summary(*place)
            if summary["status"] in ("idle", "waiting"):
                return summary
        self._graph.update_state(config, {"messages": []}, as_node=ANSWERS)
        return self.pages.summary(*place)


def _config_of(conversation_id: str, user_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": conversation_id, "user_id": user_id}}


def _answer_to(asked: HumanMessage, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """What followed a message, up to the next one of the user's."""
    ids = [message.id for message in messages]
    answer: list[BaseMessage] = []
    for message in messages[ids.index(asked.id) + 1 :]:
        if isinstance(message, HumanMessage):
            break
        answer.append(message)
    return answer


def _reply(summary: dict[str, Any], said: Sequence[BaseMessage], *, repeated: bool = False) -> Reply:
    of_model = [message for message in said if isinstance(message, AIMessage)]
    calls = [{"tool": call["name"], "args": call["args"]} for message in of_model for call in message.tool_calls]
    answer = of_model[-1].text if of_model else ""
    return Reply(summary["conversation_id"], answer, calls, repeated, summary)
