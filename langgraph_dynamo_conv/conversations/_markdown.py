"""A conversation as Markdown.

The rule: what a speaker said is Markdown already and stays as it is. Everything else that the table holds (titles, ids,
times, tools, arguments, results) is text that can start no markup, no link, no HTML and no list, whatever it is:
escaped, or in a code span or fence that is longer than any in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from langgraph_dynamo_conv._visible import escaped, visible
from langgraph_dynamo_conv.conversations._records import Conversation, Message, ToolCall

# Punctuation that has a meaning somewhere in a line, in CommonMark or in GitHub's and other dialects. Points and colons
# are escaped only where they could belong to an address or a name such as `:smile:`.
_MARKUP = re.compile(r"[\\`*_{}\[\]<>#+|~&!@$^=]|[.](?=[^\W\d_])|:(?=[/\w]*[^\W\d_]|//)")
_LIST_START = re.compile(r"^(\d*)([-.)])(?=\s|$|-)")
_BACKTICKS = re.compile("`+")


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
        yield f"{visible(message.content)}\n\n"


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
