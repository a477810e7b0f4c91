"""What the package really sends: a saver's whole life on the memory engine, request by request on DynamoDB Local.

Requests are recorded in the order in which the engine does them, so it does not matter that a saver sends some at once.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.contract.pair import assert_same, compared, in_any_order, plain, played
from tests.memory_engine.bare import BareClient
from tests.memory_engine.refusals import Refused
from tests.memory_engine.service import Service

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from tests.conftest import Report

pytestmark = pytest.mark.engine("dynamodb-local")


class Recorder(Service):
    """A service that keeps each request with what came of it, in the order in which they were done."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[str, dict[str, Any], Any]] = []

    def done(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        asked = {**request, **({} if operation not in MEASURED else {"ReturnConsumedCapacity": "INDEXES"})}
        try:
            answer = super().done(operation, asked)
        except Refused as error:
            self.requests.append((operation, asked, error))
            raise
        self.requests.append((operation, asked, answer))
        return answer


MEASURED = frozenset({"PutItem", "GetItem", "UpdateItem", "DeleteItem", "Query", "Scan"})


class Clock:
    """A time that tests move."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class State(MessagesState):
    attachment: str


def ask(state: State) -> dict[str, Any]:
    if len(state["messages"]) % 4 == 1:
        return {"messages": [AIMessage(f"Yes, {interrupt('Really?')}")]}
    return {"messages": [AIMessage(f"Answer {len(state['messages'])} " + "é" * 100)]}


def graph_of(saver: DynamoDBConversationSaver) -> Any:
    builder = StateGraph(State)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    return builder.compile(checkpointer=saver)


def live(saver: DynamoDBConversationSaver, clock: Clock) -> None:
    """Turns, interrupts, forks, large values, lists, copies, renewal, pruning, deletion."""
    saver.setup()
    config = saver.new_conversation("alice", title="Mail")
    graph = graph_of(saver)
    for turn in range(4):
        run: RunnableConfig = {**config, "metadata": {"run_id": f"run-{turn}"}}
        message = {"messages": [HumanMessage(f"Question {turn}", id=f"q{turn}")], "attachment": "x" * 1000 * turn}
        if "__interrupt__" in graph.invoke(message, run, durability="sync"):
            graph.invoke(Command(resume="do"), run, durability="sync")
        clock.now += 4000
    read(saver, graph, config)
    graph.invoke(
        {"messages": [HumanMessage("Take this")], "attachment": uuid.uuid4().hex * 40_000}, config, durability="sync"
    )
    change(saver, config)
    saver.conversations.delete_user("alice", scan=True)
    saver.conversations.delete_user("bob")


def read(saver: DynamoDBConversationSaver, graph: Any, config: RunnableConfig) -> None:
    thread_id = config["configurable"]["thread_id"]
    states = list(graph.get_state_history(config))
    graph.update_state(states[2].config, {"messages": [AIMessage("By the way")]})
    list(saver.list(None))
    list(saver.list(config, limit=2))
    saver.get_delta_channel_history(config=config, channels=["messages"])
    assert [one.conversation_id for one in saver.conversations.list("alice")] == [thread_id]
    list(saver.conversations.list("alice", created_after="2020", status="idle", limit=1))
    list(saver.conversations.list("alice", order_by="updated_at", created_before="2100"))
    saver.conversations.get(thread_id, "alice")
    saver.resume("alice")


def change(saver: DynamoDBConversationSaver, config: RunnableConfig) -> None:
    thread_id = config["configurable"]["thread_id"]
    saver.copy_thread(thread_id, "copy", user_id="alice")
    saver.conversations.rename("copy", "alice", "Copy")
    saver.conversations.add_message("copy", "user", "Thanks", user_id="alice")
    saver.delete_for_runs(["run-1"])
    saver.prune([thread_id])
    saver.delete_thread("copy")
    for number in range(3):
        saver.conversations.create("bob", title=f"Chat {number}")


@pytest.mark.parametrize("options", [{}, {"ttl": timedelta(hours=2), "row_bytes": 512}, {"encrypted": True}], ids=str)
def test_a_savers_requests_are_answered_alike(local: Any, options: dict[str, Any], report: Report) -> None:
    recorder, clock, name = Recorder(), Clock(), f"replay-{uuid.uuid4()}"
    client: Any = BareClient(recorder)
    chosen = {name: value for name, value in options.items() if name != "encrypted"}
    if options.get("encrypted"):
        chosen["serde"] = EncryptedSerializer.from_pycryptodome_aes(key=b"0" * 32)
    with DynamoDBConversationSaver(name, client=client, clock=clock, **chosen) as saver:
        live(saver, clock)

    for operation, request, answer in recorder.requests:
        compare(local, operation, request, answer)

    local.delete_table(TableName=name)
    counts = Counter(operation for operation, _, _ in recorder.requests)
    assert set(MEASURED) <= set(counts)
    report(f"contract: a saver with {options} sent {counts.total()} requests: {dict(counts)}")


def compare(local: Any, operation: str, request: dict[str, Any], answer: Any) -> None:
    """Send a request that was answered to DynamoDB Local too."""
    method = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).strip("_")
    other = played(local, method, request)
    if isinstance(answer, Refused):
        item = plain(answer.fields.get("Item"))
        assert_same(method, request, (answer.code, item), (other.get("code"), other.get("item")))
    elif operation in MEASURED:
        one = compared(answer, request)
        if operation == "Scan" or "IndexName" in request:
            one, other = in_any_order(one), in_any_order(other)
        assert_same(method, request, one, other)
