"""Bringing back what was lost: a conversation from another table, and objects that were deleted in the bucket.

A conversation is copied from a table that was restored from a backup. Objects come first, then what checkpoints need,
then checkpoints, each after what it builds on, and the row last: whoever reads meanwhile finds the conversation whole
or not at all. It can be repeated after a crash. What had expired stays away: no other item needs it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial

from langgraph_dynamo_conv._checkpoints.blobs import Blobs
from langgraph_dynamo_conv._format.items import EXPIRES_AT, AttributeMap, Times, key_of, link_of
from langgraph_dynamo_conv._format.keys import SK, Key, Scope, is_pointer
from langgraph_dynamo_conv._history.removal import Removal, items_of, kind_of, run_pointers
from langgraph_dynamo_conv._history.renewal import timed
from langgraph_dynamo_conv._state.chain import leaves_first
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._storage.failures import ConditionFailed
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import ConflictError

Objects = Counter[str]
"""How many objects were there, were deleted, or are missing: see `Presence`."""


class Restoring:
    """Copies conversations from another table into this one. Safe to share between threads.

    Args:
        source: The table with what was lost.
        table: The table that lacks it.
        blobs: The large values of both: their objects are in one bucket, under the same names.
        removal: Removes from `table`.
        expiry: Says by its clock what had expired in `source`.
        times: The times that all copies get; None: those that they had.
    """

    def __init__(
        self, source: Table, table: Table, blobs: Blobs, removal: Removal, expiry: Expiry, times: Times | None = None
    ) -> None:
        self._source = source
        self._table = table
        self._blobs = blobs
        self._removal = removal
        self._expiry = expiry
        self._times = times

    def is_there(self, scope: Scope) -> bool:
        """Whether the table has any item of a conversation. Cost: one GetItem, one Query."""
        pages = self._table.query(scope.thread_id, scope.prefix(), keys_only=True, page_items=1)
        return self._table.get(scope.row()) is not None or any(pages)

    def look(self, scope: Scope) -> tuple[int, Objects]:
        """How many items and objects would be copied. Cost: one Query for each MB, one listing for each object."""
        items = list(live(items_of(self._source, scope.thread_id, scope.user_id), self._expiry))
        return len(items), self._objects(items, bring_back=False)

    def restore(self, scope: Scope) -> tuple[int, Objects]:
        """Copy a conversation, in place of what the table has of it; how many items, and what became of objects.

        What the table has goes first, but for the objects that the copy needs.

        Raises:
            BucketRequiredError: It has objects, and there is no bucket.
            ConflictError: Somebody has begun the conversation anew meanwhile.

        Cost: two Queries for each MB; one PutItem, of 1 write unit for each KB, for each item; that of `Removal.delete`
        for what goes; for each object that of `Bucket.presence`.
        """
        pointers = [item for item in self._live(scope, "p") if is_pointer(key_of(item))]
        self._blobs.check(map(key_of, pointers))
        objects = self._objects(pointers, bring_back=True)
        if self.is_there(scope):
            self._table.all_of(partial(self._table.delete, key_of(pointer)) for pointer in pointers)
            self._removal.delete(scope.thread_id, scope.user_id)
        count = 0
        for page in self._source.query(scope.thread_id, scope.prefix()):
            count += self._put_all(item for item in live([page], self._expiry) if kind_of(item) != "c")
        for page in self._source.query(scope.thread_id, scope.prefix("c")):
            count += self._put_checkpoints([item for item in live([page], self._expiry) if kind_of(item) == "c"])
        row = self._source.get(scope.row())
        return count + (self._put_row(row) if row is not None else 0), objects

    def _live(self, scope: Scope, kind: str) -> Iterator[AttributeMap]:
        return live(self._source.query(scope.thread_id, scope.prefix(kind)), self._expiry)

    def _objects(self, items: Iterable[AttributeMap], *, bring_back: bool) -> Objects:
        return objects_of(self._table, self._blobs, items, bring_back=bring_back)

    def _put_checkpoints(self, items: list[AttributeMap]) -> int:
        """Checkpoints, each after what it builds on, and before them the pointers of their runs."""
        for run in dict.fromkeys(run_pointers(items)):
            if (pointer := self._source.get(run)) is not None:
                self._table.put(self._timed(pointer))
        by_key = {key_of(item): item for item in items}
        for group in reversed(list(leaves_first(map(link_of, items)))):
            self._put_all(by_key[key] for key in group)
        return len(items)

    def _put_all(self, items: Iterable[AttributeMap]) -> int:
        given = list(items)
        self._table.all_of(partial(self._table.put, self._timed(item)) for item in given)
        return len(given)

    def _put_row(self, row: AttributeMap) -> int:
        put_new(
            self._table,
            self._timed(row),
            "somebody has begun this conversation anew meanwhile: stop its runs, and repeat",
        )
        return 1

    def _timed(self, item: AttributeMap) -> AttributeMap:
        return item if self._times is None else timed(item, self._times)


def live(pages: Iterable[list[AttributeMap]], expiry: Expiry) -> Iterator[AttributeMap]:
    """The items that have not expired, and the row: no other needs one that has."""
    for page in pages:
        for item in page:
            time = item.get(EXPIRES_AT, {}).get("N")
            if time is None or kind_of(item) == "row" or not expiry.is_past(int(float(time))):
                yield item


def put_new(table: Table, row: AttributeMap, otherwise: str) -> None:
    """Put a row where there is none. Raises `ConflictError` with these words where there is another."""
    try:
        table.put(row, ConditionExpression="attribute_not_exists(conversation_id)")
    except ConditionFailed as refused:
        if refused.item != row:  # else it was stored, and the answer was lost
            raise ConflictError(otherwise, operation="PutItem", table=table.name, key=str(key_of(row))) from refused


def pointers_of(table: Table) -> Iterator[list[AttributeMap]]:
    """All pointers to objects, by paging through the table."""
    parameters = {"ExpressionAttributeNames": {"#sk": SK}, "ExpressionAttributeValues": {":kind": {"S": "#p#"}}}
    for page in table.scan(FilterExpression="contains(#sk, :kind)", **parameters):
        yield [item for item in page if is_pointer(key_of(item))]


def objects_of(table: Table, blobs: Blobs, items: Iterable[AttributeMap], *, bring_back: bool) -> Objects:
    """What the bucket has of the objects of items, and had before it brought back the deleted ones.

    A pointer without the object's name is of an upload that did not end: nothing refers to it.
    """
    found: Objects = Counter()

    def look(key: Key) -> None:
        found[blobs.presence(key, bring_back=bring_back)] += 1

    table.all_of(partial(look, key_of(item)) for item in items if is_pointer(key_of(item)) and "d" in item)
    return found
