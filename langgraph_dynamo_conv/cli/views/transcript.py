"""A conversation on a terminal: messages as text, tool calls folded into a line each. Pure.

Names in arguments and results are sorted: DynamoDB keeps no order in a map.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions
from rich.text import Text

from langgraph_dynamo_conv.cli.output import counted, moment, one_line, visible
from langgraph_dynamo_conv.conversations import Conversation, ConversationSummary, Message, ToolCall

_STYLES = {"user": "bold cyan", "assistant": "bold green", "system": "bold yellow"}
_INDENT = 2
_ARGS_CHARACTERS = 60
_RESULT_CHARACTERS = 70


@dataclass(frozen=True)
class Indented:
    """Text whose lines, also those that the terminal's width makes, stand to the right of the margin."""

    text: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for line in self.text.wrap(console, max(options.max_width - _INDENT, 1)):
            line.rstrip()
            yield Text(" " * _INDENT).append_text(line)


def heading(conversation: ConversationSummary) -> list[Text]:
    """Title, owner, status, count."""
    facts = [conversation.conversation_id, conversation.user_id, conversation.status, moment(conversation.created_at)]
    facts.append(counted(conversation.message_count, "message"))
    line = " · ".join(one_line(fact) for fact in facts if fact)
    return [Text(one_line(conversation.title), "bold"), Text(line, "dim"), Text()]


def message(shown: Message, *, unfolded: bool, mark: str = "") -> Iterator[Text | Indented]:
    """One message: who and when, its tool calls, its text."""
    role = (one_line(shown.role), _STYLES.get(shown.role, "bold"))
    yield Text.assemble(role, (f"  {moment(shown.timestamp)}{mark}", "dim"))
    for call in shown.tool_calls:
        yield Indented(_unfolded(call) if unfolded else _folded(call))
    if shown.content:
        yield Indented(Text(visible(shown.content)))
    yield Text()


def dialogue(conversation: Conversation, *, unfolded: bool) -> Iterator[Text | Indented]:
    """All messages at hand, with what came before them."""
    if conversation.first:
        yield Text(f"({counted(conversation.first, 'earlier message')})\n", "dim")
    for one in conversation.messages:
        yield from message(one, unfolded=unfolded)


def _folded(call: ToolCall) -> Text:
    text = Text("▸ ", "dim", no_wrap=True, overflow="ellipsis")
    text.append(one_line(call.tool), "magenta")
    args = ", ".join(f"{name}={_short(value, _ARGS_CHARACTERS)}" for name, value in sorted(call.args.items()))
    text.append(f"({args})")
    if call.pending:
        text.append(" … no result yet", "yellow")
        return text
    failed = call.status == "error"
    text.append(" failed: " if failed else " → ", "bold red" if failed else "dim")
    text.append(_short(call.result, _RESULT_CHARACTERS), "red" if failed else "dim")
    return text


def _unfolded(call: ToolCall) -> Text:
    text = Text("▾ ", "dim").append(one_line(call.tool), "magenta").append("\n" + _whole(call.args))
    if call.pending:
        return text.append("\n… no result yet", "yellow")
    failed = call.status == "error"
    return text.append("\nfailed:\n" if failed else "\n→\n", "bold red" if failed else "dim").append(
        _whole(call.result)
    )


def _short(value: Any, characters: int) -> str:
    text = one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True))
    return text if len(text) <= characters else f"{text[: characters - 1]}… ({len(text)} characters)"


def _whole(value: Any) -> str:
    return visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True))
