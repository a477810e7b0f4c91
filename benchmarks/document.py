"""`docs/benchmarks.md`, from the results and a template."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.contenders import CONTENDERS, OURS, PEERS
from benchmarks.meter import Cost
from benchmarks.runs import PRICES, PRICES_SINCE, Results, Run, dollars_a_month, dollars_of
from benchmarks.workloads import BY_KEY, REFERENCE, SHAPES

TEMPLATE = "benchmarks.md.jinja"
MARKS = (20, 100, 400)
AROUND = 20
NOTHING = "-"
TRANSCRIPT_KINDS = ("conversation row", "index", "older messages")

Cell = Callable[[Run], str]
OfTurns = Callable[[list[Cost]], float]


@dataclass(frozen=True)
class Row:
    """A row of a table: what it shows, and a cell for each saver."""

    title: str
    cells: list[str]


class Tables:
    """The tables of a benchmark's results."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.turns: int = results.setting["turns"]
        self.network_ms: float = results.setting["network_ms"]
        self.network_turns: int = results.setting["network_turns"]
        self.columns = [c for c in CONTENDERS if results.run(c.key, REFERENCE.key)]
        self.marks = [mark for mark in MARKS if mark <= self.turns] or [self.turns]

    def reference(self) -> Iterator[Row]:
        """The turns of the reference chat."""
        yield self._row("turns stored", self._ending)
        for title, figure in (("WRU a turn", "wru"), ("RRU a turn", "rru")):
            for mark in self.marks:
                yield self._row(f"{title}, around turn {mark}", self._around(mark, mean_of(figure)))
        mark = self.network_turns
        yield self._row(f"requests a turn, around turn {mark}", self._around(mark, mean_of("requests")))
        yield self._row(f"KB sent a turn, around turn {mark}", self._around(mark, mean_of("sent_bytes", 1000)))
        for mark in self.marks:
            yield self._row(f"MB stored after turn {mark}", lambda run, mark=mark: stored(run, mark))  # type: ignore[misc]

    def times(self) -> Iterator[Row]:
        """Times of a turn, and how many of its requests wait for each other."""
        mark = self.network_turns
        at = f"around turn {mark}"
        yield self._row(f"ms a turn, no network time, {at}", self._around(mark, median_of("wall_ms")))
        ms = self.network_ms
        yield self._row(
            f"ms a turn, {ms:g} ms a request, {at}", self._around(mark, median_of("wall_ms")), network_ms=ms
        )
        yield self._row(f"round trips a turn, {at}", self._around(mark, median_of("round_trips")), network_ms=ms)
        yield self._row(f"CPU ms a turn, {at}", self._around(mark, median_of("cpu_ms")))

    def calls(self) -> Iterator[Row]:
        """Other calls on a conversation of so many turns."""
        runs = [self.results.run(contender.key, REFERENCE.key, self.network_ms) for contender in self.columns]
        for name in dict.fromkeys(name for run in runs if run for name in run.calls):
            yield self._row(name, lambda run, name=name: call(run.calls[name]), network_ms=self.network_ms)  # type: ignore[misc]

    def dollars(self) -> Iterator[Row]:
        """What 1,000 conversations cost."""
        for mark in self.marks:
            yield self._row(f"requests of {mark} turns", lambda run, mark=mark: price(run, mark))  # type: ignore[misc]
        for mark in self.marks:
            yield self._row(f"a month's storage of {mark} turns", lambda run, mark=mark: rent(run, mark))  # type: ignore[misc]

    def ratios(self) -> Iterator[Row]:
        """Each peer's figure by this saver's, over the turns that both stored, up to the shared mark."""
        figures: dict[str, OfTurns] = {
            "WRU": sum_of("wru"),
            "RRU": sum_of("rru"),
            "requests": sum_of("requests"),
            "price of requests": dollars_of,
            "CPU": sum_of("cpu_ms"),
        }
        for ours in OURS:
            for title, figure in figures.items():
                cells = [self._ratio(ours, peer, figure) for peer in PEERS if self.results.run(peer, REFERENCE.key)]
                yield Row(f"{title}, by {label_of(ours)}", cells)

    def shapes(self) -> Iterator[Row]:
        """Price of 1,000 turns of each shape."""
        for shape in SHAPES:
            yield self._row(shape.title, shape_price, workload=shape.key)

    def shape_counts(self) -> Iterator[Row]:
        """Counts of each shape."""
        for shape in SHAPES:
            yield self._row(shape.title, shape_counts, workload=shape.key)

    def write_units(self) -> Iterator[Row]:
        """Where this saver's write units go, a turn of the reference chat."""
        runs = [run for key in OURS if (run := self.results.run(key, REFERENCE.key))]
        kinds = sorted(
            {kind for run in runs for kind in run.write_units}, key=lambda kind: (-runs[-1].write_units[kind], kind)
        )
        for kind in kinds:
            yield Row(kind, [f"{run.write_units.get(kind, 0) / len(run.turns):.2f}" for run in runs])
        yield Row("all", [f"{mean(cost.wru for cost in run.turns):.2f}" for run in runs])

    def kinds(self) -> list[str]:
        """Kinds of items, those that the transcript writes last."""
        found = {kind for shape in SHAPES if (run := self.results.run(OURS[-1], shape.key)) for kind in run.write_units}
        return sorted(found, key=lambda kind: (kind in TRANSCRIPT_KINDS, kind))

    def write_units_of_shapes(self) -> Iterator[Row]:
        """Where this saver's write units go, a turn of each shape, with the transcript on."""
        for shape in SHAPES:
            run = self.results.run(OURS[-1], shape.key)
            if run and run.turns:
                units = [run.write_units.get(kind, 0) / len(run.turns) for kind in self.kinds()]
                yield Row(shape.title, [*(number(unit) if unit else NOTHING for unit in units), growth(run)])

    def entropy(self) -> Iterator[Row]:
        """Bits a character of the workloads' text and of English."""
        titles = {"workloads": "the workloads' text", "English": "English: the language reference in Python's `pydoc`"}
        for name, bits in self.results.setting["bits_a_character"].items():
            yield Row(titles[name], [f"{value:.2f}" for value in bits.values()])

    def ours(self) -> list[str]:
        return [label_of(key) for key in OURS if self.results.run(key, REFERENCE.key)]

    def peers(self) -> list[str]:
        return [label_of(peer) for peer in PEERS if self.results.run(peer, REFERENCE.key)]

    def failures(self) -> Iterator[tuple[str, str, int, str]]:
        """Every run that ended early: saver, workload, turn, error."""
        for run in self.results.runs:
            if run.failure and not run.network_ms:
                failure = run.failure
                yield label_of(run.contender), BY_KEY[run.workload].title, failure.turn, failure.error

    def wrong_states(self) -> list[tuple[str, str]]:
        """Runs whose last state is not what `InMemorySaver` has."""
        wrong = [run for run in self.results.runs if run.as_in_memory is False]
        return [(label_of(run.contender), BY_KEY[run.workload].title) for run in wrong]

    def _row(self, title: str, cell: Cell, *, workload: str = REFERENCE.key, network_ms: float = 0) -> Row:
        runs = [self.results.run(contender.key, workload, network_ms) for contender in self.columns]
        return Row(title, [cell(run) if run and run.turns else NOTHING for run in runs])

    def _ending(self, run: Run) -> str:
        return f"{len(run.turns)}, then fails" if run.failure else str(len(run.turns))

    def _around(self, mark: int, figure: OfTurns) -> Cell:
        def cell(run: Run) -> str:
            return NOTHING if len(run.turns) < mark else number(figure(run.turns[max(0, mark - AROUND) : mark]))

        return cell

    def _ratio(self, ours: str, peer: str, figure: OfTurns) -> str:
        mine, theirs = (self.results.run(key, REFERENCE.key) for key in (ours, peer))
        if mine is None or theirs is None:
            return NOTHING
        both = min(len(mine.turns), len(theirs.turns), self.network_turns)
        return f"{figure(theirs.turns[:both]) / figure(mine.turns[:both]):.1f}"


def label_of(key: str) -> str:
    return next(contender.label for contender in CONTENDERS if contender.key == key)


def mean_of(name: str, unit: float = 1) -> OfTurns:
    return lambda costs: mean(getattr(cost, name) for cost in costs) / unit


def median_of(name: str) -> OfTurns:
    return lambda costs: median(getattr(cost, name) for cost in costs)


def sum_of(name: str) -> OfTurns:
    return lambda costs: sum(getattr(cost, name) for cost in costs)


def number(value: float) -> str:
    """Three figures or so."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def growth(run: Run) -> str:
    """Write units of the last quarter of the turns by those of the second quarter."""
    quarter = len(run.turns) // 4
    if not quarter:
        return NOTHING
    wru = mean_of("wru")
    return number(wru(run.turns[-quarter:]) / wru(run.turns[quarter : 2 * quarter]))


def stored(run: Run, mark: int) -> str:
    return number(run.stored[mark].billed_bytes / 1e6) if mark in run.stored else NOTHING


def price(run: Run, mark: int) -> str:
    return f"${1000 * run.dollars(1, mark):,.2f}" if len(run.turns) >= mark else NOTHING


def rent(run: Run, mark: int) -> str:
    return f"${1000 * dollars_a_month(run.stored[mark].billed_bytes):,.3f}" if mark in run.stored else NOTHING


def call(cost: Cost) -> str:
    units = f"{number(cost.wru)} WRU, " * bool(cost.wru) + f"{number(cost.rru)} RRU"
    return f"{cost.requests} ({cost.round_trips}); {units}; {cost.wall_ms:,.0f} ms"


def flaw(run: Run) -> str:
    if run.failure:
        return f", fails at turn {run.failure.turn}"
    return ", **wrong state**" if run.as_in_memory is False else ""


def shape_price(run: Run) -> str:
    return f"${1000 * dollars_of(run.turns) / len(run.turns):,.3f}{flaw(run)}"


def shape_counts(run: Run) -> str:
    means = [number(mean(getattr(cost, name) for cost in run.turns)) for name in ("wru", "rru", "requests")]
    weighed = run.stored.get(len(run.turns))
    kilobytes = number(weighed.billed_bytes / 1000 / len(run.turns)) if weighed else NOTHING
    return " / ".join([*means, kilobytes])


def write_document(results: Results, folder: Path) -> Path:
    """Write the document; gives its path."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.get_template(TEMPLATE).render(
        tables=Tables(results), setting=results.setting, prices=PRICES, prices_since=PRICES_SINCE
    )
    path = folder / TEMPLATE.removesuffix(".jinja")
    path.write_text(text + "\n" * (not text.endswith("\n")), encoding="utf-8")
    return path
