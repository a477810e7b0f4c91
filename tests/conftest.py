"""Engines, clients, tables and savers for the tests, and the walls around them.

A test that uses `engine` (or `client`, `table_name`, `make_saver`, `saver`) runs once on moto and once on
DynamoDB Local. Neither is ever skipped: `--engine` is the way to narrow a run. A test that is for one engine
only, for instance because it counts capacity, says so: `@pytest.mark.engine("dynamodb-local")`.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.engines import DUMMY_ENVIRONMENT, ENGINES, NO_DYNAMODB_LOCAL, Engine, create_table, running

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MakeSaver = Callable[..., DynamoDBConversationSaver]

Report = Callable[[str], None]
"""Keeps figures that a test counted, for the end of the run."""

_FIGURES = "figures"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", choices=ENGINES, help="run the store tests on this engine only")
    parser.addoption("--postgres", action="store_true", help="also run what needs a Postgres server's programs")


def pytest_configure() -> None:
    for name in set(os.environ):
        if name.startswith(("AWS_", "DYNAMODB_TABLE_NAME", "LANGCHAIN_", "LANGSMITH_")):
            del os.environ[name]
    os.environ.update(DUMMY_ENVIRONMENT)
    sys.addaudithook(refuse_other_hosts)
    # No test fails for being slow, and CI tries the same examples every time.
    settings.register_profile(
        "here",
        deadline=None,
        derandomize="CI" in os.environ,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("here")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("engine")
        metafunc.parametrize("engine", only.args if only else ENGINES, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = config.getoption("--engine")
    postgres = config.getoption("--postgres")
    left_out = [
        item
        for item in items
        if chosen
        and engine_of(item) not in {None, chosen}
        or not postgres
        and item.get_closest_marker("postgres") is not None
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish(session: pytest.Session) -> None:
    used = {engine_of(item) for item in session.items}
    if "dynamodb-local" in used and not os.environ.get("DYNAMODB_LOCAL_HOME"):
        raise pytest.UsageError(NO_DYNAMODB_LOCAL)


def engine_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("engine") if callspec else None


def refuse_other_hosts(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: no test connects to anything but this machine."""
    if event != "socket.connect":
        return
    address = arguments[1]
    if isinstance(address, tuple) and not is_loopback(address[0]):
        raise PermissionError(f"a test tried to connect to {address[0]}")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the figures that tests counted, from whichever process counted them."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    figures = [text for report in reports for name, text in report.user_properties if name == _FIGURES]
    if figures:
        terminalreporter.section("figures")
        terminalreporter.write_line("\n\n".join(figures))


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Report:
    """Keeps figures for the end of the run."""
    return lambda text: record_property(_FIGURES, text)


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A running engine: moto, then DynamoDB Local."""
    with running(request.param) as engine:
        yield engine


@pytest.fixture(scope="session")
def client(engine: Engine) -> Iterator[DynamoDBClient]:
    """A client of the engine, shared by all tests."""
    client = engine.client()
    yield client
    client.close()


@pytest.fixture
def table_name(client: DynamoDBClient) -> Iterator[str]:
    """A new, empty conversations table."""
    name = create_table(client)
    yield name
    client.delete_table(TableName=name)


@pytest.fixture
def make_saver(client: DynamoDBClient, table_name: str) -> Iterator[MakeSaver]:
    """A factory of savers on the test's table, by default for user "demo"; all are closed at the end."""
    made: list[DynamoDBConversationSaver] = []

    def make(**options: Any) -> DynamoDBConversationSaver:
        chosen = {"client": client, "default_user_id": "demo", **options}
        made.append(DynamoDBConversationSaver(table_name, **chosen))
        return made[-1]

    yield make
    for saver in made:
        saver.close()


@pytest.fixture
def saver(make_saver: MakeSaver) -> DynamoDBConversationSaver:
    """A saver with default options on the test's table."""
    return make_saver()
