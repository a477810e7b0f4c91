"""The reference chat in other shapes, played and counted: more tool calls a turn, other sizes of their results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph_checkpoint_aws import DynamoDBSaver as AwsSaver

from benchmarks.play import create_pk_sk_table
from tests.engines import REGION, Engine
from tests.reference_chat import Prose
from tests.requests_log import RequestLog
from tests.table_size import table_size

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

QUESTION, ANSWER = 60, 350


@dataclass(frozen=True)
class Cost:
    """Units of some turns, and the bytes that the table holds after them."""

    write_units: float
    read_units: float
    stored_bytes: int


@dataclass(frozen=True)
class Chat:
    """A chat of one shape on one saver; it can be played on.

    Args:
        client: The saver's client.
        table_name: The saver's table.
        saver: The saver.
        config: Which conversation it is.
        tool_calls: Tool calls of a turn, one after the other.
        result_kb: Thousands of characters of a tool's result.
        prose: Where its texts come from.
    """

    client: DynamoDBClient
    table_name: str
    saver: Any
    config: Any
    tool_calls: int
    result_kb: float
    prose: Prose

    def play(self, turns: int, saver: Any = None) -> Cost:
        """Play so many turns more, on another saver of the same table if one is given."""
        graph = shaped_graph(self.prose, self.tool_calls, int(self.result_kb * 1000))
        compiled = graph.compile(checkpointer=saver or self.saver)
        with RequestLog(self.client) as log:
            for _ in range(turns):
                question = HumanMessage(self.prose.text(QUESTION), id=self.prose.uuid())
                compiled.invoke({"messages": [question]}, self.config, durability="async")
        return Cost(log.wru, log.rru, table_size(self.client, self.table_name).item_bytes)


def shaped_graph(prose: Prose, tool_calls: int, result_characters: int) -> StateGraph[Any]:
    """An agent that calls a tool so many times, one after the other, then answers."""

    def agent(state: MessagesState) -> dict[str, Any]:
        asked = max(n for n, one in enumerate(state["messages"]) if isinstance(one, HumanMessage))
        called = sum(isinstance(one, ToolMessage) for one in state["messages"][asked:])
        if called == tool_calls:
            answer = AIMessage(prose.text(ANSWER), id=f"lc_run--{prose.uuid()}")
            answer.usage_metadata = {"input_tokens": 900, "output_tokens": 80, "total_tokens": 980}
            return {"messages": [answer]}
        call = {
            "name": "search_files",
            "args": {"query": prose.text(40), "limit": 10},
            "id": f"toolu_{prose.uuid()[:24]}",
        }
        return {"messages": [AIMessage("", tool_calls=[call], id=f"lc_run--{prose.uuid()}")]}

    def tools(state: MessagesState) -> dict[str, Any]:
        last: Any = state["messages"][-1]
        (call,) = last.tool_calls
        text = prose.text(result_characters)
        return {"messages": [ToolMessage(text, tool_call_id=call["id"], name=call["name"], id=prose.uuid())]}

    builder = StateGraph(MessagesState)
    builder.add_node("agent", agent)
    builder.add_node("tools", tools)
    builder.add_edge(START, "agent")
    builder.add_conditional_edges("agent", lambda state: "tools" if state["messages"][-1].tool_calls else END)
    builder.add_edge("tools", "agent")
    return builder


@contextmanager
def full_state_chat(engine: Engine, client: DynamoDBClient, tool_calls: int, result_kb: float) -> Iterator[Chat]:
    """A chat on a saver that stores the whole state at every step, in a table of its own."""
    name = create_pk_sk_table(client)
    saver = AwsSaver(name, region_name=REGION, endpoint_url=engine.endpoint_url)
    yield Chat(saver.client, name, saver, {"configurable": {"thread_id": "one"}}, tool_calls, result_kb, Prose())
    client.delete_table(TableName=name)
