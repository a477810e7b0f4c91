"""How values become bytes at one call: the saver's serializer at that moment, taken apart.

LangGraph's `with_allowlist` clones a saver and gives the clone another `serde`, so nothing keeps the old one.
"""

from __future__ import annotations

from dataclasses import dataclass

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.tree import Dumps, Loads


@dataclass(frozen=True)
class Serializer:
    """A saver's serializer, taken apart.

    Args:
        dumps: Its `dumps_typed`, without encryption.
        loads: Its `loads_typed`, without encryption.
        codec: Frames what it gave, and encrypts if the serializer does.
    """

    dumps: Dumps
    loads: Loads
    codec: Codec


def serializer_of(
    serde: SerializerProtocol, codec: Codec | None = None, *, accept_plaintext: bool = False
) -> Serializer:
    """A saver's serializer, taken apart: an `EncryptedSerializer` encrypts frames, what it wraps makes the bytes.

    Args:
        serde: The serializer.
        codec: One whose compressors can be shared, or None.
        accept_plaintext: Whether what is not encrypted is read although the serializer encrypts.
    """
    codec = codec if codec is not None else Codec()
    if not isinstance(serde, EncryptedSerializer):
        return Serializer(serde.dumps_typed, serde.loads_typed, codec.with_encryptor(None))
    encrypting = codec.with_encryptor(serde, accept_plaintext=accept_plaintext)
    return Serializer(serde.serde.dumps_typed, serde.serde.loads_typed, encrypting)
