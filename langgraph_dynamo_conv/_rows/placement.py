"""Where messages stand once a state has changed a transcript: in the row, or in pages. Pure.

The rule: what leaves the row as the row held it is cut, a page at a time, before the row is written. What is new, and
more than the row takes, and what changed among older messages, goes into pages that are written with the row or not at
all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from langgraph_dynamo_conv._format.attributes import size_of
from langgraph_dynamo_conv._format.items import Times
from langgraph_dynamo_conv._rows.pages import PAGE_MESSAGES, Page, pages_of
from langgraph_dynamo_conv._rows.row import IDLE, WAITING, Row, RowUpdate
from langgraph_dynamo_conv._transcript.fitting import (
    DEFAULT_TITLE,
    newest_exchange,
    shorten_values,
    sizes_of,
    title_of,
    total_size,
)
from langgraph_dynamo_conv._transcript.folding import Message
from langgraph_dynamo_conv._transcript.growing import fork_point
from langgraph_dynamo_conv._transcript.ids import ids_of
from langgraph_dynamo_conv._transcript.langchain import speaker_of

ROW_BYTES = 16 * 1024
"""Default of the most bytes of messages in a row that this package began."""

FOREIGN_ROW_BYTES = 300 * 1024
"""The same of a row that another program began: what an item can hold, with room for its other attributes."""

MESSAGE_BYTES = 3 * 1024
"""Default of the most bytes of one message, in a row that does not hold all messages."""

MOST_PAGES = 90
MOST_PAGE_BYTES = 3 * 1024 * 1024
"""Pages that are written with a row: DynamoDB takes 100 items and 4 MB."""

_ASKED_BYTES = 1024
_MOST_ASKED = 10
"""What a row says of the interrupts that it waits for."""

Shorten = Callable[[Sequence[Message], int], "list[Message]"]
"""Gives messages as the row shows them, none larger than so many bytes."""


@dataclass(frozen=True)
class RowLimits:
    """How many bytes of messages a row holds.

    Args:
        row_bytes: What the option `row_bytes` says, for every row; None for the defaults.
    """

    row_bytes: int | None = None

    def most(self, row: Row) -> int:
        """The most bytes in a row that holds all messages."""
        return self.row_bytes or (FOREIGN_ROW_BYTES if row.is_foreign else ROW_BYTES)

    def is_dear(self, row: Row) -> bool:
        """Whether a row is so large that a turn writes it once, at its end: another program's, which stays whole."""
        return row.is_foreign and not row.first and size_of(row.messages) > self.exchange

    @property
    def exchange(self) -> int:
        """The most bytes in a row that does not."""
        return self.row_bytes or ROW_BYTES

    @property
    def message(self) -> int:
        """The most bytes of a message in such a row."""
        return self.row_bytes * 2 // 3 if self.row_bytes else MESSAGE_BYTES


@dataclass(frozen=True)
class RowPlan:
    """A write of the row.

    Args:
        row: As it becomes.
        cut: How many of its first messages are stored in pages before.
        pages: What is written with it.
        is_complete: Whether the row then shows all of the state; else there was more than one write takes.
    """

    row: Row
    cut: int = 0
    pages: tuple[Page, ...] = ()
    is_complete: bool = True


def updated(base: Row, merged: Sequence[Message], update: RowUpdate, times: Times) -> Row:
    """The row after an update, but for its messages and what depends on them.

    A title that was made from the first message of the user that has text follows it; any other stays.
    """
    title = base.title
    if not base.first and title in (DEFAULT_TITLE, title_of(base.messages)):
        title = title_of(merged)
    status = update.status or base.status or IDLE
    before = base.waiting_for if update.head == base.head and not update.asks_anew else ()
    asked = {str(one["id"]): one for one in (*before, *update.waiting_for)} if status == WAITING else {}
    return replace(
        base,
        title=title,
        status=status,
        status_at=base.status_at if status == base.status and base.status_at else update.now,
        waiting_for=shorten_values(list(asked.values())[:_MOST_ASKED], _ASKED_BYTES),
        version=base.version + 1,
        renumbered=base.renumbered if _keeps_numbers(base.messages, merged) else base.version + 1,
        times=times,
    )


def _keeps_numbers(before: Sequence[Message], after: Sequence[Message]) -> bool:
    """Whether each message stands where it stood, be it edited."""
    return len(before) <= len(after) and all(
        new is old or not old.get("ids") or not set(ids_of(new)).isdisjoint(ids_of(old))
        for old, new in zip(before, after, strict=False)
    )


def dated_plan(plan: RowPlan, row: Row | None, update: RowUpdate) -> RowPlan | None:
    """The plan with the row's time and head; None if nothing is to be written, since the row says it already."""
    after, updated_at = plan.row, update.now
    held = (row.first + plan.cut, row.messages[plan.cut :]) if row is not None and not plan.pages else None
    if row is not None and held == (after.first, after.messages):
        updated_at = row.updated_at
        is_said = (after.status, list(after.waiting_for)) == (row.status, list(row.waiting_for))
        if not plan.cut and is_said and after.times.until == row.times.until and not update.is_far:
            return None
    head = update.head if plan.is_complete and update.head else after.head
    beside = update.beside if head == update.head else after.beside
    return replace(plan, row=replace(after, updated_at=updated_at, head=head, beside=tuple(beside)))


@dataclass(frozen=True)
class Placement:
    """Places the messages of a transcript.

    Args:
        after: The row as it becomes, but for `first` and `messages`.
        row: The row as it is; None if there is none.
        base: The same with as many older messages as may have changed, whole.
        limits: How much a row holds.
        shorten: Shortens messages.
        may_cut: Whether messages may leave the row now, if it can hold them.
    """

    after: Row
    row: Row | None
    base: Row
    limits: RowLimits
    shorten: Shorten
    may_cut: bool = True

    def placed(self, merged: list[Message]) -> RowPlan:
        """Place the messages from number `base.first` on, as they become. The row holds those that it has held."""
        start = self.base.first
        first = min(self.row.first if self.row is not None else 0, start + max(len(merged) - 1, 0))
        older = merged[: first - start]
        pairs = zip(self.base.messages, older, strict=False)
        changed = {number for number, (old, new) in enumerate(pairs, start) if new is not old}
        return self._fitted(first, merged[first - start :], tuple(self._edit_pages(changed, older)))

    def replaced(self, merged: list[Message]) -> RowPlan:
        """The same where messages were taken back, or came between others: what is before these stays where it is, the
        row holds what follows, or the last."""
        common, most = 0, min(len(self.base.messages), len(merged) - 1)
        while common < most and merged[common] is self.base.messages[common]:
            common += 1
        first = self.base.first + common
        first = min(first, self.row.first) if self.row is not None else first
        return self._fitted(first, merged[first - self.base.first :], ())

    def _fitted(self, first: int, messages: list[Message], pages: tuple[Page, ...]) -> RowPlan:
        """Let the row hold what it can of the messages from number `first` on."""
        sizes = sizes_of(messages, self.row.sizes if self.row is not None else {}) if not first else {}
        row = replace(self.after, first=first, sizes=sizes)
        if not first and total_size(messages, sizes) <= self.limits.most(row):
            return RowPlan(replace(row, messages=messages), pages=pages)
        shown = self.shorten(messages, self.limits.message)
        start = newest_exchange(shown, self.limits.exchange)
        cut = self._to_cut(first, messages, shown, start)
        if size_of(shown[cut:]) > self.limits.exchange:
            return _with_new_pages(row, shown, cut, start, pages)
        return RowPlan(replace(row, first=first + cut, messages=shown[cut:]), cut, pages)

    def _to_cut(self, first: int, messages: list[Message], shown: list[Message], start: int) -> int:
        """How many messages leave the row, of those before the newest exchange that it holds unchanged.

        A row that does not hold all messages waits for a write that begins an exchange: the next one is then cheap, and
        where there is none, since a run stores its state at its end, the row does not grow either.
        """
        before = self.row.messages if self.row is not None and self.row.first == first else []
        count = 0
        while count < min(start, len(before)) and before[count] in (messages[count], shown[count]):
            count += 1
        is_turn = self.may_cut and (speaker_of(shown[-1]) == "user" or start >= len(before))
        may_wait = first and size_of(shown) <= self.limits.exchange
        return 0 if may_wait and not is_turn else count

    def _edit_pages(self, changed: set[int], older: list[Message]) -> Iterator[Page]:
        """Pages of the changed messages, each with those that follow it: a page that is at its key has no others."""
        start = self.base.first
        done = start
        for number in sorted(changed):
            if number >= done:
                done = min(number + PAGE_MESSAGES, start + len(older))
                shown = self.shorten(older[number - start : done - start], self.limits.message)
                yield from pages_of(self.after, number, shown)


def _with_new_pages(row: Row, shown: list[Message], cut: int, start: int, pages: tuple[Page, ...]) -> RowPlan:
    """Store new messages before the newest exchange with the row, as many as one transaction takes."""
    first, size = row.first + cut, 0
    added = list(pages)
    for page in pages_of(row, first, shown[cut:start]):
        size += size_of(page.messages)
        if len(added) >= MOST_PAGES or size > MOST_PAGE_BYTES:
            break
        added.append(page)
        first += len(page.messages)
    is_complete = first == row.first + start
    rest = shown[first - row.first :]
    kept = rest if is_complete else rest[:1]
    return RowPlan(replace(row, first=first, messages=kept), cut, tuple(added), is_complete)


def is_near(messages: Sequence[Message], update: RowUpdate) -> bool:
    """Whether an update does not go before the messages that a row has, as far as can be told from them."""
    if update.forked_from is None:
        return not update.is_apart
    forked_from, taken_back = update.forked_from, update.taken_back
    if not forked_from and not taken_back:
        return False
    return fork_point(messages, forked_from, taken_back.keys(), by_words=not update.has_ids) is not None
