"""Images, files, audio and video in a few words.

The rule: a medium leaves its kind, name, type and size. Its bytes are never copied, nor its URL, which may hold a
signature.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from langgraph_dynamo_conv._content.blocks import MEDIA, Block, snake

# The keys under which providers put the description of a medium one level further down.
_NESTED = {*MEDIA, "source", "s3_location"}

_URLS = ("url", "image_url", "video_url", "audio_url", "file_uri", "file_url", "uri")
_DATA = ("base64", "data", "file_data", "bytes", "blob")

_DESCRIPTION = re.compile(r"\[(image|audio|video|file)(: .*)?\]")

MAX_NAME_CHARACTERS = 80
"""The longest name or type that is shown."""


def is_description(line: str) -> bool:
    """Whether a line of a message describes a medium, as `described` does."""
    return _DESCRIPTION.fullmatch(line) is not None


def medium_of(block: Block) -> str | None:
    """What a block holds: "image", "audio", "video" or "file"; None if it is no medium."""
    if block.kind == "image_generation_call" and block.fields.get("result"):
        return "image"
    return MEDIA.get(block.kind)


def holds_medium(block: Block) -> bool:
    """Whether a block in a tool's own data is a medium: it has a type, and bytes or an address."""
    if medium_of(block) is None or "type" not in block.raw:
        return False
    facts = _facts(block)
    is_inline = _first(facts, *_URLS).startswith("data:")
    has_data = facts.get("type") != "text" and any(facts.get(key) for key in _DATA)
    return is_inline or has_data or (medium_of(block) != "file" and bool(_first(facts, *_URLS)))


def described(block: Block) -> str:
    """A block that holds a medium in brackets, such as "[image: cat.png, image/png, 12 KB]"."""
    medium, facts = medium_of(block) or "file", _facts(block)
    url, mime = _first(facts, *_URLS), _first(facts, "mime_type", "media_type", "format")
    data = next((facts[key] for key in _DATA if facts.get(key)), None)
    for inline in (url, data):
        if isinstance(inline, str) and inline.startswith("data:"):
            head, _, data = inline.partition(",")
            mime, url = head[5:].split(";")[0], ""
    if medium == "file" and mime.split("/")[0] in ("image", "audio", "video"):
        medium = mime.split("/")[0]
    name = _first(facts, "filename", "file_name", "title", "name") or _file_name(url)
    size = _size(data) if data is not None and facts.get("type") != "text" else _text_size(facts)
    details = ", ".join(filter(None, (name[:MAX_NAME_CHARACTERS], mime[:MAX_NAME_CHARACTERS], size)))
    return f"[{medium}: {details}]" if details else f"[{medium}]"


def _facts(block: Block) -> dict[str, Any]:
    if block.kind != "image_generation_call":
        return _flat(block.fields)
    kind = block.fields.get("output_format")
    return {"base64": block.fields["result"], "mime_type": f"image/{kind}" if isinstance(kind, str) else ""}


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for key, value in fields.items():
        name = snake(str(key))
        facts |= _flat(value) if name in _NESTED and isinstance(value, Mapping) else {name: value}
    return facts


def _first(facts: Mapping[str, Any], *names: str) -> str:
    return next((facts[name] for name in names if isinstance(facts.get(name), str) and facts[name]), "")


def _file_name(url: str) -> str:
    try:
        return urlsplit(url).path.rstrip("/").rpartition("/")[2]
    except ValueError:
        return ""


def _text_size(facts: Mapping[str, Any]) -> str:
    """The size of a document that is given as its text."""
    text = _first(facts, "data", "text")
    return _size(text.encode(errors="replace")) if text else ""


def _size(data: Any) -> str:
    """How many bytes a medium has, from the bytes themselves or their Base64."""
    if not isinstance(data, (str, bytes, bytearray)):
        return ""
    count = len(data.rstrip("=")) * 3 // 4 if isinstance(data, str) else len(data)
    if count < 1024:
        return f"{count} bytes"
    return f"{count / 1024:.0f} KB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.1f} MB"
