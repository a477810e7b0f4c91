"""What was said in a conversation, by its checkpoints; and what three readers of its transcript find."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import START, MessagesState, StateGraph
from typing_extensions import TypedDict

from tests.integration.agents import DeltaState
from tests.integration.transcripts import TableReader

if TYPE_CHECKING:
    from langgraph_dynamo_conv import DynamoDBConversationSaver

USER = "alice"

Texts = list[str]


class Plain(TypedDict):
    """Messages without a reducer: what comes replaces what is there, in an input too."""

    messages: list[Any]


def answering(schema: Any, *, holds_all: bool = False) -> StateGraph[Any]:
    """An agent that answers "to …" to what it was asked last, with words enough to fill a small row."""

    def answer(state: Any) -> dict[str, Any]:
        reply = AIMessage(f"to {state['messages'][-1].content} {'.' * 150}")
        return {"messages": [*state["messages"], reply] if holds_all else [reply]}

    return StateGraph(schema).add_node("answer", answer).add_edge(START, "answer")


CHANNELS = {
    "add_messages": answering(MessagesState),
    "a plain list": answering(Plain, holds_all=True),
    "DeltaChannel": answering(DeltaState),
}
"""A graph for each kind of channel."""


def ask(saver: DynamoDBConversationSaver, config: Any, channel: str, durability: Any, text: str) -> None:
    graph = CHANNELS[channel].compile(checkpointer=saver)
    graph.invoke({"messages": [HumanMessage(text)]}, config, durability=durability)


def said(saver: DynamoDBConversationSaver, config: Any, channel: str) -> tuple[Texts, Texts]:
    """The messages of the newest checkpoint and its ancestors, in the order in which they came, and those beside it."""
    states = list(CHANNELS[channel].compile(checkpointer=saver).get_state_history(config))
    by_id = {state.config["configurable"]["checkpoint_id"]: state for state in states}
    line = []
    state = states[0] if states else None
    while state is not None:
        line.append(state)
        parent = state.parent_config
        state = by_id.get(parent["configurable"]["checkpoint_id"]) if parent else None
    shown = _in_order(reversed(line))
    return shown, [text for text in _in_order(reversed(states)) if text not in shown]


def _in_order(states: Iterator[Any]) -> Texts:
    messages = (message for state in states for message in state.values.get("messages") or [])
    return list(dict.fromkeys(_words(message.content) for message in messages))


def read(saver: DynamoDBConversationSaver, table: TableReader, config: Any, case: str = "") -> Texts:
    """The words of each message, as all readers find them: the API at once and by pages, and plain boto3.

    The conversation must be idle. `case` says which it is, should they differ.
    """
    thread_id = config["configurable"]["thread_id"]
    chat = saver.conversations.get(thread_id, USER)
    whole = [_words(message.content) for message in chat.messages]
    assert len(set(whole)) == len({message.id for message in chat.messages}) == chat.message_count, (case, whole)
    assert chat.status == "idle", case
    assert [message.role for message in chat.messages] == [_role(text) for text in whole], case
    paged: Texts = []
    before = None
    while before != 0:
        page = saver.conversations.get(thread_id, USER, limit=3, before=before)
        paged, before = [*(_words(message.content) for message in page.messages), *paged], page.first
    assert paged == whole, case
    assert [_words(message["content"]) for message in table.messages(config)] == whole, case
    return whole


def _role(text: str) -> str:
    return "assistant" if text.startswith("to ") else "user"


def _words(content: Any) -> str:
    return str(content).rstrip(" .")
