"""What a migration does beside copying: it resumes, checks first, refuses, keeps times, reads any saver."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._format.attributes import to_attribute
from langgraph_dynamo_conv.migration import UnassignedError, by_mapping, by_metadata, everyone, migrate, read_mapping
from tests.conftest import MakeSaver
from tests.factories import checkpoint, config, items_of, put
from tests.migration.threads import (
    KINDS,
    fork_at,
    played,
    say,
    snapshots,
    source_config,
    thread_id_of,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

FORK, CHAT = KINDS["fork"], KINDS["chat"]
ALICE = everyone("alice")
FORKED = 14
"""Checkpoints of the thread with forks."""


class Cut(Exception):
    """The process ends."""


def cut_after(saver: DynamoDBConversationSaver, client: Any, writes: int) -> Any:
    """Let the client fail after so many writes; gives what lets it work again."""
    left = [writes]

    def count(model: Any, **_: Any) -> None:
        if model.name in {"PutItem", "UpdateItem"}:
            left[0] -= 1
            if left[0] < 0:
                raise Cut

    client.meta.events.register("before-call.dynamodb", count)
    return lambda: client.meta.events.unregister("before-call.dynamodb", count)


@pytest.fixture
def source() -> InMemorySaver:
    """One thread with forks."""
    saver = InMemorySaver()
    FORK.begin(FORK.build(saver), source_config(0))
    return saver


def migrated(source: Any, saver: Any, **options: Any) -> list[tuple[str, int, int]]:
    results = migrate(source, saver, **{"assign": ALICE, **options})
    return [(one.outcome, one.checkpoints, one.stored) for one in results]


def as_alices() -> dict[str, Any]:
    return {"configurable": {"thread_id": thread_id_of(0), "user_id": "alice"}}


@pytest.mark.parametrize("after", range(0, 42, 3))
def test_a_migration_that_was_cut_off_is_finished_by_running_it_again(
    source: InMemorySaver, make_saver: MakeSaver, client: DynamoDBClient, table_name: str, after: int
) -> None:
    whole = make_saver()
    repair = cut_after(whole, client, after)
    with suppress(Cut):
        migrated(source, whole)
    repair()

    ((outcome, checkpoints, _),) = migrated(source, make_saver())

    assert outcome in {"copied", "finished", "equal"}
    assert checkpoints == FORKED
    cold = make_saver()
    assert snapshots(FORK.build(cold), as_alices()) == snapshots(FORK.build(source), source_config(0))
    row = cold.conversations.get(thread_id_of(0), "alice")
    assert [message.content for message in row.messages][:3] == ["one", "You said: one", "two, edited"]
    assert (row.status, row.message_count) == ("idle", 6)
    assert migrated(source, make_saver()) == [("equal", FORKED, 0)]


def test_a_second_run_stores_only_what_the_source_has_got_since(source: InMemorySaver, make_saver: MakeSaver) -> None:
    migrated(source, make_saver())
    FORK.build(source).invoke(say("five"), source_config(0))

    assert migrated(source, make_saver()) == [("finished", FORKED + 3, 3)]


def test_a_thread_that_went_on_in_the_table_stays_and_one_that_went_on_in_both_fails(
    source: InMemorySaver, make_saver: MakeSaver
) -> None:
    saver = make_saver()
    migrated(source, saver)
    FORK.build(saver).invoke(say("five"), as_alices())
    assert migrated(source, make_saver()) == [("equal", FORKED, 0)]

    FORK.build(source).invoke(say("another five"), source_config(0))
    (result,) = migrate(source, make_saver(), assign=ALICE)

    assert result.outcome == "failed"
    assert "gone on in both" in str(result.reason)
    assert FORK.build(make_saver()).get_state(as_alices()).values["messages"][-2].content == "five"


def test_a_dry_run_counts_and_sends_nothing(
    source: InMemorySaver, make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    saver = make_saver()
    repair = cut_after(saver, client, 0)
    (result,) = migrate(source, saver, assign=ALICE, dry_run=True)
    repair()

    assert (result.outcome, result.checkpoints, result.stored) == ("checked", FORKED, 0)
    assert result.bytes > 3000
    assert result.writes > 10
    assert items_of(client, table_name) == []


def test_threads_without_a_user_are_all_named_before_anything_is_written(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    source = InMemorySaver()
    threads = played(source, [FORK], 3)
    some = by_mapping({threads[1]: "alice"})

    with pytest.raises(UnassignedError) as refused:
        migrated(source, make_saver(), assign=some)

    assert refused.value.problems == {threads[0]: "no user", threads[2]: "no user"}
    assert threads[0] in str(refused.value)
    assert items_of(client, table_name) == []
    assert migrated(source, make_saver(), assign=some, skip_unassigned=True) == [("copied", FORKED, FORKED)]


def test_impossible_ids_are_refused_before_anything_is_written(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    source = InMemorySaver()
    for thread_id in ("good", "a#b"):
        FORK.build(source).invoke(say("hello"), {"configurable": {"thread_id": thread_id}})

    with pytest.raises(UnassignedError, match=r"1 threads can't be migrated: a#b: a thread_id .* without '#'"):
        migrated(source, make_saver())
    with pytest.raises(UnassignedError, match=r"good: a user_id is"):
        migrated(source, make_saver(), assign=by_mapping({"good": "al#ice"}), threads=["good"])
    with pytest.raises(ValueError, match="a user_id is"):
        everyone("al#ice")
    assert items_of(client, table_name) == []
    assert [one[0] for one in migrated(source, make_saver(), threads=["good"])] == ["copied"]


def test_a_thread_of_two_users_is_refused(make_saver: MakeSaver) -> None:
    source = InMemorySaver()
    for owner in ("alice", "bob"):
        shared: Any = {"configurable": {"thread_id": "shared"}, "metadata": {"owner": owner}}
        FORK.build(source).invoke(say(f"I am {owner}"), shared)

    with pytest.raises(UnassignedError, match="shared: its checkpoints name several users: alice, bob"):
        migrated(source, make_saver(), assign=by_metadata("owner"))


def test_rows_have_the_times_at_which_the_turns_were_taken(source: InMemorySaver, make_saver: MakeSaver) -> None:
    history = list(FORK.build(source).get_state_history(source_config(0)))
    before, after = [str(one.created_at).replace("+00:00", "Z") for one in (history[-1], history[0])]

    saver = make_saver(clock=lambda: 2e9)
    migrated(source, saver)

    chat = saver.conversations.get(thread_id_of(0), "alice")
    assert (chat.title, chat.status, chat.message_count) == ("one", "idle", 6)
    assert before <= chat.created_at < chat.updated_at <= after
    assert all(before <= message.timestamp <= after for message in chat.messages)
    assert saver.conversations.latest("alice") is not None
    FORK.build(saver).invoke(say("later"), as_alices())
    assert saver.conversations.get(thread_id_of(0), "alice").updated_at.startswith("2033-")


def test_a_row_that_another_program_keeps_of_the_same_chat_is_not_doubled(
    make_saver: MakeSaver, client: DynamoDBClient, table_name: str
) -> None:
    source, saver, at = InMemorySaver(), make_saver(), "2026-01-01T00:00:00Z"
    spoken = [("user", "hello"), ("assistant", "You said: hello"), ("user", "more"), ("assistant", "You said: more")]
    for _, text in spoken[::2]:
        FORK.build(source).invoke(say(text), source_config(0))
    messages = [{"role": role, "content": text, "timestamp": at} for role, text in spoken]
    row = {
        "conversation_id": thread_id_of(0),
        "user_id": "alice",
        "title": "My own title",
        "created_at": at,
        "updated_at": at,
        "message_count": 4,
        "messages": messages,
    }
    client.put_item(TableName=table_name, Item={name: to_attribute(value) for name, value in row.items()})

    migrated(source, saver)
    FORK.build(saver).invoke(say("third"), as_alices())

    chat = saver.conversations.get(thread_id_of(0), "alice")
    assert (chat.title, chat.created_at) == ("My own title", at)
    assert [message.content for message in chat.messages] == [*(text for _, text in spoken), "third", "You said: third"]


def test_a_waiting_and_a_failed_thread_show_it_in_their_rows(make_saver: MakeSaver) -> None:
    source, saver = InMemorySaver(), make_saver()
    for number, kind in enumerate((KINDS["interrupt"], KINDS["failed"])):
        kind.begin(kind.build(source), source_config(number))

    migrated(source, saver)

    rows = [saver.conversations.get(thread_id_of(number), "alice") for number in range(2)]
    assert [row.status for row in rows] == ["waiting", "failed"]


def test_versions_of_any_kind_become_text_and_those_without_a_counter_are_refused(make_saver: MakeSaver) -> None:
    source, saver = InMemorySaver(), make_saver(default_user_id="alice")
    versions = {"integer": 3, "float": 3.0, "string": "00000003.0.5", "word": "third", "part": 3.5}
    for thread, version in versions.items():
        original = checkpoint(1, {"a": 1}, channel_versions={"a": version}, versions_seen={"n": {"a": version}})
        source.put(config(thread), original, {"source": "loop", "step": 1, "parents": {}}, {"a": version})

    results = {one.thread_id: one for one in migrate(source, saver, assign=ALICE)}

    for thread, fraction in (("integer", "0" * 16), ("float", "0" * 16), ("string", "0.5")):
        stored = saver.get_tuple(config(thread, user_id="alice"))
        assert stored is not None
        assert stored.checkpoint["channel_versions"] == {"a": f"{3:032}.{fraction}"}
        assert stored.checkpoint["versions_seen"] == {"n": {"a": f"{3:032}.{fraction}"}}
    assert "'third' has no counter" in str(results["word"].reason)
    assert "3.5 has no counter" in str(results["part"].reason)


def test_a_value_whose_type_cannot_be_imported_is_not_copied_as_something_else(
    make_saver: MakeSaver, monkeypatch: pytest.MonkeyPatch, client: DynamoDBClient, table_name: str
) -> None:
    source = InMemorySaver()
    monkeypatch.setattr(Marked, "__module__", "gone.models")
    put(source, 1, {"a": Marked(1)}, at=config("thread"))

    (result,) = migrate(source, make_saver(), assign=ALICE)

    assert "gone.models.Marked can't be imported" in str(result.reason)
    assert items_of(client, table_name) == []


def test_a_pace_is_kept(source: InMemorySaver, make_saver: MakeSaver) -> None:
    slept: list[float] = []

    migrated(source, make_saver(), most_per_second=4, sleep=slept.append)

    assert slept == [0.25] * FORKED
    with pytest.raises(ValueError, match="most_per_second is a number above 0"):
        migrated(source, make_saver(), most_per_second=0)


def test_a_broken_source_is_told_and_other_threads_go_on(make_saver: MakeSaver) -> None:
    class Broken(InMemorySaver):
        broken: tuple[str, ...] = ()

        def get_tuple(self, config: Any) -> Any:
            if config["configurable"]["thread_id"] in self.broken:
                raise OSError("disk error")
            return super().get_tuple(config)

    source = Broken()
    played(source, [CHAT], 2)
    source.broken = (thread_id_of(0),)

    results = {one.thread_id: (one.outcome, one.reason) for one in migrate(source, make_saver(), assign=ALICE)}

    assert results[thread_id_of(1)] == ("copied", None)
    assert "OSError: disk error" in str(results[thread_id_of(0)][1])


def test_only_synchronous_savers_are_sources(make_saver: MakeSaver) -> None:
    with pytest.raises(ValueError, match="source is a BaseCheckpointSaver"):
        migrate(object(), make_saver(), assign=ALICE)  # type: ignore[arg-type]
    later = type("AsyncSaver", (InMemorySaver,), {"__module__": "some.saver.aio"})
    with pytest.raises(ValueError, match="AsyncSaver is asynchronous: give its synchronous twin"):
        migrate(later(), make_saver(), assign=ALICE)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("users.csv", 'thread_id,user_id\none,alice\n\n"t,wo",bob\n'),
        ("users.json", '{"one": "alice", "t,wo": "bob"}'),
    ],
)
def test_a_mapping_is_read_from_csv_and_json(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    assert read_mapping(tmp_path / name) == {"one": "alice", "t,wo": "bob"}


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("none.csv", None, "can't be read"),
        ("users.csv", "one,alice\n", "first line"),
        ("users.csv", "thread_id,user_id\none\n", "line 2 .* has 1 columns"),
        ("users.csv", "thread_id,user_id\none,alice\none,bob\n", "two users for thread one"),
        ("users.json", '{"one": "alice", "one": "bob"}', "two users for thread one"),
        ("users.json", '["one"]', "is an object"),
        ("users.json", '{"one": 1}', "is an object"),
        ("users.json", "{", "can't be read"),
    ],
)
def test_a_mapping_of_another_form_is_refused(tmp_path: Path, name: str, text: str | None, error: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)

    with pytest.raises(ValueError, match=error):
        read_mapping(tmp_path / name)


def test_forks_made_after_the_migration_replace_what_followed(source: InMemorySaver, make_saver: MakeSaver) -> None:
    saver = make_saver()
    migrated(source, saver)

    fork_at(FORK.build(saver), as_alices(), "one", "one, edited")

    chat = saver.conversations.get(thread_id_of(0), "alice")
    assert [message.content for message in chat.messages] == ["one, edited", "You said: one, edited"]


@dataclass
class Marked:
    """A type of an application."""

    number: int
