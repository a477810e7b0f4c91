"""`verify` finds every damaged item and names it, and reads never give a wrong value where it finds one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import ConversationNotFoundError, CorruptDataError
from tests.conftest import MakeSaver
from tests.factories import USER, config, items_of, noise, put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KINDS = ("c", "w", "s", "p", "m")


def fill(saver: DynamoDBConversationSaver) -> None:
    """A conversation with items of every kind, a change and a full checkpoint among them."""
    messages: list[Any] = []
    for number in range(1, 41):
        messages += [HumanMessage(f"q {number}", id=f"q{number}"), AIMessage(noise(300, number).hex(), id=f"a{number}")]
    for number in (1, 2, 3):
        values = {"messages": messages[: 74 + 2 * number], "document": noise(40_000)}
        put(saver, number, values, parent=number - 1 or None)
        saver.put_writes(config(number=number), [("a", 1), ("b", noise(30_000, number))], "task")
    put(saver, 3, {"inner": 1}, at=config(ns="inner"))


@pytest.fixture(params=[None, "encrypted"])
def saver(request: Any, make_saver: MakeSaver) -> DynamoDBConversationSaver:
    serde = EncryptedSerializer.from_pycryptodome_aes(key=b"0" * 32) if request.param else None
    options = {"row_bytes": 512, "serde": serde}
    fill(make_saver(**options))
    return make_saver(cache_bytes=0, **options)


def kind_of(item: dict[str, Any]) -> str:
    return item["user_id"]["S"].split("#")[1] if "#" in item["user_id"]["S"] else "row"


def first_frame(item: dict[str, Any]) -> str:
    return next(name for name, value in item.items() if "B" in value)


def flip(item: dict[str, Any]) -> dict[str, Any]:
    name = first_frame(item)
    data = bytearray(bytes(item[name]["B"]))
    data[len(data) // 2] ^= 1
    return {**item, name: {"B": bytes(data)}}


def cut(item: dict[str, Any]) -> dict[str, Any]:
    name = first_frame(item)
    return {**item, name: {"B": bytes(item[name]["B"])[:-1]}}


def other_type(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, first_frame(item): {"N": "7"}}


def key_text(item: dict[str, Any]) -> str:
    return f"{item['conversation_id']['S']} / {item['user_id']['S']}"


def named(saver: DynamoDBConversationSaver) -> list[str]:
    return [damage.key for damage in saver.conversations.verify("thread", USER).damage]


def reads(saver: DynamoDBConversationSaver) -> list[Callable[[], Any]]:
    return [
        lambda: list(saver.list(config())),
        lambda: list(saver.list(config(ns="inner"))),
        lambda: saver.conversations.get("thread", USER),
    ]


def test_a_whole_conversation_has_no_damage(
    saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str
) -> None:
    items = items_of(client, table_name)
    assert {kind_of(item) for item in items} == {*KINDS, "row"}
    found = saver.conversations.verify("thread", USER)
    assert (found.ok, found.damage) == (True, ())
    assert (found.checkpoints, found.messages, found.items) == (4, 80, len(items))


@pytest.mark.parametrize("spoil", [flip, cut, other_type])
@pytest.mark.parametrize("kind", KINDS)
def test_every_damaged_item_is_named_and_never_read_as_something_else(
    saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str, kind: str, spoil: Callable[..., Any]
) -> None:
    whole = [read() for read in reads(saver)]
    of_kind = [item for item in items_of(client, table_name) if kind_of(item) == kind]
    spoilt = [item for item in of_kind if any("B" in value for value in item.values())]
    # Messages in plain text have no checksum: other programs may read and write them.
    assert bool(spoilt) == (kind != "m" or isinstance(saver.serde, EncryptedSerializer))
    for item in spoilt[-1:]:
        client.put_item(TableName=table_name, Item=spoil(item))
        shown = key_text(item).rpartition("#")[0] if kind == "p" else key_text(item)
        assert any(key.startswith(shown) for key in named(saver))
        for read, expected in zip(reads(saver), whole, strict=True):
            with suppress(CorruptDataError):
                assert read() == expected
        client.put_item(TableName=table_name, Item=item)
    assert named(saver) == []


@pytest.mark.parametrize("kind", ["c", "s", "p", "m"])
def test_what_is_missing_is_named(
    saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str, kind: str
) -> None:
    item = next(item for item in items_of(client, table_name) if kind_of(item) == kind)
    client.delete_item(TableName=table_name, Key={name: item[name] for name in ("conversation_id", "user_id")})

    found = saver.conversations.verify("thread", USER)
    assert not found.ok
    problems = " ".join(damage.problem for damage in found.damage)
    assert "missing" in problems or "can't be rebuilt" in problems


def test_swapped_items_are_named(saver: DynamoDBConversationSaver, client: DynamoDBClient, table_name: str) -> None:
    one, two = [item for item in items_of(client, table_name) if kind_of(item) == "c"][:2]
    for item, other in ((one, two), (two, one)):
        client.put_item(TableName=table_name, Item={**other, "user_id": item["user_id"]})

    assert {key_text(one), key_text(two)} <= set(named(saver))


async def test_it_is_for_the_owner_alone_and_has_a_twin(make_saver: MakeSaver) -> None:
    saver = make_saver()
    put(saver, 1, {"messages": [HumanMessage("hello", id="1")]})

    assert (await saver.conversations.averify("thread")).ok
    with pytest.raises(ConversationNotFoundError):
        saver.conversations.verify("thread", "mallory")


def test_no_word_of_a_message_is_in_what_it_says(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver = make_saver(row_bytes=512)
    put(saver, 1, {"messages": [HumanMessage("the secret word " * 100, id="1")]})
    for item in items_of(client, table_name):
        if any("B" in value for value in item.values()):
            client.put_item(TableName=table_name, Item=flip(item))

    assert "secret" not in repr(saver.conversations.verify("thread", USER))


def test_a_message_is_not_edited_where_pages_are_missing(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver = make_saver(row_bytes=512)
    messages = [HumanMessage(f"{number} " * 50, id=f"q{number}") for number in range(30)]
    put(saver, 1, {"messages": messages})
    first = saver.conversations.get("thread", USER).messages[0].id
    for item in items_of(client, table_name):
        if "#m#" in item["user_id"]["S"]:
            key = {name: item[name] for name in ("conversation_id", "user_id")}
            client.delete_item(TableName=table_name, Key=key)

    with pytest.raises(CorruptDataError, match="older messages are missing"):
        saver.conversations.edit_message("thread", first, "x", user_id=USER)
