"""What happens to a run when somebody else works on its conversation: the guarantees of docs/concurrency.md."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.conftest import MakeSaver
from tests.factories import config as config_of
from tests.factories import put
from tests.faults.failing import Deliver, FailingClient
from tests.store.test_concurrency import at_once

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from tests.engines import Engine

pytestmark = pytest.mark.engine_matters

RUNS = 4
_LONG = 30
"""Seconds that no request of these tests takes."""

HERE = config_of(user_id="alice")


def new_config() -> RunnableConfig:
    return {"configurable": {"thread_id": str(uuid.uuid4()), "user_id": "alice"}}


def answering(saver: DynamoDBConversationSaver, meanwhile: Callable[[], object] = lambda: None) -> Any:
    """An agent of one node that answers, while something happens to its conversation."""

    def answer(state: MessagesState) -> dict[str, Any]:
        meanwhile()
        asked = state["messages"][-1]
        return {"messages": [AIMessage(f"answer to {asked.content}", id=f"answer {asked.id}")]}

    graph = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    return graph.compile(checkpointer=saver)


def ask(graph: Any, config: RunnableConfig, text: str) -> None:
    graph.invoke({"messages": [HumanMessage(text, id=text)]}, config, durability="sync")


def shown(saver: DynamoDBConversationSaver, config: RunnableConfig) -> list[str]:
    chat = saver.conversations.get(config["configurable"]["thread_id"], "alice")
    assert chat.message_count == len(chat.messages)
    return [message.content for message in chat.messages]


def assert_answers_follow(transcript: list[str]) -> None:
    """Each answer stands after its question."""
    for place, text in enumerate(transcript):
        if text.startswith("answer to "):
            assert text.removeprefix("answer to ") in transcript[:place]


def held(saver: DynamoDBConversationSaver, config: RunnableConfig) -> list[str]:
    found = saver.get_tuple(config)
    return [message.content for message in found.checkpoint["channel_values"]["messages"]] if found else []


def ever_held(saver: DynamoDBConversationSaver, config: RunnableConfig) -> set[str]:
    return {m.content for one in saver.list(config) for m in one.checkpoint["channel_values"].get("messages", ())}


def damage(saver: DynamoDBConversationSaver, config: RunnableConfig) -> Any:
    return saver.conversations.verify(config["configurable"]["thread_id"], "alice").damage


@pytest.mark.engine("dynamodb-local")
def test_runs_at_once_all_stay_in_the_transcript_and_the_state_goes_on_with_one(make_saver: MakeSaver) -> None:
    config = new_config()
    ask(answering(make_saver()), config, "first")
    savers = [make_saver() for _ in range(RUNS)]

    at_once(RUNS, lambda number: ask(answering(savers[number]), config, f"question {number}"))

    state, transcript = held(make_saver(), config), shown(make_saver(), config)
    assert state[:2] == transcript[:2] == ["first", "answer to first"]
    assert len(set(transcript)) == len(transcript)
    assert damage(make_saver(), config) == ()
    for number in range(RUNS):
        assert f"answer to question {number}" in ever_held(make_saver(), config)
    ask(answering(make_saver()), config, "next")
    assert held(make_saver(), config) == [*state, "next", "answer to next"]
    said = [text for number in range(RUNS) for text in (f"question {number}", f"answer to question {number}")]
    transcript = shown(make_saver(), config)
    assert transcript[:2] + transcript[-2:] == ["first", "answer to first", "next", "answer to next"]
    assert sorted(transcript[2:-2]) == sorted(said)
    assert_answers_follow(transcript)


@pytest.mark.engine("dynamodb-local")
def test_an_interrupt_that_is_resumed_twice_at_once_is_answered_once(make_saver: MakeSaver) -> None:
    def approve(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"approved: {interrupt('?')}", id="approval")]}

    def approving(saver: DynamoDBConversationSaver) -> Any:
        graph = StateGraph(MessagesState)
        graph.add_node("approve", approve)
        graph.add_edge(START, "approve")
        return graph.compile(checkpointer=saver)

    config = new_config()
    ask(approving(make_saver()), config, "may I?")
    savers = [make_saver() for _ in range(RUNS)]
    at_once(RUNS, lambda _: approving(savers.pop()).invoke(Command(resume="yes"), config, durability="sync"))

    assert held(make_saver(), config) == shown(make_saver(), config) == ["may I?", "approved: yes"]
    assert make_saver().conversations.latest("alice").status == "idle"  # type: ignore[union-attr]
    assert damage(make_saver(), config) == ()


@pytest.mark.parametrize("turns", [1, 30])
def test_what_is_added_during_a_run_stays_in_the_transcript_alone(make_saver: MakeSaver, turns: int) -> None:
    config, other = new_config(), make_saver()
    for number in range(turns):
        ask(answering(other), config, f"before {number}")

    def add() -> None:
        other.conversations.add_message(config["configurable"]["thread_id"], "user", "added", user_id="alice")

    before = held(other, config)
    ask(answering(make_saver(), add), config, "question")

    expected = [*before, "question", "answer to question"]
    assert held(make_saver(), config) == expected
    transcript = shown(make_saver(), config)
    assert transcript.index("added") >= len(before)
    assert [text for text in transcript if text != "added"] == expected
    assert "added" in ever_held(make_saver(), config)
    assert damage(make_saver(), config) == ()


@pytest.mark.parametrize("tells", ["message_count", "updated_at"])
def test_a_message_that_a_program_without_versions_writes_into_the_row_during_a_run_stays(
    make_saver: MakeSaver, client: Any, table_name: str, tells: str
) -> None:
    config = new_config()
    ask(answering(make_saver()), config, "first")
    told = {"message_count": {"N": "4"}, "updated_at": {"S": "2031-01-01T00:00:00Z"}}[tells]

    def write() -> None:
        client.update_item(
            TableName=table_name,
            Key={"conversation_id": {"S": config["configurable"]["thread_id"]}, "user_id": {"S": "alice"}},
            UpdateExpression=f"SET messages = list_append(messages, :note), {tells} = :told",
            ExpressionAttributeValues={
                ":note": {"L": [{"M": {"role": {"S": "assistant"}, "content": {"S": "note of a page"}}}]},
                ":told": told,
            },
        )

    ask(answering(make_saver(), write), config, "second")

    chat = make_saver().conversations.get(config["configurable"]["thread_id"], "alice")
    said = [message.content for message in chat.messages]
    assert "note of a page" in said
    assert [one for one in said if one != "note of a page"] == [
        "first",
        "answer to first",
        "second",
        "answer to second",
    ]


def test_a_title_that_is_given_during_a_run_stays(make_saver: MakeSaver) -> None:
    config, other = new_config(), make_saver()
    ask(answering(make_saver()), config, "first")
    rename = lambda: other.conversations.rename(config["configurable"]["thread_id"], "alice", "mine")  # noqa: E731
    ask(answering(make_saver(), rename), config, "second")

    assert make_saver().conversations.latest("alice").title == "mine"  # type: ignore[union-attr]
    assert shown(make_saver(), config) == ["first", "answer to first", "second", "answer to second"]


def test_what_is_pruned_during_a_run_goes_on(make_saver: MakeSaver) -> None:
    config, other, runner = new_config(), make_saver(), make_saver()
    for number in range(12):
        prune = lambda: other.prune([config["configurable"]["thread_id"]])  # noqa: E731
        ask(answering(runner, prune), config, f"{number}")

    expected = [text for number in range(12) for text in (f"{number}", f"answer to {number}")]
    assert held(make_saver(), config) == shown(make_saver(), config) == expected
    assert damage(make_saver(), config) == ()


TALK = """
import sys
from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.engines import Engine
from tests.store.test_meanwhile import answering, ask
endpoint, table, thread, name = sys.argv[1:]
saver = DynamoDBConversationSaver(table, client=Engine("dynamodb-local", endpoint).client())
config = {"configurable": {"thread_id": thread, "user_id": "alice"}}
for number in range(5):
    ask(answering(saver), config, f"{name} {number}")
"""


@pytest.mark.engine("memory")
def test_a_turn_after_a_run_whose_row_is_still_to_come_takes_back_no_answer_that_came_between(
    engine: Engine, make_saver: MakeSaver
) -> None:
    """A run reads a state, an answer is stored, the run stores its steps; a turn follows before its row is written."""
    config, failing = new_config(), FailingClient(engine)
    answered, followed, has_read, at_row = (threading.Event() for _ in range(4))

    def held(request: Any, deliver: Deliver) -> Any:
        if b"UpdateExpression" in request.body and b'"user_id": {"S": "alice"}' in request.body:
            at_row.set()
            assert followed.wait(_LONG)
            return deliver()
        answer = deliver()
        has_read.set()
        assert answered.wait(_LONG)
        return answer

    with ThreadPoolExecutor(1) as pool, failing.failing(held, 1, times=None):
        beside = answering(make_saver(client=failing.client))
        started: list[Future[None]] = []

        def meanwhile() -> None:
            started.append(pool.submit(ask, beside, config, "b"))
            assert has_read.wait(_LONG)

        try:
            ask(answering(make_saver(), meanwhile), config, "a")
            answered.set()
            assert at_row.wait(_LONG)
            ask(answering(make_saver()), config, "next")
        finally:
            answered.set()
            followed.set()
        started[0].result()
    failing.close()

    words = [text for one in ("a", "b", "next") for text in (one, f"answer to {one}")]
    assert sorted(shown(make_saver(), config)) == sorted(words)
    assert_answers_follow(shown(make_saver(), config))


def begin_apart(first: DynamoDBConversationSaver, second: DynamoDBConversationSaver) -> None:
    """Two first turns in one conversation, neither of which has seen the other, step by step."""
    turns = [[HumanMessage(f"{name} asks", id=f"{name} asks"), AIMessage("fine", id=f"{name} hears")] for name in "ab"]
    for messages in (1, 2):
        for saver, number, turn in ((first, 1, turns[0]), (second, 2, turns[1])):
            parent = number if messages == 2 else None
            put(saver, number + 2 * (messages - 1), {"messages": turn[:messages]}, parent=parent, at=HERE)


@pytest.mark.parametrize("newest", [3, 4])
def test_of_two_first_turns_at_once_the_one_that_is_gone_on_with_is_shown(make_saver: MakeSaver, newest: int) -> None:
    begin_apart(make_saver(), make_saver())
    messages = (
        make_saver().get_tuple(config_of(number=newest, user_id="alice")).checkpoint["channel_values"]["messages"]
    )  # type: ignore[union-attr]
    put(make_saver(), 5, {"messages": [*messages, HumanMessage("next", id="next")]}, parent=newest, at=HERE)

    assert held(make_saver(), HERE) == shown(make_saver(), HERE)
    assert shown(make_saver(), HERE)[0] == f"{'ab'[newest - 3]} asks"


def test_a_first_step_that_is_stored_again_takes_nothing_back(make_saver: MakeSaver) -> None:
    question, answer = HumanMessage("question", id="1"), AIMessage("answer", id="2")
    put(make_saver(), 1, {"messages": [question]}, at=HERE)
    put(make_saver(), 2, {"messages": [question, answer]}, parent=1, at=HERE)
    put(make_saver(), 1, {"messages": [question]}, at=HERE)

    assert shown(make_saver(), HERE) == ["question", "answer"]


def test_where_a_beginning_is_gone_nothing_is_taken_back(make_saver: MakeSaver) -> None:
    begin_apart(make_saver(), make_saver())
    before = shown(make_saver(), HERE)
    make_saver().prune(["thread"])
    put(make_saver(), 5, {"messages": [HumanMessage("anew", id="anew")]}, at=HERE)

    assert shown(make_saver(), HERE) == [*before, "anew"]


@pytest.mark.engine("dynamodb-local")
@pytest.mark.parametrize("is_new", [False, True], ids=["goes on", "begins"])
def test_two_processes_talk_in_one_conversation(
    engine: Engine, make_saver: MakeSaver, table_name: str, is_new: bool
) -> None:
    config = new_config()
    if not is_new:
        ask(answering(make_saver()), config, "first")
    before = ever_held(make_saver(), config)
    where = [str(engine.endpoint_url), table_name, config["configurable"]["thread_id"]]
    children = [subprocess.Popen([sys.executable, "-c", TALK, *where, name]) for name in ("a", "b")]
    assert [child.wait(timeout=120) for child in children] == [0, 0]

    said = {text for name in "ab" for n in range(5) for text in (f"{name} {n}", f"answer to {name} {n}")}
    assert ever_held(make_saver(), config) == said | before
    assert damage(make_saver(), config) == ()
    ask(answering(make_saver()), config, "next")
    state, transcript = held(make_saver(), config), shown(make_saver(), config)
    assert len(set(state)) == len(state)
    assert sorted(transcript) == sorted([*said, *before, "next", "answer to next"])
    assert transcript[-2:] == ["next", "answer to next"]
    assert_answers_follow(transcript)
