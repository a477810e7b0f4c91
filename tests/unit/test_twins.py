"""Async twins: they take what their originals take, typed like these, and hand on all of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from langgraph_dynamo_conv import Conversations, DynamoDBConversationSaver
from langgraph_dynamo_conv.conversations._sync_api import SyncConversations

TWINS = [
    (owner, name)
    for owner in (DynamoDBConversationSaver, Conversations)
    for name in dir(owner)
    if name.startswith("a") and callable(getattr(owner, name[1:], None))
]


def test_every_call_of_the_conversations_has_a_twin() -> None:
    calls = {name for name in vars(SyncConversations) if not name.startswith("_")} - {"close"}

    assert {f"a{name}" for name in calls} == {name for owner, name in TWINS if owner is Conversations}


@pytest.mark.parametrize(("owner", "name"), TWINS)
def test_an_async_twin_takes_what_its_original_does(owner: Any, name: str) -> None:
    twin, original = (inspect.signature(getattr(owner, one)) for one in (name, name[1:]))

    assert list(twin.parameters.values()) == list(original.parameters.values())
    assert {Any, "Any"}.isdisjoint(one.annotation for one in twin.parameters.values())


@pytest.mark.parametrize("name", [name for owner, name in TWINS if owner is Conversations])
async def test_an_async_twin_hands_on_all_that_it_was_given(name: str) -> None:
    given: list[dict[str, Any]] = []
    original = inspect.signature(getattr(Conversations, name[1:]))

    def heard(*args: Any, **kwargs: Any) -> Any:
        given.append(dict(original.bind(conversations, *args, **kwargs).arguments))
        return iter(())

    async def run(call: Callable[[], Any]) -> Any:
        return call()

    conversations = Conversations("unused")
    conversations._runtime = SimpleNamespace(run=run)  # type: ignore[assignment]
    setattr(conversations, name[1:], heard)
    options = {parameter: object() for parameter in original.parameters if parameter != "self"}
    answer = getattr(conversations, name)(**options)
    if inspect.isasyncgen(answer):
        assert [piece async for piece in answer] == []
    else:
        await answer

    assert given == [{"self": conversations, **options}]
