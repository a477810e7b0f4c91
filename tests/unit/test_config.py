"""What a config asks for: whose, which conversation, which checkpoint; and the configs that go back."""

from __future__ import annotations

import pytest

from langgraph_dynamo_conv._calls.config import OwnedThreadId, Target, config_for, config_of_state
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv.errors import UserRequiredError
from tests.factories import COPIES, TEXTS


def target(default_user_id: str | None = None, **configurable: object) -> Target:
    return Target.of({"configurable": configurable}, default_user_id)


def test_a_config_names_user_thread_namespace_and_checkpoint():
    asked = target(user_id="alice", thread_id="t", checkpoint_ns="n", checkpoint_id="1")

    assert asked == Target("alice", Scope("t", "alice"), "n", "1", None)


def test_a_config_without_a_thread_can_say_when_it_began():
    assert target(user_id="alice", created_at="2026-01-01") == Target("alice", None, None, None, "2026-01-01")


def test_the_user_is_the_servers_then_the_programs_then_the_default():
    assert target("d", langgraph_auth_user_id="l").user_id == "l"
    assert target("d", user_id="l", langgraph_auth_user_id="l").user_id == "l"
    assert target("d", user_id="u").user_id == "u"
    assert target("d").user_id == "d"


def test_a_user_other_than_the_authenticated_one_is_refused():
    with pytest.raises(ValueError, match="is not the user whom LangGraph's server has authenticated") as refused:
        target("d", user_id="bob", langgraph_auth_user_id="alice")
    assert "bob" not in str(refused.value)


def test_an_empty_authenticated_user_is_none():
    assert target("d", langgraph_auth_user_id="").user_id == "d"
    assert target("d", user_id="u", langgraph_auth_user_id="").user_id == "u"
    with pytest.raises(UserRequiredError):
        target(langgraph_auth_user_id="")


@pytest.mark.parametrize("authenticated", [0, False, 0.0, (), [], {}, b""])
def test_an_authenticated_user_of_another_type_is_never_taken_for_none(authenticated):
    for others in ({}, {"user_id": "alice"}, {"thread_id": OwnedThreadId("t", "alice")}):
        with pytest.raises(ValueError, match="user"):
            target("default", **others, langgraph_auth_user_id=authenticated)


def test_only_the_package_makes_a_thread_id_that_knows_its_user():
    class Other(str):
        __slots__ = ()
        user_id = "alice"

    with pytest.raises(UserRequiredError):
        target(thread_id=Other("t"))


@pytest.mark.parametrize("name", ["user_id", "langgraph_auth_user_id"])
@pytest.mark.parametrize("thread_id", ["t", OwnedThreadId("t", "alice")])
def test_an_explicit_none_is_an_error_whatever_else_names_a_user(name, thread_id):
    others = {"user_id": "alice", "langgraph_auth_user_id": "alice"}
    with pytest.raises(UserRequiredError, match=f"`{name}` is None"):
        target("default", **{**others, "thread_id": thread_id, name: None})


def test_the_authenticated_user_counts_whoever_a_thread_id_was_read_by():
    thread_id = OwnedThreadId("t", "alice")

    assert target(thread_id=thread_id, langgraph_auth_user_id="bob").scope == Scope("t", "bob")
    assert target(thread_id=thread_id, user_id="bob").scope == Scope("t", "bob")


def test_only_the_config_of_a_state_has_a_thread_id_that_knows_its_user():
    assert type(config_for(Scope("t", "alice"), "", "1")["configurable"]["thread_id"]) is str
    assert config_of_state(Scope("t", "alice"), "", "1") == config_for(Scope("t", "alice"), "", "1")


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_states_thread_id_knows_its_user(how):
    thread_id = COPIES[how](OwnedThreadId("t", "alice"))

    asked = target("default", thread_id=thread_id)
    assert asked.scope == Scope("t", "alice")
    assert type(asked.scope.thread_id) is str


@pytest.mark.parametrize("how", TEXTS)
def test_the_text_of_a_states_thread_id_knows_no_user(how):
    thread_id = TEXTS[how](OwnedThreadId("t", "alice"))

    assert (type(thread_id), thread_id) == (str, "t")
    with pytest.raises(UserRequiredError):
        target(thread_id=thread_id)


@pytest.mark.parametrize(
    "config", [{}, {"configurable": {}}, {"configurable": None}, {"configurable": {"thread_id": "t"}}]
)
def test_no_user_is_an_error_that_says_what_to_do(config):
    with pytest.raises(UserRequiredError, match="put `user_id` .* into config.*or give the saver a `default_user_id`"):
        Target.of(config, None)


def test_no_user_is_a_value_error_too():
    with pytest.raises(ValueError, match="user"):
        target(thread_id="t")


@pytest.mark.parametrize("user_id", ["", "a#b", 7, b"alice", "a\x00"])
def test_a_bad_user_is_not_replaced_by_the_default(user_id):
    with pytest.raises(ValueError, match="a user_id is a non-empty string"):
        target("default", user_id=user_id)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("thread_id", 7),
        ("thread_id", ""),
        ("thread_id", "a#b"),
        ("checkpoint_ns", 7),
        ("checkpoint_id", "a b"),
        ("checkpoint_id", 7),
        ("created_at", 7),
        ("created_at", ""),
        ("created_at", "2" * 1025),
    ],
)
def test_ids_of_another_type_or_shape_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        target("demo", **{name: value})


def test_an_empty_checkpoint_id_means_the_newest():
    assert target("demo", thread_id="t", checkpoint_id="").checkpoint_id is None


def test_the_empty_namespace_is_a_namespace():
    assert target("demo", checkpoint_ns="").ns == ""
    assert target("demo").ns is None


def test_a_config_that_goes_back_carries_the_user():
    assert config_for(Scope("t", "alice"), "", "1") == {
        "configurable": {"thread_id": "t", "user_id": "alice", "checkpoint_ns": "", "checkpoint_id": "1"}
    }
    assert config_for(Scope("t", "alice")) == {"configurable": {"thread_id": "t", "user_id": "alice"}}


def test_a_config_that_goes_back_asks_for_the_same_again():
    asked = target(user_id="alice", thread_id="t", checkpoint_ns="n|m", checkpoint_id="1")

    assert Target.of(config_for(Scope("t", "alice"), asked.ns, asked.checkpoint_id), None) == asked
