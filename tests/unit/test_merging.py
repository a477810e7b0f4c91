"""A transcript reconciled with states that grow, are trimmed, summarised, edited and forked."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.graph.message import add_messages

from langgraph_dynamo_conv._format.attributes import size_of
from langgraph_dynamo_conv._transcript.fitting import DEFAULT_TITLE, newest_exchange, shorten, title_of
from langgraph_dynamo_conv._transcript.folding import fold
from langgraph_dynamo_conv._transcript.ids import digest_of
from langgraph_dynamo_conv._transcript.langchain import to_langchain
from langgraph_dynamo_conv._transcript.merging import fork_point, merge

THEN = "2026-01-02T03:04:05.678Z"
NOW = "2026-01-02T03:05:00.000Z"


def folded(*messages: BaseMessage, timestamp: str = NOW) -> list[dict[str, Any]]:
    return fold(list(messages), timestamp=timestamp)


def user(name: str, text: str | None = None) -> HumanMessage:
    return HumanMessage(text or f"text of {name}", id=name)


def answer(name: str, text: str | None = None) -> AIMessage:
    return AIMessage(text or f"text of {name}", id=name)


def asks(name: str, *calls: str, text: str = "") -> AIMessage:
    made = [{"name": "search", "args": {"query": call}, "id": call} for call in calls]
    return AIMessage(text, tool_calls=made, id=name)


def result(call: str, text: str = "found") -> ToolMessage:
    return ToolMessage(text, tool_call_id=call, name="search", id=f"result of {call}")


def contents(messages: list[dict[str, Any]]) -> list[str]:
    return [message["content"] for message in messages]


def meanings(messages: list[dict[str, Any]]) -> list[Any]:
    return [(message["role"], message["content"], message.get("tool_calls")) for message in messages]


def ids_in(messages: list[dict[str, Any]]) -> set[str]:
    return {name for message in messages for name in message.get("ids", "").split()}


QUESTION, ANSWER = user("q1"), answer("a1")
STORED = folded(QUESTION, ANSWER, timestamp=THEN)

# What another program wrote, with a key that this one does not know.
FOREIGN = [
    {"role": "user", "content": "Show renders", "timestamp": "2025-01-01T00:00:00Z", "rating": 5},
    {
        "role": "assistant",
        "content": "Two.",
        "timestamp": "2025-01-01T00:00:01Z",
        "tool_calls": [
            {
                "tool": "search",
                "args": {"limit": Decimal(2)},
                "result": {"score": Decimal("0.5")},
                "took": Decimal(3),
            }
        ],
    },
    {"role": "user", "content": "Thanks", "timestamp": "2025-01-01T00:00:02Z"},
    {"role": "assistant", "content": "Welcome", "timestamp": "2025-01-01T00:00:03Z"},
]

# Growing


def test_new_messages_follow_the_stored_ones_which_keep_their_timestamps():
    merged = merge(STORED, folded(QUESTION, ANSWER, user("q2")))
    assert merged[:2] == STORED
    assert [(message["content"], message["timestamp"]) for message in merged[2:]] == [("text of q2", NOW)]


def test_an_unchanged_message_is_the_same_object():
    merged = merge(STORED, folded(QUESTION, ANSWER))
    assert all(one is other for one, other in zip(merged, STORED, strict=True))


def test_a_pending_call_gets_its_result_and_then_its_text():
    pending = folded(QUESTION, asks("a1", "c"), timestamp=THEN)
    resumed = merge(pending, folded(QUESTION, asks("a1", "c"), result("c")))
    assert resumed[1]["tool_calls"][0]["result"] == "found"
    done = merge(resumed, folded(QUESTION, asks("a1", "c"), result("c"), answer("a2")))
    assert (len(done), done[1]["content"], done[1]["timestamp"]) == (2, "text of a2", THEN)


def test_an_edited_message_is_updated_in_its_place():
    merged = merge(STORED, folded(user("q1", "Edited"), ANSWER))
    assert contents(merged) == ["Edited", "text of a1"]
    assert merged[0]["timestamp"] == THEN


def test_an_edited_result_is_updated():
    stored = folded(asks("a1", "c"), result("c"), answer("a2"), timestamp=THEN)
    merged = merge(stored, folded(asks("a1", "c"), result("c", "other"), answer("a2")))
    assert merged[0]["tool_calls"][0]["result"] == "other"


def test_text_added_to_a_message_with_calls_makes_two_answers_of_one():
    stored = folded(asks("a1", "c"), result("c"), answer("a2"), timestamp=THEN)
    merged = merge(stored, folded(asks("a1", "c", text="Wait"), result("c"), answer("a2")))
    assert contents(merged) == ["Wait", "text of a2"]


def test_answers_that_became_one_are_one():
    stored = folded(asks("a1", "c"), result("c"), QUESTION, answer("a2"), timestamp=THEN)
    merged = merge(stored, folded(asks("a1", "c"), result("c"), answer("a2")))
    assert contents(merged) == ["text of q1", "text of a2"]
    assert ids_in(merged) == ids_in(stored)


def test_a_message_stored_twice_is_mended():
    assert contents(merge([*STORED, STORED[1]], folded(QUESTION, ANSWER))) == contents(STORED)


def test_a_message_without_text_that_joins_an_answer_is_remembered():
    stored = folded(asks("a1", "c"), result("c"), timestamp=THEN)
    merged = merge(stored, folded(asks("a1", "c"), result("c"), AIMessage("", id="a2")))
    assert ids_in(merged) == ids_in(stored) | {digest_of("a2")}


# Trimming and summarising


@pytest.mark.parametrize(
    "state",
    [
        [],
        [ANSWER],
        [HumanMessage("Summary: they talked", id="s"), ANSWER],
        [SystemMessage("Summary: they talked", id="s"), QUESTION, ANSWER],
    ],
    ids=["all removed", "trimmed", "summarised", "a system message in front"],
)
def test_a_trimmed_or_summarised_state_changes_nothing(state):
    assert merge(STORED, folded(*state)) == STORED


def test_what_a_state_says_after_it_was_emptied_is_appended():
    assert contents(merge(STORED, folded(user("q2")))) == [*contents(STORED), "text of q2"]


def test_an_answer_keeps_the_calls_that_were_trimmed_from_the_state():
    stored = folded(asks("a1", "b", "c"), result("b"), result("c"), answer("a2"), timestamp=THEN)
    assert merge(stored, folded(answer("a2"))) == stored


def test_an_answer_whose_beginning_was_trimmed_is_completed():
    stored = folded(asks("a1", "b", "c"), result("b"), timestamp=THEN)
    state = folded(result("b"), result("c"), asks("a2", "d"), result("d"), answer("a3"))
    (merged,) = merge(stored, state)
    assert merged["content"] == "text of a3"
    assert [(call["args"]["query"], call["result"]) for call in merged["tool_calls"]] == [
        ("b", "found"),
        ("c", "found"),
        ("d", "found"),
    ]


def test_an_answer_without_calls_is_completed_too():
    stored = [{**STORED[1], "content": "Part", "ids": "aaaaaaaa bbbbbbbb"}]
    (merged,) = merge(stored, [{**STORED[1], "content": "", "ids": "bbbbbbbb cccccccc"}])
    assert (merged["content"], merged["ids"]) == ("Part", "aaaaaaaa bbbbbbbb cccccccc")


def test_two_answers_that_a_trimmed_state_takes_for_one_both_keep_their_text():
    stored = folded(asks("a1", "c", text="Looking"), result("c"), timestamp=THEN)
    (merged,) = merge(stored, folded(result("c"), answer("a2")))
    assert merged["content"] == "Looking\n\ntext of a2"


def test_older_messages_than_the_stored_tail_are_not_added_again():
    state = folded(user("q0"), answer("a0"), QUESTION, ANSWER, user("q2"))
    assert contents(merge(STORED, state)) == [*contents(STORED), "text of q2"]


# Other programs


def test_an_adopted_chat_that_goes_on_keeps_its_messages_as_they_were():
    adopted = to_langchain(FOREIGN)
    assert merge(FOREIGN, folded(*adopted)) == FOREIGN
    merged = merge(FOREIGN, folded(*adopted, QUESTION, ANSWER))
    assert merged[:4] == FOREIGN
    assert merge(merged, folded(*adopted, QUESTION, ANSWER, user("q2")))[:6] == merged


def test_an_adopted_message_that_is_edited_is_updated_and_known_again():
    adopted = to_langchain(FOREIGN)
    state = add_messages(adopted, [HumanMessage("Show videos", id=adopted[0].id)])
    merged = merge(FOREIGN, folded(*state))
    assert (merged[0]["content"], merged[0]["rating"]) == ("Show videos", 5)
    assert merged[0]["timestamp"] == FOREIGN[0]["timestamp"]
    assert merge(merged, folded(*state, QUESTION))[:4] == merged


def test_an_own_chat_that_is_adopted_again_keeps_its_messages():
    stored = folded(QUESTION, asks("a1", "c"), result("c"), answer("a2"), timestamp=THEN)
    adopted = to_langchain(stored)
    merged = merge(stored, folded(*adopted, user("q2")))
    assert (merged[:2], contents(merged[2:])) == (stored, ["text of q2"])
    edited = add_messages(adopted, [HumanMessage("Edited", id=adopted[0].id)])
    assert contents(merge(stored, folded(*edited))) == ["Edited", "text of a2"]


def test_a_shortened_message_is_known_again_after_adoption():
    stored = [{**FOREIGN[0], "content": "long " * 1000}, FOREIGN[1]]
    adopted = to_langchain(stored)
    merged = merge([shorten(stored[0], 500), FOREIGN[1]], folded(*adopted, QUESTION))
    assert contents(merged) == ["long " * 1000, "Two.", "text of q1"]
    assert "shortened" not in merged[0]
    assert merged[0]["rating"] == 5


def test_a_result_written_for_an_adopted_pending_call_stays():
    pending = [{"role": "assistant", "content": "", "timestamp": THEN, "tool_calls": [{"tool": "a", "args": {}}]}]
    answered = [{**pending[0], "tool_calls": [{"tool": "a", "args": {}, "result": "yes"}]}]
    assert merge(answered, folded(*to_langchain(pending))) == answered


def test_a_late_result_for_an_adopted_pending_call_is_added():
    stored = [{"role": "assistant", "content": "", "timestamp": THEN, "tool_calls": [{"tool": "a", "args": {}}]}]
    adopted = to_langchain(stored)
    late = ToolMessage("yes", tool_call_id=adopted[-1].tool_call_id, id="late")
    merged = merge(stored, folded(*adopted, late))
    assert merged[0]["tool_calls"] == [{"tool": "a", "args": {}, "result": "yes"}]
    assert merge(merged, folded(*adopted, late)) == merged


def test_a_row_of_another_program_with_the_same_chat_is_recognised_by_what_it_says():
    state = [user("q1", "Show renders"), answer("a1", "Two."), user("q2", "Thanks"), user("q3")]
    merged = merge(FOREIGN, folded(*state))
    assert (merged[:4], contents(merged[4:])) == (FOREIGN, ["text of q3"])
    assert merge(merged, folded(*state)) == merged


def test_a_row_of_another_program_with_another_chat_is_kept():
    merged = merge(FOREIGN, folded(QUESTION))
    assert (merged[:4], contents(merged[4:])) == (FOREIGN, ["text of q1"])


def test_a_message_written_by_another_program_between_stays_where_it_is():
    note = {"role": "system", "content": "A person took over", "timestamp": THEN, "by": "console"}
    merged = merge([STORED[0], note, STORED[1]], folded(QUESTION, ANSWER, user("q2")))
    assert merged[:3] == [STORED[0], note, STORED[1]]


def test_keys_of_other_programs_survive_an_update():
    stored = [{**STORED[0], "rating": 5}, STORED[1]]
    assert merge(stored, folded(user("q1", "Edited"), ANSWER))[0]["rating"] == 5


def test_a_message_of_another_program_may_lack_a_timestamp():
    stored = [{"role": "user", "content": "x"}]
    (adopted,) = to_langchain(stored)
    assert merge(stored, folded(adopted)) == stored
    assert merge(stored, folded(HumanMessage("y", id=adopted.id)))[0]["timestamp"] == NOW


# Forks


def test_a_fork_drops_what_followed_its_point():
    stored = merge(STORED, folded(QUESTION, ANSWER, user("q2"), answer("a2")))
    state = folded(QUESTION, ANSWER, user("q3"))
    merged = merge(stored, state, forked_from=folded(QUESTION, ANSWER))
    assert contents(merged) == ["text of q1", "text of a1", "text of q3"]
    assert merged[:2] == STORED


def test_a_fork_inside_an_answer_takes_back_its_results_and_text():
    stored = folded(QUESTION, asks("a1", "c"), result("c"), answer("a2"), timestamp=THEN)
    point = folded(QUESTION, asks("a1", "c"))
    merged = merge(
        stored,
        folded(QUESTION, asks("a1", "c"), ToolMessage("no", tool_call_id="c", id="r2")),
        forked_from=point,
    )
    assert meanings(merged)[1] == (
        "assistant",
        "",
        [{"tool": "search", "args": {"query": "c"}, "id": "c", "result": "no"}],
    )
    assert merged[1]["timestamp"] == THEN


def test_a_fork_that_edits_its_point_updates_it():
    merged = merge(STORED, folded(user("q1", "Edited")), forked_from=folded(QUESTION))
    assert contents(merged) == ["Edited"]


def test_a_fork_of_a_trimmed_state_keeps_what_was_trimmed():
    stored = folded(QUESTION, asks("a1", "c"), result("c"), answer("a2"), user("q2"), timestamp=THEN)
    merged = merge(stored, folded(answer("a2"), user("q3")), forked_from=folded(answer("a2")))
    assert (merged[:2], contents(merged[2:])) == (stored[:2], ["text of q3"])


def test_a_fork_from_the_very_start_keeps_what_other_programs_wrote():
    assert contents(merge([*FOREIGN, *STORED], folded(user("q2")), forked_from=[])) == [
        *contents(FOREIGN),
        "text of q2",
    ]


def test_a_fork_of_an_adopted_chat_keeps_its_messages_up_to_the_point():
    adopted = to_langchain(FOREIGN)
    stored = merge(FOREIGN, folded(*adopted, QUESTION, ANSWER))
    assert merge(stored, folded(*adopted, user("q2")), forked_from=folded(*adopted))[:4] == FOREIGN


def test_a_fork_of_another_programs_chat_is_found_by_what_it_says():
    point = [user("q1", "Show renders")]
    merged = merge(FOREIGN, folded(*point, answer("a9")), forked_from=folded(*point))
    assert (merged[:1], contents(merged[1:])) == (FOREIGN[:1], ["text of a9"])


def test_a_fork_point_older_than_what_is_at_hand_is_reported_and_drops_nothing():
    assert fork_point(STORED, folded(user("q0"))) is None
    assert fork_point(STORED, []) is None
    assert fork_point(STORED, folded(QUESTION)) == 1
    assert merge(STORED, folded(user("q0"), user("q2")), forked_from=folded(user("q0")))[:2] == STORED


# Properties over dialogues with tools

TURNS = st.lists(
    st.tuples(
        st.sampled_from(["user", "system", None]),
        st.lists(st.tuples(st.integers(1, 2), st.booleans()), max_size=2),
        st.booleans(),
    ),
    max_size=4,
)


def dialogue(turns: list[Any]) -> list[BaseMessage]:
    """Messages m0, m1, … of turns: who speaks, rounds of (parallel calls, with text), an answer or not."""
    messages: list[BaseMessage] = []

    def name() -> str:
        return f"m{len(messages)}"

    for speaker, rounds, answered in turns:
        if speaker:
            messages.append(user(name()) if speaker == "user" else SystemMessage("Rules", id=name()))
        for count, with_text in rounds:
            calls = [f"{name()}-{number}" for number in range(count)]
            messages.append(asks(name(), *calls, text=f"text of {name()}" if with_text else ""))
            messages.extend(result(call) for call in calls)
        if answered:
            messages.append(answer(name()))
    return messages


DIALOGUES = TURNS.map(dialogue)


@st.composite
def transcripts_and_states(draw):
    """A transcript of some states of a dialogue, and one more state of it; each any part of the dialogue."""
    messages = draw(DIALOGUES)
    parts = st.lists(st.booleans(), min_size=len(messages), max_size=len(messages))
    stored = draw(st.sampled_from([[], FOREIGN[:2]]))
    for _ in range(draw(st.integers(0, 3))):
        chosen = draw(parts)
        stored = merge(stored, folded(*(m for m, take in zip(messages, chosen, strict=True) if take), timestamp=THEN))
    chosen = draw(parts)
    return stored, folded(*(m for m, take in zip(messages, chosen, strict=True) if take))


@given(transcripts_and_states())
def test_merging_the_same_state_again_changes_nothing(case):
    stored, state = case
    once = merge(stored, state)
    assert merge(once, state) == once


@given(transcripts_and_states())
def test_no_stored_message_is_ever_lost(case):
    stored, state = case
    merged = merge(stored, state)
    assert ids_in(stored) <= ids_in(merged)
    assert [message for message in merged if "ids" not in message] == [m for m in stored if "ids" not in m]


@given(transcripts_and_states())
def test_no_stored_text_is_ever_lost(case):
    stored, state = case
    before, after = ("\n\n".join(contents(messages)).split("\n\n") for messages in (stored, merge(stored, state)))
    assert set(before) <= {*after, ""}


@given(transcripts_and_states())
def test_new_messages_come_last_and_in_their_order(case):
    stored, state = case
    merged = merge(stored, state)
    new = [message for message in state if not ids_in([message]) & ids_in(stored)]
    added = [message for message in merged if message in new]
    assert added == (merged[-len(added) :] if added else [])
    assert [message for message in new if message in added] == added


@given(DIALOGUES, st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30)), max_size=6))
def test_an_agent_that_trims_has_the_transcript_of_one_that_does_not(messages, states):
    stored: list[dict[str, Any]] = []
    seen = 0
    for first, step in [*states, (0, len(messages))]:
        # What agents and providers ask of a trimmed state: it goes on from the last message, and the first
        # message in it does not answer a call.
        start = min(first, max(seen - 1, 0))
        while start and isinstance(messages[start], ToolMessage):
            start -= 1
        seen = min(seen + step, len(messages))
        stored = merge(stored, folded(*messages[start:seen]))
    assert meanings(stored) == meanings(folded(*messages))


@given(DIALOGUES, st.integers(0, 30), st.integers(0, 30))
def test_a_fork_has_the_transcript_of_its_own_branch(messages, at, length):
    point = messages[:at]
    branch = [*point, *(m.model_copy(update={"id": f"{m.id}'"}) for m in messages[at : at + length])]
    stored = merge([], folded(*messages, timestamp=THEN))
    merged = merge(stored, folded(*branch), forked_from=folded(*point))
    assert meanings(merged) == meanings(folded(*branch))


# Titles


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Show me\n  renders ", "Show me renders"),
        ("x" * 20, "x" * 20),
        ("Show me the renders", "Show me the renders"),
        ("Show me the renders of May", "Show me the renders…"),
        ("Show me the renderings of May", "Show me the…"),
        ("Show me the four cats", "Show me the four…"),
        ("x" * 21, "x" * 19 + "…"),
        ("", DEFAULT_TITLE),
        (" \n", DEFAULT_TITLE),
        (None, DEFAULT_TITLE),
    ],
)
def test_a_title_is_the_text_cut_at_a_word(text, title):
    assert title_of({"role": "user", "content": text}, limit=20) == title


def test_a_conversation_in_which_the_user_has_said_nothing_has_the_default_title():
    assert title_of(None) == DEFAULT_TITLE


@given(st.text(), st.integers(2, 40))
def test_a_title_is_one_line_within_the_limit(text, limit):
    title = title_of({"role": "user", "content": text}, limit=limit)
    assert title == DEFAULT_TITLE or len(title) <= limit
    assert "\n" not in title


# The row's size


def message_of(size: int) -> dict[str, Any]:
    return {"role": "user", "content": "x" * size, "timestamp": NOW}


def test_the_newest_exchange_begins_with_the_newest_message_of_the_user():
    messages = folded(user("1"), answer("2"), user("3"), answer("4"), answer("5"))
    assert newest_exchange(messages, 10_000) == 2
    assert newest_exchange(messages[:3], 10_000) == 2
    assert newest_exchange(folded(answer("1"), answer("2")), 10_000) == 0
    assert newest_exchange([], 10_000) == 0


@given(st.lists(st.integers(0, 300).map(message_of), min_size=1), st.integers(0, 2000))
def test_of_a_large_exchange_the_newest_messages_that_fit_are_kept(messages, max_bytes):
    exchange = [{**messages[0], "role": "user"}, *({**one, "role": "assistant"} for one in messages[1:])]
    start = newest_exchange(exchange, max_bytes)
    assert size_of(exchange[start:]) <= max_bytes or start == len(exchange) - 1
    assert start == 0 or size_of(exchange[start - 1 :]) > max_bytes


def test_a_message_that_fits_is_not_copied():
    message = message_of(10)
    assert shorten(message, 1000) is message


LARGE = {
    "role": "assistant",
    "content": "Found. " * 10,
    "timestamp": NOW,
    "ids": "aaaaaaaa bbbbbbbb",
    "tool_calls": [
        {"tool": "read", "args": {"path": "a.txt"}, "id": "1", "result": "x" * 300_000, "status": "error"},
        {"tool": "list", "args": {}, "id": "2", "result": {"rows": [Decimal(n) for n in range(10_000)]}},
        {"tool": "note", "args": {f"key{n}": True for n in range(900)}, "id": "3"},
        None,
    ],
}


def test_the_largest_values_are_cut_first_and_say_so():
    short = shorten(LARGE, 4096)
    assert 3500 < size_of(short) <= 4096
    assert short["shortened"] is True
    read, rows, note, _ = short["tool_calls"]
    assert read["result"].endswith(f"… [{300_000 - read['result'].index('…')} characters more]")
    assert rows["result"]["rows"][-1] == f"… [{10_001 - len(rows['result']['rows'])} more]"
    assert note["args"]["…"].endswith(" more]")
    unchanged = [(key, short[key]) for key in ("role", "content", "timestamp", "ids")]
    assert unchanged == [(key, LARGE[key]) for key in ("role", "content", "timestamp", "ids")]
    assert [(call["tool"], call["id"]) for call in (read, rows, note)] == [
        ("read", "1"),
        ("list", "2"),
        ("note", "3"),
    ]


def test_shortening_does_not_change_the_message():
    before = repr(LARGE)
    shorten(LARGE, 1000)
    assert repr(LARGE) == before


def test_a_message_of_very_many_calls_shows_the_first_ones():
    calls = [{"tool": "a", "args": {}, "id": str(n), "result": "ok"} for n in range(5000)]
    short = shorten({**LARGE, "tool_calls": calls}, 4096)
    assert size_of(short) <= 4096
    assert short["tool_calls"] == calls[: len(short["tool_calls"])] != []


def test_a_limit_too_small_for_any_message_leaves_the_least():
    short = shorten({**LARGE, "tool_calls": "odd", "content": "y" * 500, "binary": b"ab"}, 1)
    assert (short["role"], short["ids"]) == ("assistant", "aaaaaaaa bbbbbbbb")
    assert short["content"] == "y" * 40 + "… [460 characters more]"


def test_a_message_of_another_program_without_content_is_shortened_too():
    assert shorten({"role": "user", "note": "x" * 1000}, 100)["note"].endswith("characters more]")


@given(st.text(max_size=3000), st.lists(st.text(max_size=300), max_size=30), st.integers(300, 5000))
def test_a_shortened_message_fits(text, lines, max_bytes):
    message = {"role": "assistant", "content": text, "timestamp": NOW}
    message["tool_calls"] = [{"tool": "a", "args": {}, "result": lines}]
    assert size_of(shorten(message, max_bytes)) <= max_bytes
