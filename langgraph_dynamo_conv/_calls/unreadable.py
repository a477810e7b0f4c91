"""A run goes on where its conversation row can't be read: the row stays as it is, and a warning says why."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv.errors import CorruptDataError

_logger = logging.getLogger("langgraph_dynamo_conv")


@contextmanager
def surviving_the_row(scope: Scope) -> Iterator[None]:
    """Log a `CorruptDataError` about this conversation's row instead of raising it; about other items it is raised."""
    try:
        yield
    except CorruptDataError as error:
        if error.key != str(scope.row()):
            raise
        _logger.warning("the conversation row is left as it is: %s", error)
