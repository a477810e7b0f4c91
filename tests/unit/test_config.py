"""What a config asks for: whose, which conversation, which checkpoint; and the configs that go back."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from langgraph_dynamo_conv._calls.config import Target, config_for
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv.errors import UserRequiredError


def target(default_user_id: str | None = None, **configurable: object) -> Target:
    return Target.of({"configurable": configurable}, default_user_id)


def test_a_config_names_user_thread_namespace_and_checkpoint():
    asked = target(user_id="alice", thread_id="t", checkpoint_ns="n", checkpoint_id="1")

    assert asked == Target("alice", Scope("t", "alice"), "n", "1", None)


def test_a_config_without_a_thread_can_say_when_it_began():
    assert target(user_id="alice", created_at="2026-01-01") == Target("alice", None, None, None, "2026-01-01")


def test_the_user_is_the_users_then_langgraphs_then_the_default():
    assert target("d", user_id="u", langgraph_auth_user_id="l").user_id == "u"
    assert target("d", langgraph_auth_user_id="l").user_id == "l"
    assert target("d").user_id == "d"
    assert target("d", user_id=None).user_id == "d"


def test_a_thread_id_out_of_a_config_that_was_given_back_knows_its_user():
    given = config_for(Scope("t", "alice"))["configurable"]["thread_id"]

    for thread_id in (given, copy.deepcopy(given), pickle.loads(pickle.dumps(given))):
        asked = target("default", thread_id=thread_id)
        assert asked.scope == Scope("t", "alice")
        assert type(asked.scope.thread_id) is str
        assert target(thread_id=thread_id, user_id="bob").user_id == "bob"
    assert given == "t"
    assert json.dumps(given) == '"t"'
    with pytest.raises(UserRequiredError):
        target(thread_id=str(given))


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
