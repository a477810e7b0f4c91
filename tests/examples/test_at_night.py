"""The table "At night" of docs/troubleshooting.md: each row is made to happen, and seen in log, alarms and doctor."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from failure_facts import facts_of
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_dynamo_conv._storage.bucket import Bucket
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.cli.diagnosis import retention
from langgraph_dynamo_conv.cli.diagnosis.checks import diagnose
from langgraph_dynamo_conv.cli.diagnosis.description import findings
from langgraph_dynamo_conv.cli.diagnosis.findings import Finding
from langgraph_dynamo_conv.errors import CorruptDataError
from tests.buckets import new_bucket
from tests.cli.test_described import KEY, SINCE, described
from tests.examples.containers import AnsweringModel, Container, FailingModel, MakeContainer, client_error
from tests.examples.templates import Stack
from tests.factories import config, noise, put
from tests.faults.failing import Deliver, FailingClient, Fault, error_500, refusal

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.conftest import MakeSaver
    from tests.engines import Engine

PAGE = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text()
NIGHT = {
    cells[0]: cells[1:]
    for line in PAGE.partition("## At night")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ") and len(cells := [cell.strip() for cell in line.strip("| ").split(" | ")]) == 5
}
del NIGHT["what happened"]
NOTHING = "nothing"

ALARMS = Stack(
    "alarms.yaml", LogGroupName="log", FunctionName="f", ApiId="a", ModelId="m", ConcurrencyQuota=10, MonthlyDollars=10
).resources
CLAUSE = re.compile(r'\(\$\.(\w+)(?:\[(\d)\])? = "([\w ]+\*?)"\)')


@dataclass
class Night:
    """What an operator sees.

    Args:
        lines: Of the log, with their fields.
        doctor: What `doctor` finds.
    """

    lines: list[dict[str, Any]] = field(default_factory=list)
    doctor: list[Finding] = field(default_factory=list)

    @property
    def named(self) -> set[str]:
        """Errors and codes in the log."""
        return {str(line[name]) for line in self.lines for name in ("error", "code", "message") if line.get(name)}

    @property
    def rung(self) -> set[str]:
        """Alarms on the log that ring at its lines."""
        filters = {name: one for name, one in ALARMS.items() if one["Type"] == "AWS::Logs::MetricFilter"}
        return {
            name.removesuffix("Count")
            for name, one in filters.items()
            if any(meets(line, one["Properties"]["FilterPattern"]) for line in self.lines)
        }


def meets(line: Mapping[str, Any], pattern: str) -> bool:
    """Whether a line of the log meets a filter of alternatives, as CloudWatch Logs takes it."""
    clauses = CLAUSE.findall(pattern)
    assert pattern.strip() == "{ " + " || ".join(match[0] for match in re.finditer(CLAUSE, pattern)) + " }"
    return any(is_like(part(line.get(name), place), value) for name, place, value in clauses)


def is_like(found: Any, value: str) -> bool:
    return str(found).startswith(value[:-1]) if value.endswith("*") else found == value


def part(value: Any, place: str) -> Any:
    if not place:
        return value
    return value[int(place)] if isinstance(value, list) and len(value) > int(place) else None


@pytest.fixture
def failing(engine: Engine) -> Iterator[FailingClient]:
    client = FailingClient(engine)
    yield client
    client.close()


class Log(logging.Handler):
    """The function's log: the fields of each line."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        said = {"message": record.getMessage()} if record.name != "chat" else {}  # as Lambda's own JSON has it
        self.lines.append({**vars(record), **said})


@dataclass
class World:
    """What a night is made of."""

    make_container: MakeContainer
    failing: FailingClient
    client: DynamoDBClient
    table_name: str
    make_saver: MakeSaver

    def asked(self, chat: Container, **body: Any) -> Night:
        """What a message leads to."""
        log, heard = Log(), [logging.getLogger(name) for name in ("chat", "langgraph_dynamo_conv")]
        for logger in heard:
            logger.addHandler(log)
        try:
            chat("POST", "/chat", body={"message": "hi", **body})
        finally:
            for logger in heard:
                logger.removeHandler(log)
        return Night(log.lines)

    def refused(self, fault: Fault) -> Night:
        """The same where DynamoDB refuses every request, and what doctor says then."""
        chat = self.make_container(client=self.failing.client)
        with self.failing.failing(fault, 1, times=None):
            night = self.asked(chat)
            night.doctor = self.diagnosed(self.failing.client)
        return night

    def diagnosed(self, client: DynamoDBClient, table_name: str | None = None, clock: Any = None) -> list[Finding]:
        table = Table(table_name or self.table_name, client=client)
        options = {"clock": clock} if clock is not None else {}
        return list(diagnose(table, lambda: "me", JsonPlusSerializer(allowed_msgpack_modules=None), **options))


def refusing(code: str, said: str, **more: object) -> Fault:
    def fault(request: Any, deliver: Deliver) -> Any:
        if request.headers["X-Amz-Target"].endswith(b"DescribeTable"):
            return deliver()
        return refusal(request, code, said, more=more)

    return fault


def denied(because: str, action: str = "dynamodb:PutItem") -> Fault:
    said = f"User: r is not authorized to perform: {action} on resource: {KEY if 'kms' in action else 't'} {because}"
    return refusing("AccessDeniedException", said)


def gone(world: World) -> Night:
    def fault(request: Any, deliver: Deliver) -> Any:
        return refusal(request, "ResourceNotFoundException", "Requested resource not found")

    return world.refused(fault)


def without_permission(world: World) -> Night:
    return world.refused(denied("because no identity-based policy allows the dynamodb:PutItem action"))


def denied_elsewhere(world: World) -> Night:
    return world.refused(denied("with an explicit deny in a service control policy"))


def without_key(world: World) -> Night:
    night = world.refused(denied("because no resource-based policy allows the kms:Decrypt action", "kms:Decrypt"))
    encryption = {"KMSMasterKeyArn": KEY, "InaccessibleEncryptionDateTime": SINCE}
    night.doctor = list(
        findings(described(TableStatus="INACCESSIBLE_ENCRYPTION_CREDENTIALS", SSEDescription=encryption))
    )
    return night


def hot_key(world: World) -> Night:
    for number in range(60):
        world.make_saver().conversations.create("everybody", title=f"{number}")
    reasons = [{"reason": "IndexWriteKeyRangeThroughputExceeded", "resource": "arn"}]
    night = world.refused(refusing("ThrottlingException", "slow down", throttlingReasons=reasons))
    night.doctor = world.diagnosed(world.client)
    return night


def small_index(world: World) -> Night:
    reasons = [{"reason": "IndexWriteProvisionedThroughputExceeded", "resource": "arn"}]
    night = world.refused(refusing("ProvisionedThroughputExceededException", "slow down", ThrottlingReasons=reasons))
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 10}
    less = {"ProvisionedThroughput": {**units, "WriteCapacityUnits": 5}}
    night.doctor = list(findings(described(BillingModeSummary={}, ProvisionedThroughput=units, index=less)))
    return night


def damaged(world: World) -> Night:
    made = world.make_container().say("hello")["conversation_id"]
    for item in world.client.scan(TableName=world.table_name)["Items"]:
        if "k" in item:
            world.client.put_item(TableName=world.table_name, Item={**item, "d": {"B": b"\x01\x00?"}})
    night = world.asked(world.make_container(), conversation_id=made)
    night.doctor = world.diagnosed(world.client)
    return night


def parent_missing(world: World) -> Night:
    chat = world.make_container()
    made = chat.say("hello")["conversation_id"]
    chat.say("again", conversation_id=made)
    stored = sorted((one for one in items_of(world) if one.get("k") == {"S": "c"}), key=lambda one: one["user_id"]["S"])
    key = {name: stored[-3][name] for name in ("conversation_id", "user_id")}
    world.client.delete_item(TableName=world.table_name, Key=key)
    night = world.asked(world.make_container(), conversation_id=made)
    night.doctor = world.diagnosed(world.client)
    return night


def items_of(world: World) -> list[dict[str, Any]]:
    found: list[Any] = world.client.scan(TableName=world.table_name)["Items"]
    return found


def object_gone(world: World) -> Night:
    with new_bucket() as bucket:
        saver = world.make_saver(s3_bucket=bucket.name, s3_client=bucket.client)
        put(saver, 1, {"document": noise(400_000)})
        for key in bucket.keys:
            bucket.client.delete_object(Bucket=bucket.name, Key=key)
        with pytest.raises(CorruptDataError) as caught:
            world.make_saver(s3_bucket=bucket.name, s3_client=bucket.client).get_tuple(config())
        table = Table(world.table_name, client=world.client)
        at = Bucket(bucket.name, client=bucket.client)
        return Night([facts_of(caught.value)], list(retention.findings(table, at, described())))


def failing_inside(world: World) -> Night:
    return world.refused(error_500)


def archived(world: World) -> Night:
    return Night([], list(findings(described(TableStatus="ARCHIVED"))))


def model_throttled(world: World) -> Night:
    model = FailingModel(failures=[client_error("ThrottlingException", 429)] * 9)
    return well(world, world.asked(world.make_container(model)))


def model_refuses(world: World) -> Night:
    model = FailingModel(failures=[client_error("ValidationException")] * 9)
    return well(world, world.asked(world.make_container(model)))


def endless(world: World) -> Night:
    def looping(messages: Any) -> Any:
        return [("search_files", {"name": "x"})]

    return well(world, world.asked(world.make_container(AnsweringModel(make=looping), steps=5)))


def well(world: World, night: Night) -> Night:
    night.doctor = world.diagnosed(world.client)
    return night


def behind(world: World) -> Night:
    saver = world.make_saver()
    put(saver, 2, {"messages": [HumanMessage("hi", id="1")]})
    put(saver, 1, {"messages": [HumanMessage("hi", id="1")]}, parent=2)
    findings_ = world.diagnosed(dated(world.failing), clock=lambda: NOW - 70)
    return Night([], findings_)


NOW = 1_795_486_440.0


def dated(failing: FailingClient) -> DynamoDBClient:
    """A client whose server tells another time than this host's."""

    def tell(parsed: Any, **_: Any) -> None:
        parsed["ResponseMetadata"].setdefault("HTTPHeaders", {})["date"] = "Tue, 24 Nov 2026 02:14:00 GMT"

    events: Any = failing.client.meta.events
    events.register_first("after-call.dynamodb", tell)
    return failing.client


HAPPENS: dict[str, Callable[[World], Night]] = {
    "the table was deleted": gone,
    "the role lost a permission": without_permission,
    "a policy outside the role denies": denied_elsewhere,
    "the table's key can't be used": without_key,
    "the table was archived for its key": archived,
    "one key takes too much": hot_key,
    "the index is too small": small_index,
    "DynamoDB fails inside": failing_inside,
    "items are damaged": damaged,
    "a checkpoint is missing": parent_missing,
    "an object in S3 is gone": object_gone,
    "the model is throttled": model_throttled,
    "the model refuses what it is sent": model_refuses,
    "an agent goes on and on": endless,
    "a host's clock is behind": behind,
}


def words(cell: str) -> set[str]:
    """The names in a cell; none where it says "nothing"."""
    return set(re.findall(r"`([^`]+)`", cell))


def test_each_row_of_the_table_is_one_that_happens_here() -> None:
    assert sorted(NIGHT) == sorted(HAPPENS)


@pytest.mark.engine("memory")
@pytest.mark.parametrize("what", HAPPENS)
def test_the_table_says_what_the_log_the_alarms_and_doctor_say(
    what: str,
    make_container: MakeContainer,
    failing: FailingClient,
    client: DynamoDBClient,
    table_name: str,
    make_saver: MakeSaver,
) -> None:
    night = HAPPENS[what](World(make_container, failing, client, table_name, make_saver))
    log, alarms, doctor, _ = NIGHT[what]

    assert all(any(one.startswith(word) for one in night.named) for word in words(log)), night.named
    if log == NOTHING:
        assert night.named == set()
    assert words(alarms) <= ALARMS.keys()
    of_log = {name for name, one in ALARMS.items() if f"{name}Count" in ALARMS}
    assert night.rung == words(alarms) & of_log, night.lines
    told = {one.check for one in night.doctor if one.verdict != "ok"}
    assert words(doctor) <= told, night.doctor
    if doctor == NOTHING:
        assert {one.verdict for one in night.doctor} <= {"ok", "note"}
