"""An attribute of another type, or none, in any item: a named error or the documented meaning, never one of Python's.

The rule: what only this package writes is read strictly, so that a value of another type is a `CorruptDataError` that
names the item and the attribute; what other programs may write has the nearest meaning. Nothing raises what Python
raises, and deleting always works. Each attribute of each kind of item is tried with each of DynamoDB's types, and
removed; so is each value within the maps and lists of rows and pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path as File
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from langgraph_dynamo_conv import DynamoDBConversationSaver, errors
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import CorruptDataError, DynamoConvError
from tests.factories import USER, config, put
from tests.store.every_item import (
    FOREIGN,
    FRAMES,
    OF_EVERY_TYPE,
    RUN,
    SEALED,
    THREAD,
    WAITING,
    Item,
    Path,
    World,
    changed,
    every_item,
    kind_of,
    paths,
)

VALUES: dict[str, Item | None] = {
    **OF_EVERY_TYPE,
    "empty": {"S": ""},
    "digits": {"S": "12"},
    "negative": {"N": "-1"},
    "large": {"N": "1E+125"},
    "removed": None,
}

Call = Callable[[DynamoDBConversationSaver, str], Any]


def pages_of(saver: DynamoDBConversationSaver, thread: str) -> list[Any]:
    first = saver.conversations.get(thread, USER, limit=3)
    return [first, first.cursor and saver.conversations.get(thread, USER, limit=3, cursor=first.cursor)]


def turn(saver: DynamoDBConversationSaver, thread: str) -> None:
    before = saver.get_tuple(config(thread))
    values = dict(before.checkpoint["channel_values"]) if before is not None else {}
    values["messages"] = [*values.get("messages", []), HumanMessage("more", id="more")]
    parent = config(thread) if before is None else before.config
    put(saver, 9, values, at=parent, metadata={"run_id": "another"})  # type: ignore[arg-type]
    saver.put_writes(config(thread, 9), [("a", 1), ("__error__", "failed")], "task")


def message_id(saver: DynamoDBConversationSaver, thread: str) -> str:
    messages = saver.conversations.get(thread, USER).messages
    return messages[-1].id if messages else "none"


READS: dict[str, Call] = {
    "get_tuple": lambda saver, thread: saver.get_tuple(config(thread)),
    "get_tuple of a subgraph": lambda saver, thread: saver.get_tuple(config(thread, ns="inner")),
    "list": lambda saver, thread: list(saver.list({"configurable": {"thread_id": thread, "user_id": USER}})),
    "list of all": lambda saver, _: list(saver.list(None)),
    "get_delta_channel_history": lambda saver, thread: saver.get_delta_channel_history(
        config=config(thread), channels=["messages", "other"]
    ),
    "resume": lambda saver, _: saver.resume(USER),
    "conversations.list": lambda saver, _: saver.conversations.list(USER),
    "conversations.list by activity": lambda saver, _: saver.conversations.list(USER, order_by="updated_at"),
    "conversations.get": lambda saver, thread: saver.conversations.get(thread, USER),
    "conversations.get of pages": pages_of,
    "conversations.owner": lambda saver, thread: saver.conversations.owner(thread),
    "conversations.count": lambda saver, _: saver.conversations.count(USER),
    "conversations.export": lambda saver, _: list(saver.conversations.export(USER, format="markdown")),
    "conversations.verify": lambda saver, thread: saver.conversations.verify(thread, USER),
}
WRITES: dict[str, Call] = {
    "turn": turn,
    "rename": lambda saver, thread: saver.conversations.rename(thread, USER, "another"),
    "add_message": lambda saver, thread: saver.conversations.add_message(thread, "user", "x", user_id=USER),
    "edit_message": lambda saver, thread: saver.conversations.edit_message(
        thread, message_id(saver, thread), "x", user_id=USER
    ),
    "remove_message": lambda saver, thread: saver.conversations.remove_message(
        thread, message_id(saver, thread), user_id=USER
    ),
    "copy_thread": lambda saver, thread: saver.copy_thread(thread, "copy"),
    "prune": lambda saver, thread: saver.prune([thread]),
    "delete_for_runs": lambda saver, _: saver.delete_for_runs([RUN]),
}
DELETES: dict[str, Call] = {
    "delete_thread": lambda saver, thread: saver.delete_thread(thread),
    "conversations.delete": lambda saver, thread: saver.conversations.delete(thread, USER),
    "conversations.delete_user": lambda saver, _: saver.conversations.delete_user(USER, scan=True),
}
ALL: dict[str, Call] = {**READS, **WRITES, **DELETES}

WRITTEN: dict[str, str] = {
    "c": "k d v p r n u l expires_at",
    "w": "w x b t u expires_at",
    "s": "d t expires_at",
    "p": "d t expires_at",
    "m": "messages sealed count version incarnation blobs expires_at",
    "r": "t expires_at",
}
"""The attributes of each kind of item that is ours, as `_format/items.py` and `_rows/pages.py` write them."""

KINDS = [
    *((THREAD, kind) for kind in ("row", *WRITTEN)),
    *((FRAMES, kind) for kind in ("row", *"cwp")),
    *((SEALED, kind) for kind in ("row", *"cwspm")),
    *((WAITING, kind) for kind in ("row", *"cw")),
    (FOREIGN, "row"),
]
SAMPLE = 37
"""Without `--all` one in so many is tried; it has no divisor with the number of values, so all come in turn."""

LEFT_BEHIND = re.compile(r"stays behind its state: (\w+)")
TABLE_DOCUMENT = File(__file__).parents[2] / "docs" / "table.md"


@pytest.fixture(scope="module")
def world() -> World:
    return every_item()


@pytest.fixture(autouse=True)
def one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without threads, which cost more here than what they do."""
    monkeypatch.setattr(Table, "side_by_side", lambda _, *calls: [call() for call in calls])


def documented_of_row() -> list[str]:
    """The attributes of a row, from the table's documents."""
    rows = re.findall(r"^\| (`.*?`) \|", TABLE_DOCUMENT.read_text().partition("## The row")[2], re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    return names[names.index("title") : names.index("sealed") + 1]


def owner_of(item: Item) -> str:
    thread = str(item["conversation_id"]["S"])
    return THREAD if thread.startswith("run#") else thread


def representatives(world: World, thread: str, kind: str) -> list[Item]:
    """Of all items of a kind in a conversation, the last with each set of attributes."""
    items = [item for item in world.items() if (owner_of(item), kind_of(item)) == (thread, kind)]
    return list({(frozenset(item), str(item.get("k"))): item for item in items}.values())


def cases_of(item: Item) -> Iterator[tuple[Path, str]]:
    """Every attribute and every value within, with the name of each other value."""
    added = [(name,) for name in documented_of_row() if name not in item] if kind_of(item) == "row" else []
    for path in (*paths(item), *added):
        of_index = path == ("created_at",)  # DynamoDB itself refuses another type
        of_many = re.fullmatch(r"w[3-9]|w1\d", path[0]) is not None
        if not of_many and (path not in added or not of_index):
            names = ["S", "digits", "removed"] if of_index else [*VALUES]
            yield from ((path, name) for name in names if path not in added or name != "removed")


def warnings_of(caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    """The errors of other packages, or of Python's, for which a row was left behind."""
    names = (LEFT_BEHIND.search(record.getMessage()) for record in caplog.records)
    return (found[1] for found in names if found and not hasattr(errors, found[1]))


def test_every_attribute_is_really_written(world: World) -> None:
    names: dict[str, set[str]] = {}
    for item in world.items():
        own = {re.sub(r"^([wxb])\d+$", r"\1", name) for name in item if name not in ("conversation_id", "user_id")}
        names.setdefault(kind_of(item), set()).update(own)

    assert names.keys() == {"row", *WRITTEN}
    assert {kind: names[kind] for kind in WRITTEN} == {kind: set(text.split()) for kind, text in WRITTEN.items()}
    assert {"title", "messages", "head", "sealed", "live_until"} <= names["row"] <= set(documented_of_row())
    assert {(owner_of(item), kind_of(item)) for item in world.items()} == set(KINDS)


def test_what_is_whole_is_read_and_changed(world: World) -> None:
    for thread in dict.fromkeys(thread for thread, _ in KINDS):
        alone = world.alone(thread)
        assert alone.saver(thread).conversations.verify(thread, USER).ok
        for call in ALL.values():
            with suppress(errors.RunNotEndedError, errors.MessageNotFoundError, errors.ConversationNotFoundError):
                call(alone.copied().saver(thread, cache_bytes=0), thread)


@pytest.mark.parametrize(("thread", "kind"), KINDS)
def test_an_odd_attribute_is_a_named_error_or_has_its_documented_meaning(
    world: World, thread: str, kind: str, pytestconfig: pytest.Config, caplog: pytest.LogCaptureFixture
) -> None:
    alone = world.alone(thread)
    found = [(item, *case) for item in representatives(world, thread, kind) for case in cases_of(item)]
    step = 1 if pytestconfig.getoption("--all") else SAMPLE
    wrong = []
    for item, path, name in islice(found, len(found) // 2 % step, None, step):
        odd = alone.copied()
        odd.put(changed(item, path, VALUES[name]))
        for call_name, call in ALL.items():
            where = odd if call_name in READS else odd.copied()
            saver = where.saver(thread, cache_bytes=0)
            caplog.clear()
            try:
                call(saver, thread)
            except DynamoConvError as error:
                if call_name in DELETES:
                    wrong.append((path, name, call_name, repr(error)))
            except Exception as error:  # noqa: BLE001 - whatever is raised is what is wrong
                wrong.append((path, name, call_name, repr(error)))
            wrong += [(path, name, call_name, warning) for warning in warnings_of(caplog)]
    assert wrong == []


@pytest.mark.parametrize(("thread", "kind"), [one for one in KINDS if one[1] not in ("row", "r")])
def test_verify_names_what_is_of_another_type_and_reads_are_never_wrong(
    world: World, thread: str, kind: str, pytestconfig: pytest.Config
) -> None:
    alone = world.alone(thread)
    reads = [READS[name] for name in ("get_tuple", "get_tuple of a subgraph", "list", "conversations.get")]
    expected = [read(alone.saver(thread), thread) for read in reads]
    step = 1 if pytestconfig.getoption("--all") else SAMPLE
    cases = [(item, *case) for item in representatives(world, thread, kind) for case in cases_of(item)]
    for item, path, name in islice(cases, 0, None, step):
        other = VALUES[name]
        if len(path) > 1 or other is None or other.keys() == item[path[0]].keys():
            continue
        odd = alone.copied()
        odd.put(changed(item, path, other))
        at = f"{item['conversation_id']['S']} / {item['user_id']['S']}"
        damage = odd.saver(thread).conversations.verify(thread, USER).damage
        assert any(one.key == at and f"'{path[0]}'" in one.problem for one in damage), (at, path, name, damage)
        for read, whole in zip(reads, expected, strict=True):
            with suppress(CorruptDataError):
                assert read(odd.saver(thread), thread) == whole
