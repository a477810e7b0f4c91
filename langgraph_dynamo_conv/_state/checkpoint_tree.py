"""A LangGraph checkpoint as the tree that is stored, and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_dynamo_conv._format.tree import Leaf, Node, grow, to_python
from langgraph_dynamo_conv._state.message_digests import MessagesDigest, digest_messages
from langgraph_dynamo_conv._state.serializer import Serializer
from langgraph_dynamo_conv._state.stored import StoredCheckpoint

_DEPTH = {"channel_values": 2, "versions_seen": 2, "channel_versions": 1, "metadata": 1}
"""How deep each section is taken apart; what is not named is one leaf."""


class Grown(NamedTuple):
    """A checkpoint as a tree, and the marks of its messages by channel."""

    tree: dict[str, Any]
    message_digests: Mapping[str, MessagesDigest]


def tree_of(checkpoint: Checkpoint, metadata: Mapping[str, Any], serializer: Serializer) -> dict[str, Any]:
    """All of a checkpoint but its id, which is in the key.

    Raises:
        ValueError: A section that must be a dict with string keys is not.
    """
    return grown(checkpoint, metadata, serializer, None).tree


def grown(
    checkpoint: Checkpoint, metadata: Mapping[str, Any], serializer: Serializer, parent: StoredCheckpoint | None
) -> Grown:
    """`tree_of`, with the parent's value where that did not change, and without serializing it again.

    Args:
        checkpoint: The checkpoint.
        metadata: Its metadata.
        serializer: How values become bytes.
        parent: The parent if it is at hand, or None.
    """
    message_digests: dict[str, MessagesDigest] = {}
    tree: dict[str, Any] = {}
    for name, value in sections_of(checkpoint, metadata).items():
        depth = _DEPTH.get(name, 0)
        if not depth:
            tree[name] = grow(value, serializer.dumps, 0)
        elif name == "channel_values":
            known = _Known(parent, checkpoint.get("channel_versions"), serializer)
            tree[name] = {channel: known.grown(channel, held, message_digests) for channel, held in value.items()}
        else:
            tree[name] = grow(dict(value), serializer.dumps, depth)
    return Grown(tree, message_digests)


def sections_of(checkpoint: Checkpoint, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """All of a checkpoint but its id, with its metadata.

    Raises:
        ValueError: A section that must be a dict with string keys is not.
    """
    sections: dict[str, Any] = {
        **{name: value for name, value in checkpoint.items() if name != "id"},
        "metadata": metadata,
    }
    if "channel_values" not in sections:
        raise ValueError("a checkpoint has channel_values")
    for name in sorted(_DEPTH.keys() & sections.keys()):
        if not isinstance(sections[name], Mapping):
            raise ValueError(f"a checkpoint's {name} is a dict; got a {type(sections[name]).__name__}")
        if not set(map(type, sections[name])) <= {str}:
            raise ValueError(f"a checkpoint's {name} has strings as keys")
    return sections


class _Known:
    """What the parent tells of a checkpoint's channels."""

    def __init__(self, parent: StoredCheckpoint | None, versions: object, serializer: Serializer) -> None:
        self._dumps = serializer.dumps
        self._nodes = parent.tree.get("channel_values", {}) if parent is not None else {}
        self._message_digests = parent.message_digests if parent is not None else {}
        self._versions = versions if isinstance(versions, Mapping) else {}
        self._parent_versions = parent.tree.get("channel_versions", {}) if parent is not None else {}
        # What another serializer writes may not follow from a message's fields.
        self._markable = type(getattr(serializer.dumps, "__self__", None)) is JsonPlusSerializer

    def grown(self, channel: str, value: Any, message_digests: dict[str, MessagesDigest]) -> Node:
        """A channel's value as a tree; its mark is put into `message_digests`."""
        node = self._nodes.get(channel)
        if node is not None and self._is_as_before(channel):
            message_digests.update(
                {channel: self._message_digests[channel]} if channel in self._message_digests else {}
            )
            return cast("Node", node)
        if type(value) is not list or not value or not self._markable:
            return grow(value, self._dumps, 1)
        mark, count = digest_messages(value, self._message_digests.get(channel))
        if mark is not None:
            message_digests[channel] = mark
        head = node[:count] if type(node) is list else []
        return [*head, *(Leaf(*self._dumps(item)) for item in value[len(head) :])]

    def _is_as_before(self, channel: str) -> bool:
        """Whether the channel has its version of the parent, and so its value: it did not change in this step.

        What it holds can differ all the same: with durability "async" a checkpoint may be stored after later steps
        have run, and these change sets (of barriers) in place.
        """
        before = self._parent_versions.get(channel)
        return (
            before is not None
            and channel in self._versions
            and Leaf(*self._dumps(self._versions[channel])).same(before)
        )


def checkpoint_of(image: StoredCheckpoint, values: Mapping[str, bytes], serializer: Serializer) -> Checkpoint:
    """The checkpoint of an image: fresh objects at every call."""
    sections = {
        name: to_python(node, serializer.loads, values) for name, node in image.tree.items() if name != "metadata"
    }
    return cast("Checkpoint", {"id": image.checkpoint_id, **sections})


def metadata_of(image: StoredCheckpoint, serializer: Serializer) -> CheckpointMetadata:
    """The metadata of an image."""
    return cast("CheckpointMetadata", to_python(image.tree["metadata"], serializer.loads, {}))
