"""`docs/benchmarks.md`, from the results and a template."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.contenders import CONTENDERS, OURS, PEERS
from benchmarks.figures import (
    BUDGETS,
    NOTHING,
    Figure,
    OfTurns,
    ending,
    flaw,
    growth,
    mean_of,
    median_of,
    number,
    of_call,
    price,
    rent,
    shape_counts,
    stored,
    sum_of,
    turn_price,
)
from benchmarks.runs import PRICES, PRICES_SINCE, Results, Run, dollars_of
from benchmarks.workloads import BY_KEY, REFERENCE, SHAPES

TEMPLATE = "benchmarks.md.jinja"
README_TEMPLATE = "readme.md.jinja"
README_MARKS = ("<!-- figures of `python3 dev.py benchmark` -->", "<!-- end of figures -->")
MARKS = (20, 100, 400)
AROUND = 20
TRANSCRIPT_KINDS = ("conversation row", "index", "older messages")

IN_SHORT = (OURS[-1], *PEERS)
"""Savers that README.md compares."""

VERDICT = ["best peer", "this saver loses"]
"""Heads of the cells in which the savers are compared."""


@dataclass(frozen=True)
class Row:
    """A row of a table: what it shows, and a cell for each saver.

    Args:
        title: What it shows.
        cells: A cell for each saver, and if they are compared the best peer and whether this saver loses.
        loss: What the best peer does better than this saver, by both figures; None if nothing.
    """

    title: str
    cells: list[str]
    loss: str | None = None


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
        runs = [self.results.run(contender.key, REFERENCE.key) for contender in self.columns]
        yield Row("turns stored", [ending(run) if run else NOTHING for run in runs] + [NOTHING] * len(VERDICT))
        for title, figure in (("WRU a turn", "wru"), ("RRU a turn", "rru")):
            for mark in self.marks:
                yield self._row(f"{title}, around turn {mark}", self._around(mark, mean_of(figure)))
        mark = self.network_turns
        yield self._row(f"requests a turn, around turn {mark}", self._around(mark, mean_of("requests")))
        yield self._row(f"KB sent a turn, around turn {mark}", self._around(mark, mean_of("sent_bytes", 1000)))
        for mark in self.marks:
            yield self._row(f"MB stored after turn {mark}", partial(stored, mark))

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
            for title, field in (("requests", "requests"), ("WRU", "wru"), ("RRU", "rru"), ("ms", "wall_ms")):
                figure = partial(of_call, name, field)
                if any(figure(run) for run in runs if run and run.contender in OURS):
                    yield self._row(f"{name}: {title}", figure, network_ms=self.network_ms)

    def dollars(self) -> Iterator[Row]:
        """What 1,000 conversations cost."""
        for mark in self.marks:
            yield self._row(f"requests of {mark} turns", partial(price, mark), shown="${:,.2f}".format)
        for mark in self.marks:
            yield self._row(f"a month's storage of {mark} turns", partial(rent, mark), shown="${:,.3f}".format)

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
            yield self._row(shape.title, turn_price, shown="${:,.3f}".format, workload=shape.key)

    def flat(self) -> Iterator[Row]:
        """Agents that must cost the same at any length, each figure with its budget."""
        for budget in BUDGETS:
            row = self._row(
                f"{BY_KEY[budget.workload].title}: {budget.title}",
                lambda run, budget=budget: None if run.failure else budget.figure(run.turns),  # type: ignore[misc]
                workload=budget.workload,
            )
            most = NOTHING if budget.most is None else number(budget.most)
            yield Row(row.title, [most, *row.cells], row.loss)

    def losses(self) -> list[str]:
        """What the best peer does better, of all that is compared."""
        tables = (self.reference, self.times, self.calls, self.dollars, self.shapes, self.flat)
        return [row.loss for table in tables for row in table() if row.loss]

    def shape_counts(self) -> Iterator[Row]:
        """Counts of each shape."""
        for shape in SHAPES:
            runs = [self.results.run(contender.key, shape.key) for contender in self.columns]
            yield Row(shape.title, [shape_counts(run) if run and run.turns else NOTHING for run in runs])

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

    def heads_in_short(self) -> list[str]:
        """Heads of `in_short`."""
        return ["this saver, with the transcript", *map(label_of, PEERS)]

    def in_short(self) -> Iterator[Row]:
        """The reference chat as README.md has it: what decides, beside the peers that store all of it as it is."""
        runs = [self.results.run(key, REFERENCE.key) for key in IN_SHORT]
        first, middle, last = self.marks[0], self.marks[len(self.marks) // 2], self.marks[-1]
        for title, figure in (
            (f"write units a turn, around turn {first}", self._around(first, mean_of("wru"))),
            (f"the same, around turn {last}", self._around(last, mean_of("wru"))),
            (f"MB stored after turn {middle}", partial(stored, middle)),
            (f"price of the requests of 1,000 chats of {middle} turns", partial(price, middle)),
        ):
            show = "${:,.2f}".format if title.startswith("price") else number
            figures = [figure(run) if run else None for run in runs]
            yield Row(title, [NOTHING if value is None else show(value) for value in figures])
        ended = [
            f"after turn {len(run.turns)}" if run and run.failure else f"not in {self.turns} turns" for run in runs
        ]
        yield Row("fails", ended)

    @property
    def is_long(self) -> bool:
        """Whether the chat had as many turns as the promises are about."""
        return self.turns >= MARKS[-1]

    def budgets(self) -> Iterator[Row]:
        """The reference chat by the figures that are promised: measured, and the budget."""
        on, off = (self._must(key) for key in reversed(OURS))
        calls, alone = self._must(OURS[-1], REFERENCE.key, self.network_ms).calls, self._must(OURS[-1], "lambda").turns
        sent = [cost.requests for cost in on.turns[:100]]
        units = mean(cost.wru for cost in off.turns[380:400]) / mean(cost.wru for cost in off.turns[10:30])
        state, cold, history = (calls[name] for name in ("get_state, warm", "get_state, cold", "history of 200"))
        shown = {
            "write units a turn, mean of 100 turns, with the transcript": (f"{_mean_wru(on, 100):.1f}", "24"),
            "the same, `transcript=False`": (f"{_mean_wru(off, 100):.1f}", "12"),
            "write units around turn 400, by those around turn 20, `transcript=False`": (f"{units:.2f}", "1.25"),
            "read units of turn 100, process that knows the chat / cold `get_state`": (
                f"{on.turns[99].rru:g} / {cold.rru:g}",
                "20 / -",
            ),
            "requests in a turn, mean / most after the first": (
                f"{mean(sent):.1f} / {max(sent[1:])}",
                "14 / -",
            ),
            "bytes stored after 100 turns": (f"{on.stored[100].item_bytes / 1e6:.2f} MB", "0.8 MB"),
            "requests of `get_state`, warm / cold; of a history of 200": (
                f"{state.requests} / {cold.requests}; {history.requests}",
                "3; 5",
            ),
            "requests of a conversation's first turn, id of `new_conversation` / of the caller": (
                f"{self._must(OURS[-1], 'short').turns[0].requests} / {on.turns[0].requests}",
                "11",
            ),
            '`durability="exit"`, a new process each turn, mean of 20 turns: write units / read units / requests': (
                " / ".join(f"{mean(getattr(cost, name) for cost in alone):.1f}" for name in ("wru", "rru", "requests")),
                "7 / 2.5 / 4.9",
            ),
        }
        return (Row(title, [*cells]) for title, cells in shown.items())

    def _must(self, contender: str, workload: str = REFERENCE.key, network_ms: float = 0) -> Run:
        """A run that a benchmark of full length has."""
        run = self.results.run(contender, workload, network_ms)
        assert run is not None
        return run

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

    def _row(
        self,
        title: str,
        figure: Figure,
        *,
        shown: Callable[[float], str] = number,
        workload: str = REFERENCE.key,
        network_ms: float = 0,
    ) -> Row:
        """A row in which less is better."""
        runs = {one.key: self.results.run(one.key, workload, network_ms) for one in self.columns}
        values = {key: figure(run) if run and run.turns else None for key, run in runs.items()}
        flaws = {key: flaw(run) if run and workload != REFERENCE.key else "" for key, run in runs.items()}
        cells = [f"{NOTHING if value is None else shown(value)}{flaws[key]}" for key, value in values.items()]
        peers = [(value, key) for key in PEERS if (value := values.get(key)) is not None and not flaws[key]]
        on, off = (values.get(key) for key in reversed(OURS))
        if on is None or not peers:
            return Row(title, [*cells, NOTHING, NOTHING if on is None else "no"])
        best, peer = min(peers)
        if on <= best:
            return Row(title, [*cells, label_of(peer), "no"])
        without = off is not None and off <= best
        loss = f"{title}: {label_of(peer)} {shown(best)}, this saver {shown(on)}" + (
            f", without the transcript {shown(off)}" if off is not None else ""
        )
        return Row(title, [*cells, label_of(peer), "with the transcript" if without else "yes"], loss)

    def _around(self, mark: int, figure: OfTurns) -> Figure:
        return lambda run: None if len(run.turns) < mark else figure(run.turns[max(0, mark - AROUND) : mark])

    def _ratio(self, ours: str, peer: str, figure: OfTurns) -> str:
        mine, theirs = (self.results.run(key, REFERENCE.key) for key in (ours, peer))
        if mine is None or theirs is None:
            return NOTHING
        both = min(len(mine.turns), len(theirs.turns), self.network_turns)
        return f"{figure(theirs.turns[:both]) / figure(mine.turns[:both]):.1f}"


def _mean_wru(run: Run, turns: int) -> float:
    return mean(cost.wru for cost in run.turns[:turns])


def label_of(key: str) -> str:
    return next(contender.label for contender in CONTENDERS if contender.key == key)


def write_document(results: Results, folder: Path) -> Path:
    """Write the document; gives its path."""
    path = folder / TEMPLATE.removesuffix(".jinja")
    path.write_text(_rendered(TEMPLATE, results), encoding="utf-8")
    return path


def write_readme(results: Results, path: Path) -> Path:
    """Write the figures that README.md has anew, between two marks; gives its path."""
    before, mark, rest = path.read_text(encoding="utf-8").partition(README_MARKS[0])
    _, end, after = rest.partition(README_MARKS[1])
    assert mark
    assert end
    path.write_text(f"{before}{mark}\n{_rendered(README_TEMPLATE, results)}{end}{after}", encoding="utf-8")
    return path


def _rendered(template: str, results: Results) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.get_template(template).render(
        tables=Tables(results),
        setting=results.setting,
        verdict=VERDICT,
        prices=PRICES,
        prices_since=PRICES_SINCE,
    )
    return text + "\n" * (not text.endswith("\n"))
