"""Plays the commands of docs/cli.md on an embedded table: writes their output into it, and pictures of three of them.

    python3 dev.py screenshots        docs/cli.md and docs/images/*.svg, where anything but ids and times has changed

Every line of a console block that begins with `$ langgraph-dynamo-conv` is run, in the document's order, in a terminal
of 110 columns, and what it prints takes the place of what stood below it. `| head -5` cuts the output as in a shell.
A question is answered with yes.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde import _msgpack
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt
from moto import mock_aws
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.cli import main

DOCUMENT = Path(__file__).parent / "cli.md"
IMAGES = Path(__file__).parent / "images"
PICTURES = {"list": "list alice", "show": "show 3f0c1c4e-6f0b-4a52-9d7e-0a4b8f2f5c11", "doctor": "doctor"}
"""File names of the pictures, and the command lines that they are of."""

PROMPT = "$ langgraph-dynamo-conv "
COLUMNS = 110

RENDERS, MAIL, ARCHIVE, LOGO = (
    "3f0c1c4e-6f0b-4a52-9d7e-0a4b8f2f5c11",
    "b1d9a1c2-0c51-4b0e-9a53-5f4d2c7e8a90",
    "7a2e6d34-91f8-4d0c-8b5a-2c9e1f60d7b3",
    "d4c3b2a1-5e6f-4a7b-8c9d-0e1f2a3b4c5d",
)
FOUND = [{"name": "harbour_4k.mov", "height": 2160}, {"name": "tower_4k.mov", "height": 2160}]
TURNS: dict[str, tuple[str, dict[str, Any], Any, str]] = {
    "Show me 4K renders": ("search_files", {"kind": "video", "min_height": 2160}, FOUND, "Two: harbour and tower."),
    "Details of the first one": (
        "file_details",
        {"name": "harbour_4k.mov"},
        {"name": "harbour_4k.mov", "seconds": 42, "bytes": 734003200},
        "harbour_4k.mov: 42 seconds, 700 MB.",
    ),
    "and of the second one": ("file_details", {"name": "tower_4k.mov"}, {"seconds": 17}, "tower_4k.mov: 17 seconds."),
    "Mail the newest cut to Bob": ("send_mail", {"to": "bob", "file": "harbour_4k.mov"}, None, ""),
    "Move last year's files into the archive": ("move", {"to": "archive"}, PermissionError("read-only"), "I may not."),
    "Make a logo": ("draw", {"what": "logo"}, "logo.svg", "Here it is: logo.svg"),
}
"""What is said: the tool that is called for it, its arguments, its result, and the answer."""

THEME = TerminalTheme(
    (250, 250, 250),
    (36, 41, 46),
    [
        (36, 41, 46),
        (179, 29, 40),
        (34, 134, 58),
        (149, 97, 0),
        (3, 102, 214),
        (111, 66, 193),
        (0, 110, 130),
        (88, 96, 105),
    ],
)
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_CREDIT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_IDS_AND_TIMES = re.compile(
    r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\d.\d\d:\d\d(:[\d.+:Z]+)?|[\d.]+"
)


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def agent(state: MessagesState) -> dict[str, Any]:
    """Calls a tool for what the user said, then answers."""
    said = next(message.text for message in reversed(state["messages"]) if message.type == "human")
    tool, args, _, answer = TURNS[said]
    if state["messages"][-1].type == "tool":
        return {"messages": [AIMessage(answer)]}
    return {
        "messages": [AIMessage("", tool_calls=[{"name": tool, "args": args, "id": f"call-{len(state['messages'])}"}])]
    }


def tools(state: MessagesState) -> dict[str, Any]:
    """The result of the tool; mail waits for a person, and the archive refuses."""
    call: Any = state["messages"][-1]
    (asked,) = call.tool_calls
    result = next(result for tool, args, result, _ in TURNS.values() if (tool, args) == (asked["name"], asked["args"]))
    if asked["name"] == "send_mail":
        interrupt("Send it?")
    failed = isinstance(result, Exception)
    content = str(result) if failed or isinstance(result, str) else json.dumps(result)
    return {"messages": [ToolMessage(content, tool_call_id=asked["id"], status="error" if failed else "success")]}


def fill(table_name: str, client: Any) -> None:
    """Conversations of alice and bob, made on a day in November."""
    now = [1_795_485_600.0]
    with DynamoDBConversationSaver(table_name, client=client, clock=lambda: now[0]) as saver:
        builder = StateGraph(MessagesState)
        builder.add_node("agent", agent)
        builder.add_node("tools", tools)
        builder.add_edge(START, "agent")
        builder.add_conditional_edges("agent", lambda state: "tools" if state["messages"][-1].tool_calls else END)
        builder.add_edge("tools", "agent")
        graph: Any = builder.compile(checkpointer=saver)

        def say(conversation: str, user: str, text: str, checkpoint: str | None = None) -> Any:
            now[0] += 1800
            place = {"thread_id": conversation, "user_id": user}
            config = {"configurable": {**place, "checkpoint_id": checkpoint} if checkpoint else place}
            graph.invoke({"messages": [HumanMessage(text)]}, config, durability="sync")
            return graph.get_state({"configurable": place}).config["configurable"]["checkpoint_id"]

        say(ARCHIVE, "alice", "Move last year's files into the archive")
        say(LOGO, "bob", "Make a logo")
        first = say(RENDERS, "alice", "Show me 4K renders")
        say(RENDERS, "alice", "and of the second one", first)
        say(RENDERS, "alice", "Details of the first one", first)
        say(MAIL, "alice", "Mail the newest cut to Bob")


@contextmanager
def stage() -> Iterator[None]:
    """An embedded table that is set up and filled, variables that name it, and a folder to write into."""
    variables = {
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "DYNAMODB_TABLE_NAME": "conversations",
        "COLUMNS": str(COLUMNS),
        "LINES": "50",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }
    before = Path.cwd()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "NO_COLOR", "FORCE_"))}
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.dict(os.environ, {**kept, **variables}, clear=True),
        # LangGraph's default, which it takes from the environment once
        patch.object(_msgpack, "STRICT_MSGPACK_ENABLED", False),
        mock_aws(),
    ):
        os.chdir(folder)
        try:
            typed("setup")
            client = boto3.client("dynamodb")
            fill("conversations", client)
            client.close()
            yield
        finally:
            os.chdir(before)


def typed(line: str) -> str:
    """What the terminal shows after a command line of the program, with its colours."""
    command, _, head = line.partition(" | head -")
    terminal = Terminal()
    with redirect_stdout(terminal), redirect_stderr(terminal), patch.object(sys, "stdin", io.StringIO("y\n")):
        main(shlex.split(command))
    shown = terminal.getvalue().replace("[y/N] ", "[y/N] y\n").splitlines()
    return "\n".join(shown[: int(head)] if head else shown)


def played(document: str) -> str:
    """The document with the output of its commands."""

    def play(block: re.Match[str]) -> str:
        lines = [line for line in block[1].splitlines() if line.startswith(PROMPT)]
        outputs = (Text.from_ansi(typed(line.removeprefix(PROMPT))).plain for line in lines)
        pairs = (
            f"{line}\n" + "".join(f"{one.rstrip()}\n" for one in output.splitlines())
            for line, output in zip(lines, outputs, strict=True)
        )
        return "```console\n" + "\n".join(pairs) + "```\n"

    return re.sub(r"^```console\n(.*?)^```\n", play, document, flags=re.MULTILINE | re.DOTALL)


def picture(line: str) -> str:
    """A terminal with a command line and its output, as an SVG file that refers to nothing outside it."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"{PROMPT}{line}", "bold"), soft_wrap=True)
    console.print(Text.from_ansi(typed(line)), soft_wrap=True)
    svg = console.export_svg(title="langgraph-dynamo-conv", theme=THEME, unique_id="terminal", font_aspect_ratio=0.61)
    return _CREDIT.sub("", _FONTS.sub("", svg)).replace("Fira Code", "ui-monospace, Menlo, Consolas")


def same(one: str, other: str) -> bool:
    """Whether two texts differ in no more than ids, times, numbers, and where lines are broken for their sake."""
    return _bare(one) == _bare(other)


def _bare(text: str) -> list[str]:
    return _IDS_AND_TIMES.sub("*", text).split()


def made() -> dict[Path, str]:
    """The document and the pictures as they should be."""
    with stage():
        files = {IMAGES / f"{name}.svg": picture(line) for name, line in PICTURES.items()}
        return {**files, DOCUMENT: played(DOCUMENT.read_text(encoding="utf-8"))}


if __name__ == "__main__":
    for path, text in made().items():
        if not path.exists() or not same(path.read_text(encoding="utf-8"), text):
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.name}")
