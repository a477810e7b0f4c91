"""The conversation row: the one item of a conversation that others read, derived from its state.

It is the record of what is committed of a transcript: every write of it is conditional on its version and raises it, so
that writers at the same time neither lose nor double a message. State first, so that a crash leaves the row behind the
state, and the next turn mends it.

A row is whole as long as its messages fit into `ROW_BYTES`. Above that only the newest exchange stays, and pages hold
the rest. A row that another program began is whole as long as an item can hold it, since its own page reads it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from langgraph_dynamo_conv._checkpoints.blobs import PendingBlobs
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import AttributeMap, key_attributes
from langgraph_dynamo_conv._format.keys import PK, Scope
from langgraph_dynamo_conv._rows.large_messages import LargeMessages, packed
from langgraph_dynamo_conv._rows.pages import Pages, StaleRow
from langgraph_dynamo_conv._rows.placement import Placement, RowLimits, RowPlan, dated_plan, is_near, updated
from langgraph_dynamo_conv._rows.reading import ENCRYPTED_TITLE, read_row, read_summary
from langgraph_dynamo_conv._rows.row import (
    IDLE,
    INCARNATION_BYTES,
    RAISED_VERSION,
    TIMES,
    Row,
    RowUpdate,
    Transcript,
    attributes_of,
    is_same,
    iso,
    live,
    mark_of,
    times_of,
    update_of,
)
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._storage.failures import ConditionFailed
from langgraph_dynamo_conv._storage.recent import Recent
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv._storage.underway import Underway
from langgraph_dynamo_conv._transcript.fitting import DEFAULT_TITLE
from langgraph_dynamo_conv._transcript.folding import Message
from langgraph_dynamo_conv._transcript.growing import Grown, before_fork, grow
from langgraph_dynamo_conv._transcript.ids import ids_of
from langgraph_dynamo_conv.errors import ConflictError, CorruptDataError

_TRIES = 24

_REMEMBERED = 512
"""Rows that a process remembers."""


class KnownRows(Recent[Scope, "Row | None"]):
    """Rows as this process last saw them, None where there was none; and which it writes, one thread at a time."""

    def __init__(self) -> None:
        super().__init__(_REMEMBERED)
        self.written: Underway[Scope] = Underway()


class Rows:
    """Reads and writes conversation rows. Safe to share between threads.

    Args:
        table: The table.
        codec: Frames, and encrypts, what is not to be read by others; without an encryptor rows are plain.
        pages: The messages that have left their rows.
        large: The messages that are too large for a row.
        expiry: How long conversations live.
        limits: How many bytes of messages a row holds.
        known: What the process knows of rows.
        now: The time as rows hold it; the clock's if None.
    """

    def __init__(
        self,
        table: Table,
        codec: Codec,
        pages: Pages,
        large: LargeMessages,
        expiry: Expiry,
        limits: RowLimits,
        known: KnownRows,
        now: Callable[[], str] | None = None,
    ) -> None:
        self._table = table
        self._codec = codec
        self._pages = pages
        self._large = large
        self._expiry = expiry
        self._limits = limits
        self._known = known
        self.now = now or (lambda: iso(expiry.clock()))

    def known(self, scope: Scope) -> Row | None:
        """The row as this process last saw it, or None."""
        return self._known.get(scope)

    def get(self, scope: Scope) -> Row | None:
        """The row as it is now; None if there is none, or its conversation is over."""
        item = self._table.get(scope.row())
        row = self.from_attributes(item) if item and not self._is_over(item) else None
        self._known.put(scope, row)
        return row

    def note(self, scope: Scope, item: AttributeMap | None) -> None:
        """Remember the row, or that there was none: a read of the state came past it."""
        with suppress(CorruptDataError):  # `get` tells whoever needs the row
            self._known.put(scope, self.from_attributes(item) if item and not self._is_over(item) else None)

    def from_attributes(self, item: AttributeMap) -> Row:
        """The record of an item that was read, also one that another program wrote. Raises what `read_row` does."""
        return read_row(item, self._codec)

    def summary_from_attributes(self, item: AttributeMap) -> Row:
        """What a list shows of an item that was read, whatever it is like. Raises what `read_summary` does."""
        return read_summary(item, self._codec)

    def is_dear(self, row: Row) -> bool:
        """Whether the row is to be written once a turn."""
        return self._limits.is_dear(row)

    def is_refused(self, row: Row) -> bool:
        """Whether a row is not encrypted where all should be."""
        return not self._codec.accepts_plaintext and "sealed" not in row.attributes

    def forget(self, thread_id: str, user_id: str | None = None) -> None:
        """What was seen of a conversation no longer counts."""
        self._known.drop(lambda scope: scope.thread_id == thread_id and user_id in (None, scope.user_id))

    def newest(self, user_id: str, created_at: str | None = None) -> str | None:
        """The id of the user's newest conversation, or of the one created then, by the index."""
        request = self.live({"ProjectionExpression": "#id", "names": {"#id": PK}})
        if created_at is not None:
            request["created"] = " AND #created = :created"
            request["values"][":created"] = {"S": created_at}
            request["names"]["#created"] = "created_at"
        for answer in self._table.query_index(user_id, 1, **request):
            for item in answer.get("Items", []):
                return str(item[PK]["S"])
        return None

    def live(self, request: dict[str, Any]) -> dict[str, Any]:
        """A request to the index, for conversations only that are not over."""
        return live(request, self._expiry.clock())

    def create(self, scope: Scope, title: str | None = None) -> bool:
        """Write a row without messages, unless there is one; whether it was written."""
        now = self.now()
        row = replace(self._new(scope, now), title=title or DEFAULT_TITLE, status=IDLE, version=1)
        try:
            self._write(None, RowPlan(row))
        except ConditionFailed as refused:
            if self._deleted_expired(scope, refused):
                return self.create(scope, title)
            self.get(scope)  # so that it is known from now on
            return False
        return True

    def change(self, scope: Scope, changed: Callable[[Row | None], Row | None]) -> Row | None:
        """Change the row, whoever else does at the same time.

        Args:
            scope: Conversation and user.
            changed: Gives the row as it should be from the row as it is; called again if another writer was faster.
                The same row, or None, leaves it alone.

        Raises:
            ConflictError: Other writers were faster every time.

        Cost: one UpdateItem, billed for table and index by the size of the row; one GetItem if this process did not
        write the row last.
        """

        def planned(row: Row | None) -> RowPlan | None:
            after = changed(row)
            return None if after is None or after is row else RowPlan(replace(after, version=after.version + 1))

        return self._commit(scope, planned)[0]

    def write(
        self, scope: Scope, planned: Callable[[Row | None], RowPlan | None], overtaken: Callable[[], None]
    ) -> None:
        """As `change`, where `planned` gives a plan, or None to leave the row alone; it may raise `StaleRow`."""
        self._commit(scope, planned, overtaken)

    def mark(self, scope: Scope, *, is_run: bool) -> bool:
        """Where a run is over, restart the clock of a row that does not follow it; False where there is no row.

        Cost: one UpdateItem of the row; its index entry is billed too where there is a time to live.
        """
        if (not is_run and not self._expiry.is_on) or self._is_updated(scope, mark_of(self._expiry.fresh())):
            return True
        self.forget(scope.thread_id, scope.user_id)
        row = self.change(scope, lambda now: None if now is None else replace(now, times=self._expiry.fresh()))
        return row is not None

    def raise_version(self, scope: Scope) -> None:
        """Let whoever writes the row next find that it has changed. Cost: one UpdateItem, for table and index."""
        self._is_updated(scope, RAISED_VERSION)
        self.forget(scope.thread_id, scope.user_id)

    def _is_updated(self, scope: Scope, update: Mapping[str, Any]) -> bool:
        with suppress(ConditionFailed):
            self._table.update(scope.row(), **update)
            return True
        return False

    def apply(
        self,
        scope: Scope,
        update_of: Callable[[Row | None], RowUpdate | None],
        overtaken: Callable[[], None] = lambda: None,
    ) -> Row | None:
        """Bring the row up to a state.

        Args:
            scope: Conversation and user.
            update_of: Says what the state is, given the row that there is; None: not now.
            overtaken: Called where another writer was faster, before the row is planned again; may raise.

        Cost: nothing if the row says it already, else that of `change`, and one PutItem for each page of messages that
        leave the row; twice the units where older messages change, or more come at once than the row holds.
        """
        row, is_complete = None, False
        while not is_complete:
            row, is_complete = self._commit(scope, lambda row: self._planned(scope, row, update_of(row)), overtaken)
        return row

    def transcript(
        self, scope: Scope, select: Callable[[Row], tuple[int, int]] = lambda row: (0, row.message_count)
    ) -> Transcript | None:
        """Messages of a conversation, whole; None if there is no conversation.

        Args:
            scope: Conversation and user.
            select: Gives, from the row, which are asked for: from this number to before that.

        Cost: one GetItem; what `Pages.read` and `LargeMessages.whole` cost.
        """
        before: Row | None = None
        for _ in range(_TRIES):
            row = self.get(scope)
            if row is None:
                return None
            first, last = select(row)
            stored = self._stored(row, first, last)
            if stored is not None and (len(stored) == max(last - first, 0) or is_same(before, row)):
                return Transcript(row, first, self._large.whole(scope, stored))
            before = row
        raise self._conflict(scope, "GetItem")

    def _stored(self, row: Row, first: int, last: int) -> list[Message] | None:
        """Messages by number, as row and pages have them and as far as they do; None: the row must be read again."""
        older = self._pages.read(row, first, last)
        newer = row.messages[max(first - row.first, 0) : max(last - row.first, 0)]
        return None if older is None else [*older.values(), *newer]

    def _commit(
        self,
        scope: Scope,
        planned: Callable[[Row | None], RowPlan | None],
        overtaken: Callable[[], None] = lambda: None,
    ) -> tuple[Row | None, bool]:
        """Write what is planned for the row as it is; gives the row, and whether it then shows all of the state."""
        with self._known.written.alone(scope):  # two at once would refuse one, which is billed
            row = self.known(scope) if scope in self._known else self.get(scope)
            for _ in range(_TRIES):
                try:
                    plan = planned(row)
                    if plan is None:
                        return row, True
                    if row is not None and plan.cut:
                        self._pages.cut(row, plan.cut)
                    return self._write(row, plan), plan.is_complete
                except ConditionFailed as refused:
                    self._deleted_expired(scope, refused)
                    row = self.get(scope)
                    overtaken()
                except StaleRow:
                    row = self.get(scope)
        raise self._conflict(scope, "UpdateItem")

    def _conflict(self, scope: Scope, operation: str) -> ConflictError:
        return ConflictError(
            f"the row of conversation {scope.thread_id} was changed by others {_TRIES} times in a row; repeat the call",
            operation=operation,
            table=self._table.name,
            key=str(scope.row()),
        )

    def _planned(self, scope: Scope, row: Row | None, update: RowUpdate | None) -> RowPlan | None:
        """What an update makes of the row, its large messages stored; None if nothing."""
        if update is None:
            return None
        base, merged, stored = self._grown(scope, row, update)
        after = updated(base, merged, update, self._expiry.fresh())
        pending: PendingBlobs = {}

        def shorten(messages: Sequence[Message], max_bytes: int) -> list[Message]:
            return self._large.shorten(messages, max_bytes, stored, pending)

        placement = Placement(after, row, base, self._limits, shorten)
        keeps_numbers = update.forked_from is None and after.renumbered != after.version
        dated = dated_plan((placement.placed if keeps_numbers else placement.replaced)(merged), row, update)
        if dated is not None:
            self._large.store(scope, pending)
        elif row is not None and update.head:
            self._known.put(scope, replace(row, head=update.head, beside=tuple(update.beside)))
        return dated

    def _grown(self, scope: Scope, row: Row | None, update: RowUpdate) -> tuple[Row, list[Message], Sequence[Message]]:
        """The row with as many older messages as the update may reach, whole; the messages after it; and those before
        as they are stored.

        Cost: nothing, or a read of the whole transcript where messages that have left the row change.
        """
        if row is None:
            row = self._new(scope, update.now)
        if not row.first or is_near(row.messages, update):
            grown = self._grow(scope, row.messages, update)
            if not row.first or grown.is_complete:
                return row, grown.messages, row.messages
        stored = self._stored(row, 0, row.message_count)
        if stored is None or len(stored) < row.message_count:
            raise StaleRow
        base = replace(row, first=0, messages=self._large.whole(scope, stored))
        return base, self._grow(scope, base.messages, update).messages, stored

    def _grow(self, scope: Scope, messages: Sequence[Message], update: RowUpdate) -> Grown:
        def whole(message: Message) -> Message:
            return self._large.whole(scope, [message])[0]

        kept = messages
        if update.forked_from is not None:
            kept = before_fork(messages, update.forked_from, update.taken_back, whole)
        growing = partial(grow, timestamp=update.now, whole=whole)
        after = growing(kept, update.said, is_all=update.is_all, after=update.after, at_once=update.at_once)
        known = {name for message in after.messages for name in ids_of(message)} if update.added else set()
        added = [message for message in update.added if known.isdisjoint(ids_of(message))]
        return after._replace(messages=[*after.messages, *added])

    def _new(self, scope: Scope, now: str) -> Row:
        incarnation = secrets.token_hex(INCARNATION_BYTES)
        return Row(scope, DEFAULT_TITLE, [], now, now, 0, incarnation=incarnation, times=self._expiry.fresh())

    def _write(self, before: Row | None, plan: RowPlan) -> Row:
        """Write the row if it is still as `before` (None: not there); gives it as it is now stored."""
        after = plan.row
        was = before.attributes if before is not None else {}
        fields = self._fields(before, after)
        changed = {n: one for n, one in fields.items() if one is not None and (n not in was or was[n] != one)}
        gone = [name for name, value in fields.items() if value is None and name in was]
        update = update_of(before, changed, gone)
        if plan.pages:
            pages = [self._pages.put_of(after.scope, page) for page in plan.pages]
            row_update = {"Update": {"Key": key_attributes(after.scope.row()), **update}}
            self._table.transact(after.scope.row(), [*pages, row_update])
        else:
            self._table.update(after.scope.row(), **update)
        written = replace(after, attributes={**{n: value for n, value in was.items() if n not in gone}, **changed})
        self._known.put(after.scope, written)
        return written

    def _fields(self, before: Row | None, after: Row) -> dict[str, Any]:
        fields = attributes_of(after)
        if self._codec.encryptor is not None:
            content = [after.title, after.messages, list(after.waiting_for)]
            frame = self._codec.frame(packed(content), after.scope.user_id)
            fields |= {"title": ENCRYPTED_TITLE, "messages": [], "waiting_for": None, "sealed": frame}
        if before is None or not before.created_at:
            fields["created_at"] = after.created_at
        return fields

    def _deleted_expired(self, scope: Scope, refused: ConditionFailed) -> bool:
        """Delete an expired row that refused a write, and its messages; True if it was expired."""
        if refused.item is None or not self._is_over(refused.item):
            return False
        self._pages.remove(scope)
        with suppress(ConditionFailed):  # somebody else has deleted it, and perhaps begun anew
            self._table.delete(
                scope.row(),
                ConditionExpression=" OR ".join(f"{name} <= :time" for name in TIMES),
                ExpressionAttributeNames=TIMES,
                ExpressionAttributeValues={":time": {"N": str(int(self._expiry.clock()))}},
            )
        return True

    def _is_over(self, item: AttributeMap) -> bool:
        return any(map(self._expiry.is_past, times_of(item)))
