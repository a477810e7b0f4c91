"""The plots: what a turn costs and what is stored, against the length of the conversation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from benchmarks.contenders import CONTENDERS, FLOOR
from benchmarks.runs import Results, Run, dollars_of
from benchmarks.workloads import REFERENCE

SMOOTHED_TURNS = 25
COLOURS = {
    "ours-off": "#0b6e4f",
    "ours-on": "#1769aa",
    "aws": "#c0392b",
    "aws-gzip": "#c77700",
    "dynamodb-checkpoint": "#7d3c98",
}
INK, FAINT = "#24292f", "#d0d7de"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "benchmark",  # the same file for the same figures
}
LONGEST_LABEL = 30
LABEL_GAP = 0.062
"""Between two labels, as a share of the axis."""

Series = Callable[[Run], list[tuple[float, float]]]


@dataclass
class Label:
    """A line's name, where the line ends."""

    text: str
    colour: str
    x: float
    height: float


def write_plots(results: Results, folder: Path) -> list[Path]:
    """Write each plot as SVG and PNG; gives the files."""
    folder.mkdir(parents=True, exist_ok=True)
    turns = results.setting["turns"]
    with mpl.rc_context(STYLE):
        cost = plot(results, turns, "Price of a turn's requests, US$ for 1,000 turns", dollars_by_turn, dollars)
        stored = plot(results, turns, "Stored for one conversation", megabytes_by_turn, megabytes)
        return [
            path
            for name, figure in (("cost-per-turn", cost), ("bytes-stored", stored))
            for path in save(figure, folder / name)
        ]


def dollars_by_turn(run: Run) -> list[tuple[float, float]]:
    """The price of 1,000 turns, mean of the 25 turns around each."""
    prices = [1000 * dollars_of([cost]) for cost in run.turns]
    reach = SMOOTHED_TURNS // 2
    return [(turn, mean(prices[max(0, turn - 1 - reach) : turn + reach])) for turn in range(1, len(prices) + 1)]


def megabytes_by_turn(run: Run) -> list[tuple[float, float]]:
    return [(turn, stored.billed_bytes / 1e6) for turn, stored in sorted(run.stored.items())]


def dollars(value: float, _position: object = None) -> str:
    return f"${value:.2f}" if value < 1 else f"${value:g}"


def megabytes(value: float, _position: object = None) -> str:
    return f"{value:g} MB" if value >= 1 else f"{1000 * value:g} KB"


def plot(results: Results, turns: int, title: str, series: Series, unit: Callable[..., str]) -> Figure:
    """One line a saver on a logarithmic axis, named where it ends."""
    figure = Figure(figsize=(9.6, 5.2), dpi=160, facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.set_yscale("log")
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=14)
    axes.set_xlabel("turn of the conversation")
    axes.yaxis.set_major_formatter(FuncFormatter(unit))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.tick_params(which="both", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlim(0, turns)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))
    ends = list(draw_lines(axes, results, series))
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * 1.3)
    write_labels(axes, ends, turns)
    return figure


def draw_lines(axes: Any, results: Results, series: Series) -> Iterator[tuple[str, str, float, float]]:
    """Draw the lines; gives each one's text, colour and end."""
    for contender in CONTENDERS:
        run = results.run(contender.key, REFERENCE.key)
        if contender.key == FLOOR or run is None or not run.turns:
            continue
        points = series(run)
        colour = COLOURS[contender.key]
        axes.plot(*zip(*points, strict=True), color=colour, linewidth=2.2, solid_capstyle="round")
        x, y = points[-1]
        text = contender.label
        if run.failure:
            axes.plot([x], [y], marker="X", markersize=9, color=colour, clip_on=False, zorder=5)
            text += f"\nfails at turn {run.failure.turn}: item above 400 KB"
        yield text, colour, x, y


def write_labels(axes: Any, ends: Sequence[tuple[str, str, float, float]], turns: int) -> None:
    """Put each label beside its line's end: at the right edge outside, else right of the end; apart from each other."""
    outside = dodged([label_of(axes, end) for end in ends if end[2] >= turns])
    inside = [label_of(axes, end) for end in ends if end[2] < turns]
    for label in [*outside, *inside]:
        at_edge = label.x >= turns
        axes.annotate(
            label.text,
            xy=(label.x, label.height),
            xycoords=("data", "axes fraction"),
            xytext=(8 if at_edge else 11, 0),
            textcoords="offset points",
            color=label.colour,
            fontweight="bold" if label.text.startswith("this") else "normal",
            va="center",
            annotation_clip=False,
        )


def label_of(axes: Any, end: tuple[str, str, float, float]) -> Label:
    text, colour, x, y = end
    _, height = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))
    return Label(
        text.replace(", ", ",\n", 1) if len(text) > LONGEST_LABEL and "\n" not in text else text,
        colour,
        x,
        float(height),
    )


def dodged(labels: list[Label]) -> list[Label]:
    """Move labels up until none covers the one below it."""
    below = float("-inf")
    for label in sorted(labels, key=lambda label: label.height):
        lines = label.text.count("\n") + 1
        label.height = max(label.height, below + LABEL_GAP * lines / 2)
        below = label.height + LABEL_GAP * lines / 2
    return labels


def save(figure: Figure, path: Path) -> list[Path]:
    files = [path.with_suffix(".svg"), path.with_suffix(".png")]
    figure.savefig(files[0], metadata={"Date": None})
    figure.savefig(files[1], metadata={"Software": None})
    return files
