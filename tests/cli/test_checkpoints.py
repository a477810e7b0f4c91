"""`history`, `state` and `prune`."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

from langgraph_dynamo_conv.cli.commands.checkpoints import jsonable
from langgraph_dynamo_conv.cli.output import Exit
from tests.cli.chats import HOSTILE, Place, chat, graph_of, id_of

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.cli.conftest import Cli
    from tests.conftest import MakeSaver


def serde() -> JsonPlusSerializer:
    """That of an agent, which knows its own type."""
    return JsonPlusSerializer(allowed_msgpack_modules=[Place])


def encrypting() -> EncryptedSerializer:
    """A serializer for `--serde tests.cli.test_checkpoints:encrypting`."""
    return EncryptedSerializer.from_pycryptodome_aes(key=b"0123456789abcdef")


NOT_A_SERIALIZER = object


def with_subgraph(saver: DynamoDBConversationSaver) -> RunnableConfig:
    """A conversation whose graph has a subgraph with checkpoints of its own, which waits for a person."""

    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(interrupt("Really?"))]}

    inner = StateGraph(MessagesState)
    inner.add_node("ask", ask)
    inner.add_edge(START, "ask")
    outer = StateGraph(MessagesState)
    outer.add_node("expert", inner.compile(checkpointer=True))
    outer.add_edge(START, "expert")
    outer.add_edge("expert", END)
    config = saver.new_conversation("alice")
    outer.compile(checkpointer=saver).invoke({"messages": [HumanMessage("hm")]}, config, durability="sync")
    return config


def test_a_history_is_that_of_the_saver_with_sizes(cli: Cli, make_saver: MakeSaver) -> None:
    saver = make_saver(serde=serde())
    config = chat(saver, "alice", "flats")
    states = list(saver.list(config))

    shown = cli("history", id_of(config), "--json").json
    limited = cli("history", id_of(config), "--limit", "2", "--json").json

    assert [one["checkpoint_id"] for one in shown["checkpoints"]] == [one.checkpoint["id"] for one in states]
    assert [one["step"] for one in shown["checkpoints"]] == [3, 2, 1, 0, -1]
    assert [one["source"] for one in shown["checkpoints"]] == ["loop"] * 4 + ["input"]
    assert [one["parent_id"] for one in shown["checkpoints"]] == [one.checkpoint["id"] for one in states[1:]] + [None]
    assert all(100 < one["item_bytes"] < 1000 for one in shown["checkpoints"])
    assert [one["write_bytes"] > 100 for one in shown["checkpoints"]] == [False, True, True, True, True]
    assert limited["checkpoints"] == shown["checkpoints"][:2]


def test_a_history_draws_forks_beside_the_line(cli: Cli, make_saver: MakeSaver) -> None:
    saver = make_saver(serde=serde())
    config = chat(saver, "alice", "flats")
    states = list(saver.list(config))
    graph_of(saver).invoke({"messages": [HumanMessage("boats")]}, states[2].config, durability="sync")

    head, *lines = cli("history", id_of(config)).out.splitlines()

    assert head.split() == ["checkpoint", "step", "source", "created", "bytes", "writes"]
    graphs = [line[: line.index("●") + 1] if "●" in line else line.strip() for line in lines]
    assert graphs == ["●"] * 5 + ["│ ●"] * 2 + ["├─╯"] + ["●"] * 3
    assert [line.split()[2] for line in lines[5:7]] == [one.checkpoint["id"] for one in states[:2]]


def test_a_history_has_a_tree_for_each_subgraph(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    config = with_subgraph(saver)

    ended = cli("history", id_of(config))

    assert "\nsubgraph expert\n" in ended.out
    namespaces = [one["ns"] for one in cli("history", id_of(config), "--json").json["checkpoints"]]
    assert set(namespaces) == {"", "expert"}
    assert cli("state", id_of(config), "--ns", "expert", "--json").json["values"]["messages"][0]["content"] == "hm"


def test_a_conversation_without_checkpoints_has_no_history(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    conversation = saver.conversations.create("alice").conversation_id

    ended = cli("history", conversation)

    assert (ended.code, ended.out) == (0, "")
    assert ended.error.startswith("no checkpoints")


def test_a_state_shows_its_channels_and_what_is_pending(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    config = with_subgraph(saver)

    data = cli("state", id_of(config), "--user", "alice", "--json").json
    shown = cli("state", id_of(config)).out

    assert data["values"]["messages"][0]["type"] == "human"
    assert [one["channel"] for one in data["pending_writes"]] == ["__interrupt__"]
    assert "__interrupt__ (pending)" in shown
    assert f"checkpoint_id {data['checkpoint_id']} · " in shown


def test_a_state_of_types_that_are_not_known_here_shows_their_fields(
    cli: Cli, make_saver: MakeSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = chat(make_saver(serde=serde()), "alice", "flats")
    imported: list[str] = []
    really = importlib.import_module

    def noted(name: str, package: str | None = None) -> ModuleType:
        imported.append(name)
        return really(name, package)

    monkeypatch.setattr("importlib.import_module", noted)

    data = cli("state", id_of(config), "--json").json

    assert data["values"]["place"] == {"name": "Alfama", "rooms": 2}
    assert Place.__module__ not in imported


def test_an_older_state_and_one_channel_can_be_asked_for(cli: Cli, make_saver: MakeSaver) -> None:
    saver = make_saver(serde=serde())
    config = chat(saver, "alice", "flats")
    oldest = list(saver.list(config))[-2].checkpoint["id"]

    assert len(cli("state", id_of(config), "--checkpoint", oldest, "--json").json["values"]["messages"]) == 1
    assert cli("state", id_of(config), "--channel", "place").json == {"name": "Alfama", "rooms": 2}
    wrong = cli("state", id_of(config), "--channel", "nothing")
    assert (wrong.code, "it has " in wrong.error) == (Exit.USAGE, True)
    missing = cli("state", id_of(config), "--checkpoint", "1f0")
    assert (missing.code, missing.error) == (
        Exit.MISSING,
        "error: there is no such checkpoint: `history` lists those there are",
    )


def test_hostile_state_reaches_the_terminal_written_out(cli: Cli, make_saver: MakeSaver) -> None:
    config = chat(make_saver(serde=serde()), "alice", HOSTILE)

    for command in (["state"], ["state", "--channel", "messages"], ["state", "--json"], ["history"]):
        out = cli(command[0], id_of(config), *command[1:]).out
        assert {char for char in out if not char.isprintable()} == {"\n"}
    whole = cli("state", id_of(config), "--channel", "messages")
    assert "[bold]x[/bold]" in whole.out
    assert whole.json[0]["content"] == HOSTILE


def test_pruning_keeps_the_newest_state_exactly_and_the_transcript(cli: Cli, make_saver: MakeSaver) -> None:
    saver = make_saver(serde=serde())
    config = chat(saver, "alice", "flats", "boats")
    before = saver.get_tuple(config)
    transcript = saver.conversations.get(id_of(config), "alice")

    ended = cli("prune", id_of(config), "--user", "alice", "--yes", "--json")

    (done,) = ended.json["conversations"]
    assert (done["conversation_id"], done["after"]) == (id_of(config), 1)
    assert done["before"] > 5
    with make_saver(serde=serde()) as fresh:
        after = fresh.get_tuple(config)
        assert before is not None
        assert after is not None
        assert after.checkpoint == before.checkpoint
        assert after.checkpoint["channel_values"]["place"] == Place("Alfama", 2)
        assert fresh.conversations.get(id_of(config), "alice") == transcript


def test_all_of_a_users_conversations_can_be_pruned(cli: Cli, make_saver: MakeSaver) -> None:
    saver = make_saver(serde=serde())
    made = {id_of(chat(saver, "alice", "flats")), id_of(chat(saver, "alice", "boats"))}
    chat(saver, "bob", "his own")

    lines = cli("prune", "--user", "alice", "--all", "--yes").out.splitlines()

    assert {line.split()[0] for line in lines[1:]} == made
    assert {line.split()[-1] for line in lines[1:]} == {"1"}


@pytest.mark.parametrize("arguments", [(), ("--all",), ("one", "--all", "--user", "alice")])
def test_what_to_prune_is_said_plainly(cli: Cli, arguments: tuple[str, ...]) -> None:
    ended = cli("prune", *arguments)

    assert ended.code == Exit.USAGE
    assert "which conversations?" in ended.error


def test_encrypted_conversations_are_read_with_their_serializer(cli: Cli, make_saver: MakeSaver) -> None:
    config = chat(make_saver(serde=encrypting()), "alice", "flats")
    named = ("--serde", "tests.cli.test_checkpoints:encrypting")

    assert cli("show", id_of(config), *named, "--json").json["title"] == "flats"
    assert cli("state", id_of(config), *named, "--json").json["values"]["messages"][0]["content"] == "flats"
    assert cli("state", id_of(config)).code != 0


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("no_such_module_at_all:thing", "can be imported here"),
        ("tests.cli.test_checkpoints:nothing", "can be imported here"),
        ("tests.cli.test_checkpoints:NOT_A_SERIALIZER", "gives another object"),
    ],
)
def test_a_wrong_serializer_is_a_wrong_argument(cli: Cli, named: str, said: str) -> None:
    ended = cli("show", "c", "--serde", named)

    assert ended.code == Exit.USAGE
    assert said in ended.error


def test_any_value_of_a_state_can_be_shown() -> None:
    value = {1: (b"abc", {2}, None, True, 1.5), "place": Place("Alfama", 2), "type": Place}

    assert jsonable(value) == {
        "1": ["[bytes: 3]", [2], None, True, 1.5],
        "place": {"name": "Alfama", "rooms": 2},
        "type": str(Place),
    }
