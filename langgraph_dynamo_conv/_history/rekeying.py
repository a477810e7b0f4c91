"""Giving a conversation to another user id, as when an identity provider has given a person another one.

The rule: the same conversation id, and all that is stored, under the keys of the new user. Checkpoints are planned anew
(`rekeyed`). All else is moved as it is: an encrypted body is not opened, and only the checksum, which covers the
key, becomes another.

The old row is marked before anything is copied. So what the new user has under this id is replaced only where the mark
says that it is a copy, and nobody has written to that since. The new row comes last. What is old goes once the caller
has compared both, and if nothing of it has changed since it was copied. A crash at any point leaves the conversation
whole under at least one of the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from hashlib import blake2b
from typing import Any

from langgraph_dynamo_conv._checkpoints.blobs import Blobs, PendingBlobs
from langgraph_dynamo_conv._checkpoints.loading import Checkpoints
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites
from langgraph_dynamo_conv._format.frames import moved
from langgraph_dynamo_conv._format.items import (
    AttributeMap,
    bytes_of,
    checkpoints_of,
    key_attributes,
    key_of,
    link_of,
)
from langgraph_dynamo_conv._format.keys import Key, Scope, is_pointer, parse_sk
from langgraph_dynamo_conv._history.rekeyed import RekeyedCheckpoints
from langgraph_dynamo_conv._history.removal import Removal, items_of, kind_of, run_pointers
from langgraph_dynamo_conv._history.restoring import live, put_new
from langgraph_dynamo_conv._state.chain import leaves_first
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import ConflictError, ConversationNotFoundError

MARK = "rekeyed"
"""The attribute of a row whose conversation is being given to another user: `to`, `row` and `copied`."""

_IS_THERE = (
    "{new.user_id} has a conversation {new.thread_id} that is no copy of {old.user_id}'s, or that has gone on since it "
    "was copied. Nothing of {old.user_id}'s is removed: look at both with `show`, delete one, and repeat"
)
_HAS_GONE_ON = (
    "conversation {old.thread_id} of {old.user_id} has gone on while it was copied. The copy is taken back: nothing "
    "is lost. Stop the runs of {old.user_id}, and repeat"
)
_GOES_ELSEWHERE = "conversation {old.thread_id} of {old.user_id} is being given to {other}: finish that first"


class Rekeying:
    """Gives conversations to another user. Safe to share between threads."""

    def __init__(
        self,
        table: Table,
        serializer: Serializer,
        checkpoints: Checkpoints,
        blobs: Blobs,
        writes: TaskWrites,
        removal: Removal,
        expiry: Expiry,
    ) -> None:
        self._table = table
        self._serializer = serializer
        self._checkpoints = checkpoints
        self._blobs = blobs
        self._writes = writes
        self._removal = removal
        self._expiry = expiry

    def is_settled(self, old: Scope, new: Scope) -> bool:
        """Whether all is copied and compared, and only `remove` is left to do. Changes nothing.

        Raises:
            ConversationNotFoundError: The conversation has no row.
            ConflictError: The new user has a conversation of this id, or has gone on in the copy; or another user is
                being given this one.

        Cost: two GetItems; before the first copy one Query too.
        """
        row = self._row(old)
        mark = _mark_of(row)
        if mark and mark["to"] != {"S": new.user_id}:
            raise _conflict(_GOES_ELSEWHERE, old, new, mark["to"]["S"])
        if "copied" in mark:
            if mark["copied"] != {"B": _digest_of([_unmarked(row)])}:
                raise _conflict(_IS_THERE, old, new)
            return True
        there = self._table.get(new.row())
        if there is not None and mark.get("row") != {"B": _digest_of([there])}:
            raise _conflict(_IS_THERE, old, new)
        if not mark and any(self._table.query(new.thread_id, new.prefix(), keys_only=True, page_items=1)):
            raise _conflict(_IS_THERE, old, new)
        return False

    def copy(self, old: Scope, new: Scope) -> bytes:
        """Copy a conversation to another user; gives the digest of what was read that `settle` takes.

        After a crash it begins anew, and first removes what there is of a copy.

        Raises:
            CorruptDataError: The conversation can't be read; without its key, if it is encrypted.
            ConflictError: See `is_settled`; or a run has written the row.

        Cost: two Queries for each MB, and the write units of all items; for each object in S3 one CopyObject,
        UpdateItem and PutItem. Its checkpoints and task writes are in memory, but no values in S3 or in parts.
        """
        self.is_settled(old, new)
        self._removal.forget(new.thread_id, new.user_id)
        row = self._begun(old, new)
        records = list(self._live(self._table.query(old.thread_id, old.prefix("c"))))
        checkpoints = checkpoints_of(records)
        blobs = self._blobs.with_expiry(self._expiry_of([item.times.expires_at for item in checkpoints]))
        rekeyed = RekeyedCheckpoints(old, new, self._serializer, self._checkpoints, blobs)
        planned = {item.key: item.to_attributes() for item in rekeyed.planned(checkpoints)}
        writes = list(self._live(self._table.query(old.thread_id, old.prefix("w"))))
        moved_writes = [self._moved_writes(item, old, new, rekeyed, blobs) for item in writes]
        self._table.all_of(partial(self._table.put, item) for item in moved_writes)
        digests = [_digest_of([item]) for item in (row, *records, *writes)]
        for page in self._table.query(old.thread_id, old.prefix()):
            others = [item for item in self._live([page]) if kind_of(item) not in ("c", "v", "w")]
            digests += [_digest_of([item]) for item in others]
            self._table.all_of(partial(self._copy_other, item, old, new, rekeyed.replaced) for item in others)
        self._copy_checkpoints(records, planned, old, new)
        put_new(self._table, _rekeyed(row, old, new), _IS_THERE.format(old=old, new=new))
        return _sum_of(digests)

    def settle(self, old: Scope, new: Scope, digest: bytes) -> None:
        """Let the copy count, if the conversation is as it was when it was copied.

        Raises:
            ConflictError: It is not; then the copy is removed.

        Cost: one Query for each MB, one UpdateItem; else those of `Removal.delete`.
        """
        row = self._row(old)
        mark = _mark_of(row)
        items = self._live(items_of(self._table, old.thread_id, old.user_id))
        if _sum_of([_digest_of([_unmarked(item)]) for item in items]) != digest:
            self._take_back(old, new, mark)
            self._table.update(old.row(), UpdateExpression=f"REMOVE {MARK}")
            raise _conflict(_HAS_GONE_ON, old, new)
        self._write_mark(row, {**mark, "copied": {"B": _digest_of([_unmarked(row)])}})

    def remove(self, old: Scope, new: Scope) -> int:
        """Remove what is settled; the number of items. Can be repeated. Cost: that of `Removal.delete`."""
        assert self.is_settled(old, new)
        return self._removal.delete(old.thread_id, old.user_id)

    def _row(self, scope: Scope) -> AttributeMap:
        row = self._table.get(scope.row())
        if row is None:
            what = "this user has no such conversation"
            raise ConversationNotFoundError(what, table=self._table.name, key=str(scope.row()))
        return row

    def _begun(self, old: Scope, new: Scope) -> AttributeMap:
        """The row without its mark, which is set now; nothing is left of an earlier copy."""
        row = self._row(old)
        if mark := _mark_of(row):
            self._take_back(old, new, mark)
        row = _unmarked(row)
        self._write_mark(row, {"to": {"S": new.user_id}, "row": {"B": _digest_of([_rekeyed(row, old, new)])}})
        return row

    def _take_back(self, old: Scope, new: Scope, mark: Mapping[str, Any]) -> None:
        """Remove a copy that nobody has written to."""
        there = self._table.get(new.row())
        if there is not None and mark.get("row") != {"B": _digest_of([there])}:
            raise _conflict(_IS_THERE, old, new)
        self._removal.delete(new.thread_id, new.user_id)

    def _write_mark(self, row: AttributeMap, mark: Mapping[str, Any]) -> None:
        """Set the mark of a row that is as it was read. Raises `ConditionFailed`."""
        said = {"#version": "version", "#updated_at": "updated_at"}
        there = {name: attribute for name, attribute in said.items() if attribute in row}
        terms = [f"{name} = :{said[name]}" if name in there else f"attribute_not_exists({name})" for name in said]
        self._table.update(
            key_of(row),
            UpdateExpression=f"SET {MARK} = :mark",
            ConditionExpression=" AND ".join(["attribute_exists(conversation_id)", *terms]),
            ExpressionAttributeNames=said,
            ExpressionAttributeValues={":mark": {"M": mark}, **{f":{one}": row[one] for one in there.values()}},
        )

    def _live(self, pages: Iterable[list[AttributeMap]]) -> Iterator[AttributeMap]:
        return live(pages, self._expiry)

    def _expiry_of(self, times: list[int | None]) -> Expiry:
        """The time to live of what must be stored anew: as long as that of the checkpoints."""
        latest = max((time for time in times if time is not None), default=None)
        now = self._expiry.clock
        if latest is None or None in times:
            return Expiry(None, now)
        return Expiry(timedelta(seconds=max(1.0, latest - now())), now)

    def _moved_writes(
        self, item: AttributeMap, old: Scope, new: Scope, rekeyed: RekeyedCheckpoints, blobs: Blobs
    ) -> AttributeMap:
        """A task's item under the new user; frames that are too large for it are stored."""
        ns, checkpoint_id, _ = parse_sk(key_of(item).sk).parts
        contents = rekeyed.contents.get((ns, checkpoint_id), (b"", b""))
        pending: PendingBlobs = {}
        moved_item, replaced = self._writes.moved(old, item, _key_of(item, old, new), contents, pending)
        rekeyed.replaced |= replaced
        if pending:
            blobs.store(new, pending)
        return moved_item

    def _copy_other(self, item: AttributeMap, old: Scope, new: Scope, replaced: set[str]) -> None:
        """An item that is neither the row nor of a checkpoint."""
        kind, key = kind_of(item), _key_of(item, old, new)
        if kind == "p" and parse_sk(key.sk).parts[0] in replaced:
            return
        if is_pointer(key):
            self._blobs.copy_object(item, key)
        elif kind == "s":
            self._table.put({**item, **key_attributes(key), "d": {"B": moved(bytes_of(item), key_of(item).sk, key.sk)}})
        else:
            self._table.put(_rekeyed(item, old, new))

    def _copy_checkpoints(
        self, records: list[AttributeMap], planned: Mapping[Key, AttributeMap], old: Scope, new: Scope
    ) -> None:
        """Checkpoints, each after what it needs; before them the pointers of their runs."""
        for run in dict.fromkeys(run_pointers(planned.values())):
            was = self._table.get(Key(run.pk, old.user_id + run.sk[len(new.user_id) :]))
            if was is not None:
                self._table.put({**was, **key_attributes(run)})
        for group in reversed(list(leaves_first(map(link_of, planned.values())))):
            self._table.all_of(partial(self._table.put, planned[key]) for key in group)
        self._table.all_of(partial(self._table.put, _rekeyed(one, old, new)) for one in records if kind_of(one) == "v")


def _conflict(text: str, old: Scope, new: Scope, other: str = "") -> ConflictError:
    return ConflictError(text.format(old=old, new=new, other=other), key=str(old.row()))


def _key_of(item: AttributeMap, old: Scope, new: Scope) -> Key:
    """The key of an item under the new user."""
    key = key_of(item)
    return Key(key.pk, new.user_id + key.sk[len(old.user_id) :])


def _rekeyed(item: AttributeMap, old: Scope, new: Scope) -> AttributeMap:
    """A row, a page, or any item whose bytes have no key in their checksum, under the new user."""
    key = _key_of(item, old, new)
    sealed = {}
    if "B" in item.get("sealed", {}) and kind_of(item) in ("row", "m"):
        sealed = {"sealed": {"B": moved(bytes_of(item, "sealed"), key_of(item).sk, key.sk)}}
    return {**item, **key_attributes(key), **sealed}


def _mark_of(row: AttributeMap) -> dict[str, Any]:
    mark: dict[str, Any] = row.get(MARK, {}).get("M", {})
    return mark if "to" in mark else {}


def _unmarked(row: AttributeMap) -> AttributeMap:
    return {name: value for name, value in row.items() if name != MARK or kind_of(row) != "row"}


def _digest_of(items: Iterable[AttributeMap]) -> bytes:
    """A digest of what items hold, whatever the order in which DynamoDB gives attributes and the members of sets."""
    return blake2b(repr([_ordered(item) for item in items]).encode(), digest_size=16).digest()


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return [
            (name, sorted(one) if name in ("SS", "NS", "BS") else _ordered(one)) for name, one in sorted(value.items())
        ]
    return [_ordered(one) for one in value] if isinstance(value, list) else value


def _sum_of(digests: Iterable[bytes]) -> bytes:
    """One digest of many, whatever their order."""
    return blake2b(b"".join(sorted(digests)), digest_size=16).digest()
