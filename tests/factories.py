"""What the tests of the saver put: checkpoint ids in order, checkpoints, configs, incompressible bytes, old items."""

from __future__ import annotations

import copy
import json
import pickle
import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
import yaml
from hypothesis import settings
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint, CheckpointTuple

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

USER = "demo"

generated = settings(max_examples=150, deadline=None, derandomize=True)
"""The same examples every time, however slow the machine is."""


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "merge_configs": lambda one: merge_configs({"configurable": {"x": one}})["configurable"]["x"],
    **{f"pickle {n}": partial(lambda n, one: pickle.loads(pickle.dumps(one, n)), n) for n in range(6)},
}
"""Ways in which a value goes from hand to hand and stays what it is."""

TEXTS: dict[str, Callable[[Any], Any]] = {
    "str": str,
    "json": lambda one: json.loads(json.dumps(one)),
    "orjson": lambda one: orjson.loads(orjson.dumps(one)),
    "yaml": lambda one: yaml.safe_load(yaml.safe_dump(str(one))),
    "orjson, strict": lambda one: orjson.loads(orjson.dumps(str(one), option=orjson.OPT_PASSTHROUGH_SUBCLASS)),
}
"""Ways in which a string of any class becomes text."""


def checkpoint_id(number: int) -> str:
    """Ids that sort as their numbers do, of the length that LangGraph's have."""
    return f"1f{number:06x}-0000-6000-8000-000000000000"


def checkpoint(number: int, values: Mapping[str, Any], **sections: Any) -> Checkpoint:
    """A checkpoint in which every channel has the checkpoint's number as its version, unless sections say otherwise."""
    return {
        "v": 4,
        "ts": f"2026-01-01T00:00:00.{number:06d}+00:00",
        "id": checkpoint_id(number),
        "channel_values": dict(values),
        "channel_versions": dict.fromkeys(values, number),
        "versions_seen": {"__input__": {}},
        "updated_channels": None,
        **sections,
    }


def config(
    thread_id: str = "thread", number: int | None = None, *, ns: str = "", user_id: str | None = USER, **more: Any
) -> RunnableConfig:
    """A config of a thread, or of one of its checkpoints."""
    configurable: dict[str, Any] = {"thread_id": thread_id, "checkpoint_ns": ns, **more}
    if user_id is not None:
        configurable["user_id"] = user_id
    if number is not None:
        configurable["checkpoint_id"] = checkpoint_id(number)
    return {"configurable": configurable}


def put(
    saver: BaseCheckpointSaver[Any],
    number: int,
    values: Mapping[str, Any],
    *,
    parent: int | None = None,
    at: RunnableConfig | None = None,
    metadata: Mapping[str, Any] | None = None,
    **sections: Any,
) -> RunnableConfig:
    """Put a checkpoint and give the config of what was stored."""
    where = at or config()
    if parent is not None:
        where = {"configurable": {**where["configurable"], "checkpoint_id": checkpoint_id(parent)}}
    step = {"source": "loop", "step": number, "parents": {}, **(metadata or {})}
    stored = checkpoint(number, values, **sections)
    return saver.put(where, stored, step, stored["channel_versions"])  # type: ignore[arg-type]


def read(saver: BaseCheckpointSaver[Any], at: RunnableConfig | None = None) -> CheckpointTuple:
    """What `get_tuple` gives, which must be something."""
    found = saver.get_tuple(at or config())
    assert found is not None
    return found


def values_of(saver: BaseCheckpointSaver[Any], at: RunnableConfig | None = None) -> dict[str, Any]:
    """The channel values that `get_tuple` gives."""
    return read(saver, at).checkpoint["channel_values"]


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that no codec makes smaller."""
    return random.Random(seed).randbytes(size)


def items_of(client: DynamoDBClient, table_name: str) -> list[dict[str, Any]]:
    """Every item of the table."""
    return [item for page in _pages(client, table_name) for item in page]


def stored_bytes(items: list[dict[str, Any]], kind: str | None = None) -> int:
    """Bytes of the binary attributes of all items, or of those with `#<kind>#` in their sort key."""
    chosen = [item for item in items if kind is None or f"#{kind}#" in item["user_id"]["S"]]
    return sum(len(value["B"]) for item in chosen for value in item.values() if "B" in value)


def sort_keys(items: list[dict[str, Any]], kind: str) -> list[str]:
    """Sort keys of the items of one kind."""
    return sorted(item["user_id"]["S"] for item in items if f"#{kind}#" in item["user_id"]["S"])


def _pages(client: DynamoDBClient, table_name: str) -> Iterator[list[dict[str, Any]]]:
    for page in client.get_paginator("scan").paginate(TableName=table_name, ConsistentRead=True):
        yield page["Items"]  # type: ignore[misc]
