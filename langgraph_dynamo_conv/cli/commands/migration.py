"""The command migrate: threads of another LangGraph saver, into the table. Results are printed as they come."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from langgraph_dynamo_conv._arguments import check_name, check_positive
from langgraph_dynamo_conv._visible import one_line
from langgraph_dynamo_conv.cli.app import Run, command
from langgraph_dynamo_conv.cli.output import Exit, console_of, table_of
from langgraph_dynamo_conv.cli.sources import opened
from langgraph_dynamo_conv.migration import Assign, ThreadResult, by_mapping, by_metadata, everyone, read_mapping
from langgraph_dynamo_conv.migration import migrate as migrated

_USERS = "Whose the threads are: one of"
_PLACE = "Where a DynamoDB source is, if not where the table is"


@command(
    "migrate",
    "--from sqlite:chat.db --user alice --dry-run",
    "--from postgresql://agent@db.internal/agent --user-from-metadata user_id",
    "--from langgraph-checkpoint-aws:checkpoints --user-map users.csv --skip-unmapped",
    "--from myapp.checkpoints:make_saver --user-map users.json --threads-file some.txt",
)
def migrate(
    run: Run,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="SOURCE",
            help="sqlite:<file>, postgresql:<address>, <saver on DynamoDB>:<table>, or <module>:<object>.",
        ),
    ],
    user: Annotated[str | None, typer.Option(help="All threads are this user's.", rich_help_panel=_USERS)] = None,
    user_from_metadata: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="The value of this key of the checkpoints' metadata.", rich_help_panel=_USERS),
    ] = None,
    user_map: Annotated[
        Path | None,
        typer.Option(help="A CSV file (thread_id,user_id) or a JSON object of both.", rich_help_panel=_USERS),
    ] = None,
    skip_unmapped: Annotated[bool, typer.Option("--skip-unmapped", help="Leave out threads without a user.")] = False,
    threads_file: Annotated[Path | None, typer.Option(help="Only these threads: an id a line.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, store nothing.")] = False,
    most_per_second: Annotated[float | None, typer.Option(help="Store so many checkpoints a second at most.")] = None,
    messages_channel: Annotated[str, typer.Option(help="The state's channel that holds the messages.")] = "messages",
    from_region: Annotated[str | None, typer.Option(help="The source's region.", rich_help_panel=_PLACE)] = None,
    from_endpoint_url: Annotated[
        str | None, typer.Option(help="The source's endpoint.", rich_help_panel=_PLACE)
    ] = None,
    from_profile: Annotated[str | None, typer.Option(help="The source's profile.", rich_help_panel=_PLACE)] = None,
) -> None:
    """Copy threads of another LangGraph saver into the table.

    What is read back is compared. Copies all checkpoints of all namespaces, with ids, parents, metadata and pending
    writes. The source is only read. Run it with --dry-run first: it counts, and checks users, ids and types. Run it
    again after a failure, or for what has come since: threads that are there and equal are skipped. Types of your own
    in the state must be importable.

    Ends with 1 if a thread could not be copied, and tells why.
    """
    assign = _assign(user, user_from_metadata, user_map)
    threads = None if threads_file is None else _lines(threads_file)
    check_name("messages_channel", messages_channel)
    if most_per_second is not None:
        check_positive("most_per_second", most_per_second)
    shared = run.options
    with (
        opened(
            source,
            region_name=from_region or shared.region,
            endpoint_url=from_endpoint_url or shared.endpoint_url,
            profile_name=from_profile or shared.profile,
        ) as saver,
        # It reads all types, as agents' savers do: what is read back is compared with what was stored.
        closing(run.new_saver(JsonPlusSerializer(), messages_channel=messages_channel)) as target,
    ):
        results = migrated(
            saver,
            target,
            assign=assign,
            threads=threads,
            skip_unassigned=skip_unmapped,
            dry_run=dry_run,
            most_per_second=most_per_second,
        )
        total = _printed(run, results)
    if not run.out.as_json:
        run.out.result({}, _summary(total, dry_run=dry_run))
    if total["failed"]:
        run.end(Exit.FOUND)


def _assign(user: str | None, key: str | None, mapping: Path | None) -> Assign:
    if [user, key, mapping].count(None) != 2:
        raise ValueError("say whose the threads are, in one way: --user, --user-from-metadata or --user-map")
    if user is not None:
        return everyone(user)
    return by_metadata(key) if key is not None else by_mapping(read_mapping(mapping or ""))


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--threads-file can't be read: {error}") from error


def _printed(run: Run, results: Iterator[ThreadResult]) -> Counter[str]:
    """Print each result as it comes; gives the sums."""
    total: Counter[str] = Counter()
    columns = (
        TextColumn("threads"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[now]}", markup=False),
    )
    console = console_of(sys.stderr)
    silent = run.out.as_json or not console.is_terminal
    with Progress(*columns, console=console, disable=silent, transient=True) as progress:
        task = progress.add_task("", total=None, now="")
        for one in results:
            progress.update(task, completed=one.done, total=one.total, now=one_line(one.thread_id))
            total.update({one.outcome: 1, "threads": 1, "checkpoints": one.checkpoints})
            total.update({"stored": one.stored, "writes": one.writes, "bytes": one.bytes})
            if run.out.as_json:
                run.out.record(asdict(one))
            elif one.reason:
                run.out.result({}, f"✗ {one.thread_id} ({one.user_id}): {one_line(one.reason)}")
    return total


def _summary(total: Counter[str], *, dry_run: bool) -> Table:
    names = ["checked"] if dry_run else ["copied", "finished", "equal"]
    sums = {name: total[name] for name in [*names, "failed", "checkpoints"]}
    sums |= {} if dry_run else {"stored now": total["stored"]}
    sums |= {"pending writes": total["writes"], "bytes, serialized whole": total["bytes"]}
    return table_of(["threads", f">{total['threads']:,}"], [[name, f"{sum_:,}"] for name, sum_ in sums.items()])
