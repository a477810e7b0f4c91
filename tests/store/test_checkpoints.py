"""Checkpoints in the table: exact values back, warm or cold, on every branch, for few requests."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from pydantic import BaseModel

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import CorruptDataError
from tests.conftest import MakeSaver
from tests.factories import config, items_of, noise, put, read, sort_keys, values_of
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class File(BaseModel):
    name: str
    tags: list[str] = []


@dataclasses.dataclass
class Point:
    x: int
    y: float


class Colour(enum.Enum):
    RED = "red"


MODULE = __name__.split(".")
ALLOWED = [(__name__, "File"), (__name__, "Point"), (__name__, "Colour")]

VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "zero": 0,
    "negative zero": -0.0,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "largest integer": 2**64 - 1,
    "empty text": "",
    "text": "é \U0001f600 \x00 \n",
    "empty bytes": b"",
    "bytes": b"\x00\xff",
    "bytearray": bytearray(b"ab"),
    "empty list": [],
    "empty dict": {},
    "nested empties": {"a": [], "b": {}, "c": [[], {}, None]},
    "nested": {"a": [1, {"b": [2, {"c": [3]}]}], "d": {"e": {"f": {"g": None}}}},
    "ordered": {"z": 1, "a": 2, "m": {"y": 1, "b": 2}},
    "integer keys": {1: "a", 2: {3: "b"}},
    "list of nothing": [None, None],
    "mixed": [1, "1", 1.0, True, None, b"1", [1], {"1": 1}],
    "set": {1, 2, 3},
    "frozenset": frozenset({"a"}),
    "deque": deque([1, 2]),
    "datetime": datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc),
    "date": datetime.date(2026, 1, 2),
    "timedelta": datetime.timedelta(days=1, microseconds=1),
    "uuid": uuid.UUID(int=1),
    "decimal": decimal.Decimal("1.10"),
    "pydantic": File(name="a", tags=["b"]),
    "dataclass": Point(1, 2.5),
    "enum": Colour.RED,
    "list of models": [File(name="a"), Point(1, 2.5), {"in a dict": File(name="c")}],
    "messages": [
        SystemMessage("system", id="1"),
        HumanMessage([{"type": "text", "text": "hi"}], id="2"),
        AIMessage("", id="3", tool_calls=[{"name": "t", "args": {"a": [1.5, None]}, "id": "c"}]),
        ToolMessage("result", tool_call_id="c", id="4", artifact={"b": 1}, status="error"),
        AIMessage("bye", id="5", usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}),
    ],
    "remove": [RemoveMessage(id="1")],
    "long text": "word " * 20_000,
    "many keys": {f"key-{number}": number for number in range(2000)},
}


def serde() -> JsonPlusSerializer:
    return JsonPlusSerializer(allowed_msgpack_modules=ALLOWED)


def shown(value: Any) -> Any:
    """With order of dicts, and types."""
    if isinstance(value, dict):
        return [(shown(key), shown(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [shown(item) for item in value]
    return type(value), value


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_comes_back_as_it_was(make_saver: MakeSaver, value: Any) -> None:
    put(make_saver(serde=serde()), 1, {"channel": value})
    put(make_saver(serde=serde()), 2, {"channel": value, "other": 1}, parent=1)
    warm, cold = make_saver(serde=serde()), make_saver(serde=serde(), cache_bytes=0)
    warm.get_tuple(config())

    for saver in (warm, cold):
        assert shown(values_of(saver)) == shown({"channel": value, "other": 1})
        assert shown(values_of(saver, config(number=1))) == shown({"channel": value})


def test_not_a_number_comes_back(saver: DynamoDBConversationSaver) -> None:
    put(saver, 1, {"channel": [math.nan, {"a": math.nan}]})

    first, second = values_of(saver)["channel"]
    assert math.isnan(first)
    assert math.isnan(second["a"])


def test_all_values_come_back_together_and_in_order(make_saver: MakeSaver) -> None:
    put(make_saver(serde=serde()), 1, VALUES)

    assert shown(values_of(make_saver(serde=serde()))) == shown(VALUES)


def test_every_section_of_a_checkpoint_comes_back(make_saver: MakeSaver) -> None:
    sections = {
        "channel_versions": {"a": 3, "b": 1, "__start__": 2},
        "versions_seen": {"__input__": {}, "node": {"b": 1, "a": 2}, "__interrupt__": {"a": 3}},
        "updated_channels": ["a", "b"],
        "pending_sends": [],
        "a_section_of_the_future": {"x": [1, 2]},
    }
    put(make_saver(), 1, {"a": 1}, **sections)
    stored = read(make_saver()).checkpoint

    assert {name: shown(stored[name]) for name in sections} == {name: shown(value) for name, value in sections.items()}  # type: ignore[literal-required]
    assert (stored["v"], stored["id"], stored["ts"]) == (
        4,
        config(number=1)["configurable"]["checkpoint_id"],
        "2026-01-01T00:00:00.000001+00:00",
    )


def test_versions_can_be_text(saver: DynamoDBConversationSaver) -> None:
    put(saver, 1, {"a": 1}, channel_versions={"a": "00000000000000000000000000000001.0.5"})

    assert read(saver).checkpoint["channel_versions"] == {"a": "00000000000000000000000000000001.0.5"}


def test_metadata_is_merged_as_langgraph_merges_it(saver: DynamoDBConversationSaver) -> None:
    at = config(model="m", temperature=0.5, __pregel_x=1, secret=object())
    put(saver, 1, {}, at={**at, "metadata": {"run": "r\x00", "step": 99, "list": [1]}}, metadata={"score": None})

    assert read(saver).metadata == {
        "source": "loop",
        "step": 1,
        "parents": {},
        "score": None,
        "run": "r",
        "model": "m",
        "temperature": 0.5,
        "user_id": "demo",
    }


def test_configs_lead_back_to_the_checkpoint_and_its_parent(saver: DynamoDBConversationSaver) -> None:
    put(saver, 1, {"a": 1})
    stored = put(saver, 2, {"a": 2}, parent=1)
    found = read(saver)

    assert stored == found.config == config(number=2)
    assert found.parent_config == config(number=1)
    assert read(saver, found.parent_config).parent_config is None
    assert values_of(saver, found.parent_config) == {"a": 1}


def test_what_comes_back_can_be_changed_without_harm(saver: DynamoDBConversationSaver) -> None:
    put(saver, 1, {"items": [[1], {"a": 1}], "named": {"a": [1]}})
    for _ in range(2):
        values = values_of(saver)
        assert values == {"items": [[1], {"a": 1}], "named": {"a": [1]}}
        values["items"][0].append(2)
        values["items"].append(3)
        values["named"]["a"].clear()


def test_an_object_that_changed_in_place_is_stored_anew(make_saver: MakeSaver) -> None:
    saver, message = make_saver(), AIMessage("before", id="1")
    state = {"messages": [HumanMessage("hi", id="0"), message]}
    put(saver, 1, state)
    message.content = "after"
    put(saver, 2, state, parent=1)

    assert values_of(make_saver())["messages"][1].content == "after"
    assert values_of(make_saver(), config(number=1))["messages"][1].content == "before"


@pytest.mark.parametrize("count", [1, 23, 24, 25, 26, 60, 200])
def test_a_cold_read_equals_a_warm_one(make_saver: MakeSaver, count: int) -> None:
    saver, items = make_saver(transcript=False), []
    for number in range(1, count + 1):
        items.append(noise(300, number).hex())
        put(saver, number, {"items": items, "step": number}, parent=number - 1 or None)
    expected = {"items": items, "step": count}

    assert values_of(saver) == expected
    assert values_of(make_saver()) == expected
    assert values_of(make_saver(), config(number=count)) == expected
    assert values_of(make_saver(), config(number=count // 2 + 1))["step"] == count // 2 + 1
    assert values_of(make_saver(), config(number=1)) == {"items": items[:1], "step": 1}


def test_another_saver_can_go_on_at_any_step(make_saver: MakeSaver) -> None:
    items = []
    for number in range(1, 31):
        items.append(noise(300, number).hex())
        put(make_saver(transcript=False), number, {"items": items}, parent=number - 1 or None)

    assert values_of(make_saver()) == {"items": items}


def test_both_branches_of_a_fork_are_read(make_saver: MakeSaver) -> None:
    saver = make_saver()
    for number in range(1, 31):
        put(saver, number, {"items": list(range(number))}, parent=number - 1 or None)
    for writer, start in ((saver, 31), (make_saver(), 41)):
        items = list(range(5))
        for number in range(start, start + 10):
            items.append(-number)
            put(writer, number, {"items": items}, parent=5 if number == start else number - 1)

    for reader in (saver, make_saver()):
        assert values_of(reader, config(number=30))["items"] == list(range(30))
        assert values_of(reader, config(number=40))["items"] == [*range(5), *(-number for number in range(31, 41))]
        assert values_of(reader)["items"] == [*range(5), *(-number for number in range(41, 51))]
        assert read(reader, config(number=41)).parent_config == config(number=5)


def test_the_same_checkpoint_put_again_changes_nothing(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver = make_saver(transcript=False)
    put(saver, 1, {"items": [1]})
    put(saver, 2, {"items": [1, 2]}, parent=1)
    before = items_of(client, table_name)
    put(saver, 2, {"items": [1, 2]}, parent=1)
    put(make_saver(transcript=False), 1, {"items": [1]})

    assert items_of(client, table_name) == before


def test_another_content_of_an_id_leaves_its_children_as_they_were(make_saver: MakeSaver) -> None:
    saver = make_saver()
    for number in range(1, 6):
        put(saver, number, {"items": list(range(number))}, parent=number - 1 or None)
    put(make_saver(), 2, {"items": ["other"]}, parent=1)

    for reader in (saver, make_saver()):
        assert values_of(reader, config(number=2))["items"] == ["other"]
        assert values_of(reader, config(number=3))["items"] == [0, 1, 2]
        assert values_of(reader)["items"] == [0, 1, 2, 3, 4]


def test_a_child_with_a_smaller_id_than_its_parent_is_read(make_saver: MakeSaver) -> None:
    saver = make_saver()
    put(saver, 5, {"items": [1]})
    put(saver, 3, {"items": [1, 2]}, parent=5)  # from a machine whose clock is behind

    for reader in (saver, make_saver()):
        assert values_of(reader, config(number=3)) == {"items": [1, 2]}
        assert values_of(reader) == {"items": [1]}
        assert [found.config for found in reader.list(config())] == [config(number=5), config(number=3)]


def test_a_parent_that_is_not_there_is_kept_as_it_was_named(make_saver: MakeSaver) -> None:
    put(make_saver(), 2, {"a": 1}, parent=1)

    assert read(make_saver()).parent_config == config(number=1)
    assert values_of(make_saver()) == {"a": 1}


def test_there_may_be_none(saver: DynamoDBConversationSaver) -> None:
    assert saver.get_tuple(config()) is None
    assert saver.get_tuple(config(number=1)) is None
    put(saver, 2, {"a": 1})
    assert saver.get_tuple(config(number=1)) is None
    assert saver.get_tuple(config(number=3)) is None
    assert saver.get_tuple(config(ns="other")) is None
    assert saver.get_tuple(config(user_id="alice")) is None
    assert saver.get_tuple(config("other")) is None


@pytest.mark.parametrize("ns", ["node:1", "a|b:2", "#", "%23", "~", "é", "n" * 400, " "])
def test_namespaces_are_apart(make_saver: MakeSaver, ns: str) -> None:
    saver = make_saver()
    put(saver, 1, {"a": "root"})
    put(saver, 2, {"a": "sub"}, at=config(ns=ns))

    for reader in (saver, make_saver()):
        assert values_of(reader) == {"a": "root"}
        assert values_of(reader, config(ns=ns)) == {"a": "sub"}
        assert read(reader, config(ns=ns)).config == config(number=2, ns=ns)


def test_a_config_without_a_namespace_means_the_root(saver: DynamoDBConversationSaver) -> None:
    put(saver, 1, {"a": "root"})

    assert values_of(saver, {"configurable": {"thread_id": "thread", "user_id": "demo"}}) == {"a": "root"}


@pytest.mark.parametrize(("characters", "most"), [(300, 4), (1500, 3)])
def test_the_newest_state_is_one_round_trip(
    make_saver: MakeSaver, client: DynamoDBClient, characters: int, most: int
) -> None:
    saver, items = make_saver(transcript=False), []
    for number in range(1, 101):
        items.append(noise(characters // 2, number).hex())
        put(saver, number, {"items": items}, parent=number - 1 or None)
        saver.put_writes(config(number=number), [("items", number)], f"task-{number}")
    cold = make_saver()

    with RequestLog(client) as log:
        assert values_of(cold) == {"items": items}
    assert log.operations[:3] == ["Query"] * 3
    assert len(log) <= most  # a state of a few small steps waits longer for its first segments
    log.clear()
    with log:
        assert values_of(cold) == {"items": items}
    assert log.operations == ["Query"] * 2


def test_an_ordinary_step_is_one_request(make_saver: MakeSaver, client: DynamoDBClient) -> None:
    saver = make_saver(transcript=False)
    put(saver, 1, {"messages": [HumanMessage("hi", id="1")]})
    with RequestLog(client) as log:
        put(saver, 2, {"messages": [HumanMessage("hi", id="1"), AIMessage("hello", id="2")]}, parent=1)

    assert log.operations == ["PutItem"]


@pytest.mark.engine("dynamodb-local")
def test_a_step_costs_the_same_at_step_240_as_at_step_480(make_saver: MakeSaver, client: DynamoDBClient) -> None:
    """Over as many steps as it takes until small segments are merged: eight of some thirty steps each."""
    saver, items, sent = make_saver(transcript=False), [], []
    for number in range(1, 481):
        items.append(noise(300, number).hex())
        with RequestLog(client) as log:
            put(saver, number, {"items": items}, parent=number - 1 or None)
        sent.append(log.request_bytes)

    assert sum(sent[240:]) < 1.3 * sum(sent[:240])


def test_a_state_of_many_sections_costs_what_changes(make_saver: MakeSaver, client: DynamoDBClient) -> None:
    saver = make_saver(transcript=False)
    nodes = {f"node-{number}": {f"channel-{number}": number} for number in range(300)}
    put(saver, 1, {"a": 1}, versions_seen=nodes)
    with RequestLog(client) as log:
        put(saver, 2, {"a": 2}, parent=1, versions_seen={**nodes, "node-7": {"channel-7": 8}})

    assert log.request_bytes < 900


def test_a_clone_reads_by_its_own_allowlist(make_saver: MakeSaver) -> None:
    strict = make_saver(serde=JsonPlusSerializer(allowed_msgpack_modules=[]))
    put(strict, 1, {"point": Point(1, 2.5)})
    clone = strict.with_allowlist(ALLOWED)

    assert values_of(clone) == {"point": Point(1, 2.5)}
    assert values_of(strict) != {"point": Point(1, 2.5)}


def test_a_clone_and_its_original_share_what_they_have_seen(make_saver: MakeSaver, client: DynamoDBClient) -> None:
    saver = make_saver(transcript=False)
    put(saver, 1, {"a": 1})
    clone = saver.with_allowlist([("nothing", "Here")])
    with RequestLog(client) as log:
        put(clone, 2, {"a": 2}, parent=1)

    assert log.operations == ["PutItem"]
    assert values_of(saver) == {"a": 2}


def test_encrypted_states_come_back_and_show_nothing(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    key = EncryptedSerializer.from_pycryptodome_aes(key=b"k" * 32)
    saver, items = make_saver(serde=key), []
    for number in range(1, 40):
        items.append(f"a secret {number} " * 100)
        put(saver, number, {"items": items}, parent=number - 1 or None)
        saver.put_writes(config(number=number), [("items", "secret")], "task")

    found = read(make_saver(serde=key))
    assert found.checkpoint["channel_values"] == {"items": items}
    assert found.pending_writes == [("task", "items", "secret")]
    assert b"secret" not in repr(items_of(client, table_name)).encode()


def test_another_key_and_no_key_are_refused(make_saver: MakeSaver) -> None:
    put(make_saver(serde=EncryptedSerializer.from_pycryptodome_aes(key=b"k" * 32)), 1, {"a": 1})

    with pytest.raises(CorruptDataError, match="is this the key"):
        make_saver(serde=EncryptedSerializer.from_pycryptodome_aes(key=b"K" * 32)).get_tuple(config())
    with pytest.raises(CorruptDataError, match="is encrypted: give the saver"):
        make_saver().get_tuple(config())


def test_plain_data_is_refused_by_a_saver_with_a_key(make_saver: MakeSaver) -> None:
    put(make_saver(), 1, {"a": 1})

    with pytest.raises(CorruptDataError, match="not encrypted"):
        make_saver(serde=EncryptedSerializer.from_pycryptodome_aes(key=b"k" * 32)).get_tuple(config())


@pytest.mark.parametrize("is_warm", [False, True])
def test_damage_is_an_error_that_names_the_item(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str, is_warm: bool
) -> None:
    writer, reader = make_saver(transcript=False), make_saver(transcript=False)
    put(writer, 1, {"items": [1]})
    if is_warm:
        reader.get_tuple(config())
    put(writer, 2, {"items": [1, 2]}, parent=1)
    damaged = next(
        item
        for item in items_of(client, table_name)
        if item["user_id"]["S"].endswith(config(number=2)["configurable"]["checkpoint_id"])
    )
    damaged["d"]["B"] = damaged["d"]["B"][:-1]
    client.put_item(TableName=table_name, Item=damaged)

    with pytest.raises(CorruptDataError, match="demo#c##1f000002.*the checksum differs"):
        reader.get_tuple(config())


@pytest.mark.parametrize("is_warm", [False, True])
def test_a_change_that_does_not_fit_its_parent_is_damage(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str, is_warm: bool
) -> None:
    writer, reader = make_saver(transcript=False), make_saver(transcript=False)
    put(writer, 1, {"items": [1, 2, 3]})
    put(writer, 2, {"items": [1, 2, 3, 4]}, parent=1)
    change = next(item for item in items_of(client, table_name) if item.get("k") == {"S": "c"})
    client.delete_item(TableName=table_name, Key={name: change[name] for name in ("conversation_id", "user_id")})
    put(make_saver(transcript=False), 1, {"items": "no list"})
    if is_warm:
        reader.get_tuple(config())
    client.put_item(TableName=table_name, Item=change)

    with pytest.raises(CorruptDataError, match="demo#c##1f000002.* can't be rebuilt"):
        reader.get_tuple(config())


def test_a_transcriptless_saver_writes_a_row_that_is_found(make_saver: MakeSaver) -> None:
    saver = make_saver(transcript=False)
    put(saver, 1, {"messages": [HumanMessage("hi", id="1")]})

    assert saver.resume() == {"configurable": {"thread_id": "thread", "user_id": "demo"}}


def test_items_are_of_the_documented_kinds(make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> None:
    saver, items = make_saver(), []
    for number in range(1, 40):
        items.append(noise(800, number).hex())
        put(saver, number, {"items": items}, parent=number - 1 or None)
        saver.put_writes(config(number=number), [("items", number)], "task")
    found = items_of(client, table_name)

    assert len(sort_keys(found, "c")) == len(sort_keys(found, "w")) == 39
    assert len(sort_keys(found, "s")) >= 1
    assert [item["user_id"]["S"] for item in found if "created_at" in item] == ["demo"]
