"""A message's content as text, and a tool's answer as a value.

The rule: a transcript has what was said. Providers send text, reasoning, tool calls, images and files as blocks in many
shapes; a block that is not text leaves a few words in brackets, or nothing. Its bytes are never copied, nor its URL,
which may hold a signature.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from langgraph_dynamo_conv._format.attributes import clean_text, storable

_TEXT = ("text", "input_text", "output_text")

# Blocks that leave nothing: they are steps to an answer. The tool calls among them are in `tool_calls`.
_SILENT = {
    *("reasoning", "thinking", "redacted_thinking", "reasoning_content", "reasoningContent"),
    *("tool_use", "toolUse", "tool_call_chunk", "input_json_delta"),
    *("server_tool_use", "server_tool_call_chunk", "server_tool_result"),
}
_SILENT_ENDINGS = ("_call", "_tool_result")

_MEDIA = {
    **dict.fromkeys(("image", "image_url", "input_image"), "image"),
    **dict.fromkeys(("audio", "input_audio", "audio_url"), "audio"),
    **dict.fromkeys(("video", "video_url"), "video"),
    **dict.fromkeys(("file", "input_file", "document", "text-plain", "media"), "file"),
}

# The keys under which providers put the description of a medium one level further down.
_NESTED = {*_MEDIA, "source"}

_URLS = ("url", "image_url", "video_url", "audio_url", "file_uri", "file_url", "uri")

_MAX_NAME_CHARACTERS = 80


def text_of(content: Any) -> str:
    """The text of a message's content.

    Text blocks are joined as they are, since providers split one text into several. The description of a medium stands
    on a line of its own.
    """
    if isinstance(content, str):
        return clean_text(content)
    text, after_medium = "", False
    for block in content if isinstance(content, (list, tuple)) else ():
        piece, is_medium = _piece(block)
        if piece and text and (is_medium or after_medium) and not text.endswith("\n"):
            text += "\n"
        text, after_medium = text + piece, is_medium if piece else after_medium
    return clean_text(text)


def tool_result(content: Any, kind: str | None = None) -> Any:
    """A tool's answer: JSON objects and arrays as maps and lists, other text as it is, several blocks as a list.

    Args:
        content: The content of a tool message, a string or blocks.
        kind: For a string, "s" if it stays one, "j" if it is any JSON value, None to tell by its first character.
    """
    if isinstance(content, str):
        return _parsed(content, kind)
    values = [_block_value(block) for block in content]
    return values[0] if len(values) == 1 else values


def _parsed(text: str, kind: str | None = None) -> Any:
    # A tool that answers "12" or "true" has answered with text.
    if kind == "s" or (kind is None and not text.lstrip().startswith(("{", "["))):
        return clean_text(text)
    try:
        return storable(json.loads(text, parse_float=Decimal))
    except (ValueError, RecursionError, ArithmeticError):
        return clean_text(text)


def _block_value(block: Any) -> Any:
    if not isinstance(block, Mapping):
        return _parsed(str(block))
    if block.get("type") == "json" and "json" in block:
        return storable(block["json"])
    if block.get("type") in _TEXT:
        return _parsed(_piece(block)[0])
    medium = _medium(block)
    return _description(medium, block) if medium else storable(block)


def _piece(block: Any) -> tuple[str, bool]:
    """A block as text, and whether that text stands for something that is none."""
    if not isinstance(block, Mapping):
        return str(block), False
    kind = block.get("type")
    if kind == "non_standard":
        return _piece(block["value"]) if isinstance(block.get("value"), Mapping) else ("", False)
    if kind in _TEXT or (kind is None and "text" in block):
        return str(block.get("text") or ""), False
    if kind == "refusal":
        return str(block.get("refusal") or ""), False
    return _described(block), True


def _described(block: Mapping[str, Any]) -> str:
    medium = _medium(block)
    if medium:
        return _description(medium, block)
    name = str(block.get("type") or next(iter(block), "block"))
    is_silent = name in _SILENT or name.endswith(_SILENT_ENDINGS)
    return "" if is_silent else f"[{name[:_MAX_NAME_CHARACTERS]}]"


def _medium(block: Mapping[str, Any]) -> str | None:
    """The kind of medium in a block: "image", "audio", "video" or "file"; None if it has none."""
    name = block.get("type")
    if name is None and len(block) == 1:
        ((name, description),) = block.items()  # a block of Bedrock has no type: its only key is the type
        name = name if isinstance(description, Mapping) else None
    return _MEDIA.get(name) if isinstance(name, str) else None


def _description(medium: str, block: Mapping[str, Any]) -> str:
    facts = _flat(block)
    url, mime = _first(facts, *_URLS), _first(facts, "mime_type", "media_type", "format")
    data = next((facts[key] for key in ("base64", "data", "file_data", "bytes") if facts.get(key)), None)
    for inline in (url, data):
        if isinstance(inline, str) and inline.startswith("data:"):
            head, _, data = inline.partition(",")
            mime, url = head[5:].split(";")[0], ""
    if medium == "file" and mime.split("/")[0] in ("image", "audio", "video"):
        medium = mime.split("/")[0]
    name = _first(facts, "filename", "file_name", "title", "name") or _file_name(url)
    details = ", ".join(filter(None, (name[:_MAX_NAME_CHARACTERS], mime[:_MAX_NAME_CHARACTERS], _size(data))))
    return f"[{medium}: {details}]" if details else f"[{medium}]"


def _flat(block: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for key, value in block.items():
        facts |= _flat(value) if key in _NESTED and isinstance(value, Mapping) else {key: value}
    return facts


def _first(facts: Mapping[str, Any], *names: str) -> str:
    return next((facts[name] for name in names if isinstance(facts.get(name), str) and facts[name]), "")


def _file_name(url: str) -> str:
    try:
        return urlsplit(url).path.rstrip("/").rpartition("/")[2]
    except ValueError:
        return ""


def _size(data: Any) -> str:
    """How many bytes a medium has, from the bytes themselves or their Base64."""
    if not isinstance(data, (str, bytes, bytearray)):
        return ""
    count = len(data.rstrip("=")) * 3 // 4 if isinstance(data, str) else len(data)
    if count < 1024:
        return f"{count} bytes"
    return f"{count / 1024:.0f} KB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.1f} MB"
