"""A tool with an effect, which a person approves first: it keeps a note in the conversation's state.

Its question has the form of LangChain's `HumanInTheLoopMiddleware`, and so has the answer that it takes, so a page that
shows this approval shows that middleware's too.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, InjectedToolCallId, tool
from langgraph.graph import MessagesState
from langgraph.types import Command, interrupt

SAVE_NOTE = "save_note"


class NotesState(MessagesState):
    """Messages, and the notes that were kept on the way; a fork has those of its own branch."""

    notes: Annotated[list[str], operator.add]


def approval_of(action: str, args: dict[str, Any], description: str) -> dict[str, Any]:
    """The decision about one call of a tool, asked of a person: `{"type": "approve"}` or "reject"; stops the run."""
    request = {"name": action, "args": args, "description": description}
    review = {"action_name": action, "allowed_decisions": ["approve", "reject"]}
    answer = interrupt({"action_requests": [request], "review_configs": [review]})
    decisions = answer.get("decisions") if isinstance(answer, dict) else None
    decision = decisions[0] if decisions else {}
    return decision if isinstance(decision, dict) else {}


@tool(SAVE_NOTE)
def save_note(text: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
    """Keep a note in this conversation. A person is asked for approval first.

    Args:
        text: The note.
    """
    decision = approval_of(SAVE_NOTE, {"text": text}, "Keep this note in the conversation?")
    if decision.get("type") != "approve":
        reason = str(decision.get("message") or "The user did not approve it.")
        return Command(update={"messages": [ToolMessage(reason, tool_call_id=tool_call_id, status="error")]})
    said = ToolMessage(f"Kept: {text}", tool_call_id=tool_call_id)
    return Command(update={"messages": [said], "notes": [text]})


def note_tools() -> list[BaseTool]:
    """The tools of this module."""
    return [save_note]
