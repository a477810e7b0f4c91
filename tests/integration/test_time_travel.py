"""History, replay, forks and corrections; the row always shows the newest branch."""

from __future__ import annotations

from itertools import count
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.pregel import Pregel
from langgraph.types import StateUpdate
from typing_extensions import TypedDict

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.conftest import MakeSaver
from tests.integration.agents import DeltaState, OftenStoredState, tool_agent
from tests.integration.conftest import MakeTwins
from tests.integration.models import ScriptedModel
from tests.integration.play import Player, plain
from tests.integration.transcripts import TableReader, found_search, transcript


def say(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text, id=f"id of {text}")]}


def answered(*texts: str) -> list[Any]:
    """The transcript of questions that were all answered."""
    return [message for text in texts for message in (("user", text), ("assistant", f"Answer to: {text}"))]


def counting() -> Any:
    """An agent whose every answer is another."""
    numbers = count(1)

    def build(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
        model = ScriptedModel(script=lambda _: AIMessage(f"Answer {next(numbers)}"))
        builder = StateGraph(MessagesState)
        builder.add_node("agent", lambda state: {"messages": [model.invoke(state["messages"])]})
        builder.add_edge(START, "agent")
        return builder.compile(checkpointer=checkpointer)

    return build


def test_history_is_the_same_with_every_limit_bound_and_filter(twins: MakeTwins):
    pair = twins(tool_agent())
    for text in ("hello", "search lakes / details 3", "bye"):
        pair.invoke(say(text), durability="sync")
    pair.compare()
    for options in ({"limit": 1}, {"limit": 4}, {"filter": {"source": "input"}}, {"filter": {"step": 3}}):
        assert pair.do(lambda player, options=options: player.history(**options))
    middle = pair.do(lambda player: player.history(before=player.at("tools")))
    assert len(middle) == 7
    for nth in range(3):
        pair.do(lambda player, nth=nth: player.state(player.at("agent", nth=nth)))


def test_a_run_is_replayed_from_an_old_checkpoint(twins: MakeTwins, saver: DynamoDBConversationSaver):
    pair = twins(tool_agent())
    for text in ("search lakes", "search rivers", "bye"):
        pair.invoke(say(text), durability="sync")
    pair.do(lambda player: player.invoke(None, player.at("tools", nth=1)))
    pair.compare()
    assert transcript(saver, pair.config) == [
        ("user", "search lakes"),
        ("assistant", "Answer to: search lakes", [("search", "lakes", found_search("lakes"))]),
    ]
    pair.invoke(say("details 3"))
    pair.compare()
    assert transcript(saver, pair.config)[2:] == [
        ("user", "details 3"),
        ("assistant", "Answer to: details 3", [("details", "3", "Details of 3.")]),
    ]


@pytest.mark.parametrize("schema", [MessagesState, DeltaState, OftenStoredState])
def test_a_fork_replaces_what_followed_its_point_in_the_transcript(
    twins: MakeTwins, saver: DynamoDBConversationSaver, schema: Any
):
    pair = twins(tool_agent(schema))
    for text in ("one", "two", "three"):
        pair.invoke(say(text), durability="sync")

    def before_two(player: Player) -> Any:
        (config,) = [s.config for s in player.history() if s.next == () and len(s.values["messages"]) == 2]
        return config

    pair.do(lambda player: player.invoke(say("zwei"), before_two(player)))
    pair.compare()
    assert transcript(saver, pair.config) == answered("one", "zwei")
    pair.invoke(say("drei"))
    pair.compare()
    assert transcript(saver, pair.config) == answered("one", "zwei", "drei")


@pytest.mark.parametrize("schema", [MessagesState, OftenStoredState])
def test_a_fork_from_a_point_that_left_the_row_long_ago_shows_the_new_branch(
    twins: MakeTwins, make_saver: MakeSaver, table: TableReader, schema: Any
):
    pair = twins(tool_agent(schema), row_bytes=512)
    texts = [f"question {number}" for number in range(7)]
    for text in texts:
        pair.invoke(say(text), durability="sync")
    assert len(table.row(pair.config)["messages"]) < 8
    assert transcript(make_saver(), pair.config) == answered(*texts)

    def after_second(player: Player) -> Any:
        (config,) = [s.config for s in player.history() if s.next == () and len(s.values["messages"]) == 4]
        return config

    pair.do(lambda player: player.invoke(say("a fork"), after_second(player)))
    pair.compare()
    assert transcript(make_saver(), pair.config) == answered(*texts[:2], "a fork")
    for text in ("more", "and more"):
        pair.invoke(say(text))
    assert transcript(make_saver(), pair.config) == answered(*texts[:2], "a fork", "more", "and more")


def test_a_fork_from_before_the_first_message_begins_the_transcript_anew(
    twins: MakeTwins, saver: DynamoDBConversationSaver
):
    pair = twins(tool_agent())
    for text in ("one", "two"):
        pair.invoke(say(text), durability="sync")

    def at_start(player: Player) -> Any:
        return player.history()[-1].config

    pair.do(lambda player: bool(player.update(say("uno"), "__start__", at_start(player))))
    pair.invoke(None)
    pair.compare()
    assert transcript(saver, pair.config) == answered("uno")


def test_a_regenerated_answer_replaces_the_old_one(twins: MakeTwins, saver: DynamoDBConversationSaver):
    pair = twins(counting())
    pair.ours.invoke(say("hello"), durability="sync")
    pair.ours.invoke(None, pair.ours.at("agent"))
    assert transcript(saver, pair.config) == [("user", "hello"), ("assistant", "Answer 2")]


def test_an_update_of_the_state_edits_adds_and_removes_messages(
    twins: MakeTwins, saver: DynamoDBConversationSaver, table: TableReader
):
    pair = twins(tool_agent())
    pair.invoke(say("one"))
    before = table.row(pair.config)

    def edit(player: Player) -> Any:
        last = player.state().values["messages"][-1]
        return bool(player.update({"messages": [AIMessage("Corrected.", id=last.id)]}))

    pair.do(edit)
    pair.compare()
    assert transcript(saver, pair.config) == [("user", "one"), ("assistant", "Corrected.")]
    after = table.row(pair.config)
    assert [m["timestamp"] for m in after["messages"]] == [m["timestamp"] for m in before["messages"]]
    assert after["updated_at"] > before["updated_at"]
    assert after["created_at"] == before["created_at"]

    pair.do(lambda player: bool(player.update({"messages": [AIMessage("By hand.", id="by hand")]}, "agent")))
    pair.do(lambda player: bool(player.update({"messages": [RemoveMessage(id="by hand")]}, "agent")))
    pair.compare()
    assert transcript(saver, pair.config)[2:] == [("assistant", "By hand.")]


def test_an_update_as_a_node_decides_where_the_run_goes_on(twins: MakeTwins):
    pair = twins(tool_agent())
    pair.invoke(say("one"))
    pair.do(lambda player: bool(player.update(say("search lakes"), "__start__")))
    assert pair.compare()[0].next == ("agent",)
    assert len(pair.invoke(None)["messages"]) == 6
    pair.compare()


def test_several_updates_at_once_are_one_after_another(twins: MakeTwins):
    pair = twins(tool_agent())
    pair.invoke(say("one"))
    updates = [[StateUpdate(say(f"update {number}"), "__start__")] for number in range(3)]
    pair.do(lambda player: bool(player.graph.bulk_update_state(player.config, updates)))
    pair.compare()


def test_two_forks_of_one_point_keep_both_histories(twins: MakeTwins, saver: DynamoDBConversationSaver):
    pair = twins(tool_agent())
    for text in ("one", "two"):
        pair.invoke(say(text), durability="sync")
    first: dict[int, Any] = {}
    pair.do(lambda player: first.setdefault(id(player), player.history()[3].config) and None)
    for text in ("left", "right"):
        pair.do(lambda player, text=text: player.invoke(say(text), first[id(player)], durability="sync"))
        pair.compare()
    assert transcript(saver, pair.config) == answered("one", "right")
    left = [s for s in pair.ours.history() if "id of left" in {m.id for m in s.values.get("messages", ())}]
    assert plain(left[0].values["messages"])[-1]["content"] == "Answer to: left"


def keep_2(held: list[AnyMessage], new: Any) -> list[AnyMessage]:
    return list(add_messages(held, new))[-2:]


class Forgetful(TypedDict):
    messages: Annotated[list[AnyMessage], keep_2]


@pytest.mark.parametrize("is_cold", [False, True])
@pytest.mark.parametrize("row_bytes", [None, 512])
def test_a_fork_gives_back_what_a_forgotten_message_said_before_it_was_edited(
    make_saver: MakeSaver, is_cold: bool, row_bytes: int | None
):
    def graph() -> Any:
        saver = make_saver(row_bytes=row_bytes)
        builder = StateGraph(Forgetful)
        builder.add_node("agent", lambda state: {"messages": [AIMessage(f"Yes, {state['messages'][-1].content}")]})
        builder.add_edge(START, "agent")
        return builder.compile(checkpointer=saver)

    warm, config = graph(), make_saver().new_conversation("demo")
    for number in range(4):
        warm.invoke({"messages": [HumanMessage(f"q{number} " + "x" * 200, id=f"q{number}")]}, config)
    before, told = warm.get_state(config).config, transcript(make_saver(), config)
    warm.update_state(config, {"messages": [HumanMessage("edited", id="q0")]})
    assert transcript(make_saver(), config) == [("user", "edited"), *told[1:]]
    (graph() if is_cold else warm).invoke({"messages": [HumanMessage("other", id="q4")]}, before)
    assert transcript(make_saver(), config) == [*told, ("user", "other"), ("assistant", "Yes, other")]
