"""Gives LangGraph's own tests a checkpointer: a plugin of pytest, for a process that runs them and nothing else.

Those that take `sync_checkpointer` or `async_checkpointer` get it where they would get an `InMemorySaver`; those that
make an `InMemorySaver()` themselves make one of these. No file of theirs is changed.

Their package is called `tests`, as ours is, and comes first here: ours is made a part of it, which only lends modules
that they do not have. So this module is imported by its own name, and only there.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.base import SerializerProtocol

import tests
from langgraph_dynamo_conv import DynamoDBConversationSaver

tests.__path__.append(str(Path(__file__).parent.parent))
import tests.conftest_checkpointer as theirs  # noqa: E402

from tests.engines import DUMMY_ENVIRONMENT, Engine, create_table, running  # noqa: E402
from tests.walls import refuse_other_hosts  # noqa: E402

_FIXTURES = {"sync_checkpointer", "async_checkpointer"}
_TAKEN = "memory"
"""Their parameter of those fixtures that a checkpointer is given in place of."""

_NAMES = ("InMemorySaver", "MemorySaver")
_OUTCOMES: dict[str, str] = {}


class PlainInMemorySaver(BaseCheckpointSaver[Any]):
    """An `InMemorySaver` of which nothing is to be seen but what every checkpointer has.

    A test that fails with it tests something else than what a checkpointer does.
    """

    def __init__(self, *, serde: SerializerProtocol | None = None) -> None:
        super().__init__(serde=serde)
        self._inside = InMemorySaver(serde=serde)


def _handed_on(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)  # LangGraph looks at the signature, for `task_path`
    def call(self: PlainInMemorySaver, *args: Any, **options: Any) -> Any:
        return getattr(self._inside, method.__name__)(*args, **options)

    return call


for _name, _ in inspect.getmembers(BaseCheckpointSaver, inspect.isfunction):
    if not _name.startswith("_"):
        setattr(PlainInMemorySaver, _name, _handed_on(getattr(InMemorySaver, _name)))


def _of_nobody(config: Any) -> Any:
    """A config without its user: these tests know none, and compare whole configs.

    The `thread_id` is plain text, since their `AnyStr`, on the right side, only equals `str` itself.
    """
    if config is None:
        return None
    configurable = {name: value for name, value in config["configurable"].items() if name != "user_id"}
    return {**config, "configurable": {**configurable, "thread_id": str(configurable["thread_id"])}}


def _tuple_of_nobody(found: CheckpointTuple | None) -> Any:
    return found and found._replace(config=_of_nobody(found.config), parent_config=_of_nobody(found.parent_config))


class OneUsersSaver(DynamoDBConversationSaver):
    """A saver for a program with one user, whom its configs do not name: `default_user_id` does."""

    def put(self, *args: Any, **options: Any) -> Any:
        return _of_nobody(super().put(*args, **options))

    async def aput(self, *args: Any, **options: Any) -> Any:
        return _of_nobody(await super().aput(*args, **options))

    def get_tuple(self, config: Any) -> Any:
        return _tuple_of_nobody(super().get_tuple(config))

    async def aget_tuple(self, config: Any) -> Any:
        return _tuple_of_nobody(await super().aget_tuple(config))

    def list(self, *args: Any, **options: Any) -> Iterator[Any]:
        return map(_tuple_of_nobody, super().list(*args, **options))

    async def alist(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
        async for found in super().alist(*args, **options):
            yield _tuple_of_nobody(found)


@contextmanager
def one_users_savers(engine: Engine) -> Iterator[type[OneUsersSaver]]:
    """A class of savers, each on a table of its own, since `list(None)` tells all that is in one."""
    with ExitStack() as made:
        client = engine.client()
        made.callback(client.close)

        class Saver(OneUsersSaver):
            def __init__(self, *, serde: SerializerProtocol | None = None) -> None:
                super().__init__(create_table(client), client=client, default_user_id="demo", serde=serde)
                made.callback(self.close)

        yield Saver


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--saver", choices=("in-memory", "memory", "dynamodb-local"), required=True)
    parser.addoption("--endpoint-url", help="of DynamoDB Local")
    parser.addoption("--part", type=int, default=0, help="run this part of the tests")
    parser.addoption("--parts", type=int, default=1, help="of so many")
    parser.addoption("--outcomes", required=True, help="the file that the outcomes go into, as JSON")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    os.environ.update(DUMMY_ENVIRONMENT)
    refuse_other_hosts()
    stack = ExitStack()
    config.add_cleanup(stack.close)
    name, endpoint_url = config.getoption("--saver"), config.getoption("--endpoint-url")
    if name != "in-memory":
        engine = Engine(name, endpoint_url) if endpoint_url else stack.enter_context(running(name))
        _GIVEN.saver = stack.enter_context(one_users_savers(engine))


class _Given:
    """The class of checkpointers that the tests get."""

    saver: type[BaseCheckpointSaver[Any]] = PlainInMemorySaver


_GIVEN = _Given()


@contextmanager
def _checkpointer() -> Iterator[BaseCheckpointSaver[Any]]:
    yield _GIVEN.saver()


theirs._checkpointer_memory = _checkpointer  # before their conftest.py takes it from there


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    part, parts = config.getoption("--part"), config.getoption("--parts")
    chosen = [item for item in items if takes_a_checkpointer(item) and crc32(item.nodeid.encode()) % parts == part]
    left_out = set(items).difference(chosen)
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = chosen


def takes_a_checkpointer(item: pytest.Item) -> bool:
    """Whether a test takes a checkpointer, as one of its cases does for all of them, or makes one itself."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    asked = _FIXTURES & parameters.keys()
    if asked:
        return all(parameters[name] == _TAKEN for name in asked)
    return makes_one(item)


def makes_one(item: pytest.Item) -> bool:
    """Whether a test says that it makes an `InMemorySaver`; those of delta channels do it through functions."""
    function, module = getattr(item, "function", None), getattr(item, "module", None)
    if function is None or not any(hasattr(module, name) for name in _NAMES):
        return False
    return "test_delta_channel_" in item.nodeid or any(f"{name}(" in inspect.getsource(function) for name in _NAMES)


@pytest.fixture(autouse=True)
def _made_in_place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not _FIXTURES & set(request.fixturenames):
        for name in _NAMES:
            if hasattr(request.module, name):
                monkeypatch.setattr(request.module, name, _GIVEN.saver)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        _OUTCOMES[report.nodeid] = report.outcome


def pytest_sessionfinish(session: pytest.Session) -> None:
    Path(session.config.getoption("--outcomes")).write_text(json.dumps(_OUTCOMES))
