"""The benchmark runs, its counts repeat exactly, and its page is what its figures say."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from rich.progress import Progress
from typing_extensions import TypedDict

from benchmarks import contenders as savers
from benchmarks.__main__ import FIGURES, README, ROOT, measure, write
from benchmarks.contenders import CONTENDERS, FLOOR, OURS, PEERS, Place
from benchmarks.deliberate_faults import FAULTS, PACKAGE, Fault, with_fault
from benchmarks.document import TEMPLATE, write_document, write_readme
from benchmarks.entropy import bits_a_character
from benchmarks.logical_time import LogicalTime
from benchmarks.meter import kind_of, round_trips
from benchmarks.play import Player, play, table_for
from benchmarks.runs import PRICES, Results, Run, dollars_of
from benchmarks.workloads import BY_KEY, REFERENCE, SHAPES, Workload
from tests.engines import Engine
from tests.reference_chat import Prose
from tests.requests_log import Request
from tests.table_size import table_size

TURNS = 3

on_dynamodb_local = pytest.mark.engine("dynamodb-local")
each_contender = pytest.mark.parametrize("contender", CONTENDERS, ids=lambda contender: contender.key)
each_workload = pytest.mark.parametrize("workload", [REFERENCE, *SHAPES], ids=lambda workload: workload.key)


def request(started: float, ended: float, sort_key: str | None = None) -> Request:
    key = None if sort_key is None else ("thread", sort_key)
    return Request("PutItem", key, 1, 0, 10, 10, None, started, ended)


def text_of(size: int) -> Workload:
    """A state that is one text of so many characters."""

    class Text(TypedDict):
        text: str

    def build(_prose: Any) -> StateGraph[Any]:
        builder = StateGraph(Text)
        builder.add_node("keep", lambda _state: {})
        builder.add_edge(START, "keep")
        builder.add_edge("keep", END)
        return builder

    return Workload("text", "a text", build, lambda _prose, turn: {"text": str(turn) * size})


@each_contender
def test_every_saver_is_importable_here(contender: savers.Contender) -> None:
    assert contender.importable


@on_dynamodb_local
@each_contender
def test_counts_repeat_exactly_and_the_state_is_what_memory_has(contender: savers.Contender, engine: Engine) -> None:
    (first, state), (second, _) = (play(contender, REFERENCE, engine, TURNS) for _ in range(2))
    _, in_memory = play(savers.BY_KEY[FLOOR], REFERENCE, engine, TURNS)
    assert len(first.turns) == TURNS
    assert first.counts == second.counts
    assert first.stored == second.stored
    assert state == in_memory
    assert (first.turns[-1].wru > 0) == (contender.key != FLOOR)


@on_dynamodb_local
@each_workload
def test_each_workload_repeats_on_this_saver_and_gives_what_memory_has(workload: Workload, engine: Engine) -> None:
    (first, state), (second, _) = (play(savers.BY_KEY["ours-on"], workload, engine, 2) for _ in range(2))
    _, in_memory = play(savers.BY_KEY[FLOOR], workload, engine, 2)
    if workload.seen is None:
        exact = slice(-1) if workload.is_overtaken else slice(None)
        assert [counts[exact] for counts in first.counts] == [counts[exact] for counts in second.counts]
    assert [cost.requests for cost in first.turns] == [cost.requests for cost in second.turns]
    assert state == in_memory


@on_dynamodb_local
def test_a_saver_that_cannot_store_a_state_is_reported_with_turn_and_error(engine: Engine) -> None:
    run, _ = play(savers.BY_KEY["aws"], text_of(500_000), engine, 1)
    assert run.turns == []
    assert run.failure is not None
    assert run.failure.turn == 1
    assert "Item size has exceeded the maximum allowed size" in run.failure.error


@on_dynamodb_local
@pytest.mark.parametrize("key", PEERS)
def test_what_a_peer_stores_is_known_without_a_scan(key: str, engine: Engine) -> None:
    contender = savers.BY_KEY[key]
    with table_for(contender, engine) as (client, name):
        player = Player(contender, REFERENCE, Place(engine.endpoint_url or "", name), Prose())
        player.turn(1)
        player.reopen()
        player.turn(2)
        assert player.put_items.size == table_size(client, name)
        player.close()


@on_dynamodb_local
def test_network_time_makes_a_turn_longer_and_its_counts_the_same(engine: Engine) -> None:
    near, far = (play(savers.BY_KEY["ours-off"], REFERENCE, engine, 1, network_ms=ms)[0] for ms in (0, 50))
    assert near.counts == far.counts
    assert far.turns[0].wall_ms >= 50 * 2


@on_dynamodb_local
def test_a_short_run_writes_figures_plots_and_page(engine: Engine, tmp_path: Path) -> None:
    chosen = [savers.BY_KEY[key] for key in ("ours-off", "ours-on", "aws", FLOOR)]
    results = measure(engine, 2, chosen, Progress(disable=True), cold_starts=1)
    write(results, tmp_path)
    assert Results.from_text((tmp_path / FIGURES).read_text()) == results
    assert all(run.as_in_memory for run in results.runs if run.failure is None)
    assert {run.contender for run in results.runs if run.failure} <= {"aws"}
    assert {run.workload for run in results.runs} == set(BY_KEY)
    page = (tmp_path / "docs" / "benchmarks.md").read_text()
    assert "| first turn of a cold process: requests |" in page
    pictures = {path.name for path in (tmp_path / "docs" / "images").iterdir()}
    assert pictures == {f"{name}.{kind}" for name in ("cost-per-turn", "bytes-stored") for kind in ("svg", "png")}


def test_the_page_is_what_the_template_makes_of_the_committed_figures(tmp_path: Path) -> None:
    results = Results.from_text((ROOT / FIGURES).read_text(encoding="utf-8"))
    page = write_document(results, tmp_path).read_text(encoding="utf-8")
    committed = ROOT / "docs" / TEMPLATE.removesuffix(".jinja")
    assert committed.read_text(encoding="utf-8") == page, "write it anew: .venv/bin/python -m benchmarks --render"


def test_the_figures_of_the_readme_are_the_committed_ones(tmp_path: Path) -> None:
    results = Results.from_text((ROOT / FIGURES).read_text(encoding="utf-8"))
    readme = tmp_path / README
    readme.write_text((ROOT / README).read_text(encoding="utf-8"), encoding="utf-8")
    write_readme(results, readme)
    assert readme.read_text(encoding="utf-8") == (ROOT / README).read_text(encoding="utf-8")


def test_the_committed_figures_are_of_every_saver_and_workload_in_full_length() -> None:
    results = Results.from_text((ROOT / FIGURES).read_text(encoding="utf-8"))
    assert results.setting["turns"] == 400
    runs = {(run.contender, run.workload) for run in results.runs}
    assert runs == {(contender.key, workload) for contender in CONTENDERS for workload in BY_KEY}
    assert all(len(run.turns) == 400 for key in OURS if (run := results.run(key, REFERENCE.key)))


def test_round_trips_are_the_longest_sequence_of_requests_that_wait_for_each_other() -> None:
    side_by_side = [request(0, 5), request(1, 4), request(2, 6)]
    assert round_trips([]) == 0
    assert round_trips(side_by_side) == 1
    assert round_trips([*side_by_side, request(4, 9), request(9, 11)]) == 3


@pytest.mark.parametrize(
    ("sort_key", "kind"),
    [
        ("alice", "conversation row"),
        ("alice#c##1", "checkpoints"),
        ("alice#w##1#t", "task writes"),
        (None, "several items at once"),
    ],
)
def test_write_units_are_put_down_to_the_kind_of_item(sort_key: str | None, kind: str) -> None:
    assert kind_of(request(0, 1, sort_key)) == kind


def test_checkpoint_ids_sort_by_time_and_repeat() -> None:
    first, second = LogicalTime(), LogicalTime()
    ids = [first.uuid6(clock_seq=step) for step in range(-2, 100)]
    assert ids == [second.uuid6(clock_seq=step) for step in range(-2, 100)]
    assert [str(made) for made in ids] == sorted(map(str, ids))
    assert {(made.version, made.variant) for made in ids} == {(6, uuid.RFC_4122)}


def test_the_clock_of_a_saver_stands_still_within_a_turn() -> None:
    clock = LogicalTime()
    for _ in range(3):
        clock.next_turn()
        began = clock.seconds()
        ids = [clock.uuid6() for _ in range(20)]
        assert clock.seconds() == began < clock._now.timestamp(), ids
    clock.next_turn()
    assert clock.seconds() > began


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_deliberate_fault_still_has_its_place_in_the_code(fault: Fault) -> None:
    right = (ROOT / PACKAGE / fault.file).read_text(encoding="utf-8")
    wrong = with_fault(right, fault)
    assert wrong != right
    compile(wrong, fault.file, "exec")


def test_a_price_is_that_of_write_and_read_units() -> None:
    run = Run("ours-off", "reference", 0)
    assert dollars_of(run.turns) == 0
    results = Results.from_text((ROOT / FIGURES).read_text(encoding="utf-8"))
    cost = results.runs[1].turns[0]
    assert dollars_of([cost] * 1_000_000) == pytest.approx(
        cost.wru * PRICES["write_units_million"] + cost.rru * PRICES["read_units_million"]
    )


def test_the_text_is_about_as_hard_to_compress_as_english() -> None:
    bits = bits_a_character()
    for size, of_workloads in bits["workloads"].items():
        assert 1 <= of_workloads / bits["English"][size] <= 1.25
