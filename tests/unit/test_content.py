"""What of a message's content a transcript shows: every type of block, and what messages keep beside their content."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.content import KNOWN_BLOCK_TYPES

from langgraph_dynamo_conv._transcript.fitting import DEFAULT_TITLE, title_of
from langgraph_dynamo_conv._transcript.folding import fold
from tests.unit.block_types import BYTES, CALLS, DATA, MEDIA, NOTHING, TEXT, made

NOW = "2026-01-02T03:04:05.678Z"


def folded(*messages: Any) -> list[dict[str, Any]]:
    left_out = {"timestamp", "ids", "role"}
    folds = fold(list(messages), timestamp=NOW)
    return [{key: value for key, value in message.items() if key not in left_out} for message in folds]


def answer(*content: Any, **more: Any) -> dict[str, Any]:
    (message,) = folded(AIMessage(list(content), **more))
    return message


def made_call(name: str) -> Any:
    return {"name": name, "args": {}, "id": name}


@pytest.mark.parametrize("block", TEXT, ids=repr)
def test_text_of_any_shape_is_shown(block):
    for message in (HumanMessage([block]), AIMessage([block]), SystemMessage([block])):
        assert folded(message) == [{"content": "Hi"}]
    assert answer({"type": "text", "text": "Oh. "}, block)["content"].replace("\n", "") == "Oh. Hi"


@pytest.mark.parametrize("block", NOTHING, ids=repr)
def test_a_mark_for_the_provider_shows_nothing_in_the_title_neither(block):
    assert answer(block) == {"content": ""}
    (question,) = fold([HumanMessage([{"type": "text", "text": "Hi"}, block])], timestamp=NOW)
    assert (question["content"], title_of(question)) == ("Hi", "Hi")


@pytest.mark.parametrize(("blocks", "call"), CALLS, ids=repr)
def test_a_tool_that_the_provider_ran_is_a_call(blocks, call):
    assert answer(*blocks) == {"content": "", "tool_calls": [call]}
    wrapped = [{"type": "non_standard", "value": block} for block in blocks]
    assert answer("Look: ", *wrapped, "Done.") == {"content": "Look: \nDone.", "tool_calls": [call]}


@pytest.mark.parametrize(("block", "text"), MEDIA, ids=repr)
def test_a_medium_leaves_its_kind_and_size(block, text):
    assert answer("Look", block, "!")["content"] == f"Look\n{text}\n!"
    assert folded(HumanMessage([block])) == [{"content": text}]
    tool = folded(AIMessage("", tool_calls=[made_call("a")]), ToolMessage([block], tool_call_id="a"))
    assert tool[0]["tool_calls"][0]["result"] == text


def test_every_standard_type_is_in_the_table():
    blocks = [*TEXT, *NOTHING, *(block for blocks, _ in CALLS for block in blocks), *(block for block, _ in MEDIA)]
    assert set(KNOWN_BLOCK_TYPES) <= {block.get("type") for block in blocks}


def test_a_generated_image_is_described_and_is_the_result_of_its_call():
    block = {
        "type": "image_generation_call",
        "id": "i",
        "result": DATA,
        "output_format": "png",
        "revised_prompt": "a cat",
    }
    image = "[image: image/png, 12 KB]"
    assert answer(block) == {
        "content": image,
        "tool_calls": [made("image_generation", {"prompt": "a cat"}, id="i", result=image)],
    }
    failed = {"type": "image_generation_call", "id": "i", "status": "failed", "revised_prompt": "a cat"}
    assert answer(failed)["tool_calls"] == [made("image_generation", {"prompt": "a cat"}, id="i", status="error")]


def test_what_an_unknown_block_is_shows_only_if_the_message_would_be_empty():
    hologram = {"type": "hologram"}
    assert answer(hologram)["content"] == "[hologram]"
    assert answer({"type": "thinking", "thinking": "hm"}, hologram, {"type": "aura"})["content"] == "[hologram]\n[aura]"
    assert answer("Hi", hologram)["content"] == "Hi"
    assert answer(hologram, tool_calls=[made_call("a")]) == {"content": "", "tool_calls": [made("a", id="a")]}


def test_a_spoken_answer_is_its_words():
    audio = {"id": "a", "data": DATA, "transcript": "Hello."}
    assert folded(AIMessage("", additional_kwargs={"audio": audio})) == [{"content": "Hello."}]
    assert answer({"type": "audio", "id": "a"}, additional_kwargs={"audio": audio}) == {"content": "Hello."}
    silent = {"id": "a", "data": DATA}
    assert folded(AIMessage("", additional_kwargs={"audio": silent})) == [{"content": "[audio: 12 KB]"}]
    assert folded(AIMessage("", additional_kwargs={"audio": BYTES})) == [{"content": "[audio: audio/wav, 12 KB]"}]
    assert folded(AIMessage("Text", additional_kwargs={"audio": audio})) == [{"content": "Text\nHello."}]


def test_a_refusal_is_shown_once():
    extra = {"refusal": "No."}
    assert folded(AIMessage("", additional_kwargs=extra)) == [{"content": "No."}]
    assert answer({"type": "refusal", "refusal": "No."}, additional_kwargs=extra) == {"content": "No."}
    assert folded(AIMessage("Hi", additional_kwargs={"refusal": None, "audio": None})) == [{"content": "Hi"}]


def test_tools_that_langchain_keeps_outside_of_the_content_are_calls():
    outputs = [{"type": "web_search_call", "id": "w", "action": {"query": "a"}}]
    assert folded(AIMessage("Hi", additional_kwargs={"tool_outputs": outputs})) == [
        {"content": "Hi", "tool_calls": [made("web_search", {"query": "a"}, id="w")]}
    ]
    executed = [{"type": "python", "index": 0, "arguments": '{"code": "1"}', "output": "1"}]
    assert folded(AIMessage("Hi", additional_kwargs={"executed_tools": executed})) == [
        {"content": "Hi", "tool_calls": [made("code_interpreter", {"code": "1"}, result="1")]}
    ]


def test_a_result_that_comes_in_a_later_message_goes_to_its_call():
    paused = AIMessage([{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "a"}}])
    result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": "found"}
    done = made("web_search", {"q": "a"}, id="s", result="found")
    assert folded(paused, AIMessage([result, "Done."])) == [{"content": "Done.", "tool_calls": [done]}]
    assert folded(paused, AIMessage([result])) == [{"content": "", "tool_calls": [done]}]


def test_a_message_that_comes_again_updates_the_calls_that_its_provider_ran():
    call = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "a"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": "found"}
    first, again = AIMessage([call], id="1"), AIMessage([call, result, "Done."], id="1")
    done = made("web_search", {"q": "a"}, id="s", result="found")
    assert folded(first, again) == [{"content": "Done.", "tool_calls": [done]}]


def test_an_approved_call_is_the_call_that_asked_for_approval():
    request = {"type": "mcp_approval_request", "id": "r", "name": "roll", "arguments": '{"d": 6}'}
    call = {
        "type": "mcp_call",
        "id": "m",
        "name": "roll",
        "arguments": '{"d": 6}',
        "output": "4",
        "approval_request_id": "r",
    }
    approval = HumanMessage([{"type": "mcp_approval_response", "approve": True, "approval_request_id": "r"}])
    asked, _, told = folded(AIMessage([request]), approval, AIMessage([call, "Four."]))
    assert asked["tool_calls"] == [made("roll", {"d": 6}, id="r", result="4")]
    assert told == {"content": "Four."}
    assert answer(call)["tool_calls"] == [made("roll", {"d": 6}, id="m", result="4")]


def test_a_call_that_the_program_runs_finds_its_result():
    call = {"type": "computer_call", "id": "x", "call_id": "p", "action": {"type": "wait"}}
    shot = ToolMessage([{"type": "input_image", "image_url": f"data:image/png;base64,{DATA}"}], tool_call_id="p")
    (message,) = folded(AIMessage([call]), shot, AIMessage("Done."))
    assert message["tool_calls"] == [made("computer", {"type": "wait"}, id="p", result="[image: image/png, 12 KB]")]


def test_a_call_that_tool_calls_has_is_there_once():
    block = {"type": "server_tool_use", "id": "a", "name": "a", "input": {"q": 1}}
    assert len(answer(block, tool_calls=[made_call("a")])["tool_calls"]) == 1
    chunk = AIMessageChunk(content=[{**block, "index": 0}], chunk_position="last")
    assert folded(chunk)[0]["tool_calls"] == [made("a", {"q": 1}, id="a")]


@pytest.mark.parametrize(
    ("content", "artifact", "result"),
    [
        ([], {"structured_content": {"a": [1]}}, {"a": [1]}),
        ("", {"structured_content": {"a": [1]}}, {"a": [1]}),
        (" ", {"structuredContent": {"a": [1]}}, {"a": [1]}),
        ([{"type": "text", "text": ""}], {"structured_content": []}, []),
        ("text", {"structured_content": {"a": 1}}, "text"),
        ([], {"rows": [1]}, []),
        ("", None, ""),
        ("", {"structured_content": None}, ""),
        ([{"type": "custom_tool_call_output", "output": '{"a": 1}'}], None, {"a": 1}),
        ([{"json": {"a": 1}}], None, {"a": 1}),
        ([{"text": "a"}, {"cachePoint": {"type": "default"}}], None, "a"),
        ([{"text": "a", "score": 1}], None, {"text": "a", "score": 1}),
        ([{"file": "a.txt"}], None, {"file": "a.txt"}),
        (
            [{"type": "search_result", "source": "s", "title": "t", "content": []}],
            None,
            {"type": "search_result", "source": "s", "title": "t", "content": []},
        ),
    ],
)
def test_an_empty_result_shows_the_structured_content_of_its_artifact(content, artifact, result):
    message = ToolMessage(content, tool_call_id="a", artifact=artifact)
    assert folded(AIMessage("", tool_calls=[made_call("a")]), message)[0]["tool_calls"][0]["result"] == result


def test_blocks_however_deep_are_no_error():
    deep: Any = "x"
    for _ in range(500):
        deep = {"type": "text", "text": [deep]}
    assert answer(deep, id="1")["content"] == ""


@pytest.mark.parametrize(
    "odd", [{"type": None}, {"type": 3, "text": "a"}, {1: 2}, {"type": "text", "text": 3}, {"": ""}]
)
def test_odd_blocks_are_no_error(odd):
    for message in (HumanMessage([odd]), AIMessage([odd])):
        folded(message)


# Titles


def said(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("messages", "title"),
    [
        ([said("user", ""), said("assistant", "What?"), said("user", "My question")], "My question"),
        ([said("user", "[audio: wav, 12 KB]"), said("user", "My question")], "My question"),
        ([said("user", "[image]\n[file: a.pdf, 3 KB]"), said("user", "  \n")], DEFAULT_TITLE),
        ([said("user", "See\n[image]")], "See [image]"),
        ([said("system", "Be brief"), said("human", "One"), said("user", "Two")], "One"),
        ([], DEFAULT_TITLE),
        (None, DEFAULT_TITLE),
        (said("user", None), DEFAULT_TITLE),
    ],
)
def test_a_title_comes_from_the_first_message_of_the_user_that_has_text(messages, title):
    assert title_of(messages) == title
