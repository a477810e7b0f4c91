"""How long the event loop stands still, beside a peer: `python benchmarks/loop_lag.py [--conversations 8 32]`.

So many conversations of the reference chat take turns at once in asyncio tasks of one process (`graph.ainvoke`), on
DynamoDB Local with a network of 5 ms. A task beside them sleeps for 5 ms again and again: what it sleeps longer is the
lag, which every other request of a server waits as well. The savers play in turn, round after round in one run; a
figure is the median of its rounds, since others on the machine lengthen any of them. `python3 dev.py test` fetches
DynamoDB Local; name its folder in `DYNAMODB_LOCAL_HOME`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import uuid
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.contenders import BY_KEY, OURS, USER, Contender, Place
from benchmarks.play import table_for
from tests.engines import Engine, running
from tests.reference_chat import Prose, chat_graph, user_message

SLEEP_SECONDS = 0.005
SAVERS = ("ours-on", "ours-off", "aws")
PEER = "aws"


class Figures(NamedTuple):
    """What a round showed: the lag's 50th and 99th percentile in milliseconds, and turns a second."""

    p50: float
    p99: float
    turns: float


async def sleeper(lags: list[float]) -> None:
    """Notes, until it is cancelled, how many milliseconds a sleep takes too long."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(SLEEP_SECONDS)
        lags.append((time.perf_counter() - began - SLEEP_SECONDS) * 1000)


async def played(saver: Any, contender: Contender, conversations: int, turns: int) -> Figures:
    """Conversations that are played at once, each from its first turn on."""

    async def converse(number: int) -> None:
        prose, user = Prose(number), {"user_id": USER} if contender.key in OURS else {}
        graph = chat_graph(prose).compile(checkpointer=saver)
        config: Any = {"configurable": {"thread_id": str(uuid.uuid4()), **user}}
        for _ in range(turns):
            await graph.ainvoke(user_message(prose), config)

    await converse(0)  # so that client and threads are there
    lags: list[float] = []
    task = asyncio.create_task(sleeper(lags))
    began = time.perf_counter()
    await asyncio.gather(*map(converse, range(conversations)))
    seconds = time.perf_counter() - began
    task.cancel()
    return Figures(median(lags), quantiles(lags, n=100)[-1], conversations * turns / seconds)


def one_round(engine: Engine, key: str, conversations: int, turns: int) -> Figures:
    contender = BY_KEY[key]
    with table_for(contender, engine) as (_, table_name):
        opened = contender.open(Place(engine.endpoint_url or "", table_name, network_seconds=SLEEP_SECONDS))
        try:
            return asyncio.run(played(opened.saver, contender, conversations, turns))
        finally:
            if key in OURS:
                opened.saver.close()  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with running("dynamodb-local") as engine:
        for conversations in options.conversations:
            rounds: dict[str, list[Figures]] = {key: [] for key in SAVERS}
            for _ in range(options.rounds):
                for key, figures in rounds.items():
                    figures.append(one_round(engine, key, conversations, options.turns))
            print(f"\n{conversations} conversations at once, {options.turns} turns each, {options.rounds} rounds\n")
            print(f"{'':36}{'lag p50':>9}{'lag p99':>9}{'by the peer':>13}{'rounds':>16}{'turns/s':>9}")
            for key, figures in rounds.items():
                p50, p99, rate = (median(values) for values in zip(*figures, strict=True))
                ratios = [one.p99 / peer.p99 for one, peer in zip(figures, rounds[PEER], strict=True)]
                print(
                    f"{BY_KEY[key].label:36}{p50:9.1f}{p99:9.1f}{p99 / median(one.p99 for one in rounds[PEER]):13.2f}"
                    f"{min(ratios):10.2f} - {max(ratios):.2f}{rate:9.1f}"
                )


if __name__ == "__main__":
    main()
