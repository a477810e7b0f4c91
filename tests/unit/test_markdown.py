"""A conversation as Markdown: whatever a tool or a title says, it shows as it is and starts nothing."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from langgraph_dynamo_conv._visible import visible
from langgraph_dynamo_conv.conversations._export import FORMATS, export
from langgraph_dynamo_conv.conversations._records import Conversation, Message, ToolCall

NOW = "2026-01-02T03:04:05.678901Z"
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])

MARKUP = [
    *("`", "```", "````", "~~~", "# ", "- ", "1. ", "* ", "> ", "---", "===", "\n", "\n\n", "    ", "\t", "\r\n"),
    *("<b>", "<!--", "<script>", "]]>", "&amp;", "[a](b)", "![a](b)", "[a]: b", "<http://a.b>", "http://a.b", "a@b.c"),
    *("*a*", "__a__", "~~a~~", "| a | b |\n|---|---|", "\\", "\x1b[2J", "\x9b31m", "\x07", "\x00", "\u202e", "\u2028"),
]
TEXTS = st.lists(st.sampled_from(MARKUP) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)).map("".join)


def conversation(title="Plan", *, id="c-1", tool="read", args=None, result="ok", said="Done."):
    call = ToolCall(tool, args or {}, result)
    message = Message("assistant", said, NOW, (call,))
    return Conversation(id, "alice", title, NOW, NOW, 1, messages=(message,))


def text_of(one):
    return "".join(export([one], "markdown"))


def parsed(text):
    """The blocks of a document, and what stands in its lines."""
    tokens = PARSER.parse(text)
    children = [child for token in tokens for child in token.children or ()]
    return [token for token in tokens if token.nesting >= 0], children


def shown(children):
    return "".join(child.content for child in children)


def one_line(text):
    return " ".join(visible(" ".join(text.split())).split())


@given(TEXTS, TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=2), TEXTS)
@example("# [x](javascript:y) <b>", "- 1", "`", {"a`b": "```"}, "````\n# no heading\n<img src=x>")
@example("1. a", "12) b", "a\n> b", {}, "")
def test_nothing_but_what_was_said_is_markup(title, id, tool, args, result):
    blocks, children = parsed(text_of(conversation(title, id=id, tool=tool, args=args, result=result)))

    kinds = [block.type for block in blocks if block.type != "inline"]
    assert kinds[:3] == ["heading_open", "paragraph_open", "paragraph_open"]
    assert kinds[3:] == ["blockquote_open", "paragraph_open", "fence", "paragraph_open"]
    assert {child.type for child in children} <= {"text", "code_inline", "strong_open", "strong_close", "text_special"}
    heading, facts, _, line, _ = [block for block in blocks if block.type == "inline"]
    assert shown(heading.children) == one_line(title)
    assert shown(facts.children) == f"{one_line(id)} · {NOW} · 1 messages".strip()
    assert len(line.children) == 1
    (fence,) = [block for block in blocks if block.type == "fence"]
    assert fence.content == visible(result.replace("\r\n", "\n")) + "\n"


@given(TEXTS, TEXTS)
def test_no_format_has_a_control_character(title, result):
    one = conversation(title, tool=title, args={title: result}, result=result, said=result)
    for name in FORMATS:
        text = "".join(export([one], name))
        assert text == visible(text)
        if name != "markdown":
            assert json.loads(text) in (one.to_dict(), [one.to_dict()])


@given(st.recursive(st.none() | TEXTS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner)))
def test_a_result_that_is_data_stands_in_its_fence_as_json(result):
    blocks, _ = parsed(text_of(conversation(result=result)))
    (fence,) = [block for block in blocks if block.type == "fence"]
    if not isinstance(result, str):
        assert json.loads(fence.content) == result


@pytest.mark.parametrize(
    ("title", "line"),
    [
        ("Move last year's files (2026-11-24, 02:30) into report 1.5", None),
        ("50% of it - or so?", None),
        ("See http://evil.example", r"See http\://evil\.example"),
        ("mail me@evil.example", r"mail me\@evil\.example"),
        ("a_b *c* <d>", r"a\_b \*c\* \<d\>"),
        ("a\nb", "a b"),
    ],
)
def test_a_plain_title_is_left_as_it_is_and_markup_is_escaped(title, line):
    assert text_of(conversation(title)).splitlines()[0] == f"# {line or title}"


def test_a_result_is_never_reflowed_and_a_pending_call_says_so():
    text = text_of(conversation(result="a  b\n\n  c\td"))
    assert "> ```\n> a  b\n>\n>   c\td\n> ```\n" in text
    pending = Message("assistant", "", NOW, (ToolCall("a`", {}, pending=True),))
    one = Conversation("c", "alice", "t", NOW, NOW, 1, messages=(pending,))
    assert "> ``a`({})``\n>\n> (no result yet)\n" in text_of(one)


def test_a_failed_call_is_marked_and_what_was_said_stays_markdown():
    failed = Message("assistant", "**No.**", NOW, (ToolCall("a", {}, "no", status="error"),))
    text = text_of(Conversation("c", "alice", "t", NOW, NOW, 1, messages=(failed,)))
    assert re.search(r"^> `a\({}\)` failed$", text, re.MULTILINE)
    assert text.endswith("\n**No.**\n\n")
