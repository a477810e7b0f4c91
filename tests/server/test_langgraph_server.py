"""`langgraph dev` with the example's configuration, driven by LangGraph's own client; with and without authentication.

Each test asserts on the table too: whose items are there, and what the conversation says.
"""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient
from langgraph_sdk.errors import APIStatusError

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.server import DEFAULT_USER, OWNER_LOOKUP
from tests.engines import Engine, create_table
from tests.server.langgraph_dev import EXAMPLE, PEOPLE, asked, langgraph_dev

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.engine("dynamodb-local")

APPROVED = {"resume": {"decisions": [{"type": "approve"}]}}


@dataclass(frozen=True)
class Running:
    """A server, the user for whom the tests run, and the same table for a program beside it."""

    url: str
    user_id: str
    is_authenticated: bool
    table_name: str
    saver: DynamoDBConversationSaver
    dynamodb: Any
    open_clients: ExitStack

    def client(self, user_id: str | None = None) -> SyncLangGraphClient:
        """A client of the server, signed in as this user if there is authentication."""
        tokens = {name: token for token, name in PEOPLE.items()}
        headers = {"Authorization": f"Bearer {tokens[user_id or self.user_id]}"} if self.is_authenticated else None
        return self.open_clients.enter_context(get_sync_client(url=self.url, headers=headers))

    def owners(self, thread_id: str) -> set[str]:
        """Whose items a conversation has in the table."""
        found = self.dynamodb.query(
            TableName=self.table_name,
            KeyConditionExpression="conversation_id = :id",
            ExpressionAttributeValues={":id": {"S": thread_id}},
        )["Items"]
        return {item["user_id"]["S"].partition("#")[0] for item in found}

    def said(self, thread_id: str) -> list[tuple[str, str]]:
        """The readable conversation."""
        conversation = self.saver.conversations.get(thread_id, self.user_id, limit=1000)
        return [(one.role, one.content) for one in conversation.messages]

    def status(self, thread_id: str) -> str | None:
        return self.saver.conversations.get(thread_id, self.user_id).status

    def config(self, thread_id: str) -> Any:
        return {"configurable": {"thread_id": thread_id, "user_id": self.user_id}}


@pytest.fixture(scope="module")
def shared_table(client: DynamoDBClient) -> Iterator[str]:
    name = create_table(client)
    yield name
    client.delete_table(TableName=name)


@contextmanager
def started(engine: Engine, table_name: str, folder: Path, user_id: str = "alice", **more: str) -> Iterator[Running]:
    """A server with the example's authentication, or without where it is for "demo"."""
    client, is_authenticated = engine.client(), user_id != "demo"
    with (
        DynamoDBConversationSaver(table_name, client=client) as saver,
        langgraph_dev(folder, engine, table_name, authenticated=is_authenticated, **more) as url,
        ExitStack() as open_clients,
    ):
        yield Running(url, user_id, is_authenticated, table_name, saver, client, open_clients)
    client.close()


@pytest.fixture(scope="module", params=["with authentication", "without authentication"])
def running(
    request: pytest.FixtureRequest, engine: Engine, shared_table: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("server")
    users = {"with authentication": ("alice", {}), "without authentication": ("demo", {DEFAULT_USER: "demo"})}
    user_id, variables = users[request.param]
    with started(engine, shared_table, folder, user_id, **variables) as running:
        yield running


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come about within 30 s")


def contents(state: Any) -> list[str]:
    return [message["content"] for message in state["values"].get("messages", [])]


def talked(running: Running, *texts: str) -> str:
    """A thread of the slow agent in which these were said and answered."""
    client = running.client()
    thread_id: str = (client.threads.create())["thread_id"]
    for text in texts:
        client.runs.wait(thread_id, "slow", input=asked(text))
    return thread_id


def test_a_thread_is_empty_before_its_first_run(running: Running) -> None:
    client = running.client()
    thread_id = (client.threads.create())["thread_id"]

    assert (client.threads.get_state(thread_id))["values"] == {}
    assert client.threads.get_history(thread_id) == []
    assert running.owners(thread_id) == set()
    client.threads.delete(thread_id)


def test_a_run_is_the_users_conversation_and_its_versions_are_text(running: Running) -> None:
    client = running.client()
    thread_id = (client.threads.create())["thread_id"]
    events = [part.event for part in client.runs.stream(thread_id, "slow", input=asked("one"))]

    assert "error" not in events
    assert events[-1] == "values"
    assert running.said(thread_id) == [("user", "one"), ("assistant", "answer to one")]
    assert running.status(thread_id) == "idle"
    assert running.owners(thread_id) == {running.user_id}
    found = running.saver.get_tuple(running.config(thread_id))
    assert found is not None
    versions = list(found.checkpoint["channel_versions"].values())
    assert versions
    assert all(isinstance(version, str) and len(version.partition(".")[0]) == 32 for version in versions)
    assert not [name for name in found.metadata if name.startswith("langgraph_auth") or name == "langgraph_request_id"]


def test_a_tool_asks_waits_and_goes_on(running: Running) -> None:
    client = running.client()
    thread_id = (client.threads.create())["thread_id"]
    client.runs.wait(thread_id, "assistant", input=asked("show me the Python files"))
    stopped = client.runs.wait(thread_id, "assistant", input=asked("the first one"))

    assert stopped["__interrupt__"]
    assert running.status(thread_id) == "waiting"
    state = client.threads.get_state(thread_id)
    assert state["next"]
    assert state["interrupts"]
    assert [one["thread_id"] for one in client.threads.search(status="interrupted")] == [thread_id]

    ended = client.runs.wait(thread_id, "assistant", command=APPROVED)
    assert [message["type"] for message in ended["messages"]][-3:] == ["ai", "tool", "ai"]
    assert running.status(thread_id) == "idle"
    assert running.owners(thread_id) == {running.user_id}


def test_threads_are_searched(running: Running) -> None:
    client = running.client()
    name = uuid.uuid4().hex
    thread_id = (client.threads.create(metadata={"subject": name}))["thread_id"]
    client.runs.wait(thread_id, "slow", input=asked("search"))

    (found,) = client.threads.search(metadata={"subject": name})
    assert found["thread_id"] == thread_id
    assert found["status"] == "idle"
    assert contents(found)[-1] == "answer to search"


def test_a_run_in_the_background_is_joined(running: Running) -> None:
    client = running.client()
    thread_id = (client.threads.create())["thread_id"]
    run = client.runs.create(thread_id, "slow", input=asked("background"))
    client.runs.join(thread_id, run["run_id"])

    assert (client.runs.get(thread_id, run["run_id"]))["status"] == "success"
    assert running.said(thread_id)[-1] == ("assistant", "answer to background")


def test_a_run_without_a_thread_leaves_no_conversation(running: Running) -> None:
    before = {one.conversation_id for one in running.saver.conversations.list(running.user_id, limit=100)}
    ended = running.client().runs.wait(None, "slow", input=asked("stateless"))

    assert ended["messages"][-1]["content"] == "answer to stateless"
    assert {one.conversation_id for one in running.saver.conversations.list(running.user_id, limit=100)} == before


def waiting_run(running: Running, thread_id: str) -> str:
    """A run that is under way, and has stored a step."""
    client = running.client()
    run_id: str = (client.runs.create(thread_id, "slow", input=asked("wait")))["run_id"]

    def has_thought() -> bool:
        found = running.saver.get_tuple(running.config(thread_id))
        return found is not None and found.checkpoint["channel_values"].get("thought") == "wait"

    wait_for(has_thought)
    return run_id


def test_a_run_that_is_cancelled_keeps_what_it_has_said(running: Running) -> None:
    client = running.client()
    thread_id = talked(running, "one")
    run_id = waiting_run(running, thread_id)
    client.runs.cancel(thread_id, run_id, wait=True)

    assert (client.runs.get(thread_id, run_id))["status"] == "interrupted"
    state = client.threads.get_state(thread_id)
    assert (contents(state)[-1], state["values"]["thought"], state["next"]) == ("wait", "wait", ["answer"])
    client.runs.wait(thread_id, "slow", input=asked("two"))
    assert running.said(thread_id)[-1] == ("assistant", "answer to two")
    assert running.owners(thread_id) == {running.user_id}


def test_a_run_that_is_rolled_back_was_never_there(running: Running) -> None:
    client = running.client()
    thread_id = talked(running, "one")
    run_id = waiting_run(running, thread_id)
    client.runs.cancel(thread_id, run_id, wait=True, action="rollback")

    def is_back() -> bool:
        return contents(client.threads.get_state(thread_id))[-1] == "answer to one"

    wait_for(is_back)
    left = [one.metadata.get("run_id") for one in running.saver.list(running.config(thread_id))]
    assert left
    assert run_id not in left
    client.runs.wait(thread_id, "slow", input=asked("two"))
    assert contents(client.threads.get_state(thread_id))[0::2] == ["one", "two"]


def test_a_second_run_takes_the_place_of_the_first(running: Running) -> None:
    client = running.client()
    thread_id = talked(running, "one")
    waiting_run(running, thread_id)
    ended = client.runs.wait(thread_id, "slow", input=asked("instead"), multitask_strategy="rollback")

    assert [message["content"] for message in ended["messages"]][0::2] == ["one", "instead"]


def test_a_run_from_an_earlier_checkpoint_is_a_fork(running: Running) -> None:
    client = running.client()
    thread_id = talked(running, "one", "two")
    history = client.threads.get_history(thread_id, limit=100)
    after_one = next(state for state in history if contents(state)[-1:] == ["answer to one"])
    client.runs.wait(thread_id, "slow", input=asked("three"), checkpoint=after_one["checkpoint"])

    assert [text for role, text in running.said(thread_id) if role == "user"] == ["one", "three"]
    assert contents(client.threads.get_state(thread_id))[0::2] == ["one", "three"]
    assert running.owners(thread_id) == {running.user_id}


def test_a_state_that_is_updated_by_hand_is_the_users(running: Running) -> None:
    client = running.client()
    thread_id = talked(running, "one")
    client.threads.update_state(thread_id, asked("added"))

    assert contents(client.threads.get_state(thread_id))[-1] == "added"
    assert ("user", "added") in running.said(thread_id)
    assert running.owners(thread_id) == {running.user_id}


def test_a_thread_is_copied_pruned_and_deleted(running: Running) -> None:
    client = running.client()
    thread_id = talked(running, "one", "two")
    client.threads.copy(thread_id)
    copies = [one["thread_id"] for one in client.threads.search(limit=100) if one["thread_id"] != thread_id]
    (copy_id,) = [one for one in copies if running.owners(one) and running.said(one) == running.said(thread_id)]
    client.runs.wait(copy_id, "slow", input=asked("three"))
    assert len(running.said(copy_id)) == len(running.said(thread_id)) + 2
    assert running.owners(copy_id) == {running.user_id}

    client.threads.delete(copy_id)
    assert running.owners(copy_id) == set()
    client.threads.prune([thread_id])
    assert running.owners(thread_id) == set()


def test_a_program_and_the_server_go_on_with_one_conversation(running: Running) -> None:
    def answer(state: MessagesState) -> Any:
        return {"messages": [AIMessage(f"the program's answer to {state['messages'][-1].content}")]}

    builder = StateGraph(MessagesState)
    builder.add_node("answer", answer)
    builder.add_edge(START, "answer")
    program = builder.compile(checkpointer=running.saver)
    client = running.client()

    thread_id = talked(running, "one")
    config = running.config(thread_id)
    program.invoke({"messages": [HumanMessage("two")]}, config)
    assert contents(client.threads.get_state(thread_id))[-1] == "the program's answer to two"
    client.runs.wait(thread_id, "slow", input=asked("three"))
    state = program.get_state(config)

    expected = ["answer to one", "the program's answer to two", "answer to three"]
    assert [text for role, text in running.said(thread_id) if role == "assistant"] == expected
    assert state.values["messages"][-1].content == "answer to three"
    assert running.owners(thread_id) == {running.user_id}


@pytest.fixture(scope="module")
def two_users(engine: Engine, shared_table: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with started(engine, shared_table, tmp_path_factory.mktemp("two-users")) as running:
        yield running


REQUESTS: dict[str, Callable[[SyncLangGraphClient, str], Any]] = {
    "get": lambda client, thread_id: client.threads.get(thread_id),
    "state": lambda client, thread_id: client.threads.get_state(thread_id),
    "history": lambda client, thread_id: client.threads.get_history(thread_id),
    "run": lambda client, thread_id: client.runs.wait(thread_id, "slow", input=asked("mine now")),
    "background run": lambda client, thread_id: client.runs.create(thread_id, "slow", input=asked("mine now")),
    "update": lambda client, thread_id: client.threads.update_state(thread_id, asked("mine now")),
    "copy": lambda client, thread_id: client.threads.copy(thread_id),
    "prune": lambda client, thread_id: client.threads.prune([thread_id]),
    "delete": lambda client, thread_id: client.threads.delete(thread_id),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_user_does_not_reach_anothers_thread(two_users: Running, name: str) -> None:
    thread_id = talked(two_users, "one")
    before = two_users.said(thread_id)
    with pytest.raises((APIStatusError, httpx.HTTPStatusError)) as refused:
        REQUESTS[name](two_users.client("bob"), thread_id)

    assert refused.value.response.status_code in (403, 404, 409)
    assert two_users.said(thread_id) == before
    assert two_users.owners(thread_id) == {"alice"}
    assert thread_id not in [one["thread_id"] for one in two_users.client("bob").threads.search(limit=100)]


def conversation_of_a_program(running: Running, user_id: str) -> str:
    """A conversation that the server has never heard of."""
    builder = StateGraph(MessagesState)
    builder.add_node("answer", lambda _: {"messages": [AIMessage("the program's answer")]})
    builder.add_edge(START, "answer")
    thread_id = str(uuid.uuid4())
    config: Any = {"configurable": {"thread_id": thread_id, "user_id": user_id}}
    builder.compile(checkpointer=running.saver).invoke({"messages": [HumanMessage("of a program")]}, config)
    return thread_id


@pytest.mark.parametrize("name", REQUESTS)
def test_a_user_who_makes_a_thread_of_anothers_id_reaches_nothing(two_users: Running, name: str) -> None:
    thread_id = conversation_of_a_program(two_users, "alice")
    before = two_users.said(thread_id)
    bob = two_users.client("bob")
    bob.threads.create(thread_id=thread_id, graph_id="slow")
    try:
        found = REQUESTS[name](bob, thread_id)
    except APIStatusError as error:
        found = error.body

    assert "of a program" not in str(found)
    assert two_users.said(thread_id) == before
    assert "alice" in two_users.owners(thread_id)
    assert two_users.saver.get_tuple(two_users.config(thread_id)) is not None


@pytest.mark.parametrize("name", ["user_id", "langgraph_auth_user_id"])
def test_a_client_can_not_say_who_it_is(two_users: Running, name: str) -> None:
    client = two_users.client()
    thread_id = client.threads.create()["thread_id"]
    client.runs.wait(thread_id, "slow", input=asked("mine"), config={"configurable": {name: "bob"}})

    assert two_users.owners(thread_id) == {"alice"}


def test_the_examples_terminal_talks_approves_and_goes_on(two_users: Running) -> None:
    def talk(*texts: str, keys: str = "") -> str:
        command = [sys.executable, EXAMPLE / "talk.py", "token of alice", "--url", two_users.url, *texts]
        return subprocess.run(command, input=keys, capture_output=True, text=True, check=True, timeout=60).stdout

    first = talk("show me the Python files", "the first one", keys="y\n")
    thread_id = first.split()[1]
    second = talk("--thread", thread_id, "how large is it", keys="n\n")

    assert "may it call file_details" in first
    assert second.startswith(f"thread {thread_id}")
    assert [role for role, _ in two_users.said(thread_id)] == ["user", "assistant"] * 3


def test_a_question_is_there_and_is_answered_after_the_server_was_down(
    engine: Engine, shared_table: str, tmp_path: Path
) -> None:
    with started(engine, shared_table, tmp_path) as running:
        client = running.client()
        thread_id = client.threads.create()["thread_id"]
        client.runs.wait(thread_id, "assistant", input=asked("show me the Python files"))
        client.runs.wait(thread_id, "assistant", input=asked("the first one"))
    with started(engine, shared_table, tmp_path) as running:
        client = running.client()
        assert client.threads.get_state(thread_id)["interrupts"]
        ended = client.runs.wait(thread_id, "assistant", command=APPROVED)
        assert ended["messages"][-2]["type"] == "tool"
        assert running.status(thread_id) == "idle"


def test_a_server_that_looks_owners_up_goes_on_with_everybodys_conversations(
    engine: Engine, shared_table: str, tmp_path: Path
) -> None:
    variables = {DEFAULT_USER: "demo", OWNER_LOOKUP: "1"}
    with started(engine, shared_table, tmp_path, "demo", **variables) as running:
        client = running.client()
        thread_id = conversation_of_a_program(running, "carol")
        client.threads.create(thread_id=thread_id, graph_id="slow")
        assert contents(client.threads.get_state(thread_id)) == ["of a program", "the program's answer"]
        client.runs.wait(thread_id, "slow", input=asked("two"))
        client.threads.update_state(thread_id, asked("three"))

        assert running.owners(thread_id) == {"carol"}
        assert len(client.threads.get_history(thread_id, limit=100)) > 5
        said = running.saver.conversations.get(thread_id, "carol").messages
        expected = ["of a program", "the program's answer", "two", "answer to two", "three"]
        assert [one.content for one in said] == expected
        client.threads.delete(thread_id)
        assert running.owners(thread_id) == set()
