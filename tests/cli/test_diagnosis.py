"""What `doctor` says where no engine can be brought to it: wrong clocks, old packages, indexes under construction."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from email.utils import formatdate
from importlib import metadata
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from langgraph.checkpoint.serde import _msgpack
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.cli.aws import caller
from langgraph_dynamo_conv.cli.diagnosis.checks import diagnose
from langgraph_dynamo_conv.cli.diagnosis.clock import ServerClock
from langgraph_dynamo_conv.cli.diagnosis.environment import versions
from langgraph_dynamo_conv.cli.diagnosis.findings import Finding
from langgraph_dynamo_conv.cli.diagnosis.users import SAMPLED
from langgraph_dynamo_conv.errors import EndpointError
from langgraph_dynamo_conv.provision import table_definition
from tests.engines import free_port

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

LEAST = "boto3>=1.34.0"

STRICT = JsonPlusSerializer(allowed_msgpack_modules=[Finding])
LOOSE = JsonPlusSerializer(allowed_msgpack_modules=True)


@pytest.fixture
def table() -> Iterator[Table]:
    client = boto3.client("dynamodb", region_name="us-east-1")
    yield Table("conversations", client=client)
    client.close()


@pytest.fixture
def answers(table: Table) -> Iterator[Stubber]:
    """The answers to come, in order; another request fails."""
    with Stubber(table.client) as stubber:
        yield stubber


def describing(answers: Stubber, *, status: str = "ACTIVE", index: str = "ACTIVE", **changes: Any) -> None:
    """DescribeTable, and an answer to each question after it."""
    definition = table_definition("conversations")
    del definition["BillingMode"]
    indexes = [{**definition["GlobalSecondaryIndexes"][0], "IndexStatus": index}]
    described = {**definition, "TableStatus": status, "GlobalSecondaryIndexes": indexes}
    described |= {"BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"}, **changes}
    answers.add_response("describe_table", {"Table": described})


def settings(answers: Stubber) -> None:
    answers.add_response("describe_time_to_live", {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}})
    recovery = {"ContinuousBackupsStatus": "ENABLED"}
    answers.add_response("describe_continuous_backups", {"ContinuousBackupsDescription": recovery})


def actions(answers: Stubber, date: str | None = None) -> None:
    headers = {"HTTPHeaders": {"date": date}} if date else {}
    for method in ("get_item", "query", "query", "scan"):
        answers.add_response(method, {"ResponseMetadata": headers})
    for method in ("put_item", "update_item"):
        answers.add_client_error(method, "ConditionalCheckFailedException")
    answers.add_response("delete_item", {"ResponseMetadata": headers})
    for _ in range(SAMPLED):
        answers.add_response("scan", {"ResponseMetadata": headers})


def found(table: Table, **options: Any) -> dict[str, Finding]:
    return {one.check: one for one in diagnose(table, lambda: "arn:aws:iam::1:user/me", STRICT, **options)}


@pytest.mark.parametrize(
    ("seconds", "verdict", "said"),
    [
        (0, "ok", "within 1 s of the server's"),
        (-2, "note", "2 s behind the server's: LangGraph forgets turns of hosts that are behind others"),
        (400, "wrong", "400 s ahead of the server's: LangGraph forgets turns of hosts that are behind others"),
    ],
)
def test_a_wrong_clock_is_told(table: Table, answers: Stubber, seconds: int, verdict: str, said: str) -> None:
    now = 1_795_486_440  # 2026-11-24 02:14:00
    describing(answers)
    settings(answers)
    actions(answers, "Tue, 24 Nov 2026 02:14:00 GMT")

    clock = found(table, clock=lambda: now + seconds)["clock"]

    assert (clock.verdict, clock.said) == (verdict, said)


@pytest.mark.parametrize(("ahead", "verdict"), [(0.0, "ok"), (0.8, "ok"), (-0.8, "ok"), (1.1, "note"), (-1.1, "note")])
def test_a_clock_that_is_a_second_wrong_is_told_by_dates_of_whole_seconds(
    table: Table, ahead: float, verdict: str
) -> None:
    server = ServerClock(table, lambda: now + ahead)
    for tick in range(30):  # answers after 20 ms, one each 90 ms
        now = 1_795_486_440.3 + tick * 0.09
        server._note_sending()
        date = formatdate(now + 0.01, usegmt=True)
        now += 0.02
        server._note({"ResponseMetadata": {"HTTPHeaders": {"date": date}}})

    assert server.finding().verdict == verdict


def test_an_endpoint_that_does_not_tell_the_time_is_noted(table: Table, answers: Stubber) -> None:
    describing(answers)
    settings(answers)
    actions(answers)

    assert found(table)["clock"].verdict == "note"


def test_a_table_or_index_under_construction_is_wrong(table: Table, answers: Stubber) -> None:
    describing(answers, status="CREATING", index="CREATING")
    settings(answers)

    findings = found(table)

    assert (findings["table"].verdict, findings["table"].remedy) == ("wrong", "wait until it is active")
    assert (findings["index"].verdict, findings["index"].remedy) == ("wrong", "wait until it is built")


def test_settings_that_a_role_may_not_see_are_noted_and_others_wrong(table: Table, answers: Stubber) -> None:
    describing(answers, BillingModeSummary={}, ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 2})
    answers.add_client_error("describe_time_to_live", "AccessDeniedException", "not authorized")
    answers.add_client_error("describe_continuous_backups", "ThrottlingException")
    actions(answers)

    findings = found(table)

    assert findings["billing"].said == "provisioned: 1 read and 2 write units a second"
    assert findings["expiry"].verdict == "note"
    assert "dynamodb:DescribeTimeToLive" in str(findings["expiry"].remedy)
    assert findings["recovery"].verdict == "wrong"


def test_actions_that_fail_for_another_reason_are_wrong(table: Table, answers: Stubber) -> None:
    describing(answers)
    settings(answers)
    answers.add_client_error("get_item", "ThrottlingException", "slow down")

    findings = found(table)

    assert (findings["GetItem"].verdict, "throttled" in findings["GetItem"].said) == ("wrong", True)


def test_credentials_that_aws_does_not_know_are_wrong(table: Table, answers: Stubber) -> None:
    answers.add_client_error("describe_table", "UnrecognizedClientException", "The security token is invalid")
    sts = boto3.client("sts", region_name="us-east-1")

    def identity() -> str:
        with Stubber(sts) as refusals:
            refusals.add_client_error("get_caller_identity", "InvalidClientTokenId", "The security token is invalid")
            return caller(sts)[1]

    findings = {one.check: one for one in diagnose(table, identity, STRICT)}
    sts.close()

    assert findings["identity"].verdict == "wrong"
    assert "The security token is invalid" in findings["identity"].said
    assert (findings["table"].verdict, "GetItem" in findings) == ("wrong", False)


def test_versions_that_are_too_old_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: [LEAST, "zstandard>=999", "rich>=1; extra == 'cli'"])

    (finding,) = versions()

    assert finding.verdict == "wrong"
    assert finding.remedy == "pip install 'zstandard>=999'"
    assert "rich" not in finding.said


def test_a_package_that_pip_does_not_know_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> NoReturn:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", unknown)

    (finding,) = versions()

    assert finding.verdict == "note"


class JsonSerializer:
    """A serializer of somebody's own, which stores no types."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        return "json", json.dumps(obj).encode()

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        return json.loads(data[1])


@pytest.mark.parametrize(
    ("serde", "verdict", "said"),
    [
        (STRICT, "ok", "only types that are allowed are instantiated, in this environment"),
        (JsonSerializer(), "ok", "the serializer stores no types of one's own (TypeError)"),
        (LOOSE, "note", "who can write to the table runs commands in agents"),
        (
            EncryptedSerializer.from_pycryptodome_aes(LOOSE, key=b"0" * 16),
            "note",
            "who has the key runs commands in agents",
        ),
        (EncryptedSerializer.from_pycryptodome_aes(STRICT, key=b"0" * 16), "ok", "only types that are allowed"),
    ],
    ids=["a list", "no types", "all types", "encrypted", "encrypted, a list"],
)
def test_a_serializer_that_instantiates_any_type_is_noted(serde: Any, verdict: str, said: str) -> None:
    table = Table("conversations", client=boto3.client("dynamodb", region_name="us-east-1"))

    found = {one.check: one for one in islice(diagnose(table, lambda: "me", serde), 2)}["types"]

    assert found.verdict == verdict
    assert said in found.said
    assert ("LANGGRAPH_STRICT_MSGPACK=true" in str(found.remedy)) == (verdict == "note")


@pytest.mark.parametrize(("is_strict", "mark"), [(False, "!"), (True, "✓")])
def test_doctor_looks_at_the_switch_that_langgraph_reads(
    terminal: Cli, monkeypatch: pytest.MonkeyPatch, is_strict: bool, mark: str
) -> None:
    monkeypatch.setattr(_msgpack, "STRICT_MSGPACK_ENABLED", is_strict)
    nowhere = ("--table", "t", "--region", "us-east-1", "--endpoint-url", f"http://127.0.0.1:{free_port()}")

    by_default = terminal("doctor", *nowhere).out
    with_a_list = terminal("doctor", *nowhere, "--serde", f"{__name__}:STRICT").out

    assert f"{mark}  types " in by_default
    assert ("LANGGRAPH_STRICT_MSGPACK=true" in by_default) == (not is_strict)
    assert "✓  types " in with_a_list


def test_an_identity_that_can_not_be_asked_is_an_error_with_its_remedy() -> None:
    nowhere = boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        config=Config(retries={"total_max_attempts": 1}),
    )

    with pytest.raises(EndpointError, match="no answer from STS at http://127.0.0.1:9"):
        caller(nowhere)
    nowhere.close()


def test_the_clock_is_this_machines() -> None:
    assert diagnose.__defaults__ == (time.time, None)
