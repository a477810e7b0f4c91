"""The conversation API: lists, pages, transcripts, changes from outside, export, and rows of other programs."""

from __future__ import annotations

import base64
import json
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.graph import END, START, MessagesState, StateGraph

from langgraph_dynamo_conv import (
    Conversation,
    Conversations,
    Message,
    add_message,
    create_conversation,
    delete_conversation,
    get_conversation,
    list_conversations,
    rename_conversation,
)
from langgraph_dynamo_conv.errors import ConflictError, ConversationNotFoundError, TableNotFoundError
from tests.conftest import MakeSaver
from tests.engines import Engine
from tests.factories import put, values_of
from tests.requests_log import RequestLog

SAMPLE_MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": "Show me 4K renders", "timestamp": "2025-01-15T10:30:00Z"},
    {
        "role": "assistant",
        "content": "I found 2 renders.",
        "timestamp": "2025-01-15T10:30:05Z",
        "tool_calls": [
            {
                "tool": "search_files",
                "args": {"resolution": "4K", "limit": 10},
                "result": {"files": [{"name": "a.exr", "size": 12.5}, {"name": "b.exr", "size": 3}], "total": 2},
            }
        ],
    },
    {"role": "user", "content": "Thanks", "timestamp": "2025-01-15T10:31:00Z"},
    {"role": "assistant", "content": "You're welcome!", "timestamp": "2025-01-15T10:31:02Z"},
]


def answering(state: MessagesState) -> dict[str, Any]:
    return {"messages": [AIMessage(f"answer {len(state['messages'])}")]}


def graph_on(saver: Any) -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("agent", answering)
    builder.add_edge(START, "agent")
    builder.add_edge("agent", END)
    return builder.compile(checkpointer=saver)


def said(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


class Clock:
    """Seconds that pass by one at every look."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=timezone.utc)

    def __call__(self) -> float:
        self.now += timedelta(seconds=1)
        return self.now.timestamp()


@pytest.fixture
def chats(table_name: str, client: Any) -> Conversations:
    return Conversations(table_name, client=client, clock=Clock())


def without_ids(chat: Conversation) -> list[dict[str, Any]]:
    """The messages in the table's documented form alone."""
    return [{name: value for name, value in one.to_dict().items() if name != "id"} for one in chat.messages]


def put_sample(client: Any, table_name: str) -> str:
    """The row that another program wrote, as the table's guide prints it."""
    from langgraph_dynamo_conv._format.attributes import storable, to_attribute

    conversation_id = str(uuid.uuid4())
    item = {
        "conversation_id": conversation_id,
        "user_id": "alice",
        "title": "4K renders",
        "messages": storable(SAMPLE_MESSAGES),
        "created_at": "2025-01-15T10:30:00Z",
        "updated_at": "2025-01-15T10:31:02Z",
        "message_count": 4,
    }
    client.put_item(TableName=table_name, Item={name: to_attribute(value) for name, value in item.items()})
    return conversation_id


def test_pages_follow_each_other_without_gaps_in_both_directions(chats: Conversations) -> None:
    made = [chats.create("alice", title=f"number {n}").conversation_id for n in range(7)]
    chats.create("alice2", title="of another")
    for newest_first, expected in ((True, made[::-1]), (False, made)):
        found, cursor = [], None
        while True:
            page = chats.list("alice", limit=3, cursor=cursor, newest_first=newest_first)
            assert len(page) == 3 or page.cursor is None
            found += [one.conversation_id for one in page]
            cursor = page.cursor
            if cursor is None:
                break
        assert found == expected


def test_a_page_that_ends_exactly_at_the_last_conversation_has_no_cursor(chats: Conversations) -> None:
    for n in range(4):
        chats.create("alice", title=str(n))
    first = chats.list("alice", limit=2)
    assert chats.list("alice", limit=2, cursor=first.cursor).cursor is None


def test_a_filter_never_gives_a_short_page_while_more_match(chats: Conversations) -> None:
    for n in range(12):
        chats.create("alice", title="Keep me" if n % 4 == 0 else "other")
    page = chats.list("alice", limit=2, title_contains="KEEP")
    assert [one.title for one in page] == ["Keep me", "Keep me"]
    rest = chats.list("alice", limit=2, title_contains="KEEP", cursor=page.cursor)
    assert (len(rest), rest.cursor) == (1, None)
    assert len(chats.list("alice", status="waiting")) == 0
    assert len(chats.list("alice", status="idle", limit=100)) == 12


def test_bounds_on_the_time_of_creation_are_exclusive(chats: Conversations) -> None:
    times = [chats.create("alice", title=str(n)).created_at for n in range(5)]
    titles = [c.title for c in chats.list("alice", created_after=times[0], created_before=times[4])]
    assert titles == ["3", "2", "1"]
    assert [c.title for c in chats.list("alice", created_after=times[3])] == ["4"]
    assert [c.title for c in chats.list("alice", created_before=times[1])] == ["0"]


def test_order_by_update_puts_the_last_used_first_and_pages(chats: Conversations) -> None:
    made = [chats.create("alice", title=str(n)).conversation_id for n in range(4)]
    chats.add_message(made[1], "user", "hello", user_id="alice")
    first = chats.list("alice", order_by="updated_at", limit=3)
    assert [one.title for one in first] == ["1", "3", "2"]
    second = chats.list("alice", order_by="updated_at", limit=3, cursor=first.cursor)
    assert [one.title for one in second] == ["0"]
    assert [one.title for one in chats.list("alice", order_by="updated_at", newest_first=False)][-1] == "1"


def cursor(**changes: object) -> str:
    body = {"u": "alice", "o": "created_at", "n": True, "id": "thread", "at": "2026", **changes}
    return base64.urlsafe_b64encode(json.dumps(body).encode()).decode()


MADE_UP = [cursor(**{name: value}) for name in ("id", "at") for value in ("", 7, None, [], "x" * 3000)]


@pytest.mark.parametrize("bad", ["", "x", "e30=", "bm90IGpzb24=", *MADE_UP])
def test_a_broken_cursor_is_refused(chats: Conversations, bad: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        chats.list("alice", cursor=bad)


def test_a_cursor_of_another_user_or_order_is_refused(chats: Conversations) -> None:
    for n in range(3):
        chats.create("alice", title=str(n))
    cursor = chats.list("alice", limit=1).cursor
    for arguments in ({"user_id": "bob"}, {"user_id": "alice", "order_by": "updated_at"}):
        with pytest.raises(ValueError, match="cursor"):
            chats.list(cursor=cursor, **arguments)


@pytest.mark.parametrize(
    "arguments", [{"limit": 0}, {"limit": 1001}, {"order_by": "title"}, {"status": "asleep"}], ids=str
)
def test_arguments_out_of_range_are_refused(chats: Conversations, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        chats.list("alice", **arguments)


def test_a_chat_can_be_scrolled_backwards_to_its_beginning(chats: Conversations, make_saver: MakeSaver) -> None:
    saver = make_saver(row_bytes=512)
    graph, config = graph_on(saver), saver.new_conversation("alice")
    for n in range(12):
        graph.invoke(said(f"question {n} " + "x" * 90), config)
    conversation_id = config["configurable"]["thread_id"]
    whole = saver.conversations.get(conversation_id, "alice")
    assert len(whole.messages) == whole.message_count == 24
    scrolled: list[Any] = []
    before = None
    while before != 0:
        page = chats.get(conversation_id, "alice", limit=5, before=before)
        scrolled = [*page.messages, *scrolled]
        before = page.first
    assert tuple(scrolled) == whole.messages


@pytest.fixture
def scrolled(make_saver: MakeSaver) -> Scrolled:
    return Scrolled(make_saver(row_bytes=512))


class Scrolled:
    """A chat of 12 turns, of which a page shows the newest messages."""

    def __init__(self, saver: Any) -> None:
        self.chats = saver.conversations
        self.graph, self.config = graph_on(saver), saver.new_conversation("alice")
        for n in range(12):
            self.say(n)
        self.newest = self.page(limit=4)

    def say(self, n: int, config: Any = None) -> None:
        self.graph.invoke(said(f"question {n} " + "x" * 90), config or self.config)

    def page(self, **options: Any) -> Any:
        return self.chats.get(self.config["configurable"]["thread_id"], "alice", **options)


def test_pages_by_cursor_are_the_whole_chat_and_new_turns_do_not_move_them(scrolled: Scrolled) -> None:
    whole, page, seen = scrolled.page().messages, scrolled.newest, scrolled.newest.messages
    while page.cursor is not None:
        scrolled.say(page.first)
        page = scrolled.page(limit=5, cursor=page.cursor)
        assert not page.is_anew
        seen = (*page.messages, *seen)
    assert (page.first, seen) == (0, whole)


@pytest.mark.parametrize("moved", ["a fork", "a removal", "a conversation of the same id"])
def test_a_cursor_begins_anew_where_numbers_have_other_messages(scrolled: Scrolled, moved: str) -> None:
    thread_id = scrolled.config["configurable"]["thread_id"]
    if moved == "a fork":
        old = list(scrolled.graph.get_state_history(scrolled.config))[8]
        scrolled.say(99, old.config)
        scrolled.say(100)
        scrolled.say(101)
    elif moved == "a removal":
        scrolled.chats.remove_message(thread_id, scrolled.page().messages[3].id, user_id="alice")
    else:
        scrolled.chats.delete(thread_id, "alice")
        for n in range(12):
            scrolled.say(n + 50)
    page = scrolled.page(limit=4, cursor=scrolled.newest.cursor)
    assert page.is_anew
    assert page.messages == scrolled.page(limit=4).messages
    assert not scrolled.page(limit=4, cursor=page.cursor).is_anew


def test_an_edit_keeps_the_place_of_a_cursor(scrolled: Scrolled) -> None:
    target = scrolled.page().messages[2]
    scrolled.chats.edit_message(scrolled.config["configurable"]["thread_id"], target.id, "(removed)", user_id="alice")
    page = scrolled.page(cursor=scrolled.newest.cursor)
    assert (page.is_anew, page.messages[2].content, len(page.messages)) == (False, "(removed)", 20)


@pytest.mark.parametrize("cursor", ["", "oops", "WzEsMl0=", "WzAsMCwiIl0=", "W3RydWUsMCwiIl0="])
def test_a_broken_cursor_of_messages_is_refused(scrolled: Scrolled, cursor: str) -> None:
    with pytest.raises(ValueError, match="the cursor is broken"):
        scrolled.page(cursor=cursor)
    with pytest.raises(ValueError, match="not both"):
        scrolled.page(cursor=scrolled.newest.cursor, before=3)


def test_the_first_turn_of_a_new_conversation_reads_once_what_is_not_there(make_saver: MakeSaver, client: Any) -> None:
    saver = make_saver()
    config = saver.new_conversation("alice")
    with RequestLog(client) as log:
        assert saver.get_tuple(config) is None
    assert [one.operation for one in log.requests] == ["Query", "GetItem"]


def test_a_new_conversation_that_another_worker_has_begun_is_read_whole(make_saver: MakeSaver) -> None:
    saver = make_saver()
    config = saver.new_conversation("alice")
    graph_on(make_saver()).invoke(said("hello"), config)
    messages = graph_on(saver).invoke(said("again"), config)["messages"]
    assert [message.content for message in messages if message.type == "human"] == ["hello", "again"]


def test_a_conversation_of_another_user_cannot_be_told_from_none(chats: Conversations) -> None:
    mine = chats.create("alice", title="mine").conversation_id
    for call in (
        lambda who, which: chats.get(which, who),
        lambda who, which: chats.rename(which, who, "stolen"),
        lambda who, which: chats.add_message(which, "user", "hi", user_id=who),
    ):
        with pytest.raises(ConversationNotFoundError) as of_alice:
            call("bob", mine)
        with pytest.raises(ConversationNotFoundError) as of_nobody:
            call("bob", str(uuid.uuid4()))
        assert str(of_alice.value) == str(of_nobody.value)
    assert chats.delete(mine, "bob") == 0
    assert chats.get(mine, "alice").title == "mine"


def test_a_conversation_id_can_be_given_but_not_twice(chats: Conversations) -> None:
    chosen = str(uuid.uuid4())
    assert chats.create("alice", conversation_id=chosen).conversation_id == chosen
    with pytest.raises(ConflictError, match="already"):
        chats.create("alice", conversation_id=chosen)
    assert chats.create("bob", conversation_id=chosen).user_id == "bob"


def test_latest_and_count(chats: Conversations) -> None:
    assert chats.latest("alice") is None
    assert chats.count("alice") == 0
    for n in range(3):
        chats.create("alice", title=str(n))
    latest = chats.latest("alice")
    assert latest is not None
    assert (latest.title, chats.count("alice")) == ("2", 3)


def test_a_new_title_stays_and_is_no_update(make_saver: MakeSaver) -> None:
    saver = make_saver()
    graph, config = graph_on(saver), saver.new_conversation("alice")
    graph.invoke(said("first"), config)
    conversation_id = config["configurable"]["thread_id"]
    before = saver.conversations.get(conversation_id, "alice")
    saver.conversations.rename(conversation_id, "alice", "Mine")
    renamed = saver.conversations.get(conversation_id, "alice")
    assert (renamed.title, renamed.updated_at) == ("Mine", before.updated_at)
    graph.invoke(said("second"), config)
    after = saver.conversations.get(conversation_id, "alice")
    assert (after.title, after.created_at, after.message_count) == ("Mine", before.created_at, 4)


def test_delete_removes_every_item_of_the_users_share_and_nothing_of_others(
    make_saver: MakeSaver, client: Any, table_name: str
) -> None:
    saver = make_saver()
    graph, config = graph_on(saver), saver.new_conversation("alice")
    graph.invoke(said("hello"), config)
    shared = config["configurable"]["thread_id"]
    graph.invoke(said("hello"), {"configurable": {"thread_id": shared, "user_id": "bob"}})
    assert saver.conversations.delete(shared, "alice") > 5
    users = {item["user_id"]["S"].split("#")[0] for item in client.scan(TableName=table_name)["Items"]}
    assert users == {"bob"}
    assert saver.conversations.delete(shared, "alice") == 0


def test_delete_user_leaves_no_trace_of_a_person(make_saver: MakeSaver, client: Any, table_name: str) -> None:
    saver = make_saver()
    graph = graph_on(saver)
    for user in ("alice", "alice", "bob"):
        config = saver.new_conversation(user)
        config["configurable"]["run_id"] = str(uuid.uuid4())
        graph.invoke(said(f"I am {user}"), config)
    removed = saver.conversations.delete_user("alice")
    assert (removed.conversations, saver.conversations.count("bob")) == (2, 1)
    assert b"alice" not in repr(client.scan(TableName=table_name)["Items"]).encode()
    assert saver.conversations.delete_user("alice").items == 0


def test_delete_user_with_scan_finds_what_has_no_row(make_saver: MakeSaver, client: Any, table_name: str) -> None:
    saver = make_saver()
    config = saver.new_conversation("alice")
    graph_on(saver).invoke(said("hello"), config)
    thread = config["configurable"]["thread_id"]
    client.delete_item(TableName=table_name, Key={"conversation_id": {"S": thread}, "user_id": {"S": "alice"}})
    assert saver.conversations.delete_user("alice").items == 0
    assert saver.conversations.delete_user("alice", scan=True).items > 0
    assert client.scan(TableName=table_name)["Items"] == []


def test_delete_user_with_scan_passes_over_partitions_of_other_programs(
    make_saver: MakeSaver, client: Any, table_name: str
) -> None:
    foreign = {"conversation_id": {"S": "audit#2026"}, "user_id": {"S": "alice"}, "note": {"S": "theirs"}}
    client.put_item(TableName=table_name, Item=foreign)

    assert make_saver().conversations.delete_user("alice", scan=True).items == 0
    assert client.scan(TableName=table_name)["Items"] == [foreign]


def test_the_agent_sees_a_message_that_was_added_from_outside(make_saver: MakeSaver, chats: Conversations) -> None:
    saver = make_saver()
    graph, config = graph_on(saver), saver.new_conversation("alice")
    graph.invoke(said("hello"), config)
    chats.add_message(config["configurable"]["thread_id"], "system", "be brief")
    state = graph.get_state(config)
    assert [type(message) for message in state.values["messages"]] == [HumanMessage, AIMessage, SystemMessage]
    assert state.next == ()
    graph.invoke(said("again"), config)
    contents = [m.content for m in saver.conversations.get(config["configurable"]["thread_id"], "alice").messages]
    assert contents == ["hello", "answer 1", "be brief", "again", "answer 4"]


def test_equal_messages_that_are_added_stay_apart(chats: Conversations) -> None:
    conversation_id = chats.create("alice").conversation_id
    for _ in range(3):
        chats.add_message(conversation_id, "user", "Hello!")
    assert [m.content for m in chats.get(conversation_id, "alice").messages] == ["Hello!"] * 3
    assert chats.get(conversation_id, "alice").title == "Hello!"


def test_add_message_asks_for_the_user_where_several_share_an_id(chats: Conversations) -> None:
    shared = str(uuid.uuid4())
    for user in ("a", "a!", "b"):
        chats.create(user, conversation_id=shared)
    with pytest.raises(ValueError, match="several users"):
        chats.add_message(shared, "user", "hi")
    chats.add_message(shared, "user", "hi", user_id="a!")
    assert [chats.get(shared, user).message_count for user in ("a", "a!", "b")] == [0, 1, 0]


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"role": "robot", "content": "x"}, "role"),
        ({"role": "user", "content": 7}, "content"),
        ({"role": "user", "content": "x", "tool_calls": [{"tool": "t"}]}, "tool_calls"),
        ({"role": "assistant", "content": "x", "tool_calls": [{"name": "t"}]}, "tool"),
    ],
)
def test_a_message_of_another_shape_is_refused(chats: Conversations, arguments: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        chats.add_message(str(uuid.uuid4()), **arguments)


def test_a_row_of_another_program_is_read_listed_and_adopted(
    make_saver: MakeSaver, client: Any, table_name: str
) -> None:
    saver = make_saver()
    conversation_id = put_sample(client, table_name)
    assert [one.title for one in saver.conversations.list("alice")] == ["4K renders"]
    assert without_ids(saver.conversations.get(conversation_id, "alice")) == SAMPLE_MESSAGES

    graph, config = graph_on(saver), {"configurable": {"thread_id": conversation_id, "user_id": "alice"}}
    with RequestLog(client) as log:
        adopted = graph.get_state(config).values["messages"]
    assert not {"PutItem", "UpdateItem"} & set(log.operations)
    kinds = [HumanMessage, AIMessage, ToolMessage, AIMessage, HumanMessage, AIMessage]
    assert [type(message) for message in adopted] == kinds
    assert json.loads(str(adopted[2].content)) == SAMPLE_MESSAGES[1]["tool_calls"][0]["result"]
    assert adopted == graph.get_state(config).values["messages"]

    before = client.get_item(
        TableName=table_name, Key={"conversation_id": {"S": conversation_id}, "user_id": {"S": "alice"}}
    )["Item"]
    graph.invoke(said("and the first one?"), config)
    after = saver.conversations.get(conversation_id, "alice")
    assert without_ids(after)[:4] == SAMPLE_MESSAGES
    assert [m.content for m in after.messages[4:]] == ["and the first one?", "answer 7"]
    assert (after.created_at, after.title) == ("2025-01-15T10:30:00Z", "4K renders")
    row = client.get_item(
        TableName=table_name, Key={"conversation_id": {"S": conversation_id}, "user_id": {"S": "alice"}}
    )["Item"]
    assert row["messages"]["L"][:4] == before["messages"]["L"]
    assert len(list(graph.get_state_history(config))) == 4


def test_an_adopted_conversation_is_found_without_its_thread_id(
    make_saver: MakeSaver, client: Any, table_name: str
) -> None:
    saver = make_saver()
    put_sample(client, table_name)
    result = graph_on(saver).invoke(said("and the first one?"), {"configurable": {"user_id": "alice"}})
    assert len(result["messages"]) == 8


@pytest.fixture
def named_table(engine: Engine, table_name: str, client: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment names the table, and the engine."""
    monkeypatch.setenv("DYNAMODB_TABLE_NAME", table_name)
    if engine.endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", engine.endpoint_url)
    return table_name


def test_the_functions_of_the_tables_guide_work_as_it_prints_them(named_table: str) -> None:
    conv_id = create_conversation(user_id="test_user", title="Test Conversation")
    add_message(conv_id, role="user", content="Hello!")
    add_message(conv_id, role="assistant", content="Hi there!")
    conversation = get_conversation(conv_id, user_id="test_user")
    assert conversation is not None
    assert (conversation["title"], conversation["message_count"]) == ("Test Conversation", 2)
    shown = conversation["messages"][0]
    assert shown == {"role": "user", "content": "Hello!", "timestamp": shown["timestamp"], "id": shown["id"]}
    assert get_conversation(conv_id) == conversation
    assert get_conversation(conv_id, user_id="stranger") is None


def test_the_functions_list_rename_and_delete(named_table: str) -> None:
    made = [create_conversation("alice", title=f"Chat {number}") for number in range(3)]
    listed = list_conversations("alice", limit=2)
    assert [one["conversation_id"] for one in listed] == made[:0:-1]
    assert listed[0].keys() >= {"user_id", "title", "created_at", "updated_at", "message_count"}
    rename_conversation(made[0], "alice", "Renamed")
    with pytest.raises(ConversationNotFoundError):
        rename_conversation(made[0], "bob", "Mine")
    assert delete_conversation(made[1], "bob") is False
    assert delete_conversation(made[1], "alice") is True
    assert delete_conversation(made[1], "alice") is False
    assert [one["title"] for one in list_conversations("alice")] == ["Chat 2", "Renamed"]


def test_the_functions_share_a_client_until_the_environment_names_another_table(
    named_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def making(self: Any, name: str, **options: Any) -> None:
        made.append(name)
        conversations_init(self, name, **options)

    conversations_init = Conversations.__init__
    monkeypatch.setattr(Conversations, "__init__", making)
    for _ in range(3):
        create_conversation("alice")
        list_conversations("alice")
    assert made == [named_table]
    monkeypatch.setenv("DYNAMODB_TABLE_NAME", "no-such-table")
    with pytest.raises(TableNotFoundError):
        list_conversations("alice")
    assert made == [named_table, "no-such-table"]


ADDED_REQUESTS = {"nothing": 2, "messages in the row": 2, "messages that have left the row": 3, "checkpoints": 7}
"""Requests that add a message, by what a conversation has; without checkpoints one more where a page leaves the row."""


@pytest.mark.parametrize("has", ADDED_REQUESTS)
@pytest.mark.parametrize("user_id", [None, "alice"])
def test_adding_a_message_takes_few_requests(
    make_saver: MakeSaver, client: Any, table_name: str, has: str, user_id: str | None
) -> None:
    saver = make_saver(row_bytes=1000)
    config = saver.new_conversation("alice")
    thread_id = config["configurable"]["thread_id"]
    if has == "checkpoints":
        graph_on(saver).invoke(said("hello"), config)
    else:
        saver.conversations.create("alice", conversation_id=thread_id)
        for number in range({"nothing": 0, "messages in the row": 2}.get(has, 12)):
            saver.conversations.add_message(thread_id, "user", f"{number} {'words ' * 20}", user_id="alice")
    fresh = make_saver(row_bytes=1000).conversations
    with RequestLog(client) as log:
        fresh.add_message(thread_id, "user", "from outside", user_id=user_id)
    operations = [request.operation for request in log.requests]
    pages = operations.count("PutItem") if has != "checkpoints" else 0
    assert len(operations) - pages <= ADDED_REQUESTS[has], operations
    assert fresh.get(thread_id, "alice").messages[-1].content == "from outside"


def test_a_message_that_is_added_while_the_first_run_begins_reaches_its_state(
    make_saver: MakeSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver, outside = make_saver(), make_saver().conversations
    config = saver.new_conversation("alice")
    thread_id = config["configurable"]["thread_id"]
    outside.create("alice", conversation_id=thread_id)
    owned = outside._runtime.directory.owned

    def overtaken(*which: Any) -> Any:
        looked_up = owned(*which)
        graph_on(saver).invoke(said("hello"), config)
        return looked_up

    monkeypatch.setattr(outside._runtime.directory, "owned", overtaken)
    outside.add_message(thread_id, "user", "from outside", user_id="alice")
    words = ["hello", "answer 1", "from outside"]
    assert [one.content for one in outside.get(thread_id, "alice").messages] == words
    assert [one.content for one in graph_on(saver).get_state(config).values["messages"]] == words


def test_export_gives_every_conversation_in_each_format(chats: Conversations) -> None:
    for n in range(3):
        made = chats.create("alice", title=f"chat {n}")
        chats.add_message(made.conversation_id, "user", f"hello {n}\nthere")
        calls = [{"tool": "search", "args": {"q": "x"}, "result": {"n": 1}}, {"tool": "wait", "args": {}}]
        chats.add_message(made.conversation_id, "assistant", "done", tool_calls=calls)
    lines = "".join(chats.export("alice")).splitlines()
    assert [json.loads(line)["title"] for line in lines] == ["chat 2", "chat 1", "chat 0"]
    assert json.loads("".join(chats.export("alice", format="json"))) == [json.loads(line) for line in lines]
    assert json.loads("".join(chats.export("nobody", format="json"))) == []
    text = "".join(chats.export("alice", made.conversation_id, format="markdown"))
    for part in ("# chat 2", "hello 2\nthere", '`search({"q": "x"})`', "(no result yet)", "done"):
        assert part in text
    with pytest.raises(ValueError, match="format"):
        chats.export("alice", format="xml")


async def test_every_call_has_an_async_twin_that_gives_the_same(chats: Conversations) -> None:
    made = await chats.acreate("alice", title="one")
    await chats.aadd_message(made.conversation_id, "user", "hi")
    await chats.arename(made.conversation_id, "alice", "two")
    assert (await chats.aget(made.conversation_id, "alice")).to_dict() == chats.get(
        made.conversation_id, "alice"
    ).to_dict()
    assert await chats.alist("alice") == chats.list("alice")
    assert await chats.alatest("alice") == chats.latest("alice")
    assert await chats.acount("alice") == 1
    assert [piece async for piece in chats.aexport("alice")] == list(chats.export("alice"))
    assert await chats.adelete(made.conversation_id, "alice") == 1
    assert (await chats.adelete_user("alice")).conversations == 0


def test_a_title_function_names_a_conversation_after_its_first_exchange(make_saver: MakeSaver) -> None:
    asked: list[Any] = []

    def title(messages: list[Message]) -> str:
        asked.append([(message.role, message.content) for message in messages])
        return "About greetings"

    saver = make_saver(title=title)
    graph, config = graph_on(saver), saver.new_conversation("alice")
    graph.invoke(said("hello"), config)
    saver.close()
    assert saver.conversations.list("alice")[0].title == "About greetings"
    graph.invoke(said("more"), config)
    saver.close()
    assert asked == [[("user", "hello"), ("assistant", "answer 1")]]


def test_a_title_function_that_gives_no_text_changes_nothing(make_saver: MakeSaver) -> None:
    def title(messages: list[Message]) -> Any:
        return None

    saver = make_saver(title=title)
    graph_on(saver).invoke(said("hello"), saver.new_conversation("alice"))
    saver.close()
    assert saver.conversations.list("alice")[0].title == "hello"


def test_a_title_function_that_fails_harms_nothing(make_saver: MakeSaver) -> None:
    def title(messages: list[Message]) -> str:
        raise RuntimeError("no model")

    saver = make_saver(title=title)
    graph_on(saver).invoke(said("hello"), saver.new_conversation("alice"))
    saver.close()
    assert saver.conversations.list("alice")[0].title == "hello"


def test_an_encrypted_transcript_is_readable_with_the_key_alone(
    make_saver: MakeSaver, client: Any, table_name: str
) -> None:
    serde = EncryptedSerializer.from_pycryptodome_aes(key=b"0" * 32)
    saver = make_saver(serde=serde, row_bytes=512)
    graph, config = graph_on(saver), saver.new_conversation("alice")
    for n in range(6):
        graph.invoke(said(f"secret {n} " + "y" * 200), config)
    stored = repr(client.scan(TableName=table_name)["Items"])
    assert "secret" not in stored
    assert "yyyy" not in stored
    reader = Conversations(table_name, client=client, serde=serde)
    assert reader.list("alice")[0].title.startswith("secret 0")
    assert len(reader.get(config["configurable"]["thread_id"], "alice").messages) == 12


def test_an_encrypted_state_can_have_a_plain_transcript_on_request(
    make_saver: MakeSaver, client: Any, table_name: str
) -> None:
    serde = EncryptedSerializer.from_pycryptodome_aes(key=b"0" * 32)
    saver = make_saver(serde=serde, encrypt_transcript=False)
    graph_on(saver).invoke(said("public"), saver.new_conversation("alice"))
    items = client.scan(TableName=table_name)["Items"]
    assert [item["title"]["S"] for item in items if "title" in item] == ["public"]
    assert "public" not in repr([item for item in items if "title" not in item])


def test_a_message_too_large_for_an_item_is_shown_short_and_read_whole(
    make_saver: MakeSaver, client: Any, table_name: str
) -> None:
    saver = make_saver()
    graph, config = graph_on(saver), saver.new_conversation("alice")
    texts = ["small", "large " + "z" * 300_000, "huge " + "q" * 900_000, "small again"]
    for text in texts:
        graph.invoke(said(text), config)
    conversation_id = config["configurable"]["thread_id"]
    whole = saver.conversations.get(conversation_id, "alice")
    assert [m.content for m in whole.messages if m.role == "user"] == texts
    key = {"conversation_id": {"S": conversation_id}, "user_id": {"S": "alice"}}
    row = client.get_item(TableName=table_name, Key=key)["Item"]
    assert len(repr(row)) < 10_000


def test_without_a_transcript_no_write_of_the_row_is_refused(make_saver: MakeSaver, client: Any) -> None:
    config = make_saver().new_conversation("alice")
    graph_on(make_saver(transcript=False)).invoke(said("one"), config)
    with RequestLog(client) as log:
        graph_on(make_saver(transcript=False)).invoke(said("two"), config)
    failed = [request for request in log.requests if request.error == "ConditionalCheckFailedException"]
    assert failed == []


@pytest.mark.parametrize("state", [True, False], ids=["with a state", "without one"])
def test_a_message_that_is_added_again_by_its_id_is_there_once(make_saver: MakeSaver, state: bool) -> None:
    chats = make_saver().conversations
    if state:
        put(make_saver(), 1, {"messages": [HumanMessage("first", id="1")]})
    else:
        chats.create("demo", conversation_id="thread")
    for _ in range(2):
        for number in range(3):
            calls = [{"tool": "t", "args": {}, "result": 1}]
            chats.add_message(
                "thread", "assistant", "same", user_id="demo", tool_calls=calls, message_id=f"id {number}"
            )

    expected = ["first"] * state + ["same"] * 3
    assert [message.content for message in make_saver().conversations.get("thread", "demo").messages] == expected
    held = values_of(make_saver())["messages"]
    assert [message.content for message in held if message.type != "tool" and message.content] == expected
    assert len({message.id for message in held}) == len(held) == state + 9
