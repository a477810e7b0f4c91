"""docs/cli.md and its pictures show what the commands really print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import command_line
from langgraph_dynamo_conv.cli import app_of
from langgraph_dynamo_conv.cli.output import Exit

DOCUMENT = command_line.DOCUMENT.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made() -> dict[Path, str]:
    return command_line.made()


def test_the_outputs_and_pictures_are_real(made: dict[Path, str]) -> None:
    stale = [path.name for path, text in made.items() if not command_line.same(path.read_text("utf-8"), text)]

    assert stale == [], "run `python3 dev.py screenshots`"


def test_a_picture_names_no_host(made: dict[Path, str]) -> None:
    for path, text in made.items():
        hosts = set(re.findall(r"[a-z]+://([\w.]+)", text)) if path.suffix == ".svg" else set()
        assert hosts <= {"www.w3.org"}, "the name of SVG itself"
        assert "@font-face" not in text
        assert "textualize" not in text


def test_every_command_and_exit_code_is_described() -> None:
    commands = {str(command.name) for command in app_of().registered_commands}
    documented = set(re.findall(r"^### (\S+)$", DOCUMENT, re.MULTILINE))

    assert commands <= documented
    assert {f"| {int(code)} |" for code in Exit} <= set(re.findall(r"^\| \d+ \|", DOCUMENT, re.MULTILINE))


def test_only_ids_times_and_numbers_may_differ() -> None:
    one = "● 1f1e7b28-eaf6-6187-8008-517eaee40bee  8  2026-11-24 02:55:50  266"
    other = "● 1f1e7b29-0af6-6187-8008-517eaee40bee  8\n2026-11-25T03:55:50Z  1024"

    assert command_line.same(one, other)
    assert not command_line.same(one, other.replace("●", "│"))
