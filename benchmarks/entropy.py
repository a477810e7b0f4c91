"""How much the text of the workloads can be compressed, beside English."""

from __future__ import annotations

from pydoc_data import topics

import zstandard

from tests.reference_chat import Prose

SIZES = (1_000, 10_000, 100_000)
LEVEL = 3
_CHARACTERS = 300_000


def bits_a_character() -> dict[str, dict[str, float]]:
    """Bits that zstd needs for a character, by the size of what it compresses, of both texts."""
    texts = {"workloads": prose(), "English": english()}
    return {name: {str(size): round(bits(text, size), 2) for size in SIZES} for name, text in texts.items()}


def prose() -> str:
    return " ".join(Prose(seed).text(10_000) for seed in range(_CHARACTERS // 10_000))


def english() -> str:
    """The language reference that comes with Python, without its layout."""
    return " ".join(" ".join(topics.topics.values()).split())[:_CHARACTERS]


def bits(text: str, size: int) -> float:
    """The mean over pieces of one size, each compressed by itself."""
    data = text.encode()
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    pieces = [data[start : start + size] for start in range(0, len(data) - size + 1, size)]
    return 8 * sum(len(compressor.compress(piece)) for piece in pieces) / sum(map(len, pieces))
