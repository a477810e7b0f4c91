"""Reading segments: items of leaves that full checkpoints refer to. `_state/full.py` decides what is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import AttributeMap, bytes_of
from langgraph_dynamo_conv._format.keys import SK, Namespace, after_prefix
from langgraph_dynamo_conv._state.full import SMALL_SEGMENTS
from langgraph_dynamo_conv._storage.table import Table

_FIRST_PAGE = SMALL_SEGMENTS
"""Segments that are read before it is known which are needed: all that a chat has before its small ones are merged."""

_SINGLE = 10
"""Up to so many segments are read one by one, side by side; more as a range."""


class Segments:
    """Reads segments of any conversation, decoded, by id. Safe to share between threads."""

    def __init__(self, table: Table, codec: Codec) -> None:
        self._table = table
        self._codec = codec

    def newest(self, namespace: Namespace, upto: str | None) -> dict[str, Any]:
        """The newest few of a namespace, or those up to a checkpoint. Cost: one Query."""
        prefix = namespace.prefix("s")
        last = after_prefix(f"{prefix}{upto}#") if upto else None
        pages = self._table.query(
            namespace.scope.thread_id, prefix, last=last, newest_first=True, page_items=_FIRST_PAGE
        )
        return self._decoded(next(pages, []), prefix)

    def into(self, namespace: Namespace, segments: dict[str, Any]) -> Callable[[list[AttributeMap]], None]:
        """Takes the segments of a namespace among items that were read, and adds them to `segments`."""
        prefix = namespace.prefix("s")

        def add(items: list[AttributeMap]) -> None:
            segments.update(self._decoded([item for item in items if item[SK]["S"].startswith(prefix)], prefix))

        return add

    def read(self, namespace: Namespace, ids: Iterable[str], into: dict[str, Any]) -> None:
        """Add those to `into` that it lacks. Cost: a few GetItem side by side, or one Query for each MB."""
        missing = {segment for segment in ids if segment not in into}
        prefix = namespace.prefix("s")
        if 0 < len(missing) <= _SINGLE:
            keys = [namespace.segment(segment) for segment in missing]
            items = self._table.side_by_side(*(lambda key=key: self._table.get(key) for key in keys))
            into.update(self._decoded([item for item in items if item], prefix))
        elif missing:
            first, last = namespace.segment(min(missing)).sk, namespace.segment(max(missing)).sk
            for page in self._table.query(namespace.scope.thread_id, prefix, first=first, last=last):
                into.update(self._decoded([item for item in page if item[SK]["S"][len(prefix) :] in missing], prefix))

    def all(self, namespace: Namespace) -> dict[str, Any]:
        """Every one of a namespace. Cost: one Query for each MB."""
        segments: dict[str, Any] = {}
        for page in self._table.query(namespace.scope.thread_id, namespace.prefix("s")):
            segments.update(self._decoded(page, namespace.prefix("s")))
        return segments

    def decode(self, item: AttributeMap) -> Any:
        """What a segment's item holds. Raises `CorruptDataError`."""
        return self._codec.unpack(bytes_of(item), item[SK]["S"])

    def _decoded(self, items: list[AttributeMap], prefix: str) -> dict[str, Any]:
        return {item[SK]["S"].removeprefix(prefix): self.decode(item) for item in items}
