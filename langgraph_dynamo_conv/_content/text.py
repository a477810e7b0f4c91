"""A message's content as text, and a tool's answer as a value.

The rule: a transcript has what was said. Text is shown, whatever shape it has; a medium leaves a few words in brackets;
marks for the provider, reasoning and tool calls leave nothing. A block that nobody knows leaves its text, or its type
in brackets if nothing else would be shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from langchain_core.messages import BaseMessage

from langgraph_dynamo_conv._content.blocks import (
    CLIENT_CALLS,
    MARKS,
    TEXTS,
    Block,
    blocks_of,
    content_of,
)
from langgraph_dynamo_conv._content.media import MAX_NAME_CHARACTERS, described, holds_medium, medium_of
from langgraph_dynamo_conv._format.attributes import clean_text, storable

_WORDS = ("text", "refusal", "transcript", "content", "value")
"""Where a block has its words, each a string or blocks again."""

_SECRETS = {
    *("cache_control", "thought_signature", "encrypted_content", "encrypted_index", "encrypted_stdout"),
}
"""What a result carries for the provider alone."""

_MAX_LEVELS = 20
"""How deep blocks within blocks are followed. Providers use three levels."""


def text_of(content: Any, *, or_kind: bool = True) -> str:
    """The text of a message's content.

    Text blocks are joined as they are, since providers split one text into several. The description of a medium and
    spoken words stand on a line of their own, and so does what is said after a tool that the provider ran.

    Args:
        content: A string, or blocks.
        or_kind: Whether unknown blocks leave their types in brackets, if there is nothing else to show.
    """
    text, labels = _text(content, _MAX_LEVELS)
    return clean_text(text if text.strip() or not or_kind or not labels else "\n".join(labels))


def text_said(message: BaseMessage, *, or_kind: bool = True) -> str:
    """The text of a message, also where LangChain keeps it outside of the content. Else as `text_of`."""
    return text_of(content_of(message), or_kind=or_kind)


def tool_result(content: Any, kind: str | None = None) -> Any:
    """A tool's answer: JSON objects and arrays as maps and lists, other text as it is, several blocks as a list.

    Args:
        content: The content of a tool message, a string or blocks.
        kind: For a string, "s" if it stays one, "j" if it is any JSON value, None to tell by its first character.
    """
    if isinstance(content, str):
        return _parsed(content, kind)
    if not isinstance(content, (list, tuple)):
        return storable(shown_value(content))
    blocks = [block for block in blocks_of(content) if isinstance(block, str) or block.kind not in MARKS]
    values = [_block_value(block) for block in blocks]
    return values[0] if len(values) == 1 else values


def answer_of(message: BaseMessage, kind: str | None = None) -> Any:
    """A tool message's result: its content, or the structured content of its artifact where the content is empty."""
    value = tool_result(message.content, kind)
    artifact = getattr(message, "artifact", None)
    names = ("structured_content", "structuredContent")
    given = [artifact.get(name) if isinstance(artifact, Mapping) else getattr(artifact, name, None) for name in names]
    structured = next((one for one in given if one is not None), None)
    is_empty = not value or (isinstance(value, str) and not value.strip()) or (value == [""])
    return value if structured is None or not is_empty else storable(shown_value(structured))


def _parsed(text: str, kind: str | None = None) -> Any:
    # A tool that answers "12" or "true" has answered with text.
    if kind == "s" or (kind is None and not text.lstrip().startswith(("{", "["))):
        return clean_text(text)
    try:
        return storable(json.loads(text, parse_float=Decimal))
    except (ValueError, RecursionError, ArithmeticError):
        return clean_text(text)


def _block_value(block: str | Block) -> Any:
    if isinstance(block, str):
        return _parsed(block)
    if block.kind == "json" and "json" in block.raw:
        return storable(block.raw["json"])
    if block.is_result and "output" in block.fields:
        return tool_result(block.fields["output"])
    if block.kind in TEXTS - {"search_result"}:
        return _parsed(_piece(block, _MAX_LEVELS)[0])
    return described(block) if medium_of(block) else storable(_kept(block.raw, _MAX_LEVELS))


def shown_value(value: Any, levels: int = _MAX_LEVELS) -> Any:
    """A tool's own data with media described, and without what only the provider can read."""
    if levels and isinstance(value, Mapping):
        media = [block for block in blocks_of([value]) if isinstance(block, Block) and holds_medium(block)]
        return described(media[0]) if media else _kept(value, levels)
    if levels and isinstance(value, (list, tuple)):
        return [shown_value(item, levels - 1) for item in value]
    return value


def _kept(value: Mapping[str, Any], levels: int) -> dict[str, Any]:
    return {key: shown_value(item, levels - 1) for key, item in value.items() if key not in _SECRETS}


def _text(content: Any, levels: int) -> tuple[str, list[str]]:
    """The text of blocks, and the types of unknown ones that have none."""
    text, labels, is_apart = "", list[str](), False
    for block in blocks_of(content) if levels else ():
        piece, stands_apart = _piece(block, levels)
        if piece and text and (stands_apart or is_apart) and not text.endswith("\n"):
            text += "\n"
        text, is_apart = text + piece, stands_apart if piece or stands_apart else is_apart
        if not piece and isinstance(block, Block) and _is_unknown(block):
            labels.append(f"[{block.label[:MAX_NAME_CHARACTERS]}]")
    return text, labels


def _piece(block: str | Block, levels: int) -> tuple[str, bool]:
    """A block as text, and whether it stands apart from the text before and after it."""
    if isinstance(block, str):
        return block, False
    if medium_of(block):
        return _spoken(block) or described(block), True
    if block.is_call or block.is_result:
        return "", True
    if block.kind in MARKS or block.kind in CLIENT_CALLS:
        return "", False
    if block.kind == "guard_content" and isinstance(image := block.fields.get("image"), Mapping):
        return _text([{"image": image}], levels - 1)[0], True
    words = (_text(block.fields.get(name), levels - 1)[0] for name in _WORDS)
    return next(filter(None, words), ""), False


def _spoken(block: Block) -> str:
    """The words of spoken audio, where the block has them."""
    transcript = block.fields.get("transcript")
    extras = block.fields.get("extras")
    if transcript is None and isinstance(extras, Mapping):
        transcript = extras.get("transcript")
    return transcript if isinstance(transcript, str) and medium_of(block) in ("audio", "video") else ""


def _is_unknown(block: Block) -> bool:
    is_known = block.kind in MARKS or block.kind in CLIENT_CALLS or block.kind in TEXTS
    return not is_known and not block.is_call and not block.is_result
