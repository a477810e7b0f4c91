"""A serialized value in pieces: what is large in it is stored once, whatever it is a part of.

The rule: an image is the same bytes in the user's input, in a task's write and in the message that a channel holds,
though these are serialized differently around it. So the large strings and byte strings in msgpack are cut out, and
each is a value of its own; what is between them is kept with the leaf. Nothing is lost by a cut in the wrong place:
the pieces of a value, one after the other, are the value.
"""

from __future__ import annotations

from collections.abc import Iterator

_MOST_TOKENS = 20_000
"""Values that are looked at in one serialized value, small ones: a few milliseconds. What follows stays together."""


def _sizes() -> list[tuple[int, int, bool]]:
    """For each first byte of a msgpack value: bytes of its length, bytes of its body without, whether it is a string.

    A map or an array has no body: its elements are values that follow. An extension's body is one more byte, its type.
    """
    table = [(0, 0, False)] * 256
    table[0xA0:0xC0] = [(0, size, True) for size in range(32)]
    table[0xC4:0xC7] = [(1, 0, True), (2, 0, True), (4, 0, True)]
    table[0xC7:0xCA] = [(1, 1, False), (2, 1, False), (4, 1, False)]
    table[0xCA:0xD4] = [(0, size, False) for size in (4, 8, 1, 2, 4, 8, 1, 2, 4, 8)]
    table[0xD4:0xD9] = [(0, 1 + size, False) for size in (1, 2, 4, 8, 16)]
    table[0xD9:0xDC] = [(1, 0, True), (2, 0, True), (4, 0, True)]
    table[0xDC:0xE0] = [(0, size, False) for size in (2, 4, 2, 4)]
    return table


_SIZES = _sizes()
_EXTENSIONS = range(0xC7, 0xCA)
_EXTENSION_HEADER = 1


def cut(typ: str, data: bytes, least: int) -> list[bytes]:
    """A serialized value in pieces, of which those that are strings of at least `least` bytes stand alone.

    Args:
        typ: The serializer's type name.
        data: The serializer's bytes.
        least: Bytes of a string that is cut out.
    """
    if typ != "msgpack":
        return [data]
    pieces, end = [], 0
    for start, stop in _strings(data, least):
        pieces += [data[end:start], data[start:stop]]
        end = stop
    return [piece for piece in (*pieces, data[end:]) if piece]


def _strings(data: bytes, least: int) -> Iterator[tuple[int, int]]:
    """Where the strings of so many bytes are in msgpack, also in the extensions that LangGraph nests it in."""
    position = 0
    for _ in range(_MOST_TOKENS):
        if position >= len(data):
            return
        head = data[position]
        length_bytes, size, is_string = _SIZES[head]
        start = position + 1 + length_bytes
        size += int.from_bytes(data[position + 1 : start], "big") if length_bytes else 0
        if is_string and size >= least and start + size <= len(data):
            yield start, start + size
        is_nested = head in _EXTENSIONS and size >= least
        position = start + (_EXTENSION_HEADER if is_nested else size)
