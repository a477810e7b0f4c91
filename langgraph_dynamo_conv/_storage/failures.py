"""What it means when a request to DynamoDB or S3 fails: the class of the error, what happened, and the remedy.

Every failure of both services passes through `translated`, and through nothing else. S3's codes and DynamoDB's never
contradict each other, so there is one map of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from langgraph_dynamo_conv._format.items import AttributeMap
from langgraph_dynamo_conv._format.keys import INDEX
from langgraph_dynamo_conv._storage.client import LazyClient
from langgraph_dynamo_conv._storage.refusals import denial, is_of_key, shortage
from langgraph_dynamo_conv.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    ConflictError,
    CorruptDataError,
    CredentialsError,
    DynamoConvError,
    EndpointError,
    IndexNotReadyError,
    ItemTooLargeError,
    RequestFailedError,
    TableNotFoundError,
    ThrottledError,
)


class ConditionFailed(ConflictError):
    """A conditional write found another item than it expected.

    Args:
        item: The item that was found, or None if there was none.
    """

    def __init__(self, message: str, item: AttributeMap | None = None, **where: str | None) -> None:
        super().__init__(message, **where)
        self.item = item


class TableExists(DynamoConvError):
    """There is a table of that name already."""


class NoSuchSetting(DynamoConvError):
    """The bucket has no setting of that kind."""


@dataclass(frozen=True)
class Service:
    """The words in which errors speak of a service.

    Args:
        name: The service's name.
        kind: What requests are sent to, "table" or "bucket"; an error has its name in the field of that name.
        answer: What did not come if the service does not answer.
        setting: The option that may name a wrong endpoint.
        mistake: What is wrong with a request that botocore does not send.
    """

    name: str
    kind: str
    answer: str
    setting: str
    mistake: str


DYNAMODB = Service("DynamoDB", "table", "answer", "endpoint_url", "a parameter has another type")
S3 = Service("S3", "bucket", "whole answer", "endpoint", "is s3_bucket a bucket's name?")


@dataclass(frozen=True)
class Target:
    """The table or bucket that requests are sent to, as errors name it.

    Args:
        service: The service that has it.
        name: The table's or bucket's name.
        resource: What a policy must allow actions on.
        client: The client, which knows region and endpoint.
    """

    service: Service
    name: str
    resource: str
    client: LazyClient[Any]

    def __str__(self) -> str:
        return f"{self.service.kind} '{self.name}'"

    @property
    def endpoint(self) -> str:
        """Where the requests go."""
        return str(self.client.get().meta.endpoint_url)

    @property
    def place(self) -> str:
        """Its name, region and endpoint."""
        return f"{self} in {self.client.get().meta.region_name} at {self.endpoint}"


_MISSING_OBJECT = ("NoSuchKey", "InvalidRange")
_OF_CREDENTIALS = (
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
)
_OF_SHORTAGE = (
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "KMS.ThrottlingException",
)
_OF_CONFLICT = ("ReplicatedWriteConflictException", "TransactionConflictException", "TransactionInProgressException")
_OF_ACCESS = ("AccessDenied", "AccessDeniedException")

_CANCELLED = {
    "ValidationError": "ValidationException",
    "ItemCollectionSizeLimitExceeded": "ItemCollectionSizeLimitExceededException",
    "ConditionalCheckFailed": "ConditionalCheckFailedException",
    "TransactionConflict": "ConditionalCheckFailedException",
    "ProvisionedThroughputExceeded": "ProvisionedThroughputExceededException",
    "ThrottlingError": "ThrottlingException",
}
"""Why a transaction was cancelled, and the code of a single write that is refused for the same; the first counts."""

_BY_CODE: dict[str, type[DynamoConvError]] = {
    "ConditionalCheckFailedException": ConditionFailed,
    "ItemCollectionSizeLimitExceededException": ItemTooLargeError,
    "NoSuchBucket": BucketNotFoundError,
    "NoSuchLifecycleConfiguration": NoSuchSetting,
    "ResourceInUseException": TableExists,
    "ResourceNotFoundException": TableNotFoundError,
    **dict.fromkeys(_MISSING_OBJECT, CorruptDataError),
    **dict.fromkeys(_OF_ACCESS, AccessDeniedError),
    **dict.fromkeys(_OF_CONFLICT, ConflictError),
    **dict.fromkeys(_OF_CREDENTIALS, CredentialsError),
    **dict.fromkeys(_OF_SHORTAGE, ThrottledError),
}

_REMEDIES: dict[type[DynamoConvError], str] = {
    AccessDeniedError: "access to {target.place} was denied: {more}",
    BucketNotFoundError: "there is no {target.place}; create it, or check s3_bucket, and region and endpoint of "
    "s3_client",
    ConflictError: "{operation} on {target.place} met another writer of the item; repeat it",
    CorruptDataError: "the object {key} of a value is not whole, or not there, in {target.place}: check that s3_bucket "
    "and s3_prefix are those that it was written with, and repeat a delete or prune that broke off",
    CredentialsError: "AWS did not accept the credentials for {target.place}; renew or correct them",
    EndpointError: "{operation} on {target.place} failed inside {target.service.name}; the call can be repeated",
    IndexNotReadyError: f"{{target.place}} has no usable index '{INDEX}'; add it by setup(add_index=True), "
    "or wait until it is built",
    ItemTooLargeError: "an item for {target.place} is over DynamoDB's limit of 400 KB",
    NoSuchSetting: "{target.place} has no such setting",
    RequestFailedError: "{operation} on {target.place} was refused",
    TableExists: "there is a {target.place} already, or it is being changed",
    TableNotFoundError: "there is no {target.place}: check its name, region and endpoint. If it was there, restore it "
    "before anything takes its name; a new one is created with setup()",
    ThrottledError: "{operation} on {target.place} was throttled and the retries ended: {more}",
}
"""What happened and what to do, of a request that the service refused."""

_NO_CREDENTIALS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
BOTO_ERRORS = (ClientError, BotoCoreError)
"""All that botocore raises when a request fails."""

_BROKEN_OFF = (BotoConnectionError, HTTPClientError, IncompleteReadError)
_NO_ANSWER = (
    "no {target.service.answer} from {target.endpoint} for {target}: {error}. Check network, region and "
    "{target.service.setting}; the call can be repeated"
)
# botocore's own report of a wrong parameter quotes the values, and so what is stored
_NOT_SENT = "botocore can't send {operation} to {target}: {target.service.mistake}"
_UNANSWERED: tuple[tuple[Any, type[DynamoConvError], str], ...] = (
    (NoRegionError, CredentialsError, "no AWS region is known: give region_name, or set AWS_DEFAULT_REGION"),
    (_NO_CREDENTIALS, CredentialsError, "no usable AWS credentials for {target}: {error}"),
    (_BROKEN_OFF, EndpointError, _NO_ANSWER),
    (ParamValidationError, RequestFailedError, _NOT_SENT),
    (BotoCoreError, RequestFailedError, "{operation} on {target} failed: {error}"),
)
"""What happened and what to do, of a request that got no answer; the first line that fits counts."""

NO_INDEX = re.compile("specified index|invalid index|backfilling", re.IGNORECASE)
"""What DynamoDB, DynamoDB Local and moto say of an index that is missing, or is being built."""
ITEM_TOO_LARGE = re.compile("item size .*exceeded", re.IGNORECASE)
_LISTING = "s3:ListBucket"
"""A role that may not list a bucket is refused the listing where an object is missing."""
_READS_OBJECT = ("GetObject", "CopyObject")
_MAYBE_MISSING = ". S3 says the same of an object that is not there to a role without s3:ListBucket"
_MOVED = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})
_ELSEWHERE = "; the bucket is in another region: give an s3_client of that region"
_SERVER_ERROR = 500


@contextmanager
def translated(target: Target, operation: str, key: str) -> Iterator[None]:
    """Raise this package's error in place of botocore's.

    Args:
        target: The table or bucket.
        operation: The action, such as "PutItem".
        key: The item's or object's key, for the error's `key`.
    """
    where = {"operation": operation, "key": key, target.service.kind: target.name}
    try:
        yield
    except ClientError as error:
        raise _refusal(error, target, where) from error
    except BotoCoreError as error:
        kind, text = next((kind, text) for classes, kind, text in _UNANSWERED if isinstance(error, classes))
        cause = None if isinstance(error, ParamValidationError) else error
        raise kind(text.format(target=target, error=error, operation=operation), **where) from cause


def meets_writer(error: Exception) -> bool:
    """Whether a request was refused since another region's write, or a transaction, was at its item."""
    return isinstance(error, ClientError) and error.response["Error"].get("Code") in _OF_CONFLICT


def _refusal(error: ClientError, target: Target, where: dict[str, str]) -> DynamoConvError:
    answer: Any = error.response
    code, message = _reason(answer)
    operation, key = where["operation"], where["key"]
    kind = _kind_of(code, message, operation, answer["ResponseMetadata"].get("HTTPStatusCode", 0))
    if kind is ConditionFailed:
        changed = f"{operation} on {target} found that {key} was changed by another writer"
        return ConditionFailed(changed, answer.get("Item"), **where)
    more, facts = _facts(kind, answer, message, target, operation)
    remedy = _REMEDIES[kind].format(target=target, operation=operation, key=key, more=more)
    if code in _MOVED:
        remedy += _ELSEWHERE
    if str(facts.get("action")).startswith("s3:") and operation in _READS_OBJECT:
        remedy += _MAYBE_MISSING
    return kind(f"{remedy} ({code}: {message})", **where, **facts)


def _facts(
    kind: type[DynamoConvError], answer: Any, message: str, target: Target, operation: str
) -> tuple[str, dict[str, str | None]]:
    """What AWS's words say beside the kind of error: a remedy, and the error's fields of its own."""
    if kind is AccessDeniedError:
        denied = denial(message, _action_of(target.service, operation), target.resource)
        return denied.remedy, {"action": denied.action, "policy": denied.policy}
    if kind is ThrottledError:
        short = shortage(answer)
        return short.remedy, {"reason": short.reason, "resource": short.resource}
    return "", {}


def _reason(answer: Any) -> tuple[str, str]:
    """Code and message of a refusal; of a cancelled transaction those of what stood in its way."""
    code, message = answer["Error"].get("Code", ""), answer["Error"].get("Message", "")
    reasons = {one.get("Code"): one.get("Message", "") for one in answer.get("CancellationReasons") or ()}
    return next(
        ((known, reasons[name] or message) for name, known in _CANCELLED.items() if name in reasons), (code, message)
    )


def _kind_of(code: str, message: str, operation: str, status: int) -> type[DynamoConvError]:
    if NO_INDEX.search(message):
        return IndexNotReadyError
    if ITEM_TOO_LARGE.search(message):
        return ItemTooLargeError
    if code == "AccessDenied" and _LISTING in message and operation in _READS_OBJECT:
        return CorruptDataError
    kind = _BY_CODE.get(code, EndpointError if status >= _SERVER_ERROR else RequestFailedError)
    return AccessDeniedError if kind is RequestFailedError and is_of_key(message) else kind


def _action_of(service: Service, operation: str) -> str:
    """The actions that an operation needs."""
    return "s3:GetObject and s3:PutObject" if operation == "CopyObject" else f"{service.name.lower()}:{operation}"
