"""What the offline model says, as a page draws it; and which lines ask it to keep a note."""

from __future__ import annotations

import sys
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dev import CHAT

sys.path[:0] = [str(CHAT.parent)]

from chat_markdown import as_markdown  # noqa: E402
from phrases import parse  # noqa: E402

NOW = datetime(2026, 11, 30, tzinfo=timezone.utc)


def test_lists_and_lines_of_files_are_drawn_as_such():
    text = 'I found 1 file:\n  1. a/__init__.py (python, 3 bytes)\nSay "more".\n    # a *line*\n    ```'
    assert as_markdown(text) == (
        'I found 1 file:\n\n1. `a/__init__.py` (python, 3 bytes)\n\nSay "more".\n\n````\n# a *line*\n```\n````'
    )


@given(st.text(alphabet="*_`[]()<>!#|~\\&;: ab\n", max_size=60))
def test_no_other_character_means_anything(text: str):
    kinds = {token.type for token in MarkdownIt("commonmark").parse(as_markdown(text))}
    inline = {
        child.type for token in MarkdownIt("commonmark").parse(as_markdown(text)) for child in token.children or ()
    }
    assert kinds <= {"paragraph_open", "inline", "paragraph_close", "fence"}
    assert inline <= {"text", "text_special", "hardbreak", "softbreak"}


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("note: milk", "milk"),
        ("Note that it rains", "it rains"),
        ("Please keep a note: order milk", "order milk"),
        ("save this note that x\ny", "x\ny"),
        ("take a note of it", "of it"),
    ],
)
def test_a_line_asks_to_keep_a_note(line: str, note: str):
    assert (parse(line, NOW).intent, parse(line, NOW).note) == ("note", note)


@pytest.mark.parametrize("line", ["notes", "show me the notes", "files named note", "the note.md file", "note"])
def test_a_line_about_notes_does_not(line: str):
    assert parse(line, NOW).intent != "note"
