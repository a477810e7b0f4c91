"""Lists of a user's conversations: pages, filters, cursors.

By creation time a list is one range of the index. By `updated_at` there is no index, so conversations are read
by creation time and sorted here, in windows of `SORTED_AT_MOST`, one after the other.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from typing import Any, NamedTuple

from langgraph_dynamo_conv._arguments import check_count, check_flag, check_words, shown
from langgraph_dynamo_conv._format.items import AttributeMap
from langgraph_dynamo_conv._format.keys import PK, SK
from langgraph_dynamo_conv._rows.row import STATUSES, Row, iso, live
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.conversations._records import ConversationPage, ConversationSummary

MOST_LISTED = 1000
SORTED_AT_MOST = 2000
"""Conversations that are read to be sorted by `updated_at`: the newest by `created_at`, or the oldest."""

_LONGEST_TIME = 1024
"""Characters of a time that count, whoever wrote it. Developer Guide, "Quotas": a sort key has at most 1024 bytes."""

_LONGEST_ID = 2048
"""Characters of an id, whoever made it. Developer Guide, "Quotas": a partition key has at most 2048 bytes."""

_LONGEST_CURSOR = 4096
_YEAR_OR_MONTH = re.compile(r"\d{4}(-\d\d)?")

Read = Callable[[AttributeMap], Row]
"""Gives the record of a row that was read."""

_CREATED, _UPDATED = "created_at", "updated_at"
_SHOWN = (PK, "title", _CREATED, _UPDATED, "message_count", "status", "status_at", "waiting_for", "version", "sealed")
"""Attributes of a row that a list needs, beside the user."""


class _Place(NamedTuple):
    """A place in an order: a conversation's time, and its id where several have the same."""

    at: str
    thread_id: str


class _Position(NamedTuple):
    """What a cursor says: a place in the list and, if it is sorted here, after which place the window begins."""

    at: str
    thread_id: str
    window: _Place | None = None


class _Entry(NamedTuple):
    """A row of a list, and after which place its window begins."""

    row: Row
    window: _Place | None = None


@dataclass(frozen=True)
class ConversationQuery:
    """Which conversations are asked for; see `Conversations.list`. Those that are over at the time `now` are not."""

    user_id: str
    limit: int = 20
    created_after: str | None = None
    created_before: str | None = None
    newest_first: bool = True
    order_by: str = _CREATED
    status: str | None = None
    title_contains: str | None = None
    now: float = 0.0

    def __post_init__(self) -> None:
        check_count("limit", self.limit, 1, MOST_LISTED)
        check_flag("newest_first", self.newest_first)
        if self.order_by not in (_CREATED, _UPDATED):
            raise ValueError(f"order_by is 'created_at' or 'updated_at'; got {shown(self.order_by)}")
        if self.status not in (None, *STATUSES):
            raise ValueError(f"status is one of {', '.join(STATUSES)}; got {shown(self.status)}")
        if self.title_contains is not None:
            check_words("title_contains", self.title_contains)
        for name in ("created_after", "created_before"):
            if (time := getattr(self, name)) is not None:
                object.__setattr__(self, name, time_in_utc(name, time))
        if self.created_after and self.created_before and self.created_after >= self.created_before:
            raise ValueError(
                f"created_after is before created_before; got {self.created_after} and {self.created_before}"
            )

    def has_in_range(self, created_at: str) -> bool:
        """Whether a time is one that DynamoDB goes on from with these bounds."""
        return (self.created_after or "") <= created_at <= (self.created_before or created_at)

    def admits(self, row: Row) -> bool:
        """Whether a conversation is among those asked for."""
        if self.created_after is not None and row.created_at <= self.created_after:
            return False
        if self.created_before is not None and row.created_at >= self.created_before:
            return False
        if self.status is not None and row.status != self.status:
            return False
        return self.title_contains is None or self.title_contains.casefold() in row.title.casefold()


def page(table: Table, query: ConversationQuery, cursor: str | None, read: Read) -> ConversationPage:
    """One page.

    Args:
        table: The table.
        query: Which conversations.
        cursor: From the page before, or None.
        read: Gives the record of a row that was read.
    """
    position = _position(query, cursor)
    by = _by_created if query.order_by == _CREATED else _by_updated
    entries = list(islice(by(table, query, position, read), query.limit + 1))
    summaries = tuple(ConversationSummary._of(entry.row) for entry in entries[: query.limit])
    # One more than the page holds tells that there is a next one.
    return ConversationPage(summaries, _cursor(query, entries[-2]) if len(entries) > query.limit else None)


def all_rows(table: Table, query: ConversationQuery, read: Read) -> Iterator[Row]:
    """Every conversation asked for, by creation time."""
    return (entry.row for entry in _by_created(table, query, None, read))


def _by_created(table: Table, query: ConversationQuery, position: _Position | None, read: Read) -> Iterator[_Entry]:
    filters = query.status or query.title_contains
    limit = None if filters else query.limit + 1
    start = position and _Place(position.at, position.thread_id)
    for answer in table.query_index(query.user_id, limit, **_range(query, start)):
        yield from (_Entry(row) for row in map(read, answer.get("Items", [])) if query.admits(row))


def _by_updated(table: Table, query: ConversationQuery, position: _Position | None, read: Read) -> Iterator[_Entry]:
    start, place = (position.window, _Place(position.at, position.thread_id)) if position else (None, None)
    while True:
        rows, after = _window(table, query, start, read)
        for row in filter(query.admits, sorted(rows, key=_updated, reverse=query.newest_first)):
            at = _updated(row)
            if place is None or (at < place if query.newest_first else at > place):
                yield _Entry(row, start)
        if after is None:
            return
        start, place = after, None


def _window(
    table: Table, query: ConversationQuery, start: _Place | None, read: Read
) -> tuple[list[Row], _Place | None]:
    """The next conversations by creation time, as many as are sorted at once, and where those after them begin."""
    rows: list[Row] = []
    is_last = True
    for answer in table.query_index(query.user_id, None, **_range(query, start)):
        rows += map(read, answer.get("Items", []))
        is_last = "LastEvaluatedKey" not in answer
        if len(rows) >= SORTED_AT_MOST:
            break
    window = rows[:SORTED_AT_MOST]
    is_end = is_last and len(rows) == len(window)
    return window, None if is_end else _Place(window[-1].created_at, window[-1].scope.thread_id)


def _updated(row: Row) -> _Place:
    return _Place(row.updated_at[:_LONGEST_TIME], row.scope.thread_id)


def _range(query: ConversationQuery, start: _Place | None) -> dict[str, Any]:
    """The request for what is asked for, after a place in the index."""
    names = {f"#{name}": name for name in _SHOWN}
    after, before = query.created_after, query.created_before
    values = {name: {"S": time} for name, time in ((":after", after), (":before", before)) if time is not None}
    request: dict[str, Any] = {
        "ProjectionExpression": ", ".join(["#user", *names]),
        "names": names,
        "values": values,
        "ScanIndexForward": not query.newest_first,
    }
    if len(values) == 2:
        request["created"] = " AND #created_at BETWEEN :after AND :before"
    elif values:
        request["created"] = " AND #created_at > :after" if after is not None else " AND #created_at < :before"
    if start is not None:
        key = {PK: start.thread_id, SK: query.user_id, _CREATED: start.at}
        request["ExclusiveStartKey"] = {name: {"S": value} for name, value in key.items()}
    return live(request, query.now)


def _cursor(query: ConversationQuery, last: _Entry) -> str:
    row = last.row
    at = row.created_at if query.order_by == _CREATED else _updated(row).at
    body = {"u": query.user_id, "o": query.order_by, "n": query.newest_first, "id": row.scope.thread_id, "at": at}
    if last.window is not None:
        body["w"] = last.window
    return to_cursor(body)


def _position(query: ConversationQuery, cursor: str | None) -> _Position | None:
    if cursor is None:
        return None
    try:
        body = from_cursor(cursor)
        if (body["u"], body["o"], body["n"]) != (query.user_id, query.order_by, query.newest_first):
            raise ValueError("it belongs to another list")
        place, window = _place(body["at"], body["id"]), body.get("w")
        position = _Position(*place, None if window is None else _place(*window))
        start = place if query.order_by == _CREATED else position.window
        if start is not None and not query.has_in_range(start.at):
            raise ValueError("it is of other bounds")
        return position
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            "the cursor is broken, or is of another user or order: give the one that the page before came with, and "
            "the same arguments"
        ) from error


def _place(at: object, thread_id: object) -> _Place:
    if not isinstance(at, str) or not 0 < len(at.encode()) <= _LONGEST_TIME:
        raise ValueError("it names no time")
    if not isinstance(thread_id, str) or not 0 < len(thread_id.encode()) <= _LONGEST_ID:
        raise ValueError("it names no conversation")
    return _Place(at, thread_id)


def time_in_utc(name: str, value: object) -> str:
    """A time as rows hold it, from a year, month, day or more. One without an offset is UTC."""
    try:
        if not isinstance(value, str):
            raise ValueError("it is no text")
        whole = value + "0000-01-01"[len(value) :] if _YEAR_OR_MONTH.fullmatch(value) else value
        time = datetime.fromisoformat(whole.replace("Z", "+00:00"))
        return iso((time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp())
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{name} is a time in ISO 8601, such as '2026-01-31' or '2026-01-31T09:00:00Z'; got {shown(value)}"
        ) from None


def to_cursor(position: Any) -> str:
    """A cursor that says where a page ended."""
    return base64.urlsafe_b64encode(json.dumps(position, separators=(",", ":")).encode()).decode()


def from_cursor(cursor: object) -> Any:
    """What a cursor says. Raises `ValueError` if it is broken."""
    if not isinstance(cursor, str) or len(cursor) > _LONGEST_CURSOR:
        raise ValueError("it is no text, or longer than any")
    try:
        return json.loads(base64.urlsafe_b64decode(cursor))
    except RecursionError:
        raise ValueError("it is nested deeper than any") from None
