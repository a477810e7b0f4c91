"""The calls of tools that a provider runs itself: web search, code execution, MCP connectors, image generation.

The rule: they are calls like any other, with their arguments and their result where the blocks tell them. Some blocks
hold both; elsewhere a later block has the result, in a later message perhaps. A call of which a block tells neither is
left out, and so is a result whose call is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from langchain_core.messages import BaseMessage

from langgraph_dynamo_conv._content.blocks import Block, blocks_of, content_of
from langgraph_dynamo_conv._content.media import described, medium_of
from langgraph_dynamo_conv._content.text import shown_value, tool_result
from langgraph_dynamo_conv._format.attributes import clean_text, storable

_ARGS = ("input", "args", "arguments", "action", "operation", "partial_json")
"""Where a call has its arguments, as a map or as JSON."""

_FIELDS = ("query", "queries", "code", "executable_code", "language", "revised_prompt", "actions", "prompt")
"""Arguments that stand in a block by themselves."""

_RENAMED = {"executable_code": "code", "revised_prompt": "prompt"}

_RESULTS = ("content", "output", "outputs", "results", "tools", "result", "code_execution_result")
"""Where a block has a result."""

_NAMES = {"executable_code": "code_execution", "code_execution_result": "code_execution"}
_RESULT_ENDINGS = ("_tool_result", "_call_output", "_output")


class Outcome(NamedTuple):
    """The result of a call that another block made.

    Args:
        call_id: The call's id; "" where the block does not name it.
        tool: The tool's name, as far as the block's type tells it.
        fields: `result`, and `status` of a failure.
    """

    call_id: str
    tool: str
    fields: dict[str, Any]


class ProviderCalls(NamedTuple):
    """What a message has of them.

    Args:
        made: The calls with their results, in order, each with the id by which a later message may answer it.
        outcomes: Results of calls that an earlier message made.
    """

    made: list[tuple[dict[str, Any], str]]
    outcomes: list[Outcome]


def provider_calls(message: BaseMessage) -> ProviderCalls:
    """The calls in an answer of tools that its provider runs, but for those that `tool_calls` has."""
    known = {call.get("id") for call in getattr(message, "tool_calls", ())} - {None}
    made: list[tuple[dict[str, Any], str]] = []
    outcomes: list[Outcome] = []
    for block in blocks_of(content_of(message)):
        if isinstance(block, str) or _id_of(block) in known:
            continue
        if block.is_call:
            made += _made(block)
            outcomes += _approved(block)
        elif block.is_result:
            outcome = _outcome(block)
            call = _answered(made, outcome)
            call.update(outcome.fields) if call is not None else outcomes.append(outcome)
    return ProviderCalls(
        [(call, name) for call, name in made if _tells(call)], [one for one in outcomes if one.call_id]
    )


def _made(block: Block) -> Iterator[tuple[dict[str, Any], str]]:
    fields, call_id = block.fields, _id_of(block)
    extras = fields.get("extras")
    name = (extras.get("tool_name") if isinstance(extras, Mapping) else None) or fields.get("name")
    tool = str(name or "") or _NAMES.get(block.kind) or block.kind.removesuffix("_call")
    if tool in ("server_tool", "server_tool_call_chunk", "server_tool_use", "mcp_tool_use"):
        return  # a part of a stream, without its beginning
    call = {"tool": clean_text(tool), "args": storable(_args(block))}
    yield {**call, **({"id": clean_text(call_id)} if call_id else {}), **_result(block)}, _answered_id(block) or call_id


def _approved(block: Block) -> Iterator[Outcome]:
    """The outcome of an earlier request for approval, which this call follows."""
    if approval := _answered_id(block):
        yield Outcome(approval, "", _result(block))


def _answered_id(block: Block) -> str:
    approval = block.fields.get("approval_request_id")
    return approval if isinstance(approval, str) else ""


def _answered(made: Sequence[tuple[dict[str, Any], str]], outcome: Outcome) -> dict[str, Any] | None:
    """The call that a result belongs to: that of its id; without one, the newest of its tool that has no result."""
    if outcome.call_id:
        return next((call for call, name in made if name == outcome.call_id), None)
    waiting = [call for call, _ in made if "result" not in call and call["tool"].startswith(outcome.tool)]
    return waiting[-1] if waiting else None


def _tells(call: Mapping[str, Any]) -> bool:
    """Whether a call says more than that there was one."""
    return bool(call["args"]) or "result" in call or "status" in call


def _id_of(block: Block) -> str:
    names = ("tool_use_id", "toolUseId", "tool_call_id", "call_id", "id")
    return next((str(block.fields[name]) for name in names if block.fields.get(name)), "")


def _args(block: Block) -> dict[str, Any]:
    for name in _ARGS:
        value = block.fields.get(name)
        args = _mapping(value) if name != "input" or not isinstance(value, str) else {"input": value}
        if args:
            return {key: shown_value(item) for key, item in args.items() if key != "sources"}
    fields = {name: block.fields[name] for name in _FIELDS if block.fields.get(name) not in (None, "", [])}
    return {_RENAMED.get(name, name): value for name, value in fields.items() if not isinstance(value, Mapping)}


def _mapping(value: Any) -> Mapping[str, Any]:
    """Arguments as a map; those that are no JSON of one under `_raw`, as LangChain's invalid calls have them."""
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, str) or not value.strip():
        return {}
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        parsed = None
    return parsed if isinstance(parsed, Mapping) else {"_raw": value}


def _outcome(block: Block) -> Outcome:
    tool = _NAMES.get(block.kind, block.kind)
    for ending in _RESULT_ENDINGS:
        tool = tool.removesuffix(ending)
    fields = block.fields
    named = next((str(fields[name]) for name in _OUTCOME_IDS if fields.get(name)), "")
    return Outcome(named, tool, {"result": "", **_result(block)})


_OUTCOME_IDS = ("tool_use_id", "toolUseId", "tool_call_id", "call_id")


def _result(block: Block) -> dict[str, Any]:
    """`result`, where the block has it, and `status` of a failure."""
    value = _value(block)
    error = block.fields.get("error")
    failed = {"status": "error"} if error or _has_failed(block, value) else {}
    if value in (None, "", []) and error:
        value = storable(shown_value(error))
    return failed if value is None else {"result": value, **failed}


def _value(block: Block) -> Any:
    if medium_of(block):
        return described(block)
    if block.kind.endswith("_call_chunk") or block.kind in ("mcp_approval_request", "image_generation_call"):
        return None
    fields = block.fields
    value = next((fields[name] for name in _RESULTS if fields.get(name) not in (None, "", [])), None)
    action = fields.get("action")
    if value is None and isinstance(action, Mapping) and action.get("sources"):
        value = {"sources": action["sources"]}
    return None if value is None else _readable(value)


def _readable(value: Any) -> Any:
    """A result as `tool_result` gives it, where it is text; else its data."""
    blocks = list(blocks_of(value)) if isinstance(value, list) else []
    is_text = blocks and all(isinstance(block, str) or block.kind in ("text", "json") for block in blocks)
    return tool_result(value) if isinstance(value, str) or is_text else storable(shown_value(value))


def _has_failed(block: Block, value: Any) -> bool:
    fields = block.fields
    has_code = isinstance(value, Mapping) and bool(value.get("error_code"))
    is_bad = str(fields.get("outcome", 1)) not in ("1", "OUTCOME_OK", "Outcome.OUTCOME_OK")
    return bool(fields.get("is_error")) or fields.get("status") in ("error", "failed") or has_code or is_bad
