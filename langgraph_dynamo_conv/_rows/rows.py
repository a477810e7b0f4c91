"""The conversation row: the one item of a conversation that others read, derived from its state.

It is written when the user's message has arrived and when the run ends, is interrupted or fails; conditional on what
was read, so that writers at the same time neither lose nor double a message; state first, so that a crash leaves it
behind the state, and the next turn mends it. Messages that leave the row move to message items before it is written.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from langgraph_dynamo_conv._format.attributes import from_attribute, to_attribute
from langgraph_dynamo_conv._format.frames import Codec, Encryptor, refuse_plain
from langgraph_dynamo_conv._format.items import EXPIRES_AT, LIVE_UNTIL, NEVER, AttributeMap, bytes_of
from langgraph_dynamo_conv._format.keys import PK, SK, Scope
from langgraph_dynamo_conv._rows.message_items import OlderMessages, packed, unpacked
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
from langgraph_dynamo_conv._storage.forks import Lock
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv._transcript.fitting import DEFAULT_TITLE, shorten, split, title_of
from langgraph_dynamo_conv._transcript.folding import Message
from langgraph_dynamo_conv._transcript.merging import fork_point, merge
from langgraph_dynamo_conv.errors import ConflictError

ROW_BYTES = 4608
"""Default of the most bytes of messages in a row: each of its writes is billed twice, for the table and the index."""

ENCRYPTED_TITLE = "(encrypted)"
"""What a row whose transcript is encrypted shows as its title."""

_USUAL_SHARE = 2 / 3
"""Messages leave a row that is fuller than this, but for a turn that has written more than others already."""

_KEPT_SHARE = 1 / 3
"""What stays in the row when messages leave it."""

_TRIES = 8
_REMEMBERED = 512


class Rows:
    """Reads and writes conversation rows. Safe to share between threads.

    Args:
        table: The table.
        codec: Frames what is encrypted.
        older: The messages that have left their rows.
        expiry: How long conversations live.
        row_bytes: The most bytes of messages that a row holds.
    """

    def __init__(
        self, table: Table, codec: Codec, older: OlderMessages, expiry: Expiry, row_bytes: int = ROW_BYTES
    ) -> None:
        self._table = table
        self._codec = codec
        self._older = older
        self._expiry = expiry
        self._now: Callable[[], str] = lambda: iso(expiry.clock())
        self._row_bytes = row_bytes
        self._lock = Lock()
        self._known: OrderedDict[Scope, Row | None] = OrderedDict()

    def now(self) -> str:
        """The time in ISO 8601, UTC, with `Z`."""
        return self._now()

    def dated(self, now: Callable[[], str]) -> Rows:
        """The same rows with another clock."""
        made = copy.copy(self)
        made._now = now
        return made

    def known(self, scope: Scope) -> Row | None:
        """The row as this process last saw it, or None."""
        with self._lock:
            return self._known.get(scope)

    def get(self, scope: Scope, encryptor: Encryptor | None) -> Row | None:
        """The row as it is now; None if there is none, or its conversation is over."""
        item = self._table.get(scope.row())
        row = self.from_attributes(item, encryptor) if item and not self._is_over(item) else None
        self._remember(scope, row)
        return row

    def _is_over(self, item: AttributeMap) -> bool:
        return any(map(self._expiry.is_past, times_of(item)))

    def is_over(self, row: Row) -> bool:
        """Whether the conversation of a row that was read is over."""
        return any(map(self._expiry.is_past, row.times))

    def from_attributes(self, item: AttributeMap, encryptor: Encryptor | None) -> Row:
        """The record of an item that was read, also one that another program wrote."""
        plain = {name: from_attribute(value) for name, value in item.items()}
        title, messages = plain.get("title"), plain.get("messages") or []
        if "sealed" in plain:
            opened = self._codec.unframe(bytes_of(item, "sealed"), context=plain[SK], encryptor=encryptor)
            title, messages = unpacked(opened)
        elif messages or title not in (None, DEFAULT_TITLE, ENCRYPTED_TITLE):
            refuse_plain(encryptor, plain[SK])
        count, created = plain.get("message_count"), str(plain.get("created_at", ""))
        return Row(
            Scope(plain[PK], plain[SK]),
            str(title or DEFAULT_TITLE),
            list(messages),
            created,
            str(plain.get("updated_at") or created),
            count if isinstance(count, int) else len(messages),
            plain.get("status"),
            int(plain.get("version", 0)),
            plain.get("head"),
            int(plain.get("replaced", 0)),
            times_of(item),
            plain,
        )

    def forget(self, thread_id: str, user_id: str | None = None) -> None:
        """What was seen of a conversation no longer counts."""
        with self._lock:
            gone = [s for s in self._known if s.thread_id == thread_id and user_id in (None, s.user_id)]
            for scope in gone:
                del self._known[scope]

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

    def create(self, scope: Scope, title: str | None, encryptor: Encryptor | None) -> bool:
        """Write a row without messages, unless there is one; whether it was written."""
        now = self.now()
        row = Row(scope, title or DEFAULT_TITLE, [], now, now, 0, IDLE, 1, times=self._expiry.fresh())
        try:
            self._write(None, row, encryptor)
        except ConditionFailed as refused:
            if self._buried(scope, refused):
                return self.create(scope, title, encryptor)
            self.get(scope, encryptor)  # so that it is known from now on
            return False
        return True

    def change(
        self, scope: Scope, changed: Callable[[Row | None], Row | None], encryptor: Encryptor | None
    ) -> Row | None:
        """Change the row, whoever else does at the same time.

        Args:
            scope: Conversation and user.
            changed: Gives the row as it should be from the row as it is; called again if another writer was faster.
                The same row, or None, leaves it alone.
            sealer: Encrypts the transcript, or None.

        Raises:
            ConflictError: Other writers were faster every time.

        Cost: one UpdateItem, billed for table and index by the size of the row; one GetItem if this process did not
        write the row last.
        """
        with self._lock:
            seen = scope in self._known
        row = self.known(scope) if seen else self.get(scope, encryptor)
        for _ in range(_TRIES):
            wanted = changed(row)
            if wanted is None or wanted is row:
                return wanted
            try:
                return self._write(row, wanted, encryptor)
            except ConditionFailed as refused:
                self._buried(scope, refused)
                row = self.get(scope, encryptor)
        raise ConflictError(
            f"the row of conversation {scope.thread_id} was changed by others {_TRIES} times in a row; repeat the call",
            operation="UpdateItem",
            table=self._table.name,
            key=str(scope.row()),
        )

    def prolong(self, scope: Scope, encryptor: Encryptor | None) -> None:
        """Restart the clock of a row that does not follow the messages.

        Cost: nothing without a time to live, else that of `change`.
        """
        row = self.known(scope)
        if self._expiry.is_on or (row is not None and row.times != NEVER):
            self.change(scope, self._prolonged, encryptor)

    def apply(self, scope: Scope, state: Callable[[Row | None], RowUpdate], encryptor: Encryptor | None) -> Row | None:
        """Bring the row up to a state; `state` says what it is, given the row that there is.

        Cost: nothing if the row says it already, else that of `change`, and one PutItem for the messages that leave.
        """

        def changed(row: Row | None) -> Row | None:
            wanted, leaving = self._followed(scope, row, state(row), encryptor)
            self._older.put(scope, leaving, encryptor, wanted.replaced)
            return wanted

        return self.change(scope, changed, encryptor)

    def messages(self, row: Row, first: int, last: int, encryptor: Encryptor | None) -> list[Message]:
        """The transcript from number `first` to before `last`, whole, oldest first."""
        shown = dict(enumerate(row.messages, row.older))
        whole = {number: message for number, message in shown.items() if "shortened" not in message}
        missing = [number for number in range(first, min(last, row.message_count)) if number not in whole]
        if missing:
            stored = self._older.read(row.scope, missing[0], missing[-1] + 1, encryptor)
            whole = {**shown, **stored, **whole}
        return [whole[number] for number in range(first, min(last, row.message_count)) if number in whole]

    def _prolonged(self, row: Row | None) -> Row | None:
        return None if row is None else replace(row, times=self._expiry.fresh(), version=row.version + 1)

    def _followed(
        self, scope: Scope, row: Row | None, change: RowUpdate, encryptor: Encryptor | None
    ) -> tuple[Row, list[tuple[int, Message]]]:
        """The row after a change (the same object if nothing changed), and the messages that are stored beside it."""
        base = row or Row(scope, DEFAULT_TITLE, [], change.now, change.now, 0)
        base = self._reaching_fork(base, change, encryptor)
        merged = merge(base.messages, change.folded, forked_from=change.forked_from)
        same = [self._shown(message) for message in merged] == base.messages and row is not None
        status = change.status or base.status or IDLE
        if same and base.status == status and base.times.until == self._expiry.until():
            return row or base, []
        most = int(self._row_bytes * (1 if change.may_move_later else _USUAL_SHARE))
        leaving, kept = split(merged, max_bytes=most, keep_bytes=int(self._row_bytes * _KEPT_SHARE))
        shown = [self._shown(message) for message in kept]
        title = base.title if base.title != DEFAULT_TITLE else title_of(first_of_user(merged))
        after = replace(
            base,
            title=title,
            messages=shown,
            updated_at=base.updated_at if same else change.now,
            message_count=base.older + len(merged),
            status=status,
            version=base.version + 1,
            head=change.head or base.head,
            replaced=replaced(row, change, merged),
            times=self._expiry.fresh(),
        )
        return after, stored_beside(row, base, merged, len(leaving), shown)

    def _reaching_fork(self, base: Row, change: RowUpdate, encryptor: Encryptor | None) -> Row:
        """The row with all of its messages, where a fork's point has left it."""
        if change.forked_from is None or not base.older:
            return base
        if change.forked_from and fork_point(base.messages, change.forked_from) is not None:
            return base
        return replace(base, messages=self.messages(base, 0, base.message_count, encryptor))

    def _shown(self, message: Message) -> Message:
        """A message as the row shows it; a shortened one has the digest of the whole."""
        if "shortened" in message:
            return message
        short = shorten(message, int(self._row_bytes * _USUAL_SHARE))
        if short is message:
            return message
        return {**short, "shortened": blake2b(packed(message), digest_size=6).hexdigest()}

    def _write(self, before: Row | None, after: Row, encryptor: Encryptor | None) -> Row:
        """Write the row if it is still as `before` (None: not there); gives it as it is now stored."""
        fields = self._fields(before, after, encryptor)
        was = before.found if before is not None else {}
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
        written = replace(after, found={**kept, **changed})
        self._remember(after.scope, written)
        return written

    def _fields(self, before: Row | None, after: Row, encryptor: Encryptor | None) -> dict[str, Any]:
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
        if encryptor is not None:
            payload = packed([after.title, after.messages])
            frame = self._codec.frame(payload, context=after.scope.user_id, encryptor=encryptor)
            fields |= {"title": ENCRYPTED_TITLE, "messages": [], "sealed": frame}
        if before is None or not before.created_at:
            fields["created_at"] = after.created_at
        return fields

    def _buried(self, scope: Scope, refused: ConditionFailed) -> bool:
        """Whether the row that was in the way is of a conversation that is over; then it and its messages are gone."""
        if refused.item is None or not self._is_over(refused.item):
            return False
        self._older.remove(scope)
        with suppress(ConditionFailed):  # somebody else has buried it, and perhaps begun anew
            self._table.delete(
                scope.row(),
                ConditionExpression=" OR ".join(f"{name} <= :time" for name in TIMES),
                ExpressionAttributeNames=TIMES,
                ExpressionAttributeValues={":time": {"N": str(int(self._expiry.clock()))}},
            )
        return True

    def _remember(self, scope: Scope, row: Row | None) -> None:
        with self._lock:
            self._known.pop(scope, None)
            self._known[scope] = row
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


_MISSING = object()
