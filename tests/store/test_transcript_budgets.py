"""What following the transcript costs, in the shapes of a chat that cost more than the reference chat. Counted."""

from __future__ import annotations

import operator
from statistics import mean
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from tests.integration.models import ScriptedModel
from tests.integration.transcripts import TableReader, item_bytes
from tests.played_turns import ReferenceChat, figures, invoke, mean_wru, wru_around
from tests.reference_chat import Prose, chat_graph
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from tests.conftest import MakeSaver, Report

pytestmark = pytest.mark.engine("dynamodb-local")

CALLS = 60


def keep_20(held: list[AnyMessage], new: Any) -> list[AnyMessage]:
    return list(add_messages(held, new))[-20:]


class Trimmed(TypedDict):
    messages: Annotated[list[AnyMessage], keep_20]


class OfReference:
    """What the agent of the reference chat says, for other graphs.

    Args:
        prose: Where its texts come from.
        calls: Calls of a turn, one after the other.
    """

    def __init__(self, prose: Prose, calls: int = 1) -> None:
        self._prose = prose
        self._calls = calls
        self._called = 0

    def reply(self, messages: list[AnyMessage]) -> AIMessage:
        """A call, or the answer once all calls of the turn are through."""
        self._called = self._called + 1 if isinstance(messages[-1], ToolMessage) else 0
        name = f"lc_run--{self._prose.uuid()}"
        if self._called == self._calls:
            return AIMessage(self._prose.text(350), id=name)
        args = {"query": self._prose.text(40), "limit": 10}
        call: Any = {"name": "search_files", "args": args, "id": f"toolu_{self._prose.uuid()[:24]}"}
        return AIMessage("", tool_calls=[call], id=name)

    def result(self, messages: list[AnyMessage]) -> ToolMessage:
        last: Any = messages[-1]
        text, (call,) = self._prose.text(1000), last.tool_calls
        return ToolMessage(text, tool_call_id=call["id"], name=call["name"], id=self._prose.uuid())

    def graph(self, schema: Any = MessagesState, *, asks: bool = False) -> StateGraph[Any]:
        """The reference chat's graph; with `asks`, a person approves every call."""

        def tools(state: Any) -> dict[str, Any]:
            if asks:
                interrupt({"ask": "May I search?"})
            return {"messages": [self.result(state["messages"])]}

        builder = StateGraph(schema)
        builder.add_node("agent", lambda state: {"messages": [self.reply(state["messages"])]})
        builder.add_node("tools", tools)
        builder.add_edge(START, "agent")
        builder.add_conditional_edges("agent", lambda s: "tools" if s["messages"][-1].tool_calls else END)
        builder.add_edge("tools", "agent")
        return builder


class Summarising:
    """`create_agent` with the reference chat's model and tool, and a summary of 2,000 characters above 80 messages."""

    def __init__(self, prose: Prose) -> None:
        @tool
        def search_files(query: str, limit: int) -> str:
            """Search for files."""
            return prose.text(1000)

        self._tools = [search_files]
        self._model = ScriptedModel(script=OfReference(prose).reply)
        summary = ScriptedModel(script=lambda _: AIMessage(prose.text(2000)))
        self._middleware = SummarizationMiddleware(summary, trigger=("messages", 80), keep=("messages", 20))

    def compile(self, checkpointer: Any) -> Any:
        return create_agent(self._model, self._tools, middleware=[self._middleware], checkpointer=checkpointer)


def test_turns_381_to_420_write_at_most_22_units_each(make_saver: MakeSaver, client: Any, report: Report) -> None:
    chat = ReferenceChat(make_saver(), client)
    for _ in range(4):
        chat.tell(90)  # the state of 360 turns; what storing it at once costs is over 20 turns later
    chat.play(20)
    turns = chat.play(40)
    report(figures("turns 381 to 420", turns))
    assert mean_wru(turns) <= 22


def test_an_agent_that_trims_to_20_messages_writes_at_most_24_units_in_turns_20_and_100(
    make_saver: MakeSaver, client: Any, report: Report
) -> None:
    turns = ReferenceChat(make_saver(), client, lambda prose: chat_graph(prose, Trimmed)).play(105)
    report(figures("trims to 20 messages, turns 96 to 105", turns[95:]))
    assert wru_around(turns, 20) <= 24
    assert wru_around(turns, 100) <= 24


def test_an_interrupt_and_a_resume_in_each_turn_write_at_most_26_units(
    make_saver: MakeSaver, client: Any, report: Report
) -> None:
    def ask_and_approve(graph: Any, message: Any, config: Any) -> None:
        invoke(graph, message, config)
        assert graph.get_state(config).interrupts
        invoke(graph, Command(resume=True), config)

    chat = ReferenceChat(make_saver(), client, lambda prose: OfReference(prose).graph(asks=True), ask_and_approve)
    turns = chat.play(60)[20:]
    report(figures("interrupt and resume in each turn, turns 21 to 60", turns))
    assert mean_wru(turns) <= 26


def test_an_agent_with_summarization_middleware_writes_at_most_24_units_in_turn_100(
    make_saver: MakeSaver, client: Any, report: Report
) -> None:
    turns = ReferenceChat(make_saver(), client, Summarising).play(110)
    report(figures("SummarizationMiddleware, turns 91 to 110", turns[90:]))
    assert wru_around(turns, 100) <= 24


@pytest.mark.parametrize("schema", [MessagesState, Trimmed])
def test_a_run_of_60_tool_calls_stores_what_leaves_the_row_once(
    make_saver: MakeSaver, client: Any, table_name: str, report: Report, schema: Any
) -> None:
    saver = make_saver()
    chat = ReferenceChat(saver, client)
    chat.play(12)
    chat.graph = OfReference(chat.prose, CALLS).graph(schema).compile(checkpointer=saver)
    config, chat.config = chat.config, {**chat.config, "recursion_limit": 2 * CALLS + 10}
    (turn,) = chat.play(1)
    report(figures(f"{CALLS} calls in one answer, {schema.__name__}", [turn]))

    pages, blobs = turn.writes("#m#"), [one for one in turn.writes("#p#") if one not in turn.writes("#s#")]
    assert len({one.table_key for one in pages}) == len(pages)
    (answer,) = saver.conversations.get(config["configurable"]["thread_id"], "alice", limit=1).messages
    assert len(answer.tool_calls) == CALLS
    assert all("result" in call for call in answer.to_dict()["tool_calls"])
    assert sum(one.request_bytes for one in [*pages, *blobs]) <= 1.2 * item_bytes(answer.to_dict())
    assert item_bytes(TableReader(client, table_name).row(config)["messages"]) <= 16 * 1024
    assert sum(one.units for one in turn.log if one.table_key and one.table_key[1] == "alice") <= 24


def test_a_turn_without_messages_is_as_many_requests_at_any_length_in_a_process_of_its_own(
    make_saver: MakeSaver, client: Any, report: Report
) -> None:
    class Notes(TypedDict):
        notes: Annotated[list[str], operator.add]

    builder = StateGraph(Notes)
    builder.add_node("think", lambda _: {"notes": ["thought"]})
    builder.add_edge(START, "think")
    builder.add_edge("think", END)
    counts = []
    for _ in range(60):
        graph = builder.compile(checkpointer=make_saver())
        with RequestLog(client) as log:
            graph.invoke({"notes": ["q"]}, {"configurable": {"thread_id": "notes", "user_id": "alice"}})
        counts.append(len(log))
    report(f"an agent without messages, each turn in a new process: {counts[1:]} requests")
    assert max(counts[1:30]) == max(counts[30:]) <= 16  # where the state has been stored whole since the row was
    assert mean(counts[1:]) <= 10


def test_a_run_that_another_process_ends_reads_what_was_said_a_chain_at_a_time(
    make_saver: MakeSaver, client: Any, report: Report
) -> None:
    agent = OfReference(Prose(), CALLS)
    builder = agent.graph()
    config: Any = {"configurable": {"thread_id": "cut", "user_id": "alice"}, "recursion_limit": 2 * CALLS + 10}
    first = builder.compile(checkpointer=make_saver())
    steps = first.stream({"messages": ["Search it all."]}, config, durability="sync")
    for _ in range(CALLS):
        next(steps)
    steps.close()  # as where a process is killed
    saver = make_saver()
    later = builder.compile(checkpointer=saver)
    assert later.get_state(config).next
    with RequestLog(client) as log:
        later.update_state(config, {"messages": [AIMessage("Enough.", id="enough")]}, as_node="agent")
    report(f"the row follows {CALLS} steps of another process: {log}")
    answer = saver.conversations.get("cut", "alice", limit=1).messages[-1]
    assert len(answer.tool_calls) >= CALLS // 2 - 1
    assert len(log) <= 24


def test_a_list_of_20_conversations_with_full_rows_is_one_request_of_at_most_40_read_units(
    make_saver: MakeSaver, client: Any, table_name: str, report: Report
) -> None:
    saver, table = make_saver(), TableReader(client, table_name)
    for _ in range(20):
        chat = ReferenceChat(saver, client)
        chat.tell(9)
        row = table.row(chat.config)
        assert len(row["messages"]) == row["message_count"] == 18
        assert item_bytes(row) > 15 * 1024
    with RequestLog(client) as log:
        assert len(saver.conversations.list("alice", limit=20)) == 20
    report(f"a list of 20 conversations with rows of {item_bytes(row)} bytes: {log}")
    assert len(log) == 1
    assert log.rru <= 40


@pytest.mark.engine("memory", "dynamodb-local")
@pytest.mark.parametrize("newest_first", [True, False])
def test_the_first_page_of_3000_conversations_by_activity_goes_on_and_the_pages_are_all_of_them(
    make_saver: MakeSaver, client: Any, table_name: str, newest_first: bool
) -> None:
    made = []
    for number in range(3000):
        made.append(f"chat-{number:04}")
        times = {"created_at": f"2026-01-01T00:00:00.{number:06}Z", "updated_at": f"2026-02-{number % 28 + 1:02}"}
        row = {"conversation_id": made[-1], "user_id": "alice", "title": "one", **times}
        item: Any = {name: {"S": text} for name, text in row.items()}
        client.put_item(TableName=table_name, Item={**item, "messages": {"L": []}, "message_count": {"N": "0"}})
    chats = make_saver().conversations
    first = chats.list("alice", order_by="updated_at", newest_first=newest_first)
    assert len(first) == 20
    assert first.cursor is not None
    seen, cursor = list(first), first.cursor
    while cursor is not None:
        page = chats.list("alice", order_by="updated_at", newest_first=newest_first, limit=1000, cursor=cursor)
        seen, cursor = [*seen, *page], page.cursor
    assert sorted(one.conversation_id for one in seen) == made
    times = [one.updated_at for one in seen[:2000]]
    assert times == sorted(times, reverse=newest_first)
