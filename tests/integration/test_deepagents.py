"""`deepagents`, whose messages and files are `DeltaChannel`s. It has no release for Python 3.10."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.conftest import MakeSaver
from tests.costs.flat_shapes import FILES_EDITED
from tests.integration.agents import tool_agent
from tests.integration.models import TOOLS, chat_model
from tests.integration.transcripts import TableReader, transcript
from tests.requests_log import WRITES, RequestLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

if sys.version_info >= (3, 11):
    from deepagents import create_deep_agent

    DIALOGUE = ("hello", "search lakes, search rivers / details 3", "details 4 / details 5", "bye")

    def say(text: str) -> dict[str, Any]:
        return {"messages": [HumanMessage(text, id=f"id of {text}")]}

    def plain_transcript(saver: DynamoDBConversationSaver) -> list[Any]:
        config = saver.new_conversation()
        graph = tool_agent()(saver)
        for text in DIALOGUE:
            graph.invoke(say(text), config)
        return transcript(saver, config)

    @pytest.mark.parametrize("durability", ["sync", "async", "exit"])
    @pytest.mark.parametrize("cold", [False, True], ids=["one saver", "a new saver in every turn"])
    def test_a_deep_agent_has_the_transcript_of_a_plain_one(
        make_saver: MakeSaver, config: RunnableConfig, table: TableReader, durability: Any, cold: bool
    ):
        saver = make_saver()
        for text in DIALOGUE:
            saver = make_saver() if cold else saver
            agent = create_deep_agent(chat_model(), TOOLS[:3], checkpointer=saver)
            agent.invoke(say(text), config, durability=durability)
        assert transcript(saver, config) == plain_transcript(saver)
        row = table.row(config)
        assert (row["status"], row["message_count"], row["title"]) == ("idle", 8, "hello")

    async def test_a_deep_agent_runs_async_and_keeps_its_files(
        saver: DynamoDBConversationSaver, config: RunnableConfig
    ):
        agent = create_deep_agent(chat_model(), TOOLS[:3], checkpointer=saver)
        await agent.ainvoke(say("hello"), config)
        await agent.aupdate_state(config, {"files": {"/a.txt": {"content": "text", "encoding": "utf-8"}}})
        await agent.ainvoke(say("details 1"), config)
        state = await agent.aget_state(config)
        assert len(state.values["messages"]) == 6
        assert state.values["files"]["/a.txt"]["content"] == "text"
        assert transcript(saver, config)[-1] == (
            "assistant",
            "Answer to: details 1",
            [("details", "1", "Details of 1.")],
        )

    @pytest.mark.engine("dynamodb-local")
    def test_a_deep_agent_with_200_files_reads_at_most_12_units_in_every_turn(
        make_saver: MakeSaver, client: DynamoDBClient
    ):
        saver = make_saver()
        turn = FILES_EDITED.begin(saver, saver.new_conversation("alice"))
        turns = []
        for _ in range(20):
            with RequestLog(client) as log:
                turn()
            asked = [one for one in log.requests if one.operation not in WRITES]
            turns.append((sum(max(one.units, 1) for one in asked), len(asked)))

        print("\nreads of each turn, units as billed and requests:", turns)
        assert max(units for units, _ in turns[2:]) <= 12
        assert max(requests for _, requests in turns[2:]) <= 10
