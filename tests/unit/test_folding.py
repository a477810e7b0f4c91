"""LangChain messages folded into conversation messages, and back."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    message_to_dict,
)
from langchain_core.messages.utils import convert_to_messages
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from langgraph_dynamo_conv._format.attributes import plain
from langgraph_dynamo_conv._transcript.folding import fold, role_of
from langgraph_dynamo_conv._transcript.ids import digest_of
from langgraph_dynamo_conv._transcript.langchain import NO_RESULT, adopted_ids, to_langchain

NOW = "2026-01-02T03:04:05.678Z"


def calls(*names: str, args: Any = None, content: Any = "", **more: Any) -> AIMessage:
    """An AIMessage that calls tools; each call's id is the tool's name."""
    made = [{"name": name, "args": args or {}, "id": name} for name in names]
    return AIMessage(content, tool_calls=made, **more)


def result(name: str, content: Any = "ok", **more: Any) -> ToolMessage:
    return ToolMessage(content, tool_call_id=name, name=name, **more)


def folded(*messages: Any) -> list[dict[str, Any]]:
    """Folded, without what is the same in all tests."""
    left_out = {"timestamp", "ids"}
    return [
        {key: value for key, value in message.items() if key not in left_out}
        for message in fold(list(messages), timestamp=NOW)
    ]


def only(*messages: Any) -> dict[str, Any]:
    (message,) = folded(*messages)
    return message


def call(name: str, **more: Any) -> dict[str, Any]:
    return {"tool": name, "args": {}, "id": name, **more}


# Folding


def test_question_and_answer_are_two_messages():
    assert fold([HumanMessage("Hi", id="1"), AIMessage("Hello", id="2")], timestamp=NOW) == [
        {"role": "user", "content": "Hi", "timestamp": NOW, "ids": digest_of("1")},
        {"role": "assistant", "content": "Hello", "timestamp": NOW, "ids": digest_of("2")},
    ]


def test_tool_calls_and_results_fold_into_the_answer_they_led_to():
    assert folded(
        HumanMessage("Find renders"),
        calls("search", args={"query": "render", "limit": 0.5}),
        result("search", '{"hits": [1, 2.5]}'),
        AIMessage("Two."),
    ) == [
        {"role": "user", "content": "Find renders"},
        {
            "role": "assistant",
            "content": "Two.",
            "tool_calls": [
                {
                    "tool": "search",
                    "args": {"query": "render", "limit": Decimal("0.5")},
                    "id": "search",
                    "result": {"hits": [1, Decimal("2.5")]},
                }
            ],
        },
    ]


def test_an_answer_carries_the_ids_of_all_its_messages_in_order():
    (message,) = fold([calls("a", id="1"), result("a", id="2"), AIMessage("x", id="3")], timestamp=NOW)
    assert message["ids"].split() == [digest_of("1"), digest_of("2"), digest_of("3")]


def test_parallel_calls_each_get_their_own_result():
    message = only(calls("a", "b"), result("b", "2"), result("a", "1"), AIMessage("x"))
    assert message["tool_calls"] == [call("a", result="1"), call("b", result="2")]


def test_several_rounds_of_tools_are_one_answer_in_order():
    message = only(calls("a"), result("a"), calls("b"), result("b"), AIMessage("x"))
    assert [made["tool"] for made in message["tool_calls"]] == ["a", "b"]


def test_a_pending_call_has_no_result():
    assert only(calls("a")) == {"role": "assistant", "content": "", "tool_calls": [call("a")]}


def test_a_tool_that_returns_directly_leaves_an_empty_answer_with_its_result():
    assert folded(calls("a"), result("a"), HumanMessage("Thanks")) == [
        {"role": "assistant", "content": "", "tool_calls": [call("a", result="ok")]},
        {"role": "user", "content": "Thanks"},
    ]


def test_a_failed_tool_is_marked():
    message = only(calls("a"), result("a", "Error: no", status="error"), AIMessage("x"))
    assert message["tool_calls"] == [call("a", result="Error: no", status="error")]


def test_a_later_result_of_the_same_call_counts():
    message = only(calls("a"), result("a", "no", status="error"), result("a", "yes"), AIMessage("x"))
    assert message["tool_calls"] == [call("a", result="yes")]


def test_text_beside_tool_calls_is_an_answer_of_its_own():
    assert folded(calls("a", content="Looking"), result("a"), calls("b"), result("b"), AIMessage("Done")) == [
        {"role": "assistant", "content": "Looking", "tool_calls": [call("a", result="ok")]},
        {"role": "assistant", "content": "Done", "tool_calls": [call("b", result="ok")]},
    ]


def test_calls_before_text_that_has_calls_fold_into_it():
    message = only(calls("a"), result("a"), calls("b", content="Next"), result("b"))
    assert (message["content"], [made["tool"] for made in message["tool_calls"]]) == ("Next", ["a", "b"])


def test_blank_text_beside_tool_calls_is_no_answer():
    assert only(calls("a", content="\n\n"), result("a"), AIMessage("Done"))["content"] == "Done"


@pytest.mark.parametrize("between", [HumanMessage("Stop"), SystemMessage("New rules")])
def test_a_message_of_the_user_or_the_system_ends_the_answer(between):
    assert [message["content"] for message in folded(calls("a"), between, AIMessage("x"))] == [
        "",
        between.content,
        "x",
    ]


def test_a_result_that_comes_after_the_next_question_goes_to_its_call():
    first, _, _ = folded(calls("a"), HumanMessage("And?"), result("a"), AIMessage("x"))
    assert first["tool_calls"] == [call("a", result="ok")]


def test_an_id_that_a_later_turn_uses_again_is_that_turns_call():
    first, second = folded(calls("a"), result("a", "1"), AIMessage("x"), calls("a"), result("a", "2"))
    assert (first["tool_calls"][0]["result"], second["tool_calls"][0]["result"]) == ("1", "2")


def test_a_result_whose_call_was_trimmed_is_shown_without_args():
    assert only(result("a"), AIMessage("x"))["tool_calls"] == [call("a", result="ok")]
    assert only(ToolMessage("ok", tool_call_id="7"))["tool_calls"] == [
        {"tool": "unknown", "args": {}, "id": "7", "result": "ok"}
    ]


def test_a_function_message_is_a_result():
    message = only(FunctionMessage("ok", name="a"), AIMessage("x"))
    assert message["tool_calls"] == [{"tool": "a", "args": {}, "result": "ok"}]


def test_an_invalid_call_shows_its_text_as_an_error():
    invalid = {"name": "a", "args": "{oops", "id": "a", "error": "not JSON"}
    bare = {"name": None, "args": None, "id": None, "error": None}
    message = only(AIMessage("", invalid_tool_calls=[invalid, bare]), AIMessage("x"))
    assert message["tool_calls"] == [
        {"tool": "a", "args": {"_raw": "{oops"}, "id": "a", "result": "not JSON", "status": "error"},
        {"tool": "unknown", "args": {"_raw": ""}, "status": "error"},
    ]


def test_an_empty_answer_is_a_message():
    assert only(AIMessage("")) == {"role": "assistant", "content": ""}
    assert only(calls("a"), result("a"), AIMessage(""))["content"] == ""


def test_two_answers_in_a_row_stay_two():
    assert len(folded(AIMessage("From one agent"), AIMessage("From another"))) == 2


@pytest.mark.parametrize(
    ("message", "role"),
    [
        (HumanMessage("x"), "user"),
        (HumanMessageChunk(content="x"), "user"),
        (AIMessage("x"), "assistant"),
        (AIMessageChunk(content="x"), "assistant"),
        (SystemMessage("x"), "system"),
        (ChatMessage("x", role="user"), "user"),
        (ChatMessage("x", role="developer"), "system"),
        (ChatMessage("x", role="critic"), "assistant"),
    ],
)
def test_roles_are_the_three_documented_ones(message, role):
    assert only(message) == {"role": role, "content": "x"}


def test_chunks_with_calls_fold_like_whole_messages():
    chunk = AIMessageChunk(
        content="",
        tool_call_chunks=[{"name": "a", "args": "{}", "id": "a", "index": 0, "type": "tool_call_chunk"}],
    )
    assert only(chunk, result("a"))["tool_calls"] == [call("a", result="ok")]


def test_dicts_tuples_and_strings_are_messages_and_other_things_are_left_out():
    serialized = {"lc": 1, "type": "constructor", "id": ["x", "AIMessage"], "kwargs": {"content": "c"}}
    odd = [None, 3, {"a": 1}, ("nobody", "x"), b"ab", object(), RemoveMessage(id="1"), message_to_dict]
    messages = folded("a", ("ai", "b"), ["user", "d"], {"role": "user", "content": "e"}, serialized, *odd)
    assert [message["content"] for message in messages] == ["a", "b", "d", "e", "c"]


@pytest.mark.parametrize("alone", ["x", ("user", "x"), {"role": "user", "content": "x"}, HumanMessage("x")])
def test_a_channel_may_hold_one_message(alone):
    assert [message["content"] for message in fold(alone, timestamp=NOW)] == ["x"]


@pytest.mark.parametrize("nothing", [None, [], 3])
def test_no_messages_are_an_empty_transcript(nothing):
    assert fold(nothing, timestamp=NOW) == []


def test_what_the_user_did_not_type_is_left_out():
    summary = HumanMessage("Here is a summary", additional_kwargs={"lc_source": "summarization"})
    assert only(summary, HumanMessage("Go on")) == {"role": "user", "content": "Go on"}


def test_equal_messages_without_ids_have_ids_of_their_own():
    first, second = fold([HumanMessage("yes"), HumanMessage("yes")], timestamp=NOW)
    assert first["ids"] != second["ids"]
    assert fold([HumanMessage("yes")], timestamp=NOW) == [first]


def test_a_message_that_comes_again_takes_its_own_place():
    asked = calls("a", "b").model_copy(update={"id": "1"})
    revised = asked.model_copy(update={"tool_calls": [{**asked.tool_calls[0], "args": {"x": 2}}, asked.tool_calls[1]]})
    question = HumanMessage("yes", id="0")
    said = fold([question, asked, question.model_copy(update={"content": "no"}), revised, result("a")], timestamp=NOW)
    assert [message["content"] for message in said] == ["no", ""]
    assert [(call["args"], "result" in call) for call in said[1]["tool_calls"]] == [({"x": 2}, True), ({}, False)]


def test_equal_words_without_ids_are_two_messages():
    first, second = fold([HumanMessage("yes"), HumanMessage("yes")], timestamp=NOW)
    assert first["ids"] != second["ids"]


def test_two_calls_of_one_id_are_answered_in_order():
    one = {"name": "look", "args": {}, "id": "look:0"}
    results = [ToolMessage(text, tool_call_id="look:0") for text in ("first", "second")]
    (said,) = fold([AIMessage("", tool_calls=[one, one]), *results, AIMessage("done")], timestamp=NOW)
    assert [call["result"] for call in said["tool_calls"]] == ["first", "second"]


def test_what_a_supervisor_notes_for_itself_is_not_shown():
    note = AIMessage("Transferring back", response_metadata={"__is_handoff_back": True})
    assert [message["content"] for message in fold([HumanMessage("hi"), note], timestamp=NOW)] == ["hi"]


def test_folding_does_not_change_the_messages():
    messages = [calls("a", args={"x": [1.5]}), result("a"), AIMessage("x")]
    before = [message.model_copy(deep=True) for message in messages]
    fold(messages, timestamp=NOW)
    assert messages == before


# Content


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        (["a", "b"], "ab"),
        ([{"type": "text", "text": "a"}, {"type": "output_text", "text": "b"}, {"text": "c"}], "abc"),
        ([{"type": "reasoning", "reasoning": "hm"}, {"type": "thinking", "thinking": "hm"}, "a"], "a"),
        ([{"type": "tool_use", "id": "1", "name": "t", "input": {}}, {"type": "server_tool_call"}, "a"], "a"),
        ([{"type": "web_search_tool_result", "content": []}, {"type": "web_search_call"}, "a"], "a"),
        ([{"type": "refusal", "refusal": "No."}], "No."),
        ([{"type": "hologram"}], "[hologram]"),
        ([{"type": "non_standard", "value": {"type": "hologram"}}], "[hologram]"),
        ([{"type": "non_standard"}], ""),
        ([{}], "[block]"),
        ([{"type": ["odd"]}], "[['odd']]"),
        ([{"guardContent": {}}], ""),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        (["\ud800"], "\N{REPLACEMENT CHARACTER}"),
        ([], ""),
    ],
)
def test_text_is_taken_from_blocks(content, text):
    assert only(HumanMessage(content))["content"] == text


DATA = "A" * 16_000


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ({"type": "image", "base64": DATA, "mime_type": "image/png"}, "[image: image/png, 12 KB]"),
        (
            {"type": "image", "source_type": "base64", "data": "AAAA", "mime_type": "image/png"},
            "[image: image/png, 3 bytes]",
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": DATA}},
            "[image: image/gif, 12 KB]",
        ),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}},
            "[image: image/png, 12 KB]",
        ),
        (
            {"type": "image_url", "image_url": "https://b.example/x/cat.png?X-Signature=secret"},
            "[image: cat.png]",
        ),
        ({"type": "input_image", "image_url": "https://b.example"}, "[image]"),
        ({"type": "image", "url": "https://[broken"}, "[image]"),
        ({"type": "image", "file_id": "file-1"}, "[image]"),
        ({"image": {"format": "png", "source": {"bytes": b"abc"}}}, "[image: png, 3 bytes]"),
        (
            {"type": "input_audio", "input_audio": {"data": "A" * 4_000_000, "format": "wav"}},
            "[audio: wav, 2.9 MB]",
        ),
        ({"type": "video", "url": "s3://bucket/clip.mp4"}, "[video: clip.mp4]"),
        (
            {
                "type": "file",
                "file": {"filename": "report.pdf", "file_data": f"data:application/pdf;base64,{DATA}"},
            },
            "[file: report.pdf, application/pdf, 12 KB]",
        ),
        (
            {"type": "document", "title": "Plan", "source": {"type": "url", "url": "https://a.example/p"}},
            "[file: Plan]",
        ),
        ({"type": "media", "mime_type": "video/mp4", "file_uri": "gs://b/v"}, "[video: v, video/mp4]"),
    ],
)
def test_a_medium_leaves_a_few_words(block, text):
    assert only(HumanMessage([block]))["content"] == text


def test_a_description_stands_on_a_line_of_its_own():
    image = {"type": "image", "file_id": "1"}
    assert only(HumanMessage(["Look:", image, image, {"type": "thinking"}, "Nice"]))["content"] == (
        "Look:\n[image]\n[image]\nNice"
    )


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("text", "text"),
        ("12", "12"),
        ('{"a": [1]}', {"a": [1]}),
        (" [1, 0.5, null]", [1, Decimal("0.5"), None]),
        ("{not json}", "{not json}"),
        ("[1e99999999999999999999]", "[1e99999999999999999999]"),
        ('["' + "[" * 20 + '"]', ["[" * 20]),
        ("[" * 100_000, "[" * 100_000),
        ('{"a": NaN}', {"a": "NaN"}),
        ([{"type": "text", "text": '{"a": 1}'}], {"a": 1}),
        ([{"type": "text", "text": "a"}, {"type": "json", "json": {"b": 0.5}}], ["a", {"b": Decimal("0.5")}]),
        (
            [{"type": "image", "base64": "AAAA", "mime_type": "image/png"}, "x"],
            ["[image: image/png, 3 bytes]", "x"],
        ),
        ([{"file": "a.txt", "score": 1}], {"file": "a.txt", "score": 1}),
        ([{"type": ["odd"]}], {"type": ["odd"]}),
        ([], []),
    ],
)
def test_json_results_become_maps_and_lists(content, value):
    assert only(calls("a"), result("a", content))["tool_calls"][0]["result"] == value


# Adoption

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(-(10**38) + 1, 10**38 - 1) | st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=17
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | st.sampled_from(["[1]", '{"a": 1}', "null", "[", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS.filter(bool), inner, max_size=3),
    max_leaves=5,
)
CALLS = st.fixed_dictionaries(
    {"tool": TEXTS.filter(bool), "args": st.dictionaries(TEXTS.filter(bool), VALUES, max_size=2)},
    optional={"result": VALUES, "id": st.sampled_from(["a", "b"]), "status": st.just("error")},
)
TIMESTAMPS = st.sampled_from([NOW, "2026-01-01T00:00:00Z"])
STORED = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": TEXTS, "timestamp": TIMESTAMPS})
    | st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": TEXTS, "timestamp": TIMESTAMPS},
        optional={
            "tool_calls": st.lists(CALLS, max_size=3),
            "ids": st.sampled_from(["aaaaaaaa", "bbbbbbbb cccccccc"]),
        },
    ),
    max_size=5,
)


def rounded(value):
    """A value, its whole numbers of more than 64 bits as precise as a float: LangGraph's msgpack has no others."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    is_large = isinstance(value, int) and value.bit_length() > 63
    return int(Decimal(repr(float(value)))) if is_large else value


def meanings(messages):
    return [
        (
            message["role"],
            message["content"],
            [
                [(key, rounded(plain(made[key]))) for key in ("tool", "args", "result", "status") if key in made]
                for made in message.get("tool_calls", [])
            ],
        )
        for message in messages
    ]


@given(STORED)
@example([{"role": "assistant", "content": "", "timestamp": NOW, "tool_calls": [{"tool": "a", "args": {"b": 2**63}}]}])
def test_what_is_adopted_folds_back_into_the_same_messages(stored):
    assert meanings(fold(to_langchain(stored), timestamp=NOW)) == meanings(stored)


@given(STORED)
def test_adopting_twice_gives_equal_messages_with_ids_of_their_own(stored):
    adopted = to_langchain(stored)
    assert adopted == to_langchain(stored)
    assert len({message.id for message in adopted}) == len(adopted)


@given(STORED)
def test_adopted_ids_are_those_that_folding_gives(stored):
    ids = [message["ids"].split() for message in fold(to_langchain(stored), timestamp=NOW)]
    assert ids == adopted_ids(stored)


@given(STORED)
def test_adopted_calls_all_have_a_result_and_serialize(stored):
    adopted = to_langchain(stored)
    made_ids = [made["id"] for message in adopted for made in getattr(message, "tool_calls", [])]
    assert made_ids == [message.tool_call_id for message in adopted if isinstance(message, ToolMessage)]
    json.dumps([message.model_dump() for message in adopted])


def test_adopted_ids_are_what_they_were_in_every_release():
    # They are stored in the states of agents that adopted a row.
    made = [{"tool": "a"}, {"tool": "b", "result": "x"}, {"tool": "c", "result": [1], "id": "9"}]
    stored = [
        {"role": "user", "content": "Hi", "timestamp": NOW},
        {"role": "user", "content": "Hi", "timestamp": NOW},
        {"role": "assistant", "content": "Two.", "ids": "aaaaaaaa bbbbbbbb", "tool_calls": made},
    ]

    adopted = to_langchain(stored)

    assert [message.id for message in adopted] == [
        "conv-11a2a10601e98b42-0-m",
        "conv-11a2a10601e98b42-1-m",
        "conv-0d9da2938175e243-0-c",
        "conv-0d9da2938175e243-0-0n",
        "conv-0d9da2938175e243-0-1s",
        "conv-0d9da2938175e243-0-2j",
        "conv-0d9da2938175e243-0-m",
    ]
    assert [message.tool_call_id for message in adopted if isinstance(message, ToolMessage)] == [
        "call_0d9da2938175e243_0_0",
        "call_0d9da2938175e243_0_1",
        "9",
    ]
    assert adopted_ids(stored)[0] == [digest_of("conv-11a2a10601e98b42-0-m")] == ["31e6ce84"]


def test_an_adopted_answer_is_calls_then_results_then_text():
    stored = {
        "role": "assistant",
        "content": "Two.",
        "timestamp": NOW,
        "tool_calls": [{"tool": "search", "args": {"limit": Decimal(5)}, "result": {"hits": [Decimal("0.5")]}}],
    }
    calling, answering, text = to_langchain([stored])
    assert (calling.content, calling.tool_calls[0]["name"], calling.tool_calls[0]["args"]) == (
        "",
        "search",
        {"limit": 5},
    )
    assert (answering.content, answering.tool_call_id) == ('{"hits": [0.5]}', calling.tool_calls[0]["id"])
    assert text.content == "Two."


def test_an_adopted_pending_call_says_that_its_result_is_not_recorded():
    _, answered = to_langchain([{"role": "assistant", "content": "", "tool_calls": [{"tool": "a", "args": {}}]}])
    assert answered.content == NO_RESULT
    assert "result" not in only(*to_langchain([{"role": "assistant", "tool_calls": [{"tool": "a"}]}]))["tool_calls"][0]


def test_what_follows_an_adopted_answer_does_not_fold_into_it():
    adopted = to_langchain([{"role": "assistant", "content": "", "tool_calls": [{"tool": "a", "args": {}}]}])
    assert [message["content"] for message in folded(*adopted, AIMessage("new"))] == ["", "new"]


def test_messages_of_other_programs_are_adopted_as_far_as_they_can_be():
    stored = [
        {"role": "human", "content": None, "extra": 1},
        {"role": "bot", "content": {"a": Decimal(1)}, "tool_calls": "none"},
        {"role": "assistant", "tool_calls": [None, {"args": ["x"], "result": {b"ab"}}]},
        {},
    ]
    assert meanings(fold(to_langchain(stored), timestamp=NOW)) == [
        ("user", "", []),
        ("assistant", '{"a": 1}', []),
        ("assistant", "", [[("tool", "unknown"), ("args", {"_raw": ["x"]}), ("result", ["YWI="])]]),
        ("assistant", "", []),
    ]


def test_role_names_in_any_case_are_known():
    assert [role_of(name) for name in ("User", "HUMAN", "developer", "tool", None)] == [
        *("user", "user", "system", "assistant", "assistant")
    ]


# Real graphs


@tool
def search(query: str) -> dict:
    """Search."""
    if query == "bad":
        raise ValueError("no such index")
    return {"query": query, "score": 0.5}


class FakeModel(FakeMessagesListChatModel):
    def bind_tools(self, tools: Any, **options: Any) -> "FakeModel":
        return self


def asks(*queries: str) -> AIMessage:
    made = [{"name": "search", "args": {"query": query}, "id": f"call-{query}"} for query in queries]
    return AIMessage("", tool_calls=made)


def test_a_graph_with_a_tool_node_folds_into_questions_and_answers():
    model = FakeModel(responses=[asks("cats", "bad"), asks("dogs"), AIMessage("Found them.")])
    builder = StateGraph(MessagesState)
    builder.add_node("agent", lambda state: {"messages": [model.invoke(state["messages"])]})
    builder.add_node("tools", ToolNode([search], handle_tool_errors=True))
    builder.add_edge(START, "agent")
    builder.add_conditional_edges("agent", tools_condition, ["tools", END])
    builder.add_edge("tools", "agent")
    state = builder.compile().invoke({"messages": [("user", "Find pets")]})
    question, answer = folded(*state["messages"])
    assert (question["content"], answer["content"]) == ("Find pets", "Found them.")
    cats, bad, dogs = answer["tool_calls"]
    assert cats["result"] == {"query": "cats", "score": Decimal("0.5")}
    assert (bad["status"], "no such index" in bad["result"]) == ("error", True)
    assert dogs["args"] == {"query": "dogs"}


def test_the_summary_of_a_summarising_agent_is_not_in_the_transcript():
    model = FakeModel(responses=[AIMessage(f"Answer {number}") for number in range(9)])
    summarise = SummarizationMiddleware(
        FakeModel(responses=[AIMessage("They talked.")]), trigger=("messages", 4), keep=("messages", 2)
    )
    agent = create_agent(model, [search], middleware=[summarise])
    state: dict[str, Any] = {"messages": []}
    for number in range(4):
        state = agent.invoke({"messages": [*state["messages"], ("user", f"Question {number}")]})
    assert any("They talked." in str(message.content) for message in state["messages"])
    assert not any("They talked." in message["content"] for message in folded(*state["messages"]))


def test_the_forms_that_langgraph_takes_fold_alike():
    forms = [("user", "a"), {"role": "assistant", "content": "b"}]
    assert folded(*forms) == folded(*convert_to_messages(forms))
