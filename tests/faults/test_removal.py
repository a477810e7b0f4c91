"""Deletes, prunes and copies of which any request fails: each checkpoint is as it was or gone, and again is enough."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from langgraph_dynamo_conv._history.removal import GRACE_SECONDS
from langgraph_dynamo_conv.errors import ConversationNotFoundError, DynamoConvError
from tests.factories import items_of, sort_keys
from tests.faults.failing import THOROUGH, Deliver, FailingClient, Fault, error_500, throttled, unsent
from tests.faults.test_calls import Chain, at, everything

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse
    from mypy_boto3_dynamodb import DynamoDBClient

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.conftest import MakeSaver

SIZES = [400, 60_000, 400, 400]
FIRST_RUN = 2
"""Checkpoints of the first run."""

Told = dict[str, Any]


class Trial:
    """One removal, again and again, each time with another request failing."""

    def __init__(
        self,
        make_saver: MakeSaver,
        failing: FailingClient,
        remove: Callable[[DynamoDBConversationSaver, str], None],
    ) -> None:
        self.make_saver = make_saver
        self.failing = failing
        self.remove = remove

    def prepared(self) -> str:
        thread_id = str(uuid.uuid4())
        chain = Chain(SIZES, run_of=lambda step: f"{'first' if step < FIRST_RUN else 'last'} {thread_id}")
        chain.put_all(self.make_saver(), thread_id)
        return thread_id

    def count(self) -> int:
        thread_id = self.prepared()
        with self.failing.counting():
            self.remove(self.make_saver(client=self.failing.client), thread_id)
        return self.failing.sent

    def run(self, fault: Fault, first: int, times: int | None) -> tuple[Told, Told, Told]:
        """What was told of each checkpoint before, after the fault, and after repeating the call."""
        thread_id = self.prepared()
        before = self.told(thread_id)
        saver = self.make_saver(client=self.failing.client)
        with self.failing.failing(fault, first, times=times), suppress(DynamoConvError):
            self.remove(saver, thread_id)
        between = self.told(thread_id)
        self.remove(saver if first % 2 else self.make_saver(), thread_id)
        return before, between, self.told(thread_id)

    def told(self, thread_id: str) -> Told:
        return {one[0]["id"]: one for one in everything(self.make_saver(), thread_id)}


def of_states(told: Told) -> Told:
    """The same without the parents: what is kept has another one where its own is removed."""
    return {id_: one[:-1] for id_, one in told.items()}


def every_fault(trial: Trial) -> Iterator[tuple[Told, Told, Told]]:
    for first in range(1, trial.count() + 1):
        yield trial.run(unsent, first, None) if first % 2 else trial.run(error_500, first, 1)
        if THOROUGH:
            yield trial.run(error_500, first, 1) if first % 2 else trial.run(unsent, first, None)


@pytest.mark.engine("memory")
def test_any_request_of_delete_thread_may_fail(make_saver: MakeSaver, failing: FailingClient) -> None:
    trial = Trial(make_saver, failing, lambda saver, thread_id: saver.delete_thread(thread_id))

    for before, between, after in every_fault(trial):
        assert between.items() <= before.items()
        assert after == {}


@pytest.mark.engine("memory")
def test_any_request_of_prune_may_fail(make_saver: MakeSaver, failing: FailingClient) -> None:
    trial = Trial(make_saver, failing, lambda saver, thread_id: saver.prune([thread_id]))

    for before, between, after in every_fault(trial):
        newest = max(before)
        assert of_states(between)[newest] == of_states(before)[newest]
        assert of_states(between).items() <= of_states(before).items()
        assert of_states(after) == {newest: of_states(before)[newest]}


@pytest.mark.engine("memory")
@pytest.mark.parametrize("run", ["first", "last"])
def test_any_request_of_delete_for_runs_may_fail(make_saver: MakeSaver, failing: FailingClient, run: str) -> None:
    trial = Trial(make_saver, failing, lambda saver, thread_id: saver.delete_for_runs([f"{run} {thread_id}"]))

    for before, between, after in every_fault(trial):
        kept = {id_: one for id_, one in before.items() if not one[1]["run_id"].startswith(run)}
        assert of_states(kept).items() <= of_states(between).items() <= of_states(before).items()
        assert of_states(after) == of_states(kept)


@pytest.mark.engine("memory")
def test_any_request_of_copy_thread_may_fail(make_saver: MakeSaver, failing: FailingClient) -> None:
    targets: dict[str, str] = {}

    def copy(saver: DynamoDBConversationSaver, thread_id: str) -> None:
        target = targets.setdefault(thread_id, str(uuid.uuid4()))
        try:
            saver.copy_thread(thread_id, target)
        except ValueError:  # only the last answer was lost: the row is there, so all is
            assert has_row(make_saver(), target)

    trial = Trial(make_saver, failing, copy)
    for before, between, after in every_fault(trial):
        assert before == between == after
        _, target = targets.popitem()
        assert trial.told(target) == before
        assert has_row(make_saver(), target)


@pytest.mark.engine("memory")
def test_a_copy_that_broke_off_is_read_as_a_whole_state_or_none(make_saver: MakeSaver, failing: FailingClient) -> None:
    source = str(uuid.uuid4())
    Chain(SIZES).put_all(make_saver(), source)
    whole = [tuple_.checkpoint for tuple_ in make_saver().list(at(source))]
    with failing.counting():
        make_saver(client=failing.client).copy_thread(source, str(uuid.uuid4()))
    read: list[int] = []
    for first in range(1, failing.sent + 1):
        target, saver = str(uuid.uuid4()), make_saver(client=failing.client)
        with failing.failing(unsent, first, times=None), suppress(DynamoConvError):
            saver.copy_thread(source, target)
        found = [tuple_.checkpoint for tuple_ in make_saver().list(at(target))]
        assert all(checkpoint in whole for checkpoint in found)
        read.append(len(found))
    assert {0, len(whole)} <= set(read)
    assert len(set(read)) > 2


@pytest.mark.engine("memory")
def test_a_copy_is_listed_only_once_it_is_whole(make_saver: MakeSaver, failing: FailingClient) -> None:
    source, target = str(uuid.uuid4()), str(uuid.uuid4())
    Chain(SIZES).put_all(make_saver(), source)
    saver = make_saver(client=failing.client)

    with failing.failing(unsent, 3, times=None), pytest.raises(DynamoConvError):
        saver.copy_thread(source, target)

    assert not has_row(make_saver(), target)


@pytest.mark.engine("memory")
def test_the_row_outlives_a_broken_delete(make_saver: MakeSaver, failing: FailingClient) -> None:
    trial = Trial(make_saver, failing, lambda saver, thread_id: saver.delete_thread(thread_id))
    thread_id, last = trial.prepared(), trial.count()
    saver = make_saver(client=failing.client)

    with failing.failing(unsent, last), pytest.raises(DynamoConvError):
        saver.delete_thread(thread_id)

    assert trial.told(thread_id) == {}
    assert has_row(make_saver(), thread_id)


@pytest.mark.engine("memory")
def test_writes_that_a_crash_left_behind_are_pruned_later(
    client: DynamoDBClient, table_name: str, make_saver: MakeSaver, failing: FailingClient
) -> None:
    thread_id = str(uuid.uuid4())
    Chain(SIZES).put_all(make_saver(), thread_id)
    saver = make_saver(client=failing.client)
    with failing.failing(refuse_deletes_of_writes, 1, times=None), pytest.raises(DynamoConvError):
        saver.prune([thread_id])
    assert len(sort_keys(items_of(client, table_name), "w")) == 3
    make_saver().prune([thread_id])
    assert len(sort_keys(items_of(client, table_name), "w")) == 3  # as far as prune knows, they came early

    make_saver(clock=lambda: time.time() + 2 * GRACE_SECONDS).prune([thread_id])

    assert len(sort_keys(items_of(client, table_name), "w")) == 1


def refuse_deletes_of_writes(request: Any, deliver: Deliver) -> AWSResponse:
    deletes = request.headers["X-Amz-Target"].endswith(b"DeleteItem")
    return throttled(request, deliver) if deletes and b"#w#" in request.body else deliver()


def has_row(saver: DynamoDBConversationSaver, thread_id: str) -> bool:
    try:
        saver.conversations.get(thread_id, "alice")
    except ConversationNotFoundError:
        return False
    return True
