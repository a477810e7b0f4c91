"""Reading segments: items of sealed leaves that full checkpoints refer to. See `_image` for what is in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ormsgpack

from langgraph_dynamo_conv._format.frames import Codec, Encryptor
from langgraph_dynamo_conv._format.items import AttributeMap, bytes_of
from langgraph_dynamo_conv._format.keys import SK, Scope, after_prefix
from langgraph_dynamo_conv._storage.table import Table

_FIRST_PAGE = 4
"""Segments that are read before it is known which are needed: few, since a trimmed state needs none of the old."""

_SINGLE = 10
"""Up to so many segments are read one by one, side by side; more as a range."""


class Segments:
    """Reads segments of any conversation, decoded, by id. Safe to share between threads."""

    def __init__(self, table: Table, codec: Codec) -> None:
        self._table = table
        self._codec = codec

    def newest(self, scope: Scope, ns: str, upto: str | None, encryptor: Encryptor | None) -> dict[str, Any]:
        """The newest few of a namespace, or those up to a checkpoint. Cost: one Query."""
        last = after_prefix(f"{scope.segments(ns)}{upto}#") if upto else None
        pages = self._table.query(
            scope.thread_id, scope.segments(ns), last=last, newest_first=True, page_items=_FIRST_PAGE
        )
        return self._decoded(next(pages, []), scope, ns, encryptor)

    def read(
        self, scope: Scope, ns: str, wanted: Iterable[str], into: dict[str, Any], encryptor: Encryptor | None
    ) -> None:
        """Add those to `into` that it lacks. Cost: a few GetItem side by side, or one Query for each MB."""
        missing = {segment for segment in wanted if segment not in into}
        if not missing:
            return
        if len(missing) <= _SINGLE:
            keys = [scope.segment(ns, segment) for segment in missing]
            found = self._table.side_by_side(*(lambda key=key: self._table.get(key) for key in keys))
            into.update(self._decoded([item for item in found if item], scope, ns, encryptor))
            return
        first, last = scope.segment(ns, min(missing)).sk, scope.segment(ns, max(missing)).sk
        skip = len(scope.segments(ns))
        for page in self._table.query(scope.thread_id, scope.segments(ns), first=first, last=last):
            into.update(self._decoded([i for i in page if i[SK]["S"][skip:] in missing], scope, ns, encryptor))

    def all(self, scope: Scope, ns: str, encryptor: Encryptor | None) -> dict[str, Any]:
        """Every one of a namespace. Cost: one Query for each MB."""
        segments: dict[str, Any] = {}
        for page in self._table.query(scope.thread_id, scope.segments(ns)):
            segments.update(self._decoded(page, scope, ns, encryptor))
        return segments

    def decode(self, item: AttributeMap, encryptor: Encryptor | None) -> Any:
        """What a segment's item holds. Raises `CorruptDataError`."""
        return ormsgpack.unpackb(self._codec.unframe(bytes_of(item), context=item[SK]["S"], encryptor=encryptor))

    def _decoded(self, items: list[AttributeMap], scope: Scope, ns: str, encryptor: Encryptor | None) -> dict[str, Any]:
        skip = len(scope.segments(ns))
        return {item[SK]["S"][skip:]: self.decode(item, encryptor) for item in items}
