"""Tables that differ in one user's conversation, or in nothing, and what the same attempt comes to on each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._format.items import key_attributes, key_of
from langgraph_dynamo_conv._format.keys import Key, parse_sk
from tests.engines import create_table
from tests.factories import config, items_of
from tests.requests_log import WRITES, RequestLog
from tests.store.attempts import WITH_TWINS, Asker, Attempt, Calls, Known, begun, outcome

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = 1_767_225_600.0


class World:
    """A table, and what a saver on it is asked; all is put back afterwards.

    Args:
        client: The client that its savers use.
        users: Whose conversations there are, and their ids.
    """

    def __init__(self, client: DynamoDBClient, *users: tuple[str, str]) -> None:
        self.client = client
        self.table_name = create_table(client)
        self.known = [self._begun(user, thread_id) for user, thread_id in users]
        self.items = self.dump()
        self._calls: Calls | None = None

    def saver(self, clock: Callable[[], float] = lambda: NOW) -> DynamoDBConversationSaver:
        """A new saver, as another process has it."""
        return DynamoDBConversationSaver(self.table_name, client=self.client, clock=clock)

    def _begun(self, user_id: str, thread_id: str) -> Known:
        with closing(self.saver(count(NOW - 100).__next__)) as saver:
            return begun(saver, user_id, thread_id)

    def dump(self) -> dict[Key, Any]:
        """Every item of the table."""
        return {key_of(item): item for item in items_of(self.client, self.table_name)}

    def told(self, sides: type[Calls], attempt: Attempt, asker: Asker, *, is_warm: bool) -> Told:
        """What an asker is told, and what came of it."""
        if type(self._calls) is not sides:
            self._forget()
            saver = self.saver()
            for known in self.known if is_warm else ():
                warm(saver, known)
            self._calls = sides(saver)
        with RequestLog(self.client) as log:
            words, owners = outcome(self._calls, attempt, asker)
        requests = [(one.operation, one.units, one.error) for one in log.requests]
        is_read = WRITES.isdisjoint(log.operations) and attempt in WITH_TWINS.values()  # others have their own client
        items = self.items if is_read else self._put_back()
        return Told(words, owners, sorted(requests, key=repr), items)

    def _put_back(self) -> dict[Key, Any]:
        """Undo what an attempt has changed, also in what its saver remembers; gives what it had come to."""
        items = self.dump()
        changed = [key for key in self.items.keys() | items.keys() if items.get(key) != self.items.get(key)]
        for key in changed:
            if key in self.items:
                self.client.put_item(TableName=self.table_name, Item=self.items[key])
            else:
                self.client.delete_item(TableName=self.table_name, Key=key_attributes(key))  # type: ignore[arg-type]
        if changed:
            self._forget()
        return items

    def _forget(self) -> None:
        if self._calls is not None:
            self._calls.close()
            self._calls = None

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self._forget()
        self.client.delete_table(TableName=self.table_name)


@dataclass(frozen=True)
class Told:
    """What came of an attempt.

    Args:
        words: What the asker was told.
        owners: Whom ids in it remember.
        requests: What was sent: operation, units and error of each.
        items: All items afterwards.
    """

    words: str
    owners: set[str]
    requests: list[tuple[str, float, str | None]]
    items: dict[Key, Any]

    def items_of(self, user_id: str) -> dict[Key, Any]:
        """The items of one user."""
        return {key: item for key, item in self.items.items() if key.sk.split("#")[0] == user_id}

    def kinds_of(self, user_id: str) -> Counter[str]:
        """How many items of each kind a user has."""
        return Counter(parse_sk(key.sk).kind for key in self.items_of(user_id))


def warm(saver: DynamoDBConversationSaver, known: Known) -> None:
    """Let a saver remember a conversation as one that has served its user does."""
    assert saver.get_tuple(config(known.thread_id, user_id=known.user_id)) is not None
    assert saver.conversations.get(known.thread_id, known.user_id).messages
