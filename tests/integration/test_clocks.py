"""Turns of a worker whose clock is behind: LangGraph forgets them, and the transcript does not."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.graph import MessagesState

from tests.conftest import MakeSaver
from tests.integration.agents import DeltaState, OftenStoredState, tool_agent
from tests.integration.clocks import Workers, by_hosts_clocks
from tests.integration.transcripts import transcript


def say(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text, id=f"id of {text}")]}


def answered(*texts: str) -> list[Any]:
    return [message for text in texts for message in (("user", text), ("assistant", f"Answer to: {text}"))]


@pytest.fixture(params=[MessagesState, DeltaState, OftenStoredState])
def workers(request: pytest.FixtureRequest, make_saver: MakeSaver, monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Two workers; the second is an hour behind."""
    by_hosts_clocks(monkeypatch)
    savers: dict[Any, Any] = {}

    def saver_of(host: Any) -> Any:
        saver = savers.setdefault(host, make_saver(clock=host.clock))
        return lambda: saver

    return Workers(tool_agent(request.param), saver_of, "sync", make_saver().new_conversation(), -3600)


def test_a_forgotten_turn_stays_in_the_transcript_and_not_in_the_state(workers: Workers, make_saver: MakeSaver) -> None:
    for text in ("one", "two", "three", "four", "five"):
        workers.invoke(say(text), durability="sync")

    assert transcript(make_saver(), workers.config) == answered("one", "two", "three", "four", "five")
    held = [message.content for message in workers.state().values["messages"]]
    assert held == [content for text in ("one", "three", "five") for content in (text, f"Answer to: {text}")]
    thread_id = workers.config["configurable"]["thread_id"]
    forgotten = make_saver().conversations.verify(thread_id).forgotten
    assert len(forgotten) == 2
    assert all(3590 < (one.seconds_behind or 0) < 3600 for one in forgotten)


def test_a_fork_takes_back_a_forgotten_turn_that_followed_its_point(workers: Workers, make_saver: MakeSaver) -> None:
    workers.invoke(say("one"), durability="sync")
    point = workers.state().config
    for text in ("two", "three", "four"):
        workers.invoke(say(text), durability="sync")
    workers.invoke(say("zwei"), point, durability="sync")

    assert transcript(make_saver(), workers.config) == answered("one", "zwei")
    assert [one.content for one in workers.state().values["messages"]][2:] == ["zwei", "Answer to: zwei"]


def test_a_run_that_names_a_forgotten_turn_goes_on_from_it(workers: Workers, make_saver: MakeSaver) -> None:
    for text in ("one", "two"):
        workers.invoke(say(text), durability="sync")
    thread_id = workers.config["configurable"]["thread_id"]
    (forgotten,) = make_saver().conversations.verify(thread_id).forgotten
    named = {"configurable": {**workers.config["configurable"], "checkpoint_id": forgotten.last_checkpoint_id}}
    workers.invoke(say("three"), named, durability="sync")

    assert transcript(make_saver(), workers.config) == answered("one", "two", "three")
    assert len(workers.state().values["messages"]) == 6
    assert make_saver().conversations.verify(thread_id).forgotten == ()
