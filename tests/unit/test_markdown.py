"""A conversation as Markdown: whatever a tool or a title says, it shows as it is and starts nothing."""

import json
import re

import pytest
from hypothesis import example, given, settings
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


SAID = [
    *(
        "<script>",
        "</pre>",
        "<!--",
        "<?x",
        "<![CDATA[",
        "<a@b.c>",
        "<b",
        "<",
        ">",
        "\\",
        "`",
        "``",
        "```",
        "````",
        "~~~",
    ),
    *("\n", "\n\n", "- ", "1. ", "> ", " ", "  ", "   ", "    ", "\t", "|", "|-|", "# ", "===", "x"),
    *("[a](", ")", "[a]:", "[a]", "![", "](", "javascript:x", "JAVASCRIPT:x", "java&#115;cript:x", "data:x"),
    *("https://a.b", "HTTP://a.b", "mailto:a@b.c", "'", '"'),
]
WORDS = st.sampled_from(SAID) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)


@given(st.lists(WORDS, max_size=14).map("".join))
@example("```\n<b>")
@example("- a\n  ```\nb\n```\n<script>")
@example("- a\n  ```\n     ```\n  <b>\n  ```")
@example("- a\n  ```\n  cut")
@example("`a\n` <script> `")
@example("| `a | <b>` |\n|---|---|")
@example("\\<script>")
@example("[a]:\njavascript:x\n\n[a]")
@settings(max_examples=300)
def test_what_was_said_is_not_active_and_ends_with_its_message(content):
    messages = (Message("user", content, NOW), Message("assistant", "The next one.", NOW))
    one = Conversation("c", "alice", "t", NOW, NOW, 2, messages=messages)

    blocks, children = parsed(text_of(one))

    assert not {"html_block", "html_inline", "image"} & {token.type for token in [*blocks, *children]}
    links = [child.attrs["href"] for child in children if child.type == "link_open"]
    assert all(re.match(r"(?i)https?://|mailto:", link) for link in links)
    assert [(token.content, token.level) for token in blocks if token.type == "inline"][-2:] == [
        (f"**assistant** · {NOW}", 1),
        ("The next one.", 1),
    ]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("**Yes**, `a < b` and a < b, [here](https://a.b) and [me](mailto:a@b.c).", None),
        ("Call `List<String>` or\n\n```html\n<b>bold</b>\n```\n\nas in\n\n1. one\n2. two", None),
        ("| a | b |\n|---|---|\n| 1 | 2 |", None),
        ("1. Do\n   ```sh\n   ls\n   ```\n2. Done", None),
        ("a <b> c", "a &lt;b> c"),
        ("![a](https://a.b/c.png) [x](javascript:y)", "&#33;[a](https://a.b/c.png) [x]&#40;javascript:y)"),
        ("```\ncut", "```\ncut\n```"),
        ("- a\n  ```\ncut", "````\n- a\n  ```\ncut\n````"),
        ("a\r\nb", "a\nb"),
    ],
)
def test_what_was_said_stays_markdown_but_for_what_is_active(said, written):
    message = Message("assistant", said, NOW)
    text = text_of(Conversation("c", "alice", "t", NOW, NOW, 1, messages=(message,)))
    assert text.endswith(f"{NOW}\n\n{written or said}\n\n")


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
