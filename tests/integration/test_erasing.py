"""Messages of real agents are erased: no item has the words, and no later turn brings them back."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.func import entrypoint
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langgraph_dynamo_conv.errors import RunNotEndedError
from tests.integration.models import TOOLS, chat_model
from tests.store.held_words import keys_with

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.conftest import MakeSaver

SECRET = "Sesame-4711"
HOUR = 3600
PREVIOUS = "__previous__"


class Chat:
    """A conversation, each turn of which has a new saver and agent."""

    def __init__(self, make_saver: MakeSaver, build: Callable[..., Any], **options: Any) -> None:
        self.now = 1_790_000_000.0
        self._make_saver = make_saver
        self._build = build
        self._options = options
        self.config: Any = self.saver().new_conversation("alice")
        self.thread_id = self.config["configurable"]["thread_id"]

    def saver(self) -> DynamoDBConversationSaver:
        return self._make_saver(clock=lambda: self.now, **self._options)

    def agent(self) -> Any:
        return self._build(self.saver())

    def say(self, *texts: str) -> None:
        for text in texts:
            self.agent().invoke({"messages": [HumanMessage(text)]}, self.config)

    def texts(self) -> list[str]:
        conversations = self.saver().conversations
        chat = conversations.get(self.thread_id, "alice")
        assert chat.message_count == len(chat.messages)
        assert conversations.verify(self.thread_id, "alice").damage == ()
        return [message.content for message in chat.messages]

    def id_of(self, number: int) -> str:
        return self.saver().conversations.get(self.thread_id, "alice").messages[number].id

    def remove(self, number: int) -> Any:
        return self.saver().conversations.remove_message(self.thread_id, self.id_of(number), user_id="alice")

    def edit(self, number: int, text: str) -> Any:
        return self.saver().conversations.edit_message(self.thread_id, self.id_of(number), text, user_id="alice")

    def prune(self) -> None:
        self.now += HOUR + 1
        self.saver().prune([self.thread_id], user_id="alice")


@pytest.fixture
def held(client: DynamoDBClient, table_name: str) -> Callable[[], list[str]]:
    """Gives the keys of all items that have the secret."""
    return lambda: keys_with(client, table_name, SECRET)


def agent(saver: DynamoDBConversationSaver) -> Any:
    return create_agent(chat_model(), TOOLS, checkpointer=saver)


def supervisor(saver: DynamoDBConversationSaver) -> Any:
    """A graph whose node is an agent that shares its messages."""
    builder = StateGraph(MessagesState).add_node("expert", create_agent(chat_model(), TOOLS, name="expert"))
    return builder.add_edge(START, "expert").compile(checkpointer=saver)


def remembering(saver: DynamoDBConversationSaver) -> Any:
    """The same, whose agent has a memory of its own."""
    expert = create_agent(chat_model(), TOOLS, name="expert", checkpointer=True)
    return StateGraph(MessagesState).add_node("expert", expert).add_edge(START, "expert").compile(checkpointer=saver)


BUILDS: list[Any] = [agent, supervisor, remembering]

if sys.version_info >= (3, 11):
    from deepagents import create_deep_agent

    def deep(saver: DynamoDBConversationSaver) -> Any:
        return create_deep_agent(chat_model(), TOOLS[:2], checkpointer=saver)

    BUILDS.append(deep)


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("is_pruned", [True, False])
def test_an_exchange_with_a_tool_call_is_erased(
    make_saver: MakeSaver, held: Callable[[], list[str]], build: Any, is_pruned: bool
) -> None:
    chat = Chat(make_saver, build)
    chat.say("hello", f"search {SECRET}", "bye")
    assert held()
    assert chat.edit(2, "search something").held_by
    assert chat.remove(3).checkpoint_id
    expected = ["hello", "Answer to: hello", "search something", "bye", "Answer to: bye"]
    assert chat.texts() == expected
    if is_pruned:
        chat.prune()
        assert held() == []
    for text in ("more", "and more"):
        chat.say(text)
        expected += [text, f"Answer to: {text}"]
        assert chat.texts() == expected
    messages = chat.agent().get_state(chat.config).values["messages"]
    assert [one.content for one in messages] == expected
    chat.prune()
    assert held() == []


@pytest.mark.parametrize("with_ids", [True, False])
def test_the_functional_api_forgets_what_is_erased(
    make_saver: MakeSaver, held: Callable[[], list[str]], with_ids: bool
) -> None:
    def build(saver: DynamoDBConversationSaver) -> Any:
        @entrypoint(checkpointer=saver)
        def talk(text: str, *, previous: list[BaseMessage] | None) -> Any:
            before = previous or []
            reply = AIMessage(f"to {text}", id=str(uuid.uuid4()) if with_ids else None)
            asked = HumanMessage(text, id=str(uuid.uuid4()) if with_ids else None)
            return entrypoint.final(value=reply, save=[*before, asked, reply])

        return talk

    chat = Chat(make_saver, build, messages_channel=PREVIOUS)
    for text in ("yes", "yes", SECRET):
        chat.agent().invoke(text, chat.config)
    expected = ["yes", "to yes", "yes", "to yes", SECRET, f"to {SECRET}"]
    assert chat.texts() == expected
    chat.edit(5, "no answer")
    chat.remove(4)
    chat.remove(0)
    expected = ["to yes", "yes", "to yes", "no answer"]
    assert chat.texts() == expected
    chat.prune()
    assert held() == []
    for text in ("yes", "bye"):
        chat.agent().invoke(text, chat.config)
        expected += [text, f"to {text}"]
        assert chat.texts() == expected
    previous = chat.saver().get_tuple(chat.config).checkpoint["channel_values"][PREVIOUS]  # type: ignore[union-attr]
    assert [one.content for one in previous] == expected


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_the_functional_api_waits_and_goes_on_in_a_new_process(make_saver: MakeSaver, durability: Any) -> None:
    def build(saver: DynamoDBConversationSaver) -> Any:
        @entrypoint(checkpointer=saver)
        def talk(text: str, *, previous: list[Any] | None) -> Any:
            answer = interrupt("sure?") if text.startswith("ask") else "done"
            said = [*(previous or []), HumanMessage(text), AIMessage(f"{text}: {answer}")]
            return entrypoint.final(value=None, save=said)

        return talk

    chat = Chat(make_saver, build, messages_channel=PREVIOUS)

    def run(given: Any) -> None:
        chat.agent().invoke(given, chat.config, durability=durability)

    expected: list[str] = []
    for text in ("yes", "ask it", "yes", "ask it"):
        run(text)
        if text == "ask it":
            summary = chat.saver().conversations.get(chat.thread_id, "alice")
            assert summary.status == "waiting"
            assert [one["value"] for one in summary.waiting_for] == ["sure?"]
            assert chat.texts() == expected
            if expected:
                with pytest.raises(RunNotEndedError):
                    chat.edit(0, "other")
            run(Command(resume="yes, sure"))
        expected += [text, f"{text}: {'yes, sure' if text == 'ask it' else 'done'}"]
        assert chat.texts() == expected
    assert chat.saver().conversations.get(chat.thread_id, "alice").status == "idle"


def test_an_interrupt_outlives_a_refused_call_and_ends_with_the_run(
    make_saver: MakeSaver, held: Callable[[], list[str]]
) -> None:
    def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"{state['messages'][-1].text}: {interrupt('sure?')}")]}

    def build(saver: DynamoDBConversationSaver) -> Any:
        return StateGraph(MessagesState).add_node("node", node).add_edge(START, "node").compile(checkpointer=saver)

    chat = Chat(make_saver, build)
    chat.say("one")
    with pytest.raises(RunNotEndedError):
        chat.remove(0)
    (asked,) = chat.agent().get_state(chat.config).interrupts
    chat.agent().invoke(Command(resume={asked.id: "yes"}), chat.config)
    chat.say(SECRET)
    with pytest.raises(RunNotEndedError):
        chat.edit(2, "two")
    chat.agent().update_state(chat.config, None, as_node=END)
    chat.edit(2, "two")
    chat.prune()
    assert held() == []
    assert chat.texts() == ["one", "one: yes", "two"]
    chat.say("three")
    chat.agent().invoke(Command(resume="yes"), chat.config)
    assert chat.texts() == ["one", "one: yes", "two", "three", "three: yes"]
