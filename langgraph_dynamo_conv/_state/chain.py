"""How a chain is read: back from a checkpoint to the full one that it builds on, over pages that arrive newest first.

Nothing here sends a request: pages are read on as they are needed, by whoever made them. A chain is on the pages below
its head, since a change's parent has a smaller id. Other parents need not (`order`): `Checkpoints.ancestry` finds them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from langgraph_dynamo_conv._format.items import FULL, CheckpointItem, Link, item_fingerprint
from langgraph_dynamo_conv._format.keys import Key
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv.errors import CorruptDataError


class OrphanError(CorruptDataError):
    """A checkpoint builds on one that is not there: its conversation, or its run, was deleted while it was written.

    Callers of the package get it as what it is to them: `damage`.
    """

    @property
    def damage(self) -> CorruptDataError:
        """The error that names the checkpoint."""
        return CorruptDataError(str(self), key=self.key)


class Stale(Exception):
    """What this process knows of the conversation is no longer in the table."""


class CheckpointPages:
    """Checkpoint items of one namespace, newest first, read as far as they are needed.

    Args:
        pages: Pages of items in descending order of their sort keys.
        is_past: Whether a time has come: items that expire then are passed over, whether DynamoDB has deleted them yet
            or not; those that are no longer listed then are there only for chains.
    """

    def __init__(
        self, pages: Iterator[list[CheckpointItem]], is_past: Callable[[int | None], bool] = lambda _: False
    ) -> None:
        self._pages = pages
        self._is_past = is_past
        self._items: dict[str, CheckpointItem] = {}
        self._order: list[str] = []
        self._ended = False
        self._reached: str | None = None
        self._newest_read = ""

    def read(self) -> None:
        """Read one more page."""
        page = next(self._pages, None)
        if page is None:
            self._ended = True
            return
        for item in page:
            if not self._is_past(item.times.expires_at):
                self._items[item.checkpoint_id] = item
                self._order.append(item.checkpoint_id)
            self._reached = item.checkpoint_id
            self._newest_read = self._newest_read or item.checkpoint_id

    def newest(self) -> CheckpointItem | None:
        """The first item, or None if there is none at all."""
        return next(iter(self), None)

    def __iter__(self) -> Iterator[CheckpointItem]:
        """All items, newest first, reading on as they are asked for."""
        position = 0
        while True:
            while position < len(self._order):
                item = self._items[self._order[position]]
                if not self._is_past(item.listed_until):
                    yield item
                position += 1
            if self._ended:
                return
            self.read()

    @property
    def oldest_read(self) -> str:
        """Id of the oldest item read so far."""
        return self._reached or ""

    @property
    def newest_read(self) -> str:
        """Id of the newest item: on these pages there is none with a greater one."""
        return self._newest_read

    def get(self, checkpoint_id: str) -> CheckpointItem | None:
        """The item with this id, listed or not, reading on until it must have come; None if these pages lack it."""
        while checkpoint_id not in self._items and not self._ended:
            if self._reached is not None and checkpoint_id > self._reached:
                return None
            self.read()
        return self._items.get(checkpoint_id)

    def newest_chain(self) -> list[CheckpointItem]:
        """The chain of the newest checkpoint that is no orphan, oldest first; none if there is none."""
        for item in self:
            with suppress(OrphanError):
                return self.chain(item)
        return []

    def chain(self, head: CheckpointItem, cached: StoredCheckpoint | None = None) -> list[CheckpointItem]:
        """The items that make up `head`'s state, oldest first: from a full one, or from just after `cached`.

        Raises:
            Stale: The chain does not lead to `cached`, or its item has changed.
            OrphanError: A checkpoint's parent is missing, or does not have a smaller id.
        """
        chain: list[CheckpointItem] = []
        item: CheckpointItem | None = head
        while item is not None:
            if cached is not None and item.checkpoint_id == cached.checkpoint_id:
                if item_fingerprint(item) != cached.fingerprint:
                    raise Stale
                return chain[::-1]
            chain.append(item)
            if item.kind == FULL:
                if cached is not None:
                    raise Stale
                return chain[::-1]
            item = self.get(item.parent_id) if item.parent_id and item.parent_id < item.checkpoint_id else None
        if cached is not None:
            raise Stale
        raise orphan_of(chain[-1], chain[-1].parent_id)


def orphan_of(item: CheckpointItem, missing: str | None) -> OrphanError:
    """The error of a checkpoint that builds on what is missing."""
    return OrphanError(
        f"checkpoint {item.key} builds on {missing}, which is missing: the conversation, or this run, was deleted "
        "while it wrote. Go on from the newest checkpoint, without a checkpoint_id; prune, or delete once more, to "
        "remove what is left",
        key=str(item.key),
    )


def orphans(items: Iterable[CheckpointItem]) -> set[Key]:
    """Keys of the checkpoints of a conversation that do not go back to a full one, with all that this refers to.

    Args:
        items: Checkpoints of some namespaces, oldest first in each: a change sorts after what it builds on, or it would
            have been stored full. What they refer to in another namespace is among them, and that namespace's name
            sorts before theirs.
    """
    whole: set[tuple[str, str | None]] = set()
    left: set[Key] = set()
    for item in sorted(items, key=CheckpointItem.namespace):
        ns = item.namespace()
        origin = tuple(item.origin) if item.origin is not None else None
        is_whole = (ns, item.parent_id) in whole if item.kind != FULL else origin is None or origin in whole
        if is_whole:
            whole.add((ns, item.checkpoint_id))
        else:
            left.add(item.key)
    return left


def leaves_first(links: Iterable[Link]) -> Iterator[list[Key]]:
    """Keys in groups, each checkpoint in a later group than those that build on it."""
    parents = dict(links)
    waiting = Counter(parent for parent in parents.values() if parent is not None and parent in parents)
    group = [key for key in parents if key not in waiting]
    while group:
        yield group
        freed = [parent for key in group if (parent := parents.pop(key)) is not None and parent in waiting]
        waiting.subtract(freed)
        group = [key for key in dict.fromkeys(freed) if not waiting[key]]
    yield list(parents)  # only a damaged chain has a ring
