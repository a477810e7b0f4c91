"""Whose conversation it is, and how it is found through the index."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import ConversationNotFoundError, UserRequiredError
from tests.conftest import MakeSaver
from tests.integration.agents import DeltaState, tool_agent
from tests.integration.transcripts import TableReader, transcript


def say(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text, id=f"id of {text}")]}


def users(told: list[Any]) -> list[str]:
    return [message[1] for message in told if message[0] == "user"]


@pytest.mark.parametrize("schema", [MessagesState, DeltaState])
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_a_config_with_only_a_user_continues_the_newest_conversation(
    make_saver: MakeSaver, schema: Any, durability: Any
):
    saver = make_saver()
    older, newer = saver.new_conversation("alice"), saver.new_conversation("alice")
    for config, text in ((older, "old"), (newer, "new")):
        tool_agent(schema)(saver).invoke(say(text), config, durability=durability)
    cold = make_saver()
    result = tool_agent(schema)(cold).invoke(
        say("go on"), {"configurable": {"user_id": "alice"}}, durability=durability
    )
    assert [message.content for message in result["messages"]][0::2] == ["new", "go on"]
    assert users(transcript(cold, newer)) == ["new", "go on"]
    assert users(transcript(cold, older)) == ["old"]


async def test_async_runs_with_only_a_user_continue_the_newest_conversation(make_saver: MakeSaver):
    saver = make_saver()
    config = await saver.anew_conversation("alice")
    await tool_agent()(saver).ainvoke(say("one"), config)
    result = await tool_agent()(make_saver()).ainvoke(say("two"), {"configurable": {"user_id": "alice"}})
    assert len(result["messages"]) == 4
    assert await saver.aresume("alice") == config


def test_the_date_of_a_conversation_names_it(saver: DynamoDBConversationSaver, table: TableReader):
    older, newer = saver.new_conversation("alice"), saver.new_conversation("alice")
    graph = tool_agent()(saver)
    for config, text in ((older, "old"), (newer, "new")):
        graph.invoke(say(text), config)
    asked = {"configurable": {"user_id": "alice", "created_at": table.row(older)["created_at"]}}
    graph.invoke(say("go on"), asked)
    assert users(transcript(saver, older)) == ["old", "go on"]


def test_a_user_without_a_conversation_is_told_how_to_begin_one(saver: DynamoDBConversationSaver):
    with pytest.raises(ConversationNotFoundError, match="new_conversation"):
        tool_agent()(saver).invoke(say("hello"), {"configurable": {"user_id": "nobody"}})
    with pytest.raises(ConversationNotFoundError, match="new_conversation"):
        saver.resume("nobody")


def test_resume_gives_a_config_that_graphs_go_on_with(make_saver: MakeSaver):
    saver = make_saver()
    config = saver.new_conversation("alice")
    tool_agent()(saver).invoke(say("one"), config)
    cold = make_saver()
    graph = tool_agent()(cold)
    resumed = cold.resume("alice")
    assert resumed == config
    assert len(graph.get_state(resumed).values["messages"]) == 2
    graph.invoke(say("two"), resumed)
    assert len(list(graph.get_state_history(resumed))) == 6


def test_the_user_that_the_platform_has_authenticated_counts(make_saver: MakeSaver, table: TableReader):
    saver = make_saver(default_user_id=None)
    thread = saver.new_conversation("alice")["configurable"]["thread_id"]
    config = {"configurable": {"thread_id": thread, "langgraph_auth_user_id": "alice"}}
    graph = tool_agent()(saver)
    graph.invoke(say("one"), config)
    assert len(graph.invoke(say("two"), config)["messages"]) == 4
    assert [row["conversation_id"] for row in table.listed("alice")] == [thread]


def test_no_user_is_an_error_and_never_a_guess(make_saver: MakeSaver):
    saver = make_saver(default_user_id=None)
    with pytest.raises(UserRequiredError, match="user_id"):
        tool_agent()(saver).invoke(say("one"), {"configurable": {"thread_id": "some"}})


@pytest.mark.parametrize("one_saver", [True, False], ids=["one saver", "two savers"])
def test_two_users_with_the_same_thread_never_see_each_other(make_saver: MakeSaver, one_saver: bool):
    first = make_saver()
    savers = {"alice": first, "alice2": first if one_saver else make_saver()}
    thread = first.new_conversation("alice")["configurable"]["thread_id"]
    configs = {user: {"configurable": {"thread_id": thread, "user_id": user}} for user in savers}
    for number in range(3):
        for user, saver in savers.items():
            tool_agent()(saver).invoke(say(f"{user} {number}"), configs[user])
    for user, saver in savers.items():
        graph = tool_agent()(saver)
        texts = [f"{user} {number}" for number in range(3)]
        assert [m.content for m in graph.get_state(configs[user]).values["messages"]][0::2] == texts
        assert users(transcript(saver, configs[user])) == texts
        assert len(list(graph.get_state_history(configs[user]))) == 9
    savers["alice2"].delete_thread(thread, user_id="alice2")
    assert tool_agent()(make_saver()).get_state(configs["alice2"]).values == {}
    assert len(tool_agent()(make_saver()).get_state(configs["alice"]).values["messages"]) == 6


def test_the_state_of_subgraphs_is_that_of_the_configs_user(client: Any, table_name: str):
    def ask(_: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(interrupt("how?"), id="answer")]}

    inner = StateGraph(MessagesState).add_node("ask", ask).add_edge(START, "ask").compile(checkpointer=True)
    outer = StateGraph(MessagesState).add_node("inner", inner).add_edge(START, "inner")
    with DynamoDBConversationSaver(table_name, client=client) as saver:
        graph = outer.compile(checkpointer=saver)
        config = saver.new_conversation("alice")
        graph.invoke(say("hello"), config)

        (task,) = graph.get_state(config, subgraphs=True).tasks
        assert [message.content for message in task.state.values["messages"]] == ["hello"]
        (task,) = graph.get_state(config).tasks
        assert graph.get_state(task.state).next == ("ask",)
        (task,) = asyncio.run(graph.aget_state(config, subgraphs=True)).tasks
        assert task.state.next == ("ask",)
