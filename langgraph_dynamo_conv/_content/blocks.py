"""The blocks of a message's content in one form, whichever provider they come from.

The rule: a block is its kind and its fields. Providers name the kind by `type`, or by the block's only key (Bedrock,
Gemini), in snake_case or camelCase; they put the fields into the block, or one level further down under the kind's own
name. LangChain wraps what it does not know as `non_standard`, and keeps some of an answer outside of its content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage

TEXTS = {
    *("text", "input_text", "output_text", "text_delta", "refusal", "guard_content"),
    *("citations_content", "search_result"),
}
"""Kinds of which the words are shown."""

CLIENT_CALLS = {
    *("tool_use", "tool_call", "tool_call_chunk", "invalid_tool_call", "input_json_delta"),
    *("function_call", "custom_tool_call"),
}
"""Kinds that show nothing, since LangChain has the same calls in `tool_calls`."""

MARKS = {
    *("reasoning", "reasoning_content", "reasoning_text", "summary_text", "thinking", "thinking_delta"),
    *("redacted_thinking", "signature_delta", "function_call_signature", "thought_signature"),
    *("cache_point", "cache_control", "compaction", "compaction_delta", "compaction_trigger", "fallback"),
    *("citation", "citations_delta", "configuration_update", "item_reference", "browser_state"),
    *("tool_addition", "tool_removal", "tool_definition", "additional_tools", "tool_reference"),
    *("mcp_list_tools", "mcp_tool_listing", "media_processing"),
}
"""Kinds that show nothing: what the provider needs to go on, and how the model came to its answer."""

MEDIA = {
    **dict.fromkeys(("image", "image_url", "input_image", "image_file", "computer_screenshot"), "image"),
    **dict.fromkeys(("audio", "input_audio", "output_audio", "audio_url"), "audio"),
    **dict.fromkeys(("video", "video_url", "input_video"), "video"),
    **dict.fromkeys(("file", "input_file", "document", "text-plain", "media", "inline_data", "file_data"), "file"),
    **dict.fromkeys(("container_upload", "resource", "resource_link"), "file"),
}
"""Kinds that hold a medium, and which one: a description is shown."""

_RESULT_ENDINGS = ("_tool_result", "_call_output")
_CALL_ENDINGS = ("_call", "_tool_use", "_tool_call", "_tool_call_chunk")
_RESULTS = {"tool_search_output", "code_execution_result", "program_output"}
_CALLS = {"executable_code", "mcp_approval_request", "program"}

# What may stand together in a block without a type: members of a union, of which each is a block of its own.
_MEMBERS = {*TEXTS, *MARKS, *MEDIA, *_RESULTS, *_CALLS, "tool_use", "function_call", "json"}

_INNER_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")


class Block(NamedTuple):
    """A block of content.

    Args:
        kind: Its type, in snake_case.
        fields: What it says, those under the kind's own name among them.
        raw: The block as it came.
        label: Its type as the provider writes it.
    """

    kind: str
    fields: Mapping[str, Any]
    raw: Mapping[str, Any]
    label: str

    @property
    def is_call(self) -> bool:
        """Whether it calls a tool that the provider runs, or that LangChain does not have in `tool_calls`."""
        return self.kind not in CLIENT_CALLS and (self.kind in _CALLS or self.kind.endswith(_CALL_ENDINGS))

    @property
    def is_result(self) -> bool:
        """Whether it holds the result of such a call."""
        return self.kind in _RESULTS or self.kind.endswith(_RESULT_ENDINGS)


def blocks_of(content: Any) -> Iterator[str | Block]:
    """The blocks of a content, in order: strings, and blocks. What is neither is its text; None is nothing."""
    for item in content if isinstance(content, (list, tuple)) else [content]:
        if isinstance(item, Mapping):
            yield from _blocks_in(item)
        elif item is not None:
            yield str(item)


def content_of(message: BaseMessage) -> Any:
    """A message's content, with what LangChain keeps of an answer in `additional_kwargs`.

    These are a refusal, a spoken answer, and the calls of tools that the provider has run (`tool_outputs` of OpenAI's,
    `executed_tools` of Groq's).
    """
    if not isinstance(message, AIMessage):
        return message.content
    extra, content = message.additional_kwargs, message.content
    kept: list[Any] = content if isinstance(content, list) else [content]
    kinds = {block.kind for block in blocks_of(kept) if isinstance(block, Block)}
    kept = [*kept, *_listed(extra, "tool_outputs"), *map(_executed, _listed(extra, "executed_tools"))]
    if isinstance(extra.get("refusal"), str) and "refusal" not in kinds:
        kept.append({"type": "refusal", "refusal": extra["refusal"]})
    return _with_speech(kept, extra.get("audio"), "audio" in kinds)


def snake(name: str) -> str:
    """A name in snake_case: `cache_point` for `cachePoint`."""
    return _INNER_CAPITAL.sub(r"_\1", name).lower()


def _blocks_in(item: Mapping[str, Any]) -> Iterator[Block]:
    """A mapping's block; several, where it holds several members of a union."""
    kind = item.get("type")
    if kind == "non_standard":
        value = item.get("value")
        if isinstance(value, Mapping) and value.get("type") != "non_standard":
            yield from _blocks_in(value)
    elif kind is not None:
        yield _typed(str(kind), item)
    elif item.get("thought") is True:
        yield Block("reasoning", item, item, "reasoning")
    else:
        yield from _untyped(item)


def _typed(label: str, item: Mapping[str, Any]) -> Block:
    kind, fields = snake(label), dict(item)
    for key, value in item.items():
        if snake(str(key)) == kind and isinstance(value, Mapping):
            fields |= {name: inner for name, inner in value.items() if name != "type"}
    return Block(kind, fields, item, label)


def _untyped(item: Mapping[str, Any]) -> Iterator[Block]:
    names = [str(key) for key in item]
    if len(names) != 1 and not (names and all(snake(name) in _MEMBERS for name in names)):
        yield Block("", item, item, names[0] if names else "block")  # what a tool gives as its own data, perhaps
        return
    for name, value in zip(names, item.values(), strict=True):
        is_whole = isinstance(value, Mapping)
        kind = snake(name) if is_whole or snake(name) not in MEDIA else ""
        yield Block(kind, value if is_whole else {name: value}, {name: value}, name)


def _listed(fields: Mapping[str, Any], name: str) -> list[Any]:
    value = fields.get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _executed(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool that Groq has run, as a block."""
    name = tool.get("name") or tool.get("type")
    names = {"search": "web_search", "python": "code_interpreter"}
    return {"type": "server_tool_call", **tool, "name": names.get(str(name), name)} | {"type": "server_tool_call"}


def _with_speech(content: list[Any], audio: Any, has_audio: bool) -> list[Any]:
    if isinstance(audio, Mapping):
        # With an id, the same speech may be in the content too.
        name = audio.get("id")
        others = [item for item in content if not (isinstance(item, Mapping) and name and item.get("id") == name)]
        return [*others, {**audio, "type": "audio"}]
    if isinstance(audio, (bytes, bytearray)) and not has_audio:
        return [*content, {"type": "audio", "base64": audio, "mime_type": "audio/wav"}]
    return content
