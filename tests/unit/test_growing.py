"""A transcript that grows by what states say: they grow, are trimmed, summarised, edited and forked."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.graph.message import add_messages

from langgraph_dynamo_conv._transcript.differences import Said, difference
from langgraph_dynamo_conv._transcript.fitting import shorten
from langgraph_dynamo_conv._transcript.folding import fold
from langgraph_dynamo_conv._transcript.growing import before_fork, fork_point, grow
from langgraph_dynamo_conv._transcript.ids import digest_of
from langgraph_dynamo_conv._transcript.langchain import to_langchain

THEN = "2026-01-02T03:04:05.678Z"
NOW = "2026-01-02T03:05:00.000Z"

Stored = list[dict[str, Any]]


def said(*states: Sequence[BaseMessage]) -> list[Said]:
    """What states say, one after the other, that the first of them does not."""
    return [
        one
        for number, (old, new) in enumerate(pairwise(states))
        for one in difference(old, new, key=repr, load=list, origin=f"c{number}")
    ]


def after(stored: Stored, *states: Sequence[BaseMessage], timestamp: str = NOW) -> Stored:
    """A transcript that shows the first of these states, when it shows the last."""
    return grow(stored, said(*states), timestamp=timestamp).messages


def transcript(*messages: BaseMessage, timestamp: str = THEN) -> Stored:
    return after([], [], messages, timestamp=timestamp)


def user(name: str, text: str | None = None) -> HumanMessage:
    return HumanMessage(text or f"text of {name}", id=name)


def answer(name: str, text: str | None = None) -> AIMessage:
    return AIMessage(text or f"text of {name}", id=name)


def asks(name: str, *calls: str, text: str = "") -> AIMessage:
    made = [{"name": "search", "args": {"query": call}, "id": call} for call in calls]
    return AIMessage(text, tool_calls=made, id=name)


def result(call: str, text: str = "found") -> ToolMessage:
    return ToolMessage(text, tool_call_id=call, name="search", id=f"result of {call}")


def contents(messages: Stored) -> list[str]:
    return [message["content"] for message in messages]


def meanings(messages: Stored) -> list[Any]:
    return [(message["role"], message["content"], message.get("tool_calls")) for message in messages]


def ids_in(messages: Stored) -> set[str]:
    return {name for message in messages for name in message.get("ids", "").split()}


QUESTION, ANSWER = user("q1"), answer("a1")
STATE = [QUESTION, ANSWER]
STORED = transcript(QUESTION, ANSWER)

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
    grown = after(STORED, STATE, [*STATE, user("q2")])
    assert grown[:2] == STORED
    assert [(message["content"], message["timestamp"]) for message in grown[2:]] == [("text of q2", NOW)]


def test_an_unchanged_message_is_the_same_object():
    grown = after(STORED, [], STATE)
    assert all(one is other for one, other in zip(grown, STORED, strict=True))


def test_a_pending_call_gets_its_result_and_then_its_text():
    asked = [QUESTION, asks("a1", "c")]
    resumed = after(transcript(*asked), asked, [*asked, result("c")])
    assert resumed[1]["tool_calls"][0]["result"] == "found"
    done = after(resumed, [*asked, result("c")], [*asked, result("c"), answer("a2")])
    assert (len(done), done[1]["content"], done[1]["timestamp"]) == (2, "text of a2", THEN)


def test_a_result_finds_its_call_though_the_agent_has_cut_it():
    asked = [QUESTION, asks("a1", "c")]
    (_, answered) = after(transcript(*asked), asked, [result("c")], [result("c"), answer("a2")])
    assert answered["tool_calls"] == [{"tool": "search", "args": {"query": "c"}, "id": "c", "result": "found"}]
    assert answered["content"] == "text of a2"


def test_an_answer_that_another_run_has_parted_from_its_calls_finds_them_by_what_was_said_before():
    asked = [QUESTION, asks("a1", "c")]
    stored = after(transcript(*asked), [], [user("q2")])
    grown = after(stored, [], [*asked, result("c"), answer("a2")])
    assert contents(grown) == ["text of q1", "text of a2", "text of q2"]


def test_a_result_of_a_run_at_once_is_that_of_its_own_call_though_another_run_has_one_of_that_id():
    own, other = [QUESTION, asks("a1", "c")], [user("q2"), asks("a2", "c")]
    stored = after(transcript(*own), [], other)
    grown = grow(stored, said([], [result("c")]), timestamp=NOW, after=own[-1]).messages
    assert [call.get("result") for message in grown for call in message.get("tool_calls", ())] == ["found", None]


def test_an_edited_result_is_that_of_the_call_that_it_was_of():
    two = ToolMessage("two", tool_call_id="c", id="r2")
    first = [QUESTION, asks("a1", "c"), result("c", "one"), asks("a2", "c"), two]
    edited = ToolMessage("two, edited", tool_call_id="c", id="r2")
    (_, answered) = after(transcript(*first), first, [*first[:-1], edited])
    assert [call["result"] for call in answered["tool_calls"]] == ["one", "two, edited"]


def test_a_result_that_is_given_back_already_is_not_that_of_another_call_of_its_id():
    results = [ToolMessage(text, tool_call_id="c", name="search", id=text) for text in ("one", "two")]
    stored = transcript(user("q"), asks("a", "c", "c"), *results)
    was = ToolMessage("changed", tool_call_id="c", name="search", id="one")
    told = grow(stored, [Said(results[0], was, False)], timestamp=NOW).messages
    assert [call["result"] for call in told[-1]["tool_calls"]] == ["one", "two"]


def test_a_second_result_of_a_call_may_be_that_of_an_older_one():
    state = [QUESTION, asks("a1", "c"), result("c")]
    again = Said(ToolMessage("again", tool_call_id="c", id="r9"))
    assert not grow(transcript(*state), [again], timestamp=NOW).is_complete


def test_a_question_that_is_seen_after_its_answer_stands_before_it():
    stored = transcript(user("0"), answer("to 0"), user("next"), answer("to next"), answer("to beside"))
    state = [user("next"), user("beside"), answer("to next"), answer("to beside"), user("later")]
    grown = grow(stored, [Said(message) for message in state], timestamp=NOW, at_once=True)
    shown = ["0", "to 0", "next", "beside", "to next", "to beside", "later"]
    assert [message["content"] for message in grown.messages] == [f"text of {name}" for name in shown]
    assert [message["timestamp"] for message in grown.messages] == [THEN] * 6 + [NOW]
    assert not grown.is_complete, "it may belong among older messages"


MANY = [f"{number}" for number in range(30)]


@pytest.mark.parametrize(
    ("at_once", "state"),
    [
        (False, ["new", "28", "29"]),
        (True, ["29", "new", "28"]),
        (True, ["new", "3", "29"]),
    ],
    ids=["no run beside", "after the last that is known", "far from the end"],
)
def test_a_new_question_is_the_last_message_but_beside_a_run_near_the_end(at_once: bool, state: list[str]) -> None:
    stored = transcript(*map(user, MANY))
    grown = grow(stored, [Said(user(name)) for name in state], timestamp=NOW, at_once=at_once)
    assert [message["content"] for message in grown.messages] == [f"text of {name}" for name in [*MANY, "new"]]


def test_what_may_be_an_older_message_is_looked_for_among_them():
    assert not grow(STORED, [Said(user("q0"), may_be_old=True)], timestamp=NOW).is_complete
    assert grow(STORED, [Said(user("q1", "Edited"), may_be_old=True)], timestamp=NOW).is_complete


def test_a_step_that_changes_a_question_does_not_part_its_answer():
    asked = [QUESTION, asks("a1", "c"), result("c")]
    grown = grow(transcript(*asked), [Said(user("q1", "Edited")), Said(answer("a2"))], timestamp=NOW).messages
    assert contents(grown) == ["Edited", "text of a2"]


def test_a_result_of_a_call_that_a_shortened_message_does_not_show_finds_it():
    (_, whole) = transcript(QUESTION, asks("a1", *(f"c{number}" for number in range(40))))
    short = shorten(whole, 700)
    assert len(short["tool_calls"]) < 40
    grown = grow([short], said([], [result("c39")]), timestamp=NOW, whole=lambda _: whole).messages
    assert [call["id"] for call in grown[0]["tool_calls"] if "result" in call] == ["c39"]


@pytest.mark.parametrize("message", [user("q1", "Edited"), HumanMessage("Edited", id="q1", name="x")])
def test_an_edited_message_is_updated_in_its_place(message):
    grown = after(STORED, STATE, [message, ANSWER])
    assert contents(grown) == ["Edited", "text of a1"]
    assert grown[0]["timestamp"] == THEN


def test_a_message_that_was_emptied_is_empty():
    assert contents(after(STORED, STATE, [HumanMessage("", id="q1"), ANSWER])) == ["", "text of a1"]


def test_an_edited_call_and_its_edited_result_are_updated():
    state = [asks("a1", "c"), result("c"), answer("a2")]
    call = {**state[0].tool_calls[0], "args": {"query": "other"}}
    edited = [AIMessage("", tool_calls=[call], id="a1"), result("c", "nothing"), answer("a2")]
    (grown,) = after(transcript(*state), state, edited)
    assert grown["tool_calls"] == [{"tool": "search", "args": {"query": "other"}, "id": "c", "result": "nothing"}]


def test_an_edit_of_a_message_that_is_not_at_hand_is_reported():
    grown = grow(STORED, said([user("q0")], [user("q0", "Edited")]), timestamp=NOW)
    assert (grown.messages, grown.is_complete) == (STORED, False)


def test_a_message_without_text_that_joins_an_answer_is_remembered():
    state = [asks("a1", "c"), result("c")]
    grown = after(transcript(*state), state, [*state, AIMessage("", id="a2")])
    assert ids_in(grown) == ids_in(transcript(*state)) | {digest_of("a2")}


def test_a_message_that_gets_an_id_is_the_same():
    stored = after([], [], [HumanMessage("yes"), HumanMessage("yes")], timestamp=THEN)
    named = [HumanMessage("yes", id="1"), HumanMessage("yes", id="2")]
    grown = after(stored, [HumanMessage("yes"), HumanMessage("yes")], named)
    assert contents(grown) == ["yes", "yes"]
    assert digest_of("2") in grown[1]["ids"]


# Trimming and summarising


@pytest.mark.parametrize(
    "state",
    [
        [],
        [ANSWER],
        [HumanMessage("Summary: they talked", id="s"), ANSWER],
        [SystemMessage("Summary: they talked", id="s"), QUESTION, ANSWER],
        [HumanMessage("Summary: they talked"), ANSWER],
    ],
    ids=["all removed", "trimmed", "summarised", "a system message in front", "a summary without an id"],
)
def test_a_trimmed_or_summarised_state_changes_nothing(state):
    assert after(STORED, STATE, state) == STORED


def test_a_summary_of_what_stood_between_is_no_message():
    state = [SystemMessage("Rules", id="s"), *STATE, user("q2")]
    assert after([], [], state, [state[0], HumanMessage("Summary", id="sum"), state[3]]) == after([], [], state)


def test_what_comes_before_a_reminder_that_stays_last_is_said():
    reminder = SystemMessage("Be kind", id="r")
    grown = after([], [], [QUESTION, reminder], [QUESTION, ANSWER, reminder])
    assert contents(grown) == ["text of q1", "Be kind", "text of a1"]


def test_what_a_state_says_after_it_was_emptied_is_appended():
    assert contents(after(STORED, STATE, [], [user("q2")])) == [*contents(STORED), "text of q2"]


def test_older_messages_than_the_stored_tail_are_not_added_again():
    state = [user("q0"), answer("a0"), *STATE]
    assert contents(after(STORED, state, [*state, user("q2")])) == [*contents(STORED), "text of q2"]


# Other programs


def test_an_adopted_chat_that_goes_on_keeps_its_messages_as_they_were():
    adopted = to_langchain(FOREIGN)
    assert after(FOREIGN, [], adopted) == FOREIGN
    grown = after(FOREIGN, adopted, [*adopted, *STATE])
    assert grown[:4] == FOREIGN
    assert after(grown, [], [*adopted, *STATE, user("q2")])[:6] == grown


def test_an_adopted_message_that_is_edited_is_updated_and_known_again():
    adopted = to_langchain(FOREIGN)
    state = add_messages(adopted, [HumanMessage("Show videos", id=adopted[0].id)])
    grown = after(FOREIGN, adopted, state)
    assert (grown[0]["content"], grown[0]["rating"]) == ("Show videos", 5)
    assert grown[0]["timestamp"] == FOREIGN[0]["timestamp"]
    assert after(grown, [], [*state, QUESTION])[:4] == grown


def test_an_own_chat_that_is_adopted_again_keeps_its_messages():
    stored = transcript(QUESTION, asks("a1", "c"), result("c"), answer("a2"))
    adopted = to_langchain(stored)
    grown = after(stored, [], [*adopted, user("q2")])
    assert (grown[:2], contents(grown[2:])) == (stored, ["text of q2"])
    edited = add_messages(adopted, [HumanMessage("Edited", id=adopted[0].id)])
    assert contents(after(stored, adopted, edited)) == ["Edited", "text of a2"]


def test_a_shortened_message_is_looked_into_whole():
    stored = [{**FOREIGN[0], "content": "long " * 1000}, FOREIGN[1]]
    adopted = to_langchain(stored)
    short = [shorten(stored[0], 500), FOREIGN[1]]

    def whole(message: dict[str, Any]) -> dict[str, Any]:
        return stored[0] if "shortened" in message else message

    same = grow(short, said([], [*adopted, QUESTION]), timestamp=NOW, whole=whole)
    assert same.messages[0] is short[0]
    edited = add_messages(adopted, [HumanMessage("Edited", id=adopted[0].id)])
    grown = grow(short, said(adopted, edited), timestamp=NOW, whole=whole).messages
    assert (grown[0]["content"], grown[0]["rating"], "shortened" in grown[0]) == ("Edited", 5, False)


def test_a_result_written_for_an_adopted_pending_call_stays():
    pending = [{"role": "assistant", "content": "", "timestamp": THEN, "tool_calls": [{"tool": "a", "args": {}}]}]
    answered = [{**pending[0], "tool_calls": [{"tool": "a", "args": {}, "result": "yes"}]}]
    assert after(answered, [], to_langchain(pending)) == answered


def test_a_late_result_for_an_adopted_pending_call_is_added():
    stored = [{"role": "assistant", "content": "", "timestamp": THEN, "tool_calls": [{"tool": "a", "args": {}}]}]
    adopted = to_langchain(stored)
    late = ToolMessage("yes", tool_call_id=adopted[-1].tool_call_id, id="late")
    grown = after(stored, adopted, [*adopted, late])
    assert grown[0]["tool_calls"] == [{"tool": "a", "args": {}, "result": "yes"}]
    assert after(grown, [], [*adopted, late]) == grown


def test_a_row_of_another_program_with_the_same_chat_is_recognised_by_what_it_says():
    state = [user("q1", "Show renders"), answer("a1", "Two."), user("q2", "Thanks"), user("q3")]
    grown = grow(FOREIGN, said([], state), timestamp=NOW, is_all=True).messages
    assert (grown[:4], contents(grown[4:])) == (FOREIGN, ["text of q3"])


def test_a_row_of_another_program_with_another_chat_is_kept():
    grown = grow(FOREIGN, said([], [QUESTION]), timestamp=NOW, is_all=True).messages
    assert (grown[:4], contents(grown[4:])) == (FOREIGN, ["text of q1"])


def test_a_message_written_by_another_program_between_stays_where_it_is():
    note = {"role": "system", "content": "A person took over", "timestamp": THEN, "by": "console"}
    grown = after([STORED[0], note, STORED[1]], STATE, [*STATE, user("q2")])
    assert grown[:3] == [STORED[0], note, STORED[1]]


def test_keys_of_other_programs_survive_an_update():
    stored = [{**STORED[0], "rating": 5}, STORED[1]]
    assert after(stored, STATE, [user("q1", "Edited"), ANSWER])[0]["rating"] == 5


def test_a_message_of_another_program_may_lack_a_timestamp():
    stored = [{"role": "user", "content": "x"}]
    (adopted,) = to_langchain(stored)
    assert after(stored, [], [adopted]) == stored
    assert contents(after(stored, [adopted], [HumanMessage("y", id=adopted.id)])) == ["y"]


# Forks


def forked(stored: Stored, point: Sequence[BaseMessage], *states: Sequence[BaseMessage]) -> Stored:
    """A transcript that a fork at a state has gone back to, and what its states then say."""
    return after(before_fork(stored, fold(point, timestamp=NOW)), point, *states)


def test_a_fork_drops_what_followed_its_point():
    stored = after(STORED, STATE, [*STATE, user("q2"), answer("a2")])
    grown = forked(stored, STATE, [*STATE, user("q3")])
    assert contents(grown) == ["text of q1", "text of a1", "text of q3"]
    assert grown[:2] == STORED


def test_a_fork_inside_an_answer_takes_back_its_results_and_text():
    point = [QUESTION, asks("a1", "c")]
    stored = transcript(*point, result("c"), answer("a2"))
    grown = forked(stored, point, [*point, ToolMessage("no", tool_call_id="c", id="r2")])
    call = {"tool": "search", "args": {"query": "c"}, "id": "c", "result": "no"}
    assert (meanings(grown)[1], grown[1]["timestamp"]) == (("assistant", "", [call]), THEN)


def test_a_fork_that_edits_its_point_updates_it():
    assert contents(forked(STORED, [QUESTION], [user("q1", "Edited")])) == ["Edited"]


def test_a_fork_of_a_trimmed_state_keeps_what_was_trimmed():
    stored = transcript(QUESTION, asks("a1", "c"), result("c"), answer("a2"), user("q2"))
    grown = forked(stored, [answer("a2")], [answer("a2"), user("q3")])
    assert (grown[:2], contents(grown[2:])) == (stored[:2], ["text of q3"])


def taken_back(*messages: BaseMessage) -> dict[str, int]:
    return {digest_of(str(message.id)): len(getattr(message, "tool_calls", ())) for message in messages}


def test_a_fork_keeps_what_its_state_had_forgotten_and_drops_what_was_said_since():
    later = [user("q2"), answer("a2")]
    stored = transcript(*STATE, *later)
    for held in ([], [ANSWER], [QUESTION]):
        kept = before_fork(stored, fold(held, timestamp=NOW), taken_back(*later))
        assert kept == stored[:2]


def test_a_fork_keeps_the_calls_that_its_state_had_forgotten():
    said_before = [QUESTION, asks("a1", "c"), result("c"), asks("a2", "d")]
    stored = transcript(*said_before, result("d"), answer("a3"))
    point = fold([result("c"), asks("a2", "d")], timestamp=NOW)
    (_, last) = before_fork(stored, point, taken_back(result("d"), answer("a3")))
    assert (last["content"], [(call["args"], call.get("result")) for call in last["tool_calls"]]) == (
        "",
        [({"query": "c"}, "found"), ({"query": "d"}, None)],
    )


def test_a_fork_of_a_state_that_a_person_removed_the_calls_from_keeps_them_and_drops_what_followed():
    later = [asks("a2", "d"), result("d"), answer("a3")]
    stored = transcript(QUESTION, asks("a1", "c"), *later)
    (question, last) = before_fork(stored, fold([QUESTION], timestamp=NOW), taken_back(*later))
    assert question == stored[0]
    assert (last["role"], last["content"], [call["args"] for call in last["tool_calls"]]) == (
        "assistant",
        "",
        [{"query": "c"}],
    )


def test_a_fork_before_all_that_is_at_hand_is_told_by_ids_and_not_by_equal_words():
    stored = transcript(user("q2", "yes"), answer("a2", "no"))
    point = fold([user("q1", "yes")], timestamp=NOW)
    assert fork_point(stored, point, by_words=False) is None
    assert fork_point(stored, point, taken_back(user("q2"), answer("a2")).keys()) is None


def test_a_fork_from_the_very_start_keeps_what_other_programs_wrote():
    grown = forked([*FOREIGN, *STORED], [], [user("q2")])
    assert contents(grown) == [*contents(FOREIGN), "text of q2"]


def test_a_fork_of_an_adopted_chat_keeps_its_messages_up_to_the_point():
    adopted = to_langchain(FOREIGN)
    stored = after(FOREIGN, adopted, [*adopted, *STATE])
    assert forked(stored, adopted, [*adopted, user("q2")])[:4] == FOREIGN


def test_a_fork_of_another_programs_chat_is_found_by_what_it_says():
    point = [user("q1", "Show renders")]
    grown = forked(FOREIGN, point, [*point, answer("a9")])
    assert (grown[:1], contents(grown[1:])) == (FOREIGN[:1], ["text of a9"])


@pytest.mark.parametrize("count", [2, 4, 6])
def test_a_fork_of_repeated_words_without_ids_is_found_by_their_number(count):
    words = [HumanMessage("yes"), AIMessage("ok")] * 3
    stored = after([], [], words)
    assert fork_point(stored, fold(words[:count], timestamp=NOW)) == count


def test_a_fork_point_may_end_with_words_without_ids():
    words = [QUESTION, ANSWER, HumanMessage("yes"), AIMessage("ok")]
    assert fork_point(after([], [], words), fold(words[:3], timestamp=NOW)) == 3


def test_a_fork_point_older_than_what_is_at_hand_is_reported():
    assert fork_point(STORED, fold([user("q0")], timestamp=NOW)) is None
    assert fork_point(STORED, []) is None
    assert fork_point(STORED, fold([QUESTION], timestamp=NOW)) == 1


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
            messages.append(user(name()) if speaker == "user" else SystemMessage(f"Rules of {name()}", id=name()))
        for count, with_text in rounds:
            calls = [f"{name()}-{number}" for number in range(count)]
            messages.append(asks(name(), *calls, text=f"text of {name()}" if with_text else ""))
            messages.extend(result(call) for call in calls)
        if answered:
            messages.append(answer(name()))
    return messages


DIALOGUES = TURNS.map(dialogue)


def without_ids(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    return [message.model_copy(update={"id": None}) for message in messages]


WINDOWS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30)), max_size=6)


def windows(messages: Sequence[BaseMessage], drawn: list[tuple[int, int]]) -> list[list[BaseMessage]]:
    """States of an agent that keeps the end of what it has, and never goes back; the last has all that is left."""
    states, start, seen = [[]], 0, 0
    for first, step in [*drawn, (0, len(messages))]:
        start = max(start, min(first, seen - 1, len(messages) - 1), 0)
        seen = min(seen + step, len(messages))
        states.append(list(messages[start:seen]))
    return states


@given(DIALOGUES, WINDOWS, st.booleans())
def test_an_agent_that_trims_has_the_transcript_of_one_that_does_not(messages, drawn, has_ids):
    messages = messages if has_ids else without_ids(messages)
    assert meanings(after([], *windows(messages, drawn))) == meanings(fold(messages, timestamp=NOW))


@given(DIALOGUES, WINDOWS, st.booleans())
def test_saying_the_same_again_changes_nothing(messages, drawn, has_ids):
    messages = messages if has_ids else without_ids(messages)
    once = after([], *windows(messages, drawn))
    assert after(once, *windows(messages, drawn)) == once


@given(DIALOGUES, st.lists(st.integers(0, 30), max_size=4))
def test_an_edit_shows_whatever_the_edited_message_is_folded_into(messages, places):
    edited = list(messages)
    states = [[], list(messages)]
    for number, place in enumerate(place % len(messages) for place in places if messages):
        one = edited[place]
        if not (isinstance(one, AIMessage) and one.tool_calls and not one.content):  # its text would part the answer
            edited[place] = one.model_copy(update={"content": f"edit {number}"})
        states.append(list(edited))
    assert meanings(after([], *states)) == meanings(fold(edited, timestamp=NOW))


@given(DIALOGUES, st.integers(0, 30), st.integers(0, 30))
def test_a_fork_has_the_transcript_of_its_own_branch(messages, at, length):
    point = messages[:at]
    branch = [*point, *(m.model_copy(update={"id": f"{m.id}'"}) for m in messages[at : at + length])]
    grown = forked(after([], [], messages), point, branch)
    assert meanings(grown) == meanings(fold(branch, timestamp=NOW))
