"""Buckets for the tests of large values in S3."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.buckets import TestBucket, new_bucket

if TYPE_CHECKING:
    from tests.conftest import MakeSaver


@pytest.fixture
def bucket() -> Iterator[TestBucket]:
    """A new, empty bucket in moto, whatever the table's engine."""
    with new_bucket() as bucket:
        yield bucket


@pytest.fixture
def make_s3_saver(make_saver: MakeSaver, bucket: TestBucket) -> MakeSaver:
    """A factory of savers on the test's table and bucket."""
    return partial(make_saver, s3_bucket=bucket.name, s3_client=bucket.client)
