"""The row never harms the run: what keeps it from following a state is logged, and the next turn mends it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from operator import add
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import START, MessagesState, StateGraph, add_messages
from langgraph.pregel._messages import _messages_delta_reducer

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import AccessDeniedError, TableNotFoundError
from tests.conftest import MakeSaver

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def refused(code: str) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "as DynamoDB quotes it"}, "ResponseMetadata": {}}, "UpdateItem"
    )  # type: ignore[typeddict-item]


GOES_ON = [
    refused("ThrottlingException"),
    refused("ConditionalCheckFailedException"),
    refused("InternalServerError"),
    refused("ValidationException"),
    EndpointConnectionError(endpoint_url="nowhere"),
    KeyError("a fault of this package"),
]
STOPS = {"AccessDeniedException": AccessDeniedError, "ResourceNotFoundException": TableNotFoundError}


class RowWrites:
    """Lets writes of rows fail."""

    def __init__(self, client: DynamoDBClient) -> None:
        self.error: Exception | None = None
        self._events = client.meta.events
        self._events.register("before-call.dynamodb.UpdateItem", self._before)

    def close(self) -> None:
        """The client is others' too."""
        self._events.unregister("before-call.dynamodb.UpdateItem", self._before)

    def _before(self, params: dict[str, Any], **_: Any) -> None:
        if self.error is not None and b'"message_count"' in params["body"]:
            raise self.error


@pytest.fixture
def row_writes(client: DynamoDBClient) -> Iterator[RowWrites]:
    with closing(RowWrites(client)) as writes:
        yield writes


def ask(saver: DynamoDBConversationSaver, config: Any, question: str) -> None:
    builder = StateGraph(MessagesState).add_node("a", lambda _: {"messages": [AIMessage(f"to {question}")]})
    builder.add_edge(START, "a").compile(checkpointer=saver).invoke({"messages": [("user", question)]}, config)


@pytest.mark.engine("moto", "dynamodb-local")
@pytest.mark.parametrize("error", GOES_ON, ids=lambda error: str(getattr(error, "response", error))[:40])
def test_a_run_goes_on_without_its_row_and_the_next_turn_mends_it(
    make_saver: MakeSaver, row_writes: RowWrites, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    saver = make_saver()
    config = saver.new_conversation("alice")
    ask(saver, config, "one")
    row_writes.error = error
    with caplog.at_level(logging.WARNING):
        ask(saver, config, "two")
    assert "stays behind its state" in caplog.text
    # what such an exception or DynamoDB says may quote messages
    assert "a fault of this package" not in caplog.text
    assert "as DynamoDB quotes it" not in caplog.text
    row_writes.error = None
    ask(saver, config, "three")
    shown = saver.conversations.get(config["configurable"]["thread_id"], "alice").messages
    assert [message.content for message in shown] == ["one", "to one", "two", "to two", "three", "to three"]


@pytest.mark.engine("moto", "dynamodb-local")
@pytest.mark.parametrize("code", STOPS)
def test_what_needs_a_person_is_raised(make_saver: MakeSaver, row_writes: RowWrites, code: str) -> None:
    saver = make_saver()
    row_writes.error = refused(code)
    with pytest.raises(STOPS[code]):
        ask(saver, saver.new_conversation("alice"), "one")


def newest(count: int, keep: Any) -> Any:
    return lambda old, new: keep(old, new)[-count:]


CHANNELS = {
    "add_messages": add_messages,
    "a window of a list": newest(3, add),
    "an agent that trims in its reducer": newest(2, add_messages),
    "snapshots of a DeltaChannel": DeltaChannel(_messages_delta_reducer, snapshot_frequency=2),
}


@pytest.mark.engine("moto", "dynamodb-local")
@pytest.mark.parametrize("durability", ["sync", "exit"])
@pytest.mark.parametrize("channel", CHANNELS.values(), ids=list(CHANNELS))
def test_rows_that_were_not_written_for_several_turns_are_mended(
    make_saver: MakeSaver, row_writes: RowWrites, channel: Any, durability: Any
) -> None:
    state = TypedDict("state", {"messages": Annotated[list, channel]})  # type: ignore[misc]  # noqa: UP013

    def answers(seen: Any) -> dict[str, Any]:
        return {"messages": [AIMessage(f"to {seen['messages'][-1].content}")]}

    builder: Any = StateGraph(state).add_node("a", answers).add_edge(START, "a")
    config = make_saver().new_conversation("alice")
    for number in range(6):
        row_writes.error = refused("ThrottlingException") if number in (1, 2, 4) else None
        graph = builder.compile(checkpointer=make_saver())  # a new process
        given = {"messages": [HumanMessage(f"question {number}")]}
        graph.invoke(given, config, durability=durability)
    shown = make_saver().conversations.get(config["configurable"]["thread_id"], "alice").messages
    said = [f"question {number}" for number in range(6)]
    assert [message.content for message in shown] == [text for one in said for text in (one, f"to {one}")]
