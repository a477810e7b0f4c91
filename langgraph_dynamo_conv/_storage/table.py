"""The data path to the table: the six actions that a runtime role may have, and pages followed to their end.

Retries are botocore's ("standard" mode unless the caller's client says otherwise): every write here can be sent twice
without harm. Failures are translated in `failures`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from langgraph_dynamo_conv._format.items import AttributeMap, key_attributes, key_of
from langgraph_dynamo_conv._format.keys import INDEX, PK, SK, Key, after_prefix
from langgraph_dynamo_conv._storage.client import LazyClient, new_client
from langgraph_dynamo_conv._storage.failures import BOTO_ERRORS, DYNAMODB, Target, meets_writer, translated
from langgraph_dynamo_conv._storage.forks import renew_in_children

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")

_CONFLICT_SECONDS = (0.05, 0.1, 0.2, 0.4)
"""Most seconds before a request is sent again that met another writer of its item."""

_BATCH = 256
"""Calls of `all_of` that are in memory at once."""


class Table:
    """One table, reached through a client that is made at the first request.

    Args:
        name: The table's name.
        client: A ready boto3 DynamoDB client, or None to make one.
        region_name: Region of the client to be made, or None for the environment's.
        endpoint_url: Endpoint of the client to be made, or None for AWS's.
        consistent: Whether reads of the table are strongly consistent.
    """

    def __init__(
        self,
        name: str,
        *,
        client: DynamoDBClient | None = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        consistent: bool = True,
    ) -> None:
        self.name = name
        make = partial(new_client, "dynamodb", region_name=region_name, endpoint_url=endpoint_url)
        self._client: LazyClient[DynamoDBClient] = LazyClient(client, make)
        self._target = Target(DYNAMODB, name, "the table and its index/*", self._client)
        self._consistent = consistent
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked child: forget the parent's threads, which are not there, and what they may have locked."""
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        # A request too many does not wait in botocore: it opens a connection and throws it away afterwards.
        self._free = threading.BoundedSemaphore(self.connections)

    @cached_property
    def client(self) -> DynamoDBClient:
        """The client; made now if there is none yet."""
        return self._client.get()

    @property
    def connections(self) -> int:
        """How many requests can be under way at once."""
        return self._client.connections

    def close(self) -> None:
        """Stop the threads that send requests side by side."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)

    def get(self, key: Key, projection: str | None = None) -> AttributeMap | None:
        """One item, or None."""
        params: dict[str, Any] = {"Key": key_attributes(key), "ConsistentRead": self._consistent}
        if projection:
            params["ProjectionExpression"] = projection
        item: AttributeMap | None = self.send("get_item", key, **params).get("Item")
        return item

    def put(self, item: AttributeMap, **condition: Any) -> None:
        """Write an item whole. Raises `ConditionFailed`, with the item that was found."""
        self.send("put_item", key_of(item), Item=item, **condition)

    def update(self, key: Key, **params: Any) -> AttributeMap:
        """Update an item; gives the attributes that `ReturnValues` asks for. Raises `ConditionFailed`."""
        answer = self.send("update_item", key, Key=key_attributes(key), **params)
        attributes: AttributeMap = answer.get("Attributes", {})
        return attributes

    def delete(self, key: Key, **condition: Any) -> None:
        """Delete an item, if it is there. Raises `ConditionFailed`."""
        self.send("delete_item", key, Key=key_attributes(key), **condition)

    def transact(self, key: Key, writes: Sequence[dict[str, Any]]) -> None:
        """Do several writes or none; each as TransactWriteItems takes it, but for the table. Costs twice their units.

        Args:
            key: What the transaction is about, for the `key` of errors.
            writes: At most 100, of at most 4 MB.

        Raises:
            ConditionFailed: A condition did not hold, or another writer was at one of the items.
        """
        items = [{name: {"TableName": self.name, **write}} for one in writes for name, write in one.items()]
        self.send("transact_write_items", key, TransactItems=items)

    def query(
        self,
        pk: str,
        prefix: str = "",
        *,
        first: str | None = None,
        last: str | None = None,
        newest_first: bool = False,
        page_items: int | None = None,
        doubling: bool = False,
        keys_only: bool = False,
    ) -> Iterator[list[AttributeMap]]:
        """Pages of a partition's items in the order of their sort keys. Pages can be empty.

        Args:
            pk: Partition key.
            prefix: All sort keys that start with it (it ends in `#`), or all if empty.
            first: Lower bound within the prefix, inclusive.
            last: Upper bound within the prefix, inclusive.
            newest_first: Descending order.
            page_items: At most so many items in the first page. Every page ends at 1 MB.
            doubling: Let each later page have at most twice as many items as the one before. A caller who stops at
                some item has then read at most about twice as many as it needed.
            keys_only: Give the keys alone; it costs the same.
        """
        low = first if first is not None else prefix
        high = last if last is not None else after_prefix(prefix) if prefix else None
        names, values = {"#pk": PK}, {":pk": {"S": pk}}
        condition = "#pk = :pk"
        if high is not None:
            condition += " AND #sk BETWEEN :low AND :high"
            names["#sk"] = SK
            values.update({":low": {"S": low}, ":high": {"S": high}})
        params: dict[str, Any] = {
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": not newest_first,
            "ConsistentRead": self._consistent,
        }
        if keys_only:
            params["ProjectionExpression"] = "#pk, #sk"
            names["#sk"] = SK
        for answer in self._answers("query", f"{pk} / {prefix}", params, page_items, doubling=doubling):
            yield answer.get("Items", [])

    def query_index(self, user_id: str, page_items: int | None = None, **params: Any) -> Iterator[dict[str, Any]]:
        """The index's answers for one user, newest first unless `params` says otherwise. Eventually consistent."""
        names = {"#user": SK, **params.pop("names", {})}
        values = {":user": {"S": user_id}, **params.pop("values", {})}
        request: dict[str, Any] = {
            "IndexName": INDEX,
            "KeyConditionExpression": "#user = :user" + params.pop("created", ""),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": False,
            **params,
        }
        yield from self._answers("query", f"{INDEX} / {user_id}", request, page_items)

    def scan(self, **params: Any) -> Iterator[list[AttributeMap]]:
        """Pages of all items of the table."""
        for answer in self._answers("scan", "*", dict(params), None):
            yield answer.get("Items", [])

    def side_by_side(self, *calls: Callable[[], T]) -> list[T]:
        """Run calls at once and give their results in order; an error is raised once all have ended."""
        if len(calls) < 2:
            return [call() for call in calls]
        futures = [self._threads().submit(call) for call in calls[:-1]]
        own: list[T] = []
        try:
            own.append(calls[-1]())
        finally:
            errors = [error for error in (future.exception() for future in futures) if error is not None]
        if errors:
            raise errors[0]
        return [*(future.result() for future in futures), *own]

    def all_of(self, calls: Iterable[Callable[[], object]]) -> None:
        """Run any number of calls, many at once; only one batch of them is in memory."""
        remaining = iter(calls)
        while batch := list(islice(remaining, _BATCH)):
            self.side_by_side(*batch)

    def send(self, method: str, key: object = "", **params: Any) -> dict[str, Any]:
        """Send one request, by the name of the client's method, as soon as a connection is free.

        Args:
            method: Such as "put_item".
            key: What the request is about, for the `key` of errors.
            params: Its parameters.
        """
        operation = "".join(word.capitalize() for word in method.split("_"))
        # tag_resource names the table by its ARN, a transaction in each of its writes
        place = {} if "ResourceArn" in params or "TransactItems" in params else {"TableName": self.name}
        if "ConditionExpression" in params:  # a failed condition is charged anyway: let it at least tell what it found
            params["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        try:
            with self._free:
                answer = self._sent(getattr(self.client, method), {**place, **params})
        except BOTO_ERRORS:
            with translated(self._target, operation, str(key)):
                raise
        return answer

    def _sent(self, send: Callable[..., dict[str, Any]], params: Mapping[str, Any]) -> dict[str, Any]:
        """The answer; sent again while another region's write or a transaction is at the item, which botocore's legacy
        mode does not do."""
        for seconds in _CONFLICT_SECONDS:
            try:
                return send(**params)
            except BOTO_ERRORS as error:
                if not meets_writer(error):
                    raise
            time.sleep(seconds * random.uniform(0.5, 1))
        return send(**params)

    def _answers(
        self, method: str, key: object, params: dict[str, Any], page_items: int | None, *, doubling: bool = False
    ) -> Iterator[dict[str, Any]]:
        while True:
            if page_items:
                params["Limit"] = page_items
            answer = self.send(method, key, **params)
            yield answer
            if "LastEvaluatedKey" not in answer:
                return
            params["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
            params.pop("Limit", None)
            page_items = page_items * 2 if page_items and doubling else None

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.connections, "dynamo-conv-request")
            return self._pool
