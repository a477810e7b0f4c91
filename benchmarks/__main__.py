"""The benchmark: plays every workload on every saver, then writes figures, plots and `docs/benchmarks.md`."""

from __future__ import annotations

import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import psutil
from rich.console import Console
from rich.progress import Progress

from benchmarks import chats
from benchmarks.contenders import CONTENDERS, FLOOR, Contender
from benchmarks.document import write_document, write_readme
from benchmarks.entropy import bits_a_character
from benchmarks.play import play
from benchmarks.plots import write_plots
from benchmarks.runs import Results, Run
from benchmarks.workloads import FLAT, REFERENCE, SHAPES, Workload
from tests.engines import DUMMY_ENVIRONMENT, Engine, running

ROOT = Path(__file__).parent.parent
FIGURES = "benchmarks/results.json"
README = "README.md"
QUICK = ROOT / "build" / "benchmark"
TURNS = 400
QUICK_TURNS = 10
NETWORK_MS = 5.0
COLD_STARTS = 3
SHAPE_SHARE = 10
"""The reference chat on other shapes of state is played a tenth as long."""
NETWORK_TURNS = 100
"""Turns with simulated network time, at most: the counts are the same, and peers fail not much later."""


@dataclass(frozen=True)
class Task:
    """A run to be played."""

    contender: Contender
    workload: Workload
    turns: int
    network_ms: float = 0.0
    cold_starts: int = 0

    @property
    def title(self) -> str:
        network = f", {self.network_ms:g} ms" if self.network_ms else ""
        return f"{self.workload.key} on {self.contender.label}{network}"


def quick_tasks(contenders: list[Contender]) -> Iterator[Task]:
    """The reference chat and agents of other shapes, as far as they can be seen in few turns."""
    for workload in (REFERENCE, *FLAT):
        for contender in contenders:
            yield Task(contender, workload, min(workload.turns or QUICK_TURNS, QUICK_TURNS))


def tasks(turns: int, contenders: list[Contender], cold_starts: int) -> Iterator[Task]:
    """All runs; of each workload first the floor's, which the others are compared with."""
    floor_first = sorted(contenders, key=lambda contender: contender.key != FLOOR)
    short = max(turns // SHAPE_SHARE, 2)
    for contender in floor_first:
        yield Task(contender, REFERENCE, turns)
    for contender in floor_first:
        yield Task(contender, REFERENCE, min(turns, NETWORK_TURNS), NETWORK_MS, cold_starts)
    for workload in (*SHAPES, *FLAT):
        for contender in floor_first:
            yield Task(contender, workload, min(workload.turns, turns) if workload.turns else short)


def is_weighed(turns: int) -> Callable[[int], bool]:
    """About 20 times in a conversation, and after the first turns."""
    step = max(turns // 20, 1)
    return lambda turn: turn in (1, 2, 5, 10) or turn % step == 0 or turn == min(turns, NETWORK_TURNS)


def measure(
    engine: Engine,
    turns: int,
    contenders: list[Contender],
    progress: Progress,
    *,
    cold_starts: int = COLD_STARTS,
    quick: bool = False,
) -> Results:
    """Play all runs."""
    runs: list[Run] = []
    floors: dict[tuple[str, int], Any] = {}
    planned = list(quick_tasks(contenders) if quick else tasks(turns, contenders, cold_starts))
    begun = time.monotonic()
    bar = progress.add_task("", total=len(planned))
    for task in planned:
        progress.update(bar, description=task.title)
        run, state = play(
            task.contender,
            task.workload,
            engine,
            task.turns,
            network_ms=task.network_ms,
            cold_starts=task.cold_starts,
            weighed_at=is_weighed(task.turns),
        )
        if not run.failure:
            floor = floors.setdefault((task.workload.key, task.turns), state)
            run.as_in_memory = state == floor
        runs.append(run)
        progress.advance(bar)
        if not progress.console.is_terminal:
            progress.console.print(f"{len(runs)} of {len(planned)}: {task.title}, {time.monotonic() - begun:.0f} s")
    return Results({**setting(turns, contenders), "quick": quick}, runs)


def setting(turns: int, contenders: list[Contender]) -> dict[str, Any]:
    """Where and how the figures were taken."""
    distributions = [*(contender.package for contender in contenders), "langgraph", "boto3"]
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "turns": turns,
        "shape_turns": max(turns // SHAPE_SHARE, 2),
        "network_turns": min(turns, NETWORK_TURNS),
        "network_ms": NETWORK_MS,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {psutil.cpu_count()} cores, "
        f"{round(psutil.virtual_memory().total / 2**30)} GiB",
        "load_before": round(psutil.getloadavg()[0], 1),
        "versions": {name: version(name) for name in dict.fromkeys(distributions)},
        "bits_a_character": bits_a_character(),
    }


@click.command()
@click.option("--turns", default=TURNS, show_default=True, help="Length of the reference chat; other shapes: a tenth.")
@click.option("--quick", is_flag=True, help=f"{QUICK_TURNS} turns in 3 minutes; writes into build/benchmark.")
@click.option("--estimate", is_flag=True, help="Only write the figures of the command `estimate` anew.")
@click.option("--render", is_flag=True, help="Measure nothing: write page and plots anew from the last figures.")
def main(turns: int, quick: bool, estimate: bool, render: bool) -> None:
    """Measure this saver beside its peers on DynamoDB Local, and write figures, plots and docs/benchmarks.md."""
    root = QUICK if quick else ROOT
    if render:
        write(Results.from_text((root / FIGURES).read_text(encoding="utf-8")), root)
        return
    warnings.simplefilter("ignore")
    os.environ.update(DUMMY_ENVIRONMENT)
    if estimate:
        with running("dynamodb-local") as engine:
            print(chats.write(engine))
        return
    here = [contender for contender in CONTENDERS if contender.importable]
    with running("dynamodb-local") as engine, Progress(console=Console(stderr=True)) as progress:
        results = measure(engine, QUICK_TURNS if quick else turns, here, progress, quick=quick)
    write(results, root)
    if quick:
        print(f"{QUICK_TURNS} turns at most: the page says what they can't show")


def write(results: Results, root: Path) -> None:
    """Write all that is made of the results, under a root that has the repository's layout."""
    figures = root / FIGURES
    figures.parent.mkdir(parents=True, exist_ok=True)
    figures.write_text(results.to_text(), encoding="utf-8")
    written = [figures, *write_plots(results, root / "docs" / "images"), write_document(results, root / "docs")]
    if (root / README).exists():
        written.append(write_readme(results, root / README))
    for path in written:
        print(path)


if __name__ == "__main__":
    main()
