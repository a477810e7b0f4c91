"""Runs of the chat server: stopped at any moment, asked for twice, deleted meanwhile; a conversation is never stuck."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from langchain_core.messages import HumanMessage

from dev import CHAT_MODULES
from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import DynamoConvError
from tests.chat.serving import FOLDER
from tests.conftest import MakeSaver
from tests.engines import Engine
from tests.faults.failing import Deliver, FailingClient, unsent

sys.path[:0] = [str(path) for path in CHAT_MODULES]

import server as chat_server  # noqa: E402
from assistant import build_graph, end_run  # noqa: E402
from library import FileLibrary  # noqa: E402
from offline_model import OfflineFileModel  # noqa: E402
from problems import Problem  # noqa: E402
from turn_events import Run  # noqa: E402
from turn_plans import Plan, plan_message  # noqa: E402

CONFIG: Any = {"configurable": {"user_id": "alice", "thread_id": "chat"}}
PLACE = "alice", "chat"


@pytest.fixture
def chat(saver: DynamoDBConversationSaver) -> Any:
    return chat_server.Chat(saver, OfflineFileModel(seconds_per_word=0.01), FileLibrary(FOLDER))


def plan_of(chat: Any, text: str, message_id: str = "m") -> Callable[[], Plan]:
    asked = HumanMessage(text, id=message_id)
    return partial(plan_message, chat.graph, chat.pages.conversations, CONFIG, asked, None, chat.may_go_on)


async def followed(run: Run) -> list[str]:
    return [name async for name, _ in run.follow()]


async def said(chat: Any) -> list[str]:
    conversation = await chat.pages.conversations.aget("chat", "alice")
    return [f"{one.role}: {one.content}" for one in conversation.messages]


@pytest.mark.parametrize("moment", [0, 1, 2, 5, 20, 100, 300])
async def test_a_run_that_is_stopped_at_any_moment_is_over_and_its_message_is_there(chat: Any, moment: int) -> None:
    run = chat.turns.start(*PLACE, plan_of(chat, "hello"))
    for _ in range(moment):
        await asyncio.sleep(0.001)
    await asyncio.gather(chat.turns.cancel(*PLACE), chat.turns.cancel(*PLACE), chat.turns.cancel(*PLACE))

    assert chat.turns.under_way(*PLACE) is None
    assert (await followed(run))[-1] == "end"
    assert (await said(chat))[0] == "user: hello"
    assert await followed(chat.turns.start(*PLACE, plan_of(chat, "show me the Python files", "n")))
    after = await said(chat)
    assert "user: show me the Python files" in after
    assert after[-1].startswith("assistant: I found")


class Slow:
    """A fault that lets requests take their time, some more than others; the same for the same number."""

    __name__ = "slow"

    def __init__(self, number: int) -> None:
        self.has_begun = threading.Event()
        self._random = random.Random(number)

    def __call__(self, request: Any, deliver: Deliver) -> AWSResponse:
        self.has_begun.set()
        time.sleep(self._random.choice([0, 0, 0.003, 0.02, 0.1, 0.3]))
        return deliver()


@pytest.mark.parametrize("number", range(15))
async def test_a_message_of_a_run_that_is_stopped_is_there_however_slow_its_requests_are(
    engine: Engine, make_saver: MakeSaver, number: int
) -> None:
    slow, client = Slow(number), FailingClient(engine)
    saver = make_saver(client=client.client)
    chat = chat_server.Chat(saver, OfflineFileModel(seconds_per_word=0.01), FileLibrary(FOLDER))
    with client.failing(slow, 5, times=None):
        run = chat.turns.start(*PLACE, plan_of(chat, "hello"))
        await asyncio.to_thread(slow.has_begun.wait, 20)
        await asyncio.sleep((0, 0.005, 0.02, 0.1, 0.4)[number % 5])
        await chat.turns.cancel(*PLACE)
        assert (await followed(run))[-1] == "end"
        shown = await said(chat)
    state = chat.graph.get_state(CONFIG)

    assert len(shown) == 2, "the question and one answer, whichever of its versions was stored first"
    assert shown[0] == "user: hello"
    assert [message.type for message in state.values["messages"]] == ["human", "ai"]
    assert state.next == ()
    client.close()


@pytest.mark.parametrize("times", [1, None], ids=["one request fails", "all fail from it on"])
@pytest.mark.parametrize("number", range(1, 14))
def test_a_run_that_was_cut_off_at_any_request_ends_with_its_message(
    engine: Engine, make_saver: MakeSaver, number: int, times: int | None
) -> None:
    client, asked = FailingClient(engine), HumanMessage("hello", id="m")
    graph = build_graph(OfflineFileModel(), FileLibrary(FOLDER), make_saver(client=client.client))
    with client.failing(unsent, number, times=times), suppress(DynamoConvError):
        graph.invoke({"messages": [asked]}, CONFIG, durability="async")
    end_run(graph, CONFIG, said=asked)
    state = graph.get_state(CONFIG)

    assert [message.type for message in state.values["messages"]][:2] == ["human", "ai"]
    assert state.values["messages"][0].id == "m"
    assert state.next == ()
    client.close()


async def test_a_stop_while_a_run_ends_changes_nothing(chat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ending, ended = threading.Event(), threading.Event()
    summary = chat.pages.summary

    def slow_summary(*arguments: Any) -> Any:
        ending.set()
        assert ended.wait(20)
        return summary(*arguments)

    monkeypatch.setattr(chat.pages, "summary", slow_summary)
    run = chat.turns.start(*PLACE, plan_of(chat, "hello"))
    await asyncio.to_thread(ending.wait, 20)
    stops = [asyncio.create_task(chat.turns.cancel(*PLACE)) for _ in range(2)]
    await asyncio.sleep(0.05)
    ended.set()
    await asyncio.gather(*stops)

    assert (await followed(run))[-1] == "end"
    assert chat.turns.under_way(*PLACE) is None


async def test_no_request_is_planned_while_another_is(chat: Any) -> None:
    planning, planned = threading.Event(), threading.Event()

    def slow_plan() -> Plan:
        plan = plan_of(chat, "hello")()
        planning.set()
        assert planned.wait(20)
        return plan

    run = chat.turns.start(*PLACE, slow_plan, "m")
    await asyncio.to_thread(planning.wait, 20)
    with pytest.raises(Problem) as busy:
        chat.turns.start(*PLACE, plan_of(chat, "another", "n"))
    assert busy.value.status == 409
    assert chat.turns.under_way(*PLACE) is run
    planned.set()
    assert (await followed(run))[-1] == "end"
    assert len(await said(chat)) == 2


async def test_a_plan_that_is_refused_ends_the_run_and_is_told(chat: Any) -> None:
    def refused() -> Plan:
        raise Problem(HTTPStatus.CONFLICT, "waiting", "It waits.")

    run = chat.turns.start(*PLACE, refused)
    with pytest.raises(Problem, match="It waits"):
        await run.begun
    assert await followed(run) == ["run", "error"]
    assert chat.turns.under_way(*PLACE) is None


async def test_who_goes_away_while_a_run_is_planned_does_not_stop_it(
    chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    planning, planned = threading.Event(), threading.Event()

    def slow_plan(*_: Any) -> Plan:
        planning.set()
        assert planned.wait(20)
        return plan_of(chat, "hello", "n")()

    await followed(chat.turns.start(*PLACE, plan_of(chat, "first")))
    monkeypatch.setattr(chat_server, "plan_message", slow_plan)
    body = SimpleNamespace(replaces=None, conversation_id="chat", message="hello")
    asking = asyncio.create_task(chat_server.say(chat, "alice", body))
    await asyncio.to_thread(planning.wait, 20)
    run = chat.turns.under_way(*PLACE)
    asking.cancel()
    await asyncio.wait([asking])
    planned.set()

    assert asking.cancelled()
    assert (await followed(run))[-1] == "end"
    assert chat.turns.under_way(*PLACE) is None


async def test_no_run_begins_while_a_conversation_is_deleted(chat: Any) -> None:
    run = chat.turns.start(*PLACE, plan_of(chat, "show me the Python files"))
    async with chat.turns.kept_out(*PLACE):
        assert (await followed(run))[-1] == "end"
        with pytest.raises(Problem) as busy:
            chat.turns.start(*PLACE, plan_of(chat, "another", "n"))
        assert busy.value.status == 409
        with pytest.raises(Problem):
            async with chat.turns.kept_out(*PLACE):
                raise AssertionError("two at once")
    assert chat.turns.under_way(*PLACE) is None
