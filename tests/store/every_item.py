"""Conversations with items of every kind and every attribute that there is, on a table that can be laid out anew."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._format.attributes import to_attribute
from tests.factories import USER, config, noise, put
from tests.memory_engine.bare import BareTable

KEY = b"0" * 32
OF_EVERY_TYPE: dict[str, dict[str, Any]] = {
    "S": {"S": "other"},
    "N": {"N": "4102444800.5"},
    "B": {"B": b"\x00other"},
    "BOOL": {"BOOL": True},
    "NULL": {"NULL": True},
    "L": {"L": [{"S": "x"}, {"N": "1"}, {"NULL": True}, {"L": []}, {"M": {"role": {"N": "1"}}}]},
    "M": {"M": {"x": {"N": "1"}}},
    "SS": {"SS": ["a", "b"]},
    "NS": {"NS": ["1", "2.5"]},
    "BS": {"BS": [b"a"]},
}
"""A value of each of DynamoDB's types."""

THREAD, FRAMES, SEALED, WAITING, FOREIGN = "thread", "frames", "sealed", "waiting", "foreign"
RUN = "run"
LONG = "n" * 300
"""A namespace, and a task id, of which a key has only a digest."""

BORN = "2025-12-30T14:00:00Z"
CALL = {"id": "c", "tool": "look", "args": {"where": "there"}, "result": {"found": 1}, "status": "error"}

Item = dict[str, Any]


class Objects:
    """As much of an S3 client as the saver uses, over a dict."""

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self.by_key = dict(objects)
        self.meta = SimpleNamespace(config=SimpleNamespace(max_pool_connections=8), region_name="none")

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803 - S3's names
        assert Bucket == "bucket"
        self.by_key[Key] = Body

    def get_object(self, *, Bucket: str, Key: str, Range: str) -> dict[str, Any]:  # noqa: N803
        assert Bucket == "bucket"
        first, last = map(int, Range.removeprefix("bytes=").split("-"))
        return {"Body": io.BytesIO(self.by_key[Key][first : last + 1])}

    def copy_object(self, *, Bucket: str, Key: str, CopySource: dict[str, str]) -> None:  # noqa: N803
        assert Bucket == CopySource["Bucket"] == "bucket"
        self.by_key[Key] = self.by_key[CopySource["Key"]]

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803
        assert Bucket == "bucket"
        self.by_key.pop(Key, None)


class World:
    """A table, a bucket and a clock.

    Args:
        table: The table; a new one if None.
        objects: What is in the bucket.
        now: The time of the savers' clock.
    """

    def __init__(
        self, table: BareTable | None = None, objects: Mapping[str, bytes] | None = None, now: float = 1e9
    ) -> None:
        self.table = table if table is not None else BareTable()
        self.bucket = Objects(objects or {})
        self.now = now

    def copied(self) -> World:
        """A world of its own with the same items and objects."""
        return World(self.table.copied(), self.bucket.by_key, self.now)

    def alone(self, thread: str) -> World:
        """The same, with the items of one conversation and of the run alone."""
        copied = self.copied()
        for item in self.items():
            if item["conversation_id"]["S"] not in (thread, f"run#{RUN}"):
                copied.table.forget(item["conversation_id"]["S"])
        return copied

    def put(self, item: Item) -> None:
        """Put an item on the table."""
        self.table.service.answer("PutItem", {"TableName": self.table.name, "Item": item})

    def items(self) -> list[Item]:
        """All items of the table."""
        items: list[Item] = self.table.service.answer("Scan", {"TableName": self.table.name})["Items"]
        return items

    def saver(self, thread: str, **options: Any) -> DynamoDBConversationSaver:
        """A saver with the options that a conversation is written with."""
        serde = EncryptedSerializer.from_pycryptodome_aes(key=KEY) if thread == SEALED else None
        places: Any = {"s3_bucket": "bucket", "s3_client": self.bucket, "s3_threshold_bytes": 35_000}
        ours: Any = {"row_bytes": 512, "ttl": timedelta(hours=1), "clock": lambda: self.now, **places, **options}
        client = self.table.client()
        return DynamoDBConversationSaver(self.table.name, client=client, default_user_id=USER, serde=serde, **ours)


def every_item() -> World:
    """Four conversations, which have every kind of item with every attribute between them."""
    world = World()
    savers = {thread: world.saver(thread) for thread in (THREAD, SEALED)}
    for number in (1, 2, 3, 4):
        world.now += 2400  # at the third step, what it builds on would expire too early
        for thread, saver in savers.items():
            _step(saver, thread, number)
    savers[THREAD].put_writes(config(THREAD, 3), [("late", 1)], "late")  # which leaves a revision
    _subgraphs(savers[THREAD])
    _waiting(world.saver(WAITING))
    world.put(_foreign())
    return world


def _step(saver: DynamoDBConversationSaver, thread: str, number: int) -> None:
    messages: list[Any] = []
    for turn in range(1, 7 + number):
        call = {"name": "look", "args": {"n": turn}, "id": f"c{turn}"}
        messages += [HumanMessage(f"q {turn}", id=f"q{turn}"), AIMessage("", id=f"i{turn}", tool_calls=[call])]
        messages += [ToolMessage(f'{{"n": {turn}}}', id=f"t{turn}", tool_call_id=f"c{turn}", status="error")]
        messages += [AIMessage(noise(300 + 900 * (turn == 10), turn).hex(), id=f"a{turn}")]
    values = {"messages": messages, "document": noise(30_000), "object": noise(40_000)}
    values["notes"] = [noise(5000, one) for one in range(5)]
    put(saver, number, values, parent=number - 1 or None, at=config(thread), metadata={"run_id": RUN})
    writes = [("a", 1), ("b", noise(25_000, number)), ("__error__", "failed")]
    saver.put_writes(config(thread, number), writes, "task" if number > 1 else LONG)


def _subgraphs(saver: DynamoDBConversationSaver) -> None:
    """Subgraphs, one of which has frames that are too large for their items."""
    put(saver, 3, {"inner": [1]}, at=config(ns="inner"))
    large = [noise(20_000, one) for one in range(16)]
    put(saver, 2, {"messages": [HumanMessage("hello", id="1")]}, at=config(FRAMES))
    put(saver, 3, {"inner": [1]}, at=config(FRAMES, ns=LONG))
    put(saver, 4, {"inner": large}, parent=3, at=config(FRAMES, ns=LONG))
    saver.put_writes(config(FRAMES, 4, ns=LONG), [("a", one) for one in (*large, *range(70))], "task")


def _waiting(saver: DynamoDBConversationSaver) -> None:
    builder = StateGraph(MessagesState).add_node("ask", lambda _: {"messages": [AIMessage(interrupt("may I?"))]})
    graph: Any = builder.add_edge(START, "ask").compile(checkpointer=saver)
    graph.invoke({"messages": [("user", "do it")]}, config(WAITING))


def _foreign() -> Item:
    said = [
        {"role": "user", "content": "hello", "timestamp": BORN},
        {"role": "assistant", "content": "hi", "timestamp": BORN, "tool_calls": [CALL]},
    ]
    row = {"conversation_id": FOREIGN, "user_id": USER, "title": "theirs", "messages": said, "message_count": 2}
    row |= {"created_at": BORN, "updated_at": BORN}
    return {name: to_attribute(value) for name, value in row.items()}


def kind_of(item: Item) -> str:
    """The letter of an item's kind, or "row"."""
    sk = item["user_id"]["S"]
    return sk.split("#")[1] if "#" in sk else "row"


Path = tuple[Any, ...]
"""The way to a value in an item: attribute, and keys or indexes in it."""


def paths(item: Item) -> Iterator[Path]:
    """Every attribute of an item but its key, and every value in maps and lists; of a list the first and the last."""
    for name in item:
        if name not in ("conversation_id", "user_id"):
            yield from _paths(item[name], (name,))


def _paths(value: Item, path: Path) -> Iterator[Path]:
    yield path
    ((kind, content),) = value.items()
    if kind == "M":
        for key in content:
            yield from _paths(content[key], (*path, key))
    if kind == "L":
        for index in sorted({0, len(content) - 1} if content else ()):
            yield from _paths(content[index], (*path, index))


def changed(item: Item, path: Path, value: Item | None) -> Item:
    """The item with another value there, or without any."""
    changed = copy.deepcopy(item)
    *way, last = path
    place: Any = changed
    for key in way:
        ((_, place),) = place[key].items()
    if value is None:
        del place[last]
    else:
        place[last] = value
    return changed
