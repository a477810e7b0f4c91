"""Real agents, each with a script of what was said: the transcript is that script, whatever the agent does inside."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    HumanInTheLoopMiddleware,
    PIIMiddleware,
    SummarizationMiddleware,
    TodoListMiddleware,
)
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.func import entrypoint
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState
from langgraph.types import Command

from tests.conftest import MakeSaver
from tests.integration.history_checks import Reader, is_title
from tests.integration.models import TOOLS, ScriptedModel, chat_model
from tests.integration.spoken import PENDING, Shown
from tests.integration.transcripts import TableReader, found_search

if TYPE_CHECKING:
    from langgraph_dynamo_conv import DynamoDBConversationSaver

Builder = Callable[["DynamoDBConversationSaver"], Any]

APPROVE = {"type": "approve"}
REJECT = {"type": "reject", "message": "Not now."}
EDIT = {"type": "edit", "edited_action": {"name": "search", "args": {"query": "rivers"}}}

REJECTED = "User rejected the tool call for `search` with reason: Not now."
EDITED = (
    "Note: a human reviewer replaced this tool call before it ran. The call recorded in your message is the one you "
    "produced, not the one that executed. This was intentional and authorized. Do not re-issue your original call. "
    'Executed instead: search with arguments {"query": "rivers"}.\n\nTool response:\n'
    '{"query": "rivers", "hits": ["rivers 1", "rivers 2"], "score": 0.5}'
)
"""What LangChain makes of an edited call: the call stays, and its result says what was done instead."""


@dataclass
class Chat:
    """A conversation with one agent.

    Args:
        build: Makes the agent with a saver.
        make_saver: Makes savers.
        reader: Reads the transcript.
        durability: Of every run.
        cold: Whether each turn has a new saver and agent.
        options: Of the savers.
    """

    build: Builder
    make_saver: MakeSaver
    reader: Reader
    durability: Any
    cold: bool
    options: dict[str, Any]

    def __post_init__(self) -> None:
        self.saver = self.make_saver(**self.options)
        self.agent = self.build(self.saver)
        self.config: RunnableConfig = self.saver.new_conversation("alice")

    def run(self, given: Any) -> None:
        """One turn."""
        if self.cold:
            self.saver = self.make_saver(**self.options)
            self.agent = self.build(self.saver)
        self.agent.invoke(given, self.config, durability=self.durability)

    def say(self, *texts: str) -> None:
        for text in texts:
            self.run({"messages": [HumanMessage(text)]})

    def decide(self, *decisions: Any) -> None:
        self.run(Command(resume={"decisions": list(decisions)}))

    def was(self, *wanted: Shown, title: str) -> None:
        """Assert that every reader is told this."""
        self.reader.compare_shown(self.saver, self.config, list(wanted))
        asked = self.config["configurable"]
        got = self.saver.conversations.get(asked["thread_id"], asked["user_id"]).title
        assert is_title(got, title), f"the title is {got!r}, not {title!r}"


@pytest.fixture(params=["sync", "async", "exit"])
def durability(request: pytest.FixtureRequest) -> str:
    """How a run stores its steps."""
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["one saver", "a new saver in every turn"])
def chat(
    request: pytest.FixtureRequest, make_saver: MakeSaver, table: TableReader, durability: str
) -> Callable[..., Chat]:
    """A factory of conversations."""

    def make(build: Builder, **options: Any) -> Chat:
        return Chat(build, make_saver, Reader(table), durability, bool(request.param), options)

    return make


def user(text: str) -> Shown:
    return "user", text, ()


def assistant(text: str, *calls: tuple[Any, ...]) -> Shown:
    return "assistant", text, calls


def called(name: str, query: str, result: Any, status: str | None = None) -> tuple[Any, ...]:
    return name, {"query": query}, result, status


def searched(query: str) -> tuple[Any, ...]:
    return called("search", query, found_search(query))


def approving(saver: DynamoDBConversationSaver) -> Any:
    asks = HumanInTheLoopMiddleware(interrupt_on={"search": True})
    return create_agent(chat_model(), TOOLS, middleware=[asks], checkpointer=saver)


def test_an_approved_call_is_pending_until_it_is_approved(chat: Callable[..., Chat]) -> None:
    with_agent = chat(approving)
    with_agent.say("hello", "search lakes")
    before = user("hello"), assistant("Answer to: hello"), user("search lakes")
    with_agent.was(*before, assistant("", called("search", "lakes", PENDING)), title="hello")
    with_agent.decide(APPROVE)
    with_agent.was(*before, assistant("Answer to: search lakes", searched("lakes")), title="hello")


def test_the_result_of_an_edited_call_says_what_was_done_instead(chat: Callable[..., Chat]) -> None:
    with_agent = chat(approving)
    with_agent.say("search lakes")
    with_agent.decide(EDIT)
    answer = assistant("Answer to: search lakes", called("search", "lakes", EDITED))
    with_agent.was(user("search lakes"), answer, title="search lakes")


def test_a_rejected_call_says_so(chat: Callable[..., Chat]) -> None:
    with_agent = chat(approving)
    with_agent.say("search lakes")
    with_agent.decide(REJECT)
    answer = assistant("Answer to: search lakes", called("search", "lakes", REJECTED, "error"))
    with_agent.was(user("search lakes"), answer, title="search lakes")


def test_two_calls_are_decided_on_their_own(chat: Callable[..., Chat]) -> None:
    with_agent = chat(approving)
    with_agent.say("search lakes, search hills / details 1")
    with_agent.decide(APPROVE, REJECT)
    text = "search lakes, search hills / details 1"
    rejected = called("search", "hills", REJECTED, "error")
    answer = assistant(f"Answer to: {text}", searched("lakes"), rejected, called("details", "1", "Details of 1."))
    with_agent.was(user(text), answer, title=text)


@pytest.mark.parametrize("row_bytes", [512, None])
def test_redacted_words_are_nowhere(chat: Callable[..., Chat], row_bytes: int | None) -> None:
    def redacting(saver: DynamoDBConversationSaver) -> Any:
        pii = PIIMiddleware("email", strategy="redact", apply_to_input=True)
        return create_agent(chat_model(), TOOLS, middleware=[pii], checkpointer=saver)

    with_agent = chat(redacting, **({"row_bytes": row_bytes} if row_bytes else {}))
    with_agent.say("I am kim@example.org", "yes", "yes", "write to lee@example.org")
    said = "I am [REDACTED_EMAIL]", "yes", "yes", "write to [REDACTED_EMAIL]"
    told = [message for text in said for message in (user(text), assistant(f"Answer to: {text}"))]
    with_agent.was(*told, title="I am [REDACTED_EMAIL]")


@pytest.mark.parametrize("row_bytes", [512, None])
def test_a_summary_takes_nothing_away(chat: Callable[..., Chat], row_bytes: int | None) -> None:
    def summarising(saver: DynamoDBConversationSaver) -> Any:
        summary = ScriptedModel(script=lambda _: AIMessage("a summary"))
        middleware = SummarizationMiddleware(model=summary, trigger=("messages", 6), keep=("messages", 3))
        return create_agent(chat_model(), TOOLS, middleware=[middleware], checkpointer=saver)

    with_agent = chat(summarising, **({"row_bytes": row_bytes} if row_bytes else {}))
    texts = "hello", "yes", "yes", "search lakes", "yes", "search lakes", "bye"
    with_agent.say(*texts)
    calls = {"search lakes": [searched("lakes")]}
    answers = [(user(text), assistant(f"Answer to: {text}", *calls.get(text, []))) for text in texts]
    with_agent.was(*(message for pair in answers for message in pair), title="hello")


def count(messages: list[Any]) -> AIMessage:
    return AIMessage(f"reply {sum(isinstance(message, AIMessage) for message in messages) + 1}")


@pytest.mark.parametrize("with_ids", [True, False])
def test_the_functional_api_keeps_what_it_returns(chat: Callable[..., Chat], with_ids: bool) -> None:
    def functional(saver: DynamoDBConversationSaver) -> Any:
        @entrypoint(checkpointer=saver)
        def talk(text: str, *, previous: list[BaseMessage] | None) -> Any:
            held = previous or []
            number = len(held)
            asked = HumanMessage(text, id=f"q{number}" if with_ids else None)
            reply = count(held)
            reply.id = f"a{number}" if with_ids else None
            return entrypoint.final(value=reply, save=[*held, asked, reply])

        return talk

    with_agent = chat(functional, messages_channel="__previous__")
    for text in ("yes", "yes", "no", "yes"):
        with_agent.run(text)
    texts = enumerate(("yes", "yes", "no", "yes"), 1)
    told = [message for number, text in texts for message in (user(text), assistant(f"reply {number}"))]
    with_agent.was(*told, title="yes")


def hand_off(name: str) -> Any:
    """A tool that gives the conversation to another agent, as supervisors and swarms do."""

    @tool(f"transfer_to_{name}")
    def transfer(
        query: str, held: Annotated[list[Any], InjectedState("messages")], call_id: Annotated[str, InjectedToolCallId]
    ) -> Command[str]:
        """Ask another agent."""
        note = ToolMessage(f"Transferred to {name}.", name=f"transfer_to_{name}", tool_call_id=call_id)
        return Command(goto=name, graph=Command.PARENT, update={"messages": [*held, note]})

    return transfer


def calling(name: str, query: str, call_id: str) -> AIMessage:
    return AIMessage("", tool_calls=[ToolCall(name=name, args={"query": query}, id=call_id)])


def first_agent(messages: list[BaseMessage]) -> AIMessage:
    """Gives every question that begins with "ask" to the other agent, once in a turn."""
    last = max(n for n, message in enumerate(messages) if isinstance(message, HumanMessage))
    text = str(messages[last].text)
    if len(messages) > last + 1:
        return AIMessage(f"First: {text}, after all.")
    return calling("transfer_to_expert", "it", f"t{last}") if text.startswith("ask") else AIMessage(f"First: {text}")


def expert_agent(messages: list[BaseMessage]) -> AIMessage:
    last = max(n for n, message in enumerate(messages) if isinstance(message, HumanMessage))
    asked = sum(isinstance(message, AIMessage) for message in messages[last:])
    if asked == 1:
        return calling("search", "lakes", f"s{last}")
    return AIMessage(f"Expert: {messages[last].text}")


def team(*, back: bool) -> Builder:
    """Two agents; `back`: the first has the last word, as a supervisor, else the expert, as in a swarm."""

    def build(saver: DynamoDBConversationSaver) -> Any:
        first = create_agent(ScriptedModel(script=first_agent), [hand_off("expert")], name="first")
        expert = create_agent(ScriptedModel(script=expert_agent), TOOLS[:1], name="expert")
        builder = StateGraph(MessagesState)
        builder.add_node("first", first, destinations=("expert",))
        builder.add_node("expert", expert)
        builder.add_edge(START, "first")
        if back:
            builder.add_edge("expert", "first")
        return builder.compile(checkpointer=saver)

    return build


@pytest.mark.parametrize("back", [True, False], ids=["supervisor", "swarm"])
def test_agents_that_hand_over_have_one_transcript(chat: Callable[..., Chat], back: bool) -> None:
    with_agent = chat(team(back=back))
    with_agent.say("hello", "ask for lakes", "thanks")
    handed = called("transfer_to_expert", "it", "Transferred to expert.")
    told = [
        user("hello"),
        assistant("First: hello"),
        user("ask for lakes"),
        assistant("Expert: ask for lakes", handed, searched("lakes")),
        *([assistant("First: ask for lakes, after all.")] if back else []),
        user("thanks"),
        assistant("First: thanks"),
    ]
    with_agent.was(*told, title="hello")


if sys.version_info >= (3, 11):
    from deepagents import create_deep_agent

    def deep_script(messages: list[BaseMessage]) -> AIMessage:
        """Plans with todos, then gives the work to a subagent, then answers."""
        last = max(n for n, message in enumerate(messages) if isinstance(message, HumanMessage))
        text = str(messages[last].text)
        done = sum(isinstance(message, AIMessage) for message in messages[last:])
        if text != "plan it" or done > 1:
            return AIMessage(f"Answer to: {text}")
        if done == 0:
            todos = [{"content": "look", "status": "in_progress"}]
            return AIMessage("", tool_calls=[ToolCall(name="write_todos", args={"todos": todos}, id="w1")])
        args = {"description": "details of it", "subagent_type": "looker"}
        return AIMessage("", tool_calls=[ToolCall(name="task", args=args, id="k1")])

    def test_a_deep_agent_waits_for_approval(chat: Callable[..., Chat]) -> None:
        def deep(saver: DynamoDBConversationSaver) -> Any:
            return create_deep_agent(chat_model(), TOOLS[:2], interrupt_on={"search": True}, checkpointer=saver)

        with_agent = chat(deep)
        with_agent.say("yes", "yes", "search lakes, details 1")
        before = [user("yes"), assistant("Answer to: yes")] * 2 + [user("search lakes, details 1")]
        waiting = called("search", "lakes", PENDING), called("details", "1", PENDING)
        with_agent.was(*before, assistant("", *waiting), title="yes")
        with_agent.decide(APPROVE)
        done = searched("lakes"), called("details", "1", "Details of 1.")
        with_agent.was(*before, assistant("Answer to: search lakes, details 1", *done), title="yes")

    @pytest.mark.parametrize(
        ("decision", "result"), [(EDIT, (EDITED,)), (REJECT, (REJECTED, "error"))], ids=["edit", "reject"]
    )
    def test_a_deep_agents_call_is_edited_or_rejected(chat: Callable[..., Chat], decision: Any, result: Any) -> None:
        def deep(saver: DynamoDBConversationSaver) -> Any:
            return create_deep_agent(chat_model(), TOOLS[:2], interrupt_on={"search": True}, checkpointer=saver)

        with_agent = chat(deep)
        with_agent.say("search lakes")
        with_agent.decide(decision)
        call = called("search", "lakes", *result)
        with_agent.was(user("search lakes"), assistant("Answer to: search lakes", call), title="search lakes")

    def test_a_deep_agents_todos_and_subagents_are_calls_of_its_answer(chat: Callable[..., Chat]) -> None:
        def deep(saver: DynamoDBConversationSaver) -> Any:
            looks: Any = {
                "name": "looker",
                "description": "looks",
                "system_prompt": "Look.",
                "model": ScriptedModel(script=lambda _: AIMessage("Seen.")),
                "tools": TOOLS[:1],
            }
            model = ScriptedModel(script=deep_script)
            todos: Any = [TodoListMiddleware()]
            return create_deep_agent(model, TOOLS[:2], middleware=todos, subagents=[looks], checkpointer=saver)

        with_agent = chat(deep)
        with_agent.say("yes", "plan it", "yes")
        todos = [{"content": "look", "status": "in_progress"}]
        planned = "write_todos", {"todos": todos}, f"Updated todo list to {todos}", None
        looked = "task", {"description": "details of it", "subagent_type": "looker"}, "Seen.", None
        yes = user("yes"), assistant("Answer to: yes")
        with_agent.was(*yes, user("plan it"), assistant("Answer to: plan it", planned, looked), *yes, title="yes")
