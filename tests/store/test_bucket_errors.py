"""What goes wrong with a bucket, provoked: class, place and remedy of the error; and what a role must be allowed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError, DataNotFoundError, NoCredentialsError, ReadTimeoutError

from langgraph_dynamo_conv.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CorruptDataError,
    CredentialsError,
    DynamoConvError,
    EndpointError,
    RequestFailedError,
    ThrottledError,
)
from langgraph_dynamo_conv.provision import iam_policy
from tests.buckets import Fault, TestBucket, Wire, answered, s3_refusal
from tests.conftest import MakeSaver
from tests.engines import REGION, free_port
from tests.factories import config, noise, put, values_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.engine("moto")

LARGE = noise(400_000)
LISTING = (
    'User: arn:aws:iam::1:user/x is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::values" '
    "because no identity-based policy allows the s3:ListBucket action"
)
DENIED = 'User: arn:aws:iam::1:user/x is not authorized to perform: {} on resource: "arn:aws:s3:::values/*"'


@pytest.fixture
def stored(make_s3_saver: MakeSaver) -> None:
    """A conversation with a value in the bucket."""
    put(make_s3_saver(), 1, {"document": LARGE})


def error_of(make_s3_saver: MakeSaver, bucket: TestBucket, operation: str, fault: Fault) -> DynamoConvError:
    """The error of the call that sends this operation, where it is answered so."""
    saver = make_s3_saver()
    call = {
        "GetObject": lambda: saver.get_tuple(config()),
        "PutObject": lambda: put(saver, 2, {"document": noise(400_000, 2)}),
        "CopyObject": lambda: saver.copy_thread("thread", "copy"),
        "DeleteObject": lambda: saver.delete_thread("thread"),
    }[operation]
    with Wire(bucket.client) as wire:
        wire.fail(operation, fault)
        with pytest.raises(DynamoConvError) as caught:
            call()
    assert caught.value.operation == operation
    assert caught.value.bucket == bucket.name
    return caught.value


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("operation", ["GetObject", "PutObject", "CopyObject", "DeleteObject"])
class TestEveryOperation:
    def test_a_missing_bucket_is_named(self, make_s3_saver: MakeSaver, bucket: TestBucket, operation: str) -> None:
        fault = s3_refusal("NoSuchBucket", "The specified bucket does not exist", 404)
        error = error_of(make_s3_saver, bucket, operation, fault)

        assert type(error) is BucketNotFoundError
        assert str(error).startswith(f"there is no bucket '{bucket.name}' in {REGION} at https://s3")
        assert "create it, or check s3_bucket" in str(error)

    def test_what_is_denied_names_the_action_and_the_prefix(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, operation: str
    ) -> None:
        error = error_of(make_s3_saver, bucket, operation, s3_refusal("AccessDenied", "Access Denied"))

        needed = "s3:GetObject and s3:PutObject" if operation == "CopyObject" else f"s3:{operation}"
        assert type(error) is AccessDeniedError
        assert f"was denied: allow {needed} on {bucket.name}/*" in str(error)

    def test_a_key_that_may_not_be_used_is_named(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, operation: str
    ) -> None:
        fault = s3_refusal("AccessDenied", DENIED.format("kms:GenerateDataKey"))
        error = error_of(make_s3_saver, bucket, operation, fault)

        assert type(error) is AccessDeniedError
        assert "allow kms:GenerateDataKey on" in str(error)

    def test_throttling_says_so(self, make_s3_saver: MakeSaver, bucket: TestBucket, operation: str) -> None:
        fault = s3_refusal("SlowDown", "Please reduce your request rate.", 503)
        error = error_of(make_s3_saver, bucket, operation, fault)

        assert type(error) is ThrottledError
        assert f"{operation} on bucket '{bucket.name}'" in str(error)
        assert "repeat it later" in str(error)

    @pytest.mark.parametrize("code", ["InvalidAccessKeyId", "ExpiredToken", "SignatureDoesNotMatch"])
    def test_bad_credentials_are_told_apart(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, operation: str, code: str
    ) -> None:
        error = error_of(make_s3_saver, bucket, operation, s3_refusal(code))

        assert type(error) is CredentialsError
        assert "renew or correct" in str(error)

    @pytest.mark.parametrize("exception", [ReadTimeoutError, ConnectTimeoutError])
    def test_a_timeout_can_be_repeated(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, operation: str, exception: Any
    ) -> None:
        def fault(request: Any) -> Any:
            raise exception(endpoint_url=request.url)

        error = error_of(make_s3_saver, bucket, operation, fault)

        assert type(error) is EndpointError
        assert "the call can be repeated" in str(error)

    def test_a_failure_inside_s3_can_be_repeated(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, operation: str
    ) -> None:
        error = error_of(make_s3_saver, bucket, operation, s3_refusal("InternalError", status=500))

        assert type(error) is EndpointError
        assert "the call can be repeated" in str(error)

    def test_without_credentials_it_says_so(self, make_s3_saver: MakeSaver, bucket: TestBucket, operation: str) -> None:
        def fault(request: Any) -> Any:
            raise NoCredentialsError

        error = error_of(make_s3_saver, bucket, operation, fault)

        assert type(error) is CredentialsError
        assert "no usable AWS credentials for bucket" in str(error)

    def test_any_other_refusal_is_passed_on(self, make_s3_saver: MakeSaver, bucket: TestBucket, operation: str) -> None:
        error = error_of(make_s3_saver, bucket, operation, s3_refusal("InvalidObjectState", "archived"))

        assert type(error) is RequestFailedError
        assert "InvalidObjectState: archived" in str(error)

    def test_a_bucket_elsewhere_asks_for_a_client_of_its_region(
        self, make_s3_saver: MakeSaver, bucket: TestBucket, operation: str
    ) -> None:
        fault = s3_refusal("IllegalLocationConstraintException", status=400)
        error = error_of(make_s3_saver, bucket, operation, fault)

        assert "in another region: give an s3_client of that region" in str(error)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("operation", ["GetObject", "CopyObject"])
@pytest.mark.parametrize("fault", [s3_refusal("NoSuchKey", status=404), s3_refusal("AccessDenied", LISTING)])
def test_a_missing_object_is_told_also_to_who_may_not_list(
    make_s3_saver: MakeSaver, bucket: TestBucket, operation: str, fault: Fault
) -> None:
    error = error_of(make_s3_saver, bucket, operation, fault)

    assert type(error) is CorruptDataError
    assert "check that s3_bucket and s3_prefix are those that it was written with" in str(error)


@pytest.mark.usefixtures("stored")
def test_where_s3_does_not_tell_denied_from_missing_the_error_says_both(
    make_s3_saver: MakeSaver, bucket: TestBucket
) -> None:
    error = error_of(make_s3_saver, bucket, "GetObject", s3_refusal("AccessDenied", "Access Denied"))

    assert "the same of an object that is not there to a role without s3:ListBucket" in str(error)


def test_a_bucket_that_does_not_exist(make_saver: MakeSaver, bucket: TestBucket) -> None:
    with pytest.raises(BucketNotFoundError, match="there is no bucket 'no-such-bucket'"):
        put(make_saver(s3_bucket="no-such-bucket", s3_client=bucket.client), 1, {"document": LARGE})


def test_what_is_not_a_buckets_name(make_saver: MakeSaver, bucket: TestBucket) -> None:
    with pytest.raises(RequestFailedError, match="is s3_bucket a bucket's name"):
        put(make_saver(s3_bucket="no bucket!", s3_client=bucket.client), 1, {"document": LARGE})


def test_an_endpoint_that_does_not_answer(make_saver: MakeSaver) -> None:
    options: Any = {"retries": {"total_max_attempts": 1}}
    client = boto3.client(
        "s3", region_name=REGION, endpoint_url=f"http://127.0.0.1:{free_port()}", config=Config(**options)
    )

    with pytest.raises(EndpointError, match="no whole answer from http://127.0.0.1"):
        put(make_saver(s3_bucket="values", s3_client=client), 1, {"document": LARGE})
    client.close()


@pytest.mark.usefixtures("stored")
def test_what_botocore_itself_refuses_is_passed_on(make_s3_saver: MakeSaver, bucket: TestBucket) -> None:
    def fault(request: Any) -> Any:
        raise DataNotFoundError(data_path="endpoints")

    error = error_of(make_s3_saver, bucket, "GetObject", fault)

    assert type(error) is RequestFailedError
    assert f"GetObject on bucket '{bucket.name}' failed: Unable to load data" in str(error)


@pytest.mark.usefixtures("stored")
class TestAnAnswerThatBreaksOff:
    def cut(self, times: int) -> Fault:
        """A fault: the first answers end too soon."""
        left = iter(range(times))

        def fault(request: Any) -> Any:
            content = b"x" * 10 if next(left, None) is not None else b""
            return answered(request, 206, content, **{"content-length": "500"}) if content else None

        return fault

    def test_is_asked_for_again(self, make_s3_saver: MakeSaver, bucket: TestBucket) -> None:
        with Wire(bucket.client) as wire:
            wire.fail("GetObject", self.cut(2))
            assert values_of(make_s3_saver()) == {"document": LARGE}

        assert wire.operations == ["GetObject"] * 3

    def test_is_an_error_the_third_time(self, make_s3_saver: MakeSaver, bucket: TestBucket) -> None:
        error = error_of(make_s3_saver, bucket, "GetObject", self.cut(3))

        assert type(error) is EndpointError
        assert "no whole answer" in str(error)


class Role:
    """An IAM user with a policy."""

    def __init__(self) -> None:
        self._iam = boto3.client("iam", region_name=REGION)
        self._name = f"runtime-{uuid.uuid4()}"
        self._iam.create_user(UserName=self._name)
        key = self._iam.create_access_key(UserName=self._name)["AccessKey"]
        self._keys: Any = {
            "aws_access_key_id": key["AccessKeyId"],
            "aws_secret_access_key": key["SecretAccessKey"],
            "region_name": REGION,
        }
        self.client: S3Client = boto3.client("s3", **self._keys)

    def allow(self, policy: dict[str, Any]) -> S3Client:
        """The client, which may do what the policy says."""
        document = json.dumps(policy)
        self._iam.put_user_policy(UserName=self._name, PolicyName="runtime", PolicyDocument=document)
        return self.client

    def close(self) -> None:
        self._iam.close()
        self.client.close()


@pytest.fixture
def role() -> Iterator[Role]:
    role = Role()
    yield role
    role.close()


@pytest.fixture
def enforced(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Turns on the checking of policies, of S3 only: DynamoDB's are held by test_permissions."""

    def turn_on() -> None:
        monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
        monkeypatch.setattr("moto.core.responses.BaseResponse._authenticate_and_authorize_normal_action", _allow)

    return turn_on


def _allow(*_: Any, **__: Any) -> None:
    return None


def policy_without(missing: str | None, bucket: TestBucket) -> dict[str, Any]:
    """The documented policy, one of S3's actions taken away."""
    policy = iam_policy("arn:aws:dynamodb:us-east-1:1:table/t", s3_bucket=bucket.name, s3_prefix="values")
    of_s3 = policy["Statement"][-1]
    of_s3["Action"] = [action for action in of_s3["Action"] if action != missing]
    return policy


def use_every_operation(make_saver: MakeSaver, bucket: TestBucket, client: S3Client) -> None:
    """Store, read, copy and delete, on the prefix that the policy names."""
    saver = make_saver(s3_bucket=bucket.name, s3_client=client, s3_prefix="values/")
    put(saver, 1, {"document": LARGE})
    saver.put_writes(config(number=1), [("document", noise(400_000, 2))], "task")
    assert values_of(make_saver(s3_bucket=bucket.name, s3_client=client, s3_prefix="values"))["document"] == LARGE
    saver.copy_thread("thread", "copy")
    assert values_of(saver, config("copy"))["document"] == LARGE
    saver.delete_thread("copy")
    saver.prune(["thread"])
    saver.conversations.delete_user("demo")


class TestPermissions:
    def test_three_actions_on_the_prefix_are_enough(
        self,
        make_saver: MakeSaver,
        bucket: TestBucket,
        role: Role,
        enforced: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        client = role.allow(policy_without(None, bucket))
        enforced()
        use_every_operation(make_saver, bucket, client)
        monkeypatch.undo()

        assert bucket.keys == []

    @pytest.mark.parametrize("missing", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"])
    def test_without_one_of_them_the_error_names_it(
        self,
        make_saver: MakeSaver,
        bucket: TestBucket,
        role: Role,
        enforced: Any,
        missing: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        client = role.allow(policy_without(missing, bucket))
        enforced()
        with pytest.raises(AccessDeniedError, match=f"allow {missing} on {bucket.name}/values/") as caught:
            use_every_operation(make_saver, bucket, client)
        monkeypatch.undo()

        assert caught.value.operation == missing.partition(":")[2]

    def test_the_policy_is_of_one_prefix(
        self,
        make_saver: MakeSaver,
        bucket: TestBucket,
        role: Role,
        enforced: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        client = role.allow(policy_without(None, bucket))
        enforced()
        with pytest.raises(AccessDeniedError, match=f"allow s3:PutObject on {bucket.name}/values2/"):
            put(make_saver(s3_bucket=bucket.name, s3_client=client, s3_prefix="values2"), 1, {"document": LARGE})
        monkeypatch.undo()
