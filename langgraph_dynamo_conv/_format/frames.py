"""Frames: how a payload becomes stored bytes, and exactly back.

    frame = version (1 byte) | codec (1 byte) | CRC-32 (4 bytes, big endian) | body

The checksum covers codec, body and the sort key under which the frame is stored, so a damaged frame or one that was
moved to another item is noticed. Codecs: 0 the payload itself; 1 zstd; 2 zstd with the dictionary of `dictionary.py`;
3 encrypted, the body being msgpack of `[type, ciphertext]` as `serde.dumps_typed` gave it, the plain text of which is
a codec byte and a body again. The smallest of the first three is taken.
"""

from __future__ import annotations

import copy
import threading
import zlib
from typing import Any, Protocol, TypeAlias

import ormsgpack
import zstandard

from langgraph_dynamo_conv._format.dictionary import DICTIONARY
from langgraph_dynamo_conv.errors import CorruptDataError, UnknownFormatError

FORMAT_VERSION = 1
Bytes: TypeAlias = "bytes | memoryview"
"""A view where a copy of a large value is not needed."""
_RAW, _ZSTD, _ZSTD_DICT, _ENCRYPTED = range(4)
_HEADER_BYTES = 6
_WORTH_COMPRESSING_BYTES = 48
_SMALL_BYTES = 64 * 1024
"""Up to here the dictionary helps and a slow level is cheap."""
_SMALL_LEVEL = 9
_LARGE_LEVEL = 3
_MAX_PLAIN_BYTES = 1 << 32


class Encryptor(Protocol):
    """Encrypts and decrypts bytes; `EncryptedSerializer` is one."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]: ...

    def loads_typed(self, data: tuple[str, bytes]) -> Any: ...


class _Compressors(threading.local):
    """One thread's compressors, made at its first use of them: they can't be shared."""

    def __init__(self) -> None:
        dictionary = zstandard.ZstdCompressionDict(DICTIONARY, dict_type=zstandard.DICT_TYPE_FULLDICT)
        dictionary.precompute_compress(level=_SMALL_LEVEL)
        self.small = zstandard.ZstdCompressor(dict_data=dictionary, write_dict_id=False)
        self.large = zstandard.ZstdCompressor(level=_LARGE_LEVEL)
        self.expand = {
            _ZSTD: zstandard.ZstdDecompressor(),
            _ZSTD_DICT: zstandard.ZstdDecompressor(dict_data=dictionary),
        }


class Codec:
    """Frames payloads. Safe to share between threads: each has compressors of its own.

    Args:
        encryptor: Encrypts the frames' bodies, or None.
        accept_plaintext: Whether to read what is not encrypted all the same, for a table from before there was an
            encryptor. All that is written is encrypted.
    """

    def __init__(self, encryptor: Encryptor | None = None, *, accept_plaintext: bool = False) -> None:
        self.encryptor = encryptor
        self.accepts_plaintext = encryptor is None or accept_plaintext
        self._compressors = _Compressors()

    def with_encryptor(self, encryptor: Encryptor | None, *, accept_plaintext: bool = False) -> Codec:
        """A codec with another encryptor, which shares the compressors of this one."""
        codec = copy.copy(self)
        codec.encryptor = encryptor
        codec.accepts_plaintext = encryptor is None or accept_plaintext
        return codec

    def pack(self, value: Any, context: str) -> bytes:
        """A value that msgpack has types for, as a frame."""
        return self.frame(ormsgpack.packb(value), context)

    def unpack(self, frame: bytes, context: str) -> Any:
        """The value of a frame that `pack` gave. Raises what `unframe` does."""
        return ormsgpack.unpackb(self.unframe(frame, context))

    def frame(self, payload: bytes, context: str) -> bytes:
        """Payload to stored bytes.

        Args:
            payload: Any bytes.
            context: The sort key under which the frame is stored, or a name that stands for it.

        Returns:
            At most `len(payload) + 6` bytes, unless encrypted.
        """
        codec, body = self._compressed(payload)
        if self.encryptor is not None:
            encrypted = self.encryptor.dumps_typed(bytes([codec]) + body)
            codec, body = _ENCRYPTED, ormsgpack.packb(list(encrypted))
        return bytes([FORMAT_VERSION, codec]) + _checksum(codec, body, context) + body

    def unframe(self, frame: bytes, context: str) -> bytes:
        """Stored bytes to payload.

        Raises:
            UnknownFormatError: Another version or codec.
            CorruptDataError: The bytes are not those that were written there, or are encrypted and this codec has no
                encryptor, or are not and it has one.
        """
        codec, body = _opened(frame, context)
        if codec == _ENCRYPTED:
            codec, body = _decrypted(body, self.encryptor, context)
        else:
            self.refuse_plaintext(context)
        try:
            return self._expanded(codec, body)
        except zstandard.ZstdError as error:
            raise CorruptDataError(f"stored bytes can't be expanded at {context}: {error}", key=context) from error

    def refuse_plaintext(self, context: str) -> None:
        """Raises `CorruptDataError` for data that is not encrypted where all should be."""
        if not self.accepts_plaintext:
            raise CorruptDataError(_NOT_ENCRYPTED.format(context), key=context)

    def _compressed(self, payload: bytes) -> tuple[int, bytes]:
        if len(payload) < _WORTH_COMPRESSING_BYTES:
            return _RAW, payload
        small = len(payload) <= _SMALL_BYTES
        compressed = (self._compressors.small if small else self._compressors.large).compress(payload)
        if len(compressed) >= len(payload):
            return _RAW, payload
        return (_ZSTD_DICT if small else _ZSTD), compressed

    def _expanded(self, codec: int, body: Bytes) -> bytes:
        if codec == _RAW:
            return bytes(body)
        return self._compressors.expand[codec].decompress(body, max_output_size=_MAX_PLAIN_BYTES)


_NEEDS_KEY = "the data at {} is encrypted: give the saver the EncryptedSerializer that wrote it"
_NOT_ENCRYPTED = (
    "the data at {} is not encrypted, but the saver has an EncryptedSerializer: refused, as it may be forged. "
    "If it was written before the saver encrypted, read it with accept_plaintext=True"
)


_CIPHER_MARK = "+"
"""In the type of what `EncryptedSerializer` encrypted (`bytes+aes`); it gives back anything else as plain data."""


def fingerprint(frame: bytes) -> bytes:
    """Tells whether a stored frame is still the one that was seen: its codec, checksum and length."""
    return frame[1:_HEADER_BYTES] + len(frame).to_bytes(4, "big")


def moved(frame: bytes, context: str, into: str) -> bytes:
    """The frame as it is stored under another sort key. Its body stays as it is, so that no key is needed for it.

    Raises:
        UnknownFormatError: Another version or codec.
        CorruptDataError: The bytes are not those that were written there.
    """
    codec, body = _opened(frame, context)
    return bytes([FORMAT_VERSION, codec]) + _checksum(codec, body, into) + bytes(body)


def _checksum(codec: int, body: Bytes, context: str) -> bytes:
    return zlib.crc32(body, zlib.crc32(context.encode(), codec)).to_bytes(4, "big")


def _opened(frame: bytes, context: str) -> tuple[int, Bytes]:
    if len(frame) < _HEADER_BYTES:
        raise CorruptDataError(f"stored bytes are cut short at {context}", key=context)
    version, codec = frame[0], frame[1]
    if version != FORMAT_VERSION or codec > _ENCRYPTED:
        raise UnknownFormatError(
            f"format version {version}, codec {codec} at {context} is unknown to this release (it reads version "
            f"{FORMAT_VERSION}, codecs 0 to {_ENCRYPTED}): update langgraph_dynamo_conv, or the bytes are damaged",
            key=context,
        )
    body = memoryview(frame)[_HEADER_BYTES:]
    if frame[2:_HEADER_BYTES] != _checksum(codec, body, context):
        raise CorruptDataError(f"stored bytes are damaged at {context}: the checksum differs", key=context)
    return codec, body


def _decrypted(body: Bytes, encryptor: Encryptor | None, context: str) -> tuple[int, Bytes]:
    if encryptor is None:
        raise CorruptDataError(_NEEDS_KEY.format(context), key=context)
    try:
        typ, ciphertext = ormsgpack.unpackb(body)
        is_encrypted = _CIPHER_MARK in typ
        plain = encryptor.loads_typed((typ, ciphertext)) if is_encrypted else b""
    except Exception as error:  # each cipher has errors of its own
        raise CorruptDataError(
            f"the data at {context} can't be decrypted: is this the key that encrypted it? ({type(error).__name__})",
            key=context,
        ) from error
    if not is_encrypted:
        raise CorruptDataError(_NOT_ENCRYPTED.format(context), key=context)
    return plain[0], memoryview(plain)[1:]
