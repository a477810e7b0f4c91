"""The conversation row: the one item of a conversation that others read, derived from its state.

It is written when the user's message has arrived and when the run ends, is interrupted or fails; conditional on what
was read, so that writers at the same time neither lose nor double a message; state first, so that a crash leaves it
behind the state, and the next turn mends it. Messages that leave the row move to message items before it is written.
"""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from hashlib import blake2b
from typing import Any

from langgraph_dynamo_conv._codec import Codec, Sealer
from langgraph_dynamo_conv._items import Wire, from_wire, to_wire
from langgraph_dynamo_conv._keys import PK, SK, Scope
from langgraph_dynamo_conv._messages import Message
from langgraph_dynamo_conv._older import OlderMessages, packed, unpacked
from langgraph_dynamo_conv._table import ConditionFailed, Table
from langgraph_dynamo_conv._transcript import DEFAULT_TITLE, fork_point, merge, shorten, split, title_of
from langgraph_dynamo_conv.errors import ConflictError

RUNNING, IDLE, WAITING, FAILED = "running", "idle", "waiting", "failed"

ROW_BYTES = 4608
"""Default of the most bytes of messages in a row: each of its writes is billed twice, for the table and the index."""

SEALED_TITLE = "(encrypted)"
"""What a row whose transcript is encrypted shows as its title."""

_USUAL_SHARE = 2 / 3
"""Messages leave a row that is fuller than this, but for a turn that has written more than others already."""

_KEPT_SHARE = 1 / 3
"""What stays in the row when messages leave it."""

_TRIES = 8
_REMEMBERED = 512


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
        found: The attributes as they were read.
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
    found: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def older(self) -> int:
        """How many messages have left the row."""
        return max(self.message_count - len(self.messages), 0)


@dataclass(frozen=True)
class Change:
    """What a state says of its row.

    Args:
        folded: The state's messages, or its newest, folded.
        status: The status to show; None to leave it as it is.
        head: The checkpoint, or None.
        now: The time, in ISO 8601.
        forked_from: The messages of the state that it forked from, folded, if it did.
        patient: Whether messages had better leave the row another time, as long as it is not too large.
    """

    folded: list[Message]
    status: str | None
    head: str | None
    now: str
    forked_from: list[Message] | None = None
    patient: bool = False


class Rows:
    """Reads and writes conversation rows. Safe to share between threads.

    Args:
        table: The table.
        codec: Frames what is encrypted.
        older: The messages that have left their rows.
        now: Gives the time in ISO 8601, UTC, with `Z`.
        row_bytes: The most bytes of messages that a row holds.
    """

    def __init__(
        self, table: Table, codec: Codec, older: OlderMessages, now: Callable[[], str], row_bytes: int = ROW_BYTES
    ) -> None:
        self._table = table
        self._codec = codec
        self._older = older
        self.now = now
        self._row_bytes = row_bytes
        self._lock = threading.Lock()
        self._known: OrderedDict[Scope, Row | None] = OrderedDict()

    def dated(self, now: Callable[[], str]) -> Rows:
        """The same rows with another clock."""
        made = copy.copy(self)
        made.now = now
        return made

    def known(self, scope: Scope) -> Row | None:
        """The row as this process last saw it, or None."""
        with self._lock:
            return self._known.get(scope)

    def get(self, scope: Scope, sealer: Sealer | None) -> Row | None:
        """The row as it is now, or None."""
        item = self._table.get(scope.row())
        row = self.from_wire(item, sealer) if item else None
        self._remember(scope, row)
        return row

    def from_wire(self, item: Wire, sealer: Sealer | None) -> Row:
        """The record of an item that was read, also one that another program wrote."""
        plain = {name: from_wire(value) for name, value in item.items()}
        title, messages = plain.get("title"), plain.get("messages") or []
        if "sealed" in plain:
            opened = self._codec.unframe(plain["sealed"], context=plain[SK], sealer=sealer)
            title, messages = unpacked(opened)
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
        request: dict[str, Any] = {"ProjectionExpression": "#id", "names": {"#id": PK}}
        if created_at is not None:
            request |= {"created": " AND #created = :created", "values": {":created": {"S": created_at}}}
            request["names"]["#created"] = "created_at"
        for answer in self._table.query_index(user_id, 1, **request):
            for item in answer.get("Items", []):
                return str(item[PK]["S"])
        return None

    def create(self, scope: Scope, title: str | None, sealer: Sealer | None) -> bool:
        """Write a row without messages, unless there is one; whether it was written."""
        now = self.now()
        try:
            self._write(None, Row(scope, title or DEFAULT_TITLE, [], now, now, 0, IDLE, 1), sealer)
        except ConditionFailed:
            self.get(scope, sealer)  # so that it is known from now on
            return False
        return True

    def change(self, scope: Scope, changed: Callable[[Row | None], Row | None], sealer: Sealer | None) -> Row | None:
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
        row = self.known(scope) if seen else self.get(scope, sealer)
        for _ in range(_TRIES):
            wanted = changed(row)
            if wanted is None or wanted is row:
                return wanted
            try:
                return self._write(row, wanted, sealer)
            except ConditionFailed:
                row = self.get(scope, sealer)
        raise ConflictError(
            f"the row of conversation {scope.thread_id} was changed by others {_TRIES} times in a row; repeat the call",
            operation="UpdateItem",
            table=self._table.name,
            key=str(scope.row()),
        )

    def follow(self, scope: Scope, state: Callable[[Row | None], Change], sealer: Sealer | None) -> Row | None:
        """Bring the row up to a state; `state` says what it is, given the row that there is.

        Cost: nothing if the row says it already, else that of `change`, and one PutItem for the messages that leave.
        """

        def changed(row: Row | None) -> Row | None:
            wanted, leaving = self._followed(scope, row, state(row), sealer)
            self._older.put(scope, leaving, sealer, wanted.replaced)
            return wanted

        return self.change(scope, changed, sealer)

    def messages(self, row: Row, first: int, last: int, sealer: Sealer | None) -> list[Message]:
        """The transcript from number `first` to before `last`, whole, oldest first."""
        shown = dict(enumerate(row.messages, row.older))
        whole = {number: message for number, message in shown.items() if "shortened" not in message}
        missing = [number for number in range(first, min(last, row.message_count)) if number not in whole]
        if missing:
            stored = self._older.read(row.scope, missing[0], missing[-1] + 1, sealer)
            whole = {**shown, **stored, **whole}
        return [whole[number] for number in range(first, min(last, row.message_count)) if number in whole]

    def _followed(
        self, scope: Scope, row: Row | None, change: Change, sealer: Sealer | None
    ) -> tuple[Row, list[tuple[int, Message]]]:
        """The row after a change (the same object if nothing changed), and the messages that are stored beside it."""
        base = row or Row(scope, DEFAULT_TITLE, [], change.now, change.now, 0)
        base = self._reaching_fork(base, change, sealer)
        merged = merge(base.messages, change.folded, forked_from=change.forked_from)
        same = [self._shown(message) for message in merged] == base.messages and row is not None
        status = change.status or base.status or IDLE
        if same and base.status == status:
            return row or base, []
        most = int(self._row_bytes * (1 if change.patient else _USUAL_SHARE))
        leaving, kept = split(merged, max_bytes=most, keep_bytes=int(self._row_bytes * _KEPT_SHARE))
        shown = [self._shown(message) for message in kept]
        title = base.title if base.title != DEFAULT_TITLE else title_of(_first_of_user(merged))
        after = replace(
            base,
            title=title,
            messages=shown,
            updated_at=base.updated_at if same else change.now,
            message_count=base.older + len(merged),
            status=status,
            version=base.version + 1,
            head=change.head or base.head,
            replaced=_replaced(row, change, merged),
        )
        return after, _stored_beside(row, base, merged, len(leaving), shown)

    def _reaching_fork(self, base: Row, change: Change, sealer: Sealer | None) -> Row:
        """The row with all of its messages, where a fork's point has left it."""
        if change.forked_from is None or not base.older:
            return base
        if change.forked_from and fork_point(base.messages, change.forked_from) is not None:
            return base
        return replace(base, messages=self.messages(base, 0, base.message_count, sealer))

    def _shown(self, message: Message) -> Message:
        """A message as the row shows it; a shortened one has the digest of the whole."""
        if "shortened" in message:
            return message
        short = shorten(message, int(self._row_bytes * _USUAL_SHARE))
        if short is message:
            return message
        return {**short, "shortened": blake2b(packed(message), digest_size=6).hexdigest()}

    def _write(self, before: Row | None, after: Row, sealer: Sealer | None) -> Row:
        """Write the row if it is still as `before` (None: not there); gives it as it is now stored."""
        fields = self._fields(before, after, sealer)
        was = before.found if before is not None else {}
        changed = {name: value for name, value in fields.items() if was.get(name, _MISSING) != value}
        names = {f"#{name}": name for name in changed}
        values = {f":{name}": to_wire(value) for name, value in changed.items()}
        condition, more_names, more_values = _unchanged_since(before)
        self._table.update(
            after.scope.row(),
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in changed),
            ConditionExpression=condition,
            ExpressionAttributeNames={**names, **more_names},
            ExpressionAttributeValues={**values, **more_values},
        )
        written = replace(after, found={**was, **changed})
        self._remember(after.scope, written)
        return written

    def _fields(self, before: Row | None, after: Row, sealer: Sealer | None) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "title": after.title,
            "messages": after.messages,
            "updated_at": after.updated_at,
            "message_count": after.message_count,
            "status": after.status,
            "version": after.version,
            "head": after.head,
            "replaced": after.replaced or None,
        }
        if sealer is not None:
            payload = packed([after.title, after.messages])
            frame = self._codec.frame(payload, context=after.scope.user_id, sealer=sealer)
            fields |= {"title": SEALED_TITLE, "messages": [], "sealed": frame}
        if before is None or not before.created_at:
            fields["created_at"] = after.created_at
        return {name: value for name, value in fields.items() if value is not None}

    def _remember(self, scope: Scope, row: Row | None) -> None:
        with self._lock:
            self._known.pop(scope, None)
            self._known[scope] = row
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


_MISSING = object()


def iso(seconds: float) -> str:
    """A time as rows hold it: ISO 8601 in UTC with microseconds and `Z`, so that strings sort as times do."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _first_of_user(messages: Sequence[Message]) -> Message | None:
    return next((message for message in messages if message.get("role") == "user"), None)


def _replaced(row: Row | None, change: Change, merged: list[Message]) -> int:
    """Below which number there may be copies that no longer count: of a branch that was left, of an edited message."""
    if row is None:
        return 0
    is_edited = any("shortened" in message and message not in merged for message in row.messages)
    return max(row.replaced, row.message_count) if change.forked_from is not None or is_edited else row.replaced


def _stored_beside(
    row: Row | None, base: Row, merged: list[Message], leaving: int, shown: list[Message]
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
    was_shown = dict(enumerate(row.messages, row.older)) if row is not None else {}
    for number, (message, short) in enumerate(zip(merged[leaving:], shown, strict=True), base.older + leaving):
        known = was_shown.get(number, {}).get("shortened")
        if "shortened" in short and "shortened" not in message and short["shortened"] != known:
            numbered.append((number, message))
    return numbered


def _unchanged_since(before: Row | None) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The condition that nobody, also no program that ignores `version`, wrote messages since `before` was read."""
    if before is None:
        return "attribute_not_exists(#pk)", {"#pk": PK}, {}
    terms, names, values = ["attribute_exists(#pk)"], {"#pk": PK}, {}
    for name in ("version", "message_count", "updated_at", "title"):
        names[f"#{name}"] = name
        if name in before.found:
            terms.append(f"#{name} = :was_{name}")
            values[f":was_{name}"] = to_wire(before.found[name])
        else:
            terms.append(f"attribute_not_exists(#{name})")
    return " AND ".join(terms), names, values
