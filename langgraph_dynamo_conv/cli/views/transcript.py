"""A conversation on a terminal: messages as text, and each tool call folded into a line.

Names in arguments and results are sorted, since DynamoDB keeps no order in a map.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions
from rich.text import Text

from langgraph_dynamo_conv._format.visible import visible
from langgraph_dynamo_conv.cli.output import counted, moment, one_line, pretty, shortened
from langgraph_dynamo_conv.conversations import Conversation, ConversationSummary, Message, ToolCall

_STYLES = {"user": "bold cyan", "assistant": "bold green", "system": "bold yellow"}
_INDENT = 2
_ARGS_CHARACTERS = 60
_RESULT_CHARACTERS = 70


@dataclass(frozen=True)
class Indented:
    """Text whose lines are all indented, also those that the terminal's width breaks."""

    text: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for line in self.text.wrap(console, max(options.max_width - _INDENT, 1)):
            line.rstrip()
            yield Text(" " * _INDENT).append_text(line)


def heading(conversation: ConversationSummary) -> list[Text]:
    """The title of a conversation; then its id, owner, status, time and number of messages."""
    facts = [conversation.conversation_id, conversation.user_id, conversation.status, moment(conversation.created_at)]
    facts.append(counted(conversation.message_count, "message"))
    line = " · ".join(one_line(fact) for fact in facts if fact)
    return [Text(one_line(conversation.title), "bold"), Text(line, "dim"), Text()]


def message(one: Message, *, unfolded: bool, mark: str = "") -> Iterator[Text | Indented]:
    """One message: its role and time, its tool calls, its text."""
    role = (one_line(one.role), _STYLES.get(one.role, "bold"))
    yield Text.assemble(role, (f"  {moment(one.timestamp)}{mark}", "dim"))
    for call in one.tool_calls:
        yield Indented(_unfolded(call) if unfolded else _folded(call))
    if one.content:
        yield Indented(Text(visible(one.content)))
    yield Text()


def dialogue(conversation: Conversation, *, unfolded: bool) -> Iterator[Text | Indented]:
    """The messages that were read, below a line with the number of those before them."""
    if conversation.first:
        yield Text(f"({counted(conversation.first, 'earlier message')})\n", "dim")
    for one in conversation.messages:
        yield from message(one, unfolded=unfolded)


def _folded(call: ToolCall) -> Text:
    text = Text("▸ ", "dim", no_wrap=True, overflow="ellipsis").append(one_line(call.tool), "magenta")
    args = ", ".join(f"{one_line(name)}={_short(value, _ARGS_CHARACTERS)}" for name, value in sorted(call.args.items()))
    text.append(f"({args})")
    if call.pending:
        return text.append(" … no result yet", "yellow")
    text.append(" failed: " if _failed(call) else " → ", "bold red" if _failed(call) else "dim")
    return text.append(_short(call.result, _RESULT_CHARACTERS), "red" if _failed(call) else "dim")


def _unfolded(call: ToolCall) -> Text:
    text = Text("▾ ", "dim").append(one_line(call.tool), "magenta").append("\n" + pretty(call.args))
    if call.pending:
        return text.append("\n… no result yet", "yellow")
    text.append("\nfailed:\n" if _failed(call) else "\n→\n", "bold red" if _failed(call) else "dim")
    return text.append(pretty(call.result))


def _failed(call: ToolCall) -> bool:
    return call.status == "error"


def _short(value: Any, characters: int) -> str:
    text = one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True))
    return shortened(text, characters)
