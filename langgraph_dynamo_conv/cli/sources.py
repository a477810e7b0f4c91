"""Savers that are named in text: the four that are known, opened so that they are only read, and `module:object`."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from langgraph_dynamo_conv._storage.administration import describe
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.migration._source import SourceError

Saver = BaseCheckpointSaver[Any]

FORMS = (
    "sqlite:<file>",
    "postgresql://<user>@<host>/<database>",
    "langgraph-checkpoint-aws:<table>",
    "langgraph-dynamodb-checkpoint:<table>",
    "<module>:<object>",
)


@contextmanager
def opened(
    name: str,
    *,
    region_name: str | None = None,
    endpoint_url: str | None = None,
    profile_name: str | None = None,
) -> Iterator[Saver]:
    """The saver that a text of one of `FORMS` names, closed at the end.

    Args:
        name: The text. The object of `module:object` is a saver, a context manager of one, or a callable that gives
            either; the module is also looked for in the working directory.
        region_name: The AWS region of the two savers on DynamoDB.
        endpoint_url: Their endpoint.
        profile_name: Their profile of the AWS configuration.

    Raises:
        ValueError: There is no such module, object, file or package.
        SourceError: There is no such table or database.
    """
    kind, _, rest = name.partition(":")
    if not rest:
        raise ValueError(f"a source is one of {', '.join(FORMS)}; got {name!r}")
    with ExitStack() as stack:
        if kind == "sqlite":
            yield stack.enter_context(_sqlite(Path(rest)))
        elif kind in ("postgresql", "postgres"):
            yield stack.enter_context(_postgres(name))
        elif kind in _ON_DYNAMODB:
            with _environment(region_name, endpoint_url, profile_name):
                made = _on_dynamodb(kind, rest)
            yield made
        else:
            yield _saver_in(_object(kind, rest), stack)


@contextmanager
def _sqlite(path: Path) -> Iterator[Saver]:
    home: Any = _package("langgraph.checkpoint.sqlite", "langgraph-checkpoint-sqlite")
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)) as database:
        saver = home.SqliteSaver(database)
        saver.is_setup = True  # its set-up would write
        try:
            columns = {row[1] for row in database.execute("PRAGMA table_info(writes)")}
        except sqlite3.DatabaseError as error:
            raise SourceError(f"{path} can't be read: {error}") from error
        if not columns:
            raise SourceError(f"{path} has no tables of langgraph-checkpoint-sqlite")
        saver._has_task_path = "task_path" in columns
        yield saver


@contextmanager
def _postgres(url: str) -> Iterator[Saver]:
    home: Any = _package("langgraph.checkpoint.postgres", "langgraph-checkpoint-postgres")
    failed: Any = importlib.import_module("psycopg").Error
    with ExitStack() as stack:
        try:
            saver = stack.enter_context(home.PostgresSaver.from_conn_string(url))
            saver.conn.execute("SET default_transaction_read_only = on")
            saver.conn.execute("SELECT FROM checkpoints LIMIT 0")
        except failed as error:
            raise SourceError(f"the Postgres database can't be read: {str(error).strip()}") from error
        yield saver


_ON_DYNAMODB = {
    "langgraph-checkpoint-aws": ("langgraph_checkpoint_aws", "langgraph-checkpoint-aws"),
    "langgraph-dynamodb-checkpoint": ("langgraph_dynamodb_checkpoint", "langgraph-dynamodb-checkpoint"),
}


def _on_dynamodb(kind: str, table_name: str) -> Saver:
    module, package = _ON_DYNAMODB[kind]
    logging.getLogger("langgraph_dynamodb").addHandler(logging.NullHandler())  # else one logs to stdout
    home: Any = _package(module, package)
    # One of the two would create a table that is missing.
    if describe(Table(table_name)) is None:
        raise SourceError(f"there is no table '{table_name}' to read from: check its name, region and endpoint")
    saver: Saver = home.DynamoDBSaver(table_name)
    return saver


@contextmanager
def _environment(region_name: str | None, endpoint_url: str | None, profile_name: str | None) -> Iterator[None]:
    """The variables by which a client is made: not every saver has arguments for it."""
    wanted = {"AWS_REGION": region_name, "AWS_DEFAULT_REGION": region_name, "AWS_PROFILE": profile_name}
    wanted["AWS_ENDPOINT_URL_DYNAMODB"] = endpoint_url
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update({name: value for name, value in wanted.items() if value})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _object(module: str, name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{module}:{name} can't be imported: {error}; a source is one of {', '.join(FORMS)}"
        ) from error
    return found


def _saver_in(found: Any, stack: ExitStack) -> Saver:
    made = found
    if _is_maker(found):
        try:
            inspect.signature(found).bind()
        except TypeError as error:
            raise ValueError(f"a source's object is a saver, or is called without arguments: {error}") from error
        made = found()
    if not isinstance(made, BaseCheckpointSaver) and hasattr(made, "__enter__"):
        made = stack.enter_context(made)
    if not isinstance(made, BaseCheckpointSaver):
        raise ValueError(f"a source's object is, or gives, a BaseCheckpointSaver; got a {type(made).__name__}")
    return made


def _is_maker(found: Any) -> bool:
    is_made = isinstance(found, BaseCheckpointSaver) or hasattr(found, "__enter__")
    return callable(found) and (isinstance(found, type) or not is_made)


def _package(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"this source needs another package: pip install {package}") from error
