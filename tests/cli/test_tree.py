"""How checkpoints are drawn."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from langgraph_dynamo_conv.cli.views.tree import Node, drawn


def nodes(**parents: str | None) -> list[Node]:
    """Nodes by their id, with the id of the parent."""
    return [Node(one, "", parent, "2026-11-24", 1, "loop", 1, 1) for one, parent in parents.items()]


def lines(given_nodes: Iterable[Node]) -> list[str]:
    return [f"{graph} {node.checkpoint_id}" if node else graph for graph, node in drawn(given_nodes)]


def test_a_line_runs_straight_down_from_the_newest() -> None:
    assert lines(nodes(a=None, b="a", c="b")) == ["● c", "● b", "● a"]
    assert lines([]) == []


def test_a_fork_stands_above_where_it_left_the_line() -> None:
    assert lines(nodes(a=None, b="a", c="b", d="a", e="d")) == ["● e", "● d", "│ ● c", "│ ● b", "├─╯", "● a"]


def test_several_forks_of_one_checkpoint_stand_newest_first() -> None:
    assert lines(nodes(a=None, b="a", c="a", d="a")) == ["● d", "│ ● c", "├─╯", "│ ● b", "├─╯", "● a"]


def test_a_child_with_a_smaller_id_than_its_parents_is_in_its_line() -> None:
    assert lines(nodes(d=None, b="d", e="b", c="d")) == ["● e", "● b", "│ ● c", "├─╯", "● d"]


def test_parents_in_a_ring_are_passed_over() -> None:
    assert lines(nodes(a="b", b="a", c=None)) == ["● c"]


def test_a_fork_of_a_fork_stands_further_in() -> None:
    drawing = ["● e", "│ ● d", "│ │ ● c", "│ ├─╯", "│ ● b", "├─╯", "● a"]

    assert lines(nodes(a=None, b="a", c="b", d="b", e="a")) == drawing


def test_the_line_of_the_newest_checkpoint_is_the_main_one_however_old_it_left() -> None:
    assert lines(nodes(a=None, b="a", c="a", d="c", e="b")) == ["● e", "● b", "│ ● d", "│ ● c", "├─╯", "● a"]


def test_a_checkpoint_whose_parent_is_not_there_ends_its_line() -> None:
    assert lines(nodes(c="b", d="c", e="x")) == ["● e", "● d", "● c"]


def test_a_long_history_is_drawn() -> None:
    long = nodes(**{f"{number:05d}": f"{number - 1:05d}" for number in range(5000)})

    assert len(lines(long)) == 5000


@given(st.lists(st.integers(0, 30), max_size=30))
def test_every_checkpoint_is_drawn_once_and_below_those_that_build_on_it(parents: list[int]) -> None:
    ids = [f"{number:02d}" for number in range(len(parents))]
    made = nodes(**{ids[n]: ids[parent] if parent < n else None for n, parent in enumerate(parents)})

    order = [node for _, node in drawn(made) if node]

    assert sorted(node.checkpoint_id for node in order) == ids
    place = {node.checkpoint_id: number for number, node in enumerate(order)}
    assert all(place[node.checkpoint_id] < place[node.parent_id] for node in made if node.parent_id in place)
