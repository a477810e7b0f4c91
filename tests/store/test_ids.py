"""Ids: bad ones are refused before any request, and a user reaches only their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import ConversationNotFoundError, UserRequiredError
from tests.conftest import MakeSaver
from tests.factories import checkpoint, config, items_of, put, values_of
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BAD_CONFIGS = {
    "user with a hash": (config(user_id="a#b"), "a user_id is a non-empty string without '#'"),
    "empty user": (config(user_id=""), "a user_id is a non-empty string"),
    "user that is a number": (config(user_id=7), "got a int"),  # type: ignore[arg-type]
    "user too long": (config(user_id="u" * 257), "at most 256 bytes; got 257 bytes"),
    "thread that is a number": (config(7), "a thread_id .* new_conversation"),  # type: ignore[arg-type]
    "thread with a hash": (config("run#1"), "a thread_id .* without '#'"),
    "empty thread": (config(""), "a thread_id"),
    "checkpoint with a space": (config(checkpoint_id="a b"), "a checkpoint_id is 1 to 128 letters"),
    "namespace that is a number": (config(ns=7), "checkpoint_ns is a string"),  # type: ignore[arg-type]
}


def calls(saver: DynamoDBConversationSaver, at: Any) -> dict[str, Any]:
    return {
        "get_tuple": lambda: saver.get_tuple(at),
        "list": lambda: list(saver.list(at)),
        "put": lambda: saver.put(at, checkpoint(1, {}), {}, {}),
        "put_writes": lambda: saver.put_writes(at, [("a", 1)], "task"),
        "delta": lambda: saver.get_delta_channel_history(config=at, channels=["a"]),
    }


@pytest.mark.parametrize(("at", "rule"), BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_a_bad_id_is_refused_before_any_request(
    saver: DynamoDBConversationSaver, client: DynamoDBClient, at: Any, rule: str
) -> None:
    with RequestLog(client) as log:
        for call in calls(saver, at).values():
            with pytest.raises(ValueError, match=rule):
                call()

    assert log.operations == []


def test_no_user_is_an_error_before_any_request(make_saver: MakeSaver, client: DynamoDBClient) -> None:
    saver = make_saver(default_user_id=None)
    with RequestLog(client) as log:
        for call in calls(saver, config(user_id=None)).values():
            with pytest.raises(UserRequiredError, match="the config names no user"):
                call()
        for call in (saver.new_conversation, saver.resume):
            with pytest.raises(UserRequiredError):
                call()

    assert log.operations == []


@pytest.mark.parametrize(
    "call",
    [
        lambda saver: saver.delete_thread("a#b"),
        lambda saver: saver.delete_thread(7),
        lambda saver: saver.delete_thread("a", user_id="a#b"),
        lambda saver: saver.delete_for_runs([7]),
        lambda saver: saver.copy_thread("a", "b#"),
        lambda saver: saver.copy_thread("", "b"),
        lambda saver: saver.prune(["a#"]),
        lambda saver: saver.prune(["a"], user_id=""),
        lambda saver: saver.new_conversation("a#b"),
        lambda saver: saver.new_conversation("alice", title=7),
        lambda saver: saver.resume("\x00"),
        lambda saver: saver.put(config(), {**checkpoint(1, {}), "id": "a#b"}, {}, {}),
        lambda saver: saver.put(config(), {**checkpoint(1, {}), "id": 7}, {}, {}),
        lambda saver: saver.put_writes(config(number=1), [("a", 1)], 7),
        lambda saver: saver.put_writes(config(number=1), [("a", 1)], "task", 7),
        lambda saver: list(saver.list(config(), before=config(checkpoint_id="a b"))),
    ],
)
def test_bad_arguments_are_refused_before_any_request(
    saver: DynamoDBConversationSaver, client: DynamoDBClient, call: Any
) -> None:
    with RequestLog(client) as log, pytest.raises(ValueError, match=r" is | has "):
        call(saver)

    assert log.operations == []


def test_what_is_no_checkpoint_is_refused_before_any_request(
    saver: DynamoDBConversationSaver, client: DynamoDBClient
) -> None:
    bad: Any
    with RequestLog(client) as log:
        for bad in ({"channel_values": [1]}, {"channel_values": {1: 2}}, {"channel_versions": [1]}):
            with pytest.raises(ValueError, match=r"a checkpoint's channel_v\w+ (is|has)"):
                saver.put(config(), {**checkpoint(1, {}), **bad}, {}, {})
        with pytest.raises(ValueError, match="a checkpoint has channel_values"):
            saver.put(config(), {"id": "1"}, {}, {})  # type: ignore[typeddict-item]

    assert log.operations == []


def test_the_user_is_the_servers_word_then_the_configs_then_the_default(make_saver: MakeSaver) -> None:
    saver = make_saver(default_user_id="default")

    assert put(saver, 1, {}, at=config("a", user_id=None, langgraph_auth_user_id="l"))["configurable"]["user_id"] == "l"
    assert put(saver, 1, {}, at=config("b", user_id="u"))["configurable"]["user_id"] == "u"
    assert put(saver, 1, {}, at=config("c", user_id=None))["configurable"]["user_id"] == "default"


def test_a_user_reaches_only_their_own(make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> None:
    saver = make_saver()
    put(saver, 1, {"messages": [HumanMessage("alice's", id="1")]}, at=config(user_id="alice"))
    saver.put_writes(config(number=1, user_id="alice"), [("a", "alice's")], "task")
    before = [item for item in items_of(client, table_name) if item["user_id"]["S"].startswith("alice#")]
    for stranger in ("mallory", "alic", "alice2", "Alice", "alice "):
        at = config(user_id=stranger)
        assert saver.get_tuple(at) is None
        assert saver.get_tuple(config(number=1, user_id=stranger)) is None
        assert list(saver.list(at)) == []
        assert list(saver.conversations.list(stranger)) == []
        with pytest.raises(ConversationNotFoundError):
            saver.conversations.get("thread", stranger)
        put(saver, 1, {"messages": [HumanMessage("theirs", id="1")]}, at=at)
        saver.put_writes(config(number=1, user_id=stranger), [("a", "theirs")], "task")
        saver.delete_thread("thread", user_id=stranger)

    assert values_of(make_saver(), config(user_id="alice"))["messages"][0].content == "alice's"
    assert [item for item in items_of(client, table_name) if item["user_id"]["S"].startswith("alice#")] == before


@pytest.mark.parametrize(
    "user", ["é" * 128, "alice@example.com", "us-east-1:0f-1", "a b", "%23", "~", "$", "a:b|c", "\U0001f600"]
)
def test_unusual_user_ids_work(make_saver: MakeSaver, user: str) -> None:
    saver = make_saver()
    put(saver, 1, {"messages": [HumanMessage("hi", id="1")]}, at=config(user_id=user, ns="n" * 900))
    put(saver, 1, {"messages": [HumanMessage("hi", id="1")]}, at=config(user_id=user))
    saver.put_writes(config(number=1, user_id=user, ns="n" * 900), [("a", 1)], "t" * 900)

    found = make_saver().get_tuple(config(user_id=user, ns="n" * 900))
    assert found is not None
    assert found.pending_writes == [("t" * 900, "a", 1)]
    assert [one.user_id for one in saver.conversations.list(user)] == [user]


def test_composed_and_decomposed_users_are_two(saver: DynamoDBConversationSaver) -> None:
    put(saver, 1, {"a": 1}, at=config(user_id="e\u0301"))

    assert saver.get_tuple(config(user_id="\u00e9")) is None


@pytest.mark.parametrize("thread", ["t" * 1024, "é" * 512, "a b/c?d=%e", "~", "$"])
def test_unusual_thread_ids_work(saver: DynamoDBConversationSaver, thread: str) -> None:
    put(saver, 1, {"a": 1}, at=config(thread, run_id="r"))

    assert values_of(saver, config(thread)) == {"a": 1}
    saver.delete_for_runs(["r"])
    assert saver.get_tuple(config(thread)) is None


def test_a_new_conversation_is_a_uuid_of_its_user(saver: DynamoDBConversationSaver, client: DynamoDBClient) -> None:
    with RequestLog(client) as log:
        first, second = saver.new_conversation("alice")["configurable"], saver.new_conversation()["configurable"]

    assert log.operations == []
    assert first["user_id"] == "alice"
    assert second["user_id"] == "demo"
    assert first["thread_id"] != second["thread_id"]
    assert first["thread_id"][14] == "4"


def test_a_new_conversation_with_a_title_is_listed_at_once(saver: DynamoDBConversationSaver) -> None:
    made = saver.new_conversation("alice", title="Renders")

    (listed,) = saver.conversations.list("alice")
    assert (listed.title, listed.conversation_id, listed.message_count) == (
        "Renders",
        made["configurable"]["thread_id"],
        0,
    )
