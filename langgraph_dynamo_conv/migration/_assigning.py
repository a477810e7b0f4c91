"""Whose a thread of another saver becomes.

The rule: one function assigns every thread to exactly one user. The user of a thread is never guessed: a thread without
a user, or with several, is refused before anything is written.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from langgraph_dynamo_conv._arguments import check_mapping, check_name, shown
from langgraph_dynamo_conv._format.keys import check_user_id
from langgraph_dynamo_conv._visible import one_line

Assign = Callable[[str, Callable[[], Iterable[Mapping[str, Any]]]], "str | None"]
"""Gives the user of a thread, or None. Takes the thread's id, and a function that reads its checkpoints' metadata."""

_NAMED_AT_MOST = 100


class UnassignedError(ValueError):
    """Threads that can't be stored: they have no user, several, or an id that no conversation can have.

    Args:
        problems: What is wrong, by thread id.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        named = "; ".join(f"{thread}: {problem}" for thread, problem in list(problems.items())[:_NAMED_AT_MOST])
        more = f"; and {len(problems) - _NAMED_AT_MOST} more" if len(problems) > _NAMED_AT_MOST else ""
        super().__init__(one_line(f"nothing was written: {len(problems)} threads can't be migrated: {named}{more}"))


def everyone(user_id: str) -> Assign:
    """Assign all threads to one user. Raises `ValueError` for what is no user id."""
    check_user_id(user_id)
    return lambda _thread_id, _metadata: user_id


def by_metadata(key: str) -> Assign:
    """Assign each thread to the user that its checkpoints' metadata names.

    LangGraph keeps a run's `configurable` in the metadata. All checkpoints that have the key must agree, or the thread
    can't be migrated.

    Args:
        key: The key of the metadata whose value is the user.

    Cost: One more read of the source.
    """
    check_name("key", key)

    def assign(_thread_id: str, metadata: Callable[[], Iterable[Mapping[str, Any]]]) -> str | None:
        users = {str(one[key]): None for one in metadata() if one.get(key) is not None}
        if len(users) > 1:
            raise ValueError(f"its checkpoints name several users: {', '.join(sorted(users))}")
        return next(iter(users), None)

    return assign


def by_mapping(users: Mapping[str, str]) -> Assign:
    """Assign each thread to the user that a mapping has for its id."""
    check_mapping("users", users, "a dict of users by thread id")
    return lambda thread_id, _metadata: users.get(thread_id)


def read_mapping(path: str | Path) -> dict[str, str]:
    """Users by thread id from a file.

    Args:
        path: A CSV file with the columns `thread_id` and `user_id`, or a JSON file (`.json`) with one object, whose
            keys are thread ids and whose values are users.

    Raises:
        ValueError: The file can't be read, has another form, or names two users for a thread.
    """
    if not isinstance(path, (str, Path)):
        raise ValueError(f"path is a file's path; got {shown(path)}")
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


def _json_pairs(text: str) -> list[tuple[str, str]]:
    # The pairs of an object: a dict would hide that a thread is named twice.
    pairs: Any = json.loads(text, object_pairs_hook=list)
    is_object = isinstance(pairs, list) and all(isinstance(pair, tuple) for pair in pairs)
    if not is_object or not pairs or not all(isinstance(user_id, str) for _, user_id in pairs):
        raise ValueError('a JSON mapping is an object: {"<thread_id>": "<user_id>", ...}')
    return list(pairs)
