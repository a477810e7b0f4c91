"""The runtime needs six actions on the table and Query on its index, as `iam_policy` says, and no others."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt
from moto.core.exceptions import JsonRESTError
from moto.dynamodb.responses import DynamoHandler
from moto.iam.access_control import IAMRequest

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import AccessDeniedError
from langgraph_dynamo_conv.provision import iam_policy
from tests.engines import REGION
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.conftest import MakeSaver

ACTIONS = ("PutItem", "GetItem", "UpdateItem", "DeleteItem", "Query", "Scan")
LARGE = 2_000_000


class State(MessagesState):
    attachment: str


def agent(state: State) -> dict[str, Any]:
    if state["messages"][-1].type == "tool":
        return {"messages": [AIMessage("Done.")]}
    call = {"name": "send", "args": {"to": "bob"}, "id": str(uuid.uuid4())}
    return {"messages": [AIMessage("", tool_calls=[call])]}


def tools(state: State) -> dict[str, Any]:
    answer = interrupt("Send it?")
    last: Any = state["messages"][-1]
    call = last.tool_calls[0]
    return {"messages": [ToolMessage(f"sent: {answer}", tool_call_id=call["id"])]}


def graph_of(saver: DynamoDBConversationSaver) -> Any:
    builder = StateGraph(State)
    builder.add_node("agent", agent)
    builder.add_node("tools", tools)
    builder.add_edge(START, "agent")
    builder.add_conditional_edges("agent", lambda state: "tools" if state["messages"][-1].tool_calls else END)
    builder.add_edge("tools", "agent")
    return builder.compile(checkpointer=saver)


def use_all_of_the_runtime(saver: DynamoDBConversationSaver, *, scan: bool = True) -> None:
    """Runs, an interrupt, history, a fork, a large value, lists, every way of removing; without `scan`, for a user."""
    config = saver.new_conversation("alice", title="Mail")
    run_id = chat(saver, config)
    thread_id = config["configurable"]["thread_id"]
    assert [one.conversation_id for one in saver.conversations.list("alice")] == [thread_id]
    assert saver.conversations.get(thread_id, "alice").message_count >= 4
    assert saver.resume("alice") == config
    assert list(saver.list(None if scan else config))
    copied = str(uuid.uuid4())
    saver.copy_thread(thread_id, copied, user_id="alice")
    saver.delete_for_runs([run_id])
    saver.prune([thread_id])
    saver.conversations.rename(copied, "alice", "Copy")
    saver.conversations.add_message(copied, "user", "Thanks", user_id="alice")
    saver.delete_thread(copied)
    saver.conversations.delete_user("alice", scan=scan)
    assert list(saver.list(None if scan else config)) == []


def chat(saver: DynamoDBConversationSaver, config: RunnableConfig) -> str:
    """Several runs; gives the id of the first."""
    graph, run_id = graph_of(saver), str(uuid.uuid4())
    run: RunnableConfig = {**config, "metadata": {"run_id": run_id}}
    message = {"messages": [HumanMessage("Mail it")], "attachment": "x" * LARGE}
    graph.invoke(message, run, durability="sync")
    graph.invoke(Command(resume="yes"), run, durability="sync")
    states = list(graph.get_state_history(config))
    before = next(state for state in states if state.next == ("tools",))
    graph.invoke(None, before.config, durability="sync")
    graph.update_state(config, {"messages": [AIMessage("By the way")]})
    graph.invoke({"messages": [HumanMessage("Again")]}, config, durability="sync")
    saver.get_delta_channel_history(config=config, channels=["messages"])
    return run_id


@pytest.fixture
def iam_enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let moto refuse what no policy allows, by action and resource, in the words of DynamoDB."""

    def resource(handler: Any) -> str:
        asked = json.loads(handler.raw_body)
        arn = f"arn:aws:dynamodb:{REGION}:{handler.current_account}:table/{asked.get('TableName')}"
        return f"{arn}/index/{asked['IndexName']}" if "IndexName" in asked else arn

    def refuse(request: Any) -> None:
        said = f"User: {request._access_key.arn} is not authorized to perform: {request._action}"
        raise JsonRESTError("com.amazon.coral.service#AccessDeniedException", said)

    monkeypatch.setattr(DynamoHandler, "_determine_resource", resource, raising=False)
    monkeypatch.setattr(IAMRequest, "_raise_access_denied", refuse)
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)


@pytest.fixture
def role(client: DynamoDBClient, table_name: str) -> Iterator[Role]:
    role = Role(client.describe_table(TableName=table_name)["Table"]["TableArn"])
    yield role
    role.close()


class Role:
    """An IAM user that may do some of what `iam_policy` allows."""

    def __init__(self, table_arn: str) -> None:
        self.table_arn = table_arn
        self._iam = boto3.client("iam", region_name=REGION)
        self._name = f"runtime-{uuid.uuid4()}"
        self._iam.create_user(UserName=self._name)
        self._key = self._iam.create_access_key(UserName=self._name)["AccessKey"]
        self._clients: list[DynamoDBClient] = []

    def allow(self, *actions: str) -> DynamoDBClient:
        """A client that may do just these, where the policy allows them."""
        policy = iam_policy(self.table_arn)
        for statement in policy["Statement"]:
            statement["Action"] = [one for one in statement["Action"] if one.removeprefix("dynamodb:") in actions]
        return self.put(
            {**policy, "Statement": [statement for statement in policy["Statement"] if statement["Action"]]}
        )

    def put(self, policy: dict[str, Any]) -> DynamoDBClient:
        """A client that may do what a policy says."""
        self._iam.put_user_policy(UserName=self._name, PolicyName="runtime", PolicyDocument=json.dumps(policy))
        client = boto3.client(
            "dynamodb",
            region_name=REGION,
            aws_access_key_id=self._key["AccessKeyId"],
            aws_secret_access_key=self._key["SecretAccessKey"],
        )
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in (self._iam, *self._clients):
            client.close()


@pytest.mark.engine("moto")
def test_six_actions_are_enough(make_saver: MakeSaver, role: Role, request: pytest.FixtureRequest) -> None:
    client = role.allow(*ACTIONS)
    request.getfixturevalue("iam_enforced")

    use_all_of_the_runtime(make_saver(client=client))


@pytest.mark.engine("moto")
def test_without_scan_all_works_but_what_reads_the_whole_table(
    make_saver: MakeSaver, role: Role, request: pytest.FixtureRequest
) -> None:
    client = role.put(iam_policy(role.table_arn, scan=False))
    request.getfixturevalue("iam_enforced")
    saver = make_saver(client=client)

    use_all_of_the_runtime(saver, scan=False)
    for call in (lambda: list(saver.list(None)), lambda: saver.conversations.delete_user("alice", scan=True)):
        with pytest.raises(AccessDeniedError, match="dynamodb:Scan"):
            call()


@pytest.mark.engine("moto")
@pytest.mark.parametrize("missing", ACTIONS)
def test_without_one_of_them_the_error_names_it(
    make_saver: MakeSaver, role: Role, missing: str, request: pytest.FixtureRequest
) -> None:
    client = role.allow(*(action for action in ACTIONS if action != missing))
    request.getfixturevalue("iam_enforced")

    with pytest.raises(AccessDeniedError, match=rf"allow dynamodb:{missing} on the table and its index") as caught:
        use_all_of_the_runtime(make_saver(client=client))

    assert caught.value.operation == missing


@pytest.mark.engine("moto")
def test_the_policy_is_of_one_table(make_saver: MakeSaver, role: Role, request: pytest.FixtureRequest) -> None:
    client = role.allow(*ACTIONS)
    request.getfixturevalue("iam_enforced")
    other = DynamoDBConversationSaver("another-table", client=client)

    with pytest.raises(AccessDeniedError):
        other.get_tuple({"configurable": {"thread_id": "t", "user_id": "alice"}})

    other.close()


@pytest.mark.engine("dynamodb-local")
def test_no_other_operation_is_ever_sent(make_saver: MakeSaver, client: DynamoDBClient) -> None:
    with RequestLog(client) as log:
        use_all_of_the_runtime(make_saver())

    assert set(log.operations) == set(ACTIONS)
