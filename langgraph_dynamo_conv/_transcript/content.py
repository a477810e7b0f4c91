"""What a message's content says as text, and a tool's answer as a value.

Providers send text, reasoning, tool calls, images and files as blocks in many shapes. A transcript has the text; what
is not text leaves a few words in brackets and never its bytes, nor a URL, which may hold a signature.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from langgraph_dynamo_conv._format.attributes import clean_text, storable

_TEXT = {"text", "input_text", "output_text"}

# Left out: an answer's way, not its words. Tool calls are in `tool_calls`.
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

# Where providers put the description of a medium one level further down.
_NESTED = {*_MEDIA, "source"}

_MAX_NAME_CHARACTERS = 80


def text_of(content: Any) -> str:
    """The text of a message's content; text blocks run on, a description stands on a line of its own."""
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
    """What a tool answered: JSON objects and arrays as maps and lists, other text as it is, blocks as a list.

    Args:
        content: Of a tool message, a string or blocks.
        kind: "s" for a string that stays one, "j" for any JSON value; None to tell by the content.
    """
    if isinstance(content, str):
        return _parsed(content, kind)
    values = [_block_value(block) for block in content]
    return values[0] if len(values) == 1 else values


def _parsed(text: str, kind: str | None = None) -> Any:
    # "12" or "true" is what a tool said, not a structure.
    if kind == "s" or (kind is None and not text.lstrip().startswith(("{", "["))):
        return clean_text(text)
    try:
        return storable(json.loads(text, parse_float=Decimal))
    except (ValueError, RecursionError, ArithmeticError):
        return clean_text(text)


def _block_value(block: Any) -> Any:
    if not isinstance(block, Mapping):
        return _parsed(str(block))
    kind = block.get("type")
    if kind == "json" and "json" in block:
        return storable(block["json"])
    if kind in _TEXT:
        return _parsed(_piece(block)[0])
    medium = _kind(block)
    return _description(medium, block) if medium else storable(block)


def _piece(block: Any) -> tuple[str, bool]:
    """A block as text, and whether that text describes something that is none."""
    if not isinstance(block, Mapping):
        return str(block), False
    kind = block.get("type")
    if kind == "non_standard":
        return _piece(block["value"]) if isinstance(block.get("value"), Mapping) else ("", False)
    if kind in _TEXT or (kind is None and "text" in block):
        return str(block.get("text") or ""), False
    if kind == "refusal":
        return str(block.get("refusal") or ""), False
    return _described(block)


def _described(block: Mapping[str, Any]) -> tuple[str, bool]:
    medium = _kind(block)
    if medium:
        return _description(medium, block), True
    name = str(block.get("type") or next(iter(block), "block"))
    if name in _SILENT or name.endswith(_SILENT_ENDINGS):
        return "", False
    return f"[{name[:_MAX_NAME_CHARACTERS]}]", True


def _kind(block: Mapping[str, Any]) -> str | None:
    name = block.get("type")
    if name is None and len(block) == 1:
        ((name, described),) = block.items()  # Bedrock has no type: the block's one key is it
        name = name if isinstance(described, Mapping) else None
    return _MEDIA.get(name) if isinstance(name, str) else None


def _description(kind: str, block: Mapping[str, Any]) -> str:
    facts = _flat(block)
    url = _first(facts, "url", "image_url", "video_url", "audio_url", "file_uri", "file_url", "uri")
    mime = _first(facts, "mime_type", "media_type", "format")
    data = next((facts[key] for key in ("base64", "data", "file_data", "bytes") if facts.get(key)), None)
    for inline in (url, data):
        if isinstance(inline, str) and inline.startswith("data:"):
            head, _, data = inline.partition(",")
            mime, url = head[5:].split(";")[0], ""
    if kind == "file" and mime.split("/")[0] in ("image", "audio", "video"):
        kind = mime.split("/")[0]
    name = _first(facts, "filename", "file_name", "title", "name") or _file_name(url)
    known = [fact for fact in (name[:_MAX_NAME_CHARACTERS], mime[:_MAX_NAME_CHARACTERS], _size(data)) if fact]
    return f"[{kind}: {', '.join(known)}]" if known else f"[{kind}]"


def _flat(block: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for key, value in block.items():
        if key in _NESTED and isinstance(value, Mapping):
            facts |= _flat(value)
        else:
            facts[key] = value
    return facts


def _first(facts: Mapping[str, Any], *names: str) -> str:
    return next((facts[name] for name in names if isinstance(facts.get(name), str) and facts[name]), "")


def _file_name(url: str) -> str:
    try:
        return urlsplit(url).path.rstrip("/").rpartition("/")[2]
    except ValueError:
        return ""


def _size(data: Any) -> str:
    if isinstance(data, str):
        count = len(data.rstrip("=")) * 3 // 4
    elif isinstance(data, (bytes, bytearray)):
        count = len(data)
    else:
        return ""
    if count < 1024:
        return f"{count} bytes"
    return f"{count / 1024:.0f} KB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.1f} MB"
