"""Values of any size: stored once, in parts, referred to by many checkpoints, gone with their conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from langgraph_dynamo_conv.errors import CorruptDataError
from tests.conftest import MakeSaver
from tests.factories import USER, checkpoint_id, config, items_of, noise, put, sort_keys, stored_bytes, values_of
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MB = 1024 * 1024


@pytest.mark.parametrize("size", [24 * 1024, 300 * 1024, 350 * 1024, 350 * 1024 + 1, 700 * 1024, 5 * MB])
def test_a_value_of_any_size_comes_back(make_saver: MakeSaver, size: int) -> None:
    value = noise(size)
    put(make_saver(), 1, {"whole": value, "listed": ["small", value], "named": {"a": value}})

    assert values_of(make_saver()) == {"whole": value, "listed": ["small", value], "named": {"a": value}}


@pytest.mark.engine("dynamodb-local")
def test_a_value_of_twenty_megabytes_comes_back(make_saver: MakeSaver) -> None:
    value = noise(20 * MB)
    put(make_saver(), 1, {"document": value})

    assert values_of(make_saver())["document"] == value


def test_a_state_of_five_megabytes_comes_back(make_saver: MakeSaver) -> None:
    saver, items = make_saver(), [noise(10_000, number) for number in range(500)]
    put(saver, 1, {"items": items})
    items.append(b"last")
    put(saver, 2, {"items": items}, parent=1)

    assert values_of(make_saver())["items"] == items
    assert values_of(saver)["items"] == items


def test_a_state_that_grows_by_large_elements_comes_back(make_saver: MakeSaver) -> None:
    saver, items = make_saver(), []
    for number in range(1, 81):
        items.append(noise(10_000, number))
        put(saver, number, {"items": items}, parent=number - 1 or None)

    assert values_of(make_saver())["items"] == items
    assert values_of(make_saver(), config(number=40))["items"] == items[:40]


def test_a_change_too_large_for_an_item_comes_back(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver = make_saver()
    put(saver, 1, {"items": []})
    items = [noise(10_000, number) for number in range(60)]
    put(saver, 2, {"items": items}, parent=1)
    put(saver, 3, {"items": [*items, 1]}, parent=2)

    assert values_of(make_saver())["items"] == [*items, 1]
    assert values_of(make_saver(), config(number=2))["items"] == items
    assert values_of(saver)["items"] == [*items, 1]


def test_a_large_value_is_stored_once_over_many_checkpoints(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver, value = make_saver(), noise(MB)
    for number in range(1, 61):
        put(saver, number, {"document": value, "items": [number, value], "step": number}, parent=number - 1 or None)

    assert len(sort_keys(items_of(client, table_name), "p")) == 3
    assert stored_bytes(items_of(client, table_name)) < 1.1 * MB
    assert values_of(make_saver())["items"] == [60, value]


def test_a_value_that_another_saver_stored_is_not_stored_again(make_saver: MakeSaver, client: DynamoDBClient) -> None:
    value = noise(MB)
    put(make_saver(), 1, {"document": value})
    saver = make_saver(transcript=False)
    state = values_of(saver)
    with RequestLog(client) as log:
        put(saver, 2, {**state, "moved": [state["document"]]}, parent=1)

    (checkpoint,) = [request for request in log.requests if request.operation == "PutItem"]
    assert checkpoint.request_bytes < 1000
    assert values_of(make_saver())["moved"] == [value]


def test_parts_are_written_before_the_checkpoint_that_refers_to_them(
    make_saver: MakeSaver, client: DynamoDBClient
) -> None:
    saver = make_saver(transcript=False)
    with RequestLog(client) as log:
        put(saver, 1, {"document": noise(MB), "items": [noise(10_000, number) for number in range(100)]})

    written = [request.table_key[1] for request in log.requests if request.operation == "PutItem" and request.table_key]
    assert "#c#" in written[-1]
    assert all("#c#" not in key for key in written[:-1])
    assert {key.split("#")[1] for key in written} == {"c", "p", "s"}


def test_what_compresses_well_is_not_made_a_value(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    put(make_saver(), 1, {"document": "word " * 200_000})

    assert sort_keys(items_of(client, table_name), "p") == []
    assert values_of(make_saver())["document"] == "word " * 200_000


def test_an_encrypted_value_comes_back_and_is_stored_once(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    serde = EncryptedSerializer.from_pycryptodome_aes(key=b"k" * 32)
    saver, value = make_saver(serde=serde), noise(MB)
    for number in range(1, 31):
        put(saver, number, {"document": value, "step": number}, parent=number - 1 or None)

    assert values_of(make_saver(serde=serde))["document"] == value
    assert stored_bytes(items_of(client, table_name), "p") < 1.01 * MB


def test_a_large_value_that_left_the_state_comes_back_with_an_old_checkpoint(make_saver: MakeSaver) -> None:
    saver, value = make_saver(), noise(MB)
    put(saver, 1, {"document": value})
    put(saver, 2, {"document": "small"}, parent=1)

    assert values_of(saver)["document"] == "small"
    assert values_of(saver, config(number=1))["document"] == value


def test_a_large_value_does_not_stand_in_for_metadata_of_the_same_text(make_saver: MakeSaver) -> None:
    saver, text = make_saver(), noise(30_000).hex()
    put(saver, 1, {"document": text})
    put(saver, 2, {"document": text}, parent=1, at=config(document=text))

    for reader in (saver, make_saver()):
        (newest, _) = reader.list(config())
        assert newest.metadata["document"] == text  # type: ignore[typeddict-item]
        assert newest.checkpoint["channel_values"] == {"document": text}
    assert len(list(saver.list(config(), filter={"document": text}))) == 1


@pytest.mark.parametrize("characters", [100_000, 2 * MB])
def test_large_metadata_comes_back(make_saver: MakeSaver, characters: int) -> None:
    saver, text = make_saver(), noise(characters // 2).hex()
    for number in range(1, 31):
        put(saver, number, {"step": number}, parent=number - 1 or None, at=config(document=text))

    found = make_saver().get_tuple(config())
    assert found is not None
    assert found.metadata["document"] == text  # type: ignore[typeddict-item]


def test_a_missing_part_is_damage(make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> None:
    put(make_saver(), 1, {"document": noise(MB)})
    part = sort_keys(items_of(client, table_name), "p")[1]
    client.delete_item(TableName=table_name, Key={"conversation_id": {"S": "thread"}, "user_id": {"S": part}})

    with pytest.raises(CorruptDataError, match="parts of a value are missing or damaged"):
        make_saver().get_tuple(config())


def test_a_missing_segment_is_damage(make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> None:
    put(make_saver(), 1, {"items": [noise(5000, number) for number in range(20)]})
    (segment,) = sort_keys(items_of(client, table_name), "s")
    client.delete_item(TableName=table_name, Key={"conversation_id": {"S": "thread"}, "user_id": {"S": segment}})

    with pytest.raises(CorruptDataError, match="demo#c##1f000001.* can't be rebuilt"):
        make_saver().get_tuple(config())


def test_parts_and_segments_are_deleted_with_their_conversation(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver = make_saver()
    for thread in ("thread", "other"):
        put(
            saver, 1, {"document": noise(MB), "items": [noise(5000, number) for number in range(20)]}, at=config(thread)
        )
    saver.delete_thread("thread")

    assert {item["conversation_id"]["S"] for item in items_of(client, table_name)} == {"other"}
    assert values_of(make_saver(), config("other"))["document"] == noise(MB)


def test_a_value_is_stored_anew_after_its_conversation_was_deleted(make_saver: MakeSaver) -> None:
    saver, value = make_saver(), noise(MB)
    put(saver, 1, {"document": value})
    saver.put_writes(config(number=1), [("document", value)], "task")
    saver.delete_thread("thread")
    put(saver, 2, {"document": value})

    assert values_of(make_saver())["document"] == value


def test_a_message_is_edited_where_older_states_have_large_values_and_not_the_message(make_saver: MakeSaver) -> None:
    question, answer = HumanMessage("hello", id="q"), AIMessage("a secret", id="a")
    document = noise(30_000)
    put(make_saver(), 1, {"messages": [question], "document": document})
    put(make_saver(), 2, {"messages": [question, answer], "document": document}, parent=1)
    saver = make_saver(cache_bytes=0)
    shown = saver.conversations.get("thread", USER).messages[-1]

    done = saver.conversations.edit_message("thread", shown.id, "(redacted)", user_id=USER)

    assert done.held_by == (checkpoint_id(2),)
    assert values_of(saver)["document"] == document
    assert [message.content for message in values_of(saver)["messages"]] == ["hello", "(redacted)"]
