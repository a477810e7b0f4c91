"""Editing a message and asking for another answer: a run that starts at the checkpoint before the message.

LangGraph calls that a fork. The saver's transcript shows the new branch, and the former one stays in the history.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateSnapshot
from problems import not_found

from langgraph_dynamo_conv import Conversations


def checkpoint_before(
    graph: CompiledStateGraph[Any], conversations: Conversations, config: RunnableConfig, message_id: str
) -> RunnableConfig:
    """The config of the newest checkpoint of the shown branch that does not have a message of the user's yet.

    The transcript and the state are matched from the end on, since an agent may forget old messages.

    Args:
        graph: The agent.
        conversations: Those of its table.
        config: Names the conversation and its user.
        message_id: The message, as `conversations.get` gives it.

    Raises:
        Problem: The transcript or the agent's state has no such message.

    Cost: that of reading the whole transcript, and the history down to that checkpoint.
    """
    place = config["configurable"]
    chat = conversations.get(place["thread_id"], place["user_id"])
    asked = [message.id for message in chat.messages if message.role == "user"]
    if message_id not in asked:
        raise not_found()
    from_end = len(asked) - asked.index(message_id)
    target = ""
    for snapshot in _branch(graph, config):
        said = [str(one.id) for one in snapshot.values.get("messages", ()) if isinstance(one, HumanMessage)]
        if not target and len(said) < from_end:
            raise not_found()
        target = target or said[-from_end]
        is_input = (snapshot.metadata or {}).get("source") == "input"  # which has the message as a task's write
        if snapshot.parent_config is None or (target not in said and not is_input):
            return snapshot.config
    raise not_found()


def _branch(graph: CompiledStateGraph[Any], config: RunnableConfig) -> Iterator[StateSnapshot]:
    """The checkpoints from the newest back to the first; not those of other branches."""
    wanted: str | None = None
    for snapshot in graph.get_state_history(config):
        if wanted not in (None, snapshot.config["configurable"]["checkpoint_id"]):
            continue
        yield snapshot
        if snapshot.parent_config is None:
            return
        wanted = snapshot.parent_config["configurable"]["checkpoint_id"]
