"""GetItem, Query and Scan. A page ends with the item that fills 1 MB, or with the last that `Limit` allows; what a
filter leaves out counts like all else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.memory_engine.capacity import Consumed, mode_of
from tests.memory_engine.definitions import refuse_unknown
from tests.memory_engine.expressions.binding import NAMES, VALUES, Expressions
from tests.memory_engine.expressions.conditions import Condition
from tests.memory_engine.expressions.operands import Path, Size
from tests.memory_engine.expressions.paths import projected
from tests.memory_engine.items.collection import Collection, Span
from tests.memory_engine.items.item import Item
from tests.memory_engine.items.keys import KeySchema, Position, index_position, position
from tests.memory_engine.items.sizes import PAGE_BYTES, read_units
from tests.memory_engine.items.values import Attributes, Order
from tests.memory_engine.refusals import Invalid
from tests.memory_engine.requests.key_conditions import key_condition
from tests.memory_engine.table import Index, Table

Request = Mapping[str, Any]
Answer = dict[str, Any]

_ITEM = frozenset({"TableName", "ProjectionExpression", NAMES, "ConsistentRead", "ReturnConsumedCapacity"})
_PAGE = _ITEM | {"IndexName", "FilterExpression", VALUES, "Limit", "ExclusiveStartKey", "Select"}
_HIGHEST_LIMIT = 2**31 - 1
_SELECTIONS = ("ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "COUNT", "SPECIFIC_ATTRIBUTES")


def get_item(table: Table, request: Request) -> Answer:
    """GetItem's answer. Raises `Refused`."""
    refuse_unknown("GetItem", request, _ITEM | {"Key"})
    expressions, mode = Expressions(request, table.definition.keys), mode_of(request)
    item = table.get(table.definition.schema.in_request(request["Key"])[1])
    size = item.size if item else 0
    table.meter.read([size] if item else [])
    consumed = Consumed(read_units(size, bool(request.get("ConsistentRead"))))
    answer = consumed.report(table.name, mode)
    return {**answer, "Item": shown(item, expressions)} if item else answer


def query(table: Table, request: Request) -> Answer:
    """Query's answer: one page. Raises `Refused`."""
    refuse_unknown("Query", request, _PAGE | {"KeyConditionExpression", "ScanIndexForward"})
    reading = _Reading(table, request)
    source = reading.source
    key, span = key_condition(reading.expressions, source.schema)
    reading.check_filter_has_no_keys()
    backward = not request.get("ScanIndexForward", True)
    start = reading.start
    if start is not None and (start[0] != key or not span.has(start[1]) or source.is_bound(start[1], span, backward)):
        raise Invalid("The provided starting key does not match the range key predicate")
    items = source.items.partition(key).between(span, start[1] if start else None, backward=backward)
    return reading.answer(items, lambda last: source.is_end(last, span, backward))


def scan(table: Table, request: Request) -> Answer:
    """Scan's answer: one page. Raises `Refused`."""
    refuse_unknown("Scan", request, _PAGE)
    reading = _Reading(table, request)
    return reading.answer(reading.source.items.scan(reading.start), lambda _: False)


def shown(item: Item, expressions: Expressions) -> Attributes:
    """The attributes that a request asks for."""
    paths = expressions.projection
    return item.attributes if paths is None else projected(item.attributes, paths)


@dataclass(frozen=True)
class _Source:
    """What a Query or Scan reads: a table, or one of its indexes."""

    table: Table
    index: Index | None

    @property
    def items(self) -> Collection:
        return self.index.items if self.index else self.table.items

    @property
    def schema(self) -> KeySchema:
        return self.index.definition.schema if self.index else self.table.definition.schema

    @property
    def key_names(self) -> tuple[str, ...]:
        """The attributes of an `ExclusiveStartKey`."""
        return tuple(dict.fromkeys((*self.schema.names, *self.table.definition.schema.names)))

    def place(self, start: Mapping[str, Any]) -> tuple[Order, Position]:
        """The place that an `ExclusiveStartKey` names. Raises `Invalid`."""
        if start.keys() != set(self.key_names):
            raise Invalid("The provided starting key is invalid: The provided key element does not match the schema")
        schema = self.table.definition.schema
        table_key = schema.in_request({name: start[name] for name in schema.names})[1]
        if self.index is None:
            return table_key[0], position(table_key)
        key = self.schema.in_request({name: start[name] for name in self.schema.names})[1]
        return key[0], index_position(key, table_key)

    def is_end(self, last: Item, span: Span, backward: bool) -> bool:
        """Whether nothing can come after an item, so that an answer names no place to go on."""
        place = position(self.table.definition.schema.in_item(last.attributes))
        return self.index is None and (self.schema.range_name is None or self.is_bound(place, span, backward))

    def is_bound(self, place: Position, span: Span, backward: bool) -> bool:
        """Whether a place in a partition of the table is where the span just ends: nothing can start there."""
        bound = span.lowest if backward else span.highest
        return self.index is None and bound is not None and place[0] == bound

    def projects(self, name: str) -> bool:
        """Whether an attribute can be read from here."""
        return self.index is None or self.index.definition.projected is None or name in self.index.definition.projected


@dataclass
class _Page:
    """What was read.

    Args:
        items: Those that the filter lets through.
        sizes: Bytes of all that were read.
        last: The last that was read.
        more: Whether there may be more.
    """

    items: list[Item] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    last: Item | None = None
    more: bool = False


class _Reading:
    """A Query or a Scan: all that both have. Raises `Invalid`."""

    def __init__(self, table: Table, request: Request) -> None:
        self.expressions = Expressions(request, table.definition.keys)
        self._request = request
        self._mode = mode_of(request)
        self._limit = request.get("Limit")
        self.source = _Source(table, table.index(request["IndexName"]) if "IndexName" in request else None)
        self._consistent = bool(request.get("ConsistentRead"))
        self._check()
        start = request.get("ExclusiveStartKey")
        self.start = None if start is None else self.source.place(start)

    def answer(self, items: Iterable[Item], is_end: Callable[[Item], bool]) -> Answer:
        """One page of items, as the request asks for it."""
        page = self._page(items)
        self.source.table.meter.read(page.sizes)
        answer: Answer = {"Count": len(page.items), "ScannedCount": len(page.sizes), **self._consumed(page)}
        if self._select != "COUNT":
            answer["Items"] = [shown(item, self.expressions) for item in page.items]
        if page.more and page.last is not None and not is_end(page.last):
            answer["LastEvaluatedKey"] = page.last.only(self.source.key_names).attributes
        return answer

    def check_filter_has_no_keys(self) -> None:
        """Raises `Invalid` if the filter names an attribute of the key that is queried."""
        for name in sorted(self._filtered & set(self.source.schema.names)):
            raise Invalid(
                f"Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}"
            )

    def _page(self, items: Iterable[Item]) -> _Page:
        page, size = _Page(), 0
        for item in items:
            if size >= PAGE_BYTES:
                page.more = True
                break
            size += item.size
            page.sizes.append(item.size)
            page.last = item
            if self.expressions.holds("FilterExpression", item.attributes):
                page.items.append(item)
            if len(page.sizes) == self._limit:
                page.more = True
                break
        return page

    def _consumed(self, page: _Page) -> Answer:
        units = read_units(sum(page.sizes), self._consistent)
        index = self.source.index
        consumed = Consumed(units) if index is None else Consumed(0.0, {index.definition.name: units})
        return consumed.report(self.source.table.name, self._mode)

    @property
    def _select(self) -> str:
        default = "SPECIFIC_ATTRIBUTES" if self.expressions.projection is not None else "ALL_PROJECTED_ATTRIBUTES"
        return str(self._request.get("Select", default))

    @property
    def _filtered(self) -> set[str]:
        condition: Condition | None = self.expressions.node("FilterExpression")
        operands = [one.of if isinstance(one, Size) else one for one in (condition.operands() if condition else ())]
        return {str(one.steps(self.expressions.binding)[0]) for one in operands if isinstance(one, Path)}

    def _check(self) -> None:
        if self._limit is not None and self._limit < 1:
            raise Invalid("Limit must be greater than or equal to 1")
        if self._limit is not None and self._limit > _HIGHEST_LIMIT:
            raise NotImplementedError(f"a Limit of more than 31 bits, {self._limit}")
        if self.source.index is not None and self._consistent:
            raise Invalid("Consistent reads are not supported on global secondary indexes")
        self._check_selection()
        self._check_projected()

    def _check_selection(self) -> None:
        select, asked = self._request.get("Select"), self.expressions.projection is not None
        index = self.source.index
        if select is None:
            return
        if select not in _SELECTIONS:
            raise Invalid(f"Select must be one of {', '.join(_SELECTIONS)}")
        if asked is not (select == "SPECIFIC_ATTRIBUTES"):
            raise Invalid(f"Cannot {'' if asked else 'not '}specify the ProjectionExpression when choosing {select}")
        if select == "ALL_PROJECTED_ATTRIBUTES" and index is None:
            raise Invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
        if select == "ALL_ATTRIBUTES" and index is not None and index.definition.projected is not None:
            raise Invalid(
                "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global "
                f"secondary index {index.definition.name} because its projection type is not ALL"
            )

    def _check_projected(self) -> None:
        asked = {str(path[0]) for path in self.expressions.projection or ()} | self._filtered
        missing = sorted(name for name in asked if not self.source.projects(name))
        if missing:
            raise Invalid(f"One or more parameter values were invalid: The index does not project {missing}")
