"""Each public call, made by somebody who knows all that there is to know of another user's conversation.

An attempt is written once, and made through the calls themselves and through their async twins.
"""

from __future__ import annotations

import asyncio
import io
import os
import pickle
from collections.abc import AsyncIterator, Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_dynamo_conv import conversations
from langgraph_dynamo_conv._calls.config import OwnedThreadId
from langgraph_dynamo_conv._state.versions import as_text
from langgraph_dynamo_conv.cli import main
from langgraph_dynamo_conv.errors import DynamoConvError
from langgraph_dynamo_conv.migration import everyone, migrate
from tests.engines import create_table
from tests.factories import checkpoint, checkpoint_id, config, put
from tests.faults.graphs import CHATS, user_says

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langgraph_dynamo_conv import DynamoDBConversationSaver

THREAD, TASK, RUN, NS = "b1946ac9-2490-4c5f-8c3a-6c2a1a1f0d11", "task-1", "run-1", "child:1"
NEWEST, PARENT = 3, 2
TITLE, QUESTION, ANSWER = "Flat in Lisbon", "Where is the key?", "Under the mat"


@dataclass(frozen=True)
class Known:
    """All that somebody could know of a user's conversation."""

    user_id: str
    state: RunnableConfig
    created_at: str
    message_id: str
    list_cursor: str | None
    cursor: str | None
    thread_id: Any


def versions(number: int) -> dict[str, Any]:
    """A checkpoint's versions as LangGraph has them."""
    return {"channel_versions": dict.fromkeys(("messages", "secret"), as_text(number))}


def begun(saver: DynamoDBConversationSaver, user_id: str, thread_id: str) -> Known:
    """A conversation with a state, a subgraph's state, a run, task writes, a title and messages of every place."""
    chats = saver.conversations
    chats.create(user_id, conversation_id=f"another of {user_id}", title=TITLE)
    at = config(thread_id, user_id=user_id, run_id=RUN)
    said = [HumanMessage(QUESTION, id="q"), AIMessage(ANSWER, id="a")]
    put(saver, 1, {"messages": said[:1]}, at=at, **versions(1))
    put(saver, PARENT, {"messages": said}, parent=1, at=at, **versions(PARENT))
    saver.put_writes(config(thread_id, PARENT, user_id=user_id), [("messages", said[1])], TASK)
    put(saver, NEWEST, {"messages": said, "secret": ANSWER * 200}, parent=PARENT, at=at, **versions(NEWEST))
    put(saver, 1, {"secret": ANSWER}, at=config(thread_id, user_id=user_id, ns=NS))
    chats.rename(thread_id, user_id, TITLE)
    page, chat = chats.list(user_id, limit=1), chats.get(thread_id, user_id, limit=1)
    found = saver.get_tuple(config(thread_id, user_id=user_id))
    assert found is not None
    message_id, cursor = chat.messages[0].id, chat.cursor
    remembering = found.config["configurable"]["thread_id"]
    return Known(user_id, found.config, chat.created_at, message_id, page.cursor, cursor, remembering)


@dataclass(frozen=True)
class Asker:
    """Who makes an attempt: a user, what they know of another's conversation, and how a config names both."""

    user_id: Any
    known: Known
    configured: Callable[[Asker], dict[str, Any]] = field(
        default=lambda asker: {"thread_id": asker.known.thread_id, "user_id": asker.user_id}
    )

    def at(self, number: int | None = None, **more: Any) -> RunnableConfig:
        """The config of the conversation, or of one of its checkpoints."""
        ids = {"checkpoint_ns": "", **self.configured(self), **more}
        ids.pop("checkpoint_id", None)
        return {"configurable": ids if number is None else {**ids, "checkpoint_id": checkpoint_id(number)}}

    def anywhere(self, **more: Any) -> RunnableConfig:
        """The config without a conversation."""
        return self.without("thread_id", **more)

    def without(self, left_out: str, **more: Any) -> RunnableConfig:
        """The config without something."""
        ids = self.at(**more)["configurable"]
        return {"configurable": {name: value for name, value in ids.items() if name != left_out}}


class Calls:
    """The public calls on one table."""

    def __init__(self, saver: DynamoDBConversationSaver) -> None:
        self.saver: Any = saver
        self.conversations: Any = saver.conversations
        self.graph: Any = CHATS["tools"].compile(checkpointer=saver)
        self.table_name = saver._runtime.table.name
        self.close = saver.close


class Twins(Calls):
    """The async twins of the public calls, each waited for."""

    def __init__(self, saver: DynamoDBConversationSaver) -> None:
        super().__init__(saver)
        self.saver, self.conversations, self.graph = map(_Twin, (saver, saver.conversations, self.graph))


class _Twin:
    def __init__(self, calls: Any) -> None:
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        twin = getattr(self._calls, f"a{name}")

        def waited(*args: Any, **options: Any) -> Any:
            return asyncio.run(_result(twin(*args, **options)))

        return waited


async def _result(given: Any) -> Any:
    return [one async for one in given] if isinstance(given, AsyncIterator) else await given


Attempt = Callable[[Calls, Asker], Any]


def written(number: int) -> Any:
    said = {"messages": [HumanMessage("Mine", id="q")]}
    return checkpoint(number, said, **versions(number)), {"source": "loop", "step": number}, {}


OF_A_CONFIG: dict[str, Attempt] = {
    "saver.get_tuple": lambda c, a: c.saver.get_tuple(a.at()),
    "saver.get_tuple of a checkpoint": lambda c, a: c.saver.get_tuple(a.at(NEWEST)),
    "saver.get_tuple of a subgraph": lambda c, a: c.saver.get_tuple(a.at(checkpoint_ns=NS)),
    "saver.get_tuple of the newest conversation": lambda c, a: c.saver.get_tuple(a.anywhere()),
    "saver.get_tuple by time": lambda c, a: c.saver.get_tuple(a.anywhere(created_at=a.known.created_at)),
    "saver.get": lambda c, a: c.saver.get(a.at()),
    "saver.list": lambda c, a: list(c.saver.list(a.at())),
    "saver.list of all namespaces": lambda c, a: list(c.saver.list(a.without("checkpoint_ns"))),
    "saver.list before": lambda c, a: list(c.saver.list(a.at(), before=a.known.state)),
    "saver.list filtered": lambda c, a: list(c.saver.list(a.at(), filter={"user_id": a.known.user_id})),
    "saver.list of all conversations": lambda c, a: list(c.saver.list(a.anywhere())),
    "saver.get_delta_channel_history": lambda c, a: c.saver.get_delta_channel_history(
        config=a.at(NEWEST), channels=["messages"]
    ),
    "saver.put": lambda c, a: c.saver.put(a.at(NEWEST, run_id=RUN), *written(9)),
    "saver.put of the same checkpoint": lambda c, a: c.saver.put(a.at(PARENT), *written(NEWEST)),
    "saver.put_writes": lambda c, a: c.saver.put_writes(a.at(PARENT), [("messages", "forged")], TASK),
    "graph.get_state": lambda c, a: c.graph.get_state(a.at(), subgraphs=True).values,
    "graph.get_state_history": lambda c, a: [one.values for one in c.graph.get_state_history(a.at())],
    "graph.update_state": lambda c, a: type(c.graph.update_state(a.at(), user_says(1), as_node="agent")),
    "graph.invoke": lambda c, a: c.graph.invoke(user_says(1), a.at(), durability="sync")["messages"],
}
"""Calls that take a config, which names the user."""

OF_ANY_CONVERSATION = {name for name in OF_A_CONFIG if name.endswith(("conversation", "by time", "conversations"))}
"""Those of them whose config names no conversation."""

AS_TEXT = {"graph.get_state_history", "graph.update_state"}
"""Those of them in which LangGraph goes on with `str(thread_id)`, which knows no user."""

OF_A_USER: dict[str, Attempt] = {
    "saver.new_conversation": lambda c, a: c.saver.new_conversation(a.user_id, title="Mine")["configurable"]["user_id"],
    "saver.resume": lambda c, a: c.saver.resume(a.user_id),
    "saver.delete_thread": lambda c, a: c.saver.delete_thread(a.known.thread_id, user_id=a.user_id),
    "saver.delete_for_runs": lambda c, a: c.saver.delete_for_runs([RUN], user_id=a.user_id),
    "saver.prune": lambda c, a: c.saver.prune([a.known.thread_id], user_id=a.user_id),
    "saver.prune, delete": lambda c, a: c.saver.prune([a.known.thread_id], strategy="delete", user_id=a.user_id),
    "saver.copy_thread": lambda c, a: c.saver.copy_thread(a.known.thread_id, "a copy", user_id=a.user_id),
    "saver.copy_thread onto it": lambda c, a: c.saver.copy_thread("nothing", a.known.thread_id, user_id=a.user_id),
    "conversations.list": lambda c, a: list(c.conversations.list(a.user_id)),
    "conversations.list with a cursor": lambda c, a: list(c.conversations.list(a.user_id, cursor=a.known.list_cursor)),
    "conversations.list filtered": lambda c, a: list(
        c.conversations.list(a.user_id, title_contains=TITLE, created_after="2020", order_by="updated_at")
    ),
    "conversations.get": lambda c, a: c.conversations.get(a.known.thread_id, a.user_id),
    "conversations.get with a cursor": lambda c, a: c.conversations.get(
        a.known.thread_id, a.user_id, cursor=a.known.cursor
    ),
    "conversations.get of a page": lambda c, a: c.conversations.get(a.known.thread_id, a.user_id, limit=1, before=1),
    "conversations.latest": lambda c, a: c.conversations.latest(a.user_id),
    "conversations.count": lambda c, a: c.conversations.count(a.user_id),
    "conversations.create": lambda c, a: c.conversations.create(a.user_id, conversation_id=a.known.thread_id),
    "conversations.rename": lambda c, a: c.conversations.rename(a.known.thread_id, a.user_id, "Mine"),
    "conversations.delete": lambda c, a: c.conversations.delete(a.known.thread_id, a.user_id),
    "conversations.delete_user": lambda c, a: c.conversations.delete_user(a.user_id),
    "conversations.add_message": lambda c, a: c.conversations.add_message(
        a.known.thread_id, "user", "forged", user_id=a.user_id, message_id="m"
    ),
    "conversations.edit_message": lambda c, a: c.conversations.edit_message(
        a.known.thread_id, a.known.message_id, "forged", user_id=a.user_id
    ),
    "conversations.remove_message": lambda c, a: c.conversations.remove_message(
        a.known.thread_id, a.known.message_id, user_id=a.user_id
    ),
    "conversations.export": lambda c, a: list(c.conversations.export(a.user_id, a.known.thread_id)),
    "conversations.export of all": lambda c, a: list(c.conversations.export(a.user_id, format="markdown")),
    "conversations.verify": lambda c, a: c.conversations.verify(a.known.thread_id, a.user_id),
}
"""Calls that take a user."""

WITH_A_SCAN: dict[str, Attempt] = {
    "conversations.delete_user with a scan": lambda c, a: c.conversations.delete_user(a.user_id, scan=True),
}
"""Calls that take a user and read the whole table, which is counted and given away by nothing else."""


def on_its_table(calls: Calls, call: Callable[[], Any]) -> Any:
    """Make a call on the table that the environment names."""
    with patch.dict(os.environ, {"DYNAMODB_TABLE_NAME": calls.table_name}):
        return call()


def migrated(calls: Calls, asker: Asker) -> list[str]:
    """Migrate a thread of the same id that is the asker's in another saver."""
    source = InMemorySaver()
    put(source, NEWEST, {"messages": [HumanMessage("Mine", id="q")]}, at=config(str(asker.known.thread_id)))
    return [one.outcome for one in migrate(source, calls.saver, assign=everyone(asker.user_id))]


WITHOUT_A_TWIN: dict[str, Attempt] = {
    "saver.setup": lambda c, _: c.saver.setup(),
    "create_conversation": lambda c, a: on_its_table(
        c, lambda: type(conversations.create_conversation(a.user_id, "Mine"))
    ),
    "get_conversation": lambda c, a: on_its_table(
        c, lambda: conversations.get_conversation(a.known.thread_id, a.user_id)
    ),
    "list_conversations": lambda c, a: on_its_table(c, lambda: conversations.list_conversations(a.user_id)),
    "rename_conversation": lambda c, a: on_its_table(
        c, lambda: conversations.rename_conversation(a.known.thread_id, a.user_id, "forged")
    ),
    "delete_conversation": lambda c, a: on_its_table(
        c, lambda: conversations.delete_conversation(a.known.thread_id, a.user_id)
    ),
    "add_message": lambda c, a: on_its_table(
        c, lambda: conversations.add_message(a.known.thread_id, "user", "forged", user_id=a.user_id)
    ),
    "migrate": migrated,
}
"""Calls that have no twin."""


def command(*words: str) -> Attempt:
    """A command, and what it prints."""

    def attempt(calls: Calls, asker: Asker) -> Any:
        ids = {"id": str(asker.known.thread_id), "user": str(asker.user_id)}
        out, error = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(error):
            code = main([word.format(**ids) for word in (*words, "--json", "--table", calls.table_name)])
        return code, out.getvalue(), error.getvalue()

    return attempt


def restored(*words: str) -> Attempt:
    """Restore a conversation into a new table from the one at hand."""

    def attempt(calls: Calls, asker: Asker) -> Any:
        client = calls.saver._runtime.table.client
        target = create_table(client)
        try:
            with patch.object(calls, "table_name", target):
                return command("restore-conversation", *words, "--from-table", calls.saver._runtime.table.name)(
                    calls, asker
                )
        finally:
            client.delete_table(TableName=target)

    return attempt


OF_A_COMMAND: dict[str, Attempt] = {
    "command list": command("list", "{user}"),
    "command rename": command("rename", "{id}", "Mine", "--user", "{user}"),
    "command delete": command("delete", "{id}", "--user", "{user}", "--yes"),
    "command delete-user": command("delete-user", "{user}", "--yes"),
    "command rekey-user": command("rekey-user", "{user}", "another", "--yes"),
    "command restore-conversation": restored("{id}", "--user", "{user}"),
    "command show": command("show", "{id}", "--user", "{user}"),
    "command export": command("export", "{id}", "--user", "{user}"),
    "command export of all": command("export", "--user", "{user}"),
    "command history": command("history", "{id}", "--user", "{user}"),
    "command state": command("state", "{id}", "--user", "{user}"),
    "command prune": command("prune", "{id}", "--user", "{user}", "--yes"),
    "command prune of all": command("prune", "--all", "--user", "{user}", "--yes"),
    "command verify": command("verify", "{id}", "--user", "{user}"),
    "command stats": command("stats", "{id}", "--user", "{user}"),
}
"""Commands that take a user."""

WITH_TWINS = OF_A_CONFIG | OF_A_USER | WITH_A_SCAN
EVERY = WITH_TWINS | WITHOUT_A_TWIN | OF_A_COMMAND


def outcome(calls: Calls, attempt: Attempt, asker: Asker) -> tuple[str, set[str]]:
    """What the asker is told, whatever the table is called, and whose ids in it remember their owner."""
    try:
        given = attempt(calls, asker)
    except (DynamoConvError, ValueError) as error:
        words = f"{type(error).__name__}: {error} ({getattr(error, 'key', None)})"
        return words.replace(calls.table_name, "<table>"), set()
    return repr(given).replace(calls.table_name, "<table>"), owners_in(given)


class _Owners(pickle.Pickler):
    """Looks at every object in another one."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO())
        self.found: set[str] = set()

    def persistent_id(self, one: Any) -> None:
        if isinstance(one, OwnedThreadId):
            self.found.add(one.user_id)


def owners_in(given: Any) -> set[str]:
    """The users whom ids in a value remember."""
    owners = _Owners()
    owners.dump(given)
    return owners.found


def call_of(name: str) -> str:
    """The public call that an attempt makes, as the table of entry points names it."""
    words = name.split(" ")
    return f"command {words[1]}" if words[0] == "command" else words[0].rstrip(",")
