"""A user who knows everything of another's conversation but is not its owner: sees nothing, changes nothing."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.attempts import THREAD, WITH_TWINS, Asker, Calls, Twins
from tests.store.worlds import World

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


def learns_and_changes_nothing(client: DynamoDBClient, owner: str, attacker: str) -> None:
    """Everything that an attacker can try comes to the same where the owner has a conversation and where not."""
    with World(client, (owner, THREAD)) as there, World(client) as nowhere:
        asker = Asker(attacker, there.known[0])
        for number, (name, attempt) in enumerate(WITH_TWINS.items()):
            # Half of it with a saver that has the conversation in its caches, half of it through the twins.
            sides = Twins if number % 2 else Calls
            told, told_nowhere = (
                world.told(sides, attempt, asker, is_warm=sides is Calls) for world in (there, nowhere)
            )
            assert told.words == told_nowhere.words, name
            assert told.owners <= {attacker}, name
            assert told.items_of(owner) == there.items, name


@pytest.mark.engine("memory")
@given(pair=pairs())
@some
def test_another_user_learns_and_changes_nothing(client: DynamoDBClient, pair: tuple[str, str]) -> None:
    learns_and_changes_nothing(client, *pair)


@pytest.mark.engine("dynamodb-local")
@given(pair=pairs())
@fewer
def test_another_user_learns_and_changes_nothing_on_dynamodb_local(
    client: DynamoDBClient, pair: tuple[str, str]
) -> None:
    learns_and_changes_nothing(client, *pair)


@pytest.mark.engine("memory")
@pytest.mark.parametrize("owner", ["alice", "é", "a%23"])
def test_what_is_no_user_id_is_refused_before_any_request(client: DynamoDBClient, owner: str) -> None:
    with World(client, (owner, THREAD)) as world:
        told = {
            (name, repr(forbidden(owner))): world.told(
                Calls, attempt, Asker(forbidden(owner), world.known[0]), is_warm=False
            )
            for name, attempt in WITH_TWINS.items()
            for forbidden in FORBIDDEN
        }

        assert {
            asked: one.words for asked, one in told.items() if not one.words.startswith("ValueError: a user_id is")
        } == {}
        assert [asked for asked, one in told.items() if one.requests] == []


def at(user: str, thread_id: str, **more: Any) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, "user_id": user, **more}}


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
