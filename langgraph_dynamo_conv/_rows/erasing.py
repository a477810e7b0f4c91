"""A message of the transcript is edited or removed where it stands, in the row or in a page.

The rule: afterwards neither the row nor any page has the former words. Pages that hold them, those that no longer count
too, are written anew with the row or not at all: a reader sees the transcript before or after. What stood after a
removed message moves up by one number, so all pages from there on are written anew, each at its key.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from langgraph_dynamo_conv._checkpoints.blobs import PendingBlobs
from langgraph_dynamo_conv._format.attributes import size_of
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._rows.large_messages import SHORTENED, LargeMessages
from langgraph_dynamo_conv._rows.pages import Page, Pages, StaleRow, latest
from langgraph_dynamo_conv._rows.placement import MOST_PAGE_BYTES, MOST_PAGES, Placement, RowLimits, RowPlan
from langgraph_dynamo_conv._rows.row import Row
from langgraph_dynamo_conv._rows.rows import Rows
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv._transcript.erasing import Target
from langgraph_dynamo_conv._transcript.fitting import DEFAULT_TITLE, newest_exchange, title_of
from langgraph_dynamo_conv._transcript.folding import Message
from langgraph_dynamo_conv._transcript.ids import ids_of
from langgraph_dynamo_conv._transcript.langchain import adopted_ids, has_ids, public_ids, speaker_of
from langgraph_dynamo_conv.errors import ConflictError, MessageNotFoundError


@dataclass(frozen=True)
class Erasure:
    """What becomes of a message of the transcript.

    Args:
        message_id: Its public id.
        content: Its new text; None to remove it.
        parent: The state's checkpoint that was followed by one without the words, or None if the state had none.
        head: That checkpoint, or None.
        is_adopted: Whether the state knows the message by the ids that its parts got when an agent adopted it.
    """

    message_id: str
    content: str | None
    parent: str | None = None
    head: str | None = None
    is_adopted: bool = False


@dataclass(frozen=True)
class _Held:
    """The messages of a row and its pages from some number on, as they are stored.

    Args:
        row: The row.
        number: The number of the message that is to be erased.
        pages: The pages with a number from that one on.
        messages: The messages by number, from the first of these pages on at least.
    """

    row: Row
    number: int
    pages: list[Page]
    messages: dict[int, Message]


class Erasing:
    """Edits and removes messages of transcripts. Safe to share between threads."""

    def __init__(
        self, table: Table, rows: Rows, pages: Pages, large: LargeMessages, limits: RowLimits, expiry: Expiry
    ) -> None:
        self._table = table
        self._rows = rows
        self._pages = pages
        self._large = large
        self._limits = limits
        self._expiry = expiry

    def target(self, row: Row, message_id: str, *, is_removal: bool) -> Target:
        """The message of a public id, that is to be removed or edited.

        Raises:
            ConflictError: More follows a message that is to be removed than one transaction takes.
            MessageNotFoundError: The conversation has none.
            StaleRow: The row must be read again.

        Cost: one Query; where it is not among the row's messages, one for each MB of all messages.
        """
        held = self._held(row, message_id)
        if held is None:
            raise self.not_found(row.scope, message_id)
        if is_removal:
            self._check_fit(row, held.pages)
        numbers = sorted(held.messages)
        adopted = adopted_ids([held.messages[number] for number in numbers])[numbers.index(held.number)]
        message, *after = self._large.whole(row.scope, [held.messages[n] for n in numbers if n >= held.number])
        target = Target(message, tuple(adopted))
        return replace(target, later=sum(map(target.is_same, after)))

    def apply(self, scope: Scope, erasure: Erasure, overtaken: Callable[[], None]) -> str:
        """Edit or remove the message, whoever else writes at the same time; gives the public id that it then has.

        Args:
            scope: Conversation and user.
            erasure: What becomes of it.
            overtaken: Called where another writer was faster, or has deleted the row; may raise.

        Raises:
            ConflictError: Other writers were faster every time, or more follows a removed message than one
                transaction takes.
            MessageNotFoundError: It was to be edited, and another writer has removed it.

        Cost: what `target` costs; one UpdateItem. Where pages are written with it, a transaction: twice the units of
        the row, its index entry and these pages.
        """
        names = [erasure.message_id]

        def planned(row: Row | None) -> RowPlan | None:
            if row is None:
                overtaken()
            held = self._held(row, erasure.message_id) if row is not None else None
            if held is not None:
                return self._planned(held, erasure, names)
            if erasure.content is not None:
                raise self.not_found(scope, erasure.message_id)
            return None

        self._rows.write(scope, planned, overtaken)
        return names[-1]

    def not_found(self, scope: Scope, message_id: str) -> MessageNotFoundError:
        """The error for a message that a conversation does not have."""
        return MessageNotFoundError(
            f"this conversation has no message {message_id}: take the id from a message that get() gives now",
            table=self._table.name,
            key=str(scope.row()),
        )

    def _held(self, row: Row, message_id: str) -> _Held | None:
        """Where the message is, and what is written anew with it; None if there is no such message."""
        in_row = {first: row.first + place for place, one in enumerate(row.messages) for first in ids_of(one)[:1]}
        is_near = not row.first or (message_id in in_row and all(map(has_ids, row.messages)))
        pages = self._pages.from_number(row, in_row[message_id] if row.first and is_near else 0)
        messages = latest(pages, 0, row.first) | dict(enumerate(row.messages, row.first))
        if len(messages) != row.message_count - (min(messages, default=row.first) if is_near else 0):
            raise StaleRow
        first = row.first if is_near else 0
        names = public_ids(row.messages if is_near else list(messages.values()))
        if message_id not in names:
            return None
        number = first + names.index(message_id)
        return _Held(row, number, [page for page in pages if page.end > number], messages)

    def _planned(self, held: _Held, erasure: Erasure, names: list[str]) -> RowPlan:
        """The write of the row, and of the pages that had the words or whose messages move up."""
        row, number = held.row, held.number
        pending: PendingBlobs = {}

        def shorten(messages: Sequence[Message], max_bytes: int) -> list[Message]:
            return self._large.shorten(messages, max_bytes, held.messages.values(), pending)

        messages = self._changed(held, erasure)
        if erasure.is_adopted:
            messages = _with_adopted(held, messages, is_removal=erasure.content is None)
        if erasure.content is not None:
            names.append((ids_of(messages[number]) or names)[0])
        after = self._row_after(held, erasure, messages)
        plan = self._placed(held, after, messages, shorten)
        pages = {page.first: page for page in self._pages_after(held, plan.row, messages, shorten)}
        pages |= {page.first: page for page in plan.pages}
        self._check_fit(row, pages.values())
        self._large.store(row.scope, pending)
        return replace(plan, pages=tuple(pages.values()))

    def _changed(self, held: _Held, erasure: Erasure) -> dict[int, Message]:
        """The messages by number as they become; one that is edited is whole."""
        messages = dict(held.messages)
        if erasure.content is None:
            moved = {number - (number > held.number): one for number, one in messages.items() if number != held.number}
            return dict(sorted(moved.items()))
        (whole,) = self._large.whole(held.row.scope, [messages[held.number]])
        edited = {key: value for key, value in whole.items() if key not in ("text", "parts", SHORTENED)}
        return {**messages, held.number: {**edited, "content": erasure.content}}

    def _row_after(self, held: _Held, erasure: Erasure, messages: dict[int, Message]) -> Row:
        row = held.row
        is_followed = erasure.head is not None
        return replace(
            row,
            title=self._title(held, messages),
            updated_at=self._rows.now(),
            version=row.version + 1,
            renumbered=row.version + 1 if erasure.content is None else row.renumbered,
            head=erasure.head if is_followed and row.head == erasure.parent else row.head,
            times=self._expiry.fresh() if is_followed else row.times,
        )

    def _title(self, held: _Held, messages: dict[int, Message]) -> str:
        """The row's title; where it was made from the message, the one that the user's first message now gives."""
        row, target = held.row, held.messages[held.number]
        if speaker_of(target) != "user" or row.title not in (DEFAULT_TITLE, title_of(target)):
            return row.title
        pages = self._pages.from_number(row, 0) if row.first else []
        before = latest(pages, 0, row.first) | held.messages
        if row.title not in (DEFAULT_TITLE, title_of(list(before.values()))):
            return row.title
        earlier = {number: one for number, one in before.items() if number < held.number}
        later = {number: one for number, one in messages.items() if number >= held.number}
        return title_of(self._large.whole(row.scope, list((earlier | later).values())))

    def _placed(
        self,
        held: _Held,
        after: Row,
        messages: dict[int, Message],
        shorten: Callable[[Sequence[Message], int], list[Message]],
    ) -> RowPlan:
        """The row with its messages as they become."""
        row, count = held.row, max(messages, default=-1) + 1
        first = row.first - (count < row.message_count and held.number < row.first)
        in_row = [messages[number] for number in range(first, count)]
        if held.number < row.first:
            return RowPlan(replace(after, first=first, messages=in_row))
        if in_row or not first:
            return Placement(after, row, row, self._limits, shorten, may_cut=False).placed(in_row)
        # The row has lost its only message: the newest exchange comes back from the pages.
        older = list(messages.values())
        start = newest_exchange(older, self._limits.exchange)
        return RowPlan(replace(after, first=count - len(older) + start, messages=older[start:]))

    def _pages_after(
        self,
        held: _Held,
        after: Row,
        messages: dict[int, Message],
        shorten: Callable[[Sequence[Message], int], list[Message]],
    ) -> Iterator[Page]:
        """The pages that are written anew, each with what then counts of its numbers; none counts that the row has."""
        for page in held.pages:
            numbers = range(page.first, min(page.end, after.first))
            live = shorten([messages[number] for number in numbers], self._limits.message)
            if live != page.messages:
                yield Page(page.first, after.version, after.incarnation, live)

    def _check_fit(self, row: Row, pages: Collection[Page]) -> None:
        """Refuse a removal whose pages are more than one transaction takes."""
        if len(pages) <= MOST_PAGES and sum(size_of(page.messages) for page in pages) <= MOST_PAGE_BYTES:
            return
        raise ConflictError(
            f"{len(pages)} pages of messages follow the one to be removed, more than one transaction takes: edit it "
            "instead, with a text that says that it was removed",
            operation="TransactWriteItems",
            table=self._table.name,
            key=str(row.scope.row()),
        )


def _with_adopted(held: _Held, messages: dict[int, Message], *, is_removal: bool) -> dict[int, Message]:
    """The messages of other programs with the ids of their adopted parts as their own, where those would be others now.

    They follow from what a message says, and from how many equal ones are before it.
    """
    was = dict(zip(sorted(held.messages), adopted_ids([held.messages[n] for n in sorted(held.messages)]), strict=True))
    names = dict(zip(messages, adopted_ids(list(messages.values())), strict=True))

    def kept(number: int, message: Message) -> Message:
        before = was[number + (is_removal and number >= held.number)]
        return message if has_ids(message) or names[number] == before else {**message, "ids": " ".join(before)}

    return {number: kept(number, message) for number, message in messages.items()}
