"""The conversation row: the one item of a conversation that others read, derived from its state.

It is written when the user's message has arrived and when the run ends, is interrupted or fails; conditional on what
was read, so that writers at the same time neither lose nor double a message; state first, so that a crash leaves it
behind the state, and the next turn mends it. Messages that leave the row move to message items before it is written.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from langgraph_dynamo_conv._format.attributes import to_attribute
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import EXPIRES_AT, LIVE_UNTIL, NEVER, AttributeMap
from langgraph_dynamo_conv._format.keys import PK, Scope
from langgraph_dynamo_conv._rows.message_items import MessageItems, packed
from langgraph_dynamo_conv._rows.reading import ENCRYPTED_TITLE, is_count_certain, read_row, read_summary
from langgraph_dynamo_conv._rows.recount import recounted
from langgraph_dynamo_conv._rows.row import (
    IDLE,
    TIMES,
    Row,
    RowUpdate,
    first_of_user,
    iso,
    live,
    replaced,
    stored_beside,
    times_of,
    unchanged_since,
)
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._storage.failures import ConditionFailed
from langgraph_dynamo_conv._storage.recent import Recent
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv._transcript.fitting import DEFAULT_TITLE, shorten, split, title_of
from langgraph_dynamo_conv._transcript.folding import Message
from langgraph_dynamo_conv._transcript.merging import fork_point, merge
from langgraph_dynamo_conv.errors import ConflictError

ROW_BYTES = 4608
"""Default of the most bytes of messages in a row: each of its writes is billed twice, for the table and the index."""

_USUAL_SHARE = 2 / 3
"""Messages leave a row that is fuller than this, but for a turn that has written more than others already."""

_KEPT_SHARE = 1 / 3
"""What stays in the row when messages leave it."""

_TRIES = 8

REMEMBERED = 512
"""Rows that a process remembers."""

KnownRows = Recent[Scope, "Row | None"]
"""Rows as this process last saw them."""


class Rows:
    """Reads and writes conversation rows. Safe to share between threads.

    Args:
        table: The table.
        codec: Frames, and encrypts, what is not to be read by others; without an encryptor rows are plain.
        message_items: The messages that have left their rows.
        expiry: How long conversations live.
        row_bytes: The most bytes of messages that a row holds.
        known: Rows as this process last saw them; None where it saw that there was none.
        now: The time as rows hold it; the clock's if None.
    """

    def __init__(
        self,
        table: Table,
        codec: Codec,
        message_items: MessageItems,
        expiry: Expiry,
        row_bytes: int,
        known: KnownRows,
        now: Callable[[], str] | None = None,
    ) -> None:
        self._table = table
        self._codec = codec
        self._message_items = message_items
        self._expiry = expiry
        self._row_bytes = row_bytes
        self._known = known
        self.now = now or (lambda: iso(expiry.clock()))

    def known(self, scope: Scope) -> Row | None:
        """The row as this process last saw it, or None."""
        return self._known.get(scope)

    def get(self, scope: Scope) -> Row | None:
        """The row as it is now; None if there is none, or its conversation is over."""
        item = self._table.get(scope.row())
        row = self.from_attributes(item) if item and not self._is_over(item) else None
        if item is not None and row is not None and not is_count_certain(item, row):
            row = recounted(row, self._table, self._message_items)
        self._known.put(scope, row)
        return row

    def from_attributes(self, item: AttributeMap) -> Row:
        """The record of an item that was read, also one that another program wrote. Raises what `read_row` does."""
        return read_row(item, self._codec)

    def summary_from_attributes(self, item: AttributeMap) -> Row:
        """What a list shows of an item that was read, whatever it is like. Raises what `read_summary` does."""
        return read_summary(item, self._codec)

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
        row = Row(scope, title or DEFAULT_TITLE, [], now, now, 0, IDLE, 1, times=self._expiry.fresh())
        try:
            self._write(None, row)
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
        row = self.known(scope) if scope in self._known else self.get(scope)
        for _ in range(_TRIES):
            after = changed(row)
            if after is None or after is row:
                return after
            try:
                return self._write(row, after)
            except ConditionFailed as refused:
                self._deleted_expired(scope, refused)
                row = self.get(scope)
        raise ConflictError(
            f"the row of conversation {scope.thread_id} was changed by others {_TRIES} times in a row; repeat the call",
            operation="UpdateItem",
            table=self._table.name,
            key=str(scope.row()),
        )

    def prolong(self, scope: Scope) -> None:
        """Restart the clock of a row that does not follow the messages.

        Cost: nothing without a time to live, else that of `change`.
        """
        row = self.known(scope)
        if self._expiry.is_on or (row is not None and row.times != NEVER):
            self.change(scope, self._prolonged)

    def apply(self, scope: Scope, update_of: Callable[[Row | None], RowUpdate]) -> Row | None:
        """Bring the row up to a state; `update_of` says what the state is, given the row that there is.

        Cost: nothing if the row says it already, else that of `change`, and one PutItem for the messages that leave.
        """

        def changed(row: Row | None) -> Row | None:
            after, leaving = self._applied(scope, row, update_of(row))
            self._message_items.put(scope, leaving, after.replaced)
            return after

        return self.change(scope, changed)

    def messages(self, row: Row, first: int, last: int) -> list[Message]:
        """The transcript from number `first` to before `last`, whole, oldest first."""
        in_row = dict(enumerate(row.messages, row.older))
        whole = {number: message for number, message in in_row.items() if "shortened" not in message}
        missing = [number for number in range(first, min(last, row.message_count)) if number not in whole]
        if missing:
            stored = self._message_items.read(row.scope, missing[0], missing[-1] + 1)
            whole = {**in_row, **stored, **whole}
        return [whole[number] for number in range(first, min(last, row.message_count)) if number in whole]

    def _prolonged(self, row: Row | None) -> Row | None:
        return None if row is None else replace(row, times=self._expiry.fresh(), version=row.version + 1)

    def _applied(self, scope: Scope, row: Row | None, update: RowUpdate) -> tuple[Row, list[tuple[int, Message]]]:
        """The row after an update (the same object if nothing changed), and the messages that are stored beside it."""
        base = row or Row(scope, DEFAULT_TITLE, [], update.now, update.now, 0)
        base = self._reaching_fork(base, update)
        merged = merge(base.messages, update.folded, forked_from=update.forked_from)
        same = [self._shown(message) for message in merged] == base.messages and row is not None
        status = update.status or base.status or IDLE
        if same and base.status == status and base.times.until == self._expiry.until():
            return row or base, []
        most = int(self._row_bytes * (1 if update.may_move_later else _USUAL_SHARE))
        leaving, kept = split(merged, max_bytes=most, keep_bytes=int(self._row_bytes * _KEPT_SHARE))
        in_row = [self._shown(message) for message in kept]
        title = base.title if base.title != DEFAULT_TITLE else title_of(first_of_user(merged))
        after = replace(
            base,
            title=title,
            messages=in_row,
            updated_at=base.updated_at if same else update.now,
            message_count=base.older + len(merged),
            status=status,
            version=base.version + 1,
            head=update.head or base.head,
            replaced=replaced(row, update, merged),
            times=self._expiry.fresh(),
        )
        return after, stored_beside(row, base, merged, len(leaving), in_row)

    def _reaching_fork(self, base: Row, update: RowUpdate) -> Row:
        """The row with all of its messages, where a fork's point has left it."""
        if update.forked_from is None or not base.older:
            return base
        if update.forked_from and fork_point(base.messages, update.forked_from) is not None:
            return base
        return replace(base, messages=self.messages(base, 0, base.message_count))

    def _shown(self, message: Message) -> Message:
        """A message as the row shows it; a shortened one has the digest of the whole."""
        if "shortened" in message:
            return message
        short = shorten(message, int(self._row_bytes * _USUAL_SHARE))
        if short is message:
            return message
        return {**short, "shortened": blake2b(packed(message), digest_size=6).hexdigest()}

    def _write(self, before: Row | None, after: Row) -> Row:
        """Write the row if it is still as `before` (None: not there); gives it as it is now stored."""
        fields = self._fields(before, after)
        was = before.attributes if before is not None else {}
        changed = {n: value for n, value in fields.items() if value is not None and was.get(n, _MISSING) != value}
        gone = [name for name, value in fields.items() if value is None and name in was]
        names = {f"#{name}": name for name in (*changed, *gone)}
        values = {f":{name}": to_attribute(value) for name, value in changed.items()}
        condition, more_names, more_values = unchanged_since(before)
        removed = " REMOVE " + ", ".join(f"#{name}" for name in gone) if gone else ""
        self._table.update(
            after.scope.row(),
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in changed) + removed,
            ConditionExpression=condition,
            ExpressionAttributeNames={**names, **more_names},
            ExpressionAttributeValues={**values, **more_values},
        )
        kept = {name: value for name, value in was.items() if name not in gone}
        written = replace(after, attributes={**kept, **changed})
        self._known.put(after.scope, written)
        return written

    def _fields(self, before: Row | None, after: Row) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "title": after.title,
            "messages": after.messages,
            "updated_at": after.updated_at,
            "message_count": after.message_count,
            "status": after.status,
            "version": after.version,
            "head": after.head,
            "replaced": after.replaced or None,
            LIVE_UNTIL: after.times.until,
            EXPIRES_AT: after.times.expires_at,
        }
        if self._codec.encryptor is not None:
            frame = self._codec.frame(packed([after.title, after.messages]), after.scope.user_id)
            fields |= {"title": ENCRYPTED_TITLE, "messages": [], "sealed": frame}
        if before is None or not before.created_at:
            fields["created_at"] = after.created_at
        return fields

    def _deleted_expired(self, scope: Scope, refused: ConditionFailed) -> bool:
        """Delete an expired row that refused a write, and its messages; True if it was expired."""
        if refused.item is None or not self._is_over(refused.item):
            return False
        self._message_items.remove(scope)
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


_MISSING = object()
