"""How many messages a conversation has where its row can't say: by the message items, without walking any numbers."""

from __future__ import annotations

from dataclasses import replace

from langgraph_dynamo_conv._format.items import key_of
from langgraph_dynamo_conv._format.keys import parse_sk
from langgraph_dynamo_conv._rows.message_items import MessageItems
from langgraph_dynamo_conv._rows.row import Row
from langgraph_dynamo_conv._storage.table import Table


def recounted(row: Row, table: Table, message_items: MessageItems) -> Row:
    """The row with the count that its own messages and the newest message item give.

    Cost: one Query of one item.
    """
    scope = row.scope
    for page in table.query(scope.thread_id, scope.prefix("m"), newest_first=True, page_items=1):
        for item in page:
            first = int(parse_sk(key_of(item).sk).parts[0])
            after = first + len(message_items.messages_of(scope, item))
            return replace(row, message_count=max(after - _copies(row), 0) + len(row.messages))
    return replace(row, message_count=len(row.messages))


def _copies(row: Row) -> int:
    """How many numbers of the newest message item are the row's: up to the last one that the row shows shortened."""
    numbers = [number for number, message in enumerate(row.messages, 1) if "shortened" in message]
    return numbers[-1] if numbers else 0
