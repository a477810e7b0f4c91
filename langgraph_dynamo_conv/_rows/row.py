"""The record of a conversation row, and what a change to it means. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal, get_args

from langgraph_dynamo_conv._format.attributes import to_attribute
from langgraph_dynamo_conv._format.items import EXPIRES_AT, LIVE_UNTIL, NEVER, AttributeMap, Times
from langgraph_dynamo_conv._format.keys import PK, Scope
from langgraph_dynamo_conv._transcript.folding import Message
from langgraph_dynamo_conv._transcript.langchain import speaker_of

Status = Literal["running", "idle", "waiting", "failed"]
STATUSES = RUNNING, IDLE, WAITING, FAILED = get_args(Status)

TIMES = {f"#{name}": name for name in (LIVE_UNTIL, EXPIRES_AT)}
# Other programs may have a time of another type: such a row is live, as one without is.
_LIVE = " AND ".join(f"(NOT attribute_type({name}, :number) OR {name} > :time)" for name in TIMES)


@dataclass(frozen=True)
class Row:
    """A conversation row.

    Args:
        scope: Conversation and user.
        title: Shown in lists.
        messages: The newest messages, oldest first; those too large for the row are shortened.
        created_at: ISO 8601 in UTC; never changes.
        updated_at: When messages last changed.
        message_count: All messages, those in message items included.
        status: `running`, `idle`, `waiting` or `failed`; None in rows of other programs.
        version: Counts our writes; 0 in rows of other programs.
        head: The checkpoint it was last derived from, or None.
        replaced: Messages with smaller numbers may also be in message items of an earlier branch, or as older copies.
        times: When the conversation is over, and when DynamoDB may delete the row.
        attributes: All attributes as they were read, those of other programs too.
    """

    scope: Scope
    title: str
    messages: list[Message]
    created_at: str
    updated_at: str
    message_count: int
    status: str | None = None
    version: int = 0
    head: str | None = None
    replaced: int = 0
    times: Times = NEVER
    attributes: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def older(self) -> int:
        """How many messages have left the row."""
        return max(self.message_count - len(self.messages), 0)


@dataclass(frozen=True)
class RowUpdate:
    """What a state says of its row.

    Args:
        folded: The state's messages, or the newest of them, folded.
        status: The status to show; None to leave it as it is.
        head: The checkpoint, or None.
        now: The time, in ISO 8601.
        forked_from: The messages of the state that this one forked from, folded; None if it did not fork.
        may_move_later: A full checkpoint was just written: move messages out of the row in a later, cheaper turn.
    """

    folded: list[Message]
    status: str | None
    head: str | None
    now: str
    forked_from: list[Message] | None = None
    may_move_later: bool = False


def iso(seconds: float) -> str:
    """A time as rows hold it: ISO 8601 in UTC with microseconds and `Z`, so that strings sort as times do."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def first_of_user(messages: Sequence[Message]) -> Message | None:
    return next((message for message in messages if speaker_of(message) == "user"), None)


def replaced(row: Row | None, change: RowUpdate, merged: list[Message]) -> int:
    """Below which number there may be copies that no longer count: of a branch that was left, of an edited message."""
    if row is None:
        return 0
    is_edited = any("shortened" in message and message not in merged for message in row.messages)
    return max(row.replaced, row.message_count) if change.forked_from is not None or is_edited else row.replaced


def stored_beside(
    row: Row | None, base: Row, merged: list[Message], leaving: int, in_row: list[Message]
) -> list[tuple[int, Message]]:
    """Messages that go to message items: those that leave the row, and whole copies of those that are shortened.

    What is there already is left alone: messages that had left before, and whole copies whose digest the row has.
    """
    in_row_before = row.older if row is not None else 0
    unchanged = {id(message) for message in base.messages}
    numbered = []
    for number, message in enumerate(merged[:leaving], base.older):
        had_left = number < in_row_before and id(message) in unchanged
        if not had_left and "shortened" not in message:
            numbered.append((number, message))
    was_in_row = dict(enumerate(row.messages, row.older)) if row is not None else {}
    for number, (message, short) in enumerate(zip(merged[leaving:], in_row, strict=True), base.older + leaving):
        digest = was_in_row.get(number, {}).get("shortened")
        if "shortened" in short and "shortened" not in message and short["shortened"] != digest:
            numbered.append((number, message))
    return numbered


def unchanged_since(before: Row | None) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The condition that nobody, also no program that ignores `version`, wrote messages since `before` was read."""
    if before is None:
        return "attribute_not_exists(#pk)", {"#pk": PK}, {}
    terms, names, values = ["attribute_exists(#pk)"], {"#pk": PK}, {}
    for name in ("version", "message_count", "updated_at", "title"):
        names[f"#{name}"] = name
        if name in before.attributes:
            terms.append(f"#{name} = :was_{name}")
            values[f":was_{name}"] = to_attribute(before.attributes[name])
        else:
            terms.append(f"attribute_not_exists(#{name})")
    return " AND ".join(terms), names, values


def times_of(item: AttributeMap) -> Times:
    """The times of a row that was read; other programs may have an `expires_at` of their own."""
    stored = [item.get(name, {}).get("N") for name in (LIVE_UNTIL, EXPIRES_AT)]
    return Times(*(int(float(time)) if time is not None else None for time in stored))


def live(request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """A request to the index, for conversations only that are not over at this time."""
    return {
        **request,
        "FilterExpression": _LIVE,
        "names": {**request.get("names", {}), **TIMES},
        "values": {**request.get("values", {}), ":time": {"N": str(int(seconds))}, ":number": {"S": "N"}},
    }
