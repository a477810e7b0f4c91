"""Items with a time to live that format version 1 wrote keep their meaning for ever; see test_golden_items.py."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.conftest import MakeSaver
from tests.factories import checkpoint_id, config, items_of, put, read
from tests.sweeper import Clock
from tests.unit.test_golden_items import STATES, WRITES, json_items, opened

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.engine("memory")

GOLDEN = Path(__file__).parent / "golden" / "version_1_expiry.json"
TTL = timedelta(days=30)


def write(saver: DynamoDBConversationSaver, clock: Clock) -> None:
    """Changes, a full checkpoint, a part, task writes; then a turn that renews what is needed."""
    for number in (4, 5, 6):
        put(saver, number, STATES[number], parent=number - 1 if number > 4 else None, at=config(run_id="run"))
    saver.put_writes(config(number=6), WRITES, "task")
    clock.pass_by(TTL / 2)
    put(saver, 7, STATES[7], parent=6, at=config(run_id="run"))


def golden_items() -> list[dict[str, Any]]:
    items = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return [{name: {"B": base64.b64decode(v["B"])} if "B" in v else v for name, v in item.items()} for item in items]


@pytest.fixture
def golden(client: DynamoDBClient, table_name: str) -> None:
    for item in golden_items():
        client.put_item(TableName=table_name, Item=item)


def test_today_writes_the_golden_items(make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> None:
    clock = Clock()
    write(make_saver(ttl=TTL, clock=clock), clock)

    assert list(map(opened, json_items(items_of(client, table_name)))) == list(map(opened, golden_items()))


def test_the_golden_file_has_every_attribute_of_expiry() -> None:
    names = {name for item in golden_items() for name in item}

    assert {"expires_at", "u", "l"} <= names


def test_golden_times_mean_what_they_meant(golden: None, make_saver: MakeSaver) -> None:
    clock = Clock()
    reader = make_saver(clock=clock)
    clock.pass_by(TTL / 2)
    assert len(list(reader.list(config()))) == 4
    clock.pass_by(TTL - timedelta(seconds=1))
    assert read(reader).checkpoint["channel_values"] == STATES[7]
    listed = [one.config["configurable"]["checkpoint_id"] for one in reader.list(config())]
    assert listed == [checkpoint_id(7), checkpoint_id(6)]
    clock.pass_by(timedelta(seconds=1))
    assert reader.get_tuple(config()) is None
    assert list(reader.list(config())) == []
