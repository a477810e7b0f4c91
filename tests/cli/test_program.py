"""The program as it is installed: entry points, help, completion, a real terminal, signals, the missing extra."""

from __future__ import annotations

import os
import pty
import re
import runpy
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import langgraph_dynamo_conv
from langgraph_dynamo_conv.cli import app_of
from langgraph_dynamo_conv.cli.output import Exit
from tests.cli.chats import HOSTILE, chat, id_of

if TYPE_CHECKING:
    from pathlib import Path

    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.cli.conftest import Cli
    from tests.engines import Engine

pytestmark = pytest.mark.engine("dynamodb-local")


MODULE = [sys.executable, "-m", "langgraph_dynamo_conv"]
PROGRAM = [os.path.join(os.path.dirname(sys.executable), "langgraph-dynamo-conv")]  # noqa: PTH118,PTH120 - as given
COMMANDS = sorted(command.name or "" for command in app_of().registered_commands)
each_command = pytest.mark.parametrize("command", COMMANDS)

on_dynamodb_local = pytest.mark.engine("dynamodb-local")


@pytest.fixture
def environment(engine: Engine, table_name: str) -> dict[str, str]:
    """Variables that name the engine's table to another process."""
    return {**os.environ, "DYNAMODB_TABLE_NAME": table_name, "AWS_ENDPOINT_URL_DYNAMODB": str(engine.endpoint_url)}


def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)


@on_dynamodb_local
@pytest.mark.parametrize("program", [MODULE, PROGRAM], ids=["module", "program"])
def test_the_entry_points_work(
    program: list[str], environment: dict[str, str], saver: DynamoDBConversationSaver
) -> None:
    conversation = id_of(chat(saver, "alice", "flats in Lisbon"))

    shown = run([*program, "show", conversation], env=environment)
    missing = run([*program, "show", "other", "--user", "alice"], env=environment)

    assert (shown.returncode, shown.stderr) == (0, "")
    assert "flats in Lisbon" in shown.stdout
    assert (missing.returncode, missing.stdout) == (Exit.MISSING, "")
    assert missing.stderr.startswith("error: ")


def heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@on_dynamodb_local
def test_ctrl_c_ends_following_with_success(environment: dict[str, str], saver: DynamoDBConversationSaver) -> None:
    conversation = id_of(chat(saver, "alice", "flats in Lisbon"))
    command = [*MODULE, "show", conversation, "--follow", "--json"]

    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # A job that a shell started in the background, as these tests may be, ignores Ctrl-C, and so would its children.
    with subprocess.Popen(command, env=environment, preexec_fn=heed_ctrl_c, **pipes) as tail:
        first = tail.stdout.readline()
        tail.send_signal(signal.SIGINT)
        try:
            _, err = tail.communicate(timeout=60)
        finally:
            tail.kill()

    assert "flats in Lisbon" in first
    assert (tail.returncode, err) == (0, "")


@on_dynamodb_local
@pytest.mark.parametrize(
    "command", [["show"], ["show", "--tools"], ["export", "--format", "markdown"], ["export"], ["state"]]
)
def test_a_real_terminal_gets_nothing_but_colours(
    command: list[str], environment: dict[str, str], saver: DynamoDBConversationSaver
) -> None:
    conversation = id_of(chat(saver, "alice", HOSTILE))
    name, *options = command

    text = on_a_terminal([*MODULE, name, conversation, *options], {**environment, "TERM": "xterm-256color"})

    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r\n", "\n")
    assert "[bold]x" in plain.replace("\n", "")
    assert {char for char in plain if not char.isprintable()} == {"\n"}


def on_a_terminal(command: list[str], environment: dict[str, str]) -> str:
    """What a process writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        pieces = []
        while piece := read(ours):
            pieces.append(piece)
        assert process.wait(timeout=60) == 0
    os.close(ours)
    return b"".join(pieces).decode()


def read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux's way of telling that the other side is closed
        return b""


def test_importing_the_package_imports_neither_typer_nor_rich() -> None:
    script = "import sys, langgraph_dynamo_conv; print({'typer', 'rich', 'yaml', 'jinja2'} & set(sys.modules))"
    without_others = "import sys, langchain_core, langgraph.checkpoint.base; before = set(sys.modules)\n"
    script = f"{without_others}{script.replace('& set(sys.modules)', '& (set(sys.modules) - before)')}"

    assert run([sys.executable, "-c", script]).stdout == "set()\n"


def test_without_the_extra_the_program_says_how_to_install_it() -> None:
    script = (
        "import sys; sys.modules['typer'] = None; from langgraph_dynamo_conv.__main__ import main; sys.exit(main())"
    )

    ended = run([sys.executable, "-c", script])

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == ("error: the command line needs the extra 'cli': pip install 'langgraph-dynamo-conv[cli]'\n")


@pytest.mark.parametrize("missing", ["typer", "botocore"])
def test_only_a_missing_extra_is_told_so(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr(langgraph_dynamo_conv, "cli")
    for name in [name for name in sys.modules if name.startswith(("langgraph_dynamo_conv.cli", "botocore.", "boto3"))]:
        if missing == "botocore" or name.startswith("langgraph"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)

    if missing == "typer":
        assert runpy.run_module("langgraph_dynamo_conv.__main__")["main"]() == 2
        assert "pip install" in capsys.readouterr().err
    else:
        with pytest.raises(ModuleNotFoundError, match="botocore"):
            runpy.run_module("langgraph_dynamo_conv.__main__")


def test_the_module_ends_with_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["langgraph-dynamo-conv", "lost"])

    with pytest.raises(SystemExit) as ended:
        runpy.run_module("langgraph_dynamo_conv.__main__", run_name="__main__")

    assert ended.value.code == Exit.USAGE


def test_without_a_command_the_help_is_shown(terminal: Cli) -> None:
    ended = terminal()

    assert ended.code == 0
    assert all(f"│ {command} " in ended.out for command in COMMANDS)
    assert ended == terminal("--help")


def test_the_version_is_shown(terminal: Cli) -> None:
    assert terminal("--version").out == f"langgraph-dynamo-conv {langgraph_dynamo_conv.__version__}\n"


@each_command
def test_the_help_of_a_command_has_examples(terminal: Cli, command: str) -> None:
    ended = terminal(command, "--help")

    assert ended.code == 0
    assert f"langgraph-dynamo-conv {command}" in ended.out.split("Examples:")[1]
    assert "DYNAMODB_TABLE_NAME" in ended.out
    assert "--json" in ended.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell: str, tmp_path: Path) -> None:
    variables = {**os.environ, "_LANGGRAPH_DYNAMO_CONV_COMPLETE": f"source_{shell}", "HOME": str(tmp_path)}

    script = run(PROGRAM, env=variables).stdout

    assert "_LANGGRAPH_DYNAMO_CONV_COMPLETE=complete_" in script


def test_a_shell_is_offered_the_commands(tmp_path: Path) -> None:
    variables = {
        **os.environ,
        "_LANGGRAPH_DYNAMO_CONV_COMPLETE": "complete_bash",
        "COMP_WORDS": "langgraph-dynamo-conv de",
        "COMP_CWORD": "1",
        "HOME": str(tmp_path),
    }

    assert run(PROGRAM, env=variables).stdout.split() == ["delete", "delete-user"]


def test_ctrl_c_ends_a_command_at_once(monkeypatch: pytest.MonkeyPatch, terminal: Cli) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("langgraph_dynamo_conv.cli.app.client_of", interrupted)

    ended = terminal("list", "alice", "--table", "t")

    assert (ended.code, ended.out, ended.err) == (Exit.INTERRUPTED, "", "")
