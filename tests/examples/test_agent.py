"""The example: its model chooses the right tools, its tools stay in their folder, its memory is the table."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver

from tests.engines import REGION, Engine

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

import agent  # noqa: E402
from library import FileLibrary, LibraryError  # noqa: E402
from offline_model import OfflineFileModel, decide  # noqa: E402

NOW = datetime(2025, 5, 14, 12, tzinfo=timezone.utc)  # a Wednesday
KB = 1024


def files(*paths: str, start: int = 1) -> list[dict[str, Any]]:
    return [
        {
            "number": n,
            "path": path,
            "kind": "python",
            "size_bytes": n * KB,
            "modified": f"2025-05-0{n}T00:00:00Z",
        }
        for n, path in enumerate(paths, start=start)
    ]


def shown(
    *paths: str, total: int | None = None, tool: str = "search_files", start: int = 1, **args: Any
) -> list[AnyMessage]:
    """A turn that has shown these files, as messages."""
    call_id = f"{tool} {args}"
    result = {"total": total or len(paths), "files": files(*paths, start=start)}
    call = {"name": tool, "args": args, "id": call_id, "type": "tool_call"}
    answer = ToolMessage(json.dumps(result), tool_call_id=call_id)
    return [
        HumanMessage("an earlier question"),
        AIMessage("", tool_calls=[call]),
        answer,
        AIMessage("a list"),
    ]


def decision(text: str, *earlier: AnyMessage) -> Any:
    return decide([*earlier, HumanMessage(text)], NOW)


# Choosing tools.


@pytest.mark.parametrize(
    ("text", "tool", "args"),
    [
        ("Show me 4K renders", "search_files", {"name": "4k render"}),
        ("show me the python files", "search_files", {"kind": "python"}),
        ("how many markdown files do you have?", "search_files", {"kind": "markdown"}),
        ("Hello, do you have any videos?", "search_files", {"kind": "video"}),
        ("list all files", "search_files", {}),
        ("toml files", "search_files", {"extension": "toml"}),
        ("find *.json", "search_files", {"extension": "json"}),
        ("files named delta", "search_files", {"name": "delta"}),
        ('python files called "saver.py"', "search_files", {"kind": "python", "name": "saver.py"}),
        ("where is saver.py?", "search_files", {"name": "saver.py"}),
        ("is there a license?", "search_files", {"name": "license"}),
        ("files larger than 10 KB", "filter_files", {"min_bytes": 10 * KB}),
        (
            "images between 1 and 2.5 MB",
            "filter_files",
            {"kind": "image", "min_bytes": KB**2, "max_bytes": 2621440},
        ),
        ("python files under 500 bytes", "filter_files", {"kind": "python", "max_bytes": 500}),
        ("what changed this week?", "filter_files", {"modified_after": "2025-05-12"}),
        ("which files were changed today", "filter_files", {"modified_after": "2025-05-14"}),
        ("files changed in the last 3 days", "filter_files", {"modified_after": "2025-05-11"}),
        ("files changed in the last 2 hours", "filter_files", {"modified_after": "2025-05-14T10:00:00Z"}),
        (
            "docs changed since 2025-01-31",
            "filter_files",
            {"kind": "markdown", "modified_after": "2025-01-31"},
        ),
        ("files more than 2 weeks old", "filter_files", {"modified_before": "2025-04-30"}),
        ("files changed before 2025-01-01", "filter_files", {"modified_before": "2025-01-01"}),
        ("the largest file", "filter_files", {"order": "largest", "limit": 1}),
        ("the 3 newest python files", "filter_files", {"kind": "python", "order": "newest", "limit": 3}),
        ("tell me about docs/guide.md", "file_details", {"path": "docs/guide.md"}),
        ("open ../../etc/passwd", "file_details", {"path": "../../etc/passwd"}),
        ("show me README.md", "search_files", {"name": "README.md"}),
    ],
)
def test_the_model_chooses_the_tool_that_a_phrase_asks_for(text: str, tool: str, args: dict[str, Any]) -> None:
    assert decision(text) == [(tool, args)]


@pytest.mark.parametrize(
    ("text", "tool", "args"),
    [
        ("and the first one?", "file_details", {"path": "a.py"}),
        ("show me number 3", "file_details", {"path": "c.py"}),
        ("2", "file_details", {"path": "b.py"}),
        ("What was the last one?", "file_details", {"path": "c.py"}),
        ("the largest of them", "file_details", {"path": "c.py"}),
        ("how old is the oldest one?", "file_details", {"path": "a.py"}),
        ("which of them are larger than 2 KB?", "filter_files", {"kind": "python", "min_bytes": 2 * KB}),
        ("only those changed today", "filter_files", {"kind": "python", "modified_after": "2025-05-14"}),
    ],
)
def test_the_model_finds_what_is_meant_in_earlier_results(text: str, tool: str, args: dict[str, Any]) -> None:
    assert decision(text, *shown("a.py", "b.py", "c.py", kind="python")) == [(tool, args)]


def test_several_numbers_are_several_calls() -> None:
    calls = [("file_details", {"path": "a.py"}), ("file_details", {"path": "c.py"})]
    assert decision("the first and the third", *shown("a.py", "b.py", "c.py")) == calls


def test_more_asks_for_the_next_page_and_numbers_run_on() -> None:
    first = shown("a.py", "b.py", total=4, kind="python")
    assert decision("more", *first) == [("search_files", {"kind": "python", "offset": 2})]
    both = [*first, *shown("c.py", "d.py", total=4, start=3, kind="python", offset=2)]
    assert decision("number 1", *both) == [("file_details", {"path": "a.py"})]
    assert decision("number 4", *both) == [("file_details", {"path": "d.py"})]
    assert decision("more", *both) == "That was all: 4 files."


def test_the_largest_of_a_list_that_was_not_shown_whole_is_asked_for() -> None:
    expected = [("filter_files", {"kind": "python", "order": "largest", "limit": 1})]
    assert decision("the largest of them", *shown("a.py", "b.py", total=9, kind="python")) == expected


def test_it_is_the_file_shown_last() -> None:
    assert decision("how large is it?", *shown("a.py")) == [("file_details", {"path": "a.py"})]
    assert "Which file" in decision("how large is it?", *shown("a.py", "b.py"))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("hello!", "Hello"),
        ("thanks", "welcome"),
        ("help", "for example"),
        ("what can you do?", "for example"),
        ("What's the weather?", "did not understand"),
        ("delete README.md", "cannot do it"),
        ("the first one", "no files in this conversation yet"),
        ("more", "no list"),
    ],
)
def test_what_needs_no_tool_or_has_none_is_answered_honestly(text: str, answer: str) -> None:
    reply = decision(text)
    assert isinstance(reply, str)
    assert answer.lower() in reply.lower()


def test_a_number_that_was_not_shown_is_not_guessed() -> None:
    assert decision("number 7", *shown("a.py", "b.py")) == "I have shown no number 7: the list goes from 1 to 2."


def test_the_model_calls_only_tools_that_it_was_given(folder: Path) -> None:
    model = OfflineFileModel(now=lambda: NOW)
    assert "was not given" in model.invoke("show me the python files").text
    offered = model.bind_tools(FileLibrary(folder).tools()).invoke("show me the python files")
    assert [(call["name"], call["args"]) for call in offered.tool_calls] == [("search_files", {"kind": "python"})]


# The tools.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A library with files of known sizes and dates, a secret beside it, and links and hidden files in it."""
    (tmp_path / "secret.txt").write_text("do not show")
    library = tmp_path / "library"
    for name, size, day in (("app.py", 3000, 1), ("lib/tool.py", 20, 2), ("renders/4k/Shot.png", 9000, 3)):
        path = library / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * (size - 1) + b"\n")
        moment = datetime(2025, 5, day, tzinfo=timezone.utc).timestamp()
        os.utime(path, (moment, moment))
    for skipped in (".env", ".git/config", "__pycache__/app.pyc", "node_modules/x.js", "env/lib/y.py"):
        (library / skipped).parent.mkdir(parents=True, exist_ok=True)
        (library / skipped).write_text("hidden")
    (library / "env" / "pyvenv.cfg").write_text("")
    (library / "link.txt").symlink_to(tmp_path / "secret.txt")
    return library


def paths(result: dict[str, Any]) -> list[str]:
    return [file["path"] for file in result["files"]]


def test_a_search_finds_by_words_of_the_path_kind_and_extension(folder: Path) -> None:
    library = FileLibrary(folder)
    assert paths(library.search_files()) == ["app.py", "lib/tool.py", "renders/4k/Shot.png"]
    assert paths(library.search_files(name="4k render")) == ["renders/4k/Shot.png"]
    assert paths(library.search_files(kind="python")) == ["app.py", "lib/tool.py"]
    assert paths(library.search_files(extension=".PNG")) == ["renders/4k/Shot.png"]
    assert library.search_files(limit=1, offset=1)["files"][0]["number"] == 2
    assert library.search_files(limit=1)["total"] == 3


def test_a_filter_goes_by_size_date_and_order(folder: Path) -> None:
    library = FileLibrary(folder)
    assert paths(library.filter_files(min_bytes=3000)) == ["app.py", "renders/4k/Shot.png"]
    assert paths(library.filter_files(max_bytes=3000, kind="python")) == ["app.py", "lib/tool.py"]
    assert paths(library.filter_files(modified_after="2025-05-02")) == ["lib/tool.py", "renders/4k/Shot.png"]
    assert paths(library.filter_files(modified_before="2025-05-02T00:00:00Z")) == ["app.py"]
    assert paths(library.filter_files(order="smallest"))[0] == "lib/tool.py"
    assert paths(library.filter_files(order="newest", limit=1)) == ["renders/4k/Shot.png"]
    with pytest.raises(LibraryError, match="no ISO 8601 date"):
        library.filter_files(modified_after="yesterday")


def test_details_show_metadata_checksum_and_the_first_lines_of_text(folder: Path) -> None:
    (folder / "notes.txt").write_bytes(b"one\ntwo \x1b[31m red\n" + "äöü".encode() * 2000 + b"\nend")
    (folder / "blob.bin").write_bytes(b"a\0b")
    details = FileLibrary(folder).file_details("notes.txt")
    assert (details["kind"], details["lines"]) == ("text", 4)
    assert details["first_lines"][:2] == ["one", "two  [31m red"]
    assert FileLibrary(folder).file_details("app.py")["modified"] == "2025-05-01T00:00:00Z"
    assert "lines" not in FileLibrary(folder).file_details("blob.bin")


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "lib/../../secret.txt",
        "{outside}/secret.txt",
        "/etc/passwd",
        "link.txt",
        "~/secret.txt",
    ],
)
def test_nothing_outside_the_folder_is_shown(folder: Path, path: str) -> None:
    with pytest.raises(LibraryError, match=r"outside the library|no file"):
        FileLibrary(folder).file_details(path.format(outside=folder.parent))


@pytest.mark.parametrize("path", [".env", ".git/config", "lib/../.env", "__pycache__/app.pyc", "env/lib/y.py"])
def test_hidden_files_and_caches_are_neither_listed_nor_shown(folder: Path, path: str) -> None:
    assert path not in paths(FileLibrary(folder).search_files(limit=50))
    with pytest.raises(LibraryError, match="no part of the library"):
        FileLibrary(folder).file_details(path)


@pytest.mark.parametrize("path", ["", "lib", "missing.py", "a\0b", "x" * 5000])
def test_what_is_no_file_is_refused_in_words(folder: Path, path: str) -> None:
    with pytest.raises(LibraryError):
        FileLibrary(folder).file_details(path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="no folder"):
        FileLibrary(tmp_path / "nowhere")


# The agent.


def ask(graph: Any, text: str) -> list[AnyMessage]:
    config = {"configurable": {"thread_id": "1", "user_id": "alice"}}
    return list(agent.run_turn(graph, config, text))


def test_the_first_one_resolves_through_the_state_of_a_new_graph(folder: Path) -> None:
    saver = InMemorySaver()
    ask(agent.build_graph(OfflineFileModel(), FileLibrary(folder), saver), "Show me 4K renders")
    answer = ask(agent.build_graph(OfflineFileModel(), FileLibrary(folder), saver), "and the first one?")[-1]
    assert answer.text.startswith("renders/4k/Shot.png: image, 8.8 KB, changed 2025-05-03")


def test_a_file_named_without_its_folder_is_searched_and_then_shown(folder: Path) -> None:
    messages = ask(agent.build_graph(OfflineFileModel(), FileLibrary(folder), InMemorySaver()), "about tool.py")
    calls = [call["name"] for message in messages for call in getattr(message, "tool_calls", ())]
    assert calls == ["search_files", "file_details"]
    assert messages[-1].text.startswith("lib/tool.py: python, 20 bytes")


def test_a_refusal_is_told_to_the_person(folder: Path) -> None:
    graph = agent.build_graph(OfflineFileModel(), FileLibrary(folder), InMemorySaver())
    *_, refusal, answer = ask(graph, "show me ../secret.txt")
    assert isinstance(refusal, ToolMessage)
    assert refusal.status == "error"
    assert "outside the library" in answer.text


class CutOffModel(OfflineFileModel):
    """Fails at its second step, as a provider may in the middle of a turn."""

    def _generate(self, messages: list[Any], *args: Any, **kwargs: Any) -> Any:
        if isinstance(messages[-1], ToolMessage):
            raise ConnectionError("the provider is away")
        return super()._generate(messages, *args, **kwargs)


def test_a_turn_that_was_cut_off_is_finished_before_the_next(folder: Path) -> None:
    saver = InMemorySaver()
    with pytest.raises(ConnectionError):
        ask(agent.build_graph(CutOffModel(), FileLibrary(folder), saver), "python files")
    messages = ask(agent.build_graph(OfflineFileModel(), FileLibrary(folder), saver), "the first one")
    assert messages[0].text.startswith("I found 2 files of kind python")
    assert messages[-1].text.startswith("app.py")


# The terminal, on the test's table.


@pytest.fixture
def arguments(engine: Engine, table_name: str, folder: Path) -> list[str]:
    endpoint = ["--endpoint-url", engine.endpoint_url] if engine.endpoint_url else []
    return ["--table", table_name, "--region", REGION, "--folder", str(folder), *endpoint]


def test_a_chat_goes_on_after_a_restart(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for typed in ("Show me 4K renders\n", "and the first one?\n/history\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        assert agent.main([*arguments, "--user", "alice"]) == 0
    output = capsys.readouterr().out
    assert "Going on with your newest conversation" in output
    assert "assistant> renders/4k/Shot.png: image" in output
    assert "you> Show me 4K renders" in output


def test_what_the_table_holds_reaches_the_terminal_written_out(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("find \x1b]0;owned\x07\u202e\u200b\n/history\n/list\n/open 1\n"))

    agent.main(arguments)

    output = capsys.readouterr().out
    assert r"\x1b]0;owned\x07\u202e\u200b" in output
    assert {char for char in output if not char.isprintable()} == {"\n"}


def test_users_do_not_see_each_other(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for user, typed in (("alice", "Show me 4K renders\n"), ("bob", "/list\n/history\n/open 1\n")):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        assert agent.main([*arguments, "--user", user]) == 0
    output = capsys.readouterr().out
    assert "No conversations yet." in output
    assert "Nothing was said yet." in output
    assert "which has 0" in output


# The program, in a process of its own.


def run_program(*options: str, typed: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, EXAMPLES / "agent.py", *options],
        input=typed,
        env=environment | {"PYTHONPATH": str(EXAMPLES.parent), "PYTHONUTF8": "1", **variables},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_the_terminal_understands_its_commands() -> None:
    typed = [
        *(
            "/history",
            "Show me the python files",
            "/new",
            "the first one",
            "/list",
            "/open 2",
            "show me the first one",
        ),
        *("/history", "/open 9", "/nonsense", "/help", "/quit", "never read"),
    ]
    done = run_program("--folder", str(EXAMPLES.parent), typed="\n".join(typed), CHAT_USER="alice")
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.split("you> ")
    assert said[0].startswith("Table: embedded in this process; it vanishes at exit.")
    assert "Talking as alice about" in said[0]
    expected = {
        1: "Nothing was said yet.",
        2: "[search_files(kind='python')]",
        3: "A new conversation.",
        4: "no files in this conversation yet",
        5: "  1. the first one (2 messages",
        6: 'Opened "Show me the python files".',
        7: "[file_details(path=",
    }
    for number, text in expected.items():
        assert text in said[number], number
    assert "  2. Show me the python files (2 messages" in said[5]
    assert "/open takes a number of /list, which has 2." in done.stdout
    assert "There is no command /nonsense." in done.stdout
    assert done.stdout.endswith("Goodbye.\n")
    assert "never read" not in done.stdout


def only_line(text: str) -> str:
    lines = text.splitlines()
    assert len(lines) == 1, text
    return lines[0]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--folder", "/nowhere/at/all"], "there is no folder"),
        (["--user", "a#b"], "#"),
        (["--model", "nobody:nothing"], "nobody"),
    ],
)
def test_an_error_is_one_line(options: list[str], complaint: str) -> None:
    done = run_program(*options, typed="hello\n")
    assert done.returncode == 1
    assert complaint in only_line(done.stderr)


def test_missing_credentials_are_one_line(tmp_path: Path) -> None:
    nothing = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    done = run_program("--table", "mine", "--region", REGION, HOME=str(tmp_path), AWS_CONFIG_FILE=os.devnull, **nothing)
    assert done.returncode == 1
    assert "credentials" in only_line(done.stderr).lower()


def test_a_missing_table_is_one_line(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    endpoint = ["--endpoint-url", engine.endpoint_url] if engine.endpoint_url else []
    assert agent.main(["--table", "no-such-table", "--region", REGION, *endpoint]) == 1
    assert "no-such-table" in only_line(capsys.readouterr().err)


def test_ctrl_c_is_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(prompt: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupt)
    assert agent.main(arguments) == 130
    assert capsys.readouterr().err == "\nStopped.\n"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [(["--setup"], "need --table"), (["--demo", "--say=hello"], "leave out"), (["--demo", "--folder=."], "leave out")],
)
def test_options_that_contradict_each_other_are_refused(
    options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        agent.main(options)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_lines_that_are_to_be_said_go_on_with_the_newest_conversation(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert agent.main([*arguments, "--say", "Show me 4K renders"]) == 0
    assert agent.main([*arguments, "--say", "and the first one?", "--say", "/quit", "--say", "never said"]) == 0
    output = capsys.readouterr().out
    assert "you> and the first one?\n    [file_details(path='renders/4k/Shot.png')]\n" in output
    assert "never said" not in output
