"""Whether a conversation is over: its newest root checkpoint says so, and all of its reads ask it.

A checkpoint of the past or of a subgraph can be older than a whole time to live while its conversation goes on, so
where the time of one has come, the newest of the root decides. That costs a request, but only then.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from langgraph_dynamo_conv._chain import Descending
from langgraph_dynamo_conv._expiry import Expiry
from langgraph_dynamo_conv._items import CheckpointItem
from langgraph_dynamo_conv._keys import Scope
from langgraph_dynamo_conv._table import Table

_REMEMBERED = 1024


class Liveness:
    """Tells which conversations are over. Safe to share between threads."""

    def __init__(self, table: Table, expiry: Expiry) -> None:
        self._table = table
        self._expiry = expiry
        self._lock = threading.Lock()
        self._over: OrderedDict[Scope, None] = OrderedDict()

    def is_over(self, scope: Scope, ns: str, item: CheckpointItem, *, newest: bool) -> bool:
        """Whether a checkpoint that was read is one of a conversation that is over.

        Args:
            scope: Conversation and user.
            ns: The checkpoint's namespace.
            item: The checkpoint.
            newest: Whether it is the newest of its namespace.

        Cost: nothing, or one Query of one item where the time of one has come that is not the root's newest.
        """
        if not self._expiry.is_past(item.times.until):
            return False
        if not (newest and ns == ""):
            root = self._newest(scope)
            if root is not None and not self._expiry.is_past(root.times.until):
                return False
        self._note(scope)
        return True

    def take_over(self, scope: Scope) -> bool:
        """Whether this process has found the conversation to be over; true once, for whoever begins it anew."""
        with self._lock:
            return self._over.pop(scope, self) is None

    def _newest(self, scope: Scope) -> CheckpointItem | None:
        prefix = scope.checkpoints("")
        pages = self._table.query(scope.thread_id, prefix, newest_first=True, page_items=1)
        return Descending(pages, self._expiry.is_past).newest()

    def _note(self, scope: Scope) -> None:
        with self._lock:
            self._over[scope] = None
            while len(self._over) > _REMEMBERED:
                self._over.popitem(last=False)
