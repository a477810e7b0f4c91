"""The savers that `migrate` reads from, by the text that names them. They are opened so that nothing writes to them.

Four are known by a name of their own; any other is an object of a module that can be imported.
"""

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


_ON_DYNAMODB = ("langgraph-checkpoint-aws", "langgraph-dynamodb-checkpoint")


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
        region_name: The AWS region, if the saver is one of the two known ones on DynamoDB.
        endpoint_url: The endpoint of such a saver.
        profile_name: The profile of the AWS configuration for such a saver.

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
                saver = _on_dynamodb(kind, rest)
            yield saver
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


def _on_dynamodb(package: str, table_name: str) -> Saver:
    logging.getLogger("langgraph_dynamodb").addHandler(logging.NullHandler())  # else one logs to stdout
    home: Any = _package(package.replace("-", "_"), package)
    # one of the two would create a table that is missing
    if describe(Table(table_name)) is None:
        raise SourceError(f"there is no table '{table_name}' to read from: check its name, region and endpoint")
    saver: Saver = home.DynamoDBSaver(table_name)
    return saver


@contextmanager
def _environment(region_name: str | None, endpoint_url: str | None, profile_name: str | None) -> Iterator[None]:
    """Set the variables that boto3 makes clients by, and reset them: not every saver has arguments for a client."""
    variables = {
        "AWS_REGION": region_name,
        "AWS_DEFAULT_REGION": region_name,
        "AWS_PROFILE": profile_name,
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint_url,
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update({name: value for name, value in variables.items() if value})
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
        named: Any = importlib.import_module(module)
        for part in name.split("."):
            named = getattr(named, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{module}:{name} can't be imported: {error}; a source is one of {', '.join(FORMS)}"
        ) from error
    return named


def _saver_in(named: Any, stack: ExitStack) -> Saver:
    """The saver that an object is, that it gives when it is called, or that it gives as a context manager."""
    is_saver = isinstance(named, BaseCheckpointSaver) or hasattr(named, "__enter__")
    saver = named
    if callable(named) and (isinstance(named, type) or not is_saver):
        try:
            inspect.signature(named).bind()
        except TypeError as error:
            raise ValueError(f"a source's object is a saver, or is called without arguments: {error}") from error
        saver = named()
    if not isinstance(saver, BaseCheckpointSaver) and hasattr(saver, "__enter__"):
        saver = stack.enter_context(saver)
    if not isinstance(saver, BaseCheckpointSaver):
        raise ValueError(f"a source's object is, or gives, a BaseCheckpointSaver; got a {type(saver).__name__}")
    return saver


def _package(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"this source needs another package: pip install {package}") from error
