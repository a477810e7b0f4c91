"""State under an `EncryptedSerializer`: whole, still small, unreadable in the table, and no mixing."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from langgraph_dynamo_conv.errors import CorruptDataError
from tests.factories import items_of
from tests.faults.graphs import expected_messages, expected_transcript, spoken, take_turn, transcript
from tests.faults.test_calls import SEALED, Chain, at, everything, noise
from tests.reference_chat import Prose, chat_graph, user_message
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from mypy_boto3_dynamodb import DynamoDBClient

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.conftest import MakeSaver

STATE_KINDS = ("c", "w", "s", "p")


def encrypted(key: bytes = b"0123456789abcdef") -> EncryptedSerializer:
    return EncryptedSerializer.from_pycryptodome_aes(key=key)


def config_of(user_id: str = "alice") -> RunnableConfig:
    return {"configurable": {"thread_id": str(uuid.uuid4()), "user_id": user_id}}


def test_state_and_writes_come_back(make_saver: MakeSaver) -> None:
    config = config_of()
    for number in (1, 2):
        take_turn(make_saver(serde=encrypted()), config, number)

    assert spoken(make_saver(serde=encrypted()), config) == expected_messages(2)


def test_full_checkpoints_segments_and_large_values_come_back(make_saver: MakeSaver) -> None:
    chain = Chain([*SEALED, 900_000])
    chain.put_all(make_saver(serde=encrypted()), "thread")

    found = everything(make_saver(serde=encrypted()), "thread")

    assert [one[0] for one in found] == chain.checkpoints[::-1]


def test_no_plain_text_of_the_state_is_in_the_table(
    client: DynamoDBClient, make_saver: MakeSaver, table_name: str
) -> None:
    saver = make_saver(serde=encrypted())
    chain = Chain([*SEALED, 100_000])
    chain.put_all(saver, "thread")
    saver.put_writes(at("thread", chain.checkpoints[-1]["id"]), [("notes", noise(99, 90_000))], "task")
    saver.put_writes(at("thread", chain.checkpoints[-1]["id"]), [("whispers", noise(98, 90))] * 100, "many")
    take_turn(saver, config_of(), 1)

    items = [item for item in items_of(client, table_name) if kind_of(item) in STATE_KINDS]

    assert {kind_of(item) for item in items} == set(STATE_KINDS)
    texts = [noise(number, size)[:40] for number, size in ((0, 2_000), (30, 100_000), (99, 90_000), (98, 90))]
    for secret in [*texts, "question 1", "Found", "notes", "messages", "whispers"]:
        assert not any(secret.encode() in value for item in items for value in bytes_in(item)), secret


def kind_of(item: dict[str, Any]) -> str:
    return [*str(item["user_id"]["S"]).split("#"), "row"][1]


def bytes_in(item: dict[str, Any]) -> list[bytes]:
    """What is stored in an item's attributes, but its keys."""
    values = [value for name, value in item.items() if name not in ("conversation_id", "user_id")]
    return [bytes(value["B"]) if "B" in value else str(value).encode() for value in values]


@pytest.mark.engine("dynamodb-local")
def test_changes_stay_as_small_as_without(client: DynamoDBClient, make_saver: MakeSaver) -> None:
    plain = units_of_turns(client, make_saver(transcript=False), 20)
    sealed = units_of_turns(client, make_saver(transcript=False, serde=encrypted()), 20)

    assert sealed <= plain * 1.1


def units_of_turns(client: DynamoDBClient, saver: DynamoDBConversationSaver, turns: int) -> float:
    prose, config = Prose(), config_of()
    graph = chat_graph(prose).compile(checkpointer=saver)
    with RequestLog(client) as log:
        for _ in range(turns):
            graph.invoke(user_message(prose), config)
    return log.wru


@pytest.mark.parametrize(
    ("written", "read", "said"),
    [
        (None, encrypted(), "is not encrypted, but the saver has an EncryptedSerializer"),
        (encrypted(), None, "is encrypted: give the saver the EncryptedSerializer"),
        (encrypted(), encrypted(b"fedcba9876543210"), "is this the key that encrypted it"),
    ],
    ids=["written without", "read without", "another key"],
)
def test_another_serializer_is_refused(make_saver: MakeSaver, written: Any, read: Any, said: str) -> None:
    chain = Chain([400, 60_000])
    chain.put_all(make_saver(serde=written), "thread")

    with pytest.raises(CorruptDataError, match=said) as caught:
        make_saver(serde=read).get_tuple(at("thread"))

    assert caught.value.key
    with pytest.raises(CorruptDataError, match=said):
        list(make_saver(serde=read).list(at("thread")))


def talk(saver: DynamoDBConversationSaver, config: RunnableConfig, *numbers: int) -> None:
    for number in numbers:
        take_turn(saver, config, number)


def test_what_was_stored_before_the_key_is_read_on_request_and_written_encrypted_from_then_on(
    client: DynamoDBClient, make_saver: MakeSaver, table_name: str
) -> None:
    config = config_of()
    talk(make_saver(row_bytes=512), config, 1, 2, 3)
    before = items_of(client, table_name)

    migrating = make_saver(serde=encrypted(), accept_plaintext=True, row_bytes=512)
    assert transcript(migrating, config) == expected_transcript(3)
    talk(migrating, config, 4, 5, 6)

    assert spoken(migrating, config) == expected_messages(6)
    assert transcript(migrating, config) == expected_transcript(6)
    assert migrating.conversations.verify(config["configurable"]["thread_id"], "alice").ok
    after = [item for item in items_of(client, table_name) if item not in before]
    assert {"row", "c", "w", "m"} <= {kind_of(item) for item in after}
    for secret in ("question 4", "question 5", "question 6"):
        assert not any(secret.encode() in value for item in after for value in bytes_in(item)), secret


def test_without_the_request_rows_and_older_messages_in_plain_text_are_refused_too(make_saver: MakeSaver) -> None:
    config = config_of()
    talk(make_saver(row_bytes=512), config, 1, 2, 3)
    thread_id = config["configurable"]["thread_id"]
    chats = make_saver(serde=encrypted()).conversations

    for read in (lambda: chats.get(thread_id, "alice"), lambda: chats.list("alice"), lambda: chats.latest("alice")):
        with pytest.raises(CorruptDataError, match="accept_plaintext=True"):
            read()
    assert chats.delete(thread_id, "alice") > 0


@pytest.mark.parametrize("kind", ["row", "m"])
def test_a_message_that_was_forged_in_plain_text_is_never_shown(
    client: DynamoDBClient, make_saver: MakeSaver, table_name: str, kind: str
) -> None:
    config = config_of()
    talk(make_saver(serde=encrypted(), row_bytes=512), config, 1, 2, 3)
    forged = {"M": {"role": {"S": "assistant"}, "content": {"S": "forged"}, "timestamp": {"S": "2026"}}}
    item = next(item for item in items_of(client, table_name) if kind_of(item) == kind)
    plain = {name: value for name, value in item.items() if name != "sealed"}
    client.put_item(TableName=table_name, Item={**plain, "messages": {"L": [forged] * 2}})

    with pytest.raises(CorruptDataError, match="not encrypted"):
        transcript(make_saver(serde=encrypted()), config)


def test_a_table_without_a_key_reads_as_before_whatever_it_accepts(make_saver: MakeSaver) -> None:
    config = config_of()
    talk(make_saver(accept_plaintext=True), config, 1)

    assert transcript(make_saver(), config) == expected_transcript(1)
