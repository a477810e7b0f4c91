"""Every key of the table: built, parsed, in order, and never another user's."""

from enum import Enum
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langgraph_dynamo_conv._format.keys import (
    Scope,
    after_prefix,
    check_checkpoint_id,
    check_text,
    check_thread_id,
    check_user_id,
    component,
    component_text,
    parse_sk,
    run_partition,
    segment_id,
)
from langgraph_dynamo_conv._format.limits import MAX_PK_BYTES, MAX_SK_BYTES
from tests.factories import generated

WEIRD = [
    "",
    "#",
    "##",
    "%",
    "%23",
    "~",
    "~0a",
    "\x00",
    "a#b|c:d",
    "é",
    "\U0001f600",
    " ",
    "$",
    "!",
    '"',
    "node:1|sub:2",
]
LONG = ["n" * 200, "n" * 201, "#" * 67, "é" * 300, "x" * 5000]

texts = st.one_of(st.sampled_from([*WEIRD, *LONG]), st.text(max_size=300))
ids = st.text("0123456789abcdefABCDEF-._:@+=", min_size=1, max_size=128)
users = st.text(min_size=1, max_size=64).filter(lambda text: _is_user(text))


def _is_user(text: str) -> bool:
    try:
        check_user_id(text)
    except ValueError:
        return False
    return True


def encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


@generated
@given(users, texts.filter(encodable), ids, texts.filter(encodable))
def test_keys_parse_to_what_they_were_built_from(user, ns, checkpoint_id, task):
    scope = Scope("thread", user)
    built = {
        "row": (scope.row(), ()),
        "c": (scope.namespace(ns).checkpoint(checkpoint_id), (component(ns), checkpoint_id)),
        "w": (scope.namespace(ns).task(checkpoint_id, task), (component(ns), checkpoint_id, component(task))),
        "s": (
            scope.namespace(ns).segment(segment_id(checkpoint_id, 3, "abc")),
            (component(ns), checkpoint_id, "03.abc"),
        ),
        "m": (scope.messages(12), ("0000000012",)),
        "p": (scope.part("0f" * 16, 7), ("0f" * 16, "00007")),
        "r": (scope.run("run"), ("thread",)),
    }

    for kind, (key, parts) in built.items():
        parsed = parse_sk(key.sk)
        assert (parsed.user_id, parsed.kind, parsed.parts) == (user, kind, parts)


@generated
@given(texts.filter(encodable))
def test_a_component_gives_its_text_back_or_is_a_digest(text):
    made = component(text)

    assert "#" not in made
    assert len(made.encode()) <= 200
    assert component_text(made) == text or (component_text(made) is None and len(made) == 41)


@pytest.mark.parametrize("text", WEIRD)
def test_short_components_are_never_digested(text):
    assert component_text(component(text)) == text


def test_other_texts_have_other_components():
    made = [component(text) for text in [*WEIRD, *LONG]]

    assert len(set(made)) == len(made)


class Name(str, Enum):
    """A subclass of `str` that prints as another text than it is."""

    ALICE = "alice"

    __str__ = __format__ = lambda *_: "bob"


@pytest.mark.parametrize("check", [check_user_id, check_thread_id, check_checkpoint_id, partial(check_text, "run_id")])
def test_a_checked_id_is_plain_text_whatever_its_class_prints(check):
    checked = check(Name.ALICE)

    assert (type(checked), checked) == (str, "alice")


@generated
@given(users, texts.filter(encodable), ids, texts.filter(encodable))
def test_no_key_is_over_dynamodbs_limit(user, ns, checkpoint_id, task):
    scope = Scope("t" * 1024, user)
    segment = segment_id(checkpoint_id, 99, "0" * 10)
    keys = [
        scope.row(),
        scope.namespace(ns).checkpoint(checkpoint_id),
        scope.namespace(ns).task(checkpoint_id, task),
        scope.namespace(ns).segment(segment),
        scope.part("0" * 32, 99_999),
        scope.messages(10**9),
        scope.run(task),
    ]

    assert max(len(key.sk.encode()) for key in keys) <= MAX_SK_BYTES
    assert max(len(key.pk.encode()) for key in keys) <= MAX_PK_BYTES


def test_the_longest_user_id_namespace_checkpoint_and_task_fit_together():
    scope = Scope("t", "é" * 128)

    assert len(scope.namespace("#" * 9999).task("c" * 128, "t" * 9999).sk.encode()) <= MAX_SK_BYTES


@generated
@given(users, texts.filter(encodable), st.lists(ids, min_size=2, max_size=8))
def test_sort_keys_are_in_the_order_of_the_checkpoint_ids(user, ns, checkpoint_ids):
    scope = Scope("thread", user)
    ordered = sorted(set(checkpoint_ids))

    namespace = scope.namespace(ns)
    for key in (namespace.checkpoint, lambda id: namespace.task(id, "task"), namespace.segment):
        built = [key(checkpoint_id).sk.encode() for checkpoint_id in ordered]
        assert built == sorted(built)


@generated
@given(users, texts.filter(encodable), ids, texts.filter(encodable), texts.filter(encodable))
def test_bounds_of_a_prefix_hold_exactly_the_keys_that_start_with_it(user, ns, checkpoint_id, other, task):
    scope = Scope("thread", user)
    for prefix in (
        scope.namespace(ns).prefix("c"),
        scope.namespace(ns).prefix("w"),
        scope.namespace(ns).writes(checkpoint_id),
        scope.prefix("c"),
    ):
        for key in (
            scope.row(),
            scope.namespace(ns).checkpoint(checkpoint_id),
            scope.namespace(other).checkpoint(checkpoint_id),
            scope.namespace(ns).task(checkpoint_id, task),
            scope.namespace(other).task(checkpoint_id, task),
            scope.part("00", 1),
        ):
            is_between = prefix.encode() <= key.sk.encode() <= after_prefix(prefix).encode()
            assert is_between == key.sk.startswith(prefix)


@generated
@example("alice", "$", "", "1")
@given(users, st.text(min_size=1, max_size=5), texts.filter(encodable), ids)
def test_a_users_prefixes_never_match_a_longer_users_keys(user, more, ns, checkpoint_id):
    longer = user + more
    if not _is_user(longer):
        return
    mine, theirs = Scope("thread", user), Scope("thread", longer)

    for prefix in (mine.prefix(), mine.prefix("c"), mine.namespace(ns).prefix("c"), mine.namespace(ns).prefix("w")):
        for key in (
            theirs.row(),
            theirs.namespace(ns).checkpoint(checkpoint_id),
            theirs.namespace(ns).task(checkpoint_id, "task"),
        ):
            assert not key.sk.startswith(prefix)
            assert not prefix.encode() <= key.sk.encode() <= after_prefix(prefix).encode()


def test_alice_never_matches_alice2():
    keys = [Scope("t", "alice2").row(), Scope("t", "alice2").namespace().checkpoint("1")]

    assert [key for key in keys if key.sk.startswith(Scope("t", "alice").prefix())] == []


def test_a_runs_partition_is_no_conversations():
    assert run_partition("1") == Scope("t", "u").run("1").pk
    with pytest.raises(ValueError, match="thread_id"):
        check_thread_id(run_partition("1"))


def test_a_pointer_names_its_user_even_where_the_thread_is_digested():
    assert parse_sk(Scope("t" * 900, "alice").run("run").sk).user_id == "alice"


@pytest.mark.parametrize("sk", ["u#c#x", "u#w#a#b", "u#x#1", "u#", "u#c#a#b#c", "u#m#1#2"])
def test_a_key_of_no_known_shape_is_of_another_kind(sk):
    assert parse_sk(sk).kind == "other"


@pytest.mark.parametrize(
    "value", ["", "a#b", "a\x00", "a\n", "\x7f", "\x85", "\ud800", "é" * 129, 1, None, b"a", ["a"]]
)
def test_a_bad_user_id_is_refused_by_a_rule(value):
    with pytest.raises(
        ValueError, match=r"a user_id is a non-empty string without '#' or control characters, at most 256"
    ):
        check_user_id(value)


@pytest.mark.parametrize("value", ["", "a#b", "a\x00", "\ud800", "é" * 513, 1, None])
def test_a_bad_thread_id_is_refused_by_a_rule(value):
    with pytest.raises(ValueError, match=r"a thread_id .* at most 1024 bytes"):
        check_thread_id(value)


@pytest.mark.parametrize("value", ["", "a#b", "a b", "a/b", "é", "a\n", "a" * 129, 1, None])
def test_a_bad_checkpoint_id_is_refused_by_a_rule(value):
    with pytest.raises(ValueError, match=r"a checkpoint_id is 1 to 128 letters, digits or"):
        check_checkpoint_id(value)


@pytest.mark.parametrize("value", [1, None, b"a"])
def test_a_namespace_of_another_type_is_refused(value):
    with pytest.raises(ValueError, match="checkpoint_ns is a string"):
        check_text("checkpoint_ns", value)


def test_a_lone_surrogate_is_refused():
    with pytest.raises(ValueError, match="without lone surrogates"):
        check_text("task_id", "\ud800")


@pytest.mark.parametrize("value", ["alice", "alice@example.com", "us-east-1:0f", "é" * 128, " ", "a b", "%23", "~"])
def test_ordinary_user_ids_stay_as_they_are(value):
    assert check_user_id(value) == value


def test_an_error_shows_only_the_beginning_of_what_was_given():
    with pytest.raises(ValueError, match="user_id") as caught:
        check_user_id("#" + "secret" * 100)

    assert len(str(caught.value)) < 250
