"""The data path to the bucket: GetObject, PutObject, DeleteObject and CopyObject on the keys of one prefix.

A role needs the first three as actions on the prefix, and nothing on the bucket itself. Nothing is ever listed: what is
in the bucket is found by the pointers in the table. Only after a restore of the table, an administrator lists the
versions of single objects, reads them, and removes their delete markers. Failures are translated in `failures`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from langgraph_dynamo_conv._arguments import check_count, check_methods, check_words
from langgraph_dynamo_conv._format.keys import bucket_prefix
from langgraph_dynamo_conv._format.limits import BUCKET_BYTES
from langgraph_dynamo_conv._storage.client import LazyClient, new_client
from langgraph_dynamo_conv._storage.failures import S3, Target, translated
from langgraph_dynamo_conv.errors import EndpointError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from typing_extensions import TypedDict

    class BucketOptions(TypedDict, total=False):
        """The options of `DynamoDBConversationSaver` that say where large values are."""

        s3_bucket: str | None
        s3_prefix: str
        s3_threshold_bytes: int
        s3_client: S3Client | None


Presence = Literal["there", "deleted", "missing"]
"""What a bucket has of an object: `deleted` is one of which it keeps a version."""

_READ_ATTEMPTS = 3
"""botocore repeats a request, but not the reading of an answer that breaks off."""

_READ_TIMEOUT_SECONDS = 60
"""An object is larger than an item, and S3 answers later than DynamoDB."""


class Bucket:
    """One bucket, reached through a client that is made at the first request.

    Args:
        name: The bucket's name, or the ARN of an access point.
        prefix: What the keys of all objects begin with.
        threshold_bytes: A stored value above this becomes an object; others become parts, items of the table.
        client: A ready boto3 S3 client, or None to make one.
        region_name: Region of the client to be made, or None for the environment's.

    Raises:
        ValueError: The prefix is impossible.
    """

    def __init__(
        self,
        name: str,
        *,
        prefix: str = "",
        threshold_bytes: int = BUCKET_BYTES,
        client: S3Client | None = None,
        region_name: str | None = None,
    ) -> None:
        self.name = name
        self.threshold_bytes = threshold_bytes
        self._prefix = bucket_prefix(prefix)
        self._reads_deleted = False
        make = partial(new_client, "s3", region_name=region_name, read_timeout_seconds=_READ_TIMEOUT_SECONDS)
        self._client: LazyClient[S3Client] = LazyClient(client, make)
        self._target = Target(S3, name, f"{name}/{self._prefix}*", self._client)
        self._whole = Target(S3, name, name, self._client)

    @property
    def client(self) -> S3Client:
        """The client; made now if there is none yet."""
        return self._client.get()

    def with_deleted(self) -> Bucket:
        """The same bucket, of which deleted objects are read too: their newest versions. Brings none back.

        Cost: for each read one ListObjectVersions more, which needs `s3:ListBucketVersions` on the bucket; the read of
        a deleted object needs `s3:GetObjectVersion`.
        """
        bucket = copy.copy(self)
        bucket._reads_deleted = True
        return bucket

    def put(self, name: str, data: bytes) -> None:
        """Store an object. Cost: one PutObject."""
        with self._translated("PutObject", name):
            self.client.put_object(**self._place(name), Body=data)

    def get(self, name: str, first: int, last: int) -> bytes:
        """Bytes `first` to `last` (inclusive) of an object.

        Raises:
            CorruptDataError: The object is missing, or shorter.

        Cost: one GetObject.
        """
        place = self._place(name)
        versions, markers = self._versions(name) if self._reads_deleted else ([], [])
        if versions and markers:
            place["VersionId"] = versions[0]["VersionId"]
        operation = "GetObjectVersion" if "VersionId" in place else "GetObject"
        for _ in range(_READ_ATTEMPTS):
            with self._translated(operation, name):
                body = self.client.get_object(**place, Range=f"bytes={first}-{last}")["Body"]
            try:
                with self._translated(operation, name):
                    data: bytes = body.read()
                    return data
            except EndpointError as error:
                broken_off = error
        raise broken_off

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the bucket, without reading it. Raises as `get` does. Cost: one CopyObject."""
        with self._translated("CopyObject", target):
            self.client.copy_object(**self._place(target), CopySource=self._place(source))

    def presence(self, name: str, *, bring_back: bool = False) -> Presence:
        """Whether an object is there, or is deleted in a bucket that keeps versions.

        Args:
            name: The object.
            bring_back: Whether to remove the delete markers of one that is deleted, so that its newest version is the
                object again.

        Cost: one ListObjectVersions, which needs `s3:ListBucketVersions` on the bucket, and for an object that is
        brought back one DeleteObject for each marker, which needs `s3:DeleteObjectVersion`.
        """
        versions, markers = self._versions(name)
        if not versions:
            return "missing"
        if not markers:
            return "there"
        for marker in markers if bring_back else ():
            with self._translated("DeleteObjectVersion", name):
                self.client.delete_object(**self._place(name), VersionId=marker["VersionId"])
        return "deleted"

    def _versions(self, name: str) -> tuple[list[Any], list[Any]]:
        """The versions of an object, the newest first, and its delete markers, if the newest of both is a marker."""
        place = self._place(name)
        with translated(self._whole, "ListBucketVersions", place["Key"]):
            found: Any = self.client.list_object_versions(Bucket=place["Bucket"], Prefix=place["Key"])
        markers = found.get("DeleteMarkers", [])
        return found.get("Versions", []), markers if any(one["IsLatest"] for one in markers) else []

    def delete(self, name: str) -> None:
        """Delete an object, if it is there. Cost: one DeleteObject, which is free."""
        with self._translated("DeleteObject", name):
            self.client.delete_object(**self._place(name))

    def ask(self, method: str) -> dict[str, Any]:
        """What the bucket itself is like, by the name of the client's method, such as "get_bucket_versioning"."""
        operation = "".join(word.capitalize() for word in method.split("_"))
        with translated(self._target, operation, ""):
            answer: dict[str, Any] = getattr(self.client, method)(Bucket=self.name)
        return answer

    def meets(self, rule: Mapping[str, Any]) -> Literal["all", "some", "none"]:
        """How many of the prefix's objects a lifecycle rule can be for."""
        chosen = rule.get("Filter", {})
        chosen = chosen.get("And", chosen)
        prefix = chosen.get("Prefix", rule.get("Prefix", ""))
        if not (self._prefix.startswith(prefix) or prefix.startswith(self._prefix)):
            return "none"
        is_whole = self._prefix.startswith(prefix) and chosen.keys() <= {"Prefix"}
        return "all" if is_whole else "some"

    def _place(self, name: str) -> Any:
        return {"Bucket": self.name, "Key": self._prefix + name}

    def _translated(self, operation: str, name: str) -> AbstractContextManager[None]:
        return translated(self._target, operation, self._prefix + name)


def bucket_of(
    client: DynamoDBClient | None,
    region_name: str | None,
    s3_bucket: str | None = None,
    s3_prefix: str = "",
    s3_threshold_bytes: int = BUCKET_BYTES,
    s3_client: S3Client | None = None,
) -> Bucket | None:
    """The bucket that a saver's arguments name, in the table's region; None without one. Sends nothing.

    Raises:
        ValueError: There are other options of S3 without a bucket, or their values are impossible.
    """
    bucket_prefix(s3_prefix)
    check_count("s3_threshold_bytes", s3_threshold_bytes, 0)
    if s3_client is not None:
        check_methods("s3_client", s3_client, ("get_object", "put_object"), "a boto3 S3 client, not a resource")
    if s3_bucket is None:
        if s3_prefix or s3_client is not None or s3_threshold_bytes != BUCKET_BYTES:
            raise ValueError("s3_prefix, s3_threshold_bytes and s3_client need an s3_bucket")
        return None
    if not check_words("s3_bucket", s3_bucket) or "/" in s3_bucket and not s3_bucket.startswith("arn:"):
        raise ValueError(f"s3_bucket is a bucket's name, what is below it is s3_prefix; got {s3_bucket!r:.80}")
    region = client.meta.region_name if client is not None else region_name
    return Bucket(s3_bucket, prefix=s3_prefix, threshold_bytes=s3_threshold_bytes, client=s3_client, region_name=region)
