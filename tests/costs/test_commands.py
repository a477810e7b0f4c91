"""The commands `stats` and `estimate` through the real entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from langgraph_dynamo_conv.cli.statistics import item_bytes
from tests.cli.conftest import Cli, cli, terminal
from tests.conftest import MakeSaver
from tests.factories import config, items_of, noise, put
from tests.reference_chat import Prose, chat_graph, user_message

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["cli", "terminal"]


@pytest.fixture
def table(make_saver: MakeSaver) -> list[str]:
    """A conversation of alice's with a large value, one of `alice!`'s under the same id, one of bob's."""
    saver, prose = make_saver(), Prose()
    mine = saver.new_conversation("alice")["configurable"]["thread_id"]
    graph = chat_graph(prose).compile(checkpointer=saver)
    for user, thread in (("alice", mine), ("alice!", mine), ("bob", "other")):
        graph.invoke(user_message(prose), {"configurable": {"thread_id": thread, "user_id": user, "run_id": "run"}})
    put(saver, 1, {"image": noise(400_000)}, at=config(mine, user_id="alice", ns="pictures:1"))
    return [mine, "other"]


def test_stats_counts_every_item_and_byte_of_the_table_once(
    cli: Cli, table: list[str], client: DynamoDBClient, table_name: str
) -> None:
    items = items_of(client, table_name)

    ended = cli("stats", "--json")

    told = ended.json
    rows = [item for item in items if "created_at" in item]
    assert ended.code == 0
    assert told["items"] == sum(kind["items"] for kind in told["kinds"].values()) == len(items)
    assert told["bytes"] == sum(map(item_bytes, items))
    assert told["stored_bytes"] == told["bytes"] + sum(map(item_bytes, rows)) + 100 * (len(items) + len(rows))
    assert (told["conversations"], told["users"], told["kinds"]["conversation rows"]["items"]) == (3, 3, 3)
    assert told["kinds"]["parts of large values"]["bytes"] > 400_000
    assert told["kinds"]["other items"]["items"] == 0
    assert told["dollars_a_month"] == pytest.approx(told["stored_bytes"] / 1024**3 * 0.25)


def test_stats_counts_no_conversation_in_what_other_programs_keep_in_partitions_of_their_own(
    cli: Cli, table: list[str], client: DynamoDBClient, table_name: str
) -> None:
    for user in ("alice", "carol"):  # as examples/lambda counts turns
        key = {"conversation_id": {"S": f"turns#{user}"}, "user_id": {"S": f"{user}#turns#29000000"}}
        client.put_item(TableName=table_name, Item={**key, "turns": {"N": "3"}})

    told = cli("stats", "--json").json

    assert (told["conversations"], told["users"], told["kinds"]["other items"]["items"]) == (3, 3, 2)


def test_stats_of_a_conversation_are_of_one_users_share(cli: Cli, table: list[str]) -> None:
    mine, other = table

    shared = cli("stats", mine)
    parts = [cli("stats", mine, "--user", user, "--json").json["items"] for user in ("alice", "alice!")]
    bobs = cli("stats", other, "--price", "storage=1")

    assert (shared.code, "several users" in shared.error) == (2, True)
    runs = cli("stats", "--json").json["kinds"]["run pointers"]["items"]
    assert sum(parts) + cli("stats", other, "--json").json["items"] + runs == cli("stats", "--json").json["items"]
    assert "1 conversation of 1 user;" in bobs.out
    assert "checkpoints" in bobs.out
    assert "--price" in bobs.out


def test_stats_of_nobodys_conversation_is_an_error(cli: Cli) -> None:
    assert cli("stats", "none").code == 3
    assert cli("stats", "--user", "alice").code == 2


def test_estimate_sets_both_bills_side_by_side_with_their_sources(terminal: Cli) -> None:
    ended = terminal("estimate", "--turns", "100000", "--turns-per-conversation", "200")

    assert ended.code == 0
    assert "this saver" in ended.out
    assert "fails at turn 167" in ended.out
    assert "langgraph-checkpoint-aws 1.2.6" in ended.out
    assert "2024-11-01" in ended.out


def test_estimate_as_json_has_units_dollars_prices_and_sources(terminal: Cli) -> None:
    told = terminal("estimate", "--turns", "1000", "--cold", "--price", "write=1", "--json").json

    longer = terminal("estimate", "--turns", "1000", "--turns-per-conversation", "400", "--json").json

    mine, full = told["bills"]["this saver"], told["bills"]["full-state saver"]
    long = longer["bills"]["this saver"]
    assert mine["write_units"] == pytest.approx(34_400, rel=0.02)  # chats of 20 turns, half of them with a full row
    assert long["write_units"] == pytest.approx(20_660, rel=0.02)
    assert mine["dollars"] < full["dollars"]
    assert told["prices"] == {"write": 1.0, "read": 0.125, "storage": 0.25}
    assert len(told["sources"]) == 3
    assert terminal("estimate", "--turns", "-1").code == 2
