"""The cache of checkpoints: bounded, least recently used first to go, and forgotten by conversation."""

from __future__ import annotations

import threading

from langgraph_dynamo_conv._checkpoints.cache import CheckpointCache
from langgraph_dynamo_conv._format.keys import Namespace, Scope
from langgraph_dynamo_conv._format.tree import Leaf
from langgraph_dynamo_conv._state.stored import StoredCheckpoint

A, B, C = (Scope(thread, "user").namespace() for thread in "abc")


def place(thread: str, user: str, ns: str = "") -> Namespace:
    return Scope(thread, user).namespace(ns)


def stored(checkpoint_id: str, size: int = 40_000) -> StoredCheckpoint:
    """A checkpoint of somewhat more than that size."""
    return StoredCheckpoint(checkpoint_id, None, {"leaf": Leaf("msgpack", b"x" * size)})


def test_a_checkpoint_is_found_by_place_and_checkpoint():
    cache = CheckpointCache(500_000)
    cache.put(A, one := stored("1"))

    assert cache.get(A, "1") is one
    assert cache.newest(A) is one
    assert cache.get(A, "2") is None
    assert cache.get(B, "1") is None
    assert cache.newest(B) is None


def test_the_newest_is_that_with_the_greatest_id_whenever_it_came():
    cache = CheckpointCache(500_000)
    cache.put(A, stored("2"))
    cache.put(A, stored("1"))

    assert cache.newest(A).checkpoint_id == "2"


def test_a_namespace_keeps_two_checkpoints():
    cache = CheckpointCache(500_000)
    for number in "123":
        cache.put(A, stored(number))

    assert [cache.get(A, number) is not None for number in "123"] == [False, True, True]


def test_a_checkpoint_replaces_that_of_the_same_checkpoint():
    cache = CheckpointCache(500_000)
    cache.put(A, stored("1"))
    cache.put(A, stored("2"))
    cache.put(A, newer := stored("2"))

    assert cache.get(A, "2") is newer
    assert cache.get(A, "1") is not None


def test_the_least_recently_used_namespace_goes_first():
    cache = CheckpointCache(110_000)
    cache.put(A, stored("1"))
    cache.put(B, stored("1"))
    cache.newest(A)
    cache.put(C, stored("1"))

    assert cache.newest(B) is None
    assert cache.newest(A) is not None
    assert cache.newest(C) is not None


def test_asking_for_a_checkpoint_is_use_too():
    cache = CheckpointCache(110_000)
    cache.put(A, stored("1"))
    cache.put(B, stored("1"))
    cache.get(A, "1")
    cache.put(C, stored("1"))

    assert cache.newest(A) is not None
    assert cache.newest(B) is None


def test_bytes_are_counted_right_over_many_puts_and_forgets():
    cache = CheckpointCache(130_000)
    for number in range(100):
        cache.put(A, stored(str(number % 3)))
        cache.put(B, stored(str(number % 2)))
        cache.forget("b")
    cache.put(B, stored("1"))

    assert cache.get(A, "0") is not None
    assert cache.newest(B) is not None
    cache.put(C, stored("1"))
    assert cache.newest(A) is None


def test_what_is_larger_than_the_cache_is_not_kept():
    cache = CheckpointCache(40_000)
    cache.put(A, stored("1"))

    assert cache.newest(A) is None


def test_an_older_one_goes_when_one_too_large_replaces_it():
    cache = CheckpointCache(90_000)
    cache.put(A, stored("1"))
    cache.put(A, stored("1", 200_000))

    assert cache.get(A, "1") is None


def test_a_cache_of_no_bytes_keeps_nothing():
    cache = CheckpointCache(0)
    cache.put(A, stored("1"))

    assert cache.newest(A) is None


def test_a_conversation_is_forgotten_with_all_its_namespaces_and_users():
    cache = CheckpointCache(1_000_000)
    places = [place("a", "u"), place("a", "u", "sub"), place("a", "v"), place("b", "u")]
    for one in places:
        cache.put(one, stored("1"))
    cache.forget("a")

    assert [cache.newest(one) is not None for one in places] == [False, False, False, True]


def test_one_users_share_is_forgotten_alone():
    cache = CheckpointCache(1_000_000)
    places = [place("a", "u"), place("a", "u", "sub"), place("a", "v")]
    for one in places:
        cache.put(one, stored("1"))
    cache.forget("a", "u")

    assert [cache.newest(one) is not None for one in places] == [False, False, True]


def test_threads_share_a_cache():
    cache = CheckpointCache(200_000)
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for round_ in range(500):
                at = place(str(round_ % 7), "user")
                cache.put(at, stored(str(round_)))
                cache.newest(at)
                cache.get(at, str(number))
                if round_ % 50 == 0:
                    cache.forget(str(round_ % 7))
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    cache.put(A, stored("1"))
    assert cache.newest(A) is not None
