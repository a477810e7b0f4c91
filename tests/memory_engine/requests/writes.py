"""PutItem, UpdateItem and DeleteItem, each in two steps: what is wrong with the request, then what becomes of the item.

Transactions take the same steps, for all of their items before any of them is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.memory_engine.capacity import mode_of
from tests.memory_engine.definitions import refuse_unknown
from tests.memory_engine.expressions.binding import NAMES, VALUES, Expressions
from tests.memory_engine.items.item import Item
from tests.memory_engine.items.sizes import ITEM_BYTES
from tests.memory_engine.items.values import Attributes
from tests.memory_engine.refusals import ConditionFailed, Invalid, Unfit
from tests.memory_engine.table import Key, Table, Write

Request = Mapping[str, Any]
Answer = dict[str, Any]

CONDITIONAL = frozenset({"TableName", "ConditionExpression", NAMES, VALUES, "ReturnValuesOnConditionCheckFailure"})
"""The parameters that every write may have, in a transaction too."""

_REPORTED = CONDITIONAL | {"ReturnValues", "ReturnConsumedCapacity"}
_TOO_LARGE = "Item size {}has exceeded the maximum allowed size"
_OLD = ("NONE", "ALL_OLD")
_ANY = ("NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW")


@dataclass(frozen=True)
class Change:
    """A write that is in order as far as can be told without its item.

    Args:
        table: Where the item is.
        key: Of the item.
        expressions: Those of the request.
        tells: Whether a failed condition tells the item.
        result: Gives what the item becomes from what it is. Raises `Unfit`.
        check: Is called before the condition is looked at. Raises `Unfit`.
    """

    table: Table
    key: Key
    expressions: Expressions
    tells: bool
    result: Callable[[Item | None], Item | None]
    check: Callable[[], None] = lambda: None

    def write(self) -> Write:
        """What is to be written. Raises `ConditionFailed` or `Unfit`."""
        self.check()
        before = self.table.get(self.key)
        attributes = before.attributes if before else {}
        if not self.expressions.holds("ConditionExpression", attributes):
            raise ConditionFailed(attributes if before and self.tells else None)
        return Write(self.key, before, self.result(before))


def put_of(table: Table, request: Request) -> Change:
    """The change of a Put. Raises `Invalid`."""
    item = Item.of(request["Item"])
    key = table.definition.schema.in_item(item.attributes)
    if item.size > ITEM_BYTES:
        raise Invalid(_TOO_LARGE.format(""))
    return replace(_change(table, request, key, lambda _: item), check=lambda: table.check_indexed(item))


def delete_of(table: Table, request: Request) -> Change:
    """The change of a Delete. Raises `Invalid`."""
    return _change(table, request, _key(table, request)[1], lambda _: None)


def check_of(table: Table, request: Request) -> Change:
    """The "change" of a ConditionCheck: none. Raises `Invalid`."""
    if "ConditionExpression" not in request:
        raise Invalid("A ConditionCheck's ConditionExpression must not be null")
    return _change(table, request, _key(table, request)[1], lambda item: item)


def update_of(table: Table, request: Request) -> Change:
    """The change of an Update. Raises `Invalid`."""
    attributes, key = _key(table, request)
    update = Expressions(request, table.definition.keys)
    if update.update.size(update.binding) > ITEM_BYTES:
        raise Invalid(_TOO_LARGE.format("to update "))

    def result(before: Item | None) -> Item:
        item = before or Item.of(attributes)
        changes = update.update.changes(update.binding, item.attributes, attributes, table.definition.keys)
        after = item.replaced(changes)
        if after.size > ITEM_BYTES:
            raise Unfit(_TOO_LARGE.format("to update "))
        table.check_indexed(after, updated=True)
        return after

    return _change(table, request, key, result, update)


def put_item(table: Table, request: Request) -> Answer:
    """PutItem's answer. Raises `Refused`."""
    refuse_unknown("PutItem", request, _REPORTED | {"Item"})
    return _written(table, request, put_of(table, request), _OLD)


def delete_item(table: Table, request: Request) -> Answer:
    """DeleteItem's answer. Raises `Refused`."""
    refuse_unknown("DeleteItem", request, _REPORTED | {"Key"})
    return _written(table, request, delete_of(table, request), _OLD)


def update_item(table: Table, request: Request) -> Answer:
    """UpdateItem's answer. Raises `Refused`."""
    refuse_unknown("UpdateItem", request, _REPORTED | {"Key", "UpdateExpression"})
    return _written(table, request, update_of(table, request), _ANY)


def _change(
    table: Table,
    request: Request,
    key: Key,
    result: Callable[[Item | None], Item | None],
    expressions: Expressions | None = None,
) -> Change:
    tells = request.get("ReturnValuesOnConditionCheckFailure", "NONE")
    if tells not in _OLD:
        raise Invalid(f"ReturnValuesOnConditionCheckFailure is one of {', '.join(_OLD)}; got {tells}")
    return Change(table, key, expressions or Expressions(request, table.definition.keys), tells == "ALL_OLD", result)


def _key(table: Table, request: Request) -> tuple[Attributes, Key]:
    return table.definition.schema.in_request(request["Key"])


def _written(table: Table, request: Request, change: Change, allowed: tuple[str, ...]) -> Answer:
    returned, mode = request.get("ReturnValues", "NONE"), mode_of(request)
    if returned not in allowed:
        raise Invalid("Return values set to invalid value")
    names = _updated(returned, change.expressions)
    write = change.write()
    answer = table.write(write).report(table.name, mode)
    item = write.before if returned.endswith("OLD") else write.after
    if returned == "NONE" or item is None:
        return answer
    attributes = item.attributes if names is None else item.only(names).attributes
    return {**answer, "Attributes": attributes} if attributes else answer


def _updated(returned: str, expressions: Expressions) -> list[str] | None:
    """The attributes that `ReturnValues` asks for; None for all. AWS returns only parts of those updated in part."""
    if not returned.startswith("UPDATED"):
        return None
    paths = expressions.update.paths(expressions.binding)
    if any(len(path) > 1 for path in paths):
        raise NotImplementedError(f"ReturnValues {returned} of a path within an attribute")
    return [str(path[0]) for path in paths]
