"""The transcript after a turn of which any request fails, whichever worker plays the next one, or both at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse

from langgraph_dynamo_conv.errors import DynamoConvError
from tests.faults.failing import THOROUGH, Deliver, FailingClient, Fault, faults_at
from tests.faults.said import CHANNELS, USER, ask, read, said
from tests.integration.transcripts import TableReader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.conftest import MakeSaver

SMALL_ROW = 700
"""Bytes of a row that holds about two exchanges, so that pages are cut in most turns."""

CLEAN_TURNS = 3

_LONG = 30
"""Seconds that no request of these tests takes."""

AFTERWARDS = ("another worker", "the same worker", "both at once")
DURABILITIES = ("sync", "async", "exit")


class Hit:
    """Which request a fault hit."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self.__name__ = fault.__name__
        self.operation = ""
        self.keys: list[str] = []

    def __call__(self, request: Any, deliver: Deliver) -> AWSResponse:
        body = json.loads(request.body)
        self.operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        writes = [next(iter(one.values())) for one in body["TransactItems"]] if "TransactItems" in body else [body]
        self.keys = [(one.get("Key") or one.get("Item") or {}).get("user_id", {}).get("S", "") for one in writes]
        return self._fault(request, deliver)

    @property
    def of_the_row(self) -> bool:
        """Whether it was a write of the row, or of the pages that leave it."""
        return any(key == USER or "#m#" in key for key in self.keys)

    def __repr__(self) -> str:
        return f"{self._fault.__name__} at {self.operation} {self.keys}"


class Trial:
    """A turn with a fault in it, the next turn, and what the transcript must be then."""

    def __init__(
        self, make_saver: MakeSaver, failing: FailingClient, table: TableReader, channel: str, durability: str
    ) -> None:
        self._make_saver = make_saver
        self._failing = failing
        self._table = table
        self._channel = channel
        self._durability = durability

    def requests(self) -> int:
        """Requests of a turn, undisturbed."""
        worker, _, config = self._talked()
        with self._failing.counting():
            self._ask(worker, config, "again")
        return self._failing.sent

    def run(self, fault: Fault, number: int, afterwards: str) -> None:
        worker, other, config = self._talked()
        hit = Hit(fault)
        error = None
        with self._failing.failing(hit, number):
            try:
                self._ask(worker, config, "disturbed")
            except DynamoConvError as raised:
                error = raised
        case = f"request {number}, {hit}, then {afterwards}"
        assert error is None or not hit.of_the_row, case
        {
            "another worker": lambda: self._ask(other, config, "next"),
            "the same worker": lambda: self._ask(worker, config, "next"),
            "both at once": lambda: self._at_once(config, {worker: "next", other: "beside"}),
        }[afterwards]()
        self._is_what_was_said(config, case, was_raised=error is not None, at_once=afterwards == AFTERWARDS[2])

    def run_late(self, number: int) -> None:
        """A turn of which one request is held up until another worker has played a turn at the same time."""
        worker, other, config = self._talked()
        is_held, may_go = threading.Event(), threading.Event()

        def held(request: Any, deliver: Deliver) -> AWSResponse:
            is_held.set()
            assert may_go.wait(_LONG)
            return deliver()

        hit = Hit(held)
        with ThreadPoolExecutor(1) as pool, self._failing.failing(hit, number):
            late = pool.submit(self._ask, worker, config, "beside")
            try:
                assert is_held.wait(_LONG)
                self._ask(other, config, "next")
            finally:
                may_go.set()
            late.result()
        case = f"request {number}, {hit}"
        shown, beside = said(self._make_saver(), config, self._channel)
        words = read(self._make_saver(), self._table, config, case)
        assert sorted(words) == sorted([*shown, *beside]), case
        assert all(words.index(f"to {text}") > words.index(text) for text in ("next", "beside")), case

    def _talked(self) -> tuple[DynamoDBConversationSaver, DynamoDBConversationSaver, Any]:
        """Two workers, of whom the first may fail, and a conversation in which they have taken turns."""
        worker = self._make_saver(client=self._failing.client, row_bytes=SMALL_ROW)
        other = self._make_saver(row_bytes=SMALL_ROW)
        config = worker.new_conversation(USER)
        for number in range(CLEAN_TURNS):
            self._ask((worker, other)[number % 2], config, str(number))
        return worker, other, config

    def _ask(self, saver: DynamoDBConversationSaver, config: Any, text: str) -> None:
        ask(saver, config, self._channel, self._durability, text)

    def _at_once(self, config: Any, questions: dict[Any, str]) -> None:
        with ThreadPoolExecutor(len(questions)) as pool:
            played = [pool.submit(self._ask, saver, config, text) for saver, text in questions.items()]
        for one in played:
            one.result()

    def _is_what_was_said(self, config: Any, case: str, *, was_raised: bool, at_once: bool) -> None:
        reader = self._make_saver()
        shown, beside = said(reader, config, self._channel)
        words = read(reader, self._table, config, case)
        if at_once:
            assert sorted(words) == sorted([*shown, *beside]), case
            assert all(words.index(f"to {text}") > words.index(text) for text in ("next", "beside")), case
        else:
            assert beside == [], case
            assert words == shown, case
        expected = [text for number in range(CLEAN_TURNS) for text in (str(number), f"to {number}")]
        expected += [] if was_raised else ["disturbed", "to disturbed"]
        assert words[: len(expected)] == expected, case
        assert {"next", "to next"} <= set(words), case


@pytest.fixture
def trial(
    make_saver: MakeSaver, failing: FailingClient, client: DynamoDBClient, table_name: str
) -> Callable[[str, str], Trial]:
    return lambda channel, durability: Trial(make_saver, failing, TableReader(client, table_name), channel, durability)


@pytest.mark.engine("memory", "dynamodb-local")
@pytest.mark.parametrize("durability", DURABILITIES)
@pytest.mark.parametrize("channel", CHANNELS)
def test_the_transcript_is_what_was_said_after_any_request_of_a_turn_has_failed(
    trial: Callable[[str, str], Trial], channel: str, durability: str
) -> None:
    turn = trial(channel, durability)
    for number in range(1, turn.requests() + 1):
        for place, fault in enumerate(faults_at(number)):
            chosen = AFTERWARDS if THOROUGH else [AFTERWARDS[(number + place) % len(AFTERWARDS)]]
            for afterwards in chosen:
                turn.run(fault, number, afterwards)


@pytest.mark.engine("memory")
@pytest.mark.parametrize("durability", DURABILITIES)
@pytest.mark.parametrize("channel", CHANNELS)
def test_the_transcript_is_what_was_said_when_any_request_of_a_turn_comes_after_another_worker_s_turn(
    trial: Callable[[str, str], Trial], channel: str, durability: str
) -> None:
    turn = trial(channel, durability)
    for number in range(1, turn.requests() + 1):
        turn.run_late(number)
