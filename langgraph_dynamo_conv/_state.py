"""A LangGraph checkpoint as the tree that is stored, and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from langgraph_dynamo_conv import _delta
from langgraph_dynamo_conv._codec import Migrating
from langgraph_dynamo_conv._image import Image
from langgraph_dynamo_conv._parts import Serializer

_DEPTH = {"channel_values": 2, "versions_seen": 2, "channel_versions": 1, "metadata": 1}
"""How deep each section is taken apart; what is not named is one leaf."""


def serializer_of(serde: SerializerProtocol, *, accept_plaintext: bool = False) -> Serializer:
    """A saver's serializer, taken apart: an `EncryptedSerializer` seals frames, what it wraps makes the bytes."""
    if isinstance(serde, EncryptedSerializer):
        sealer = Migrating(serde) if accept_plaintext else serde
        return Serializer(serde.serde.dumps_typed, serde.serde.loads_typed, sealer)
    return Serializer(serde.dumps_typed, serde.loads_typed)


def tree_of(checkpoint: Checkpoint, metadata: Mapping[str, Any], serializer: Serializer) -> dict[str, Any]:
    """All of a checkpoint but its id, which is in the key.

    Raises:
        ValueError: A section that must be a dict with string keys is not.
    """
    sections = {**{name: value for name, value in checkpoint.items() if name != "id"}, "metadata": metadata}
    tree = {}
    for name, value in sections.items():
        depth = _DEPTH.get(name, 0)
        if depth and not isinstance(value, Mapping):
            raise ValueError(f"a checkpoint's {name} is a dict; got a {type(value).__name__}")
        tree[name] = _delta.grow(dict(cast("Mapping[str, Any]", value)) if depth else value, serializer.dumps, depth)
        if depth and type(tree[name]) is not dict:
            raise ValueError(f"a checkpoint's {name} has strings as keys")
    if "channel_values" not in tree:
        raise ValueError("a checkpoint has channel_values")
    return tree


def checkpoint_of(image: Image, values: Mapping[str, bytes], serializer: Serializer) -> Checkpoint:
    """The checkpoint of an image: fresh objects at every call."""
    sections = {
        name: _delta.to_python(node, serializer.loads, values)
        for name, node in image.tree.items()
        if name != "metadata"
    }
    return cast("Checkpoint", {"id": image.checkpoint_id, **sections})


def metadata_of(image: Image, serializer: Serializer) -> CheckpointMetadata:
    """The metadata of an image."""
    return cast("CheckpointMetadata", _delta.to_python(image.tree["metadata"], serializer.loads, {}))
