"""Threads of `langgraph-checkpoint-postgres`, from a real server on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.postgres import PostgresSaver
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from langgraph_dynamo_conv.migration import by_metadata, migrate
from tests.cli.conftest import Cli, cli, terminal
from tests.conftest import MakeSaver
from tests.engines import free_port
from tests.migration.threads import (
    kinds_of,
    outcome_of,
    played,
    snapshots,
    source_config,
    target_config,
    thread_id_of,
    user_of,
)

__all__ = ["cli", "terminal"]

pytestmark = pytest.mark.postgres

KINDS = kinds_of("postgres")


def program(name: str) -> str:
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, homes)]))
    if path is None:
        raise RuntimeError(f"there is no {name}: install Postgres (Debian: apt-get install postgresql)")
    return path


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a database on a server that listens on this machine only, gone at the end."""
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    home, port = Path(tempfile.mkdtemp(prefix="postgres-")), free_port()
    if user:
        shutil.chown(home, user)
    data = str(home / "data")
    options: dict[str, Any] = {"user": user, "cwd": home, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(
        [program("initdb"), "-D", data, "-U", "agent", "--auth=trust", "--no-sync", "-E", "UTF8"], check=True, **options
    )
    running = subprocess.Popen(
        [program("postgres"), "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", str(home), "-F"], **options
    )
    url = f"postgresql://agent@127.0.0.1:{port}/postgres"
    try:
        wait_until_it_answers(running, url)
        yield url
    finally:
        running.terminate()
        running.wait(timeout=30)
        shutil.rmtree(home)


def wait_until_it_answers(running: subprocess.Popen[bytes], url: str) -> None:
    while running.poll() is None:
        with suppress(psycopg.OperationalError):
            psycopg.connect(url, connect_timeout=10).close()
            return
    raise RuntimeError(f"Postgres ended with {running.returncode}")


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """The URL of a new database with the saver's tables."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE threads")
    url = f"{server.rpartition('/')[0]}/threads"
    with PostgresSaver.from_conn_string(url) as saver:
        saver.setup()
    yield url
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE threads")


def test_all_threads_are_equal_through_the_graph_api_and_go_on_alike(database: str, make_saver: MakeSaver) -> None:
    with PostgresSaver.from_conn_string(database) as source:
        played(source, KINDS, len(KINDS))

        results = list(migrate(source, make_saver(default_user_id=None), assign=by_metadata("owner")))

        assert [(one.outcome, one.reason) for one in results] == [("copied", None)] * len(KINDS)
        for number, kind in enumerate(KINDS):
            old, new = source_config(number), target_config(number)
            cold = make_saver(default_user_id=user_of(number))
            assert snapshots(kind.build(cold), new) == snapshots(kind.build(source), old)
            kind.go_on(kind.build(source), old)
            kind.go_on(kind.build(cold), new)
            assert outcome_of(kind.build(make_saver(default_user_id=None)), new) == outcome_of(kind.build(source), old)


def test_a_saver_over_a_pool_is_read_as_well(database: str, make_saver: MakeSaver) -> None:
    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    with ConnectionPool(database, kwargs=options, min_size=1, open=True) as pool:
        source = PostgresSaver(pool)  # type: ignore[arg-type]
        played(source, KINDS[2:3], 1)

        (result,) = migrate(source, make_saver(), assign=by_metadata("owner"))

    assert (result.outcome, result.thread_id) == ("copied", thread_id_of(0))


def test_the_command_takes_a_url_and_only_reads(cli: Cli, database: str) -> None:
    with PostgresSaver.from_conn_string(database) as source:
        played(source, KINDS[1:2], 2)

    copied = cli("migrate", "--from", database, "--user-from-metadata", "owner", "--json")
    nowhere = cli("migrate", "--from", f"{database}-none", "--user", "alice")

    assert [one["outcome"] for one in copied.lines] == ["copied", "copied"]
    assert (nowhere.code, "Postgres database can't be read" in nowhere.error) == (7, True)
