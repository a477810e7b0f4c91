"""Frames: exactly back, or an error; never a wrong value."""

from __future__ import annotations

import threading
import zlib

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from langgraph_dynamo_conv._format.frames import Codec, fingerprint
from langgraph_dynamo_conv.errors import CorruptDataError, UnknownFormatError
from tests.factories import generated, noise

codec = Codec()
AT = "demo#c##1"


def encrypting(key: bytes = b"k" * 32) -> Codec:
    return codec.with_encryptor(EncryptedSerializer.from_pycryptodome_aes(key=key))


PAYLOADS = {
    "empty": b"",
    "one byte": b"x",
    "below the bound": b"a" * 47,
    "at the bound": b"a" * 48,
    "like a message": ormsgpack.packb({"role": "assistant", "content": "Here is the answer. " * 5}),
    "64 KB": b"abc" * 21_845 + b"d",
    "above 64 KB": b"abc" * 21_846,
    "10 MB": b"0123456789" * 1_000_000,
    "incompressible": noise(1000),
    "incompressible and large": noise(300_000),
}
each_payload = pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)


@each_payload
def test_a_payload_comes_back(payload):
    assert codec.unframe(codec.frame(payload, context=AT), context=AT) == payload


@each_payload
def test_an_encrypted_payload_comes_back(payload):
    frame = encrypting().frame(payload, context=AT)

    assert encrypting().unframe(frame, context=AT) == payload


@generated
@given(st.binary(max_size=2000), st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_any_payload_comes_back_under_any_key(payload, context):
    frame = codec.frame(payload, context=context)

    assert len(frame) <= len(payload) + 6
    assert codec.unframe(frame, context=context) == payload


@each_payload
def test_a_frame_is_at_most_six_bytes_longer(payload):
    assert len(codec.frame(payload, context=AT)) <= len(payload) + 6


def test_what_compresses_is_compressed():
    assert len(codec.frame(b"abc" * 1000, context=AT)) < 100
    assert len(codec.frame(b"abc" * 100_000, context=AT)) < 200


@pytest.mark.parametrize("payload", [b"short", PAYLOADS["like a message"], b"abc" * 30_000, noise(100)], ids=len)
def test_every_flipped_bit_is_noticed(payload):
    frame = codec.frame(payload, context=AT)
    for position in range(len(frame) * 8):
        damaged = bytearray(frame)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(CorruptDataError):
            codec.unframe(bytes(damaged), context=AT)


def test_every_flipped_bit_of_an_encrypted_frame_is_noticed():
    frame = encrypting().frame(b"secret", context=AT)
    for position in range(len(frame) * 8):
        damaged = bytearray(frame)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(CorruptDataError):
            encrypting().unframe(bytes(damaged), context=AT)


def test_a_changed_ciphertext_is_noticed_even_with_its_checksum_mended():
    frame = encrypting().frame(b"secret", context=AT)
    typ, ciphertext = ormsgpack.unpackb(frame[6:])
    for position in range(len(ciphertext)):
        changed = bytearray(ciphertext)
        changed[position] ^= 1
        with pytest.raises(CorruptDataError, match="can't be decrypted"):
            encrypting().unframe(forged(3, ormsgpack.packb([typ, bytes(changed)])), context=AT)


@pytest.mark.parametrize("payload", [b"short", PAYLOADS["like a message"]], ids=len)
def test_every_truncation_is_noticed(payload):
    frame = codec.frame(payload, context=AT)
    for length in range(len(frame)):
        with pytest.raises(CorruptDataError):
            codec.unframe(frame[:length], context=AT)


def test_more_bytes_than_were_written_are_noticed():
    with pytest.raises(CorruptDataError):
        codec.unframe(codec.frame(b"short", context=AT) + b"x", context=AT)


@pytest.mark.parametrize("other", ["demo#c##2", "alice#c##1", "", "demo#c##1 "])
def test_a_frame_that_was_moved_to_another_key_is_noticed(other):
    with pytest.raises(CorruptDataError, match="damaged at"):
        codec.unframe(codec.frame(b"payload", context=AT), context=other)


@pytest.mark.parametrize("version", [0, 2, 255])
def test_another_version_is_unknown(version):
    frame = codec.frame(b"payload", context=AT)

    with pytest.raises(UnknownFormatError, match=f"format version {version}, codec 0 at {AT}.*update") as caught:
        codec.unframe(bytes([version]) + frame[1:], context=AT)
    assert caught.value.key == AT


@pytest.mark.parametrize("number", [4, 255])
def test_another_codec_is_unknown(number):
    with pytest.raises(UnknownFormatError, match=f"codec {number}"):
        codec.unframe(forged(number, b"payload"), context=AT)


@pytest.mark.parametrize("number", [1, 2])
def test_a_body_that_does_not_expand_is_damaged(number):
    with pytest.raises(CorruptDataError, match="can't be expanded"):
        codec.unframe(forged(number, b"not zstd"), context=AT)


def test_plain_data_is_refused_where_there_is_a_key():
    with pytest.raises(CorruptDataError, match="not encrypted, but the saver has an EncryptedSerializer"):
        encrypting().unframe(codec.frame(b"payload", context=AT), context=AT)


def test_encrypted_data_is_refused_where_there_is_no_key():
    with pytest.raises(CorruptDataError, match="is encrypted: give the saver the EncryptedSerializer"):
        codec.unframe(encrypting().frame(b"payload", context=AT), context=AT)


def test_another_key_does_not_decrypt():
    frame = encrypting().frame(b"payload", context=AT)

    with pytest.raises(CorruptDataError, match="is this the key"):
        encrypting(b"K" * 32).unframe(frame, context=AT)


@pytest.mark.parametrize(
    "body", [["bytes", b"\x00forged"], ["msgpack", b"\xc4\x07\x00forged"], ["null", b""]], ids=repr
)
def test_plain_data_that_says_it_is_encrypted_is_refused(body):
    with pytest.raises(CorruptDataError, match="not encrypted"):
        encrypting().unframe(forged(3, ormsgpack.packb(body)), context=AT)


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x01", b"\x91\x01", b"\x92\x01\x02"], ids=repr)
def test_an_encrypted_body_of_another_shape_is_damaged(body):
    with pytest.raises(CorruptDataError):
        encrypting().unframe(forged(3, body), context=AT)


def test_encryption_hides_the_payload():
    frame = encrypting().frame(b"a secret that must not be seen", context=AT)

    assert b"secret" not in frame


def test_equal_payloads_have_equal_plain_frames_and_other_encrypted_ones():
    assert codec.frame(b"payload", context=AT) == codec.frame(b"payload", context=AT)
    assert encrypting().frame(b"payload", context=AT) != encrypting().frame(b"payload", context=AT)


def test_fingerprints_tell_frames_apart():
    frames = [codec.frame(payload, context=at) for payload in PAYLOADS.values() for at in (AT, "demo#c##2")]

    assert len({fingerprint(frame) for frame in frames}) == len(frames)


def test_threads_share_a_codec():
    wrong = []

    def work(number: int) -> None:
        for size in range(200):
            payload = f"{number}-{size} ".encode() * (size + 10)
            if codec.unframe(codec.frame(payload, context=AT), context=AT) != payload:
                wrong.append((number, size))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def forged(number: int, body: bytes) -> bytes:
    """A frame of any codec and body whose checksum is right."""
    checksum = zlib.crc32(body, zlib.crc32(AT.encode(), number)).to_bytes(4, "big")
    return bytes([1, number]) + checksum + body
