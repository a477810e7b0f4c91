"""The bounded memory: what was used last stays, within the weight that it may have."""

from __future__ import annotations

import threading
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from langgraph_dynamo_conv._storage.recent import Recent


def test_the_value_that_was_not_used_for_the_longest_time_goes_first() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)

    assert [recent.get(key) for key in "abc"] == [1, None, 3]


def test_asking_whether_there_is_a_value_is_not_use() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert "a" in recent
    recent.put("c", 3)

    assert "a" not in recent


def test_none_is_a_value_too() -> None:
    recent: Recent[str, None] = Recent(1)
    recent.put("a", None)

    assert ("a" in recent, "b" in recent) == (True, False)


def test_a_value_that_is_heavier_than_the_whole_is_not_kept_nor_the_one_before_it() -> None:
    recent: Recent[str, bytes] = Recent(10, len)
    recent.put("a", b"small")
    recent.put("b", b"small")
    recent.put("a", b"x" * 11)

    assert ("a" in recent, recent.get("b")) == (False, b"small")


def test_a_memory_of_no_weight_keeps_nothing() -> None:
    recent: Recent[str, int] = Recent(0)
    recent.put("a", 1)

    assert recent.get("a") is None


def test_a_value_is_popped_once() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)

    assert (recent.pop("a"), recent.pop("a")) == (1, None)


def test_values_are_dropped_by_their_keys() -> None:
    recent: Recent[tuple[str, int], int] = Recent(10)
    for number in range(4):
        recent.put(("ab"[number % 2], number), number)
    recent.drop(lambda key: key[0] == "a")

    assert [key in recent for key in (("a", 0), ("b", 1), ("a", 2), ("b", 3))] == [False, True, False, True]


KEYS = st.sampled_from("abcde")
STEPS = st.one_of(
    st.tuples(st.just("put"), KEYS, st.integers(0, 8)),
    st.tuples(st.sampled_from(["get", "pop", "drop"]), KEYS, st.just(0)),
)


class Model:
    """The same as a list of pairs, the least recently used first; a value is its own weight."""

    def __init__(self, max_weight: int) -> None:
        self.max_weight = max_weight
        self.pairs: list[tuple[str, int]] = []

    def get(self, key: str) -> int | None:
        value = self.pop(key)
        return value if value is None else self.put(key, value)

    def put(self, key: str, value: int) -> int:
        self.pop(key)
        self.pairs += [(key, value)] if value <= self.max_weight else []
        while sum(weight for _, weight in self.pairs) > self.max_weight:
            self.pairs.pop(0)
        return value

    def pop(self, key: str) -> int | None:
        value = dict(self.pairs).get(key)
        self.drop(key)
        return value

    def drop(self, key: str) -> None:
        self.pairs = [pair for pair in self.pairs if pair[0] != key]


@given(st.integers(0, 12), st.lists(STEPS, max_size=40))
def test_it_is_a_list_of_pairs_bounded_by_weight(max_weight: int, steps: list[tuple[str, str, int]]) -> None:
    recent: Recent[str, int] = Recent(max_weight, lambda value: value)
    model = Model(max_weight)
    for name, key, value in steps:
        if name == "put":
            recent.put(key, value)
            model.put(key, value)
        elif name == "drop":
            recent.drop(lambda one, gone=key: one == gone)  # type: ignore[misc]
            model.drop(key)
        else:
            assert getattr(recent, name)(key) == getattr(model, name)(key)
        assert [key in recent for key in "abcde"] == [key in dict(model.pairs) for key in "abcde"]


def test_threads_share_it_and_each_value_is_popped_by_one_of_them() -> None:
    recent: Recent[int, int] = Recent(10_000)
    for number in range(500):
        recent.put(number, number)
    popped: list[list[int | None]] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            popped.append([recent.pop(number) for number in range(500)])
            for number in range(1000, 1500):
                recent.put(number, number)
                recent.get(number - 1)
                recent.drop(lambda key: key % 100 == 0)
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert Counter(value for mine in popped for value in mine if value is not None) == Counter(range(500))
    recent.put(1, 1)
    assert recent.get(1) == 1
