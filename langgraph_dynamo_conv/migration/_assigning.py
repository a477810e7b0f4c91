"""Whose a thread of another saver becomes: everyone's, by its metadata, or by a mapping."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Assign = Callable[[str, Callable[[], Iterable[Mapping[str, Any]]]], "str | None"]
"""Gives a thread's user, or None, from its id and, if that does not tell, from the metadata of its checkpoints."""


_SHOWN = 100


class UnassignedError(ValueError):
    """Threads that can't be stored: they have no user, several, or an id that no conversation can have.

    Args:
        problems: What is wrong, by thread id.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        shown = "; ".join(f"{thread}: {problem}" for thread, problem in list(self.problems.items())[:_SHOWN])
        more = f"; and {len(self.problems) - _SHOWN} more" if len(self.problems) > _SHOWN else ""
        super().__init__(f"nothing was written: {len(self.problems)} threads can't be migrated: {shown}{more}")


def everyone(user_id: str) -> Assign:
    """All threads are this user's."""
    return lambda _thread_id, _metadata: user_id


def by_metadata(key: str) -> Assign:
    """A thread's user is in its checkpoints' metadata under this key, where LangGraph keeps a run's `configurable`.

    All checkpoints that have the key must agree, or the thread can't be migrated. Costs one read of the source.
    """

    def assign(_thread_id: str, metadata: Callable[[], Iterable[Mapping[str, Any]]]) -> str | None:
        named = {str(one[key]): None for one in metadata() if one.get(key) is not None}
        if len(named) > 1:
            raise ValueError(f"its checkpoints name several users: {', '.join(sorted(named))}")
        return next(iter(named), None)

    return assign


def by_mapping(users: Mapping[str, str]) -> Assign:
    """Users by thread id."""
    return lambda thread_id, _metadata: users.get(thread_id)


def read_mapping(path: str | Path) -> dict[str, str]:
    """Users by thread id from a file: CSV with the columns `thread_id` and `user_id`, or JSON, an object of both.

    Raises:
        ValueError: It can't be read, has another form, or names two users for a thread.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        pairs = list(_json_pairs(text) if path.suffix.lower() == ".json" else _csv_pairs(text))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, csv.Error) as error:
        raise ValueError(f"the mapping {path} can't be read: {error}") from error
    users: dict[str, str] = {}
    for thread_id, user_id in pairs:
        if users.setdefault(thread_id, user_id) != user_id:
            raise ValueError(f"the mapping {path} names two users for thread {thread_id}")
    return users


def _csv_pairs(text: str) -> Iterator[tuple[str, str]]:
    rows = csv.reader(text.splitlines(), strict=True)
    if [name.strip() for name in next(rows, [])] != ["thread_id", "user_id"]:
        raise ValueError("the first line of a CSV mapping is: thread_id,user_id")
    for number, row in enumerate(rows, 2):
        if row and len(row) != 2:
            raise ValueError(f"line {number} of the CSV mapping has {len(row)} columns, not 2")
        if row:
            yield row[0], row[1]


def _json_pairs(text: str) -> Iterator[tuple[str, str]]:
    found = json.loads(text, object_pairs_hook=list)
    pairs = found if isinstance(found, list) else []
    if not pairs or not all(isinstance(one, tuple) and isinstance(one[1], str) for one in pairs):
        raise ValueError('a JSON mapping is an object: {"<thread_id>": "<user_id>", ...}')
    yield from pairs
