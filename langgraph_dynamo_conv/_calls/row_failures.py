"""The row never harms the run: a state is stored before its row is written, and the next write of the row mends it.

So where the row can't be brought up to a state, a warning is logged and the run goes on: the row can't be read, other
writers were faster every time, DynamoDB throttles or does not answer, or this package has a fault. What needs a person
is raised: access is denied, there is no table, the credentials are wrong; and what tells a run that it was deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._visible import one_line
from langgraph_dynamo_conv.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    BucketRequiredError,
    ConversationNotFoundError,
    CorruptDataError,
    CredentialsError,
    DynamoConvError,
    TableNotFoundError,
)

_logger = logging.getLogger("langgraph_dynamo_conv")

_RAISED = (
    AccessDeniedError,
    BucketNotFoundError,
    BucketRequiredError,
    ConversationNotFoundError,
    CredentialsError,
    TableNotFoundError,
)


@contextmanager
def surviving_the_row(scope: Scope) -> Iterator[None]:
    """Log what keeps this conversation's row from following its state, but for what a person must mend."""
    try:
        yield
    except _RAISED:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the state is stored
        name, thread_id = type(error).__name__, one_line(scope.thread_id)
        _logger.warning("the row of conversation %s stays behind its state: %s%s", thread_id, name, _safe(error))


def _safe(error: Exception) -> str:
    """What a log is told of an error beside its class; what DynamoDB or another library says may quote messages."""
    if not isinstance(error, DynamoConvError):
        return ""
    answer = getattr(error.__cause__, "response", None)
    return f": {error}" if answer is None else f" ({error.operation}: {answer['Error'].get('Code')})"


@contextmanager
def surviving_an_unreadable_row(scope: Scope) -> Iterator[None]:
    """Log a `CorruptDataError` about this conversation's row instead of raising it; about other items it is raised."""
    try:
        yield
    except CorruptDataError as error:
        if error.key != str(scope.row()):
            raise
        _logger.warning("the row of conversation %s is left as it is: %s", one_line(scope.thread_id), error)
