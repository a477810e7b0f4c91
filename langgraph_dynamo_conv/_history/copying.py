"""Copying a conversation under another thread id. It can be repeated after a crash.

Each checkpoint comes after all that it needs, and the rows last, so that whoever reads the copy meanwhile finds it
whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from langgraph_dynamo_conv._checkpoints.blobs import Blobs
from langgraph_dynamo_conv._format.items import AttributeMap, key_attributes, key_of, link_of, stamp
from langgraph_dynamo_conv._format.keys import PK, Key, Scope, is_pointer
from langgraph_dynamo_conv._history.removal import items_of, kind_of, run_pointers
from langgraph_dynamo_conv._state.chain import leaves_first
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._storage.table import Table


class Copying:
    """Copies conversations. Safe to share between threads."""

    def __init__(self, table: Table, blobs: Blobs, expiry: Expiry) -> None:
        self._table = table
        self._blobs = blobs
        self._expiry = expiry

    def copy(self, source: str, target: str, user_id: str | None, now: str) -> None:
        """Everything of a conversation under another thread id, with rows created now.

        Raises:
            ValueError: The target is the source, or has a conversation already.
        """
        if source == target:
            raise ValueError(f"the target is the source: {target!r}; name another thread")
        if self._has_row(target, user_id):
            raise ValueError(f"{target!r} has a conversation already; name another thread, or delete that one")
        rows = self._copy_others(source, target, user_id)
        self._copy_checkpoints(source, target, user_id)
        dates = {"created_at": {"S": now}, "updated_at": {"S": now}}
        self._put_all({**row, **{name: date for name, date in dates.items() if name in row}} for row in rows)

    def _has_row(self, thread_id: str, user_id: str | None) -> bool:
        """Whether the user, or anybody, has a conversation. Reads nothing of another user's."""
        if user_id is not None:
            return bool(self._table.get(Scope(thread_id, user_id).row()))
        return any(kind_of(item) == "row" for page in self._table.query(thread_id, keys_only=True) for item in page)

    def _copy_others(self, source: str, target: str, user_id: str | None) -> list[AttributeMap]:
        """What is neither a checkpoint nor a row, and the pointers of runs; gives the rows that are to be stored."""
        rows: list[AttributeMap] = []
        for page in items_of(self._table, source, user_id):
            pointers = [item for item in page if is_pointer(key_of(item))]
            self._table.side_by_side(
                *(partial(self._blobs.copy_object, one, Key(target, key_of(one).sk)) for one in pointers)
            )
            items = [{**item, PK: {"S": target}} for item in page if not is_pointer(key_of(item))]
            rows += [item for item in items if kind_of(item) == "row"]
            for key in run_pointers(items):
                self._table.put({**key_attributes(key), "t": {"S": target}, **stamp(self._expiry.outliving())})
            self._put_all(item for item in items if kind_of(item) not in ("row", "c"))
        return rows

    def _copy_checkpoints(self, source: str, target: str, user_id: str | None) -> None:
        prefix = Scope(source, user_id).prefix("c") if user_id is not None else ""
        for page in self._table.query(source, prefix):
            checkpoints = {key_of(item): item for item in page if kind_of(item) == "c"}
            for group in reversed(list(leaves_first(map(link_of, checkpoints.values())))):
                self._put_all({**checkpoints[key], PK: {"S": target}} for key in group)

    def _put_all(self, items: Iterable[AttributeMap]) -> None:
        self._table.all_of(partial(self._table.put, item) for item in items)
