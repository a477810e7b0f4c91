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
LINE_HEIGHT = 0.05
"""Of a line of a label, as a share of the axis."""

COST = (
    "What a turn's requests cost",
    "1,000 turns of the reference chat at list prices, mean of the 25 turns around each; logarithmic",
)
STORED = ("What one conversation stores", "the reference chat, as DynamoDB bills it, with index; logarithmic")

Series = Callable[[Run], list[tuple[float, float]]]


@dataclass(frozen=True)
class End:
    """Where a line ends, and what it is called there."""

    text: str
    colour: str
    x: float
    y: float


def write_plots(results: Results, folder: Path) -> list[Path]:
    """Write each plot as SVG and PNG; gives the files."""
    folder.mkdir(parents=True, exist_ok=True)
    turns = results.setting["turns"]
    with mpl.rc_context(STYLE):
        cost = plot(results, turns, COST, dollars_by_turn, dollars)
        stored = plot(results, turns, STORED, megabytes_by_turn, megabytes)
        return [
            path
            for name, figure in (("cost-per-turn", cost), ("bytes-stored", stored))
            for path in save(figure, folder / name)
        ]


def dollars_by_turn(run: Run) -> list[tuple[float, float]]:
    """The price of 1,000 turns, mean of the 25 turns around each."""
    prices = [1000 * dollars_of([cost]) for cost in run.turns]
    points = []
    for turn in range(1, len(prices) + 1):
        reach = min(SMOOTHED_TURNS // 2, turn - 1)
        first, last = turn - reach, min(turn + reach, len(prices))
        # Near the end the turns around it are those before it: the mean belongs to their middle.
        points.append(((first + last) / 2, mean(prices[first - 1 : last])))
    return [*points, (len(prices), points[-1][1])]


def megabytes_by_turn(run: Run) -> list[tuple[float, float]]:
    return [(turn, stored.billed_bytes / 1e6) for turn, stored in sorted(run.stored.items())]


def dollars(value: float, _position: object = None) -> str:
    return f"${value:.2f}" if value < 1 else f"${value:g}"


def megabytes(value: float, _position: object = None) -> str:
    if value >= 1000:
        return f"{value / 1000:g} GB"
    return f"{value:g} MB" if value >= 1 else f"{1000 * value:g} KB"


def plot(results: Results, turns: int, titles: tuple[str, str], series: Series, unit: Callable[..., str]) -> Figure:
    """One line a saver on a logarithmic axis, named where it ends."""
    figure = Figure(figsize=(9.6, 5.2), dpi=160, facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.set_yscale("log")
    title, subtitle = titles
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=36)
    axes.annotate(subtitle, xy=(0, 1), xycoords="axes fraction", xytext=(0, 19), textcoords="offset points")
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
    raised = sum(end.text.count("\n") for end in ends)
    axes.set_ylim(low, high * (high / low) ** (2.6 * LINE_HEIGHT * raised))
    write_labels(axes, ends, turns)
    return figure


def draw_lines(axes: Any, results: Results, series: Series) -> Iterator[End]:
    """Draw the lines; gives their ends."""
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
        yield End(text, colour, x, y)


def write_labels(axes: Any, ends: Sequence[End], turns: int) -> None:
    """Name each line where it ends: right of the plot, or above the cross of one that ended early."""
    heights = {end.text: height_of(axes, end) for end in ends}
    right = sorted((end for end in ends if end.x >= turns), key=lambda end: heights[end.text])
    above = sorted((end for end in ends if end.x < turns), key=lambda end: -end.x)
    for end, height in zip(right, stacked([heights[end.text] for end in right], right), strict=True):
        text = end.text.replace(", ", ",\n", 1) if len(end.text) > LONGEST_LABEL else end.text
        write(axes, end, text, height, va="center", offset=(8, 0))
    # From right to left, so that a label passes above those of the lines that end later.
    starts = stacked([heights[end.text] + LINE_HEIGHT for end in above], above)
    for end, height in zip(above, starts, strict=True):
        write(axes, end, end.text, height, va="center", offset=(-6, 0))


def stacked(heights: Sequence[float], ends: Sequence[End]) -> Iterator[float]:
    """Middles of labels, each moved up where the one before it would touch it."""
    free = float("-inf")
    for height, end in zip(heights, ends, strict=True):
        half = LINE_HEIGHT * (end.text.count("\n") + 1) / 2
        middle = max(height + half * ("\n" in end.text), free + half)
        free = middle + half
        yield middle


def height_of(axes: Any, end: End) -> float:
    """Where a line ends, as a share of the axis."""
    _, height = axes.transAxes.inverted().transform(axes.transData.transform((end.x, end.y)))
    return float(height)


def write(axes: Any, end: End, text: str, height: float, **place: Any) -> None:
    axes.annotate(
        text,
        xy=(end.x, height),
        xycoords=("data", "axes fraction"),
        xytext=place["offset"],
        textcoords="offset points",
        color=end.colour,
        fontweight="bold" if text.startswith("this") else "normal",
        va=place["va"],
        annotation_clip=False,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )


def save(figure: Figure, path: Path) -> list[Path]:
    files = [path.with_suffix(".svg"), path.with_suffix(".png")]
    figure.savefig(files[0], metadata={"Date": None})
    figure.savefig(files[1], metadata={"Software": None})
    return files
