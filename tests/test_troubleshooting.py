"""docs/troubleshooting.md has every error, with messages that the package really raises."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from langgraph_dynamo_conv import DynamoDBConversationSaver, errors
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv.errors import DynamoConvError
from langgraph_dynamo_conv.provision import SETUP_ACTIONS
from tests.buckets import new_bucket
from tests.engines import Engine, free_port
from tests.factories import config, noise, put
from tests.faults.failing import FailingClient
from tests.faults.graphs import take_turn
from tests.store.test_errors import always_overtaken, items_of, refused_with, table_without_index

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.conftest import MakeSaver

PAGE = (Path(__file__).parent.parent / "docs" / "troubleshooting.md").read_text()
TABLE = (Path(__file__).parent.parent / "docs" / "table.md").read_text()
SECTIONS: dict[str, str] = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
QUOTED = re.compile(r"^```text\n(.*?)\n```", re.MULTILINE | re.DOTALL)
QUOTES = [(name, quote) for name, text in SECTIONS.items() for quote in QUOTED.findall(text)]
CODES = (
    "ResourceNotFoundException",
    "AccessDeniedException",
    "ExpiredTokenException",
    "ThrottlingException",
    "ValidationException",
)


def test_every_error_has_a_section_and_no_section_is_of_another() -> None:
    assert sorted(SECTIONS) == sorted(errors.__all__)


@pytest.mark.parametrize("name", [name for name in SECTIONS if name != "DynamoConvError"])
def test_a_section_has_message_cause_and_remedy(name: str) -> None:
    for part in ("```text", "**Cause", "emed"):
        assert part in SECTIONS[name]


def test_the_actions_of_set_up_are_counted_and_named() -> None:
    numbers = ["", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]

    assert f"[{numbers[len(SETUP_ACTIONS)]} actions](table.md#who-may-do-what)" in PAGE
    for action in SETUP_ACTIONS:
        assert f"`{action}`" in TABLE.partition("## Who may do what")[2]


@pytest.mark.engine("memory")
@pytest.mark.parametrize(("name", "quote"), QUOTES)
def test_a_message_is_one_that_is_raised(raised: list[DynamoConvError], name: str, quote: str) -> None:
    pattern = re.sub(r"<[^>]+>", "(?s:.+)", re.escape(quote).replace("\\<", "<").replace("\\>", ">"))
    said = [str(error) for error in raised if type(error).__name__ == name]

    assert any(re.fullmatch(pattern, one) for one in said), said


def error_of(call: Callable[[], Any]) -> DynamoConvError:
    with pytest.raises(DynamoConvError) as caught:
        call()
    return caught.value


@pytest.fixture
def raised(
    engine: Engine, client: DynamoDBClient, table_name: str, make_saver: MakeSaver, monkeypatch: pytest.MonkeyPatch
) -> list[DynamoConvError]:
    """One error of every kind that the page quotes."""
    failing = FailingClient(engine, retries={"total_max_attempts": 1})
    found = [*refusals(make_saver, failing), *of_tables(client), *of_codec(), *of_conversations(make_saver, failing)]
    failing.close()
    found += [damaged_parent(client, table_name, make_saver), other_parent(make_saver)]
    found.append(odd_attribute(client, table_name, make_saver))
    found += of_buckets(make_saver)
    nowhere = Engine("nowhere", f"http://127.0.0.1:{free_port()}").client(retries={"total_max_attempts": 1})
    with DynamoDBConversationSaver("t", client=nowhere) as saver:
        found.append(error_of(lambda: saver.resume("alice")))
    nowhere.close()
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with DynamoDBConversationSaver("t") as saver:
        found.append(error_of(lambda: saver.resume("alice")))
    return found


def refusals(make_saver: MakeSaver, failing: FailingClient) -> Iterator[DynamoConvError]:
    """What DynamoDB refuses with, by its own words."""
    saver = make_saver(client=failing.client)
    refused = [(code, "what it says", 400) for code in CODES]
    refused += [
        ("AccessDeniedException", "r may not: with an explicit deny in a service control policy", 400),
        ("AccessDeniedException", "r may not perform kms:Decrypt, because no identity-based policy allows it", 400),
        ("ValidationException", "Cannot read from backfilling global secondary index", 400),
        ("ValidationException", "Item size has exceeded the maximum allowed size", 400),
        ("InternalServerError", "Internal server error", 500),
    ]
    for code, said, status in refused:
        with failing.failing(refused_with(code, said, status), 1):
            yield error_of(lambda: saver.resume("alice"))


def of_tables(client: DynamoDBClient) -> Iterator[DynamoConvError]:
    bare = table_without_index(client)
    with DynamoDBConversationSaver(bare, client=client) as saver:
        yield error_of(saver.setup)
    client.delete_table(TableName=bare)
    with DynamoDBConversationSaver(f"t-{uuid.uuid4()}", client=client) as saver:
        saver.setup()
        name = saver._runtime.table.name
        for setting in ({"Enabled": False, "AttributeName": "expires_at"}, {"Enabled": True, "AttributeName": "ttl"}):
            client.update_time_to_live(TableName=name, TimeToLiveSpecification=setting)  # type: ignore[arg-type]
        yield error_of(lambda: saver.setup(ttl=True))
        client.delete_table(TableName=name)


def of_codec() -> Iterator[DynamoConvError]:
    codec = Codec()
    frame = codec.frame(b"x" * 100, context="c / k")
    ours, others = (EncryptedSerializer.from_pycryptodome_aes(key=bytes([n]) * 16) for n in (1, 2))
    encrypted = codec.with_encryptor(ours).frame(b"x" * 100, context="c / k")
    yield error_of(lambda: codec.unframe(frame[:-1] + b"?", context="c / k"))
    yield error_of(lambda: codec.unframe(frame[:3], context="c / k"))
    yield error_of(lambda: codec.unframe(b"\x63" + frame[1:], context="c / k"))
    yield error_of(lambda: codec.unframe(encrypted, context="c / k"))
    yield error_of(lambda: codec.with_encryptor(others).unframe(encrypted, context="c / k"))


def of_conversations(make_saver: MakeSaver, failing: FailingClient) -> Iterator[DynamoConvError]:
    saver = make_saver(default_user_id=None)
    chat = saver.conversations.create("alice")
    yield error_of(lambda: saver.conversations.get("nowhere", "alice"))
    yield error_of(lambda: saver.resume("nobody"))
    yield error_of(lambda: saver.conversations.edit_message(chat.conversation_id, "nothing", "text"))
    put(saver, 1, {"messages": [HumanMessage("hi", id="1")], "branch:to:node": None}, at=config("t", user_id="alice"))
    message_id = saver.conversations.get("t", "alice").messages[0].id
    yield error_of(lambda: saver.conversations.remove_message("t", message_id, user_id="alice"))
    yield error_of(lambda: saver.get_tuple({"configurable": {"thread_id": "t"}}))
    yield error_of(lambda: saver.conversations.create("alice", conversation_id=chat.conversation_id))
    overtaken = make_saver(client=failing.client).conversations
    with failing.failing(
        lambda request, deliver: (
            always_overtaken(request, deliver) if b"UpdateExpression" in request.body else deliver()
        ),
        1,
        times=None,
    ):
        yield error_of(lambda: overtaken.rename(chat.conversation_id, "alice", "New"))
    yield error_of(lambda: saver._runtime.table.put({"conversation_id": {"S": "c"}, "user_id": {"S": 7}}))  # type: ignore[dict-item]


def of_buckets(make_saver: MakeSaver) -> Iterator[DynamoConvError]:
    with new_bucket() as bucket:
        s3: Any = {"s3_bucket": bucket.name, "s3_client": bucket.client}
        put(make_saver(**s3), 1, {"document": noise(400_000)})
        yield error_of(lambda: make_saver().get_tuple(config()))
        elsewhere = make_saver(**{**s3, "s3_bucket": f"{bucket.name}-not"})
        yield error_of(lambda: put(elsewhere, 2, {"document": noise(400_000, 2)}))
        make_saver(**s3).delete_thread("thread")


def damaged_parent(client: DynamoDBClient, table_name: str, make_saver: MakeSaver) -> DynamoConvError:
    at: Any = {"configurable": {"thread_id": str(uuid.uuid4()), "user_id": "alice"}}
    take_turn(make_saver(), at, 1)
    oldest, *_, newest = [item for item in items_of(client, table_name, at) if "k" in item]
    client.delete_item(TableName=table_name, Key={name: oldest[name] for name in ("conversation_id", "user_id")})
    at["configurable"]["checkpoint_id"] = newest["user_id"]["S"].rpartition("#")[2]
    return error_of(lambda: make_saver().get_tuple(at))


def other_parent(make_saver: MakeSaver) -> DynamoConvError:
    one, two = make_saver(transcript=False), make_saver(transcript=False)
    put(one, 1, {"a": 1}, at=config("two"))
    put(two, 1, {"a": 2}, at=config("two"))
    put(one, 2, {"a": 3}, parent=1, at=config("two"))
    return error_of(lambda: make_saver().get_tuple(config("two")))


def odd_attribute(client: DynamoDBClient, table_name: str, make_saver: MakeSaver) -> DynamoConvError:
    at: Any = {"configurable": {"thread_id": str(uuid.uuid4()), "user_id": "alice"}}
    take_turn(make_saver(), at, 1)
    newest = [item for item in items_of(client, table_name, at) if "k" in item][-1]
    client.put_item(TableName=table_name, Item={**newest, "k": {"N": "1"}})
    return error_of(lambda: make_saver().get_tuple(at))
