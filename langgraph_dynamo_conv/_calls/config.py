"""What a RunnableConfig asks for, and the configs that are given back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig

from langgraph_dynamo_conv._format.keys import Scope, check_checkpoint_id, check_text, check_thread_id, check_user_id
from langgraph_dynamo_conv.errors import UserRequiredError

_NO_USER = (
    "the config names no user: put `user_id` (or LangGraph's `langgraph_auth_user_id`) into config['configurable'], "
    "or give the saver a `default_user_id` if the program has only one user"
)


class OwnedThreadId(str):
    """The `thread_id` of a config that is given back: a string that also knows whose conversation it is.

    Where LangGraph makes a config for a subgraph's state, it takes over the `thread_id` alone.
    """

    __slots__ = ("user_id",)

    user_id: str | None

    def __new__(cls, thread_id: str, user_id: str | None = None) -> OwnedThreadId:
        made = super().__new__(cls, thread_id)
        made.user_id = user_id
        return made


_RUN = "__pregel_runtime"
"""Where LangGraph has the object that it hands to `get_tuple` and to every `put` of a run."""


@dataclass(frozen=True)
class Target:
    """What a config points at, its ids checked.

    Args:
        user_id: The owner.
        scope: The user's share of the conversation, or None: to be found through the index.
        ns: The namespace, or None if the config does not say.
        checkpoint_id: The checkpoint, or None for the newest.
        created_at: Which conversation is meant, where there is no `thread_id`; None for the newest.
        run: LangGraph's object for the run that asks: the same in all of its calls; None outside of a run.
    """

    user_id: str
    scope: Scope | None
    ns: str | None
    checkpoint_id: str | None
    created_at: str | None
    run: object = None

    @classmethod
    def of(cls, config: RunnableConfig, default_user_id: str | None) -> Target:
        """Raises `ValueError` for ids of another type or shape, `UserRequiredError` if there is no user."""
        configurable: Mapping[str, Any] = config.get("configurable") or {}
        thread_id, ns = configurable.get("thread_id"), configurable.get("checkpoint_ns")
        checkpoint_id, created_at = configurable.get("checkpoint_id"), configurable.get("created_at")
        user_id = user_of(configurable, default_user_id)
        return cls(
            user_id,
            None if thread_id is None else Scope(str(check_thread_id(thread_id)), user_id),
            None if ns is None else check_text("checkpoint_ns", ns),
            check_checkpoint_id(checkpoint_id) if checkpoint_id else None,
            None if created_at is None else check_text("created_at", created_at),
            configurable.get(_RUN),
        )


def user_of(configurable: Mapping[str, Any], default_user_id: str | None) -> str:
    """The user that a config names, or whose config its `thread_id` was taken from."""
    owner = getattr(configurable.get("thread_id"), "user_id", None)
    for user_id in (configurable.get("user_id"), configurable.get("langgraph_auth_user_id"), owner):
        if user_id is not None:
            return check_user_id(user_id)
    if default_user_id is None:
        raise UserRequiredError(_NO_USER)
    return default_user_id


def config_for(scope: Scope, ns: str | None = None, checkpoint_id: str | None = None) -> RunnableConfig:
    """A config that points at a conversation or a checkpoint, with its user."""
    thread_id = OwnedThreadId(scope.thread_id, scope.user_id)
    configurable: dict[str, Any] = {"thread_id": thread_id, "user_id": scope.user_id}
    if ns is not None:
        configurable["checkpoint_ns"] = ns
    if checkpoint_id is not None:
        configurable["checkpoint_id"] = checkpoint_id
    return {"configurable": configurable}
