"""`DeltaChannel`: checkpoints hold no messages, and the transcript is whole all the same."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langgraph.graph import MessagesState
from langgraph.graph.message import REMOVE_ALL_MESSAGES

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.conftest import MakeSaver
from tests.integration.agents import DeltaState, OftenStoredState, tool_agent
from tests.integration.conftest import MakeTwins
from tests.integration.transcripts import TableReader, found_search, said, transcript

DIALOGUE = ("hello", "search lakes, search rivers / details 3", "fail it", "bye")
TOLD = [
    ("user", "hello"),
    ("assistant", "Answer to: hello"),
    ("user", "search lakes, search rivers / details 3"),
    (
        "assistant",
        "Answer to: search lakes, search rivers / details 3",
        [
            ("search", "lakes", found_search("lakes")),
            ("search", "rivers", found_search("rivers")),
            ("details", "3", "Details of 3."),
        ],
    ),
    ("user", "fail it"),
    ("assistant", "Answer to: fail it", [("fail", "it", "Error: no such file: it", "error")]),
    ("user", "bye"),
    ("assistant", "Answer to: bye"),
]


def say(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text, id=f"id of {text}")]}


@pytest.mark.parametrize("schema", [MessagesState, DeltaState, OftenStoredState])
def test_the_same_dialogue_gives_the_same_transcript(
    twins: MakeTwins, saver: DynamoDBConversationSaver, table: TableReader, schema: Any
):
    pair = twins(tool_agent(schema))
    for turn, text in enumerate(DIALOGUE, 1):
        pair.invoke(say(text))
        row = table.row(pair.config)
        assert (row["status"], row["message_count"]) == ("idle", 2 * turn)
    pair.compare()
    row = table.row(pair.config)
    assert said(row["messages"]) == TOLD
    assert transcript(saver, pair.config) == TOLD
    assert row["title"] == "hello"


@pytest.mark.parametrize("schema", [DeltaState, OftenStoredState])
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_a_new_saver_in_every_turn_gives_the_same_transcript(
    make_saver: MakeSaver, config: Any, schema: Any, durability: Any
):
    for text in DIALOGUE:
        tool_agent(schema)(make_saver()).invoke(say(text), config, durability=durability)
    assert transcript(make_saver(), config) == TOLD


def test_a_thread_goes_on_after_it_was_pruned(twins: MakeTwins, make_saver: MakeSaver):
    pair = twins(tool_agent(OftenStoredState))
    texts = [f"question {number}" for number in range(6)]
    for text in texts[:4]:
        pair.invoke(say(text), durability="sync")
        make_saver().prune([pair.config["configurable"]["thread_id"]])
    for text in texts[4:]:
        pair.invoke(say(text), durability="sync")
    pair.do(lambda player: player.state())
    told = [m for text in texts for m in (("user", text), ("assistant", f"Answer to: {text}"))]
    assert transcript(make_saver(), pair.config) == told


def test_removing_all_messages_empties_the_state_and_not_the_transcript(
    twins: MakeTwins, saver: DynamoDBConversationSaver
):
    pair = twins(tool_agent(OftenStoredState))
    for text in ("one", "two"):
        pair.invoke(say(text))
    pair.do(lambda player: bool(player.update({"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES)]}, "tools")))
    assert pair.do(lambda player: player.state()).values.get("messages") == []
    pair.invoke(say("three"))
    pair.compare()
    told = [m for text in ("one", "two", "three") for m in (("user", text), ("assistant", f"Answer to: {text}"))]
    assert transcript(saver, pair.config) == told


@pytest.mark.parametrize("schema", [DeltaState, OftenStoredState])
def test_an_edited_answer_is_edited_in_the_transcript(twins: MakeTwins, saver: DynamoDBConversationSaver, schema: Any):
    pair = twins(tool_agent(schema))
    pair.invoke(say("one"))
    pair.invoke(say("two"))

    def edit(player: Any) -> Any:
        answer = player.state().values["messages"][1]
        return bool(player.update({"messages": [AIMessage("Corrected.", id=answer.id)]}, "agent"))

    pair.do(edit)
    pair.compare()
    assert transcript(saver, pair.config)[1] == ("assistant", "Corrected.")
    assert len(transcript(saver, pair.config)) == 4


@pytest.mark.parametrize("schema", [MessagesState, DeltaState])
def test_the_users_message_shows_while_the_agent_works(
    saver: DynamoDBConversationSaver, table: TableReader, config: Any, schema: Any
):
    seen = []
    graph = tool_agent(schema)(saver)
    for text in ("search lakes", "search rivers"):
        for mode, chunk in graph.stream(say(text), config, stream_mode=["updates", "values"], durability="sync"):
            if mode == "updates" and "agent" in chunk:
                row = table.row(config)
                seen.append((row["status"], said(row["messages"])[-1]))
    assert seen[0] == ("running", ("user", "search lakes"))
    assert seen[2] == ("running", ("user", "search rivers"))


def test_copies_of_a_thread_go_on_by_themselves(twins: MakeTwins, make_saver: MakeSaver):
    pair = twins(tool_agent(OftenStoredState))
    for text in ("one", "two"):
        pair.invoke(say(text), durability="sync")
    saver = make_saver()
    copied = saver.new_conversation()
    saver.copy_thread(pair.config["configurable"]["thread_id"], copied["configurable"]["thread_id"])
    graph = tool_agent(OftenStoredState)(saver)
    graph.invoke(say("three"), copied)
    assert len(graph.get_state(copied).values["messages"]) == 6
    assert len(graph.get_state(pair.config).values["messages"]) == 4
    assert len(transcript(saver, copied)) == 6
    assert len(transcript(saver, pair.config)) == 4


@pytest.mark.parametrize("schema", [MessagesState, DeltaState, OftenStoredState])
def test_a_message_that_is_added_again_by_its_id_is_there_once(
    saver: DynamoDBConversationSaver, make_saver: MakeSaver, schema: Any
):
    config = saver.new_conversation("demo")
    graph = tool_agent(schema)(saver)
    graph.invoke(say("hello"), config)
    for added_by in (saver, saver, make_saver()):
        chats = added_by.conversations
        chats.add_message(config["configurable"]["thread_id"], "system", "More.", user_id="demo", message_id="more")

    expected = [("user", "hello"), ("assistant", "Answer to: hello"), ("system", "More.")]
    assert transcript(make_saver(), config) == expected
    result = graph.invoke(say("bye"), config)
    assert [message.content for message in result["messages"]][1:4] == ["Answer to: hello", "More.", "bye"]
    assert transcript(make_saver(), config) == [*expected, ("user", "bye"), ("assistant", "Answer to: bye")]
