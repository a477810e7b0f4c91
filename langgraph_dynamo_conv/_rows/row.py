"""The record of a conversation row, and what a change to it means. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal, get_args

from langchain_core.messages import BaseMessage

from langgraph_dynamo_conv._format.attributes import storable, to_attribute
from langgraph_dynamo_conv._format.items import BLOBS, EXPIRES_AT, LIVE_UNTIL, NEVER, AttributeMap, Times
from langgraph_dynamo_conv._format.keys import PK, Scope
from langgraph_dynamo_conv._rows.large_messages import refs_of
from langgraph_dynamo_conv._transcript.differences import Said
from langgraph_dynamo_conv._transcript.fitting import Sizes
from langgraph_dynamo_conv._transcript.folding import Message

Status = Literal["running", "idle", "waiting", "failed"]
STATUSES = RUNNING, IDLE, WAITING, FAILED = get_args(Status)

INCARNATION_BYTES = 4
"""Bytes of a row's incarnation, which is written as hexadecimal digits."""

TIMES = {f"#{name}": name for name in (LIVE_UNTIL, EXPIRES_AT)}
# Other programs may have a time of another type: such a row is live, as one without is.
_LIVE = " AND ".join(f"(NOT attribute_type({name}, :number) OR {name} > :time)" for name in TIMES)


Asked = list[dict[str, Any]]
"""What interrupts ask, each as `id` and `value`."""


@dataclass(frozen=True)
class Row:
    """A conversation row.

    Args:
        scope: Conversation and user.
        title: Shown in lists.
        messages: The newest messages, oldest first; those too large for the row are shortened.
        created_at: ISO 8601 in UTC; never changes.
        updated_at: When messages last changed.
        first: The number (from 0) of the first of `messages`; those before it are in pages.
        status: `running`, `idle`, `waiting` or `failed`; None in rows of other programs.
        version: Counts our writes; 0 in rows of other programs.
        renumbered: The version at which a number last got another message, by a fork, a removal or runs at once; or 0.
        incarnation: Tells conversations apart that have one id, one after the other; pages have it too.
        is_foreign: Whether another program began the row: then it stays whole as long as an item can be.
        head: The checkpoint it was last derived from, or None.
        beside: Checkpoints of runs at the same time that it shows too, newest last; at most 3.
        status_at: When the status was set; empty in rows of other programs.
        waiting_for: What interrupts ask, each as `id` and `value`; empty unless the status is `waiting`.
        times: When the conversation is over, and when DynamoDB may delete the row.
        attributes: All attributes as they were read, those of other programs too.
        sizes: What this process has counted of its messages already.
    """

    scope: Scope
    title: str
    messages: list[Message]
    created_at: str
    updated_at: str
    first: int
    status: str | None = None
    version: int = 0
    renumbered: int = 0
    head: str | None = None
    beside: Sequence[str] = ()
    incarnation: str = ""
    is_foreign: bool = False
    status_at: str = ""
    waiting_for: Sequence[Mapping[str, Any]] = ()
    times: Times = NEVER
    attributes: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    sizes: Sizes = field(default_factory=dict, compare=False, repr=False)

    @property
    def message_count(self) -> int:
        """All messages, those in pages included."""
        return self.first + len(self.messages)


@dataclass(frozen=True)
class Transcript:
    """Messages of a conversation, and the row as it was then.

    Args:
        row: The row.
        first: The number of the first message.
        messages: Whole, oldest first.
    """

    row: Row
    first: int = 0
    messages: list[Message] = field(default_factory=list)


@dataclass(frozen=True)
class RowUpdate:
    """What a state says of its row.

    Args:
        said: What the state says that the one which the row shows did not.
        status: The status to show; None to leave it as it is.
        head: The checkpoint, or None.
        now: The time, in ISO 8601.
        waiting_for: What interrupts ask that were stored.
        asks_anew: Whether that is all, since a run knows all that it asks; else it is added to what the row says.
        forked_from: The messages of the state that this one forked from, folded; None if it did not fork.
        has_ids: Whether the messages of that state have ids of their own.
        is_all: Whether `said` is all that the state has.
        is_apart: Whether messages that have left the row may be among `said`.
        is_far: Whether the row is to name its checkpoint even if nothing else changes: the last one is far behind.
        beside: See `Row`; as they become.
        taken_back: Digests of what was said after that state, which a fork drops, each with how many calls it made.
        after: The message that comes before those, if that need not be the newest of the row.
        added: Messages that no state has, as they are stored.
    """

    said: Sequence[Said]
    status: str | None
    head: str | None
    now: str
    waiting_for: Sequence[Mapping[str, Any]] = ()
    asks_anew: bool = False
    forked_from: list[Message] | None = None
    has_ids: bool = False
    is_all: bool = False
    is_apart: bool = False
    is_far: bool = False
    beside: Sequence[str] = ()
    taken_back: Mapping[str, int] = field(default_factory=dict)
    after: BaseMessage | None = None
    added: Sequence[Message] = ()

    @property
    def at_once(self) -> bool:
        """Whether the row shows what a run beside this one has written."""
        return self.is_apart and bool(self.beside) and self.forked_from is None


def iso(seconds: float) -> str:
    """A time as rows hold it: ISO 8601 in UTC with microseconds and `Z`, so that strings sort as times do."""
    time = datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None)
    return f"{time.isoformat(timespec='microseconds')}Z"


def attributes_of(row: Row) -> dict[str, Any]:
    """What a row is stored with but for `created_at`, by attribute; None for what it is stored without."""
    return {
        "title": row.title,
        "messages": row.messages,
        "updated_at": row.updated_at,
        "message_count": row.message_count,
        "first": row.first or None,
        "status": row.status,
        "status_at": row.status_at if row.status_at != row.updated_at else None,
        "waiting_for": list(row.waiting_for) or None,
        "version": row.version,
        "renumbered": row.renumbered or None,
        "head": row.head,
        "beside": list(row.beside) or None,
        "incarnation": row.incarnation,
        "foreign": row.is_foreign or None,
        BLOBS: refs_of(row.messages) or None,
        LIVE_UNTIL: row.times.until,
        EXPIRES_AT: row.times.expires_at,
    }


def _unchanged_since(before: Row | None) -> tuple[str, dict[str, str], dict[str, Any]]:
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


def update_of(before: Row | None, changed: dict[str, Any], gone: list[str]) -> dict[str, Any]:
    """The update that sets and removes attributes of a row, if it is as it was."""
    names = {f"#{name}": name for name in (*changed, *gone)}
    values = {f":{name}": to_attribute(value) for name, value in changed.items()}
    condition, more_names, more_values = _unchanged_since(before)
    removed = " REMOVE " + ", ".join(f"#{name}" for name in gone) if gone else ""
    return {
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in changed) + removed,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {**names, **more_names},
        "ExpressionAttributeValues": {**values, **more_values},
    }


def times_of(item: AttributeMap) -> Times:
    """The times of a row that was read; other programs may have an `expires_at` of their own."""
    stored = [item.get(name, {}).get("N") for name in (LIVE_UNTIL, EXPIRES_AT)]
    return Times(*(int(float(time)) if time is not None else None for time in stored))


RAISED_VERSION = {
    "UpdateExpression": "ADD #version :one",
    "ConditionExpression": "attribute_exists(#version)",
    "ExpressionAttributeNames": {"#version": "version"},
    "ExpressionAttributeValues": {":one": {"N": "1"}},
}
"""The update that tells other writers that a row has changed."""


def mark_of(times: Times) -> dict[str, Any]:
    """The update that gives a row its times, if it is there; without times, if it has none already."""
    stamps = {
        f":{name}": {"N": str(time)} for name, time in zip(TIMES.values(), times, strict=True) if time is not None
    }
    if not stamps:
        return {
            "UpdateExpression": f"REMOVE {LIVE_UNTIL}",
            "ConditionExpression": f"attribute_exists(#pk) AND attribute_not_exists({LIVE_UNTIL})",
            "ExpressionAttributeNames": {"#pk": PK},
        }
    return {
        "UpdateExpression": "SET " + ", ".join(f"{name[1:]} = {name}" for name in stamps),
        "ConditionExpression": "attribute_exists(#pk)",
        "ExpressionAttributeNames": {"#pk": PK},
        "ExpressionAttributeValues": stamps,
    }


def is_same(before: Row | None, row: Row) -> bool:
    """Whether a row that was read again is as before: what is missing then, is missing."""
    return before is not None and (before.version, before.updated_at) == (row.version, row.updated_at)


def asked(values: Iterable[Any]) -> Asked:
    """What interrupts ask, as rows say it."""
    interrupts = [one for value in values for one in (value if isinstance(value, (list, tuple)) else [value])]
    return [{"id": str(getattr(one, "id", "")), "value": storable(getattr(one, "value", one))} for one in interrupts]


def has_stopped(row: Row | None, checkpoint_id: str) -> bool:
    """Whether a row shows already that the step after this checkpoint was interrupted or failed."""
    return row is not None and row.head == checkpoint_id and row.status in (WAITING, FAILED)


def live(request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """A request to the index, for conversations only that are not over at this time."""
    return {
        **request,
        "FilterExpression": _LIVE,
        "names": {**request.get("names", {}), **TIMES},
        "values": {**request.get("values", {}), ":time": {"N": str(int(seconds))}, ":number": {"S": "N"}},
    }
