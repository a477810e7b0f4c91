"""TransactWriteItems and TransactGetItems: all or nothing. They cost twice what their items cost alone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.memory_engine.capacity import Consumed, mode_of, table_write_units
from tests.memory_engine.definitions import refuse_unknown
from tests.memory_engine.expressions.binding import NAMES, Expressions
from tests.memory_engine.items.sizes import read_units
from tests.memory_engine.refusals import ConditionFailed, Invalid, Refused, Unfit
from tests.memory_engine.requests.reads import shown
from tests.memory_engine.requests.writes import CONDITIONAL, Change, check_of, delete_of, put_of, update_of
from tests.memory_engine.table import Key, Table, Write

Request = Mapping[str, Any]
Answer = dict[str, Any]
TableOf = Callable[[Request], Table]

MOST_ITEMS = 100
MOST_BYTES = 4 * 1024 * 1024
LONGEST_TOKEN = 36
_TIMES = 2

_ACTIONS: dict[str, tuple[Callable[[Table, Request], Change], frozenset[str]]] = {
    "Put": (put_of, CONDITIONAL | {"Item"}),
    "Update": (update_of, CONDITIONAL | {"Key", "UpdateExpression"}),
    "Delete": (delete_of, CONDITIONAL | {"Key"}),
    "ConditionCheck": (check_of, CONDITIONAL | {"Key"}),
}


@dataclass
class Tokens:
    """The requests that were done, by their `ClientRequestToken`: one that comes again is not done again."""

    done: dict[str, str] = field(default_factory=dict)

    def is_done(self, token: str | None, request: Request) -> bool:
        """Whether this request was done. Raises `Refused` if another one was, under this token."""
        if token is None or token not in self.done:
            return False
        if self.done[token] != _text(request):
            raise Refused("IdempotentParameterMismatchException", "")
        return True

    def add(self, token: str | None, request: Request) -> None:
        """Remember a request that was done."""
        if token is not None:
            self.done[token] = _text(request)


def transact_write_items(table_of: TableOf, request: Request, tokens: Tokens) -> Answer:
    """TransactWriteItems' answer. Raises `Refused`."""
    refuse_unknown("TransactWriteItems", request, ("TransactItems", "ReturnConsumedCapacity", "ClientRequestToken"))
    token = request.get("ClientRequestToken")
    if token is not None and len(token) > LONGEST_TOKEN:
        raise Invalid(f"ClientRequestToken must have length less than or equal to {LONGEST_TOKEN}")
    mode = mode_of(request)
    if tokens.is_done(token, request):
        if mode != "NONE":
            raise NotImplementedError("the capacity of a transaction that is sent again")
        return {}
    changes = [_change(table_of, one) for one in _items(request)]
    _check_distinct([(change.table, change.key) for change in changes])
    writes = _writes(changes)
    if sum(write.after.size for write in writes if write.after) > MOST_BYTES:
        raise Invalid("Transaction request size exceeded the limit of 4 MB")
    if mode != "NONE" and any(map(_is_indexed, changes, writes)):
        raise NotImplementedError("the capacity of a transaction on items of an index")
    consumed = [(change.table, _done(change.table, write)) for change, write in zip(changes, writes, strict=True)]
    tokens.add(token, request)
    return _report(consumed, mode, "WriteCapacityUnits")


def transact_get_items(table_of: TableOf, request: Request) -> Answer:
    """TransactGetItems' answer. Raises `Refused`."""
    refuse_unknown("TransactGetItems", request, ("TransactItems", "ReturnConsumedCapacity"))
    mode = mode_of(request)
    gets = [one["Get"] for one in _items(request)]
    for get in gets:
        refuse_unknown("Get", get, ("TableName", "Key", "ProjectionExpression", NAMES))
    tables = [table_of(get) for get in gets]
    keys = [table.definition.schema.in_request(get["Key"])[1] for table, get in zip(tables, gets, strict=True)]
    _check_distinct(list(zip(tables, keys, strict=True)))
    expressions = [Expressions(get, table.definition.keys) for table, get in zip(tables, gets, strict=True)]
    found = [table.get(key) for table, key in zip(tables, keys, strict=True)]
    answers = [{"Item": shown(item, one)} if item else {} for item, one in zip(found, expressions, strict=True)]
    units = [Consumed(_TIMES * read_units(item.size if item else 0, True)) for item in found]
    report = _report(list(zip(tables, units, strict=True)), mode, "ReadCapacityUnits")
    return {"Responses": answers, **report}


def _items(request: Request) -> list[Any]:
    items: list[Any] = request["TransactItems"]
    if not 1 <= len(items) <= MOST_ITEMS:
        raise Invalid(f"Member must have length between 1 and {MOST_ITEMS}; got {len(items)}")
    return items


def _change(table_of: TableOf, item: Request) -> Change:
    if len(item) != 1 or not item.keys() <= _ACTIONS.keys():
        raise Invalid("TransactItems can only contain one of Check, Put, Update or Delete")
    ((name, action),) = item.items()
    change_of, known = _ACTIONS[name]
    refuse_unknown(name, action, known)
    return change_of(table_of(action), action)


def _check_distinct(keys: Sequence[tuple[Table, Key]]) -> None:
    if len({(table.name, key) for table, key in keys}) < len(keys):
        raise Invalid("Transaction request cannot include multiple operations on one item")


def _writes(changes: list[Change]) -> list[Write]:
    """What is to be written. Raises `Refused` with the reasons if anything is in the way of it."""
    writes: list[Write] = []
    reasons: list[dict[str, Any]] = []
    for change in changes:
        try:
            writes.append(change.write())
            reasons.append({"Code": "None"})
        except ConditionFailed as error:
            reasons.append({"Code": "ConditionalCheckFailed", "Message": error.message, **error.fields})
        except Unfit as error:
            reasons.append({"Code": "ValidationError", "Message": error.message})
    if len(writes) == len(changes):
        return writes
    codes = ", ".join(reason["Code"] for reason in reasons)
    said = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    raise Refused("TransactionCanceledException", said, CancellationReasons=reasons)


def _done(table: Table, write: Write) -> Consumed:
    if write.before is write.after:
        return Consumed(_TIMES * table_write_units(write.before, write.after))
    consumed = table.write(write)
    return Consumed(_TIMES * consumed.table, consumed.indexes)


def _is_indexed(change: Change, write: Write) -> bool:
    items = (write.before, write.after)
    return any(index.place(item, write.key) for index in change.table.indexes.values() for item in items)


def _report(consumed: list[tuple[Table, Consumed]], mode: str, units: str) -> Answer:
    by_table: dict[str, float] = defaultdict(float)
    for table, one in consumed:
        by_table[table.name] += one.total
    reports = [Consumed(total).report(name, mode) for name, total in by_table.items()]
    entries = [report["ConsumedCapacity"] for report in reports if report]
    return {"ConsumedCapacity": [{**entry, units: entry["CapacityUnits"]} for entry in entries]} if entries else {}


def _text(request: Request) -> str:
    return json.dumps(request, sort_keys=True, default=repr)
