"""Walking from a checkpoint back to the full one it builds on, reading no further than needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from langgraph_dynamo_conv._format.items import CHANGE, FULL, CheckpointItem, item_fingerprint
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._format.tree import BlobRef
from langgraph_dynamo_conv._state.chain import CheckpointPages, Stale
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv.errors import CorruptDataError

scope = Scope("thread", "demo")


def item(checkpoint_id: str, parent_id: str | None = None, kind: str = CHANGE) -> CheckpointItem:
    return CheckpointItem(
        scope.namespace().checkpoint(checkpoint_id), kind, parent_id, b"v1----" + checkpoint_id.encode()
    )


def known(of: CheckpointItem) -> StoredCheckpoint:
    return StoredCheckpoint(of.checkpoint_id, of.parent_id, {}, fingerprint=item_fingerprint(of))


class Pages:
    """Pages of items, newest first, that counts how many were read."""

    def __init__(self, *pages: list[CheckpointItem]) -> None:
        self.read = 0
        self._pages = pages

    def __iter__(self) -> Iterator[list[CheckpointItem]]:
        for page in self._pages:
            self.read += 1
            yield page

    def descending(self) -> CheckpointPages:
        return CheckpointPages(iter(self))


FIVE = [item("5", "4"), item("4", "3"), item("3", "2"), item("2", "1", FULL), item("1", None, FULL)]


def ids(items: list[CheckpointItem]) -> list[str]:
    return [one.checkpoint_id for one in items]


def test_a_chain_begins_with_the_full_checkpoint():
    pages = Pages(FIVE)

    assert ids(pages.descending().chain(FIVE[0])) == ["2", "3", "4", "5"]


def test_a_full_checkpoint_is_a_chain_of_its_own():
    assert ids(Pages(FIVE).descending().chain(FIVE[3])) == ["2"]


def test_pages_are_read_only_as_far_as_the_chain_goes():
    pages = Pages(FIVE[:2], FIVE[2:4], FIVE[4:])
    pages.descending().chain(FIVE[0])

    assert pages.read == 2


def test_the_newest_needs_one_page():
    pages = Pages(FIVE[:2], FIVE[2:])

    assert pages.descending().newest().checkpoint_id == "5"
    assert pages.read == 1


def test_empty_pages_are_passed_over():
    descending = Pages([], FIVE[:1], [], FIVE[1:], []).descending()

    assert descending.newest().checkpoint_id == "5"
    assert ids(list(descending)) == ["5", "4", "3", "2", "1"]


def test_there_may_be_none():
    assert Pages().descending().newest() is None
    assert Pages([]).descending().newest() is None


def test_a_branch_is_followed_past_the_items_of_another():
    items = [item("6", "2"), item("5", "3"), item("4", "2"), item("3", "2"), item("2", None, FULL)]

    assert ids(Pages(items).descending().chain(items[0])) == ["2", "6"]
    assert ids(Pages(items).descending().chain(items[1])) == ["2", "3", "5"]


def test_an_item_is_looked_for_only_where_it_could_be():
    pages = Pages(FIVE[:2], FIVE[2:4], FIVE[4:])
    descending = pages.descending()
    descending.read()

    assert descending.get("45") is None
    assert pages.read == 1
    assert descending.get("35") is None
    assert pages.read == 2
    assert descending.get("0") is None
    assert pages.read == 3


def test_a_chain_can_end_at_what_is_known():
    assert ids(Pages(FIVE[:3]).descending().chain(FIVE[0], known(FIVE[2]))) == ["4", "5"]
    assert Pages(FIVE[:1]).descending().chain(FIVE[0], known(FIVE[0])) == []


def test_what_is_known_and_no_longer_there_is_stale():
    with pytest.raises(Stale):
        Pages(FIVE[:2]).descending().chain(FIVE[0], known(FIVE[2]))


def test_what_is_known_and_has_changed_is_stale():
    changed = replace(FIVE[2], frame=b"v1xxxx3")

    with pytest.raises(Stale):
        Pages([*FIVE[:2], changed]).descending().chain(FIVE[0], known(FIVE[2]))


def test_what_is_known_and_is_not_an_ancestor_is_stale():
    items = [item("5", "3", FULL), item("4", "3"), item("3", None, FULL)]

    with pytest.raises(Stale):
        Pages(items).descending().chain(items[0], known(items[1]))


@pytest.mark.parametrize("parent_id", ["1", None])
def test_a_missing_parent_is_damage(parent_id):
    items = [item("3", "2"), item("2", parent_id)]

    with pytest.raises(
        CorruptDataError, match="checkpoint thread / demo#c##2 builds on .*, which is missing"
    ) as caught:
        Pages(items).descending().chain(items[0])
    assert caught.value.key == "thread / demo#c##2"


def test_fingerprints_tell_items_apart():
    value = replace(item("1"), frame=None, blob=BlobRef("ab" * 16, 1, 1))
    others = [item("1"), replace(item("1"), frame=b"v1---xx1"), value, replace(value, blob=BlobRef("cd" * 16, 1, 1))]

    assert len({item_fingerprint(one) for one in others}) == 4
