"""What DynamoDB means when it refuses a request: the class of the error, and its remedy. Pure."""

from __future__ import annotations

import re

from langgraph_dynamo_conv._format.keys import INDEX
from langgraph_dynamo_conv.errors import (
    AccessDeniedError,
    ConflictError,
    CredentialsError,
    DynamoConvError,
    EndpointError,
    IndexNotReadyError,
    ItemTooLargeError,
    RequestFailedError,
    TableNotFoundError,
    ThrottledError,
)

_BY_CODE: dict[str, type[DynamoConvError]] = {
    "ResourceNotFoundException": TableNotFoundError,
    **dict.fromkeys(("AccessDeniedException", "AccessDenied"), AccessDeniedError),
    **dict.fromkeys(
        (
            "UnrecognizedClientException",
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "ExpiredTokenException",
            "ExpiredToken",
            "MissingAuthenticationTokenException",
            "MissingAuthenticationToken",
            "IncompleteSignatureException",
            "IncompleteSignature",
            "InvalidClientTokenId",
        ),
        CredentialsError,
    ),
    **dict.fromkeys(
        (
            "ProvisionedThroughputExceededException",
            "ThrottlingException",
            "ThrottledException",
            "RequestLimitExceeded",
        ),
        ThrottledError,
    ),
    **dict.fromkeys(
        (
            "TransactionConflictException",
            "TransactionInProgressException",
            "ReplicatedWriteConflictException",
        ),
        ConflictError,
    ),
    "ItemCollectionSizeLimitExceededException": ItemTooLargeError,
}
_REMEDIES: dict[type[DynamoConvError], str] = {
    TableNotFoundError: "there is no {place}; create it with setup(), or check its name, region and endpoint",
    AccessDeniedError: "access to {place} was denied: allow {action} on the table and its index/*",
    CredentialsError: "AWS did not accept the credentials for {place}; renew or correct them",
    ThrottledError: "{operation} on {place} was throttled and the retries ended; repeat it later",
    ConflictError: "{operation} on {place} met another writer of the item; repeat it",
    ItemTooLargeError: "an item for {place} is over DynamoDB's limit of 400 KB",
    IndexNotReadyError: "{place} has no usable index '{index}'; run setup(), or wait until it is built",
    EndpointError: "{operation} on {place} failed inside DynamoDB; the call can be repeated",
    RequestFailedError: "{operation} on {place} was refused",
}
_NO_INDEX = re.compile("specified index|invalid index|backfilling", re.IGNORECASE)
"""What DynamoDB, DynamoDB Local and moto say of an index that is missing, or is being built."""
_TOO_LARGE = re.compile("item size .*exceeded", re.IGNORECASE)
_ACTION = re.compile(r"dynamodb:\w+")
_SERVER_ERROR = 500


def kind_of(code: str, said: str, status: int) -> type[DynamoConvError]:
    """The class of a refusal, by DynamoDB's code, words and HTTP status."""
    if _NO_INDEX.search(said):
        return IndexNotReadyError
    if _TOO_LARGE.search(said):
        return ItemTooLargeError
    return _BY_CODE.get(code, EndpointError if status >= _SERVER_ERROR else RequestFailedError)


def remedy(kind: type[DynamoConvError], operation: str, place: str, said: str) -> str:
    """What happened and what to do, for an error of this class."""
    named = _ACTION.search(said)
    action = named[0] if named else f"dynamodb:{operation}"
    return _REMEDIES[kind].format(place=place, operation=operation, index=INDEX, action=action)
