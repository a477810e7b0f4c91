"""Pages: items of the messages that left the conversation row.

The rule: "number n had content c at version v of the row" is a fact, and the latest fact counts. A page holds a few
consecutive messages, keyed by the number of the first, and the version of the row at which they had that content. What
the row holds counts first; then the page of the greatest version that covers a number. So what a fork or a crash has
left behind needs no deleting.

A page is made in one of two ways. A *cut* moves messages that the row holds, as it holds them, at the row's version:
whoever else cuts at that version writes the same. An edit of older messages, and more new messages than the row takes,
go into one transaction with the row, at the version that the row then gets. So no page has messages that were never
committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from langgraph_dynamo_conv._format.attributes import from_attribute, size_of, to_attribute
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import (
    EXPIRES_AT,
    AttributeMap,
    bytes_of,
    key_attributes,
    number_of,
    odd,
    stamp,
    text_of,
)
from langgraph_dynamo_conv._format.keys import PK, SK, Scope, parse_sk
from langgraph_dynamo_conv._rows.large_messages import packed, refs_attribute, unpacked
from langgraph_dynamo_conv._rows.row import Row
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._storage.failures import ConditionFailed
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv._transcript.folding import Message

PAGE_MESSAGES = 8
"""The most messages of a page: a range of numbers is found by keys from this many before it."""

_PAGE_BYTES = 256 * 1024
"""The most bytes of a page, but for a single message."""

_NAMES = {"#pk": PK, "#version": "version", "#count": "count", "#incarnation": "incarnation"}


class StaleRow(Exception):
    """The row is older than its pages: it must be read again."""


@dataclass(frozen=True)
class Page:
    """Consecutive messages, as they were at a version of the row.

    Args:
        first: The number of the first.
        version: The row's version.
        incarnation: Which conversation of this id it is of.
        messages: As the row had them.
    """

    first: int
    version: int
    incarnation: str
    messages: list[Message]

    @property
    def end(self) -> int:
        """The number after its last."""
        return self.first + len(self.messages)


class Pages:
    """Stores and reads pages. Safe to share between threads."""

    def __init__(self, table: Table, codec: Codec, expiry: Expiry) -> None:
        self._table = table
        self._codec = codec
        self._expiry = expiry

    def cut(self, row: Row, count: int) -> None:
        """Store the first `count` messages that the row holds, so that it can do without them. Can be repeated.

        Raises:
            ConditionFailed: The row is no longer as it was read.

        Cost: one PutItem for each page.
        """
        for page in pages_of(row, row.first, row.messages[:count]):
            try:
                self._table.put(self._item(row.scope, page), **_unless_longer(page))
            except ConditionFailed as refused:
                if refused.item is None or not _has(refused.item, page):
                    raise

    def put_of(self, scope: Scope, page: Page) -> dict[str, Any]:
        """The write that stores a page in a transaction with the row that gets the page's version."""
        return {"Put": {"Item": self._item(scope, page), **_unless_longer(page)}}

    def read(self, row: Row, first: int, last: int) -> dict[int, Message] | None:
        """The messages from number `first` to before `last` that left the row, by number, as far as they are stored.

        Returns:
            None if the row is older than the pages are: read it again.

        Cost: one Query, and half a read unit for each 4 KB of the messages, for each MB.
        """
        last = min(last, row.first)
        if first >= last:
            return {}
        pages = self._between(row, first - PAGE_MESSAGES + 1, last - 1)
        return None if any(page.version > row.version for page in pages) else latest(pages, first, last)

    def from_number(self, row: Row, first: int) -> list[Page]:
        """The pages from which the messages from number `first` on are put together, and those of a page before.

        Raises:
            StaleRow: The row is older than the pages are.

        Cost: one Query for each MB.
        """
        pages = self._between(row, first - 2 * (PAGE_MESSAGES - 1), None)
        if any(page.version > row.version for page in pages):
            raise StaleRow
        return pages

    def clear(self, row: Row) -> None:
        """Delete the pages that a cut left which its row did not follow: none of their messages counts.

        Cost: one Query for each MB, and one DeleteItem for each such page.
        """
        pages = self._between(row, 0, None)
        of_number: dict[int, Page] = {}
        for page in sorted(pages, key=lambda page: page.version):
            of_number |= dict.fromkeys(range(page.first, min(page.end, row.first)), page)
        winners = {page.first for page in of_number.values()}
        for page in pages:
            if page.version < row.version and page.first not in winners:
                with suppress(ConditionFailed):  # somebody has just written it
                    self._table.delete(row.scope.messages(page.first), **_if_same(page))

    def remove(self, scope: Scope) -> None:
        """Delete all pages of a conversation. Cost: one Query for each MB, and one DeleteItem for each page."""
        for items in self._table.query(scope.thread_id, scope.prefix("m"), keys_only=True):
            for item in items:
                self._table.delete(scope.messages(_number(item)))

    def page_of(self, item: AttributeMap) -> Page:
        """The page in an item that was read.

        Raises:
            CorruptDataError: An attribute is missing or of another type, or is in plain text where all should be
                encrypted.
        """
        if "sealed" in item:
            messages = unpacked(self._codec.unframe(bytes_of(item, "sealed"), item[SK]["S"]))
        else:
            self._codec.refuse_plaintext(item[SK]["S"])
            messages = from_attribute(item.get("messages", {"NULL": True}))
        if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
            raise odd(item, "messages", "it is no list of maps")
        number_of(item, "count")
        return Page(_number(item), number_of(item, "version"), text_of(item, "incarnation"), messages)

    def _between(self, row: Row, low: int, high: int | None) -> list[Page]:
        """The pages of a row that begin at number `low` to `high`, or from `low` on."""
        keys = row.scope.messages(max(low, 0)).sk, None if high is None else row.scope.messages(high).sk
        answers = self._table.query(row.scope.thread_id, row.scope.prefix("m"), first=keys[0], last=keys[1])
        items = [item for items in answers for item in items if not self._is_past(item)]
        return [page for page in map(self.page_of, items) if page.incarnation == row.incarnation]

    def _is_past(self, item: AttributeMap) -> bool:
        return EXPIRES_AT in item and self._expiry.is_past(number_of(item, EXPIRES_AT))

    def _item(self, scope: Scope, page: Page) -> AttributeMap:
        key = scope.messages(page.first)
        if self._codec.encryptor is None:
            content = {"messages": to_attribute(page.messages)}
        else:
            content = {"sealed": {"B": self._codec.frame(packed(page.messages), key.sk)}}
        version, count = {"N": str(page.version)}, {"N": str(len(page.messages))}
        facts: AttributeMap = {"version": version, "count": count, "incarnation": {"S": page.incarnation}}
        refs = refs_attribute(page.messages)
        return {**key_attributes(key), **content, **facts, **refs, **stamp(self._expiry.expires_at())}


def pages_of(row: Row, first: int, messages: Iterable[Message]) -> Iterator[Page]:
    """Consecutive messages as pages of the row's version, each small enough for an item."""
    batch: list[Message] = []
    size = 0
    for message in messages:
        weight = size_of(message)
        if batch and (len(batch) == PAGE_MESSAGES or size + weight > _PAGE_BYTES):
            yield Page(first, row.version, row.incarnation, batch)
            first, batch, size = first + len(batch), [], 0
        batch.append(message)
        size += weight
    if batch:
        yield Page(first, row.version, row.incarnation, batch)


def latest(pages: Iterable[Page], first: int, last: int) -> dict[int, Message]:
    """The messages from number `first` to before `last`, by number: of each what the page of the greatest version has.

    Of two pages of one version the longer one is later; both have the same of a number.
    """
    messages: dict[int, Message] = {}
    for page in sorted(pages, key=lambda page: page.version):
        messages |= {
            number: message for number, message in enumerate(page.messages, page.first) if first <= number < last
        }
    return dict(sorted(messages.items()))


def _unless_longer(page: Page) -> dict[str, Any]:
    """The condition that there is nothing later at the page's key."""
    is_earlier = "#version < :version OR (#version = :version AND #count < :count) OR #incarnation <> :incarnation"
    return {
        "ConditionExpression": f"attribute_not_exists(#pk) OR {is_earlier}",
        "ExpressionAttributeNames": _NAMES,
        "ExpressionAttributeValues": {
            ":version": {"N": str(page.version)},
            ":count": {"N": str(len(page.messages))},
            ":incarnation": {"S": page.incarnation},
        },
    }


def _if_same(page: Page) -> dict[str, Any]:
    """The condition that a page is as it was read."""
    return {
        "ConditionExpression": "#version = :version AND #count = :count",
        "ExpressionAttributeNames": {name: _NAMES[name] for name in ("#version", "#count")},
        "ExpressionAttributeValues": {
            ":version": {"N": str(page.version)},
            ":count": {"N": str(len(page.messages))},
        },
    }


def _has(item: AttributeMap, page: Page) -> bool:
    """Whether an item that refused a cut was made by another cut of the same, at least as long."""
    is_same = (text_of(item, "incarnation"), number_of(item, "version")) == (page.incarnation, page.version)
    return is_same and number_of(item, "count") >= len(page.messages)


def _number(item: AttributeMap) -> int:
    return int(parse_sk(item[SK]["S"]).parts[0])
