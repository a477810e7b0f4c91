"""Commands about costs: stats, estimate. Every figure is printed with its source."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from langgraph_dynamo_conv.cli import statistics
from langgraph_dynamo_conv.cli.app import Run, command
from langgraph_dynamo_conv.cli.estimate import Bill, Shape, full_state, measured, this_saver
from langgraph_dynamo_conv.cli.output import counted, table_of
from langgraph_dynamo_conv.cli.prices import SOURCE, Prices, prices_of
from langgraph_dynamo_conv.cli.statistics import KINDS, Statistics

PriceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--price",
        metavar="NAME=DOLLARS",
        help="Another price: write or read (a million units), storage (a GB and month); can be repeated.",
    ),
]


@command("stats", "--table conversations", "CONVERSATION --user alice", "--price storage=0.283")
def stats(
    run: Run,
    conversation: Annotated[str | None, typer.Argument(help="Only this conversation.")] = None,
    user: Annotated[str | None, typer.Option(help="The conversation's owner, needed if several users have it.")] = None,
    price: PriceOption = None,
) -> None:
    """Count items by kind, their bytes, and what they cost.

    Without a conversation, the whole table is read, which costs a read unit for each 4 KB.
    """
    prices = prices_of(price or [])
    if conversation is not None:
        counts = statistics.of_conversation(run.table, run.scope(conversation, user))
    elif user is not None:
        raise ValueError("--user goes with a conversation")
    else:
        counts = statistics.of_table(run.table)
    kinds = {name: counts.kinds[kind] for kind, name in KINDS.items()}
    rows = [[name, *_thousands(kind.items, kind.bytes, kind.largest)] for name, kind in kinds.items() if kind.items]
    rows.append(["all", *_thousands(counts.items, counts.bytes), ""])
    data = {
        "kinds": {name: asdict(kind) for name, kind in kinds.items()},
        "conversations": counts.conversations,
        "users": counts.users,
        "items": counts.items,
        "bytes": counts.bytes,
        "stored_bytes": counts.stored_bytes,
        "dollars_a_month": counts.monthly_cost(prices),
        "prices": asdict(prices),
        "source": _source(prices),
    }
    run.out.result(data, table_of(["kind", ">items", ">bytes", ">largest"], rows), _summary(counts, prices))


@command(
    "estimate",
    "--turns 100000",
    "--turns 100000 --turns-per-conversation 40 --tool-calls 3 --result-kb 4 --cold",
)
def estimate(
    run: Run,
    turns: Annotated[int, typer.Option(help="Turns a month, of all users.")],
    turns_per_conversation: Annotated[int, typer.Option(help="Turns of a conversation.")] = 20,
    tool_calls: Annotated[int, typer.Option(help="Tool calls of a turn, one after the other.")] = 1,
    result_kb: Annotated[float, typer.Option(help="KB of a tool's result.")] = 1.0,
    months_kept: Annotated[int, typer.Option(help="Months after which conversations go.")] = 12,
    cold: Annotated[bool, typer.Option("--cold", help="Every turn runs in a new process.")] = False,
    no_transcript: Annotated[
        bool, typer.Option("--no-transcript", help="Rows hold no messages, as with transcript=False.")
    ] = False,
    price: PriceOption = None,
) -> None:
    """Estimate the bill of a month.

    Beside that of a saver that stores the whole state at every step. Sends nothing. The figures were measured on chats
    like yours; measure your own with `stats` and CloudWatch.
    """
    shape = Shape(
        turns, turns_per_conversation, tool_calls, result_kb, months_kept, cold=cold, transcript=not no_transcript
    )
    prices = prices_of(price or [])
    bills = {"this saver": this_saver(shape), "full-state saver": full_state(shape)}
    rows = [[name, *_bill_cells(bill, prices)] for name, bill in bills.items()]
    columns = ["a month", ">write units", ">read units", ">GB kept", ">writes", ">reads", ">storage", ">dollars"]
    sources = [_source(prices), *measured()["sources"]]
    lines = [f"source: {one}" for one in sources]
    limit = bills["full-state saver"].fails_at_turn
    if limit:
        lines.insert(0, f"the full-state saver fails at turn {limit} of a conversation, unless it has S3")
    data = {
        "shape": asdict(shape),
        "prices": asdict(prices),
        "bills": {name: {**asdict(bill), "dollars": bill.dollars(prices)} for name, bill in bills.items()},
        "sources": sources,
    }
    run.out.result(data, table_of(columns, rows), *lines)


def _bill_cells(bill: Bill, prices: Prices) -> list[str]:
    parts = [
        prices.of(write_units=bill.write_units),
        prices.of(read_units=bill.read_units),
        prices.of(stored_bytes=bill.stored_bytes),
    ]
    units = [f"{bill.write_units:,.0f}", f"{bill.read_units:,.0f}", f"{bill.stored_bytes / 1e9:,.2f}"]
    return [*units, *(f"{part:,.2f}" for part in [*parts, sum(parts)])]


def _summary(counts: Statistics, prices: Prices) -> str:
    return (
        f"{counted(counts.conversations, 'conversation')} of {counted(counts.users, 'user')}; "
        f"storage bills {counts.stored_bytes:,} "
        f"bytes (rows also in the index, 100 an item): ${counts.monthly_cost(prices):,.4f} a month\n"
        f"source: {_source(prices)}"
    )


def _thousands(*numbers: int) -> list[str]:
    return [f"{number:,}" for number in numbers]


def _source(prices: Prices) -> str:
    return SOURCE if prices == Prices() else "the prices given with --price, and for the others " + SOURCE
