"""Lists of a user's conversations: pages, filters, cursors.

By creation time a list is one range of the index. By `updated_at` there is no index, so the user's newest conversations
are read and sorted here, at most `SORTED_AT_MOST` of them.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from langgraph_dynamo_conv._format.items import AttributeMap
from langgraph_dynamo_conv._format.keys import PK, SK, check_thread_id
from langgraph_dynamo_conv._rows.row import STATUSES, Row, live
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.conversations._records import ConversationPage, ConversationSummary

SORTED_AT_MOST = 2000
"""Conversations that are read to be sorted by `updated_at`: the newest by `created_at`."""

_LONGEST_TIME = 64
"""Characters of a time in a row, whoever wrote it; more can't be a key of the index."""

Read = Callable[[AttributeMap], Row]
"""Gives the record of a row that was read."""

_CREATED, _UPDATED = "created_at", "updated_at"
_SHOWN = (PK, "title", _CREATED, _UPDATED, "message_count", "status", "version", "sealed")
"""Attributes of a row that a list needs, beside the user."""


class _Position(NamedTuple):
    """A place in a list: a conversation's time, and its id where several have the same."""

    at: str
    thread_id: str


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
        if not 1 <= self.limit <= 1000:
            raise ValueError(f"limit is 1 to 1000; got {self.limit!r}")
        if self.order_by not in (_CREATED, _UPDATED):
            raise ValueError(f"order_by is 'created_at' or 'updated_at'; got {self.order_by!r}")
        if self.status not in (None, *STATUSES):
            raise ValueError(f"status is one of {', '.join(STATUSES)}; got {self.status!r}")

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
    rows = list(islice(by(table, query, position, read), query.limit + 1))
    summaries = tuple(map(ConversationSummary._of, rows[: query.limit]))
    # One more than the page holds tells that there is a next one.
    return ConversationPage(summaries, _cursor(query, rows[-2]) if len(rows) > query.limit else None)


def all_rows(table: Table, query: ConversationQuery, read: Read) -> Iterator[Row]:
    """Every conversation asked for, by creation time."""
    return _by_created(table, query, None, read)


def _by_created(table: Table, query: ConversationQuery, position: _Position | None, read: Read) -> Iterator[Row]:
    request = _range(query)
    if position is not None:
        key = {PK: position.thread_id, SK: query.user_id, _CREATED: position.at}
        request["ExclusiveStartKey"] = {name: {"S": value} for name, value in key.items()}
    filters = query.status or query.title_contains
    for answer in table.query_index(query.user_id, None if filters else query.limit + 1, **request):
        yield from filter(query.admits, map(read, answer.get("Items", [])))


def _by_updated(table: Table, query: ConversationQuery, position: _Position | None, read: Read) -> Iterator[Row]:
    rows: list[Row] = []
    for answer in table.query_index(query.user_id, None, **{**_range(query), "ScanIndexForward": False}):
        rows += map(read, answer.get("Items", []))
        if len(rows) >= SORTED_AT_MOST:
            break
    for row in filter(query.admits, sorted(rows[:SORTED_AT_MOST], key=_updated, reverse=query.newest_first)):
        place = _updated(row)
        if position is None or (place < position if query.newest_first else place > position):
            yield row


def _updated(row: Row) -> _Position:
    return _Position(row.updated_at, row.scope.thread_id)


def _range(query: ConversationQuery) -> dict[str, Any]:
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
    return live(request, query.now)


def _cursor(query: ConversationQuery, last: Row) -> str:
    at = last.created_at if query.order_by == _CREATED else last.updated_at
    body = {"u": query.user_id, "o": query.order_by, "n": query.newest_first, "id": last.scope.thread_id, "at": at}
    return base64.urlsafe_b64encode(json.dumps(body).encode()).decode()


def _position(query: ConversationQuery, cursor: str | None) -> _Position | None:
    if cursor is None:
        return None
    try:
        body = json.loads(base64.urlsafe_b64decode(cursor))
        if (body["u"], body["o"], body["n"]) != (query.user_id, query.order_by, query.newest_first):
            raise ValueError("it belongs to another list")
        if not isinstance(body["at"], str) or not 0 < len(body["at"]) <= _LONGEST_TIME:
            raise ValueError("it names no time")
        return _Position(body["at"], check_thread_id(body["id"]))
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            "the cursor is broken, or is of another user or order: give the one that the page before came with, and "
            "the same arguments"
        ) from error
