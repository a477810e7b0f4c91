"""`show` and `export`: the dialogue as a person, a program or a browser gets it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

from langgraph_dynamo_conv.cli.output import Exit
from tests.cli.chats import HOSTILE, State, agent, chat, id_of

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_core.runnables import RunnableConfig

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.cli.conftest import Cli


pytestmark = pytest.mark.engine("dynamodb-local")


def waiting(saver: DynamoDBConversationSaver) -> RunnableConfig:
    """A conversation in which a tool call waits for a person."""

    def approve(state: State) -> dict[str, Any]:
        return {"messages": [interrupt("May I?")]}

    builder = StateGraph(State)
    builder.add_node("agent", agent)
    builder.add_node("tools", approve)
    builder.add_edge(START, "agent")
    builder.add_edge("agent", "tools")
    builder.add_edge("tools", END)
    config = saver.new_conversation("alice")
    builder.compile(checkpointer=saver).invoke({"messages": [("user", "boats")]}, config, durability="sync")
    return config


class Page(HTMLParser):
    """What a browser would make of a page: its elements and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_conversation_is_shown_as_a_dialogue_with_folded_tool_calls(
    cli: Cli, saver: DynamoDBConversationSaver
) -> None:
    conversation = id_of(chat(saver, "alice", "flats", "fail"))

    ended = cli("show", conversation, "--user", "alice")

    assert ended.code == 0
    lines = [line for line in ended.out.splitlines() if line]
    assert lines[0] == "flats"
    assert lines[1].startswith(f"{conversation} · alice · idle · ")
    assert [line.split()[0] for line in lines[2:] if not line.startswith(" ")] == ["user", "assistant"] * 2
    assert "  ▸ search(limit=3, query=flats) → 3 flats for flats" in lines
    assert "  ▸ search(limit=3, query=fail) failed: no such district" in lines
    assert "  Found: 3 flats for flats" in lines


def test_tool_calls_can_be_unfolded(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    conversation = id_of(chat(saver, "alice", "flats", "fail"))

    out = cli("show", conversation, "--tools").out

    assert '  ▾ search\n  {\n    "limit": 3,\n    "query": "flats"\n  }\n  →\n  3 flats for flats\n' in out
    assert "  failed:\n  no such district\n" in out


def test_a_pending_call_is_shown_as_such(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    conversation = id_of(waiting(saver))

    folded, unfolded = cli("show", conversation).out, cli("show", conversation, "--tools").out

    assert "· waiting ·" in folded
    assert "▸ search(limit=3, query=boats) … no result yet" in folded
    assert "  … no result yet\n" in unfolded


def test_long_arguments_and_results_are_cut_when_folded(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    conversation = saver.conversations.create("alice").conversation_id
    calls = [{"tool": "read", "args": {"text": "a" * 500}, "result": {"lines": ["b" * 900]}}]
    saver.conversations.add_message(conversation, "assistant", "", user_id="alice", tool_calls=calls)

    folded, unfolded = cli("show", conversation).out, cli("show", conversation, "--tools").out

    assert f"(text={'a' * 59}… (500 characters)) → " in folded
    assert "b" * 100 not in folded
    assert "b" * 100 in unfolded.replace("\n  ", "")


def test_only_the_newest_messages_are_shown_where_so_many_are_asked_for(
    cli: Cli, saver: DynamoDBConversationSaver
) -> None:
    conversation = id_of(chat(saver, "alice", "flats", "boats"))

    assert "(3 earlier messages)" in cli("show", conversation, "--limit", "1").out
    (message,) = cli("show", conversation, "--limit", "1", "--json").json["messages"]
    assert message["content"] == "Found: 3 flats for boats"
    assert cli("show", conversation, "--limit", "-1").code == Exit.USAGE


def test_a_conversation_as_json_is_that_of_the_api(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    conversation = id_of(chat(saver, "alice", "flats", HOSTILE))

    ended = cli("show", conversation, "--json")

    assert ended.json == saver.conversations.get(conversation, "alice").to_dict()
    assert {char for char in ended.out if not char.isprintable()} == {"\n"}


@pytest.mark.parametrize("options", [(), ("--tools",)], ids=["folded", "unfolded"])
def test_hostile_text_reaches_the_terminal_written_out(
    cli: Cli, saver: DynamoDBConversationSaver, options: tuple[str, ...]
) -> None:
    conversation = id_of(chat(saver, "alice", HOSTILE))

    out = cli("show", conversation, *options).out

    assert r"<script>alert(1)</script> [bold]x[/bold] \x1b]0;owned\x07\x1b[2J \x9b31m \u202etxt.exe \x00" in out
    assert {char for char in out if not char.isprintable()} == {"\n"}


@pytest.mark.parametrize("options", [(), ("--tools",)], ids=["folded", "unfolded"])
def test_hostile_names_of_tools_and_arguments_reach_the_terminal_written_out(
    cli: Cli, saver: DynamoDBConversationSaver, options: tuple[str, ...]
) -> None:
    made = saver.conversations.create("alice", title=HOSTILE)
    call = {"tool": HOSTILE, "args": {HOSTILE: HOSTILE}, "result": HOSTILE}
    saver.conversations.add_message(made.conversation_id, "assistant", "Done.", tool_calls=[call])

    out = cli("show", made.conversation_id, *options).out

    assert {char for char in out if not char.isprintable()} == {"\n"}


@pytest.mark.parametrize("format", ["jsonl", "json", "markdown"])
def test_an_export_is_that_of_the_api(cli: Cli, saver: DynamoDBConversationSaver, format: str) -> None:
    conversation = id_of(chat(saver, "alice", "flats", HOSTILE))
    chat(saver, "alice", "boats")

    one = cli("export", conversation, "--format", format)
    every = cli("export", "--user", "alice", "--format", format)

    assert one.out == "".join(saver.conversations.export("alice", conversation, format=format))
    assert every.out == "".join(saver.conversations.export("alice", format=format))


def test_an_export_with_json_is_json(cli: Cli, saver: DynamoDBConversationSaver, tmp_path: Path) -> None:
    conversation = id_of(chat(saver, "alice", "flats"))
    file = tmp_path / "flats.md"

    (printed,) = cli("export", conversation, "--json").json
    report = cli("export", conversation, "--json", "--format", "markdown", "--output", str(file)).json

    assert printed["conversation_id"] == conversation
    assert report == {"file": str(file), "format": "markdown", "bytes": file.stat().st_size}
    assert file.read_text().startswith("# flats\n")


def test_an_exported_page_runs_nothing_and_asks_no_one(
    cli: Cli, saver: DynamoDBConversationSaver, tmp_path: Path
) -> None:
    hostile = f"{HOSTILE}</div></details><img src=x onerror=alert(1)><a href='javascript:x'>{{{{ 7 * 7 }}}}"
    config = chat(saver, "alice", hostile)
    saver.conversations.rename(id_of(config), "alice", f"</title><script>alert(2)</script>{hostile}")
    calls = [{"tool": hostile, "args": {hostile: hostile}, "result": hostile, "status": "error"}, {"tool": "later"}]
    saver.conversations.add_message(id_of(config), "assistant", hostile, user_id="alice", tool_calls=calls)
    file = tmp_path / "page.html"

    ended = cli("export", id_of(config), "--format", "html", "--output", str(file))

    text = file.read_text(encoding="utf-8")
    page = Page(text)
    assert ended.out == f"{file}: {file.stat().st_size} bytes\n"
    assert {tag for tag, _ in page.elements} == {
        "html", "head", "meta", "title", "style", "body", "article", "h1", "p", "section", "h2", "time", "details",
        "summary", "pre", "div", "span",
    }  # fmt: skip
    assert {name for _, attributes in page.elements for name in attributes} == {
        "lang", "charset", "name", "content", "http-equiv", "class",
    }  # fmt: skip
    assert page.text.count("<img src=x onerror=alert(1)>") >= 5
    assert "{{ 7 * 7 }}" in page.text
    assert "://" not in text
    assert {char for char in text if not char.isprintable()} == {"\n"}
    assert "default-src 'none'" in text


def test_all_of_a_users_conversations_fit_on_one_page(cli: Cli, saver: DynamoDBConversationSaver) -> None:
    chat(saver, "alice", "flats")
    chat(saver, "alice", "boats")
    chat(saver, "bob", "secret")

    page = Page(cli("export", "--user", "alice", "--format", "html").out)

    assert [tag for tag, _ in page.elements].count("article") == 2
    assert "boats" in page.text
    assert "secret" not in page.text


def test_an_export_of_nothing_in_particular_is_a_wrong_argument(cli: Cli) -> None:
    ended = cli("export")

    assert ended.code == Exit.USAGE
    assert "give CONVERSATION, or --user" in ended.error
    assert cli("export", "--user", "nobody").out == ""
    assert json.loads(cli("export", "--user", "nobody", "--json").out) == []


def test_a_failed_export_leaves_no_file(cli: Cli, saver: DynamoDBConversationSaver, tmp_path: Path) -> None:
    chat(saver, "alice", "flats")

    missing = cli("export", "no-such-conversation", "--user", "alice", "-o", str(tmp_path / "a.jsonl"))
    nowhere = cli("export", "--user", "alice", "-o", str(tmp_path / "none" / "a.jsonl"))

    assert missing.code == Exit.MISSING
    assert nowhere.code == Exit.USAGE
    assert "a.jsonl can't be written: No such file or directory" in nowhere.error
    assert list(tmp_path.iterdir()) == []
