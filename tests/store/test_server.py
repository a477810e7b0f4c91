"""`ServerSaver`, with what LangGraph's server would say of its users. tests/server runs the server itself."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from langgraph_dynamo_conv import server
from langgraph_dynamo_conv.errors import ConversationNotFoundError, UserRequiredError
from langgraph_dynamo_conv.server import ServerSaver
from tests.factories import checkpoint, checkpoint_id

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MakeServerSaver = Callable[..., ServerSaver]

THREAD = "0b5c6f0e-8d0a-4a8b-9f0e-0a1b2c3d4e5f"
METADATA: Any = {"source": "loop", "step": 1, "parents": {}}


@pytest.fixture
def make(client: DynamoDBClient, table_name: str) -> Iterator[MakeServerSaver]:
    made: list[ServerSaver] = []

    def make(**options: Any) -> ServerSaver:
        made.append(ServerSaver(table_name, client=client, **options))
        return made[-1]

    yield make
    for saver in made:
        saver.close()


@pytest.fixture
def acting_as(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Says whom the server has authenticated; None is nobody, since it authenticates nobody."""

    class UnauthenticatedUser:
        identity = ""

    @contextmanager
    def acting_as(user_id: str | None) -> Iterator[None]:
        user = UnauthenticatedUser() if user_id is None else SimpleNamespace(identity=user_id)
        server: dict[str, Any] = {
            "langgraph_api": SimpleNamespace(),
            "langgraph_api.auth.noop": SimpleNamespace(UnauthenticatedUser=UnauthenticatedUser),
            "langgraph_api.utils": SimpleNamespace(get_auth_ctx=lambda: SimpleNamespace(user=user)),
        }
        with monkeypatch.context() as patch:
            for name, module in server.items():
                patch.setitem(sys.modules, name, module)
            yield

    return acting_as


def at(thread_id: str = THREAD, **configurable: Any) -> Any:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", **configurable}}


def put(saver: ServerSaver, value: Any, number: int = 1, **configurable: Any) -> Any:
    return saver.put(at(**configurable), checkpoint(number, {"value": value}), METADATA, {})


def value_of(saver: ServerSaver, **configurable: Any) -> Any:
    found = saver.get_tuple(at(**configurable))
    return None if found is None else found.checkpoint["channel_values"]["value"]


def owners(client: DynamoDBClient, table_name: str) -> set[str]:
    items = client.scan(TableName=table_name)["Items"]
    return {item["user_id"]["S"].partition("#")[0] for item in items}


def test_the_module_imports_nothing_of_the_server() -> None:
    code = "import sys, langgraph_dynamo_conv.server; print([m for m in sys.modules if m.startswith('langgraph_')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert {name.partition(".")[0] for name in ast.literal_eval(found)} == {"langgraph_dynamo_conv"}


@pytest.mark.parametrize("claimed", [{}, {"user_id": "bob"}, {"langgraph_auth_user_id": "bob"}, {"user_id": "Alice"}])
async def test_the_authenticated_user_is_taken_whatever_the_config_says(
    make: MakeServerSaver, acting_as: Any, client: DynamoDBClient, table_name: str, claimed: dict[str, str]
) -> None:
    saver = make(default_user_id="demo")
    with acting_as("alice"):
        put(saver, 1, **claimed)
        await saver.aput(at(checkpoint_id=checkpoint_id(1), **claimed), checkpoint(2, {"value": 2}), METADATA, {})
        saver.put_writes(at(checkpoint_id=checkpoint_id(2), **claimed), [("a", 1)], "one")
        await saver.aput_writes(at(checkpoint_id=checkpoint_id(2), **claimed), [("a", 1)], "two")
        found = await saver.aget_tuple(at(**claimed))
        listed = [one async for one in saver.alist(at(**claimed))]
        assert found is not None
        assert found.checkpoint["channel_values"] == {"value": 2}
        assert len(found.pending_writes or []) == 2
        assert [one.checkpoint["id"] for one in listed] == [one.checkpoint["id"] for one in saver.list(at(**claimed))]
        assert len(listed) == 2

    assert owners(client, table_name) == {"alice"}


def test_the_config_of_a_run_names_the_user_where_there_is_no_context(make: MakeServerSaver) -> None:
    saver = make(default_user_id="demo")
    put(saver, "alice's", langgraph_auth_user_id="alice", user_id="bob")
    put(saver, "demo's", langgraph_auth_user_id="")

    assert value_of(saver, user_id="alice") == "alice's"
    assert value_of(saver) == "demo's"
    assert value_of(saver, user_id="bob") is None


def test_what_the_server_says_of_a_request_is_no_metadata(make: MakeServerSaver) -> None:
    saver = make()
    said = {"langgraph_auth_permissions": "all", "langgraph_request_id": "r", "langgraph_auth_user": "alice"}
    put(saver, 1, langgraph_auth_user_id="alice", assistant_id="a", **said)

    found = saver.get_tuple(at(user_id="alice"))
    assert found is not None
    assert found.metadata == {**METADATA, "assistant_id": "a"}


def test_an_owner_is_looked_up_for_all_calls_that_name_no_user(
    make: MakeServerSaver, client: DynamoDBClient, table_name: str
) -> None:
    put(make(), 1, user_id="alice")
    saver = make(default_user_id="demo", owner_lookup=True)

    assert value_of(saver) == 1
    assert len(list(saver.list(at()))) == 1
    put(saver, 2, 2, checkpoint_id=checkpoint_id(1))
    saver.put_writes(at(checkpoint_id=checkpoint_id(2)), [("a", 1)], "task")
    assert saver.get_delta_channel_history(config=at(), channels=["value"])
    assert owners(client, table_name) == {"alice"}
    assert value_of(saver, user_id="demo") is None


def test_no_owner_is_looked_up_unless_it_was_asked_for(make: MakeServerSaver) -> None:
    put(make(), 1, user_id="alice")

    assert value_of(make(default_user_id="demo")) is None
    with pytest.raises(UserRequiredError):
        value_of(make())


def test_a_conversation_that_nobody_has_is_empty(make: MakeServerSaver) -> None:
    saver = make(owner_lookup=True)

    assert value_of(saver) is None
    assert list(saver.list(at())) == []
    with pytest.raises(UserRequiredError):
        put(saver, 1)
    with pytest.raises(UserRequiredError):
        saver.get_tuple({"configurable": {}})
    saver.delete_thread(THREAD)
    saver.copy_thread(THREAD, "another")
    saver.prune([THREAD])


def test_with_look_ups_what_is_anothers_is_refused_instead_of_begun_anew(make: MakeServerSaver, acting_as: Any) -> None:
    put(make(), 1, user_id="alice")
    with acting_as("bob"):
        assert value_of(make()) is None
        with pytest.raises(ConversationNotFoundError, match="not the authenticated user's"):
            value_of(make(owner_lookup=True))
        assert value_of(make(owner_lookup=True), thread_id="of nobody") is None
    with acting_as("alice"):
        assert value_of(make(owner_lookup=True)) == 1


CALLS: dict[str, Callable[[ServerSaver], Any]] = {
    "delete_thread": lambda saver: saver.delete_thread(THREAD),
    "copy_thread": lambda saver: saver.copy_thread(THREAD, "another"),
    "prune": lambda saver: saver.prune([THREAD]),
    "prune, delete_all": lambda saver: saver.prune([THREAD], strategy="delete_all"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_thread_id_alone_is_its_owners_and_no_other_users(
    make: MakeServerSaver, acting_as: Any, client: DynamoDBClient, table_name: str, name: str
) -> None:
    saver = make()
    put(saver, 1, user_id="alice")
    put(saver, 2, 2, user_id="alice", checkpoint_id=checkpoint_id(1))
    with acting_as("bob"), pytest.raises(ConversationNotFoundError, match="not the authenticated user's"):
        CALLS[name](saver)
    with acting_as(None):
        CALLS[name](saver)

    left = {
        thread: [one.checkpoint["channel_values"]["value"] for one in saver.list(at(thread, user_id="alice"))]
        for thread in (THREAD, "another")
    }
    deleted = {THREAD: [], "another": []}
    expected = {"copy_thread": {THREAD: [2, 1], "another": [2, 1]}, "prune": {THREAD: [2], "another": []}}
    assert left == expected.get(name, deleted)
    assert owners(client, table_name) <= {"alice"}


@pytest.mark.parametrize("name", ["delete_thread", "prune, delete_all"])
def test_of_a_shared_id_a_user_deletes_the_own_share_and_nobody_all(
    make: MakeServerSaver, acting_as: Any, client: DynamoDBClient, table_name: str, name: str
) -> None:
    saver = make()
    for user_id in ("alice", "bob"):
        put(saver, 1, user_id=user_id)
    with acting_as(None), pytest.raises(ValueError, match="several users"):
        CALLS[name](saver)
    assert owners(client, table_name) == {"alice", "bob"}
    with acting_as("bob"):
        CALLS[name](saver)
    assert owners(client, table_name) == {"alice"}


async def test_the_async_calls_act_as_the_same_user(
    make: MakeServerSaver, acting_as: Any, client: DynamoDBClient, table_name: str
) -> None:
    saver = make()
    for user_id in ("alice", "bob"):
        put(saver, 1, user_id=user_id, run_id="run")
    with acting_as("bob"):
        await saver.acopy_thread(THREAD, "another")
        await saver.aprune([THREAD])
        await saver.adelete_for_runs(["run"])
        assert value_of(saver) is None
        await saver.adelete_thread(THREAD)
        await saver.aprune(["another"], strategy="delete")

    assert owners(client, table_name) == {"alice"}
    assert value_of(saver, user_id="alice") == 1


def test_the_caller_can_say_whose_share_is_meant(
    make: MakeServerSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver = make()
    for user_id in ("alice", "bob"):
        put(saver, 1, user_id=user_id)
    saver.delete_thread(THREAD, user_id="bob")

    assert owners(client, table_name) == {"alice"}


def test_a_run_that_is_taken_back_without_a_user_is_taken_back_everywhere(make: MakeServerSaver) -> None:
    saver = make()
    put(saver, 1, user_id="alice", run_id="run")
    saver.delete_for_runs(["run"])

    assert value_of(saver, user_id="alice") is None


def test_somebody_without_a_name_is_not_whom_the_config_says(make: MakeServerSaver, acting_as: Any) -> None:
    saver = make(default_user_id="demo", owner_lookup=True)
    put(saver, 1, user_id="alice")
    for call in (*CALLS.values(), lambda saver: value_of(saver, user_id="alice"), lambda saver: value_of(saver)):
        with acting_as(""), pytest.raises(UserRequiredError, match="identity is empty"):
            call(saver)
    with acting_as("x#y"), pytest.raises(ValueError, match="user_id"):
        value_of(saver)
    assert value_of(saver, user_id="alice") == 1


def test_a_server_that_has_its_users_elsewhere_is_refused(
    make: MakeServerSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "langgraph_api", SimpleNamespace())
    with pytest.raises(RuntimeError, match="elsewhere"):
        value_of(make(default_user_id="demo"))


def test_an_empty_user_deletes_nothing(make: MakeServerSaver) -> None:
    saver = make()
    put(saver, 1, user_id="alice", run_id="run")
    calls: list[Callable[[], object]] = [
        lambda: saver.delete_thread(THREAD, user_id=""),
        lambda: saver.prune([THREAD], strategy="delete_all", user_id=""),
        lambda: saver.delete_for_runs(["run"], user_id=""),
        lambda: saver.copy_thread(THREAD, "another", user_id=""),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="user_id"):
            call()
    assert value_of(saver, user_id="alice") == 1


def test_an_owner_who_has_the_conversation_no_longer_is_forgotten(make: MakeServerSaver) -> None:
    saver, other = make(default_user_id="demo", owner_lookup=True), make()
    put(other, "alice's", user_id="alice")
    assert value_of(saver) == "alice's"
    other.delete_thread(THREAD, user_id="alice")
    put(other, "bob's", user_id="bob")
    assert value_of(saver) == "bob's"
    saver.prune([THREAD], strategy="delete")
    put(saver, "demo's")
    assert value_of(other, user_id="demo") == "demo's"


async def test_nothing_is_looked_up_on_the_event_loop(make: MakeServerSaver, client: DynamoDBClient) -> None:
    saver, loop = make(default_user_id="demo", owner_lookup=True), threading.get_ident()
    threads: list[int] = []
    client.meta.events.register("before-call.dynamodb", lambda **_: threads.append(threading.get_ident()))
    await saver.aput(at(), checkpoint(1, {"value": 1}), METADATA, {})
    await saver.aput_writes(at(checkpoint_id=checkpoint_id(1)), [("a", 1)], "task")
    assert [one async for one in saver.alist(at("of nobody"))] == []
    assert await saver.aget_tuple(at("of nobody")) is None
    with pytest.raises(UserRequiredError):
        await make(owner_lookup=True).aput(at("of nobody"), checkpoint(1, {}), METADATA, {})

    assert threads
    assert loop not in threads


def test_a_user_does_not_page_through_the_table(make: MakeServerSaver, acting_as: Any) -> None:
    saver = make()
    put(saver, 1, user_id="alice")
    assert len(list(saver.list(None))) == 1
    with acting_as("bob"), pytest.raises(UserRequiredError, match="whole table"):
        saver.list(None)


def test_a_wrong_strategy_or_a_text_instead_of_a_list_deletes_nothing(make: MakeServerSaver) -> None:
    saver = make()
    put(saver, 1, user_id="alice")
    with pytest.raises(ValueError, match="strategy"):
        saver.prune([THREAD], strategy="drop")
    with pytest.raises(TypeError, match="thread_ids"):
        saver.prune(THREAD)
    assert value_of(saver, user_id="alice") == 1


@pytest.mark.parametrize(("switch", "is_on"), [("", False), ("0", False), ("no", False), ("1", True), ("True", True)])
async def test_the_servers_saver_is_made_of_the_environment(
    client: DynamoDBClient, table_name: str, monkeypatch: pytest.MonkeyPatch, switch: str, is_on: bool
) -> None:
    monkeypatch.setenv("DYNAMODB_TABLE_NAME", table_name)
    monkeypatch.setenv(server.DEFAULT_USER, "demo")
    monkeypatch.setenv(server.OWNER_LOOKUP, switch)
    async with server.checkpointer() as saver:
        assert type(saver) is ServerSaver
        assert saver._owner_lookup is is_on
        assert saver.new_conversation()["configurable"]["user_id"] == "demo"


@pytest.mark.parametrize(
    ("name", "value"), [(server.OWNER_LOOKUP, "maybe"), (server.DEFAULT_USER, "a#b"), ("DYNAMODB_TABLE_NAME", "")]
)
async def test_a_wrong_variable_is_told_when_the_server_starts(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("DYNAMODB_TABLE_NAME", "conversations")
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="table|CONVERSATIONS_OWNER_LOOKUP|user_id"):
        async with server.checkpointer():
            pass
