"""Which conversations there are, and whose: by the index, in one partition, or by paging through the whole table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from langgraph_dynamo_conv._format.items import key_of
from langgraph_dynamo_conv._format.keys import (
    PK,
    SK,
    Scope,
    after_prefix,
    check_thread_id,
    check_user_id,
    is_conversation,
    parse_sk,
)
from langgraph_dynamo_conv._rows.row import Row
from langgraph_dynamo_conv._rows.rows import Rows
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import ConversationNotFoundError

_FIRST, _LAST = "\x01", "\U0010ffff"
"""Bounds of all sort keys."""


class Owned(NamedTuple):
    """A conversation that there is.

    Args:
        scope: Conversation and user; the row is known (`Rows.known`).
        may_have_state: Whether there may be checkpoints; if not, there was none when the row was read.
    """

    scope: Scope
    may_have_state: bool


class Directory:
    """Finds conversations. Safe to share between threads."""

    def __init__(self, table: Table, rows: Rows) -> None:
        self._table = table
        self._rows = rows

    def of_user(self, user_id: str) -> Iterator[Scope]:
        """All conversations of a user, newest first, by the index."""
        for answer in self._table.query_index(user_id, ProjectionExpression="#id", names={"#id": PK}):
            for item in answer.get("Items", []):
                yield Scope(item[PK]["S"], user_id)

    def scanned_of_user(self, user_id: str) -> Iterator[Scope]:
        """All conversations in which a user has any item, by paging through the table."""
        condition = "#sk = :user OR begins_with(#sk, :prefix)"
        values = {":user": {"S": user_id}, ":prefix": {"S": f"{user_id}#"}}
        scopes = (scope for scope in self._scanned(condition, values) if is_conversation(scope.thread_id))
        yield from dict.fromkeys(scopes)

    def all(self) -> Iterator[Scope]:
        """Every conversation that has checkpoints, by paging through the table."""
        previous: Scope | None = None
        for scope in self._scanned("contains(#sk, :kind)", {":kind": {"S": "#c#"}}):
            if scope != previous:
                yield scope
            previous = scope

    def scope_of(self, conversation_id: str, user_id: str | None) -> Scope:
        """A conversation of a user; if None, of the one user who has a row in it.

        Raises:
            ConversationNotFoundError: Nobody has one.
            ValueError: Several users do.
        """
        if user_id is not None:
            return Scope.checked(conversation_id, user_id)
        conversation_id = check_thread_id(conversation_id)
        users = self.users_of(conversation_id)
        if len(users) > 1:
            raise self._shared()
        if not users:
            raise self.not_found(Scope(conversation_id, ""))
        return Scope(conversation_id, users[0])

    def owned(self, conversation_id: str, user_id: str | None) -> Owned:
        """A conversation that a user has; if None, the one user who has a row in it. Raises as `scope_of` and `row` do.

        Cost: one Query of two items; without a user one more of one item, unless the row is all that there is. Three
        more requests where another user's id begins with the user's.
        """
        thread_id = check_thread_id(conversation_id)
        first = _FIRST if user_id is None else check_user_id(user_id)
        pages = self._table.query(thread_id, first=first, last=_LAST, page_items=2)
        items = next(pages, [])
        keys = [key_of(item).sk for item in items]
        owner = keys[0] if keys else ""
        is_beside = len(keys) > 1 and not keys[1].startswith(f"{owner}#")
        if user_id is None and (parse_sk(owner).kind != "row" or is_beside):
            scope = self.scope_of(thread_id, None)
            self.row(scope)
            return Owned(scope, True)
        if not keys or user_id not in (None, owner):
            raise self.not_found(Scope(thread_id, user_id or ""))
        if user_id is None and len(keys) > 1 and self._first_key(thread_id, after_prefix(f"{owner}#"), _LAST):
            raise self._shared()
        scope = Scope(thread_id, owner)
        self._rows.note(scope, items[0])
        if self._rows.known(scope) is None:
            self.row(scope)
        return Owned(scope, is_beside or (len(keys) > 1 and keys[1] < after_prefix(scope.namespace().prefix("c"))))

    def newest(self, user_id: str) -> Scope:
        """The user's newest conversation. Raises `ConversationNotFoundError`."""
        thread_id = self._rows.newest(user_id)
        if thread_id is None:
            raise ConversationNotFoundError(
                "this user has no conversation yet: begin one with new_conversation(user_id)",
                operation="Query",
                table=self._table.name,
            )
        return Scope(thread_id, user_id)

    def row(self, scope: Scope) -> Row:
        """The row as it is now. Raises `ConversationNotFoundError`."""
        row = self._rows.get(scope)
        if row is None:
            raise self.not_found(scope)
        return row

    def not_found(self, scope: Scope) -> ConversationNotFoundError:
        """The error for a conversation that a user does not have, whoever else has one."""
        return ConversationNotFoundError(
            "this user has no such conversation: check id and user, or make one with create()",
            table=self._table.name,
            key=str(scope.row()),
        )

    def _shared(self) -> ValueError:
        return ValueError("several users have a conversation of this id: say which with user_id")

    def users_of(self, thread_id: str) -> list[str]:
        """The users who have a row in a conversation: almost always one. Cost: three Queries of an item at most."""
        users: list[str] = []
        first = _FIRST
        while (sk := self._first_key(thread_id, first, _LAST)) is not None:
            user_id = parse_sk(sk).user_id
            if user_id not in users:
                users.append(user_id)
            # a longer user id with a character below "#" sorts between a row and what goes with it
            between = self._first_key(thread_id, user_id + _FIRST, f'{user_id}"{_LAST}') if sk == user_id else None
            first = between if between is not None else after_prefix(f"{user_id}#")
        return users

    def _first_key(self, thread_id: str, first: str, last: str) -> str | None:
        pages = self._table.query(thread_id, first=first, last=last, page_items=1, keys_only=True)
        return next((key_of(item).sk for page in pages for item in page), None)

    def _scanned(self, condition: str, values: dict[str, dict[str, str]]) -> Iterator[Scope]:
        """Conversation and user of every item that meets a condition on its sort key."""
        for page in self._table.scan(
            ProjectionExpression="#pk, #sk",
            FilterExpression=condition,
            ExpressionAttributeNames={"#pk": PK, "#sk": SK},
            ExpressionAttributeValues=values,
        ):
            for key in map(key_of, page):
                yield Scope(key.pk, parse_sk(key.sk).user_id)
