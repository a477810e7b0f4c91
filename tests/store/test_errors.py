"""Each error of the tree, provoked: what happened, where, and the remedy; and no word of anyone's messages."""

from __future__ import annotations

import logging
import traceback
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from langgraph_dynamo_conv import DynamoDBConversationSaver, errors
from langgraph_dynamo_conv.errors import (
    AccessDeniedError,
    ConflictError,
    ConversationNotFoundError,
    CorruptDataError,
    CredentialsError,
    DynamoConvError,
    EndpointError,
    IndexNotReadyError,
    ItemTooLargeError,
    RequestFailedError,
    TableMismatchError,
    TableNotFoundError,
    ThrottledError,
    UnknownFormatError,
    UserRequiredError,
)
from tests.engines import Engine, free_port
from tests.faults.failing import Deliver, FailingClient, Fault, error_500, refusal, throttled
from tests.faults.graphs import take_turn
from tests.memory_engine.bare import INDEX
from tests.requests_log import RequestLog

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.conftest import MakeSaver

pytestmark = pytest.mark.engine_matters

SECRET = "question 1"
"""What the user of `take_turn` says."""


@pytest.fixture
def failing(engine: Engine) -> Iterator[FailingClient]:
    failing = FailingClient(engine)
    yield failing
    failing.close()


@pytest.fixture
def config() -> RunnableConfig:
    return {"configurable": {"thread_id": str(uuid.uuid4()), "user_id": "alice"}}


def refused_with(code: str, said: str, status: int = 400) -> Fault:
    """A fault: DynamoDB's refusal with this code and these words."""

    def fault(request: Any, deliver: Deliver) -> Any:
        return refusal(request, code, said, status=status)

    return fault


def knows_reasons(client: DynamoDBClient) -> bool:
    """Whether this botocore knows that DynamoDB gives reasons for throttling."""
    return "ThrottlingReason" in client.meta.service_model.shape_names


def in_the_words_of_dynamodb(
    make_saver: MakeSaver, failing: FailingClient, code: str, said: str, status: int = 400
) -> DynamoConvError:
    """The error of a call that is refused so."""
    saver = make_saver(client=failing.client)
    with failing.failing(refused_with(code, said, status), 1, times=None), pytest.raises(DynamoConvError) as caught:
        saver.resume("alice")
    return caught.value


class TestTable:
    def test_a_missing_table_is_named_with_place_and_remedy(
        self, client: DynamoDBClient, config: RunnableConfig
    ) -> None:
        missing = DynamoDBConversationSaver("no-such-table", client=client)
        with missing as saver, pytest.raises(TableNotFoundError) as caught:
            saver.get_tuple(config)

        said = str(caught.value)
        for part in ("'no-such-table'", "us-east-1", client.meta.endpoint_url, "setup()"):
            assert part in said
        assert (caught.value.operation, caught.value.table) == ("Query", "no-such-table")
        assert str(config["configurable"]["thread_id"]) in str(caught.value.key)
        assert isinstance(caught.value.__cause__, ClientError)

    def test_a_missing_index_is_named_with_the_remedy(self, client: DynamoDBClient) -> None:
        name = table_without_index(client)
        with DynamoDBConversationSaver(name, client=client) as saver:
            with pytest.raises(
                IndexNotReadyError, match=rf"no usable index '{INDEX}'; add it by setup\(add_index=True\)"
            ) as caught:
                saver.resume("alice")
            with pytest.raises(TableMismatchError, match=f"exists, but it has no index {INDEX}"):
                saver.setup()
        client.delete_table(TableName=name)

        assert (caught.value.operation, caught.value.table) == ("Query", name)
        assert isinstance(caught.value.__cause__, ClientError)

    @pytest.mark.engine("memory")
    @pytest.mark.parametrize(
        "said",
        [
            f"The table does not have the specified index: {INDEX}",
            f"Cannot read from backfilling global secondary index: {INDEX}",
        ],
    )
    def test_an_index_that_dynamodb_lacks_or_builds_is_told(
        self, make_saver: MakeSaver, failing: FailingClient, said: str
    ) -> None:
        error = in_the_words_of_dynamodb(make_saver, failing, "ValidationException", said)

        assert type(error) is IndexNotReadyError
        assert said in str(error)

    def test_setting_up_twice_is_harmless(self, make_saver: MakeSaver) -> None:
        make_saver().setup()
        make_saver().setup()

    def test_time_to_live_on_another_attribute_is_told(
        self, client: DynamoDBClient, table_name: str, make_saver: MakeSaver
    ) -> None:
        setting: Any = {"Enabled": True, "AttributeName": "ttl"}
        client.update_time_to_live(TableName=table_name, TimeToLiveSpecification=setting)

        make_saver().setup()  # leaves the table as it is
        with pytest.raises(TableMismatchError, match="by the attribute 'ttl'"):
            make_saver().setup(ttl=True)


def table_without_index(client: DynamoDBClient) -> str:
    name = f"bare-{uuid.uuid4()}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "conversation_id", "AttributeType": "S"},
            {"AttributeName": "user_id", "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": "conversation_id", "KeyType": "HASH"},
            {"AttributeName": "user_id", "KeyType": "RANGE"},
        ],
    )
    return name


@pytest.mark.engine("memory")
class TestWordsOfDynamoDB:
    @pytest.mark.parametrize(
        ("code", "said", "kind", "remedy"),
        [
            (
                "AccessDeniedException",
                "User: arn:aws:iam::1:role/r is not authorized to perform: dynamodb:Query on resource: t",
                AccessDeniedError,
                "allow dynamodb:Query on the table and its index/*",
            ),
            (
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
                CredentialsError,
                "did not accept the credentials",
            ),
            (
                "ExpiredTokenException",
                "The security token included in the request is expired",
                CredentialsError,
                "renew or correct them",
            ),
            (
                "ThrottlingException",
                "Throughput exceeds the current capacity of your table or index.",
                ThrottledError,
                "was throttled and the retries ended: slow down, and repeat it later",
            ),
            (
                "TransactionConflictException",
                "Transaction is ongoing for the item",
                ConflictError,
                "met another writer of the item; repeat it",
            ),
            (
                "ItemCollectionSizeLimitExceededException",
                "Collection size exceeded.",
                ItemTooLargeError,
                "over DynamoDB's limit",
            ),
            (
                "AccessDeniedException",
                (
                    "User: arn:aws:iam::1:role/r is not authorized to perform: dynamodb:Query on resource: t with an "
                    "explicit deny in a VPC endpoint policy"
                ),
                AccessDeniedError,
                "the policy of the VPC endpoint that was used denies dynamodb:Query: change it there",
            ),
            (
                "ValidationException",
                "KMS key disabled error: arn:aws:kms:eu-west-1:1:key/k is disabled",
                AccessDeniedError,
                "enable the KMS key arn:aws:kms:eu-west-1:1:key/k, or cancel its deletion, at once",
            ),
            ("ValidationException", "Query condition missed key schema element", RequestFailedError, "was refused"),
            ("ValidationException", "Type mismatch for Index Key created_at", RequestFailedError, "was refused"),
        ],
    )
    def test_a_refusal_becomes_its_error(
        self,
        make_saver: MakeSaver,
        failing: FailingClient,
        code: str,
        said: str,
        kind: type[DynamoConvError],
        remedy: str,
    ) -> None:
        error = in_the_words_of_dynamodb(make_saver, failing, code, said)

        assert type(error) is kind
        assert remedy in str(error)
        assert f"({code}: {said})" in str(error)
        assert error.operation == "Query"
        assert isinstance(error.__cause__, ClientError)

    @pytest.mark.parametrize(
        ("code", "name"),
        [
            ("ThrottlingException", "throttlingReasons"),
            ("ProvisionedThroughputExceededException", "ThrottlingReasons"),
            ("RequestLimitExceeded", "ThrottlingReasons"),
        ],
    )
    def test_a_shortage_names_dynamodbs_reason_and_the_resource(
        self, make_saver: MakeSaver, failing: FailingClient, code: str, name: str
    ) -> None:
        index = f"arn:aws:dynamodb:eu-west-1:1:table/t/index/{INDEX}"
        reasons: list[dict[str, str | None]] = [{"reason": "IndexWriteKeyRangeThroughputExceeded", "resource": index}]

        def fault(request: Any, deliver: Deliver) -> Any:
            return refusal(request, code, "too much", more={name: reasons})

        with failing.failing(fault, 1), pytest.raises(ThrottledError) as caught:
            make_saver(client=failing.client).resume("alice")

        if not knows_reasons(failing.client):  # an older botocore leaves them out of the answer
            reasons = [{"reason": None, "resource": None}]
        assert {"reason": caught.value.reason, "resource": caught.value.resource} == reasons[0]
        remedy = "one partition key takes more than a partition gives: spread the load over more users"
        assert (remedy in str(caught.value)) == knows_reasons(failing.client)

    def test_a_denial_names_the_action_and_the_kind_of_policy(
        self, make_saver: MakeSaver, failing: FailingClient
    ) -> None:
        said = (
            "User: r is not authorized to perform: dynamodb:Query on resource: t because no service control policy "
            "allows the dynamodb:Query action"
        )
        error = in_the_words_of_dynamodb(make_saver, failing, "AccessDeniedException", said)

        assert isinstance(error, AccessDeniedError)
        assert (error.action, error.policy) == ("dynamodb:Query", "service control policy")

    @pytest.mark.parametrize("status", [500, 503])
    def test_an_error_inside_dynamodb_can_be_repeated(
        self, make_saver: MakeSaver, failing: FailingClient, status: int
    ) -> None:
        error = in_the_words_of_dynamodb(make_saver, failing, "InternalServerError", "", status)

        assert type(error) is EndpointError
        assert "failed inside DynamoDB; the call can be repeated" in str(error)


class TestReachingIt:
    @pytest.mark.engine("memory")
    def test_no_credentials(self, monkeypatch: pytest.MonkeyPatch, config: RunnableConfig) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)

        error = without_client(config)

        assert type(error) is CredentialsError
        assert "no usable AWS credentials" in str(error)

    def test_no_region(self, monkeypatch: pytest.MonkeyPatch, config: RunnableConfig) -> None:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name)

        error = without_client(config)

        assert type(error) is CredentialsError
        assert "give region_name, or set AWS_DEFAULT_REGION" in str(error)

    def test_an_unknown_profile(self, monkeypatch: pytest.MonkeyPatch, config: RunnableConfig) -> None:
        monkeypatch.setenv("AWS_PROFILE", "nobody")

        error = without_client(config)

        assert type(error) is CredentialsError
        assert "nobody" in str(error)

    def test_an_endpoint_where_nobody_listens(self, config: RunnableConfig) -> None:
        nowhere = Engine("nowhere", f"http://127.0.0.1:{free_port()}")
        client = nowhere.client(connect_timeout=0.5, retries={"total_max_attempts": 2, "mode": "legacy"})

        with DynamoDBConversationSaver("t", client=client) as saver, pytest.raises(EndpointError) as caught:
            saver.conversations.get("some-conversation", "alice")
        client.close()

        assert str(nowhere.endpoint_url) in str(caught.value)
        assert "the call can be repeated" in str(caught.value)
        assert (caught.value.operation, caught.value.table) == ("GetItem", "t")
        assert caught.value.key == "some-conversation / alice"
        assert isinstance(caught.value.__cause__, BotoCoreError)


def without_client(config: RunnableConfig) -> DynamoConvError:
    with DynamoDBConversationSaver("t") as saver, pytest.raises(DynamoConvError) as caught:
        saver.get_tuple(config)
    return caught.value


@pytest.mark.engine("memory")
class TestRetries:
    @pytest.mark.parametrize("attempts", [1, 2, 4])
    @pytest.mark.parametrize("mode", ["legacy", "standard"])
    @pytest.mark.parametrize("fault", [throttled, error_500])
    def test_they_are_those_of_the_clients_config(
        self, engine: Engine, make_saver: MakeSaver, mode: str, attempts: int, fault: Fault
    ) -> None:
        failing = FailingClient(engine, retries={"mode": mode, "total_max_attempts": attempts})
        saver = make_saver(client=failing.client)

        with failing.failing(fault, 1, times=None), pytest.raises((ThrottledError, EndpointError)):
            saver.conversations.get("some-conversation", "alice")

        assert failing.sent == attempts
        failing.close()

    @pytest.mark.parametrize(
        "code", ["ReplicatedWriteConflictException", "TransactionConflictException", "TransactionInProgressException"]
    )
    def test_a_request_that_meets_another_writer_is_sent_again_whatever_the_clients_mode(
        self, engine: Engine, make_saver: MakeSaver, code: str
    ) -> None:
        failing = FailingClient(engine, retries={"mode": "legacy", "total_max_attempts": 1})
        saver = make_saver(client=failing.client)
        with failing.failing(refused_with(code, "being modified by a request in another Region"), 1, times=4):
            saver.conversations.create("alice")

        assert len(list(saver.conversations.list("alice"))) == 1
        failing.close()

    def test_a_short_shortage_is_not_noticed(self, engine: Engine, make_saver: MakeSaver) -> None:
        failing = FailingClient(engine, retries={"mode": "legacy", "total_max_attempts": 4})
        saver = make_saver(client=failing.client)

        with failing.failing(throttled, 1, times=3):
            assert list(saver.conversations.list("alice")) == []

        assert failing.sent == 4
        failing.close()

    def test_the_savers_own_client_retries_in_standard_mode(self) -> None:
        with DynamoDBConversationSaver("t") as saver:
            assert saver._runtime.table.client.meta.config.retries == {  # type: ignore[attr-defined]
                "mode": "standard",
                "total_max_attempts": 6,
            }


class TestData:
    def test_a_title_that_no_item_can_hold(self, make_saver: MakeSaver) -> None:
        with pytest.raises(ItemTooLargeError, match="over DynamoDB's limit of 400 KB") as caught:
            make_saver().conversations.create("alice", title="x" * 500_000)

        assert caught.value.operation == "UpdateItem"
        assert isinstance(caught.value.__cause__, ClientError)

    def test_a_damaged_checkpoint_is_named(
        self, client: DynamoDBClient, table_name: str, make_saver: MakeSaver, config: RunnableConfig
    ) -> None:
        take_turn(make_saver(), config, 1)
        key = damage(client, table_name, config, lambda frame: frame[:-1] + bytes([frame[-1] ^ 1]))

        with pytest.raises(CorruptDataError, match="damaged") as caught:
            make_saver().get_tuple(config)

        assert key in str(caught.value.key)

    def test_a_checkpoint_of_a_later_format_is_named(
        self, client: DynamoDBClient, table_name: str, make_saver: MakeSaver, config: RunnableConfig
    ) -> None:
        take_turn(make_saver(), config, 1)
        key = damage(client, table_name, config, lambda frame: b"\x63" + frame[1:])

        with pytest.raises(UnknownFormatError, match=r"format version 99.*update langgraph_dynamo_conv") as caught:
            make_saver().get_tuple(config)

        assert key in str(caught.value.key)

    def test_a_missing_parent_is_named(
        self, client: DynamoDBClient, table_name: str, make_saver: MakeSaver, config: RunnableConfig
    ) -> None:
        take_turn(make_saver(), config, 1)
        oldest, *_, newest = [item for item in items_of(client, table_name, config) if "k" in item]
        client.delete_item(TableName=table_name, Key={name: oldest[name] for name in ("conversation_id", "user_id")})
        config["configurable"]["checkpoint_id"] = newest["user_id"]["S"].rpartition("#")[2]

        with pytest.raises(CorruptDataError, match="which is missing") as caught:
            make_saver().get_tuple(config)

        assert caught.value.key


def items_of(client: DynamoDBClient, table_name: str, config: RunnableConfig) -> list[dict[str, Any]]:
    """A conversation's checkpoint items, oldest first."""
    ids = config["configurable"]
    answer = client.query(
        TableName=table_name,
        KeyConditionExpression="conversation_id = :thread AND begins_with(user_id, :prefix)",
        ExpressionAttributeValues={
            ":thread": {"S": ids["thread_id"]},
            ":prefix": {"S": f"{ids['user_id']}#c#"},
        },
    )
    found: list[Any] = answer["Items"]
    return found


def damage(client: DynamoDBClient, table_name: str, config: RunnableConfig, change: Callable[[bytes], bytes]) -> str:
    """Change the frame of the newest checkpoint; gives its sort key."""
    newest = items_of(client, table_name, config)[-1]
    client.put_item(TableName=table_name, Item={**newest, "d": {"B": change(bytes(newest["d"]["B"]))}})
    return str(newest["user_id"]["S"])


class TestUsers:
    def test_a_conversation_that_is_not_there(self, make_saver: MakeSaver) -> None:
        saver = make_saver()
        calls: list[Callable[[], Any]] = [
            lambda: saver.conversations.get("nowhere", "alice"),
            lambda: saver.conversations.rename("nowhere", "alice", "Title"),
            lambda: saver.resume("alice"),
        ]
        for call in calls:
            with pytest.raises(ConversationNotFoundError) as caught:
                call()
            assert isinstance(caught.value, LookupError)

    @pytest.mark.engine("memory")
    def test_no_user_is_an_error_before_any_request(self, client: DynamoDBClient, make_saver: MakeSaver) -> None:
        saver = make_saver(default_user_id=None)
        config: RunnableConfig = {"configurable": {"thread_id": "t"}}

        with RequestLog(client) as log:
            for call in (lambda: saver.get_tuple(config), lambda: list(saver.list(config)), saver.new_conversation):
                with pytest.raises(UserRequiredError, match="put `user_id`") as caught:
                    call()
                assert isinstance(caught.value, ValueError)

        assert len(log) == 0

    def test_a_writer_that_is_always_too_late(
        self, client: DynamoDBClient, table_name: str, make_saver: MakeSaver, failing: FailingClient
    ) -> None:
        saver = make_saver(client=failing.client)
        chat = saver.conversations.create("alice", title="Old")
        key: Any = {"conversation_id": {"S": chat.conversation_id}, "user_id": {"S": "alice"}}

        def overtaken(request: Any, deliver: Deliver) -> Any:
            if b"UpdateExpression" in request.body:
                client.update_item(
                    TableName=table_name,
                    Key=key,
                    UpdateExpression="ADD version :one",
                    ExpressionAttributeValues={":one": {"N": "1"}},
                )
            return deliver()

        with failing.failing(overtaken, 1, times=None), pytest.raises(ConflictError) as caught:
            saver.conversations.rename(chat.conversation_id, "alice", "New")

        assert "changed by others" in str(caught.value)
        assert (caught.value.operation, caught.value.table) == ("UpdateItem", table_name)
        assert caught.value.key == f"{chat.conversation_id} / alice"

    def test_a_conversation_of_an_id_that_is_taken(self, make_saver: MakeSaver) -> None:
        saver = make_saver()
        chat = saver.conversations.create("alice")

        with pytest.raises(ConflictError, match="has a conversation of that id already"):
            saver.conversations.create("alice", conversation_id=chat.conversation_id)


@pytest.mark.engine("memory")
def test_no_error_and_no_log_has_a_word_of_a_message(
    make_saver: MakeSaver, failing: FailingClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="langgraph_dynamo_conv")
    faults = [throttled, error_500, refused_with("ValidationException", "no"), always_overtaken]
    told = []
    for fault in faults:
        for number in range(1, 15, 3):
            config: RunnableConfig = {"configurable": {"thread_id": str(uuid.uuid4()), "user_id": "alice"}}
            with failing.failing(fault, number, times=None):
                try:
                    take_turn(make_saver(client=failing.client), config, 1)
                except DynamoConvError as error:
                    told += traceback.format_exception(error, limit=0)

    assert len(told) > 10
    assert SECRET not in "".join(told)
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("langgraph_dynamo_conv")]
    assert SECRET not in "".join(ours)


def always_overtaken(request: Any, deliver: Deliver) -> Any:
    """A failed condition, as DynamoDB tells it."""
    return refusal(request, "ConditionalCheckFailedException", "The conditional request failed")


def test_every_error_has_a_test_here() -> None:
    # in test_bucket*.py and test_erasure.py
    untested = {"DynamoConvError", "BucketNotFoundError", "BucketRequiredError"}
    untested |= {"MessageNotFoundError", "RunNotEndedError"}

    assert {name for name in errors.__all__ if name not in globals()} <= untested
