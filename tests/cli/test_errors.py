"""What goes wrong ends with one line on stderr that says what to do, and with an exit code that a script can use."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from langgraph_dynamo_conv import errors
from langgraph_dynamo_conv.cli.output import Exit, exit_code_of
from tests.cli.test_table import iam, iam_enforced, role
from tests.engines import free_port

if TYPE_CHECKING:
    from tests.cli.conftest import Cli
    from tests.cli.test_table import Person

pytestmark = pytest.mark.engine("dynamodb-local")


__all__ = ["iam", "iam_enforced", "role"]  # fixtures

COMMANDS = (
    ["list", "alice"],
    ["show", "c", "--user", "alice"],
    ["history", "c"],
    ["state", "c", "--user", "alice"],
    ["rename", "c", "title", "--user", "alice"],
    ["delete", "c", "--user", "alice", "--yes"],
    ["delete-user", "alice", "--yes"],
    ["export", "--user", "alice"],
    ["prune", "c", "--yes"],
)
each_command = pytest.mark.parametrize("command", COMMANDS, ids=[command[0] for command in COMMANDS])


@each_command
def test_a_wrong_table_is_missing(cli: Cli, command: list[str]) -> None:
    ended = cli(*command, "--table", "no-such-table")

    assert (ended.code, ended.out) == (Exit.MISSING, "")
    assert ended.error.startswith("error: there is no table 'no-such-table' in us-east-1 at http")
    assert "created with `langgraph-dynamo-conv setup`" in ended.error


@each_command
def test_errors_are_json_where_json_is_asked_for(cli: Cli, command: list[str]) -> None:
    ended = cli(*command, "--table", "no-such-table", "--json")

    said = json.loads(ended.error)
    assert (ended.code, ended.out) == (Exit.MISSING, "")
    assert (said["error"], said["exit_code"]) == ("TableNotFoundError", Exit.MISSING)


@pytest.mark.engine("moto")
@each_command
def test_denied_access_is_refused_with_the_action(
    cli: Cli, role: Person, iam: Callable[[], None], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    role.allow("PutItem")
    role.act(monkeypatch)
    iam()

    ended = cli(*command)

    assert (ended.code, ended.out) == (Exit.REFUSED, "")
    assert "allow dynamodb:" in ended.error


def test_an_endpoint_that_does_not_answer_can_be_tried_again(terminal: Cli) -> None:
    ended = terminal("list", "alice", "--table", "t", "--endpoint-url", f"http://127.0.0.1:{free_port()}")

    assert ended.code == Exit.AGAIN
    assert ended.error.startswith("error: no answer from http://127.0.0.1:")
    assert "Check network, region and endpoint_url" in ended.error


def test_doctor_stops_where_there_is_no_answer(terminal: Cli) -> None:
    ended = terminal("doctor", "--table", "t", "--endpoint-url", f"http://127.0.0.1:{free_port()}", "--json")

    findings = {one["check"]: one for one in ended.json["findings"]}
    assert ended.code == Exit.FOUND
    assert findings["table"]["verdict"] == "wrong"
    assert "GetItem" not in findings
    assert findings["clock"]["verdict"] == "note"


def test_no_table_is_a_wrong_argument(terminal: Cli) -> None:
    ended = terminal("list", "alice")

    assert ended.code == Exit.USAGE
    assert ended.error == "error: no table: give --table, or set the environment variable DYNAMODB_TABLE_NAME"


def test_no_region_is_refused(terminal: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)

    ended = terminal("list", "alice", "--table", "t")

    assert (ended.code, ended.error) == (
        Exit.REFUSED,
        "error: no AWS region is known: give --region, or set AWS_REGION",
    )


def test_no_credentials_are_refused(terminal: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    ended = terminal("list", "alice", "--table", "t")

    assert ended.code == Exit.REFUSED
    assert "no usable AWS credentials for table 't'" in ended.error


def test_an_unknown_profile_is_refused(terminal: Cli) -> None:
    ended = terminal("list", "alice", "--table", "t", "--profile", "nobody")

    assert ended.code == Exit.REFUSED
    assert "(nobody) could not be found: give another --profile" in ended.error


def test_half_of_the_credentials_are_refused(terminal: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    ended = terminal("list", "alice", "--table", "t")

    assert ended.code == Exit.REFUSED


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list"], "Missing argument"),
        (["list", "alice", "--nothing"], "No such option: --nothing"),
        (["lost"], "No such command 'lost'"),
        (["list", "alice", "--limit", "many"], "Invalid value for '--limit'"),
        (["list", "al#ice", "--table", "t"], "a user_id is a non-empty string without '#'"),
        (["list", "alice", "--table", "t", "--endpoint-url", "nonsense"], "Invalid endpoint"),
        (["export", "c", "--format", "pdf"], "Invalid value for '--format'"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(terminal: Cli, arguments: list[str], said: str) -> None:
    ended = terminal(*arguments)

    assert (ended.code, ended.out) == (Exit.USAGE, "")
    assert said in ended.error


def test_wrong_arguments_are_json_where_json_is_asked_for(terminal: Cli) -> None:
    said = json.loads(terminal("list", "--json").error)

    assert said["exit_code"] == Exit.USAGE


def test_an_error_can_not_control_the_terminal(terminal: Cli) -> None:
    for arguments in (
        ["list", "\x1b[2J#", "--table", "t"],
        ["\x1b[2J"],
        ["list", "\x1b[2J#", "--table", "t", "--json"],
    ):
        ended = terminal(*arguments)
        assert ended.code == Exit.USAGE
        assert "\x1b" not in ended.err


def test_each_error_of_the_package_has_its_exit_code() -> None:
    kinds = {getattr(errors, name) for name in errors.__all__}
    codes = {kind.__name__: exit_code_of(kind("said")) for kind in kinds}

    assert codes == {
        "AccessDeniedError": Exit.REFUSED,
        "BucketNotFoundError": Exit.MISSING,
        "BucketRequiredError": Exit.USAGE,
        "ConflictError": Exit.AGAIN,
        "ConversationNotFoundError": Exit.MISSING,
        "CorruptDataError": Exit.DAMAGED,
        "CredentialsError": Exit.REFUSED,
        "DynamoConvError": Exit.FAILED,
        "EndpointError": Exit.AGAIN,
        "IndexNotReadyError": Exit.AGAIN,
        "ItemTooLargeError": Exit.FAILED,
        "MessageNotFoundError": Exit.MISSING,
        "RequestFailedError": Exit.FAILED,
        "RunNotEndedError": Exit.FAILED,
        "TableMismatchError": Exit.FAILED,
        "TableNotFoundError": Exit.MISSING,
        "ThrottledError": Exit.AGAIN,
        "UnknownFormatError": Exit.DAMAGED,
        "UserRequiredError": Exit.FAILED,
    }
    assert exit_code_of(ValueError("said")) == Exit.USAGE
