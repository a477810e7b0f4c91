"""A conversation on a terminal: messages as text, and each tool call folded into a line.

Names in arguments and results are sorted, since DynamoDB keeps no order in a map.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from langgraph_dynamo_conv._visible import one_line
from langgraph_dynamo_conv.cli.output import Indented, Shown, counted, moment, pretty, shortened
from langgraph_dynamo_conv.conversations import Conversation, ConversationSummary, Message, ToolCall

_STYLES = {"user": "bold cyan", "assistant": "bold green", "system": "bold yellow"}
_ARGS_CHARACTERS = 60
_RESULT_CHARACTERS = 70


def heading(conversation: ConversationSummary) -> list[Shown]:
    """The title of a conversation; then its id, owner, status, time and number of messages."""
    facts = [conversation.conversation_id, conversation.user_id, conversation.status, moment(conversation.created_at)]
    facts.append(counted(conversation.message_count, "message"))
    line = " · ".join(one_line(fact) for fact in facts if fact)
    return [Shown(one_line(conversation.title), "bold"), Shown(line, "dim"), Shown()]


def message(one: Message, *, unfolded: bool, mark: str = "") -> Iterator[Shown | Indented]:
    """One message: its role and time, its tool calls, its text."""
    role = Shown().append(one_line(one.role), _STYLES.get(one.role, "bold"))
    yield role.append(f"  {moment(one.timestamp)}{mark}", "dim")
    for call in one.tool_calls:
        yield Indented(_unfolded(call) if unfolded else _folded(call))
    if one.content:
        yield Indented(Shown(one.content))
    yield Shown()


def dialogue(conversation: Conversation, *, unfolded: bool) -> Iterator[Shown | Indented]:
    """The messages that were read, below a line with the number of those before them."""
    if conversation.first:
        yield Shown(f"({counted(conversation.first, 'earlier message')})\n", "dim")
    for one in conversation.messages:
        yield from message(one, unfolded=unfolded)


def _folded(call: ToolCall) -> Shown:
    text = Shown("▸ ", "dim", no_wrap=True, overflow="ellipsis").append(one_line(call.tool), "magenta")
    args = ", ".join(f"{one_line(name)}={_short(value, _ARGS_CHARACTERS)}" for name, value in sorted(call.args.items()))
    text.append(f"({args})")
    if call.pending:
        return text.append(" … no result yet", "yellow")
    text.append(" failed: " if _failed(call) else " → ", "bold red" if _failed(call) else "dim")
    return text.append(_short(call.result, _RESULT_CHARACTERS), "red" if _failed(call) else "dim")


def _unfolded(call: ToolCall) -> Shown:
    text = Shown("▾ ", "dim").append(one_line(call.tool), "magenta").append("\n" + pretty(call.args))
    if call.pending:
        return text.append("\n… no result yet", "yellow")
    text.append("\nfailed:\n" if _failed(call) else "\n→\n", "bold red" if _failed(call) else "dim")
    return text.append(pretty(call.result))


def _failed(call: ToolCall) -> bool:
    return call.status == "error"


def _short(value: Any, characters: int) -> str:
    text = one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True))
    return shortened(text, characters)
