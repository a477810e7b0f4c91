"""Agents on the team's table, and what they were given to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph

from langgraph_dynamo_conv import DynamoDBConversationSaver


class Agent:
    """Answers "answer to <question>".

    Args:
        saver: Keeps its state.
        while_at_work: Called while the agent thinks.
    """

    def __init__(self, saver: DynamoDBConversationSaver, while_at_work: Callable[[], None] = lambda: None) -> None:
        self.read: list[str] = []
        """The texts that it was given in its last turn."""
        self._while_at_work = while_at_work
        self.graph: Any = StateGraph(MessagesState).add_node("agent", self._answer)
        self.graph = self.graph.add_edge(START, "agent").compile(checkpointer=saver)

    def ask(self, conversation_id: str, question: str, user_id: str = "alice") -> list[str]:
        """Take a turn; gives what the agent has read, the question last."""
        config = {"configurable": {"thread_id": conversation_id, "user_id": user_id}}
        self.graph.invoke({"messages": [("user", question)]}, config)
        return self.read

    def _answer(self, state: MessagesState) -> dict[str, Any]:
        self.read = [message.text for message in state["messages"]]
        self._while_at_work()
        return {"messages": [AIMessage(answer_to(self.read[-1]))]}


def answer_to(question: str) -> str:
    return f"answer to {question[:20]}"


def said(questions: list[str]) -> list[str]:
    """All that is said where an agent answers these."""
    return [text for question in questions for text in (question, answer_to(question))]


def texts_of(row: dict[str, Any] | None) -> list[str]:
    """What a row says that was read with `GetItem`."""
    assert row is not None
    return [message["content"] for message in row["messages"]]
