"""What a RunnableConfig asks for, and the configs that are given back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, SupportsIndex

from langchain_core.runnables import RunnableConfig

from langgraph_dynamo_conv._arguments import check_mapping
from langgraph_dynamo_conv._format.keys import (
    Scope,
    check_checkpoint_id,
    check_created_at,
    check_text,
    check_thread_id,
    check_user_id,
)
from langgraph_dynamo_conv.errors import UserRequiredError

_NO_USER = (
    "the config names no user: put `user_id` (or LangGraph's `langgraph_auth_user_id`) into config['configurable'], "
    "or give the saver a `default_user_id` if the program has only one user"
)


CLAIMED, AUTHENTICATED = "user_id", "langgraph_auth_user_id"
"""Where a config names its user: whom the program or a client says, and whom LangGraph's server has authenticated."""

OF_REQUEST = frozenset({AUTHENTICATED, "langgraph_auth_user", "langgraph_auth_permissions", "langgraph_request_id"})
"""What LangGraph's server tells of a request in its config: no part of a checkpoint's metadata."""

_ANOTHER_USER = (
    "the config's `user_id` is not the user whom LangGraph's server has authenticated (`langgraph_auth_user_id`): what "
    "is in `configurable` can come from a client. Leave `user_id` out there"
)


class OwnedThreadId(str):
    """The `thread_id` of a config that a state is read with: a string that also knows whose conversation it is.

    Where LangGraph makes the config of a subgraph's state, it takes over the `thread_id` alone. Copies and pickles know
    their user too; `str(thread_id)`, and what is read from JSON or YAML, is plain text, which knows none.
    """

    __slots__ = ("user_id",)

    user_id: str

    def __new__(cls, thread_id: str, user_id: str) -> OwnedThreadId:
        made = super().__new__(cls, thread_id)
        made.user_id = user_id
        return made

    def __reduce_ex__(self, _protocol: SupportsIndex) -> tuple[Any, ...]:
        return OwnedThreadId, (str(self), self.user_id)


_RUN = "__pregel_runtime"
"""Where LangGraph has the object that it hands to `get_tuple` and to every `put` of a run."""

_DURABILITY = "__pregel_durability"
"""Where LangGraph has the durability that a run was given."""


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
        is_stored_at_exit: Whether that run, as it says, stores its state once, at its end, and no task writes.
    """

    user_id: str
    scope: Scope | None
    ns: str | None
    checkpoint_id: str | None
    created_at: str | None
    run: object = None
    is_stored_at_exit: bool = False

    @property
    def is_stored_at_once(self) -> bool:
        """Whether it is a call of a run that stores each step as it comes about."""
        return self.run is not None and not self.is_stored_at_exit

    @classmethod
    def of(cls, config: RunnableConfig, default_user_id: str | None) -> Target:
        """Raises `ValueError` for ids of another type or shape, `UserRequiredError` if there is no user."""
        configurable = configurable_of("config", config)
        thread_id, ns = configurable.get("thread_id"), configurable.get("checkpoint_ns")
        checkpoint_id, created_at = configurable.get("checkpoint_id"), configurable.get("created_at")
        user_id = user_of(configurable, default_user_id)
        return cls(
            user_id,
            None if thread_id is None else Scope(check_thread_id(thread_id), user_id),
            None if ns is None else check_text("checkpoint_ns", ns),
            None if checkpoint_id in (None, "") else check_checkpoint_id(checkpoint_id),
            None if created_at is None else check_created_at(created_at),
            configurable.get(_RUN),
            configurable.get(_DURABILITY) == "exit",
        )


def configurable_of(name: str, config: object) -> Mapping[str, Any]:
    """What a config has under `configurable`; nothing if it has no such key. Raises `ValueError`."""
    rule = "a config such as {'configurable': {'thread_id': ...}}"
    configurable = check_mapping(name, config, rule).get("configurable")
    return {} if configurable is None else check_mapping(f"the configurable of {name}", configurable)


def user_of(configurable: Mapping[str, Any], default_user_id: str | None) -> str:
    """The user that a config names: the server's word, else the program's, else whose config its `thread_id` is from.

    Raises:
        UserRequiredError: There is none, or the config has one that is None.
        ValueError: The two differ, or it is no user id.
    """
    claimed, authenticated = (_named(configurable, name) for name in (CLAIMED, AUTHENTICATED))
    if authenticated == "":  # LangGraph's server without authentication gives an empty one
        authenticated = None
    if authenticated is not None and claimed is not None and claimed != authenticated:
        raise ValueError(_ANOTHER_USER)
    thread_id = configurable.get("thread_id")
    owner = thread_id.user_id if isinstance(thread_id, OwnedThreadId) else None
    user_id = next((one for one in (authenticated, claimed, owner) if one is not None), default_user_id)
    if user_id is None:
        raise UserRequiredError(_NO_USER)
    return check_user_id(user_id)


def names_user(configurable: Mapping[str, Any]) -> bool:
    """Whether a config says whose it is, be it None."""
    is_owned = isinstance(configurable.get("thread_id"), OwnedThreadId)
    return is_owned or CLAIMED in configurable or bool(configurable.get(AUTHENTICATED))


def _named(configurable: Mapping[str, Any], name: str) -> Any:
    """The user of that name in a config, or None if it has no such name."""
    if name in configurable and configurable[name] is None:
        raise UserRequiredError(f"the config's `{name}` is None: whoever asks must be known. {_NO_USER}")
    return configurable.get(name)


def config_for(scope: Scope, ns: str | None = None, checkpoint_id: str | None = None) -> RunnableConfig:
    """A config that points at a conversation or a checkpoint, with its user, in plain text."""
    configurable: dict[str, Any] = {"thread_id": scope.thread_id, "user_id": scope.user_id}
    if ns is not None:
        configurable["checkpoint_ns"] = ns
    if checkpoint_id is not None:
        configurable["checkpoint_id"] = checkpoint_id
    return {"configurable": configurable}


def config_of_state(scope: Scope, ns: str, checkpoint_id: str) -> RunnableConfig:
    """The config of a state that is read: LangGraph reads those of its subgraphs with its `thread_id` alone."""
    config = config_for(scope, ns, checkpoint_id)
    config["configurable"]["thread_id"] = OwnedThreadId(scope.thread_id, scope.user_id)
    return config
