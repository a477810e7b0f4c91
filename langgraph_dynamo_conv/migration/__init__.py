"""Threads of another LangGraph saver, into the conversations table.

    from langgraph_dynamo_conv.migration import everyone, migrate

    for result in migrate(old_saver, saver, assign=everyone("alice"), dry_run=True):
        print(result.thread_id, result.outcome, result.checkpoints)

Each thread is copied checkpoint by checkpoint, oldest first, under the ids it has, then read back and compared. What is
in the table already and equal is left alone, so that a migration that was cut off, or whose threads have gone on since,
is simply run again.
"""

from langgraph_dynamo_conv.migration._assigning import (
    Assign,
    UnassignedError,
    by_mapping,
    by_metadata,
    everyone,
    read_mapping,
)
from langgraph_dynamo_conv.migration._copying import ThreadResult, migrate
from langgraph_dynamo_conv.migration._source import SourceError

__all__ = [
    "Assign",
    "SourceError",
    "ThreadResult",
    "UnassignedError",
    "by_mapping",
    "by_metadata",
    "everyone",
    "migrate",
    "read_mapping",
]
