"""The order in which checkpoints go."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.base.id import uuid6

from langgraph_dynamo_conv._format.items import Link, key_attributes, link_of
from langgraph_dynamo_conv._format.keys import Key
from langgraph_dynamo_conv._state.chain import leaves_first
from langgraph_dynamo_conv._state.order import made_at


def key(number: int) -> Key:
    return Key("thread", f"alice#c##{number:04d}")


@given(st.lists(st.none() | st.integers(0, 40), max_size=40))
def test_a_checkpoint_goes_after_all_that_build_on_it(parents: list[int | None]) -> None:
    links = [Link(key(n), None if parent is None else key(parent)) for n, parent in enumerate(parents) if parent != n]

    groups = list(leaves_first(links))

    position = {one: index for index, group in enumerate(groups) for one in group}
    assert sorted(one for group in groups for one in group) == sorted(link.key for link in links)
    in_rings = set(groups[-1]) if groups else set()
    for child, parent in links:
        if parent in position and child not in in_rings:
            assert position[child] < position[parent]


def test_chains_go_side_by_side() -> None:
    links = [Link(key(1), None), Link(key(2), key(1)), Link(key(3), None), Link(key(4), key(3))]

    assert list(leaves_first(links)) == [[key(2), key(4)], [key(1), key(3)], []]


def test_only_a_change_builds_on_its_parent() -> None:
    change = {**key_attributes(key(2)), "k": {"S": "c"}, "p": {"S": "0001"}}

    assert link_of(change) == Link(key(2), key(1))
    assert link_of({**change, "k": {"S": "f"}}) == Link(key(2), None)
    assert link_of(key_attributes(key(2))) == Link(key(2), None)


def test_the_time_of_a_checkpoint_is_in_langgraphs_ids_only() -> None:
    assert abs(made_at(str(uuid6())) - made_at(str(uuid6()))) < 60
    assert made_at("1f0a1b2c-3d4e-6000-8000-000000000000") < made_at(str(uuid6()))
    assert made_at(str(uuid.uuid4())) == float("inf")
    assert made_at("first") == float("inf")
