"""Bounds that are lowered in a test, so that small values are stored as large ones are."""

from __future__ import annotations

import pytest

from langgraph_dynamo_conv._checkpoints import blobs
from langgraph_dynamo_conv._format import pool


def refer_to_small_values(monkeypatch: pytest.MonkeyPatch, *, packs_from: int = 1000) -> None:
    """Let all that a state has be referred to, whatever its size, and values of `packs_from` bytes share a blob."""
    monkeypatch.setattr(pool, "WRITE_UNIT_BYTES", 1)
    monkeypatch.setattr(pool, "_LEAST_BYTES", 3)
    monkeypatch.setattr(blobs, "MIN_MOVED_BYTES", packs_from)
    monkeypatch.setattr(blobs, "MIN_MOVED_LEAF_BYTES", 3)


def cut_out_small_strings(monkeypatch: pytest.MonkeyPatch, least: int = 14) -> None:
    """Let each string of so many bytes be stored by itself, as an image is."""
    monkeypatch.setattr(blobs, "LARGE_ELEMENT_BYTES", least)
