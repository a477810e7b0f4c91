"""Threads of every kind arrive whole, and go on where they were."""

from __future__ import annotations

import os

import pytest
from langgraph.types import Command

from langgraph_dynamo_conv.migration import by_mapping, by_metadata, everyone, migrate
from tests.conftest import MakeSaver, Report
from tests.factories import config, noise, put
from tests.migration.conftest import KNOWN_SAVERS, MakeSource
from tests.migration.threads import (
    KINDS,
    MANY,
    kinds_of,
    outcome_of,
    played,
    snapshots,
    source_config,
    target_config,
    thread_id_of,
    user_of,
)

WANTED = os.environ.get("MIGRATION_THREADS")
THREADS = int(WANTED or len(KINDS))

BY_ID = by_mapping({thread_id_of(number): user_of(number) for number in range(THREADS)})
ASSIGN = {"sqlite": by_metadata("owner"), "aws": by_metadata("owner"), "dynamodb": BY_ID}
"""langgraph-dynamodb-checkpoint keeps nothing of a run's config in the metadata."""

STEPS = [f"step {number}" for number in range(MANY)]
WORKERS = [f"worker {number}" for number in range(MANY)]


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("origin", KNOWN_SAVERS)
def test_all_threads_are_equal_through_the_graph_api_and_go_on_alike(
    make_source: MakeSource, make_saver: MakeSaver, origin: str, report: Report
) -> None:
    source, kinds = make_source(origin), kinds_of(origin)
    threads = played(source, kinds, THREADS)

    results = list(migrate(source, make_saver(default_user_id=None), assign=ASSIGN[origin]))

    assert [(one.outcome, one.reason) for one in results] == [("copied", None)] * THREADS
    assert sorted(one.thread_id for one in results) == threads
    for number in range(THREADS):
        kind, old, new = kinds[number % len(kinds)], source_config(number), target_config(number)
        # LangGraph leaves the user out of the configs by which it reads the states of subgraphs.
        cold = make_saver(default_user_id=user_of(number))
        assert snapshots(kind.build(cold), new) == snapshots(kind.build(source), old)
    for number, kind in enumerate(kinds):
        old, new = source_config(number), target_config(number)
        kind.go_on(kind.build(source), old)
        kind.go_on(kind.build(make_saver(default_user_id=None)), new)
        assert outcome_of(kind.build(make_saver(default_user_id=None)), new) == outcome_of(kind.build(source), old)
    checkpoints, writes = sum(one.checkpoints for one in results), sum(one.writes for one in results)
    report(f"migrated from {origin}: {THREADS} threads, {checkpoints} checkpoints, {writes} pending writes, all equal")


@pytest.mark.parametrize("origin", KNOWN_SAVERS)
def test_writes_arrive_in_the_order_in_which_the_run_applied_them_also_where_the_saver_lost_it(
    make_source: MakeSource, make_saver: MakeSaver, origin: str
) -> None:
    source, kind = make_source(origin), KINDS["wide"]
    ended = kind.build(source).invoke({"messages": [("user", "go")]}, source_config(0))

    list(migrate(source, make_saver(), assign=everyone(user_of(0))))

    state = kind.build(make_saver()).get_state(target_config(0))
    assert state.values["log"] == ended["log"] == [*STEPS, *WORKERS]


@pytest.mark.parametrize("origin", KNOWN_SAVERS)
def test_an_interrupted_subgraph_arrives_with_its_own_checkpoints_and_resumes(
    make_source: MakeSource, make_saver: MakeSaver, origin: str
) -> None:
    source, kind = make_source(origin), KINDS["subgraph"]
    kind.build(source).invoke({"messages": [("user", "a shirt")]}, source_config(0))

    list(migrate(source, make_saver(), assign=everyone(user_of(0))))

    graph = kind.build(make_saver(default_user_id=user_of(0)))
    (task,) = graph.get_state(target_config(0), subgraphs=True).tasks
    assert task.interrupts[0].value == {"question": "Which size?"}
    assert task.state.values["notes"] == ["quick is done"]
    graph.invoke(Command(resume="large"), target_config(0))
    ended = graph.invoke(Command(resume="blue"), target_config(0))
    assert ended["notes"] == ["quick is done", "large, blue"]


@pytest.mark.parametrize("origin", ["aws", "dynamodb"])
def test_a_source_of_several_pages_is_read_to_its_end(
    make_source: MakeSource, make_saver: MakeSaver, origin: str
) -> None:
    source, saver, threads = make_source(origin), make_saver(default_user_id="alice"), ["one", "two", "three"]
    for thread in threads:
        at = put(source, 1, {"a": 1}, at=config(thread, user_id=None))
        source.put_writes(at, [("a", noise(250_000, seed)) for seed in range(5)], "task")

    results = list(migrate(source, saver, assign=everyone("alice")))

    assert sorted((one.thread_id, one.outcome, one.writes, one.reason) for one in results) == [
        (thread, "copied", 5, None) for thread in sorted(threads)
    ]
    stored = saver.get_tuple(config("three", user_id="alice"))
    assert stored is not None
    assert stored.pending_writes == [("task", "a", noise(250_000, seed)) for seed in range(5)]
