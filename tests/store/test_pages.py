"""Messages that left the row: what counts of a number, whoever wrote what, and what it costs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage
from langgraph.graph import START, MessagesState, StateGraph

from tests.integration.transcripts import TableReader
from tests.played_turns import ReferenceChat
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.conftest import MakeSaver

USER = "alice"


def answers(saver: DynamoDBConversationSaver, size: int = 300, keep: int = 1000) -> Any:
    """A graph that answers each question with `size` characters, and keeps its newest messages."""

    def node(state: MessagesState) -> dict[str, Any]:
        asked = state["messages"][-1].content
        forgotten = [RemoveMessage(id=str(one.id)) for one in state["messages"][:-keep]]
        return {"messages": [*forgotten, AIMessage(f"to {asked} {'.' * size}")]}

    return StateGraph(MessagesState).add_node("a", node).add_edge(START, "a").compile(checkpointer=saver)


def silent(saver: DynamoDBConversationSaver) -> Any:
    """A graph that says nothing."""
    return StateGraph(MessagesState).add_node("a", lambda _: {}).add_edge(START, "a").compile(checkpointer=saver)


def ask(graph: Any, config: Any, *questions: object) -> None:
    for question in questions:
        graph.invoke({"messages": [HumanMessage(str(question))]}, config)


def words(saver: DynamoDBConversationSaver, config: Any, **page: Any) -> list[str]:
    chat = saver.conversations.get(config["configurable"]["thread_id"], USER, **page)
    assert page or chat.message_count == len(chat.messages)
    return [message.content.rstrip(". ") for message in chat.messages]


def said(*questions: object) -> list[str]:
    return [text for question in questions for text in (str(question), f"to {question}")]


def paged(saver: DynamoDBConversationSaver, config: Any, limit: int) -> list[str]:
    """All messages, put together from pages."""
    found: list[str] = []
    before = None
    while before != 0:
        page = saver.conversations.get(config["configurable"]["thread_id"], USER, limit=limit, before=before)
        found, before = [message.content.rstrip(". ") for message in page.messages] + found, page.first
    return found


@pytest.fixture
def table(client: DynamoDBClient, table_name: str) -> TableReader:
    return TableReader(client, table_name)


def test_a_chat_that_fits_into_16_kb_is_whole_in_its_row_and_then_the_newest_exchange_is(
    make_saver: MakeSaver, table: TableReader
) -> None:
    saver = make_saver()
    graph, config = answers(saver, size=1500), saver.new_conversation(USER)
    for number in range(20):
        ask(graph, config, number)
        row = table.row(config)
        shown = [message["content"].rstrip(". ") for message in row["messages"]]
        fits = (number + 1) * 1700 <= 16 * 1024
        assert shown == (said(*range(number + 1)) if fits else shown)
        assert row["message_count"] == 2 * (number + 1)
    assert shown == said(19)
    assert words(saver, config) == said(*range(20))


def test_workers_that_take_turns_lose_nothing_of_each_other(make_saver: MakeSaver) -> None:
    workers = [make_saver(row_bytes=700) for _ in range(3)]
    config = workers[0].new_conversation(USER)
    for number, worker in enumerate([0, 0, 0, 1, 1, 1, 1, 0, 2, 1, 0, 0, 2, 2, 0]):
        ask(answers(workers[worker], keep=5), config, number)
        assert words(workers[(worker + 1) % 3], config) == said(*range(number + 1))
    assert paged(make_saver(), config, 4) == said(*range(15))


@pytest.mark.parametrize("place", [0, 3, 8, 19])
def test_an_edit_reaches_a_message_wherever_it_stands(make_saver: MakeSaver, place: int) -> None:
    saver = make_saver(row_bytes=700)
    graph, config = answers(saver), saver.new_conversation(USER)
    ask(graph, config, *range(10))
    old = graph.get_state(config).values["messages"][place]
    graph.update_state(config, {"messages": [type(old)("another text", id=old.id)]})
    expected = said(*range(10))
    expected[place] = "another text"
    assert words(saver, config) == expected == paged(make_saver(), config, 3)
    ask(answers(make_saver(row_bytes=700)), config, 10)
    assert words(saver, config) == [*expected, *said(10)]
    title = saver.conversations.get(config["configurable"]["thread_id"], USER).title
    assert title == ("another text" if place == 0 else "0")


@pytest.mark.parametrize("kept", [0, 1, 4, 9])
def test_a_fork_replaces_what_followed_its_point_at_any_depth(make_saver: MakeSaver, kept: int) -> None:
    saver = make_saver(row_bytes=700)
    graph, config = answers(saver), saver.new_conversation(USER)
    ask(graph, config, *range(10))
    ends = [one for one in graph.get_state_history(config) if not one.next]
    turns = ends[::-1]
    if kept:
        graph.invoke({"messages": [HumanMessage("otherwise")]}, turns[kept - 1].config)
        assert words(saver, config) == said(*range(kept), "otherwise")
    ask(answers(make_saver(row_bytes=700)), config, *range(20, 26))
    expected = said(*(range(kept) if kept else range(10)), *(["otherwise"] if kept else []), *range(20, 26))
    assert words(saver, config) == expected == paged(make_saver(), config, 5)


def test_an_update_of_an_older_checkpoint_that_says_nothing_ends_the_transcript_there(make_saver: MakeSaver) -> None:
    saver = make_saver(row_bytes=700)
    graph, config = answers(saver), saver.new_conversation(USER)
    ask(graph, config, *range(8))
    turns = [one for one in graph.get_state_history(config) if not one.next][::-1]
    graph.update_state(turns[2].config, {"messages": []})
    assert words(saver, config) == said(*range(3)) == paged(make_saver(), config, 2)
    ask(graph, config, "on")
    assert words(saver, config) == said(*range(3), "on")


def test_an_edit_after_a_fork_after_an_edit_finds_what_is_live(make_saver: MakeSaver) -> None:
    saver = make_saver(row_bytes=700)
    graph, config = answers(saver), saver.new_conversation(USER)
    ask(graph, config, *range(8))
    turns = [one for one in graph.get_state_history(config) if not one.next][::-1]

    def edit(place: int, text: str) -> None:
        old = graph.get_state(config).values["messages"][place]
        graph.update_state(config, {"messages": [type(old)(text, id=old.id)]})

    edit(2, "first edit")
    graph.invoke({"messages": [HumanMessage("fork")]}, turns[4].config)
    ask(graph, config, *range(20, 26))
    edit(4, "second edit")
    edit(11, "third edit")
    expected = said(*range(5), "fork", *range(20, 26))
    expected[4], expected[11] = "second edit", "third edit"
    found = words(saver, config)
    assert found == expected == paged(make_saver(), config, 4)


def test_more_messages_at_once_than_a_row_takes_are_all_there(make_saver: MakeSaver, table: TableReader) -> None:
    saver = make_saver()
    graph, config = silent(saver), saver.new_conversation(USER)
    many: list[BaseMessage] = [
        (AIMessage if number % 2 else HumanMessage)(f"{number} {'x' * 60}") for number in range(1500)
    ]
    graph.update_state(config, {"messages": many})
    assert words(saver, config) == [str(message.content) for message in many]
    ask(graph, config, "more")
    assert [message["content"] for message in table.row(config)["messages"]] == ["more"]


def test_a_large_message_is_stored_whole_once(make_saver: MakeSaver, table: TableReader) -> None:
    saver = make_saver()
    graph, config = answers(saver, size=20_000), saver.new_conversation(USER)
    ask(graph, config, *range(6))
    assert words(saver, config) == said(*range(6))
    assert max(len(message["content"]) for message in table.row(config)["messages"]) < 4000
    assert len(table.items(config, "#p#")) <= 12  # each answer once for the state, once as the transcript shows it


@pytest.mark.engine("memory", "dynamodb-local")
@pytest.mark.parametrize("count", [1200, 3000])
def test_a_page_of_20_messages_costs_at_most_8_read_units(make_saver: MakeSaver, client: Any, count: int) -> None:
    saver = make_saver()
    chat = ReferenceChat(saver, client)
    for _ in range(count // 600):
        chat.tell(300)
    thread_id = chat.config["configurable"]["thread_id"]
    whole = saver.conversations.get(thread_id, USER).messages
    assert len(whole) == count
    for before in (None, count - 200, count // 2, *range(100, 110), 20):
        with RequestLog(client) as log:
            page = saver.conversations.get(thread_id, USER, limit=20, before=before)
        last = before or count
        assert page.messages == whole[last - 20 : last]
        assert log.rru <= 8


def test_a_row_that_another_program_began_stays_whole(make_saver: MakeSaver, table: TableReader) -> None:
    saver = make_saver()
    config: Any = {"configurable": {"thread_id": str(uuid.uuid4()), "user_id": USER}}
    old = [
        {"role": ("user", "assistant")[n % 2], "content": f"{n} {'y' * 1000}", "timestamp": "2025"} for n in range(30)
    ]
    table.set(config, title="old", messages=old, created_at="2025", updated_at="2025", message_count=30)
    ask(answers(saver), config, "a", "b")
    row = table.row(config)
    assert [message["content"].rstrip(". ") for message in row["messages"][-4:]] == said("a", "b")
    assert row["messages"][:30] == old
    assert row["message_count"] == 34
    assert (row["version"], row["status"]) == (2, "idle")  # written once a turn, at its end


def test_a_conversation_that_was_deleted_and_begins_anew_has_nothing_of_its_pages(make_saver: MakeSaver) -> None:
    saver, other = make_saver(row_bytes=600), make_saver(row_bytes=600)
    config = saver.new_conversation(USER)
    ask(answers(saver), config, *range(6))
    assert len(words(other, config)) == 12
    saver.conversations.delete(config["configurable"]["thread_id"], USER)
    ask(answers(other), config, "again", "and again")
    assert words(saver, config) == said("again", "and again")
