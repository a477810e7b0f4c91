"""Large values in S3: the same to every reader, stored once, private, and gone with their conversation."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from langgraph_dynamo_conv import Conversations, DynamoDBConversationSaver
from langgraph_dynamo_conv._format.keys import Scope, object_name
from langgraph_dynamo_conv._format.limits import BUCKET_BYTES
from langgraph_dynamo_conv.errors import BucketRequiredError, CorruptDataError
from tests.buckets import TestBucket, Wire, new_bucket
from tests.conftest import MakeSaver
from tests.factories import (
    checkpoint_id,
    config,
    generated,
    items_of,
    noise,
    put,
    read,
    sort_keys,
    stored_bytes,
    values_of,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MB = 1024 * 1024
HOUR = 3600
LARGE = noise(MB)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def other_bucket() -> Iterator[TestBucket]:
    with new_bucket() as bucket:
        yield bucket


class TestStoring:
    def test_a_large_value_comes_back_from_wherever_it_is_in_the_state(self, make_s3_saver: MakeSaver) -> None:
        state = {"whole": LARGE, "listed": ["small", LARGE], "named": {"a": LARGE}}
        put(make_s3_saver(), 1, state)

        assert values_of(make_s3_saver()) == state
        assert [one.checkpoint["channel_values"] for one in make_s3_saver().list(config())] == [state]

    def test_it_is_one_object_and_one_small_item(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, client: DynamoDBClient, table_name: str
    ) -> None:
        put(make_s3_saver(), 1, {"whole": LARGE, "listed": [LARGE]})

        assert len(bucket.keys) == 1
        assert len(bucket.data(bucket.keys[0])) < 1.01 * MB
        (pointer,) = [item for item in items_of(client, table_name) if "#p#" in item["user_id"]["S"]]
        assert pointer["user_id"]["S"].endswith("#s3")
        assert bytes(pointer["d"]["B"]).decode() == bucket.keys[0]
        assert stored_bytes(items_of(client, table_name)) < 2000

    def test_it_is_stored_once_over_many_checkpoints_and_savers(
        self, make_s3_saver: MakeSaver, bucket: TestBucket
    ) -> None:
        savers = [make_s3_saver() for _ in range(4)]
        with Wire(bucket.client) as wire:
            for number in range(1, 41):
                saver = savers[number // 11]
                state = {"document": LARGE, "items": [number, LARGE], "step": number}
                put(saver, number, state, parent=number - 1 or None)

        assert wire.operations.count("PutObject") == 1
        assert values_of(make_s3_saver())["items"] == [40, LARGE]

    @pytest.mark.parametrize(("threshold", "objects"), [(100_000, 1), (0, 2), (BUCKET_BYTES, 0), (MB, 0)])
    def test_the_threshold_says_what_is_an_object(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, threshold: int, objects: int
    ) -> None:
        state = {"large": noise(200_000), "medium": noise(30_000, 2), "small": "text"}
        put(make_s3_saver(s3_threshold_bytes=threshold), 1, state)

        assert len(bucket.keys) == objects
        assert values_of(make_s3_saver()) == state

    @pytest.mark.parametrize(("more", "objects"), [(0, 0), (1, 1)])
    def test_a_value_of_the_thresholds_size_is_parts_and_one_byte_more_an_object(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, more: int, objects: int
    ) -> None:
        framed = 100_000 + 6
        put(make_s3_saver(s3_threshold_bytes=framed), 1, {"document": noise(100_000 + more)})

        assert len(bucket.keys) == objects

    def test_the_object_is_there_before_what_refers_to_it(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, client: DynamoDBClient
    ) -> None:
        with Wire(client, bucket.client) as wire:
            put(make_s3_saver(transcript=False), 1, {"document": LARGE})

        objects = [operation for operation in wire.operations if operation not in ("Query", "GetItem")]
        assert objects[:4] == ["UpdateItem", "PutObject", "PutItem", "PutItem"]

    def test_an_object_of_many_megabytes_is_read_in_ranges(self, make_s3_saver: MakeSaver, bucket: TestBucket) -> None:
        value = noise(33 * MB)
        put(make_s3_saver(), 1, {"document": value})
        with Wire(bucket.client) as wire:
            found = values_of(make_s3_saver())

        assert found["document"] == value
        assert wire.operations == ["GetObject"] * 3

    def test_large_task_writes_come_back(self, make_s3_saver: MakeSaver, bucket: TestBucket) -> None:
        saver = make_s3_saver()
        put(saver, 1, {"a": 1})
        writes = [("document", LARGE), ("items", [noise(MB, 2), 1]), *((str(n), noise(20_000, n)) for n in range(30))]
        saver.put_writes(config(number=1), writes, "task")

        assert read(make_s3_saver()).pending_writes == [("task", *write) for write in writes]
        assert len(bucket.keys) == 3  # the small ones are too many for an item, and one object together

    def test_many_task_writes_are_one_object(self, make_s3_saver: MakeSaver, bucket: TestBucket) -> None:
        saver = make_s3_saver()
        put(saver, 1, {"a": 1})
        writes = [("items", noise(5000, number)) for number in range(200)]
        for _ in range(2):
            saver.put_writes(config(number=1), writes, "task")

        assert read(make_s3_saver()).pending_writes == [("task", *write) for write in writes]
        assert len(bucket.keys) == 1

    def test_large_messages_come_back_whole_in_the_transcript(
        self, make_s3_saver: MakeSaver, bucket: TestBucket
    ) -> None:
        saver, text = make_s3_saver(), noise(400_000).hex()
        messages = [HumanMessage("hi", id="1"), AIMessage(text, id="2")]
        put(saver, 1, {"messages": messages}, metadata={"source": "loop"})
        saver.conversations.add_message("thread", "user", text[::-1], user_id="demo")

        chat = make_s3_saver().conversations.get("thread", "demo")
        assert [message.content for message in chat.messages] == ["hi", text, text[::-1]]
        assert len(bucket.keys) >= 2

    def test_a_frame_too_large_for_an_item_is_an_object(self, make_s3_saver: MakeSaver, bucket: TestBucket) -> None:
        saver, items = make_s3_saver(), [noise(10_000, number) for number in range(45)]
        put(saver, 1, {"items": []})
        put(saver, 2, {"items": items}, parent=1)

        assert len(bucket.keys) == 1
        assert values_of(make_s3_saver())["items"] == items

    async def test_the_async_calls_do_the_same(self, make_s3_saver: MakeSaver, bucket: TestBucket) -> None:
        saver = make_s3_saver()
        stored = {"v": 4, "ts": "2026", "id": checkpoint_id(1), "channel_values": {"document": LARGE}}
        rest: Any = {"channel_versions": {"document": 1}, "versions_seen": {}, "updated_channels": None}
        await saver.aput(config(), {**stored, **rest}, {"source": "loop", "step": 1}, {"document": 1})
        await saver.aput_writes(config(number=1), [("items", noise(MB, 2))], "task")
        await saver.acopy_thread("thread", "copy")

        for thread in ("thread", "copy"):
            found = await make_s3_saver().aget_tuple(config(thread))
            assert found is not None
            assert found.checkpoint["channel_values"] == {"document": LARGE}
            assert found.pending_writes == [("task", "items", noise(MB, 2))]
        await saver.adelete_thread("thread")
        await saver.aprune(["copy"], strategy="delete")
        assert bucket.keys == []


@pytest.mark.engine("moto")
class TestOptions:
    def test_a_bucket_can_be_given_later(self, make_saver: MakeSaver, make_s3_saver: MakeSaver) -> None:
        put(make_saver(), 1, {"old": LARGE})
        put(make_s3_saver(), 2, {"old": LARGE, "new": noise(MB, 2)}, parent=1)

        assert values_of(make_s3_saver()) == {"old": LARGE, "new": noise(MB, 2)}
        assert values_of(make_s3_saver(), config(number=1)) == {"old": LARGE}

    def test_a_value_can_be_both_parts_and_an_object(
        self, make_saver: MakeSaver, make_s3_saver: MakeSaver, bucket: TestBucket
    ) -> None:
        put(make_saver(), 1, {"document": LARGE})
        put(make_s3_saver(), 2, {"document": LARGE})

        assert len(bucket.keys) == 1
        assert values_of(make_s3_saver(), config(number=1)) == values_of(make_s3_saver()) == {"document": LARGE}
        assert values_of(make_saver(), config(number=1)) == {"document": LARGE}
        make_s3_saver().delete_thread("thread")
        assert bucket.keys == []

    def test_a_bucket_can_be_moved(
        self, make_saver: MakeSaver, make_s3_saver: MakeSaver, bucket: TestBucket, other_bucket: TestBucket
    ) -> None:
        put(make_s3_saver(), 1, {"document": LARGE})
        bucket.move(other_bucket, "moved/")
        moved = make_saver(s3_bucket=other_bucket.name, s3_client=other_bucket.client, s3_prefix="moved")

        assert values_of(moved) == {"document": LARGE}
        moved.delete_thread("thread")
        assert other_bucket.keys == []

    def test_without_the_bucket_the_error_says_what_to_give(
        self, make_saver: MakeSaver, make_s3_saver: MakeSaver, table_name: str
    ) -> None:
        put(make_s3_saver(), 1, {"document": LARGE})

        with pytest.raises(BucketRequiredError, match="in S3 .thread, digest [0-9a-f]{32}.*give s3_bucket") as caught:
            make_saver().get_tuple(config())
        assert caught.value.table == table_name

    def test_without_the_bucket_nothing_is_deleted(
        self, make_saver: MakeSaver, make_s3_saver: MakeSaver, client: DynamoDBClient, table_name: str
    ) -> None:
        put(make_s3_saver(), 1, {"document": LARGE, "messages": [HumanMessage("hi")]}, at=config(run_id="run"))
        before = items_of(client, table_name)

        with pytest.raises(BucketRequiredError):
            make_saver().delete_thread("thread")
        with pytest.raises(BucketRequiredError):
            make_saver().conversations.delete_user("demo")
        with pytest.raises(BucketRequiredError):
            make_saver().copy_thread("thread", "copy")
        assert items_of(client, table_name) == before

    def test_conversations_without_a_graph_read_and_delete_them_too(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, client: DynamoDBClient, table_name: str
    ) -> None:
        text = noise(400_000).hex()
        put(make_s3_saver(), 1, {"messages": [HumanMessage("hi", id="1"), AIMessage(text, id="2")]})
        options: Any = {"client": client, "s3_bucket": bucket.name, "s3_client": bucket.client}
        with closing(Conversations(table_name, **options)) as conversations:
            assert conversations.get("thread", "demo").messages[1].content == text
            conversations.delete("thread", "demo")

        assert bucket.keys == []
        assert items_of(client, table_name) == []

    def test_the_constructor_sends_nothing_and_makes_no_client(self, table_name: str) -> None:
        saver = DynamoDBConversationSaver(table_name, s3_bucket="values", region_name="eu-central-1")

        assert saver._runtime.blobs._bucket is not None
        assert saver._runtime.blobs._bucket._client._client is None
        assert saver._runtime.blobs._bucket.client.meta.region_name == "eu-central-1"
        saver._runtime.blobs._bucket.client.close()
        saver.close()

    def test_the_made_client_is_of_the_tables_region_and_retries_as_its_client_does(
        self, make_saver: MakeSaver, client: DynamoDBClient
    ) -> None:
        made = make_saver(s3_bucket="values")._runtime.blobs._bucket
        assert made is not None

        assert made.client.meta.region_name == client.meta.region_name
        options: Any = made.client.meta.config
        assert options.retries == {"mode": "standard", "total_max_attempts": 6}
        assert options.max_pool_connections == 32
        made.client.close()

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"s3_prefix": "values/"}, "need an s3_bucket"),
            ({"s3_threshold_bytes": 1}, "need an s3_bucket"),
            ({"s3_bucket": ""}, "a bucket's name"),
            ({"s3_bucket": "name/prefix"}, "below it is s3_prefix"),
            ({"s3_bucket": "name", "s3_threshold_bytes": -1}, "at least 0"),
            *(
                ({"s3_bucket": "name", "s3_prefix": prefix}, "names with '/' between")
                for prefix in ("/", "/a", "a//b", "a//", "../a", "a/./b", "a\n", "a" * 901)
            ),
        ],
    )
    def test_impossible_options_are_refused(self, table_name: str, options: dict[str, Any], said: str) -> None:
        for made in (DynamoDBConversationSaver, Conversations):
            with pytest.raises(ValueError, match=said):
                made(table_name, **options)


@pytest.mark.engine("moto")
class TestKeys:
    @pytest.mark.parametrize(("prefix", "clean"), [("", ""), ("a", "a/"), ("a/b c/", "a/b c/")])
    def test_keys_begin_with_the_prefix(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, prefix: str, clean: str
    ) -> None:
        put(make_s3_saver(s3_prefix=prefix), 1, {"document": LARGE})

        assert values_of(make_s3_saver(s3_prefix=prefix)) == {"document": LARGE}
        assert re.fullmatch(f"{clean}[0-9a-f]{{40}}/[0-9a-f]{{32}}", bucket.keys[0])

    @pytest.mark.parametrize("user", ["alice@example.com", "../bob", "a/b", "ä\u0308", "..", "%2e%2e/x"])
    def test_no_id_stands_in_a_key_or_leads_out_of_the_prefix(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, user: str
    ) -> None:
        thread = f"../../{user}/thread"
        saver = make_s3_saver(s3_prefix="values")
        put(saver, 1, {"document": LARGE}, at=config(thread, user_id=user))

        assert values_of(saver, config(thread, user_id=user)) == {"document": LARGE}
        assert re.fullmatch("values/[0-9a-f]{40}/[0-9a-f]{32}", bucket.keys[0])
        saver.delete_thread(thread)
        assert bucket.keys == []

    @generated
    @given(st.lists(st.tuples(st.text("ab\\/é"), st.text("ab\\/é")), min_size=2, max_size=2, unique=True))
    def test_no_two_conversations_share_a_key(self, pairs: list[tuple[str, str]]) -> None:
        names = {object_name(Scope(thread, user).pointer("0" * 32)) for thread, user in pairs}
        assert len(names) == 2

    def test_two_users_of_one_thread_have_objects_of_their_own(
        self, make_s3_saver: MakeSaver, bucket: TestBucket
    ) -> None:
        saver = make_s3_saver()
        for user in ("alice", "alice2"):
            put(saver, 1, {"document": LARGE}, at=config(user_id=user))
        assert len(bucket.keys) == 2
        saver.conversations.delete("thread", "alice")

        assert len(bucket.keys) == 1
        assert saver.get_tuple(config(user_id="alice")) is None
        assert values_of(make_s3_saver(), config(user_id="alice2")) == {"document": LARGE}

    def test_a_reference_carried_to_another_user_reads_nothing(
        self, make_s3_saver: MakeSaver, client: DynamoDBClient, table_name: str
    ) -> None:
        put(make_s3_saver(), 1, {"document": LARGE}, at=config(user_id="alice"))
        for item in items_of(client, table_name):
            sk = item["user_id"]["S"].replace("alice", "mallory")
            client.put_item(TableName=table_name, Item={**item, "user_id": {"S": sk}})

        with pytest.raises(CorruptDataError):
            make_s3_saver().get_tuple(config(user_id="mallory"))


@pytest.mark.engine("moto")
class TestEncryption:
    def test_objects_are_encrypted_as_parts_are(self, make_s3_saver: MakeSaver, bucket: TestBucket) -> None:
        serde = EncryptedSerializer.from_pycryptodome_aes(key=b"k" * 32)
        text = "the secret word " + noise(400_000).hex()
        put(make_s3_saver(serde=serde), 1, {"document": text, "messages": [AIMessage(text)]})

        assert values_of(make_s3_saver(serde=serde))["document"] == text
        assert bucket.keys
        assert all(b"secret" not in bucket.data(key) for key in bucket.keys)
        assert all(bucket.data(key)[1] == 3 for key in bucket.keys)  # codec 3: encrypted

    def test_without_the_key_they_are_refused(self, make_s3_saver: MakeSaver) -> None:
        serde = EncryptedSerializer.from_pycryptodome_aes(key=b"k" * 32)
        put(make_s3_saver(serde=serde), 1, {"document": LARGE})
        put(make_s3_saver(), 1, {"document": LARGE}, at=config("plain"))

        other = EncryptedSerializer.from_pycryptodome_aes(key=b"x" * 32)
        for reader, thread, said in ((None, "thread", "is encrypted"), (other, "thread", "can't be decrypted")):
            with pytest.raises(CorruptDataError, match=said):
                make_s3_saver(serde=reader).get_tuple(config(thread))
        with pytest.raises(CorruptDataError, match="not encrypted"):
            make_s3_saver(serde=serde).get_tuple(config("plain"))


@pytest.mark.engine("moto")
class TestDamage:
    @pytest.mark.parametrize(
        ("damage", "said"),
        [
            (lambda data: data[:-1], "missing or damaged"),
            (lambda data: data[:0], "not whole, or not there"),
            (lambda data: data[:500] + b"x" + data[501:], "missing or damaged"),
            (lambda data: b"\x02" + data[1:], "missing or damaged"),
        ],
    )
    def test_a_damaged_object_is_noticed(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, damage: Any, said: str
    ) -> None:
        put(make_s3_saver(), 1, {"document": LARGE})
        (key,) = bucket.keys
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=damage(bucket.data(key)))

        with pytest.raises(CorruptDataError, match=said):
            make_s3_saver().get_tuple(config())

    def test_a_missing_object_is_named(self, make_s3_saver: MakeSaver, bucket: TestBucket) -> None:
        put(make_s3_saver(), 1, {"document": LARGE})
        (key,) = bucket.keys
        bucket.client.delete_object(Bucket=bucket.name, Key=key)

        with pytest.raises(CorruptDataError, match=f"{key} of a value is not whole, or not there") as caught:
            make_s3_saver().get_tuple(config())
        assert (caught.value.bucket, caught.value.key) == (bucket.name, key)

    def test_verifying_names_objects_whose_pointers_are_lost(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, client: DynamoDBClient, table_name: str
    ) -> None:
        saver = make_s3_saver(cache_bytes=0)
        put(saver, 1, {"messages": [HumanMessage(noise(400_000, 1).hex(), id="1")], "document": LARGE})
        frame = {"items": [noise(10_000, number) for number in range(45)]}
        put(saver, 2, {"messages": [], "document": LARGE, **frame}, parent=1)
        saver.put_writes(config(number=1), [("items", noise(5000, number)) for number in range(100, 300)], "task")
        assert saver.conversations.verify("thread", "demo").ok
        assert (
            len(bucket.keys) == 5
        )  # a message in state and transcript, a value, a checkpoint's frame, a task's writes
        pointers = [one for one in items_of(client, table_name) if one["user_id"]["S"].endswith("#s3")]

        for pointer in pointers:
            key: Any = {name: pointer[name] for name in ("conversation_id", "user_id")}
            client.delete_item(TableName=table_name, Key=key)
            damage = saver.conversations.verify("thread", "demo").damage
            client.put_item(TableName=table_name, Item=pointer)

            assert f"thread / {pointer['user_id']['S']}" in {one.key for one in damage}


class TestRemoving:
    def fill(self, saver: DynamoDBConversationSaver, thread: str, user: str) -> None:
        """Large values of every kind."""
        for number in range(1, 4):
            messages = [
                HumanMessage(f"{user} {step} " + noise(135_000 // (step + 1) ** 4).hex()) for step in range(number)
            ]
            state = {"messages": messages, "document": noise(100_000, number)}
            at = config(thread, user_id=user, run_id=f"run-{number}")
            put(saver, number, state, at=at, parent=number - 1 or None)
            saver.put_writes(config(thread, number, user_id=user), [("document", noise(110_000, number))], "task")

    @pytest.mark.parametrize("how", ["delete", "delete_thread", "delete_user", "scan", "prune"])
    def test_nothing_of_a_deleted_person_is_left(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, client: DynamoDBClient, table_name: str, how: str
    ) -> None:
        saver = make_s3_saver(s3_threshold_bytes=50_000)
        self.fill(saver, "one", "alice@example.com")
        self.fill(saver, "two", "bob")
        of_both = len(bucket.keys)
        remove = {
            "delete": lambda: saver.conversations.delete("one", "alice@example.com"),
            "delete_thread": lambda: saver.delete_thread("one"),
            "delete_user": lambda: saver.conversations.delete_user("alice@example.com"),
            "scan": lambda: saver.conversations.delete_user("alice@example.com", scan=True),
            "prune": lambda: saver.prune(["one"], strategy="delete"),
        }
        remove[how]()

        assert "alice" not in repr(items_of(client, table_name))
        assert 5 < len(bucket.keys) == of_both / 2
        assert all(b"alice" not in bucket.data(key) and "alice" not in key for key in bucket.keys)
        assert values_of(make_s3_saver(), config("two", user_id="bob"))["document"] == noise(100_000, 3)
        saver.delete_thread("two")
        assert bucket.keys == []

    def test_pruning_deletes_the_objects_that_nothing_refers_to(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, client: DynamoDBClient, table_name: str
    ) -> None:
        clock = Clock()
        saver = make_s3_saver(clock=clock, transcript=False)
        for number in range(1, 5):
            put(saver, number, {"document": noise(MB, number)}, parent=number - 1 or None)
            saver.put_writes(config(number=number), [("document", noise(500_000, number))], "task")
        saver.prune(["thread"])
        assert len(bucket.keys) == 8  # a run may be about to refer to them
        clock.now += HOUR + 1
        saver.prune(["thread"])

        assert len(bucket.keys) == len(sort_keys(items_of(client, table_name), "p")) == 2
        assert values_of(make_s3_saver()) == {"document": noise(MB, 4)}
        assert read(make_s3_saver()).pending_writes == [("task", "document", noise(500_000, 4))]

    def test_what_only_a_deleted_run_referred_to_goes_with_the_next_prune(
        self, make_s3_saver: MakeSaver, bucket: TestBucket
    ) -> None:
        clock = Clock()
        saver = make_s3_saver(clock=clock, transcript=False)
        for number in (1, 2):
            put(saver, number, {"document": noise(MB, number)}, at=config(run_id=f"run-{number}"))
        saver.delete_for_runs(["run-1"])
        clock.now += HOUR + 1
        saver.prune(["thread"])

        assert len(bucket.keys) == 1
        assert values_of(make_s3_saver()) == {"document": noise(MB, 2)}

    def test_a_value_is_stored_anew_after_its_conversation_was_deleted(
        self, make_s3_saver: MakeSaver, bucket: TestBucket
    ) -> None:
        saver = make_s3_saver()
        put(saver, 1, {"document": LARGE})
        saver.delete_thread("thread")
        put(saver, 2, {"document": LARGE})

        assert values_of(make_s3_saver()) == {"document": LARGE}

    def test_a_copy_has_objects_of_its_own(self, make_s3_saver: MakeSaver, bucket: TestBucket) -> None:
        saver = make_s3_saver(s3_threshold_bytes=50_000)
        self.fill(saver, "one", "alice")
        with Wire(bucket.client) as wire:
            saver.copy_thread("one", "copy")
        assert set(wire.operations) == {"CopyObject"}  # no byte comes here
        before = saver.conversations.get("one", "alice").messages
        saver.delete_thread("one")

        copy = config("copy", user_id="alice")
        assert len(list(make_s3_saver().list(copy))) == 3
        assert values_of(make_s3_saver(), copy)["document"] == noise(100_000, 3)
        assert [m.content for m in saver.conversations.get("copy", "alice").messages] == [m.content for m in before]
        saver.delete_thread("copy")
        assert bucket.keys == []

    def test_a_copy_from_the_wrong_bucket_is_refused(
        self, make_saver: MakeSaver, make_s3_saver: MakeSaver, other_bucket: TestBucket
    ) -> None:
        put(make_s3_saver(), 1, {"document": LARGE})
        wrong = make_saver(s3_bucket=other_bucket.name, s3_client=other_bucket.client)

        with pytest.raises(CorruptDataError, match="check that s3_bucket"):
            wrong.copy_thread("thread", str(uuid.uuid4()))
