"""The errors that this package raises, split by what the caller can do about them.

    DynamoConvError
    ├── TableNotFoundError            check name, region and endpoint; restore it if it was deleted; else `setup()`
    ├── TableMismatchError            a table of that name has other keys or no such index
    ├── IndexNotReadyError            wait: the index is still being built
    ├── BucketNotFoundError           create it; or check its name, region and account
    ├── BucketRequiredError           a value is in S3: give the saver its `s3_bucket`
    ├── AccessDeniedError             allow the named action where the message says: a policy, or the key
    ├── CredentialsError              give the process AWS credentials and a region
    ├── EndpointError                 the endpoint can't be reached or did not answer
    ├── ThrottledError                retries ended; what is short stands in `reason` and `resource`
    ├── ConflictError                 somebody else wrote first, again and again
    ├── ItemTooLargeError             the item can't be made to fit into 400 KB
    ├── CorruptDataError              stored bytes are not what was written
    │   └── UnknownFormatError        written by a newer version of this package
    ├── ConversationNotFoundError     no such conversation of this user (also a LookupError)
    ├── MessageNotFoundError          the conversation has no such message (also a LookupError)
    ├── RunNotEndedError              resume or end the conversation's run first
    ├── UserRequiredError             the config names no user (also a ValueError)
    └── RequestFailedError            any other answer of the service

Wrong arguments are a `ValueError` (or `UserRequiredError`) that names the argument, raised before any request is sent;
one text where a list is meant is a `TypeError`.

What an error says is one line without control characters, also where it quotes a key that another program wrote.
"""

from __future__ import annotations

from langgraph_dynamo_conv._visible import one_line

__all__ = [
    "AccessDeniedError",
    "BucketNotFoundError",
    "BucketRequiredError",
    "ConflictError",
    "ConversationNotFoundError",
    "CorruptDataError",
    "CredentialsError",
    "DynamoConvError",
    "EndpointError",
    "IndexNotReadyError",
    "ItemTooLargeError",
    "MessageNotFoundError",
    "RequestFailedError",
    "RunNotEndedError",
    "TableMismatchError",
    "TableNotFoundError",
    "ThrottledError",
    "UnknownFormatError",
    "UserRequiredError",
]


class DynamoConvError(Exception):
    """Root of this package's errors.

    Args:
        message: What happened and the remedy, in one sentence each.
        operation: The action of DynamoDB or S3 that failed, such as `"PutItem"`, or None.
        table: The table's name, or None.
        key: The key of the item in question as `conversation_id / sort key`, or of the object in S3, or None.
        bucket: The S3 bucket's name, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str | None = None,
        table: str | None = None,
        key: str | None = None,
        bucket: str | None = None,
    ) -> None:
        super().__init__(one_line(message))
        self.operation = operation
        self.table = table
        self.key = key
        self.bucket = bucket


class TableNotFoundError(DynamoConvError):
    """The table does not exist in this account, region or endpoint."""


class TableMismatchError(DynamoConvError):
    """A table of that name exists, but its keys or its index differ from what is needed."""


class IndexNotReadyError(DynamoConvError):
    """The index `user_id-created_at-index` is missing or still being built."""


class BucketNotFoundError(DynamoConvError):
    """The S3 bucket of large values does not exist."""


class BucketRequiredError(DynamoConvError):
    """A value of the conversation is in S3, and no `s3_bucket` was given."""


class AccessDeniedError(DynamoConvError):
    """The role of this process may not do the named action.

    Args:
        action: What was not allowed, such as `"dynamodb:Query"` or `"kms:Decrypt"`; None where it is not known.
        policy: The kind of policy that denies it, in AWS's words, such as `"service control policy"`; None where AWS
            does not say.
    """

    def __init__(self, message: str, *, action: str | None = None, policy: str | None = None, **where: str | None):
        super().__init__(message, **where)
        self.action = action
        self.policy = policy


class CredentialsError(DynamoConvError):
    """No AWS credentials or region were found, or they are expired or invalid."""


class EndpointError(DynamoConvError):
    """The endpoint could not be reached, or no answer came in time. Repeating the call is safe."""


class ThrottledError(DynamoConvError):
    """DynamoDB or S3 refused the request for want of capacity, and the retries ended.

    Args:
        reason: DynamoDB's reason, `<Table or Index><Read or Write><limit>`, such as
            `"IndexWriteKeyRangeThroughputExceeded"` (API Reference, `ThrottlingReason`); None where it gives none, or
            where botocore is too old to know them.
        resource: ARN of the table or index that was throttled; None likewise.
    """

    def __init__(self, message: str, *, reason: str | None = None, resource: str | None = None, **where: str | None):
        super().__init__(message, **where)
        self.reason = reason
        self.resource = resource


class ConflictError(DynamoConvError):
    """Another writer changed the same item at the same time, and the retries ended."""


class ItemTooLargeError(DynamoConvError):
    """An item would pass DynamoDB's limit of 400 KB and can't be split further."""


class CorruptDataError(DynamoConvError):
    """Stored bytes are damaged, or a part or a parent that is referred to is missing."""


class UnknownFormatError(CorruptDataError):
    """Stored bytes carry a version or codec that this release does not know."""


class ConversationNotFoundError(DynamoConvError, LookupError):
    """The user has no such conversation."""


class MessageNotFoundError(DynamoConvError, LookupError):
    """The conversation has no message of that id."""


class RunNotEndedError(DynamoConvError):
    """The conversation's last run waits for an answer, has failed, or is under way, so its state must not change."""


class UserRequiredError(DynamoConvError, ValueError):
    """The config names no user and the saver has no `default_user_id`."""


class RequestFailedError(DynamoConvError):
    """DynamoDB or S3 answered with an error that has no class of its own here."""
