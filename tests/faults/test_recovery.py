"""`rekey-user` and `restore-conversation` of which any request fails: nothing is lost, and again is enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import typer
from botocore.awsrequest import AWSResponse
from langchain_core.messages import AIMessage, HumanMessage

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.cli.app import Run
from langgraph_dynamo_conv.cli.commands.recovery import rekey_user, restore_conversation
from langgraph_dynamo_conv.cli.options import SharedOptions
from langgraph_dynamo_conv.cli.output import Exit
from langgraph_dynamo_conv.errors import (
    AccessDeniedError,
    ConversationNotFoundError,
    CredentialsError,
    DynamoConvError,
    TableNotFoundError,
)
from tests.buckets import Wire, new_bucket, s3_client
from tests.cli.runs import RunWith
from tests.engines import create_table
from tests.factories import config, items_of, noise, put
from tests.faults.failing import THOROUGH, Deliver, FailingClient, Fault, faults_at, refusal, throttled

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.conftest import MakeSaver
    from tests.engines import Engine

OLD, NEW = "old", "new"
ONCE: Any = {"total_max_attempts": 1}

MANY = 20
"""Fewer requests than any command here sends."""

Items = list[dict[str, Any]]
Command = Callable[[Run], None]


def fill(saver: DynamoDBConversationSaver, user: str = OLD) -> None:
    """A conversation with changes, a full checkpoint, a subgraph, task writes, older messages and large values."""
    said: list[Any] = []
    for number in (1, 2, 3):
        said += [HumanMessage(f"q {number}", id=f"q{number}"), AIMessage(noise(800, number).hex(), id=f"a{number}")]
        at = config(user_id=user, run_id="run")
        put(saver, number, {"messages": said, "x": noise(30_000, 9)}, parent=number - 1 or None, at=at)
        saver.put_writes(config(number=number, user_id=user), [("x", said[-1]), ("y", noise(2000, number))], "task")
    put(saver, 4, {"messages": said}, at=config(user_id=user, ns="inner"), metadata={"parents": {"": "x"}})


def told(saver: DynamoDBConversationSaver, user: str) -> Any:
    """All that can be read of the conversation; None if it is not there."""
    try:
        chat = replace(saver.conversations.get("thread", user), user_id="")
    except ConversationNotFoundError:
        return None
    history = [
        (one.checkpoint, {**one.metadata, "user_id": one.metadata.get("user_id") == user}, one.pending_writes)
        for one in saver.list(config(user_id=user))
    ]
    return chat, history, saver.conversations.verify("thread", user).ok


def stored(client: DynamoDBClient, table_name: str) -> Items:
    return in_order(items_of(client, table_name))


def in_order(items: Items) -> Items:
    """Items without the times at which parts and objects were written."""
    undated = [{name: one for name, one in item.items() if name != "t"} for item in items]
    return sorted(undated, key=lambda one: (one["conversation_id"]["S"], one["user_id"]["S"]))


def rekey(run: Run) -> None:
    rekey_user.function(run, OLD, NEW, yes=True)


class Trial:
    """A command on a new table each time, whose requests fail or whose process dies at one of them.

    Args:
        client: A client that works.
        failing: One that fails.
        items: What each table has.
    """

    def __init__(self, client: DynamoDBClient, failing: FailingClient, items: Items) -> None:
        self.client = client
        self.failing = failing
        self.items = items

    @contextmanager
    def table(self) -> Iterator[str]:
        """A new, empty table."""
        name = create_table(self.client)
        yield name
        self.client.delete_table(TableName=name)

    def fill(self, table_name: str) -> None:
        for item in self.items:
            self.client.put_item(TableName=table_name, Item=item)

    def run(self, table_name: str, command: Command, client: DynamoDBClient | None = None) -> None:
        """Run a command in a process of its own memory."""
        options = SharedOptions(table=table_name, as_json=True)
        with (
            closing(RunWith(options, {"dynamodb": client or self.client})) as run,
            suppress(typer.Exit, DynamoConvError),
        ):
            command(run)

    def break_off(self, table_name: str, command: Command, fault: Fault | None, first: int, times: int | None) -> int:
        """Run a command of which requests fail; gives how many were sent."""
        broken = self.failing.failing(fault, first, times=times) if fault else self.failing.counting()
        with broken:
            self.run(table_name, command, self.failing.client)
        return self.failing.sent

    def told(self, table_name: str, user: str) -> Any:
        with closing(DynamoDBConversationSaver(table_name, client=self.client)) as saver:
            return told(saver, user)

    def rekeyed(self, fault: Fault | None, first: int = 0, times: int | None = 1) -> tuple[list[Any], Items, int]:
        """What of the two users' could be read after the fault, what was stored in the end, and requests sent."""
        with self.table() as table_name:
            self.fill(table_name)
            sent = self.break_off(table_name, rekey, fault, first, times)
            between = [self.told(table_name, user) for user in (OLD, NEW)]
            self.run(table_name, rekey)
            return between, stored(self.client, table_name), sent

    def restored(self, fault: Fault | None, first: int = 0, times: int | None = 1) -> tuple[Any, Items, int]:
        """What could be read after the fault, what was stored in the end, and requests sent."""
        with self.table() as source, self.table() as table_name:
            self.fill(source)
            again = partial(restore_conversation.function, conversation="thread", from_table=source, user=OLD, yes=True)
            sent = self.break_off(table_name, again, fault, first, times)
            between = self.told(table_name, OLD)
            self.run(table_name, partial(again, replace=True))
            return between, stored(self.client, table_name), sent


@pytest.fixture
def trial(client: DynamoDBClient, failing: FailingClient, make_saver: MakeSaver, table_name: str) -> Trial:
    fill(make_saver())
    return Trial(client, failing, items_of(client, table_name))


def faults(sent: int) -> Iterator[tuple[Fault, int, int | None]]:
    """Each request fails, alone or as the last before the process dies; where faults are thorough, in every way."""
    for number in range(1, sent + 1):
        if THOROUGH:
            yield from ((fault, number, times) for fault in faults_at(number) for times in (1, None))
        else:
            yield faults_at(number)[number % 2], number, 1 if number % 4 < 2 else None


def test_any_request_of_a_rekey_fails_and_again_is_enough(trial: Trial) -> None:
    (nothing, whole), expected, sent = trial.rekeyed(None)
    assert (nothing, whole is not None, sent > MANY) == (None, True, True)
    for fault, number, times in faults(sent):
        between, items, _ = trial.rekeyed(fault, number, times)

        assert whole in between, (number, fault)
        assert items == expected, (number, fault)


def fill_three(saver: DynamoDBConversationSaver) -> None:
    for thread in ("one", "two", "three"):
        put(saver, 1, {"messages": [("user", thread)]}, at=config(thread, user_id=OLD))


def test_a_throttled_request_of_a_rekey_leaves_one_conversation_out_and_is_told_as_it_comes(
    make_saver: MakeSaver, failing: FailingClient, table_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    saver = make_saver()
    fill_three(saver)
    printed: list[str] = []

    def refused_once(request: Any, deliver: Deliver) -> AWSResponse:
        printed.append(capsys.readouterr().out)
        return throttled(request, deliver) if len(printed) == 1 else deliver()

    with (
        closing(RunWith(SharedOptions(table=table_name), {"dynamodb": failing.client})) as run,
        failing.failing(refused_once, 2, times=None),
        pytest.raises(typer.Exit) as ended,
    ):
        rekey(run)

    assert ended.value.exit_code == Exit.FOUND
    assert printed[0] == ""
    assert printed[1].startswith("✗ three: ")
    assert "throughput" in printed[1]
    assert capsys.readouterr().out == "conversations: 2 moved, 0 over, 1 failed\n"
    assert [saver.conversations.count(user) for user in (OLD, NEW)] == [1, 2]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("AccessDeniedException", AccessDeniedError),
        ("ExpiredTokenException", CredentialsError),
        ("ResourceNotFoundException", TableNotFoundError),
    ],
)
def test_a_rekey_ends_at_once_at_what_stops_all_and_says_what_is_done(
    make_saver: MakeSaver,
    failing: FailingClient,
    table_name: str,
    code: str,
    error: type[DynamoConvError],
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill_three(make_saver())

    def refused(request: Any, _: Deliver) -> AWSResponse:
        return refusal(request, code, "User: u is not authorized to perform: dynamodb:GetItem on resource: t")

    with (
        closing(RunWith(SharedOptions(table=table_name), {"dynamodb": failing.client})) as run,
        failing.failing(refused, 2, times=None),
        pytest.raises(error),
    ):
        rekey(run)

    assert failing.sent == 2
    assert capsys.readouterr().out == "conversations: 0 moved, 0 over, 0 failed\n"


def test_any_request_of_a_restored_conversation_fails_and_again_is_enough(trial: Trial) -> None:
    whole, expected, sent = trial.restored(None)
    assert expected == in_order(trial.items)
    assert sent > MANY
    for fault, number, times in faults(sent):
        between, items, _ = trial.restored(fault, number, times)

        assert between in (None, whole), (number, fault)
        assert items == expected, (number, fault)


@pytest.mark.engine("moto")
@pytest.mark.parametrize("done", [False, True], ids=["unsent", "answer lost"])
def test_a_process_dies_at_a_request_for_an_object_of_a_rekey(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str, engine: Engine, done: bool
) -> None:
    with new_bucket() as bucket, closing(s3_client()) as s3, closing(engine.client(retries=ONCE)) as dynamodb:
        saver = make_saver(s3_bucket=bucket.name, s3_client=bucket.client, s3_threshold_bytes=25_000)
        put(saver, 1, {"messages": [], "x": noise(30_000)}, at=config(user_id=OLD))
        before, (key,) = in_order(items_of(client, table_name)), bucket.keys
        options = SharedOptions(table=table_name, as_json=True, s3_bucket=bucket.name)

        def run(old: str, new: str) -> None:
            with (
                closing(RunWith(options, {"dynamodb": dynamodb, "s3": s3})) as one,
                suppress(typer.Exit, DynamoConvError),
            ):
                rekey_user.function(one, old, new, yes=True)

        with Wire(dynamodb, s3) as wire:
            run(OLD, NEW)
            operations = wire.operations
            run(NEW, OLD)  # and all is as it was
            assert (in_order(items_of(client, table_name)), bucket.keys) == (before, [key])
            for number in [number for number, one in enumerate(operations, 1) if one in ("CopyObject", "DeleteObject")]:
                wire.cut(number, done=done)
                run(OLD, NEW)
                wire.mend()
                assert any(value_of(saver, user) == noise(30_000) for user in (OLD, NEW)), number
                run(OLD, NEW)
                assert value_of(saver, NEW) == noise(30_000)
                assert len(bucket.keys) == 1
                run(NEW, OLD)
                assert (in_order(items_of(client, table_name)), bucket.keys) == (before, [key])
    assert operations.count("CopyObject") == operations.count("DeleteObject") == 1


def value_of(saver: DynamoDBConversationSaver, user: str) -> object:
    """What the newest state of the user's conversation has; None if there is none, or not all of it."""
    saver._runtime.removal.forget("thread", user)
    with suppress(DynamoConvError):
        found = saver.get_tuple(config(user_id=user))
        return found.checkpoint["channel_values"]["x"] if found else None
    return None
