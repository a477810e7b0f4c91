"""What a process knows of one stored checkpoint: its tree, and where its leaves are. Pure.

A process trusts none of it by itself: a reader asks the table whether the item is still the one with this
`fingerprint`, and a writer plans a change only against the checkpoint that it was given as the parent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from sys import getsizeof

from langgraph_dynamo_conv._format.items import CheckpointItem, item_fingerprint
from langgraph_dynamo_conv._format.tree import Tree, content_digest, memory_apart, to_python
from langgraph_dynamo_conv._state.message_digests import MESSAGES_DIGEST_BYTES, MessagesDigest
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv.errors import CorruptDataError

CHAIN_ITEMS = 31
RECHECK_ITEMS = 8
"""No chain is stored anew before it has so many items; where that does not pay yet, it is looked at so many later."""

LINEAGE = 40
"""Ids of ancestors that are remembered of a checkpoint."""

_BEGINNING = 3
"""Entries in the lineage of a namespace's second checkpoint."""

_OBJECT_BYTES = 320
"""What a checkpoint takes in memory besides what it refers to: the object, its `fingerprint` and its `content`."""


@dataclass(frozen=True)
class StoredCheckpoint:
    """A stored checkpoint as this process knows it.

    Args:
        checkpoint_id: Its id.
        parent_id: Its parent's id; "" where that was removed, None where it has none.
        tree: Its state. Leaves with a `BlobRef` may have no bytes.
        segments: Serialized bytes of each segment that leaves of the tree are in.
        chain_items: How many changes lie between it and the last full checkpoint.
        chain_bytes: The bytes of these changes.
        lineage: Ids of its newest ancestors and itself, oldest first; opens with "" where it goes back to the first.
        fingerprint: Tells whether the stored item is still the one seen.
        expires_at: When DynamoDB may delete the item, or None. What it builds on may not go before.
        message_digests: Digests of the messages that were serialized for the tree, by channel.
    """

    checkpoint_id: str
    parent_id: str | None
    tree: Tree
    segments: Mapping[str, int] = field(default_factory=dict)
    chain_items: int = 0
    chain_bytes: int = 0
    lineage: tuple[str, ...] = ()
    fingerprint: bytes = b""
    expires_at: int | None = None
    message_digests: Mapping[str, MessagesDigest] = field(default_factory=dict)

    @property
    def has_just_begun(self) -> bool:
        """Whether it is the first checkpoint of a namespace, or the second."""
        return self.lineage[:1] == ("",) and len(self.lineage) <= _BEGINNING

    @cached_property
    def content(self) -> bytes:
        """The digest of its state: what is built on it carries this, and is refused on any other."""
        return content_digest(self.tree)

    def check_content(self, built_on: bytes, child: CheckpointItem) -> None:
        """Refuse a change that was built on another state.

        Args:
            built_on: The digest that the change carries.
            child: Its item.

        Raises:
            CorruptDataError: It was.
        """
        if built_on != self.content:
            raise CorruptDataError(
                f"the checkpoint at {child.key} can't be rebuilt: it was built on another {self.checkpoint_id} than is "
                "stored. Two processes have stored different states under one checkpoint_id: go on from an earlier "
                "checkpoint, or delete the conversation",
                key=str(child.key),
            )

    def memory_apart(self, other: StoredCheckpoint | None = None) -> tuple[int, int]:
        """Bytes of memory that it holds and another checkpoint does not, and the reverse: of a step, what is new in it.

        Digests count, so they are taken now if they have not been: what is built on it needs them anyway.
        """
        assert self.content
        others: Tree = other.tree if other is not None else {}
        one, two = memory_apart(self.tree, others)
        one += self._own_bytes(other) + _keys_bytes(self.tree, others)
        return one, two + other._own_bytes(self) + _keys_bytes(others, self.tree) if other is not None else 0

    def _own_bytes(self, other: StoredCheckpoint | None) -> int:
        """The same of what is not in its tree."""
        lineage, segments = (other.lineage, other.segments) if other is not None else ((), None)
        ids = len(set(self.lineage).difference(lineage)) * getsizeof(self.checkpoint_id)
        digests = getsizeof(self.message_digests) + len(self.message_digests) * MESSAGES_DIGEST_BYTES
        of_segments = 0 if self.segments is segments else getsizeof(self.segments) + sum(map(getsizeof, self.segments))
        return _OBJECT_BYTES + getsizeof(self.lineage) + ids + digests + of_segments


def _keys_bytes(tree: Tree, beside: Tree) -> int:
    """Bytes of the keys of values that are dicts: these are a conversation's own, unlike the names of channels."""
    others = {channel: node for channel, node in beside.get("channel_values", {}).items() if type(node) is dict}
    return sum(
        sum(map(getsizeof, node.keys() - others.get(channel, {}).keys()))
        for channel, node in tree.get("channel_values", {}).items()
        if type(node) is dict and node is not others.get(channel)
    )


def stored_full(
    item: CheckpointItem, tree: Tree, segments: Mapping[str, int], ancestors: tuple[str, ...] | None = None
) -> StoredCheckpoint:
    """A checkpoint that is stored full.

    Args:
        item: Its item.
        tree: Its state.
        segments: Serialized bytes of each segment that the tree refers to.
        ancestors: Ids of its ancestors as far as they are known; its parent's alone if None.
    """
    parents = ("",) if item.parent_id is None else (item.parent_id,) if item.parent_id else ()
    known = parents if ancestors is None else ancestors
    lineage = (*known, item.checkpoint_id)[-LINEAGE:]
    return StoredCheckpoint(
        item.checkpoint_id,
        item.parent_id,
        tree,
        segments,
        lineage=lineage,
        fingerprint=item_fingerprint(item),
        expires_at=item.times.expires_at,
    )


def stored_change(item: CheckpointItem, tree: Tree, parent: StoredCheckpoint) -> StoredCheckpoint:
    """A checkpoint that is stored as a change against `parent`."""
    return StoredCheckpoint(
        item.checkpoint_id,
        item.parent_id,
        tree,
        parent.segments,
        chain_items=parent.chain_items + 1,
        chain_bytes=parent.chain_bytes + (item.blob.size if item.blob else len(item.frame or b"")),
        lineage=(*parent.lineage, item.checkpoint_id)[-LINEAGE:],
        fingerprint=item_fingerprint(item),
        expires_at=item.times.expires_at,
    )


def replayed_channels(stored: StoredCheckpoint, serializer: Serializer) -> set[str]:
    """`DeltaChannel`s whose value is not in the checkpoint, by the counters that LangGraph keeps in its metadata."""
    values: Tree = stored.tree["channel_values"]
    return counted_channels(stored, serializer) - set(values)


def counted_channels(stored: StoredCheckpoint, serializer: Serializer) -> set[str]:
    """`DeltaChannel`s that were written to since their value was last stored, by these counters."""
    counters = stored.tree["metadata"].get("counters_since_delta_snapshot")
    return set() if counters is None else set(to_python(counters, serializer.loads, {}))
