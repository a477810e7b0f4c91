"""Trains the zstd dictionary beside `_format/dictionary.py`. Run once, for format version 1; kept for the record.

The samples are what real graphs store: changes and task writes of tool-calling agents, with the metadata that the
common providers give, on text and code of the Python standard library (documentation strings), which no benchmark uses.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import random
import sys
import uuid
from pathlib import Path
from typing import Any
from unittest.mock import patch

import zstandard
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._format import frames
from tests.engines import running

DICTIONARY = Path(frames.__file__).with_name("dictionary.zstd")
DICTIONARY_BYTES = 8 * 1024
CONVERSATIONS = 150
TURNS = 6

random.seed(1)
SENTENCES = [
    line.strip()
    for module in pkgutil.iter_modules()
    if module.name in sys.stdlib_module_names and module.name[0] not in "_ait"
    for line in (inspect.getdoc(importlib.import_module(module.name)) or "").splitlines()
    if len(line.strip()) > 40
]
METADATA: list[dict[str, Any]] = [
    {
        "token_usage": {"completion_tokens": 80, "prompt_tokens": 900, "total_tokens": 980},
        "model_provider": "openai",
        "model_name": "gpt-5-mini",
        "system_fingerprint": None,
        "finish_reason": "stop",
        "logprobs": None,
    },
    {
        "id": "msg_01",
        "model": "claude-sonnet-4-5",
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "input_tokens": 12,
            "output_tokens": 8,
        },
        "model_name": "claude-sonnet-4-5",
        "model_provider": "anthropic",
    },
    {
        "ResponseMetadata": {"RequestId": "", "HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0},
        "stopReason": "end_turn",
        "metrics": {"latencyMs": [700]},
        "model_provider": "bedrock_converse",
        "model_name": "anthropic.claude-sonnet-4-5",
    },
    {},
]


def text(sentences: int) -> str:
    return " ".join(random.choices(SENTENCES, k=sentences))


def agent(state: MessagesState) -> dict[str, Any]:
    metadata = random.choice(METADATA)
    usage = {"input_tokens": random.randrange(3000), "output_tokens": random.randrange(300), "total_tokens": 900}
    details = {"input_token_details": {"cache_read": 0}, "output_token_details": {"reasoning": 0}}
    more: dict[str, Any] = {"response_metadata": metadata, "id": f"lc_run--{uuid.uuid4()}"}
    if metadata:
        more["usage_metadata"] = {**usage, **details}
    if isinstance(state["messages"][-1], ToolMessage):
        return {"messages": [AIMessage(text(random.randrange(1, 8)), **more)]}
    name = random.choice(["search_files", "get_weather", "web_search", "query_database", "retrieve", "read_file"])
    call = {"name": name, "args": {"query": text(1)[:40], "limit": 10}, "id": f"call_{uuid.uuid4().hex[:24]}"}
    return {"messages": [AIMessage("", tool_calls=[call], **more)]}


def tools(state: MessagesState) -> dict[str, Any]:
    call = state["messages"][-1].tool_calls[0]
    rows = [{"name": text(1)[:20], "path": text(1)[:30], "size": random.randrange(9999)} for _ in range(5)]
    content = random.choice([text(4), json.dumps({"results": rows, "total": 5}), json.dumps(rows)])
    return {"messages": [ToolMessage(content, tool_call_id=call["id"], name=call["name"], id=str(uuid.uuid4()))]}


def route(state: MessagesState) -> str:
    return "tools" if getattr(state["messages"][-1], "tool_calls", None) else END


def samples() -> list[bytes]:
    builder = StateGraph(MessagesState)
    for name, node in (("agent", agent), ("model", agent), ("tools", tools)):
        builder.add_node(name, node)
    builder.add_edge("tools", "agent")
    builder.add_conditional_edges("agent", route, ["tools", END])
    builder.add_conditional_edges("model", route, ["tools", END])
    builder.add_conditional_edges(START, lambda _: random.choice(["agent", "model"]), ["agent", "model"])
    taken: list[bytes] = []
    framed = frames.Codec.frame

    def frame(self: frames.Codec, payload: bytes, context: str) -> bytes:
        if len(payload) < 16_384:
            taken.append(payload)
        return framed(self, payload, context)

    with running("memory") as engine, patch.object(frames.Codec, "frame", frame):
        saver = DynamoDBConversationSaver("training", client=engine.client())
        saver.setup()
        graph = builder.compile(checkpointer=saver)
        for number in range(CONVERSATIONS):
            config = saver.new_conversation(f"user-{number}")
            first = [SystemMessage(text(2))] if number % 3 == 0 else []
            for _ in range(TURNS):
                graph.invoke({"messages": [*first, HumanMessage(text(1))]}, config)
                first = []
        saver.close()
    return taken


def main() -> None:
    taken = samples()
    trained = zstandard.train_dictionary(DICTIONARY_BYTES, taken, level=9, notifications=0)
    print(f"{len(taken)} samples, {sum(map(len, taken))} bytes, dictionary {len(trained)} bytes", file=sys.stderr)
    DICTIONARY.write_bytes(trained.as_bytes())


if __name__ == "__main__":
    main()
