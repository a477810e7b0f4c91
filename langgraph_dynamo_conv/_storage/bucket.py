"""The bucket on the wire: the only module that talks to S3.

It sends GetObject, PutObject, DeleteObject and CopyObject, for which a role needs the first three as actions on the
prefix and nothing on the bucket itself. Nothing is ever listed: what is in the bucket is found by the pointers in the
table. Every failure is translated here, once, into the errors of `errors`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ParamValidationError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from langgraph_dynamo_conv._format.keys import bucket_prefix
from langgraph_dynamo_conv._format.limits import BUCKET_BYTES
from langgraph_dynamo_conv._storage.forks import Lock, renew_in_children
from langgraph_dynamo_conv._storage.table import _NO_CREDENTIALS, POOL_CONNECTIONS
from langgraph_dynamo_conv.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CorruptDataError,
    CredentialsError,
    DynamoConvError,
    EndpointError,
    RequestFailedError,
    ThrottledError,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from typing_extensions import TypedDict

    class BucketOptions(TypedDict, total=False):
        """The options of `DynamoDBConversationSaver` that say where large values are."""

        s3_bucket: str | None
        s3_prefix: str
        s3_threshold_bytes: int
        s3_client: S3Client | None


_READ_ATTEMPTS = 3
"""botocore repeats a request, but not the reading of an answer that breaks off."""

_BROKEN_OFF = (BotoConnectionError, HTTPClientError, IncompleteReadError)

_MISSING = frozenset({"NoSuchKey", "InvalidRange"})
_LISTING = "s3:ListBucket"
"""Who may not list a bucket is not told that an object is missing, but that listing is not allowed."""

_BY_CODE: dict[str, type[DynamoConvError]] = {
    "NoSuchBucket": BucketNotFoundError,
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "AccountProblem"), AccessDeniedError),
    **dict.fromkeys(
        (
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "InvalidToken",
            "TokenRefreshRequired",
            "RequestTimeTooSkewed",
            "InvalidClientTokenId",
        ),
        CredentialsError,
    ),
    **dict.fromkeys(
        ("SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests"), ThrottledError
    ),
    **dict.fromkeys(_MISSING, CorruptDataError),
}
_REMEDIES: dict[type[DynamoConvError], str] = {
    BucketNotFoundError: "there is no {place}; create it, or check s3_bucket, and region and endpoint of s3_client",
    AccessDeniedError: "access to {place} was denied: allow {action} on {resource}",
    CredentialsError: "AWS did not accept the credentials for {place}; renew or correct them",
    ThrottledError: "{operation} on {place} was throttled (SlowDown) and the retries ended; repeat it later",
    EndpointError: "{operation} on {place} failed inside S3; the call can be repeated",
    CorruptDataError: "the object {key} of a value is not whole, or not there, in {place}: check that s3_bucket and "
    "s3_prefix are those that it was written with, and repeat a delete or prune that broke off",
    RequestFailedError: "{operation} on {place} was refused",
}
_MOVED = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})
_ELSEWHERE = "; the bucket is in another region: give an s3_client of that region"
_MAYBE_MISSING = ". S3 says the same of an object that is not there to a role without s3:ListBucket"
_ACTION = re.compile(r"(?:s3|kms):\w+")
_NEEDED = {"CopyObject": "s3:GetObject and s3:PutObject"}
_SERVER_ERROR = 500


class Bucket:
    """One bucket, reached through a client that is made at the first request.

    Args:
        name: The bucket's name, or the ARN of an access point.
        prefix: What the keys of all objects begin with.
        threshold_bytes: Stored values above this are objects, others parts.
        client: A ready boto3 S3 client, or None to make one.
        region_name: Region of the client to be made, or None for the environment's.

    Raises:
        ValueError: An impossible prefix or threshold.
    """

    def __init__(
        self,
        name: str,
        *,
        prefix: str = "",
        threshold_bytes: int = BUCKET_BYTES,
        client: S3Client | None = None,
        region_name: str | None = None,
    ) -> None:
        if threshold_bytes < 0:
            raise ValueError("s3_threshold_bytes is at least 0")
        self.name = name
        self.threshold_bytes = threshold_bytes
        self._prefix = bucket_prefix(prefix)
        self._client = client
        self._region_name = region_name
        self._lock = Lock()
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked child: over connections of its own."""
        if self._client is not None:
            self._client.close()  # its connections; it opens others when it is used

    @property
    def client(self) -> S3Client:
        """The client; made now if there is none yet."""
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._made_client()
        return self._client

    def put(self, name: str, data: bytes) -> None:
        """Store an object whole. Cost: one PutObject."""
        self._send("put_object", name, Body=data)

    def get(self, name: str, first: int, last: int) -> bytes:
        """Bytes `first` to `last` (inclusive) of an object.

        Raises:
            CorruptDataError: It is not there, or shorter.

        Cost: one GetObject.
        """
        for attempt in range(1, _READ_ATTEMPTS + 1):
            answer = self._send("get_object", name, Range=f"bytes={first}-{last}")
            try:
                data: bytes = answer["Body"].read()
                return data
            except _BROKEN_OFF as error:
                if attempt == _READ_ATTEMPTS:
                    self._raise_unanswered(error, self._where("get_object", name))
        raise AssertionError("the last attempt returns or raises")

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the bucket, without reading it. Raises as `get` does. Cost: one CopyObject."""
        self._send("copy_object", target, CopySource={"Bucket": self.name, "Key": self._prefix + source})

    def delete(self, name: str) -> None:
        """Delete an object, if it is there. Cost: one DeleteObject, which is free."""
        self._send("delete_object", name)

    def _made_client(self) -> S3Client:
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 6},
            max_pool_connections=POOL_CONNECTIONS,
            connect_timeout=5,
            read_timeout=60,
            tcp_keepalive=True,
            user_agent_extra="langgraph-dynamo-conv",
        )
        return boto3.session.Session(region_name=self._region_name).client("s3", config=config)

    def _where(self, method: str, name: str) -> dict[str, str]:
        operation = "".join(word.capitalize() for word in method.split("_"))
        return {"operation": operation, "bucket": self.name, "key": self._prefix + name}

    def _send(self, method: str, name: str, **params: Any) -> dict[str, Any]:
        where = self._where(method, name)
        try:
            answer: dict[str, Any] = getattr(self.client, method)(Bucket=self.name, Key=where["key"], **params)
        except ClientError as error:
            self._raise_refused(error, where)
        except _NO_CREDENTIALS as error:
            raise CredentialsError(f"no usable AWS credentials for bucket '{self.name}': {error}", **where) from error
        except (BotoConnectionError, HTTPClientError) as error:
            self._raise_unanswered(error, where)
        except ParamValidationError:
            message = f"botocore can't send {where['operation']} to bucket '{self.name}': is s3_bucket a bucket's name?"
            raise RequestFailedError(message, **where) from None  # its report may quote what is stored
        except BotoCoreError as error:
            message = f"{where['operation']} on bucket '{self.name}' failed: {error}"
            raise RequestFailedError(message, **where) from error
        return answer

    def _raise_unanswered(self, error: Exception, where: dict[str, str]) -> NoReturn:
        raise EndpointError(
            f"no whole answer from {self.client.meta.endpoint_url} for bucket '{self.name}': {error}. Check network, "
            "region and endpoint; the call can be repeated",
            **where,
        ) from error

    def _raise_refused(self, error: ClientError, where: dict[str, str]) -> NoReturn:
        code, said = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        operation, meta = where["operation"], self.client.meta
        kind = kind_of(code, said, operation, status)
        named = _ACTION.search(said)
        remedy = _REMEDIES[kind].format(
            place=f"bucket '{self.name}' in {meta.region_name} at {meta.endpoint_url}",
            operation=operation,
            key=where["key"],
            action=named[0] if named else _NEEDED.get(operation, f"s3:{operation}"),
            resource=f"{self.name}/{self._prefix}*",
        )
        remedy += _ELSEWHERE if code in _MOVED else ""
        remedy += _MAYBE_MISSING if kind is AccessDeniedError and operation in ("GetObject", "CopyObject") else ""
        raise kind(f"{remedy} ({code}: {said})", **where) from error


def bucket_of(
    client: DynamoDBClient | None,
    region_name: str | None,
    s3_bucket: str | None = None,
    s3_prefix: str = "",
    s3_threshold_bytes: int = BUCKET_BYTES,
    s3_client: S3Client | None = None,
) -> Bucket | None:
    """The bucket that a saver's arguments name, in the table's region; None without one. Sends nothing.

    Raises:
        ValueError: Other options without a bucket, or impossible ones.
    """
    if s3_bucket is None:
        if s3_prefix or s3_client is not None or s3_threshold_bytes != BUCKET_BYTES:
            raise ValueError("s3_prefix, s3_threshold_bytes and s3_client need an s3_bucket")
        return None
    if not s3_bucket or "/" in s3_bucket and not s3_bucket.startswith("arn:"):
        raise ValueError(f"s3_bucket is a bucket's name, what is below it is s3_prefix; got {s3_bucket!r:.80}")
    region = client.meta.region_name if client is not None else region_name
    return Bucket(s3_bucket, prefix=s3_prefix, threshold_bytes=s3_threshold_bytes, client=s3_client, region_name=region)


def kind_of(code: str, said: str, operation: str, status: int) -> type[DynamoConvError]:
    """The class of a refusal, by S3's code, words and HTTP status."""
    if code == "AccessDenied" and _LISTING in said and operation in ("GetObject", "CopyObject"):
        return CorruptDataError
    return _BY_CODE.get(code, EndpointError if status >= _SERVER_ERROR else RequestFailedError)
