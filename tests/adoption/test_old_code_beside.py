"""The team's old code and agents with the saver on one table: during a roll-out, and after going back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.adoption.agents import Agent, answer_to, said, texts_of
from tests.adoption.guide import INDEX, OldProgram
from tests.adoption.shells import Shell
from tests.adoption.test_page_commands import PAGE
from tests.conftest import MakeSaver
from tests.engines import REGION, Engine

pytestmark = pytest.mark.engine("dynamodb-local", "moto")

LONG = ["long question " + str(number) + " " + "x" * 2_000 for number in range(10)]
"""Questions whose chat has more than 16 KB, and less than 300."""


def ids_of(listed: Any) -> list[str]:
    return [one["conversation_id"] if isinstance(one, dict) else one.conversation_id for one in listed]


def transcript_of(saver: DynamoDBConversationSaver, conversation_id: str) -> list[str]:
    return [message.content for message in saver.conversations.get(conversation_id, "alice").messages]


def items_of(table: Any, conversation_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.query(
        KeyConditionExpression="conversation_id = :id", ExpressionAttributeValues={":id": conversation_id}
    )["Items"]
    return found


def ask_all(agent: Agent, conversation_id: str, questions: list[str]) -> None:
    for question in questions:
        agent.ask(conversation_id, question)


def test_the_old_list_shows_the_conversations_of_both_newest_first(old: OldProgram, make_saver: MakeSaver) -> None:
    saver = make_saver()
    agent, made = Agent(saver), []
    for number in range(3):
        made.append(old.create(f"Old {number}"))
        old.chat(made[-1], "question", "answer")
        made.append(saver.conversations.create("alice", title=f"New {number}").conversation_id)
        agent.ask(made[-1], "question")
    saver.conversations.create("bob", title="Another's")

    assert ids_of(old.list()) == made[::-1]
    assert ids_of(saver.conversations.list("alice")) == made[::-1]
    assert [one["message_count"] for one in old.list()] == [2] * 6
    assert [one["title"] for one in old.list(2)] == ["New 2", "Old 2"]


def test_an_agent_has_read_what_old_code_appended_before_its_first_turn(old: OldProgram, make_saver: MakeSaver) -> None:
    conversation_id = old.create("Renders")
    old.chat(conversation_id, "Show me 4K renders", "I found 5")
    old.chat(conversation_id, "Show me the first one", "Here it is")

    read = Agent(make_saver()).ask(conversation_id, "Who made it?")

    assert read == ["Show me 4K renders", "I found 5", "Show me the first one", "Here it is", "Who made it?"]


def test_what_old_code_appends_after_the_first_turn_is_shown_to_all_and_not_read_by_the_agent(
    old: OldProgram, make_saver: MakeSaver
) -> None:
    saver = make_saver()
    agent, conversation_id = Agent(saver), old.create("Renders")
    agent.ask(conversation_id, "first")
    old.chat(conversation_id, "to the old code", "by the old code")
    saver.conversations.add_message(conversation_id, "user", "by add_message", user_id="alice")

    read = agent.ask(conversation_id, "last")

    assert read == ["first", answer_to("first"), "by add_message", "last"]
    shown = [*said(["first"]), "to the old code", "by the old code", "by add_message", *said(["last"])]
    assert texts_of(old.show(conversation_id)) == shown
    assert transcript_of(saver, conversation_id) == shown
    assert old.list()[0]["message_count"] == len(shown)


def test_what_old_code_appends_while_the_agent_thinks_is_lost_by_nobody(old: OldProgram, make_saver: MakeSaver) -> None:
    saver, conversation_id = make_saver(), old.create("Renders")
    agent = Agent(saver, while_at_work=lambda: old.append(conversation_id, "system", "meanwhile"))

    for question in ("one", "two"):
        agent.ask(conversation_id, question)

    shown = texts_of(old.show(conversation_id))
    assert [text for text in shown if text != "meanwhile"] == said(["one", "two"])
    assert shown.count("meanwhile") == 2
    assert old.list()[0]["message_count"] == len(shown)


def test_old_code_sees_all_of_a_small_chat_whoever_writes(old: OldProgram, make_saver: MakeSaver) -> None:
    agent, conversation_id = Agent(make_saver()), old.create("Renders")
    shown: list[str] = []
    for number in range(5):
        agent.ask(conversation_id, f"new {number}")
        old.chat(conversation_id, f"old {number}", f"old answer {number}")
        shown += [*said([f"new {number}"]), f"old {number}", f"old answer {number}"]

        assert texts_of(old.show(conversation_id)) == shown
        assert old.context(conversation_id, 3) == shown[-3:]


def test_old_code_sees_the_newest_messages_of_a_chat_above_16_kb_and_the_saver_all(
    old: OldProgram, make_saver: MakeSaver
) -> None:
    saver, conversation_id = make_saver(), old.create("Long")
    ask_all(Agent(saver), conversation_id, LONG)
    old.append(conversation_id, "user", "appended")
    expected = [*said(LONG), "appended"]

    shown = texts_of(old.show(conversation_id))

    assert 0 < len(shown) < len(expected)
    assert shown == expected[-len(shown) :]
    assert old.list()[0]["message_count"] == len(expected)
    assert transcript_of(saver, conversation_id) == expected


def test_a_long_message_is_cut_at_3_kb_in_a_row_above_16_kb_alone(old: OldProgram, make_saver: MakeSaver) -> None:
    saver, conversation_id, long = make_saver(), old.create("Long"), "l" * 8_000
    agent = Agent(saver)
    agent.ask(conversation_id, long)
    assert texts_of(old.show(conversation_id))[0] == long

    ask_all(agent, conversation_id, [long, long])

    shown = texts_of(old.show(conversation_id))
    assert long[:2_000] in shown[-2]
    assert len(shown[-2]) <= 3 * 1024
    assert transcript_of(saver, conversation_id) == said([long] * 3)


def test_a_chat_that_old_code_began_stays_whole_above_16_kb(old: OldProgram, make_saver: MakeSaver) -> None:
    conversation_id = old.create("Long")
    old.chat(conversation_id, "question", "answer")

    ask_all(Agent(make_saver()), conversation_id, LONG)

    assert texts_of(old.show(conversation_id)) == ["question", "answer", *said(LONG)]


@pytest.mark.engine("dynamodb-local")  # moto counts a list as larger than it is
def test_a_chat_that_old_code_began_is_whole_up_to_300_kb(old: OldProgram, make_saver: MakeSaver) -> None:
    conversation_id, saver = old.create("Long"), make_saver()
    old.chat(conversation_id, "question", *("x" * 72_000 for _ in range(4)))
    agent = Agent(saver)

    agent.ask(conversation_id, "at 290 KB")
    assert len(texts_of(old.show(conversation_id))) == 7
    agent.ask(conversation_id, "y" * 20_000)

    assert len(texts_of(old.show(conversation_id))) < 9
    assert len(transcript_of(saver, conversation_id)) == 9


def test_row_bytes_keeps_every_chat_whole_for_old_code(old: OldProgram, make_saver: MakeSaver) -> None:
    conversation_id = old.create("Long")

    ask_all(Agent(make_saver(row_bytes=300 * 1024)), conversation_id, LONG)

    assert texts_of(old.show(conversation_id)) == said(LONG)


def test_a_title_of_old_code_stays(old: OldProgram, make_saver: MakeSaver) -> None:
    saver = make_saver()
    conversation_id = saver.conversations.create("alice").conversation_id
    agent = Agent(saver)
    agent.ask(conversation_id, "Show me 4K renders")
    assert [one["title"] for one in old.list()] == ["Show me 4K renders"]

    old.rename(conversation_id, "Renders")
    agent.ask(conversation_id, "And lakes?")

    assert [one["title"] for one in old.list()] == ["Renders"]
    assert saver.conversations.get(conversation_id, "alice").title == "Renders"


def test_deleting_the_row_alone_leaves_the_state_and_another_turn_lists_the_chat_again(
    table: Any, old: OldProgram, make_saver: MakeSaver
) -> None:
    saver = make_saver()
    agent, conversation_id = Agent(saver), old.create("Renders")
    agent.ask(conversation_id, "secret")

    old.delete(conversation_id)
    assert old.list() == []
    assert len(items_of(table, conversation_id)) > 0
    assert agent.ask(conversation_id, "again")[0] == "secret"
    assert ids_of(old.list()) == [conversation_id]

    old.delete(conversation_id)
    assert saver.conversations.delete(conversation_id, "alice") > 0
    assert items_of(table, conversation_id) == []


def test_a_scan_meets_state_which_a_program_that_expects_conversations_can_not_show_and_the_index_has_none(
    table: Any, old: OldProgram, make_saver: MakeSaver
) -> None:
    made = [old.create(f"Chat {number}") for number in range(3)]
    assert sorted(row["title"] for row in table.scan()["Items"]) == ["Chat 0", "Chat 1", "Chat 2"]
    agent = Agent(make_saver())
    for conversation_id in made:
        agent.ask(conversation_id, "Hello!")

    with pytest.raises(KeyError, match="title"):
        sorted(row["title"] for row in table.scan()["Items"])
    assert sorted(row["title"] for row in table.scan(IndexName=INDEX)["Items"]) == ["Chat 0", "Chat 1", "Chat 2"]
    assert len(table.scan(FilterExpression=Attr("created_at").exists())["Items"]) == 3


def test_conversations_are_the_items_without_a_hash_in_the_sort_key_and_with_a_time_of_creation(
    table: Any, old: OldProgram, make_saver: MakeSaver
) -> None:
    made = [old.create("Long"), old.create("Huge")]
    agent = Agent(make_saver())
    ask_all(agent, made[0], LONG)
    agent.ask(made[1], "z" * 500_000)
    config = {"configurable": {"thread_id": made[1], "user_id": "alice"}, "metadata": {"run_id": "run"}}
    agent.graph.invoke({"messages": [("user", "named run")]}, config)
    pages = [table.scan()]
    while "LastEvaluatedKey" in pages[-1]:
        pages.append(table.scan(ExclusiveStartKey=pages[-1]["LastEvaluatedKey"]))
    items = [item for page in pages for item in page["Items"]]

    kinds = {item["user_id"].split("#")[1] for item in items if "#" in item["user_id"]}
    assert kinds >= {"c", "w", "m", "p", "r"}, "what the rule is tried on"
    assert {item["conversation_id"] for item in items if "#" not in item["user_id"]} == {*made}
    assert {item["conversation_id"] for item in items if "created_at" in item} == {*made}
    assert not any("#" in item["user_id"] for item in items if "created_at" in item)


@pytest.mark.engine("dynamodb-local")
def test_a_stream_tells_conversations_from_state_by_the_sort_key_deletions_too(
    table: Any, engine: Engine, client: Any, old: OldProgram, make_saver: MakeSaver
) -> None:
    everything = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    client.update_table(TableName=table.name, StreamSpecification=everything)
    saver, kept, deleted = make_saver(), old.create("Kept"), old.create("Deleted")
    for conversation_id in (kept, deleted):
        Agent(saver).ask(conversation_id, "Hello!")
    saver.conversations.delete(deleted, "alice")

    records = records_of(engine, client.describe_table(TableName=table.name)["Table"]["LatestStreamArn"])

    of_rows = [one for one in records if "#" not in one["dynamodb"]["Keys"]["user_id"]["S"]]
    assert 0 < len(of_rows) < len(records)
    assert [one["eventName"] for one in of_rows].count("REMOVE") == 1
    for one in records:
        image = one["dynamodb"].get("NewImage") or one["dynamodb"]["OldImage"]
        assert ("created_at" in image) == (one in of_rows)


def records_of(engine: Engine, stream: str) -> list[dict[str, Any]]:
    """All records of a stream."""
    client: Any = boto3.client("dynamodbstreams", region_name=REGION, endpoint_url=engine.endpoint_url)
    records: list[dict[str, Any]] = []
    for shard in client.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]:
        iterator = client.get_shard_iterator(
            StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while (found := client.get_records(ShardIterator=iterator))["Records"]:
            records += found["Records"]
            iterator = found["NextShardIterator"]
    client.close()
    return records


def test_the_saver_refuses_a_user_id_with_a_hash_that_old_code_took(table: Any, make_saver: MakeSaver) -> None:
    odd, saver = OldProgram(table, "alice#1"), make_saver()
    conversation_id = odd.create("Odd")

    with pytest.raises(ValueError, match="without '#'"):
        saver.conversations.get(conversation_id, "alice#1")
    with pytest.raises(ValueError, match="without '#'"):
        saver.conversations.list("alice#1")


def test_old_code_goes_on_after_going_back(old: OldProgram, make_saver: MakeSaver) -> None:
    saver, small, long = make_saver(), old.create("Small"), old.create("Long")
    agent = Agent(saver)
    agent.ask(small, "question")
    ask_all(agent, long, LONG)
    saver.close()

    for conversation_id in (small, long):
        old.chat(conversation_id, "after going back", "old answer")
        old.rename(conversation_id, "Old again")

    assert ids_of(old.list()) == [long, small]
    assert [one["title"] for one in old.list()] == ["Old again"] * 2
    assert [one["message_count"] for one in old.list()] == [len(LONG) * 2 + 2, 4]
    assert texts_of(old.show(small)) == [*said(["question"]), "after going back", "old answer"]
    assert old.context(long, 2) == ["after going back", "old answer"]
    old.delete(small)
    assert ids_of(old.list()) == [long]


Remove = Callable[[], None]


@pytest.fixture
def remove_state(request: pytest.FixtureRequest, engine: Engine, table: Any) -> Remove:
    """Runs the page's program that removes state: as a program of its own where the engine is a server."""
    (code,) = re.findall(r"^```py\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if engine.endpoint_url is None:
        return lambda: exec(code, {})
    shell: Shell = request.getfixturevalue("local")
    program = shell.folder / "remove_state.py"
    program.write_text(code)
    return lambda: print(shell.run(["python", str(program)]))


def test_the_pages_program_removes_the_state_and_keeps_every_message_and_what_is_of_other_programs(
    table: Any, client: Any, old: OldProgram, make_saver: MakeSaver, remove_state: Remove
) -> None:
    saver = make_saver()
    agent, long, huge = Agent(saver), old.create("Long"), old.create("Huge")
    questions = ["z" * 500_000, "What was that?"]
    ask_all(agent, long, LONG)
    ask_all(agent, huge, questions)
    config = {"configurable": {"thread_id": long, "user_id": "alice"}, "metadata": {"run_id": "run"}}
    agent.graph.invoke({"messages": [("user", "named run")]}, config)
    table.put_item(Item={"conversation_id": long, "user_id": "alice#turn", "owner": "a lease"})
    rows = [old.show(long), old.show(huge)]

    remove_state()

    kinds = {item["user_id"].partition("#")[2][:1] for one in (long, huge, "run#run") for item in items_of(table, one)}
    assert kinds == {"", "m", "p", "t"}
    assert [old.show(long), old.show(huge)] == rows
    with DynamoDBConversationSaver(table.name, client=client) as reader:
        assert transcript_of(reader, long) == [*said(LONG), *said(["named run"])]
        assert transcript_of(reader, huge) == said(questions)
        for conversation_id in (long, huge):
            assert reader.conversations.verify(conversation_id, "alice").ok


def test_a_later_saver_takes_over_what_was_said_meanwhile_once_the_state_was_removed(
    old: OldProgram, make_saver: MakeSaver, remove_state: Remove
) -> None:
    removed, left, long = old.create("Removed"), old.create("Left"), old.create("Long")
    first = make_saver()
    agent = Agent(first)
    for conversation_id in (removed, long):
        agent.ask(conversation_id, "before")
    ask_all(agent, long, LONG)
    first.close()
    remove_state()
    agent.ask(left, "before")
    for conversation_id in (removed, left, long):
        old.chat(conversation_id, "meanwhile", "old answer")

    later = make_saver()
    agent = Agent(later)

    assert agent.ask(removed, "after") == [*said(["before"]), "meanwhile", "old answer", "after"]
    assert agent.ask(long, "after") == [*said(["before", *LONG]), "meanwhile", "old answer", "after"]
    assert agent.ask(left, "after") == [*said(["before"]), "after"], "whose state was not removed"
    for conversation_id in (removed, left, long):
        assert later.conversations.verify(conversation_id, "alice").ok
        assert transcript_of(later, conversation_id)[-4:] == ["meanwhile", "old answer", *said(["after"])]
