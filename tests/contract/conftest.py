"""A pair of tables for each test, and one for all tests of a module."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.pair import Pair

if TYPE_CHECKING:
    from tests.engines import Engine


@pytest.fixture(scope="session")
def local(engine: Engine) -> Iterator[Any]:
    """A client that sends also what botocore would not, once."""
    client = engine.client(parameter_validation=False, retries={"total_max_attempts": 1})
    yield client
    client.close()


@pytest.fixture
def pair(local: Any) -> Iterator[Pair]:
    """The conversations table, in both engines, empty."""
    pair = Pair(local, f"contract-{uuid.uuid4()}")
    yield pair
    pair.close()
