"""A conversation under another user id: nothing in it differs but the user, whatever it holds; and none is merged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.graph import START, MessagesState, StateGraph

from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._history.rekeying import MARK, Rekeying
from langgraph_dynamo_conv.errors import ConflictError, ConversationNotFoundError
from tests.factories import USER, config, items_of, noise, put, read, sort_keys, stored_bytes
from tests.faults.graphs import CHATS, spoken, take_turn
from tests.store.every_item import FOREIGN, FRAMES, KEY, RUN, SEALED, THREAD, WAITING, Item, World, every_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.conftest import MakeSaver

pytestmark = pytest.mark.engine("memory")

NEW = "a person's new id"
TIMES = ("expires_at", "live_until", "u", "l")

Told = list[dict[str, Any]]


@pytest.fixture(scope="module")
def filled() -> World:
    return every_item()


@pytest.fixture
def world(filled: World) -> World:
    return filled.copied()


def rekeying_of(saver: DynamoDBConversationSaver) -> Rekeying:
    parts = saver._runtime
    of_checkpoints = parts.checkpoints, parts.blobs, parts.writes, parts.removal
    return Rekeying(parts.table, parts.serializer, *of_checkpoints, parts.expiry)


def moved(saver: DynamoDBConversationSaver, thread: str) -> int:
    old, new = Scope(thread, USER), Scope(thread, NEW)
    rekeying = rekeying_of(saver)
    rekeying.settle(old, new, rekeying.copy(old, new))
    return rekeying.remove(old, new)


def history(saver: DynamoDBConversationSaver, thread: str, user: str) -> Told:
    """All that LangGraph can read of a conversation, and whom the metadata name in place of the user."""
    told: Told = []
    for one in saver.list({"configurable": {"thread_id": thread, "user_id": user}}):
        metadata: dict[str, Any] = {**one.metadata}
        named = metadata.pop("user_id", None)
        parent = one.parent_config["configurable"]["checkpoint_id"] if one.parent_config else None
        place = one.config["configurable"]["checkpoint_ns"], parent, named == user
        told.append({"place": place, "state": one.checkpoint, "metadata": metadata, "writes": one.pending_writes})
    return told


def of_user(items: list[Item], user: str, thread: str) -> dict[str, Item]:
    """A user's items of a conversation and of its run, by partition and the rest of the sort key."""
    of_thread = (one for one in items if one["conversation_id"]["S"] in (thread, f"run#{RUN}"))
    mine = (one for one in of_thread if one["user_id"]["S"].split("#")[0] == user)
    named = {f"{one['conversation_id']['S']} {one['user_id']['S'][len(user) :]}": one for one in mine}
    return {name: one for name, one in named.items() if "#r#" not in name or name.endswith(f"#{thread}")}


@pytest.mark.parametrize("thread", [THREAD, FRAMES, SEALED, WAITING, FOREIGN])
def test_a_conversation_with_every_kind_of_item_is_the_same_under_another_user(world: World, thread: str) -> None:
    with closing(world.saver(thread)) as saver:
        before, chat = history(saver, thread, USER), saver.conversations.get(thread, USER).to_dict()
        was = of_user(world.items(), USER, thread)
        objects = len(world.bucket.by_key)

        items = moved(saver, thread)

    with closing(world.saver(thread)) as saver:
        assert history(saver, thread, NEW) == before
        assert saver.conversations.get(thread, NEW).to_dict() == {**chat, "user_id": NEW}
        assert saver.conversations.verify(thread, NEW).ok
    now = of_user(world.items(), NEW, thread)
    assert of_user(world.items(), USER, thread) == {}
    assert len(world.bucket.by_key) == objects
    assert items == len([name for name in was if "#r#" not in name])
    assert kinds(now) == kinds(was)
    common = was.keys() & now.keys()
    assert len(common) >= len(was) - 2  # a frame that is a value of its own is found by another digest
    for name in common:
        assert {at: now[name].get(at) for at in TIMES} == {at: was[name].get(at) for at in TIMES}
        assert now[name].keys() == was[name].keys()


def kinds(items: dict[str, Item]) -> list[str]:
    return sorted(name.split("#")[1] if "#" in name else "row" for name in items)


@pytest.mark.parametrize(
    ("chat", "is_sealed"), [*((chat, False) for chat in CHATS), ("DeltaChannel", True), ("subgraph", True)]
)
def test_every_checkpoint_of_a_graph_is_the_same_and_it_goes_on(
    make_saver: MakeSaver, chat: str, is_sealed: bool
) -> None:
    options: Any = {"serde": EncryptedSerializer.from_pycryptodome_aes(key=KEY)} if is_sealed else {}
    saver = make_saver(row_bytes=512, **options)
    for number in range(9):
        take_turn(saver, config(), number, chat)
        take_turn(saver, config("twin"), number, chat)
    before = history(saver, "thread", USER)

    moved(make_saver(**options), "thread")

    other = make_saver(row_bytes=512, **options)
    assert history(other, "thread", NEW) == before
    for number in range(9, 11):
        take_turn(other, config(user_id=NEW), number, chat)
        take_turn(saver, config("twin"), number, chat)
    assert spoken(other, config(user_id=NEW), chat) == spoken(saver, config("twin"), chat)
    chats = [saver.conversations.get("thread", NEW), saver.conversations.get("twin", USER)]
    assert [one.content for one in chats[0].messages] == [one.content for one in chats[1].messages]
    other.prune(["thread"], user_id=NEW)
    assert other.conversations.verify("thread", NEW).ok


def test_segments_of_a_long_chat_are_moved_with_it(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    said: list[Any] = []
    saver = make_saver()
    for number in range(1, 130):
        said.append(HumanMessage(noise(900, number).hex(), id=f"q{number}"))
        put(saver, number, {"messages": said}, parent=number - 1 or None)
    before = items_of(client, table_name)
    assert len(sort_keys(before, "s")) > 2

    moved(make_saver(), "thread")

    after = items_of(client, table_name)
    assert [one.replace(NEW, USER) for one in sort_keys(after, "s")] == sort_keys(before, "s")
    assert abs(stored_bytes(after) - stored_bytes(before)) < 0.01 * stored_bytes(before)
    assert read(make_saver(), config(user_id=NEW)).checkpoint["channel_values"]["messages"] == said
    assert make_saver().conversations.verify("thread", NEW).ok


def test_frames_of_task_writes_that_are_values_of_their_own_are_not_left_twice(
    saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
) -> None:
    put(saver, 1, {"messages": []})
    saver.put_writes(config(number=1), [("x", noise(56, number)) for number in range(8000)], "task")
    parts = len(sort_keys(items_of(client, table_name), "p"))
    assert parts > 0
    before = history(saver, "thread", USER)

    moved(saver, "thread")

    assert history(saver, "thread", NEW) == before
    assert len(sort_keys(items_of(client, table_name), "p")) == parts


def test_metadata_that_name_somebody_else_stay(saver: DynamoDBConversationSaver) -> None:
    put(saver, 1, {"messages": []}, metadata={"user_id": "a customer", "by": USER})

    moved(saver, "thread")

    metadata: Any = read(saver, config(user_id=NEW)).metadata
    assert (metadata["user_id"], metadata["by"]) == ("a customer", USER)


def test_a_graph_goes_on_under_the_new_user(make_saver: MakeSaver) -> None:
    saver = make_saver()
    chats(saver, USER, "hello")
    moved(saver, "thread")
    chats(saver, NEW, "and again")

    assert [one.content for one in saver.conversations.get("thread", NEW).messages] == [
        "hello",
        "yes",
        "and again",
        "yes",
    ]
    newest: Any = read(saver, config(user_id=NEW)).metadata
    assert newest["user_id"] == NEW
    assert len(list(saver.list(config(user_id=NEW)))) == 6


def test_a_run_is_found_under_the_new_user(
    saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
) -> None:
    for number, run in enumerate(("first", "second"), 1):
        put(saver, number, {"messages": [], "x": number}, parent=number - 1 or None, at=config(run_id=run))
    moved(saver, "thread")
    assert [one["user_id"]["S"] for one in items_of(client, table_name) if "#r#" in one["user_id"]["S"]] == [
        f"{NEW}#r#thread"
    ] * 2

    saver.delete_for_runs(["second"], user_id=NEW)

    assert [one.metadata["run_id"] for one in saver.list(config(user_id=NEW))] == ["first"]


def chats(saver: DynamoDBConversationSaver, user: str, text: str) -> None:
    builder = StateGraph(MessagesState).add_node("answer", lambda _: {"messages": [("assistant", "yes")]})
    graph: Any = builder.add_edge(START, "answer").compile(checkpointer=saver)
    graph.invoke({"messages": [("user", text)]}, config(user_id=user))


REFUSED: dict[str, Callable[[DynamoDBConversationSaver], object]] = {
    "a row": lambda saver: saver.conversations.create(NEW, conversation_id="thread"),
    "a state": lambda saver: put(saver, 9, {"x": 1}, at=config(user_id=NEW)),
    "task writes alone": lambda saver: saver.put_writes(config(number=1, user_id=NEW), [("x", 1)], "task"),
}
"""What the new user has under the same id."""


@pytest.mark.parametrize("there", REFUSED)
def test_nothing_is_merged_into_a_conversation_that_the_new_user_has(
    saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str, there: str
) -> None:
    put(saver, 1, {"messages": []})
    REFUSED[there](saver)
    before = items_of(client, table_name)

    with pytest.raises(ConflictError, match="that is no copy of demo's"):
        moved(saver, "thread")

    assert items_of(client, table_name) == before


def test_what_goes_on_while_it_is_copied_is_not_lost(
    saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
) -> None:
    old, new = Scope("thread", USER), Scope("thread", NEW)
    put(saver, 1, {"messages": []})
    digest = rekeying_of(saver).copy(old, new)
    put(saver, 2, {"messages": [], "x": 1}, parent=1)

    with pytest.raises(ConflictError, match="The copy is taken back"):
        rekeying_of(saver).settle(old, new, digest)

    assert not [one for one in items_of(client, table_name) if one["user_id"]["S"].startswith(NEW)]
    assert read(saver).checkpoint["channel_values"] == {"messages": [], "x": 1}
    moved(saver, "thread")
    assert read(saver, config(user_id=NEW)).checkpoint["channel_values"] == {"messages": [], "x": 1}


def test_a_copy_in_which_the_new_user_goes_on_is_neither_replaced_nor_settled(make_saver: MakeSaver) -> None:
    old, new = Scope("thread", USER), Scope("thread", NEW)
    saver = make_saver()
    chats(saver, USER, "hello")
    rekeying_of(saver).copy(old, new)  # and then the process dies
    chats(make_saver(), NEW, "and again")

    for one in (saver, make_saver()):
        with pytest.raises(ConflictError, match="has gone on since it was copied"):
            rekeying_of(one).copy(old, new)

    assert saver.conversations.get("thread", USER).message_count == 2
    assert saver.conversations.get("thread", NEW).message_count == 4


def test_a_copy_that_broke_off_is_made_anew(saver: DynamoDBConversationSaver) -> None:
    old, new = Scope("thread", USER), Scope("thread", NEW)
    chats(saver, USER, "hello")
    rekeying_of(saver).copy(old, new)  # and then the process dies
    chats(saver, USER, "and again")

    moved(saver, "thread")

    assert saver.conversations.get("thread", NEW).message_count == 4
    assert saver.conversations.verify("thread", NEW).ok


def test_a_copy_is_not_taken_back_once_the_new_user_goes_on_in_it(saver: DynamoDBConversationSaver) -> None:
    old, new = Scope("thread", USER), Scope("thread", NEW)
    chats(saver, USER, "hello")
    digest = rekeying_of(saver).copy(old, new)
    for user in (USER, NEW):
        chats(saver, user, "and again")

    with pytest.raises(ConflictError, match="has gone on since it was copied"):
        rekeying_of(saver).settle(old, new, digest)

    assert [saver.conversations.get("thread", user).message_count for user in (USER, NEW)] == [4, 4]


def test_a_conversation_goes_to_one_user_at_a_time(saver: DynamoDBConversationSaver) -> None:
    put(saver, 1, {"messages": []})
    rekeying_of(saver).copy(Scope("thread", USER), Scope("thread", NEW))

    with pytest.raises(ConflictError, match=f"is being given to {NEW}: finish that first"):
        rekeying_of(saver).copy(Scope("thread", USER), Scope("thread", "third"))


def test_what_goes_on_after_it_was_settled_is_not_removed(saver: DynamoDBConversationSaver) -> None:
    old, new = Scope("thread", USER), Scope("thread", NEW)
    chats(saver, USER, "hello")
    rekeying_of(saver).settle(old, new, rekeying_of(saver).copy(old, new))  # and then the process dies
    chats(saver, USER, "and again")

    with pytest.raises(ConflictError, match="Nothing of demo's is removed"):
        rekeying_of(saver).remove(old, new)

    assert saver.conversations.get("thread", USER).message_count == 4


def test_another_user_can_be_named_once_a_copy_was_taken_back(saver: DynamoDBConversationSaver) -> None:
    old, wrong = Scope("thread", USER), Scope("thread", "wrong")
    chats(saver, USER, "hello")
    digest = rekeying_of(saver).copy(old, wrong)
    chats(saver, USER, "and again")
    with pytest.raises(ConflictError):
        rekeying_of(saver).settle(old, wrong, digest)

    moved(saver, "thread")

    assert saver.conversations.get("thread", NEW).message_count == 4


def test_what_was_never_there_is_not_found(saver: DynamoDBConversationSaver) -> None:
    with pytest.raises(ConversationNotFoundError, match="no such conversation"):
        rekeying_of(saver).is_settled(Scope("thread", USER), Scope("thread", NEW))


def test_the_mark_stays_with_nobody(saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str) -> None:
    put(saver, 1, {"messages": []})

    moved(saver, "thread")

    assert [one for one in items_of(client, table_name) if MARK in one] == []


@pytest.fixture
def saver(make_saver: MakeSaver) -> Iterator[DynamoDBConversationSaver]:
    with closing(make_saver()) as saver:
        yield saver
