"""Rows that other programs wrote in their own way: read as a person expects, and never in the way of others."""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress
from typing import Any
from unittest.mock import ANY

import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph

from langgraph_dynamo_conv import Conversations, DynamoDBConversationSaver
from langgraph_dynamo_conv._format.attributes import to_attribute
from langgraph_dynamo_conv.conversations import ConversationSummary, _listing
from langgraph_dynamo_conv.errors import ConversationNotFoundError, CorruptDataError
from tests.conftest import MakeSaver
from tests.requests_log import RequestLog
from tests.store.every_item import OF_EVERY_TYPE

BORN = "2025-12-30T14:00:00Z"
SAID = [{"role": "user", "content": "hello", "timestamp": BORN}, {"role": "assistant", "content": "hi"}]

OURS = ("version", "head", "first", "incarnation", "sealed")
LENIENT = (
    "title",
    "messages",
    "message_count",
    "updated_at",
    "status",
    "live_until",
    "expires_at",
    "blobs",
    "foreign",
    "theirs",
)


def put_row(client: Any, table_name: str, messages: Any = SAID, **more: dict[str, Any]) -> str:
    """A row with the documented attributes, and some in DynamoDB's own form instead; gives its conversation id."""
    thread_id = str(uuid.uuid4())
    row: dict[str, Any] = {
        "conversation_id": thread_id,
        "user_id": "alice",
        "title": "theirs",
        "created_at": BORN,
        "updated_at": BORN,
    }
    row |= {"message_count": len(messages) if isinstance(messages, list) else 2}
    item = {name: to_attribute(value) for name, value in row.items()}
    client.put_item(TableName=table_name, Item={**item, "messages": to_attribute(messages), **more})
    return thread_id


def config_of(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id, "user_id": "alice"}}


def talk(saver: DynamoDBConversationSaver, thread_id: str) -> list[Any]:
    builder = StateGraph(MessagesState).add_node("a", lambda _: {"messages": [AIMessage("new answer")]})
    graph: Any = builder.add_edge(START, "a").compile(checkpointer=saver)
    found: list[Any] = graph.invoke({"messages": [("user", "new question")]}, config_of(thread_id))["messages"]
    return found


def row_of(client: Any, table_name: str, thread_id: str) -> dict[str, Any]:
    key = {"conversation_id": {"S": thread_id}, "user_id": {"S": "alice"}}
    item: dict[str, Any] = client.get_item(TableName=table_name, Key=key, ConsistentRead=True)["Item"]
    return item


def is_readable(saver: DynamoDBConversationSaver, thread_id: str) -> bool:
    with suppress(CorruptDataError):
        return bool(saver.conversations.get(thread_id, "alice"))
    return False


@pytest.mark.parametrize("kind", OF_EVERY_TYPE)
@pytest.mark.parametrize("name", [*OURS, *LENIENT])
def test_an_attribute_of_any_type_breaks_neither_the_list_nor_a_run(
    make_saver: MakeSaver, client: Any, table_name: str, name: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    saver, odd = make_saver(), put_row(client, table_name, **{name: OF_EVERY_TYPE[kind]})
    usual = put_row(client, table_name)
    before = row_of(client, table_name, odd)

    for order in ("created_at", "updated_at"):
        assert {one.conversation_id for one in saver.conversations.list("alice", order_by=order)} == {odd, usual}
    if name in OURS and not is_readable(saver, odd):
        with caplog.at_level(logging.WARNING):
            assert [message.text for message in talk(saver, odd)] == ["new question", "new answer"]
        assert any(name in record.getMessage() for record in caplog.records)
        assert any(name in one.problem for one in saver.conversations.verify(odd, "alice").damage)
        with pytest.raises(CorruptDataError, match=name) as error:
            saver.conversations.get(odd, "alice")
        assert error.value.key == f"{odd} / alice"
        assert row_of(client, table_name, odd) == before
        return
    chat = saver.conversations.get(odd, "alice")
    assert len(chat.messages) == chat.message_count
    assert len({message.id for message in chat.messages}) == chat.message_count
    adopted = talk(saver, odd)
    assert len(adopted) == chat.message_count + 2
    after = saver.conversations.get(odd, "alice")
    assert [message.content for message in after.messages] == [message.text for message in adopted]
    assert after.message_count == chat.message_count + 2
    documented = {"S"} if name in ("title", "updated_at", "status") else {"L"} if name == "messages" else {"N"}
    verified = saver.conversations.verify(odd, "alice")
    assert verified.ok or {kind} != documented


@pytest.mark.parametrize(
    ("messages", "shown"),
    [
        ([{"role": "user", "content": "q"}, {"role": "assistant", "content": None}], ["user q", "assistant "]),
        ([{"role": "user", "content": [{"text": "q"}]}, {"role": "assistant"}], ["user q", "assistant "]),
        ([{"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "text", "text": "r"}]}], ["user qr"]),
        ([{"type": "human", "content": "q"}, {"type": "ai", "content": "a"}], ["user q", "assistant a"]),
        ([{"role": "USER", "content": "q"}, {"role": "bot", "content": "a"}], ["user q", "assistant a"]),
        ([{"role": "developer", "content": "d"}, {"role": "Agent 7", "content": 5}], ["system d", "assistant 5"]),
        (["q", ["ai", "a"]], ["user q", "assistant a"]),
        ("q", ["user q"]),
        ([], []),
    ],
)
def test_messages_in_other_shapes_are_read_alike_in_the_transcript_and_in_the_state(
    make_saver: MakeSaver, client: Any, table_name: str, messages: Any, shown: list[str]
) -> None:
    saver, thread_id = make_saver(), put_row(client, table_name, messages)
    types = {"human": "user", "ai": "assistant", "system": "system"}

    chat = saver.conversations.get(thread_id, "alice")
    assert [f"{message.role} {message.content}" for message in chat.messages] == shown
    offered = saver.get_tuple(config_of(thread_id))
    state = offered.checkpoint["channel_values"]["messages"] if offered else []
    assert [f"{types[message.type]} {message.content}" for message in state] == shown


@pytest.mark.parametrize(
    ("call", "meaning"),
    [
        ({"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}, ("f", {"x": 1})),
        ({"name": "f", "args": {"x": 1}, "type": "tool_call"}, ("f", {"x": 1})),
        ({"tool": "f", "args": "x"}, ("f", {"_raw": "x"})),
        ({"name": "f", "input": {"x": 1}}, ("f", {"x": 1})),
        ({"tool": "f", "args": {"x": [2**70]}}, ("f", {"x": [2**70]})),
        ({"function": "f", "arguments": "not JSON"}, ("f", {"_raw": "not JSON"})),
        ({}, ("unknown", {})),
    ],
)
def test_tool_calls_in_other_shapes_are_shown_and_given_to_the_agent(
    make_saver: MakeSaver, client: Any, table_name: str, call: dict[str, Any], meaning: tuple[str, dict[str, Any]]
) -> None:
    saver = make_saver()
    for calls in ([call], call):
        thread_id = put_row(client, table_name, [{"role": "assistant", "content": "", "tool_calls": calls}])
        (shown,) = saver.conversations.get(thread_id, "alice").messages[0].tool_calls
        assert (shown.tool, shown.args, shown.pending) == (*meaning, True)
        offered = saver.get_tuple(config_of(thread_id))
        assert offered is not None
        (made,) = offered.checkpoint["channel_values"]["messages"][0].tool_calls
        assert (made["name"], made["args"]) == meaning


@pytest.mark.parametrize("count", [{"N": "99999999"}, {"N": "-3"}, {"N": "1.5"}, {"N": "1"}, {"S": "2"}, {"S": "two"}])
def test_a_wrong_count_shows_the_messages_that_there_are_and_costs_nothing(
    make_saver: MakeSaver, client: Any, table_name: str, count: dict[str, Any]
) -> None:
    saver, thread_id = make_saver(), put_row(client, table_name, message_count=count)

    with RequestLog(client) as log:
        chat = saver.conversations.get(thread_id, "alice")
    assert len(log.requests) <= 2
    assert (chat.message_count, [message.content for message in chat.messages]) == (2, ["hello", "hi"])
    page = saver.conversations.get(thread_id, "alice", limit=1)
    assert (page.first, [message.id for message in page.messages]) == (1, [chat.messages[1].id])
    talk(saver, thread_id)
    assert saver.conversations.get(thread_id, "alice").message_count == 4
    assert saver.conversations.verify(thread_id, "alice").ok


@pytest.mark.parametrize("count", [{"N": "99999999"}, {"S": "many"}, {"N": "0"}])
def test_a_count_that_was_spoiled_later_is_made_good_from_the_older_messages(
    make_saver: MakeSaver, client: Any, table_name: str, count: dict[str, Any]
) -> None:
    saver = make_saver(row_bytes=512)
    config = saver.new_conversation("alice")
    thread_id = config["configurable"]["thread_id"]
    for _ in range(12):
        talk(saver, thread_id)
    whole = saver.conversations.get(thread_id, "alice")
    row = row_of(client, table_name, thread_id)
    client.put_item(TableName=table_name, Item={**row, "message_count": count})

    reader = Conversations(table_name, client=client)
    assert reader.get(thread_id, "alice").messages == whole.messages
    assert any("message_count" in one.problem for one in reader.verify(thread_id, "alice").damage)


def test_a_time_of_another_type_neither_hides_a_conversation_nor_is_lost(
    make_saver: MakeSaver, client: Any, table_name: str
) -> None:
    odd: dict[str, Any] = {"expires_at": {"S": "next year"}, "status": {"BOOL": True}}
    saver, thread_id = make_saver(), put_row(client, table_name, **odd)

    saver.conversations.rename(thread_id, "alice", "renamed")

    assert [one.title for one in saver.conversations.list("alice")] == ["renamed"]
    assert row_of(client, table_name, thread_id).items() >= odd.items()


def test_times_in_seconds_and_milliseconds_are_times(client: Any, table_name: str) -> None:
    for number in ("1700000000", "1700000000000"):
        thread_id = put_row(client, table_name, updated_at={"N": number})
        chat = Conversations(table_name, client=client).get(thread_id, "alice")
        assert chat.updated_at == "2023-11-14T22:13:20.000000Z"


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_list_by_activity_goes_on_after_what_is_sorted_at_once(
    client: Any, table_name: str, newest_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_listing, "SORTED_AT_MOST", 4)
    chats = Conversations(table_name, client=client)
    made = [
        put_row(
            client, table_name, created_at={"S": f"2026-01-{day:02}"}, updated_at={"S": f"2026-02-{day * 7 % 11:02}"}
        )
        for day in range(1, 11)
    ]
    seen: list[ConversationSummary] = []
    cursor = None
    while True:
        page = chats.list("alice", order_by="updated_at", newest_first=newest_first, limit=3, cursor=cursor)
        seen += page
        cursor = page.cursor
        if cursor is None:
            break
        assert len(page) == 3
    assert sorted(one.conversation_id for one in seen) == sorted(made)
    times = [one.updated_at for one in seen]
    for first in (0, 4, 8):
        assert times[first : first + 4] == sorted(times[first : first + 4], reverse=newest_first)


def test_the_owner_of_a_conversation_is_found_without_knowing_a_user(client: Any, table_name: str) -> None:
    chats = Conversations(table_name, client=client)
    chats.create("alice", conversation_id="one")
    chats.create("alice", conversation_id="both")
    chats.create("bob", conversation_id="both")

    with RequestLog(client) as log:
        assert chats.owner("one") == "alice"
    assert {request.operation for request in log.requests} == {"Query"}
    assert len(log.requests) <= 3
    with pytest.raises(ValueError, match="several users"):
        chats.owner("both")
    with pytest.raises(ConversationNotFoundError):
        chats.owner("none")


def test_export_gives_all_that_can_be_read_before_it_names_what_can_not(client: Any, table_name: str) -> None:
    chats = Conversations(table_name, client=client)
    for more in ({}, {"version": {"S": "v2"}}, {}):
        put_row(client, table_name, **more)
    pieces = chats.export("alice")
    assert [next(pieces), next(pieces)] == [ANY, ANY]
    with pytest.raises(CorruptDataError, match="'version'"):
        next(pieces)
