"""A user who knows everything of another's conversation but is not its owner: sees nothing, changes nothing."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from langgraph_dynamo_conv.errors import DynamoConvError
from tests.faults.graphs import take_turn
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from mypy_boto3_dynamodb import DynamoDBClient

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.conftest import MakeSaver

some = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
fewer = settings(some, max_examples=2)

allowed = st.text(
    st.characters(exclude_characters="#", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20
) | st.sampled_from(["alice", "é", "ﬁ", "a%23b", "µ", "Ω", "a" * 250])

NEIGHBOURS: list[Callable[[str], str]] = [
    lambda user: f"{user}2",
    lambda user: user[:-1],
    lambda user: user.swapcase(),
    lambda user: f"{user} ",
    lambda user: f" {user}",
    lambda user: f"{user}$",
    lambda user: f"{user}%23c%23",
    lambda user: f"{user}\u200b",
    lambda user: f"{user}\U0010ffff",
    lambda user: user.replace("a", "а"),  # noqa: RUF001 - the second one is Cyrillic
    lambda user: unicodedata.normalize("NFC", user),
    lambda user: unicodedata.normalize("NFD", user),
    lambda user: unicodedata.normalize("NFKC", user),
    lambda user: f"{user}\u0301",
    lambda _: "~",
]
"""Other users as like to a user as can be."""

FORBIDDEN: list[Callable[[str], Any]] = [
    lambda user: f"{user}#",
    lambda user: f"{user}#c#",
    lambda user: f"{user}#m#0000000000",
    lambda user: f"#{user}",
    lambda user: f"{user}\x00",
    lambda user: f"{user}\n",
    lambda user: f"{user}\x85",
    lambda user: f"{user}\ud800",
    lambda _: "",
    lambda _: "x" * 300,
    lambda _: "é" * 129,
    lambda user: user.encode(),
    lambda user: [user],
    lambda user: {"S": user},
    lambda _: 7,
    lambda _: True,
]
"""What is no user id."""


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, str]:
    """Two users who differ, often by little."""
    owner = draw(allowed)
    other = draw(allowed | st.sampled_from(NEIGHBOURS).map(lambda change: change(owner)))
    fits = all(0 < len(user.encode()) <= 256 for user in (owner, other))
    return (owner, other) if owner != other and fits else (owner[:20], f"{owner[:20]}2")


@dataclass
class Secrets:
    """All that an attacker could know of a conversation."""

    owner: str
    thread_id: str
    checkpoint_id: str
    parent_id: str
    task_id: str
    cursor: str | None
    created_at: str


def conversation_of(saver: DynamoDBConversationSaver, owner: str) -> Secrets:
    config: RunnableConfig = {"configurable": {"thread_id": str(uuid.uuid4()), "user_id": owner}}
    take_turn(saver, config, 1)
    thread_id = config["configurable"]["thread_id"]
    newest, parent, *_ = saver.list(config)
    at, before = newest.config["configurable"], parent.config["configurable"]
    assert parent.pending_writes
    saver.conversations.create(owner)
    page = saver.conversations.list(owner, limit=1)
    created_at = saver.conversations.get(thread_id, owner).created_at
    task_id = parent.pending_writes[0][0]
    ids = at["checkpoint_id"], before["checkpoint_id"]
    return Secrets(owner, thread_id, *ids, task_id, page.cursor, created_at)


def unrelated(secrets: Secrets) -> Secrets:
    """The same, of a conversation that is nowhere."""
    return Secrets(
        secrets.owner,
        str(uuid.uuid4()),
        secrets.checkpoint_id,
        secrets.parent_id,
        secrets.task_id,
        None if secrets.cursor is None else secrets.cursor,
        secrets.created_at,
    )


Attempt = Callable[["DynamoDBConversationSaver", Any, Secrets], Any]


def at(user: Any, thread_id: str, checkpoint_id: str | None = None, **more: Any) -> RunnableConfig:
    ids = {"thread_id": thread_id, "user_id": user, "checkpoint_ns": "", **more}
    return {"configurable": {**ids, "checkpoint_id": checkpoint_id} if checkpoint_id else ids}


READS: dict[str, Attempt] = {
    "get_tuple": lambda s, u, a: s.get_tuple(at(u, a.thread_id)),
    "get_tuple of a checkpoint": lambda s, u, a: s.get_tuple(at(u, a.thread_id, a.checkpoint_id)),
    "get_tuple by time": lambda s, u, a: s.get_tuple({"configurable": {"user_id": u, "created_at": a.created_at}}),
    "list": lambda s, u, a: list(s.list(at(u, a.thread_id))),
    "list before": lambda s, u, a: list(s.list(at(u, a.thread_id), before=at(a.owner, a.thread_id, a.checkpoint_id))),
    "list filtered": lambda s, u, a: list(s.list(at(u, a.thread_id), filter={"user_id": a.owner})),
    "delta history": lambda s, u, a: s.get_delta_channel_history(
        config=at(u, a.thread_id, a.checkpoint_id), channels=["messages"]
    ),
    "conversations.get": lambda s, u, a: s.conversations.get(a.thread_id, u),
    "conversations.list": lambda s, u, a: list(s.conversations.list(u, cursor=a.cursor)),
    "conversations.count": lambda s, u, _: s.conversations.count(u),
    "conversations.latest": lambda s, u, _: s.conversations.latest(u),
    "conversations.export": lambda s, u, a: list(s.conversations.export(u, a.thread_id)),
    "conversations.export of all": lambda s, u, _: list(s.conversations.export(u)),
    "resume": lambda s, u, _: s.resume(u),
}

CHANGES: dict[str, Attempt] = {
    "rename": lambda s, u, a: s.conversations.rename(a.thread_id, u, "Mine"),
    "add_message": lambda s, u, a: s.conversations.add_message(a.thread_id, "user", "hello", user_id=u),
    "delete": lambda s, u, a: s.conversations.delete(a.thread_id, u),
    "delete_user": lambda s, u, _: s.conversations.delete_user(u, scan=True),
    "prune": lambda s, u, a: s.prune([a.thread_id], user_id=u),
    "prune by deleting": lambda s, u, a: s.prune([a.thread_id], strategy="delete", user_id=u),
    "copy_thread": lambda s, u, a: s.copy_thread(a.thread_id, str(uuid.uuid4()), user_id=u),
    "delete_thread": lambda s, u, a: s.delete_thread(a.thread_id, user_id=u),
    "put_writes": lambda s, u, a: s.put_writes(
        at(u, a.thread_id, a.parent_id), [("messages", HumanMessage("forged"))], a.task_id
    ),
    "put": lambda s, u, a: take_turn(s, at(u, a.thread_id), 1),
    "put on a checkpoint": lambda s, u, a: take_turn(s, at(u, a.thread_id, a.checkpoint_id), 2),
    "create": lambda s, u, a: s.conversations.create(u, conversation_id=a.thread_id).title,
}


CREATING = {"put_writes", "put", "put on a checkpoint", "create"}
"""Changes after which the attacker has something of their own under the id."""


def outcome(saver: DynamoDBConversationSaver, attempt: Attempt, user: Any, secrets: Secrets) -> str:
    """What the attacker is told, with the id that they named themselves taken out."""
    try:
        told = repr(attempt(saver, user, secrets))
    except (DynamoConvError, ValueError) as error:
        told = f"{type(error).__name__}: {error}"
    return told.replace(secrets.thread_id, "<the id>")


def items_of(client: DynamoDBClient, table_name: str, user: str) -> list[Any]:
    """Everything that the user has, in any conversation."""
    items: list[Any] = client.scan(TableName=table_name, ConsistentRead=True)["Items"]
    mine = [one for one in items if one["user_id"]["S"].split("#")[0] == user]
    return sorted(mine, key=lambda one: (one["conversation_id"]["S"], one["user_id"]["S"]))


class Attack:
    """One attacker on one conversation."""

    def __init__(self, client: DynamoDBClient, table_name: str, make_saver: MakeSaver) -> None:
        self.client = client
        self.table_name = table_name
        self.saver = make_saver(default_user_id=None)
        self.other_saver = make_saver(default_user_id=None)

    def learns_and_changes_nothing(self, owner: str, attacker: str) -> None:
        secrets = conversation_of(self.saver, owner)
        nowhere = unrelated(secrets)
        before = items_of(self.client, self.table_name, owner)
        assert len(before) > 8
        for name, attempt in (READS | CHANGES).items():
            # Half of it with the saver that has the conversation in its caches.
            saver = self.saver if len(name) % 2 else self.other_saver
            told = outcome(saver, attempt, attacker, secrets)
            assert told == outcome(saver, attempt, attacker, nowhere), name
            if name in CREATING:
                self.clean_up(attacker, secrets, nowhere)
        assert items_of(self.client, self.table_name, owner) == before
        self.saver.conversations.delete_user(owner)

    def clean_up(self, attacker: str, *places: Secrets) -> None:
        """Remove what the attacker has made themselves, so that it does not show in the next attempt."""
        for place in places:
            self.saver.delete_thread(place.thread_id, user_id=attacker)


@pytest.mark.engine("memory")
@given(pair=pairs())
@some
def test_another_user_learns_and_changes_nothing(
    client: DynamoDBClient, table_name: str, make_saver: MakeSaver, pair: tuple[str, str]
) -> None:
    Attack(client, table_name, make_saver).learns_and_changes_nothing(*pair)


@pytest.mark.engine("dynamodb-local")
@given(pair=pairs())
@fewer
def test_another_user_learns_and_changes_nothing_on_dynamodb_local(
    client: DynamoDBClient, table_name: str, make_saver: MakeSaver, pair: tuple[str, str]
) -> None:
    Attack(client, table_name, make_saver).learns_and_changes_nothing(*pair)


@pytest.mark.engine("memory")
@pytest.mark.parametrize("owner", ["alice", "é", "a%23"])
def test_what_is_no_user_id_is_refused_before_any_request(
    client: DynamoDBClient, make_saver: MakeSaver, owner: str
) -> None:
    saver = make_saver(default_user_id=None)
    secrets = conversation_of(saver, owner)

    with RequestLog(client) as log:
        told = {
            (name, repr(forbidden(owner))): outcome(saver, attempt, forbidden(owner), secrets)
            for name, attempt in (READS | CHANGES).items()
            for forbidden in FORBIDDEN
        }

    assert {asked: said for asked, said in told.items() if not said.startswith("ValueError: a user_id is")} == {}
    assert len(log) == 0


@pytest.mark.parametrize("ns", ["", "child", "a#b", "%23", "\x00", "~", "#c#", "é" * 300, "child:1|grandchild:2"])
def test_namespaces_of_one_user_are_apart(make_saver: MakeSaver, ns: str) -> None:
    saver = make_saver()
    where = [at("alice", "thread", checkpoint_ns=one) for one in {"", "child", "a#b", "a%23b", "é" * 300, ns}]
    for config in where:
        take_turn_in(saver, config)

    for config in where:
        found = list(saver.list(config))
        assert {one.config["configurable"]["checkpoint_ns"] for one in found} == {
            config["configurable"]["checkpoint_ns"]
        }
        assert [one.checkpoint["channel_values"]["ns"] for one in found] == [config["configurable"]["checkpoint_ns"]]


def take_turn_in(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    ns = config["configurable"]["checkpoint_ns"]
    checkpoint: Any = {
        "v": 4,
        "ts": "2026-01-01T00:00:00+00:00",
        "id": str(uuid.uuid4()),
        "channel_values": {"ns": ns},
        "channel_versions": {"ns": 1},
        "versions_seen": {},
        "updated_channels": None,
    }
    saver.put(config, checkpoint, {"source": "loop", "step": 1, "parents": {}}, {"ns": 1})
