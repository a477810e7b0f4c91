"""The table on the wire: the only module on the data path that knows botocore.

It sends get, put, update, delete, query and scan requests (the six actions a runtime role may have), follows
pages, and translates every failure once into the errors of `errors`. Retries are botocore's ("standard" mode
unless the caller's client says otherwise); all writes sent from here can be sent twice without harm.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from langgraph_dynamo_conv._format.items import AttributeMap, key_attributes
from langgraph_dynamo_conv._format.keys import INDEX, PK, SK, Key, after_prefix
from langgraph_dynamo_conv._storage.failures import kind_of, remedy
from langgraph_dynamo_conv._storage.forks import Lock, renew_in_children
from langgraph_dynamo_conv.errors import (
    ConflictError,
    CredentialsError,
    DynamoConvError,
    EndpointError,
    RequestFailedError,
    TableNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")

POOL_CONNECTIONS = 32
"""Connections of the client that is made here, and so the number of requests under way at once."""

_BATCH = 256
"""Calls of `all_of` that are held at once."""

_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)


class ConditionFailed(ConflictError):
    """A conditional write found another item than it expected.

    Args:
        item: The item that was found, or None if there was none.
    """

    def __init__(self, message: str, item: AttributeMap | None, **where: str | None) -> None:
        super().__init__(message, **where)
        self.item = item


class TableExists(DynamoConvError):
    """There is a table of that name already."""


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
        self._client = client
        self._region_name = region_name
        self._endpoint_url = endpoint_url
        self._consistent = consistent
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None
        # A request too many does not wait in botocore: it opens a connection and throws it away afterwards.
        self._free = threading.BoundedSemaphore(self.connections)
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked child: without the parent's threads, and over connections of its own."""
        self._pool = None
        self._free = threading.BoundedSemaphore(self.connections)
        if self._client is not None:
            self._client.close()  # its connections; it opens others when it is used

    @property
    def client(self) -> DynamoDBClient:
        """The client; made now if there is none yet."""
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._made_client()
        return self._client

    @property
    def connections(self) -> int:
        """How many requests can be under way at once."""
        if self._client is None:
            return POOL_CONNECTIONS
        config: Any = self._client.meta.config
        return int(config.max_pool_connections)

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
        item: AttributeMap | None = self._send("get_item", str(key), **params).get("Item")
        return item

    def put(self, item: AttributeMap, **condition: Any) -> None:
        """Write an item whole. Raises `ConditionFailed`, with the item that was found."""
        key = f"{item[PK]['S']} / {item[SK]['S']}"
        self._send("put_item", key, Item=item, **_with_old(condition))

    def update(self, key: Key, **params: Any) -> AttributeMap:
        """Update an item; gives the attributes that `ReturnValues` asks for. Raises `ConditionFailed`."""
        answer = self._send("update_item", str(key), Key=key_attributes(key), **_with_old(params))
        attributes: AttributeMap = answer.get("Attributes", {})
        return attributes

    def delete(self, key: Key, **condition: Any) -> None:
        """Delete an item, if it is there. Raises `ConditionFailed`."""
        self._send("delete_item", str(key), Key=key_attributes(key), **_with_old(condition))

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
            page_items: At most so many items in the first page. 1 MB in any case, also in later pages.
            doubling: At most twice as many items in each later page as in the one before: whoever stops at an item
                has read few more than twice as many as were needed.
            keys_only: Give the keys alone (costs the same).
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
        """Answers of the index for one user, newest first unless told otherwise. Never consistent."""
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
        """Pages of the whole table."""
        for answer in self._answers("scan", "*", dict(params), None):
            yield answer.get("Items", [])

    def describe(self) -> dict[str, Any] | None:
        """DescribeTable's `Table`, or None if there is no such table."""
        try:
            table: dict[str, Any] = self._send("describe_table", "")["Table"]
        except TableNotFoundError:
            return None
        return table

    def create(self, definition: dict[str, Any]) -> None:
        """CreateTable; a table that somebody else creates at the same time is as good."""
        try:
            self._send("create_table", "", **{k: v for k, v in definition.items() if k != "TableName"})
        except TableExists:
            return

    def time_to_live(self) -> str | None:
        """The attribute by which DynamoDB deletes items, or None."""
        description = self._send("describe_time_to_live", "")["TimeToLiveDescription"]
        if description.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
            return None
        return str(description["AttributeName"])

    def enable_time_to_live(self, attribute: str) -> None:
        """Let DynamoDB delete items after the time in this attribute."""
        specification = {"Enabled": True, "AttributeName": attribute}
        self._send("update_time_to_live", "", TimeToLiveSpecification=specification)

    def recovers(self) -> bool:
        """Whether point-in-time recovery is on."""
        description = self._send("describe_continuous_backups", "")["ContinuousBackupsDescription"]
        recovery = description.get("PointInTimeRecoveryDescription", {})
        return bool(recovery.get("PointInTimeRecoveryStatus") == "ENABLED")

    def enable_recovery(self) -> None:
        """Let DynamoDB keep what is needed to restore the table as it was at any second of the last 35 days."""
        specification = {"PointInTimeRecoveryEnabled": True}
        self._send("update_continuous_backups", "", PointInTimeRecoverySpecification=specification)

    def tag(self, table_arn: str, tags: Mapping[str, str]) -> None:
        """Set these tags; others stay."""
        self._send("tag_resource", "", ResourceArn=table_arn, Tags=tag_list(tags))

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
        """Run any number of calls, many at once; no more are held in memory than one batch."""
        remaining = iter(calls)
        while batch := list(islice(remaining, _BATCH)):
            self.side_by_side(*batch)

    def _answers(
        self, method: str, key: str, params: dict[str, Any], page_items: int | None, *, doubling: bool = False
    ) -> Iterator[dict[str, Any]]:
        while True:
            if page_items:
                params["Limit"] = page_items
            answer = self._send(method, key, **params)
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

    def _made_client(self) -> DynamoDBClient:
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 6},
            max_pool_connections=POOL_CONNECTIONS,
            connect_timeout=5,
            read_timeout=15,
            tcp_keepalive=True,
            user_agent_extra="langgraph-dynamo-conv",
        )
        try:
            session = boto3.session.Session(region_name=self._region_name)
            return session.client("dynamodb", endpoint_url=self._endpoint_url, config=config)
        except NoRegionError as error:
            raise CredentialsError(
                "no AWS region is known: give region_name, or set AWS_DEFAULT_REGION", table=self.name
            ) from error

    def _send(self, method: str, key: str, **params: Any) -> dict[str, Any]:
        operation = "".join(word.capitalize() for word in method.split("_"))
        where: dict[str, Any] = {"operation": operation, "table": self.name, "key": key}
        # tag_resource alone names the table by its ARN
        named = {} if "ResourceArn" in params else {"TableName": self.name}
        try:
            send = getattr(self.client, method)
            with self._free:
                answer: dict[str, Any] = send(**named, **params)
        except ClientError as error:
            self._raise_refused(error, where)
        except _NO_CREDENTIALS as error:
            raise CredentialsError(f"no usable AWS credentials for table '{self.name}': {error}", **where) from error
        except (BotoConnectionError, HTTPClientError) as error:
            raise EndpointError(
                f"no answer from {self.client.meta.endpoint_url} for table '{self.name}': {error}. Check "
                "network, region and endpoint_url; the call can be repeated",
                **where,
            ) from error
        except ParamValidationError:
            message = f"botocore can't send {operation} to table '{self.name}': a parameter has another type"
            raise RequestFailedError(message, **where) from None  # its report quotes the values
        except BotoCoreError as error:
            raise RequestFailedError(f"{operation} on table '{self.name}' failed: {error}", **where) from error
        return answer

    def _raise_refused(self, error: ClientError, where: dict[str, Any]) -> NoReturn:
        operation, key = where["operation"], where["key"]
        code = error.response["Error"].get("Code", "")
        said = error.response["Error"].get("Message", "")
        if code == "ConditionalCheckFailedException":
            message = f"{operation} on table '{self.name}' found that {key} was changed by another writer"
            raise ConditionFailed(message, error.response.get("Item"), **where) from error  # type: ignore[arg-type]
        meta = self.client.meta
        place = f"table '{self.name}' in {meta.region_name} at {meta.endpoint_url}"
        if code == "ResourceInUseException":
            raise TableExists(f"there is a {place} already, or it is being changed", **where) from error
        kind = kind_of(code, said, error.response["ResponseMetadata"].get("HTTPStatusCode", 0))
        raise kind(f"{remedy(kind, operation, place, said)} ({code}: {said})", **where) from error


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as requests and templates have them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _with_old(params: dict[str, Any]) -> dict[str, Any]:
    """A failed condition is charged anyway: let it at least tell what was found."""
    if "ConditionExpression" in params:
        return {**params, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    return params
