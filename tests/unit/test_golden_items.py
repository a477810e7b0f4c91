"""A table that format version 1 wrote is read to the same values for ever, and is still what is written.

`golden/version_1.json` holds the items of `write` below as they were stored by the first release. It never changes: a
newer format gets a file of its own.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ormsgpack
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv.errors import UnknownFormatError
from tests.conftest import MakeSaver
from tests.factories import config, items_of, noise, put, read, values_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.engine("memory")

GOLDEN = Path(__file__).parent / "golden" / "version_1.json"
KEY = b"k" * 32
SEALED = (1, 2, 7)
DOCUMENT = noise(25_000)
PAGES = [f"page {number} " * 250 for number in range(20)]
STATES: dict[int, dict[str, Any]] = {
    1: {
        "items": ["a", 1, None, b"b", {"k": [1.5, -0.0]}],
        "named": {"x": 1, "y": [True, {"z": None}], "w": "é"},
        "whole": 2**63,
        "gone": "soon",
    },
    2: {
        "items": ["a", 1, None, b"b", {"k": [1.5, -0.0]}, "appended"],
        "named": {"y": [True, {"z": None}], "v": {}, "x": 2},
        "whole": "text",
    },
    3: {"items": ["new", 1, None, b"b", {"k": [1.5, -0.0]}, "a"], "named": {}, "whole": None},
    4: {"items": ["new", DOCUMENT], "named": {"document": DOCUMENT}, "whole": []},
    5: {"items": ["new", DOCUMENT], "named": {}, "pages": PAGES},
    6: {"items": ["new"], "named": {}, "pages": PAGES[:3]},
    7: {"items": ["fork"], "named": {}, "pages": [*PAGES, "last"]},
    8: {"items": ["fork"], "named": {}, "pages": [*PAGES[5:], "last", "more"]},
}
PARENTS = {1: None, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 5, 8: 7}
NAMESPACES = ("", "sub:1|x#", "n" * 300)
BUNDLED = [("items", number) for number in range(100)]
MESSAGES = [HumanMessage("hi", id="1"), AIMessage("", id="2", tool_calls=[{"name": "t", "args": {"a": 1}, "id": "c"}])]
WRITES = [("items", "first"), ("items", [None, b"x"]), ("pages", DOCUMENT)]


def write(saver: DynamoDBConversationSaver) -> None:
    """What is in the golden file, but for messages and what is encrypted, which are not the same every time."""
    for number, state in STATES.items():
        put(saver, number, state, parent=PARENTS[number], at=config(run_id=f"run-{number // 4}"))
    for ns in NAMESPACES[1:]:
        for number in (1, 2):
            put(saver, number, STATES[number], parent=PARENTS[number], at=config(ns=ns))
    saver.put_writes(config(number=8), WRITES, "task#1", "~__pregel_pull, node")
    saver.put_writes(config(number=8), [("__error__", "failed")], "task#1", "~__pregel_pull, node")
    saver.put_writes(config(number=8), [("__interrupt__", [1])], "t" * 300, "~__pregel_push, 2")
    saver.put_writes(config(number=6), BUNDLED, "many")


def write_what_varies(saver: DynamoDBConversationSaver, sealed: DynamoDBConversationSaver) -> None:
    put(saver, 1, {"messages": MESSAGES}, at=config("messages"))
    for number in SEALED:
        put(sealed, number, STATES[number], at=config("sealed"))
    sealed.put_writes(config("sealed", 7), WRITES, "task")


def golden_items() -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for item in items:
        for value in item.values():
            if "B" in value:
                value["B"] = base64.b64decode(value["B"])
    return items


def dumped(items: list[dict[str, Any]]) -> str:
    """Items as the golden file holds them; rows are others' format, and tested elsewhere."""
    ours = [item for item in items if "#" in item["user_id"]["S"]]
    ours.sort(key=lambda item: (item["conversation_id"]["S"], item["user_id"]["S"]))
    return json.dumps(ours, default=lambda data: base64.b64encode(bytes(data)).decode(), indent=1, sort_keys=True)


def opened(item: dict[str, Any]) -> dict[str, Any]:
    """An item with its frames expanded: how well zstd compresses is not part of the format."""
    sk, kind = item["user_id"]["S"], item["user_id"]["S"].split("#")[1]
    contexts = {name: f"{sk}/{name}" if kind == "w" else "value" if kind == "p" else sk for name in item}
    return {
        name: Codec().unframe(bytes(value["B"]), context=contexts[name]) if "B" in value else value
        for name, value in item.items()
    }


@pytest.fixture
def golden(client: DynamoDBClient, table_name: str) -> None:
    """The table as the golden file has it."""
    for item in golden_items():
        client.put_item(TableName=table_name, Item=item)


@pytest.mark.usefixtures("golden")
@pytest.mark.parametrize("number", STATES)
def test_golden_checkpoints_are_read_to_the_same_values(make_saver: MakeSaver, number: int) -> None:
    found = read(make_saver(), config(number=number))

    assert list(found.checkpoint["channel_values"].items()) == list(STATES[number].items())
    assert list(found.checkpoint["channel_values"]["named"]) == list(STATES[number]["named"])
    assert found.checkpoint["channel_versions"] == dict.fromkeys(STATES[number], number)
    assert found.metadata["step"] == number
    assert found.metadata["run_id"] == f"run-{number // 4}"
    parent = PARENTS[number]
    assert found.parent_config == (config(number=parent) if parent else None)


@pytest.mark.usefixtures("golden")
def test_a_golden_history_is_whole(make_saver: MakeSaver) -> None:
    found = list(make_saver().list({"configurable": {"thread_id": "thread", "user_id": "demo"}}))

    assert sorted((one.config["configurable"]["checkpoint_ns"], one.metadata["step"]) for one in found) == sorted(
        [("", number) for number in STATES] + [(ns, number) for ns in NAMESPACES[1:] for number in (1, 2)]
    )


@pytest.mark.usefixtures("golden")
def test_golden_writes_are_read_to_the_same_values(make_saver: MakeSaver) -> None:
    assert read(make_saver()).pending_writes == [
        ("task#1", "__error__", "failed"),
        *(("task#1", *write) for write in WRITES),
        ("t" * 300, "__interrupt__", [1]),
    ]
    assert read(make_saver(), config(number=6)).pending_writes == [("many", *write) for write in BUNDLED]


@pytest.mark.usefixtures("golden")
def test_golden_messages_are_read_to_the_same_values(make_saver: MakeSaver) -> None:
    human, ai = values_of(make_saver(), config("messages"))["messages"]

    assert (human.content, human.id) == ("hi", "1")
    assert (ai.id, ai.tool_calls) == ("2", MESSAGES[1].tool_calls)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("golden")
@pytest.mark.parametrize("number", SEALED)
def test_golden_encrypted_items_are_read_to_the_same_values(make_saver: MakeSaver, number: int) -> None:
    saver = make_saver(serde=EncryptedSerializer.from_pycryptodome_aes(key=KEY))

    assert values_of(saver, config("sealed", number)) == STATES[number]
    writes = [("task", *write) for write in WRITES] if number == 7 else []
    assert read(saver, config("sealed", number)).pending_writes == writes


@pytest.mark.usefixtures("golden")
def test_a_golden_run_is_deleted_by_its_pointer(make_saver: MakeSaver) -> None:
    saver = make_saver()
    saver.delete_for_runs(["run-0", "run-2"])

    assert [one.metadata["step"] for one in saver.list(config())] == [7, 6, 5, 4]
    assert values_of(saver) == STATES[7]


@pytest.mark.usefixtures("golden")
def test_a_golden_conversation_goes_on(make_saver: MakeSaver) -> None:
    saver, state = make_saver(), STATES[8]
    for number in range(9, 40):
        state = {**state, "pages": [*state["pages"], str(number)]}
        put(saver, number, state, parent=number - 1)
    saver.prune(["thread"])

    assert values_of(make_saver()) == state


def test_today_writes_the_golden_items(make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> None:
    write(make_saver(transcript=False, clock=lambda: 1_700_000_000.0))
    written = {
        (one["conversation_id"]["S"], one["user_id"]["S"]): one for one in json_items(items_of(client, table_name))
    }
    expected = {(one["conversation_id"]["S"], one["user_id"]["S"]): one for one in golden_items()}
    of_write = {key for key in expected if key[0] not in ("messages", "sealed")}

    assert set(written) == of_write
    for key in sorted(of_write):
        if "#p#" not in key[1]:  # a part of a frame, compared where it is put together
            assert opened(written[key]) == opened(expected[key])


def test_incompressible_and_short_frames_are_the_same_to_the_byte() -> None:
    assert Codec().frame(b"short", context="a").hex() == "01003b601ae373686f7274"
    assert Codec().frame(noise(64), context="a")[:6].hex() == "0100c74adf33"


def test_a_golden_frame_of_a_newer_version_is_refused(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    item = next(one for one in golden_items() if one["user_id"]["S"].startswith("demo#c##"))
    client.put_item(TableName=table_name, Item={**item, "d": {"B": b"\x02" + item["d"]["B"][1:]}})

    with pytest.raises(UnknownFormatError, match="format version 2.*update langgraph_dynamo_conv"):
        make_saver().get_tuple(config(item["conversation_id"]["S"]))


def test_the_golden_file_has_every_kind_of_item() -> None:
    kinds = {item["user_id"]["S"].split("#")[1] for item in golden_items()}
    frames = [item["d"]["B"] for item in golden_items() if "d" in item and "#p#" not in item["user_id"]["S"]]
    payloads = [ormsgpack.packb(item["k"]["S"]) for item in golden_items() if "k" in item]

    assert kinds == {"c", "p", "r", "s", "w"}
    assert {frame[0] for frame in frames} == {1}
    assert {frame[1] for frame in frames} >= {2, 3}
    assert len(set(payloads)) == 2


def json_items(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    restored: list[dict[str, Any]] = json.loads(dumped(items))
    for item in restored:
        for value in item.values():
            if "B" in value:
                value["B"] = base64.b64decode(value["B"])
    return restored
