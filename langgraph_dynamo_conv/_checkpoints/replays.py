"""What `DeltaChannel`s replay at a checkpoint, so that a process that has read it need not read it again. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from langgraph_dynamo_conv._format.keys import Namespace
from langgraph_dynamo_conv._format.tree import Node, memory_bytes
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.recent import Recent

if TYPE_CHECKING:
    from langgraph_dynamo_conv._checkpoints.writes import Write

_REMEMBERED = 512

_ANCESTOR_BYTES = 1024
"""What an ancestor takes in memory beside the values in it."""


class KnownDeltas:
    """Which channels are `DeltaChannel`s, as far as this process has seen. Safe to share between threads."""

    def __init__(self) -> None:
        self._names: Recent[Namespace, frozenset[str]] = Recent(_REMEMBERED)
        self._unguarded: Recent[tuple[Namespace, str], frozenset[str]] = Recent(_REMEMBERED)

    def saw(self, namespace: Namespace, channels: Iterable[str]) -> None:
        """Metadata of a checkpoint named these."""
        known = self._names.get(namespace)
        names = (known or frozenset()).union(channels)
        if names != known:
            self._names.put(namespace, names)

    def may_be_replayed(self, namespace: Namespace, channels: Collection[str]) -> bool:
        """Whether writes to these channels may be replayed: one is known to be, or nothing is known."""
        names = self._names.get(namespace)
        return bool(channels) and (names is None or not names.isdisjoint(channels))

    def note_unguarded(self, namespace: Namespace, checkpoint_id: str, channels: Collection[str]) -> None:
        """These were written to on a checkpoint, and taken not to be `DeltaChannel`s."""
        noted = self.unguarded(namespace, checkpoint_id).union(channels)
        self._unguarded.put((namespace, checkpoint_id), noted)

    def unguarded(self, namespace: Namespace, checkpoint_id: str) -> frozenset[str]:
        """Channels that were written to on a checkpoint, and taken not to be `DeltaChannel`s."""
        return self._unguarded.get((namespace, checkpoint_id)) or frozenset()


@dataclass(frozen=True)
class Ancestor:
    """What an ancestor of a checkpoint has for some channels.

    Args:
        checkpoint_id: Its id.
        values: The channels' values in it.
        writes: The task writes on it; None if they were not read since it has had a child.
    """

    checkpoint_id: str
    values: Mapping[str, Node]
    writes: Sequence[Write] | None = None


Replayed: TypeAlias = "tuple[Sequence[Write], Node | None]"
"""Writes to a channel since its value was last stored, oldest first, and that value."""


@dataclass(frozen=True)
class Replay:
    """What channels replay at a checkpoint.

    Args:
        revision: The namespace's revision before any of it was read.
        checkpoint_id: The checkpoint.
        fingerprint: Tells whether its item is still the one seen.
        values: The channels' values in it, which count for what comes after it.
        replayed: What the channels replay of the ancestors before `ancestors`.
        ancestors: The newest ancestors, oldest first.
        replayed_bytes: About how many bytes of memory `replayed` holds.
    """

    revision: bytes | None
    checkpoint_id: str
    fingerprint: bytes
    values: Mapping[str, Node]
    replayed: Mapping[str, Replayed]
    ancestors: tuple[Ancestor, ...]
    replayed_bytes: int = 0

    def has(self, checkpoint_id: str | None, channels: Iterable[str]) -> bool:
        """Whether it has these channels, and may tell what they replay at a checkpoint (None: the newest)."""
        return self.replayed.keys() >= set(channels) and (checkpoint_id is None or checkpoint_id >= self.checkpoint_id)

    @property
    def unread(self) -> list[str]:
        """Ids of the ancestors whose task writes are not known, oldest first."""
        return [one.checkpoint_id for one in self.ancestors if one.writes is None]

    def at_child(self, stored: StoredCheckpoint) -> Replay:
        """What the channels replay at a child of the checkpoint."""
        return replace(
            self,
            checkpoint_id=stored.checkpoint_id,
            fingerprint=stored.fingerprint,
            values=values_in(stored, self.replayed),
            ancestors=(*self.ancestors, Ancestor(self.checkpoint_id, self.values)),
        )

    def with_writes(self, writes: Mapping[str, Sequence[Write]], checkpoint_ids: Collection[str]) -> Replay:
        """The same, where all task writes on some of its ancestors were read."""
        ancestors = tuple(
            replace(one, writes=writes.get(one.checkpoint_id, ())) if one.checkpoint_id in checkpoint_ids else one
            for one in self.ancestors
        )
        return replace(self, ancestors=ancestors)

    def put_together(self) -> Replay:
        """The same, once the task writes on all of its ancestors are known."""
        replayed = {channel: (list(writes), seed) for channel, (writes, seed) in self.replayed.items()}
        for ancestor in self.ancestors:
            replayed |= {channel: ([], value) for channel, value in ancestor.values.items()}
            for write in ancestor.writes or ():
                if write.channel in replayed:
                    replayed[write.channel][0].append(write)
        nodes = [write.node for writes, _ in replayed.values() for write in writes]
        nodes += [seed for _, seed in replayed.values() if seed is not None]
        bytes_held = sum(map(memory_bytes, nodes))
        return replace(self, replayed=dict(replayed), ancestors=(), replayed_bytes=bytes_held)

    @cached_property
    def weight(self) -> int:
        """Bytes of memory that it holds."""
        nodes = [node for one in self.ancestors for node in one.values.values()] + list(self.values.values())
        nodes += [write.node for one in self.ancestors for write in one.writes or ()]
        return self.replayed_bytes + sum(map(memory_bytes, nodes)) + _ANCESTOR_BYTES * (len(self.ancestors) + 1)


def values_in(stored: StoredCheckpoint, channels: Iterable[str]) -> dict[str, Node]:
    """The values that a checkpoint has of some channels."""
    values = stored.tree["channel_values"]
    return {channel: values[channel] for channel in channels if channel in values}
