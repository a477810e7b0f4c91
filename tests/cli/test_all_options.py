"""Every option of every command is checked before anything is sent: exit code 2, and one line that says what it may be.

The commands and their options are found by looking at them, so that a new one fails here until it has a row.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, get_args

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_dynamo_conv.cli import COMMANDS as NAMES
from langgraph_dynamo_conv.cli import command_named
from langgraph_dynamo_conv.cli.app import Command
from langgraph_dynamo_conv.cli.options import SharedOptions
from langgraph_dynamo_conv.cli.output import Exit
from tests.memory_engine import client as memory

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

pytestmark = pytest.mark.engine("memory")

NO_ID = ["", "a#b", "x" * 3000]
NO_NUMBER = ["five", "", "-1", "1.5"]
NO_TIME = ["yesterday", "", "2026-13"]

BY_NAME: dict[str, list[str]] = {
    "account": ["", "five", "12345", "1234567890123"],
    "after": NO_TIME,
    "before": NO_TIME,
    "checkpoint": ["a#b", "x" * 3000],
    "conversation": NO_ID,
    "conversations": NO_ID,
    "cursor": ["", "x"],
    "endpoint_url": ["nonsense", "ftp"],
    "format": ["", "pdf"],
    "from_endpoint_url": ["nonsense", "ftp"],
    "from_table": [""],
    "kms_key": ["", "alias/chat", "arn:aws:kms:eu-west-1:123456789012:alias/chat"],
    "limit": [*NO_NUMBER],
    "max_write_units": [*NO_NUMBER, "0"],
    "messages_channel": [""],
    "months_kept": NO_NUMBER,
    "most_per_second": ["five", "", "0", "-1", "nan", "inf"],
    "new": NO_ID,
    "old": NO_ID,
    "order_by": ["", "title"],
    "price": ["", "write", "write=x", "write=-1", "read=nan", "disk=1"],
    "result_kb": ["five", "", "-1", "nan", "inf"],
    "role": ["", "root"],
    "s3_bucket": ["", "a/b"],
    "s3_prefix": ["..", "a//b"],
    "serde": ["", "no.such:thing", "json:no_such", "json:dumps"],
    "source": ["", "nonsense", "sqlite:no-such-file", "no.such:thing"],
    "status": ["", "done"],
    "table": [""],
    "tag": ["", "key", "=value"],
    "threads_file": ["no-such-file"],
    "tool_calls": NO_NUMBER,
    "ttl_days": [*NO_NUMBER, "0", "36501"],
    "turns": NO_NUMBER,
    "turns_per_conversation": [*NO_NUMBER, "0"],
    "user": NO_ID,
    "user_from_metadata": [""],
    "user_map": ["no-such-file"],
}
ANY_TEXT = {
    "channel": "a channel's name is the graph's; one that the state lacks is named with those it has",
    "from_profile": "a profile's name is the AWS configuration's, which says that there is none of it",
    "from_region": "a region's name is AWS's, and new ones come",
    "ns": "a namespace is any text",
    "output": "whether a file can be written is seen when it is",
    "profile": "see from_profile",
    "region": "see from_region",
    "title": "a title is any text",
}
GIVEN: dict[str, list[str]] = {
    "conversation": ["c"],
    "conversations": ["c"],
    "from_table": ["--from-table", "other"],
    "new": ["new"],
    "old": ["old"],
    "source": ["--from", "tests.cli.test_all_options:OTHER"],
    "title": ["title"],
    "turns": ["--turns", "10"],
    "user": ["--user", "alice"],
}
"""What is given beside the wrong value, where a command takes it."""

OTHER = InMemorySaver()
"""A saver to migrate from, that needs no request."""

COMMANDS = {name: command_named(name) for name in NAMES}


def options_of(command: Command) -> dict[str, Any]:
    """The options and arguments that a command takes besides flags, by name, as typer declares them."""
    own = {one.name: one.annotation for one in inspect.signature(command.function, eval_str=True).parameters.values()}
    own.pop("run")
    return {name: annotation for name, annotation in own.items() if not is_flag(annotation)}


def is_flag(annotation: Any) -> bool:
    return get_args(annotation)[0] in (bool, bool | None)


def words_of(name: str, annotation: Any, value: str) -> list[str]:
    """The words of a command line that give an option a value."""
    info = get_args(annotation)[1]
    if type(info).__name__ == "ArgumentInfo":
        return [value]
    declared = isinstance(info.default, str) and info.default.startswith("--")  # typer takes the first name for it
    return [f"{info.default if declared else '--' + name.replace('_', '-')}={value}"]


CASES = [
    (command, option)
    for command, one in COMMANDS.items()
    for option in options_of(one)
    if option not in ANY_TEXT and (command, option) != ("migrate", "from_endpoint_url")
]


@pytest.mark.parametrize(("command", "option"), CASES)
def test_a_wrong_option_is_told_and_nothing_is_sent(
    cli: Cli, command: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []

    def answer(request: Any) -> Any:
        sent.append(request)
        raise AssertionError("a request was sent")

    options = options_of(COMMANDS[command])
    others = [name for name in options if name != option and name in GIVEN and not is_other_way(option, name)]
    for value in BY_NAME[option]:
        words: list[str] = []
        for name in options:
            if name == option:
                words += words_of(name, options[name], value)
            elif name in others:
                is_argument = type(get_args(options[name])[1]).__name__ == "ArgumentInfo"
                words += [GIVEN[name][-1]] if is_argument else [f"{GIVEN[name][0]}={GIVEN[name][-1]}"]
        with monkeypatch.context() as patch:
            patch.setattr(memory, "http_answer", lambda _, request: answer(request))
            ended = cli(command, *words)
        assert (ended.code, ended.out, sent) == (Exit.USAGE, "", []), (words, ended)
        assert ended.error.startswith("error: ")


def is_other_way(option: str, name: str) -> bool:
    """Whether two options say the same in two ways."""
    return name == "user" and option in ("user_map", "user_from_metadata")


def test_every_option_has_a_row() -> None:
    own = {option for one in COMMANDS.values() for option in options_of(one)}
    shared = {name for name, text in SharedOptions.__annotations__.items() if "bool" not in text.partition(",")[0]}

    assert own | shared == BY_NAME.keys() | ANY_TEXT.keys()
