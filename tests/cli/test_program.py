"""The program as it is installed: entry points, help, completion, a real terminal, signals, the missing extra."""

from __future__ import annotations

import importlib
import inspect
import os
import pty
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import langgraph_dynamo_conv
from langgraph_dynamo_conv.cli import COMMANDS, command_named
from langgraph_dynamo_conv.cli.app import Command
from langgraph_dynamo_conv.cli.output import Exit
from tests.cli.chats import HOSTILE, chat, id_of

if TYPE_CHECKING:
    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.cli.conftest import Cli
    from tests.engines import Engine

pytestmark = pytest.mark.engine("dynamodb-local")


MODULE = [sys.executable, "-m", "langgraph_dynamo_conv"]
PROGRAM = [os.path.join(os.path.dirname(sys.executable), "langgraph-dynamo-conv")]  # noqa: PTH118,PTH120 - as given
COMMANDS_FOLDER = Path(langgraph_dynamo_conv.__file__).parent / "cli" / "commands"
each_command = pytest.mark.parametrize("command", COMMANDS)

on_dynamodb_local = pytest.mark.engine("dynamodb-local")


@pytest.fixture
def environment(engine: Engine, table_name: str) -> dict[str, str]:
    """Variables that name the engine's table to another process."""
    return {**os.environ, "DYNAMODB_TABLE_NAME": table_name, "AWS_ENDPOINT_URL_DYNAMODB": str(engine.endpoint_url)}


def commands_of(room: str) -> list[Command]:
    module = importlib.import_module(f"langgraph_dynamo_conv.cli.commands.{room}")
    return [one for one in vars(module).values() if isinstance(one, Command)]


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


@on_dynamodb_local
@pytest.mark.parametrize("columns", [80, 109, 110, 160])
def test_titles_of_a_list_are_readable_at_any_width(
    columns: int, environment: dict[str, str], saver: DynamoDBConversationSaver
) -> None:
    made = saver.conversations.create("alice", title="Which flats in Lisbon have a balcony and a lift, and " + "x" * 99)
    variables = {**environment, "TERM": "xterm-256color", "COLUMNS": str(columns), "NO_COLOR": "1"}

    text = re.sub(r"\x1b\[[0-9;]*m", "", on_a_terminal([*MODULE, "list", "alice"], variables))

    assert "Which flats in Lisbon have a b" in text
    assert made.conversation_id in text, "an id is copied: it is never broken"
    assert "…" in text
    assert max(map(len, text.splitlines())) <= columns


@on_dynamodb_local
def test_a_history_at_80_columns_has_every_id_and_time_whole(
    environment: dict[str, str], saver: DynamoDBConversationSaver
) -> None:
    conversation = id_of(chat(saver, "alice", "flats", "boats"))
    ids = [
        one.config["configurable"]["checkpoint_id"]
        for one in saver.list({"configurable": {"thread_id": conversation, "user_id": "alice"}})
    ]
    variables = {**environment, "TERM": "xterm-256color", "COLUMNS": "80", "NO_COLOR": "1"}

    text = re.sub(
        r"\x1b\[[0-9;]*m", "", on_a_terminal([*MODULE, "history", conversation, "--user", "alice"], variables)
    )

    assert [one for one in ids if one not in text] == []
    assert len(re.findall(r" (?:loop|input) +\d\d-\d\d \d\d:\d\d:\d\d  ", text)) == len(ids)


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

    monkeypatch.setattr(sys, "argv", ["langgraph-dynamo-conv", "list", "alice"])
    main = runpy.run_module("langgraph_dynamo_conv.__main__")["main"]

    if missing == "typer":
        assert main() == 2
        assert "pip install" in capsys.readouterr().err
    else:
        with pytest.raises(ModuleNotFoundError, match="botocore"):
            main()


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
    assert "Every command takes -t/--table, --region," in ended.out
    assert "DYNAMODB_TABLE_NAME" not in ended.out, "these options are not to push the command's own off the screen"
    assert ended == terminal(command, "-h")


def test_the_programs_help_describes_the_options_of_every_command(terminal: Cli) -> None:
    shown = terminal("-h").out

    assert [name for name in SHARED_VARIABLES if f"${name}" not in shown] == []


SHARED_VARIABLES = ("DYNAMODB_TABLE_NAME", "AWS_REGION", "AWS_ENDPOINT_URL_DYNAMODB", "LANGGRAPH_DYNAMO_CONV_S3_PREFIX")


@each_command
def test_the_programs_help_says_of_a_command_what_its_own_begins_with(command: str) -> None:
    first, *_ = inspect.cleandoc(str(command_named(command).function.__doc__)).split("\n\n")

    assert COMMANDS[command][1] == first
    assert len(first) <= 60, "it is one line of the program's help at 80 columns"


def test_the_programs_help_names_every_command() -> None:
    rooms = {module for module, _ in COMMANDS.values()}
    found = {command.name for room in rooms for command in commands_of(room)}

    assert found == set(COMMANDS)
    assert rooms == {path.stem for path in COMMANDS_FOLDER.glob("*.py")} - {"__init__"}


@each_command
def test_no_word_of_a_commands_help_is_broken(command: str, terminal: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = terminal(command, "--help").out

    options = [re.sub("[<>]=", "", line) for line in shown.splitlines() if line.startswith("│")]
    assert [line for line in options if line.count("<") != line.count(">")] == [], "broken choices"
    assert [line for line in options if "…" in line] == [], "names that are cut"


@pytest.mark.parametrize("words", [["--help"], ["--version"]], ids=["help", "version"])
def test_help_and_version_wait_for_no_library_of_the_package(words: list[str]) -> None:
    script = (
        "import sys; from langgraph_dynamo_conv.__main__ import main; main()\n"
        "sys.stderr.write(repr({'langgraph', 'langchain_core', 'boto3', 'botocore', 'yaml'} & set(sys.modules)))"
    )

    assert run([sys.executable, "-c", script, *words]).stderr == "set()"


@on_dynamodb_local
def test_a_closed_pipe_ends_a_command_quietly(environment: dict[str, str], saver: DynamoDBConversationSaver) -> None:
    conversation = id_of(chat(saver, "alice", *["flats in Lisbon " * 2000] * 8))
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as nobody:  # noqa: PTH123 - a descriptor
        command = [*MODULE, "export", conversation]
        ended = subprocess.run(command, env=environment, stdout=nobody, stderr=subprocess.PIPE, timeout=60, check=False)

    assert (ended.returncode, ended.stderr) == (141, b"")


@on_dynamodb_local
@pytest.mark.parametrize("after", [0.15, 0.5, 1.2])
def test_ctrl_c_never_shows_a_traceback(environment: dict[str, str], after: float) -> None:
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [*MODULE, "list", "alice"]
    with subprocess.Popen(command, env=environment, preexec_fn=heed_ctrl_c, **pipes) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)

    assert "Traceback" not in err
    assert process.returncode in (0, Exit.INTERRUPTED, -signal.SIGINT), "the last before Python itself heeds it"


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
