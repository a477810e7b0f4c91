"""Every type of block that a provider's package sends or takes, and what a transcript shows of it.

The types are those that the sources of langchain-core 1.7, langchain-anthropic 1.7, langchain-aws 1.9,
langchain-google-genai 4.4, langchain-openai 1.7 and langchain-mcp-adapters 0.3 name, and the types of the APIs' own
packages that reach a message (anthropic 2.12, openai 3.57).
"""

from typing import Any

DATA = "A" * 16_000
BYTES = b"a" * 12_000


def made(tool: str, args: Any = None, **more: Any) -> dict[str, Any]:
    return {"tool": tool, "args": args or {}, **more}


TEXT: list[dict[str, Any]] = [
    {"type": "text", "text": "Hi", "annotations": [], "index": 0},
    {"type": "text", "text": {"value": "Hi", "annotations": []}},
    {"type": "text", "text": "Hi", "citations": [{"type": "char_location", "cited_text": "x"}]},
    {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}},
    {"type": "input_text", "text": "Hi"},
    {"type": "output_text", "text": "Hi", "annotations": [{"type": "url_citation", "url": "https://a"}]},
    {"type": "text_delta", "text": "Hi"},
    {"text": "Hi"},
    {"text": "Hi", "cachePoint": {"type": "default"}},
    {"type": "refusal", "refusal": "Hi"},
    {"type": "guard_content", "text": "Hi"},
    {"type": "guard_content", "guard_content": {"type": "text", "text": "Hi"}},
    {"guardContent": {"text": {"text": "Hi", "qualifiers": ["query"]}}},
    {"guard_content": {"text": {"text": "Hi"}}},
    {"type": "non_standard", "value": {"guardContent": {"text": {"text": "Hi"}}}},
    {"type": "citations_content", "citations_content": {"content": [{"text": "Hi"}], "citations": [{}]}},
    {"citationsContent": {"content": [{"text": "H"}, {"text": "i"}], "citations": []}},
    {"type": "search_result", "source": "a", "title": "b", "content": [{"type": "text", "text": "Hi"}]},
    {"searchResult": {"source": "a", "title": "b", "content": [{"text": "Hi"}]}},
    {"type": "audio", "id": "a", "transcript": "Hi"},
    {"type": "audio", "base64": DATA, "extras": {"transcript": "Hi"}},
    {"type": "output_audio", "data": DATA, "transcript": "Hi"},
    {"type": "input_audio", "transcript": "Hi"},
    {"type": "hologram", "text": "Hi"},
    {"type": "hologram", "content": [{"type": "text", "text": "Hi"}, {"type": "thinking", "thinking": "hm"}]},
    {"hologram": {"text": "Hi"}},
]

NOTHING: list[dict[str, Any]] = [
    {"type": "reasoning", "reasoning": "hm", "summary": [{"type": "summary_text", "text": "hm"}]},
    {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}], "encrypted_content": "x"},
    {"type": "summary_text", "text": "hm"},
    {"type": "reasoning_text", "text": "hm"},
    {"type": "reasoning_content", "reasoning_content": {"text": "hm", "signature": "x"}},
    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "x"}}},
    {"reasoning_content": {"text": "hm"}},
    {"type": "thinking", "thinking": "hm", "signature": "x"},
    {"type": "thinking_delta", "thinking": "hm"},
    {"type": "redacted_thinking", "data": "x"},
    {"type": "signature_delta", "signature": "x"},
    {"type": "function_call_signature", "signature": "x"},
    {"thought": True, "text": "hm"},
    {"cachePoint": {"type": "default"}},
    {"cachePoint": {"type": "default", "ttl": "1h"}},
    {"type": "cache_point"},
    {"type": "non_standard", "value": {"cachePoint": {"type": "default"}}},
    {"type": "compaction", "content": "So far: hm", "encrypted_content": "x"},
    {"type": "compaction_delta", "content": "hm"},
    {"type": "compaction_trigger"},
    {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}},
    {"type": "configuration_update", "reasoning": {"effort": "high"}},
    {"type": "additional_tools", "tools": [{"type": "function", "name": "a"}], "role": "developer"},
    {"type": "tool_addition", "tool": {"name": "a"}},
    {"type": "tool_removal", "tool": {"name": "a"}},
    {"toolAddition": {"toolSpec": {"name": "a"}}},
    {"toolRemoval": {"name": "a"}},
    {"type": "tool_definition", "name": "a"},
    {"type": "tool_reference", "tool_name": "a"},
    {"type": "browser_state", "tabs": []},
    {"type": "item_reference", "id": "a"},
    {"type": "mcp_list_tools", "id": "a", "server_label": "b", "tools": [{"name": "c"}]},
    {"type": "mcp_tool_listing", "mcp_server_name": "b", "tools": []},
    {"type": "citations_delta", "citation": {"cited_text": "x"}},
    {"type": "citation", "cited_text": "x"},
    {"citation": {"title": "x"}},
    # calls that `tool_calls` has, and parts of a stream
    {"type": "tool_use", "id": "a", "name": "b", "input": {"text": "x"}},
    {"toolUse": {"toolUseId": "a", "name": "b", "input": {}}},
    {"type": "tool_call", "id": "a", "name": "b", "args": {}},
    {"type": "tool_call_chunk", "id": "a", "name": "b", "args": "{}"},
    {"type": "invalid_tool_call", "id": "a", "name": "b", "args": "{"},
    {"type": "function_call", "call_id": "a", "name": "b", "arguments": "{}"},
    {"function_call": {"name": "b", "args": {}}},
    {"type": "custom_tool_call", "call_id": "a", "name": "b", "input": "x"},
    {"type": "input_json_delta", "partial_json": "{"},
    {"type": "server_tool_call_chunk", "args": "{"},
    # calls of which the block tells nothing, and results without a call
    {"type": "server_tool_call"},
    {"type": "web_search_call", "id": "a", "status": "in_progress"},
    {"type": "image_generation_call", "id": "a", "status": "in_progress", "result": None},
    {"type": "code_interpreter_call", "id": "a", "code": None, "outputs": None},
    {"type": "server_tool_result", "tool_call_id": "gone", "output": "x"},
    {"type": "web_search_tool_result", "tool_use_id": "gone", "content": []},
    {"type": "non_standard", "value": {}} | {"value": None},
]

CALLS: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    (
        [
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "a"}},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "s",
                "content": [{"type": "web_search_result", "title": "A", "url": "u", "encrypted_content": "x"}],
            },
        ],
        made("web_search", {"query": "a"}, id="s", result=[{"type": "web_search_result", "title": "A", "url": "u"}]),
    ),
    (
        [
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}, "partial_json": '{"query": "a"}'},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "s",
                "content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
            },
        ],
        made(
            "web_search",
            {"query": "a"},
            id="s",
            result={"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
            status="error",
        ),
    ),
    (
        [
            {"type": "server_tool_use", "id": "s", "name": "web_fetch", "input": {"url": "u"}},
            {
                "type": "web_fetch_tool_result",
                "tool_use_id": "s",
                "content": {
                    "type": "web_fetch_result",
                    "url": "u",
                    "content": {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": DATA},
                    },
                },
            },
        ],
        made(
            "web_fetch",
            {"url": "u"},
            id="s",
            result={"type": "web_fetch_result", "url": "u", "content": "[file: application/pdf, 12 KB]"},
        ),
    ),
    *(
        (
            [
                {"type": "server_tool_use", "id": "s", "name": name, "input": {"code": "1"}},
                {"type": f"{name}_tool_result", "tool_use_id": "s", "content": {"type": f"{name}_result", "a": "2"}},
            ],
            made(name, {"code": "1"}, id="s", result={"type": f"{name}_result", "a": "2"}),
        )
        for name in ("code_execution", "bash_code_execution", "text_editor_code_execution", "tool_search", "advisor")
    ),
    (
        [
            {"type": "mcp_tool_use", "id": "m", "name": "find", "server_name": "s", "input": {"a": 1}},
            {
                "type": "mcp_tool_result",
                "tool_use_id": "m",
                "is_error": True,
                "content": [{"type": "text", "text": "no"}],
            },
        ],
        made("find", {"a": 1}, id="m", result="no", status="error"),
    ),
    (
        [
            {"type": "server_tool_use", "toolUseId": "s", "name": "nova_grounding", "input": {"q": "a"}},
            {
                "type": "server_tool_result",
                "tool_use_id": "s",
                "is_error": False,
                "content": [{"type": "text", "text": "b"}],
            },
        ],
        made("nova_grounding", {"q": "a"}, id="s", result="b"),
    ),
    (
        [
            {"type": "server_tool_call", "id": "s", "name": "web_search", "args": {"q": "a"}},
            {"type": "server_tool_result", "tool_call_id": "s", "status": "error", "output": {"b": 1}},
        ],
        made("web_search", {"q": "a"}, id="s", result={"b": 1}, status="error"),
    ),
    (
        [
            {
                "type": "server_tool_call",
                "id": "s",
                "name": "remote_mcp",
                "args": {"q": "a"},
                "extras": {"tool_name": "t"},
            }
        ],
        made("t", {"q": "a"}, id="s"),
    ),
    (
        [{"type": "server_tool_call_chunk", "id": "s", "name": "web_search", "args": '{"q": "a"}'}],
        made("web_search", {"q": "a"}, id="s"),
    ),
    (
        [
            {"type": "executable_code", "executable_code": "print(1)", "language": "PYTHON", "id": "e"},
            {"type": "code_execution_result", "code_execution_result": "1\n", "outcome": 1, "tool_call_id": ""},
        ],
        made("code_execution", {"code": "print(1)", "language": "PYTHON"}, id="e", result="1\n"),
    ),
    (
        [
            {"executable_code": {"code": "print(", "language": "PYTHON"}},
            {"code_execution_result": {"outcome": "OUTCOME_FAILED", "output": "SyntaxError"}},
        ],
        made("code_execution", {"code": "print(", "language": "PYTHON"}, result="SyntaxError", status="error"),
    ),
    (
        [
            {
                "type": "web_search_call",
                "id": "w",
                "status": "completed",
                "action": {"type": "search", "query": "a", "sources": [{"type": "url", "url": "u"}]},
            }
        ],
        made(
            "web_search",
            {"type": "search", "query": "a"},
            id="w",
            result={"sources": [{"type": "url", "url": "u"}]},
        ),
    ),
    (
        [{"type": "file_search_call", "id": "f", "queries": ["a"], "results": [{"filename": "b", "text": "c"}]}],
        made("file_search", {"queries": ["a"]}, id="f", result=[{"filename": "b", "text": "c"}]),
    ),
    (
        [
            {
                "type": "code_interpreter_call",
                "id": "c",
                "code": "1",
                "container_id": "x",
                "status": "completed",
                "outputs": [
                    {"type": "logs", "logs": "1"},
                    {"type": "image", "url": f"data:image/png;base64,{DATA}"},
                ],
            }
        ],
        made(
            "code_interpreter",
            {"code": "1"},
            id="c",
            result=[{"type": "logs", "logs": "1"}, "[image: image/png, 12 KB]"],
        ),
    ),
    (
        [
            {
                "type": "mcp_call",
                "id": "m",
                "name": "roll",
                "arguments": '{"d": 6}',
                "output": '{"n": 4}',
                "server_label": "s",
            }
        ],
        made("roll", {"d": 6}, id="m", result={"n": 4}),
    ),
    (
        [{"type": "mcp_call", "id": "m", "name": "roll", "arguments": "oops", "error": "bad", "output": None}],
        made("roll", {"_raw": "oops"}, id="m", result="bad", status="error"),
    ),
    (
        [{"type": "mcp_approval_request", "id": "r", "name": "roll", "arguments": '{"d": 6}', "server_label": "s"}],
        made("roll", {"d": 6}, id="r"),
    ),
    (
        [
            {"type": "tool_search_call", "id": "x", "call_id": None, "arguments": {"q": "a"}, "execution": "server"},
            {"type": "tool_search_output", "id": "y", "call_id": None, "tools": [{"name": "b"}]},
        ],
        made("tool_search", {"q": "a"}, id="x", result=[{"name": "b"}]),
    ),
    (
        [
            {"type": "apply_patch_call", "id": "x", "call_id": "p", "operation": {"type": "delete_file", "path": "a"}},
            {"type": "apply_patch_call_output", "call_id": "p", "status": "failed", "output": "no"},
        ],
        made("apply_patch", {"type": "delete_file", "path": "a"}, id="p", result="no", status="error"),
    ),
    (
        [
            {"type": "shell_call", "id": "x", "call_id": "p", "action": {"commands": ["ls"]}},
            {"type": "shell_call_output", "call_id": "p", "output": [{"stdout": "a", "stderr": ""}]},
        ],
        made("shell", {"commands": ["ls"]}, id="p", result=[{"stdout": "a", "stderr": ""}]),
    ),
    (
        [
            {"type": "local_shell_call", "id": "x", "call_id": "p", "action": {"type": "exec", "command": ["ls"]}},
            {"type": "local_shell_call_output", "call_id": "p", "output": "a"},
        ],
        made("local_shell", {"type": "exec", "command": ["ls"]}, id="p", result="a"),
    ),
    (
        [
            {
                "type": "computer_call",
                "id": "x",
                "call_id": "p",
                "action": {"type": "screenshot"},
                "status": "completed",
            },
            {
                "type": "computer_call_output",
                "call_id": "p",
                "output": {"type": "computer_screenshot", "image_url": f"data:image/png;base64,{DATA}"},
            },
        ],
        made("computer", {"type": "screenshot"}, id="p", result="[image: image/png, 12 KB]"),
    ),
    (
        [
            {"type": "program", "id": "x", "call_id": "p", "code": "1", "fingerprint": "f"},
            {"type": "program_output", "id": "y", "call_id": "p", "result": "1", "status": "completed"},
        ],
        made("program", {"code": "1"}, id="p", result="1"),
    ),
    # a type that a provider adds next year
    (
        [{"type": "map_search_call", "id": "n", "arguments": '{"q": "a"}', "output": "b"}],
        made("map_search", {"q": "a"}, id="n", result="b"),
    ),
]

MEDIA: list[tuple[dict[str, Any], str]] = [
    ({"type": "image", "base64": DATA, "mime_type": "image/png"}, "[image: image/png, 12 KB]"),
    (
        {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": DATA}},
        "[image: image/gif, 12 KB]",
    ),
    ({"type": "image", "source": {"type": "file", "file_id": "a"}}, "[image]"),
    ({"image": {"format": "png", "source": {"bytes": BYTES}}}, "[image: png, 12 KB]"),
    ({"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/cat.png"}}}}, "[image: cat.png, png]"),
    ({"guardContent": {"image": {"format": "png", "source": {"bytes": BYTES}}}}, "[image: png, 12 KB]"),
    ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}}, "[image: image/png, 12 KB]"),
    ({"type": "input_image", "image_url": "https://a.example/cat.png?X-Signature=x"}, "[image: cat.png]"),
    ({"type": "image_file", "image_file": {"file_id": "a"}}, "[image]"),
    ({"type": "computer_screenshot", "image_url": f"data:image/png;base64,{DATA}"}, "[image: image/png, 12 KB]"),
    ({"type": "audio", "base64": DATA, "mime_type": "audio/wav"}, "[audio: audio/wav, 12 KB]"),
    ({"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}}, "[audio: wav, 12 KB]"),
    ({"audio": {"format": "mp3", "source": {"bytes": BYTES}}}, "[audio: mp3, 12 KB]"),
    ({"type": "video", "base64": DATA, "mime_type": "video/mp4"}, "[video: video/mp4, 12 KB]"),
    ({"video": {"format": "mp4", "source": {"bytes": BYTES}}}, "[video: mp4, 12 KB]"),
    ({"type": "video_url", "video_url": {"url": "https://a.example/v.mp4"}}, "[video: v.mp4]"),
    (
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{DATA}"}},
        "[file: a.pdf, application/pdf, 12 KB]",
    ),
    ({"type": "file", "file_id": "a"}, "[file]"),
    (
        {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{DATA}"},
        "[file: a.pdf, application/pdf, 12 KB]",
    ),
    (
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a" * 12}},
        "[file: text/plain, 12 bytes]",
    ),
    (
        {"type": "document", "document": {"format": "pdf", "name": "Plan", "source": {"bytes": BYTES}}},
        "[file: Plan, pdf, 12 KB]",
    ),
    ({"document": {"format": "txt", "name": "Plan", "source": {"text": "a" * 12}}}, "[file: Plan, txt, 12 bytes]"),
    (
        {"type": "text-plain", "text": "a" * 12, "mime_type": "text/plain", "title": "T"},
        "[file: T, text/plain, 12 bytes]",
    ),
    ({"type": "media", "mime_type": "video/mp4", "file_uri": "gs://b/v"}, "[video: v, video/mp4]"),
    ({"type": "file_data", "file_uri": "gs://b/v", "mime_type": "audio/mp3"}, "[audio: v, audio/mp3]"),
    ({"inline_data": {"mime_type": "image/png", "data": BYTES}}, "[image: image/png, 12 KB]"),
    ({"type": "container_upload", "file_id": "a"}, "[file]"),
    ({"type": "resource_link", "uri": "file:///a.txt", "name": "a", "mimeType": "text/plain"}, "[file: a, text/plain]"),
    (
        {"type": "resource", "resource": {"uri": "file:///a.png", "mimeType": "image/png", "blob": DATA}},
        "[image: a.png, image/png, 12 KB]",
    ),
]
