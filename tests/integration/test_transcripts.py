"""What the conversation row and its transcript say of dialogues of every kind, bounded and complete."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.pregel import Pregel

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.conftest import MakeSaver
from tests.engines import Engine
from tests.integration.agents import ChatState, DeltaState, tool_agent
from tests.integration.models import TOOLS, ScriptedModel
from tests.integration.transcripts import TableReader, found_search, item_bytes, said, transcript


def say(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text, id=f"id of {text}")]}


def answered(*texts: str) -> list[Any]:
    """The transcript of questions that were all answered."""
    return [message for text in texts for message in (("user", text), ("assistant", f"Answer to: {text}"))]


def answers(*replies: AIMessage) -> Any:
    """A graph that gives these answers, one in each turn."""
    waiting = list(replies)

    def build(checkpointer: BaseCheckpointSaver[Any]) -> Pregel:
        builder = StateGraph(MessagesState)
        builder.add_node("agent", lambda _: {"messages": [waiting.pop(0)]})
        builder.add_edge(START, "agent")
        return builder.compile(checkpointer=checkpointer)

    return build


def clock() -> Any:
    """A clock that goes on by a second at every look."""
    times = iter(range(1_800_000_000, 1_900_000_000))
    return lambda: float(next(times))


def test_blocks_of_content_leave_their_text_and_a_few_words_for_what_is_none(
    saver: DynamoDBConversationSaver, table: TableReader, config: RunnableConfig
):
    picture = {"type": "image", "base64": "QUJD" * 400, "mime_type": "image/png"}
    question = HumanMessage([{"type": "text", "text": "What is this?"}, picture])
    thinking = {"type": "reasoning", "reasoning": "A secret thought."}
    answer = AIMessage([thinking, {"type": "text", "text": "A "}, {"type": "text", "text": "lake."}])
    graph = answers(answer)(saver)
    graph.invoke({"messages": [SystemMessage("Be short."), question]}, config)
    row = table.row(config)
    assert said(row["messages"]) == [
        ("system", "Be short."),
        ("user", "What is this?\n[image: image/png, 1 KB]"),
        ("assistant", "A lake."),
    ]
    assert row["title"] == "What is this? [image: image/png, 1 KB]"
    assert "secret" not in json.dumps(row)


def test_an_empty_answer_and_a_call_that_could_not_be_parsed_are_there(
    saver: DynamoDBConversationSaver, config: RunnableConfig
):
    broken = {"name": "search", "args": '{"query": ', "id": "x", "error": "not JSON", "type": "invalid_tool_call"}
    graph = answers(AIMessage(""), AIMessage("Sorry.", invalid_tool_calls=[broken]))(saver)
    graph.invoke(say("one"), config)
    graph.invoke(say("two"), config)
    assert transcript(saver, config) == [
        ("user", "one"),
        ("assistant", ""),
        ("user", "two"),
        ("assistant", "Sorry.", [("search", None, "not JSON", "error")]),
    ]


def test_another_channel_can_hold_the_messages(make_saver: MakeSaver, table: TableReader):
    saver = make_saver(messages_channel="chat")
    config = saver.new_conversation()
    graph = tool_agent(ChatState, channel="chat")(saver)
    for text in ("search lakes", "bye"):
        graph.invoke({"chat": [("user", text)]}, config)
    told = [
        ("user", "search lakes"),
        ("assistant", "Answer to: search lakes", [("search", "lakes", found_search("lakes"))]),
        ("user", "bye"),
        ("assistant", "Answer to: bye"),
    ]
    assert said(table.row(config)["messages"]) == told
    assert transcript(saver, config) == told


def test_without_a_transcript_the_row_is_listed_and_has_no_messages(make_saver: MakeSaver, table: TableReader):
    saver = make_saver(transcript=False)
    config = saver.new_conversation()
    tool_agent()(saver).invoke(say("search lakes"), config)
    assert [row["message_count"] for row in table.listed()] == [0]
    assert [found.conversation_id for found in saver.conversations.list("demo")] == [
        config["configurable"]["thread_id"]
    ]


def test_messages_removed_by_the_agent_stay_in_the_transcript(saver: DynamoDBConversationSaver, config: RunnableConfig):
    graph = tool_agent()(saver)
    for text in ("one", "two"):
        graph.invoke(say(text), config)
    graph.update_state(config, {"messages": [RemoveMessage(id="id of one")]}, "tools")
    assert len(graph.get_state(config).values["messages"]) == 3
    assert transcript(saver, config) == answered("one", "two")
    graph.invoke({"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES), *say("three")["messages"]]}, config)
    assert len(graph.get_state(config).values["messages"]) == 2
    assert transcript(saver, config) == answered("one", "two", "three")


@tool
def dump(query: str) -> str:
    """Says very much."""
    return query * (300 * 1024 // len(query))


@pytest.mark.parametrize("schema", [MessagesState, DeltaState])
def test_a_result_of_300_kilobytes_leaves_the_row_small_and_is_read_whole(
    make_saver: MakeSaver, table: TableReader, config: RunnableConfig, schema: Any
):
    for text in ("dump 0123456789", "search lakes", "bye"):
        saver = make_saver()
        tool_agent(schema, tools=[dump, *TOOLS])(saver).invoke(say(text), config)
        assert item_bytes(table.row(config)) < 3072 + 1024
    told = transcript(make_saver(), config)
    assert told[1] == (
        "assistant",
        "Answer to: dump 0123456789",
        [("dump", "0123456789", "0123456789" * 30720)],
    )
    assert told[4:] == answered("bye")


@pytest.mark.parametrize(("row_bytes", "turns"), [(512, 300), (3072, 100)])
def test_many_turns_are_all_read_in_order_from_a_row_that_stays_small(
    make_saver: MakeSaver, table: TableReader, row_bytes: int, turns: int
):
    saver = make_saver(row_bytes=row_bytes, clock=clock())
    config = saver.new_conversation()
    graph = tool_agent()(saver)
    texts = [f"question {number}" + " and on" * (number % 7) for number in range(turns)]
    # Four turns in a run, and nothing kept: moto takes long where a conversation has many items.
    for first in range(0, turns, 4):
        *before, last = texts[first : first + 4]
        messages = [{"role": role, "content": content} for role, content in answered(*before)]
        forget = RemoveMessage(id=REMOVE_ALL_MESSAGES)
        graph.invoke({"messages": [forget, *messages, ("user", last)]}, config, durability="exit")
        assert item_bytes(table.row(config)) <= row_bytes + 1024
    assert transcript(make_saver(), config) == answered(*texts)
    found = saver.conversations.get(config["configurable"]["thread_id"], "demo")
    times = [message.timestamp for message in found.messages]
    assert times == sorted(times)
    assert found.updated_at == times[-1] > found.created_at


def test_dates_change_only_as_they_should(make_saver: MakeSaver, table: TableReader):
    saver = make_saver(clock=clock())
    config = saver.new_conversation()
    graph = tool_agent()(saver)
    graph.invoke(say("one"), config)
    first = table.row(config)
    graph.update_state(config, {"messages": []}, "tools")
    graph.get_state(config)
    saver.conversations.get(config["configurable"]["thread_id"], "demo")
    assert table.row(config)["updated_at"] == first["updated_at"]
    graph.invoke(say("two"), config)
    second = table.row(config)
    assert second["created_at"] == first["created_at"]
    assert second["updated_at"] > first["updated_at"]
    assert second["messages"][:2] == first["messages"]


def test_what_other_programs_write_into_the_row_stays(
    saver: DynamoDBConversationSaver, make_saver: MakeSaver, table: TableReader, config: RunnableConfig
):
    tool_agent()(saver).invoke(say("one"), config)
    row = table.row(config)
    table.set(config, title="Renamed", rating=5, messages=[{**row["messages"][0], "liked": True}, *row["messages"][1:]])
    for turn, checkpointer in (("two", saver), ("three", make_saver()), ("four", saver)):
        tool_agent()(checkpointer).invoke(say(turn), config)
    row = table.row(config)
    assert (row["title"], row["rating"], row["messages"][0]["liked"]) == ("Renamed", 5, True)
    assert transcript(saver, config) == answered("one", "two", "three", "four")


def test_a_message_that_another_program_appends_stays_in_its_place(
    saver: DynamoDBConversationSaver, table: TableReader, config: RunnableConfig
):
    graph = tool_agent()(saver)
    graph.invoke(say("one"), config)
    row = table.row(config)
    notice = {"role": "system", "content": "A person has taken over.", "timestamp": "2026-01-01T00:00:00Z"}
    table.set(config, messages=[*row["messages"], notice], message_count=3, updated_at="2099-01-01T00:00:00Z")
    graph.invoke(say("two"), config)
    assert transcript(saver, config) == [
        *answered("one"),
        ("system", "A person has taken over."),
        *answered("two"),
    ]


def test_two_savers_that_take_turns_lose_nothing_and_double_nothing(
    make_saver: MakeSaver, table: TableReader, config: RunnableConfig
):
    savers = [make_saver(row_bytes=700), make_saver(row_bytes=700)]
    graphs = [tool_agent()(saver) for saver in savers]
    texts = [f"question {number}" for number in range(20)]
    for number, text in enumerate(texts):
        graphs[number % 2].invoke(say(text), config)
    assert transcript(savers[0], config) == answered(*texts)
    assert transcript(savers[1], config) == answered(*texts)
    assert len(graphs[1].get_state(config).values["messages"]) == 40


class Outage:
    """Lets updates of conversation rows fail: the n-th, or all from the n-th on."""

    def __init__(self, engine: Engine, number: int, *, stays: bool = False) -> None:
        self.client = engine.client(retries={"total_max_attempts": 1})
        self._left = number
        self._stays = stays
        self.failed = 0
        self.client.meta.events.register("before-parameter-build.dynamodb.UpdateItem", self._check)

    def _check(self, params: dict[str, Any], **_: Any) -> None:
        if "#" in params["Key"]["user_id"]["S"]:
            return
        self._left -= 1
        if self._left == 0 or (self._stays and self._left < 0):
            self.failed += 1
            raise EndpointConnectionError(endpoint_url="gone")

    def end(self) -> None:
        self._stays = False


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("cold", [False, True], ids=["same process", "new process"])
def test_a_crash_between_state_and_row_is_mended_by_the_next_turn(
    engine: Engine, make_saver: MakeSaver, table: TableReader, number: int, cold: bool
):
    outage = Outage(engine, number, stays=True)
    saver = make_saver(client=outage.client)
    config = saver.new_conversation()
    for text in ("search lakes", "two"):
        if not outage.failed:
            tool_agent()(saver).invoke(say(text), config, durability="sync")
    assert outage.failed
    outage.end()
    saver = make_saver() if cold else saver
    graph = tool_agent()(saver)
    graph.invoke(say("three"), config)
    told = transcript(saver, config)
    users = [message[1] for message in told if message[0] == "user"]
    kept = [m.content for m in graph.get_state(config).values["messages"] if m.type == "human"]
    assert users == kept
    assert told[-2:] == answered("three")
    row = table.row(config)
    assert (row["status"], row["title"]) == ("idle", "search lakes")
    outage.client.close()


def test_a_row_that_was_deleted_comes_back_with_the_next_turn(
    saver: DynamoDBConversationSaver, make_saver: MakeSaver, config: RunnableConfig, client: Any, table_name: str
):
    tool_agent()(saver).invoke(say("one"), config)
    asked = config["configurable"]
    key = {"conversation_id": {"S": asked["thread_id"]}, "user_id": {"S": asked["user_id"]}}
    client.delete_item(TableName=table_name, Key=key)
    tool_agent()(saver).invoke(say("two"), config)
    assert transcript(saver, config) == answered("one", "two")


def test_the_sample_of_another_program_is_adopted_and_kept(
    saver: DynamoDBConversationSaver, table: TableReader, config: RunnableConfig
):
    asked = config["configurable"]
    call = {"tool": "search", "args": {"query": "lakes", "limit": 2}, "result": {"hits": ["lake"], "total": 1}}
    written = [
        {"role": "user", "content": "Show me lakes", "timestamp": "2025-01-01T00:00:00Z"},
        {"role": "assistant", "content": "One.", "timestamp": "2025-01-01T00:00:01Z", "tool_calls": [call]},
        {"role": "user", "content": "Thanks", "timestamp": "2025-01-01T00:00:02Z"},
        {"role": "assistant", "content": "Welcome", "timestamp": "2025-01-01T00:00:03Z"},
    ]
    item = {
        "conversation_id": asked["thread_id"],
        "user_id": asked["user_id"],
        "title": "Lakes",
        "messages": written,
        "created_at": "2025-01-01T00:00:00Z",
        "updated_at": "2025-01-01T00:00:03Z",
        "message_count": 4,
    }
    table.put(item)
    seen: list[Any] = []

    def script(messages: list[Any]) -> AIMessage:
        seen.append([(message.type, message.content) for message in messages])
        return AIMessage("Still here.")

    graph = tool_agent(model=ScriptedModel(script=script))(saver)
    for text in ("go on", "and on"):
        graph.invoke(say(text), config)
    assert [kind for kind, _ in seen[0]] == ["human", "ai", "tool", "ai", "human", "ai", "human"]
    assert len(seen[1]) == 9
    row = table.row(config)
    assert row["messages"][:4] == written
    assert said(row["messages"])[4:] == [
        ("user", "go on"),
        ("assistant", "Still here."),
        ("user", "and on"),
        ("assistant", "Still here."),
    ]
    assert (row["title"], row["created_at"]) == ("Lakes", "2025-01-01T00:00:00Z")


def test_a_message_added_from_outside_is_in_the_agents_next_state(
    saver: DynamoDBConversationSaver, config: RunnableConfig
):
    graph = tool_agent()(saver)
    graph.invoke(say("one"), config)
    saver.conversations.add_message(config["configurable"]["thread_id"], "system", "By hand.", user_id="demo")
    result = graph.invoke(say("two"), config)
    assert [message.type for message in result["messages"]] == ["human", "ai", "system", "human", "ai"]
    assert transcript(saver, config) == [*answered("one"), ("system", "By hand."), *answered("two")]
