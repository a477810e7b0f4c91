"""What the example itself sends to the table fails by the package's names: alarms have one for each failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from langgraph_dynamo_conv.errors import AccessDeniedError, DynamoConvError, TableNotFoundError

_NAMED: dict[str, tuple[type[DynamoConvError], str]] = {
    "AccessDeniedException": (AccessDeniedError, "the function's role may not do this; the cause names the action"),
    "ResourceNotFoundException": (TableNotFoundError, "there is no such table: check its name and region"),
}


@contextmanager
def table_errors() -> Iterator[None]:
    """Raise what needs a person by the package's name for it; also for use as a decorator."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code not in _NAMED:
            raise
        kind, words = _NAMED[code]
        raise kind(words, operation=error.operation_name) from error
