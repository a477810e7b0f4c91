"""Editing a message and asking for another answer: a run that starts at the checkpoint before the message.

LangGraph calls that a fork. The saver's transcript shows the new branch, and the former one stays in the history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from assistant import messages_of, saver_of
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.graph.state import CompiledStateGraph
from problems import not_found

from langgraph_dynamo_conv import Conversations

Texts = Sequence[str]
"""What the user says, oldest first."""


def checkpoint_before(
    graph: CompiledStateGraph[Any], conversations: Conversations, config: RunnableConfig, message_id: str
) -> RunnableConfig:
    """The config of the newest checkpoint of the shown branch that does not have a message of the user's yet.

    A run that was cut off may have begun a branch that the transcript does not show. The shown one is the newest in
    which the user says what the transcript shows; or the end of that, since an agent may forget old messages.

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
    shown = {message.id: message.content for message in chat.messages if message.role == "user"}
    if message_id not in shown:
        raise not_found()
    from_end = len(shown) - [*shown].index(message_id)
    for fits in (_is_whole, _is_end):
        target = ""
        for found in _branch(graph, config, [*shown.values()], fits):
            said = [str(one.id) for one in _asked(found)]
            if not target and len(said) < from_end:
                raise not_found()
            target = target or said[-from_end]
            is_input = found.metadata.get("source") == "input"  # of a run that did not come further
            if found.parent_config is None or (target not in said and not is_input):
                return found.config
    raise not_found()


def _branch(
    graph: CompiledStateGraph[Any], config: RunnableConfig, shown: Texts, fits: Callable[[Texts, Texts], bool]
) -> Iterator[CheckpointTuple]:
    """The checkpoints from the newest that fits back to the first; not those of other branches."""
    wanted: str | None = None
    for found in saver_of(graph).list({"configurable": {**config["configurable"], "checkpoint_ns": ""}}):
        if wanted is None and not fits([message.text for message in _asked(found)], shown):
            continue
        if wanted not in (None, found.config["configurable"]["checkpoint_id"]):
            continue
        yield found
        if found.parent_config is None:
            return
        wanted = found.parent_config["configurable"]["checkpoint_id"]


def _asked(found: CheckpointTuple) -> list[BaseMessage]:
    return [message for message in messages_of(found) if isinstance(message, HumanMessage)]


def _is_whole(said: Texts, shown: Texts) -> bool:
    return list(said) == list(shown)


def _is_end(said: Texts, shown: Texts) -> bool:
    common = min(len(said), len(shown))
    return common > 0 and list(said[-common:]) == list(shown[-common:])
