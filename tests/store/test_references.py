"""What refers to a state of a checkpoint, of its own namespace or of its caller's, outlives whatever happens to that.

A conversation is made in which a root, a sub-graph of a task, a sub-graph in that and one that remembers refer to each
other; then something is done to it, and every state and write that is left must be what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import CorruptDataError
from tests.conftest import MakeSaver
from tests.engines import Engine
from tests.factories import USER, checkpoint_id, config, items_of, noise, put, read, values_of
from tests.store.test_differential import seen

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Seen = dict[tuple[str, int], Any]

TASK, INNER, REMEMBERING = "node:task", "node:task|inner:task", "remembering"
MESSAGES = [noise(100, number).hex() for number in range(40)]
"""Of 8 KB together: more than a write unit, less than a segment."""

CALLED: tuple[tuple[str, int, dict[str, int], int], ...] = (
    (TASK, 11, {"": 2}, 21),
    (INNER, 21, {"": 2, TASK: 11}, 22),
    (REMEMBERING, 31, {"": 2}, 22),
)
"""Namespace, id of its first checkpoint, what called it, and how many messages its caller has."""

NUMBERS = {"": (1, 2, 3), TASK: (11, 12), INNER: (21, 22), REMEMBERING: (31, 32)}


def converse(saver: DynamoDBConversationSaver) -> None:
    """A root with three checkpoints and a sub-graph on the second; all writes are of whole lists."""
    put(saver, 1, {"messages": MESSAGES[:20]}, metadata={"run_id": "first"})
    _write(saver, "", 1, 22)
    put(saver, 2, {"messages": MESSAGES[:22]}, parent=1, metadata={"run_id": "second"})
    for ns, number, parents, count in CALLED:
        metadata = {"run_id": "second", "parents": {one: checkpoint_id(at) for one, at in parents.items()}}
        put(saver, number, {"__start__": {"messages": MESSAGES[:count]}}, at=config(ns=ns), metadata=metadata)
        _write(saver, ns, number, count)
        values = {"messages": MESSAGES[:count]}
        put(saver, number + 1, values, at=config(ns=ns), parent=number, metadata=metadata)
        _write(saver, ns, number + 1, count + 1)
    _write(saver, "", 2, 23)
    put(saver, 3, {"messages": MESSAGES[:23]}, parent=2, metadata={"run_id": "third"})
    _write(saver, "", 3, 24)


def _write(saver: DynamoDBConversationSaver, ns: str, number: int, count: int) -> None:
    writes = [("messages", MESSAGES[:count]), ("other", {"messages": MESSAGES[:count]})]
    saver.put_writes(config(number=number, ns=ns), writes, f"task of {number}")


def everything(saver: DynamoDBConversationSaver, thread_id: str = "thread") -> Seen:
    """All states and writes, by namespace and number."""
    found: Seen = {}
    for ns, numbers in NUMBERS.items():
        for number in numbers:
            one = saver.get_tuple(config(thread_id, number, ns=ns))
            if one is not None:
                found[ns, number] = {**seen(one), "config": None, "parent": None}
    return found


def references(client: DynamoDBClient, table_name: str) -> int:
    """How many checkpoints refer to their caller's state."""
    return sum("o" in item for item in items_of(client, table_name))


@pytest.fixture
def told(saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str) -> Seen:
    """What the conversation says, by a saver that has made it."""
    converse(saver)
    assert references(client, table_name) == len(CALLED)
    return everything(saver)


def test_every_reader_is_told_the_same(told: Seen, make_saver: MakeSaver) -> None:
    assert {at: len(one["channels"]) for at, one in told.items()} == {
        (ns, number): 1 for ns, numbers in NUMBERS.items() for number in numbers
    }
    assert everything(make_saver(cache_bytes=0)) == told
    by_list = {
        (one.config["configurable"]["checkpoint_ns"], one.config["configurable"]["checkpoint_id"]): seen(one)
        for one in make_saver().list({"configurable": {"thread_id": "thread", "user_id": USER}})
    }
    assert {at: {**one, "config": None, "parent": None} for at, one in by_list.items()} == {
        (ns, checkpoint_id(number)): one for (ns, number), one in told.items()
    }


def test_a_state_is_stored_once_whatever_repeats_it(told: Seen, client: DynamoDBClient, table_name: str) -> None:
    sizes = {
        (parts[1], parts[2]): sum(len(value["B"]) for value in item.values() if "B" in value)
        for item in items_of(client, table_name)
        if len(parts := item["user_id"]["S"].split("#")) > 3 and parts[1] in "cw"
    }
    whole = {at: size for at, size in sizes.items() if size > 1500}

    assert len(sizes) > len(NUMBERS)
    assert sum(sizes.values()) < 3 * 100 * 40, (told.keys(), whole)


Change = Callable[[DynamoDBConversationSaver], object]

AFTER: dict[str, tuple[Change, Callable[[str, int], bool]]] = {
    "another state is stored as what they refer to": (
        lambda saver: put(saver, 2, {"messages": ["another"]}, parent=1),
        lambda ns, number: (ns, number) != ("", 2),
    ),
    "the caller's run is deleted": (
        lambda saver: saver.delete_for_runs(["second"]),
        lambda ns, _number: ns == "" and _number != 2,
    ),
    "the run before is deleted": (lambda saver: saver.delete_for_runs(["first"]), lambda _ns, number: number != 1),
    "old checkpoints are pruned": (
        lambda saver: saver.prune(["thread"]),
        lambda ns, number: (ns, number) in {("", 3), (REMEMBERING, 32)},
    ),
}
"""What is done, and which checkpoints are there as they were afterwards."""


@pytest.mark.parametrize("by", ["the one that wrote", "a new one"])
@pytest.mark.parametrize("what", AFTER)
def test_what_is_left_is_what_it_was(
    told: Seen, saver: DynamoDBConversationSaver, make_saver: MakeSaver, what: str, by: str
) -> None:
    change, stays = AFTER[what]
    change(saver if by == "the one that wrote" else make_saver())
    expected = {at: one for at, one in told.items() if stays(*at)}

    for reader in (saver, make_saver()):
        found = everything(reader)
        assert {at: one for at, one in found.items() if at in expected} == expected
        assert not [at for at in found.keys() - expected.keys() if at[0] and "state is stored" not in what]
    verification = make_saver().conversations.verify("thread", user_id=USER)
    assert not verification.damage


def test_a_copy_says_the_same_without_the_original(told: Seen, saver: DynamoDBConversationSaver) -> None:
    saver.copy_thread("thread", "copy", user_id=USER)
    saver.delete_thread("thread", user_id=USER)

    assert everything(saver, "copy") == told


def test_writes_on_a_state_that_is_replaced_are_stored_whole(
    told: Seen, saver: DynamoDBConversationSaver, make_saver: MakeSaver
) -> None:
    put(saver, 2, {"messages": ["another"]}, parent=1)

    for reader in (saver, make_saver()):
        assert values_of(reader, config(number=2)) == {"messages": ["another"]}
        found = read(reader, config(number=2))
        assert [value for _, _, value in found.pending_writes or []] == [
            MESSAGES[:23],
            {"messages": MESSAGES[:23]},
        ]
    assert told


def test_a_caller_that_is_gone_is_damage_and_named(
    told: Seen, client: DynamoDBClient, table_name: str, make_saver: MakeSaver
) -> None:
    key = {"conversation_id": {"S": "thread"}, "user_id": {"S": f"{USER}#c##{checkpoint_id(2)}"}}
    (caller,) = [item for item in items_of(client, table_name) if item["user_id"] == key["user_id"]]
    client.delete_item(TableName=table_name, Key=key)
    saver = make_saver()
    saver.conversations.create("thread", user_id=USER) if not _has_row(client, table_name) else None

    with pytest.raises(CorruptDataError, match=checkpoint_id(2)):
        saver.get_tuple(config(ns=TASK))
    damage = make_saver().conversations.verify("thread", user_id=USER).damage
    assert any(checkpoint_id(11) in str(one) for one in damage)
    client.put_item(TableName=table_name, Item=caller)
    assert everything(make_saver()) == told


def test_writes_on_a_state_that_is_not_theirs_are_damage_and_named(
    told: Seen, client: DynamoDBClient, table_name: str, make_saver: MakeSaver
) -> None:
    assert make_saver().conversations.verify("thread", user_id=USER).ok
    by_sk = {item["user_id"]["S"]: item for item in items_of(client, table_name)}
    kept = by_sk[f"{USER}#c##{checkpoint_id(3)}"]
    put(make_saver(), 3, {"messages": MESSAGES[:5]}, parent=2, at=config("another"))
    (foreign,) = [
        item
        for item in items_of(client, table_name)
        if item["conversation_id"] == {"S": "another"} and "#c#" in item["user_id"]["S"]
    ]
    client.put_item(TableName=table_name, Item={**foreign, "conversation_id": kept["conversation_id"]})

    damage = make_saver().conversations.verify("thread", user_id=USER).damage
    assert any("task of 3" in one.key and "another state" in one.problem for one in damage)


def _has_row(client: DynamoDBClient, table_name: str) -> bool:
    return any(item["user_id"]["S"] == USER for item in items_of(client, table_name))


def test_a_caller_lives_on_with_the_sub_graph_that_refers_to_it(make_saver: MakeSaver) -> None:
    day, now = timedelta(days=1), 1_800_000_000.0
    saver = make_saver(ttl=day, clock=lambda: now)
    converse(saver)
    told = everything(saver)
    for number in range(4, 9):
        now += day.total_seconds() * 0.7
        put(saver, number, {"messages": MESSAGES[: 20 + number]}, parent=number - 1)
        put(
            saver,
            30 + number,
            {"messages": MESSAGES[:22]},
            at=config(ns=REMEMBERING),
            parent=29 + number if number > 4 else 32,
        )

    cold = make_saver(ttl=day, clock=lambda: now)
    assert values_of(cold, config(ns=REMEMBERING)) == {"messages": MESSAGES[:22]}
    assert values_of(cold) == {"messages": MESSAGES[:28]}
    assert told


@pytest.mark.parametrize("interrupted_at", range(12))
def test_a_deletion_that_dies_can_be_repeated(
    told: Seen, saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str, interrupted_at: int
) -> None:
    with _dying(client, "DeleteItem", interrupted_at), pytest.raises(ConnectionAbortedError):
        saver.delete_thread("thread", user_id=USER)
    left = everything(DynamoDBConversationSaver(table_name, client=client))

    assert all(told[at] == one for at, one in left.items())
    saver.delete_thread("thread", user_id=USER)
    assert not items_of(client, table_name)


@contextmanager
def _dying(client: DynamoDBClient, operation: str, at: int) -> Iterator[None]:
    """Requests of one kind fail from a number on."""
    left = at

    def fail(**_: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise ConnectionAbortedError("the process dies here")

    name = f"before-call.dynamodb.{operation}"
    client.meta.events.register(name, fail)
    try:
        yield
    finally:
        client.meta.events.unregister(name, fail)


def agent(asks: bool) -> Any:
    """A sub-graph that shares the messages, and asks if it is to."""

    def answer(state: MessagesState) -> dict[str, Any]:
        said = interrupt("Which one?") if asks else "none"
        return {"messages": [AIMessage(f"{len(state['messages'])} {said} " + MESSAGES[0])]}

    return StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").compile()


def root(saver: Any, *, asks: bool) -> Any:
    """A graph with that sub-graph."""
    builder = StateGraph(MessagesState).add_node("agent", agent(asks)).add_edge(START, "agent")
    return builder.compile(checkpointer=saver)


@pytest.mark.parametrize("pruned", [False, True])
def test_a_sub_graph_that_asks_goes_on_in_another_process(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str, pruned: bool
) -> None:
    saver = make_saver()
    at = saver.new_conversation(USER)
    for number in range(5):
        root(saver, asks=False).invoke({"messages": [HumanMessage(f"{number} {MESSAGES[1]}")]}, at)
    root(saver, asks=True).invoke({"messages": [HumanMessage("And now?")]}, at)
    if pruned:
        make_saver().prune([at["configurable"]["thread_id"]], user_id=USER)
    else:
        assert references(client, table_name)

    result = root(make_saver(), asks=True).invoke(Command(resume="the last"), at)

    assert result["messages"][-1].text.startswith("11 the last")
    assert len(result["messages"]) == 12
    assert len(values_of(make_saver(), at)["messages"]) == 12


def test_what_refers_is_encrypted_like_all_else(make_saver: MakeSaver, engine: Engine) -> None:
    from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

    serde = EncryptedSerializer.from_pycryptodome_aes(key=b"0" * 16)
    converse(make_saver(serde=serde))

    assert everything(make_saver(serde=serde)).keys() == {
        (ns, number) for ns, numbers in NUMBERS.items() for number in numbers
    }, engine
