"""Conversations with a time to live: gone for every read at once, and a live one loses nothing, whatever is deleted.

DynamoDB is played by `Sweeper`: it deletes any of the items whose `expires_at` has come, and no other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langgraph_dynamo_conv import Conversations, DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import ConversationNotFoundError
from tests.conftest import MakeSaver
from tests.factories import USER, checkpoint_id, config, items_of, noise, put, read, values_of
from tests.requests_log import RequestLog
from tests.sweeper import START, Clock, Sweeper

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

EXAMPLES = int(os.environ.get("EXPIRY_EXAMPLES", "8"))
TTL = timedelta(days=30)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sweeper(client: DynamoDBClient, table_name: str, clock: Clock) -> Sweeper:
    return Sweeper(client, table_name, clock)


@pytest.fixture
def chats(make_saver: MakeSaver, clock: Clock) -> DynamoDBConversationSaver:
    return make_saver(ttl=TTL, clock=clock)


def dialogue(turns: int) -> list[BaseMessage]:
    return [
        message
        for turn in range(turns)
        for message in (
            HumanMessage(f"question {turn}", id=f"q{turn}"),
            AIMessage(f"answer {turn} " * 20, id=f"a{turn}"),
        )
    ]


def contents(chat: Any) -> list[str]:
    return [message.content for message in chat.messages]


# --- over ---------------------------------------------------------------------------------------------------


def test_a_conversation_that_is_over_is_gone_for_every_read(
    chats: DynamoDBConversationSaver, make_saver: MakeSaver, clock: Clock, client: DynamoDBClient, table_name: str
) -> None:
    at = {"configurable": {"user_id": USER}}
    put(chats, 1, {"messages": dialogue(1)})
    put(chats, 2, {"messages": dialogue(2)}, parent=1)
    put(chats, 2, {"inner": 1}, at=config(ns="inner"))
    clock.pass_by(TTL)

    assert len(items_of(client, table_name)) > 3
    for saver in (chats, make_saver(clock=clock)):
        assert saver.get_tuple(config()) is None
        assert saver.get_tuple(config(number=1)) is None
        assert saver.get_tuple(config(ns="inner")) is None
        assert list(saver.list(config())) == []
        assert list(saver.list(None)) == []
        assert list(saver.list(at)) == []
        assert saver.get_tuple(at) is None
        assert list(saver.conversations.list(USER)) == []
        assert list(saver.conversations.list(USER, order_by="updated_at")) == []
        assert saver.conversations.count(USER) == 0
        assert saver.conversations.latest(USER) is None
        assert list(saver.conversations.export(USER)) == []
        with pytest.raises(ConversationNotFoundError):
            saver.conversations.get("thread", USER)
        with pytest.raises(ConversationNotFoundError):
            saver.conversations.rename("thread", USER, "late")
        with pytest.raises(ConversationNotFoundError):
            saver.conversations.add_message("thread", "user", "late", user_id=USER)
        with pytest.raises(ConversationNotFoundError):
            saver.resume(USER)


def test_it_is_there_until_the_last_second(chats: DynamoDBConversationSaver, clock: Clock) -> None:
    put(chats, 1, {"messages": dialogue(1)})
    clock.pass_by(TTL - timedelta(seconds=1))

    assert len(values_of(chats)["messages"]) == 2
    assert chats.conversations.count(USER) == 1


def test_every_turn_restarts_the_clock(chats: DynamoDBConversationSaver, make_saver: MakeSaver, clock: Clock) -> None:
    for number in range(1, 6):
        put(chats, number, {"messages": dialogue(number)}, parent=number - 1 or None)
        clock.pass_by(TTL * 0.9)

    assert len(values_of(make_saver(clock=clock))["messages"]) == 10
    assert contents(chats.conversations.get("thread", USER))[0] == "question 0"


def test_renaming_does_not_restart_it(chats: DynamoDBConversationSaver, clock: Clock) -> None:
    put(chats, 1, {"messages": dialogue(1)})
    clock.pass_by(TTL / 2)
    chats.conversations.rename("thread", USER, "kept")
    clock.pass_by(TTL / 2)

    assert chats.conversations.count(USER) == 0
    assert chats.get_tuple(config()) is None


def test_a_page_skips_what_is_over_and_is_full_all_the_same(
    chats: DynamoDBConversationSaver, make_saver: MakeSaver, clock: Clock
) -> None:
    everlasting = make_saver(clock=clock).conversations
    for number in range(12):
        (chats.conversations if number % 3 else everlasting).create(USER, title=str(number))
        clock.pass_by(timedelta(minutes=1))
    clock.pass_by(TTL)
    chats.conversations.create(USER, title="new")

    first = chats.conversations.list(USER, limit=3)
    rest = chats.conversations.list(USER, limit=3, cursor=first.cursor)
    assert [one.title for one in (*first, *rest)] == ["new", "9", "6", "3", "0"]
    assert rest.cursor is None


def test_without_a_transcript_the_row_lives_as_long_as_the_state(make_saver: MakeSaver, clock: Clock) -> None:
    saver = make_saver(ttl=TTL, clock=clock, transcript=False)
    put(saver, 1, {"items": [1]})
    clock.pass_by(TTL * 0.9)
    put(saver, 2, {"items": [1, 2]}, parent=1)
    clock.pass_by(TTL * 0.9)

    assert saver.conversations.count(USER) == 1
    clock.pass_by(TTL * 0.1)
    assert saver.conversations.count(USER) == 0


# --- begun anew ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("swept", [False, True])
def test_a_conversation_that_was_over_begins_anew_without_its_past(
    make_saver: MakeSaver, clock: Clock, sweeper: Sweeper, swept: bool
) -> None:
    first, second = (make_saver(ttl=TTL, clock=clock, row_bytes=512) for _ in range(2))
    for number in range(1, 9):
        put(first, number, {"messages": dialogue(number)}, parent=number - 1 or None)
    clock.pass_by(TTL * (2 if swept else 1))
    if swept:
        assert sweeper.sweep(seed=1)
    assert second.get_tuple(config()) is None
    second.put_writes(config(number=20), [("messages", "early")], "task")
    put(second, 20, {"messages": dialogue(1)})

    assert [one.config["configurable"]["checkpoint_id"] for one in second.list(config())] == [checkpoint_id(20)]
    assert read(second).pending_writes == [("task", "messages", "early")]
    assert contents(make_saver(clock=clock).conversations.get("thread", USER)) == [m.content for m in dialogue(1)]
    assert second.conversations.list(USER)[0].created_at > "2026-10"
    for number in range(21, 30):
        put(second, number, {"messages": dialogue(number - 19)}, parent=number - 1)
    assert contents(make_saver(clock=clock).conversations.get("thread", USER)) == [m.content for m in dialogue(10)]


def test_a_row_that_is_over_gives_way_to_a_new_one(chats: DynamoDBConversationSaver, clock: Clock) -> None:
    chats.conversations.create(USER, title="first", conversation_id="thread")
    clock.pass_by(TTL)
    assert chats.conversations.create(USER, title="second", conversation_id="thread").title == "second"


# --- alive --------------------------------------------------------------------------------------------------


def big(turn: int) -> bytes:
    return noise(40_000, turn // 5)


class Agent:
    """A conversation with all that can be lost: a chain, segments, parts, messages that left the row, a subgraph."""

    def __init__(self, make_saver: MakeSaver, clock: Clock, ttl: timedelta | None) -> None:
        self.make = lambda: make_saver(ttl=ttl, clock=clock, row_bytes=512, cache_bytes=self.cache_bytes)
        self.cache_bytes = 1 << 20
        self.saver = self.make()
        self.turns = 0
        self.number = 0

    def state(self) -> dict[str, Any]:
        return {"messages": dialogue(self.turns), "notes": [noise(500, n).hex() for n in range(self.turns)]}

    def take_turn(self) -> None:
        self.turns += 1
        parent = self.number or None
        self.number += 1
        put(self.saver, self.number, {**self.state(), "large": big(self.turns)}, parent=parent)
        self.saver.put_writes(config(number=self.number), [("notes", self.turns), ("large", big(99))], "task")
        if self.turns == 1:
            put(self.saver, 1, {"memory": [1, noise(30_000, 7)]}, at=config(ns="helper"))

    def begin_anew(self) -> None:
        self.turns = 0
        assert self.saver.get_tuple(config()) is None
        self.number += 100
        self.turns = 1
        put(self.saver, self.number, {**self.state(), "large": big(1)})
        self.saver.put_writes(config(number=self.number), [("notes", 1), ("large", big(99))], "task")
        put(self.saver, self.number, {"memory": [1, noise(30_000, 7)]}, at=config(ns="helper"))

    def check(self) -> None:
        reader = self.make()
        found = read(reader)
        assert found.checkpoint["channel_values"] == {**self.state(), "large": big(self.turns)}
        assert found.pending_writes == [("task", "notes", self.turns), ("task", "large", big(99))]
        assert values_of(reader, config(ns="helper")) == {"memory": [1, noise(30_000, 7)]}
        assert contents(reader.conversations.get("thread", USER)) == [m.content for m in dialogue(self.turns)]
        history = list(reader.list(config()))  # as far back as it is kept, none broken
        assert [len(one.checkpoint["channel_values"]["messages"]) for one in history] == [
            2 * (self.turns - back) for back in range(len(history))
        ]
        assert reader.conversations.count(USER) == 1


steps = st.lists(
    st.one_of(
        st.tuples(st.just("turns"), st.integers(1, 12)),
        st.tuples(st.just("wait"), st.floats(0.01, 0.99)),
        st.tuples(st.just("wait"), st.floats(1.01, 2.5)),
        st.tuples(st.just("sweep"), st.none() | st.integers(0, 9)),
        st.tuples(st.just("elsewhere"), st.booleans()),
    ),
    min_size=3,
    max_size=14,
)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="EXPIRY_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=steps, ttl=st.sampled_from([timedelta(hours=1), timedelta(days=2), TTL]))
@pytest.mark.engine("memory")
def test_a_live_conversation_loses_nothing_whatever_is_deleted_when(
    make_saver: MakeSaver,
    client: DynamoDBClient,
    table_name: str,
    steps: list[tuple[str, Any]],
    ttl: timedelta,
) -> None:
    clock = Clock()
    sweeper = Sweeper(client, table_name, clock)
    make_saver().delete_thread("thread")
    agent = Agent(make_saver, clock, ttl)
    agent.take_turn()
    idle = 0.0
    for kind, argument in steps:
        if kind == "turns" and idle < 1:
            for _ in range(argument):
                agent.take_turn()
                clock.pass_by(ttl / 100)
            idle = 0.01
        elif kind == "turns":
            agent.begin_anew()
            idle = 0.0
        elif kind == "wait":
            clock.pass_by(ttl * argument)
            idle += argument
        elif kind == "sweep":
            sweeper.sweep(argument)
        else:
            agent.cache_bytes = (1 << 20) * argument
            agent.saver = agent.make()
        if idle < 1 and kind != "turns":
            agent.check()
        elif idle >= 1:
            assert agent.make().get_tuple(config()) is None
            assert agent.make().conversations.count(USER) == 0


def test_many_writes_live_as_long_as_their_checkpoint(make_saver: MakeSaver, clock: Clock, sweeper: Sweeper) -> None:
    saver = make_saver(ttl=TTL, clock=clock)
    put(saver, 1, {"items": [1]})
    writes = [("items", noise(5000, number)) for number in range(100)]
    saver.put_writes(config(number=1), writes, "many")
    for number in range(4):  # a step that is interrupted again and again
        clock.pass_by(TTL * 0.9)
        sweeper.sweep(seed=None)
        saver.put_writes(config(number=1), [("__interrupt__", number)], "asking")

    assert read(make_saver(clock=clock)).pending_writes == [
        ("asking", "__interrupt__", 3),
        *(("many", *write) for write in writes),
    ]


def test_a_long_life_of_rare_turns_under_a_sweeper_that_deletes_all(
    make_saver: MakeSaver, clock: Clock, sweeper: Sweeper
) -> None:
    agent = Agent(make_saver, clock, TTL)
    deleted = 0
    for turn in range(15):
        agent.take_turn()
        clock.pass_by(TTL * 0.4)
        deleted += sweeper.sweep()
        if turn % 3 == 2:
            agent.check()
    assert deleted  # what only history needs goes


def test_the_state_of_a_subgraph_lives_as_long_as_its_conversation(
    chats: DynamoDBConversationSaver, make_saver: MakeSaver, clock: Clock, sweeper: Sweeper
) -> None:
    put(chats, 1, {"memory": ["once"]}, at=config(ns="helper"))
    for number in range(1, 8):
        put(chats, number, {"messages": dialogue(number)}, parent=number - 1 or None)
        clock.pass_by(TTL * 0.7)
        sweeper.sweep()

    assert values_of(make_saver(clock=clock), config(ns="helper")) == {"memory": ["once"]}
    assert len(list(chats.list(config(ns="helper")))) == 1


def test_what_an_interrupted_step_waits_with_stays_while_others_of_it_go_on(
    chats: DynamoDBConversationSaver, make_saver: MakeSaver, clock: Clock, sweeper: Sweeper
) -> None:
    put(chats, 1, {"messages": dialogue(1)})
    put(chats, 2, {"asked": "left"}, at=config(ns="left:1"))
    put(chats, 2, {"asked": "right"}, at=config(ns="right:2"))
    clock.pass_by(TTL * 0.9)
    put(chats, 3, {"asked": "right again"}, at=config(ns="right:2"), parent=2)
    put(chats, 3, {"messages": dialogue(1)}, at=config("other"))
    clock.pass_by(TTL * 0.05)
    sweeper.sweep()

    assert values_of(make_saver(clock=clock), config(ns="left:1")) == {"asked": "left"}


def test_what_is_only_history_goes(chats: DynamoDBConversationSaver, clock: Clock, sweeper: Sweeper) -> None:
    for number in range(1, 30):
        put(chats, number, {"messages": dialogue(number)}, parent=number - 1 or None)
    put(chats, 30, {"messages": dialogue(1)}, parent=1)
    for number in range(31, 34):
        clock.pass_by(TTL * 0.9)
        put(chats, number, {"messages": dialogue(number)}, parent=number - 1)
    sweeper.sweep()

    left = [one.config["configurable"]["checkpoint_id"] for one in chats.list(config())]
    assert checkpoint_id(29) not in left
    assert chats.get_tuple(config(number=29)) is None
    assert left[:2] == [checkpoint_id(33), checkpoint_id(32)]


def test_a_turn_costs_no_more_requests_with_a_time_to_live(
    make_saver: MakeSaver, clock: Clock, client: DynamoDBClient
) -> None:
    counts = []
    for thread, ttl in (("mortal", TTL), ("immortal", None)):
        saver = make_saver(ttl=ttl, clock=clock)
        with RequestLog(client) as log:
            for number in range(1, 20):
                put(saver, number, {"messages": dialogue(number)}, at=config(thread), parent=number - 1 or None)
                clock.pass_by(timedelta(hours=1))
        counts.append(len(log.requests))
    assert counts[0] == counts[1]


# --- changed later ------------------------------------------------------------------------------------------


def test_a_time_to_live_that_is_set_later_holds_from_the_next_turn_on(
    make_saver: MakeSaver, clock: Clock, sweeper: Sweeper, client: DynamoDBClient, table_name: str
) -> None:
    everlasting = Agent(make_saver, clock, None)
    for _ in range(15):
        everlasting.take_turn()
    mortal = Agent(make_saver, clock, TTL)
    mortal.turns, mortal.number = 15, 15
    clock.pass_by(TTL * 5)
    mortal.check()
    mortal.take_turn()

    assert all("expires_at" in item for item in items_of(client, table_name))
    clock.pass_by(TTL * 0.9)
    sweeper.sweep()
    mortal.check()
    clock.pass_by(TTL * 0.2)
    assert mortal.saver.get_tuple(config()) is None
    assert mortal.saver.get_tuple(config(number=15)) is None
    clock.pass_by(TTL)
    sweeper.sweep()
    assert items_of(client, table_name) == []


def test_a_time_to_live_that_is_lifted_holds_from_the_next_turn_on(
    make_saver: MakeSaver, clock: Clock, sweeper: Sweeper
) -> None:
    mortal = Agent(make_saver, clock, TTL)
    for _ in range(15):
        mortal.take_turn()
    everlasting = Agent(make_saver, clock, None)
    everlasting.turns, everlasting.number = 15, 15
    everlasting.take_turn()
    clock.pass_by(TTL * 10)
    sweeper.sweep()

    everlasting.check()


@pytest.mark.parametrize(("before", "after"), [(TTL, timedelta(hours=2)), (timedelta(hours=2), TTL)])
def test_a_time_to_live_can_be_shortened_and_lengthened(
    make_saver: MakeSaver, clock: Clock, sweeper: Sweeper, before: timedelta, after: timedelta
) -> None:
    first = Agent(make_saver, clock, before)
    for _ in range(10):
        first.take_turn()
    second = Agent(make_saver, clock, after)
    second.turns, second.number = 10, 10
    for _ in range(4):
        second.take_turn()
        clock.pass_by(after * 0.8)
        sweeper.sweep()
        second.check()
    clock.pass_by(after)
    assert second.saver.get_tuple(config()) is None


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(milliseconds=999), timedelta(days=-1), 3600, "1h"])
def test_a_time_to_live_is_at_least_a_second(ttl: Any) -> None:
    with pytest.raises(ValueError, match="ttl is a timedelta of at least one second"):
        DynamoDBConversationSaver("table", ttl=ttl)
    with pytest.raises(ValueError, match="ttl is a timedelta of at least one second"):
        Conversations("table", ttl=ttl)


def test_rows_of_other_programs_that_have_expired_are_not_shown(
    chats: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
) -> None:
    row: Mapping[str, Any] = {
        "conversation_id": {"S": "theirs"},
        "user_id": {"S": USER},
        "created_at": {"S": "2026-01-01T00:00:00Z"},
        "messages": {"L": []},
    }
    client.put_item(TableName=table_name, Item={**row, "expires_at": {"N": str(int(START) - 1)}})
    assert chats.conversations.count(USER) == 0
    client.put_item(TableName=table_name, Item={**row, "expires_at": {"N": str(int(START) + 1)}})
    assert chats.conversations.count(USER) == 1
