"""A LangGraph checkpoint as the tree that is stored, and back. Pure.

Values are serialized only where they can have changed: a channel that has its parent's version has its parent's value,
and messages whose digest is the parent's have its bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_dynamo_conv._format.tree import Leaf, Node, Tree, channel_value, grow, grow_channel, to_python
from langgraph_dynamo_conv._state.message_digests import MessagesDigest, digest_messages
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._state.stored import StoredCheckpoint

_DEPTH = {"channel_values": 2, "versions_seen": 2, "channel_versions": 1, "metadata": 1}
"""How deep each section is taken apart; what is not named is one leaf."""

_STARTED_BY_NAME = "started_by_name"
"""A section of our own, which LangGraph never sees. It tells other processes that a run was started on a checkpoint by
name; nothing else that is stored does."""


def sections_of(checkpoint: Checkpoint, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """All of a checkpoint but its id, which is in the key; with its metadata.

    Raises:
        ValueError: A section that must be a dict with string keys is not.
    """
    sections: dict[str, Any] = {name: value for name, value in checkpoint.items() if name != "id"}
    sections["metadata"] = metadata
    if "channel_values" not in sections:
        raise ValueError("a checkpoint has channel_values")
    for name in sorted(_DEPTH.keys() & sections.keys()):
        if not isinstance(sections[name], Mapping):
            raise ValueError(f"a checkpoint's {name} is a dict; got a {type(sections[name]).__name__}")
        if not set(map(type, sections[name])) <= {str}:
            raise ValueError(f"a checkpoint's {name} has strings as keys")
    return sections


def as_started_by_name(sections: Mapping[str, Any]) -> dict[str, Any]:
    """The sections of the first checkpoint of a run that was started on an earlier one by name."""
    return {**sections, _STARTED_BY_NAME: True}


def is_started_by_name(stored: StoredCheckpoint) -> bool:
    """Whether a checkpoint is the first of such a run."""
    return _STARTED_BY_NAME in stored.tree


class CheckpointTree:
    """A checkpoint as a tree.

    Args:
        sections: What `sections_of` gave.
        serializer: How values become bytes.
        parent: The parent if it is at hand, or None.

    Attributes:
        tree: The tree.
        message_digests: Digests of its messages, by channel.
    """

    def __init__(self, sections: Mapping[str, Any], serializer: Serializer, parent: StoredCheckpoint | None) -> None:
        self.message_digests: dict[str, MessagesDigest] = {}
        self._dumps = serializer.dumps
        # What another serializer writes need not follow from a message's fields.
        self._can_digest = type(getattr(serializer.dumps, "__self__", None)) is JsonPlusSerializer
        self._parent_digests = parent.message_digests if parent is not None else {}
        self._parent: Tree = parent.tree if parent is not None else {}
        self.tree: Tree = {name: self._section(name, value) for name, value in sections.items()}
        versions = self.tree.get("channel_versions", {})
        values = sections["channel_values"].items()
        self.tree["channel_values"] = {
            channel: self._channel(channel, value, versions.get(channel)) for channel, value in values
        }

    def _section(self, name: str, value: Any) -> Node:
        if name == "channel_values":
            return {}  # it keeps its place, and is filled once the versions are there
        depth = _DEPTH.get(name, 0)
        return grow(dict(value) if depth else value, self._dumps, depth)

    def _channel(self, channel: str, value: Any, version: Leaf | None) -> Node:
        node = self._parent.get("channel_values", {}).get(channel)
        if node is not None and self._has_parents_version(channel, version):
            if channel in self._parent_digests:
                self.message_digests[channel] = self._parent_digests[channel]
            return cast("Node", node)
        if type(value) is not list or not value or not self._can_digest:
            return grow_channel(value, self._dumps)
        digest, unchanged = digest_messages(value, self._parent_digests.get(channel))
        if digest is None:
            return grow_channel(value, self._dumps)
        self.message_digests[channel] = digest
        head = node[:unchanged] if type(node) is list else []
        return [*head, *(Leaf(*self._dumps(item)) for item in value[len(head) :])]

    def _has_parents_version(self, channel: str, version: Leaf | None) -> bool:
        """Whether the channel has its version of the parent, and so its value: it did not change in this step.

        What it holds can differ all the same: with durability "async" a checkpoint may be stored after later steps
        have run, and these change sets (of barriers) in place.
        """
        before = self._parent.get("channel_versions", {}).get(channel)
        return before is not None and version is not None and version.same(before)


def checkpoint_of(stored: StoredCheckpoint, blobs: Mapping[str, bytes], serializer: Serializer) -> Checkpoint:
    """The checkpoint that was stored: fresh objects at every call.

    Args:
        stored: What is known of it.
        blobs: The bytes of its large values, by digest.
        serializer: How bytes become values.
    """
    sections = {
        name: _values_of(node, serializer, blobs)
        if name == "channel_values"
        else to_python(node, serializer.loads, blobs)
        for name, node in stored.tree.items()
        if name not in ("metadata", _STARTED_BY_NAME)
    }
    return cast("Checkpoint", {"id": stored.checkpoint_id, **sections})


def _values_of(nodes: Tree, serializer: Serializer, blobs: Mapping[str, bytes]) -> dict[str, Any]:
    return {channel: channel_value(node, serializer.loads, blobs) for channel, node in nodes.items()}


def metadata_of(stored: StoredCheckpoint, serializer: Serializer) -> CheckpointMetadata:
    """The metadata of a checkpoint that was stored."""
    return cast("CheckpointMetadata", to_python(stored.tree["metadata"], serializer.loads, {}))
