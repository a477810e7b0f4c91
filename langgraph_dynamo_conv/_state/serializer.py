"""How values become bytes at one call: the saver's serializer, taken apart."""

from __future__ import annotations

from dataclasses import dataclass

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from langgraph_dynamo_conv._format.frames import Encryptor, LenientEncryptor
from langgraph_dynamo_conv._format.tree import Dumps, Loads


@dataclass(frozen=True)
class Serializer:
    """How values become bytes at this call: the saver's serializer, taken apart.

    Args:
        dumps: `dumps_typed`, without encryption.
        loads: `loads_typed`, without encryption.
        sealer: Encrypts frames, or None.
    """

    dumps: Dumps
    loads: Loads
    encryptor: Encryptor | None = None


def serializer_of(serde: SerializerProtocol, *, accept_plaintext: bool = False) -> Serializer:
    """A saver's serializer, taken apart: an `EncryptedSerializer` seals frames, what it wraps makes the bytes."""
    if isinstance(serde, EncryptedSerializer):
        encryptor = LenientEncryptor(serde) if accept_plaintext else serde
        return Serializer(serde.serde.dumps_typed, serde.serde.loads_typed, encryptor)
    return Serializer(serde.dumps_typed, serde.loads_typed)
