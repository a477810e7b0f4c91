"""Engines, clients, tables and savers for the tests, and the walls around them.

A test that uses `engine` (or `client`, `table_name`, `make_saver`, `saver`) runs on one engine in the default run: on
the in-memory one, or on DynamoDB Local if it says that the engine matters to it (`@pytest.mark.engine_matters`: it is
about requests, conditions, errors or concurrency). With `--all` it runs on the engines of its folder, with `--others`
on those of them that the default run leaves out. A test that is for certain engines only, for instance because it
counts capacity, names them: `@pytest.mark.engine("dynamodb-local")`; of several, the default run takes the first. None
is ever skipped: `--engine` is the way to narrow a run. What the default run has no time for is marked
`@pytest.mark.with_all`: it runs with `--all`, `--others` and `--long`, on all of its engines.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.engines import DUMMY_ENVIRONMENT, ENGINES, NO_DYNAMODB_LOCAL, Engine, create_table, running
from tests.walls import refuse_other_hosts

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from playwright.sync_api import Browser

# Before anything imports them, so that their asserts say what differs.
for _module in ("clocks", "play", "transcripts"):
    pytest.register_assert_rewrite(f"tests.integration.{_module}")

MakeSaver = Callable[..., DynamoDBConversationSaver]

Report = Callable[[str], None]
"""Keeps figures that a test counted, for the end of the run."""

LONG = bool(os.environ.get("LANGGRAPH_TESTS"))
"""Whether this is a long run, with the tests marked `with_all` and all of LangGraph's own."""

_FIGURES = "figures"
_HERE = Path(__file__).parent

_WITH_ALL = {
    "conformance": ("dynamodb-local",),
    "examples": ("dynamodb-local", "moto"),
    "faults": ("dynamodb-local",),
    "integration": ("dynamodb-local",),
    "migration": ("dynamodb-local",),
    "store": ("dynamodb-local", "moto"),
}
"""The engines of a folder's tests with `--all`; of other folders the in-memory one."""

_MEASURED = (
    "cli",
    "costs",
    "integration/test_erasing.py",
    "integration/test_time_travel.py",
    "integration/test_transcript_property.py",
    "migration",
    "store",
    "unit",
)
"""The tests that count for the coverage: the others would add little, and tracing makes a test half as long again."""

_NOT_MEASURED = (
    "costs/test_estimate.py",
    "store/test_budgets.py",
    "store/test_differential.py",
    "store/test_odd_attributes.py",
    "store/test_transcript_budgets.py",
    "unit/test_bounds.py",
    "unit/test_memory.py",
)
"""Tests in those folders that do for many turns what others do once."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", choices=ENGINES, help="run on this engine only")
    parser.addoption("--all", action="store_true", help="run on all engines that a test is for")
    parser.addoption("--others", action="store_true", help="run on those of them that a run without options leaves out")
    parser.addoption("--no-browser", action="store_true", help="leave out what drives a browser")
    parser.addoption("--postgres", action="store_true", help="also run what needs a Postgres server's programs")


def pytest_configure() -> None:
    for name in set(os.environ):
        if name.startswith(("AWS_", "DYNAMODB_TABLE_NAME", "LANGCHAIN_", "LANGSMITH_")):
            del os.environ[name]
    os.environ.update(DUMMY_ENVIRONMENT)
    refuse_other_hosts()
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
        metafunc.parametrize("engine", engines_for(metafunc.definition), indirect=True, scope="session")


def engines_for(test: pytest.Item) -> tuple[str, ...]:
    """The engines that a test runs on in this run."""
    only = test.get_closest_marker("engine")
    chosen = test.config.getoption("--engine")
    if chosen:
        return only.args if only else (chosen,)
    if test.get_closest_marker("with_all"):
        return only.args if only else ("memory",)
    by_default = "dynamodb-local" if test.get_closest_marker("engine_matters") else "memory"
    default = only.args[0] if only else by_default
    every = only.args if only else _WITH_ALL.get(test.path.relative_to(_HERE).parts[0], ("memory",))
    if test.config.getoption("--others"):
        return tuple(engine for engine in every if engine != default)
    return every if test.config.getoption("--all") else (default,)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if not is_wanted(item, config)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(map(id, left_out))
        items[:] = [item for item in items if id(item) not in gone]


def is_wanted(item: pytest.Item, config: pytest.Config) -> bool:
    """Whether a test is for this run, on its engine."""
    engine, chosen = engine_of(item), config.getoption("--engine")
    if item.get_closest_marker("postgres") is not None and not config.getoption("--postgres"):
        return False
    if item.get_closest_marker("browser") is not None and config.getoption("--no-browser"):
        return False
    if item.get_closest_marker("with_all") is not None and not has_time(config):
        return False
    if config.getoption("--others"):
        return engine is not None
    return not chosen or engine in {None, chosen}


def has_time(config: pytest.Config) -> bool:
    """Whether a run is one for the tests that the default run leaves out."""
    return config.getoption("--all") or config.getoption("--others") or LONG


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Stop the coverage while a test runs that does not count for it.

    pytest-cov's marker `no_cover` does nothing in the processes of pytest-xdist.
    """
    if is_measured(item):
        return (yield)
    ours, of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        threading.settrace(of_threads)
        sys.settrace(ours)


def is_measured(item: pytest.Item) -> bool:
    """Whether a test counts for the coverage: it is in one of the folders for it, and on the first of its engines."""
    path = item.path.relative_to(_HERE).as_posix()
    first = engine_of(item) in {None, engines_for(item)[0]}
    return first and path.startswith(_MEASURED) and path not in _NOT_MEASURED


def pytest_collection_finish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        return  # pytest-xdist would hide the words; here the fixture says them
    used = {engine_of(item) for item in session.items}
    if "dynamodb-local" in used and not os.environ.get("DYNAMODB_LOCAL_HOME"):
        raise pytest.UsageError(NO_DYNAMODB_LOCAL)


def engine_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    engine = callspec.params.get("engine") if callspec else None
    return engine if isinstance(engine, str) else None  # pytest's NOTSET where there is no engine to run on


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
    """A running engine."""
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for one file of tests: while it is there, an event loop runs in this thread, and no async test can."""
    from playwright.sync_api import sync_playwright

    from tests.chat.serving import launched

    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()


@pytest.fixture
def saver(make_saver: MakeSaver) -> DynamoDBConversationSaver:
    """A saver with default options on the test's table."""
    return make_saver()
