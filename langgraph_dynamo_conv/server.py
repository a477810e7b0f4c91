"""The saver behind LangGraph's server (`langgraph dev`, and the platform). Nothing of the server is imported.

In `langgraph.json`:

    {"checkpointer": {"path": "langgraph_dynamo_conv.server.checkpointer"}}

**Whose a conversation is**: the user's whom the server has authenticated, whatever a client puts into `configurable`.
The server names that user in the config of a run and in the context of every request; where neither does, because the
server authenticates nobody, it is the `user_id` of the config, else the owner in the table (if `owner_lookup`), else
the default user.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple

from langgraph_dynamo_conv._calls.config import AUTHENTICATED, CLAIMED, Target, configurable_of, names_user, user_of
from langgraph_dynamo_conv._format.keys import check_each, check_thread_id, check_user_id
from langgraph_dynamo_conv._storage.recent import Recent
from langgraph_dynamo_conv.errors import ConversationNotFoundError, UserRequiredError
from langgraph_dynamo_conv.saver import DynamoDBConversationSaver

DEFAULT_USER = "CONVERSATIONS_DEFAULT_USER"
"""Environment variable: the user where the server authenticates nobody."""

OWNER_LOOKUP = "CONVERSATIONS_OWNER_LOOKUP"
"""Environment variable: 1 to look a conversation's owner up in the table where a call names no user."""

_SWITCH = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
_REMEMBERED = 512


class ServerSaver(DynamoDBConversationSaver):
    """A `DynamoDBConversationSaver` that takes the user from LangGraph's server.

    `delete_thread`, `copy_thread` and `prune` are called with thread ids alone, after the server has authorised the
    thread. They touch the share of the conversation's owner, who is looked up in the table; where the server has
    authenticated another user, they are refused.

    Args:
        table_name: See `DynamoDBConversationSaver`.
        owner_lookup: Whether the owner is looked up in the table for other calls too that name no user, so that a
            server without authentication goes on with everybody's conversations. Where the server has authenticated a
            user, a run on a conversation that is somebody else's alone is then refused instead of beginning it anew.
        options: All other arguments of `DynamoDBConversationSaver`.

    Cost: that of `DynamoDBConversationSaver`; a look-up is that of `conversations.owner`, three Queries of one item at
    most where one user has the conversation. Owners are remembered, but not for `delete_thread` and the like.
    """

    def __init__(self, table_name: str | None = None, *, owner_lookup: bool = False, **options: Any) -> None:
        super().__init__(table_name, **options)
        self._owner_lookup = owner_lookup
        self._owners: Recent[str, str] = Recent(_REMEMBERED)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As `DynamoDBConversationSaver`; None also for a conversation that nobody has, where owners are looked up.

        Raises:
            ConversationNotFoundError: It is not the authenticated user's, where owners are looked up.
        """
        asked, config = config, self._with_user(config)
        if self._is_nobodys(config):
            return None
        found, configurable = super().get_tuple(config), config["configurable"]
        if found is None and self._owner_lookup and "thread_id" in configurable:
            if configurable.get(AUTHENTICATED):
                self._owner(configurable["thread_id"], configurable[AUTHENTICATED])
            elif self._owners.pop(configurable["thread_id"]) is not None:
                return self.get_tuple(asked)  # whoever had the conversation may have it no longer
        return found

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """As `DynamoDBConversationSaver`; nothing also for a conversation that nobody has, where owners are looked up.

        Raises:
            UserRequiredError: Without a config, where the server has authenticated a user: the table is everybody's.
        """
        if config is None and _authenticated() is not None:
            raise UserRequiredError("a user of the server can't page through the whole table: name the conversation")
        if config is not None and self._is_nobodys(config := self._with_user(config)):
            return iter(())
        return super().list(config, filter=filter, before=before, limit=limit)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Async `list`."""
        if config is not None and self._is_nobodys(config := await self._awith_user(config)):
            return
        async for found in super().alist(config, filter=filter, before=before, limit=limit):
            yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Async `put`."""
        return await super().aput(await self._awith_user(config, must_be=True), checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Async `put_writes`."""
        await super().aput_writes(await self._awith_user(config, must_be=True), writes, task_id, task_path)

    def delete_thread(self, thread_id: str, *, user_id: str | None = None) -> None:
        """Delete a conversation: the share of its owner, or of `user_id`. Nothing where nobody has one.

        Raises:
            ConversationNotFoundError: It is not the authenticated user's.
            ValueError: Several users have one of this id, and neither the server nor the caller names one.
        """
        if (owner := self._owner(thread_id, user_id)) is not None:
            super().delete_thread(thread_id, user_id=owner)
        self._owners.pop(thread_id)

    def delete_for_runs(self, run_ids: Sequence[str], *, user_id: str | None = None) -> None:
        """As `DynamoDBConversationSaver`, in the authenticated user's conversations if there is one."""
        super().delete_for_runs(run_ids, user_id=_authenticated() if user_id is None else user_id)

    def copy_thread(self, source_thread_id: str, target_thread_id: str, *, user_id: str | None = None) -> None:
        """Copy the share of a conversation's owner, or of `user_id`; raises what `delete_thread` does."""
        if (owner := self._owner(source_thread_id, user_id)) is not None:
            super().copy_thread(source_thread_id, target_thread_id, user_id=owner)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest", user_id: str | None = None) -> None:
        """Prune the shares of these conversations' owners, or of `user_id`; raises what `delete_thread` does."""
        owners = {each: self._owner(each, user_id) for each in check_each("thread_ids", thread_ids, check_thread_id)}
        super().prune([], strategy=strategy)  # what it refuses is refused before anything is deleted
        for thread_id, owner in owners.items():
            self._owners.pop(thread_id)
            if owner is not None:
                super().prune([thread_id], strategy=strategy, user_id=owner)

    def _target(self, config: RunnableConfig) -> Target:
        return super()._target(self._with_user(config))

    async def _awith_user(self, config: RunnableConfig, *, must_be: bool = False) -> RunnableConfig:
        """`_with_user` in a thread, so that nothing is looked up on the event loop: then or later."""
        config = await self._runtime.step(partial(self._with_user, config))
        if must_be:
            user_of(config["configurable"], self._default_user_id)  # raises where there is none
        return config

    def _with_user(self, config: RunnableConfig) -> RunnableConfig:
        """The config, with the user whom the server has authenticated and no other, or with the conversation's owner.

        `user_id` does not count where there is authentication: a client can put any into the config of a run, and the
        server itself puts a display name there. Without authentication the server puts an empty one there.
        """
        configurable = dict(configurable_of("config", config))
        user_id = _authenticated() or configurable.get(AUTHENTICATED)
        if user_id or configurable.get(CLAIMED) == "":
            configurable.pop(CLAIMED, None)
        if user_id:
            configurable[AUTHENTICATED] = user_id
        elif self._owner_lookup and "thread_id" in configurable and not names_user(configurable):
            thread_id = check_thread_id(configurable["thread_id"])
            owner = self._owners.get(thread_id) or self._owner(thread_id)
            if owner is not None:
                self._owners.put(thread_id, owner)
            if owner is not None or self._default_user_id is not None:
                configurable[CLAIMED] = owner or self._default_user_id
        return {**config, "configurable": configurable}

    def _is_nobodys(self, config: RunnableConfig) -> bool:
        """Whether a config names a conversation that nobody has, and no user; there is no default."""
        configurable = configurable_of("config", config)
        is_named = self._default_user_id is not None or names_user(configurable)
        return self._owner_lookup and not is_named and "thread_id" in configurable

    def _owner(self, thread_id: str, user_id: str | None = None) -> str | None:
        """Whose share of a conversation is meant: the user's who asks, else its owner's; None if nobody has one.

        Raises:
            ConversationNotFoundError: Another user has one, and who asks has none.
            ValueError: Several users have one, and it is not known who asks.
        """
        user_id = _authenticated() if user_id is None else check_user_id(user_id)
        if user_id is None:
            with suppress(ConversationNotFoundError):
                return self.conversations.owner(thread_id)
            return None
        users = self._runtime.directory.users_of(check_thread_id(thread_id))
        if users and user_id not in users:
            raise ConversationNotFoundError(
                "this conversation is not the authenticated user's: it was begun by another one",
                table=self._runtime.table.name,
            )
        return user_id


@asynccontextmanager
async def checkpointer() -> AsyncIterator[ServerSaver]:
    """The saver that `langgraph.json` names, made of the environment and closed when the server stops.

    Variables: `DYNAMODB_TABLE_NAME`; `CONVERSATIONS_DEFAULT_USER`, the user where the server authenticates nobody;
    `CONVERSATIONS_OWNER_LOOKUP`, 1 or 0 (the default); and those of AWS's SDK, such as `AWS_DEFAULT_REGION` and
    `AWS_ENDPOINT_URL_DYNAMODB`. For other options write such a function of your own around `ServerSaver`, and name it
    as `./checkpointer.py:checkpointer`.

    Raises:
        ValueError: No table name, an impossible user id, or `CONVERSATIONS_OWNER_LOOKUP` is neither.
    """
    switch = os.environ.get(OWNER_LOOKUP, "")
    if switch.lower() not in _SWITCH:
        raise ValueError(f"{OWNER_LOOKUP} is 1 or 0, not {switch!r}")
    async with ServerSaver(
        default_user_id=os.environ.get(DEFAULT_USER) or None, owner_lookup=_SWITCH[switch.lower()]
    ) as saver:
        yield saver


def _authenticated() -> str | None:
    """The user whom the server has authenticated for the request or the run that calls.

    None outside of a server, and where the server authenticates nobody: its own class for that user says so.

    Raises:
        UserRequiredError: Somebody was let in without a name: whoever that is must not be whom a client says.
        RuntimeError: A release of the server that has this elsewhere.
    """
    if "langgraph_api" not in sys.modules:
        return None
    of_server, noop = (sys.modules.get(f"langgraph_api.{name}") for name in ("utils", "auth.noop"))
    if not hasattr(of_server, "get_auth_ctx"):
        raise RuntimeError("this release of LangGraph's server says elsewhere who is authenticated: use one up to 0.16")
    context = cast("Any", of_server).get_auth_ctx()
    if context is None or isinstance(context.user, getattr(noop, "UnauthenticatedUser", ())):
        return None
    if not context.user.identity:
        raise UserRequiredError("the server has let somebody in whose identity is empty: give every user one")
    return check_user_id(context.user.identity)
