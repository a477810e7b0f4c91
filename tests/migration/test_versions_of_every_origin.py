"""Channel versions of every origin in one conversation: migrated, adopted, a server's, and the saver's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.migration import everyone, migrate
from tests.conftest import MakeSaver
from tests.factories import config

pytestmark = pytest.mark.engine("memory")


class Counting(InMemorySaver):
    """A saver with the versions of old: ints."""

    def get_next_version(self, current: Any, channel: Any = None) -> Any:
        return (current or 0) + 1


def graph_on(saver: Any) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("answer", lambda state: {"messages": [AIMessage("answer", id=f"a{state['messages'][-1].id}")]})
    graph.add_node("end", lambda _: {})
    graph.add_edge(START, "answer")
    graph.add_edge("answer", "end")
    return graph.compile(checkpointer=saver)


def migrated(saver: DynamoDBConversationSaver, source: InMemorySaver) -> None:
    at: Any = {"configurable": {"thread_id": "thread"}}
    for turn in ("m1", "m2"):
        graph_on(source).invoke({"messages": [HumanMessage("hi", id=turn)]}, at)
    assert [one.outcome for one in migrate(source, saver, assign=everyone("demo"))] == ["copied"]


def adopted(saver: DynamoDBConversationSaver) -> None:
    saver.conversations.create("demo", conversation_id="thread")
    saver.conversations.add_message("thread", "user", "hi", user_id="demo", message_id="x1")
    saver.conversations.add_message("thread", "assistant", "hello", user_id="demo", message_id="x2")


ORIGINS: dict[str, Any] = {
    "migrated with ints": lambda saver: migrated(saver, Counting()),
    "migrated with text": lambda saver: migrated(saver, InMemorySaver()),
    "adopted": adopted,
}


def versions_of(checkpoint: Mapping[str, Any]) -> Iterator[Any]:
    yield from checkpoint["channel_versions"].values()
    for seen in checkpoint["versions_seen"].values():
        yield from seen.values()


@pytest.mark.parametrize("origin", ORIGINS)
def test_turns_of_every_origin_go_on_from_one_another(
    make_saver: MakeSaver, monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    ORIGINS[origin](make_saver())
    said = [str(one.id) for one in graph_on(make_saver()).get_state(config()).values["messages"]]
    before: dict[str, Any] = {}
    for turn in range(6):
        saver, at = make_saver(), config()
        if turn % 2:  # a server makes the versions, as its own saver does, and says who asks
            monkeypatch.setattr(saver, "get_next_version", InMemorySaver().get_next_version)
            at = {"configurable": {"thread_id": "thread", "langgraph_auth_user_id": "demo"}}
        graph_on(saver).invoke({"messages": [HumanMessage("hi", id=f"t{turn}")]}, at)
        said += [f"t{turn}", f"at{turn}"]
        graph_on(saver).update_state(at, {"messages": [HumanMessage("by hand", id=f"u{turn}")]}, as_node="end")
        said.append(f"u{turn}")

        found = make_saver().get_tuple(config())
        assert found is not None
        versions = found.checkpoint["channel_versions"]
        assert {type(one) for one in versions_of(found.checkpoint)} == {str}
        assert all(versions[name] >= version for name, version in before.items())
        assert versions["messages"] > before.get("messages", "")
        assert [one.id for one in found.checkpoint["channel_values"]["messages"]] == said
        before = versions
    for one in make_saver().list(config()):
        assert {type(version) for version in versions_of(one.checkpoint)} <= {str}
    assert make_saver().conversations.verify("thread", "demo").ok
