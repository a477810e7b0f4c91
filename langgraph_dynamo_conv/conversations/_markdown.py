"""A conversation as Markdown.

The rule: what the table holds (titles, ids, times, tools, arguments, results) is text that can start no markup, no
link, no HTML and no list, whatever it is: escaped, or in a code span or fence that is longer than any in it.

What a speaker said is Markdown already and keeps its emphasis, lists, tables, code and links to addresses of web and
mail. But HTML, images and other links in it show as text, and nothing goes on after it: a comment or a block of code
that is never closed would hide the messages below. To tell for certain what is code takes a whole parser of Markdown,
so only what plainly is code stays as it is; where it is not plain where a block ends, the whole message becomes one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from langgraph_dynamo_conv._visible import escaped, visible
from langgraph_dynamo_conv.conversations._records import Conversation, Message, ToolCall

# Punctuation that has a meaning somewhere in a line, in CommonMark or in GitHub's and other dialects. Points and colons
# are escaped only where they could belong to an address or a name such as `:smile:`.
_MARKUP = re.compile(r"[\\`*_{}\[\]<>#+|~&!@$^=]|[.](?=[^\W\d_])|:(?=[/\w]*[^\W\d_]|//)")
_LIST_START = re.compile(r"^(\d*)([-.)])(?=\s|$|-)")
_BACKTICKS = re.compile("`+")

_FENCE = re.compile(r"( {0,3})(`{3,}(?=[^`]*$)|~{3,})(.*)")
# A span within a line and within a cell of a table.
_SPAN = r"(?<![`\\])(`+)(?!`)[^`\n|]+\1(?!`)"
_ADDRESS = r"\s*(?:https?://|mailto:)"
# What begins HTML, an image, the target of a link, or the address that a name stands for.
_ACTIVE = rf"<(?=[a-z/!?])|!(?=\[)|(?<=\])\((?!{_ADDRESS})|(?<=\]):(?!{_ADDRESS})"
_ENTITIES = {"<": "&lt;", "!": "&#33;", "(": "&#40;", ":": "&#58;"}


def markdown(conversation: Conversation) -> Iterator[str]:
    """Pieces of the text."""
    yield f"# {_inline(conversation.title)}\n\n"
    facts = (conversation.conversation_id, conversation.created_at, f"{conversation.message_count} messages")
    yield f"{' · '.join(map(_inline, facts))}\n\n"
    for message in conversation.messages:
        yield f"**{_inline(message.role)}** · {_inline(message.timestamp)}\n\n"
        yield from map(_call, message.tool_calls)
        yield from _said(message)


def _said(message: Message) -> Iterator[str]:
    if message.content:
        content = visible(message.content.replace("\r\n", "\n"))
        sections = _sections(content)
        yield "\n".join(map(_inactive, sections) if sections is not None else _fenced(content)) + "\n\n"


@dataclass
class _Section:
    """Lines of what was said: a block of code with its fences, or text.

    Args:
        lines: The lines.
        fence: What opened the block; empty for text.
        indent: The spaces before the fence. Such a block can be part of a list, and end with that.
    """

    lines: list[str]
    fence: str = ""
    indent: int = 0


def _sections(content: str) -> list[_Section] | None:
    """What was said, taken apart, all blocks of code closed; None where it is not plain where one ends."""
    sections = [_Section([])]
    for line in content.split("\n"):
        last, fence = sections[-1], _FENCE.fullmatch(line)
        if not last.fence and fence:
            sections.append(_Section([line], fence[2], len(fence[1])))
            continue
        last.lines.append(line)
        if not last.fence:
            continue
        if line.strip() and not line.startswith(" " * last.indent):
            return None
        if fence and fence[2].startswith(last.fence) and not fence[3].strip():
            sections.append(_Section([]))
    last = sections[-1]
    if last.fence:
        if last.indent:
            return None
        last.lines.append(last.fence)
    return [section for section in sections if section.lines]


def _inactive(section: _Section) -> str:
    """Text with nothing active in it but what plainly is code."""
    text = "\n".join(section.lines)
    if section.fence and not section.indent:
        return text
    # With a backtick left over, code may begin in one line and end in another.
    has_plain_spans = not section.fence and "`" not in re.sub(_SPAN, "", text)
    pattern = f"{_SPAN}|{_ACTIVE}" if has_plain_spans else _ACTIVE
    return re.sub(pattern, lambda match: _ENTITIES.get(match[0], match[0]), text, flags=re.IGNORECASE)


def _call(call: ToolCall) -> str:
    args = escaped(json.dumps(call.args, ensure_ascii=False))
    line = _code(f"{' '.join(visible(call.tool).split())}({args})") + (" failed" if call.status == "error" else "")
    rest = ["(no result yet)"] if call.pending else _fenced(_text(call.result))
    return "".join(f"> {part}\n" if part else ">\n" for part in [line, "", *rest]) + "\n"


def _text(result: Any) -> str:
    if isinstance(result, str):
        return visible(result.replace("\r\n", "\n"))
    return escaped(json.dumps(result, ensure_ascii=False, indent=1))


def _inline(text: str) -> str:
    """Text of one line that shows as it is."""
    line = _MARKUP.sub(lambda match: f"\\{match[0]}", visible(" ".join(text.split())))
    return _LIST_START.sub(r"\1\\\2", line)


def _code(text: str) -> str:
    """A code span. Spaces at both ends are taken away again, so that it can begin with a backtick."""
    mark = "`" * (_longest_run(text) + 1)
    return f"{mark} {text} {mark}" if "`" in (text[:1], text[-1:]) else f"{mark}{text}{mark}"


def _fenced(text: str) -> list[str]:
    """The lines of a fenced block."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return [fence, *text.split("\n"), fence]


def _longest_run(text: str) -> int:
    return max((len(run) for run in _BACKTICKS.findall(text)), default=0)
