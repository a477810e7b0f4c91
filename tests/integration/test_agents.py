"""Agents of `langchain.agents`, alone and in teams, with the middleware that changes their messages."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, SummarizationMiddleware, before_model, wrap_tool_call
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.prebuilt import InjectedState
from langgraph.pregel import Pregel
from langgraph.types import Command

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.integration.agents import say_error
from tests.integration.conftest import MakeTwins
from tests.integration.models import TOOLS, ScriptedModel, chat_model
from tests.integration.play import Build, Player
from tests.integration.transcripts import TableReader, found_search, said, transcript

DIALOGUE = ("hello", "search lakes, search rivers / details 3", "direct home", "bye")
TOLD = [
    ("user", "hello"),
    ("assistant", "Answer to: hello"),
    ("user", "search lakes, search rivers / details 3"),
    (
        "assistant",
        "Answer to: search lakes, search rivers / details 3",
        [
            ("search", "lakes", found_search("lakes")),
            ("search", "rivers", found_search("rivers")),
            ("details", "3", "Details of 3."),
        ],
    ),
    ("user", "direct home"),
    ("assistant", "", [("direct", "home", "Directly: home")]),
    ("user", "bye"),
    ("assistant", "Answer to: bye"),
]


def say(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text, id=f"id of {text}")]}


def agent(*middleware: Any) -> Build:
    def build(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
        return create_agent(chat_model(), TOOLS, middleware=middleware, checkpointer=checkpointer)

    return build


@before_model
def keep_the_last_turn(state: Any, runtime: Any) -> dict[str, Any] | None:
    """Trim: the agent forgets all turns but this one."""
    messages = state["messages"]
    last = max(n for n, message in enumerate(messages) if message.type == "human")
    return {"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES), *messages[last:]]} if last else None


@before_model
def drop_the_oldest(state: Any, runtime: Any) -> dict[str, Any] | None:
    """Trim: the agent forgets its oldest message, one by one."""
    messages = state["messages"]
    return {"messages": [RemoveMessage(id=messages[0].id)]} if len(messages) > 3 else None


def summarising() -> SummarizationMiddleware:
    summariser = ScriptedModel(script=lambda _: AIMessage("They talked about lakes."))
    return SummarizationMiddleware(summariser, trigger=("messages", 8), keep=("messages", 6))


@pytest.mark.parametrize(
    "middleware",
    [(), (keep_the_last_turn,), (drop_the_oldest,), (summarising(),)],
    ids=["plain", "trims all", "trims one by one", "summarises"],
)
def test_the_transcript_is_the_same_however_the_agent_forgets(
    twins: MakeTwins, saver: DynamoDBConversationSaver, table: TableReader, middleware: Any
):
    pair = twins(agent(*middleware))
    for turn, text in enumerate(DIALOGUE, 1):
        assert "messages" in pair.invoke(say(text))
        assert table.row(pair.config)["message_count"] == 2 * turn
    pair.compare()
    assert transcript(saver, pair.config) == TOLD
    row = table.row(pair.config)
    assert said(row["messages"]) == TOLD
    assert row["status"] == "idle"


def test_what_the_agent_forgets_in_the_middle_of_a_turn_stays_in_the_transcript(
    saver: DynamoDBConversationSaver, config: Any
):
    calls = [[{"name": "details", "args": {"query": str(n)}, "id": f"call {n}"}] for n in range(6)]
    steps = iter([*(AIMessage("", tool_calls=call) for call in calls), AIMessage("Done.")])
    model = ScriptedModel(script=lambda _: next(steps))
    summariser = ScriptedModel(script=lambda _: AIMessage("Much was done."))
    forgets = SummarizationMiddleware(summariser, trigger=("messages", 4), keep=("messages", 1))
    graph = create_agent(model, TOOLS, middleware=[forgets], checkpointer=saver)
    result = graph.invoke(say("do it"), config)
    assert len(result["messages"]) < 5
    assert transcript(saver, config) == [
        ("user", "do it"),
        ("assistant", "Done.", [("details", str(n), f"Details of {n}.") for n in range(6)]),
    ]


def approved(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    asks = HumanInTheLoopMiddleware(interrupt_on={"details": True, "search": False})
    return create_agent(chat_model(), TOOLS, middleware=[asks], checkpointer=checkpointer)


def test_a_person_decides_about_calls(twins: MakeTwins, saver: DynamoDBConversationSaver, table: TableReader):
    pair = twins(approved)
    text = "details 1, details 2, search lakes"
    (asked,) = pair.invoke(say(text))["__interrupt__"]
    assert len(asked.value["action_requests"]) == 2
    row = table.row(pair.config)
    pending = [("details", "1", "pending"), ("details", "2", "pending"), ("search", "lakes", "pending")]
    assert (row["status"], said(row["messages"])) == ("waiting", [("user", text), ("assistant", "", pending)])

    pair.invoke(Command(resume={"decisions": [{"type": "approve"}, {"type": "reject", "message": "Not 2!"}]}))
    pair.compare()
    row = table.row(pair.config)
    assert row["status"] == "idle"
    assert transcript(saver, pair.config) == said(row["messages"])
    (_, asked), (_, answer, (first, second, third)) = said(row["messages"])
    assert (asked, answer) == (text, f"Answer to: {text}")
    assert first == ("details", "1", "Details of 1.")
    assert (second[0], second[1], "Not 2!" in second[2], second[3]) == ("details", "2", True, "error")
    assert third == ("search", "lakes", found_search("lakes"))


@tool
def transfer_to(
    query: str, state: Annotated[Any, InjectedState], tool_call_id: Annotated[str, InjectedToolCallId]
) -> Command[Any]:
    """Hand the conversation over to another agent."""
    done = ToolMessage(f"Transferred to {query}.", name="transfer_to", tool_call_id=tool_call_id)
    return Command(goto=query, graph=Command.PARENT, update={"messages": [*state["messages"], done]})


def team(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    """A supervisor that hands over to a specialist, who answers and hands nothing back."""

    def specialist(messages: list[Any]) -> AIMessage:
        return AIMessage("The specialist answers.", name="specialist")

    supervisor = create_agent(chat_model(), [transfer_to], name="supervisor")
    expert = create_agent(ScriptedModel(script=specialist), [], name="expert")
    builder = StateGraph(MessagesState)
    builder.add_node("supervisor", supervisor, destinations=("expert",))
    builder.add_node("expert", expert)
    builder.add_edge(START, "supervisor")
    return builder.compile(checkpointer=checkpointer)


def test_a_supervisor_hands_over_to_a_specialist(
    twins: MakeTwins, saver: DynamoDBConversationSaver, table: TableReader
):
    pair = twins(team)
    for text in ("transfer_to expert", "hello", "transfer_to  expert"):
        pair.invoke(say(text))
        pair.compare()
    handed = ("assistant", "The specialist answers.", [("transfer_to", "expert", "Transferred to expert.")])
    told = transcript(saver, pair.config)
    assert told[:2] == [("user", "transfer_to expert"), handed]
    assert told[2:4] == [("user", "hello"), ("assistant", "Answer to: hello")]
    assert len(told) == 6
    assert table.row(pair.config)["status"] == "idle"


def careful(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
    @wrap_tool_call
    def report(request: Any, handler: Any) -> Any:
        try:
            return handler(request)
        except ValueError as error:
            call = request.tool_call
            return ToolMessage(say_error(error), tool_call_id=call["id"], name=call["name"], status="error")

    return create_agent(chat_model(), TOOLS, middleware=[report], checkpointer=checkpointer)


def test_a_failed_tool_among_others_is_marked(saver: DynamoDBConversationSaver, config: Any):
    careful(saver).invoke(say("details 1, fail 2, details 3"), config)
    assert transcript(saver, config)[1] == (
        "assistant",
        "Answer to: details 1, fail 2, details 3",
        [
            ("details", "1", "Details of 1."),
            ("fail", "2", "Error: no such file: 2", "error"),
            ("details", "3", "Details of 3."),
        ],
    )


def test_a_tool_that_breaks_the_run_leaves_a_pending_call_in_a_failed_conversation(
    twins: MakeTwins, saver: DynamoDBConversationSaver, table: TableReader
):
    pair = twins(agent())
    assert isinstance(pair.do(lambda player: failure(player, "fail it")), ValueError)
    row = table.row(pair.config)
    assert row["status"] == "failed"
    assert said(row["messages"]) == [("user", "fail it"), ("assistant", "", [("fail", "it", "pending")])]


def failure(player: Player, text: str) -> Any:
    return player.invoke(say(text), durability="sync")
