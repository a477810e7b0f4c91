"""The demo: a dialogue in processes of their own, the row, the costs, and a check that can fail."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest

import dev
from tests.engines import REGION, Engine

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

import agent  # noqa: E402
from demo import dialogue  # noqa: E402
from demo.check import Evidence, missing_from  # noqa: E402
from demo.row import readable  # noqa: E402
from demo.screen import Cost, Screen  # noqa: E402
from demo.units import Usage  # noqa: E402
from renders import RenderLibrary  # noqa: E402
from table import Table  # noqa: E402

MOST_LINES, MOST_COLUMNS, MOST_ROW_LINES = 90, 80, 40
PROGRAM = [sys.executable, str(EXAMPLES / "agent.py")]
ENDED = "Nothing is missing: messages, tool calls, title, times, list order, memory."


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "NO_COLOR"))}
    return kept | {"PYTHONPATH": str(EXAMPLES.parent), "PYTHONUTF8": "1", "TERM": "xterm-256color", "COLUMNS": "80"}


# The program.


@pytest.fixture(scope="module")
def plain() -> str:
    """What the demo prints into a pipe."""
    done = subprocess.run(
        [*PROGRAM, "--demo"], env=environment(), capture_output=True, encoding="utf-8", timeout=200, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_demo_finds_five_renders_and_answers_from_the_state_of_earlier_processes(plain: str) -> None:
    steps = plain.split("--- new process ")[1:]
    assert len({step.partition(" ")[0] for step in steps}) == len(dialogue.STEPS) == 5
    four_k, first_one, other, listed, again = (step.partition("\n")[2] for step in steps)
    assert "I found 5 files in 4K:" in four_k
    assert len(re.findall(r"^ +\d\. \S+ \(3840x2160, ", four_k, re.MULTILINE)) == 5
    assert "render_details(path='harbour/sh010_dawn.png')" in first_one
    assert "A new conversation." in other
    titles = re.findall(r"^  \d\. (.+) \(\d messages, ", listed, re.MULTILINE)
    assert titles == ["Show me harbour videos", "Show me 4K renders"]
    assert 'Opened "Show me 4K renders".' in again
    assert "assistant> harbour/sh020_crane.png was rendered at 2025-05-02T04:12:55Z." in again
    assert plain.endswith(ENDED + "\n")


def test_the_demo_fits_on_ninety_lines_of_eighty_columns_and_is_plain_in_a_pipe(plain: str) -> None:
    lines = plain.splitlines()
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= MOST_COLUMNS
    assert {char for char in plain if not char.isprintable()} == {"\n"}


def test_the_row_is_readable_json_with_tool_calls_and_results(plain: str) -> None:
    shown = plain.partition(".get_item ---\n")[2].partition("--- The costs")[0]
    assert len(shown.splitlines()) <= MOST_ROW_LINES
    row = json.loads(shown)
    call = row["messages"][1]["tool_calls"][0]
    assert (row["title"], row["message_count"]) == ("Show me 4K renders", 6)
    assert (call["tool"], call["args"], call["result"]["total"]) == ("search_renders", {"resolution": "4K"}, 5)
    assert row["messages"][3]["tool_calls"][0]["result"]["path"] == "harbour/sh010_dawn.png"


def test_the_costs_are_the_sum_of_what_the_processes_cost(plain: str) -> None:
    rows = re.findall(r"^ *(?:\d+ )? .*?(\d+) +([\d.]+) +([\d.]+)$", plain.partition("--- The costs")[2], re.MULTILINE)
    *each, total = [tuple(map(float, row)) for row in rows]
    assert len(each) == 5
    assert total == tuple(map(sum, zip(*each, strict=True)))
    assert each[3][1] == 0  # a list writes nothing
    price = f"${(total[1] * 0.625 + total[2] * 0.125) / 1e6:.6f} on demand"
    assert price in plain


def in_a_terminal(*options: str, **variables: str) -> tuple[int, str]:
    """Run the program with a terminal as its stdout; gives its exit code and what it wrote there."""
    ours, theirs = pty.openpty()
    written = b""
    with subprocess.Popen([*PROGRAM, *options], env=environment() | variables, stdout=theirs) as process:
        os.close(theirs)
        try:
            while part := os.read(ours, 65536):
                written += part
        except OSError:  # Linux says so at the end
            pass
        finally:
            os.close(ours)
    return process.returncode, written.decode().replace("\r\n", "\n")


def test_a_terminal_has_colours_and_frames_on_as_many_lines() -> None:
    code, written = in_a_terminal("--demo")
    assert code == 0
    assert "\x1b[1;32m" in written
    assert "╭─" in written
    lines = re.sub(r"\x1b\[[0-9;]*m", "", written).splitlines()
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= MOST_COLUMNS
    assert lines[-1] == ENDED


def test_help_is_that_of_the_example() -> None:
    arguments, rest = dev.parser().parse_known_args(["example", "--help"])
    assert (arguments.run, rest) == (dev.run_example, ["--help"])
    done = subprocess.run([*PROGRAM, "--help"], env=environment(), capture_output=True, encoding="utf-8", check=True)
    assert {"--demo", "--say", "--folder", "--table"} <= set(re.findall(r"--\w+", done.stdout))


def test_a_process_that_fails_ends_the_demo_with_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert agent.main(["--demo", "--model", "nobody:nothing"]) == 1
    told = capsys.readouterr()
    (line,) = told.err.splitlines()
    assert re.match(r"Error \(RuntimeError\): process \d+ failed: Error .*nobody", line)
    assert "Nothing is missing" not in told.out


@pytest.mark.with_all
@pytest.mark.engine("dynamodb-local")
def test_the_demo_plays_on_a_table_of_ones_own(
    engine: Engine, table_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--table", table_name, "--region", REGION, "--endpoint-url", str(engine.endpoint_url)]
    assert agent.main(["--demo", *options]) == 0
    output = capsys.readouterr().out
    assert output.endswith(ENDED + "\n")
    assert "The costs" not in output  # the requests of the processes are not counted there


# The check, on a dialogue that is played in this process.


class InProcess(dialogue.Demo):
    """The demo without processes."""

    def _step(self, *lines: str) -> Cost:
        with redirect_stdout(io.StringIO()) as said:
            agent.say(agent.Chat(self.table, self.user, RenderLibrary()), lines)
        self.screen.step(0, said.getvalue())
        return Cost(0, lines[-1], Usage())


class Broken(InProcess):
    """A demo after which somebody changes titles."""

    def play(self) -> tuple[Evidence, list[Cost]]:
        evidence, costs = super().play()
        resource = boto3.resource("dynamodb", region_name=REGION, endpoint_url=self.table.endpoint_url)
        key = {"conversation_id": evidence.conversation_id, "user_id": self.user}
        new: dict[str, Any] = {
            "UpdateExpression": "SET title = :new",
            "ExpressionAttributeValues": {":new": "Untitled"},
        }
        resource.Table(self.table.name).update_item(Key=key, **new)
        item = dialogue.stored_row(self.table, evidence.conversation_id, self.user)
        return dataclasses.replace(evidence, item=item), costs


@pytest.fixture
def table(engine: Engine, table_name: str) -> Table:
    return Table(table_name, REGION, engine.endpoint_url)


@pytest.fixture
def evidence(table: Table, capsys: pytest.CaptureFixture[str]) -> Evidence:
    return InProcess(table, "alice", (), Screen()).play()[0]


def test_the_check_names_everything_that_is_missing(evidence: Evidence) -> None:
    assert missing_from(evidence) == []
    for item, complaint in tampered(evidence.item):
        complaints = missing_from(dataclasses.replace(evidence, item=item))
        assert any(complaint in each for each in complaints), complaint
    for listed in ([], evidence.listed_ids[::-1]):
        assert "newest first" in missing_from(dataclasses.replace(evidence, listed_ids=listed))[-1]


def tampered(item: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Items in each of which one thing is wrong, and what should be said about it."""
    question, answer, follow_up, first_one, *rest = item["messages"]
    without_result = answer | {"tool_calls": [call | {"result": None} for call in answer["tool_calls"]]}
    yield {}, "the conversation's item"
    yield item | {"user_id": "mallory"}, "key"
    yield item | {"title": "Untitled"}, "title"
    yield item | {"message_count": 3}, "message_count of 6"
    yield item | {"created_at": "2020-01-01T00:00:00.000Z"}, "unchanged created_at"
    yield item | {"updated_at": item["created_at"]}, "updated_at after created_at"
    for messages, complaint in (
        ([question, answer, answer, first_one, *rest], "each with its answer"),
        ([question | {"content": "?"}, answer, follow_up, first_one, *rest], "the message"),
        ([question, answer | {"content": ""}, follow_up, first_one, *rest], "text and time"),
        ([question, answer | {"tool_calls": []}, follow_up, first_one, *rest], "tool calls in"),
        ([question, without_result, follow_up, first_one, *rest], "result of search_renders"),
        ([question, answer, follow_up, asking_for("other", first_one), *rest], "memory: 'Show me the first one'"),
        ([question, answer, follow_up, first_one, rest[0], asking_for("other", rest[1])], "memory: 'When was the"),
    ):
        yield item | {"messages": messages}, complaint


def asking_for(path: str, message: dict[str, Any]) -> dict[str, Any]:
    return message | {"tool_calls": [call | {"args": {"path": path}} for call in message["tool_calls"]]}


def test_the_demo_fails_if_the_table_does_not_hold_what_it_should(
    table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Broken(table, "alice", (), Screen()).run() == 1
    output = capsys.readouterr().out
    assert "Missing: the first message as title (it is 'Untitled')" in output
    assert "Nothing is missing" not in output


# The row.


def test_what_a_row_has_too_much_of_is_marked() -> None:
    item = {
        "title": "word " * 40,
        "binary": b"abc",
        "numbers": [Decimal("1.5"), Decimal(2)],
        "messages": [{"n": Decimal(n), "lists": ["one", "two", "three"]} for n in range(20)],
        "many": {"of them": {str(n): n for n in range(9)}},
    }
    text = readable(item, 30)
    shown = json.loads(text)
    assert len(text.splitlines()) <= 30
    assert max(map(len, text.splitlines())) <= MOST_COLUMNS - 4
    assert shown["title"].endswith("…")
    assert shown["binary"] == "… 3 bytes"
    assert shown["numbers"] == [1.5, 2]
    assert shown["messages"][-1] == "… 12 more"
    assert shown["messages"][0] == {"n": 0, "lists": ["one", "… 2 more"]}
    assert shown["many"]["of them"]["…"] == "3 more"


def test_what_the_table_holds_is_shown_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().row("The row", {"title": "\x1b]0;owned\x07\u202e"})
    Screen().step(1, "you> \x1b[31m\n")
    output = capsys.readouterr().out
    assert {char for char in output if not char.isprintable()} == {"\n"}


def test_no_color_leaves_the_colours_out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for variables in ({"FORCE_COLOR": "1"}, {"FORCE_COLOR": "1", "NO_COLOR": "1"}):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        Screen().step(1, "    [search_renders()]\n")
        shown.append(capsys.readouterr().out)
    assert "\x1b[36m" in shown[0]
    assert "\x1b[36m" not in shown[1]
