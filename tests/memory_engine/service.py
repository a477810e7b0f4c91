"""All tables of an account and region, and the requests that they answer, one at a time.

Tables and indexes are active at once. Time to live is set and told, and deletes nothing: whoever tests expiry deletes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.memory_engine.definitions import refuse_unknown, table_definition, table_name
from tests.memory_engine.descriptions import described, told_tags
from tests.memory_engine.refusals import Invalid, Refused
from tests.memory_engine.requests import reads, writes
from tests.memory_engine.requests.transactions import Tokens, transact_get_items, transact_write_items
from tests.memory_engine.table import Meter, Table

Request = Mapping[str, Any]
Answer = dict[str, Any]

_MOST_NAMES = 100
_PARAMETERS = {
    "DeleteTable": ("TableName",),
    "DescribeTable": ("TableName",),
    "ListTables": ("Limit", "ExclusiveStartTableName"),
    "DescribeTimeToLive": ("TableName",),
    "UpdateTimeToLive": ("TableName", "TimeToLiveSpecification"),
    "DescribeContinuousBackups": ("TableName",),
    "UpdateContinuousBackups": ("TableName", "PointInTimeRecoverySpecification"),
    "TagResource": ("ResourceArn", "Tags"),
    "ListTagsOfResource": ("ResourceArn",),
}
_ON_ONE_TABLE: dict[str, Callable[[Table, Request], Answer]] = {
    "PutItem": writes.put_item,
    "UpdateItem": writes.update_item,
    "DeleteItem": writes.delete_item,
    "GetItem": reads.get_item,
    "Query": reads.query,
    "Scan": reads.scan,
}


class Service:
    """DynamoDB in this process. Safe to share between threads; each request is atomic.

    Args:
        meter: Is told of reads and writes of items in all tables, or None.
        clock: Seconds since 1970.
    """

    def __init__(self, meter: Meter | None = None, clock: Callable[[], float] = time.time) -> None:
        self._meter = meter
        self._clock = clock
        self._lock = threading.Lock()
        self._tables: dict[str, Table] = {}
        self._tokens = Tokens()
        self._management: dict[str, Callable[[Request], Answer]] = {
            "CreateTable": self._create_table,
            "DeleteTable": self._delete_table,
            "DescribeTable": self._describe_table,
            "ListTables": self._list_tables,
            "DescribeTimeToLive": self._describe_time_to_live,
            "UpdateTimeToLive": self._update_time_to_live,
            "DescribeContinuousBackups": self._describe_continuous_backups,
            "UpdateContinuousBackups": self._update_continuous_backups,
            "TagResource": self._tag_resource,
            "ListTagsOfResource": self._list_tags_of_resource,
            "TransactWriteItems": lambda asked: transact_write_items(self._table, asked, self._tokens),
            "TransactGetItems": lambda asked: transact_get_items(self._table, asked),
        }
        self.operations = frozenset({*_ON_ONE_TABLE, *self._management})

    def answer(self, operation: str, request: Request) -> Answer:
        """What DynamoDB answers. Attribute values in an answer are the table's own; those of a request are not kept.

        Raises:
            Refused: DynamoDB refuses the request.
            NotImplementedError: The engine does not do that.
        """
        if operation not in self.operations:
            raise NotImplementedError(operation)
        with self._lock:
            return self.done(operation, request)

    def done(self, operation: str, request: Request) -> Answer:
        """What `answer` gives. Only one request at a time is in here."""
        if operation in _ON_ONE_TABLE:
            return _ON_ONE_TABLE[operation](self._table(request), request)
        if operation in _PARAMETERS:
            refuse_unknown(operation, request, _PARAMETERS[operation])
        return self._management[operation](request)

    def table(self, name: str) -> Table:
        """The table of that name. Raises `Refused`."""
        with self._lock:
            return self._table({"TableName": name})

    def _table(self, request: Request, said: str = "Requested resource not found") -> Table:
        name = table_name(request)
        if name not in self._tables:
            raise Refused("ResourceNotFoundException", said.format(name))
        return self._tables[name]

    def _create_table(self, request: Request) -> Answer:
        definition = table_definition(request)
        if definition.name in self._tables:
            raise Refused("ResourceInUseException", f"Table already exists: {definition.name}")
        table = Table(definition, self._clock(), self._meter)
        table.tags.update(told_tags(request.get("Tags", ())))
        self._tables[definition.name] = table
        return {"TableDescription": described(table)}

    def _delete_table(self, request: Request) -> Answer:
        table = self._described(request)
        del self._tables[table.name]
        return {"TableDescription": {**described(table), "TableStatus": "DELETING"}}

    def _describe_table(self, request: Request) -> Answer:
        return {"Table": described(self._described(request))}

    def _list_tables(self, request: Request) -> Answer:
        after = request.get("ExclusiveStartTableName", "")
        names = sorted(name for name in self._tables if name > after)
        page = names[: request.get("Limit", _MOST_NAMES)]
        return {"TableNames": page, **({"LastEvaluatedTableName": page[-1]} if len(page) < len(names) else {})}

    def _describe_time_to_live(self, request: Request) -> Answer:
        attribute = self._described(request).ttl_attribute
        enabled = {"TimeToLiveStatus": "ENABLED", "AttributeName": attribute}
        return {"TimeToLiveDescription": enabled if attribute else {"TimeToLiveStatus": "DISABLED"}}

    def _update_time_to_live(self, request: Request) -> Answer:
        table = self._described(request)
        wanted = request["TimeToLiveSpecification"]
        if table.ttl_attribute not in (None, wanted["AttributeName"]):
            raise Invalid("TimeToLive is active on a different AttributeName")
        if bool(table.ttl_attribute) is wanted["Enabled"]:
            raise Invalid(f"TimeToLive is already {'enabled' if wanted['Enabled'] else 'disabled'}")
        table.ttl_attribute = wanted["AttributeName"] if wanted["Enabled"] else None
        return {"TimeToLiveSpecification": dict(wanted)}

    def _describe_continuous_backups(self, request: Request) -> Answer:
        return self._backups(self._named(request))

    def _update_continuous_backups(self, request: Request) -> Answer:
        table = self._named(request)
        specification = request["PointInTimeRecoverySpecification"]
        refuse_unknown("point-in-time recovery", specification, ("PointInTimeRecoveryEnabled",))
        table.recovers = specification["PointInTimeRecoveryEnabled"]
        return self._backups(table)

    def _backups(self, table: Table) -> Answer:
        status = "ENABLED" if table.recovers else "DISABLED"
        recovery = {"PointInTimeRecoveryStatus": status}
        return {
            "ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": recovery,
            }
        }

    def _tag_resource(self, request: Request) -> Answer:
        self._of_arn(request).tags.update(told_tags(request["Tags"]))
        return {}

    def _list_tags_of_resource(self, request: Request) -> Answer:
        return {"Tags": [{"Key": key, "Value": value} for key, value in self._of_arn(request).tags.items()]}

    def _described(self, request: Request) -> Table:
        return self._table(request, "Requested resource not found: Table: {} not found")

    def _named(self, request: Request) -> Table:
        try:
            return self._table(request)
        except Refused as error:
            raise Refused("TableNotFoundException", f"Table not found: {request['TableName']}") from error

    def _of_arn(self, request: Request) -> Table:
        arn = str(request["ResourceArn"])
        for table in self._tables.values():
            if table.arn == arn:
                return table
        raise Refused("ResourceNotFoundException", f"Requested resource not found: ResourcArn: {arn} not found")
