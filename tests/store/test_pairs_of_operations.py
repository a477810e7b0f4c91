"""Every two public operations on one conversation at once: what each is promised, and what is left.

Another process does the second whole, before one of the first's requests: each in turn. So every point is met at which
the first has read what no longer is, and every order of the two. `docs/reliability.md` has the table of what comes of
each pair, which is held to be this one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import DynamoConvError
from tests.conftest import MakeSaver
from tests.factories import config, items_of, values_of
from tests.store.test_deletion_during_runs import RUN, STEPS, Listed, talk

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.engine("memory")

Operation = Callable[[DynamoDBConversationSaver], object]


def first_id(saver: DynamoDBConversationSaver) -> str:
    return str(saver.conversations.get("thread", "demo").messages[0].id)


def read_all(saver: DynamoDBConversationSaver) -> None:
    saver.get_tuple(config())
    list(saver.list(config()))
    list(saver.conversations.list("demo"))
    saver.conversations.get("thread", "demo")


OPERATIONS: dict[str, Operation] = {
    "a run": lambda saver: talk(saver, Listed, 8),
    "add_message": lambda saver: saver.conversations.add_message(
        "thread", "user", "added", user_id="demo", message_id="added"
    ),
    "edit_message": lambda saver: saver.conversations.edit_message("thread", first_id(saver), "edited", user_id="demo"),
    "remove_message": lambda saver: saver.conversations.remove_message("thread", first_id(saver), user_id="demo"),
    "rename": lambda saver: saver.conversations.rename("thread", "demo", "another"),
    "prune": lambda saver: saver.prune(["thread"]),
    "delete": lambda saver: saver.delete_thread("thread"),
    "delete_for_runs": lambda saver: saver.delete_for_runs([RUN]),
    "copy_thread": lambda saver: saver.copy_thread("thread", "copy", user_id="demo"),
    "reading": read_all,
}


DELETING = ("delete", "prune", "delete_for_runs")
ERASING = ("edit_message", "remove_message")


class Interruption:
    """Lets another operation happen whole before the request of this number."""

    def __init__(self, number: int, act: Callable[[], str | None]) -> None:
        self.count = 0
        self.outcome: str | None = None
        self._number = number
        self._act = act
        self._lock = threading.RLock()
        self._is_acting = False

    def __call__(self, **_: Any) -> None:
        if self._is_acting:
            return
        with self._lock:
            self.count += 1
            if self.count == self._number:
                self._is_acting = True
                try:
                    self.outcome = self._act()
                finally:
                    self._is_acting = False


@contextmanager
def interrupted(client: DynamoDBClient, interruption: Interruption) -> Iterator[None]:
    client.meta.events.register_first("before-call.dynamodb", interruption)
    try:
        yield
    finally:
        client.meta.events.unregister("before-call.dynamodb", interruption)


def clear(client: DynamoDBClient, table_name: str) -> None:
    for item in items_of(client, table_name):
        client.delete_item(TableName=table_name, Key={name: item[name] for name in ("conversation_id", "user_id")})


@pytest.fixture
def begin(make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> Callable[[], None]:
    """Lets the table hold a conversation of three turns alone."""
    saver = make_saver()
    for turn in range(3):
        talk(saver, Listed, turn, run_id=RUN if turn == 1 else None)
    items = items_of(client, table_name)

    def begun() -> None:
        clear(client, table_name)
        for item in items:
            client.put_item(TableName=table_name, Item=item)

    return begun


def outcome(operation: str, saver: DynamoDBConversationSaver) -> str | None:
    """The name of the error that an operation raises, which must be one of this package; None without one."""
    try:
        OPERATIONS[operation](saver)
    except DynamoConvError as error:
        return type(error).__name__
    except ValueError:
        if operation != "copy_thread":
            raise
        return "ValueError"
    return None


def numbers_of_requests(request: pytest.FixtureRequest, count: int) -> list[int]:
    """Before which requests the other operation happens: before each with `--all`, else four of them."""
    every = list(range(1, count + 1))
    return every if request.config.getoption("all") else sorted({1, 2, -(-count // 2), count} & {*every})


def words(saver: DynamoDBConversationSaver) -> set[str]:
    """Ids of all messages that the newest state has."""
    found = saver.get_tuple(config())
    return {one.id for one in found.checkpoint["channel_values"].get("messages", [])} if found is not None else set()


@pytest.mark.parametrize("second", [name for name in OPERATIONS if name != "reading"])
@pytest.mark.parametrize("first", OPERATIONS)
def test_two_operations_at_once_leave_what_the_table_says(
    request: pytest.FixtureRequest,
    make_saver: MakeSaver,
    client: DynamoDBClient,
    table_name: str,
    begin: Callable[[], None],
    first: str,
    second: str,
) -> None:
    begin()
    counting = Interruption(0, lambda: None)
    with interrupted(client, counting):
        outcome(first, make_saver())
    seen: set[tuple[str | None, str | None]] = set()
    for number in numbers_of_requests(request, counting.count):
        begin()
        interruption = Interruption(number, partial(outcome, second, make_saver()))
        with interrupted(client, interruption):
            error = outcome(first, make_saver())
        assert interruption.count >= number
        seen.add((error, interruption.outcome))
        check_whole(make_saver, first, second, number)
        if "delete" in (first, second):
            check_deleted(make_saver, client, table_name, first, second, number)
    assert {one for one, _ in seen} <= {None, *may_raise(first, second)}, seen
    assert {one for _, one in seen} <= {None, *may_raise(second, first)}, seen


def check_whole(make_saver: MakeSaver, first: str, second: str, number: int) -> None:
    """What is left is whole, to a process that has seen nothing and in the copy; and the conversation goes on."""
    saver = make_saver()
    for thread in ("thread", "copy"):
        state = saver.get_tuple(config(thread))
        rows = [one for one in saver.conversations.list("demo") if one.conversation_id == thread]
        if rows:
            assert saver.conversations.verify(thread, "demo").damage == (), (first, second, number)
        elif thread == "thread":
            assert state is None, (first, second, number)
        list(saver.list(config(thread)))
    if "copy_thread" in (first, second) and "delete" not in (first, second):
        assert {"1", "2"} <= {one.id for one in values_of(saver, config("copy"))["messages"]}


def check_deleted(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str, first: str, second: str, number: int
) -> None:
    """Nothing of what was deleted is left, in no item; a run that began after it may have begun anew."""
    old = {f"{turn}-{step}" for turn in range(3) for step in range(STEPS)} | {"0", "1", "2"}
    assert not words(make_saver()) & old, (first, second, number)
    if "a run" not in (first, second):
        left = [item for item in items_of(client, table_name) if item["conversation_id"]["S"] == "thread"]
        assert left == [], (first, second, number)


def may_raise(operation: str, other: str) -> set[str]:
    """What an operation may raise while another goes on: the table of `docs/reliability.md`."""
    if other == "delete":
        gone = set() if operation in DELETING else {"ConversationNotFoundError"}
        return gone | ({"RunNotEndedError", "MessageNotFoundError"} if operation in ERASING else set())
    if operation in ERASING:
        return {"a run": {"RunNotEndedError"}, "remove_message": {"MessageNotFoundError"}}.get(other, set())
    return {"ValueError"} if operation == other == "copy_thread" else set()


LETTERS = {
    "ConversationNotFoundError": "C",
    "MessageNotFoundError": "M",
    "RunNotEndedError": "R",
    "ValueError": "V",
}


def pairs_table() -> str:
    """The table of `docs/reliability.md`."""
    others = [name for name in OPERATIONS if name != "reading"]
    lines = [f"| | {' | '.join(others)} |", "|---" * (len(others) + 1) + "|"]
    for operation in OPERATIONS:
        cells = [" ".join(sorted(LETTERS[one] for one in may_raise(operation, other))) or "-" for other in others]
        lines.append(f"| **{operation}** | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_the_document_has_the_table() -> None:
    document = Path(__file__).parents[2] / "docs" / "reliability.md"
    assert pairs_table() in document.read_text(encoding="utf-8")
